"""One seller and those who come to it, round after round, decided by the code that decides in the box.

What is simulated is only what is outside of that code: who comes, what they value, and how fast bytes go.
"""

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction import lease as leases
from appliance.domain.auction import pacing, reserve
from appliance.domain.auction.clearing import Rule, SlotBid, clear
from appliance.domain.auction.lease import ROUND_NS, Lease, LeaseStanding
from appliance.domain.auction.pacing import Pace
from appliance.domain.auction.reserve import Reserve

ROUND_S = ROUND_NS // 1_000_000_000
STEPS = 5
"""Within a round, for the credit window: payments come as the bytes go."""


class Sells(StrEnum):
    """How the seller gives its slots away."""

    AUCTION = "auction"
    POSTED = "posted price"
    RANDOM = "random slots"


class Manner(StrEnum):
    """How somebody bids."""

    FREE = "does not bid"
    HONEST = "bids what it is worth"
    PACED = "paces a budget"
    SHADES = "bids 70 % of what it is worth"
    FALSE_NAMES = "bids under three names"
    CHEATS = "never pays"


@dataclass(slots=True)
class Peer:
    """Somebody who wants a file."""

    number: int
    manner: Manner
    value: MicroBttPerMib
    wants: int
    """Bytes."""
    came: int
    """Round."""
    downlink: int
    """Bytes a second."""
    pace: Pace | None = None
    got: int = 0
    paid: int = 0
    unpaid: int = 0
    """What a cheat was sent and did not pay for, µBTT."""
    done: int | None = None

    @property
    def left(self) -> int:
        """Bytes that it still wants."""
        return max(0, self.wants - self.got)

    @property
    def watched(self) -> bool:
        """One of those whose manner an experiment changes."""
        return self.number % 10 == 0

    @property
    def budget(self) -> int:
        """µBTT: half of what the file is worth."""
        return self.value * self.wants // MIB // 2

    @property
    def surplus(self) -> int:
        """µBTT: what the bytes in its leases were worth to it, less what they cost."""
        return self.worth - self.paid

    worth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a run is made of; the same seed is the same run."""

    seed: int = 1
    rounds: int = 1_440
    """Six hours."""
    uplink: int = 10 * MIB
    slots: int = 5
    free_percent: int = 20
    free_slots: int = 4
    arrivals: float = 1.4
    """Peers a round, on the average."""
    bidders: float = 0.5
    """Share of them that bid."""
    sells: Sells = Sells.AUCTION
    rule: Rule = Rule.LOWEST_WINNING
    posted: MicroBttPerMib = MicroBttPerMib(0)
    """The reserve in the beginning, or the posted price; 0 lets the reserve begin at its floor."""
    adaptive: bool = True
    manners: Sequence[Manner] = (Manner.HONEST,)
    """Of the bidders, by chance."""
    watched: Manner | None = None
    """Every tenth bidder is of this manner instead."""


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    peers: list[Peer] = field(default_factory=list)
    prices: list[int] = field(default_factory=list)
    """Clearing price of each round in which a slot was sold."""
    sold: int = 0
    """Bytes in leases."""
    sent: int = 0
    revenue: int = 0
    lost: int = 0
    """µBTT that cheats owe."""

    def completion(self, bids: bool) -> float:
        """Median seconds from coming to having the file, of those who finished, per 100 MiB."""
        times = [
            (peer.done - peer.came) * ROUND_S * 100 * MIB / peer.wants
            for peer in self.peers
            if peer.done is not None and (peer.manner is not Manner.FREE) == bids
        ]
        return statistics.median(times) if times else float("nan")

    @property
    def stability(self) -> float:
        """Mean change of the price from round to round, as a share of the mean price."""
        moves = [abs(b - a) for a, b in zip(self.prices, self.prices[1:], strict=False)]
        return statistics.mean(moves) / statistics.mean(self.prices) if moves else 0.0

    @property
    def fairness(self) -> float:
        """Jain's index of the rates of those who do not bid: 1 is the same for all."""
        rates = [
            peer.got / max(1, (peer.done or peer.came + 1) - peer.came)
            for peer in self.peers
            if peer.manner is Manner.FREE and peer.got
        ]
        return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates)) if rates else 1.0

    def surplus_of_watched(self) -> float:
        """µBTT that a MiB brought every tenth bidder beyond its cost, over all that they wanted."""
        return self._surplus([peer for peer in self.peers if peer.manner is not Manner.FREE and peer.watched])

    def surplus_per_mib(self, manner: Manner) -> float:
        """The same for all of a manner."""
        return self._surplus([peer for peer in self.peers if peer.manner is manner])

    def _surplus(self, some: Sequence[Peer]) -> float:
        wanted = sum(peer.wants for peer in some) / MIB
        return sum(peer.surplus for peer in some) / wanted if wanted else 0.0


