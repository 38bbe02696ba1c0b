"""The `seedbox` command: one group, its options, and how it ends."""

import sys
from pathlib import Path

import click

from appliance import __version__
from appliance.core.errors import SeedboxError
from appliance.core.state import StateFolder, default_state
from appliance.entrypoints.cli import (
    adding,
    auction,
    bids,
    box,
    configuration,
    limits,
    machine,
    programs,
    torrents,
    wallet,
)
from appliance.entrypoints.cli.context import App, fail

_EPILOG = """
\b
Exit codes: 0 success; 1 refused (the message says what to change); 2 usage error;
3 the box is not running or busy; 4 a check found errors; 70 internal error.
"""


@click.group(
    epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="State folder; default: SEEDBOX_STATE, ./var or the system's.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file; default: seedbox.toml in the state folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.version_option(__version__, prog_name="seedbox")
@click.pass_context
def cli(ctx: click.Context, state: Path | None, config: Path | None, as_json: bool) -> None:
    """Control the seedbox: torrents, limits, money and health."""
    folder = StateFolder((state or default_state()).absolute())
    ctx.obj = App(folder, config or folder.config, as_json)


_MODULES = (
    box,
    limits,
    configuration,
    programs,
    adding,
    torrents,
    wallet,
    auction,
    bids,
    machine,
)
for module in _MODULES:
    for one in module.COMMANDS:
        cli.add_command(one)


def main() -> None:
    """Run the `seedbox` command, and exit with its code."""
    try:
        code = cli(prog_name="seedbox", standalone_mode=False, auto_envvar_prefix=None)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SeedboxError as error:
        fail(App(StateFolder(default_state()), Path(), "--json" in sys.argv), error)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    sys.exit(code if isinstance(code, int) else 0)
