"""What a seller wants done: each is carried out by whoever runs it, in the order in which they come."""

from dataclasses import dataclass
from typing import TypeAlias

from appliance.core.units import MicroBtt, MicroBttPerMib
from appliance.domain.auction.clearing import Rule
from appliance.domain.auction.lanes import Wish
from appliance.domain.auction.lease import Lease


@dataclass(frozen=True, slots=True)
class Asks:
    """Tell a bidder what is offered in this round."""

    line: int
    round: int
    slots: int
    per_torrent: int
    reserve: MicroBttPerMib
    rule: Rule
    commit: bytes
    left_ms: int
    credit: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Results:
    """Tell a bidder what came of the last round for it."""

    line: int
    round: int
    won: bool
    price: MicroBttPerMib
    lease_ms: int
    seed: bytes
    tie: bytes | None
    full: bool


@dataclass(frozen=True, slots=True)
class Receipts:
    """Tell a bidder what was counted: bytes of its lease, and money of its channel."""

    line: int
    channel: bytes
    sent: int
    owed: MicroBtt
    paid: MicroBtt


@dataclass(frozen=True, slots=True)
class Look:
    """Look at the channel that somebody wants to pay with; `funded` is the answer."""

    line: int
    channel: bytes


@dataclass(frozen=True, slots=True)
class Seats:
    """Give lanes to these, and to nobody else."""

    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Wide:
    """Serve a bidder before all others."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Narrow:
    """Serve a bidder as one that has not won; `shut` as one that does not pay."""

    key: bytes
    shut: bool


@dataclass(frozen=True, slots=True)
class Eased:
    """Tell a payer that less than usual is sent, and why; empty: all is as usual again."""

    line: int
    says: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Write `memory()` down before anything that follows is done."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Bytes were sent in a lease: for the history."""

    torrent: str
    count: int


@dataclass(frozen=True, slots=True)
class Over:
    """A lease has ended: for the history, and for whoever looks."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Decided:
    """A round is over: for the history."""

    sold: int
    waiting: int
    """Bids that did not win."""
    price: MicroBttPerMib


Effect: TypeAlias = (
    Asks | Results | Receipts | Look | Seats | Wide | Narrow | Eased | Keep | Delivered | Over | Decided
)
