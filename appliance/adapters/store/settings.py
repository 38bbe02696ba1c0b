"""Small values that the owner or the box sets while it runs."""

import logging
from typing import TypeVar

import msgspec

from appliance.adapters.store.database import Database
from appliance.core.errors import SeedboxError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Settings:
    """Small values that the owner or the box sets while it runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> bytes | None:
        """A value, or None."""
        row = self._database.run_now(
            lambda db: db.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
        )
        return bytes(row[0]) if row else None

    def decoded(self, key: str, kind: type[T]) -> T | None:
        """A value that was encoded as MessagePack; None where there is none, or where it is damaged."""
        kept = self.get(key)
        try:
            return None if kept is None else msgspec.msgpack.decode(kept, type=kind)
        except (msgspec.DecodeError, SeedboxError) as error:
            log.warning("the setting %s was damaged (%s) and is forgotten", key, error)
            return None

    async def put(self, key: str, value: bytes, *, durable: bool = True) -> None:
        """Keep a value."""
        await self._database.run(
            lambda db: db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (key, value)),
            durable=durable,
        )
