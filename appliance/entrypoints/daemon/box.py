"""The box: every object of the daemon built and wired, and its services listed in order."""

import asyncio
import contextlib
import os
import random
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING

from appliance import __version__
from appliance.adapters.board.content import ContentDisk
from appliance.adapters.board.folder import ContentFolder, content_folders
from appliance.adapters.board.latency import LatencyProbe
from appliance.adapters.board.machine import Machine
from appliance.adapters.board.mounts import Mounts
from appliance.adapters.board.sensors import Sensors
from appliance.adapters.engine.pacing import utp_settings
from appliance.adapters.engine.queries import Queries
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.adapters.engine.settings import engine_settings, shown_name
from appliance.adapters.notices.addresses import AddressFile
from appliance.adapters.notices.sender import Sender
from appliance.adapters.store.batches import Flushes
from appliance.adapters.store.database import Database
from appliance.adapters.store.issues import IssueStore
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.store.machine import DecisionLog, ReadingLog
from appliance.adapters.store.settings import Settings
from appliance.adapters.store.torrents import TorrentStore
from appliance.adapters.store.traffic import TrafficLog
from appliance.core.clock import SystemClock
from appliance.core.config import Config
from appliance.core.crashguard import CrashGuard
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.failure import Failure
from appliance.core.power import UNIT, power_off
from appliance.core.state import StateFolder
from appliance.core.units import GIB, KIB, BytesPerSecond
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.catalogue.model import Goal, GoalKind
from appliance.domain.doctor.delivery import NoticeRules
from appliance.domain.doctor.model import Verdict
from appliance.entrypoints.daemon.overview import Overview
from appliance.entrypoints.daemon.parts import Part, run_all, start_all, stop_all
from appliance.entrypoints.daemon.watchdog import Watchdog
from appliance.services.intake.jobs import Jobs
from appliance.services.intake.places import places
from appliance.services.intake.watch import WatchFolder
from appliance.services.machine.governing import Governing
from appliance.services.machine.governing_ports import GoverningPorts, SlotSales
from appliance.services.machine.health import HealthPorts, HealthWatch
from appliance.services.machine.issues import IssueKeeper, IssuePorts
from appliance.services.machine.limits import LimitsKeeper, LimitsPorts, configured_limits
from appliance.services.machine.meter import Meter, MeterPorts
from appliance.services.machine.recording import Polling, Recording
from appliance.services.machine.uplink import UplinkGuard, UplinkGuardPorts
from appliance.services.machine.volumes import VolumeGuard, VolumePorts

if TYPE_CHECKING:
    from appliance.services.market.account import Account
    from appliance.services.market.market import Trading

BUSY = 4 * KIB
"""Bytes a second of sending from which on others on the home line could notice."""
END_S = 1.0
"""Between the answer to whoever wants the box switched off, and its end."""


