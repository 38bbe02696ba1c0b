"""Readings of boards: what the kernel's files and programs say, and nothing where they say nothing."""

import os
import time
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.adapters.board.files import KernelFiles, thousandths, whole
from appliance.adapters.board.firmware import FirmwareFlags, hex_bits, vcgencmd_bits
from appliance.adapters.board.link import DefaultLink, LinkState, parse_routes, parse_routes6
from appliance.adapters.board.load import count_processors, parse_memory, parse_pressure
from appliance.adapters.board.machine import Machine
from appliance.adapters.board.model import board_model
from appliance.adapters.board.programs import Programs
from appliance.adapters.board.sensors import QuickReading, Sensors
from appliance.core.units import UtcMs
from appliance.domain.governor.readings import Firmware, Pressure, Readings
from appliance.domain.volumes.volume import Volume
from tests.support.board_data import plant
from tests.support.until import until

BOARDS = ("pi3b+", "pi4", "pi5", "x86")


class Said:
    """A machine whose programs are known by what they say; all others are not installed."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.ran: list[tuple[str, ...]] = []

    def __call__(self, words: Sequence[str], seconds: float) -> str | None:
        self.ran.append(tuple(words))
        return self.answers.get(words[0])


def quick(board: str, tmp_path: Path) -> QuickReading:
    return Sensors(plant(board, tmp_path), Said()).quick()


# ------------------------------------------------------------------------------------------- whole boards


def test_a_pi_3_is_read_with_its_firmwares_flags(tmp_path: Path) -> None:
    body = Sensors(plant("pi3b+", tmp_path), Said())
    assert body.board_model() == "Raspberry Pi 3 Model B Plus Rev 1.3"
    assert body.quick() == QuickReading(
        temperature_mc=54_768,
        firmware=Firmware(
            under_voltage=True,
            frequency_capped=False,
            firmware_throttled=True,
            soft_temperature_limit=False,
            under_voltage_before=True,
            frequency_capped_before=False,
            firmware_throttled_before=True,
            soft_temperature_limit_before=False,
        ),
        cpu=None,
        io=None,
        memory=None,
        load_milli=525,
        ram_total=943_512 * 1024,
        ram_available=612_380 * 1024,
        link_up=True,
        link_mbit=1_000,
    )


def test_a_pi_4_is_read_where_the_kernel_tells_the_voltage_alone(tmp_path: Path) -> None:
    read = quick("pi4", tmp_path)
    assert read.temperature_mc == 61_835
    assert read.firmware is not None
    assert read.firmware.under_voltage is False
    assert read.firmware.firmware_throttled is None, "nobody has told, so it is not known to be well"
    assert read.cpu == Pressure(some10=15_300, some60=9_100, full10=0, full60=0)
    assert read.io == Pressure(some10=124_000, some60=80_500, full10=98_700, full60=60_000)
    assert read.memory == Pressure(some10=0, some60=1_200, full10=0, full60=500)
    assert (read.link_up, read.link_mbit) == (True, None), "a radio tells no speed"


def test_a_pi_5_is_read_by_the_best_of_two_default_routes(tmp_path: Path) -> None:
    read = quick("pi5", tmp_path)
    assert read.temperature_mc == 48_150, "the I/O chip's own thermometer is not the processor's"
    assert read.firmware is not None
    assert not any(getattr(read.firmware, field.name) for field in fields(Firmware))
    assert read.io == Pressure(some10=0, some60=0, full10=0, full60=0)
    assert (read.link_up, read.link_mbit) == (True, 1_000), "the cable's metric is lower"


def test_a_pc_is_read_without_a_firmware_and_over_ipv6(tmp_path: Path) -> None:
    body = Sensors(plant("x86", tmp_path), Said())
    read = body.quick()
    assert body.board_model() == "HP t640 Thin Client"
    assert read.firmware is None
    assert read.temperature_mc == 52_375, "neither the radio nor the zone that stands still"
    assert read.load_milli == 1_000, "five processors are switched on"
    assert read.cpu == Pressure(some10=1_000_000, some60=505_000, full10=0, full60=0)
    assert read.io is None
    assert (read.link_up, read.link_mbit) == (True, 2_500)


def test_of_a_board_with_nothing_everything_is_unknown(tmp_path: Path) -> None:
    body = Sensors(tmp_path, Said(), ups="ups@localhost")
    assert {getattr(body.quick(), field.name) for field in fields(QuickReading)} == {None}
    assert body.board_model() == ""
    power = body.supply()
    assert {getattr(power, field.name) for field in fields(power)} == {None}
    assert body.watts() is None
    assert body.slow(["/dev/sda1", "/dev/root", "", "tmpfs", "/dev/../etc", "/dev/a\0b"]) == ()


def test_readings_take_over_what_is_new_and_keep_the_rest(tmp_path: Path) -> None:
    before = Readings(at=UtcMs(1), temperature_mc=1, month_up=7, battery_percent=50)
    after = quick("pi4", tmp_path).onto(before)
    assert (after.temperature_mc, after.month_up, after.battery_percent) == (61_835, 7, 50)


@pytest.mark.parametrize("board", BOARDS)
def test_the_doctor_and_the_governor_see_the_same_machine(board: str, tmp_path: Path) -> None:
    read, facts = quick(board, tmp_path), Machine(tmp_path).facts(Volume(path=str(tmp_path)), tmp_path)
    assert facts.temperature_mc == read.temperature_mc
    assert facts.ram_available == read.ram_available


@pytest.mark.parametrize("board", BOARDS)
def test_files_that_are_folders_garbage_or_cut_off_raise_nothing(board: str, tmp_path: Path) -> None:
    root = plant(board, tmp_path)
    body = Sensors(root, Said())
    told = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    for spoilt in (b"", b"\xff\xfe\0garbage", b"some avg10=", b"-", b"9" * 400, b"0x"):
        for path in told:
            path.write_bytes(spoilt)
        read = body.quick()
        body.slow(["/dev/sda1", "/dev/mmcblk0p2", "/dev/nvme0n1p1", "/dev/md0"])
        assert read.temperature_mc is None
        assert read.ram_available is None
        assert read.load_milli is None
        assert read.cpu is None
        assert read.link_mbit is None
    for path in told:
        path.unlink()
        path.mkdir()
    body.quick()
    body.slow(["/dev/sda1", "/dev/mmcblk0p2", "/dev/nvme0n1p1", "/dev/md0"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_one_may_not_read_are_unknown(tmp_path: Path) -> None:
    root = plant("pi4", tmp_path)
    for path in root.rglob("*"):
        if path.is_file():
            path.chmod(0)
    assert {getattr(Sensors(root, Said()).quick(), field.name) for field in fields(QuickReading)} <= {None}


def test_a_pipe_that_nobody_writes_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert KernelFiles(tmp_path).text("pipe") == ""


def test_reading_costs_less_than_5_ms_of_the_processor(tmp_path: Path) -> None:
    body = Sensors(plant("pi5", tmp_path), Said())
    body.quick()
    began = time.process_time()
    for _ in range(100):
        body.quick()
    assert (time.process_time() - began) / 100 < 0.005


# -------------------------------------------------------------------------------------------- temperature


def test_a_sensor_that_comes_later_is_found_and_one_that_goes_is_unknown(tmp_path: Path) -> None:
    body = Sensors(tmp_path, Said())
    assert body.quick().temperature_mc is None
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("soc-thermal\n")
    (zone / "temp").write_text("40000\n")
    body.slow([])
    assert body.quick().temperature_mc == 40_000
    (zone / "temp").write_text("-273200\n")
    assert body.quick().temperature_mc is None


# ----------------------------------------------------------------------------------------------- firmware


def test_a_flag_that_was_seen_is_remembered_after_the_kernel_has_cleared_it(tmp_path: Path) -> None:
    body = Sensors(plant("pi3b+", tmp_path), Said())
    body.quick()
    (tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("0\n")
    (tmp_path / "sys/class/hwmon/hwmon1/in0_lcrit_alarm").write_text("0\n")
    firmware = body.quick().firmware
    assert firmware is not None
    assert firmware.under_voltage is False
    assert firmware.under_voltage_before is True
    assert firmware.firmware_throttled_before is True
    assert firmware.soft_temperature_limit_before is False


def test_the_voltage_alarm_is_remembered_too(tmp_path: Path) -> None:
    body = Sensors(plant("pi4", tmp_path), Said())
    alarm = tmp_path / "sys/class/hwmon/hwmon1/in0_lcrit_alarm"
    alarm.write_text("1\n")
    body.quick()
    alarm.write_text("0\n")
    firmware = body.quick().firmware
    assert firmware is not None
    assert (firmware.under_voltage, firmware.under_voltage_before) == (False, True)


def test_vcgencmd_is_asked_on_a_raspberry_pi_whose_kernel_does_not_tell_all(tmp_path: Path) -> None:
    said = Said(vcgencmd="throttled=0x80008\n")
    body = Sensors(plant("pi4", tmp_path), said)
    body.supply()
    firmware = body.quick().firmware
    assert said.ran == [("vcgencmd", "get_throttled")]
    assert firmware is not None
    assert (firmware.soft_temperature_limit, firmware.firmware_throttled) == (True, False)
    said.answers = {}
    body.supply()
    firmware = body.quick().firmware
    assert firmware is not None
    assert firmware.soft_temperature_limit is None, "an old answer is no answer"


@pytest.mark.parametrize("board", ["pi3b+", "pi5", "x86"])
def test_vcgencmd_is_not_asked_where_the_kernel_tells_or_there_is_no_firmware(
    board: str, tmp_path: Path
) -> None:
    said = Said(vcgencmd="throttled=0x0")
    Sensors(plant(board, tmp_path), said).supply()
    assert said.ran == []


def test_the_kernels_flags_are_not_believed_where_no_driver_renews_them(tmp_path: Path) -> None:
    said = Said(vcgencmd="throttled=0x50005\n")
    body = Sensors(plant("pi3b+", tmp_path), said)
    (tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("0\n")
    (tmp_path / "sys/class/hwmon/hwmon1/name").unlink()
    body.slow([])
    assert body.quick().firmware is None, "unknown is not well"
    body.supply()
    firmware = body.quick().firmware
    assert said.ran == [("vcgencmd", "get_throttled")]
    assert firmware is not None
    assert firmware.under_voltage is True


@given(st.integers(0, 2**32 - 1))
def test_both_doors_to_the_flags_tell_the_same(bits: int) -> None:
    assert hex_bits(f"{bits:x}") == vcgencmd_bits(f"throttled={bits:#x}\n") == bits


@given(st.text(max_size=40))
def test_no_garbage_is_taken_for_flags(text: str) -> None:
    assert hex_bits(text) is None or set(text) <= set("x0123456789abcdefABCDEF")
    assert vcgencmd_bits(text) is None
    assert vcgencmd_bits(f"error=1 error_msg={text}") is None


def test_a_board_that_is_no_raspberry_pi_has_no_flags(tmp_path: Path) -> None:
    flags = FirmwareFlags(KernelFiles(tmp_path), Said(vcgencmd="throttled=0x5"))
    flags.ask()
    assert flags.read() is None


# --------------------------------------------------------------------------- pressure, load, memory, model


@given(st.text(max_size=200) | st.from_regex(r"(some|full) avg10=\S* avg60=\S*\n", fullmatch=True))
def test_no_garbage_is_taken_for_pressure(text: str) -> None:
    for cpu in (True, False):
        read = parse_pressure(text, cpu=cpu)
        if read is not None:
            assert all(0 <= getattr(read, field.name) <= 1_000_000 for field in fields(read))


def test_half_of_a_pressure_file_is_unknown_but_for_the_processors() -> None:
    some = "some avg10=0.50 avg60=1.00 avg300=0.00 total=1\n"
    assert parse_pressure(some) is None
    assert parse_pressure(some, cpu=True) == Pressure(some10=5_000, some60=10_000, full10=0, full60=0)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 1), ("0-3", 4), ("0-3,6\n", 5), ("", 0), ("x", 0), ("3-0", 0), ("0-", 0), ("0-3,", 0)],
)
def test_processors_that_are_switched_on_are_counted(text: str, count: int) -> None:
    assert count_processors(text) == count


@given(st.text(max_size=60) | st.decimals(0, 10**9).map(str) | st.integers().map(str))
def test_no_garbage_is_taken_for_a_number(text: str) -> None:
    count_processors(text)
    number, decimal = whole(text), thousandths(text)
    assert number is None or (set(text) <= set("-0123456789") and number == int(text))
    assert decimal is None or (set(text) <= set(".0123456789") and decimal == int(Decimal(text) * 1_000))


@given(st.lists(st.text(max_size=30) | st.text(max_size=9).map(lambda text: f"MemTotal: {text} kB")))
def test_no_garbage_is_taken_for_memory(lines: list[str]) -> None:
    assert all(amount >= 0 and amount % 1024 == 0 for amount in parse_memory(lines).values())


def test_a_maker_who_left_the_name_empty_has_none(tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/dmi/id"
    folder.mkdir(parents=True)
    for name, text in (
        ("sys_vendor", "To Be Filled By O.E.M."),
        ("product_name", "To Be Filled By O.E.M."),
        ("board_vendor", "ASRock"),
        ("board_name", "J4105-ITX"),
    ):
        (folder / name).write_text(f"{text}\n")
    assert board_model(KernelFiles(tmp_path)) == "ASRock J4105-ITX"


# --------------------------------------------------------------------------------------------------- link


def test_a_pulled_cable_is_a_link_that_is_down_though_its_route_is_gone(tmp_path: Path) -> None:
    uplink = DefaultLink(KernelFiles(plant("pi3b+", tmp_path)))
    assert uplink.read() == LinkState(True, 1_000)
    (tmp_path / "proc/net/route").write_text("Iface\tDestination\n")
    (tmp_path / "sys/class/net/eth0/operstate").write_text("down\n")
    (tmp_path / "sys/class/net/eth0/speed").write_text("-1\n")
    assert uplink.read() == LinkState(False, None)


def test_an_adapter_that_was_pulled_is_a_link_that_is_down(tmp_path: Path) -> None:
    uplink = DefaultLink(KernelFiles(plant("pi3b+", tmp_path)))
    uplink.read()
    (tmp_path / "proc/net/route").unlink()
    (tmp_path / "sys/class/net/eth0/operstate").unlink()
    assert uplink.read() == LinkState(False, None)


@pytest.mark.parametrize(("carrier", "up"), [("1", True), ("0", False), ("", None)])
def test_a_driver_that_does_not_tell_its_state_is_asked_for_its_carrier(
    carrier: str, up: bool | None, tmp_path: Path
) -> None:
    root = plant("pi3b+", tmp_path)
    (root / "sys/class/net/eth0/operstate").write_text("unknown\n")
    (root / "sys/class/net/eth0/carrier").write_text(f"{carrier}\n")
    assert DefaultLink(KernelFiles(root)).read().up is up


def test_a_route_cannot_lead_out_of_its_folder() -> None:
    route = "\t".join(["../../evil", "00000000", "0", "0003", "0", "0", "0", "00000000"])
    assert parse_routes(["Iface", route]) == ""
    assert parse_routes(["Iface", route.replace("../../evil", "..")]) == ""


@given(
    st.lists(st.text(max_size=80) | st.lists(st.sampled_from(["00000000", "eth0", "0", "z"])).map(" ".join))
)
def test_no_garbage_is_taken_for_a_route(lines: list[str]) -> None:
    assert "/" not in parse_routes(lines)
    assert "/" not in parse_routes6(lines)


# ----------------------------------------------------------------------------------------------- programs


def program(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_is_heard_whatever_its_exit_status(tmp_path: Path) -> None:
    assert Programs()((program(tmp_path, "echo said; echo noise >&2; exit 216"),), 10) == "said\n"


def test_a_missing_program_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("text")
    for words in (("no-such-program-here",), (str(tmp_path / "plain"),), (str(tmp_path),), ("a\0b",)):
        assert Programs()(words, 10) is None


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    words = (program(tmp_path, f"echo begun; sleep 600 & echo $! >{tmp_path}/child; sleep 600"),)
    assert Programs()(words, 0.5) is None
    assert time.monotonic() - began < 5
    child = int((tmp_path / "child").read_text())
    until(lambda: not Path(f"/proc/{child}").exists() or _zombie(child), "the child's end")


def _zombie(pid: int) -> bool:
    return ") Z " in (KernelFiles().text(f"proc/{pid}/stat") or ") Z ")


def test_a_program_that_has_spoken_but_does_not_end_is_ended(tmp_path: Path) -> None:
    words = (program(tmp_path, "echo said; exec >&-; exec sleep 600"),)
    assert Programs()(words, 0.5) == "said\n"


def test_a_program_that_says_too_much_is_not_believed(tmp_path: Path) -> None:
    assert Programs()((program(tmp_path, "exec cat /dev/zero"),), 10) is None


def test_a_program_gets_no_secret_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_PASSPHRASE", "secret")
    assert "secret" not in (Programs()((program(tmp_path, "env"),), 10) or "")
