"""The governor at work: readings are taken, limits are decided, and what was decided is carried out."""

import asyncio
import contextlib
import logging
import os
import platform
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from appliance.adapters.board.ups import UpsReading
from appliance.adapters.store.machine import DecisionRecord, Past
from appliance.core.blocking import BlockingCall
from appliance.core.config import EnergyConfig, GovernorConfig
from appliance.core.errors import RetryLater, SeedboxError
from appliance.core.service import Beat
from appliance.core.tasks import Tasks
from appliance.core.units import MicroBtt, UtcMs, in_thousandths
from appliance.domain.governor import energy, policy
from appliance.domain.governor.cap import month_of
from appliance.domain.governor.model import GovernorDecision, GovernorMoment, ThrottleEvent, override
from appliance.domain.governor.readings import DiskReading, Readings
from appliance.domain.governor.settings import settings_of
from appliance.domain.governor.spans import share_minutes
from appliance.domain.governor.throttle import ThrottleReason, ThrottleRule
from appliance.services.machine.governing_ports import GoverningPorts
from appliance.services.machine.governor_memory import recall, remember

log = logging.getLogger(__name__)

REFRESH_S = 5.0
SUPPLY_S = 10.0
WATTS_S = 30.0
MONTH_S = 60.0
DISKS_S = 600.0
KEEP_S = 300.0
"""Between two writings of what the governor remembers, where nothing has changed."""
AGAIN_S = 60.0
"""Between two attempts to switch off on an empty battery."""
_WORRIES = (ThrottleRule.UNDER_VOLTAGE, ThrottleRule.UPS)
"""Rules of which the owner is warned; the others are the box's everyday life."""


