"""Payment channels: money that is locked once, and paid by signatures alone.

The payer signs cumulative states; the recipient keeps the best one and shows it when it wants its money.

Invariants, checked by tests/unit/domain/ledger/test_channel.py:
C1  what recipient and payer get out of a channel is what was locked;
C2  between payer and recipient `seq` rises strictly; `paid` never falls nor exceeds the lock;
C3  a channel closes once, by the state that pays the most of those that were shown in time;
C4  a state counts in its own ledger and channel only, and signed by the payer only;
C5  while the recipient has not closed and the window runs, the payer gets nothing back.
"""

import hashlib
import struct
from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.core.errors import OwnerMustAct, PeerMisbehaved
from appliance.core.keys import Address, Key, address_of, verify
from appliance.core.units import MOST_MONEY, MicroBtt, UtcMs
from appliance.domain.ledger.book import Entry, Move, entry

ID_BYTES = 32
MOST_SEQ = 2**63 - 1
_STATE_DOMAIN = b"seedbox/channel-state/1"
_STATE = struct.Struct(">32s32sQQ")


class ChannelPhase(StrEnum):
    """The phase of a channel."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"

    @property
    def sentence(self) -> str:
        """What is true of a channel in this phase."""
        return _SENTENCES[self]


_SENTENCES = {
    ChannelPhase.OPEN: "The money is locked. The recipient can close the channel at any time.",
    ChannelPhase.CLOSING: "The payer has closed it. A higher state still wins until the window ends.",
    ChannelPhase.CLOSED: "It is settled: the recipient has what was paid, the payer the rest.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel, as both sides and the operator know it."""

    id: bytes
    ledger: bytes
    payer: bytes
    """Compressed public key: its states are verified with it."""
    recipient: Address
    lock: MicroBtt
    expires: UtcMs
    """The time from which the payer may close it alone."""
    window_ms: int
    """How long the recipient then has to show a higher state."""
    phase: ChannelPhase = ChannelPhase.OPEN
    seq: int = 0
    paid: MicroBtt = MicroBtt(0)
    closes: UtcMs = UtcMs(0)
    """When the window ends; while it is closing."""

    @property
    def account(self) -> str:
        """Where its money lies in the book."""
        return f"channel:{self.id.hex()}"

    @property
    def payer_address(self) -> Address:
        """The account that the money came from, and that the rest goes back to."""
        return address_of(self.payer)


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What the payer has signed: that `paid` in all belongs to the recipient."""

    ledger: bytes
    channel: bytes
    seq: int
    paid: MicroBtt
    signature: bytes


def channel_id(ledger: bytes, payer: bytes, recipient: Address, nonce: bytes) -> bytes:
    """32 bytes that no other channel has; `nonce` is the payer's choice."""
    parts = b"".join(
        len(part).to_bytes(2, "big") + part for part in (ledger, payer, recipient.encode(), nonce)
    )
    return hashlib.sha256(b"seedbox/channel/1\0" + parts).digest()


def open_channel(channel: Channel, now: UtcMs) -> Entry:
    """The entry that locks the money of a new channel. Raises OwnerMustAct where its terms are impossible."""
    if not 0 < channel.lock <= MOST_MONEY:
        raise OwnerMustAct(f"A channel of {channel.lock} µBTT is impossible.")
    if channel.expires <= now:
        raise OwnerMustAct("The channel would end before it starts; check the clock.")
    if channel.window_ms <= 0 or not len(channel.id) == len(channel.ledger) == ID_BYTES:
        raise OwnerMustAct("The channel's terms are incomplete.")
    if channel.payer_address == channel.recipient:
        raise OwnerMustAct("A channel needs two different accounts.")
    move = Move(channel.payer_address, channel.account, channel.lock)
    return entry(f"{channel.account}:open", "channel-open", now, move)


def encode(ledger: bytes, channel: bytes, seq: int, paid: MicroBtt) -> bytes:
    """The bytes that are signed: ledger, channel (32 each), seq, paid (unsigned 64 bits, big-endian)."""
    return _STATE.pack(ledger, channel, seq, paid)


def pay(channel: Channel, key: Key, paid: MicroBtt) -> tuple[Channel, ChannelState]:
    """Sign that `paid` in all is the recipient's. Raises OwnerMustAct where the lock does not cover it.

    The channel that is returned has to be kept before the state is sent: a number is used once.
    """
    if key.public != channel.payer or channel.phase is not ChannelPhase.OPEN:
        raise OwnerMustAct("This channel cannot be paid from.")
    if not channel.paid <= paid <= channel.lock:
        raise OwnerMustAct(
            f"{channel.paid} µBTT are paid and {channel.lock} are locked; {paid} is not between them."
        )
    seq = channel.seq + 1
    signature = key.sign(_STATE_DOMAIN, encode(channel.ledger, channel.id, seq, paid))
    return replace(channel, seq=seq, paid=paid), ChannelState(
        channel.ledger, channel.id, seq, paid, signature
    )


