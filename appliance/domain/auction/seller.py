"""One seller: bids come in, rounds are decided, leases are served, stopped and ended. Nothing here waits.

Events go in, effects come out, and who calls carries them out in their order. Money is only spoken of here
after the wallet has kept it (`funded`, `paid`), and a lease is told to its bidder only after `Keep`. What is
kept is enough to go on after a crash: the payer never pays twice, the seller loses a credit window at most.

Invariants, checked by tests/unit/domain/auction/test_seller.py:
S1  no bidder has more than one lease, and no lease charges more than its bidder has bid;
S2  who is stopped, ended or has left is not served: its lane is never wide;
S3  who owes for an earlier lease gets no other one before that is paid;
S4  every bidder of a round is told its result, with what it needs to check it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from appliance.core.errors import PeerMisbehaved
from appliance.core.units import MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction import lease as leases
from appliance.domain.auction import reserve as reserves
from appliance.domain.auction.clearing import Bid, Cleared, Rule, clear, commitment
from appliance.domain.auction.effects import (
    Asks,
    Decided,
    Delivered,
    Eased,
    Effect,
    Keep,
    Look,
    Narrow,
    Over,
    Receipts,
    Results,
    Seats,
    Wide,
)
from appliance.domain.auction.lanes import Wish
from appliance.domain.auction.lease import CREDIT, LEASE_ROUNDS, ROUND_NS, Lease, Standing, Why, charge
from appliance.domain.auction.meter import Meter
from appliance.domain.auction.reserve import Reserve

SEED_BYTES = 32
RECEIPTS = 4
"""In a credit window: each is a signature here and there, and a payment that is synced to two disks."""
LOOK_NS = 250_000_000
"""How often counters are to be read while leases run."""
MOST_DEBTS = 10_000


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
    lock: MicroBtt = MicroBtt(0)
    """Of the offer's channel; 0 until the wallet has looked at it."""
    paid: MicroBtt = MicroBtt(0)
    """In that channel, in all."""
    told: str = ""
    """Why it gets less than usual, as it was told last."""


@dataclass(slots=True)
class Served:
    """A lease, and how far it is."""

    lease: Lease
    port: int
    """Of its holder's BitTorrent client."""
    meter: Meter = field(default_factory=Meter)
    told: int = 0
    """Bytes of the last receipt."""
    fresh: bool = True
    """Its meter has not been read since it began."""
    wide: bool | None = None
    """Whether it is served before all others; None: nothing was said yet."""


@dataclass(frozen=True, slots=True)
class Debt:
    """What is owed for a lease that has ended: that `due` in all is paid in a channel."""

    channel: bytes
    due: MicroBtt
    paid: MicroBtt


@dataclass(frozen=True, slots=True)
class Sold:
    """A lease as it is kept over a restart."""

    key: bytes
    ip: str
    torrent: str
    port: int
    channel: bytes
    lock: MicroBtt
    price: MicroBttPerMib
    due: MicroBtt


@dataclass(frozen=True, slots=True)
class Memory:
    """What a seller must not forget."""

    round: int = 1
    reserve: MicroBttPerMib = MicroBttPerMib(0)
    sold: tuple[Sold, ...] = ()
    debts: Mapping[bytes, Debt] = field(default_factory=dict)
    """By the debtor's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the owner offers."""

    slots: int
    per_torrent: int = 0
    rule: Rule = Rule.LOWEST_WINNING
    credit: int = CREDIT
    """Bytes that are sent before they are paid, at most."""


