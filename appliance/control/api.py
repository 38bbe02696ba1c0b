"""The commands about the box and its torrents, each typed: what it takes, what it answers.

Bytes travel as base64. Times are UtcMs, sizes bytes, rates bytes per second, progress parts per million.
"""

from typing import Literal

import msgspec

from appliance.control import auction, money
from appliance.control import machine as care
from appliance.control.command import API_VERSION, COMMANDS, Answer, Command
from appliance.domain.catalogue.model import Goal, GoalKind, Priority, State
from appliance.domain.catalogue.swarm import FileRow, PeerRow, TrackerRow
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.limits import Limits, LimitsChange

__all__ = [
    "API_VERSION",
    "COMMANDS",
    "Command",
    "FileRow",
    "Finding",
    "Goal",
    "GoalKind",
    "Limits",
    "LimitsChange",
    "PeerRow",
    "Priority",
    "State",
    "TrackerRow",
    "Verdict",
    "auction",
    "care",
    "money",
]

# ---------------------------------------------------------------------------------------------- the box


class Hello(Answer, frozen=True, kw_only=True):
    """Who answers on this socket."""

    api: int
    version: str
    name: str
    pid: int


class SayHello(Command[Hello], frozen=True, kw_only=True):
    """First command of every connection; refused when the versions do not fit."""

    api: int = API_VERSION


class Disk(Answer, frozen=True, kw_only=True):
    """The file system that holds the downloads."""

    path: str
    total: int
    free: int


class Job(Answer, frozen=True, kw_only=True):
    """Long work that somebody asked for, such as hashing a folder."""

    id: str
    kind: Literal["share", "fetch"]
    title: str
    progress: int
    """Ppm."""
    done: bool = False
    error: str = ""
    torrent: str = ""
    """Id of the torrent that came of it."""


class Status(Answer, frozen=True, kw_only=True):
    """What the box does right now."""

    revision: int
    """Rises with every change of any torrent; see ListTorrents.since."""
    sentence: str
    name: str
    version: str
    now: int
    uptime_s: int
    up_rate: int
    down_rate: int
    uploaded: int
    """Payload bytes since the box was first started."""
    downloaded: int
    peers: int
    torrents: dict[str, int]
    """Number of torrents by state; every state is there."""
    size: int
    """Bytes of content held."""
    disk: Disk | None
    """None while the content folder cannot be reached."""
    listen_port: int
    """0 while the box listens nowhere."""
    dht_nodes: int
    limits: Limits
    health: Verdict
    """The worst verdict of GetHealth, `unknown` left out."""
    problems: list[Finding]
    """Warnings and errors of GetHealth."""
    jobs: list[Job]


class GetStatus(Command[Status], frozen=True, kw_only=True):
    """The overview."""


class Health(Answer, frozen=True, kw_only=True):
    """All that the doctor looked at."""

    findings: list[Finding]


class GetHealth(Command[Health], frozen=True, kw_only=True):
    """What is wrong with this machine, and how to mend it."""


Span = Literal["hour", "day", "month"]


class Traffic(Answer, frozen=True, kw_only=True):
    """Payload over time, oldest first; one bucket is `step_s` long."""

    start: int
    step_s: int
    up: list[int]
    """Bytes per second, mean of the bucket."""
    down: list[int]


class GetTraffic(Command[Traffic], frozen=True, kw_only=True):
    """Up and down rates over the last hour, day or month."""

    span: Span = "hour"


class Event(Answer, frozen=True, kw_only=True):
    """Something that happened, in plain words."""

    id: int
    at: int
    kind: Literal["info", "warning", "error"]
    text: str
    torrent: str = ""


class Events(Answer, frozen=True, kw_only=True):
    """Newest first."""

    events: list[Event]
    more: bool


class ListEvents(Command[Events], frozen=True, kw_only=True):
    """What happened. `before` is the id of the oldest event already known, 0 for the newest."""

    before: int = 0
    count: int = 50


class LimitsAnswer(Answer, frozen=True, kw_only=True):
    """The limits in force, and where they come from."""

    limits: Limits
    configured: Limits
    """What the configuration and the size of RAM give."""
    changed: LimitsChange
    """What the owner has set over it."""


class GetLimits(Command[LimitsAnswer], frozen=True, kw_only=True):
    """The limits in force."""


class SetLimits(Command[LimitsAnswer], frozen=True, kw_only=True):
    """Set some limits, live and over restarts; fields left out keep what they have."""

    change: LimitsChange


class ResetLimits(Command[LimitsAnswer], frozen=True, kw_only=True):
    """Go back to what the configuration says."""


