"""Readings of the machine, from the kernel's files; what cannot be read is None."""

import ipaddress
import os
import resource
import time
from contextlib import suppress
from pathlib import Path

from appliance.adapters.board.files import KernelFiles
from appliance.adapters.board.heat import Thermometer
from appliance.adapters.board.load import memory
from appliance.adapters.board.mounts import Mounts
from appliance.core.units import Bytes
from appliance.domain.doctor.facts import MachineFacts, Volume


class Machine:
    """The machine whose kernel's files lie under `root` (another one in tests)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._kernel = KernelFiles(root)
        self._mounts = Mounts(root)

    def total_ram(self) -> Bytes:
        """Bytes of memory; 1 GiB where the kernel does not tell."""
        return Bytes(memory(self._kernel).get("MemTotal", 1024**3))

    def facts(self, content: Path, state: Path) -> MachineFacts:
        """All facts that the doctor wants; blocks for some file reads."""
        ram = memory(self._kernel)
        return MachineFacts(
            year=time.localtime().tm_year,
            clock_synchronised=self._clock(),
            ram_total=ram.get("MemTotal"),
            ram_available=ram.get("MemAvailable"),
            temperature_mc=Thermometer(self._kernel).read(),
            open_files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            ipv6=self._ipv6(),
            content=self.volume(content),
            state=self.volume(state),
        )

    def volume(self, path: Path) -> Volume:
        """A folder and its file system."""
        exists = path.is_dir()
        usage = None
        with suppress(OSError):
            usage = os.statvfs(path)
        mounted = self._mounts.of(path) if exists else None
        return Volume(
            path=str(path),
            exists=exists,
            writable=exists and os.access(path, os.W_OK | os.X_OK),
            total=usage.f_blocks * usage.f_frsize if usage else None,
            free=usage.f_bavail * usage.f_frsize if usage else None,
            inodes_free_percent=100 * usage.f_favail // usage.f_files if usage and usage.f_files else None,
            kind=mounted.kind if mounted else None,
            device=mounted.device if mounted else None,
        )

    def _clock(self) -> bool | None:
        """systemd-timesyncd touches this file once it has set the clock; without it nobody tells."""
        folder = self._root / "run/systemd/timesync"
        return (folder / "synchronized").exists() if folder.is_dir() else None

    def _ipv6(self) -> bool | None:
        """Whether /proc/net/if_inet6 lists a global address (scope 00 that is not private)."""
        if not (self._root / "proc/net").exists():
            return None
        for line in self._kernel.lines("proc/net/if_inet6"):
            with suppress(ValueError, IndexError):
                if ipaddress.IPv6Address(bytes.fromhex(line.split()[0])).is_global:
                    return True
        return False
