"""Statements of one account, for people, for programs, and for plain-text accounting."""

import csv
import io
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from appliance.core.units import MicroBtt, UtcMs, show_btt

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class AccountLine:
    """What one entry did to one account."""

    number: int
    at: UtcMs
    kind: str
    cause: str
    about: str
    amount: MicroBtt
    balance: MicroBtt
    """The account's balance after it."""


def as_json(lines: Sequence[AccountLine]) -> str:
    """A JSON array; amounts are whole µBTT."""
    return json.dumps([asdict(line) for line in lines], ensure_ascii=False, indent=1)


def as_csv(lines: Sequence[AccountLine]) -> str:
    """RFC 4180, with a head line; amounts in BTT, times in UTC (ISO 8601)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["number", "at", "kind", "amount_btt", "balance_btt", "about", "cause"])
    for line in lines:
        amounts = (show_btt(line.amount), show_btt(line.balance))
        # A spreadsheet takes what begins with these for a formula.
        words = [re.sub(r"^([=+@\t\r-])", r"'\1", word) for word in (line.about, line.cause)]
        writer.writerow([line.number, _utc(line.at, "%Y-%m-%dT%H:%M:%SZ"), line.kind, *amounts, *words])
    return out.getvalue()


def as_beancount(lines: Sequence[AccountLine]) -> str:
    """The plain-text format of beancount 3, with a closing assertion of the balance.

    The dates of a journal may not run backwards, whatever the clock did: each is at least that of the line
    before it.
    """
    if not lines:
        return ""
    opened, at = set[str](), lines[0].at
    out = ['option "operating_currency" "BTT"', "", *_opening(lines[0])]
    for line in lines:
        at = max(at, line.at)
        date, other = _utc(at, "%Y-%m-%d"), _account(line)
        if other not in opened:
            opened.add(other)
            out.append(f"{date} open {other} BTT")
        out += _transaction(date, line.kind, line.about, other, line.amount)
    # Beancount asserts balances at the beginning of a day.
    out += [
        "",
        f"{_utc(UtcMs(at + _DAY_MS), '%Y-%m-%d')} balance Assets:Speed {show_btt(lines[-1].balance)} BTT",
    ]
    return "\n".join(out) + "\n"


def _opening(line: AccountLine) -> list[str]:
    """The account, and what it held before the first line."""
    first, start = _utc(line.at, "%Y-%m-%d"), MicroBtt(line.balance - line.amount)
    own = f"{first} open Assets:Speed BTT"
    if not start:
        return [own]
    brought = _transaction(first, "opening balance", "", "Equity:Opening", start)
    return [own, f"{first} open Equity:Opening BTT", *brought]


def _transaction(date: str, kind: str, about: str, other: str, amount: MicroBtt) -> list[str]:
    said = " ".join(re.sub(r'["\\]', "'", f"{kind} {about}".strip()).split())
    mirrored = show_btt(MicroBtt(-amount))
    return ["", f'{date} * "{said}"', f"  Assets:Speed  {show_btt(amount)} BTT", f"  {other}  {mirrored} BTT"]


def _camel(kind: str) -> str:
    return "".join(part.capitalize() for part in re.findall(r"[A-Za-z0-9]+", kind))


def _account(line: AccountLine) -> str:
    """Where the other half of a line goes, by its kind and direction."""
    name = _camel(line.kind) or "Other"
    if line.kind in ("deposit", "withdrawal", "refund"):
        return "Equity:Chain"
    if line.kind.startswith(("channel", "reserve", "release")):
        return f"Assets:{name.removesuffix('Open').removesuffix('Close') or name}"
    return f"{'Income' if line.amount > 0 else 'Expenses'}:{name}"


def _utc(at: UtcMs, form: str) -> str:
    return time.strftime(form, time.gmtime(at // 1_000))
