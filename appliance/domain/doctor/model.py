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
