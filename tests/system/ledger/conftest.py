"""Both databases that a ledger can lie in."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.memory import memory_folder
from tests.support.postgres import Postgres

_numbers = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server."""
    with Postgres(memory_folder()) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def fresh(request: pytest.FixtureRequest, ram_path: Path) -> Callable[[], str]:
    """Each call gives the place of another, empty ledger."""
    if request.param == "sqlite":
        return lambda: str(ram_path / f"ledger{next(_numbers)}.db")
    server: Postgres = request.getfixturevalue("postgres")
    return lambda: server.fresh(f"ledger{next(_numbers)}")
