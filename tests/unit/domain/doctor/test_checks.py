"""The doctor: every fact leads to a verdict with a remedy, and what is not known is called unknown."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.adapters.board.machine import Machine
from appliance.domain.doctor.checks import examine
from appliance.domain.doctor.facts import Facts, MachineFacts, NetworkFacts
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.volumes.faults import Condition
from appliance.domain.volumes.volume import Volume

GIB = 1024**3
VOLUME = Volume(
    path="/srv/content",
    writable=True,
    total=1000 * GIB,
    free=500 * GIB,
    inodes_free_percent=90,
    kind="ext4",
    device="/dev/sda1",
)
MACHINE = MachineFacts(
    year=2026,
    clock_synchronised=True,
    ram_total=4 * GIB,
    ram_available=2 * GIB,
    temperature_mc=45_000,
    open_files_limit=1_048_576,
    ipv6=True,
    content=VOLUME,
    state=replace(VOLUME, path="/var/lib/seedbox"),
)
NETWORK = NetworkFacts(
    wanted_port=6881,
    ports=(6881,),
    listen_errors=(),
    mapped=("upnp",),
    map_errors=(),
    mapping_wanted=True,
    incoming=True,
    dht_nodes=300,
    uptime_s=3_600,
    watch="/srv/watch",
    watch_exists=True,
)


GONE = Condition.NO_FOLDER


def found(machine: MachineFacts = MACHINE, network: NetworkFacts | None = NETWORK) -> dict[str, Finding]:
    return {
        finding.check: finding
        for finding in examine(Facts(machine=machine, network=network), GovernorSettings())
    }


def test_a_well_box_is_well() -> None:
    assert {finding.verdict for finding in found().values()} == {Verdict.OK}


@pytest.mark.parametrize(
    ("check", "verdict", "says", "change"),
    [
        ("clock", Verdict.ERROR, "1970", {"year": 1970}),
        ("clock", Verdict.WARNING, "network", {"clock_synchronised": False}),
        ("memory", Verdict.WARNING, "available", {"ram_available": 20 * 1024**2}),
        ("temperature", Verdict.WARNING, "76", {"temperature_mc": 76_000}),
        ("temperature", Verdict.ERROR, "84", {"temperature_mc": 84_000}),
        ("ipv6", Verdict.UNKNOWN, "no IPv6", {"ipv6": False}),
        ("open-files", Verdict.WARNING, "256", {"open_files_limit": 256}),
        ("state-folder", Verdict.ERROR, "does not exist", {"state": replace(VOLUME, condition=GONE)}),
        ("state-folder", Verdict.ERROR, "no permission", {"state": replace(VOLUME, writable=False)}),
        ("content-room", Verdict.WARNING, "free", {"content": replace(VOLUME, free=20 * GIB)}),
        ("content-room", Verdict.ERROR, "free", {"content": replace(VOLUME, free=GIB // 10)}),
        ("content-room", Verdict.WARNING, "files", {"content": replace(VOLUME, inodes_free_percent=1)}),
        ("content-device", Verdict.WARNING, "SD card", {"content": replace(VOLUME, device="/dev/mmcblk0p2")}),
        ("content-filesystem", Verdict.WARNING, "vfat", {"content": replace(VOLUME, kind="vfat")}),
    ],
)
def test_what_is_wrong_with_the_machine_is_said(
    check: str, verdict: Verdict, says: str, change: dict[str, Any]
) -> None:
    finding = found(machine=replace(MACHINE, **change))[check]
    assert finding.verdict is verdict
    assert says in finding.says
    assert finding.remedy


@pytest.mark.parametrize(
    ("check", "verdict", "says", "change"),
    [
        ("listen-port", Verdict.ERROR, "6881", {"ports": (), "listen_errors": ("0.0.0.0:6881",)}),
        ("listen-port", Verdict.WARNING, "6882", {"ports": (6882,)}),
        ("reachable", Verdict.UNKNOWN, "not known", {"incoming": False}),
        ("port-mapping", Verdict.WARNING, "router", {"mapped": (), "map_errors": ("no",), "incoming": False}),
        ("dht", Verdict.WARNING, "No DHT node", {"dht_nodes": 0}),
        ("watch-folder", Verdict.WARNING, "/srv/watch", {"watch_exists": False}),
    ],
)
def test_what_is_wrong_with_the_network_is_said(
    check: str, verdict: Verdict, says: str, change: dict[str, Any]
) -> None:
    finding = found(network=replace(NETWORK, **change))[check]
    assert finding.verdict is verdict
    assert says in finding.says
    assert finding.remedy


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (replace(VOLUME, condition=GONE), "does not exist"),
        (replace(VOLUME, writable=False), "no permission"),
    ],
)
def test_a_content_folder_that_is_gone_is_said_once_by_the_guard_or_where_none_runs(
    content: Volume, says: str
) -> None:
    machine = replace(MACHINE, content=content)
    assert says in found(machine, None)["content-folder"].says
    assert found(machine, None)["content-folder"].remedy
    running = found(machine, NETWORK)
    assert not any(finding.verdict is Verdict.ERROR for finding in running.values())


def unread(volume: Volume) -> Volume:
    return replace(volume, total=None, free=None, inodes_free_percent=None, kind="", device="")


def test_what_cannot_be_read_is_never_called_fine() -> None:
    blind = replace(
        MACHINE,
        clock_synchronised=None,
        ram_total=None,
        ram_available=None,
        temperature_mc=None,
        open_files_limit=None,
        ipv6=None,
        content=unread(VOLUME),
        state=unread(MACHINE.state),
    )
    for check in ("clock", "memory", "temperature", "open-files", "ipv6", "content-room", "content-device"):
        assert found(machine=blind)[check].verdict is Verdict.UNKNOWN, check


T = TypeVar("T")


def none_or(values: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | values


volumes = st.builds(
    Volume,
    path=st.text(),
    condition=st.sampled_from(Condition),
    writable=none_or(st.booleans()),
    total=none_or(st.integers(0, 2**60)),
    free=none_or(st.integers(0, 2**60)),
    inodes_free_percent=none_or(st.integers(0, 100)),
    kind=st.sampled_from(["", "ext4", "vfat", "exfat", "tmpfs"]),
    device=st.sampled_from(["", "/dev/sda1", "/dev/mmcblk0p1", "none"]),
)
machines = st.builds(MachineFacts, content=volumes, state=volumes)
networks = none_or(st.builds(NetworkFacts))


@given(machines, networks)
def test_every_machine_gets_one_verdict_a_check_and_a_remedy_for_what_is_wrong(
    machine: MachineFacts, network: NetworkFacts | None
) -> None:
    findings = list(examine(Facts(machine=machine, network=network), GovernorSettings()))
    assert len({finding.check for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.says.endswith((".", "!"))
        if finding.verdict in (Verdict.WARNING, Verdict.ERROR):
            assert finding.remedy


# ----------------------------------------------------------------------------------- readings of a machine


def tree(root: Path, **files: str) -> Path:
    """A kernel's files; `__` stands for a slash in their names."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_boards_files_are_read(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "pi",
        proc__meminfo="MemTotal:        3884092 kB\nMemFree: 1 kB\nMemAvailable:    2712345 kB\n",
        sys__class__thermal__thermal_zone0__temp="48312\n",
        sys__class__thermal__thermal_zone1__temp="51000\n",
        run__systemd__timesync__synchronized="",
        proc__net__if_inet6=(
            "fe80000000000000dea632fffe000001 02 40 20 80     eth0\n"
            "20010db8000000000000000000000001 02 40 00 80     eth0\n"
        ),
    )
    facts = Machine(root).facts(Volume(path=str(tmp_path)), tmp_path)
    assert facts.ram_total == 3_884_092 * 1024
    assert facts.ram_available == 2_712_345 * 1024
    assert facts.temperature_mc == 51_000
    assert facts.clock_synchronised is True
    assert facts.ipv6 is False, "2001:db8::/32 is for documentation, and fe80::/10 for the link"
    tree(root, proc__net__if_inet6="2a0104f8000000000000000000000001 02 40 00 80 eth0\n")
    assert Machine(root).facts(Volume(path=str(tmp_path)), tmp_path).ipv6 is True


def test_a_machine_without_those_files_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    machine = Machine(tmp_path / "bare")
    facts = machine.facts(machine.volume(tmp_path), tmp_path / "missing")
    assert facts.ram_total is None
    assert facts.temperature_mc is None
    assert facts.clock_synchronised is None
    assert facts.ipv6 is None
    assert not facts.content.device
    assert not facts.state.present
    assert machine.total_ram() == GIB


def test_the_drive_of_a_folder_is_the_deepest_mount(tmp_path: Path) -> None:
    content = tmp_path / "data drive" / "content"
    content.mkdir(parents=True)
    point = str(content.parent.resolve()).replace(" ", "\\040")
    root = tree(
        tmp_path / "pi",
        proc__self__mountinfo=(
            "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n"
            f"36 22 8:1 / {point} rw shared:2 - ext4 /dev/sda1 rw\n"
            "garbage\n"
        ),
    )
    assert Machine(root).volume(content).device == "/dev/sda1"
    assert Machine(root).volume(tmp_path).device == "/dev/mmcblk0p2"
    assert Machine(root).volume(tmp_path).kind == "ext4"
