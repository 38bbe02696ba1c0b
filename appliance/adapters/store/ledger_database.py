"""Where a ledger lies: SQLite for one box or a few, PostgreSQL for an operator of many.

Both run work in serialisable transactions that are durable when `transact` returns. What was cut off may or
may not have happened; every entry has a unique cause, so the caller simply asks again.
"""

import contextlib
import random
import sqlite3
import stat
import threading
import time
import urllib.parse
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from appliance.core.errors import Bug, OwnerMustAct, RetryLater
from appliance.core.state import StateFolder

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
MOST_TRIES = 30
SCHEMA = 1
_WORDS_SQLITE = {"int": "INTEGER", "blob": "BLOB", "serial": "INTEGER", "strict": "STRICT"}
_WORDS_POSTGRES = {"int": "BIGINT", "blob": "BYTEA", "serial": "BIGSERIAL", "strict": ""}


class Sql(Protocol):
    """One transaction. Statements have `?` for their parameters, on either database."""

    def run(self, statement: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
        """Run one statement; its rows, if it has any."""
        ...

    def among(self, select: str, values: Sequence[str] | Sequence[bytes]) -> Sequence[tuple[Any, ...]]:
        """The rows of a SELECT whose last word, a column, is one of some values."""
        ...

    def insert(self, into: str, rows: Sequence[tuple[Any, ...]], then: str = "") -> Sequence[tuple[Any, ...]]:
        """Insert rows in their order; `then` follows them, such as RETURNING."""
        ...


class LedgerDatabase(Protocol):
    """A database of one ledger."""

    def transact(self, work: Callable[[Sql], T]) -> T:
        """Run `work` in one transaction, again where others got in between; durable on return.

        Raises RetryLater where the database is away, full, or too busy.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def open_ledger(where: str) -> LedgerDatabase:
    """A `postgresql://` URL, or a path of a SQLite file. Raises OwnerMustAct where it cannot be used."""
    if where.startswith(("postgresql://", "postgres://")):
        return PostgresLedger(where)
    return SqliteLedger(Path(where))


def place_of(database: str, state: StateFolder) -> str:
    """Where the ledger lies. Raises OwnerMustAct for a URL with a password in it."""
    if "://" not in database:
        state.path.mkdir(mode=0o750, parents=True, exist_ok=True)
        return str(state.resolve(database))
    try:
        password = urllib.parse.urlsplit(database).password or "password=" in database
    except ValueError as error:
        raise OwnerMustAct(f"ledger.database is not a valid URL ({error}).") from error
    if password:
        raise OwnerMustAct(
            "ledger.database in seedbox.toml has a password in it, where others may read it. Put it into the "
            "file that PGPASSFILE names (PostgreSQL, chapter 34.16), and take it out of the URL."
        )
    return database


def _schema(words: dict[str, str]) -> list[str]:
    text = (files("appliance.adapters.store") / "ledger.sql").read_text(encoding="utf-8")
    for word, meant in words.items():
        text = text.replace("{" + word + "}", meant)
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]


class SqliteLedger:
    """One file, one writer at a time."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises OwnerMustAct where that is not possible."""
        self._lock = threading.Lock()
        try:
            # For its user alone; in a folder that a group shares, for the group: the gateway may be another.
            shared = path.parent.stat().st_mode & stat.S_IWGRP
            with contextlib.suppress(FileExistsError):
                path.touch(mode=0o660 if shared else 0o600, exist_ok=False)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA busy_timeout = 5000")
        except (sqlite3.Error, OSError) as error:
            raise OwnerMustAct(f"The ledger {path} cannot be opened ({error}).") from error
        self.transact(lambda sql: _prepare(sql, _WORDS_SQLITE, str(path)))

    def run(self, statement: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
        """Run one statement of the transaction that is under way."""
        return self._connection.execute(statement, parameters).fetchall()

    def among(self, select: str, values: Sequence[str] | Sequence[bytes]) -> Sequence[tuple[Any, ...]]:
        """The rows of a SELECT whose last word, a column, is one of some values."""
        return self.run(f"{select} IN ({', '.join('?' * len(values))})", *values) if values else ()

    def insert(self, into: str, rows: Sequence[tuple[Any, ...]], then: str = "") -> Sequence[tuple[Any, ...]]:
        """Insert rows in their order; `then` follows them, such as RETURNING."""
        if not rows:
            return ()
        one = f"({', '.join('?' * len(rows[0]))})"
        values = [value for row in rows for value in row]
        all = ", ".join([one] * len(rows))
        return self.run(f"INSERT INTO {into} VALUES {all} {then}", *values)  # noqa: S608  placeholders only

    def transact(self, work: Callable[[Sql], T]) -> T:
        """One after another."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(self)
                    self._connection.execute("COMMIT")
                    return result
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.IntegrityError as error:
                raise Bug(f"The ledger contradicts its own rules ({error}).") from error
            except sqlite3.OperationalError as error:
                raise RetryLater(f"The ledger cannot be written ({error}). Make room on its disk.") from error

    def close(self) -> None:
        """Fold the WAL into the file."""
        with self._lock:
            self._connection.close()


class _PerThread(threading.local):
    connection: "psycopg.Connection[Any] | None" = None


class PostgresLedger:
    """One connection a thread."""

    def __init__(self, url: str) -> None:
        """Connect, and make the tables. Raises OwnerMustAct where that is not possible."""
        try:
            import psycopg
        except ImportError as error:
            raise OwnerMustAct(
                "PostgreSQL needs the extra `ledger`: pip install 'seedbox-appliance[ledger]'."
            ) from error
        self._psycopg = psycopg
        self._url = url
        self._local = _PerThread()
        self._all: list[psycopg.Connection[Any]] = []
        self._chance = random.Random()  # noqa: S311  spreads retries, decides nothing
        try:
            self._connection()
        except psycopg.OperationalError as error:
            # The URL may hold a password: it is not repeated.
            raise OwnerMustAct(f"The ledger's database cannot be reached ({error}).") from None
        self.transact(lambda sql: _prepare(sql, _WORDS_POSTGRES, "this database"))

    def _connection(self) -> "psycopg.Connection[Any]":
        found = self._local.connection
        if found is None or found.closed:
            found = self._psycopg.connect(self._url, connect_timeout=10)
            found.isolation_level = self._psycopg.IsolationLevel.SERIALIZABLE
            self._local.connection = found
            self._all.append(found)
        return found

    def transact(self, work: Callable[[Sql], T]) -> T:
        """Again and again while others change what this one read (SQLSTATE 40001, 40P01)."""
        errors = self._psycopg.errors
        for tried in range(MOST_TRIES):
            try:
                with self._connection().transaction() as _, self._connection().cursor() as cursor:
                    return work(_PostgresSql(cursor))
            except (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation):
                time.sleep(self._chance.uniform(0, 0.002 * 2 ** min(tried, 6)))
            except self._psycopg.IntegrityError as error:
                raise Bug(f"The ledger contradicts its own rules ({error}).") from error
            except self._psycopg.OperationalError as error:
                raise RetryLater(f"The ledger's database cannot be reached ({error}).") from error
        raise RetryLater("Too many requests for the same accounts; try again.")

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._all:
            connection.close()


class _PostgresSql:
    def __init__(self, cursor: "psycopg.Cursor[Any]") -> None:
        self._cursor = cursor

    def run(self, statement: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
        self._cursor.execute(statement.replace("?", "%s").encode(), parameters or None)
        return self._cursor.fetchall() if self._cursor.description else ()

    # Arrays make one statement of any number of rows: parsed, planned and prepared once.

    def among(self, select: str, values: Sequence[str] | Sequence[bytes]) -> Sequence[tuple[Any, ...]]:
        return self.run(f"{select} = ANY(?::{_array(values[0])})", list(values)) if values else ()

    def insert(self, into: str, rows: Sequence[tuple[Any, ...]], then: str = "") -> Sequence[tuple[Any, ...]]:
        if not rows:
            return ()
        names = ", ".join(f"c{number}" for number in range(len(rows[0])))
        arrays = ", ".join(f"?::{_array(value)}" for value in rows[0])
        source = f"unnest({arrays}) WITH ORDINALITY AS given ({names}, place)"
        columns = [list(column) for column in zip(*rows, strict=True)]
        return self.run(f"INSERT INTO {into} SELECT {names} FROM {source} ORDER BY place {then}", *columns)  # noqa: S608


def _array(value: object) -> str:
    """PostgreSQL's type of an array of such values."""
    return {str: "text[]", int: "bigint[]", bytes: "bytea[]"}[type(value)]


def _prepare(sql: Sql, words: dict[str, str], where: str) -> None:
    """Make the tables that are missing, and make sure that this program knows the others."""
    for statement in _schema(words):
        sql.run(statement)
    sql.run("INSERT INTO fact (key, value) VALUES ('schema', ?) ON CONFLICT DO NOTHING", str(SCHEMA))
    have = int(sql.run("SELECT value FROM fact WHERE key = 'schema'")[0][0])
    if have != SCHEMA:
        raise OwnerMustAct(
            f"The ledger in {where} has schema {have}, but this program knows schema {SCHEMA}. Install the "
            "version that wrote it."
        )
