"""libtorrent's alerts, taken as they come and handed to whoever handles their type."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import libtorrent as lt

from appliance.core.errors import OwnerMustAct, PeerMisbehaved

log = logging.getLogger(__name__)

Handlers = Mapping[type[Any], Callable[[Any], None]]
"""Type of an alert -> what is done with it; alerts of other types are dropped."""


class AlertPump:
    """Wakes the loop when there are alerts (`session.set_alert_fd`), and empties the queue each time."""

    def __init__(
        self,
        pop: Callable[[], Sequence[lt.alert]],
        handlers: Handlers,
        on_failure: Callable[[Exception], None],
    ) -> None:
        """`pop` gives the alerts that wait; `on_failure` gets the error of a handler that fails at one."""
        self._pop, self._handlers, self._on_failure = pop, handlers, on_failure
        self._read, self.wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Handle what waits, and what comes."""
        loop.add_reader(self._read, self._drain)
        self._drain()

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Handle nothing more."""
        loop.remove_reader(self._read)

    def close(self) -> None:
        """Close the pipe; the session, which writes to it, has to be gone."""
        os.close(self._read)
        os.close(self.wake)

    def _handle(self, alert: lt.alert) -> None:
        """Handle one alert; what cannot be read of it concerns it alone."""
        if handler := self._handlers.get(type(alert)):
            try:
                handler(alert)
            except (UnicodeError, PeerMisbehaved, OwnerMustAct) as error:
                log.warning("%s cannot be read, and is dropped: %s", type(alert).__name__, error)

    def _drain(self) -> None:
        """Take all alerts: the pipe tells only that there were none before (edge-triggered)."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)
        try:
            while alerts := self._pop():
                for alert in alerts:
                    self._handle(alert)
        except Exception as error:  # whatever it is, the loop that owns us must end with it
            self._on_failure(error)
