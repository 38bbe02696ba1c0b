"""Clearing: the N highest bidders get the N slots, and all pay the same price.

Invariants, checked by tests/unit/domain/auction/test_clearing.py:
A1  nobody wins below the reserve, nobody pays more than they bid, and all winners pay the same;
A2  who lost has not bid more than the price, but for a torrent whose own slots were sold;
A3  one slot for each key and each address;
A4  what is decided does not depend on the order in which bids came.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from appliance.core.units import MicroBttPerMib


class Rule(StrEnum):
    """What all winners pay."""

    LOWEST_WINNING = "lowest-winning"
    """The lowest winning bid, as BitTorrent Speed has it."""
    HIGHEST_LOSING = "highest-losing"
    """The highest losing bid: nobody gains by bidding less than it is worth to them."""


@dataclass(frozen=True, slots=True)
class SlotBid:
    """What somebody offers for a slot."""

    key: bytes
    """Compressed public key of the bidder."""
    ip: str
    torrent: str
    """Id of the torrent that it wants."""
    price: MicroBttPerMib


@dataclass(frozen=True, slots=True)
class Cleared:
    """The outcome of a round."""

    winners: tuple[SlotBid, ...]
    """The highest first."""
    price: MicroBttPerMib
    """What all winners pay; where nobody won, the least that would have won: the reserve."""
    tie: bytes | None
    """The largest tie-breaker that won at the lowest winning price; None where nobody lost at that price."""


def clear(
    bids: Iterable[SlotBid],
    *,
    slots: int,
    reserve: MicroBttPerMib,
    seed: bytes,
    rule: Rule = Rule.LOWEST_WINNING,
    per_torrent: int = 0,
) -> Cleared:
    """Decide a round. `bids` are funded and fresh, one for each key; `per_torrent` of 0 is no limit.

    Equal bids are put in order by `breaker`, from the round's secret seed.
    """
    ranked = _ranked(bids, reserve, seed, None if per_torrent else slots)
    winners, highest_losing = _share_out(ranked, slots, per_torrent)
    if not winners:
        return Cleared((), reserve, None)
    lowest = winners[-1].price
    losing = min(lowest, max(reserve, highest_losing))
    price = losing if rule is Rule.HIGHEST_LOSING else lowest
    return Cleared(tuple(winners), price, _tie(ranked, winners, seed))


def _ranked(
    bids: Iterable[SlotBid], reserve: MicroBttPerMib, seed: bytes, decisive: int | None
) -> list[SlotBid]:
    """Those who take part, the best first; ties are only broken in the first `decisive` places."""
    ranked = [bid for bid in bids if bid.price >= reserve]
    if decisive is not None:
        ranked = _one_for_each_address(ranked, seed)
    ranked.sort(key=attrgetter("price"), reverse=True)
    _break_ties(ranked, seed, len(ranked) if decisive is None else decisive)
    return ranked


def _share_out(
    ranked: Sequence[SlotBid], slots: int, per_torrent: int
) -> tuple[list[SlotBid], MicroBttPerMib]:
    """The winners, and the highest price that was bid and did not win; 0: there is none."""
    winners: list[SlotBid] = []
    losers: list[SlotBid] = []
    taken, served = Counter[str](), set[str]()
    for bid in ranked:
        # An address has one lane: its next best bid counts only where its best one cannot win.
        if bid.ip in served:
            continue
        if len(winners) == slots:
            losers.append(bid)
            break
        if per_torrent and taken[bid.torrent] >= per_torrent:
            losers.append(bid)
            continue
        taken[bid.torrent] += 1
        served.add(bid.ip)
        winners.append(bid)
    losing = [bid.price for bid in losers if bid.ip not in served]
    return winners, max(losing, default=MicroBttPerMib(0))


def breaker(seed: bytes, key: bytes) -> bytes:
    """What decides between equal bids: the smaller one wins. SHA-256(seed || key)."""
    return hashlib.sha256(seed + key).digest()


def commitment(seed: bytes) -> bytes:
    """The commitment to a seed that is published before the bids come. SHA-256(domain || seed)."""
    return hashlib.sha256(b"seedbox/auction-seed/1" + seed).digest()


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What a bidder learns of a round: `commit` before the bids came, the rest after."""

    rule: Rule
    commit: bytes
    seed: bytes
    won: bool
    price: MicroBttPerMib
    tie: bytes | None
    full: bool = False
    """Its torrent's own slots were sold, whatever it bid."""


def fair(key: bytes, bid: MicroBttPerMib, report: RoundReport) -> bool:
    """Whether a bidder with this key finds nothing wrong with what it learned.

    It knows what it has bid itself, and not what others have.
    """
    overcharged = report.won and report.price > bid
    if commitment(report.seed) != report.commit or overcharged:
        return False
    return report.won or _lost_fairly(key, bid, report)


def _lost_fairly(key: bytes, bid: MicroBttPerMib, report: RoundReport) -> bool:
    if report.full or bid < report.price:
        return True
    return bid == report.price and _lost_tie(key, report)


def _lost_tie(key: bytes, report: RoundReport) -> bool:
    """Whether one who bid exactly the price may have lost."""
    if report.tie is None:
        # The highest losing bid is a price that a loser may well have named.
        return report.rule is Rule.HIGHEST_LOSING
    return breaker(report.seed, key) > report.tie


def _one_for_each_address(bids: list[SlotBid], seed: bytes) -> list[SlotBid]:
    """The best bid of each address: those behind it share one lane anyway."""
    best: dict[str, SlotBid] = {}
    for bid in bids:
        other = best.setdefault(bid.ip, bid)
        if other is not bid and _before(bid, other, seed):
            best[bid.ip] = bid
    return list(best.values())


def _before(one: SlotBid, other: SlotBid, seed: bytes) -> bool:
    if one.price != other.price:
        return one.price > other.price
    return breaker(seed, one.key) < breaker(seed, other.key)


def _break_ties(standing: list[SlotBid], seed: bytes, decisive: int) -> None:
    """Put runs of equal bids in order, as far as the first `decisive` places reach: hashing costs most."""
    start = 0
    while start < min(decisive, len(standing)):
        end = start + 1
        while end < len(standing) and standing[end].price == standing[start].price:
            end += 1
        if end - start > 1:
            standing[start:end] = sorted(standing[start:end], key=lambda bid: breaker(seed, bid.key))
        start = end


def _tie(standing: Sequence[SlotBid], winners: Sequence[SlotBid], seed: bytes) -> bytes | None:
    lowest, served = winners[-1].price, {bid.ip for bid in winners}
    if all(bid.ip in served for bid in standing if bid.price == lowest):
        return None
    return max(breaker(seed, bid.key) for bid in winners if bid.price == lowest)
