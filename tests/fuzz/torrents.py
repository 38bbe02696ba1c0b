"""Torrents, links and resume data of strangers, by the million: `python -m tests.fuzz.torrents --minutes 60`.

Needs atheris, as wire.py does. Most inputs are not bencoding but grow into it: each byte chooses a key that
our reader or libtorrent knows, or a value that may stand there, or one that must not.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import libtorrent as lt

from appliance.adapters.engine.metainfo import parse_magnet, parse_resume, parse_torrent, torrent_file
from appliance.adapters.engine.params import torrent_params
from appliance.core.errors import OwnerMustAct
from appliance.core.magnets import pasted_links
from appliance.domain.catalogue.model import Priority
from appliance.domain.catalogue.ports import Placement
from tests.fuzz.search import search

CORPUS = Path(__file__).parent / "corpus_torrents"
MOST = 2_048
"""Bytes of an input."""
_HASH = b"urn:btih:" + b"a" * 40
_KEYS = (
    *(b"info", b"name", b"name.utf-8", b"piece length", b"pieces", b"length", b"files", b"path"),
    *(b"path.utf-8", b"attr", b"symlink path", b"private", b"meta version", b"file tree", b"pieces root"),
    *(b"piece layers", b"announce", b"announce-list", b"url-list", b"httpseeds", b"nodes", b"comment"),
    *(b"created by", b"creation date", b"trackers", b"info-hash", b"info-hash2", b"save_path", b"peers"),
    *(b"mapped_files", b"file_priority", b"unfinished", b"file-format", b"file-version", b"", b"a", b"b"),
)
_BYTES = (
    *(b"", b"x", b"l", b"p", b"hx", b"\xff", b"..", b"a/b", b"caf\xe9", b"\xe2\x80\xae", b"x" * 20),
    *(b"x" * 32, bytes(40), b"libtorrent resume file", b"http://x/\xff", b"udp://x:1", b"n" * 300),
)
_NUMBERS = (0, 1, 2, -1, 10, 16_384, 2**14 + 1, 2**31, 2**48, 2**63 - 1, -(2**63))
_WORDS = (
    *("magnet:?", "MAGNET:///?", "xt=", _HASH.decode(), _HASH.decode().upper(), "urn:btmh:1220" + "b" * 64),
    *("&", "&amp;", "dn=", "tr=", "x.pe=", "so=", "ws=", "%", "%FF", "%00", "\n", "\u200b", "\ufeff", "<"),
    *('">', "\u00a0", "\ud800", "a" * 32, "127.0.0.1:1", "[::1]:99999", "0-9999999999", ".1", "http://x"),
)
_PLACE = Placement(
    folder="/nowhere",
    writable=True,
    paused=True,
    priority=Priority.NORMAL,
    upload_limit=0,
    download_limit=0,
    rename_root="other",
)


def one(data: bytes) -> None:
    """Feed one input to the part that its first byte names; whatever is wrong with it is a refusal."""
    part, rest = data[:1], data[1:]
    if part == b"t":
        _torrent(rest)
    elif part == b"r":
        _resume(rest)
    elif part == b"m":
        _magnet(rest.decode("utf-8", "surrogateescape"))
    elif part == b"w":
        _magnet("".join(_WORDS[byte % len(_WORDS)] for byte in rest[:200]))
    elif part == b"g":
        _grown_resume(rest)
    else:
        _grown_torrent(rest)


def _torrent(raw: bytes) -> None:
    try:
        parsed = parse_torrent(raw)
    except OwnerMustAct as error:
        str(error).encode()
        return
    told = parsed.description
    f"{told.name}{told.comment}{told.created_by}".encode()
    again = parse_torrent(torrent_file(parsed.resume)).description
    assert (again.v1, again.v2, again.layout) == (told.v1, told.v2, told.layout), "a torrent survives"
    _resume(parsed.resume)


def _resume(raw: bytes) -> None:
    for described in (True, False):
        place = replace(_PLACE, described=described)
        try:
            parse_resume(raw)
            params = torrent_params(raw, place, pex=False)
        except (OwnerMustAct, ValueError) as error:
            str(error).encode()
            return
        _ = params.trackers, params.name, params.url_seeds
        parse_resume(lt.write_resume_data_buf(params))


def _magnet(text: str) -> None:
    try:
        for link in pasted_links(text):
            assert pasted_links(link) == [link], "one link has one form"
            parse_resume(parse_magnet(link).resume)
    except OwnerMustAct as error:
        str(error).encode()


def _grown_torrent(data: bytes) -> None:
    """A torrent that is right but for what the input says."""
    info: dict[bytes, Any] = {b"name": b"n", b"piece length": 16_384, b"pieces": b"x" * 20, b"length": 9}
    choices = iter(data)
    tree: dict[bytes, Any] = {b"info": info}
    for _ in range(1 + next(choices, 0) % 6):
        (info if next(choices, 0) % 3 else tree)[_key(choices)] = _value(choices, 5)
    if next(choices, 0) % 2:
        info.pop(b"length", None)
    if isinstance(tree[b"info"], dict):
        _torrent(lt.bencode(tree))


def _grown_resume(data: bytes) -> None:
    tree: dict[bytes, Any] = lt.bdecode(_SOUND)  # type: ignore[assignment]
    choices = iter(data)
    for _ in range(1 + next(choices, 0) % 6):
        tree[_key(choices)] = _value(choices, 5)
    _resume(lt.bencode(tree))


def _key(choices: Iterator[int]) -> bytes:
    return _KEYS[next(choices, 0) % len(_KEYS)]


def _value(choices: Iterator[int], depth: int) -> Any:
    kind, size = divmod(next(choices, 0), 64)
    if kind == 0:
        return _NUMBERS[size % len(_NUMBERS)]
    if kind == 1 or not depth:
        return _BYTES[size % len(_BYTES)]
    if kind == 2:
        return [_value(choices, depth - 1) for _ in range(size % 4)]
    return {_key(choices): _value(choices, depth - 1) for _ in range(size % 5)}


_SOUND = lt.write_resume_data_buf(lt.parse_magnet_uri("magnet:?xt=" + _HASH.decode()))


if __name__ == "__main__":
    search(one, CORPUS, MOST)
