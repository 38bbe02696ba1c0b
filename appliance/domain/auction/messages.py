"""What is said on the market: typed messages. On the wire each is a bencoded dictionary (`adapters/wire`)."""

from typing import Annotated, ClassVar, TypeAlias

from msgspec import Meta, Struct

TEXT_BYTES = 300
Key = Annotated[bytes, Meta(min_length=33, max_length=33)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Text = Annotated[bytes, Meta(max_length=TEXT_BYTES)]
"""UTF-8, for people."""
Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Price = Annotated[int, Meta(ge=0, le=10**15)]
"""µBTT for a MiB."""
Switch = Annotated[int, Meta(ge=0, le=1)]
Port = Annotated[int, Meta(ge=1, le=65_535)]


class Auth(Struct, frozen=True, kw_only=True):
    """First message of either side: its signature binds the keys to this very connection."""

    name: ClassVar[bytes] = b"auth"


class Ask(Struct, frozen=True, kw_only=True):
    """What the seller offers in a round."""

    name: ClassVar[bytes] = b"ask"
    round: Whole
    slots: Annotated[int, Meta(ge=0, le=1_000)]
    per_torrent: Annotated[int, Meta(ge=0, le=1_000)]
    reserve: Price
    round_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)]
    """How long the round still runs."""
    credit: Whole
    """Bytes that are sent before they are paid, at most."""
    rule: Annotated[bytes, Meta(max_length=30)]
    ledger: Hash
    commit: Hash


class Bid(Struct, frozen=True, kw_only=True):
    """What a bidder offers for a slot of this connection's torrent; the latest replaces those before."""

    name: ClassVar[bytes] = b"bid"
    round: Whole
    """The first round that it is for; it stands until it is replaced."""
    max_price: Price
    """0 takes it back."""
    bytes: Whole
    """How much is wanted, as far as the bidder knows."""
    port: Port
    """Where its BitTorrent client listens, to be called back."""
    channel: Hash
    """The channel that pays for it."""


class Result(Struct, frozen=True, kw_only=True):
    """What came of a round for this bidder."""

    name: ClassVar[bytes] = b"result"
    round: Whole
    won: Switch
    price: Price
    lease_ms: Annotated[int, Meta(ge=0, le=3_600_000)]
    reveal: Hash
    """The seed that was committed to."""
    tie: Annotated[bytes, Meta(max_length=32)] = b""
    full: Switch = 0


class Pay(Struct, frozen=True, kw_only=True):
    """A state of a channel to the seller."""

    name: ClassVar[bytes] = b"pay"
    channel: Hash
    seq: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    paid: Whole
    state: Signature


class Receipt(Struct, frozen=True, kw_only=True):
    """What the seller has counted: bytes of the lease, and money of the channel since it was opened."""

    name: ClassVar[bytes] = b"receipt"
    channel: Hash
    sent: Whole
    owed: Whole
    paid: Whole


METER_DISPUTED = b"meter"
"""Code of the trouble that a bidder has received less than it was charged for."""
THROTTLED = b"eased"
"""Code of the trouble that less than usual is sent, and `text` says why; an empty text says that it is over.

The code on the wire is the one that boxes of the first version read.
"""


class Trouble(Struct, frozen=True, kw_only=True):
    """Something was not as it should be; the connection goes on."""

    name: ClassVar[bytes] = b"error"
    code: Annotated[bytes, Meta(max_length=40)]
    text: Text = b""


Message: TypeAlias = Auth | Ask | Bid | Result | Pay | Receipt | Trouble


def to_text(words: str) -> bytes:
    """Words for people, as far as a message holds them."""
    return words.encode()[:TEXT_BYTES]
