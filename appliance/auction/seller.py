"""One seller: bids come in, rounds are decided, leases are served, stopped and ended. Nothing here waits.

Events go in, effects come out, and who calls carries them out in their order. Money is only spoken of here
after the wallet has kept it (`funded`, `paid`), and a lease is told to its bidder only after `Keep`.

Invariants, checked by tests/unit/test_seller.py:
S1  no bidder has more than one lease, and no lease charges more than its bidder has bid;
S2  who is stopped, ended or has left is not served: its lane is never wide;
S3  who owes for an earlier lease gets no other one before that is paid;
S4  every bidder of a round is told its result, with what it needs to check it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from appliance.auction import lease as leases
from appliance.auction import reserve as reserves
from appliance.auction.clearing import Bid, Cleared, Rule, clear, commitment
from appliance.auction.lanes import Wish
from appliance.auction.lease import CREDIT, LEASE_ROUNDS, ROUND_NS, Lease, Standing, Why, charge
from appliance.auction.meter import Meter
from appliance.auction.reserve import Reserve
from appliance.errors import PeerMisbehaved
from appliance.units import MicroBtt, MicroBttPerMib, MonoNs

SEED_BYTES = 32
RECEIPT_EVERY = 1 << 20
"""Bytes between two receipts."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A bid as it came, by somebody who has proven their key."""

    key: bytes
    ip: str
    torrent: str
    port: int
    price: MicroBttPerMib
    wants: int
    """Bytes."""
    channel: bytes


@dataclass(slots=True)
class Bidder:
    """Somebody who is connected to the market for one torrent."""

    key: bytes
    ip: str
    torrent: str
    offer: Offer | None = None
    available: MicroBtt = MicroBtt(0)  # noqa: RUF009  a NewType, not a call
    """Left in the channel of the offer; 0 until the wallet has looked at it."""


@dataclass(slots=True)
class Served:
    """A lease, and how far it is."""

    lease: Lease
    channel: bytes
    meter: Meter = field(default_factory=Meter)
    told: int = 0
    """Bytes of the last receipt."""
    fresh: bool = True
    """Its meter has not been read since it began."""


# ------------------------------------------------------------------------------------------------ effects


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
    credit: int = CREDIT
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
    """Tell a bidder what was counted."""

    line: int
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
    """Serve a bidder without a limit of its own."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Narrow:
    """Serve a bidder as one that has not won; `shut` as one that does not pay."""

    key: bytes
    shut: bool


@dataclass(frozen=True, slots=True)
class Keep:
    """Write a lease down before anything else is done."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Over:
    """A lease has ended: for the history, and for whoever looks."""

    lease: Lease


