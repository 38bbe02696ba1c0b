"""Issues for the owner, and what each address was told of them."""

import asyncio
import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from appliance.adapters.store.database import Database
from appliance.core.units import UtcMs
from appliance.domain.doctor.issues import Issue, Known
from appliance.domain.doctor.model import Verdict
from appliance.domain.doctor.telling import Line, Told


class IssueStore:
    """Issues, and what each address was told of them; only what has changed is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._issues: dict[int, Issue] = {}
        self._lines: dict[str, Line] = {}
        """As written last."""
        self._lock = asyncio.Lock()

    def load(self) -> tuple[Known, dict[str, Line]]:
        """What was kept: issues, and lines by the label of their address."""
        self._issues, self._lines = self._database.run_now(_load)
        return tuple(self._issues.values()), dict(self._lines)

    async def keep(self, known: Known, lines: Mapping[str, Line], *, durable: bool) -> None:
        """Write down the issues and lines; `durable`: they outlive a power cut. Raises RetryLater."""
        async with self._lock:
            await self._keep({issue.id: issue for issue in known}, dict(lines), durable)

    async def _keep(self, issues: dict[int, Issue], lines: dict[str, Line], durable: bool) -> None:
        old_issues, old_lines = self._issues, self._lines
        for id, issue in issues.items():
            if (old := old_issues.get(id)) and _only_older(old, issue):
                issues[id] = old
        changed = [_row(issue) for id, issue in issues.items() if old_issues.get(id) is not issue]
        gone = [(id,) for id in old_issues.keys() - issues.keys()]
        fresh = {label: line for label, line in lines.items() if old_lines.get(label) != line}
        closed = old_lines.keys() - lines.keys()
        if not (changed or gone or fresh or closed):
            return

        def work(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM issue WHERE id = ?", gone)
            db.executemany(
                "INSERT OR REPLACE INTO issue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", changed
            )
            for label in closed:
                db.execute("DELETE FROM owner_line WHERE label = ?", (label,))
                db.execute("DELETE FROM told WHERE label = ?", (label,))
            for label, line in fresh.items():
                _write_line(db, label, line, old_lines.get(label, Line()))

        await self._database.run(work, durable=durable)
        self._issues, self._lines = issues, lines


def _only_older(old: Issue, new: Issue) -> bool:
    """Nothing has changed but how long ago it was mended: that is written four times a day."""
    return new.well_s - old.well_s < 6 * 3_600 and old.settled and replace(new, well_s=old.well_s) == old


def _load(db: sqlite3.Connection) -> tuple[dict[int, Issue], dict[str, Line]]:
    issues = {
        row[0]: Issue(
            id=row[0],
            check=row[1],
            severity=Verdict(row[2]),
            says=row[3],
            remedy=row[4],
            first=UtcMs(row[5]),
            last=UtcMs(row[6]),
            mended=UtcMs(row[7]),
            lost=bool(row[8]),
            lasted_s=row[9],
            error_s=row[10],
            unseen_s=row[11],
            well_s=row[12],
        )
        for row in db.execute(
            "SELECT id, name, severity, says, remedy, first, last, mended, lost, lasted, error, unseen, well "
            "FROM issue ORDER BY id"
        )
    }
    told: dict[str, dict[int, Told]] = {}
    for label, issue, severity, over in db.execute("SELECT label, issue, severity, over FROM told"):
        told.setdefault(label, {})[issue] = Told(Verdict(severity), bool(over))
    lines = {
        label: Line(told=told.get(label, {}), failures=failures, wait_s=wait, recent=recent, hour_s=hour)
        for label, failures, wait, recent, hour in db.execute(
            "SELECT label, failures, wait, recent, hour FROM owner_line"
        )
    }
    return issues, lines


def _row(issue: Issue) -> tuple[object, ...]:
    return (
        issue.id,
        issue.check,
        issue.severity.value,
        issue.says,
        issue.remedy,
        issue.first,
        issue.last,
        issue.mended,
        issue.lost,
        issue.lasted_s,
        issue.error_s,
        issue.unseen_s,
        issue.well_s,
    )


def _write_line(db: sqlite3.Connection, label: str, line: Line, before: Line) -> None:
    row = (label, line.failures, line.wait_s, line.recent, line.hour_s)
    db.execute("INSERT OR REPLACE INTO owner_line VALUES (?, ?, ?, ?, ?)", row)
    gone = [(label, id) for id in before.told.keys() - line.told.keys()]
    db.executemany("DELETE FROM told WHERE label = ? AND issue = ?", gone)
    new = [(label, id, one.severity.value, one.over) for id, one in line.told.items()]
    db.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)", new)
