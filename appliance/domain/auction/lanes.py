"""Who has which of the 28 lanes: a lane is one bidder's at a time, and free again when they have left it.

A lane works on the connections from one address. Assigning it moves that address into it, which takes hold
of connections that are made from then on; one that was there before is cut once, and called back.

Invariants, checked by tests/unit/domain/auction/test_lanes.py:
N1  no lane has two holders, and no holder or address two lanes, but for those that it is leaving;
N2  a lane is not assigned while a connection of its last holder is still in it;
N3  whoever bids more is never turned away for one who bids less.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from appliance.core.units import MicroBttPerMib
from appliance.domain.auction.meter import PeerConnection

LANES = 28

Connections: TypeAlias = Mapping[str, Collection[PeerConnection]]
"""Address -> its connections, for all torrents."""


class LanePhase(StrEnum):
    """Where a holder is on the way into a lane, or out of it."""

    ENTERING = "entering"
    SETTLED = "settled"
    LEAVING = "leaving"

    @property
    def sentence(self) -> str:
        """What is true of a lane in this phase."""
        return _SENTENCES[self]


_SENTENCES = {
    LanePhase.ENTERING: "The lane is assigned; an older connection of its holder is cut and not gone yet.",
    LanePhase.SETTLED: "All connections of its holder are in the lane.",
    LanePhase.LEAVING: "The holder has lost the lane; a connection that was in it is not gone yet.",
}


class LaneService(StrEnum):
    """How the connections in a lane are served."""

    PRIORITISED = "prioritised"
    """Before all others, without a limit: the holder has won a slot and pays."""
    LIMITED = "limited"
    """As much as somebody who does not bid: the holder has not won."""
    BLOCKED = "blocked"
    """Next to nothing: the holder does not pay."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The connections of an address are to be cut once, and it is to be called back for a torrent."""

    ip: str
    torrent: str
    port: int


@dataclass(frozen=True, slots=True)
class LaneRequest:
    """A bidder who may have a lane."""

    key: bytes
    ip: str
    torrent: str
    port: int
    """The port of their BitTorrent client, to call them back."""
    price: MicroBttPerMib

    @property
    def reconnect(self) -> Reconnect:
        """How to move them into a lane, or out of it."""
        return Reconnect(self.ip, self.torrent, self.port)


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane that somebody has."""

    number: int
    holder: LaneRequest
    phase: LanePhase
    old: frozenset[PeerConnection] = frozenset()
    """Connections that have to go before the phase is over."""

    @property
    def left(self) -> bool:
        """The holder has lost it."""
        return self.phase is LanePhase.LEAVING


@dataclass(slots=True)
class Lanes:
    """All lanes, and who has them."""

    taken: dict[int, Lane] = field(default_factory=dict)
    """The lanes that somebody has, by number."""

    @property
    def map(self) -> dict[str, int]:
        """Address -> lane, of all that new connections are to be put into."""
        return {lane.holder.ip: number for number, lane in self.taken.items() if not lane.left}

    def lane_of(self, key: bytes) -> int | None:
        """The lane in which a bidder can be served now."""
        found = (lane for lane in self.taken.values() if lane.holder.key == key)
        return next((lane.number for lane in found if lane.phase is LanePhase.SETTLED), None)

    def arrange(self, requests: Iterable[LaneRequest], connections: Connections) -> list[Reconnect]:
        """Give lanes to those who bid the most; who has one keeps it as long as there is room.

        What comes back is to be done once `map` is in force.
        """
        # Lanes that are being left cannot be given out yet.
        leaving = sum(lane.left for lane in self.taken.values())
        best = one_each(requests)[: LANES - leaving]
        return self._keep_or_leave(best, connections) + self._enter(best, connections)

    def _keep_or_leave(self, best: list[LaneRequest], connections: Connections) -> list[Reconnect]:
        wanted = {one.key: one for one in best}
        leaving = []
        for lane in [lane for lane in self.taken.values() if not lane.left]:
            request = wanted.get(lane.holder.key)
            if request is None or request.ip != lane.holder.ip:
                leaving += self._leave(lane, connections)
            else:
                self.taken[lane.number] = replace(lane, holder=request)
        return leaving

    def _leave(self, lane: Lane, connections: Connections) -> list[Reconnect]:
        old = frozenset(connections.get(lane.holder.ip, ()))
        if not old:
            del self.taken[lane.number]
            return []
        self.taken[lane.number] = replace(lane, phase=LanePhase.LEAVING, old=old)
        return [lane.holder.reconnect]

    def _enter(self, best: list[LaneRequest], connections: Connections) -> list[Reconnect]:
        free = sorted(set(range(LANES)) - self.taken.keys())
        entering = []
        for number, request in zip(free, self._newcomers(best), strict=False):
            old = frozenset(connections.get(request.ip, ()))
            phase = LanePhase.ENTERING if old else LanePhase.SETTLED
            self.taken[number] = Lane(number, request, phase, old)
            # Called also where nobody is connected yet: who bids wants to be served.
            entering.append(request.reconnect)
        return entering

    def _newcomers(self, best: list[LaneRequest]) -> list[LaneRequest]:
        # Who comes back from another address does not wait until the old one is gone.
        keys = {lane.holder.key for lane in self.taken.values() if not lane.left}
        ips = {lane.holder.ip for lane in self.taken.values()}
        return [one for one in best if one.key not in keys and one.ip not in ips]

    def refresh(self, connections: Connections) -> bool:
        """Note which old connections have gone; whether anything has changed."""
        moving = [lane for lane in self.taken.values() if lane.phase is not LanePhase.SETTLED]
        moved = [lane for lane in moving if lane.old.isdisjoint(connections.get(lane.holder.ip, ()))]
        for lane in moved:
            if lane.left:
                del self.taken[lane.number]
            else:
                self.taken[lane.number] = replace(lane, phase=LanePhase.SETTLED, old=frozenset())
        return bool(moved)


def one_each(requests: Iterable[LaneRequest]) -> list[LaneRequest]:
    """The best request of each key and of each address, the highest price first."""
    chosen: list[LaneRequest] = []
    keys, ips = set[bytes](), set[str]()
    for one in sorted(requests, key=lambda one: (-one.price, one.key)):
        if one.key not in keys and one.ip not in ips:
            keys.add(one.key)
            ips.add(one.ip)
            chosen.append(one)
    return chosen


def free_share(uplink: int, percent: int) -> int:
    """Bytes a second for all who have no lane, while slots are sold; 0, unlimited, of an unknown uplink."""
    return max(1, uplink * percent // 100) if uplink else 0


def throttled_share(free_rate: int, usual: int, now: int, least: int) -> int:
    """The free share while less than usual is sent (bytes a second): it bears the reduction, leases the rest.

    A `now` of 0 is as usual; `least` is left to who does not pay in any case.
    """
    if not free_rate or not 0 < now < usual:
        return free_rate
    return max(min(least, free_rate), free_rate - (usual - now))


def trickle(free_rate: int, free_peers: int, floor: int) -> int:
    """Bytes a second for one who bids and has not won: what one of the others gets, at least a floor.

    So that to bid and to lose is not worse than not to bid.
    """
    return max(floor, free_rate // max(1, free_peers))
