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
class Bid:
    """What somebody offers for a slot."""

    key: bytes
    """Compressed public key of the bidder."""
    ip: str
    torrent: str
    """Id of the torrent that it wants."""
    price: MicroBttPerMib


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a round has come to."""

    winners: tuple[Bid, ...]
    """The highest first."""
    price: MicroBttPerMib
    """What all winners pay; where nobody won, the least that would have won: the reserve."""
    tie: bytes | None
    """The largest tie-breaker that won at the lowest winning price; None where nobody lost at that price."""


def clear(
    bids: Iterable[Bid],
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
    standing = _one_for_each_address([bid for bid in bids if bid.price >= reserve], seed)
    standing.sort(key=attrgetter("price"), reverse=True)
    _break_ties(standing, seed, slots if not per_torrent else len(standing))
    winners: list[Bid] = []
    taken = Counter[str]()
    highest_losing = reserve
    for at, bid in enumerate(standing):
        if len(winners) == slots:
            highest_losing = max(highest_losing, bid.price)
            break
        if per_torrent and taken[bid.torrent] >= per_torrent:
            highest_losing = max(highest_losing, bid.price)
            continue
        taken[bid.torrent] += 1
        winners.append(standing[at])
    if not winners:
        return Cleared((), reserve, None)
    lowest = winners[-1].price
    price = lowest if rule is Rule.LOWEST_WINNING else min(lowest, highest_losing)
    return Cleared(tuple(winners), price, _tie(standing, winners, seed))


def breaker(seed: bytes, key: bytes) -> bytes:
    """What decides between equal bids: the smaller one wins. SHA-256(seed || key)."""
    return hashlib.sha256(seed + key).digest()


def commitment(seed: bytes) -> bytes:
    """What is told of a seed before the bids come."""
    return hashlib.sha256(b"seedbox/auction-seed/1" + seed).digest()


@dataclass(frozen=True, slots=True)
class Told:
    """What a bidder is told of a round; `commit` before the bids came, the rest after."""

    rule: Rule
    commit: bytes
    seed: bytes
    won: bool
    price: MicroBttPerMib
    tie: bytes | None
    full: bool = False
    """Its torrent's own slots were sold, whatever it bid."""


def fair(key: bytes, said: MicroBttPerMib, told: Told) -> bool:
    """Whether a bidder with this key can find nothing wrong with what it was told.

    It knows what it has said itself, and not what others have bid.
    """
    if commitment(told.seed) != told.commit or (told.won and told.price > said):
        return False
    if told.won or told.full or said < told.price:
        return True
    if said > told.price:
        return False
    if told.tie is None:
        # The highest losing bid is a price that a loser may well have named.
        return told.rule is Rule.HIGHEST_LOSING
    return breaker(told.seed, key) > told.tie


def _one_for_each_address(bids: list[Bid], seed: bytes) -> list[Bid]:
    """The best bid of each address: those behind it share one lane anyway."""
    best: dict[str, Bid] = {}
    for bid in bids:
        other = best.setdefault(bid.ip, bid)
        if other is not bid and _before(bid, other, seed):
            best[bid.ip] = bid
    return list(best.values())


def _before(one: Bid, other: Bid, seed: bytes) -> bool:
    if one.price != other.price:
        return one.price > other.price
    return breaker(seed, one.key) < breaker(seed, other.key)


def _break_ties(standing: list[Bid], seed: bytes, decisive: int) -> None:
    """Put runs of equal bids in order, as far as the first `decisive` places reach: hashing costs most."""
    start = 0
    while start < min(decisive, len(standing)):
        end = start + 1
        while end < len(standing) and standing[end].price == standing[start].price:
            end += 1
        if end - start > 1:
            standing[start:end] = sorted(standing[start:end], key=lambda bid: breaker(seed, bid.key))
        start = end


def _tie(standing: Sequence[Bid], winners: Sequence[Bid], seed: bytes) -> bytes | None:
    lowest, won = winners[-1].price, {bid.key for bid in winners}
    if all(bid.key in won for bid in standing if bid.price == lowest):
        return None
    return max(breaker(seed, bid.key) for bid in winners if bid.price == lowest)
