"""What a buyer wants done: each effect is carried out by whoever runs it, in the order in which they come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from appliance.core.keys import Address
from appliance.core.units import MicroBtt, MicroBttPerMib
from appliance.domain.auction.contact import ContactId
from appliance.domain.auction.lease import charge
from appliance.domain.auction.messages import Message
from appliance.domain.auction.purchase import Download
from appliance.domain.auction.records import SellerRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a buyer must know of its box: what is wanted, and what there is to pay with."""

    ledger: bytes = b""
    """The id of the ledger that keeps its account."""
    port: int = 0
    """On which peers reach its BitTorrent client; 0: they cannot, so nothing is bid."""
    day_left: MicroBtt = MicroBtt(0)
    """What is left of the owner's budget for the day."""
    downloads: tuple[Download, ...] = ()
    """Everything that is paid for."""
    spent: Mapping[str, MicroBtt] = field(default_factory=dict)
    """Spent on each download that is new to the buyer, by its id."""


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Say something to a seller."""

    line: int
    message: Message


@dataclass(frozen=True, slots=True)
class RepeatPayments:
    """Send the last payments to a seller again: they may have been lost with an earlier connection."""

    line: int
    seller: Address


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close a connection."""

    line: int


@dataclass(frozen=True, slots=True)
class CallMarket:
    """Call a market about a torrent; `Buyer.called` is the answer, and `opened` where somebody is there."""

    host: str
    port: int
    info_hash: bytes


@dataclass(frozen=True, slots=True)
class SeekSellers:
    """Ask the DHT who sells a torrent; `Buyer.found` is the answer."""

    torrent: str
    info_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FundChannel:
    """Have a channel to a seller that covers a bid; `Buyer.funded` or `Buyer.unfunded` is the answer."""

    contact: ContactId
    price: MicroBttPerMib
    credit: int
    """Bytes of the seller's credit window."""
    missing: int
    """Bytes of the torrent."""
    left: MicroBtt
    """What may be locked at most."""
    sole: bool
    """No bid stands to another seller of the torrent."""

    @property
    def enough(self) -> MicroBtt:
        """What covers a credit window, or all that is missing."""
        return charge(min(self.credit, self.missing), self.price)


@dataclass(frozen=True, slots=True)
class SignPayment:
    """Sign that `total` in all is the seller's, and keep that; `Buyer.paid` or `unpaid` is the answer."""

    contact: ContactId
    channel: bytes
    total: MicroBtt


@dataclass(frozen=True, slots=True)
class KeepRecords:
    """Write down what came of dealings before anything that follows is done."""

    records: tuple[tuple[Address, SellerRecord], ...]


@dataclass(frozen=True, slots=True)
class TellOwner:
    """Write an event for the owner."""

    torrent: str
    text: str
    warning: bool


@dataclass(frozen=True, slots=True)
class CountSoon:
    """Count what has arrived without waiting for the next look: a seller wants to be paid."""


BuyerEffect: TypeAlias = (
    SendMessage
    | RepeatPayments
    | HangUp
    | CallMarket
    | SeekSellers
    | FundChannel
    | SignPayment
    | KeepRecords
    | TellOwner
    | CountSoon
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """A channel to pay with."""

    channel: bytes
    lock: MicroBtt
    """What may be paid in it in all; no more than was asked for beyond `paid`."""
    paid: MicroBtt
    resumed: bool
    """It was paid in before."""