class Governing:
    """Everything that is known of the machine, and what the box may do because of it."""

    def __init__(
        self, config: GovernorConfig, costs: EnergyConfig, ports: GoverningPorts, zone: tzinfo | None = None
    ) -> None:
        """`zone` is the owner's, else the machine's. Raises OwnerMustAct where the configuration is off."""
        self._config, self._costs, self._ports = config, costs, ports
        self._zone = zone or local_zone()
        self.settings = settings_of(config, self._zone)
        self.readings = Readings(at=ports.clock.now())
        self.decision: GovernorDecision | None = None
        self.board = ""
        self._boot = ports.sensors.boot()
        self._state = recall(ports.store, self._boot, ports.clock)
        self._x86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
        self._tasks = Tasks(ports.fail)
        self._due: dict[str, float] = {}
        self._running: set[str] = set()
        self._blocking = {name: BlockingCall(name) for name in ("supply", "watts", "disks")}
        self._kept_at = 0.0
        self._ending = False
        self._plug_mw: int | None = None
        self._answered = dict.fromkeys(("ups", "plug"), self._seconds())
        """When each of what the owner configured answered last."""

    # ------------------------------------------------------------------------------------------ life

    async def start(self) -> None:
        """Learn which board this is; what was remembered is taken up already."""
        self.board = self._ports.sensors.board_model()

    async def run(self, beat: Beat) -> None:
        """Read, decide, and act, for ever."""
        while True:
            beat()
            await self.refresh()
            await asyncio.sleep(REFRESH_S)

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater."""
        await self._ports.readings.flush()
        await self._ports.throttles.flush()
        await self._write(durable=False)

    async def stop(self) -> None:
        """Ask nothing more of sensors and drives."""
        await self._tasks.stop()

    # --------------------------------------------------------------------------------------- reading

    async def refresh(self) -> None:
        """Read what is cheap to read, begin to read what is not, and decide."""
        self._begin("supply", SUPPLY_S, self._read_supply)
        self._begin("watts", WATTS_S, self._read_watts)
        self._begin("disks", DISKS_S, self._read_disks)
        self._begin("month", MONTH_S, self._read_month)
        ports, line = self._ports, self._ports.uplink()
        self.readings = replace(
            ports.sensors.quick().onto(self.readings),
            at=ports.clock.now(),
            volumes=ports.volumes(),
            latency_us=line.latency_us,
            latency_base_us=line.base_us,
            up_rate=ports.meter.up_rate,
            down_rate=ports.meter.down_rate,
            ups_silent_s=self._silence("ups") if self._costs.ups else None,
            plug_silent_s=self._silence("plug") if self._costs.plug else None,
        )
        self.decide()
        ports.readings.add(self.readings, self.power().milliwatts, ports.limits.current.upload_rate)
        await self._keep()

    @property
    def reading(self) -> bool:
        """Whether sensors that take their time are being read at this moment."""
        return bool(self._running)

    def _begin(self, name: str, every_s: float, work: Callable[[], Awaitable[None]]) -> None:
        now = self._seconds()
        if now < self._due.get(name, 0.0) or name in self._running:
            return
        self._due[name] = now + every_s
        self._running.add(name)
        self._tasks.start(self._guarded(name, work), f"reading {name}")

    async def _guarded(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (TimeoutError, RetryLater) as error:
            log.info("%s cannot be read now: %s", name, error or "it takes too long")
        finally:
            self._running.discard(name)

    async def _read_supply(self) -> None:
        try:
            power = await self._blocking["supply"].run(self._ports.sensors.supply, SUPPLY_S)
        except TimeoutError:
            # An old answer is none: it must not keep a box on mains that has none.
            self.readings = UpsReading().onto(self.readings)
            raise
        if power.supply is not None:
            self._answered["ups"] = self._seconds()
        # What the plug has measured is truer than what the UPS guesses.
        mw = self._plug_mw if self._plug_mw is not None else power.watts_mw
        self.readings = replace(power, watts_mw=mw).onto(self.readings)

    async def _read_watts(self) -> None:
        if not self._costs.plug:
            return
        self._plug_mw = await self._blocking["watts"].run(self._ports.sensors.watts, WATTS_S)
        if self._plug_mw is not None:
            self._answered["plug"] = self._seconds()
            self.readings = replace(self.readings, watts_mw=self._plug_mw)

    def _silence(self, name: str) -> int:
        return int(self._seconds() - self._answered[name])

    async def _read_disks(self) -> None:
        devices = [volume.device for volume in self._ports.volumes() if volume.device]
        disks = await self._blocking["disks"].run(lambda: self._ports.sensors.slow(devices), DISKS_S)
        self.readings = replace(self.readings, disks=disks)
        self._ports.disks_read(disks)

    async def _read_month(self) -> None:
        month = month_of(self._ports.clock.now(), self._config.cap_day, self._zone)
        up, down = await self._ports.traffic.between(month.start, month.end)
        self.readings = replace(self.readings, month_up=up, month_down=down)

    # -------------------------------------------------------------------------------------- deciding

    def decide(self) -> None:
        """Decide by the latest readings, and put it into force."""
        self._state, decision = policy.decide(self.settings, self._state, self.readings, self._moment())
        self.decision, ports = decision, self._ports
        ports.limits.throttle(decision.limits)
        # While something is still downloaded the session goes on, and what is slow says so by its rate.
        ports.throttle_torrents(decision.no_writing, decision.no_sending if decision.no_writing else "")
        reduced = 0 < decision.upload_rate < decision.usual
        ports.throttle_market(
            decision.upload_rate if reduced else 0, decision.payers, decision.limits.new_work
        )
        for event in decision.events:
            self._tell(event)
        ports.throttles.hold((one.rule.value, one.says) for one in decision.throttles)
        self._end(decision.shut_down)

    def _moment(self) -> GovernorMoment:
        ports, sales = self._ports, self._ports.sales()
        return GovernorMoment(
            at=ports.clock.now(),
            mono=ports.clock.mono(),
            wanted=ports.limits.wanted,
            uplink=ports.meter.peak,
            uplink_cap=ports.uplink().cap,
            leased=sales.leased,
            free_percent=sales.free_percent,
        )

    def _tell(self, event: ThrottleEvent) -> None:
        if event.begun:
            say = self._ports.journal.warning if event.rule in _WORRIES else self._ports.journal.info
            say(f"Throttled: {event.says}")
        elif not self._throttled_by(event.rule):
            self._ports.journal.info(f"No longer throttled: {event.rule.label}.")

    def _throttled_by(self, rule: ThrottleRule) -> bool:
        return any(one.rule is rule for one in self.throttles)

    @property
    def throttles(self) -> tuple[ThrottleReason, ...]:
        """Why the box does less than it could, by the last decision."""
        return self.decision.throttles if self.decision else ()

    @property
    def resting(self) -> bool:
        """Whether the disks shall rest now."""
        return self._throttled_by(ThrottleRule.QUIET)

    def _end(self, empty: bool) -> None:
        """Switch off once while the battery is `empty`; what fails for now is tried again."""
        if empty and not self._ending:
            self._ports.journal.error(
                "The UPS battery is nearly empty: the box saves everything and shuts down."
            )
            self._tasks.start(self._shut_down(), "shutdown on an empty battery")
        self._ending = empty

    async def _shut_down(self) -> None:
        while self._ending:
            try:
                await self._ports.shut_down()
            except SeedboxError as error:
                self._ports.journal.error(f"The box could not shut down: {error}")
            else:
                return
            await asyncio.sleep(AGAIN_S)

    async def override(self, minutes: int) -> None:
        """Lift throttling for so many minutes, but for what would do harm; 0: throttle again."""
        clock = self._ports.clock
        self._state = override(self._state, minutes, clock.now(), clock.mono())
        self.decide()
        await self._write(durable=True)

    @property
    def override_until(self) -> UtcMs:
        """Until when throttling is lifted; 0: it is not."""
        return self._state.override.until if self._state.override else UtcMs(0)

    # --------------------------------------------------------------------------------------- keeping

    async def _keep(self) -> None:
        changed = self.decision is not None and self.decision.changed
        if changed or self._seconds() - self._kept_at >= KEEP_S:
            with contextlib.suppress(RetryLater):
                await self._write(durable=False)

    async def _write(self, *, durable: bool) -> None:
        self._kept_at = self._seconds()
        await remember(self._ports.store, self._boot, self._state, durable=durable)

    def _seconds(self) -> float:
        return self._ports.clock.mono() / 1e9

    async def history(self, span: Literal["hour", "day", "month"]) -> Past:
        """Readings of the last hour, day or month. Raises RetryLater."""
        return await self._ports.readings.history(span)

    async def throttles_since(self, start: UtcMs) -> list[DecisionRecord]:
        """What throttled the box at some time since `start`, newest first. Raises RetryLater."""
        return await self._ports.throttles.since(start)

    # ---------------------------------------------------------------------------------------- energy

    def power(self) -> energy.PowerDraw:
        """What the machine draws."""
        return energy.power_of(
            measured_mw=self.readings.watts_mw,
            measured_by="plug" if self._plug_mw is not None else "ups",
            owner_w=self._costs.watts,
            board=self.board,
            x86=self._x86,
            load_milli=self.readings.load_milli,
            disks=[self._activity(one) for one in self.readings.disks],
        )

    def _activity(self, disk: DiskReading) -> energy.DriveActivity:
        turns = self._ports.sensors.rotational(disk.device)
        return energy.DriveActivity(energy.kind_of(disk.device, rotational=turns), disk.asleep)

    def account(self, earned_day: MicroBtt) -> energy.EnergyAccount:
        """What a day costs, beside `earned_day` µBTT."""
        costs = self._costs
        tariff = energy.Tariff(
            currency=costs.currency,
            price=in_thousandths(costs.price),
            cheap_price=in_thousandths(costs.cheap_price),
            cheap_minutes=share_minutes(self.settings.cheap),
            btt_price=in_thousandths(costs.btt_price),
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
