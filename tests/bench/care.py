"""What the governor costs, and what months of simulated weather show of it."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.core.config import GovernorConfig
from appliance.core.units import MonoNs
from appliance.domain.governor.model import GovernorMoment, GovernorState
from appliance.domain.governor.policy import decide
from appliance.domain.governor.settings import GovernorSettings, settings_of
from tests.bench.figure import Figure
from tests.simulation.noise import NOISES, UPLINK, changes, noisy
from tests.simulation.weather import (
    LATEST_S,
    WANTED,
    ZONE,
    World,
    attic,
    capped,
    everything,
    heat_wave,
    most_in_an_hour,
    simulate,
    tariff,
)
from tests.unit.services.machine.test_governing import Attic

WORLDS: dict[str, Callable[[int], World]] = {
    "heat, cap and tariff": everything,
    "heat": attic,
    "heat wave": heat_wave,
    "cap": capped,
    "tariff": tariff,
}


def governor(folder: Path, pairs: int) -> Iterator[Figure]:
    """A decision with all its rules at work, and unrest at noisy readings."""
    keys = GovernorConfig(month_cap=1_000, cheap_hours=("22:00-06:00",), quiet_hours=("01:00-05:00",))
    settings, state, took = settings_of(keys, ZONE), GovernorState(), []
    for seconds, readings in noisy(list(NOISES), 1, hours=10):
        moment = GovernorMoment(
            at=readings.at, mono=MonoNs(seconds * 10**9), wanted=WANTED, uplink=UPLINK, uplink_cap=500_000
        )
        started = time.process_time_ns()
        state, _ = decide(settings, state, readings, moment)
        took.append((time.process_time_ns() - started) / 1e3)
    middle = statistics.median(took)
    yield Figure("one decision of the governor", middle, None, "-", "µs of CPU")
    yield Figure("decisions, one in ten seconds", middle / 10, None, "<= 2,000", "ppm of a core")
    yield Figure(
        "readings and governor, a look in five seconds", _looking(folder), None, "<= 2,000", "ppm of a core"
    )
    for name in NOISES:
        times = [changes([name], seed, settings=GovernorSettings()) for seed in range(1, pairs + 1)]
        worst = max(most_in_an_hour(one) for one in times)
        yield Figure(f"most changes in an hour, noise: {name}", worst, None, "<= 6", "/h")
    every = [changes(list(NOISES), seed, settings=GovernorSettings()) for seed in range(1, pairs + 1)]
    worst = max(most_in_an_hour(one) for one in every)
    yield Figure("most changes in an hour, noise in all readings", worst, None, "<= 6", "/h")


def _looking(folder: Path) -> float:
    """Ppm of a core: this machine's own files, the rules, and what is kept of them."""
    attic, looks = Attic(folder, Path("/")), 500

    async def look() -> None:
        for _ in range(looks):
            attic.clock.seconds += 5
            await attic.governing.refresh()

    started = time.process_time_ns()
    asyncio.run(look())
    took = time.process_time_ns() - started
    attic.database.close()
    return took / looks / 5_000


def weather(folder: Path, pairs: int) -> Iterator[Figure]:
    """Summers, each with `pairs` seeds beside an oracle: the worst of the seeds."""
    for name, world in WORLDS.items():
        lived = [simulate(world(seed)) for seed in range(1, pairs + 1)]
        months = [month for one in lived for month in one.months if month[1]]
        if months:
            kept = sum(counted <= cap for counted, cap in months)
            yield Figure(f"{name}: months within the cap", kept, len(months), "100 %", "months")
        if "heat" in name:
            seconds = max(one.longest_s for one in lived)
            kept = sum(one.temperature_kept for one in lived)
            yield Figure(f"{name}: summers with the temperature kept", kept, len(lived), "100 %", "summers")
            yield Figure(f"{name}: longest above the hard limit", seconds, None, f"<= {LATEST_S:.0f}", "s")
            yield Figure(f"{name}: hottest", max(one.hottest for one in lived), 80, "-", "°C")
        least = min(lived, key=lambda one: one.share)
        yield Figure(
            f"{name}: sent, against an oracle", least.sent / 1e9, least.achievable / 1e9, ">= 0.9", "GB"
        )
        if least.hot_achievable and not months:
            hot = min(lived, key=lambda one: one.hot_share)
            sent, could = hot.hot_sent / 1e9, hot.hot_achievable / 1e9
            yield Figure(f"{name}: of it while heat bounds the oracle too", sent, could, "-", "GB")
        restless = max(one.restless for one in lived)
        yield Figure(f"{name}: most changes in an hour", restless, None, "<= 6", "/h")
