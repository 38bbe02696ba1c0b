"""Findings for people: the worst first, each with what to do."""

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


def shown(findings: list[Finding]) -> list[str]:
    """Lines for the terminal."""
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    order = [Verdict.ERROR, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK]
    lines = []
    for finding in sorted(findings, key=lambda finding: order.index(finding.verdict)):
        mark, word, colour = _MARKS[finding.verdict]
        text = textwrap.wrap(f"{finding.says}", width - 12)
        lines.append(f"{click.style(f'{mark} {word:<8}', fg=colour)} {text[0]}")
        rest = [*text[1:], *textwrap.wrap(finding.remedy and f"-> {finding.remedy}", width - 14)]
        lines += [" " * 11 + line for line in rest]
    return lines
