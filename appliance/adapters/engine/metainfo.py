"""Reading torrents and magnet links that others made: everything in them may be a lie."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import libtorrent as lt

from appliance.core.errors import OwnerMustAct
from appliance.core.units import MIB
from appliance.domain.catalogue.description import Description, Parsed

MOST_METAINFO = 32 * MIB
"""Bytes of a .torrent file: one of 100,000 files has about 12 MB."""
MOST_FILES = 200_000
MOST_DEPTH = 64
MOST_NAME = 255
"""Bytes of one file name, as Linux' file systems have it."""
MOST_MAGNET = 16 * 1024
_LEADS_OUT = re.compile(r"[/\\\x00-\x1f]")
"""Characters by which a name could lead out of its folder, or hide that it does."""
_LIMITS: Any = {
    "max_buffer_size": MOST_METAINFO,
    "max_pieces": 0x200000,
    "max_decode_depth": 100,
    "max_decode_tokens": 6_000_000,
}


def parse_torrent(metainfo: bytes) -> Parsed:
    """Understand a .torrent file (BEP 3, BEP 52). Raises OwnerMustAct, saying what is wrong with it."""
    if len(metainfo) > MOST_METAINFO:
        raise OwnerMustAct(
            f"The file is larger than {MOST_METAINFO // MIB} MiB; that is not a .torrent file."
        )
    if not metainfo.startswith(b"d"):
        raise OwnerMustAct("This is not a .torrent file. Did you save a web page instead?")
    try:
        params = lt.load_torrent_buffer(metainfo, _LIMITS)
    except (RuntimeError, ValueError, UnicodeError, OverflowError) as error:
        raise OwnerMustAct(f"The .torrent file is broken: {_plain(error)}. Download it again.") from error
    return checked(params)


def parse_own(metainfo: bytes) -> Parsed:
    """As `parse_torrent`, for one that was made here this moment: its data is known to be whole."""
    parsed = parse_torrent(metainfo)
    params = lt.load_torrent_buffer(metainfo, _LIMITS)
    params.have_pieces = [True] * parsed.description.pieces
    return replace(parsed, resume=lt.write_resume_data_buf(params))


def parse_magnet(uri: str) -> Parsed:
    """Understand a magnet link (BEP 9, BEP 53). Raises OwnerMustAct, saying what is wrong with it."""
    if not uri.lower().startswith("magnet:?"):
        raise OwnerMustAct('This is not a magnet link: it does not start with "magnet:?".')
    if len(uri) > MOST_MAGNET:
        raise OwnerMustAct(
            f"The magnet link is longer than {MOST_MAGNET} characters; shorten its list of trackers."
        )
    try:
        params = lt.parse_magnet_uri(uri)
    except (RuntimeError, ValueError, UnicodeError, OverflowError) as error:
        raise OwnerMustAct(f"The magnet link is broken: {_plain(error)}. Copy it again.") from error
    if params.file_priorities:
        raise OwnerMustAct(
            "The magnet link asks for some of the files only (so=), but the box seeds whole torrents. "
            'To add all of its files, remove "&so=..." from the link.'
        )
    v1, v2 = _hashes(params.info_hashes)
    return Parsed(Description(name=_clean(params.name), v1=v1, v2=v2), lt.write_resume_data_buf(params))


def parse_resume(resume: bytes) -> lt.add_torrent_params:
    """Read resume data of our own. Raises ValueError where it is damaged."""
    try:
        return lt.read_resume_data(resume, _LIMITS)
    except (RuntimeError, ValueError, UnicodeError, OverflowError) as error:
        raise ValueError(_plain(error)) from error


def torrent_file(resume: bytes) -> bytes:
    """The .torrent file (BEP 3, BEP 52) of a torrent, with its trackers, from its resume data.

    `write_torrent_file_buf` fails in the bindings of 2.1.1: it takes the bytes for UTF-8.
    """
    try:
        torrent: Any = lt.write_torrent_file(parse_resume(resume))
    except RuntimeError as error:
        raise OwnerMustAct(
            f"The .torrent file cannot be made: {_plain(error)}. The box was never given the piece layers "
            "(BEP 52) of this torrent. Share its magnet link instead."
        ) from error
    return lt.bencode(torrent)


