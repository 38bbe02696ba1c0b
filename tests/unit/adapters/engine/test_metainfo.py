"""Torrents of strangers: understood, or refused with a sentence; never anything else."""

import hashlib
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.adapters.engine.metainfo import parse_magnet, parse_resume, parse_torrent, torrent_file
from appliance.adapters.engine.schema import MOST_TOKENS
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


def flat(**more: Any) -> bytes:
    """A torrent whose description has these entries."""
    info = {b"name": b"x", b"piece length": 16384, b"pieces": b"x" * 20}
    made: Any = {b"info": info | {key.encode(): value for key, value in more.items()}}
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
        (hostile([b"a"], attr=5), "file number 2 is broken"),
        (hostile([b"a"], attr=[[[]]]), "file number 2 is broken"),
        (hostile([b"a"], length=[b"1"]), ""),
        (hostile([b"a"], **{"path.utf-8": 7}), "file number 2 is broken"),
        (hostile([b"a"], **{"path.utf-8": [[b"a"]]}), "broken"),
        (flat(files=[5]), ""),
        (flat(files={b"a": 1}), ""),
        (flat(**{"file tree": 5, "meta version": 2}), ""),
        (flat(length=2**63 - 1), ""),
        (flat(length=10, name=5), ""),
        (flat(length=10, **{"piece length": b"x"}), ""),
        (flat(length=10, private=b"yes"), "description is broken"),
        (flat(length=10, **{"symlink path": [b"etc"]}), "symbolic link"),
        (
            b"d4:infod"
            + b"6:lengthi10e6:lengthi11e4:name1:x12:piece lengthi16384e6:pieces20:"
            + b"x" * 20
            + b"ee",
            "twice",
        ),
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


def test_an_old_torrent_whose_keys_are_in_no_order_is_read() -> None:
    info = b"d4:name1:x6:lengthi10e12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"e"
    parsed = parse_torrent(b"d4:info" + info + b"e")
    assert parsed.description.v1 == hashlib.sha1(info).hexdigest()


def test_what_libtorrent_can_load_is_never_more_than_can_be_read() -> None:
    junk: Any = {b"info": {b"name": b"x", b"piece length": 16384, b"length": 9, b"pieces": b"x" * 20}}
    junk[b"zzz"] = [1] * (MOST_TOKENS - 110_000)
    assert parse_torrent(lt.bencode(junk)).description.size == 9
    junk[b"zzz"] = [1] * MOST_TOKENS
    with pytest.raises(OwnerMustAct, match="limit exceeded"):
        parse_torrent(lt.bencode(junk))


FOREIGN = {
    b"announce": b"http://127.0.0.1/\xff",
    b"comment": "\u202ePrivet ".encode() + b"\xef\xf0\xe8",
    b"created by": b"\x9b2J",
    b"url-list": [b"http://127.0.0.1/\xfe/", 5],
    b"announce-list": [[b"http://127.0.0.1/\xff", 5], 7, [b"udp://127.0.0.1:1"]],
}


def test_foreign_bytes_beside_the_description_are_made_text_and_kept() -> None:
    tree: Any = lt.bdecode(hostile([b"good"]))
    parsed = parse_torrent(lt.bencode(tree | FOREIGN))
    assert parsed.description.comment == "\ufffdPrivet \ufffd\ufffd\ufffd"
    assert parsed.description.created_by == "\ufffd2J"
    params = parse_resume(parsed.resume)
    assert params.trackers == ["http://127.0.0.1/%FF", "udp://127.0.0.1:1"]
    assert params.tracker_tiers == [0, 2]
    assert params.url_seeds == ["http://127.0.0.1/%FE/"]
    assert torrent_file(parsed.resume)


def test_foreign_bytes_in_resume_data_of_before_are_made_text() -> None:
    params = lt.parse_magnet_uri(
        f"magnet:?xt=urn:btih:{'a' * 40}&dn=K%F6ln&tr=http%3A%2F%2Fx%2F%FF&ws=http%3A%2F%2Fy%2F%FE"
    )
    again = parse_resume(lt.write_resume_data_buf(params))
    assert (again.name, again.trackers) == ("K\ufffdln", ["http://x/%FF"])
    assert parse_resume(lt.write_resume_data_buf(again)).trackers == ["http://x/%FF"]


def test_a_magnet_link_with_foreign_bytes_is_read() -> None:
    parsed = parse_magnet(f"magnet:?xt=urn:btih:{'a' * 40}&dn=K%F6ln&tr=http%3A%2F%2Fx%2F%FF")
    assert parsed.description.name == "K\ufffdln"
    assert parse_resume(parsed.resume).trackers == ["http://x/%FF"]


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
