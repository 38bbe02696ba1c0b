"""The auction of one box, both sides: what is offered, what is bid, and when either begins and ends."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.adapters.engine.market import EngineMarket
from appliance.adapters.store.auction import AuctionMemory, RoundLog
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.store.settings import Settings
from appliance.adapters.wire.market import Market
from appliance.core.clock import Clock
from appliance.core.config import AuctionConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.service import Beat
from appliance.core.tasks import Fail
from appliance.core.units import btt_per_gib
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.catalogue.torrent import Torrent
from appliance.services.market.account import Account
from appliance.services.market.buying import Buying
from appliance.services.market.buying_ports import BuyingPorts
from appliance.services.market.lanes import LaneEngine
from appliance.services.market.selling import Selling
from appliance.services.market.selling_ports import SellingPorts
from appliance.services.market.spending import Spending, SpendingPorts

if TYPE_CHECKING:
    from appliance.core.config import NetworkConfig

_KEY = "auction"
_PRICES = {"reserve", "ceiling", "buy_price"}
"""Keys that are in BTT/GiB in the file, and in µBTT/MiB where they were set by hand."""
IDLE_S = 5.0
"""Between two signs of life while no slots are sold."""
ANNOUNCE_NS = 1_800_000_000_000
"""Between two announcements of a torrent on the DHT, whose nodes forget after two hours (BEP 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingPorts:
    """Everything outside that trading needs."""

    client: str
    """The name that other markets are told."""
    shown: str
    """The client name that peers are shown."""
    account: Account
    catalogue: Catalogue
    engine: EngineMarket
    lanes: Callable[[], LaneEngine]
    """The lanes of the session, once that is started."""
    listening: Callable[[], int]
    """The port on which peers reach us; 0 while they cannot."""
    journal: EventJournal
    settings: Settings
    store: AuctionMemory
    log: RoundLog
    clock: Clock
    uplink: Callable[[], int]
    """What the box can send, in bytes a second; 0 while nobody knows."""
    fail: Fail


class Trading:
    """Selling and buying of one box."""

    def __init__(self, configured: AuctionConfig, network: "NetworkConfig", ports: TradingPorts) -> None:
        self.configured = configured
        self._network = network
        self._ports = ports
        self.changed = ports.settings.decoded(_KEY, dict[str, Any]) or {}
        self.rounds = ports.log
        self.selling: Selling | None = None
        self._market: Market | None = None
        """Where bids are taken, while slots are sold."""
        self.buying = self._make_buying()
        self._announced: dict[str, int] = {}
        self._opened = asyncio.Event()
        self._throttled: tuple[int, str, bool] = (0, "", True)

    def _make_buying(self) -> Buying:
        ports = self._ports
        account, client = ports.account, ports.client
        spending = SpendingPorts(account=account, config=lambda: self.config, clock=ports.clock)
        return Buying(
            BuyingPorts(
                key=account.key.public,
                config=lambda: self.config,
                spending=Spending(spending),
                catalogue=ports.catalogue,
                engine=ports.engine,
                journal=ports.journal,
                memory=ports.store,
                clock=ports.clock,
                dialler=lambda talk: Market(account.key, client, lambda found: False, talk, fail=ports.fail),
                source=self._source,
                port=ports.listening,
                fail=ports.fail,
            )
        )

    def _make_selling(self) -> Selling:
        ports = self._ports
        return Selling(
            self.config,
            SellingPorts(
                account=ports.account,
                torrents=ports.catalogue,
                engine=ports.lanes(),
                journal=ports.journal,
                store=ports.store,
                log=ports.log,
                clock=ports.clock,
                chance=secrets.token_bytes,
                uplink=ports.uplink,
                fail=ports.fail,
            ),
        )

    @property
    def config(self) -> AuctionConfig:
        """What the owner offers and bids: the configuration, and over it what was set by hand."""
        return _over(self.configured, self.changed)

    @property
    def leased(self) -> bool:
        """Somebody pays for a slot now."""
        return bool(self.selling and self.selling.seller.served)

    async def change(self, changes: dict[str, Any], *, reset: bool = False) -> None:
        """Set some of it, with `reset` over the configuration alone. Raises OwnerMustAct."""
        fresh = changes if reset else self.changed | changes
        config = checked(self.configured, fresh)
        await self._ports.settings.put(_KEY, msgspec.msgpack.encode(fresh))
        self.changed = fresh
        if self.selling and config.sell:
            self.selling.set_terms(config)
        elif config.sell:
            await self._open()
        elif self.selling:
            await self._close()

    def throttle(self, uplink_now: int, reason: str, *, new_work: bool = True) -> None:
        """As `Selling.throttle`; it holds for a market that is opened later, too."""
        self._throttled = (uplink_now, reason, new_work)
        if self.selling:
            self.selling.throttle(uplink_now, reason, new_work=new_work)

    # ------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Take bids, where slots are sold; a port that is taken keeps no box from seeding."""
        await self.buying.start()
        if self.config.sell:
            try:
                await self._open()
            except OwnerMustAct as error:
                self._ports.journal.error(
                    f"{error} No slots are sold until auction.port is free, or set to another port."
                )

    async def _open(self) -> None:
        port, network, ports = self.config.port, self._network, self._ports
        selling = self._make_selling()
        market = Market(ports.account.key, ports.client, selling.knows, selling, fail=ports.fail)
        everywhere = ["0.0.0.0", *(["::"] if network.ipv6 else [])]  # noqa: S104  peers come from there
        await market.listen(list(network.listen_addresses) or everywhere, port)
        self.selling, self._market = selling, market
        uplink_now, reason, new_work = self._throttled
        selling.throttle(uplink_now, reason, new_work=new_work)
        ports.engine.show(ports.shown, port)
        if network.upnp or network.natpmp:
            ports.engine.map_port(port)
        await selling.start()
        self._opened.set()

    async def _close(self) -> None:
        selling, self.selling = self.selling, None
        if selling:
            self._ports.engine.show(self._ports.shown, 0)
            self._ports.engine.unmap_ports()
            await selling.end()
            await self._hang_up()
            await selling.stop()

    async def _hang_up(self) -> None:
        market, self._market = self._market, None
        if market:
            await market.close()

    async def run_selling(self, beat: Beat) -> None:
        """The seller's loop, while slots are sold."""
        while True:
            beat()
            self._opened.clear()
            if self.selling:
                await self.selling.run(beat)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._opened.wait()

    async def run_announcing(self, beat: Beat) -> None:
        """Say on the DHT what is sold, one torrent a second."""
        while True:
            beat()
            await asyncio.sleep(1)
            if self.selling and self._network.dht:
                self._announce_next()

    def _announce_next(self) -> None:
        """Announce one torrent that was not announced lately."""
        now = self._ports.clock.mono()
        torrents = self._ports.catalogue.all()
        record = next(
            (one.record for one in torrents if _public(one) and self._due(one.record.id, now)), None
        )
        if record:
            self._announced[record.id] = now
            self._ports.engine.announce(record.info_hash, self.config.port)

    def _due(self, id: str, now: int) -> bool:
        """Whether a torrent has not been announced lately."""
        last = self._announced.get(id)
        return last is None or now - last >= ANNOUNCE_NS

    async def stop(self) -> None:
        """Hang up; everything that counts is saved."""
        await self.buying.stop()
        await self._hang_up()
        if self.selling:
            await self.selling.stop()

    # ----------------------------------------------------------------------------------------- helpers

    def _source(self, host: str) -> str:
        """The own address from which a host is called: the one that its slots would go to."""
        family = ":" in host
        return next((one for one in self._network.listen_addresses if (":" in one) == family), "")


def _public(torrent: Torrent) -> bool:
    """Whether a torrent is seeded, and may be announced to everybody."""
    return torrent.state is TorrentState.SEEDING and not torrent.record.private


def checked(configured: AuctionConfig, changes: dict[str, Any]) -> AuctionConfig:
    """A configuration with changes. Raises OwnerMustAct for what is impossible."""
    prices = {name: btt_per_gib(changes[name]) for name in _PRICES & changes.keys()}
    try:
        return msgspec.convert(msgspec.structs.asdict(configured) | changes | prices, AuctionConfig)
    except msgspec.ValidationError as error:
        raise OwnerMustAct(f"That cannot be set: {error}.") from error


def _over(configured: AuctionConfig, changes: dict[str, Any]) -> AuctionConfig:
    """What was set by hand, as far as it is still possible."""
    try:
        return checked(configured, changes)
    except OwnerMustAct:
        return configured
