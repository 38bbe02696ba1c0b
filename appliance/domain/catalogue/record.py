"""What is kept of a torrent over restarts."""

from dataclasses import dataclass
from typing import Literal

from appliance.core.text import shown
from appliance.domain.catalogue.description import Description, short_hash
from appliance.domain.catalogue.model import Goal, Priority


@dataclass(slots=True, kw_only=True)
class Record:
    """One torrent, as the store keeps it."""

    id: str
    """40 hex digits; never changes."""
    name: str
    v1: str
    v2: str
    folder: str
    """The folder that its top-level file or folder lies in."""
    root: str = ""
    """Name of that top-level file or folder; empty until it is known."""
    own: bool = False
    """Shared in place from the owner's folder: never written to, never deleted."""
    twin: str = ""
    """Id of the torrent whose complete data it shares; never written to."""
    layout: str = ""
    size: int = 0
    files: int = 0
    pieces: int = 0
    piece_length: int = 0
    private: bool = False
    comment: str = ""
    created_by: str = ""
    label: str = ""
    priority: Priority = Priority.NORMAL
    goal: Goal | None = None
    """None: the configuration's."""
    upload_limit: int = 0
    download_limit: int = 0
    added: int = 0
    """UtcMs."""
    completed: int = 0
    """UtcMs; 0 until all wanted data was here once."""
    paused: bool = False
    """The owner has paused it."""
    satisfied: bool = False
    """Its seeding goal was reached."""
    damaged: bool = False
    """All data was here once, and a later check found some of it wrong or missing."""
    refused: str = ""
    """Why what peers gave as a link's description may not be used: it is not put into the engine again."""
    removing: Literal["", "keep", "delete"] = ""
    """A removal has begun, and is finished at the next start if it was cut short."""
    uploaded: int = 0
    downloaded: int = 0
    seeding_s: int = 0

    def fetch_again(self) -> None:
        """What is missing of it is wanted anew, where it may be written."""
        if not self.read_only:
            self.completed, self.damaged = 0, False

    @property
    def info_hash(self) -> bytes:
        """20 bytes by which its swarm is known; may change once, when a v2 link turns out to be a hybrid."""
        return bytes.fromhex(short_hash(self.v1, self.v2))

    def goes_by(self, info_hash: bytes) -> bool:
        """Whether peers may mean it by an info-hash (20 bytes): a hybrid has two."""
        return info_hash.hex() in (self.v1, self.v2[:40])

    @property
    def read_only(self) -> bool:
        """Data that belongs to somebody else: only read."""
        return self.own or bool(self.twin)

    @property
    def writable(self) -> bool:
        """Whether data may be fetched for it: once complete, what is lost later is not fetched unasked."""
        return not self.read_only and not self.completed


def describe(record: Record, new: Description) -> None:
    """Take over what a description says, as far as it has arrived."""
    record.v1, record.v2 = new.v1 or record.v1, new.v2 or record.v2
    if not new.pieces:
        return
    record.refused = ""
    record.name, record.root, record.layout = shown(new.name), new.name, new.layout
    record.size, record.files, record.pieces = new.size, new.files, new.pieces
    record.piece_length, record.private = new.piece_length, new.private
    record.comment, record.created_by = new.comment, new.created_by
