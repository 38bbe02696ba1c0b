"""One torrent while the box runs: its record, and what the engine last said of it."""

from dataclasses import dataclass

from appliance.domain.catalogue.model import State
from appliance.domain.catalogue.ports import Phase, Snapshot, TroubleKind
from appliance.domain.catalogue.record import Record
from appliance.domain.catalogue.states import Trouble


@dataclass(slots=True)
class Torrent:
    """A torrent of the catalogue."""

    record: Record
    state: State = State.CHECKING
    reason: str = ""
    snapshot: Snapshot | None = None
    trouble: Trouble | None = None
    rejected: str = ""
    """Why its resume data did not fit, while the check that follows runs."""
    revision: int = 0
    """The catalogue's revision at which it last changed."""
    in_engine: bool = False
    unsynced: bool = False
    """Data has come of which nobody knows yet that it has reached the drive."""
    lost: bool = False
    """Its owner was told of lost data, and not yet that it is whole again."""
    watch: str = ""
    """Path under its folder that trouble was seen at."""
    watch_mark: tuple[int, int] | None = None
    """What the disk said of that path when the trouble began; when that changes, it is tried again."""

    @property
    def fetching(self) -> bool:
        """Whether there is progress that may need saving."""
        return self.in_engine and not self.record.completed and bool(self.record.pieces)

    @property
    def refused(self) -> bool:
        """Whether its description was refused: nothing but removing it helps."""
        return self.trouble is not None and self.trouble.kind is TroubleKind.REFUSED

    @property
    def size(self) -> int:
        """Bytes wanted."""
        return self.snapshot.size if self.snapshot and self.snapshot.size else self.record.size

    @property
    def progress(self) -> int:
        """Ppm of the data, or of the check."""
        if self.snapshot is None or not self.in_engine:
            return 1_000_000 if self.record.completed and not self.record.damaged else 0
        return 1_000_000 if self.snapshot.phase is Phase.COMPLETE else self.snapshot.progress

    @property
    def up_rate(self) -> int:
        """Payload, bytes per second."""
        return self.snapshot.up_rate if self.snapshot else 0

    @property
    def down_rate(self) -> int:
        """Payload, bytes per second."""
        return self.snapshot.down_rate if self.snapshot else 0

    @property
    def uploaded(self) -> int:
        """Payload bytes since it was added."""
        return max(self.snapshot.uploaded if self.snapshot else 0, self.record.uploaded)

    @property
    def downloaded(self) -> int:
        """Payload bytes since it was added."""
        return max(self.snapshot.downloaded if self.snapshot else 0, self.record.downloaded)

    @property
    def seeding_s(self) -> int:
        """Seconds that it was seeded."""
        return max(self.snapshot.seeding_s if self.snapshot else 0, self.record.seeding_s)

    @property
    def peers(self) -> int:
        """Connected peers."""
        return self.snapshot.peers if self.snapshot else 0

    @property
    def eta_s(self) -> int:
        """Seconds to the end of the download; -1 where there is none to foresee."""
        if self.state is not State.DOWNLOADING or self.snapshot is None or self.snapshot.down_rate < 1:
            return -1
        return (self.snapshot.size - self.snapshot.done) // self.snapshot.down_rate
