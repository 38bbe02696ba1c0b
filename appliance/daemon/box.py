"""The box: every object of the daemon built and wired, started, kept alive and stopped."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import __version__
from appliance.board.machine import Machine
from appliance.catalogue.catalogue import Catalogue, Wish
from appliance.catalogue.model import Goal, GoalKind, State
from appliance.clock import SystemClock
from appliance.config import Config
from appliance.daemon.heart import Heart
from appliance.daemon.jobs import Jobs
from appliance.daemon.limits import LimitsKeeper, configured_limits
from appliance.daemon.meter import Meter
from appliance.daemon.overview import sentence
from appliance.daemon.places import places
from appliance.daemon.watch import WatchFolder
from appliance.doctor.checks import examine
from appliance.doctor.facts import Facts, NetworkFacts
from appliance.doctor.model import Finding
from appliance.engine.metainfo import parse_magnet, parse_torrent
from appliance.engine.queries import Queries
from appliance.engine.session import LibtorrentEngine
from appliance.engine.settings import engine_settings, shown_name
from appliance.errors import OwnerMustAct, RetryLater
from appliance.state import StateFolder
from appliance.store.content import ContentFolder
from appliance.store.database import Database
from appliance.store.journal import EventJournal, Settings, TrafficLog, try_flush
from appliance.store.torrents import TorrentStore

if TYPE_CHECKING:
    from appliance.daemon.money import Money
    from appliance.daemon.trading import Trading

log = logging.getLogger(__name__)

POLL_S = 2.0
"""How often the engine is asked for numbers: the page shows them, nothing is decided by them."""
WRITE_S = 300.0
"""How often metrics are written, in one commit: few, to spare the SD card."""
MOUNT_S = 10.0
HEALTH_S = 60.0

_Loop = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""A loop for ever; it is given what it calls to show that it is alive."""


