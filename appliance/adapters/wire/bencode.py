"""Bencoding (BEP 3), strictly: one value has one form, and a stranger's is read within bounds.

What is signed must mean one thing only, so numbers with leading zeros, keys out of order or twice, and
whatever follows a value are refused.
"""

from collections.abc import Iterable
from itertools import chain
from typing import TypeAlias

from appliance.core.errors import PeerMisbehaved

Value: TypeAlias = "int | bytes | list[Value] | dict[bytes, Value]"
MOST_DEPTH = 8
MOST_DIGITS = 19
"""The most digits of an integer: int64."""


def encode(value: Value) -> bytes:
    """The one form of a value."""
    out: list[bytes] = []
    _encode(value, out)
    return b"".join(out)


def _encode(value: Value, out: list[bytes]) -> None:
    if isinstance(value, int):
        out.append(b"i%de" % value)
    elif isinstance(value, bytes):
        out.append(b"%d:%b" % (len(value), value))
    elif isinstance(value, list):
        _encode_all(b"l", value, out)
    else:
        _encode_all(b"d", chain.from_iterable(sorted(value.items())), out)


def _encode_all(kind: bytes, items: Iterable[Value], out: list[bytes]) -> None:
    out.append(kind)
    for item in items:
        _encode(item, out)
    out.append(b"e")


def decode(data: bytes) -> Value:
    """The value that all of `data` is. Raises PeerMisbehaved."""
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise PeerMisbehaved("Something follows a bencoded value.")
    return value


def decode_first(data: bytes) -> tuple[Value, int]:
    """The value at the beginning, and where it ends (BEP 9 appends raw bytes). Raises PeerMisbehaved."""
    return _decode(data, 0, 0)


def _decode(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > MOST_DEPTH:
        raise PeerMisbehaved("A bencoded value is nested too deeply.")
    kind = data[at : at + 1]
    if kind == b"i":
        return _number(data, at + 1, b"e")
    if kind.isdigit():
        return _bytes(data, at)
    if kind == b"l":
        return _list(data, at + 1, depth)
    if kind == b"d":
        return _dict(data, at + 1, depth)
    raise PeerMisbehaved("That is not bencoded.")


def _list(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    items: list[Value] = []
    while data[at : at + 1] != b"e":
        item, at = _decode(data, at, depth + 1)
        items.append(item)
    return items, at + 1


def _dict(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    found: dict[bytes, Value] = {}
    last: bytes | None = None
    while data[at : at + 1] != b"e":
        key, at = _bytes(data, at)
        if last is not None and key <= last:
            raise PeerMisbehaved("Keys of a bencoded dictionary are out of order, or twice.")
        found[key], at = _decode(data, at, depth + 1)
        last = key
    return found, at + 1


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    if not data[at : at + 1].isdigit():
        raise PeerMisbehaved("That is not bencoded.")
    length, at = _number(data, at, b":")
    if at + length > len(data):
        raise PeerMisbehaved("A bencoded value is cut off.")
    return data[at : at + length], at + length


def _number(data: bytes, at: int, until: bytes) -> tuple[int, int]:
    end = data.find(until, at, at + MOST_DIGITS + 2)
    digits = data[at:end] if end >= 0 else b""
    plain = digits.removeprefix(b"-") if until == b"e" else digits
    padded = plain[:1] == b"0" and digits != b"0"
    if padded or not plain.isdigit():
        raise PeerMisbehaved("A number is not as bencoding has it.")
    value = int(digits)
    if not -(2**63) <= value < 2**63:
        raise PeerMisbehaved("A number is too large.")
    return value, end + 1
