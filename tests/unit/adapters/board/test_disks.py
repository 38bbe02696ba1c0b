"""Drives: which one lies under a folder, what it says of itself, and that no sleeping one is woken."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.adapters.board.blocks import whole_disks
from appliance.adapters.board.disks import life_time
from appliance.adapters.board.files import KernelFiles
from appliance.adapters.board.sensors import Sensors
from appliance.adapters.board.smart import Smart, parse
from appliance.domain.governor.readings import DiskReading
from tests.support.board_data import plant, smart


class Drives:
    """smartctl, for the drives that are named, each with its published answer."""

    def __init__(self, *answers: tuple[str, str]) -> None:
        """(end of the command, name of the answer)."""
        self.answers = list(answers)
        self.ran: list[str] = []

    def __call__(self, words: Sequence[str], seconds: float) -> str | None:
        line = " ".join(words)
        self.ran.append(line)
        assert "-n standby" in line, "a sleeping disk would be woken"
        return next((smart(answer) for end, answer in self.answers if line.endswith(end)), None)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            "hdd",
            Smart(
                model="WDC WD20EFRX-68EUZN0",
                healthy=True,
                temperature_mc=34_000,
                bad_sectors=0,
                hours=47_657,
            ),
        ),
        (
            "hdd-failing",
            Smart(
                model="Hitachi HDS721050DLE630",
                healthy=False,
                temperature_mc=25_000,
                bad_sectors=1_975 + 8,
                hours=65_592,
            ),
        ),
        ("usb-sat", Smart(temperature_mc=29_000, bad_sectors=0)),
        (
            "ssd",
            Smart(
                model="SAMSUNG MZ7WD240HAFV-00003",
                healthy=True,
                temperature_mc=27_000,
                wear_percent=9,
                bad_sectors=0,
                hours=84_619,
            ),
        ),
        (
            "nvme",
            Smart(
                model="Samsung SSD 970 EVO 500GB",
                healthy=True,
                temperature_mc=35_000,
                wear_percent=3,
                bad_sectors=7,
                hours=12_798,
            ),
        ),
        ("standby", Smart(asleep=True)),
        ("usb-unknown", Smart()),
        ("denied", Smart()),
    ],
)
def test_published_answers_of_smartctl_are_understood(answer: str, expected: Smart) -> None:
    assert parse(smart(answer)) == expected


def test_a_drive_that_cannot_be_opened_is_unknown_and_not_asleep() -> None:
    assert parse(smart("denied")).asleep is False, "its exit status is the same"


@pytest.mark.parametrize(
    ("mode", "asleep"),
    [("STANDBY", True), ("STANDBY_Y", True), ("STANDBY (OS)", True), ("SLEEP", False), ("IDLE", False)],
)
def test_every_standby_is_known_but_a_drive_that_does_not_answer_is_not_asleep(
    mode: str, asleep: bool
) -> None:
    message = {"string": f"Device is in {mode} mode, exit(2)", "severity": "information"}
    said = msgspec.json.encode({"smartctl": {"messages": [message], "exit_status": 2}})
    assert parse(said.decode()).asleep is asleep


def attribute(id: int, name: str, value: int) -> dict[str, Any]:
    return {"id": id, "name": name, "value": value, "raw": {"value": 1, "string": "1"}}


@pytest.mark.parametrize(
    ("told", "wear"),
    [
        (attribute(231, "SSD_Life_Left", 87), 13),
        (attribute(202, "Percent_Lifetime_Remain", 100), 0),
        (attribute(233, "Media_Wearout_Indicator", 1), 99),
        (attribute(230, "Media_Wearout_Indicator", 7), None),
        (attribute(202, "Exception_Mode_Status", 100), None),
        (attribute(177, "Wear_Leveling_Count", 253), None),
    ],
)
def test_wear_of_an_ssd_is_read_by_name_as_makers_share_numbers(
    told: dict[str, Any], wear: int | None
) -> None:
    said = msgspec.json.encode({"ata_smart_attributes": {"table": [told]}}).decode()
    assert parse(said).wear_percent == wear


def test_wear_as_newer_smartctl_tells_it_for_all_kinds_of_drives() -> None:
    assert parse('{"endurance_used":{"current_percent":105}}').wear_percent == 105


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in items for place in _places(inner, (*path, key)))]


@given(st.data(), st.sampled_from(["hdd", "ssd", "nvme", "standby"]), json_values)
def test_an_answer_with_anything_in_the_place_of_a_value_raises_nothing(
    data: st.DataObject, answer: str, strange: Any
) -> None:
    said = msgspec.json.decode(smart(answer))
    *way, last = data.draw(st.sampled_from([place for place in _places(said) if place]))
    inner = said
    for key in way:
        inner = inner[key]
    inner[last] = strange
    read = parse(msgspec.json.encode(said).decode())
    assert read.wear_percent is None or 0 <= read.wear_percent <= 255
    assert read.bad_sectors is None or read.bad_sectors >= 0
    assert read.healthy in (True, False, None)


@given(st.text(max_size=200), st.integers(0, 3_000))
def test_garbage_and_answers_that_are_cut_off_are_unknown(text: str, length: int) -> None:
    parse(text)
    whole = smart("hdd")
    assert parse(whole[: min(length, len(whole) - 3)]) == Smart()


def test_an_answer_that_is_nested_without_end_is_unknown() -> None:
    assert parse("[" * 100_000) == Smart()


# ------------------------------------------------------------------------------------------- which drives


@pytest.mark.parametrize(
    ("board", "device", "disks"),
    [
        ("pi3b+", "/dev/sda1", ("sda",)),
        ("pi3b+", "/dev/sda", ("sda",)),
        ("pi3b+", "/dev/mmcblk0p2", ("mmcblk0",)),
        ("pi5", "/dev/nvme0n1p1", ("nvme0n1",)),
        ("x86", "/dev/mapper/data", ("sda",)),
        ("x86", "/dev/dm-0", ("sda",)),
        ("x86", "/dev/md0", ("sda", "sdb")),
        ("x86", "/dev/loop0", ()),
        ("x86", "tmpfs", ()),
        ("x86", "//server/share", ()),
    ],
)
def test_the_drive_under_a_device_is_found(
    board: str, device: str, disks: tuple[str, ...], tmp_path: Path
) -> None:
    assert whole_disks(KernelFiles(plant(board, tmp_path)), [device, device]) == disks


def test_a_mapped_device_is_found_also_where_dev_is_hidden(tmp_path: Path) -> None:
    (plant("x86", tmp_path) / "dev/mapper/data").unlink()
    assert whole_disks(KernelFiles(tmp_path), ["/dev/mapper/data"]) == ("sda",)


def test_layers_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    for name, below in (("dm-1", "dm-2"), ("dm-2", "dm-1")):
        (tmp_path / f"sys/class/block/{name}/slaves/{below}").mkdir(parents=True)
    assert whole_disks(KernelFiles(tmp_path), ["/dev/dm-1"]) == ()


# ------------------------------------------------------------------------------------------- what they say


def slow(
    board: str, root: Path, run: Callable[[Sequence[str], float], str | None], device: str
) -> DiskReading:
    (reading,) = Sensors(plant(board, root), run).slow([device])
    return reading


def test_behind_an_unknown_usb_bridge_the_translated_command_is_tried(tmp_path: Path) -> None:
    drives = Drives(("-d sat /dev/sda", "usb-sat"), ("/dev/sda", "usb-unknown"))
    assert slow("pi3b+", tmp_path, drives, "/dev/sda1") == DiskReading(
        device="/dev/sda",
        model="Elements 10B8",
        healthy=None,
        temperature_mc=29_000,
        wear_percent=None,
        bad_sectors=0,
        hours=None,
    )
    assert len(drives.ran) == 2


def test_where_the_plain_command_works_or_there_is_no_usb_it_stays_with_that(tmp_path: Path) -> None:
    drives = Drives(("/dev/sda", "ssd"))
    assert slow("pi4", tmp_path / "usb", drives, "/dev/sda1").wear_percent == 9
    slow("x86", tmp_path / "sata", Drives(), "/dev/dm-0")
    assert drives.ran == ["smartctl --json=c -a -n standby /dev/sda"]


def test_a_sleeping_drive_keeps_what_it_said_before(tmp_path: Path) -> None:
    drives = Drives(("/dev/sda", "hdd"))
    body = Sensors(plant("pi3b+", tmp_path), drives)
    (awake,) = body.slow(["/dev/sda1"])
    drives.answers = [("/dev/sda", "standby")]
    for _ in range(2):
        (asleep,) = body.slow(["/dev/sda1"])
        assert asleep.asleep
        assert (asleep.model, asleep.hours, asleep.healthy) == (awake.model, awake.hours, True)


def test_another_drive_under_the_same_name_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    drives = Drives(("/dev/sda", "hdd"))
    body = Sensors(plant("pi3b+", tmp_path), drives)
    body.slow(["/dev/sda1"])
    (tmp_path / "sys/class/block/sda/diskseq").write_text("10\n")
    drives.answers = [("/dev/sda", "standby")]
    (reading,) = body.slow(["/dev/sda1"])
    assert (reading.asleep, reading.healthy, reading.hours) == (True, None, None)


def test_a_drive_that_stops_answering_is_unknown_and_not_what_it_was(tmp_path: Path) -> None:
    drives = Drives(("/dev/sda", "hdd"))
    body = Sensors(plant("pi3b+", tmp_path), drives)
    body.slow(["/dev/sda1"])
    drives.answers = []
    (reading,) = body.slow(["/dev/sda1"])
    assert (reading.healthy, reading.bad_sectors, reading.asleep) == (None, None, False)


@pytest.mark.parametrize(
    ("board", "device", "heat"), [("x86", "/dev/sda2", 33_000), ("pi5", "/dev/nvme0n1p1", 36_850)]
)
def test_without_smartctl_the_kernels_own_thermometer_is_read(
    board: str, device: str, heat: int, tmp_path: Path
) -> None:
    reading = slow(board, tmp_path, Drives(), device)
    assert reading.temperature_mc == heat
    assert reading.model
    assert reading.healthy is None


def test_a_sleeping_drives_thermometer_is_left_alone(tmp_path: Path) -> None:
    assert slow("x86", tmp_path, Drives(("/dev/sda", "standby")), "/dev/sda2").temperature_mc is None


def test_an_emmc_tells_its_wear_and_an_sd_card_nothing(tmp_path: Path) -> None:
    drives = Drives()
    emmc = slow("x86", tmp_path / "x86", drives, "/dev/mmcblk0p1")
    assert (emmc.model, emmc.wear_percent, emmc.healthy) == ("DF4064", 30, True)
    sd = slow("pi3b+", tmp_path / "pi", drives, "/dev/mmcblk0p2")
    assert (sd.model, sd.wear_percent, sd.healthy) == ("SC32G", None, None)
    assert drives.ran == []


@pytest.mark.parametrize(("told", "healthy"), [("0x00", None), ("0x02", False), ("0x03", False), ("?", None)])
def test_an_emmc_that_runs_out_of_spare_blocks_is_not_healthy(
    told: str, healthy: bool | None, tmp_path: Path
) -> None:
    root = plant("x86", tmp_path)
    (root / "sys/class/block/mmcblk0/device/pre_eol_info").write_text(f"{told}\n")
    (emmc,) = Sensors(root, Drives()).slow(["/dev/mmcblk0"])
    assert emmc.healthy is healthy


@pytest.mark.parametrize(
    ("text", "wear"),
    [
        ("0x01 0x01", 10),
        ("0x0b 0x01", 110),
        ("0x00 0x00", None),
        ("0xff", None),
        ("", None),
        ("a b c d", None),
    ],
)
def test_the_wear_of_an_emmc_is_the_upper_end_of_its_worse_tenth(text: str, wear: int | None) -> None:
    assert life_time(text) == wear


@given(st.text(max_size=30))
def test_no_garbage_is_taken_for_wear(text: str) -> None:
    assert life_time(text) in (None, *range(10, 111, 10))
