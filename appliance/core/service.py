"""The life that all services of the daemon share: start, run, flush, stop."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

Beat: TypeAlias = Callable[[], None]
"""Called by a loop each time around: the watchdog takes a loop that stops calling it for dead."""


class Service(Protocol):
    """A service, as the daemon sees it."""

    async def start(self) -> None:
        """Take up what was kept. Raises OwnerMustAct where something is in the way."""
        ...

    async def run(self, beat: Beat) -> None:
        """Work until it is cancelled. An error that leaves it ends the process."""
        ...

    async def flush(self) -> None:
        """Write down what is new and was only held in memory. Raises RetryLater."""
        ...

    async def stop(self) -> None:
        """Leave in order; nothing that was acknowledged is lost without it."""
        ...
