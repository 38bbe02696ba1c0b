"""What is wrong with a folder for downloads and the drive under it, in words that say what to do."""

from collections.abc import Iterator
from enum import StrEnum

from appliance.core.units import show_bytes
from appliance.domain.catalogue.placing import WORN_PERCENT
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.readings import DiskReading, VolumeReading

MARK = ".seedbox-content"
"""The file by which the box knows a folder as its own."""
ADOPT = "adopt"
"""What an owner writes into that file to have the box take a folder as its own."""


class Condition(StrEnum):
    """Whether a folder is there to be used."""

    WELL = "well"
    """It is the one that was adopted, and can be read."""
    NO_DRIVE = "no-drive"
    """It was never adopted, and does not lie on a drive of its own."""
    UNUSABLE = "unusable"
    """It was to be adopted, and cannot be made or written."""
    AWAY = "away"
    """Nothing is mounted where its drive should be."""
    PULLED = "pulled"
    """Its drive has vanished while it was mounted."""
    NO_FOLDER = "no-folder"
    """Its drive is there, and the folder on it is gone."""
    ANOTHER = "another"
    """Another file system is mounted in its place."""
    UNREADABLE = "unreadable"
    """The drive answers with errors."""
    HANGS = "hangs"
    """The drive does not answer at all."""
    DENIED = "denied"
    """The box may not look into it."""


def why_away(path: str, condition: Condition, why: str) -> tuple[str, str]:
    """(what happened, what to do) of a folder that cannot be used; `why` is the system's own word for it."""
    goes_on = "The box goes on by itself; nothing is written there until then."
    match condition:
        case Condition.NO_DRIVE:
            return (
                f"The further content folder {path} is not on a drive of its own: {why}.",
                "Connect and mount its drive, and the box takes it up by itself; or take it out of "
                "content.volumes in seedbox.toml.",
            )
        case Condition.UNUSABLE:
            return (
                f"The content folder {path} cannot be used ({why}).",
                "Let the box write there, and it takes it up by itself; or take it out of seedbox.toml.",
            )
        case Condition.PULLED:
            return (
                f"The drive of {path} was pulled out, or has failed, while it was in use.",
                f"Connect it again; where it does not come back, restart the machine. {goes_on}",
            )
        case Condition.ANOTHER:
            return (
                f"Another drive is in the place of the one of {path}.",
                f"Connect the right one. {goes_on} To use this one from now on, write the word {ADOPT} into "
                f"the file {path}/{MARK} on it.",
            )
        case Condition.NO_FOLDER:
            return (
                f"The drive of {path} is there, but the folder is gone from it.",
                f"Put the folder back under its old name; an empty one of that name begins anew. {goes_on}",
            )
        case Condition.UNREADABLE:
            return (
                f"The drive of {path} cannot be read ({why}).",
                f"Check its cable and its power supply, then its health. {goes_on}",
            )
        case Condition.HANGS:
            return (
                f"The drive of {path} does not answer.",
                "Check its cable and its power supply; a drive without a supply of its own often stops at a "
                f"weak one. {goes_on}",
            )
        case Condition.DENIED:
            return (
                f"The box may not look into {path} ({why}).",
                f"Allow it (chown seedbox {path}). {goes_on}",
            )
        case _:
            return f"The drive of {path} is not connected.", f"Connect it. {goes_on}"


def why_frozen(reading: VolumeReading, error: str) -> tuple[str, str]:
    """(what happened, what to do) of a folder that is there and cannot be written; `error` of an attempt."""
    if reading.read_only:
        return (
            f"The drive of {reading.path} can only be read: the system has set it so, as after errors.",
            "What is complete is seeded on. Check the drive (fsck) and mount it again, or check the "
            "ReadWritePaths of the service; its downloads wait and go on by themselves.",
        )
    return (
        f"Writing to {reading.path} failed ({error}).",
        "Check the drive's cable, power supply and health, and whether the box may write there; its "
        "downloads wait and go on by themselves.",
    )


def examine_drive(
    reading: VolumeReading,
    condition: Condition,
    why: str,
    *,
    read_error: str,
    write_error: str,
    disk: DiskReading | None,
) -> Iterator[Finding]:
    """One finding for each thing that can go wrong with a folder and its drive, each with a name of its own.

    `why` belongs to `condition`; `read_error` and `write_error` tell what the last attempts came to.
    """
    path = reading.path
    if condition is Condition.WELL:
        on = f" on {reading.device}" if reading.device else ""
        room = "" if reading.free is None else f", with {show_bytes(reading.free)} free"
        yield Finding(f"drive:{path}", Verdict.OK, f"The content folder {path} is there{on}{room}.")
    else:
        yield Finding(f"drive:{path}", Verdict.ERROR, *why_away(path, condition, why))
    if condition is Condition.WELL and (reading.read_only or write_error):
        name = "drive-read-only" if reading.read_only else "drive-writing"
        yield Finding(f"{name}:{path}", Verdict.ERROR, *why_frozen(reading, write_error))
    if read_error:
        yield Finding(
            f"drive-reading:{path}",
            Verdict.ERROR,
            f"The drive of {path} has data that it cannot read any more ({read_error}).",
            "Copy what matters to another drive soon, and replace this one; nothing new is put there.",
        )
    if disk is not None and disk.healthy is False:
        yield Finding(
            f"drive-health:{path}",
            Verdict.ERROR,
            f"The drive of {path} ({disk.model or disk.device}) reports that it is failing.",
            "Replace it soon, and copy its content before; nothing new is put there.",
        )
    elif disk is not None and disk.wear_percent is not None and disk.wear_percent >= WORN_PERCENT:
        yield Finding(
            f"drive-health:{path}",
            Verdict.WARNING,
            f"The drive of {path} has used up {disk.wear_percent} % of its life.",
            "Plan to replace it; new downloads go to other drives first.",
        )