def checked(params: lt.add_torrent_params) -> Parsed:
    """What loaded parameters say, or OwnerMustAct where their file names are hostile."""
    info = params.ti
    if info is None or not info.is_valid():
        raise OwnerMustAct("The torrent has no metadata. Download it again.")
    raw: Any = lt.bdecode(info.info_section())
    if not isinstance(raw, dict):
        raise OwnerMustAct("The torrent's metadata is not a dictionary. Download it again.")
    name = _name(raw.get(b"name"))
    files = list(_files(raw, name))
    if not 0 < len(files) <= MOST_FILES:
        raise OwnerMustAct(f"The torrent has {len(files)} files; the limit is {MOST_FILES}.")
    v1, v2 = _hashes(info.info_hashes())
    description = Description(
        name=name,
        v1=v1,
        v2=v2,
        size=sum(size for _, size in files),
        files=len(files),
        pieces=info.num_pieces(),
        piece_length=info.piece_length(),
        private=info.priv(),
        comment=_clean(params.comment),
        created_by=_clean(params.created_by),
        layout=_layout(files),
    )
    return Parsed(description, lt.write_resume_data_buf(params))


def _layout(files: list[tuple[str, int]]) -> str:
    digest = hashlib.sha256()
    for path, size in sorted(files):
        digest.update(f"{size} {path}\n".encode())
    return digest.hexdigest()


def _files(raw: dict[bytes, Any], name: str) -> Iterable[tuple[str, int]]:
    """(path, size) of every real file, from the torrent's own words and not from libtorrent's mended ones."""
    if b"file tree" in raw:
        return _under(name, list(_tree(raw[b"file tree"])))
    if b"files" in raw:
        return _listed(raw[b"files"], name)
    return [(name, _size(raw.get(b"length")))]


def _under(name: str, found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The files of a v2 tree; a single file (BEP 52) is a tree with one leaf of the torrent's own name."""
    if len(found) == 1 and found[0][0] == name:
        return found
    return [(f"{name}/{path}", size) for path, size in found]


def _listed(entries: Any, name: str) -> Iterator[tuple[str, int]]:
    """The files of a v1 list (BEP 3), padding (BEP 47) left out."""
    for entry in entries:
        _refuse_symlink(entry)
        if b"p" not in entry.get(b"attr", b""):
            parts = entry.get(b"path.utf-8", entry.get(b"path"))
            yield "/".join([name, *_parts(parts)]), _size(entry.get(b"length"))


def _tree(tree: Any) -> Iterator[tuple[str, int]]:
    stack: list[tuple[str, int, Any]] = [("", 0, tree)]
    while stack:
        path, depth, node = stack.pop()
        if not isinstance(node, dict) or depth > MOST_DEPTH:
            raise OwnerMustAct(f"The torrent's folders are nested more than {MOST_DEPTH} deep, or broken.")
        for key, value in node.items():
            if key == b"":
                _refuse_symlink(value)
                yield path, _size(value.get(b"length"))
            else:
                stack.append((f"{path}/{_name(key)}" if path else _name(key), depth + 1, value))


def _parts(parts: Any) -> list[str]:
    if not isinstance(parts, list) or not 0 < len(parts) <= MOST_DEPTH:
        raise OwnerMustAct(f"A file of the torrent has no path, or one of more than {MOST_DEPTH} folders.")
    return [_name(part) for part in parts]


def _name(raw: Any) -> str:
    """One file or folder name, refused where it would lead somewhere else."""
    if not isinstance(raw, bytes) or not raw:
        raise OwnerMustAct("The torrent has a file without a name.")
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OwnerMustAct(f"The torrent has a file name that is not UTF-8: {raw[:40]!r}.") from error
    if name in (".", "..") or _LEADS_OUT.search(name):
        raise OwnerMustAct(f"The torrent has a file name that could lead out of its folder: {name[:60]!r}.")
    if len(raw) > MOST_NAME:
        raise OwnerMustAct(
            f"The torrent has a file name of {len(raw)} bytes; at most {MOST_NAME} are possible."
        )
    return name


def _size(raw: Any) -> int:
    if not isinstance(raw, int) or not 0 <= raw < 2**48:
        raise OwnerMustAct("The torrent has a file of an impossible size.")
    return raw


def _refuse_symlink(entry: dict[bytes, Any]) -> None:
    if b"symlink path" in entry or b"l" in entry.get(b"attr", b""):
        raise OwnerMustAct(
            "The torrent contains a symbolic link. The box refuses those: they could lead out of its folder."
        )


def _hashes(hashes: lt.info_hash_t) -> tuple[str, str]:
    """(v1, v2) in hex; the one that it has not is empty."""
    return str(hashes.v1) if hashes.has_v1() else "", str(hashes.v2) if hashes.has_v2() else ""


def _clean(text: str) -> str:
    """A text of a stranger, for showing: without control characters, and not endless."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()[:500]


def _plain(error: Exception) -> str:
    return re.sub(r"\s*\[[\w:]+\]$", "", str(error)) or type(error).__name__
