"""A real engine without a catalogue behind it."""

import asyncio
from typing import NoReturn

from appliance.adapters.engine.session import LibtorrentEngine


def start_alone(engine: LibtorrentEngine) -> None:
    """Open the session; nobody wants its events, and a failure of it goes to the loop's handler."""
    engine.start(asyncio.get_running_loop(), lambda event: None, _failed)


def _failed(error: Exception) -> NoReturn:
    raise error
