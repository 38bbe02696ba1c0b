"""What all commands share: the connection to the box, answers, and exit codes of errors."""

import json
import sys
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from appliance.control.client import ControlClient
from appliance.core.errors import Bug, OwnerMustAct, RetryLater, SeedboxError
from appliance.core.state import StateFolder

REFUSED, USAGE, AWAY, UNWELL, BUG = 1, 2, 3, 4, 70
"""Exit codes; `seedbox --help` explains them."""


@dataclass
class App:
    """One run of the program."""

    state: StateFolder
    config_path: Path
    as_json: bool = False
    _client: ControlClient | None = field(default=None, repr=False)

    @property
    def box(self) -> ControlClient:
        """The daemon; connects on first use."""
        if self._client is None:
            self._client = ControlClient(self.state.control_socket)
        return self._client

    def answer(self, value: Any, *lines: str) -> None:
        """Print `value` as JSON with --json, else the lines for people."""
        if self.as_json:
            click.echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))
        else:
            for line in lines:
                click.echo(line)


def command(function: Any) -> Any:
    """Give a click command the App as its first argument, and the option --json."""

    @click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
    @click.pass_obj
    @wraps(function)
    def run(app: App, /, *args: Any, as_json: bool, **options: Any) -> Any:
        app.as_json = app.as_json or as_json
        try:
            return function(app, *args, **options)
        except SeedboxError as error:
            fail(app, error)

    return run


def fail(app: App, error: SeedboxError) -> NoReturn:
    """Print the error, and exit with its code."""
    if app.as_json:
        click.echo(json.dumps({"error": {"kind": type(error).__name__, "message": str(error)}}))
    else:
        click.secho("seedbox: ", nl=False, err=True, fg="red", bold=True)
        click.echo(str(error), err=True)
    sys.exit(exit_code(error))


def exit_code(error: SeedboxError) -> int:
    """The exit code of an error."""
    if isinstance(error, OwnerMustAct):
        return REFUSED
    if isinstance(error, RetryLater):
        return AWAY
    return BUG if isinstance(error, Bug) else REFUSED