class Seller:
    """The market of one box, from its own side."""

    def __init__(
        self,
        terms: Terms,
        reserve: Reserve,
        chance: Callable[[int], bytes],
        now: MonoNs,
        memory: Memory = Memory(),
        paid: Mapping[bytes, MicroBtt] = {},
    ) -> None:
        """`chance` gives random bytes; `memory` is what was kept last, `paid` what its channels have paid."""
        self.terms = terms
        # Where the owner has posted a price, the one that was kept is of another configuration.
        known = memory.reserve if reserve.adaptive else MicroBttPerMib(0)
        self.reserve = reserves.limited(replace(reserve, price=max(reserve.price, known)))
        self.round = memory.round
        self.began = now
        self._chance = chance
        self._seed = chance(SEED_BYTES)
        self.bidders: dict[int, Bidder] = {}
        self.served: dict[bytes, Served] = {
            one.key: _resumed(one, paid[one.channel], terms.credit, now)
            for one in memory.sold
            if one.channel in paid
        }
        """By the bidder's key."""
        self._says, self._new_work = "", True
        self.debts: dict[bytes, Debt] = {}
        for key, debt in memory.debts.items():
            self._owe(key, replace(debt, paid=max(debt.paid, paid.get(debt.channel, debt.paid))))

    def memory(self) -> Memory:
        """What is to be kept."""
        sold = [
            Sold(
                key,
                served.lease.ip,
                served.lease.torrent,
                served.port,
                served.lease.channel,
                served.lease.lock,
                served.lease.price,
                served.lease.owed,
            )
            for key, served in self.served.items()
            if not served.lease.ended
        ]
        return Memory(self.round, self.reserve.price, tuple(sold), dict(self.debts))

    def seats(self) -> Seats:
        """Lanes for those whose leases were taken up again."""
        return Seats(tuple(_wish_of(served) for served in self.served.values()))

    # ------------------------------------------------------------------------------------------ events

    def opened(self, line: int, key: bytes, ip: str, torrent: str, now: MonoNs) -> list[Effect]:
        """Somebody has proven who they are, and asks for a torrent's slots."""
        self.bidders[line] = Bidder(key, ip, torrent)
        return [self._asks(line, now)]

    def closed(self, line: int) -> list[Effect]:
        """They have hung up. A lease goes on until its end: what is paid for is served."""
        self.bidders.pop(line, None)
        return []

    def bid(self, line: int, offer: Offer) -> list[Effect]:
        """A bid; the latest counts, and stands until it is replaced. Raises PeerMisbehaved.

        It counts for the round in which it comes: one that crossed the end of a round, for the next.
        """
        bidder = self.bidders[line]
        if (offer.key, offer.ip, offer.torrent) != (bidder.key, bidder.ip, bidder.torrent):
            raise PeerMisbehaved("A bid is for somebody else, or for another torrent.")
        known = bidder.offer
        bidder.offer = offer if offer.price else None
        if not offer.price or (known and known.channel == offer.channel):
            return []
        bidder.lock = bidder.paid = MicroBtt(0)
        return [Look(line, offer.channel)]

    def funded(self, line: int, channel: bytes, paid: MicroBtt, lock: MicroBtt) -> list[Effect]:
        """What was paid so far in a channel that was looked at, and what it holds in all.

        Who owes something in it is told.
        """
        bidder = self.bidders.get(line)
        if bidder is None or bidder.offer is None or bidder.offer.channel != channel:
            return []
        bidder.paid, bidder.lock = paid, lock
        debt, served = self.debts.get(bidder.key), self.served.get(bidder.key)
        if served and served.lease.channel == channel and served.lease.unpaid:
            return [Receipts(line, channel, served.lease.sent, served.lease.owed, served.lease.paid)]
        if debt and debt.channel == channel:
            return [Receipts(line, channel, 0, debt.due, debt.paid)]
        return []

    def paid(self, key: bytes, channel: bytes, total: MicroBtt) -> list[Effect]:
        """A state was accepted and kept: `total` in the channel so far."""
        for bidder in self.bidders.values():
            if bidder.key == key and bidder.offer and bidder.offer.channel == channel:
                bidder.paid = max(bidder.paid, total)
        debt, served = self.debts.get(key), self.served.get(key)
        if debt and debt.channel == channel:
            self._owe(key, replace(debt, paid=max(debt.paid, total)))
        if served is None or served.lease.channel != channel:
            return []
        served.lease = leases.pay(served.lease, total)
        return self._widths(served)

    def disagreed(self, line: int) -> list[Effect]:
        """A bidder finds that the two meters do not agree: its lease ends."""
        bidder = self.bidders[line]
        bidder.offer = None
        return self._end(lambda lease: lease.key == bidder.key, Why.DISAGREED)

    def counted(self, counters: Mapping[str, dict[str, int]], now: MonoNs) -> list[Effect]:
        """Payload counters of all connections, by address: leases go on, are stopped, or end."""
        effects: list[Effect] = []
        for key, served in list(self.served.items()):
            there = dict(counters.get(served.lease.ip, {}))
            if served.fresh:
                served.meter.begin(there)
                served.fresh = False
            before, more = served.lease.standing, served.meter.read(there)
            served.lease = leases.check(leases.deliver(served.lease, more), now)
            if more:
                effects.append(Delivered(served.lease.torrent, more))
            if served.lease.ended:
                del self.served[key]
                lease = served.lease
                self._owe(key, Debt(lease.channel, lease.owed, lease.paid))
                effects.append(Keep())
            effects += self._receipts(served, before)
            effects += self._widths(served)
            if served.lease.ended:
                effects.append(Over(served.lease))
        return effects + self._eased()

    def ease(self, says: str, *, new_work: bool) -> None:
        """Less than usual is sent, and `says` why, or it is empty; without `new_work` no lease is begun.

        Who has a lease is told when counters are read the next time. Leases that run can be won again.
        """
        self._says, self._new_work = says, new_work

    def gone(self, torrent: str) -> list[Effect]:
        """A torrent is here no more: its leases end."""
        for bidder in self.bidders.values():
            if bidder.torrent == torrent:
                bidder.offer = None
        return self._end(lambda lease: lease.torrent == torrent, Why.GONE)

    def stop(self, why: Why) -> list[Effect]:
        """End all leases."""
        return self._end(lambda lease: True, why)

    def _end(self, which: Callable[[Lease], bool], why: Why) -> list[Effect]:
        """End leases; they are settled when they are counted the next time."""
        effects: list[Effect] = []
        for served in self.served.values():
            if which(served.lease):
                served.lease = leases.end(served.lease, why)
                effects += self._widths(served)
        return effects

    def tick(self, now: MonoNs) -> list[Effect]:
        """Time goes on: the round is decided when it is over."""
        return self._decide(now) if now - self.began >= ROUND_NS else []

    # ------------------------------------------------------------------------------------------ rounds

    def _decide(self, now: MonoNs) -> list[Effect]:
        offers = {line: bidder.offer for line, bidder in self.bidders.items() if bidder.offer}
        for offer in offers.values():
            served = self.served.get(offer.key)
            if served and served.lease.channel != offer.channel:
                # It is settled in the one channel before another begins in the other.
                served.lease = leases.end(served.lease, Why.MOVED)
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
        keep = bool(self.served or winners)
        over = self._leases(winners, cleared.price, now)
        results = [self._result(line, offer, latest, cleared) for line, offer in offers.items()]
        waiting = len(bids) - len(winners)
        if self._new_work:
            self.reserve = reserves.after(
                self.reserve,
                slots=self.terms.slots,
                sold=len(winners),
                waiting=waiting,
                clearing=cleared.price,
            )
        self.round, self.began, self._seed = self.round + 1, now, self._chance(SEED_BYTES)
        effects: list[Effect] = [Keep()] if keep else []
        effects += over
        effects += results
        # Whose lease still runs keeps its lane, also when it does not bid any more.
        running = [_wish_of(served) for key, served in self.served.items() if key not in latest]
        effects.append(Seats((*running, *(_wish(offer) for offer in latest.values()))))
        for key in latest:
            served = self.served.get(key)
            effects += self._widths(served) if served else [Narrow(key, shut=False)]
        effects.append(Decided(len(winners), waiting, cleared.price))
        # Where the ledger did not answer, it is asked again.
        effects += [
            Look(line, offer.channel) for line, offer in offers.items() if not self.bidders[line].lock
        ]
        return effects + [self._asks(line, now) for line in self.bidders]

    def _able(self, bidder: Bidder, offer: Offer) -> bool:
        """Whether a bid can be paid for, its bidder owes nothing elsewhere, and there may be a lease."""
        served, spent = self.served.get(offer.key), bidder.paid
        if served:
            spent = max(spent, served.lease.owed)
            if served.lease.channel != offer.channel:
                return False
        elif not self._new_work:
            return False
        least = charge(min(self.terms.credit, max(1, offer.wants)), offer.price)
        return bidder.lock - spent >= least and offer.key not in self.debts

    def _leases(self, winners: Mapping[bytes, Offer], price: MicroBttPerMib, now: MonoNs) -> list[Effect]:
        """Begin leases, or renew them; those that are over for it."""
        over: list[Effect] = []
        for key, offer in winners.items():
            served = self.served.get(key)
            known = served.lease if served else None
            if served and known and (known.ip, known.torrent) == (offer.ip, offer.torrent):
                served.lease = replace(leases.renew(known, price, now), credit=self.terms.credit)
                continue
            if known:
                # It goes on at another address or with another torrent, in the same channel.
                over.append(Over(leases.end(known, Why.MOVED)))
            self.served[key] = Served(self._begun(offer, price, now, known), offer.port)
        return over

    def _begun(self, offer: Offer, price: MicroBttPerMib, now: MonoNs, known: Lease | None) -> Lease:
        """A lease; what is owed for the one that it follows is owed in it."""
        payer = next(one for one in self.bidders.values() if one.offer is offer)
        return Lease(
            key=offer.key,
            ip=offer.ip,
            torrent=offer.torrent,
            channel=offer.channel,
            lock=payer.lock,
            price=price,
            until=MonoNs(now + LEASE_ROUNDS * ROUND_NS),
            base=max(payer.paid, known.owed) if known else payer.paid,
            paid=payer.paid,
            before=payer.paid,
            credit=self.terms.credit,
        )

    def _result(self, line: int, offer: Offer, latest: Mapping[bytes, Offer], cleared: Cleared) -> Results:
        winners = {bid.key for bid in cleared.winners}
        won = offer.key in winners and latest[offer.key] is offer
        taken = sum(bid.torrent == offer.torrent for bid in cleared.winners)
        of_torrent = bool(self.terms.per_torrent) and taken >= self.terms.per_torrent
        # One slot for each key and each address: another bid of the same has it.
        of_bidder = offer.key in winners or any(bid.ip == offer.ip for bid in cleared.winners)
        unable = offer.key not in latest
        full = not won and (of_torrent or of_bidder or unable)
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
            self.terms.credit,
        )

    def _widths(self, served: Served) -> list[Effect]:
        """What a lease's standing means for its lane, where that has changed."""
        lease = served.lease
        wide = lease.standing in (Standing.SERVED, Standing.WARNED)
        if wide is served.wide and not lease.ended:
            return []
        served.wide = wide
        if wide:
            return [Wide(lease.key)]
        return [Narrow(lease.key, shut=lease.ended in (None, Why.UNPAID))]

    def _receipts(self, served: Served, before: Standing) -> list[Effect]:
        lease = served.lease
        due = lease.sent - served.told >= lease.credit // RECEIPTS
        lines = [line for line, bidder in self.bidders.items() if bidder.key == lease.key]
        if not lines or not (due or lease.standing is not before):
            return []
        served.told = lease.sent
        return [Receipts(lines[-1], lease.channel, lease.sent, lease.owed, lease.paid)]

    def _eased(self) -> list[Effect]:
        """What payers do not know yet of how much is sent: each is told once of each change."""
        effects: list[Effect] = []
        for line, bidder in self.bidders.items():
            if bidder.key in self.served and bidder.told != self._says:
                bidder.told = self._says
                effects.append(Eased(line, self._says))
        return effects

    def _owe(self, key: bytes, debt: Debt) -> None:
        """Note what somebody still owes for leases that have ended."""
        self.debts.pop(key, None)
        if debt.due > debt.paid:
            self.debts[key] = debt
            if len(self.debts) > MOST_DEBTS:
                del self.debts[next(iter(self.debts))]


def _wish(offer: Offer) -> Wish:
    return Wish(offer.key, offer.ip, offer.torrent, offer.port, offer.price)


def _wish_of(served: Served) -> Wish:
    lease = served.lease
    return Wish(lease.key, lease.ip, lease.torrent, served.port, lease.price)


def _resumed(one: Sold, paid: MicroBtt, credit: int, now: MonoNs) -> Served:
    """A lease of before a restart: for a round, in which its holder can bid again.

    What was sent after it was kept is forgotten, and what was paid for it is not asked for twice.
    """
    due = max(one.due, paid)
    lease = Lease(
        key=one.key,
        ip=one.ip,
        torrent=one.torrent,
        channel=one.channel,
        lock=one.lock,
        price=one.price,
        until=MonoNs(now + ROUND_NS),
        base=due,
        paid=paid,
        before=paid,
        credit=credit,
    )
    return Served(lease, one.port)
