"""Who is served how: the auction's lanes, carried out on the engine."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from appliance.core.clock import Clock
from appliance.domain.auction.callback import CallBacks
from appliance.domain.auction.lanes import (
    LanePhase,
    LaneRequest,
    Lanes,
    LaneService,
    Reconnect,
    free_share,
    throttled_share,
    trickle,
)
from appliance.domain.auction.meter import Counters

GONE_S = 3.0
"""How long a connection that was cut may take to be gone."""
_GONE_LOOK_S = 0.1
LEAST_TRICKLE = 8 * 1024
BLOCKED_RATE = 1
"""Bytes a second of one who does not pay: libtorrent takes 0 for unlimited."""


class LaneEngine(Protocol):
    """The lanes of a session, and the connections in them."""

    def map(self, lanes: Mapping[str, int]) -> None:
        """Put new connections of these addresses (address -> number of the lane) into their lanes."""
        ...

    def prioritise(self, lane: int) -> None:
        """Serve a lane before all others, and without a limit of its own."""
        ...

    def limit(self, lane: int, rate: int) -> None:
        """Send so many bytes a second in a lane."""
        ...

    def share(self, rate: int) -> None:
        """Send so many bytes a second to all that are in no lane; 0 is unlimited."""
        ...

    def cut(self, ips: set[str]) -> None:
        """Cut the connections of addresses, and forget them as peers; `uncut` lets them in again."""
        ...

    def uncut(self, ips: set[str]) -> None:
        """Let addresses in again."""
        ...

    def call(self, torrent: str, ip: str, port: int) -> None:
        """Connect to a peer of a torrent, where that is still here."""
        ...

    async def counters(self, torrents: Iterable[str]) -> Counters:
        """Payload bytes sent over each connection of these torrents, by address."""
        ...


class LaneKeeper:
    """Lanes, their holders, and how each is served."""

    def __init__(self, engine: LaneEngine, uplink: Callable[[], int], percent: int, clock: Clock) -> None:
        """`uplink` is what the box can send, in bytes a second, 0 while nobody knows; `percent` is free."""
        self._engine = engine
        self._uplink = uplink
        self.percent = percent
        self._clock = clock
        self.uplink_now = 0
        """What the box may send for a while, in bytes a second; 0: as usual."""
        self.lanes = Lanes()
        self._services: dict[bytes, LaneService] = {}
        """How each bidder is served, by its key; LIMITED where it is not in here."""
        self._calls = CallBacks()
        self.others = 0
        """Peers that are in no lane, when they were last counted."""
        self._arranging = asyncio.Lock()

    async def arrange(self, requests: Collection[LaneRequest]) -> None:
        """Assign lanes, and move those who are connected already into theirs."""
        async with self._arranging:
            torrents = {request.torrent for request in requests} | self.torrents
            moving = self.lanes.arrange(requests, await self._engine.counters(torrents))
            self._engine.map(self.lanes.map)
            known = {request.key for request in requests} | {
                lane.holder.key for lane in self.lanes.taken.values()
            }
            self._services = {key: service for key, service in self._services.items() if key in known}
            self._apply_all()
            if moving:
                await self._reconnect(moving, torrents)

    @property
    def torrents(self) -> set[str]:
        """The torrents of all that have a lane."""
        return {lane.holder.torrent for lane in self.lanes.taken.values()}

    async def _reconnect(self, moving: list[Reconnect], torrents: set[str]) -> None:
        ips = {one.ip for one in moving}
        self._engine.cut(ips)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GONE_S):
                    while ips & set(await self._engine.counters(torrents)):  # noqa: ASYNC110  libtorrent's
                        await asyncio.sleep(_GONE_LOOK_S)
            self.refresh(await self._engine.counters(torrents))
        finally:
            self._engine.uncut(ips)
        self._calls.called(moving, self._clock.mono())
        self._call(moving)

    def set_service(self, key: bytes, service: LaneService) -> None:
        """Serve a bidder in another way."""
        self._services[key] = service
        self._apply(key)

    def refresh(self, counters: Counters) -> None:
        """Note which connections have gone."""
        if self.lanes.refresh(counters):
            self._apply_all()

    def share(self, counters: Counters, *, sold: bool) -> None:
        """Keep the free share for all others while slots are sold, and call those who are missing."""
        self.others = len(set(counters) - set(self.lanes.map))
        free = self._free if sold else 0
        # Who has bid and lost has as much as one who has not, out of the same share.
        self._engine.share(max(1, free - self.trickle * self._losers) if free else 0)
        self._apply_all()
        self._call_missing(counters)

    def _call_missing(self, counters: Counters) -> None:
        """Call those again who are not connected, and have a lane or were cut."""
        holders = [
            lane.holder.reconnect for lane in self.lanes.taken.values() if lane.phase is LanePhase.SETTLED
        ]
        due = self._calls.due(holders, counters.keys(), self._clock.mono())
        if due:
            # What libtorrent remembers of earlier calls would keep it from calling for a minute.
            ips = {one.ip for one in due}
            self._engine.cut(ips)
            self._engine.uncut(ips)
        self._call(due)

    def _call(self, targets: Iterable[Reconnect]) -> None:
        for one in targets:
            self._engine.call(one.torrent, one.ip, one.port)

    def _apply_all(self) -> None:
        for lane in self.lanes.taken.values():
            self._apply(lane.holder.key)

    def _apply(self, key: bytes) -> None:
        lane = self.lanes.lane_of(key)
        if lane is None:
            return
        match self._service_of(key):
            case LaneService.PRIORITISED:
                self._engine.prioritise(lane)
            case LaneService.LIMITED:
                self._engine.limit(lane, self.trickle)
            case LaneService.BLOCKED:
                self._engine.limit(lane, BLOCKED_RATE)

    def _service_of(self, key: bytes) -> LaneService:
        return self._services.get(key, LaneService.LIMITED)

    @property
    def uplink(self) -> int:
        """What the free share is counted from, in bytes a second; 0 while nobody knows."""
        return self._uplink()

    @property
    def trickle(self) -> int:
        """Bytes a second for one who bids and has not won."""
        return trickle(self._free, self.others + self._losers, LEAST_TRICKLE)

    @property
    def _free(self) -> int:
        """Bytes a second for all who have not won, while slots are sold; 0, unlimited, where nobody knows."""
        usual = self._uplink()
        share = free_share(usual, self.percent)
        return throttled_share(share, usual, self.uplink_now, LEAST_TRICKLE)

    @property
    def _losers(self) -> int:
        holders = (lane.holder.key for lane in self.lanes.taken.values())
        return sum(self._service_of(key) is LaneService.LIMITED for key in holders)