Effect: TypeAlias = Asks | Results | Receipts | Look | Seats | Wide | Narrow | Keep | Over


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the owner offers."""

    slots: int
    per_torrent: int = 0
    rule: Rule = Rule.LOWEST_WINNING


class Seller:
    """The market of one box, from its own side."""

    def __init__(
        self, terms: Terms, reserve: Reserve, chance: Callable[[int], bytes], now: MonoNs, round: int = 1
    ) -> None:
        """`chance` gives random bytes; `round` goes on from the last one that was kept."""
        self.terms = terms
        self.reserve = reserve
        self.round = round
        self.began = now
        self._chance = chance
        self._seed = chance(SEED_BYTES)
        self.bidders: dict[int, Bidder] = {}
        self.served: dict[bytes, Served] = {}
        """By the bidder's key."""
        self.debts: dict[bytes, MicroBtt] = {}
        """What is owed for leases that have ended."""
        self._totals: dict[bytes, MicroBtt] = {}
        """What was paid in each channel in all, as far as it was told."""

    # ------------------------------------------------------------------------------------------ events

    def opened(self, line: int, key: bytes, ip: str, torrent: str, now: MonoNs) -> list[Effect]:
        """Somebody has proven who they are, and asks for a torrent's slots."""
        self.bidders[line] = Bidder(key, ip, torrent)
        return [self._asks(line, now)]

    def closed(self, line: int) -> list[Effect]:
        """They have hung up. A lease goes on until its end: what is paid for is served."""
        self.bidders.pop(line, None)
        return []

    def bid(self, line: int, round: int, offer: Offer) -> list[Effect]:
        """A bid; the latest counts, and stands until it is replaced. Raises PeerMisbehaved."""
        bidder = self.bidders[line]
        if (offer.key, offer.ip, offer.torrent) != (bidder.key, bidder.ip, bidder.torrent):
            raise PeerMisbehaved("A bid is for somebody else, or for another torrent.")
        if not self.round <= round <= self.round + 1:
            # The round was over when it came: it counts for the next one.
            round = self.round
        known = bidder.offer
        bidder.offer = offer if offer.price else None
        if not offer.price:
            return []
        if known and known.channel == offer.channel:
            return []
        bidder.available = MicroBtt(0)
        return [Look(line, offer.channel)]

    def funded(self, line: int, channel: bytes, total: MicroBtt, available: MicroBtt) -> list[Effect]:
        """What was paid so far in a channel that was looked at, and what is left in it."""
        bidder = self.bidders.get(line)
        if bidder and bidder.offer and bidder.offer.channel == channel:
            bidder.available = available
            self._totals.setdefault(channel, total)
        return []

    def paid(self, key: bytes, channel: bytes, total: MicroBtt, available: MicroBtt) -> list[Effect]:
        """A state was accepted and kept: `total` in the channel so far, `available` left in it.

        It pays for the lease that is served, or for what an earlier one still owes.
        """
        for bidder in self.bidders.values():
            if bidder.key == key and bidder.offer and bidder.offer.channel == channel:
                bidder.available = available
        more = MicroBtt(max(0, total - self._totals.get(channel, MicroBtt(0))))
        self._totals[channel] = max(total, self._totals.get(channel, MicroBtt(0)))
        served = self.served.get(key)
        if served is None:
            self._owe(key, MicroBtt(self.debts.get(key, MicroBtt(0)) - more))
            return []
        before = served.lease.standing
        served.lease = leases.pay(served.lease, MicroBtt(served.lease.paid + more))
        return self._turned(served, before)

    def counted(self, counters: Mapping[str, dict[str, int]], now: MonoNs) -> list[Effect]:
        """Payload counters of all connections, by address: leases go on, are stopped, or end."""
        effects: list[Effect] = []
        for key, served in list(self.served.items()):
            now_there = dict(counters.get(served.lease.ip, {}))
            if served.fresh:
                served.meter.begin(now_there)
                served.fresh = False
            before = served.lease.standing
            served.lease = leases.check(leases.deliver(served.lease, served.meter.read(now_there)), now)
            effects += self._receipts(served, before)
            effects += self._turned(served, before)
            if served.lease.ended:
                del self.served[key]
                self._owe(key, served.lease.unpaid)
                effects += [Keep(served.lease), Over(served.lease)]
        return effects

    def gone(self, torrent: str) -> list[Effect]:
        """A torrent is here no more: its leases end."""
        effects: list[Effect] = []
        for served in self.served.values():
            if served.lease.torrent == torrent:
                served.lease = leases.end(served.lease, Why.GONE)
                effects.append(Narrow(served.lease.key, shut=False))
        for bidder in self.bidders.values():
            if bidder.torrent == torrent:
                bidder.offer = None
        return effects

    def tick(self, now: MonoNs) -> list[Effect]:
        """Time goes on: the round is decided when it is over."""
        return self._decide(now) if now - self.began >= ROUND_NS else []

    # ------------------------------------------------------------------------------------------ rounds

    def _decide(self, now: MonoNs) -> list[Effect]:
        offers = {line: bidder.offer for line, bidder in self.bidders.items() if bidder.offer}
        able = {line: offer for line, offer in offers.items() if self._able(self.bidders[line], offer)}
        latest = {offer.key: offer for offer in able.values()}
        bids = [Bid(offer.key, offer.ip, offer.torrent, offer.price) for offer in latest.values()]
        cleared = clear(
            bids,
            slots=self.terms.slots,
            reserve=self.reserve.price,
            seed=self._seed,
            rule=self.terms.rule,
            per_torrent=self.terms.per_torrent,
        )
        winners = {bid.key: latest[bid.key] for bid in cleared.winners}
        effects = self._leases(winners, cleared.price, now)
        effects += [self._result(line, offer, cleared) for line, offer in offers.items()]
        effects.append(Seats(tuple(self._wish(offer) for offer in latest.values())))
        for key in latest:
            served = self.served.get(key)
            wide = served is not None and served.lease.standing in (Standing.SERVED, Standing.WARNED)
            effects.append(Wide(key) if wide else Narrow(key, shut=served is not None))
        self.reserve = reserves.after(
            self.reserve,
            slots=self.terms.slots,
            sold=len(winners),
            waiting=len(bids) - len(winners),
            clearing=cleared.price,
        )
        self.round, self.began, self._seed = self.round + 1, now, self._chance(SEED_BYTES)
        return effects + [self._asks(line, now) for line in self.bidders]

    def _able(self, bidder: Bidder, offer: Offer) -> bool:
        """Whether a bid can be paid for, and its bidder owes nothing."""
        least = charge(min(CREDIT, max(1, offer.wants)), offer.price)
        return bidder.available >= least and not self.debts.get(offer.key)

    def _leases(self, winners: Mapping[bytes, Offer], price: MicroBttPerMib, now: MonoNs) -> list[Effect]:
        effects: list[Effect] = []
        for key, offer in winners.items():
            served = self.served.get(key)
            same = served and (served.lease.ip, served.lease.torrent) == (offer.ip, offer.torrent)
            if served and same and served.channel == offer.channel and not served.lease.ended:
                served.lease = leases.renew(served.lease, price, now)
            elif served is None:
                lease = leases.begin(key, offer.ip, offer.torrent, price, now)
                served = self.served[key] = Served(lease, offer.channel)
            else:
                # Another torrent or address: the old lease ends first, and is settled when it was counted.
                served.lease = leases.end(served.lease, Why.TIME)
                continue
            effects.append(Keep(served.lease))
        return effects

    def _result(self, line: int, offer: Offer, cleared: Cleared) -> Results:
        won = any(bid.key == offer.key for bid in cleared.winners)
        taken = sum(bid.torrent == offer.torrent for bid in cleared.winners)
        full = not won and bool(self.terms.per_torrent) and taken >= self.terms.per_torrent
        lease_ms = LEASE_ROUNDS * ROUND_NS // 1_000_000 if won else 0
        return Results(line, self.round, won, cleared.price, lease_ms, self._seed, cleared.tie, full)

    # ----------------------------------------------------------------------------------------- helpers

    def _asks(self, line: int, now: MonoNs) -> Asks:
        left = max(1_000, (self.began + ROUND_NS - now) // 1_000_000)
        return Asks(
            line,
            self.round,
            self.terms.slots,
            self.terms.per_torrent,
            self.reserve.price,
            self.terms.rule,
            commitment(self._seed),
            left,
        )

    def _turned(self, served: Served, before: Standing) -> list[Effect]:
        """What a change of a lease's standing means for its lane."""
        after = served.lease.standing
        if after is before or {after, before} == {Standing.SERVED, Standing.WARNED}:
            return []
        key = served.lease.key
        return [Wide(key)] if after in (Standing.SERVED, Standing.WARNED) else [Narrow(key, shut=True)]

    def _receipts(self, served: Served, before: Standing) -> list[Effect]:
        lease = served.lease
        due = lease.sent - served.told >= RECEIPT_EVERY or lease.standing is not before
        lines = [line for line, bidder in self.bidders.items() if bidder.key == lease.key]
        if not due or not lines:
            return []
        served.told = lease.sent
        return [Receipts(lines[-1], lease.sent, lease.owed, lease.paid)]

    def _owe(self, key: bytes, amount: MicroBtt) -> None:
        """Note what somebody still owes for leases that have ended."""
        if amount > 0:
            self.debts[key] = amount
        else:
            self.debts.pop(key, None)

    def _wish(self, offer: Offer) -> Wish:
        return Wish(offer.key, offer.ip, offer.torrent, offer.port, offer.price)
