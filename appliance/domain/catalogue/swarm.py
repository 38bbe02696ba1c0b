"""What can be seen of a torrent's swarm and files, one row each."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRow:
    """One connected peer."""

    address: str
    client: str
    transport: Literal["tcp", "utp"]
    encrypted: bool
    incoming: bool
    progress: int
    """Ppm of the torrent that it has."""
    up_rate: int
    down_rate: int
    uploaded: int
    """Payload sent to it, bytes."""
    downloaded: int


Verdict = Literal["working", "waiting", "failing", "off"]
"""How a tracker does: `off` where it is not announced to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerRow:
    """One tracker of a torrent."""

    url: str
    tier: int
    verdict: Verdict
    message: str
    seeds: int
    """-1 unknown."""
    peers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file of a torrent."""

    path: str
    size: int
    done: int
    """Bytes that are here, hashed."""
