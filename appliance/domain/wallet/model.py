"""What the box knows of its money."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.core.keys import Address
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.channel import Channel, ChannelState
from appliance.domain.ledger.statement import AccountLine


class Purpose(StrEnum):
    """What money is paid for."""

    DISTRIBUTION = "distribution"
    STORAGE = "storage"
    DOWNLOADING = "downloading"
    STORING = "storing"

    @property
    def earns(self) -> bool:
        """Whether the box is the one that is paid."""
        return self in (Purpose.DISTRIBUTION, Purpose.STORAGE)


class ChannelStanding(StrEnum):
    """How a channel stands with this box."""

    OPENING = "opening"
    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"
    FORGOTTEN = "forgotten"

    @property
    def sentence(self) -> str:
        """What is true of a channel that stands so."""
        return _STANDINGS[self]


_STANDINGS = {
    ChannelStanding.OPENING: "The ledger was asked to open it and has not answered yet.",
    ChannelStanding.OPEN: "It is in use.",
    ChannelStanding.FROZEN: "It is no longer used: it ends soon, or the box may not know its last state.",
    ChannelStanding.CLOSED: "The ledger has settled it.",
    ChannelStanding.FORGOTTEN: "The ledger does not know it, or no longer knows it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletChannel:
    """A channel that the box pays in or is paid in, with the best state that it knows."""

    channel: Channel
    purpose: Purpose
    standing: ChannelStanding
    name: str = ""
    """The name under which the ledger was asked to open it; empty where another has opened it."""
    signature: bytes = b""
    """The payer's signature of the state in `channel`."""

    @property
    def counterparty(self) -> Address:
        """Who is at the other end."""
        return self.channel.payer_address if self.purpose.earns else self.channel.recipient

    @property
    def state(self) -> ChannelState | None:
        """The best state, None before the first."""
        if not self.signature:
            return None
        one = self.channel
        return ChannelState(one.ledger, one.id, one.seq, one.paid, self.signature)


@dataclass(frozen=True, slots=True)
class Hold:
    """Money that is set apart for something that may be bought."""

    id: str
    amount: MicroBtt
    left: MicroBtt
    at: UtcMs
    about: str


@dataclass(frozen=True, slots=True)
class Sum:
    """What was earned or spent under one heading."""

    heading: str
    """A day (`2026-11-21`, UTC), a torrent's id, or a counterparty's address."""
    purpose: Purpose
    amount: MicroBtt


@dataclass(frozen=True, slots=True)
class Sums:
    """The account, as far as the box knows it."""

    balance: MicroBtt
    """The balance at the ledger, after the last line that the box has read."""
    held: MicroBtt
    """The part of it that is reserved, by holds or for channels that the statement does not show yet."""
    locked: MicroBtt
    """Not in the balance: money in channels that the box pays from, and has not paid yet."""
    receivable: MicroBtt
    """Not in the balance: money that was paid to the box in channels that are not closed."""

    @property
    def available(self) -> MicroBtt:
        """Can be held for something new."""
        return MicroBtt(self.balance - self.held)


@dataclass(frozen=True, slots=True)
class Divergence:
    """A statement that does not continue the one that the ledger gave before."""

    lines: Sequence[AccountLine]
    """The lines that it no longer has."""

    @property
    def amount(self) -> MicroBtt:
        """What they did to the account together."""
        return MicroBtt(sum(line.amount for line in self.lines))
