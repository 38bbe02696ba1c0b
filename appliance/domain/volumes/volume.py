"""A volume: a folder for content, the file system that it lies on, and the drives under that."""

from dataclasses import dataclass

from appliance.domain.volumes import faults
from appliance.domain.volumes.faults import Condition

WORN_PERCENT = 80
"""A drive that has used so much of its life gets new downloads only when no other has space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A folder for content, and all that is known of it; None or an empty text: it is not known.

    The same type describes the state folder to the doctor.
    """

    path: str
    condition: Condition = Condition.WELL
    why: str = ""
    """The system's own word for `condition`."""
    uuid: str = ""
    """The UUID of the file system that the box adopted."""
    device: str = ""
    """Such as `/dev/sda1`; empty while it is away."""
    kind: str = ""
    """The kind of file system, such as `ext4`."""
    drives: tuple[str, ...] = ()
    """The whole drives under it, such as `/dev/sda`."""
    read_only: bool = False
    """It is mounted so."""
    writable: bool | None = None
    """As the last attempt to write has shown; None: not tried yet."""
    read_error: str = ""
    """What could not be read from it when that was tried last."""
    write_error: str = ""
    """Why the last attempt to write failed."""
    healthy: bool | None = None
    """What the worst drive under it reports of itself now; None: nothing."""
    failing: str = ""
    """Model or device of a drive under it that reports that it is failing, or did when it reported last."""
    wear_percent: int | None = None
    """How much of its life the most worn drive under it has used up."""
    total: int | None = None
    """Bytes of the file system."""
    free: int | None = None
    """Bytes that the box may still write."""
    inodes_free_percent: int | None = None

    @property
    def present(self) -> bool:
        """Whether the right file system is there, with the mark of the box."""
        return self.condition is Condition.WELL

    @property
    def worn(self) -> bool:
        """Whether its drive is near the end of its life."""
        return self.wear_percent is not None and self.wear_percent >= WORN_PERCENT

    @property
    def away(self) -> str:
        """Why it cannot be used at all, in words for the owner; empty where it can."""
        return "" if self.present else str(faults.absence(self.path, self.condition, self.why))

    @property
    def frozen(self) -> str:
        """Why nothing can be written to it, in words for the owner; empty where something can."""
        if not self.present:
            return ""
        if self.read_only:
            return str(faults.read_only(self.path))
        return str(faults.write_failed(self.path, self.write_error)) if self.write_error else ""

    @property
    def unfit(self) -> str:
        """Why nothing new is put there, such as a failing drive, in words for the owner."""
        found = []
        if self.read_error:
            found.append(faults.read_failed(self.path, self.read_error))
        if self.failing:
            found.append(faults.failing(self.path, self.failing))
        return " ".join(map(str, found))

    @property
    def refusal(self) -> str:
        """Why nothing new is put there, whatever the reason; empty where something may be."""
        return self.away or self.frozen or self.unfit
