"""The count of what one seller has offered, sent and may be paid for: whatever it says itself.

Invariants, checked by tests/unit/domain/auction/test_deal.py:
B1  never is more paid than the channel holds, than the receipt asks for, or than is due by the own count;
B2  never is more paid than one step beyond what has passed its hash check.
"""

from dataclasses import dataclass, field

from appliance.core.units import MIB, MicroBtt, MicroBttPerMib
from appliance.domain.auction.clearing import RoundReport, Rule, fair
from appliance.domain.auction.lease import CREDIT, charge
from appliance.domain.auction.records import LIED, SILENT, Misconduct

PIECES_AHEAD = 4
"""Pieces of a torrent that may be incomplete from one seller before they can be checked."""
IN_FLIGHT = 8 * MIB
"""What a seller may have sent that has not arrived, beside its credit: the buffers of both kernels."""
SILENT_ROUNDS = 3
"""Rounds won without a byte before the seller is left alone."""
THROTTLED_ROUNDS = 40
"""The same, ten minutes, for a seller that has said that it sends less than usual."""
LATE = 4
"""Rounds by which a result may come late and still be judged by the bids of its time."""
_ASKS = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """What a seller offers in a round."""

    round: int
    reserve: MicroBttPerMib
    credit: int
    """Bytes that it sends before they are paid, at most."""
    rule: Rule
    commit: bytes


@dataclass(slots=True)
class _Bids:
    """The bids that were made lately: bids and results cross on the way, so any of them may have counted."""

    rounds: list[list[MicroBttPerMib]] = field(default_factory=lambda: [[]])
    """Bids since the last result, and between those before it; the newest last."""

    def at_result(self) -> list[MicroBttPerMib]:
        """All that may have been in force when the round of a result was decided; a new round begins."""
        known = [one for said in self.rounds for one in said]
        self.rounds = [*self.rounds[1 - LATE :], []]
        if known and not any(self.rounds):
            self.rounds[0].append(known[-1])
        return [one for one in known if one]


