"""The end of the process for a reason that nobody expected."""

import asyncio
import logging

log = logging.getLogger(__name__)


class Failure:
    """Collects errors that nobody expected, from tasks and callbacks; the first is the reason to end."""

    def __init__(self) -> None:
        self._reason: BaseException | None = None
        self._happened = asyncio.Event()
        self._ending = False

    def fail(self, error: BaseException) -> None:
        """End the process with `error` as the reason; any later error is only logged. See core/tasks.py."""
        if self._ending or self._reason is not None:
            log.error("an error that nobody expected, while the process ends", exc_info=error)
            return
        self._reason = error
        self._happened.set()

    async def wait(self) -> None:
        """Wait for the first error, and raise it."""
        await self._happened.wait()
        assert self._reason is not None
        raise self._reason

    def ending(self) -> None:
        """Only log errors from now on: the process ends anyway, and nobody waits for a reason."""
        self._ending = True
