"""Who sits in which of the 28 lanes: a lane is one bidder's at a time, and free again when they have left it.

A lane works on the connections from one address. Giving it out moves that address into it, which takes hold
of connections that are made from then on; one that was there before is cut once, and called back.

Invariants, checked by tests/unit/domain/auction/test_lanes.py:
N1  no lane has two holders, and no holder or address two lanes, but for those that it is leaving;
N2  a lane is not given out while a connection of its last holder is still in it;
N3  whoever bids more is never turned away for one who bids less.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from appliance.core.units import MicroBttPerMib

LANES = 28


class Phase(StrEnum):
    """Where somebody is on their way into a lane, or out of it."""

    COMING = "coming"
    SEATED = "seated"
    LEAVING = "leaving"

    @property
    def sentence(self) -> str:
        """What is true of a lane in this phase."""
        return _SENTENCES[self]


_SENTENCES = {
    Phase.COMING: "It is theirs; an older connection of theirs was cut, and has not gone yet.",
    Phase.SEATED: "All their connections are in it.",
    Phase.LEAVING: "They have lost it; a connection that was in it has not gone yet.",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody who bids, and so may have a lane."""

    key: bytes
    ip: str
    torrent: str
    port: int
    """Of their BitTorrent client, to call them back."""
    price: MicroBttPerMib


@dataclass(frozen=True, slots=True)
class Seat:
    """A lane that somebody has."""

    lane: int
    wish: Wish
    phase: Phase
    old: frozenset[str] = frozenset()
    """Connections (address and port) that have to go before the phase is over."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """Cut the connections of an address once, and call it back for a torrent."""

    ip: str
    torrent: str
    port: int


@dataclass(slots=True)
class Lanes:
    """All lanes, and who has them."""

    seats: dict[int, Seat] = field(default_factory=dict)
    """Lane -> who has it."""

    @property
    def map(self) -> dict[str, int]:
        """Address -> lane, of all that new connections are to be put into."""
        return {seat.wish.ip: lane for lane, seat in self.seats.items() if seat.phase is not Phase.LEAVING}

    def lane_of(self, key: bytes) -> int | None:
        """The lane in which a bidder can be served now."""
        found = (lane for lane, seat in self.seats.items() if seat.wish.key == key)
        return next((lane for lane in found if self.seats[lane].phase is Phase.SEATED), None)

    def arrange(self, wishes: Iterable[Wish], connections: Mapping[str, Sequence[str]]) -> list[Bounce]:
        """Give lanes to those who bid the most; who has one keeps it as long as there is room.

        `connections` are those of all torrents by address, each by address and port. What comes back is to
        be done once `map` is in force.
        """
        # Lanes that are being left cannot be given out yet.
        leaving = sum(seat.phase is Phase.LEAVING for seat in self.seats.values())
        best = one_each(wishes)[: LANES - leaving]
        wanted = {one.key: one for one in best}
        bounces = []
        for lane, seat in list(self.seats.items()):
            wish = wanted.get(seat.wish.key)
            if seat.phase is Phase.LEAVING:
                continue
            if wish is None or wish.ip != seat.wish.ip:
                bounces += self._leave(lane, seat, connections)
            else:
                self.seats[lane] = replace(seat, wish=wish)
        # Who comes back from another address does not wait until the old one is gone.
        keys = {seat.wish.key for seat in self.seats.values() if seat.phase is not Phase.LEAVING}
        ips = {seat.wish.ip for seat in self.seats.values()}
        free = [lane for lane in range(LANES) if lane not in self.seats]
        for wish in best:
            if wish.key in keys or wish.ip in ips or not free:
                continue
            old = frozenset(connections.get(wish.ip, ()))
            lane = free.pop(0)
            self.seats[lane] = Seat(lane, wish, Phase.COMING if old else Phase.SEATED, old)
            # Called also where nobody is connected yet: who bids wants to be served.
            bounces.append(Bounce(wish.ip, wish.torrent, wish.port))
        return bounces

    def _leave(self, lane: int, seat: Seat, connections: Mapping[str, Sequence[str]]) -> list[Bounce]:
        old = frozenset(connections.get(seat.wish.ip, ()))
        if not old:
            del self.seats[lane]
            return []
        self.seats[lane] = replace(seat, phase=Phase.LEAVING, old=old)
        return [Bounce(seat.wish.ip, seat.wish.torrent, seat.wish.port)]

    def look(self, connections: Mapping[str, Sequence[str]]) -> bool:
        """Note which old connections have gone; whether anything has changed."""
        changed = False
        for lane, seat in list(self.seats.items()):
            if seat.phase is Phase.SEATED:
                continue
            left = seat.old & frozenset(connections.get(seat.wish.ip, ()))
            if left:
                continue
            changed = True
            if seat.phase is Phase.COMING:
                self.seats[lane] = replace(seat, phase=Phase.SEATED, old=frozenset())
            else:
                del self.seats[lane]
        return changed


def one_each(wishes: Iterable[Wish]) -> list[Wish]:
    """The best of each key and of each address, the highest price first."""
    chosen: list[Wish] = []
    keys, ips = set[bytes](), set[str]()
    for one in sorted(wishes, key=lambda one: (-one.price, one.key)):
        if one.key not in keys and one.ip not in ips:
            keys.add(one.key)
            ips.add(one.ip)
            chosen.append(one)
    return chosen


def free_share(uplink: int, percent: int) -> int:
    """Bytes a second for all who have no lane, while slots are sold; 0, unlimited, of an unknown uplink."""
    return max(1, uplink * percent // 100) if uplink else 0


def eased(free_rate: int, usual: int, now: int, least: int) -> int:
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
