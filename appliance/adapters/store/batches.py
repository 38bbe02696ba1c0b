"""What is written in batches, and what becomes of that when the disk is full."""

import logging
from typing import Protocol

from appliance.core.errors import RetryLater

log = logging.getLogger(__name__)


class Flushes(Protocol):
    """Something that is written in batches."""

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater."""
        ...


async def try_flush(*parts: Flushes) -> None:
    """Write what can be written; a full disk is logged, and tried again at the next flush."""
    for part in parts:
        try:
            await part.flush()
        except RetryLater as error:
            log.warning("not saved yet: %s", error)
