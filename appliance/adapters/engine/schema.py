"""What a torrent's description must look like (BEP 3, BEP 47, BEP 52), whoever it came from.

The tree is decoded by libtorrent and then checked against these structures, before anything of libtorrent's
own reading of the same bytes is trusted. Unknown keys are ignored; a known one of another type is a refusal.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import libtorrent as lt
import msgspec
from msgspec import UNSET, UnsetType, field

from appliance.adapters.engine.foreign import BROKEN
from appliance.core.errors import OwnerMustAct

MOST_TOKENS = 2_000_000
"""What `lt.bdecode` takes; what is loaded otherwise must take no more, or it could be loaded and not read."""
_ROOM_FOR_RESUME = 100_000
MOST_DEPTH = 64
LIMITS: Any = {
    "max_buffer_size": 32 * 1024**2,
    "max_pieces": 0x200000,
    "max_decode_depth": 100,
    "max_decode_tokens": MOST_TOKENS - _ROOM_FOR_RESUME,
}
RESUME_LIMITS: Any = LIMITS | {"max_buffer_size": 64 * 1024**2, "max_decode_tokens": MOST_TOKENS}
S = TypeVar("S", bound=msgspec.Struct)


class FileEntry(msgspec.Struct, frozen=True, gc=False):
    """One file of a v1 list, or the leaf of a v2 tree."""

    length: int
    path: list[bytes] = []
    path_utf8: list[bytes] | UnsetType = field(default=UNSET, name="path.utf-8")
    attr: bytes = b""
    symlink: Any = field(default=UNSET, name="symlink path")


class InfoDict(msgspec.Struct, frozen=True):
    """The info dictionary."""

    name: bytes
    piece_length: int = field(name="piece length")
    name_utf8: bytes | UnsetType = field(default=UNSET, name="name.utf-8")
    length: int | UnsetType = UNSET
    files: list[dict[bytes, Any]] | UnsetType = UNSET
    file_tree: dict[bytes, Any] | UnsetType = field(default=UNSET, name="file tree")
    pieces: bytes = b""
    private: int = 0
    attr: bytes = b""
    symlink: Any = field(default=UNSET, name="symlink path")


class OuterDict(msgspec.Struct, frozen=True):
    """What stands beside the info dictionary; of a kind that is not expected, it is left out."""

    announce: Any = b""
    announce_list: Any = field(default=b"", name="announce-list")
    url_list: Any = field(default=b"", name="url-list")
    comment: Any = b""
    created_by: Any = field(default=b"", name="created by")


def decoded(raw: bytes) -> dict[bytes, Any]:
    """The dictionary that these bytes are. Raises OwnerMustAct."""
    try:
        tree: Any = lt.bdecode(raw)
    except BROKEN as error:
        raise OwnerMustAct(f"The torrent's description cannot be read ({error}). Fetch it again.") from error
    if not isinstance(tree, dict):
        raise OwnerMustAct("The torrent's description is not a dictionary. Fetch it again.")
    return tree


def read_info(raw: bytes) -> InfoDict:
    """An info dictionary. Raises OwnerMustAct, saying what in it is wrong.

    One that names a thing twice, or writes a number oddly, is refused: of two things of one name libtorrent
    takes the first and `bdecode` the last, so that what is checked would not be what is used.
    """
    tree = decoded(raw)
    if len(lt.bencode(tree)) != len(raw):
        raise OwnerMustAct(
            "The torrent's description says something twice, or writes numbers oddly. Refused."
        )
    return _as(InfoDict, tree, "description")


def read_outer(raw: bytes) -> OuterDict:
    """What stands beside the info dictionary of a .torrent file. Raises OwnerMustAct."""
    return _as(OuterDict, decoded(raw), "file")


def listed(entries: Iterable[dict[bytes, Any]]) -> Iterator[FileEntry]:
    """The entries of a v1 list. Raises OwnerMustAct."""
    for number, entry in enumerate(entries, 1):
        found = _as(FileEntry, entry, f"file number {number}")
        if not 0 < len(found.path_utf8 or found.path) <= MOST_DEPTH:
            raise OwnerMustAct(
                f"A file of the torrent has no path, or one of more than {MOST_DEPTH} folders."
            )
        yield found


def grown(tree: dict[bytes, Any]) -> Iterator[tuple[tuple[bytes, ...], FileEntry]]:
    """(path, leaf) of every file in a v2 tree. Raises OwnerMustAct."""
    stack: list[tuple[tuple[bytes, ...], Any]] = [((), tree)]
    while stack:
        path, node = stack.pop()
        if not isinstance(node, dict) or len(path) > MOST_DEPTH:
            raise OwnerMustAct(f"The torrent's folders are nested more than {MOST_DEPTH} deep, or broken.")
        for name, below in node.items():
            if name == b"":
                yield path, _as(FileEntry, below, "leaf of the tree of files")
            else:
                stack.append(((*path, name), below))


def _as(kind: type[S], tree: Any, what: str) -> S:
    """A decoded dictionary as a structure; its keys are bytes, and those that are no names are ignored."""
    if not isinstance(tree, dict):
        raise OwnerMustAct(f"The torrent's {what} is not a dictionary. Fetch it again.")
    named = {key.decode("latin-1"): value for key, value in tree.items()}
    try:
        return msgspec.convert(named, kind)
    except msgspec.ValidationError as error:
        raise OwnerMustAct(f"The torrent's {what} is broken: {error}. Fetch it again.") from error
