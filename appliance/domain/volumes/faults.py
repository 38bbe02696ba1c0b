"""What can be wrong with a content folder or its drive, and what its owner can do about it."""

from enum import StrEnum
from typing import NamedTuple

MARK = ".seedbox-content"
"""The file by which the box recognises its own folder."""
ADOPT = "adopt"
"""What an owner writes to that file to make the box use the folder."""


class Condition(StrEnum):
    """Whether a content folder is there to be used."""

    WELL = "well"
    """It is the one that the box adopted, and it can be read."""
    NO_DRIVE = "no-drive"
    """It was never adopted, and is not on a drive of its own."""
    UNUSABLE = "unusable"
    """It cannot be created or written, so it could not be adopted."""
    AWAY = "away"
    """Nothing is mounted where its drive should be."""
    PULLED = "pulled"
    """Its drive vanished while it was mounted."""
    NO_FOLDER = "no-folder"
    """Its drive is there, but the folder on it is missing."""
    ANOTHER = "another"
    """Another file system is mounted in its place."""
    UNREADABLE = "unreadable"
    """The drive answers with errors."""
    HANGS = "hangs"
    """The drive does not answer at all."""
    DENIED = "denied"
    """The box has no permission to read it."""


class Fault(NamedTuple):
    """Something that is wrong, and what to do about it."""

    says: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.says} {self.remedy}"


_RESUMES = "The box resumes automatically; nothing is written there until then."

_FAULTS = {
    Condition.NO_DRIVE: Fault(
        "The content folder {path} is not on a drive of its own: {why}.",
        "Connect and mount its drive, and the box starts to use it automatically. Otherwise remove the "
        "folder from content.volumes in seedbox.toml.",
    ),
    Condition.UNUSABLE: Fault(
        "The content folder {path} cannot be used ({why}).",
        "Let the box write there, and it starts to use the folder automatically. Otherwise remove the folder "
        "from seedbox.toml.",
    ),
    Condition.AWAY: Fault("The drive with {path} is not connected.", f"Connect it. {_RESUMES}"),
    Condition.PULLED: Fault(
        "The drive with {path} was unplugged, or failed, while it was in use.",
        f"Reconnect it. If it does not come back, restart the machine. {_RESUMES}",
    ),
    Condition.NO_FOLDER: Fault(
        "The drive with {path} is connected, but the folder is missing from it.",
        f"Put the folder back under its old name, or create an empty one to start afresh. {_RESUMES}",
    ),
    Condition.ANOTHER: Fault(
        "Another drive is connected in place of the one with {path}.",
        f"Connect the right one. {_RESUMES} To use this drive from now on, write the word {ADOPT} to the "
        f"file {{path}}/{MARK}.",
    ),
    Condition.UNREADABLE: Fault(
        "The drive with {path} cannot be read ({why}).",
        f"Check its cable and power supply, then its health. {_RESUMES}",
    ),
    Condition.HANGS: Fault(
        "The drive with {path} does not respond.",
        "Check its cable and power supply; a drive that is powered over USB often stops when the supply is "
        f"weak. {_RESUMES}",
    ),
    Condition.DENIED: Fault(
        "The box has no permission to read {path} ({why}).",
        f"Allow it: chown seedbox {{path}}. {_RESUMES}",
    ),
}


def absence(path: str, condition: Condition, why: str) -> Fault:
    """The fault of a folder that cannot be used; `why` is the system's own word for it."""
    fault = _FAULTS[condition]
    return Fault(fault.says.format(path=path, why=why), fault.remedy.format(path=path))


def read_only(path: str) -> Fault:
    """The fault of a file system that is mounted read-only."""
    return Fault(
        f"The drive with {path} is read-only; the system often mounts it that way after errors.",
        "Complete torrents keep seeding; downloads resume automatically. Check the drive (fsck) and mount it "
        "again, or check ReadWritePaths in the service.",
    )


def write_failed(path: str, error: str) -> Fault:
    """The fault of a drive that failed to take what was written to it."""
    return Fault(
        f"Writing to {path} failed ({error}).",
        "Check the drive's cable, power supply and health, and that the box has permission to write there. "
        "Downloads resume automatically.",
    )


def read_failed(path: str, error: str) -> Fault:
    """The fault of a drive that has lost some of its data."""
    return Fault(
        f"Some data on the drive with {path} cannot be read any more ({error}).",
        "Copy what matters to another drive, and replace this one soon. No new downloads go there.",
    )


def failing(path: str, drive: str) -> Fault:
    """The fault of a drive that predicts its own failure (SMART); `drive` is its model or device."""
    return Fault(
        f"The drive with {path} ({drive}) reports that it is failing.",
        "Copy its content, and replace it soon. No new downloads go there.",
    )


def worn(path: str, percent: int) -> Fault:
    """The fault of a drive that has used up `percent` of its life."""
    return Fault(
        f"The drive with {path} has used {percent} % of its life.",
        "Plan to replace it; new downloads go to other drives first.",
    )
