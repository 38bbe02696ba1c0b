"""One seller: bids come in, rounds are decided, leases are served, stopped and ended. Nothing here waits.

Events go in, effects come out, and whoever calls carries them out in their order. Money only counts here
once the wallet has saved it (`funded`, `paid`), and a bidder only hears of its lease after `Keep`. What is
saved is enough to go on after a crash: the payer never pays twice, the seller loses a credit window at most.

Invariants, checked by tests/unit/domain/auction/test_seller.py:
S1  no bidder has more than one lease, and no lease charges more than its bidder has bid;
S2  who is stopped, ended or has left is not served: its lane is never prioritised;
S3  who owes for an earlier lease gets no other one before that is paid;
S4  every bidder of a round receives its result, with what it needs to check it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from appliance.core.errors import PeerMisbehaved
from appliance.core.units import MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction import lease as leases
from appliance.domain.auction import reserve as reserves
from appliance.domain.auction.clearing import commitment
from appliance.domain.auction.effects import (
    AssignLanes,
    Delivered,
    Effect,
    Inspect,
    Keep,
    LeaseOver,
    Send,
    SetService,
)
from appliance.domain.auction.lanes import LaneService
from appliance.domain.auction.lease import LEASE_ROUNDS, ROUND_NS, Lease, LeaseEnd, charge
from appliance.domain.auction.messages import THROTTLED, Ask, Receipt, Trouble, to_text
from appliance.domain.auction.meter import Counters, PeerConnection
from appliance.domain.auction.model import (
    NOTHING_SAVED,
    Bidder,
    Debt,
    Offer,
    SellerMemory,
    Served,
    Terms,
    resumed,
    saved,
)
from appliance.domain.auction.reserve import Reserve
from appliance.domain.auction.round import Round, decide

SEED_BYTES = 32
LOOK_NS = 250_000_000
"""How often counters are to be read while leases run."""
LEAST_LEFT_MS = 1_000
"""The shortest time that bidders are told a round still runs."""
MOST_DEBTS = 10_000


class Seller:
    """The market of one box, from its own side."""

    def __init__(
        self,
        terms: Terms,
        reserve: Reserve,
        chance: Callable[[int], bytes],
        now: MonoNs,
        memory: SellerMemory = NOTHING_SAVED,
        paid: Mapping[bytes, MicroBtt] = {},
    ) -> None:
        """`chance` gives random bytes; `memory` was saved last; `paid` is what each channel has paid."""
        self.terms = terms
        # Where the owner has posted a price, the one that was saved is of another configuration.
        known = memory.reserve if reserve.adaptive else MicroBttPerMib(0)
        self.reserve = reserves.limited(replace(reserve, price=max(reserve.price, known)))
        self.round = memory.round
        self.began = now
        self._chance = chance
        self._seed = chance(SEED_BYTES)
        self.bidders: dict[int, Bidder] = {}
        """All that are connected, by the number of their connection."""
        self.served: dict[bytes, Served] = {
            slot.key: resumed(slot, paid[slot.channel], terms.credit, now)
            for slot in memory.sold
            if slot.channel in paid
        }
        """The leases that run, by the bidder's key."""
        self._throttled, self._new_work = "", True
        self.debts: dict[bytes, Debt] = {}
        for key, debt in memory.debts.items():
            self._owe(key, replace(debt, paid=max(debt.paid, paid.get(debt.channel, debt.paid))))

    def memory(self) -> SellerMemory:
        """What is to be saved."""
        sold = tuple(saved(served) for served in self.served.values() if not served.lease.ended)
        return SellerMemory(self.round, self.reserve.price, sold, dict(self.debts))

    def lanes(self) -> AssignLanes:
        """Lanes for those whose leases were taken up again."""
        return AssignLanes(tuple(served.request for served in self.served.values()))

    # ------------------------------------------------------------------------------------------ events

    def opened(self, connection: int, key: bytes, ip: str, torrent: str, now: MonoNs) -> list[Effect]:
        """Somebody has proven who they are, and asks for a torrent's slots."""
        self.bidders[connection] = Bidder(key, ip, torrent)
        return self._asks([connection], now)

    def closed(self, connection: int) -> list[Effect]:
        """A bidder has hung up. A lease goes on until its end: what is paid for is served."""
        self.bidders.pop(connection, None)
        return []

    def bid(self, connection: int, offer: Offer) -> list[Effect]:
        """A bid; the latest counts, and stands until it is replaced. Raises PeerMisbehaved.

        It counts for the round in which it comes: one that crossed the end of a round, for the next.
        """
        bidder = self.bidders[connection]
        if (offer.key, offer.ip, offer.torrent) != (bidder.key, bidder.ip, bidder.torrent):
            raise PeerMisbehaved("A bid is for somebody else, or for another torrent.")
        known = bidder.pays_with(offer.channel)
        bidder.offer = offer if offer.price else None
        if known or not offer.price:
            return []
        bidder.lock = bidder.paid = MicroBtt(0)
        return [Inspect(connection, offer.channel)]

    def funded(self, connection: int, channel: bytes, paid: MicroBtt, lock: MicroBtt) -> list[Effect]:
        """A channel was inspected: `paid` in it so far, and `lock` is what it holds in all.

        Who owes something in it receives a receipt.
        """
        bidder = self.bidders.get(connection)
        if bidder is None or not bidder.pays_with(channel):
            return []
        bidder.paid, bidder.lock = paid, lock
        receipt = self._outstanding(bidder.key, channel)
        return [Send(connection, receipt)] if receipt else []

    def paid(self, key: bytes, channel: bytes, total: MicroBtt) -> list[Effect]:
        """A state was accepted and saved: `total` in the channel so far."""
        payers = (one for one in self.bidders.values() if one.key == key and one.pays_with(channel))
        for bidder in payers:
            bidder.paid = max(bidder.paid, total)
        self._pay_debt(key, channel, total)
        served = self.served.get(key)
        if served is None or served.lease.channel != channel:
            return []
        served.lease = leases.pay(served.lease, total)
        return _service(served)

    def disagreed(self, connection: int) -> list[Effect]:
        """A bidder finds that the two meters disagree: its lease ends."""
        bidder = self.bidders[connection]
        bidder.offer = None
        return self._end(lambda lease: lease.key == bidder.key, LeaseEnd.DISAGREED)

    def counted(self, counters: Counters, now: MonoNs) -> list[Effect]:
        """Payload counters of all connections: leases go on, are stopped, or end."""
        effects: list[Effect] = []
        for served in list(self.served.values()):
            effects += self._count(served, counters.get(served.lease.ip, {}), now)
        return effects + self._notices()

    def throttle(self, reason: str, *, new_work: bool) -> None:
        """Less than usual is sent because of `reason`, or as usual where it is empty.

        Without `new_work` no lease is begun; leases that run can be won again. Holders of leases hear of it
        when counters are read the next time.
        """
        self._throttled, self._new_work = reason, new_work

    def gone(self, torrent: str) -> list[Effect]:
        """A torrent is no longer here: its leases end."""
        for bidder in self.bidders.values():
            if bidder.torrent == torrent:
                bidder.offer = None
        return self._end(lambda lease: lease.torrent == torrent, LeaseEnd.GONE)

    def stop(self, why: LeaseEnd) -> list[Effect]:
        """End all leases."""
        return self._end(lambda lease: True, why)

    def tick(self, now: MonoNs) -> list[Effect]:
        """Time goes on: the round is decided when it is over."""
        return self._decide(now) if now - self.began >= ROUND_NS else []

    # ------------------------------------------------------------------------------------------ rounds

    def _decide(self, now: MonoNs) -> list[Effect]:
        offers = {number: bidder.offer for number, bidder in self.bidders.items() if bidder.offer}
        self._end_moved(offers.values())
        able = [offer for number, offer in offers.items() if self._able(self.bidders[number], offer)]
        round = decide(
            self.round, self._seed, self.terms, self.reserve.price, {offer.key: offer for offer in able}
        )
        effects: list[Effect] = [Keep()] if self.served or round.winners else []
        effects += self._leases(round, now)
        effects += [Send(number, round.result(offer)) for number, offer in offers.items()]
        effects += self._serve(round.latest)
        effects.append(round.decided)
        effects += self._unknown_channels(offers)
        self._begin_next(round, now)
        return effects + self._asks(self.bidders, now)

    def _unknown_channels(self, offers: Mapping[int, Offer]) -> list[Effect]:
        """Where the ledger did not answer, it is asked again."""
        unknown = (number for number in offers if not self.bidders[number].lock)
        return [Inspect(number, offers[number].channel) for number in unknown]

    def _end_moved(self, offers: Iterable[Offer]) -> None:
        """End leases whose holders want to pay with another channel: the first is settled before that."""
        for offer in offers:
            served = self.served.get(offer.key)
            if served and served.lease.channel != offer.channel:
                served.lease = leases.end(served.lease, LeaseEnd.MOVED)

    def _able(self, bidder: Bidder, offer: Offer) -> bool:
        """Whether a bid can be paid for, its bidder owes nothing elsewhere, and there may be a lease."""
        served, spent = self.served.get(offer.key), bidder.paid
        if offer.key in self.debts or not self._admits(served, offer):
            return False
        if served:
            spent = max(spent, served.lease.owed)
        least = charge(min(self.terms.credit, max(1, offer.wants)), offer.price)
        return bidder.lock - spent >= least

    def _admits(self, served: Served | None, offer: Offer) -> bool:
        """Whether a lease may be begun, or the one that runs be won again."""
        return served.lease.channel == offer.channel if served else self._new_work

    def _leases(self, round: Round, now: MonoNs) -> list[Effect]:
        """Begin leases, or renew them; those that are over for it."""
        over: list[Effect] = []
        for key, offer in round.winners.items():
            served = self.served.get(key)
            if served and (served.lease.ip, served.lease.torrent) == (offer.ip, offer.torrent):
                renewed = leases.renew(served.lease, round.price, now)
                served.lease = replace(renewed, credit=self.terms.credit)
                continue
            if served:
                # It goes on at another address or with another torrent, in the same channel.
                over.append(LeaseOver(leases.end(served.lease, LeaseEnd.MOVED)))
            self.served[key] = Served(self._begun(offer, round.price, now), offer.port)
        return over

    def _begun(self, offer: Offer, price: MicroBttPerMib, now: MonoNs) -> Lease:
        """A new lease; what is owed for the one that it follows is owed in it."""
        payer = next(one for one in self.bidders.values() if one.offer is offer)
        known = self.served.get(offer.key)
        return Lease(
            key=offer.key,
            ip=offer.ip,
            torrent=offer.torrent,
            channel=offer.channel,
            lock=payer.lock,
            price=price,
            until=MonoNs(now + LEASE_ROUNDS * ROUND_NS),
            base=max(payer.paid, known.lease.owed) if known else payer.paid,
            paid=payer.paid,
            before=payer.paid,
            credit=self.terms.credit,
        )

    def _serve(self, latest: Mapping[bytes, Offer]) -> list[Effect]:
        """Lanes for all who took part, and how each is served."""
        # Whose lease still runs keeps its lane, also when it does not bid any more.
        running = [served.request for key, served in self.served.items() if key not in latest]
        effects: list[Effect] = [AssignLanes((*running, *(offer.request for offer in latest.values())))]
        for key in latest:
            served = self.served.get(key)
            effects += _service(served) if served else [SetService(key, LaneService.LIMITED)]
        return effects

    def _begin_next(self, round: Round, now: MonoNs) -> None:
        """Begin the next round, at a reserve that follows demand."""
        if self._new_work:
            self.reserve = reserves.after(
                self.reserve,
                slots=self.terms.slots,
                sold=len(round.winners),
                waiting=round.waiting,
                clearing=round.price,
            )
        self.round, self.began, self._seed = self.round + 1, now, self._chance(SEED_BYTES)

    # ------------------------------------------------------------------------------------------ leases

    def _count(self, served: Served, counters: Mapping[PeerConnection, int], now: MonoNs) -> list[Effect]:
        """Charge what one holder was sent."""
        before, more = served.lease.standing, served.count(counters)
        served.lease = leases.check(leases.deliver(served.lease, more), now)
        effects: list[Effect] = [Delivered(served.lease.torrent, more)] if more else []
        if served.lease.ended:
            effects += self._settle(served.lease)
        if served.receipt_due or served.lease.standing is not before:
            effects += self._receipt(served)
        effects += _service(served)
        return [*effects, LeaseOver(served.lease)] if served.lease.ended else effects

    def _settle(self, lease: Lease) -> list[Effect]:
        """Note what is owed for a lease that has ended."""
        del self.served[lease.key]
        self._owe(lease.key, Debt(lease.channel, lease.owed, lease.paid))
        return [Keep()]

    def _end(self, which: Callable[[Lease], bool], why: LeaseEnd) -> list[Effect]:
        """End leases; they are settled when they are counted the next time."""
        effects: list[Effect] = []
        for served in self.served.values():
            if which(served.lease):
                served.lease = leases.end(served.lease, why)
                effects += _service(served)
        return effects

    def _pay_debt(self, key: bytes, channel: bytes, total: MicroBtt) -> None:
        """Note what was paid of a debt in a channel."""
        debt = self.debts.get(key)
        if debt and debt.channel == channel:
            self._owe(key, replace(debt, paid=max(debt.paid, total)))

    def _owe(self, key: bytes, debt: Debt) -> None:
        """Note what somebody still owes for leases that have ended."""
        self.debts.pop(key, None)
        if debt.due > debt.paid:
            self.debts[key] = debt
            if len(self.debts) > MOST_DEBTS:
                del self.debts[next(iter(self.debts))]

    # ---------------------------------------------------------------------------------------- messages

    def _asks(self, connections: Iterable[int], now: MonoNs) -> list[Effect]:
        """Tell bidders what is offered in this round; nothing while no ledger is known to pay through."""
        if not self.terms.ledger:
            return []
        ask = Ask(
            round=self.round,
            slots=self.terms.slots,
            per_torrent=self.terms.per_torrent,
            reserve=self.reserve.price,
            round_ms=max(LEAST_LEFT_MS, (self.began + ROUND_NS - now) // 1_000_000),
            credit=self.terms.credit,
            rule=self.terms.rule.value.encode(),
            ledger=self.terms.ledger,
            commit=commitment(self._seed),
        )
        return [Send(number, ask) for number in connections]

    def _outstanding(self, key: bytes, channel: bytes) -> Receipt | None:
        """What somebody owes in a channel, for the lease that runs or for earlier ones."""
        served, debt = self.served.get(key), self.debts.get(key)
        if served and served.lease.channel == channel and served.lease.unpaid:
            return _receipt_of(served.lease)
        if debt and debt.channel == channel:
            return Receipt(channel=channel, sent=0, owed=debt.due, paid=debt.paid)
        return None

    def _receipt(self, served: Served) -> list[Effect]:
        """Tell the holder of a lease what was counted, where it is connected."""
        lease = served.lease
        connections = [number for number, bidder in self.bidders.items() if bidder.key == lease.key]
        if not connections:
            return []
        served.last_receipt = lease.sent
        return [Send(connections[-1], _receipt_of(lease))]

    def _notices(self) -> list[Effect]:
        """Tell payers how much less is sent, and why: each once of each change."""
        effects: list[Effect] = []
        for number, bidder in self.bidders.items():
            if bidder.key in self.served and bidder.last_notice != self._throttled:
                bidder.last_notice = self._throttled
                effects.append(Send(number, Trouble(code=THROTTLED, text=to_text(self._throttled))))
        return effects


def _service(served: Served) -> list[Effect]:
    """What a lease's standing means for its lane, where that has changed."""
    service = served.due_service
    if service is served.service and not served.lease.ended:
        return []
    served.service = service
    return [SetService(served.lease.key, service)]


def _receipt_of(lease: Lease) -> Receipt:
    return Receipt(channel=lease.channel, sent=lease.sent, owed=lease.owed, paid=lease.paid)
