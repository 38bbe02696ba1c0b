"""One SQLite database in WAL mode, written by one thread.

Money and torrents are committed with `synchronous=FULL`, an fsync each; metrics and totals with NORMAL, which
syncs at checkpoints only: a power cut may lose the last of them, never the database.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from appliance.core.errors import Bug, OwnerMustAct, RetryLater

log = logging.getLogger(__name__)

T = TypeVar("T")


class Damaged(Exception):
    """The file is no database, or a damaged one."""


class Database:
    """The connection and its thread."""

    def __init__(self, path: Path, *, check: bool) -> None:
        """Open or make the database. `check` reads all of it, for a start after an unclean end.

        Raises Damaged, and OwnerMustAct where the file cannot be used or is from a newer version.
        """
        self._thread = ThreadPoolExecutor(1, "store")
        try:
            self._connection = self._thread.submit(_open, path, check).result()
        except BaseException:
            self._thread.shutdown()
            raise

    async def run(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Run `work` in one transaction on the database's thread; `durable` makes it outlive a power cut.

        Raises RetryLater when the disk is full or failing, Bug when the database turns out to be damaged.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work, durable)

    def run_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `run`, for the time before the loop runs."""
        return self._thread.submit(self._transact, work, False).result()

    def close(self) -> None:
        """Finish all work and close; folds the WAL into the database."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    def _transact(self, work: Callable[[sqlite3.Connection], T], durable: bool) -> T:
        connection = self._connection
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN")
            try:
                result = work(connection)
                connection.execute("COMMIT")
                return result
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise RetryLater(
                f"The box cannot write its database ({error}). Make room on its disk."
            ) from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise Bug(f"The database is damaged ({error}); the next start sets it aside.") from error


def _open(path: Path, check: bool) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=64)
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 5000")
        # Checkpoint every 1 MiB of WAL: each costs two fsyncs and writes every touched page once more.
        connection.execute("PRAGMA wal_autocheckpoint = 256")
        connection.execute("PRAGMA journal_size_limit = 2097152")
        if check and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise Damaged("its pages contradict each other")
        _migrate(connection, path)
    except sqlite3.OperationalError as error:
        if connection:
            connection.close()
        raise OwnerMustAct(f"{path} cannot be opened ({error}). Check room and permissions.") from error
    except sqlite3.DatabaseError as error:
        if connection:
            connection.close()
        raise Damaged(str(error)) from error
    except BaseException:
        if connection:
            connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the numbered migrations that the database has not seen, each in a transaction of its own."""
    have = int(connection.execute("PRAGMA user_version").fetchone()[0])
    steps = sorted(
        (int(step.name.removesuffix(".sql")), step.read_text(encoding="utf-8"))
        for step in (files("appliance.adapters.store") / "migrations").iterdir()
        if step.name.endswith(".sql")
    )
    if have > steps[-1][0]:
        raise OwnerMustAct(
            f"{path} was written by a newer version of the box (schema {have}, known: {steps[-1][0]}). "
            "Install the newer version again."
        )
    for number, script in steps:
        if number > have:
            connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
