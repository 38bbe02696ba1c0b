"""Issues: what the doctor finds over time, as a list that the owner works off.

An issue is *open* while the last finding that knew anything said so; *mended* when it said otherwise; and
*settled* when it has then stayed well for a while. Until it is settled, the same trouble coming back is the
same issue. What cannot be looked at any more stays open, as last found, until it can be: unknown is not well.
Every span is counted in seconds that the box ran, so that a clock that jumps neither loses nor
doubles anything; UtcMs is for people only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from appliance.core.units import UtcMs
from appliance.domain.doctor.model import Finding, Verdict

SETTLED_S = 15 * 60
"""A mended issue that returns before that never went away."""
KEEP_S = 30 * 86_400
MOST = 500
"""Issues that are kept, open and mended."""
MOST_TEXT = 500

BAD = (Verdict.WARNING, Verdict.ERROR)
RANK = {Verdict.OK: 0, Verdict.UNKNOWN: 0, Verdict.WARNING: 1, Verdict.ERROR: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Something that the owner must see, or had to."""

    id: int
    check: str
    """Short stable name; where several things are looked at in one way, the thing follows a colon."""
    severity: Verdict
    """As last found."""
    says: str
    remedy: str
    first: UtcMs
    last: UtcMs
    """When it was found last."""
    mended: UtcMs = UtcMs(0)
    """0: it is open."""
    lost: bool = False
    """It may not be mended: nobody could see whether it was, and now it is looked at no more."""
    lasted_s: int = 0
    """How long it was found, as anything bad, in all."""
    error_s: int = 0
    """How long it was an error of these."""
    unseen_s: int = 0
    """For how long nothing could be learnt of it."""
    well_s: int = 0
    """For how long it has been mended."""

    @property
    def open(self) -> bool:
        """It is still so."""
        return not self.mended

    @property
    def unknown_since(self) -> UtcMs:
        """When an open issue was found last that cannot be looked at now; 0: it can be."""
        return self.last if self.open and self.unseen_s else UtcMs(0)

    @property
    def settled(self) -> bool:
        """It has been mended for so long that its return would be a new issue."""
        return bool(self.mended) and self.well_s >= SETTLED_S


IssueList = tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class IssueUpdate:
    """What a round of findings has changed."""

    known: IssueList
    begun: IssueList
    """New ones; not those that came back before they were settled."""
    mended: IssueList
    """Those that are settled now."""


def update(known: IssueList, findings: Iterable[Finding], now: UtcMs, passed_s: int) -> IssueUpdate:
    """Bring the issues up to date with a whole round of findings.

    A check without a finding is well: many rules of the doctor speak only when something is wrong.
    `passed_s`: seconds of the monotonic clock since the last round, 0 at the first of this process.
    """
    found = _worst(findings)
    later = [_next(issue, found.get(issue.check), now, passed_s) for issue in known]
    fresh = _fresh(found, known)
    begun = _begun(fresh, known, room=MOST - sum(not issue.settled for issue in later), now=now)
    mended = [after for before, after in zip(known, later, strict=True) if after.settled > before.settled]
    return IssueUpdate(_bounded([*later, *begun]), begun, tuple(mended))


def _begun(fresh: Sequence[Finding], known: IssueList, *, room: int, now: UtcMs) -> IssueList:
    """Issues for new findings, the worst first; no more than there is `room` for."""
    worst = sorted(fresh, key=lambda one: -RANK[one.verdict])
    number = max((issue.id for issue in known), default=0)
    return tuple(_new(number + index, finding, now) for index, finding in enumerate(worst[: max(0, room)], 1))


def listed(known: IssueList, *, mended: bool) -> list[Issue]:
    """Open issues, the worst and newest first; with `mended` then the others, latest first."""
    opened = sorted(
        (issue for issue in known if issue.open), key=lambda issue: (-RANK[issue.severity], issue.lasted_s)
    )
    over = sorted((issue for issue in known if not issue.open), key=lambda issue: issue.well_s)
    return [*opened, *(over if mended else [])]


def _fresh(found: Mapping[str, Finding], known: IssueList) -> list[Finding]:
    """What is wrong, and is no issue yet."""
    running = {issue.check for issue in known if not issue.settled}
    return [one for check, one in found.items() if one.verdict in BAD and check not in running]


def _worst(findings: Iterable[Finding]) -> dict[str, Finding]:
    """The worst finding of each check; one that knows nothing outweighs one that says all is well."""
    order = [Verdict.OK, Verdict.UNKNOWN, Verdict.WARNING, Verdict.ERROR]
    found: dict[str, Finding] = {}
    for finding in findings:
        before = found.get(finding.check)
        if before is None or order.index(finding.verdict) > order.index(before.verdict):
            found[finding.check] = finding
    return found


def _new(id: int, finding: Finding, now: UtcMs) -> Issue:
    return Issue(
        id=id,
        check=finding.check,
        severity=finding.verdict,
        says=finding.says[:MOST_TEXT],
        remedy=finding.remedy[:MOST_TEXT],
        first=now,
        last=now,
    )


def _next(issue: Issue, finding: Finding | None, now: UtcMs, passed_s: int) -> Issue:
    """An issue after a round; one that is settled is not touched by what is found now."""
    verdict = finding.verdict if finding else Verdict.OK
    if issue.settled:
        return replace(issue, well_s=issue.well_s + passed_s)
    if finding and verdict in BAD:
        return _found(issue, finding, now, passed_s)
    if verdict is Verdict.UNKNOWN:
        # It neither ends nor has been well for any longer. A second at least, so that the first round counts.
        return replace(issue, unseen_s=issue.unseen_s + max(1, passed_s)) if issue.open else issue
    if issue.mended:
        return replace(issue, well_s=issue.well_s + passed_s, lost=issue.lost and finding is None)
    lost = finding is None and bool(issue.unseen_s)
    return replace(issue, mended=max(now, issue.last), lost=lost, unseen_s=0, well_s=0)


def _found(issue: Issue, finding: Finding, now: UtcMs, passed_s: int) -> Issue:
    """An issue that was found (still, or again). Only time in which it was known to be so counts."""
    counts = passed_s if issue.open and not issue.unseen_s else 0
    return replace(
        issue,
        severity=finding.verdict,
        says=finding.says[:MOST_TEXT],
        remedy=finding.remedy[:MOST_TEXT],
        last=max(now, issue.first),
        mended=UtcMs(0),
        lost=False,
        lasted_s=issue.lasted_s + counts,
        error_s=issue.error_s + (counts if issue.severity is Verdict.ERROR else 0),
        unseen_s=0,
        well_s=0,
    )


def _bounded(issues: Sequence[Issue]) -> IssueList:
    """The issues without those that were mended long ago: by the time that the box ran, not by the clock."""
    kept = [issue for issue in issues if issue.well_s < KEEP_S]
    surplus = max(0, len(kept) - MOST)
    oldest = sorted((issue for issue in kept if issue.settled), key=lambda issue: -issue.well_s)
    gone = {issue.id for issue in oldest[:surplus]}
    return tuple(issue for issue in kept if issue.id not in gone)
