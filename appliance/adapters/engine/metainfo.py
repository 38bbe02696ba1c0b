"""Reading torrents and magnet links that others made: everything in them may be a lie."""

import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import libtorrent as lt
from msgspec import UNSET

from appliance.adapters.engine.foreign import BROKEN, ascii_url, said
from appliance.adapters.engine.schema import (
    LIMITS,
    RESUME_LIMITS,
    FileEntry,
    InfoDict,
    OuterDict,
    decoded,
    grown,
    listed,
    read_info,
    read_outer,
)
from appliance.core.errors import OwnerMustAct
from appliance.core.magnets import one_link
from appliance.core.text import shown
from appliance.core.units import MIB
from appliance.domain.catalogue.description import Description, Parsed

MOST_METAINFO = 32 * MIB
"""Bytes of a .torrent file: one of 100,000 files has about 12 MB."""
MOST_FILES = 200_000
MOST_NAME = 255
"""Bytes of one file name, as Linux' file systems have it."""
_LEADS_OUT = re.compile(r"[/\\\x00-\x1f]")
"""Characters by which a name could lead out of its folder, or hide that it does."""
_MOST_TRACKERS = 500


def parse_torrent(metainfo: bytes) -> Parsed:
    """Understand a .torrent file (BEP 3, BEP 52). Raises OwnerMustAct, saying what is wrong with it."""
    if len(metainfo) > MOST_METAINFO:
        raise OwnerMustAct(
            f"The file is larger than {MOST_METAINFO // MIB} MiB; that is not a .torrent file."
        )
    if not metainfo.startswith(b"d"):
        raise OwnerMustAct("This is not a .torrent file. Did you save a web page instead?")
    try:
        params = lt.load_torrent_buffer(metainfo, LIMITS)
    except BROKEN as error:
        raise OwnerMustAct(f"The .torrent file is broken: {_plain(error)}. Download it again.") from error
    _tidy(params, read_outer(metainfo))
    return checked(params)


def parse_own(metainfo: bytes) -> Parsed:
    """As `parse_torrent`, for one that was made here this moment: its data is known to be whole."""
    parsed = parse_torrent(metainfo)
    params = lt.load_torrent_buffer(metainfo, LIMITS)
    params.have_pieces = [True] * parsed.description.pieces
    return replace(parsed, resume=lt.write_resume_data_buf(params))


def parse_magnet(pasted: str) -> Parsed:
    """Understand one magnet link (BEP 9, BEP 53), as people paste it. Raises OwnerMustAct."""
    link = one_link(pasted)
    try:
        params = lt.parse_magnet_uri(link)
        v1, v2 = _hashes(params.info_hashes)
        resume = lt.write_resume_data_buf(params)
    except BROKEN as error:
        raise OwnerMustAct(f"The magnet link is broken: {_plain(error)}. Copy it again.") from error
    if params.file_priorities:
        raise OwnerMustAct(
            "The magnet link asks for some of the files only (so=), but the box seeds whole torrents. "
            'To add all of its files, remove "&so=..." from the link.'
        )
    return Parsed(Description(name=said(lambda: params.name), v1=v1, v2=v2), resume)


def parse_resume(resume: bytes) -> lt.add_torrent_params:
    """Read resume data of our own. Raises ValueError where it is damaged."""
    try:
        params = lt.read_resume_data(resume, RESUME_LIMITS)
    except BROKEN as error:
        raise ValueError(_plain(error)) from error
    try:
        # What is not UTF-8 in them came before such texts were mended when they came in.
        _ = params.trackers, params.url_seeds, params.name, params.comment, params.created_by
    except UnicodeDecodeError:
        _mend(params, resume)
    return params


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
    try:
        own = read_info(info.info_section())
        name = _name(own.name)
        files = _files(own, name)
        return Parsed(_description(info, params, name, files), lt.write_resume_data_buf(params))
    except BROKEN as error:
        raise OwnerMustAct(f"The torrent cannot be read: {_plain(error)}. Download it again.") from error


def _description(
    info: lt.torrent_info, params: lt.add_torrent_params, name: str, files: list[tuple[str, int]]
) -> Description:
    v1, v2 = _hashes(info.info_hashes())
    return Description(
        name=name,
        v1=v1,
        v2=v2,
        size=sum(size for _, size in files),
        files=len(files),
        pieces=info.num_pieces(),
        piece_length=info.piece_length(),
        private=info.priv(),
        comment=said(lambda: params.comment),
        created_by=said(lambda: params.created_by),
        layout=_layout(files),
    )


