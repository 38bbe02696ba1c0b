"""What the auction costs."""

import random
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

from appliance.auction.clearing import Bid, clear
from appliance.units import MicroBttPerMib
from tests.bench.figure import Figure

BIDS, SLOTS = 10_000, 28


def clearing(folder: Path, pairs: int) -> Iterator[Figure]:
    """A round of 10,000 bids beside Python's own sort of them."""
    chance = random.Random(7)
    bids = [
        Bid(secrets.token_bytes(33), f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "t", MicroBttPerMib(price))
        for n, price in enumerate(chance.randrange(1, 10**6) for _ in range(BIDS))
    ]
    cleared, least = [], []
    for _ in range(pairs * 4):
        cleared.append(
            _ms(lambda: clear(bids, slots=SLOTS, reserve=MicroBttPerMib(1), seed=secrets.token_bytes(32)))
        )
        least.append(_ms(lambda: sorted(bids, key=attrgetter("price"), reverse=True)))
    middle = statistics.median
    yield Figure("clearing of 10,000 bids", middle(cleared), middle(least), "<= 5", "ms")


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3