class ConfigEntry(Answer, frozen=True, kw_only=True):
    """One key of seedbox.toml."""

    table: str
    key: str
    value: str
    """As written in TOML."""
    default: str
    unit: str
    says: str


class ConfigAnswer(Answer, frozen=True, kw_only=True):
    """The configuration that the daemon runs with."""

    path: str
    entries: list[ConfigEntry]


class GetConfig(Command[ConfigAnswer], frozen=True, kw_only=True):
    """The configuration that the daemon runs with."""


# ------------------------------------------------------------------------------------------- torrents


class TorrentRow(Answer, frozen=True, kw_only=True):
    """One line of the list."""

    id: str
    """40 hex digits that never change; a unique prefix of at least 4 names it too."""
    name: str
    state: State
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
    state: State | None = None
    label: str | None = None
    sort: SortKey = "added"
    descending: bool = False
    offset: int = 0
    count: int = 50
    """At most 500."""
    since: int = 0


class TorrentDetail(Answer, frozen=True, kw_only=True):
    """All about one torrent but its files and peers."""

    row: TorrentRow
    sentence: str
    """What its state means."""
    v1: str
    """Info-hash in hex, empty where it has none."""
    v2: str
    magnet: str
    folder: str
    """Where its data lies."""
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
    """As the trackers tell; -1 unknown."""
    swarm_peers: int
    trackers: list[TrackerRow]


class ShowTorrent(Command[TorrentDetail], frozen=True, kw_only=True):
    """All about one torrent."""

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
    """Who is connected for a torrent."""

    id: str


class Pieces(Answer, frozen=True, kw_only=True):
    """Which pieces are here, as at most 400 buckets of neighbouring pieces."""

    total: int
    have: int
    buckets: list[int]
    """Per cent of each bucket that is here."""


class ShowPieces(Command[Pieces], frozen=True, kw_only=True):
    """Which pieces of a torrent are here."""

    id: str


class Metainfo(Answer, frozen=True, kw_only=True):
    """A torrent as its .torrent file."""

    name: str
    metainfo: bytes


class GetMetainfo(Command[Metainfo], frozen=True, kw_only=True):
    """The .torrent file of a torrent, to hand on; refused until its description is here."""

    id: str


# ---------------------------------------------------------------------------------------------- adding


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be said of a torrent when it is added."""

    label: str = ""
    priority: Priority = Priority.NORMAL
    goal: Goal | None = None
    """None: as the configuration says."""
    paused: bool = False


class Added(Answer, frozen=True, kw_only=True):
    """The torrent is in the catalogue."""

    id: str
    name: str
    known: bool = False
    """It was here already; nothing was added twice."""
    note: str = ""
    """A sentence for the owner, such as what was recognised."""


class AddTorrent(Command[Added], frozen=True, kw_only=True):
    """Add a .torrent file by its bytes."""

    metainfo: bytes
    options: Options = Options()


class AddMagnet(Command[Added], frozen=True, kw_only=True):
    """Add a magnet link (BEP 9, v1 and v2)."""

    uri: str
    options: Options = Options()


class Started(Answer, frozen=True, kw_only=True):
    """Long work has begun; follow it with GetJob."""

    job: str


class AddUrl(Command[Started], frozen=True, kw_only=True):
    """Fetch a .torrent file over HTTP(S) and add it."""

    url: str
    options: Options = Options()


class ShareFolder(Command[Started], frozen=True, kw_only=True):
    """Make a v1+v2 hybrid torrent of a folder or file of the owner's and seed it in place."""

    path: str
    name: str = ""
    """Name in the torrent; empty: that of the folder. (The folder itself is never renamed.)"""
    trackers: list[str] = msgspec.field(default_factory=list)
    comment: str = ""
    private: bool = False
    v1_only: bool = False
    """For programs that cannot read hybrids, such as Transmission 3."""
    options: Options = Options()


class GetJob(Command[Job], frozen=True, kw_only=True):
    """How far a job has come."""

    id: str


class CancelJob(Command[Job], frozen=True, kw_only=True):
    """Stop a job; what it has made so far is dropped."""

    id: str


class Folder(Answer, frozen=True, kw_only=True):
    """A folder that may be shared, for choosing one on the page."""

    path: str
    """Empty for the list of starting places."""
    parent: str
    folders: list[str]
    files: list[str]
    more: bool
    """There are more entries than are listed."""


class Browse(Command[Folder], frozen=True, kw_only=True):
    """Look into the folders that may be shared; hidden ones are left out."""

    path: str = ""


# -------------------------------------------------------------------------------------------- changing


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
