"""What is bought of one torrent: its terms, its budget, and the pace at which that is spent."""

from dataclasses import dataclass, field, replace

from appliance.core.units import MicroBtt, MicroBttPerMib, MonoNs, UtcMs
from appliance.domain.auction import pacing
from appliance.domain.auction.lease import CREDIT, ROUND_NS
from appliance.domain.auction.pacing import Pace
from appliance.domain.auction.wants import Need, Want, bids

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A torrent that is being downloaded, and what the owner pays for it."""

    id: str
    name: str
    info_hash: bytes
    """20 bytes by which its swarm is known."""
    piece: int
    """Length of a piece."""
    missing: int
    """Bytes."""
    rate: int
    """Bytes a second that come, paid or not."""
    private: bool
    want: Want
    own: bool
    """The owner asked for it; otherwise the box bids on its own."""


@dataclass(slots=True)
class _Round:
    """What has come and was paid since the last round."""

    began: MonoNs
    got: int = 0
    """Bytes that came from sellers."""
    spent: int = 0


@dataclass(slots=True, kw_only=True)
class Purchase:
    """What is bought of one torrent."""

    download: Download
    spent: MicroBtt
    """For the torrent in all, whatever the terms were."""
    pace: Pace | None = None
    price: MicroBttPerMib = MicroBttPerMib(0)
    """What is bid now."""
    rate: int = 0
    """Bytes a second that came from sellers in the last round."""
    _round: _Round | None = field(default=None, repr=False)
    _failed: int | None = None
    """Bytes of the torrent that have failed their check; None: not counted yet."""

    @property
    def want(self) -> Want:
        """The terms."""
        return self.download.want

    @property
    def used(self) -> MicroBtt:
        """Spent of the budget."""
        return MicroBtt(max(0, self.spent - self.want.before))

    @property
    def left(self) -> MicroBtt:
        """What is left of the budget."""
        return MicroBtt(max(0, self.want.budget - self.used))

    def goes_on_as(self, download: Download) -> bool:
        """Whether the same terms still hold: those that the box sets itself may move."""
        same_terms = not download.own or download.want == self.want
        return download.own == self.download.own and same_terms

    def decide(self, sellers: int, day_left: MicroBtt, now: UtcMs) -> MicroBttPerMib:
        """What to bid now; `sellers` is to how many a bid stands."""
        pace, price = bids(self.want, self._need(sellers), self.pace, day_left, now)
        self.price = MicroBttPerMib(price)
        self.pace = replace(pace, last=self.price)
        return self.price

    def _need(self, sellers: int) -> Need:
        return Need(
            missing=self.download.missing,
            free_rate=max(0, self.download.rate - self.rate),
            spent=self.used,
            sellers=sellers,
            rate=max(self.rate, self.download.rate, CREDIT * _SECOND_NS // ROUND_NS),
        )

    def received(self, count: int) -> None:
        """Bytes came from a seller."""
        if self._round:
            self._round.got += count

    def paid(self, more: MicroBtt) -> None:
        """A seller was paid `more`."""
        self.spent = MicroBtt(self.spent + more)
        if self._round:
            self._round.spent += more

    def failed_since(self, failed: int) -> int:
        """Bytes that have failed their check since the last time, where `failed` is all of them."""
        before, self._failed = self._failed, failed
        return 0 if before is None else max(0, failed - before)

    def turn(self, now: MonoNs, *, bidding: bool) -> None:
        """Once a round, learn from what it has cost; `bidding` is whether a bid stands anywhere."""
        last = self._round
        if last and now - last.began < ROUND_NS:
            return
        self.rate = self._learnt(last, now, bidding) if last else 0
        self._round = _Round(now)

    def _learnt(self, last: _Round, now: MonoNs, bidding: bool) -> int:
        """Bytes a second that the round has brought, once the pace has learnt from what it has cost."""
        if bidding and self.pace:
            self.pace = pacing.after(self.pace, MicroBtt(last.spent), self.price)
        return last.got * _SECOND_NS // (now - last.began)
