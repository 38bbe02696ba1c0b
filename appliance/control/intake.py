"""The commands that bring torrents in: by file, link or address, or made of a folder of the owner's.

Bytes travel as base64, progress is in parts per million.
"""

from typing import Literal

import msgspec

from appliance.control.command import Answer, Command
from appliance.domain.catalogue.model import Goal, Priority


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The owner's choices for a torrent that is added."""

    label: str = ""
    priority: Priority = Priority.NORMAL
    goal: Goal | None = None
    """None: the goal of the configuration."""
    paused: bool = False


class Added(Answer, frozen=True, kw_only=True):
    """The torrent is in the catalogue."""

    id: str
    name: str
    known: bool = False
    """The torrent was here already; nothing was added twice."""
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
    """Leave v2 out, for programs that cannot read hybrids, such as Transmission 3."""
    options: Options = Options()


class JobAnswer(Answer, frozen=True, kw_only=True):
    """Long work that somebody asked for, such as hashing a folder."""

    id: str
    kind: Literal["share", "fetch"]
    title: str
    progress: int
    """Ppm."""
    done: bool = False
    error: str = ""
    torrent: str = ""
    """The id of the torrent that came of it."""


class GetJob(Command[JobAnswer], frozen=True, kw_only=True):
    """How far a job has come."""

    id: str


class CancelJob(Command[JobAnswer], frozen=True, kw_only=True):
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
    left_out: int = 0
    """Entries whose names are not UTF-8: they can be neither listed nor shared."""


class Browse(Command[Folder], frozen=True, kw_only=True):
    """List a folder that may be shared; hidden files are left out."""

    path: str = ""
