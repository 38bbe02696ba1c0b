"""Readings of real parts: this kernel, Network UPS Tools' dummy UPS, smartctl, and memory that runs short."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from appliance.adapters.board.load import parse_pressure
from appliance.adapters.board.programs import Programs
from appliance.adapters.board.sensors import Sensors
from appliance.adapters.board.smart import Smart, ask
from appliance.domain.governor.readings import Supply
from tests.support.addresses import address, free_port
from tests.support.processes import end, start
from tests.support.until import until

# ------------------------------------------------------------------------------------------- this machine


def test_this_machine_is_read() -> None:
    body = Sensors()
    read = body.quick()
    assert read.ram_total is not None
    assert read.ram_available is not None
    assert 0 < read.ram_available <= read.ram_total
    assert read.load_milli is not None
    # os.getloadavg is another way to the same number; it moves while it is read.
    processors = os.cpu_count() or 1
    assert abs(read.load_milli - os.getloadavg()[0] * 1_000 / processors) < 500
    assert body.supply().supply is None, "no UPS was named"


def test_the_pressure_of_this_kernel_is_read() -> None:
    try:
        Path("/proc/pressure/cpu").read_text()
    except OSError as error:
        pytest.skip(f"this kernel tells no pressure: {error}")
    read = Sensors().quick()
    for pressure in (read.cpu, read.io, read.memory):
        assert pressure is not None
        assert 0 <= pressure.full10 <= pressure.some10 <= 1_000_000


@pytest.mark.skipif(not shutil.which("smartctl", path="/usr/sbin:/usr/bin"), reason="smartctl is missing")
def test_of_what_is_no_drive_the_real_smartctl_tells_nothing_that_is_believed() -> None:
    words = ("smartctl", "--json=c", "-a", "-n", "standby", "-d", "sat", "/dev/null")
    assert "SLEEP mode" in (Programs()(words, 20) or ""), "it has changed its mind about silent drives"
    assert ask(Programs(), "/dev/null", usb=True) == Smart()


# ---------------------------------------------------------------------------------------------------- NUT

DUMMY, UPSD = Path("/lib/nut/dummy-ups"), Path("/lib/nut/upsd")
"""Debian's /usr/sbin/upsd is a script that refuses unless /etc/nut/nut.conf says so."""
ON_MAINS = "ups.status: OL\nbattery.charge: 100\nbattery.runtime: 1800\nups.realpower: 21.5\n"


class Nut:
    """NUT's server and its dummy driver, whose UPS is a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ip = address()
        port = free_port(ip)
        self.name = f"box@{ip}:{port}"
        self._write(
            "ups.conf", f"[box]\ndriver=dummy-ups\nport={folder}/box.dev\nmode=dummy-once\npollinterval=1\n"
        )
        self._write("upsd.conf", f"LISTEN {ip} {port}\n")
        self._write("upsd.users", "")
        self.says(ON_MAINS)
        user = [] if os.geteuid() else ["-u", "root"]
        self.driver = self._start(DUMMY, "-a", "box", "-F", *user)
        self.server = self._start(UPSD, "-F", *user)

    def _start(self, program: Path, *words: str) -> "subprocess.Popen[bytes]":
        env = dict.fromkeys(("NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"), str(self.folder))
        with (self.folder / "log").open("ab") as log:
            return start([program, *words], log, env)

    def _write(self, name: str, text: str) -> None:
        # In place: the driver looks at the time of change.
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o600)

    def says(self, text: str) -> None:
        """The UPS says this from now on."""
        self._write("box.dev", text)


@pytest.fixture
def nut(tmp_path: Path) -> Iterator[Nut]:
    if not (DUMMY.exists() and UPSD.exists() and shutil.which("upsc")):
        pytest.skip("Network UPS Tools are missing (nut-server, nut-client)")
    # A socket lies in the folder: its path may not be longer than 107 bytes.
    folder = Path(f"/tmp/seedbox-nut-{os.getpid()}-{abs(hash(str(tmp_path))) % 10**6}")
    folder.mkdir(mode=0o700)
    running = Nut(folder)
    try:
        yield running
    finally:
        end(running.driver)
        end(running.server)
        shutil.rmtree(folder)


def test_a_power_cut_is_seen_and_so_is_its_end(nut: Nut) -> None:
    body = Sensors(ups=nut.name)
    until(lambda: body.supply().supply is Supply.MAINS, "the UPS on mains")
    power = body.supply()
    assert (power.battery_percent, power.battery_s, power.watts_mw) == (100, 1_800, 21_500)
    nut.says("ups.status: OB DISCHRG\nbattery.charge: 60\nbattery.runtime: 900\n")
    until(lambda: body.supply().supply is Supply.BATTERY, "the UPS on battery")
    assert body.supply().battery_percent == 60
    nut.says("ups.status: OB DISCHRG LB\nbattery.charge: 9\nbattery.runtime: 60\n")
    until(lambda: body.supply().supply is Supply.LOW, "the battery low")
    nut.says(ON_MAINS)
    until(lambda: body.supply().supply is Supply.MAINS, "the UPS on mains again")


def test_a_ups_whose_driver_or_server_dies_is_unknown_and_not_on_mains(nut: Nut) -> None:
    body = Sensors(ups=nut.name)
    until(lambda: body.supply().supply is Supply.MAINS, "the UPS on mains")
    end(nut.driver)
    until(lambda: body.supply().supply is None, "a UPS without its driver")
    end(nut.server)
    assert body.supply().supply is None


# ------------------------------------------------------------------------------- memory that runs short

_HUNGRY = """
import sys
folder, size = sys.argv[1], int(sys.argv[2]) << 20
with open(folder, "w+b") as file:
    file.write(bytes(size))
    print("begun", flush=True)
    while True:
        file.seek(0)
        while file.read(1 << 20):
            pass
