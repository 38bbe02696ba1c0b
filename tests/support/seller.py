"""An engine that seeds one torrent in this process, and what the box does with its bidders."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import libtorrent as lt

from appliance.adapters.engine.lanes import EngineLanes
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.adapters.engine.settings import engine_settings
from appliance.core.clock import SystemClock
from appliance.core.config import NetworkConfig
from appliance.core.units import GIB, MIB, Bytes, BytesPerSecond
from appliance.domain.auction.lanes import Lane, LanePhase, LaneRequest
from appliance.domain.auction.meter import PeerConnection
from appliance.domain.catalogue.model import Priority
from appliance.domain.catalogue.ports import Placement
from appliance.domain.governor.limits import Limits
from appliance.services.market.lanes import LaneKeeper
from tests.support.addresses import address
from tests.support.engine import start_alone
from tests.support.torrents import make_torrent, write_data

UPLINK = 8 * MIB
FREE_PERCENT = 20
ID = "ab" * 20


class Seller:
    """An engine with one torrent, in this process."""

    def __init__(self, folder: Path, kind: str = "hybrid") -> None:
        self.ip = address()
        data = write_data(folder / "content" / "data.bin", 300 * MIB, 1)
        self.metainfo = make_torrent(data, kind)
        limits = Limits(
            upload_rate=BytesPerSecond(UPLINK),
            download_rate=BytesPerSecond(0),
            connections=200,
            upload_slots=4,
            active_downloads=3,
        )
        network = NetworkConfig(
            listen_addresses=(self.ip,), dht=False, lsd=False, upnp=False, natpmp=False, encryption="off"
        )
        quick = {"unchoke_interval": 5}
        settings = engine_settings(network, limits, Bytes(8 * GIB), "test", "0") | quick
        self.engine = LibtorrentEngine(settings, pex=False)
        self.folder = str(folder / "content")

    async def start(self) -> None:
        start_alone(self.engine)
        self.lanes = EngineLanes(self.engine)
        self.keeper = LaneKeeper(self.lanes, lambda: UPLINK, FREE_PERCENT, SystemClock())
        params = lt.load_torrent_buffer(self.metainfo)
        params.save_path = self.folder
        params.flags = lt.torrent_flags.seed_mode
        assert params.ti
        params.have_pieces = [True] * params.ti.num_pieces()
        placement = Placement(
            folder=self.folder,
            writable=False,
            paused=False,
            priority=Priority.NORMAL,
            upload_limit=0,
            download_limit=0,
        )
        self.engine.add(ID, lt.write_resume_data_buf(params), placement)
        await self.until(lambda: self.status().is_seeding)
        await self.until(lambda: bool(self.engine.network.listening))
        self.port = self.engine.network.listening[0][1]

    def status(self) -> lt.torrent_status:
        handle = self.engine.handle(ID)
        assert handle is not None
        return handle.status()

    async def until(self, true: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.05)

    def counters(self) -> dict[PeerConnection, int]:
        """Payload by connection."""
        handle = self.engine.handle(ID)
        assert handle is not None
        return {PeerConnection(ID, *peer.ip): peer.total_upload for peer in handle.get_peer_info()}

    def connections(self) -> dict[str, list[PeerConnection]]:
        found: dict[str, list[PeerConnection]] = {}
        for one in self.counters():
            found.setdefault(one.ip, []).append(one)
        return found

    async def rates(self, seconds: float = 3.0) -> dict[str, float]:
        """Bytes a second by address."""
        before, at = self.counters(), time.monotonic()
        await asyncio.sleep(seconds)
        after, took = self.counters(), time.monotonic() - at
        rates: dict[str, float] = {}
        for one, count in after.items():
            rates[one.ip] = rates.get(one.ip, 0) + (count - before.get(one, 0)) / took
        return rates

    async def arrange(self, requests: list[LaneRequest]) -> None:
        """What the box does with bidders: map, cut, let in, call back; all slots are unsold."""
        before = {lane.holder.ip for lane in self.taken.values()}
        await self.keeper.arrange(requests)
        ips = before ^ {lane.holder.ip for lane in self.taken.values()}
        async with asyncio.timeout(30):
            while not ips <= set(self.connections()) or not self._settled:
                counters = await self.lanes.counters([ID])
                self.keeper.refresh(counters)
                self.keeper.share(counters, sold=False)
                await asyncio.sleep(0.25)

    @property
    def taken(self) -> dict[int, Lane]:
        """Lanes, by number."""
        return self.keeper.lanes.taken

    @property
    def _settled(self) -> bool:
        return all(lane.phase is LanePhase.SETTLED for lane in self.taken.values())
