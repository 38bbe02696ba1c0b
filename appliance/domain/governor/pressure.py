"""Pressure: disks or memory that the machine has to wait for.

By the kernel's pressure stall information (Linux: Documentation/accounting/psi.rst) over a minute, and by the
memory that is left. A disk that only seeds is waited for most of the time, and nothing is wrong with that:
the bounds are so high that they tell of a machine on which nothing else gets done.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from appliance.domain.governor.hysteresis import MINUTE_NS, Gate, Hysteresis, follow
from appliance.domain.governor.readings import Pressure, Readings
from appliance.domain.governor.throttle import ONE, Cut, Throttle, ThrottleRule

CALM_NS = 10 * MINUTE_NS


class _Bounds(NamedTuple):
    """Ppm of the time, from which on a level is asked for; half of it is calm."""

    some: int
    full: int


_IO = _Bounds(some=600_000, full=700_000)
_MEMORY = _Bounds(some=100_000, full=50_000)
LEFT_SHORT, LEFT_LOW = 100_000, 60_000
"""Ppm of the memory that is available; half as much again is calm."""

_IO_CUTS = {
    1: Cut(checking=False),
    2: Cut(checking=False, new_work=False, slots_ppm=500_000, upload_ppm=600_000),
}
_MEMORY_CUTS = {
    1: Cut(checking=False, connections_ppm=500_000),
    2: Cut(checking=False, new_work=False, connections_ppm=250_000, slots_ppm=500_000),
}
_IO_LESS = {1: "file checks are paused", 2: "file checks are paused and upload is reduced"}
_MEMORY_LESS = {1: "half", 2: "a quarter"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StallState:
    """What is remembered of both."""

    io: Hysteresis = Hysteresis()
    memory: Hysteresis = Hysteresis()


def assess(state: StallState, readings: Readings, gate: Gate) -> tuple[StallState, list[Throttle]]:
    """Take a reading: the next state, and what throttles the box."""
    io = follow(state.io, _stall_level(readings.io, state.io.level, _IO), gate, calm_ns=CALM_NS).explained(
        lambda level: _io_says(level, readings.io)
    )
    memory = follow(
        state.memory, _memory_level(readings, state.memory.level), gate, calm_ns=CALM_NS
    ).explained(lambda level: _memory_says(level, readings))
    throttles = [
        *_throttle(ThrottleRule.IO, io, _IO_CUTS),
        *_throttle(ThrottleRule.MEMORY, memory, _MEMORY_CUTS),
    ]
    return StallState(io=io, memory=memory), throttles


def _throttle(rule: ThrottleRule, now: Hysteresis, cuts: dict[int, Cut]) -> Iterator[Throttle]:
    if now.level:
        yield Throttle(rule=rule, says=now.says, cut=cuts[now.level])


def _stall_level(pressure: Pressure | None, level: int, bounds: _Bounds) -> int | None:
    """The level that a pressure asks for; at a level already, half of its bound keeps it."""
    if pressure is None:
        return None
    if pressure.full60 >= _lowered(bounds.full, level >= 2):
        return 2
    return int(pressure.some60 >= _lowered(bounds.some, level >= 1))


def _lowered(bound: int, reached: bool) -> int:
    return bound // 2 if reached else bound


def _memory_level(readings: Readings, level: int) -> int | None:
    asked = (
        _stall_level(readings.memory, level, _MEMORY),
        _left_level(share_left(readings.ram_available, readings.ram_total), level),
    )
    return max((one for one in asked if one is not None), default=None)


def memory_is_low(available: int | None, total: int | None) -> bool:
    """Whether so little memory (bytes) is available that it throttles the box."""
    return bool(_left_level(share_left(available, total), 0))


def share_left(available: int | None, total: int | None) -> int | None:
    """Ppm of the memory that is available; None: it is unknown."""
    if available is None or not total:
        return None
    return available * ONE // total


def _left_level(share: int | None, level: int) -> int | None:
    if share is None:
        return None
    if share < _raised(LEFT_LOW, level >= 2):
        return 2
    return int(share < _raised(LEFT_SHORT, level >= 1))


def _raised(bound: int, reached: bool) -> int:
    return bound * 3 // 2 if reached else bound


def _io_says(level: int, io: Pressure | None) -> str:
    waits = f" (work waits {io.some60 // 10_000} % of the time)" if io else ""
    return f"The disks are overloaded{waits}; {_IO_LESS[level]} until they catch up."


def _memory_says(level: int, readings: Readings) -> str:
    share = share_left(readings.ram_available, readings.ram_total)
    left = "" if share is None else f" ({share // 10_000} % available)"
    return f"Memory is low{left}; connections are reduced to {_MEMORY_LESS[level]} until there is more."
