"""What is asked at the same time is done in one transaction: one sync of the disk for all of it."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from appliance.core.errors import Bug, RetryLater
from appliance.entrypoints.operator.requests import SignedRequest

log = logging.getLogger(__name__)

T = TypeVar("T")
MOST = 128
"""Requests in one transaction."""
_Item = tuple[SignedRequest[Any], "asyncio.Future[Any]"]


class Batches:
    """A thread that does what has gathered while it did what had gathered before."""

    def __init__(self, work: Callable[[Sequence[SignedRequest[Any]]], list[Any]]) -> None:
        """`work` does many things at once, and gives a result or an error for each. Within a running loop."""
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()

    async def add(self, asked: SignedRequest[T]) -> T:
        """The result of one thing, when it is durable. Raises what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put((asked, future))
        return await future

    async def close(self) -> None:
        """Finish what was asked."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            gathered = [self._waiting.get()]
            while len(gathered) < MOST and not self._waiting.empty():
                gathered.append(self._waiting.get())
            going = None not in gathered
            items = [one for one in gathered if one is not None]
            if items:
                results = self._together([asked for asked, _ in items])
                futures = [future for _, future in items]
                self._loop.call_soon_threadsafe(_tell, futures, results)

    def _together(self, asked: list[SignedRequest[Any]]) -> list[Any]:
        try:
            return self._work(asked)
        except RetryLater as error:
            return [error] * len(asked)
        except Exception:
            # Whose fault it was is not known: each by itself, so that one does not spoil it for the others.
            log.exception("a batch failed")
            if len(asked) == 1:
                return [Bug("Something went wrong in the ledger. See its log.")]
            return [self._together([one])[0] for one in asked]


def _tell(futures: Sequence["asyncio.Future[Any]"], results: Sequence[Any]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
