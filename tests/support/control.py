"""A control server of which a test gives the answers, for every command that there is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from appliance.control import auction, box, intake, machine, money, torrents
from appliance.control.command import Command, Route
from appliance.control.server import ControlServer

FEATURES = (auction, box, intake, machine, money, torrents)


def every_command() -> list[type[Command[Any]]]:
    """Every command of every feature."""
    found = [one for feature in FEATURES for one in vars(feature).values() if _is_command(one)]
    return list(dict.fromkeys(found))


def _is_command(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Command) and thing is not Command


def control_server(
    path: Path,
    handler: Callable[[type[Command[Any]]], Any],
    fail: Callable[[BaseException], None] | None = None,
) -> ControlServer:
    """A server on `path`; `handler` gives what answers a command."""
    routes = [Route(command, handler(command)) for command in every_command()]
    return ControlServer(path, routes, fail or _raise)


def _raise(error: BaseException) -> NoReturn:
    raise AssertionError("the control server failed") from error
