"""What a peer was sent: counters that begin anew with every connection, added up and never counted twice."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Meter:
    """Payload of one lease, over all connections from its address."""

    total: int = 0
    """Bytes."""
    _last: dict[str, int] = field(default_factory=dict)
    """Connection (address and port) -> its counter when it was last read."""

    def read(self, counters: dict[str, int]) -> int:
        """Take in the counters of the connections that there are now; the bytes that are new.

        A counter that is smaller than before, or of a connection that was not there, is a new connection's:
        all of it is new. One that was gone is forgotten. Whatever happens between two readings is counted
        once or not at all.
        """
        fresh = 0
        for connection, count in counters.items():
            before = self._last.get(connection, 0)
            fresh += count - before if count >= before else count
        self._last = dict(counters)
        self.total += fresh
        return fresh

    def begin(self, counters: dict[str, int]) -> None:
        """Leave out what was sent before the lease began."""
        self._last = dict(counters)
