"""Asking a drive in a thread of its own: one that hangs in the kernel holds up nobody else, nor the end."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Patience:
    """At most one question at a time; while it is not answered, all further ones fail at once.

    The threads of asyncio's own pool would be joined at the end of the process, and never come back.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: asyncio.Future[Any] | None = None

    async def ask(self, work: Callable[[], T], seconds: float) -> T:
        """What `work` returns or raises. Raises TimeoutError where it takes longer than `seconds`."""
        if self._open is not None and not self._open.done():
            raise TimeoutError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._open = answer

        def run() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                try:
                    told = work()
                except Exception as error:
                    loop.call_soon_threadsafe(answer.set_exception, error)
                else:
                    loop.call_soon_threadsafe(answer.set_result, told)

        threading.Thread(target=run, name=self._name, daemon=True).start()
        # Nobody may be left to take an error that comes too late.
        answer.add_done_callback(lambda late: late.cancelled() or late.exception())
        async with asyncio.timeout(seconds):
            return await asyncio.shield(answer)
