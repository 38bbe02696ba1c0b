"""The box: every object of the daemon built and wired, started, kept alive and stopped."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import __version__
from appliance.adapters.board.folder import ContentDisk
from appliance.adapters.board.latency import LatencyProbe
from appliance.adapters.board.machine import Machine
from appliance.adapters.board.mounts import Mounts
from appliance.adapters.board.sensors import Body
from appliance.adapters.engine.gentle import utp_settings
from appliance.adapters.engine.metainfo import parse_magnet, parse_torrent
from appliance.adapters.engine.queries import Queries
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.adapters.engine.settings import engine_settings, shown_name
from appliance.adapters.notices.sender import Sender
from appliance.adapters.store.batches import try_flush
from appliance.adapters.store.database import Database
from appliance.adapters.store.issues import IssueStore
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.store.machine import DecisionLog, ReadingLog
from appliance.adapters.store.settings import Settings
from appliance.adapters.store.torrents import TorrentStore
from appliance.adapters.store.traffic import TrafficLog
from appliance.core.clock import SystemClock
from appliance.core.config import Config
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.power import UNIT, power_off
from appliance.core.state import StateFolder
from appliance.core.units import GIB, KIB, BytesPerSecond
from appliance.domain.catalogue.catalogue import AddOptions, Catalogue
from appliance.domain.catalogue.model import Goal, GoalKind, State
from appliance.domain.catalogue.summary import sentence
from appliance.domain.doctor.checks import examine
from appliance.domain.doctor.facts import Facts, NetworkFacts
from appliance.domain.doctor.model import Finding
from appliance.domain.doctor.sensors import examine_body
from appliance.entrypoints.daemon.watchdog import Heart
from appliance.services.intake.jobs import Jobs
from appliance.services.intake.places import places
from appliance.services.intake.watch import WatchFolder
from appliance.services.machine.governing import Governing, HomeLine, Sold
from appliance.services.machine.issues import IssueKeeper
from appliance.services.machine.limits import LimitsKeeper, configured_limits
from appliance.services.machine.meter import Meter
from appliance.services.machine.uplink import Courtesy
from appliance.services.machine.volumes import Guard, content_folders

if TYPE_CHECKING:
    from appliance.services.market.account import Money
    from appliance.services.market.market import Trading

log = logging.getLogger(__name__)

POLL_S = 2.0
"""How often the engine is asked for numbers: the page shows them, nothing is decided by them."""
WRITE_S = 300.0
"""How often metrics are written, in one commit: few, to spare the SD card."""
HEALTH_S = 60.0
BUSY = 4 * KIB
"""Bytes a second of sending from which on others on the home line could notice."""
END_S = 1.0
"""Between the answer to who wants the box switched off, and its end."""

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
        mounts = Mounts()
        folders = content_folders(config.content, state, mounts)
        self.content = folders[0]
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
            )
            | utp_settings(config.governor.courtesy_delay if config.governor.courtesy else None),
            pex=config.network.pex,
            state=self.settings.get("dht") or b"",
        )
        self.queries = Queries(self.engine)
        goal = Goal(GoalKind(config.seeding.goal), config.seeding.ratio, config.seeding.hours)
        self.catalogue = Catalogue(
            self.engine,
            self.store,
            self.journal,
            ContentDisk(),
            self.clock,
            [folder.path for folder in folders],
            goal,
            config.governor.floor * GIB,
        )
        self.guard = Guard(folders, mounts, self.catalogue, self.settings, self.clock)
        self.places = places(config.content, state)
        self.jobs = Jobs(self.catalogue, self.journal)
        self.money = self._account(database)
        self.trading = self._market()
        self.courtesy = Courtesy(
            config.governor,
            LatencyProbe(config.governor.courtesy_host, self.clock),
            self._sent,
            lambda: self.limits.uncapped.upload_rate,
            lambda cap: self.limits.cap(cap or BytesPerSecond(0)),
            self.clock,
        )
        self.governing = self._governor(database)
        self.issues = IssueKeeper(
            IssueStore(database),
            self.journal,
            self.clock,
            config.notify,
            state.resolve(config.notify.file),
            os.environ.get("CREDENTIALS_DIRECTORY"),
            config.box.name,
            lambda: f"http://{socket.gethostname()}:{config.web.port}/",
            Sender(),
        )
        self.heart = Heart(self.clock)
        self.findings: list[Finding] = []
        self._failed: asyncio.Future[None] | None = None

    def _account(self, database: Database) -> "Money | None":
        """The box's account, where it has one."""
        url = self.config.wallet.ledger
        if not url:
            return None
        # Keys and HTTP cost memory that a box without money does not need.
        from appliance.adapters.store.identity import own_key
        from appliance.services.market.account import Money

        key = own_key(self.state.identity)
        try:
            return Money(url, key, database, self.settings, self.journal, self.clock)
        except OwnerMustAct as error:
            raise OwnerMustAct(f"wallet.ledger in seedbox.toml: {error}") from error

    def _market(self) -> "Trading | None":
        """The box's auction, where it has an account."""
        if self.money is None:
            return None
        from appliance.services.market.market import Trading

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
            lambda: self.limits.wanted.upload_rate or self.meter.peak,
        )

    def _governor(self, database: Database) -> Governing:
        config = self.config
        governing = Governing(
            config.governor,
            config.energy,
            Body(ups=config.energy.ups, plug=config.energy.plug),
            self.guard,
            self.limits,
            self.meter,
            self.traffic,
            self.catalogue,
            self.journal,
            self.settings,
            ReadingLog(database, self.clock, self.traffic),
            DecisionLog(database, self.clock),
            self.clock,
        )
        governing.shut_down = self.switch_off
        governing.line = self._home_line
        if trading := self.trading:
            governing.sold = lambda: Sold(trading.leased, trading.told.free_share)
            governing.ease_market = lambda rate, says, new_work: trading.ease(rate, says, new_work=new_work)
        return governing

    def _home_line(self) -> HomeLine:
        probe = self.courtesy.probe
        # The owner, and who pays, hear of what lasts; the cap itself moves by the second.
        cap = self.courtesy.cap if self.courtesy.gives_way else None
        return HomeLine(cap, probe.latency_us, probe.latency_base_us)

    def _sent(self) -> int:
        """Bytes sent; counted anew more often than for the page while it matters to others on the line."""
        if self.meter.up_rate >= BUSY:
            self.engine.count()
        return self.engine.network.sent

    # ------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Open the session and start every torrent. Raises OwnerMustAct where something is in the way."""
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        await self.guard.start()
        self.engine.start(loop, self.catalogue.apply, self._fail)
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
            ("drives", self.guard.run),
            ("governor", self.governing.run),
            ("health", self._watch_health),
            ("issues", self.issues.run),
        ]
        if self.config.governor.courtesy:
            loops.append(("courtesy", self.courtesy.run))
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
        await self.governing.flush()
        await self.issues.flush()
        if self.trading:
            await self.trading.rounds.flush()
        await self.journal.flush()
        await self.meter.flush()
        await self.settings.put("dht", self.engine.state(), durable=False)

    async def switch_off(self) -> str:
        """Have systemd end the box in order and switch the machine off, or else end the box; says which."""
        if await asyncio.to_thread(power_off):
            return "The box saves everything, and the machine is switched off."
        # The same end as by `systemctl stop`, once the answer is out.
        asyncio.get_running_loop().call_later(END_S, os.kill, os.getpid(), signal.SIGTERM)
        return (
            "The box saves everything and stops. The machine stays on: it may not be switched off from here "
            f"(`systemctl enable --now {UNIT}` allows it)."
        )

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
                rounds = [self.trading.rounds] if self.trading else []
                await try_flush(self.traffic, self.governing, self.issues, *rounds)
                with contextlib.suppress(RetryLater):
                    await self.meter.flush()

    async def _watch_health(self, beat: Callable[[], None]) -> None:
        while True:
            found = await self.examine()
            await self.issues.take(found)
            self.findings = [*found, *self.issues.findings()]
            beat()
            await asyncio.sleep(HEALTH_S)

    async def examine(self) -> list[Finding]:
        """What the doctor finds at this moment."""
        machine = await asyncio.to_thread(self.machine.facts, self.content.path, self.state.path)
        return [
            *examine(Facts(machine, self._network_facts())),
            *self.guard.findings(),
            *examine_body(self.governing.readings),
        ]

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
        await self.catalogue.add(await asyncio.to_thread(parse_torrent, metainfo), AddOptions())

    async def _add_magnet(self, uri: str) -> None:
        await self.catalogue.add(parse_magnet(uri), AddOptions())

    # ----------------------------------------------------------------------------------------- reading

    @property
    def mounted(self) -> bool:
        """The main content folder is there."""
        return self.guard.main_present

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
