"""What a peer was sent, or has sent: counters of connections, added up and never counted twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_CARRIED = 1_024
"""libtorrent carries a peer's amounts over to its next connection, in whole KiB (`torrent_peer`)."""


@dataclass(slots=True)
class Meter:
    """Payload of one lease, over all connections from its address."""

    total: int = 0
    """Bytes."""
    _last: dict[str, int] = field(default_factory=dict)
    """Torrent and address -> the counter when it was last read, also of those that are gone."""

    def read(self, counters: Mapping[str, int]) -> int:
        """Take in the counters of the connections that there are now; the bytes that are new.

        A connection is named by torrent and address, a space, and the port: who comes back does so from
        another port. Its counter goes on where the last one was, but for what is less than a KiB, or it
        begins at nothing. Whatever happens between two readings is counted once or not at all.
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

    def begin(self, counters: Mapping[str, int]) -> None:
        """Leave out what was sent before the lease began."""
        self._last = _by_peer(counters)


def _by_peer(counters: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for connection, count in counters.items():
        peer = connection.rpartition(" ")[0] or connection
        found[peer] = max(count, found.get(peer, 0))
    return found
