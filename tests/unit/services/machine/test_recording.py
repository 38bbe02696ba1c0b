"""What is measured is written seldom, what happened soon, and a full disk keeps nothing else from it."""

import asyncio

import pytest

from appliance.core.errors import RetryLater
from appliance.services.machine import recording
from appliance.services.machine.recording import Recording
from tests.support.clock import FakeClock


class Part:
    """Something that is written in batches."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.writes = 0

    async def flush(self) -> None:
        self.writes += 1
        if self.full:
            raise RetryLater("The disk is full. Make room.")


async def _rounds(loop: Recording, clock: FakeClock, seconds: list[int]) -> None:
    left = list(seconds)

    def beat() -> None:
        if left:
            clock.advance(left.pop(0))

    task = asyncio.create_task(loop.run(beat))
    async with asyncio.timeout(5):
        while left:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])


def test_measurements_wait_for_minutes_and_events_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "EVENTS_S", 0)
    clock, events, measured = FakeClock(), Part(), Part()
    asyncio.run(_rounds(Recording(events, [measured], clock), clock, [10] * 29))
    assert (events.writes >= 29, measured.writes) == (True, 0)
    asyncio.run(_rounds(Recording(events, [measured], clock), clock, [301]))
    assert measured.writes == 1


def test_what_cannot_be_written_keeps_none_of_the_others_from_it() -> None:
    events, full, other = Part(), Part(full=True), Part()
    asyncio.run(Recording(events, [full, other], FakeClock()).flush())
    assert (events.writes, full.writes, other.writes) == (1, 1, 1)
