"""The words of the catalogue: states, goals, and what an owner may set for one torrent."""

from dataclasses import dataclass
from enum import StrEnum

from appliance.core.errors import OwnerMustAct


class TorrentState(StrEnum):
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
    TorrentState.ADDING: "Looking for peers that can send the torrent's metadata.",
    TorrentState.CHECKING: "Checking the data on disk, or queued for a check.",
    TorrentState.DOWNLOADING: "Downloading, and sharing what it already has.",
    TorrentState.SEEDING: "Complete. Sharing with anyone who asks.",
    TorrentState.PAUSED: "Stopped by you, or because its seeding goal is reached.",
    TorrentState.THROTTLED: "The box has stopped it for a while, and starts it again by itself.",
    TorrentState.MISSING_DATA: "Its data cannot be read. It continues by itself when the data is back.",
    TorrentState.FAILED: "Stopped by an error that needs your attention.",
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
        return f"for {self.hours} hours" if self.kind is GoalKind.TIME else "forever"


class Priority(StrEnum):
    """Which torrents are served first when the uplink is short."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
