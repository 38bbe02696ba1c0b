"""Pressure: disks or memory that the machine has to wait for.

By the kernel's pressure stall information (Linux: Documentation/accounting/psi.rst) over a minute, and by the
memory that is left. A disk that only seeds is waited for most of the time, and nothing is wrong with that:
the bounds are so high that they tell of a machine on which nothing else gets done.
"""

from dataclasses import dataclass, replace

from appliance.domain.governor.ease import Cut, Ease, Rule
from appliance.domain.governor.hysteresis import MINUTE_NS, Gate, Held, step
from appliance.domain.governor.readings import Pressure, Readings

CALM_NS = 10 * MINUTE_NS
IO_SOME, IO_FULL = 600_000, 700_000
MEMORY_SOME, MEMORY_FULL = 100_000, 50_000
"""Ppm of the time; half of it is calm."""
ROOM_SHORT, ROOM_LOW = 100_000, 60_000
"""Ppm of the memory that is available; half as much again is calm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalls:
    """What is remembered of both."""

    io: Held = Held()
    memory: Held = Held()


def look(stalls: Stalls, readings: Readings, gate: Gate) -> tuple[Stalls, list[Ease]]:
    """Take a reading."""
    io = step(stalls.io, _stall(readings.io, stalls.io.level, IO_SOME, IO_FULL), gate, calm_ns=CALM_NS)
    if io.level and not io.says:
        io = replace(io, says=_io_says(io.level, readings.io))
    memory = step(stalls.memory, _memory_wish(readings, stalls.memory.level), gate, calm_ns=CALM_NS)
    if memory.level and not memory.says:
        memory = replace(memory, says=_memory_says(memory.level, readings))
    eases = []
    if io.level:
        eases.append(Ease(rule=Rule.IO, says=io.says, cut=_IO_CUTS[io.level]))
    if memory.level:
        eases.append(Ease(rule=Rule.MEMORY, says=memory.says, cut=_MEMORY_CUTS[memory.level]))
    return Stalls(io=io, memory=memory), eases


_IO_CUTS = {
    1: Cut(checking=False),
    2: Cut(checking=False, new_work=False, slots_ppm=500_000, upload_ppm=600_000),
}
_MEMORY_CUTS = {
    1: Cut(checking=False, connections_ppm=500_000),
    2: Cut(checking=False, new_work=False, connections_ppm=250_000, slots_ppm=500_000),
}


def _stall(pressure: Pressure | None, level: int, some: int, full: int) -> int | None:
    """The level that a pressure asks for; at a level already, half of its bound keeps it."""
    if pressure is None:
        return None
    if pressure.full60 >= (full // 2 if level == 2 else full):
        return 2
    return 1 if pressure.some60 >= (some // 2 if level else some) else 0


def _memory_wish(readings: Readings, level: int) -> int | None:
    wishes = (
        _stall(readings.memory, level, MEMORY_SOME, MEMORY_FULL),
        _room(readings.ram_available, readings.ram_total, level),
    )
    return max((wish for wish in wishes if wish is not None), default=None)


def _room(available: int | None, total: int | None, level: int) -> int | None:
    if available is None or not total:
        return None
    share = available * 1_000_000 // total
    if share < (ROOM_LOW * 3 // 2 if level == 2 else ROOM_LOW):
        return 2
    return 1 if share < (ROOM_SHORT * 3 // 2 if level else ROOM_SHORT) else 0


def _io_says(level: int, io: Pressure | None) -> str:
    waits = f" (work waits {io.some60 // 10_000} % of the time)" if io else ""
    less = "nothing is checked and less is sent" if level == 2 else "nothing is checked"
    return f"The disks are overloaded{waits}; {less} until they keep up again."


def _memory_says(level: int, readings: Readings) -> str:
    left = ""
    if readings.ram_available is not None and readings.ram_total:
        left = f" ({readings.ram_available * 100 // readings.ram_total} % available)"
    much = "a quarter" if level == 2 else "half"
    return f"Memory is short{left}; the box keeps {much} of its connections until there is more."
