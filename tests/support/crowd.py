"""A seeder's auction and dozens of peers, in one process: rounds by a clock of its own, bytes for real."""

import asyncio
import random
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import libtorrent as lt

from appliance.core.units import GIB, MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction.effects import AssignLanes, Effect, Inspect, LeaseOver, Send, SetService
from appliance.domain.auction.lease import ROUND_NS
from appliance.domain.auction.messages import Receipt, Result
from appliance.domain.auction.model import Offer, Terms
from appliance.domain.auction.reserve import Reserve
from appliance.domain.auction.seller import LOOK_NS, Seller
from appliance.services.market.lanes import LaneKeeper
from tests.support.addresses import address
from tests.support.seller import ID, UPLINK
from tests.support.seller import Seller as Seeder

_FIXED = Reserve(
    price=MicroBttPerMib(10), floor=MicroBttPerMib(10), ceiling=MicroBttPerMib(10), adaptive=False
)
_PLENTY = MicroBtt(10**15)


class Leecher:
    """A peer that believes all that it gets: what it costs is the network."""

    def __init__(self, metainfo: bytes, call: tuple[str, int], **settings: Any) -> None:
        """`settings` are libtorrent's."""
        self.ip = address()
        params: Any = lt.session_params()
        params.settings = {
            "listen_interfaces": f"{self.ip}:6881",
            "outgoing_interfaces": self.ip,
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "disable_hash_checks": True,
            "min_reconnect_time": 1,
            "max_failcount": 100_000,
            "alert_mask": 0,
        } | settings
        self.session = lt.session(params)
        torrent = lt.load_torrent_buffer(metainfo)
        self._kept = tempfile.TemporaryDirectory()
        torrent.save_path = self._kept.name
        torrent.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        torrent.flags |= lt.torrent_flags.disable_pex
        self.handle = self.session.add_torrent(torrent)
        self._call = call

    def call(self) -> None:
        """Connect, where it is not."""
        if not self.handle.status().num_peers:
            self.handle.connect_peer(self._call)

    def close(self) -> None:
        """Leave nothing behind."""
        del self.session
        self._kept.cleanup()

    @property
    def received(self) -> int:
        """Payload bytes."""
        return int(self.handle.status().total_payload_download)


class Crowd:
    """One seeder that sells slots, and peers that bid or do not."""

    def __init__(self, folder: Path, *, bidders: int, free: int, slots: int, kind: str = "hybrid") -> None:
        self._counts = bidders, free
        self.seeder = Seeder(folder, kind)
        self.now = MonoNs(0)
        self.rules = Seller(Terms(slots=slots, credit=UPLINK), _FIXED, random.Random(1).randbytes, self.now)
        self.paid: dict[bytes, MicroBtt] = {}
        self.over: list[LeaseOver] = []
        self.results: dict[int, Result] = {}

    async def __aenter__(self) -> Self:
        await self.seeder.start()
        call = (self.seeder.ip, self.seeder.port)
        bidders, free = self._counts
        self.bidders = [Leecher(self.seeder.metainfo, call) for _ in range(bidders)]
        self.free = [Leecher(self.seeder.metainfo, call) for _ in range(free)]
        await asyncio.sleep(0)
        for one in (*self.bidders, *self.free):
            one.call()
        await self.seeder.until(lambda: len(self.seeder.connections()) >= bidders + free)
        for number in range(bidders):
            self._do_now(self.rules.opened(number, key(number), self.bidders[number].ip, ID, self.now))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.seeder.engine.close(asyncio.get_running_loop())
        for one in (*self.bidders, *self.free):
            one.close()

    # -------------------------------------------------------------------------------------------- rounds

    async def decide(self, prices: Mapping[int, int]) -> None:
        """Everybody bids anew, and the round is over."""
        for number, price in prices.items():
            one = Offer(
                key(number),
                self.bidders[number].ip,
                ID,
                6_881,
                MicroBttPerMib(price),
                GIB,
                key(number)[1:],
            )
            self._do_now(self.rules.bid(number, one))
        self.now = MonoNs(self.now + ROUND_NS)
        await self._do(self.rules.tick(self.now))

    def add_bidder(self) -> None:
        """One more, whom the seeder has to call."""
        one = Leecher(self.seeder.metainfo, (self.seeder.ip, self.seeder.port))
        self.bidders.append(one)
        number = len(self.bidders) - 1
        self._do_now(self.rules.opened(number, key(number), one.ip, ID, self.now))

    async def serve(self, seconds: float) -> None:
        """Count, be paid at once, and keep the lanes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            counters = await self.seeder.lanes.counters([ID])
            await self._do(self.rules.counted(counters, self.now))
            self.lanes.refresh(counters)
            self.lanes.share(counters, sold=bool(self.rules.served))
            await asyncio.sleep(LOOK_NS / 1e9)

    async def _do(self, effects: list[Effect]) -> None:
        for one in effects:
            if isinstance(one, AssignLanes):
                await self.lanes.arrange(one.requests)
        self._do_now(effects)

    def _do_now(self, effects: list[Effect]) -> None:
        # Payments come over the network: not before all else is done.
        for one in sorted(effects, key=_is_receipt):
            match one:
                case Inspect(number, channel):
                    paid = self.paid.get(channel, MicroBtt(0))
                    self._do_now(self.rules.funded(number, channel, paid, _PLENTY))
                case Send(number, Receipt() as receipt):
                    owed = MicroBtt(receipt.owed)
                    self.paid[receipt.channel] = owed
                    self._do_now(self.rules.paid(key(number), receipt.channel, owed))
                case Send(number, Result() as result):
                    self.results[number] = result
                case SetService(who, service):
                    self.lanes.set_service(who, service)
                case LeaseOver():
                    self.over.append(one)
                case _:
                    pass

    @property
    def lanes(self) -> LaneKeeper:
        """Who is served how."""
        return self.seeder.keeper

    # ------------------------------------------------------------------------------------------- reading

    @property
    def winners(self) -> list[int]:
        """Who was told that it won the last round."""
        return [
            number for number, one in self.results.items() if one.won and one.round == self.rules.round - 1
        ]

    async def took(self, seconds: float) -> dict[str, int]:
        """Payload by address, sent while it serves for so long."""
        before = await self.seeder.lanes.counters([ID])
        await self.serve(seconds)
        after = await self.seeder.lanes.counters([ID])
        return {
            ip: sum(count - before.get(ip, {}).get(line, 0) for line, count in lines.items())
            for ip, lines in after.items()
        }


def _is_receipt(effect: Effect) -> bool:
    return isinstance(effect, Send) and isinstance(effect.message, Receipt)


def key(number: int) -> bytes:
    """Of a bidder."""
    return b"\x02" + number.to_bytes(32, "big")
