"""What has arrived of a torrent and from whom, as the engine counts it, and the moment of judging it."""

from dataclasses import dataclass
from typing import NamedTuple

from appliance.core.units import MonoNs, UtcMs
from appliance.domain.auction.meter import PeerConnection


class Moment(NamedTuple):
    """Now, by both clocks of the machine."""

    mono: MonoNs
    """For every decision within this process."""
    utc: UtcMs
    """For what outlives it: deadlines, and until when a seller is left alone."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one address has sent of a torrent over its present connection."""

    ip: str
    connection: PeerConnection
    market: int
    """Port of its market, 0 where it names none."""
    received: int
    """Payload bytes."""
    unverified: int
    """How many of those bytes are in pieces that are not complete."""
    failures: int
    """Pieces with data from it that failed their check."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Everything that has arrived of a torrent, and from whom."""

    sources: tuple[Source, ...] = ()
    failed: int = 0
    """Bytes that failed their check since the torrent was started."""

    def of(self, host: str) -> "Arrival":
        """What one host has sent, over all its connections."""
        ours = [one for one in self.sources if one.ip == host]
        return Arrival(
            counters={one.connection: one.received for one in ours},
            unverified=sum(one.unverified for one in ours),
            failures=sum(one.failures for one in ours),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What one host has sent."""

    counters: dict[PeerConnection, int]
    """Payload bytes by connection; empty where there is no connection."""
    unverified: int
    failures: int
