"""One torrent while the box runs: its record, and what the engine last said of it."""

from dataclasses import dataclass

from appliance.domain.catalogue.model import TorrentState
from appliance.domain.catalogue.ports import EnginePhase, Snapshot, TroubleKind
from appliance.domain.catalogue.record import Record
from appliance.domain.catalogue.states import TorrentTrouble

_NOTHING = Snapshot(
    phase=EnginePhase.QUEUED_CHECK,
    paused=False,
    progress=0,
    size=0,
    done=0,
    up_rate=0,
    down_rate=0,
    uploaded=0,
    downloaded=0,
    peers=0,
    seeds=0,
    seeding_s=0,
    swarm_seeds=0,
    swarm_peers=0,
    unsaved=False,
)


@dataclass(slots=True)
class Torrent:
    """A torrent of the catalogue."""

    record: Record
    state: TorrentState = TorrentState.CHECKING
    reason: str = ""
    snapshot: Snapshot | None = None
    trouble: TorrentTrouble | None = None
    rejected: str = ""
    """Why its resume data did not fit, while the check that follows runs."""
    revision: int = 0
    """The catalogue's revision at which it last changed."""
    in_engine: bool = False
    unsynced: bool = False
    """Data has come of which nobody knows yet that it has reached the drive."""
    lost: bool = False
    """The owner knows of lost data, and not yet that it is complete again."""
    watch: str = ""
    """Path under its folder that trouble was seen at."""
    watch_mark: tuple[int, int] | None = None
    """What the disk said of that path when the trouble began; when that changes, it is tried again."""

    @property
    def seen(self) -> Snapshot:
        """What the engine last said of it; zeros before it has said anything."""
        return self.snapshot or _NOTHING

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
        return self.seen.size or self.record.size

    @property
    def to_fetch(self) -> int:
        """Bytes that are still to come; 0 where nothing is fetched any more."""
        if not self.record.writable:
            return 0
        return self.size - self.seen.done

    @property
    def progress(self) -> int:
        """Ppm of the data, or of the check."""
        if self.snapshot is None or not self.in_engine:
            return 1_000_000 if self.record.completed and not self.record.damaged else 0
        return 1_000_000 if self.snapshot.phase is EnginePhase.COMPLETE else self.snapshot.progress

    @property
    def up_rate(self) -> int:
        """Payload sent, bytes per second."""
        return self.seen.up_rate

    @property
    def down_rate(self) -> int:
        """Payload received, bytes per second."""
        return self.seen.down_rate

    @property
    def uploaded(self) -> int:
        """Payload bytes sent since it was added."""
        return max(self.seen.uploaded, self.record.uploaded)

    @property
    def downloaded(self) -> int:
        """Payload bytes received since it was added."""
        return max(self.seen.downloaded, self.record.downloaded)

    @property
    def seeding_s(self) -> int:
        """Seconds that it was seeded."""
        return max(self.seen.seeding_s, self.record.seeding_s)

    @property
    def peers(self) -> int:
        """Connected peers."""
        return self.seen.peers

    @property
    def eta_s(self) -> int:
        """Seconds to the end of the download; -1 where there is none to foresee."""
        if self.state is not TorrentState.DOWNLOADING or self.down_rate < 1:
            return -1
        return (self.seen.size - self.seen.done) // self.down_rate
