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
from appliance.adapters.board.space import disk_space
from appliance.core.units import Bytes
from appliance.domain.doctor.facts import MachineFacts
from appliance.domain.volumes.faults import Condition
from appliance.domain.volumes.volume import Volume


class Machine:
    """The machine whose kernel's files lie under `root` (another one in tests)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._kernel = KernelFiles(root)
        self._mounts = Mounts(root)

    def total_ram(self) -> Bytes:
        """The memory in bytes; 1 GiB where it is not known."""
        return Bytes(memory(self._kernel).get("MemTotal", 1024**3))

    def facts(self, content: Volume, state: Path) -> MachineFacts:
        """All facts that the doctor wants; blocks for some file reads.

        `content` is the main content folder, by the volume guard or by `volume`; `state` the state folder.
        """
        ram = memory(self._kernel)
        return MachineFacts(
            year=time.localtime().tm_year,
            clock_synchronised=self._clock(),
            ram_total=ram.get("MemTotal"),
            ram_available=ram.get("MemAvailable"),
            temperature_mc=Thermometer(self._kernel).read(),
            open_files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            ipv6=self._ipv6(),
            content=content,
            state=self.volume(state),
        )

    def volume(self, path: Path) -> Volume:
        """A folder and its file system, without asking whether the box has adopted it; blocks for a disk."""
        if not path.is_dir():
            return Volume(path=str(path), condition=Condition.NO_FOLDER)
        space = disk_space(path)
        volume = Volume(
            path=str(path),
            writable=os.access(path, os.W_OK | os.X_OK),
            total=space.total,
            free=space.free,
            inodes_free_percent=space.inodes_free_percent,
        )
        mounted = self._mounts.of(path)
        return mounted.under(volume) if mounted else volume

    def _clock(self) -> bool | None:
        """Whether systemd-timesyncd has touched the file that means a set clock; None without it."""
        folder = self._root / "run/systemd/timesync"
        return (folder / "synchronized").exists() if folder.is_dir() else None

    def _ipv6(self) -> bool | None:
        """Whether /proc/net/if_inet6 lists a global address (scope 00 that is not private)."""
        if not (self._root / "proc/net").exists():
            return None
        return any(map(_is_global, self._kernel.lines("proc/net/if_inet6")))


def _is_global(line: str) -> bool:
    with suppress(ValueError, IndexError):
        return ipaddress.IPv6Address(bytes.fromhex(line.split()[0])).is_global
    return False
