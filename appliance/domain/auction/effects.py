"""What a seller wants done: whoever runs it does each, in the order in which they come."""

from dataclasses import dataclass
from typing import TypeAlias

from appliance.core.units import MicroBttPerMib
from appliance.domain.auction.lanes import LaneRequest, LaneService
from appliance.domain.auction.lease import Lease
from appliance.domain.auction.messages import Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message over a connection to the market."""

    connection: int
    message: Message


@dataclass(frozen=True, slots=True)
class Inspect:
    """Ask the ledger about the channel that a bidder wants to pay with; `funded` is the answer."""

    connection: int
    channel: bytes


@dataclass(frozen=True, slots=True)
class AssignLanes:
    """Give lanes to these bidders, and to nobody else."""

    requests: tuple[LaneRequest, ...]


@dataclass(frozen=True, slots=True)
class SetService:
    """Serve a bidder's lane in another way."""

    key: bytes
    service: LaneService


@dataclass(frozen=True, slots=True)
class Keep:
    """Save `memory()` before anything that follows is done."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Bytes were sent in a lease: for the history."""

    torrent: str
    count: int


@dataclass(frozen=True, slots=True)
class LeaseOver:
    """A lease has ended: for the history, and for the owner."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Decided:
    """A round is over: for the history."""

    sold: int
    waiting: int
    """Bids that did not win."""
    price: MicroBttPerMib


Effect: TypeAlias = Send | Inspect | AssignLanes | SetService | Keep | Delivered | LeaseOver | Decided
