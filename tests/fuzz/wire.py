"""What strangers may send to the market, by the million: `python -m tests.fuzz.wire --minutes 60`.

Needs atheris (`pip install atheris`), which looks for inputs that reach new code; those are kept in
`corpus/`, and tests/fuzz/test_corpus.py plays them again in every run.
"""

from pathlib import Path

from appliance.adapters.wire import bencode
from appliance.adapters.wire.frames import Extended, Frames, Handshake, frame, shake
from appliance.adapters.wire.messages import UnknownMessage, from_value, to_value
from appliance.adapters.wire.session import AUCTION, OURS, Session
from appliance.core.errors import PeerMisbehaved
from appliance.core.keys import Key
from tests.fuzz.search import search

CORPUS = Path(__file__).parent / "corpus"
MOST = 4_096
"""Bytes of an input."""
_INFO_HASH, _ID = b"I" * 20, b"-XX0000-" + b"x" * 12
_OURS, _THEIRS = (Key(bytes(31) + bytes([number])) for number in (1, 2))
_NONCE = b"n" * 32


def one(data: bytes) -> None:
    """Feed one input to the part that its first byte names; whatever is wrong with it is a refusal."""
    part, rest = data[:1], data[1:]
    try:
        if part == b"b":
            _bencode(rest)
        elif part == b"f":
            Frames().feed(rest)
        elif part == b"m":
            _message(rest)
        elif part == b"s":
            _signed(rest)
        else:
            _session().feed(rest)
    except PeerMisbehaved:
        return


def _bencode(data: bytes) -> None:
    value = bencode.decode(data)
    assert bencode.encode(value) == data, "one value has one form"


def _message(data: bytes) -> None:
    message = from_value(bencode.decode(data))
    assert from_value(to_value(message)) == message


def _session() -> Session:
    return Session(
        _OURS, client="fuzzed", peer_id=_ID, info_hash=None, knows=lambda found: found == _INFO_HASH
    )


def _signed(data: bytes) -> None:
    """What somebody says who has proven their key: the rest is bencoded, and signed for them."""
    session = _session()
    told: dict[bytes, bencode.Value] = {
        b"m": {AUCTION: OURS},
        b"sb_id": _THEIRS.public,
        b"sb_nonce": _NONCE,
    }
    session.feed(shake(Handshake(_INFO_HASH, _ID)) + frame(Extended(0, bencode.encode(told))))
    spoken: tuple[bencode.Value, ...] = ({b"t": b"auth"}, bencode.decode(data))
    for count, value in enumerate(spoken):
        if not isinstance(value, dict):
            return
        counted: dict[bytes, bencode.Value] = value | {b"n": count}
        plain = bencode.encode(counted)
        signature = _THEIRS.sign(b"seedbox/wire/1", session._session + _THEIRS.public + plain)
        whole = bencode.encode(counted | {b"sig": signature})
        _, messages = session.feed(frame(Extended(OURS, whole)))
        for message in messages:
            assert isinstance(message, UnknownMessage) or from_value(to_value(message)) == message
    assert session.peer is not None


if __name__ == "__main__":
    search(one, CORPUS, MOST)
