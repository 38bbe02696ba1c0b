"""The table of commands, and the wiring of a whole box that is not started."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.adapters.store.database import Database
from appliance.core.config import Config, WalletConfig
from appliance.core.state import StateFolder
from appliance.entrypoints.daemon.box import Box
from appliance.entrypoints.daemon.handlers.table import routes
from tests.support.control import every_command


@pytest.fixture(params=["", "http://127.0.0.1:9"], ids=["without money", "with money"])
def box(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Box]:
    state = StateFolder(tmp_path)
    database = Database(state.database, check=False)
    yield Box(state, Config(wallet=WalletConfig(ledger=request.param)), database)
    database.close()


def test_every_command_has_one_handler(box: Box) -> None:
    commands = [route.command for route in routes(box)]
    assert len(commands) == len(set(commands))
    assert set(commands) == set(every_command())


def test_every_name_on_the_wire_is_used_once(box: Box) -> None:
    methods = [route.command.method for route in routes(box)]
    assert len(methods) == len(set(methods))
