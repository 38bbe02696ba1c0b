"""Every `--help` of the command line: a verb first, whole sentences, nothing cut off."""

import re
from collections.abc import Iterator

import click
import pytest

from appliance.entrypoints.cli.main import cli

_VERBS = {
    "Add",
    "Cancel",
    "Change",
    "Check",
    "Control",
    "Download",
    "Lift",
    "List",
    "Pause",
    "Print",
    "Remove",
    "Reset",
    "Resume",
    "Run",
    "Send",
    "Set",
    "Share",
    "Show",
    "Stop",
    "Transfer",
    "Verify",
    "Withdraw",
}
_SHORT_HELP_LIMIT = 60
"""Columns that a list of commands has for each on a terminal of 80."""


def _walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _walk(child, f"{name} {child.name}")


COMMANDS = dict(_walk(cli, "seedbox"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_begins_with_what_it_does(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert text.split()[0] in _VERBS
    assert all(paragraph.rstrip().endswith(".") for paragraph in text.split("\n\n"))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_cuts_nothing_off(name: str) -> None:
    assert not COMMANDS[name].get_short_help_str(_SHORT_HELP_LIMIT).endswith("...")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_of_its_own(name: str) -> None:
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            assert re.fullmatch(r"[A-Z][^\n]*\.", option.help or ""), option.name