def accept(channel: Channel, state: ChannelState) -> Channel:
    """The channel after a state that is better than the last one. Raises PeerMisbehaved for any other.

    Keep the state durably before giving anything for it.
    """
    check(channel, state)
    if state.seq <= channel.seq:
        raise PeerMisbehaved(f"State {state.seq} of a channel is not newer than {channel.seq}.")
    if state.paid < channel.paid:
        raise PeerMisbehaved(f"A state takes back {channel.paid - state.paid} µBTT.")
    return replace(channel, seq=state.seq, paid=state.paid)


def check(channel: Channel, state: ChannelState) -> None:
    """Make sure that the payer has signed this state of this channel. Raises PeerMisbehaved."""
    if channel.phase is ChannelPhase.CLOSED:
        raise PeerMisbehaved("The channel is closed.")
    if (state.ledger, state.channel) != (channel.ledger, channel.id):
        raise PeerMisbehaved("The state is of another ledger or channel.")
    if not 0 < state.seq <= MOST_SEQ or not 0 <= state.paid <= channel.lock:
        raise PeerMisbehaved("The state's numbers are impossible.")
    message = encode(state.ledger, state.channel, state.seq, state.paid)
    if not verify(channel.payer, _STATE_DOMAIN, message, state.signature):
        raise PeerMisbehaved("The state is not signed by the payer.")


def close(
    channel: Channel, by: Address, state: ChannelState | None, now: UtcMs
) -> tuple[Channel, Entry | None]:
    """Close a channel, with the best state that one has; the entry settles it, None while a window runs.

    Raises OwnerMustAct where this is not allowed yet or any more, PeerMisbehaved for a state that is wrong.
    """
    if channel.phase is ChannelPhase.CLOSED:
        raise OwnerMustAct("The channel is already closed.")
    if by not in (channel.recipient, channel.payer_address):
        raise OwnerMustAct("Only its payer and its recipient can close a channel.")
    shown = _higher(channel, state)
    return _settle(shown, now) if by == channel.recipient else _close_alone(shown, now)


def _close_alone(channel: Channel, now: UtcMs) -> tuple[Channel, Entry | None]:
    """Close a channel as its payer, who has to wait for a better state of the recipient's."""
    if channel.phase is ChannelPhase.CLOSING:
        return finish(channel, now) if now >= channel.closes else (channel, None)
    if now < channel.expires:
        raise OwnerMustAct("Only the recipient can close this channel now; you can when it has expired.")
    return replace(channel, phase=ChannelPhase.CLOSING, closes=UtcMs(now + channel.window_ms)), None


def dispute(channel: Channel, state: ChannelState, now: UtcMs) -> Channel:
    """Show a higher state while the window runs; anybody may. Raises OwnerMustAct when it is over."""
    if channel.phase is not ChannelPhase.CLOSING or now >= channel.closes:
        raise OwnerMustAct("The payer is not closing this channel.")
    return _higher(channel, state)


def finish(channel: Channel, now: UtcMs) -> tuple[Channel, Entry]:
    """Settle when the window has passed. Raises OwnerMustAct before."""
    if channel.phase is not ChannelPhase.CLOSING or now < channel.closes:
        raise OwnerMustAct("The dispute window is still open.")
    return _settle(channel, now)


def _higher(channel: Channel, state: ChannelState | None) -> Channel:
    """The channel with the state if that is higher; one that is not higher changes nothing.

    Higher is what pays more. The number alone must not decide here: the payer could sign a last state with
    the largest number there is that pays nothing, and so undo all that the recipient holds.
    """
    if state is None:
        return channel
    check(channel, state)
    if (state.paid, state.seq) <= (channel.paid, channel.seq):
        return channel
    return replace(channel, seq=max(channel.seq, state.seq), paid=state.paid)


def _settle(channel: Channel, now: UtcMs) -> tuple[Channel, Entry]:
    moves = [
        Move(channel.account, channel.recipient, channel.paid),
        Move(channel.account, channel.payer_address, MicroBtt(channel.lock - channel.paid)),
    ]
    settled = entry(
        f"{channel.account}:close", "channel-close", now, *(move for move in moves if move.amount)
    )
    return replace(channel, phase=ChannelPhase.CLOSED), settled