"""
"""Reads a file again and again that is larger than the memory it may have: every page comes from the disk."""
LIMIT_MB, FILE_MB = 24, 64


def _cgroup2() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return Path(fields[1])
    return None


def _limited(pid: int, two: Path, name: str) -> tuple[Path, list[Path]]:
    """(folder with the pressure, all folders made). The limit by cgroup v2, or by v1 beside an empty v2."""
    own = two / name
    own.mkdir()
    made = [own]
    (own / "cgroup.procs").write_text(str(pid))
    if (own / "memory.max").exists():
        (own / "memory.max").write_text(str(LIMIT_MB << 20))
        return own, made
    one = Path("/sys/fs/cgroup/memory") / name
    one.mkdir()
    made.append(one)
    (one / "memory.limit_in_bytes").write_text(str(LIMIT_MB << 20))
    (one / "cgroup.procs").write_text(str(pid))
    return own, made


def _empty(cgroup: Path) -> bool:
    return not (cgroup / "cgroup.procs").read_text()


@pytest.fixture
def hungry(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Begins a process with less memory than it needs; the folder of its cgroup."""
    two, made, running = _cgroup2(), list[Path](), list["subprocess.Popen[bytes]"]()
    if two is None:
        pytest.skip("cgroup v2 is not mounted")
    name = f"seedbox-test-{os.getpid()}"

    def begin() -> Path:
        process = start(
            [
                "sh",
                "-c",
                'read go && exec "$0" -c "$1" "$2" "$3"',
                sys.executable,
                _HUNGRY,
                tmp_path / "file",
                str(FILE_MB),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        running.append(process)
        try:
            folder, folders = _limited(process.pid, two, name)
        except OSError as error:
            pytest.skip(f"no cgroup can be made here: {error}")
        made.extend(folders)
        if not (folder / "memory.pressure").exists():
            pytest.skip("this kernel tells no pressure of cgroups")
        assert "some avg10=0.00" in (folder / "memory.pressure").read_text()
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()
        return folder

    try:
        yield begin
    finally:
        for process in running:
            process.kill()
            process.communicate()
        for folder in made or [two / name, Path("/sys/fs/cgroup/memory") / name]:
            with suppress(FileNotFoundError):
                until(partial(_empty, folder), "an empty cgroup")
                folder.rmdir()


def test_memory_that_runs_short_is_read_as_pressure(hungry: Callable[[], Path]) -> None:
    folder = hungry()

    def pressed() -> bool:
        read = parse_pressure((folder / "memory.pressure").read_text())
        assert read is not None
        return read.some10 > 10_000

    until(pressed, "pressure above 1 %", 60)
