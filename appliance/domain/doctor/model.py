"""What the doctor says: one finding for each thing it looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check came out; `unknown` where nothing could be learnt, never `ok` by default."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    """A short stable name, such as `listen-port`."""
    verdict: Verdict
    says: str
    """One sentence for the owner."""
    remedy: str = ""
    """What to do about it; empty when nothing needs doing."""

    @property
    def text(self) -> str:
        """What is so and what to do about it, in one line."""
        return f"{self.says} {self.remedy}".strip()


def ok(check: str, says: str) -> Finding:
    """A finding that all is well."""
    return Finding(check, Verdict.OK, says)


def warning(check: str, says: str, remedy: str) -> Finding:
    """A finding that the owner should know of."""
    return Finding(check, Verdict.WARNING, says, remedy)


def error(check: str, says: str, remedy: str) -> Finding:
    """A finding that needs the owner."""
    return Finding(check, Verdict.ERROR, says, remedy)


def unknown(check: str, says: str, remedy: str = "") -> Finding:
    """A finding that nothing could be learnt."""
    return Finding(check, Verdict.UNKNOWN, says, remedy)
