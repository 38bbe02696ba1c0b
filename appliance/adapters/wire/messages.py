"""The market's messages on the wire: each is bencoded as a dictionary whose `t` is its name.

Unknown keys are ignored, so that a later version may say more.
"""

from typing import Any

import msgspec

from appliance.adapters.wire.bencode import Value
from appliance.core.errors import PeerMisbehaved
from appliance.domain.auction.messages import Ask, Auth, Bid, Message, Pay, Receipt, Result, Trouble

KINDS: dict[bytes, type[Message]] = {
    kind.name: kind for kind in (Auth, Ask, Bid, Result, Pay, Receipt, Trouble)
}


class UnknownMessage(PeerMisbehaved):
    """A message of a later version; the peer is told, and the connection goes on."""


def to_value(message: Message) -> dict[bytes, Value]:
    """A message as it is bencoded."""
    fields: dict[str, bytes | int] = msgspec.structs.asdict(message)
    return {b"t": message.name, **{name.encode(): value for name, value in fields.items()}}


def from_value(value: Value) -> Message:
    """The message that a dictionary is. Raises UnknownMessage, PeerMisbehaved."""
    if not isinstance(value, dict) or not isinstance(name := value.get(b"t"), bytes):
        raise PeerMisbehaved("A message has no name.")
    if name not in KINDS:
        raise UnknownMessage(f"There is no message {name[:40]!r}.")
    return _converted(name, value)


def _converted(name: bytes, value: dict[bytes, Value]) -> Message:
    fields: dict[str, Any] = {key.decode("latin-1"): held for key, held in value.items()}
    try:
        return msgspec.convert(fields, KINDS[name])
    except msgspec.ValidationError as error:
        raise PeerMisbehaved(f"A message {name.decode()} is wrong: {error}.") from error
