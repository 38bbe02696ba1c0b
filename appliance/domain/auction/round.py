"""One round of a seller: who takes part, who has won, and what each bidder is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.core.units import MicroBttPerMib
from appliance.domain.auction.clearing import Cleared, SlotBid, clear
from appliance.domain.auction.effects import Decided
from appliance.domain.auction.lease import LEASE_ROUNDS, ROUND_NS
from appliance.domain.auction.messages import Result
from appliance.domain.auction.model import Offer, Terms

_LEASE_MS = LEASE_ROUNDS * ROUND_NS // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round that is decided."""

    number: int
    seed: bytes
    per_torrent: int
    latest: Mapping[bytes, Offer]
    """The offers that took part, by the bidder's key: the latest of each."""
    winners: Mapping[bytes, Offer]
    """Those of them that have won."""
    cleared: Cleared

    @property
    def price(self) -> MicroBttPerMib:
        """What all winners pay."""
        return self.cleared.price

    @property
    def waiting(self) -> int:
        """How many bids took part and did not win."""
        return len(self.latest) - len(self.winners)

    @property
    def decided(self) -> Decided:
        """It, for the history."""
        return Decided(len(self.winners), self.waiting, self.price)

    def result(self, offer: Offer) -> Result:
        """What the bidder of an offer is told, with what it needs to check it."""
        won = self.winners.get(offer.key) is offer
        return Result(
            round=self.number,
            won=int(won),
            price=self.price,
            lease_ms=_LEASE_MS if won else 0,
            reveal=self.seed,
            tie=self.cleared.tie or b"",
            full=int(not won and self._out_of_reach(offer)),
        )

    def _out_of_reach(self, offer: Offer) -> bool:
        """Whether an offer could not have won at any price."""
        # One slot for each key and each address: another bid of the same has it.
        has_slot = any(offer.key == one.key or offer.ip == one.ip for one in self.winners.values())
        return has_slot or offer.key not in self.latest or self._sold_out(offer.torrent)

    def _sold_out(self, torrent: str) -> bool:
        """Whether all slots that one torrent may have are sold."""
        sold = sum(one.torrent == torrent for one in self.winners.values())
        return bool(self.per_torrent) and sold >= self.per_torrent


def decide(
    number: int, seed: bytes, terms: Terms, reserve: MicroBttPerMib, latest: Mapping[bytes, Offer]
) -> Round:
    """Decide a round between the latest offers of those who can pay, by the bidder's key."""
    cleared = clear(
        [SlotBid(one.key, one.ip, one.torrent, one.price) for one in latest.values()],
        slots=terms.slots,
        reserve=reserve,
        seed=seed,
        rule=terms.rule,
        per_torrent=terms.per_torrent,
    )
    return Round(
        number=number,
        seed=seed,
        per_torrent=terms.per_torrent,
        latest=latest,
        winners={bid.key: latest[bid.key] for bid in cleared.winners},
        cleared=cleared,
    )
