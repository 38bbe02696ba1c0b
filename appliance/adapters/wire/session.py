"""One connection between two boxes, without its socket: bytes in, messages out.

Each side names its key and a nonce in the extension handshake. From then on every message carries the
sender's count of messages and its signature over the session, so that none can be made by others, changed,
left out, or said again: not in another connection, torrent, round or ledger.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

from appliance.adapters.wire import bencode
from appliance.adapters.wire.frames import HANDSHAKE_BYTES, Extended, Frames, Handshake, frame, shake, shaken
from appliance.adapters.wire.messages import UnknownMessage, from_value, to_value
from appliance.core.errors import PeerMisbehaved
from appliance.core.keys import SIGNATURE_BYTES, Address, Key, address_of, verify
from appliance.domain.auction.messages import Auth, Message

AUCTION = b"sb_auction"
OURS = 1
"""The number under which we take messages of the auction (BEP 10: each side chooses its own)."""
NONCE_BYTES = 32
_DOMAIN = b"seedbox/wire/1"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, once that is proven."""

    key: bytes
    address: Address
    client: str
    """What it calls itself; nobody has checked it."""


class Session:
    """The state of one connection. Every method may raise PeerMisbehaved: the connection is to be closed."""

    def __init__(
        self,
        key: Key,
        *,
        client: str,
        peer_id: bytes,
        info_hash: bytes | None,
        knows: Callable[[bytes], bool],
    ) -> None:
        """`info_hash` is that of the torrent when we have called; where we are called it is None, and
        `knows` says whether a torrent is here: for others nothing is answered at all.
        """
        self._key = key
        self._knows = knows
        self._client = client
        self._peer_id = peer_id
        self._called = info_hash is None
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._head = bytearray()
        self._shaken = False
        self._frames = Frames()
        self._theirs = 0
        """The number under which they take messages of the auction."""
        self._session = b""
        self._sent = self._received = 0
        self.info_hash = info_hash or b""
        self.peer: Peer | None = None
        """None until they have proven who they are."""

    def begin(self) -> bytes:
        """The first bytes to send; none where we are called."""
        return b"" if self._called else self._opening()

    def _opening(self) -> bytes:
        introduction: dict[bytes, bencode.Value] = {
            b"m": {AUCTION: OURS},
            b"v": self._client.encode(),
            b"sb_id": self._key.public,
            b"sb_nonce": self._nonce,
        }
        return shake(Handshake(self.info_hash, self._peer_id)) + frame(
            Extended(0, bencode.encode(introduction))
        )

    def feed(self, data: bytes) -> tuple[bytes, list[Message | UnknownMessage]]:
        """(bytes to send, messages that came); unknown ones as the error that says so."""
        if self._shaken:
            return self._framed(data)
        self._head += data
        found = shaken(bytes(self._head[:HANDSHAKE_BYTES]))
        if found is None:
            return b"", []
        self._shaken = True
        greeting = self._greet(found)
        answer, messages = self._framed(bytes(self._head[HANDSHAKE_BYTES:]))
        return greeting + answer, messages

    def _framed(self, data: bytes) -> tuple[bytes, list[Message | UnknownMessage]]:
        answer = b""
        messages: list[Message | UnknownMessage] = []
        for one in self._frames.feed(data):
            if one.id == 0:
                answer += self._introduced(one.payload)
            elif one.id == OURS:
                messages += self._read(one.payload)
            else:
                raise PeerMisbehaved(f"Nobody has named an extension {one.id}.")
        return answer, messages

    def _greet(self, found: Handshake) -> bytes:
        if not self._called:
            if found.info_hash != self.info_hash:
                raise PeerMisbehaved("The peer answers for another torrent.")
            return b""
        if not self._knows(found.info_hash):
            raise PeerMisbehaved("The peer asks for a torrent that is not here.")
        self.info_hash = found.info_hash
        return self._opening()

    def _introduced(self, payload: bytes) -> bytes:
        """The extension handshake of the other side; our proof is the answer."""
        if self._session:
            # Clients may repeat it (BEP 10); who they are does not change by that.
            return b""
        number, key, nonce, client = _introduction(payload)
        if key == self._key.public:
            raise PeerMisbehaved("That is ourselves.")
        self._claimed = Peer(key, address_of(key), client)
        self._theirs = number
        self._session = self._hash(key, nonce)
        return self.send(Auth())

    def _hash(self, key: bytes, nonce: bytes) -> bytes:
        """What both sides of this connection know: who called whom, for which torrent, with which nonces."""
        ours, theirs = (self._key.public, self._nonce), (key, nonce)
        caller, called = (theirs, ours) if self._called else (ours, theirs)
        return hashlib.sha256(b"".join((self.info_hash, *caller, *called))).digest()

    def send(self, message: Message) -> bytes:
        """A message as it goes over the line, signed."""
        value = to_value(message) | {b"n": self._sent}
        self._sent += 1
        plain = bencode.encode(value)
        signature = self._key.sign(_DOMAIN, self._session + self._key.public + plain)
        return frame(Extended(self._theirs, bencode.encode(value | {b"sig": signature})))

    def _read(self, payload: bytes) -> list[Message | UnknownMessage]:
        """The message that came; none where it is the proof of who they are."""
        value = self._verified(payload)
        if value.get(b"n") != self._received:
            raise PeerMisbehaved("A message is missing, or came twice.")
        self._received += 1
        try:
            message = from_value(value)
        except UnknownMessage as error:
            return [error]
        if isinstance(message, Auth) is not (self._received == 1):
            raise PeerMisbehaved("A peer proves who it is once, and before all else.")
        if isinstance(message, Auth):
            self.peer = self._claimed
            return []
        return [message]

    def _verified(self, payload: bytes) -> dict[bytes, bencode.Value]:
        """A message that the peer has signed for this very connection."""
        if not self._session:
            raise PeerMisbehaved("A message came before the extension handshake.")
        value = bencode.decode(payload)
        if not isinstance(value, dict):
            raise PeerMisbehaved("A message is no dictionary.")
        self._check(value.pop(b"sig", b""), bencode.encode(value))
        return value

    def _check(self, signature: bencode.Value, plain: bytes) -> None:
        """Raises PeerMisbehaved where that is not the peer's signature of a message in this connection."""
        if not _is_bytes(signature, SIGNATURE_BYTES):
            raise PeerMisbehaved("A message is not signed.")
        signed = self._session + self._claimed.key + plain
        if not verify(self._claimed.key, _DOMAIN, signed, signature):
            raise PeerMisbehaved("A message is not signed by the peer, or is of another connection.")


