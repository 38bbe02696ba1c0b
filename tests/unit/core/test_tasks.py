"""Background tasks: an error that nobody expected is never lost."""

import asyncio

import pytest

from appliance.core.errors import Bug, RetryLater
from appliance.core.tasks import Tasks


async def _raises(error: BaseException) -> None:
    raise error


def _failures_of(error: BaseException) -> list[BaseException]:
    failures: list[BaseException] = []

    async def run() -> None:
        tasks = Tasks(failures.append)
        tasks.start(_raises(error), "a test")
        await asyncio.sleep(0)
        await tasks.stop()

    asyncio.run(run())
    return failures


@pytest.mark.parametrize("error", [OSError(5, "I/O"), KeyError("x"), Bug("It contradicts itself.")])
def test_what_nobody_expected_ends_the_process_with_the_reason(error: Exception) -> None:
    assert _failures_of(error) == [error]


def test_what_is_expected_is_logged_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert _failures_of(RetryLater("The ledger is away.")) == []
    assert "a test: The ledger is away." in caplog.text


def test_stopping_waits_until_every_task_has_ended() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("ended")

    async def run() -> None:
        tasks = Tasks(lambda error: None)
        tasks.start(work(), "waiting")
        await asyncio.sleep(0)
        await tasks.stop()

    asyncio.run(run())
    assert ended == ["ended"]
