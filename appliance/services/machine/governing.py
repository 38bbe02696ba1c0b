"""The governor at work: readings are taken, limits are decided, and what was decided is carried out."""

import asyncio
import contextlib
import logging
import os
import platform
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from appliance.adapters.board.sensors import Body, onto
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.store.machine import DecisionLog, ReadingLog
from appliance.adapters.store.settings import Settings
from appliance.adapters.store.traffic import TrafficLog
from appliance.core.blocking import Patience
from appliance.core.clock import Clock
from appliance.core.config import Energy, Governor
from appliance.core.errors import RetryLater
from appliance.core.units import BytesPerSecond, MicroBtt, UtcMs
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.governor import energy, policy
from appliance.domain.governor.cap import month_of
from appliance.domain.governor.ease import Rule
from appliance.domain.governor.hours import share_minutes
from appliance.domain.governor.policy import Decision, Event, Moment, State
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.settings import settings_of
from appliance.services.machine.limits import LimitsKeeper
from appliance.services.machine.meter import Meter
from appliance.services.machine.volumes import Guard

log = logging.getLogger(__name__)

LOOK_S = 5.0
SUPPLY_S = 10.0
WATTS_S = 30.0
MONTH_S = 60.0
DISKS_S = 600.0
KEEP_S = 300.0
"""Between two writings of what the governor remembers, where nothing has changed."""
_KEY = "governor"
_WORRIES = (Rule.UNDER_VOLTAGE, Rule.UPS)
"""Rules of which the owner is warned; the others are the box's everyday life."""


class _Kept(msgspec.Struct, frozen=True):
    """What is remembered over a restart."""

    boot: str
    """Of which the monotonic clock in `state` is."""
    state: State


@dataclass(frozen=True, slots=True)
class HomeLine:
    """What the watch over the home line sees, and what it leaves of the upload."""

    cap: BytesPerSecond | None = None
    """Bytes a second; None: all of it."""
    latency_us: int | None = None
    base_us: int | None = None


@dataclass(frozen=True, slots=True)
class Sold:
    """What the market of the box is doing."""

    leased: bool
    free_percent: int


