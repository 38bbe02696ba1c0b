"""Issues for the owner, and what each address was notified of."""

import asyncio
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from appliance.adapters.store.database import Database
from appliance.core.units import UtcMs
from appliance.domain.doctor.delivery import DeliveryState, LastNotice
from appliance.domain.doctor.issues import Issue, IssueList
from appliance.domain.doctor.model import Verdict


class IssueStore:
    """Issues, and what each address was notified of; only what has changed is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._issues: dict[int, Issue] = {}
        self._deliveries: dict[str, DeliveryState] = {}
        """As written last."""
        self._lock = asyncio.Lock()

    def load(self) -> tuple[IssueList, dict[str, DeliveryState]]:
        """What was kept: issues, and the state of each address by its label."""
        self._issues, self._deliveries = self._database.run_now(_load)
        return tuple(self._issues.values()), dict(self._deliveries)

    async def keep(self, known: IssueList, deliveries: Mapping[str, DeliveryState], *, durable: bool) -> None:
        """Write them down; `durable`: they outlive a power cut. Raises RetryLater."""
        async with self._lock:
            await self._keep({issue.id: issue for issue in known}, dict(deliveries), durable)

    async def _keep(
        self, issues: dict[int, Issue], deliveries: dict[str, DeliveryState], durable: bool
    ) -> None:
        before = self._issues
        issues |= {id: old for id, old in before.items() if id in issues and _only_older(old, issues[id])}
        changes = _Changes(
            issues=[_row(issue) for id, issue in issues.items() if before.get(id) is not issue],
            gone=[(id,) for id in before.keys() - issues.keys()],
            deliveries=_changed(self._deliveries, deliveries),
            closed=[(label,) for label in self._deliveries.keys() - deliveries.keys()],
        )
        if any(changes):
            await self._database.run(changes.write, durable=durable)
            self._issues, self._deliveries = issues, deliveries


class _Changes(NamedTuple):
    """What is to be written."""

    issues: list[tuple[object, ...]]
    gone: list[tuple[int]]
    deliveries: dict[str, tuple[DeliveryState, DeliveryState]]
    """(before, now) by label."""
    closed: list[tuple[str]]

    def write(self, db: sqlite3.Connection) -> None:
        """Write all of it, in one transaction."""
        db.executemany("DELETE FROM issue WHERE id = ?", self.gone)
        db.executemany(
            "INSERT OR REPLACE INTO issue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self.issues
        )
        db.executemany("DELETE FROM owner_line WHERE label = ?", self.closed)
        db.executemany("DELETE FROM told WHERE label = ?", self.closed)
        for label, (before, now) in self.deliveries.items():
            _write_delivery(db, label, now, before)


def _changed(
    before: Mapping[str, DeliveryState], now: Mapping[str, DeliveryState]
) -> dict[str, tuple[DeliveryState, DeliveryState]]:
    return {
        label: (before.get(label, DeliveryState()), one)
        for label, one in now.items()
        if before.get(label) != one
    }


def _only_older(old: Issue, new: Issue) -> bool:
    """Nothing has changed but how long ago it was mended: that is written four times a day."""
    return new.well_s - old.well_s < 6 * 3_600 and old.settled and replace(new, well_s=old.well_s) == old


def _load(db: sqlite3.Connection) -> tuple[dict[int, Issue], dict[str, DeliveryState]]:
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
    notices: dict[str, dict[int, LastNotice]] = {}
    for label, issue, severity, over in db.execute("SELECT label, issue, severity, over FROM told"):
        notices.setdefault(label, {})[issue] = LastNotice(Verdict(severity), bool(over))
    deliveries = {
        label: DeliveryState(
            last_notices=notices.get(label, {}), failures=failures, wait_s=wait, recent=recent, hour_s=hour
        )
        for label, failures, wait, recent, hour in db.execute(
            "SELECT label, failures, wait, recent, hour FROM owner_line"
        )
    }
    return issues, deliveries


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


def _write_delivery(
    db: sqlite3.Connection, label: str, delivery: DeliveryState, before: DeliveryState
) -> None:
    row = (label, delivery.failures, delivery.wait_s, delivery.recent, delivery.hour_s)
    db.execute("INSERT OR REPLACE INTO owner_line VALUES (?, ?, ?, ?, ?)", row)
    gone = [(label, id) for id in before.last_notices.keys() - delivery.last_notices.keys()]
    db.executemany("DELETE FROM told WHERE label = ? AND issue = ?", gone)
    new = [(label, id, one.severity.value, one.over) for id, one in delivery.last_notices.items()]
    db.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)", new)
