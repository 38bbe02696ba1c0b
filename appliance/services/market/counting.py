"""What those who have a lane were sent."""

from appliance.core.clock import Clock
from appliance.core.units import MonoNs
from appliance.domain.auction.meter import Counters
from appliance.services.market.lanes import LaneEngine, LaneKeeper
from appliance.services.market.selling_ports import SoldTorrents

ALL_NS = 5_000_000_000
"""Between two looks at all torrents, for what those with a lane take of others."""


class LaneCounting:
    """Reads counters of every torrent that somebody with a lane takes: the lane serves them all."""

    def __init__(self, engine: LaneEngine, torrents: SoldTorrents, lanes: LaneKeeper, clock: Clock) -> None:
        self._engine = engine
        self._torrents = torrents
        self._lanes = lanes
        self._clock = clock
        self._others: set[str] = set()
        """Torrents of which those with a lane take something, beside those that they bid for."""
        self._looked_at_all = MonoNs(0)

    async def read(self, torrents: set[str]) -> Counters:
        """The counters of `torrents`, and of all others that matter."""
        now = self._clock.mono()
        known = torrents | self._lanes.torrents
        if self._lanes.lanes.map and now - self._looked_at_all >= ALL_NS:
            self._looked_at_all = now
            self._others = await self._find_others(known)
        return await self._engine.counters(known | self._others)

    async def _find_others(self, known: set[str]) -> set[str]:
        busy = {one.record.id for one in self._torrents.all() if one.peers} - known
        found = await self._engine.counters(busy)
        in_lanes = (found[ip] for ip in found.keys() & self._lanes.lanes.map.keys())
        return {connection.torrent for connections in in_lanes for connection in connections}