class Governing:
    """Everything that is known of the machine, and what the box may do because of it."""

    def __init__(
        self,
        told: Governor,
        costs: Energy,
        body: Body,
        guard: Guard,
        limits: LimitsKeeper,
        meter: Meter,
        traffic: TrafficLog,
        catalogue: Catalogue,
        journal: EventJournal,
        settings: Settings,
        readings_log: ReadingLog,
        decisions: DecisionLog,
        clock: Clock,
        zone: tzinfo | None = None,
    ) -> None:
        """`zone` is the owner's, else the machine's. Raises OwnerMustAct where the configuration is off."""
        self._told, self._costs = told, costs
        self._zone = zone or local_zone()
        self._settings = settings_of(told, self._zone)
        self._body, self._guard, self._limits = body, guard, limits
        self._meter, self._traffic, self._catalogue = meter, traffic, catalogue
        self._journal, self._store = journal, settings
        self.log, self.decisions = readings_log, decisions
        self._clock = clock
        self.line: Callable[[], HomeLine] = HomeLine
        self.sold: Callable[[], Sold] = lambda: Sold(leased=False, free_percent=0)
        self.ease_market: Callable[[int, str, bool], None] = lambda rate, says, new_work: None
        self.shut_down: Callable[[], Coroutine[Any, Any, str]] | None = None
        self.readings = Readings(at=clock.now())
        self._boot = body.boot()
        self._state = self._recall()
        self.decision: Decision | None = None
        self.board = ""
        self._x86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
        self._slow: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, float] = {}
        self._patience = {name: Patience(name) for name in ("supply", "watts", "disks")}
        self._kept_at = 0.0
        self._shutting = False
        self._ending: asyncio.Task[str] | None = None
        self._plug_mw: int | None = None
        limits.review = self.decide
        guard.resting = lambda: self._holds(Rule.QUIET)

    def _recall(self) -> State:
        kept = self._store.decoded(_KEY, _Kept)
        if kept is None:
            return State()
        if kept.boot == self._boot:
            return kept.state
        return policy.resumed(kept.state, self._clock.now(), self._clock.mono())

    # ---------------------------------------------------------------------------------------- the loop

    async def run(self, beat: Callable[[], None]) -> None:
        """Look, decide, and act: for ever."""
        self.board = self._body.board_model()
        try:
            while True:
                beat()
                await self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            for task in self._slow.values():
                task.cancel()

    async def look(self) -> None:
        """Read what is cheap to read, begin to read what is not, and decide."""
        self._start("supply", SUPPLY_S, self._read_supply)
        self._start("watts", WATTS_S, self._read_watts)
        self._start("disks", DISKS_S, self._read_disks)
        self._start("month", MONTH_S, self._read_month)
        line = self.line()
        self.readings = replace(
            onto(self.readings, self._body.quick()),
            at=self._clock.now(),
            volumes=self._guard.readings(),
            latency_us=line.latency_us,
            latency_base_us=line.base_us,
            up_rate=self._meter.up_rate,
            down_rate=self._meter.down_rate,
        )
        self.decide()
        self.log.add(self.readings, self.power().milliwatts, self._limits.current.upload_rate)
        await self._keep()

    def _start(self, name: str, every_s: float, work: Callable[[], Awaitable[None]]) -> None:
        now = self._clock.mono() / 1e9
        running = self._slow.get(name)
        if now < self._due.get(name, 0.0) or (running and not running.done()):
            return
        self._due[name] = now + every_s
        self._slow[name] = asyncio.create_task(self._guarded(name, work))

    async def _guarded(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (TimeoutError, RetryLater) as error:
            log.info("%s cannot be read now: %s", name, error or "it takes too long")

    async def _read_supply(self) -> None:
        power = await self._patience["supply"].ask(self._body.supply, SUPPLY_S)
        # What the plug has measured is truer than what the UPS guesses.
        mw = self._plug_mw if self._plug_mw is not None else power.watts_mw
        self.readings = onto(self.readings, replace(power, watts_mw=mw))

    async def _read_watts(self) -> None:
        if not self._costs.plug:
            return
        self._plug_mw = await self._patience["watts"].ask(self._body.watts, WATTS_S)
        if self._plug_mw is not None:
            self.readings = replace(self.readings, watts_mw=self._plug_mw)

    async def _read_disks(self) -> None:
        devices = [volume.device for volume in self._guard.readings() if volume.device]
        disks = await self._patience["disks"].ask(lambda: self._body.slow(devices), DISKS_S)
        self.readings = replace(self.readings, disks=disks)
        self._guard.hear_disks(disks)

    async def _read_month(self) -> None:
        span = month_of(self._clock.now(), self._told.cap_day, self._zone)
        up, down = await self._traffic.between(span.start, span.end)
        self.readings = replace(self.readings, month_up=up, month_down=down)

    # -------------------------------------------------------------------------------------- deciding

    def decide(self) -> None:
        """Decide by the latest readings, and put it into force."""
        sold = self.sold()
        wanted = self._limits.wanted
        moment = Moment(
            at=self._clock.now(),
            mono=self._clock.mono(),
            wanted=wanted,
            uplink=self._meter.peak,
            courtesy=self.line().cap,
            leased=sold.leased,
            free_percent=sold.free_percent,
        )
        self._state, decision = policy.decide(self._settings, self._state, self.readings, moment)
        self.decision = decision
        self._limits.ease(decision.limits)
        # While something is still fetched the session goes on, and what is slow says so by its rate.
        silent = decision.no_sending if decision.no_writing else ""
        self._catalogue.ease(decision.no_writing, silent)
        eased = decision.upload_rate if 0 < decision.upload_rate < decision.usual else 0
        self.ease_market(eased, decision.payers, decision.limits.new_work)
        for event in decision.events:
            self._tell(event)
        self.decisions.hold((one.rule.value, one.says) for one in decision.eases)
        if decision.shut_down and not self._shutting:
            self._shutting = True
            self._journal.error("The battery is nearly empty: the box saves everything and switches off.")
            if self.shut_down:
                self._ending = asyncio.create_task(self.shut_down())
        self._shutting = decision.shut_down

    def _tell(self, event: Event) -> None:
        if not event.begun:
            if all(one.rule is not event.rule for one in (self.decision.eases if self.decision else ())):
                self._journal.info(f"No longer eased ({event.rule.value}).")
            return
        say = self._journal.warning if event.rule in _WORRIES else self._journal.info
        say(event.says)

    def _holds(self, rule: Rule) -> bool:
        return self.decision is not None and any(one.rule is rule for one in self.decision.eases)

    async def override(self, minutes: int) -> None:
        """The owner wants nothing eased for so many minutes; 0: as ever."""
        self._state = policy.override(self._state, minutes, self._clock.now(), self._clock.mono())
        self.decide()
        await self._write(durable=True)

    @property
    def override_until(self) -> UtcMs:
        """0: none."""
        return self._state.override.until if self._state.override else UtcMs(0)

    # --------------------------------------------------------------------------------------- keeping

    async def _keep(self) -> None:
        changed = bool(self.decision and self.decision.changed)
        if changed or self._clock.mono() / 1e9 - self._kept_at >= KEEP_S:
            with contextlib.suppress(RetryLater):
                await self._write(durable=False)

    async def _write(self, *, durable: bool) -> None:
        self._kept_at = self._clock.mono() / 1e9
        kept = msgspec.msgpack.encode(_Kept(self._boot, self._state))
        await self._store.put(_KEY, kept, durable=durable)

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater."""
        await self.log.flush()
        await self.decisions.flush()
        await self._write(durable=False)

    # ---------------------------------------------------------------------------------------- energy

    def power(self) -> energy.Power:
        """What the machine takes."""
        return energy.power_of(
            measured_mw=self.readings.watts_mw,
            measured_by="plug" if self._plug_mw is not None else "ups",
            told_w=self._costs.watts,
            board=self.board,
            x86=self._x86,
            load_milli=self.readings.load_milli,
            disks=[
                energy.Disk(
                    energy.kind_of(one.device, rotational=self._body.rotational(one.device)), one.asleep
                )
                for one in self.readings.disks
            ],
        )

    def account(self, earned_day: MicroBtt) -> energy.Account:
        """What a day costs, beside `earned_day` µBTT."""
        costs = self._costs
        tariff = energy.Tariff(
            currency=costs.currency,
            price=costs.price,
            cheap_price=costs.cheap_price,
            cheap_minutes=share_minutes(self._settings.cheap),
            btt_price=costs.btt_price,
        )
        return energy.account(self.power(), tariff, earned_day)


def local_zone() -> tzinfo:
    """The machine's own time zone, with its summer time; UTC where it has none (tzset(3), localtime(5))."""
    try:
        if name := os.environ.get("TZ", "").lstrip(":"):
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return UTC
