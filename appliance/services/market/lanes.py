"""Who is served how: the auction's lanes, carried out on the engine."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

from appliance.adapters.engine.lanes import EngineLanes
from appliance.domain.auction.lanes import Bounce, Lanes, Phase, Wish, eased, free_share, trickle

CALL_AGAIN_S = 5.0
GONE_S = 3.0
"""How long a connection that was cut may take to be gone."""
LEAST_TRICKLE = 8 * 1024
SHUT = 1
"""Bytes a second of one who does not pay: libtorrent takes 0 for unlimited."""

Counters = Mapping[str, Mapping[str, int]]
"""Address -> connection -> payload bytes sent."""


class SeatKeeper:
    """Lanes, their holders, and how wide each is."""

    def __init__(self, engine: EngineLanes, uplink: Callable[[], int], percent: int) -> None:
        """`uplink` is what the box can send, in bytes a second, 0 while nobody knows; `percent` is free."""
        self._engine = engine
        self._uplink = uplink
        self.percent = percent
        self.uplink_now = 0
        """What the box may send for a while, in bytes a second; 0: as usual."""
        self.lanes = Lanes()
        self._wide: set[bytes] = set()
        """Who is served before all others."""
        self._shut: set[bytes] = set()
        self._called = 0.0
        self.others = 0
        """Peers that are in no lane, when they were last counted."""
        self._arranging = asyncio.Lock()

    async def arrange(self, wishes: tuple[Wish, ...]) -> None:
        """Give lanes, and move those who are connected already into theirs."""
        async with self._arranging:
            torrents = {wish.torrent for wish in wishes} | self.torrents
            there = await self._engine.counters(torrents)
            bounces = self.lanes.arrange(wishes, {ip: list(found) for ip, found in there.items()})
            self._engine.map(self.lanes.map)
            known = {wish.key for wish in wishes} | {seat.wish.key for seat in self.lanes.seats.values()}
            self._wide &= known
            self._shut &= known
            self._turn_all()
            if bounces:
                await self._bounce(bounces, torrents)

    @property
    def torrents(self) -> set[str]:
        """Of all that have a lane."""
        return {seat.wish.torrent for seat in self.lanes.seats.values()}

    async def _bounce(self, bounces: list[Bounce], torrents: set[str]) -> None:
        ips = {one.ip for one in bounces}
        self._engine.cut(ips)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GONE_S):
                    while ips & set(await self._engine.counters(torrents)):  # noqa: ASYNC110  libtorrent's
                        await asyncio.sleep(0.1)
            self.look(await self._engine.counters(torrents))
        finally:
            self._engine.uncut(ips)
        for one in bounces:
            self._engine.call(one.torrent, one.ip, one.port)

    def wide(self, key: bytes) -> None:
        """Serve somebody before all others."""
        self._wide.add(key)
        self._shut.discard(key)
        self._turn(key)

    def narrow(self, key: bytes, *, shut: bool) -> None:
        """Serve somebody as one that has not won; `shut` as one that does not pay."""
        self._wide.discard(key)
        (self._shut.add if shut else self._shut.discard)(key)
        self._turn(key)

    def look(self, counters: Counters) -> None:
        """Note which connections have gone."""
        if self.lanes.look({ip: list(found) for ip, found in counters.items()}):
            self._turn_all()

    def share(self, counters: Counters, *, sold: bool) -> None:
        """Keep the free share for all others while slots are sold, and call those who are missing."""
        self.others = len(set(counters) - set(self.lanes.map))
        free = self._free if sold else 0
        # Who has bid and lost has as much as one who has not, out of the same share.
        self._engine.share(max(1, free - self.trickle * self._losers) if free else 0)
        self._turn_all()
        self._call_missing(counters)

    def _call_missing(self, counters: Counters) -> None:
        """Call those again who have a lane and are not connected: a first call may find them not ready."""
        now = time.monotonic()
        if now - self._called < CALL_AGAIN_S:
            return
        self._called = now
        for seat in self.lanes.seats.values():
            if seat.phase is Phase.SEATED and seat.wish.ip not in counters:
                self._engine.call(seat.wish.torrent, seat.wish.ip, seat.wish.port)

    def _turn_all(self) -> None:
        for seat in self.lanes.seats.values():
            self._turn(seat.wish.key)

    def _turn(self, key: bytes) -> None:
        lane = self.lanes.lane_of(key)
        if lane is None:
            return
        if key in self._wide:
            self._engine.widen(lane)
        else:
            self._engine.narrow(lane, SHUT if key in self._shut else self.trickle)

    @property
    def uplink(self) -> int:
        """What the free share is counted from, in bytes a second; 0 while nobody knows."""
        return self._uplink()

    @property
    def trickle(self) -> int:
        """Bytes a second of one who bids and has not won."""
        return trickle(self._free, self.others + self._losers, LEAST_TRICKLE)

    @property
    def _free(self) -> int:
        """Bytes a second for all who have not won, while slots are sold; 0, unlimited, where nobody knows."""
        usual = self._uplink()
        return eased(free_share(usual, self.percent), usual, self.uplink_now, LEAST_TRICKLE)

    @property
    def _losers(self) -> int:
        return sum(seat.wish.key not in self._wide | self._shut for seat in self.lanes.seats.values())
