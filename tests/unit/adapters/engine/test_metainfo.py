"""Torrents of strangers: understood, or refused with a sentence; never anything else."""

from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.adapters.engine.metainfo import parse_magnet, parse_resume, parse_torrent, torrent_file
from appliance.core.errors import OwnerMustAct
from appliance.domain.catalogue.description import Description
from tests.support.torrents import make_torrent, write_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("torrents") / "album"
    write_data(base / "a.bin", 100_000)
    write_data(base / "sub" / "b.bin", 50_000)
    return base


def described(folder: Path, kind: str) -> Description:
    return parse_torrent(make_torrent(folder, kind)).description


def test_v1_hybrid_and_v2_of_the_same_files_have_one_layout(folder: Path) -> None:
    kinds = {kind: described(folder, kind) for kind in ("v1", "hybrid", "v2")}
    assert len({one.layout for one in kinds.values()}) == 1
    assert all((one.size, one.files, one.name) == (150_000, 2, "album") for one in kinds.values())
    assert kinds["hybrid"].v1
    assert kinds["hybrid"].v2 == kinds["v2"].v2 or kinds["v2"].v1 == ""


def test_a_torrent_survives_the_way_through_resume_data(folder: Path) -> None:
    metainfo = make_torrent(folder, "hybrid", ("http://127.0.0.1/announce",))
    again = torrent_file(parse_torrent(metainfo).resume)
    before: Any = lt.bdecode(metainfo)
    after: Any = lt.bdecode(again)
    assert after[b"info"] == before[b"info"]
    assert after[b"piece layers"] == before[b"piece layers"]
    assert lt.load_torrent_buffer(again).trackers == ["http://127.0.0.1/announce"]


def hostile(path: list[bytes], **more: Any) -> bytes:
    first = {b"length": 10, b"path": [b"first"]}
    entry = {b"length": 0 if more else 10, b"path": path} | {
        key.encode(): value for key, value in more.items()
    }
    info = {b"name": b"x", b"piece length": 16384, b"pieces": b"x" * 20, b"files": [first, entry]}
    made: Any = {b"info": info}
    return lt.bencode(made)


@pytest.mark.parametrize(
    ("metainfo", "says"),
    [
        (hostile([b"..", b"etc", b"passwd"]), "lead out"),
        (hostile([b"/etc/passwd"]), "lead out"),
        (hostile([b"a\\..\\b"]), "lead out"),
        (hostile([b"a\0b"]), "lead out"),
        (hostile([b"\xff\xfe"]), "not UTF-8"),
        (hostile([b"n" * 300]), "300 bytes"),
        (hostile([b"d"] * 80), "64 folders"),
        (hostile([]), ""),
        (hostile([b"a"], attr=b"l", **{"symlink path": [b"etc"]}), "symbolic link"),
        (b"<html>", "not a .torrent"),
        (b"", "not a .torrent"),
        (b"d4:infod", "broken"),
        (b"d4:info" + b"l" * 500 + b"e" * 500 + b"e", "broken"),
        (b"d4:infod6:lengthi-5e4:name1:x12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"ee", ""),
        (
            b"d4:infod6:lengthi99999999999e4:name1:x12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"ee",
            "broken",
        ),
    ],
)
def test_hostile_metainfo_is_refused_with_a_reason(metainfo: bytes, says: str) -> None:
    with pytest.raises(OwnerMustAct) as refused:
        parse_torrent(metainfo)
    assert says in str(refused.value)


def test_a_file_of_100_mb_is_refused_before_it_is_read() -> None:
    with pytest.raises(OwnerMustAct, match="larger than 32 MiB"):
        parse_torrent(b"d" + bytes(100 * 1024**2))


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://x",
        "magnet:?",
        "magnet:?xt=urn:btih:zz",
        "magnet:?dn=x",
        "magnet:?xt=urn:btih:" + "a" * 20_000,
    ],
)
def test_broken_magnet_links_are_refused(uri: str) -> None:
    with pytest.raises(OwnerMustAct):
        parse_magnet(uri)


def test_a_link_that_asks_for_some_of_the_files_is_refused_with_the_remedy() -> None:
    with pytest.raises(OwnerMustAct, match="remove"):
        parse_magnet("magnet:?xt=urn:btih:" + "ab" * 20 + "&so=0,2-3")


@pytest.mark.parametrize("kind", ["v2", "hybrid"])
def test_a_torrent_without_its_piece_layers_has_no_file_to_give(tmp_path: Path, kind: str) -> None:
    whole: Any = lt.bdecode(make_torrent(write_data(tmp_path / "film.bin", 200_000), kind))
    del whole[b"piece layers"]
    resume = parse_torrent(lt.bencode(whole)).resume
    with pytest.raises(OwnerMustAct, match="piece layers"):
        torrent_file(resume)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mutation_of_a_torrent_raises_anything_but_a_refusal(data: st.DataObject) -> None:
    metainfo = bytearray(hostile([b"good"]) if data.draw(st.booleans()) else SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(metainfo) - 1))
        if data.draw(st.booleans()):
            metainfo[at] = data.draw(st.integers(0, 255))
        else:
            del metainfo[at : at + data.draw(st.integers(1, 20))]
        if not metainfo:
            return
    try:
        parsed = parse_torrent(bytes(metainfo))
    except OwnerMustAct as error:
        assert str(error)
    else:
        assert ".." not in parsed.description.name.split("/")
        parse_resume(parsed.resume)


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: b"d" + text.encode()))
def test_no_bytes_raise_anything_but_a_refusal(raw: bytes) -> None:
    with pytest.raises(OwnerMustAct):
        parse_torrent(raw)


@given(st.text(max_size=300))
def test_no_magnet_raises_anything_but_a_refusal(text: str) -> None:
    try:
        parse_magnet("magnet:?" + text)
    except OwnerMustAct as error:
        assert str(error)


@given(st.binary(max_size=300))
def test_damaged_resume_data_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse_resume(raw)


def _small() -> bytes:
    root = bytes(32)
    tree = {
        b"a": {b"": {b"length": 40_000, b"pieces root": root}},
        b"b": {b"": {b"length": 3, b"pieces root": root}},
    }
    info = {b"name": b"t", b"piece length": 16384, b"meta version": 2, b"file tree": tree}
    made: Any = {b"info": info, b"piece layers": {}}
    return lt.bencode(made)


SMALL = _small()
