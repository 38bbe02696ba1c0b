"""What a drive reports about itself, through smartctl (smartmontools 7 and later, `--json`)."""

import re
from dataclasses import dataclass
from itertools import product
from typing import Any

import msgspec

from appliance.adapters.board.files import whole
from appliance.adapters.board.heat import sane
from appliance.adapters.board.programs import Run

ASK_S = 20.0
"""A USB disk may take this long to answer."""
_REALLOCATED, _PENDING, _UNCORRECTABLE = 5, 197, 198
_WEAR = (
    "Percent_Lifetime_Remain",
    "SSD_Life_Left",
    "Remaining_Lifetime_Perc",
    "Media_Wearout_Indicator",
    "Wear_Leveling_Count",
    "Ave_Block-Erase_Count",
)
"""Attributes of SATA SSDs whose normalised value falls from 100 to 0 as the drive wears out (smartmontools'
drivedb.h), the best first. By name: other makers use the same numbers for other things."""
_USED = (
    ("nvme_smart_health_information_log", "percentage_used"),
    ("endurance_used", "current_percent"),
    ("scsi_percentage_used_endurance_indicator",),
)
"""Where smartctl reports the percentage of a drive's life that is used up; 255 is the most (NVMe)."""
_WORN_ID = 233
"""Intel's Media_Wearout_Indicator; that of SanDisk and WD, 230, counts upwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smart:
    """What a drive reports about itself; None: it does not."""

    asleep: bool = False
    model: str = ""
    healthy: bool | None = None
    temperature_mc: int | None = None
    wear_percent: int | None = None
    bad_sectors: int | None = None
    hours: int | None = None

    @property
    def answered(self) -> bool:
        """Whether the drive itself has answered, and not only the bridge before it."""
        return self.asleep or self.bad_sectors is not None or self.wear_percent is not None


def ask(run: Run, device: str, *, usb: bool) -> Smart:
    """Ask a drive such as `/dev/sda`, without waking it. Behind USB, also by SCSI/ATA translation.

    Many USB bridges are unknown to smartctl, but translate ATA commands all the same when told to.
    """
    plain = _asked(run, device, translated=False)
    if plain.answered or not usb:
        return plain
    translated = _asked(run, device, translated=True)
    return translated if translated.answered else plain


def _asked(run: Run, device: str, *, translated: bool) -> Smart:
    return parse(run(words_for(device, translated=translated), ASK_S) or "")


def words_for(device: str, *, translated: bool) -> tuple[str, ...]:
    """The command that asks a drive; `translated`: by SCSI/ATA translation."""
    return ("smartctl", "--json=c", "-a", "-n", "standby", *(("-d", "sat") if translated else ()), device)


def parse(text: str) -> Smart:
    """An answer of smartctl; everything unknown where it is none."""
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return Smart()
    if _asleep(said):
        return Smart(asleep=True, model=_text(said, "model_name"))
    return Smart(
        model=_text(said, "model_name") or _text(said, "scsi_model_name"),
        healthy=_passed(said),
        temperature_mc=_temperature(said),
        wear_percent=_wear(said),
        bad_sectors=_bad_sectors(said),
        hours=_count(said, "power_on_time", "hours"),
    )


def _passed(said: Any) -> bool | None:
    passed = _at(said, "smart_status", "passed")
    return passed if isinstance(passed, bool) else None


def _temperature(said: Any) -> int | None:
    """Millidegrees; drives that do not know theirs say 0."""
    degrees = _count(said, "temperature", "current")
    return sane(degrees * 1_000) if degrees else None


def _asleep(said: Any) -> bool:
    """`-n standby` ends smartctl with a message; a device that cannot be opened ends it just the same.

    "SLEEP mode" is not believed: smartctl says so of every drive that fails to answer the question.
    """
    messages = _at(said, "smartctl", "messages")
    return isinstance(messages, list) and any(
        re.search(r"\bin STANDBY.* mode", _text(message, "string")) for message in messages
    )


def _wear(said: Any) -> int | None:
    used = next((count for path in _USED if (count := _count(said, *path, most=255)) is not None), None)
    return _attribute_wear(_attributes(said)) if used is None else used


def _attribute_wear(attributes: list[Any]) -> int | None:
    for name, attribute in product(_WEAR, attributes):
        left = _count(attribute, "value", most=100)
        if left is not None and _is_named(attribute, name):
            return 100 - left
    return None


def _is_named(attribute: Any, name: str) -> bool:
    ambiguous = name == "Media_Wearout_Indicator" and _count(attribute, "id") != _WORN_ID
    return _text(attribute, "name") == name and not ambiguous


def _bad_sectors(said: Any) -> int | None:
    """Reallocated, pending and uncorrectable (ATA); media errors (NVMe); grown defects (SCSI)."""
    counts = [
        _raw(attribute)
        for attribute in _attributes(said)
        if _count(attribute, "id") in (_REALLOCATED, _PENDING, _UNCORRECTABLE)
    ]
    counts.append(_count(said, "nvme_smart_health_information_log", "media_errors"))
    counts.append(_count(said, "scsi_grown_defect_list"))
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _attributes(said: Any) -> list[Any]:
    table = _at(said, "ata_smart_attributes", "table")
    return table if isinstance(table, list) else []


def _raw(attribute: Any) -> int | None:
    """The count in front of what else a maker packs into the 48 bits, such as `2111 (12437 0)`."""
    return whole((_text(attribute, "raw", "string").split() or [""])[0])


def _at(said: Any, *path: str) -> Any:
    for name in path:
        said = said.get(name) if isinstance(said, dict) else None
    return said


def _text(said: Any, *path: str) -> str:
    value = _at(said, *path)
    return value[:200] if isinstance(value, str) else ""


def _count(said: Any, *path: str, most: int = 2**63 - 1) -> int | None:
    value = _at(said, *path)
    return value if type(value) is int and 0 <= value <= most else None
