"""What a loop of a service is given, whichever process runs it."""

from collections.abc import Callable
from typing import TypeAlias

Beat: TypeAlias = Callable[[], None]
"""Called by a loop each time around: the watchdog takes a loop that stops calling it for dead."""
