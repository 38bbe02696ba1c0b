"""Findings for people: the worst first, each with its remedy."""

import shutil
import textwrap

import click

from appliance.control.box import Finding, Verdict

_MARKS = {
    Verdict.OK: ("✔", "ok", "green"),
    Verdict.WARNING: ("!", "warning", "yellow"),
    Verdict.ERROR: ("✖", "error", "red"),
    Verdict.UNKNOWN: ("?", "unknown", "blue"),
}


_ORDER = [Verdict.ERROR, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK]
_INDENT = " " * 11


def shown(findings: list[Finding]) -> list[str]:
    """Lines for the terminal."""
    worst_first = sorted(findings, key=lambda finding: _ORDER.index(finding.verdict))
    return [line for finding in worst_first for line in _lines(finding)]


def _lines(finding: Finding) -> list[str]:
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    mark, word, colour = _MARKS[finding.verdict]
    text = textwrap.wrap(finding.says, width - 12)
    remedy = textwrap.wrap(finding.remedy and f"-> {finding.remedy}", width - 14)
    first = f"{click.style(f'{mark} {word:<8}', fg=colour)} {text[0]}"
    return [first, *(_INDENT + line for line in [*text[1:], *remedy])]
