"""The words of the catalogue: states, goals, and what an owner may set for one torrent."""

from dataclasses import dataclass
from enum import StrEnum

from appliance.core.errors import OwnerMustAct


class State(StrEnum):
    """The state of a torrent, as its owner sees it; `sentence` says what is true in it."""

    ADDING = "adding"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    SEEDING = "seeding"
    PAUSED = "paused"
    THROTTLED = "eased"
    MISSING_DATA = "missing-data"
    FAILED = "failed"

    @property
    def sentence(self) -> str:
        """What is true of a torrent in this state."""
        return _SENTENCES[self]


_SENTENCES = {
    State.ADDING: "The box knows of it and is fetching its description from other peers.",
    State.CHECKING: "The box is reading its data and comparing it with its hashes, or waits to.",
    State.DOWNLOADING: "Some wanted data is not here yet; the box fetches it and passes on what it has.",
    State.SEEDING: "All wanted data is here, and peers that ask for it get it.",
    State.PAUSED: "The owner, or the goal that the owner set, has stopped it; no peer is served.",
    State.THROTTLED: "The box has stopped it for a while, and starts it again by itself.",
    State.MISSING_DATA: "Data that was here cannot be read now; it goes on by itself when that is back.",
    State.FAILED: "Something stopped it that needs the owner.",
}


class GoalKind(StrEnum):
    """What ends the seeding of a torrent."""

    FOREVER = "forever"
    RATIO = "ratio"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Goal:
    """When a torrent has been seeded enough."""

    kind: GoalKind = GoalKind.FOREVER
    ratio_percent: int = 200
    """Payload uploaded, in % of the torrent's size; counts for the kind `ratio`."""
    hours: int = 720
    """Time spent seeding; counts for the kind `time`."""

    def __post_init__(self) -> None:
        if not 1 <= self.ratio_percent <= 100_000:
            raise OwnerMustAct(f"A ratio of {self.ratio_percent} % is impossible; give 1 to 100000 %.")
        if not 1 <= self.hours <= 1_000_000:
            raise OwnerMustAct(f"A time of {self.hours} hours is impossible; give 1 to 1000000.")

    def reached(self, uploaded: int, size: int, seeding_seconds: int) -> bool:
        """Whether a torrent of `size` bytes has been seeded enough."""
        if self.kind is GoalKind.RATIO:
            return uploaded * 100 >= size * self.ratio_percent
        return self.kind is GoalKind.TIME and seeding_seconds >= self.hours * 3_600

    def __str__(self) -> str:
        if self.kind is GoalKind.RATIO:
            return f"until ratio {self.ratio_percent / 100:g}"
        return f"for {self.hours} hours" if self.kind is GoalKind.TIME else "for ever"


class Priority(StrEnum):
    """Which torrents are served first when the uplink is short."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
