"""Calls that may hang in the kernel, such as reads of a dying drive, without holding up anything else."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class BlockingCall:
    """Runs blocking work in a daemon thread of its own, one piece of work at a time.

    Work that has timed out goes on in its thread; until it returns, every further call fails at once. So a
    drive that hangs costs one thread. The threads of asyncio's own pool would be joined at the end of the
    process, and would never come back.
    """

    def __init__(self, name: str) -> None:
        """`name` is the thread's, for whoever debugs the process."""
        self._name = name
        self._pending: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """Return or raise what `work` does.

        Raises TimeoutError where that takes longer than `seconds`, or earlier work has not returned yet.
        """
        if self._pending is not None and not self._pending.done():
            raise TimeoutError
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                try:
                    value = work()
                except Exception as error:
                    loop.call_soon_threadsafe(result.set_exception, error)
                else:
                    loop.call_soon_threadsafe(result.set_result, value)

        threading.Thread(target=call, name=self._name, daemon=True).start()
        self._pending = result
        # Nobody may be left to take an error that comes too late.
        result.add_done_callback(lambda late: late.cancelled() or late.exception())
        async with asyncio.timeout(seconds):
            return await asyncio.shield(result)
