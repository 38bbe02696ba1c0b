"""What the upload costs the others at home, with the uplink guard and without: 10 Mbit/s with a queue."""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from appliance.core.units import MIB
from tests.bench.figure import Figure
from tests.support.home_line import HomeLine, uploading

SETTLE_S, MEASURE_S = 40.0, 30.0


@dataclass(frozen=True, slots=True)
class Evening:
    """What was seen on the line for some time."""

    added_ms: float
    """To the neighbour's round trips, mean."""
    worst_ms: float
    """95 of 100 were below."""
    used: float
    """Share of the uplink."""


def evening(
    folder: Path, *, guarded: bool, over: str, peers: int, seconds: float, echo: bool = True
) -> Evening:
    """Peers in the internet take all that they get over `tcp` or `utp`; the neighbour pings."""
    with ExitStack() as stack:
        home = stack.enter_context(HomeLine())
        if echo:
            home.allow_ping()
        quiet = statistics.mean(home.round_trips_ms(2))
        stack.enter_context(uploading(folder, home, guarded=guarded, over=over, peers=peers, size=128 * MIB))
        home.round_trips_ms(SETTLE_S if guarded else SETTLE_S / 4)
        began, before = time.monotonic(), home.sent()
        times = home.round_trips_ms(seconds)
        used = (home.sent() - before) * 8 / (time.monotonic() - began) / home.UP_BITS
    return Evening(statistics.mean(times) - quiet, sorted(times)[len(times) * 95 // 100] - quiet, used)


def uplink(folder: Path, pairs: int) -> Iterator[Figure]:
    """Latency added to a neighbour's ping over a full uplink, and what the box still sends."""
    for over, peers in (("tcp", 1), ("tcp", 6), ("utp", 4)):
        places = (folder / f"{over}{peers}-{on}" for on in ("on", "off"))
        on, off = (
            evening(place, guarded=place.name.endswith("on"), over=over, peers=peers, seconds=MEASURE_S)
            for place in places
        )
        what = f"{peers} peer{'s' * (peers > 1)} over {over}"
        yield Figure(
            f"added to a neighbour's ping, {what}", on.added_ms, off.added_ms, "<= 30, <= 0.20", "ms"
        )
        yield Figure(f"added to 95 of 100 of them, {what}", on.worst_ms, off.worst_ms, "-", "ms")
        yield Figure(f"used of the uplink, {what}", 100 * on.used, 100 * off.used, ">= 85", "%")