class Box:
    """One box over one state folder."""

    def __init__(self, state: StateFolder, config: Config, database: Database) -> None:
        self.state, self.config = state, config
        self.clock = SystemClock()
        self.failure = Failure()
        self._database = database
        self.settings = Settings(database)
        self.journal = EventJournal(database, self.clock)
        self.traffic = TrafficLog(database, self.clock)
        self.meter = Meter(MeterPorts(clock=self.clock, traffic=self.traffic, store=self.settings))
        self._reads = CrashGuard(state.being_read)
        self.store = TorrentStore(database, state.torrents)
        self.machine = Machine()
        self._mounts = Mounts()
        folders = content_folders(config.content, state, self._mounts)
        self.limits = self._limits()
        self.engine = self._engine()
        self.queries = Queries(self.engine)
        self.catalogue = self._catalogue(folders)
        self.guard = self._volumes(folders)
        self.places = places(config.content, state)
        self.jobs = Jobs(self.catalogue, self.journal, self.failure.fail)
        self.money = self._account()
        self.trading = self._market()
        self.uplink_guard = self._uplink()
        self.governing = self._governing()
        self.issues = self._issues()
        self.overview = Overview(self.clock, self.catalogue, self.meter, self.engine, self.guard)
        self.health = self._health()
        self.watchdog = Watchdog(self.clock)
        self._parts = self._services()

    # --------------------------------------------------------------------------------------- building

    def _limits(self) -> LimitsKeeper:
        ports = LimitsPorts(
            store=self.settings,
            apply=lambda limits: self.engine.apply(limits),
            review=lambda: self.governing.decide(),
        )
        return LimitsKeeper(configured_limits(self.config.limits, self.machine.total_ram()), ports)

    def _engine(self) -> LibtorrentEngine:
        config = self.config
        settings = engine_settings(
            config.network, self.limits.current, self.machine.total_ram(), config.box.name, __version__
        )
        gentle = utp_settings(config.governor.courtesy_delay if config.governor.courtesy else None)
        nodes = self.settings.get("dht") or b""
        return LibtorrentEngine(settings | gentle, pex=config.network.pex, state=nodes, guard=self._reads)

    def _catalogue(self, folders: list[ContentFolder]) -> Catalogue:
        seeding = self.config.seeding
        return Catalogue(
            self.engine,
            self.store,
            self.journal,
            ContentDisk(),
            self.clock,
            [folder.path for folder in folders],
            Goal(GoalKind(seeding.goal), seeding.ratio, seeding.hours),
            self.config.governor.floor * GIB,
        )

    def _volumes(self, folders: list[ContentFolder]) -> VolumeGuard:
        ports = VolumePorts(
            mounts=self._mounts,
            torrents=self.catalogue,
            memory=self.settings,
            clock=self.clock,
            resting=lambda: self.governing.resting,
            chance=random.Random(),  # noqa: S311  which block is read is no secret
        )
        return VolumeGuard(folders, ports)

    def _account(self) -> "Account | None":
        """The box's account, where it has one."""
        url = self.config.wallet.ledger
        if not url:
            return None
        # Keys and HTTP cost memory that a box without money does not need.
        from appliance.adapters.store.identity import own_key
        from appliance.services.market.account import Account, AccountPorts

        ports = AccountPorts(
            database=self._database,
            settings=self.settings,
            journal=self.journal,
            clock=self.clock,
            fail=self.failure.fail,
        )
        try:
            return Account(url, own_key(self.state.identity), ports)
        except OwnerMustAct as error:
            raise OwnerMustAct(f"wallet.ledger in seedbox.toml: {error}") from error

    def _market(self) -> "Trading | None":
        """The box's auction, where it has an account."""
        if self.money is None:
            return None
        from appliance.adapters.engine.lanes import EngineLanes
        from appliance.adapters.engine.market import EngineMarket
        from appliance.adapters.store.auction import AuctionMemory, RoundLog
        from appliance.services.market.market import Trading, TradingPorts

        config = self.config
        return Trading(
            config.auction,
            config.network,
            TradingPorts(
                client=f"Seedbox/{__version__}",
                shown=shown_name(config.box.name, __version__),
                account=self.money,
                catalogue=self.catalogue,
                engine=EngineMarket(self.engine),
                lanes=lambda: EngineLanes(self.engine),
                listening=lambda: next((port for _, port in self.engine.network.listening), 0),
                journal=self.journal,
                settings=self.settings,
                store=AuctionMemory(self._database),
                log=RoundLog(self._database, self.clock),
                clock=self.clock,
                uplink=lambda: self.limits.wanted.upload_rate or self.meter.peak,
                fail=self.failure.fail,
            ),
        )

    def _uplink(self) -> UplinkGuard:
        config = self.config.governor
        ports = UplinkGuardPorts(
            probe=LatencyProbe(config.courtesy_host, self.clock),
            sent=self._sent,
            wanted=lambda: self.limits.uncapped.upload_rate,
            set_cap=lambda cap: self.limits.cap(cap or BytesPerSecond(0)),
            clock=self.clock,
        )
        return UplinkGuard(config, ports)

    def _sent(self) -> int:
        """Bytes sent; counted anew more often than for the page while it matters to others on the line."""
        if self.meter.up_rate >= BUSY:
            self.engine.count()
        return self.engine.network.sent

    def _governing(self) -> Governing:
        config = self.config
        ports = GoverningPorts(
            sensors=Sensors(ups=config.energy.ups, plug=config.energy.plug),
            clock=self.clock,
            store=self.settings,
            journal=self.journal,
            readings=ReadingLog(self._database, self.clock, self.traffic),
            throttles=DecisionLog(self._database, self.clock),
            traffic=self.traffic,
            meter=self.meter,
            limits=self.limits,
            volumes=self.guard.volumes,
            disks_read=self.guard.apply_disks,
            uplink=self.uplink_guard.reading,
            sales=self._sales,
            throttle_torrents=self.catalogue.throttle,
            throttle_market=self._throttle_market,
            shut_down=self.switch_off,
            fail=self.failure.fail,
        )
        return Governing(config.governor, config.energy, ports)

    def _sales(self) -> SlotSales:
        market = self.trading
        return SlotSales(market.leased, market.config.free_share) if market else SlotSales(False, 0)

    def _throttle_market(self, rate: int, says: str, new_work: bool) -> None:
        if self.trading:
            self.trading.throttle(rate, says, new_work=new_work)

    def _issues(self) -> IssueKeeper:
        config = self.config
        ports = IssuePorts(
            memory=IssueStore(self._database),
            journal=self.journal,
            clock=self.clock,
            addresses=AddressFile(
                self.state.resolve(config.notify.file), os.environ.get("CREDENTIALS_DIRECTORY")
            ),
            sender=Sender(),
            page=lambda: f"http://{socket.gethostname()}:{config.web.port}/",
        )
        rules = NoticeRules(Verdict(config.notify.least), config.notify.after * 60)
        return IssueKeeper(ports, rules, config.box.name)

    def _health(self) -> HealthWatch:
        config = self.config
        watch = self.state.resolve(config.content.watch) if config.content.watch else None
        ports = HealthPorts(
            machine=lambda: self.machine.facts(self.guard.main, self.state.path),
            network=partial(self.overview.network_facts, config.network, watch),
            volumes=self.guard.findings,
            readings=lambda: self.governing.readings,
            issues=self.issues,
        )
        return HealthWatch(ports, self.governing.settings)

    # --------------------------------------------------------------------------------------- services

    def _services(self) -> list[Part]:
        """The services in the order of their start; they stop in reverse."""
        return [
            Part(name="drives", start=self.guard.start, loops={"drives": self.guard.run}),
            self._session(),
            self._recording(),
            Part(
                name="catalogue",
                start=self._load_torrents,
                loops={"catalogue": self.catalogue.work},
                stop=self.catalogue.stop,
                stop_s=10,
            ),
            Part(name="jobs", stop=self.jobs.stop),
            *self._money_services(),
            Part(name="uplink guard", loops={"uplink guard": self.uplink_guard.run}),
            Part(
                name="governor",
                start=self.governing.start,
                loops={"governor": self.governing.run},
                stop=self.governing.stop,
            ),
            Part(name="health", loops={"health": self.health.run}),
            Part(name="issues", start=self.issues.start, loops={"issues": self.issues.run}),
            *self._optional_services(),
        ]

    def _session(self) -> Part:
        polling = Polling(
            self.engine.poll, lambda: (self.engine.network.sent, self.engine.network.received), self.meter
        )
        return Part(
            name="session",
            start=self._open_session,
            loops={"poll": polling.run},
            stop=self._close_session,
            stop_s=8,
        )

    def _recording(self) -> Part:
        rounds = [self.trading.rounds] if self.trading else []
        measured: list[Flushes] = [self.traffic, self.governing, self.issues, *rounds, self.meter]
        recording = Recording(self.journal, measured, self.clock)

        async def last_write() -> None:
            await recording.flush()
            await self.traffic.flush(all=True)

        return Part(name="metrics", loops={"write": recording.run}, stop=last_write, stop_s=5)

    def _money_services(self) -> list[Part]:
        parts = []
        if account := self.money:
            parts.append(
                Part(name="money", start=account.start, loops={"money": account.run}, stop=account.stop)
            )
        if market := self.trading:
            loops = {
                "selling": market.run_selling,
                "announcing": market.run_announcing,
                "buying": market.buying.run,
            }
            parts.append(Part(name="market", start=market.start, loops=loops, stop=market.stop))
        return parts

    def _optional_services(self) -> list[Part]:
        parts = []
        if folder := self.config.content.watch:
            watch = WatchFolder(self.state.resolve(folder), self.journal, self.catalogue, self._reads)
            parts.append(Part(name="watch folder", loops={"watch folder": watch.run}))
        return parts

    # ------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Open the session and start every torrent. Raises OwnerMustAct where something is in the way."""
        await start_all(self._parts)

    async def run(self) -> None:
        """Run all loops, for ever; the first that ends takes the others with it."""
        await run_all(
            self._parts,
            self.watchdog.beat,
            {
                "watchdog": partial(self.watchdog.watch, self.engine.round_trip, self.overview.sentence),
                "failure": self.failure.wait,
            },
        )

    async def stop(self) -> None:
        """Save everything and leave, service by service; one that hangs is left behind."""
        self.failure.ending()
        await stop_all(self._parts)

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

    async def _open_session(self) -> None:
        self.engine.start(asyncio.get_running_loop(), self.catalogue.apply, self.failure.fail)

    async def _close_session(self) -> None:
        with contextlib.suppress(RetryLater):
            await self.settings.put("dht", self.engine.state(), durable=False)
        await asyncio.to_thread(self.engine.close, asyncio.get_running_loop())

    async def _load_torrents(self) -> None:
        records = self.store.load()
        await self.catalogue.load(records.values(), self.store.resumes)
        for report in self.store.reports:
            self.journal.error(report)
