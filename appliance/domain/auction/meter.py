"""What a peer was sent, or has sent: counters of its connections, added up and never counted twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

_CARRIED = 1_024
"""libtorrent carries a peer's amounts over to its next connection, in whole KiB (`torrent_peer`)."""


class PeerConnection(NamedTuple):
    """One BitTorrent connection: the torrent it is for, and the other end."""

    torrent: str
    ip: str
    port: int


Counters: TypeAlias = Mapping[str, Mapping[PeerConnection, int]]
"""Address -> connection -> payload bytes."""


@dataclass(slots=True)
class LeaseMeter:
    """Payload of one lease, over all connections from its address."""

    total: int = 0
    """Bytes."""
    _last: dict[tuple[str, str], int] = field(default_factory=dict)
    """(torrent, address) -> the counter when it was last read, also of those that have gone."""

    def read(self, counters: Mapping[PeerConnection, int]) -> int:
        """Take in the counters of the present connections; returns the bytes that are new.

        A peer that comes back does so from another port. Its counter goes on where the last one was, but
        for what is less than a KiB, or it begins at nothing. Whatever happens between two readings is
        counted once or not at all.
        """
        fresh = 0
        for peer, count in _by_peer(counters).items():
            before = self._last.get(peer, 0)
            if count >= before:
                fresh += count - before
            elif before - count >= _CARRIED:
                fresh += count
            self._last[peer] = count
        self.total += fresh
        return fresh

    def begin(self, counters: Mapping[PeerConnection, int]) -> None:
        """Leave out what was sent before the lease began."""
        self._last = _by_peer(counters)


def _by_peer(counters: Mapping[PeerConnection, int]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for connection, count in counters.items():
        peer = connection.torrent, connection.ip
        found[peer] = max(count, found.get(peer, 0))
    return found
