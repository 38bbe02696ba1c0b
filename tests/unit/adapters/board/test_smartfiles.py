"""Answers of drives that another process has asked for."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.adapters.board.files import KernelFiles
from appliance.adapters.board.smartfiles import FRESH_S, collect, from_files, rest

WORDS = ("smartctl", "--json=c", "-a", "-n", "standby", "/dev/sda")


def nobody(words: Sequence[str], seconds: float) -> str | None:
    return f"asked {words[0]}"


def machine(root: Path) -> KernelFiles:
    """One disk behind USB with a partition, one that is not, and a card."""
    for name, where in (
        ("sda", "usb1/1-1/block/sda"),
        ("nvme0n1", "nvme/nvme0/nvme0n1"),
        ("mmcblk0", "mmc0"),
    ):
        place = root / "sys/devices" / where
        place.mkdir(parents=True)
        (place / "device").mkdir()
        (root / "sys/class/block").mkdir(parents=True, exist_ok=True)
        (root / "sys/class/block" / name).symlink_to(place)
    part = root / "sys/devices/usb1/1-1/block/sda/sda1"
    (part / "device").mkdir(parents=True)
    (part / "partition").write_text("1")
    (root / "sys/class/block/sda1").symlink_to(part)
    return KernelFiles(root)


def test_every_drive_is_asked_once_and_behind_usb_by_translation_too(tmp_path: Path) -> None:
    kernel, folder = machine(tmp_path / "root"), tmp_path / "answers"
    folder.mkdir()
    (folder / "sdz.json").write_text("of a drive that has gone")
    collect(folder, kernel, lambda words, seconds: " ".join(words))
    assert sorted(path.name for path in folder.iterdir()) == ["nvme0n1.json", "sda.json", "sda.sat.json"]
    assert from_files(nobody, folder)(WORDS, 1) == " ".join(WORDS)
    assert "-d sat" in (from_files(nobody, folder)((*WORDS[:-1], "-d", "sat", "/dev/sda"), 1) or "")


def test_an_answer_that_is_old_or_missing_is_none(tmp_path: Path) -> None:
    run = from_files(nobody, tmp_path)
    assert run(WORDS, 1) is None
    file = tmp_path / "sda.json"
    file.write_text("{}")
    assert run(WORDS, 1) == "{}"
    os.utime(file, (0, file.stat().st_mtime - FRESH_S - 1))
    assert run(WORDS, 1) is None


def test_where_no_service_asks_the_drives_are_asked_directly_and_other_programs_always(
    tmp_path: Path,
) -> None:
    assert from_files(nobody, tmp_path / "none")(WORDS, 1) == "asked smartctl"
    assert from_files(nobody, tmp_path)(("upsc", "ups"), 1) == "asked upsc"


@pytest.mark.parametrize(
    ("minutes", "timer"), [(1, 12), (20, 240), (21, 241), (30, 241), (31, 242), (330, 251)]
)
def test_disks_that_turn_are_told_when_to_stop_and_no_other(tmp_path: Path, minutes: int, timer: int) -> None:
    kernel = machine(tmp_path)
    for name, turns in (("sda", 1), ("nvme0n1", 0)):
        queue = tmp_path / "sys/class/block" / name / "queue"
        queue.mkdir()
        (queue / "rotational").write_text(f"{turns}\n")
    said: list[str] = []
    rest(minutes, kernel, lambda words, seconds: said.append(" ".join(words)))
    assert said == [f"smartctl -n standby -s standby,{timer} /dev/sda"]
