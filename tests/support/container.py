"""A Debian host with systemd and without any network, in a container: units run as on the real thing."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

from tests.support.addresses import RUN
from tests.support.processes import end, start
from tests.support.until import until

PROJECT = Path(__file__).parents[2]
PYTHON = Path("/usr/bin/python3.11")
# What only developers need; their browsers and checkers would be most of the copy.
_LEFT_OUT = (
    "playwright*",
    "mypy*",
    "ruff*",
    "hypothesis*",
    "pytest*",
    "_pytest*",
    "axe*",
    "pip*",
    "ansible*",
)
_BOOT = """
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/nspawn /run/lock
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/{name}
echo $$ > /sys/fs/cgroup/{name}/cgroup.procs
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn -q -b -D {root} -M {name} --register=no --keep-unit --private-network \\
    --console=read-only --link-journal=no -- systemd.log_target=console
"""


class Container:
    """Debian 12, booted; the box is installed in it under /opt/seedbox as its units want it."""

    def __init__(self) -> None:
        for program in ("mmdebstrap", "systemd-nspawn", "unshare", "nsenter"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed")
        if Path(sys.base_prefix, "bin", "python3.11").resolve() != PYTHON.resolve():
            pytest.skip("the tests do not run on Debian 12's Python, which the container has")
        self._folder = tempfile.TemporaryDirectory(prefix="container-")
        self.root = Path(self._folder.name, "root")
        self.name = f"seedbox-{RUN}"

    def __enter__(self) -> Self:
        made = subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"),
                *("--include=systemd,systemd-sysv,dbus,python3,procps", "bookworm", self.root),
            ],
            capture_output=True,
            text=True,
        )
        if made.returncode:
            self._folder.cleanup()
            pytest.skip(f"a Debian system cannot be made here: {made.stderr.strip().splitlines()[-1]}")
        self._install()
        with Path(self._folder.name, "console").open("wb") as console:
            self._process = start(
                [
                    *("unshare", "--mount", "--propagation", "private", "bash", "-c"),
                    _BOOT.format(name=self.name, root=self.root),
                ],
                console,
                stdin=subprocess.DEVNULL,
            )
        try:
            until(self._booted, "the container's start", 60)
        except BaseException:
            print(Path(self._folder.name, "console").read_text(errors="replace")[-2_000:])
            self.__exit__(None, None, None)
            raise
        return self

    def _install(self) -> None:
        """As the image does it: the program under /opt, the units and their users beside the system's."""
        site = self.root / "opt/seedbox/lib/python3.11/site-packages"
        ignored = shutil.ignore_patterns(*_LEFT_OUT, "__pycache__")
        shutil.copytree(sysconfig.get_path("purelib"), site, ignore=ignored)
        shutil.copytree(PROJECT / "appliance", site / "appliance", ignore=ignored)
        binary = self.root / "opt/seedbox/bin"
        binary.mkdir(parents=True)
        (binary / "python").symlink_to(PYTHON)
        (binary.parent / "pyvenv.cfg").write_text(f"home = {PYTHON.parent}\nversion = 3.11\n")
        (binary / "seedbox").write_text(
            "#!/opt/seedbox/bin/python\nimport sys\nfrom appliance.entrypoints.cli.main import main\n"
            "sys.exit(main())\n"
        )
        (binary / "seedbox").chmod(0o755)
        units = self.root / "etc/systemd/system"
        for unit in (*(PROJECT / "systemd").glob("*.service"), *(PROJECT / "systemd").glob("*.timer")):
            shutil.copy(unit, units)
            if unit.name in ("seedbox.service", "seedbox-web.service"):
                (units / "multi-user.target.wants" / unit.name).symlink_to(unit.name)
        for folder in ("sysusers.d", "tmpfiles.d"):
            shutil.copy(PROJECT / "systemd" / folder / "seedbox.conf", self.root / "usr/lib" / folder)

    def _booted(self) -> bool:
        assert self._process.poll() is None, "the container ended"
        return self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def run(self, *words: str, user: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command inside, as root or as another user."""
        init = self._init()
        if init is None:
            return subprocess.CompletedProcess(words, 1, "", "")
        inside = ("runuser", "-u", user, "--") if user else ()
        return subprocess.run(
            ["nsenter", "--target", str(init), "--all", *inside, *words],
            capture_output=True,
            text=True,
            timeout=120,
        )

    def _init(self) -> int | None:
        """The container's first process: systemd, a child of nspawn."""
        try:
            for child in psutil.Process(self._process.pid).children(recursive=True):
                if child.name() == "systemd" or child.cmdline()[:1] == ["/usr/lib/systemd/systemd"]:
                    return child.pid
        except psutil.NoSuchProcess:
            pass
        return None

    def unit(self, name: str, key: str) -> str:
        """A property of a unit (org.freedesktop.systemd1)."""
        return self.run("systemctl", "show", "--value", "--property", key, name).stdout.strip()

    def journal(self, unit: str) -> list[dict[str, str]]:
        """All its entries, with their fields (systemd.journal-fields(7))."""
        lines = self.run("journalctl", "--unit", unit, "--output", "json", "--no-pager").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        end(self._process, 30)
        tidy = f"mount -t cgroup2 none /mnt && find /mnt/{self.name} -depth -type d -exec rmdir {{}} +"
        subprocess.run(["unshare", "--mount", "bash", "-c", tidy], capture_output=True)
        self._folder.cleanup()
