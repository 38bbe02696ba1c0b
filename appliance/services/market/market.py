"""The auction of one box, both sides: what is offered, what is bid, and when either begins and ends."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.adapters.engine.lanes import EngineLanes
from appliance.adapters.engine.market import EngineMarket
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.adapters.store.auction import AuctionMemory, RoundLog
from appliance.adapters.store.database import Database
from appliance.adapters.store.journal import EventJournal, Settings
from appliance.adapters.wire.market import Market
from appliance.core.clock import Clock
from appliance.core.config import Auction
from appliance.core.errors import OwnerMustAct
from appliance.core.tasks import Fail
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.catalogue.model import State
from appliance.services.market.account import Money
from appliance.services.market.buying import Buying
from appliance.services.market.buying_ports import BuyingPorts
from appliance.services.market.selling import Selling
from appliance.services.market.spending import Spending, SpendingPorts

if TYPE_CHECKING:
    from appliance.core.config import Network

_KEY = "auction"
IDLE_S = 5.0
"""Between two signs of life while no slots are sold."""
ANNOUNCE_S = 1_800.0
"""Between two announcements of a torrent on the DHT, whose nodes forget after two hours (BEP 5)."""


class Trading:
    """Selling and buying of one box."""

    def __init__(
        self,
        configured: Auction,
        network: "Network",
        money: Money,
        catalogue: Catalogue,
        engine: LibtorrentEngine,
        journal: EventJournal,
        database: Database,
        settings: Settings,
        clock: Clock,
        client: str,
        shown: str,
        uplink: Callable[[], int],
        fail: Fail,
    ) -> None:
        """`client` is what markets are told, `shown` what peers are shown of us."""
        self.configured = configured
        self._network = network
        self._money = money
        self._catalogue = catalogue
        self._session = engine
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._client, self._shown = client, shown
        self._uplink = uplink
        self.changed = settings.decoded(_KEY, dict[str, Any]) or {}
        self.memory = AuctionMemory(database)
        self.rounds = RoundLog(database, clock)
        self._engine = EngineMarket(engine)
        self.selling: Selling | None = None
        spending = SpendingPorts(account=money, config=lambda: self.told, clock=clock)
        self.buying = Buying(
            BuyingPorts(
                key=money.key.public,
                config=lambda: self.told,
                spending=Spending(spending),
                catalogue=catalogue,
                engine=self._engine,
                journal=journal,
                memory=self.memory,
                clock=clock,
                dialler=lambda talk: Market(money.key, client, lambda found: False, talk),
                source=self._source,
                port=lambda: next((port for _, port in engine.network.listening), 0),
                fail=fail,
            )
        )
        self._announced: dict[str, float] = {}
        self._opened = asyncio.Event()
        self._eased: tuple[int, str, bool] = (0, "", True)

    @property
    def told(self) -> Auction:
        """What the owner offers and bids: the configuration, and over it what was set by hand."""
        return _over(self.configured, self.changed)

    @property
    def leased(self) -> bool:
        """Somebody pays for a slot now."""
        return bool(self.selling and self.selling.seller.served)

    async def change(self, changes: dict[str, Any], *, reset: bool = False) -> None:
        """Set some of it, with `reset` over the configuration alone. Raises OwnerMustAct."""
        fresh = changes if reset else self.changed | changes
        told = checked(self.configured, fresh)
        await self._settings.put(_KEY, msgspec.msgpack.encode(fresh))
        self.changed = fresh
        if self.selling and told.sell:
            self.selling.set_terms(told)
        elif told.sell:
            await self._open()
        elif self.selling:
            await self._close()

    def ease(self, uplink_now: int, says: str, *, new_work: bool = True) -> None:
        """As `Selling.ease`; it holds for a market that is opened later, too."""
        self._eased = (uplink_now, says, new_work)
        if self.selling:
            self.selling.ease(uplink_now, says, new_work=new_work)

    # ------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Take bids, where slots are sold; a port that is taken keeps no box from seeding."""
        await self.buying.start()
        if self.told.sell:
            try:
                await self._open()
            except OwnerMustAct as error:
                self._journal.error(f"{error} No slots are sold until auction.port is another one, or free.")

    async def _open(self) -> None:
        told = self.told
        selling = Selling(
            told,
            self._money,
            self._catalogue,
            EngineLanes(self._session),
            self._journal,
            self.memory,
            self.rounds,
            self._clock,
            self._client,
            self._uplink,
        )
        everywhere = ["0.0.0.0", *(["::"] if self._network.ipv6 else [])]  # noqa: S104  peers come from there
        await selling.listen(list(self._network.listen_addresses) or everywhere)
        self.selling = selling
        self.ease(self._eased[0], self._eased[1], new_work=self._eased[2])
        self._engine.show(self._shown, told.port)
        if self._network.upnp or self._network.natpmp:
            self._engine.map_port(told.port)
        self._opened.set()

    async def _close(self) -> None:
        selling, self.selling = self.selling, None
        if selling:
            self._engine.show(self._shown, 0)
            self._engine.unmap_ports()
            await selling.end()

    async def run_selling(self, beat: Callable[[], None]) -> None:
        """The seller's loop, while slots are sold."""
        while True:
            beat()
            self._opened.clear()
            if self.selling:
                await self.selling.run(beat)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._opened.wait()

    async def run_announcing(self, beat: Callable[[], None]) -> None:
        """Say on the DHT what is sold, one torrent a second."""
        while True:
            beat()
            await asyncio.sleep(1)
            if self.selling is None or not self._network.dht:
                continue
            due = time.monotonic() - ANNOUNCE_S
            for torrent in self._catalogue.all():
                record = torrent.record
                if torrent.state is not State.SEEDING or record.private:
                    continue
                if self._announced.get(record.id, -ANNOUNCE_S) <= due:
                    self._announced[record.id] = time.monotonic()
                    self._engine.announce(record.info_hash, self.told.port)
                    break

    async def stop(self) -> None:
        """Hang up; everything that counts is kept."""
        await self.buying.stop()
        if self.selling:
            await self.selling.stop()

    # ----------------------------------------------------------------------------------------- helpers

    def _source(self, host: str) -> str:
        """The own address from which a host is called: the one that its slots would go to."""
        family = ":" in host
        return next((one for one in self._network.listen_addresses if (":" in one) == family), "")


def checked(configured: Auction, changes: dict[str, Any]) -> Auction:
    """A configuration with changes. Raises OwnerMustAct for what is impossible."""
    try:
        return msgspec.convert(msgspec.to_builtins(configured) | changes, Auction)
    except msgspec.ValidationError as error:
        raise OwnerMustAct(f"That cannot be set: {error}.") from error


def _over(configured: Auction, changes: dict[str, Any]) -> Auction:
    """What was set by hand, as far as it is still possible."""
    try:
        return checked(configured, changes)
    except OwnerMustAct:
        return configured