@dataclass(slots=True, kw_only=True)
class Deal:
    """What was agreed with one seller about one torrent, and what has come of it."""

    key: bytes
    """Our own."""
    piece: int
    """Length of a piece of the torrent."""
    asks: dict[int, Asked] = field(default_factory=dict)
    channel: bytes = b""
    lock: MicroBtt = MicroBtt(0)
    """What may be paid in the channel in all."""
    paid: MicroBtt = MicroBtt(0)
    """In the channel, in all."""
    said: MicroBttPerMib = MicroBttPerMib(0)
    """The bid that stands; 0: none. Set by `says`."""
    won: bool = False
    price: MicroBttPerMib = MicroBttPerMib(0)
    """The price of the lease, or what won last."""
    received: int = 0
    """Bytes since the first lease began."""
    unverified: int = 0
    """How many of those bytes are in pieces that are not complete."""
    failed: int = 0
    """Bytes in pieces that failed their check."""
    repeated: bool = False
    """The last payment was sent again over this connection."""
    silent: int = 0
    """Rounds won in a row without a byte."""
    throttled: bool = False
    """It has said that it sends less than usual: its box is hot, say, or its line is needed."""
    _bids: _Bids = field(default_factory=_Bids)
    _base: int = 0
    """Due in the channel for earlier leases, in µBTT."""
    _exact: int = 0
    """Bytes times price of this lease."""
    _slack: int = 0
    """Bytes times price that may differ because the two sides learn of a new price at different moments."""
    _claimed: int = 0
    """Bytes that receipts have named in all."""
    _sent: int = 0
    """What the last receipt named for its lease."""
    _resumed: bool = False
    """The channel was paid in before this process began: what was counted then is not known any more."""
    _fresh: bool = False
    """Bytes have come since the last result."""

    @property
    def last(self) -> Asked | None:
        """What is asked now."""
        return self.asks[max(self.asks)] if self.asks else None

    @property
    def credit(self) -> int:
        """Bytes that the seller sends before they are paid."""
        return self.last.credit if self.last else CREDIT

    @property
    def step(self) -> int:
        """Bytes that are paid before they can be checked, at most."""
        return self.credit + PIECES_AHEAD * self.piece

    def covers(self, price: MicroBttPerMib, missing: int) -> bool:
        """Whether the channel covers a credit window at this price, or all that is `missing`."""
        return bool(self.channel) and self.lock - self.paid >= charge(min(self.credit, missing), price)

    # ----------------------------------------------------------------------------------------- channel

    def fund(self, channel: bytes, lock: MicroBtt, paid: MicroBtt, *, resumed: bool = False) -> None:
        """Pay with this channel from now on; where it is in use, the count goes on with another lock."""
        if (channel, paid) == (self.channel, self.paid):
            self.lock = lock
            return
        self.channel, self.lock, self.paid = channel, lock, paid
        self._base, self._exact, self._slack = paid, 0, 0
        self._resumed = resumed

    def limit(self, left: MicroBtt) -> None:
        """Pay at most `left` more in the channel."""
        self.lock = MicroBtt(min(self.lock, self.paid + left))

    def reopened(self) -> None:
        """There is another connection to its market: what was said over the old one is void."""
        self.asks.clear()
        self.said = MicroBttPerMib(0)
        self._bids = _Bids()
        self.won = self.repeated = self.throttled = False

    # ------------------------------------------------------------------------------------------ rounds

    def asked(self, ask: Asked) -> None:
        """A round has begun."""
        self.asks[ask.round] = ask
        while len(self.asks) > _ASKS:
            del self.asks[min(self.asks)]

    def says(self, price: MicroBttPerMib) -> None:
        """A bid is made, or with 0 taken back."""
        self.said = price
        self._bids.rounds[-1].append(price)

    def result(
        self, round: int, won: bool, price: MicroBttPerMib, seed: bytes, tie: bytes | None, full: bool
    ) -> Misconduct | None:
        """What came of a round; what is wrong with it, if something is."""
        ask, in_force = self.asks.get(round), self._bids.at_result()
        if ask is None or not in_force:
            return None
        outcome = RoundReport(ask.rule, ask.commit, seed, won, price, tie, full)
        if not any(fair(self.key, said, outcome) for said in in_force):
            return LIED
        if won:
            return self._has_won(ask, price)
        self.won = False
        return None

    def _has_won(self, ask: Asked, price: MicroBttPerMib) -> Misconduct | None:
        if self.won and price != self.price:
            self._slack += abs(price - self.price) * (ask.credit + self.piece)
        self.silent = 0 if self._fresh else self.silent + 1
        self.won, self.price, self._fresh = True, price, False
        return SILENT if self.silent > self._silence_allowed else None

    @property
    def _silence_allowed(self) -> int:
        """For how many rounds a seller whose lease was won may send nothing."""
        return THROTTLED_ROUNDS if self.throttled else SILENT_ROUNDS

    # ------------------------------------------------------------------------------------------- money

    def arrived(self, count: int, unverified: int, failed: int) -> None:
        """`count` more bytes came from it; `unverified` and `failed` are those in all."""
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
        """What to pay in all when a receipt asks for `owed`; None: nothing more.

        Every bound on what a seller asks for is here, and nowhere else.
        """
        if self._resumed:
            # Before this process began the seller may have sent up to its credit that nobody has counted.
            self._slack += self.credit * max(self.price, self.said)
            self._resumed = False
        allowed = min(owed, self.lock, self.checked)
        return MicroBtt(allowed) if allowed > self.paid else None

    def lies(self, sent: int) -> bool:
        """Whether the bytes that a receipt names for its lease are more than can be on their way."""
        if not self._resumed:
            # Where it names fewer than before, another lease has begun.
            self._claimed += sent - self._sent if sent >= self._sent else sent
        self._sent = sent
        return self._claimed - self.received > IN_FLIGHT + self.credit
