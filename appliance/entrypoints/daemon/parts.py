"""The services of the box together: started in order, run side by side, stopped in reverse order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from appliance.core.errors import Bug
from appliance.core.service import Beat

log = logging.getLogger(__name__)

Loop: TypeAlias = Callable[[Beat], Awaitable[None]]
"""Work for ever; it is given what it calls to show that it is alive."""


async def nothing() -> None:
    """Start or stop a service that needs neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One service as the box lists it, with as much of a service's life as it needs.

    `start` takes up what was kept, a loop works until it is cancelled (an error that leaves it ends the
    process), and `stop` leaves in order; nothing that was acknowledged is lost without it. What a service
    only holds in memory it writes down in its `flush` (see services/machine/recording.py).
    """

    name: str
    start: Callable[[], Awaitable[object]] = nothing
    loops: Mapping[str, Loop] = field(default_factory=dict)
    """Its loops by the names under which the watchdog knows them."""
    stop: Callable[[], Awaitable[object]] = nothing
    stop_s: float = 3.0
    """Seconds after which a stop that hangs is left behind."""


async def start_all(parts: Sequence[Part]) -> None:
    """Start them in order. Raises OwnerMustAct where something is in the way."""
    for part in parts:
        await part.start()


async def run_all(
    parts: Sequence[Part], beat: Callable[[str], None], others: Mapping[str, Callable[[], Awaitable[None]]]
) -> None:
    """Run every loop, and `others` beside them, for ever; the first that ends takes the rest with it."""
    async with asyncio.TaskGroup() as group:
        for part in parts:
            for name, loop in part.loops.items():
                beat(name)
                group.create_task(_forever(name, loop(partial(beat, name))), name=name)
        for name, work in others.items():
            group.create_task(_forever(name, work()), name=name)


async def _forever(name: str, work: Awaitable[None]) -> None:
    await work
    raise Bug(f"The loop {name} has ended.")


async def stop_all(parts: Sequence[Part]) -> None:
    """Stop them in reverse order; one that hangs or fails is left behind."""
    for part in reversed(parts):
        try:
            async with asyncio.timeout(part.stop_s):
                await part.stop()
        except TimeoutError:
            log.error(
                "stopping: %s did not end within %g seconds and was left behind", part.name, part.stop_s
            )
        except Exception:
            log.exception("stopping: %s failed", part.name)
