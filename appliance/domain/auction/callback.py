"""When a bidder who has a lane and is not connected is called back."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from appliance.core.units import MonoNs
from appliance.domain.auction.lanes import Reconnect

_SOON_NS = 1_000_000_000
_SOON_CALLS = 20
_LATER_NS = 5_000_000_000
_FORGET_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class _Call:
    target: Reconnect
    count: int
    last: MonoNs

    def due(self, now: MonoNs) -> bool:
        """Whether it is time for the next one."""
        wait = _SOON_NS if self.count < _SOON_CALLS else _LATER_NS
        return not self.count or now - self.last >= wait


@dataclass(slots=True)
class CallBacks:
    """Calls to peers that were cut, and to holders of lanes, until they are connected.

    A peer that was cut may not have noticed that: libtorrent does not always send the end of a uTP
    connection, and the other side finds out only when it sends something itself. Until then it may refuse the
    new connection as a duplicate: libtorrent keeps the one that was made by whoever has the lower port, and
    draws lots between equal ones (`peer_list::new_connection`). So it is called every second at first; one
    that cannot be called, behind a router, less often after that.
    """

    _calls: dict[str, _Call] = field(default_factory=dict)
    """The calls by address, for a while also of who is connected: who leaves at once waits."""

    def called(self, targets: Iterable[Reconnect], now: MonoNs) -> None:
        """These were cut, and called for the first time."""
        self._calls |= {one.ip: _Call(one, 1, now) for one in targets}

    def due(self, holders: Iterable[Reconnect], connected: Collection[str], now: MonoNs) -> list[Reconnect]:
        """Whom to call now. Holders of lanes are called for good, others that were cut for a while."""
        wanted = {one.ip: one for one in holders}
        self._forget(wanted, now)
        self._want(wanted, now)
        due = [call for ip, call in self._calls.items() if ip not in connected and call.due(now)]
        self._calls |= {one.target.ip: replace(one, count=one.count + 1, last=now) for one in due}
        return [one.target for one in due]

    def _want(self, wanted: Mapping[str, Reconnect], now: MonoNs) -> None:
        for ip, target in wanted.items():
            known = self._calls.get(ip, _Call(target, 0, now))
            self._calls[ip] = replace(known, target=target)

    def _forget(self, wanted: Collection[str], now: MonoNs) -> None:
        """Forget calls of long ago, and those to peers without a lane that were called often enough."""
        for ip, call in list(self._calls.items()):
            enough = ip not in wanted and call.count >= _SOON_CALLS
            if enough or now - call.last >= _FORGET_NS:
                del self._calls[ip]