class Box:
    """One box over one state folder."""

    def __init__(self, state: StateFolder, config: Config, database: Database) -> None:
        self.state, self.config = state, config
        self.config_path: Path = state.config
        self.clock = SystemClock()
        self._started = self.clock.mono()
        self._database = database
        self.settings = Settings(database)
        self.journal = EventJournal(database, self.clock)
        self.traffic = TrafficLog(database, self.clock)
        self.meter = Meter(self.clock, self.traffic, self.settings)
        self.store = TorrentStore(database, state.torrents)
        self.content = ContentFolder(state.resolve(config.content.root), state.path)
        self.machine = Machine()
        ram = self.machine.total_ram()
        self.limits = LimitsKeeper(configured_limits(config.limits, ram), self.settings)
        self.engine = LibtorrentEngine(
            engine_settings(
                config.network,
                self.limits.current,
                ram,
                config.box.name,
                __version__,
            ),
            pex=config.network.pex,
            state=self.settings.get("dht") or b"",
        )
        self.queries = Queries(self.engine)
        goal = Goal(GoalKind(config.seeding.goal), config.seeding.ratio, config.seeding.hours)
        self.catalogue = Catalogue(
            self.engine, self.store, self.journal, self.content, self.clock, self.content.path, goal
        )
        self.places = places(config.content, state)
        self.jobs = Jobs(self.catalogue, self.journal)
        self.money = self._account(database)
        self.trading = self._market()
        self.heart = Heart(self.clock)
        self.mounted = True
        self.findings: list[Finding] = []
        self._failed: asyncio.Future[None] | None = None

    def _account(self, database: Database) -> "Money | None":
        """The box's account, where it has one."""
        url = self.config.wallet.ledger
        if not url:
            return None
        # Keys and HTTP cost memory that a box without money does not need.
        from appliance.daemon.money import Money
        from appliance.store.identity import own_key

        key = own_key(self.state.identity)
        try:
            return Money(url, key, database, self.settings, self.journal, self.clock)
        except OwnerMustAct as error:
            raise OwnerMustAct(f"wallet.ledger in seedbox.toml: {error}") from error

    def _market(self) -> "Trading | None":
        """The box's auction, where it has an account."""
        if self.money is None:
            return None
        from appliance.daemon.trading import Trading

        config = self.config
        return Trading(
            config.auction,
            config.network,
            self.money,
            self.catalogue,
            self.engine,
            self.journal,
            self._database,
            self.settings,
            self.clock,
            f"Seedbox/{__version__}",
            shown_name(config.box.name, __version__),
            lambda: self.limits.current.upload_rate or self.meter.peak,
        )

    # ------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Open the session and start every torrent. Raises OwnerMustAct where something is in the way."""
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        self.mounted = await self.content.adopt(self.settings)
        self.catalogue.mounted(self.mounted)
        self.engine.heard = self.catalogue.hear
        self.engine.failed = self._fail
        self.engine.start(loop)
        self.limits.apply = self.engine.apply
        records = self.store.load()
        await self.catalogue.load(records.values(), self.store.resumes)
        for report in self.store.reports:
            self.journal.error(report)
        if self.money:
            await self.money.start()
        if self.trading:
            await self.trading.start()

    async def run(self) -> None:
        """All loops, for ever; the first that ends takes the others with it."""
        heart = self.heart
        async with asyncio.TaskGroup() as group:
            for name, loop in self._loops():
                heart.beat(name)
                group.create_task(loop(partial(heart.beat, name)), name=name)
            group.create_task(heart.watch(self.engine.round_trip, self.sentence), name="watchdog")
            group.create_task(self._until_failure(), name="engine")

    def _loops(self) -> list[tuple[str, _Loop]]:
        loops: list[tuple[str, _Loop]] = [
            ("catalogue", self.catalogue.work),
            ("poll", self._poll),
            ("write", self._write),
            ("mount", self._watch_mount),
            ("health", self._watch_health),
        ]
        if self.config.content.watch:
            watch = WatchFolder(
                self.state.resolve(self.config.content.watch),
                self.journal,
                self._add_torrent,
                self._add_magnet,
            )
            loops.append(("watch folder", watch.run))
        if self.money:
            loops.append(("money", self.money.run))
        if self.trading:
            loops.append(("selling", self.trading.run_selling))
            loops.append(("announcing", self.trading.run_announcing))
            loops.append(("buying", self.trading.buying.run))
        return loops

    async def stop(self) -> None:
        """Save everything and leave, stage by stage; a stage that hangs is left behind."""
        loop = asyncio.get_running_loop()
        await _stage("jobs", 3, self.jobs.stop())
        await _stage("catalogue", 10, self.catalogue.stop())
        if self.trading:
            await _stage("market", 3, self.trading.stop())
        if self.money:
            self.money.close()
        await _stage("metrics", 5, self._last_write())
        await _stage("session", 8, asyncio.to_thread(self.engine.close, loop))

    async def _last_write(self) -> None:
        await self.traffic.flush(all=True)
        if self.trading:
            await self.trading.rounds.flush()
        await self.journal.flush()
        await self.meter.flush()
        await self.settings.put("dht", self.engine.state(), durable=False)

    def _fail(self, error: Exception) -> None:
        if self._failed and not self._failed.done():
            self._failed.set_exception(error)

    async def _until_failure(self) -> None:
        assert self._failed is not None
        await self._failed

    # ------------------------------------------------------------------------------------------- loops

    async def _poll(self, beat: Callable[[], None]) -> None:
        while True:
            self.engine.poll()
            self.meter.read(self.engine.network.sent, self.engine.network.received)
            beat()
            await asyncio.sleep(POLL_S)

    async def _write(self, beat: Callable[[], None]) -> None:
        written = self.clock.mono()
        while True:
            beat()
            await asyncio.sleep(POLL_S * 5)
            # What happened is written soon, what was measured seldom.
            await try_flush(self.journal)
            if (self.clock.mono() - written) / 1e9 >= WRITE_S:
                written = self.clock.mono()
                await try_flush(self.traffic, *([self.trading.rounds] if self.trading else []))
                with contextlib.suppress(RetryLater):
                    await self.meter.flush()

    async def _watch_mount(self, beat: Callable[[], None]) -> None:
        while True:
            beat()
            await asyncio.sleep(MOUNT_S)
            self.mounted = await asyncio.to_thread(self.content.there)
            self.catalogue.mounted(self.mounted)

    async def _watch_health(self, beat: Callable[[], None]) -> None:
        while True:
            self.findings = await self.examine()
            beat()
            await asyncio.sleep(HEALTH_S)

    async def examine(self) -> list[Finding]:
        """What the doctor finds at this moment."""
        machine = await asyncio.to_thread(self.machine.facts, self.content.path, self.state.path)
        return examine(Facts(machine, self._network_facts()))

    def _network_facts(self) -> NetworkFacts:
        heard, wanted = self.engine.network, self.config.network
        watch = self.config.content.watch and self.state.resolve(self.config.content.watch)
        return NetworkFacts(
            wanted_port=wanted.listen_port,
            ports=tuple(port for _, port in heard.listening),
            listen_errors=tuple(heard.listen_errors.values()),
            mapped=tuple(heard.mapped),
            map_errors=tuple(heard.map_errors),
            mapping_wanted=wanted.upnp or wanted.natpmp,
            incoming=heard.incoming,
            dht_nodes=heard.dht_nodes if wanted.dht else None,
            uptime_s=self.uptime_s(),
            mounted=self.mounted,
            watch=str(watch),
            watch_exists=bool(watch) and Path(watch).is_dir(),
        )

    async def _add_torrent(self, metainfo: bytes) -> None:
        await self.catalogue.add(await asyncio.to_thread(parse_torrent, metainfo), Wish())

    async def _add_magnet(self, uri: str) -> None:
        await self.catalogue.add(parse_magnet(uri), Wish())

    # ----------------------------------------------------------------------------------------- reading

    def uptime_s(self) -> int:
        """Seconds since this process began to work."""
        return (self.clock.mono() - self._started) // 1_000_000_000

    def sentence(self) -> str:
        """The box in one sentence."""
        states: dict[State, int] = {}
        for torrent in self.catalogue.all():
            states[torrent.state] = states.get(torrent.state, 0) + 1
        return sentence(
            states,
            self.meter.up_rate,
            self.meter.down_rate,
            mounted=self.mounted,
            listening=bool(self.engine.network.listening),
        )


async def _stage(name: str, seconds: float, work: Awaitable[object]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        log.error("stopping: %s did not end within %g seconds and was left behind", name, seconds)
    except Exception:
        log.exception("stopping: %s failed", name)
