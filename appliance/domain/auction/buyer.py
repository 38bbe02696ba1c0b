"""The buyer: when to bid, to whom, how much, and what to pay for. Nothing here waits, and nothing is sent.

Invariants, checked by tests/unit/domain/auction/test_buyer.py:
B1  never is more paid than the channel holds, than the receipt asks for, or than is due by the own count;
B2  never is more paid than one step beyond what has passed its hash check;
B3  no bid is above what the owner allows, or what is left of the budget could pay for;
B4  nothing is bid for what is here, to oneself, or to a seller that is shunned.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.core.keys import Address
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, UtcMs
from appliance.domain.auction import pacing
from appliance.domain.auction.clearing import RoundReport, Rule, fair
from appliance.domain.auction.lease import CREDIT, ROUND_NS, charge
from appliance.domain.auction.pacing import Pace

SELLERS = 4
"""That a torrent is bid for with at once."""
PIECES_AHEAD = 4
"""Of a torrent may be in parts, from one seller, before they can be checked."""
IN_FLIGHT = 8 * MIB
"""What a seller may have sent that has not arrived, beside its credit: the buffers of both kernels."""
SILENT_ROUNDS = 3
"""Won, and nothing came: then the seller is left alone."""
EASED_ROUNDS = 40
"""The same, ten minutes, of a seller that has said that it sends less than usual."""
ROUND_MS = ROUND_NS // 1_000_000
HOUR_MS = 3_600_000
LATE = 4
"""Rounds by which a result may be heard late, and is still judged by the bids of its time."""
_ASKS = 4
_LONG_ROUNDS = 240
"""An hour: how far ahead a budget without a deadline is spread, at most."""


@dataclass(frozen=True, slots=True)
class Want:
    """What the owner pays for one torrent."""

    price: MicroBttPerMib
    """At most."""
    budget: MicroBtt
    """In all."""
    deadline: UtcMs = UtcMs(0)
    """0: as soon as may be. Else nothing is bid while it would be here in time without paying."""
    before: MicroBtt = MicroBtt(0)
    """Paid for this torrent before the owner wanted it so."""
    simulate: bool = False
    """Only say what would be bid."""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of dealings with a seller."""

    received: int = 0
    """Bytes in leases."""
    paid: MicroBtt = MicroBtt(0)
    seen: UtcMs = UtcMs(0)
    shunned: UtcMs = UtcMs(0)
    """Until when nothing is bid there."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a seller offers in a round."""

    round: int
    reserve: MicroBttPerMib
    credit: int
    rule: Rule
    commit: bytes


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a seller is left alone, and for how long (ms)."""

    why: str
    ms: int


SILENT = Wrong("its slot was won, and nothing came", HOUR_MS)
LIED = Wrong("it lied about a round's price or its draw", 24 * HOUR_MS)
METER = Wrong("it charged for more than it sent", 24 * HOUR_MS)
BAD_DATA = Wrong("what it sent failed its check", 24 * HOUR_MS)


@dataclass(slots=True, kw_only=True)
class Deal:
    """The dealings with one seller about one torrent, over one connection to its market."""

    key: bytes
    """Our own."""
    piece: int
    """Length of a piece of the torrent."""
    asks: dict[int, Asked] = field(default_factory=dict)
    channel: bytes = b""
    lock: MicroBtt = MicroBtt(0)
    paid: MicroBtt = MicroBtt(0)
    """In the channel, in all."""
    said: MicroBttPerMib = MicroBttPerMib(0)
    """The bid that stands; 0: none. Set by `says`."""
    won: bool = False
    price: MicroBttPerMib = MicroBttPerMib(0)
    """Of the lease, or what won last."""
    received: int = 0
    """Bytes since the first lease began."""
    unverified: int = 0
    """Of them, in pieces that are not complete."""
    failed: int = 0
    """Bytes in pieces that failed their check."""
    repeated: bool = False
    """The last payment was sent again over this connection."""
    silent: int = 0
    """Rounds won in a row without a byte."""
    throttled: bool = False
    """It has said that it sends less than usual: its box is hot, say, or its line is needed."""
    _bids: list[list[MicroBttPerMib]] = field(default_factory=lambda: [[]])
    """Said since the last result, and between those before it; the newest last."""
    _base: int = 0
    """Due in the channel for earlier leases, in µBTT."""
    _exact: int = 0
    """Bytes times price of this lease."""
    _slack: int = 0
    """Bytes times price that may differ because the two sides learn of a new price at different moments."""
    _claimed: int = 0
    """Bytes that receipts have named in all."""
    _sent: int = 0
    """Of the last receipt: what it named for its lease."""
    _resumed: bool = False
    """The channel was paid in before this process began: what was counted then is not known any more."""
    _fresh: bool = False

    @property
    def last(self) -> Asked | None:
        """What is asked now."""
        return self.asks[max(self.asks)] if self.asks else None

    @property
    def step(self) -> int:
        """Bytes that are paid before they can be checked, at most."""
        return (self.last.credit if self.last else CREDIT) + PIECES_AHEAD * self.piece

    def fund(self, channel: bytes, lock: MicroBtt, paid: MicroBtt, *, resumed: bool = False) -> None:
        """Pay with this channel from now on."""
        self.channel, self.lock, self.paid = channel, lock, paid
        self._base, self._exact, self._slack = paid, 0, 0
        self._resumed = resumed

    def reopened(self) -> None:
        """The connection to its market is another one: what was said over the old one is void."""
        self.asks.clear()
        self.said = MicroBttPerMib(0)
        self._bids = [[]]
        self.won = self.repeated = self.throttled = False

    def asked(self, ask: Asked) -> None:
        """A round has begun."""
        self.asks[ask.round] = ask
        while len(self.asks) > _ASKS:
            del self.asks[min(self.asks)]

    def says(self, price: MicroBttPerMib) -> None:
        """A bid is made, or with 0 taken back."""
        self.said = price
        self._bids[-1].append(price)

    def result(
        self, round: int, won: bool, price: MicroBttPerMib, seed: bytes, tie: bytes | None, full: bool
    ) -> Wrong | None:
        """What came of a round; what is wrong with it, if something is."""
        ask = self.asks.get(round)
        # Bids and results cross on the line: whichever of these was in force when the round was decided.
        known = [one for said in self._bids for one in said]
        in_force = [one for one in known if one]
        self._bids = [*self._bids[1 - LATE :], []]
        if known and not any(self._bids):
            self._bids[0].append(known[-1])
        if ask is None or not in_force:
            return None
        told = RoundReport(ask.rule, ask.commit, seed, won, price, tie, full)
        if not any(fair(self.key, said, told) for said in in_force):
            return LIED
        if not won:
            self.won = False
            return None
        if self.won and price != self.price:
            self._slack += abs(price - self.price) * (ask.credit + self.piece)
        self.silent = self.silent + 1 if not self._fresh else 0
        self.won, self.price, self._fresh = True, price, False
        if self.silent > (EASED_ROUNDS if self.throttled else SILENT_ROUNDS):
            return SILENT
        return None

    def arrived(self, count: int, unverified: int, failed: int) -> None:
        """So many bytes more came from it, so many in all are not checked, so many failed."""
        if self.channel and self.price:
            # Also after the end of a lease: what was on its way is owed.
            self.received += count
            self._exact += count * self.price
            self._fresh = self._fresh or count > 0
        self.unverified, self.failed = unverified, failed

    @property
    def due(self) -> MicroBtt:
        """In the channel, by our own count."""
        return MicroBtt(self._base - -(self._exact + self._slack) // MIB)

    @property
    def checked(self) -> MicroBtt:
        """What may be paid at most: for what was checked, and a step."""
        ahead = self.unverified + self.failed - self.step
        return MicroBtt(self.due - max(0, ahead) * self.price // MIB)

    def pays(self, owed: MicroBtt) -> MicroBtt | None:
        """What to pay in all when a receipt asks for `owed`; None: nothing more."""
        if self._resumed:
            # Before this process began the seller may have sent up to its credit that nobody has counted.
            self._slack += (self.last.credit if self.last else CREDIT) * max(self.price, self.said)
            self._resumed = False
        allowed = min(owed, self.lock, self.checked)
        return MicroBtt(allowed) if allowed > self.paid else None

    def lies(self, sent: int) -> bool:
        """Whether the bytes that a receipt names for its lease are more than can be on their way."""
        if not self._resumed:
            # Where it names fewer than before, another lease has begun.
            self._claimed += sent - self._sent if sent >= self._sent else sent
        self._sent = sent
        credit = self.last.credit if self.last else CREDIT
        return self._claimed - self.received > IN_FLIGHT + credit


@dataclass(frozen=True, slots=True)
class Need:
    """What a torrent still wants, at one moment."""

    missing: int
    """Bytes."""
    free_rate: int
    """Bytes a second that come without paying."""
    spent: MicroBtt
    """For it since it was wanted."""
    sellers: int
    """That are bid to."""
    rate: int
    """Bytes a second that leases bring, or could."""


def bids(want: Want, need: Need, pace: Pace | None, day_left: MicroBtt, now: UtcMs) -> tuple[Pace, int]:
    """(pace, what to bid now in µBTT for a MiB; 0: nothing).

    `day_left` is what is left of the owner's budget for the day.
    """
    left = MicroBtt(max(0, min(want.budget - need.spent, day_left)))
    rounds = max(1, min(_LONG_ROUNDS, need.missing * 1_000 // max(1, need.rate * ROUND_MS)))
    if want.deadline:
        rounds = max(1, (want.deadline - now) // ROUND_MS)
    mu, last = (pace.mu, pace.last) if pace else (0, MicroBttPerMib(0))
    pace = Pace(value=want.price, ceiling=want.price, left=left, rounds=rounds, mu=mu, last=last)
    if not need.missing or not left or in_time(want, need, now):
        return pace, 0
    expected = min(need.missing, max(CREDIT, need.rate * ROUND_MS // 1_000))
    return pace, pacing.bid(pace, expected)


def in_time(want: Want, need: Need, now: UtcMs) -> bool:
    """Whether a torrent would be here by its deadline without paying."""
    if not want.deadline or now >= want.deadline:
        return False
    return need.missing * 1_000 <= need.free_rate * (want.deadline - now)


def lock_for(
    price: MicroBttPerMib, need: Need, left: MicroBtt, credit: int, most: int = 2_048 * MIB
) -> MicroBtt:
    """What to lock in a channel: for what is missing, or 2 GiB of it; 0 where a window is not covered."""
    wanted = charge(min(most, max(credit * 2, need.missing)), price)
    lock = min(wanted, left // (2 if need.sellers else 1))
    return MicroBtt(lock if lock >= charge(min(credit, need.missing), price) else 0)


def cost(record: Record, price: MicroBttPerMib) -> int:
    """What a GiB from a seller really costs, in µBTT: as measured, where enough was bought of it."""
    asked = price * 1_024
    if record.received < CREDIT:
        return asked
    return max(asked, record.paid * 1_024 * MIB // record.received)


def rank(
    offers: Mapping[Address, MicroBttPerMib], records: Mapping[Address, Record], now: UtcMs
) -> list[Address]:
    """Sellers, the cheapest by measure first; those that are shunned are left out."""
    fit = [one for one in offers if records.get(one, Record()).shunned <= now]
    return sorted(fit, key=lambda one: (cost(records.get(one, Record()), offers[one]), one))


def dealt(record: Record, received: int, paid: MicroBtt, now: UtcMs, wrong: Wrong | None = None) -> Record:
    """A record after more dealings."""
    shunned, why = record.shunned, record.why
    if wrong:
        shunned, why = UtcMs(now + wrong.ms), wrong.why
    return Record(record.received + received, MicroBtt(record.paid + paid), now, shunned, why)
