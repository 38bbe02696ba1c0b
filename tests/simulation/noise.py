"""Readings that waver about every bound of the governor, and at times are not there at all."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from appliance.core.units import GIB, MonoNs, UtcMs
from appliance.domain.governor.model import GovernorMoment, GovernorState
from appliance.domain.governor.policy import decide
from appliance.domain.governor.readings import Firmware, Pressure, Readings, Supply
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.volumes.volume import Volume
from tests.simulation.weather import WANTED

START = UtcMs(1_780_000_000_000)
UPLINK = 2_000_000


def around(chance: random.Random, bound: int, part: float) -> int:
    """A value about `bound`, with a standard deviation of `part` of it."""
    return max(0, round(chance.gauss(bound, bound * part)))


def _pressure(some: int, full: int) -> Pressure:
    return Pressure(some10=some, some60=some, full10=full, full60=full)


def _firmware(low: bool, before: bool) -> Firmware:
    other = {"frequency_capped": False, "firmware_throttled": False, "soft_temperature_limit": False}
    return Firmware(
        under_voltage=low,
        under_voltage_before=before,
        frequency_capped_before=False,
        firmware_throttled_before=False,
        soft_temperature_limit_before=False,
        **other,
    )


def _volume(free: int) -> Volume:
    return Volume(
        path="/srv",
        uuid="u",
        device="/dev/sda1",
        writable=True,
        total=32 * GIB,
        free=free,
        inodes_free_percent=90,
    )


NOISES: dict[str, Callable[[random.Random], dict[str, object]]] = {
    "heat at 75 °C": lambda chance: {"temperature_mc": around(chance, 75_000, 0.02)},
    "heat at 80 °C": lambda chance: {"temperature_mc": around(chance, 80_000, 0.02)},
    "under-voltage": lambda chance: {"firmware": _firmware(chance.random() < 0.1, True)},
    "UPS": lambda chance: {
        "supply": chance.choices(list(Supply), [90, 8, 2])[0],
        "battery_percent": around(chance, 15, 0.1),
    },
    "I/O": lambda chance: {"io": _pressure(around(chance, 600_000, 0.2), around(chance, 700_000, 0.2))},
    "memory": lambda chance: {
        "memory": _pressure(around(chance, 100_000, 0.3), around(chance, 50_000, 0.3)),
        "ram_total": GIB,
        "ram_available": around(chance, GIB // 10, 0.3),
    },
    "room": lambda chance: {"volumes": (_volume(around(chance, 2 * GIB, 0.1)),)},
}


def noisy(
    names: list[str], seed: int, *, step_s: int = 10, hours: int = 24
) -> Iterator[tuple[int, Readings]]:
    """(seconds, readings) with noise in the readings of that name; one in fifty cannot be read."""
    chance = random.Random(seed)
    for seconds in range(0, hours * 3_600, step_s):
        told: dict[str, Any] = {}
        for name in names:
            if chance.random() > 0.02:
                told |= NOISES[name](chance)
        sent = chance.randrange(UPLINK)
        yield seconds, Readings(at=UtcMs(START + seconds * 1_000), up_rate=sent, **told)


def changes(names: list[str], seed: int, *, settings: GovernorSettings, hours: int = 24) -> list[float]:
    """When the limits change, in seconds."""
    state, times = GovernorState(), []
    for seconds, readings in noisy(names, seed, hours=hours):
        moment = GovernorMoment(at=readings.at, mono=MonoNs(seconds * 10**9), wanted=WANTED, uplink=UPLINK)
        state, decision = decide(settings, state, readings, moment)
        if decision.changed:
            times.append(float(seconds))
    return times
