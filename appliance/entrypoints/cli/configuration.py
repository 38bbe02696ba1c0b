"""Commands about the configuration file, seedbox.toml."""

from pathlib import Path

import click

from appliance.core import config as configuration
from appliance.entrypoints.cli.context import App, command


@click.group()
def config() -> None:
    """Show and check the configuration file, seedbox.toml."""


@config.command("show")
@command
def config_show(app: App) -> None:
    """Show every key, its value and its meaning."""
    loaded = configuration.load(app.config_path)
    note = "" if app.config_path.exists() else " (does not exist; all values are defaults)"
    app.answer(loaded, f"# {app.config_path}{note}", *key_lines(loaded))


def key_lines(loaded: configuration.Config) -> list[str]:
    """Every key of a configuration, table by table, for people."""
    lines: list[str] = []
    section = ""
    for key in configuration.all_keys():
        if key.table != section:
            section = key.table
            lines += ["", click.style(f"[{section}]", bold=True)]
        value = configuration.toml_value(configuration.value_of(loaded, key))
        unit = f" [{key.unit}]" if key.unit else ""
        lines.append(f"{key.name} = {value}  # {key.says}{unit}")
    return lines


@config.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@command
def config_check(app: App, file: Path | None) -> None:
    """Check a configuration file for errors."""
    path = file or app.config_path
    if file is not None and not file.exists():
        raise click.UsageError(f"File not found: {file}")
    loaded = configuration.load(path)
    note = "" if path.exists() else " (does not exist; all values are defaults)"
    app.answer({"path": str(path), "ok": True, "config": loaded}, f"{path}: OK{note}")


@config.command("default")
@command
def config_default(app: App) -> None:
    """Print a complete configuration file with all defaults."""
    app.answer(configuration.Config(), configuration.default_text().rstrip("\n"))


COMMANDS = (config,)
