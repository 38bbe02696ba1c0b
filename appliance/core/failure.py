"""The end of the process for a reason that nobody expected."""

import asyncio
import logging

log = logging.getLogger(__name__)


class Failure:
    """Hears of errors that nobody expected, from tasks and callbacks alike; the first is the reason."""

    def __init__(self) -> None:
        self._reason: BaseException | None = None
        self._happened = asyncio.Event()

    def fail(self, error: BaseException) -> None:
        """End the process with `error` as the reason; later errors are only logged. See core/tasks.py."""
        if self._reason is not None:
            log.error("another failure", exc_info=error)
            return
        self._reason = error
        self._happened.set()

    async def wait(self) -> None:
        """Wait for the first error, and raise it."""
        await self._happened.wait()
        assert self._reason is not None
        raise self._reason
