"""The outer form: the handshake of BEP 3, and length-prefixed messages of which we know one, BEP 10's."""

from dataclasses import dataclass

from appliance.core.errors import PeerMisbehaved

PROTOCOL = b"\x13BitTorrent protocol"
HANDSHAKE_BYTES = 68
MOST_FRAME = 64 * 1024
EXTENDED = 20
_EXTENSION_BYTE, _EXTENSION_BIT = 5, 0x10
"""Reserved bit 20 from the right (BEP 10)."""
_KNOWN = frozenset({*range(10), *range(13, 18), EXTENDED})
"""Messages of BEP 3, 5 and 6, which a client may send by habit, and BEP 10's."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """The first 68 bytes of either side."""

    info_hash: bytes
    """20 bytes; of a v2 torrent the first 20 of its hash (BEP 52)."""
    peer_id: bytes


@dataclass(frozen=True, slots=True)
class Extended:
    """A message of BEP 10; `id` is as its recipient has named it, 0 the extension handshake."""

    id: int
    payload: bytes


def shake(handshake: Handshake) -> bytes:
    """The handshake's bytes, with BEP 10's bit."""
    reserved = bytearray(8)
    reserved[_EXTENSION_BYTE] |= _EXTENSION_BIT
    return PROTOCOL + bytes(reserved) + handshake.info_hash + handshake.peer_id


def shaken(data: bytes) -> Handshake | None:
    """The handshake at the beginning, None while it is not all there. Raises PeerMisbehaved.

    What is no handshake is refused at its first wrong byte.
    """
    known = min(len(data), len(PROTOCOL))
    if data[:known] != PROTOCOL[:known]:
        raise PeerMisbehaved("That is not BitTorrent.")
    if len(data) < HANDSHAKE_BYTES:
        return None
    if not data[len(PROTOCOL) + _EXTENSION_BYTE] & _EXTENSION_BIT:
        raise PeerMisbehaved("The peer knows no extensions (BEP 10).")
    return Handshake(data[28:48], data[48:68])


def frame(message: Extended) -> bytes:
    """A message as it goes over the line."""
    return (len(message.payload) + 2).to_bytes(4, "big") + bytes([EXTENDED, message.id]) + message.payload


class Frames:
    """Takes a stream apart; keeps no more than one frame."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Extended]:
        """The extension messages that are complete now. Raises PeerMisbehaved for what cannot be one."""
        self._data += data
        found = []
        while (whole := self._next()) is not None:
            # Keep-alives are empty; what belongs to the swarm is of no interest here.
            if whole[:1] == bytes([EXTENDED]):
                found.append(_extended(whole))
        return found

    def _next(self) -> bytes | None:
        """The next message, as soon as all of it is there."""
        if len(self._data) < 4:
            return None
        end = 4 + int.from_bytes(self._data[:4], "big")
        self._refuse_early(end)
        if len(self._data) < end:
            return None
        whole = bytes(self._data[4:end])
        del self._data[:end]
        return whole

    def _refuse_early(self, end: int) -> None:
        """Raises PeerMisbehaved by the first bytes of a message that ends at `end`: it is not waited for."""
        if end > 4 + MOST_FRAME:
            raise PeerMisbehaved(f"A message of {end - 4} bytes is too long.")
        kind = self._data[4:5] if end > 4 else b""
        if kind and kind[0] not in _KNOWN:
            raise PeerMisbehaved(f"There is no message {kind[0]}.")


def _extended(whole: bytes) -> Extended:
    if len(whole) < 2:
        raise PeerMisbehaved("An extension message has no number.")
    return Extended(whole[1], whole[2:])