def _introduction(payload: bytes) -> tuple[int, bytes, bytes, str]:
    """(their number for messages of the auction, key, nonce, client) of an extension handshake (BEP 10)."""
    value, _ = bencode.decode_first(payload)
    if not isinstance(value, dict) or not isinstance(named := value.get(b"m"), dict):
        raise PeerMisbehaved("An extension handshake names no extensions.")
    number = _number_of(named)
    key, nonce = value.get(b"sb_id"), value.get(b"sb_nonce")
    if not isinstance(key, bytes) or not _is_bytes(nonce, NONCE_BYTES):
        raise PeerMisbehaved("An extension handshake has no key, or no nonce.")
    return number, key, nonce, _shown(value.get(b"v", b""))


def _number_of(named: dict[bytes, bencode.Value]) -> int:
    """The number that a peer has given to messages of the auction."""
    number = named.get(AUCTION)
    if not isinstance(number, int) or not 0 < number < 256:
        raise PeerMisbehaved("The peer takes no part in auctions.")
    return number


def _is_bytes(value: object, length: int) -> TypeGuard[bytes]:
    """Whether a value is bytes of this length."""
    return isinstance(value, bytes) and len(value) == length


def _shown(client: bencode.Value) -> str:
    """What a client calls itself, as far as it can be shown."""
    words = client.decode("utf-8", "replace")[:60] if isinstance(client, bytes) else ""
    return "".join(char for char in words if char.isprintable())
