"""Requests that many make at once: each says what it needs, and shares a transaction with others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from appliance.adapters.ledger_http import messages as wire
from appliance.adapters.store.ledger_unit import Draft, Needs, Nonce
from appliance.core.clock import Clock
from appliance.core.errors import NotFound, OwnerMustAct, PeerMisbehaved
from appliance.core.keys import Address, parse_address
from appliance.core.units import MOST_MONEY, MicroBtt, UtcMs
from appliance.domain.ledger import channel as channels
from appliance.domain.ledger.book import CauseReused, Move, entry
from appliance.domain.ledger.channel import Channel, ChannelState
from appliance.domain.ledger.request import Signer

S = TypeVar("S")
T = TypeVar("T")
LONGEST_CHANNEL_MS = 366 * 86_400_000


class Replayed(PeerMisbehaved):
    """A signed request came for a second time."""


@dataclass(frozen=True, slots=True)
class SignedRequest(Generic[T]):
    """A signed request that can be done together with others."""

    signer: Signer
    needs: Needs
    work: Callable[[Draft], T]

    def then(self, show: Callable[[T], S]) -> "SignedRequest[S]":
        """The same, with its result shown in another way."""
        return SignedRequest(self.signer, self.needs, lambda draft: show(self.work(draft)))


class Requests:
    """What accounts ask of one ledger in passing, many a second."""

    def __init__(self, ledger: bytes, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def transferring(self, signer: Signer, wanted: wire.NewTransfer) -> SignedRequest[MicroBtt]:
        """Pay another account; the balance after it."""
        who, to = signer.address, parse_address(wanted.to)
        if to == who:
            raise OwnerMustAct("You cannot transfer to your own account.")
        move = Move(who, to, amount_of(wanted.amount))
        line = entry(f"transfer:{who}:{wanted.name}", "transfer", self._clock.now(), move, about=wanted.about)

        def work(draft: Draft) -> MicroBtt:
            try:
                draft.post(line)
            except CauseReused as error:
                raise OwnerMustAct(
                    "A transfer with this name already exists; choose another name."
                ) from error
            return draft.balance(who)

        return SignedRequest(
            signer, Needs(accounts=(who, to), causes=(line.cause,), nonce=nonce_of(signer)), work
        )

    def opening(self, signer: Signer, wanted: wire.NewChannel) -> SignedRequest[Channel]:
        """Lock money in a channel."""
        now, recipient = self._clock.now(), parse_address(wanted.recipient)
        if wanted.expires > now + LONGEST_CHANNEL_MS:
            raise OwnerMustAct("A channel lasts one year at most; choose an earlier end.")
        channel = Channel(
            id=channels.channel_id(self._ledger, signer.public, recipient, wanted.name.encode()),
            ledger=self._ledger,
            payer=signer.public,
            recipient=recipient,
            lock=amount_of(wanted.lock),
            expires=UtcMs(wanted.expires),
            window_ms=wanted.window_ms,
        )

        def work(draft: Draft) -> Channel:
            try:
                known = draft.channel(channel.id)
            except NotFound:
                draft.post(channels.open_channel(channel, now))
                draft.put_channel(channel)
                return channel
            if _terms(known) != _terms(channel):
                raise OwnerMustAct(
                    "A channel with this name but other terms already exists; choose another name."
                )
            return known

        needs = Needs(
            accounts=(signer.address, channel.account),
            causes=(f"{channel.account}:open",),
            channels=(channel.id,),
            nonce=nonce_of(signer),
        )
        return SignedRequest(signer, needs, work)

    def closing(self, signer: Signer, id: bytes, shown: wire.ShownState | None) -> SignedRequest[Channel]:
        """Close a channel for its recipient, or begin to for its payer; closed ones stay as they are."""

        def work(draft: Draft) -> Channel:
            found = draft.channel(id)
            check_inside(found, signer.address)
            if found.phase is channels.ChannelPhase.CLOSED:
                return found
            state = shown.of(found) if shown else None
            after, settled = channels.close(found, signer.address, state, self._clock.now())
            if settled:
                draft.post(settled)
            draft.put_channel(after)
            return after

        needs = Needs(causes=(f"channel:{id.hex()}:close",), channels=(id,), nonce=nonce_of(signer))
        return SignedRequest(signer, needs, work)

    def disputing(self, signer: Signer, id: bytes, shown: wire.ShownState) -> SignedRequest[Channel]:
        """Show a higher state while the payer's closing can still be put right."""

        def work(draft: Draft) -> Channel:
            found = draft.channel(id)
            check_inside(found, signer.address)
            state: ChannelState = shown.of(found)
            after = channels.dispute(found, state, self._clock.now())
            draft.put_channel(after)
            return after

        return SignedRequest(signer, Needs(channels=(id,), nonce=nonce_of(signer)), work)


def _terms(channel: Channel) -> tuple[MicroBtt, UtcMs, int]:
    return channel.lock, channel.expires, channel.window_ms


def nonce_of(signer: Signer) -> Nonce:
    """What tells a signed request from every other."""
    return signer.public, signer.nonce, signer.at


def amount_of(text: str) -> MicroBtt:
    """An amount in µBTT. Raises OwnerMustAct where there is not that much money."""
    amount = int(text)
    if amount > MOST_MONEY:
        raise OwnerMustAct(f"{text} µBTT is too much.")
    return MicroBtt(amount)


def check_inside(channel: Channel, who: Address) -> None:
    """Strangers learn nothing of a channel, not even that it exists."""
    if who not in (channel.recipient, channel.payer_address):
        raise NotFound(f"This ledger has no channel {channel.id.hex()[:16]}.")
