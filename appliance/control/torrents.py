"""The commands about torrents: the list, one of them in detail, and what may be changed.

Bytes travel as base64. Times are UtcMs, sizes bytes, rates bytes per second, progress parts per million.
"""

from typing import Literal

import msgspec

from appliance.control.command import Answer, Command
from appliance.domain.catalogue.model import Goal as Goal
from appliance.domain.catalogue.model import GoalKind as GoalKind
from appliance.domain.catalogue.model import Priority as Priority
from appliance.domain.catalogue.model import TorrentState as TorrentState
from appliance.domain.catalogue.swarm import FileRow as FileRow
from appliance.domain.catalogue.swarm import PeerRow as PeerRow
from appliance.domain.catalogue.swarm import TrackerRow as TrackerRow

# -------------------------------------------------------------------------------------------- reading


class TorrentRow(Answer, frozen=True, kw_only=True):
    """One line of the list."""

    id: str
    """40 hex digits that never change; a unique prefix of at least 4 names it too."""
    name: str
    state: TorrentState
    reason: str
    """Why, and what to do, where the state needs it; else empty."""
    progress: int
    """Ppm of the wanted data, or of the check while checking."""
    size: int
    up_rate: int
    down_rate: int
    uploaded: int
    downloaded: int
    peers: int
    seeds: int
    label: str
    priority: Priority
    added: int
    eta_s: int
    """Seconds to the end of the download; -1 unknown or not downloading."""


SortKey = Literal[
    "name", "added", "size", "progress", "state", "up_rate", "down_rate", "uploaded", "ratio", "peers"
]


class TorrentPage(Answer, frozen=True, kw_only=True):
    """One page of the list, or what changed on it."""

    revision: int
    total: int
    """Torrents in the box."""
    matched: int
    """Torrents that fit the filter."""
    ids: list[str]
    """Order of the page."""
    rows: list[TorrentRow]
    """Rows of the page, all of them or (with `since`) those that changed after that revision."""
    states: dict[str, int]
    labels: dict[str, int]


class ListTorrents(Command[TorrentPage], frozen=True, kw_only=True):
    """A filtered, sorted page of the torrents."""

    text: str = ""
    """Part of the name, any case; or a prefix of the id."""
    state: TorrentState | None = None
    label: str | None = None
    sort: SortKey = "added"
    descending: bool = False
    offset: int = 0
    count: int = 50
    """At most 500."""
    since: int = 0


class TorrentDetail(Answer, frozen=True, kw_only=True):
    """Everything about one torrent but its files and peers."""

    row: TorrentRow
    sentence: str
    """The meaning of its state."""
    v1: str
    """Info-hash in hex, empty where it has none."""
    v2: str
    magnet: str
    folder: str
    """The folder that holds its data."""
    own: bool
    """Shared in place from the owner's folder: never written to."""
    files: int
    piece_length: int
    pieces: int
    private: bool
    comment: str
    created_by: str
    completed: int
    """UtcMs, 0 when not complete."""
    seeding_s: int
    goal: Goal
    upload_limit: int
    download_limit: int
    swarm_seeds: int
    """The number of seeds according to the trackers; -1: unknown."""
    swarm_peers: int
    trackers: list[TrackerRow]


class ShowTorrent(Command[TorrentDetail], frozen=True, kw_only=True):
    """Show everything about one torrent."""

    id: str


class Files(Answer, frozen=True, kw_only=True):
    """A page of a torrent's files."""

    total: int
    files: list[FileRow]


class ListFiles(Command[Files], frozen=True, kw_only=True):
    """The files of a torrent, paged."""

    id: str
    offset: int = 0
    count: int = 100


class Peers(Answer, frozen=True, kw_only=True):
    """The peers of a torrent, busiest first."""

    peers: list[PeerRow]


class ListPeers(Command[Peers], frozen=True, kw_only=True):
    """List the peers that are connected for a torrent."""

    id: str


class Pieces(Answer, frozen=True, kw_only=True):
    """The pieces that are here, as at most 400 buckets of neighbouring pieces."""

    total: int
    have: int
    buckets: list[int]
    """Per cent of each bucket that is here."""


class ShowPieces(Command[Pieces], frozen=True, kw_only=True):
    """Show which pieces of a torrent are here."""

    id: str


class Metainfo(Answer, frozen=True, kw_only=True):
    """A torrent as its .torrent file."""

    name: str
    metainfo: bytes


class GetMetainfo(Command[Metainfo], frozen=True, kw_only=True):
    """The .torrent file of a torrent, to hand on; refused until its description is here."""

    id: str


# ------------------------------------------------------------------------------------------- changing


class Changed(Answer, frozen=True, kw_only=True):
    """The torrents that a command touched, and what was noticed on the way."""

    ids: list[str]
    notes: list[str] = msgspec.field(default_factory=list)


class Pause(Command[Changed], frozen=True, kw_only=True):
    """Stop torrents; `["all"]` means every one."""

    ids: list[str]


class Resume(Command[Changed], frozen=True, kw_only=True):
    """Start torrents again, also those that failed; `["all"]` means every one."""

    ids: list[str]


class Remove(Command[Changed], frozen=True, kw_only=True):
    """Forget torrents. Data goes only with `with_data`, and never what lies in the owner's own folder."""

    ids: list[str]
    with_data: bool = False


class Recheck(Command[Changed], frozen=True, kw_only=True):
    """Hash the data of torrents again."""

    ids: list[str]


class Reannounce(Command[Changed], frozen=True, kw_only=True):
    """Ask trackers and DHT for peers now."""

    ids: list[str]


class Configure(Command[TorrentDetail], frozen=True, kw_only=True):
    """Set label, priority, goal or rates of one torrent; None keeps a thing. Rates of 0: unlimited."""

    id: str
    label: str | None = None
    priority: Priority | None = None
    goal: Goal | None = None
    upload_limit: int | None = None
    download_limit: int | None = None