class Run:
    """One seller's day."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = random.Random(world.seed)
        self.outcome = Outcome()
        self.here: list[Peer] = []
        self.leases: dict[int, Lease] = {}
        self.shares: dict[int, int] = {}
        """How many slots each winner has: more than one under false names."""
        self.cheated: set[int] = set()
        floor = MicroBttPerMib(100)
        self.reserve = Reserve(
            price=max(world.posted, floor),
            floor=floor,
            ceiling=MicroBttPerMib(100_000),
            adaptive=world.adaptive and world.sells is Sells.AUCTION,
        )

    def run(self) -> Outcome:
        """All rounds."""
        for number in range(self.world.rounds):
            self._arrive(number)
            self._auction(number)
            for _ in range(STEPS):
                self._send(number)
            self._settle(number)
        return self.outcome

    def _arrive(self, number: int) -> None:
        count = _poisson(self.chance, self.world.arrivals)
        for _ in range(count):
            manner, chance = Manner.FREE, self.chance
            if chance.random() < self.world.bidders:
                manner = chance.choice(self.world.manners)
                if self.world.watched and len(self.outcome.peers) % 10 == 0:
                    manner = self.world.watched
            value = MicroBttPerMib(round(chance.lognormvariate(8.5, 1.0)))
            wants = round(chance.uniform(20, 300)) * MIB
            peer = Peer(
                number=len(self.outcome.peers),
                manner=manner,
                value=value,
                wants=wants,
                came=number,
                downlink=round(chance.uniform(1, 12)) * MIB,
            )
            if manner is Manner.PACED:
                peer.pace = Pace(value=value, ceiling=value, left=MicroBtt(peer.budget), rounds=120)
            self.here.append(peer)
            self.outcome.peers.append(peer)

    # ----------------------------------------------------------------------------------------- rounds

    def _auction(self, number: int) -> None:
        now = MonoNs(number * ROUND_NS)
        bids, owners = self._bids()
        if self.world.sells is Sells.RANDOM:
            self.leases.clear()
            return
        if self.world.sells is Sells.POSTED:
            able = [bid for bid in bids if bid.price >= self.reserve.price]
            # First come, first served: those who are in stay in.
            able.sort(key=lambda bid: (owners[bid.key] not in self.leases, owners[bid.key]))
            winners, price = able[: self.world.slots], self.reserve.price
        else:
            seed = self.chance.randbytes(32)
            cleared = clear(
                bids, slots=self.world.slots, reserve=self.reserve.price, seed=seed, rule=self.world.rule
            )
            winners, price = list(cleared.winners), cleared.price
            if winners:
                self.outcome.prices.append(price)
            self.reserve = reserve.after(
                self.reserve,
                slots=self.world.slots,
                sold=len(winners),
                waiting=len(bids) - len(winners),
                clearing=price,
            )
        held = {owners[bid.key] for bid in winners}
        self.shares = {owner: sum(owners[bid.key] == owner for bid in winners) for owner in held}
        for owner in held:
            known = self.leases.get(owner)
            if known and not known.ended:
                self.leases[owner] = leases.renew(known, price, now)
            else:
                self.leases[owner] = _begun(owner, price, now)
        for owner in set(self.leases) - held:
            del self.leases[owner]

    def _bids(self) -> tuple[list[SlotBid], dict[bytes, int]]:
        bids, owners = [], dict[bytes, int]()
        for peer in self.here:
            if peer.manner is Manner.FREE or peer.number in self.cheated:
                continue
            names = 3 if peer.manner is Manner.FALSE_NAMES else 1
            for name in range(names):
                key = (peer.number * 4 + name).to_bytes(33, "big")
                owners[key] = peer.number
                bids.append(SlotBid(key, f"{peer.number}.{name}", "t", self._price(peer)))
        return [bid for bid in bids if bid.price], owners

    def _price(self, peer: Peer) -> MicroBttPerMib:
        if peer.manner is Manner.SHADES:
            return MicroBttPerMib(peer.value * 7 // 10)
        if peer.pace:
            share = self.world.uplink * (100 - self.world.free_percent) // 100 // self.world.slots
            return pacing.bid(peer.pace, share * ROUND_S)
        return peer.value

    # ------------------------------------------------------------------------------------------ bytes

    def _send(self, number: int) -> None:
        """A part of a round: winners share what is sold, all others what is free."""
        seconds = ROUND_S / STEPS
        winners = [peer for peer in self.here if self._served(peer)]
        others = [peer for peer in self.here if peer not in winners and peer.left]
        sold = self.world.uplink * (100 - self.world.free_percent) // 100 if winners else 0
        weights = [self.shares.get(peer.number, 1) for peer in winners]
        given = _shared(sold, [peer.downlink for peer in winners], weights)
        for peer, rate in zip(winners, given, strict=True):
            self._lease_bytes(peer, min(peer.left, round(rate * seconds)))
        # What winners cannot take is everybody's.
        free = self.world.uplink - sum(given)
        if self.world.sells is Sells.RANDOM or not winners:
            unchoked = self.chance.sample(others, min(len(others), self.world.slots + self.world.free_slots))
        else:
            unchoked = self.chance.sample(others, min(len(others), self.world.free_slots))
        for peer, rate in zip(
            unchoked, _shared(free, [one.downlink for one in unchoked], [1] * len(unchoked)), strict=True
        ):
            self._take(peer, min(peer.left, round(rate * seconds)))

    def _served(self, peer: Peer) -> bool:
        lease = self.leases.get(peer.number)
        return bool(lease and lease.standing in (LeaseStanding.SERVED, LeaseStanding.WARNED) and peer.left)

    def _lease_bytes(self, peer: Peer, count: int) -> None:
        lease = self.leases[peer.number]
        if peer.pace:
            # Its channel is locked with its budget: what that does not cover is not sent.
            count = min(count, max(0, peer.budget - peer.paid - 1) * MIB // max(1, lease.price))
        lease = leases.deliver(lease, count)
        self._take(peer, count)
        self.outcome.sold += count
        if peer.manner is not Manner.CHEATS:
            peer.paid += lease.unpaid
            self.outcome.revenue += lease.unpaid
            peer.worth += peer.value * count // MIB
            lease = leases.pay(lease, lease.owed)
        self.leases[peer.number] = lease

    def _take(self, peer: Peer, count: int) -> None:
        peer.got += count
        self.outcome.sent += count

    def _settle(self, number: int) -> None:
        now = MonoNs((number + 1) * ROUND_NS - 1)
        for peer in self.here:
            lease = self.leases.get(peer.number)
            if peer.pace:
                spent = MicroBtt(peer.paid - (peer.budget - peer.pace.left))
                peer.pace = pacing.after(peer.pace, max(MicroBtt(0), spent), self._price(peer))
            if lease and (checked := leases.check(lease, now)).standing in (
                LeaseStanding.STOPPED,
                LeaseStanding.ENDED,
            ):
                self.leases[peer.number] = leases.end(checked, leases.LeaseEnd.UNPAID)
                peer.unpaid += checked.unpaid
                self.outcome.lost += checked.unpaid
                self.cheated.add(peer.number)
            if not peer.left:
                peer.done = number + 1
        self.here = [peer for peer in self.here if peer.left and number - peer.came < 480]


def simulate(world: World) -> Outcome:
    """One run."""
    return Run(world).run()


def over_seeds(world: World, seeds: int, measure: Callable[[Outcome], float]) -> float:
    """The median of a measure over several seeds."""
    return statistics.median(measure(simulate(replace(world, seed=seed))) for seed in range(1, seeds + 1))


def _shared(rate: float, most: Sequence[int], weights: Sequence[int]) -> list[float]:
    """A rate among some by weight, none more than it can take; what is left goes to the others."""
    given = [0.0] * len(most)
    open_ = list(range(len(most)))
    left = float(rate)
    while open_ and left > 1:
        whole = sum(weights[at] for at in open_)
        full = [at for at in open_ if given[at] + left * weights[at] / whole >= most[at]]
        if not full:
            for at in open_:
                given[at] += left * weights[at] / whole
            return given
        for at in full:
            left -= most[at] - given[at]
            given[at] = float(most[at])
            open_.remove(at)
    return given


def _poisson(chance: random.Random, mean: float) -> int:
    """Knuth's way, good for small means."""
    count, product, least = 0, chance.random(), 2.718281828459045**-mean
    while product > least:
        count += 1
        product *= chance.random()
    return count


def _begun(owner: int, price: MicroBttPerMib, now: MonoNs) -> Lease:
    nothing = MicroBtt(0)
    return Lease(
        key=owner.to_bytes(33, "big"),
        ip=str(owner),
        torrent="t",
        channel=owner.to_bytes(32, "big"),
        lock=MicroBtt(2**62),
        price=price,
        until=MonoNs(now + leases.LEASE_ROUNDS * ROUND_NS),
        base=nothing,
        paid=nothing,
        before=nothing,
    )