def _tidy(params: lt.add_torrent_params, outer: OuterDict) -> None:
    """Put into the parameters what stands beside the description, so that libtorrent holds texts alone."""
    urls = list(_tiered(outer.announce_list)) or [(0, outer.announce)]
    kept = [(tier, ascii_url(url)) for tier, url in urls if _is_url(url)][:_MOST_TRACKERS]
    params.trackers, params.tracker_tiers = [url for _, url in kept], [min(tier, 255) for tier, _ in kept]
    params.url_seeds = [ascii_url(url) for url in _as_list(outer.url_list) if _is_url(url)][:_MOST_TRACKERS]
    params.comment, params.created_by = _text(outer.comment), _text(outer.created_by)


def _tiered(tiers: Any) -> Iterator[tuple[int, Any]]:
    """(tier, URL) of each tracker in a list of lists (BEP 12), whatever else it is."""
    if not isinstance(tiers, list):
        return
    for tier, group in enumerate(tiers):
        if isinstance(group, list):
            yield from ((tier, url) for url in group)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_url(value: Any) -> bool:
    return isinstance(value, bytes) and value != b""


def _text(value: Any) -> str:
    return shown(value) if isinstance(value, bytes) else ""


def _mend(params: lt.add_torrent_params, resume: bytes) -> None:
    """Resume data that holds what the bindings cannot read: keep what is text. Raises ValueError."""
    try:
        tree = decoded(resume)
    except OwnerMustAct as error:
        raise ValueError(str(error)) from error
    named = {"announce-list": tree.get(b"trackers"), "url-list": tree.get(b"url-list")}
    _tidy(params, OuterDict(announce_list=named["announce-list"], url_list=named["url-list"] or b""))
    params.name = _text(tree.get(b"name"))


def _layout(files: list[tuple[str, int]]) -> str:
    digest = hashlib.sha256()
    for path, size in sorted(files):
        digest.update(f"{size} {path}\n".encode())
    return digest.hexdigest()


def _files(info: InfoDict, name: str) -> list[tuple[str, int]]:
    """(path, size) of every real file, from the torrent's own words and not from libtorrent's mended ones."""
    found = list(_found(info, name))
    if not 0 < len(found) <= MOST_FILES:
        raise OwnerMustAct(f"The torrent has {len(found)} files; this box takes 1 to {MOST_FILES}.")
    return found


def _found(info: InfoDict, name: str) -> Iterator[tuple[str, int]]:
    if isinstance(info.file_tree, dict):
        yield from _under(name, list(_tree(info.file_tree)))
    elif isinstance(info.files, list):
        yield from _listed(info.files, name)
    else:
        length = info.length if isinstance(info.length, int) else -1
        yield name, _size(FileEntry(length=length, attr=info.attr, symlink=info.symlink))


def _under(name: str, found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The files of a v2 tree; a single file (BEP 52) is a tree with one leaf of the torrent's own name."""
    if len(found) == 1 and found[0][0] == name:
        return found
    return [(f"{name}/{path}", size) for path, size in found]


def _listed(entries: list[dict[bytes, Any]], name: str) -> Iterator[tuple[str, int]]:
    """The files of a v1 list (BEP 3), padding (BEP 47) left out."""
    for entry in listed(entries):
        size = _size(entry)
        if b"p" not in entry.attr:
            yield "/".join([name, *map(_name, entry.path_utf8 or entry.path)]), size


def _tree(tree: dict[bytes, Any]) -> Iterator[tuple[str, int]]:
    named = functools.cache(_name)
    for path, leaf in grown(tree):
        yield "/".join(map(named, path)), _size(leaf)


def _name(raw: bytes) -> str:
    """One file or folder name, refused where it would lead somewhere else."""
    if not raw:
        raise OwnerMustAct("The torrent has a file without a name.")
    name = _utf8(raw)
    if name in (".", "..") or _LEADS_OUT.search(name):
        raise OwnerMustAct(f"The torrent has a file name that could lead out of its folder: {name[:60]!r}.")
    if len(raw) > MOST_NAME:
        raise OwnerMustAct(
            f"The torrent has a file name of {len(raw)} bytes; at most {MOST_NAME} are possible."
        )
    return name


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OwnerMustAct(f"The torrent has a file name that is not UTF-8: {raw[:40]!r}.") from error


def _size(entry: FileEntry) -> int:
    """The size of a file that is none of those that the box refuses."""
    if entry.symlink is not UNSET or b"l" in entry.attr:
        raise OwnerMustAct(
            "The torrent contains a symbolic link. The box refuses those: they could lead out of its folder."
        )
    if not 0 <= entry.length < 2**48:
        raise OwnerMustAct("The torrent has a file of an impossible size.")
    return entry.length


def _hashes(hashes: lt.info_hash_t) -> tuple[str, str]:
    """(v1, v2) in hex; the one that it has not is empty."""
    v1 = str(hashes.v1) if hashes.has_v1() else ""
    return v1, str(hashes.v2) if hashes.has_v2() else ""


def _plain(error: Exception) -> str:
    return shown(re.sub(r"\s*\[[\w:]+\]$", "", str(error)) or type(error).__name__)
