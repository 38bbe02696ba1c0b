"""What goes over the line, typed: JSON both ways; amounts are strings of whole µBTT, times ms of UTC.

Strings, because a JSON number loses digits above 2^53 in many languages, and there are more µBTT than that.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from appliance.core.keys import Address
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.channel import Channel, ChannelPhase, ChannelState
from appliance.domain.ledger.gateway import Withdrawal
from appliance.domain.ledger.payout import Payout
from appliance.domain.ledger.statement import AccountLine

Amount = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,18}$", description="Whole µBTT.")]
Sum = Annotated[str, Meta(pattern=r"^-?[0-9]{1,20}$", description="Whole µBTT.")]
Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="32 bytes.")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="The client's own, used once.")]
AddressText = Annotated[str, Meta(pattern=r"^T[1-9A-HJ-NP-Za-km-z]{33}$", description="A TRON address.")]
Whole = Annotated[int, Meta(ge=0, lt=2**53)]


class NewTransfer(Struct, forbid_unknown_fields=True):
    """Money for another account; the same name twice is the same transfer."""

    name: Name
    to: AddressText
    amount: Amount
    about: Annotated[str, Meta(max_length=200)] = ""


class NewChannel(Struct, forbid_unknown_fields=True):
    """A channel to another account; the same name twice is the same channel."""

    name: Name
    recipient: AddressText
    lock: Amount
    expires: Whole
    window_ms: Annotated[int, Meta(ge=60_000, le=30 * 86_400_000)] = 86_400_000


class NewWithdrawal(Struct, forbid_unknown_fields=True):
    """Money for the chain; the same name twice is the same withdrawal."""

    name: Name
    to: AddressText
    amount: Amount


class NewPayout(Struct, forbid_unknown_fields=True):
    """Another payout address."""

    to: AddressText


class PayoutInfo(Struct):
    """The payout address of an account."""

    address: str
    """The address in force; empty where there is none."""
    next: str
    """The address that is going to be in force; empty where none waits."""
    since: int
    """The time from which it is."""


class NewMark(Struct, forbid_unknown_fields=True):
    """A mark in place of one that is known."""

    known: Annotated[list[Hex32], Meta(max_length=2)]
    new: Hex32


class MarkInfo(Struct):
    """The mark that is there."""

    mark: Hex32
    """Another than the new one: it was left since, by a later state of the database, and stays."""


class WithdrawalInfo(Struct):
    """One withdrawal."""

    id: str
    to: AddressText
    amount: Sum
    at: int
    phase: str
    txid: str
    """Empty until it is signed."""


class Withdrawals(Struct):
    """One's own withdrawals, the newest first."""

    withdrawals: list[WithdrawalInfo]


class ShownState(Struct, forbid_unknown_fields=True):
    """A state that the payer has signed."""

    seq: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,18}$")]
    paid: Sum
    signature: Annotated[str, Meta(pattern=r"^[0-9a-f]{128}$")]

    def of(self, channel: Channel) -> ChannelState:
        """The state, as one of this channel."""
        paid = MicroBtt(int(self.paid))
        return ChannelState(channel.ledger, channel.id, int(self.seq), paid, bytes.fromhex(self.signature))


class Closing(Struct, forbid_unknown_fields=True):
    """Close a channel, with the best state that one has."""

    state: ShownState | None = None


class Dispute(Struct, forbid_unknown_fields=True):
    """A higher state, while the window runs."""

    state: ShownState


class GatewayInfo(Struct):
    """The way to the chain, as the gateway last saw it."""

    address: AddressText
    """Deposits go there, with one's own address as their memo."""
    asset: str
    """Id of a TRC-10 token, or the address of a TRC-20 contract."""
    development: bool
    """A development chain, whose money is worth nothing."""
    fee: int
    """SUN that a withdrawal costs the gateway now, to an address that was used before."""
    fee_new: int
    """The same to one that was not."""


class LedgerInfo(Struct):
    """What anybody may know: who keeps this ledger, and whether it is covered."""

    id: Hex32
    name: str
    time: int
    held: Sum
    """What all accounts hold together, locked money among it."""
    outside: Sum
    """What came in from outside, less what went out: must equal `held`."""
    solid: Sum | None
    """Solid holdings on the chain, as the gateway last saw them; null where there is no gateway."""
    difference: Sum | None
    """Solid less held: below zero the ledger owes more than it has."""
    gateway: GatewayInfo | None = None


class TransferInfo(Struct):
    """What is left after a transfer."""

    balance: Sum


class AccountInfo(Struct):
    """One's own account."""

    address: AddressText
    balance: Sum
    locked: Sum
    """Money in channels that the account pays from."""


class StatementLine(Struct):
    """What one entry did to the account."""

    number: int
    at: int
    kind: str
    cause: str
    about: str
    amount: Sum
    balance: Sum


class Statement(Struct):
    """Lines of one's own account, the oldest first."""

    lines: list[StatementLine]


class ChannelInfo(Struct):
    """One channel."""

    id: Hex32
    payer: Annotated[str, Meta(pattern=r"^0[23][0-9a-f]{64}$")]
    recipient: AddressText
    lock: Sum
    paid: Sum
    seq: str
    phase: str
    expires: int
    window_ms: int
    closes: int


class Channels(Struct):
    """Channels in which one is payer or recipient."""

    channels: list[ChannelInfo]


class Problem(Struct):
    """Why a request was refused; `code` is for programs, `message` for people."""

    code: str
    message: str
    time: int | None = None
    """The ledger's time, where the request's was wrong."""


def line_info(line: AccountLine) -> StatementLine:
    """A line for the line."""
    return StatementLine(
        line.number, line.at, line.kind, line.cause, line.about, str(line.amount), str(line.balance)
    )


def payout_info(payout: Payout | None, now: UtcMs) -> PayoutInfo:
    """A payout address for the line."""
    if payout is None:
        return PayoutInfo("", "", 0)
    waits = payout.at(now) != payout.address
    return PayoutInfo(payout.at(now) or "", payout.address if waits else "", payout.since)


def withdrawal_info(one: Withdrawal) -> WithdrawalInfo:
    """A withdrawal for the line."""
    return WithdrawalInfo(one.id, one.to, str(one.amount), one.at, one.phase.value, one.txid.hex())


def channel_info(channel: Channel) -> ChannelInfo:
    """A channel for the line."""
    return ChannelInfo(
        id=channel.id.hex(),
        payer=channel.payer.hex(),
        recipient=channel.recipient,
        lock=str(channel.lock),
        paid=str(channel.paid),
        seq=str(channel.seq),
        phase=channel.phase.value,
        expires=channel.expires,
        window_ms=channel.window_ms,
        closes=channel.closes,
    )


def channel_of(info: ChannelInfo, ledger: bytes) -> Channel:
    """The channel that an operator's answer describes."""
    return Channel(
        id=bytes.fromhex(info.id),
        ledger=ledger,
        payer=bytes.fromhex(info.payer),
        recipient=Address(info.recipient),
        lock=MicroBtt(int(info.lock)),
        expires=UtcMs(info.expires),
        window_ms=info.window_ms,
        phase=ChannelPhase(info.phase),
        seq=int(info.seq),
        paid=MicroBtt(int(info.paid)),
        closes=UtcMs(info.closes),
    )


def encode(answer: object) -> bytes:
    """JSON."""
    return msgspec.json.encode(answer)
