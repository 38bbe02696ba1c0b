"""What the auction and storage parts do with money: hold it, open channels, pay, and be paid.

Invariants, checked by tests/unit/domain/wallet/test_wallet.py:
W1  what is held and locked never exceeds what the account holds;
W2  a state is on the disk before it is sent, and before anything is given for it;
W3  what was earned or spent through a channel is what its best state pays;
W4  a channel of which the box may not know the last state is neither paid in nor accepted from.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from appliance.core.errors import NotFound, OwnerMustAct, PeerMisbehaved, RetryLater
from appliance.core.keys import Address, Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger import channel as channels
from appliance.domain.ledger.channel import Channel, ChannelPhase, ChannelState
from appliance.domain.ledger.statement import AccountLine
from appliance.domain.wallet.model import ChannelStanding, Hold, Purpose, WalletChannel
from appliance.domain.wallet.ports import LedgerAccount, WalletStore

T = TypeVar("T")
HOUR_MS = 3_600_000
WINDOW_MS = 24 * HOUR_MS
"""The dispute window of channels that the box opens; an operator or a box may be away for that long."""
CLOSE_BEFORE_MS = 2 * HOUR_MS
"""The recipient closes a channel so long before its payer could."""


class Wallet:
    """The box's money at one ledger. Not before `load`."""

    def __init__(self, key: Key, ledger: LedgerAccount, store: WalletStore) -> None:
        self.key = key
        self.ledger = store.ledger
        """The ledger's id."""
        self.store = store
        self._ledger = ledger
        self._line = ThreadPoolExecutor(1, "ledger")
        self._held: dict[bytes, WalletChannel] = {}
        self._busy: dict[bytes, asyncio.Lock] = {}
        self.states = 0
        """States that were paid or accepted since the start."""

    async def load(self) -> None:
        """Read the channels that are under way."""
        self._held = {held.channel.id: held for held in await self.store.channels()}

    def close(self) -> None:
        """Let go of the ledger's line."""
        self._line.shutdown(wait=False, cancel_futures=True)

    async def ask(self, work: Callable[[LedgerAccount], T]) -> T:
        """Ask the ledger, one question after another, without holding up the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._line, work, self._ledger)

    def day(self, back: int = 0) -> str:
        """Today (UTC) by the ledger's clock, or so many days before: `2026-11-21`."""
        return time.strftime("%Y-%m-%d", time.gmtime(self._ledger.now() // 1_000 - back * 86_400))

    def held(self, id: bytes) -> WalletChannel:
        """A channel that is under way. Raises NotFound."""
        if id not in self._held:
            raise NotFound(f"This box has no channel {id.hex()[:16]}.")
        return self._held[id]

    @property
    def channels(self) -> list[WalletChannel]:
        """Those that the ledger has not settled."""
        return list(self._held.values())

    # ------------------------------------------------------------------------------------------- holds

    async def hold(self, amount: MicroBtt, about: str = "") -> str:
        """Set money apart for something that may be bought; the hold's id. Raises NotEnough."""
        if amount <= 0:
            raise OwnerMustAct("The amount must be more than 0.")
        hold = Hold(secrets.token_hex(16), amount, amount, self._ledger.now(), about[:200])
        await self.store.put_hold(hold)
        return hold.id

    async def release(self, hold: str) -> None:
        """Give back what is left of a hold; twice is once."""
        await self.store.drop_hold(hold)

    # ---------------------------------------------------------------------------------------- channels

    async def open_channel(
        self, hold: str, recipient: Address, lock: MicroBtt, life_ms: int, purpose: Purpose
    ) -> WalletChannel:
        """Lock money of a hold in a channel to somebody; usable when this returns.

        Raises NotEnough; RetryLater where the ledger does not answer: it is asked again by the keeper, and
        the money stays set apart until it has answered.
        """
        if purpose.earns:
            raise OwnerMustAct("The payer opens the channel, not the recipient.")
        name = secrets.token_hex(16)
        ledger = await self.ask(lambda ledger: ledger.ledger)
        channel = Channel(
            id=channels.channel_id(ledger, self.key.public, recipient, name.encode()),
            ledger=ledger,
            payer=self.key.public,
            recipient=recipient,
            lock=lock,
            expires=UtcMs(self._ledger.now() + life_ms),
            window_ms=WINDOW_MS,
        )
        held = WalletChannel(channel=channel, purpose=purpose, standing=ChannelStanding.OPENING, name=name)
        await self._begin(held, hold)
        return await self.opened(held)

    async def opened(self, held: WalletChannel) -> WalletChannel:
        """Ask the ledger for a channel that was begun; the same again is the same channel."""
        one = held.channel
        try:
            theirs = await self.ask(
                lambda ledger: ledger.open(held.name, one.recipient, one.lock, one.expires, one.window_ms)
            )
        except RetryLater:
            raise
        except OwnerMustAct:
            await self._put(replace(held, standing=ChannelStanding.FORGOTTEN))
            raise
        if theirs.id != one.id:
            await self._put(replace(held, standing=ChannelStanding.FORGOTTEN))
            raise PeerMisbehaved("The ledger opened a different channel from the one requested.")
        after = replace(held, standing=ChannelStanding.OPEN)
        await self._put(after)
        return after

    async def adopt(self, id: bytes, purpose: Purpose) -> WalletChannel:
        """Begin to be paid in a channel that somebody has opened to the box. Raises PeerMisbehaved."""
        if id in self._held:
            return self._held[id]
        try:
            channel = await self.ask(lambda ledger: ledger.channel(id))
        except NotFound as error:
            raise PeerMisbehaved("The ledger does not know this channel.") from error
        if (
            channel.recipient != self.key.address
            or channel.phase is not ChannelPhase.OPEN
            or not purpose.earns
        ):
            raise PeerMisbehaved("This channel does not pay this box.")
        if channel.expires - self._ledger.now() <= CLOSE_BEFORE_MS:
            raise PeerMisbehaved("The channel ends too soon.")
        held = WalletChannel(channel=channel, purpose=purpose, standing=ChannelStanding.OPEN)
        try:
            await self._begin(held)
        except OwnerMustAct as error:
            # Its states are known up to some number; begun anew, old ones would count a second time.
            raise PeerMisbehaved("The channel has been used before and is over.") from error
        return held

    async def freeze(self, channel: Channel) -> None:
        """Keep a channel that the ledger knows and the box does not, so that it is never used."""
        earns = channel.recipient == self.key.address
        purpose = Purpose.DISTRIBUTION if earns else Purpose.DOWNLOADING
        unknown = replace(channel, seq=0, paid=MicroBtt(0))
        await self._begin(WalletChannel(channel=unknown, purpose=purpose, standing=ChannelStanding.FROZEN))

    async def pay(self, id: bytes, paid: MicroBtt, torrent: str) -> ChannelState:
        """The signed state that `paid` in all is the recipient's; durable before it is returned.

        Raises OwnerMustAct where the channel does not cover it, or is not paid in any more.
        """
        async with self._lock(id):
            held = self._usable(id)
            after, state = channels.pay(held.channel, self.key, paid)
            await self._keep(held, after, state, torrent)
            return state

    async def accept_state(self, id: bytes, state: ChannelState, torrent: str) -> MicroBtt:
        """What a payer's state brings beyond the last one; durable before it is returned.

        Raises PeerMisbehaved for a state that is wrong, old, or of a channel that is not open here.
        """
        async with self._lock(id):
            held = self._usable(id)
            if not held.purpose.earns:
                raise PeerMisbehaved("The box pays through this channel; it is not paid.")
            after = channels.accept(held.channel, state)
            await self._keep(held, after, state, torrent)
            return MicroBtt(after.paid - held.channel.paid)

    async def close_channel(self, id: bytes) -> WalletChannel:
        """Close a channel for its recipient, or begin to for its payer. Raises RetryLater, OwnerMustAct."""
        async with self._lock(id):
            held = self._held[id]
            try:
                theirs = await self.ask(lambda ledger: ledger.close_channel(id, held.state))
            except NotFound:
                after = replace(held, standing=ChannelStanding.FORGOTTEN)
            else:
                after = settled(held, theirs)
            await self._put(after)
            return after

    async def stand(self, id: bytes, theirs: Channel | None, standing: ChannelStanding) -> WalletChannel:
        """Note how a channel stands, and what the ledger says of it."""
        async with self._lock(id):
            held = self._held[id]
            after = replace(settled(held, theirs) if theirs else held, standing=standing)
            await self._put(after)
            return after

    async def verify(self) -> int:
        """Add everything up again, and check every state; the number of entries. Raises OwnerMustAct."""
        lines = [*reversed(await self.store.lines(0, 2**31))]
        check(None, lines)
        for held in self.channels:
            one = held.channel
            if state := held.state:
                try:
                    channels.check(replace(one, phase=ChannelPhase.OPEN), state)
                except PeerMisbehaved as error:
                    raise OwnerMustAct(
                        f"The saved state of channel {one.id.hex()[:16]} is damaged: {error}"
                    ) from error
            elif one.paid:
                raise OwnerMustAct(f"Channel {one.id.hex()[:16]} has a payment without a signature.")
        if wrong := await self.store.audit():
            raise OwnerMustAct(f"The sums for channel {wrong.hex()[:16]} do not match what it has paid.")
        return len(lines)

    # ----------------------------------------------------------------------------------------- helpers

    def _lock(self, id: bytes) -> asyncio.Lock:
        return self._busy.setdefault(id, asyncio.Lock())

    def _usable(self, id: bytes) -> WalletChannel:
        held = self._held.get(id)
        if held is None or held.standing is not ChannelStanding.OPEN:
            standing = held.standing.sentence if held else ChannelStanding.FORGOTTEN.sentence
            raise PeerMisbehaved(f"Channel {id.hex()[:16]} is not in use: {standing}")
        return held

    async def _keep(self, held: WalletChannel, after: Channel, state: ChannelState, torrent: str) -> None:
        new = replace(held, channel=after, signature=state.signature)
        await self.store.put_state(new, self.day(), torrent, MicroBtt(after.paid - held.channel.paid))
        self._held[after.id] = new
        self.states += 1

    async def _begin(self, held: WalletChannel, hold: str = "") -> None:
        await self.store.new_channel(held, hold)
        self._held[held.channel.id] = held

    async def _put(self, held: WalletChannel) -> None:
        await self.store.put_channel(held)
        if held.standing in (ChannelStanding.CLOSED, ChannelStanding.FORGOTTEN):
            self._held.pop(held.channel.id, None)
            self._busy.pop(held.channel.id, None)
        else:
            self._held[held.channel.id] = held


def check(last: AccountLine | None, fresh: Sequence[AccountLine]) -> None:
    """Make sure that lines add up and go on from the last one. Raises OwnerMustAct."""
    balance, number = (last.balance, last.number) if last else (0, 0)
    for line in fresh:
        if line.balance != balance + line.amount or line.number <= number:
            raise OwnerMustAct(
                f"The ledger's statement does not add up at entry {line.number}. The box accepts no more of "
                "it. Ask the ledger's operator."
            )
        balance, number = line.balance, line.number


def settled(held: WalletChannel, theirs: Channel) -> WalletChannel:
    """A channel as the ledger tells of it; of its states the box knows better."""
    channel = replace(held.channel, phase=theirs.phase, closes=theirs.closes)
    closed = theirs.phase is ChannelPhase.CLOSED
    return replace(held, channel=channel, standing=ChannelStanding.CLOSED if closed else held.standing)
