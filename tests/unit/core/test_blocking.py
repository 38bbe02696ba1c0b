"""Calls that may hang: they cost one thread, and nobody else's time."""

import asyncio
import threading

import pytest

from appliance.core.blocking import BlockingCall


def test_work_gives_back_its_result_or_its_error() -> None:
    async def ask() -> None:
        call = BlockingCall("a test")
        assert await call.run(lambda: 7, 5) == 7
        with pytest.raises(ZeroDivisionError):
            await call.run(lambda: 1 // 0, 5)
        assert await call.run(lambda: 8, 5) == 8

    asyncio.run(ask())


def test_while_one_hangs_all_further_calls_fail_at_once_and_work_again_afterwards() -> None:
    async def ask() -> None:
        call, woken, began = BlockingCall("a test"), threading.Event(), []

        def hang() -> None:
            began.append(threading.get_ident())
            woken.wait(10)

        with pytest.raises(TimeoutError):
            await call.run(hang, 0.05)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await call.run(hang, 5)
        assert len(began) == 1
        woken.set()
        async with asyncio.timeout(5):
            while call._pending and not call._pending.done():
                await asyncio.sleep(0.01)
        assert await call.run(lambda: 7, 5) == 7

    asyncio.run(ask())


def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def ask() -> None:
        call = BlockingCall("a test")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                await call.run(lambda: 7, 5)
        assert await call.run(lambda: 7, 5) == 7

    asyncio.run(ask())
