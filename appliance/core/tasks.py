"""Tasks that nobody awaits: what is expected to fail is logged, and anything else ends the process."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from appliance.core.errors import Bug, SeedboxError

log = logging.getLogger(__name__)

Fail: TypeAlias = Callable[[BaseException], None]
"""Ends the process with an error as the reason; systemd starts it again."""


class Tasks:
    """The background tasks of one service.

    A task that dies of what nobody expected must not vanish: a box whose payments or limits have silently
    stopped looks well and is not. So its error goes to `fail`.
    """

    def __init__(self, fail: Fail) -> None:
        self._fail = fail
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, object], name: str) -> None:
        """Run `work` in the background; `name` says in the log what it was."""
        task = asyncio.create_task(self._guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step would leave `work` behind, with a warning.
        task.add_done_callback(lambda _: work.close())

    async def _guarded(self, work: Coroutine[Any, Any, object], name: str) -> None:
        try:
            await work
        except Bug as error:
            self._fail(error)
        except SeedboxError as error:
            log.info("%s: %s", name, error)
        except Exception as error:
            self._fail(error)

    async def stop(self) -> None:
        """Cancel all of them, and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
