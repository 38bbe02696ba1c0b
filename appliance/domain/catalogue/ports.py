"""What the catalogue needs of the outside, and what it hears from there."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from appliance.domain.catalogue.description import Parsed
from appliance.domain.catalogue.model import Priority
from appliance.domain.catalogue.record import Record


class EnginePhase(StrEnum):
    """What the engine does with a torrent."""

    METADATA = "metadata"
    QUEUED_CHECK = "queued-check"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the engine last said of a torrent."""

    phase: EnginePhase
    paused: bool
    progress: int
    """Ppm of the wanted data, or of the check."""
    size: int
    done: int
    up_rate: int
    down_rate: int
    uploaded: int
    """Payload since it was added."""
    downloaded: int
    peers: int
    seeds: int
    seeding_s: int
    swarm_seeds: int
    swarm_peers: int
    unsaved: bool
    """There is progress that the last resume data does not hold."""


# What the engine reports, each for one torrent by its id.


@dataclass(frozen=True, slots=True)
class TorrentUpdated:
    """Its numbers or its phase changed."""

    id: str
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Described:
    """A magnet link has got its description from other peers; `refusal` says why it may not be used."""

    id: str
    parsed: Parsed | None
    refusal: str = ""
    held: bool = True
    """The engine's torrent has it too; False where two links turned out to be one torrent."""


@dataclass(frozen=True, slots=True)
class ResumeSaved:
    """Resume data, answering `save`; None when there was nothing new."""

    id: str
    resume: bytes | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A check of its data has ended."""

    id: str


@dataclass(frozen=True, slots=True)
class ResumeRejected:
    """Its resume data does not fit the files; the engine checks the data instead."""

    id: str
    why: str


class TroubleKind(StrEnum):
    """What kind of trouble stopped a torrent."""

    MISSING = "missing"
    """Data that was here is gone or shorter."""
    DISK_FULL = "disk-full"
    DISK_ERROR = "disk-error"
    DENIED = "denied"
    REFUSED = "refused"
    """Its description is hostile or broken."""
    NO_PLACE = "no-place"
    """No drive has room for it; it has no folder yet."""
    FROZEN = "frozen"
    """It wants to fetch data, and its drive cannot be written."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stopped:
    """The engine stopped it because of an error."""

    id: str
    kind: TroubleKind
    file: str
    message: str


@dataclass(frozen=True, slots=True)
class Gone:
    """It has left the engine; `data_error` says why its data could not be deleted."""

    id: str
    data_error: str = ""


TorrentEvent = TorrentUpdated | Described | ResumeSaved | Checked | ResumeRejected | Stopped | Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a torrent is to run."""

    folder: str
    """The folder that its top-level file or folder lies in."""
    writable: bool
    """Whether data may be fetched; False for what is complete or the owner's own."""
    paused: bool
    priority: Priority
    upload_limit: int
    download_limit: int
    described: bool = True
    """Whether its description was found good; the engine leaves out one that comes with a link unseen."""
    rename_root: str = ""
    """Name of the top-level file or folder on disk, where it differs from the torrent's."""
    uploaded: int = -1
    """Totals to go on from; -1 takes those of the resume data."""
    downloaded: int = -1
    seeding_s: int = -1
    assume_nothing: bool = False
    """Hash all data, whatever the resume data says."""


class TorrentEngine(Protocol):
    """The swarm side: answers come later, as events."""

    def add(self, id: str, resume: bytes, placement: Placement) -> None:
        """Start a torrent. Raises OwnerMustAct where the engine refuses it."""
        ...

    def begin(self, id: str, resume: bytes, placement: Placement) -> None:
        """Start one of many, as `add` does, but without waiting for the engine. Raises as `add` does."""
        ...

    async def begun(self) -> dict[str, str]:
        """Wait until all that were begun are in; why the engine refused some, by id."""
        ...

    def remove(self, id: str, with_data: bool) -> None:
        """Forget a torrent; `Gone` follows."""
        ...

    def pause(self, id: str) -> None:
        """Stop serving and fetching."""
        ...

    def resume(self, id: str, writable: bool) -> None:
        """Clear an error and go on; fetch data only if `writable`."""
        ...

    def accept(self, id: str) -> None:
        """The description of a magnet link was found good: fetch its data, from the peers that gave it."""
        ...

    def recheck(self, id: str) -> None:
        """Hash all its data."""
        ...

    def reannounce(self, id: str) -> None:
        """Ask trackers and DHT for peers."""
        ...

    def tune(self, id: str, priority: Priority, upload_limit: int, download_limit: int) -> None:
        """Set rates (bytes per second, 0 = unlimited) and priority."""
        ...

    def merge(self, id: str, resume: bytes) -> int:
        """Take over trackers that another description of the same torrent names; how many were new."""
        ...

    def save(self, id: str) -> None:
        """Ask for resume data; `ResumeSaved` follows."""
        ...


class RecordStore(Protocol):
    """What outlives the process. Writes are done when the call returns from await."""

    async def put(self, records: Sequence[Record], durable: bool) -> None:
        """Keep records; `durable` outlives a power cut."""
        ...

    async def add(self, record: Record, resume: bytes) -> None:
        """Keep a new torrent and its rebuild file, durably."""
        ...

    async def forget(self, id: str) -> None:
        """Drop record, resume data, totals and rebuild file, durably."""
        ...

    async def put_resume(self, resumes: dict[str, bytes], folders: set[str]) -> None:
        """Flush the content in `folders` to disk, then keep resume data durably."""
        ...

    async def put_totals(self, totals: dict[str, tuple[int, int, int]]) -> None:
        """Keep (uploaded, downloaded, seconds seeded) by id, cheaply: a power cut may lose minutes."""
        ...

    async def resume_of(self, id: str) -> bytes:
        """The last resume data of a torrent."""
        ...


class Disk(Protocol):
    """The file system, as far as the catalogue asks."""

    def mark(self, folder: Path, name: str) -> tuple[int, int] | None:
        """(size, time of last change) of a top-level file or folder; None where it is not there."""
        ...

    def free(self, folder: Path) -> int | None:
        """Free bytes; None where it cannot be known."""
        ...

    def prune(self, folder: Path) -> None:
        """Remove a folder of ours if it is empty."""
        ...
