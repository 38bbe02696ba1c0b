"""The little of Protocol Buffers' wire format that TRON's transactions need: varints and byte strings.

Stricter than a general library on purpose: what is signed must have one meaning. A varint that is longer than
it needs to be, a field out of order or twice, and everything left over are refused.
"""

from collections.abc import Iterable, Iterator

from appliance.core.errors import PeerMisbehaved

Field = tuple[int, int | bytes]
"""(number, varint or bytes)."""
_VARINT, _BYTES = 0, 2
_MOST_VARINT = 2**64
_LONGEST_VARINT = 10


def varint(value: int) -> bytes:
    """An unsigned integer, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(fields: Iterable[Field]) -> bytes:
    """Fields in their order; those that are zero or empty are left out, as proto3 has it."""
    out = bytearray()
    for number, value in fields:
        if value:
            out += _encoded(number, value)
    return bytes(out)


def _encoded(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3 | _VARINT) + varint(value)
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def decode(data: bytes, allowed: Iterable[int]) -> dict[int, int | bytes]:
    """The fields of one message. Raises PeerMisbehaved for what `encode` would not have written."""
    known, last, found = frozenset(allowed), 0, dict[int, int | bytes]()
    for number, value in _fields(data):
        if number not in known:
            raise PeerMisbehaved(f"The message has an unexpected field {number}.")
        if number <= last:
            raise PeerMisbehaved(f"The message has its field {number} twice, or out of order.")
        if not value:
            raise PeerMisbehaved(f"The message spells out an empty field {number}.")
        last, found[number] = number, value
    return found


def _fields(data: bytes) -> Iterator[Field]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not number or kind not in (_VARINT, _BYTES):
            raise PeerMisbehaved("This is not a TRON message.")
        value, at = _varint(data, at)
        if kind == _VARINT:
            yield number, value
            continue
        if at + value > len(data):
            raise PeerMisbehaved("The message is cut off.")
        yield number, data[at : at + value]
        at += value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for length, byte in enumerate(data[at : at + _LONGEST_VARINT], 1):
        value |= (byte & 0x7F) << 7 * (length - 1)
        if byte < 0x80:
            if value >= _MOST_VARINT or (byte == 0 and length > 1):
                raise PeerMisbehaved("The message has a number that is longer than necessary.")
            return value, at + length
    raise PeerMisbehaved("The message is cut off, or has a number without an end.")
