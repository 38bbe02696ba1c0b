"""The life of the box's services: started in order, run together, stopped in reverse."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from appliance.core.failure import Failure
from appliance.core.service import Beat
from appliance.entrypoints.daemon.parts import Part, run_all, start_all, stop_all


class Diary:
    """What the services did, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def does(self, what: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            self.lines.append(what)
            if error:
                raise error

        return work


async def _forever(beat: Beat) -> None:
    beat()
    await asyncio.Event().wait()


def test_services_start_in_order_and_stop_in_reverse() -> None:
    diary = Diary()
    parts = [
        Part(name=name, start=diary.does(f"{name} starts"), stop=diary.does(f"{name} stops"))
        for name in ("engine", "catalogue")
    ]

    async def live() -> None:
        await start_all(parts)
        await stop_all(parts)

    asyncio.run(live())
    assert diary.lines == ["engine starts", "catalogue starts", "catalogue stops", "engine stops"]


def test_one_that_hangs_or_fails_while_stopping_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()

    async def hang() -> None:
        await asyncio.Event().wait()

    parts = [
        Part(name="engine", stop=diary.does("engine stops")),
        Part(name="broken", stop=diary.does("broken stops", OSError(5, "I/O"))),
        Part(name="slow", stop=hang, stop_s=0.01),
    ]
    asyncio.run(stop_all(parts))
    assert diary.lines == ["broken stops", "engine stops"]
    assert "slow did not end within 0.01 seconds" in caplog.text
    assert "broken failed" in caplog.text


def test_every_loop_is_known_to_the_watchdog_before_it_has_run() -> None:
    beats: list[str] = []

    async def never(beat: Beat) -> None:
        await asyncio.Event().wait()

    async def live() -> None:
        async with asyncio.timeout(0.05):
            await run_all([Part(name="slow", loops={"slow": never})], beats.append, {})

    with pytest.raises(TimeoutError):
        asyncio.run(live())
    assert beats == ["slow"]


def test_an_error_that_nobody_expected_ends_everything_with_the_first_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failure, reason = Failure(), OSError(5, "I/O")

    async def live() -> None:
        asyncio.get_running_loop().call_soon(failure.fail, reason)
        asyncio.get_running_loop().call_soon(failure.fail, ValueError("later"))
        await run_all(
            [Part(name="loop", loops={"loop": _forever})], lambda name: None, {"failure": failure.wait}
        )

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(live())
    assert raised.value.exceptions == (reason,)
    assert "later" in caplog.text


def test_a_loop_that_ends_without_an_error_is_missed_at_once() -> None:
    async def brief(beat: Beat) -> None:
        beat()

    parts = [Part(name="loops", loops={"brief": brief, "other": _forever})]
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(run_all(parts, lambda name: None, {}))
    assert str(raised.value.exceptions[0]) == "The loop brief has ended."


def test_an_error_while_the_process_ends_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    failure = Failure()
    failure.ending()
    failure.fail(OSError(5, "I/O"))
    assert "I/O" in caplog.text


def test_an_error_before_the_loops_run_is_not_lost() -> None:
    failure, reason = Failure(), OSError(5, "I/O")
    failure.fail(reason)

    with pytest.raises(OSError, match="I/O"):
        asyncio.run(failure.wait())
