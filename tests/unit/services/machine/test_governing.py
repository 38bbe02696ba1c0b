"""The governor at work: a board's real files, a real database, and limits that are put into force."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from appliance.adapters.board.sensors import Sensors
from appliance.adapters.store.database import Database
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.store.machine import DecisionLog, ReadingLog
from appliance.adapters.store.settings import Settings
from appliance.adapters.store.traffic import TrafficLog
from appliance.core.config import EnergyConfig, GovernorConfig, LimitsConfig
from appliance.core.errors import RetryLater
from appliance.core.units import GIB, MIB, Bytes, BytesPerSecond, MonoNs, UtcMs
from appliance.domain.governor.limits import Limits, LimitsChange
from appliance.domain.governor.readings import DiskReading
from appliance.domain.volumes.volume import Volume
from appliance.services.machine import governing
from appliance.services.machine.governing import Governing
from appliance.services.machine.governing_ports import GoverningPorts, SlotSales
from appliance.services.machine.limits import LimitsKeeper, LimitsPorts, configured_limits
from appliance.services.machine.meter import Meter, MeterPorts
from appliance.services.machine.uplink import UplinkReading
from tests.support.board_data import plant

NOON = UtcMs(1_790_000_000_000 // 86_400_000 * 86_400_000 + 43_200_000)
UPS = "ups.status: {}\nbattery.charge: {}\nbattery.runtime: 600\n"


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0

    def now(self) -> UtcMs:
        return UtcMs(NOON + self.seconds * 1_000)

    def mono(self) -> MonoNs:
        return MonoNs((1_000 + self.seconds) * 1_000_000_000)


class Drives:
    """What the storage guard is to the governor."""

    def __init__(self) -> None:
        self.free = 500 * GIB
        self.heard: Sequence[DiskReading] = ()

    def volumes(self) -> tuple[Volume, ...]:
        return (
            Volume(
                path="/content",
                uuid="1",
                device="/dev/sda1",
                writable=True,
                total=1_000 * GIB,
                free=self.free,
                inodes_free_percent=90,
            ),
        )

    def apply_disks(self, disks: Sequence[DiskReading]) -> None:
        self.heard = disks


class Downloads:
    """What the catalogue is to the governor."""

    def __init__(self) -> None:
        self.says = ""

    def throttle(self, writes: str, sends: str) -> None:
        self.says, self.sends = writes, sends


class Attic:
    """A Pi 4 under the roof; what its kernel says can be changed."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.root = root or plant("pi4", folder / "root")
        self.folder = folder
        self.clock = Clock()
        self.ups = UPS.format("OL", 100)
        self.applied: list[Limits] = []
        self.market: tuple[int, str, bool] = (0, "", True)
        self.sales = SlotSales(leased=False, free_percent=20)
        self.line = UplinkReading(cap=None, latency_us=None, base_us=None)
        self.ends = 0
        self.failed: list[BaseException] = []
        self.ending: BaseException | None = None
        """What shutting down raises."""
        self.start()

    def start(self) -> None:
        self.database = Database(self.folder / "box.db", check=False)
        settings = Settings(self.database)
        self.journal = EventJournal(self.database, self.clock)
        traffic = TrafficLog(self.database, self.clock)
        self.limits = LimitsKeeper(
            configured_limits(LimitsConfig(upload_rate=8 * 1024), Bytes(4 * GIB)),
            LimitsPorts(store=settings, apply=self.applied.append, review=lambda: self.governing.decide()),
        )
        self.drives, self.downloads = Drives(), Downloads()
        ports = GoverningPorts(
            sensors=Sensors(
                self.root, lambda words, seconds: self.ups if words[0] == "upsc" else None, ups="ups"
            ),
            clock=self.clock,
            store=settings,
            journal=self.journal,
            readings=ReadingLog(self.database, self.clock, traffic),
            throttles=DecisionLog(self.database, self.clock),
            traffic=traffic,
            meter=Meter(MeterPorts(clock=self.clock, traffic=traffic, store=settings)),
            limits=self.limits,
            volumes=self.drives.volumes,
            disks_read=self.drives.apply_disks,
            uplink=lambda: self.line,
            sales=lambda: self.sales,
            throttle_torrents=self.downloads.throttle,
            throttle_market=self.take_market,
            shut_down=self.ended,
            fail=self.failed.append,
        )
        self.governing = Governing(
            GovernorConfig(cheap_hours=()),
            EnergyConfig(ups="ups@localhost", price=Decimal("0.3")),
            ports,
            UTC,
        )

    def take_market(self, rate: int, says: str, new_work: bool) -> None:
        self.market = (rate, says, new_work)

    async def ended(self) -> str:
        self.ends += 1
        if self.ending:
            raise self.ending
        return ""

    def heat(self, degrees: int) -> None:
        for name in ("sys/class/thermal/thermal_zone0/temp", "sys/class/hwmon/hwmon0/temp1_input"):
            (self.root / name).write_text(f"{degrees * 1_000}\n")

    async def goes_on(self, seconds: int) -> None:
        for _ in range(0, seconds, 5):
            self.clock.seconds += 5
            await self.governing.refresh()
            while self.governing.reading:
                await asyncio.sleep(0)

    def rules(self) -> set[str]:
        assert self.governing.decision
        return {one.rule.value for one in self.governing.decision.throttles}

    async def events(self) -> list[str]:
        return [event.text for event in await self.journal.last(0, 50)]


@pytest.fixture
def attic(tmp_path: Path) -> Iterator[Attic]:
    made = Attic(tmp_path)
    yield made
    made.database.close()


def test_a_hot_board_sends_less_says_why_and_sends_as_before_when_it_is_cool(attic: Attic) -> None:
    async def afternoon() -> None:
        attic.heat(55)
        await attic.goes_on(60)
        assert attic.rules() == set()
        assert not attic.applied
        attic.heat(78)
        await attic.goes_on(240)
        assert attic.rules() == {"heat"}
        assert 0 < attic.limits.current.upload_rate < 8 * MIB
        assert any("The processor has reached" in text for text in await attic.events())
        attic.heat(60)
        await attic.goes_on(3_600)
        assert attic.rules() == set()
        assert attic.limits.current == attic.limits.wanted
        past = await attic.governing.history("day")
        assert max(degrees for degrees in past.temperature if degrees is not None) == 78_000
        (decided, *_) = await attic.governing.throttles_since(NOON)
        assert decided.rule == "heat"
        assert decided.until > decided.at

    asyncio.run(afternoon())


def test_what_the_owner_sets_meanwhile_is_throttled_at_once(attic: Attic) -> None:
    async def afternoon() -> None:
        attic.heat(78)
        await attic.goes_on(240)
        throttled = attic.limits.current.upload_rate
        await attic.limits.change(LimitsChange(upload_rate=BytesPerSecond(4 * MIB)))
        assert attic.limits.current.upload_rate <= throttled
        assert all(limits.upload_rate < 8 * MIB for limits in attic.applied)

    asyncio.run(afternoon())


def test_an_override_ends_by_itself_and_outlives_a_restart(attic: Attic) -> None:
    async def afternoon() -> None:
        attic.heat(77)
        await attic.goes_on(240)
        await attic.governing.override(60)
        assert attic.limits.current == attic.limits.wanted
        until = attic.governing.override_until
        attic.database.close()
        attic.start()
        await attic.goes_on(60)
        assert attic.governing.override_until == until
        assert attic.limits.current == attic.limits.wanted
        await attic.goes_on(3_600)
        assert attic.governing.override_until == 0
        assert attic.limits.current.upload_rate < 8 * MIB

    asyncio.run(afternoon())


def test_on_battery_downloads_wait_with_the_reason_and_an_empty_one_ends_the_box_once(attic: Attic) -> None:
    async def night() -> None:
        await attic.goes_on(30)
        attic.ups = UPS.format("OB DISCHRG", 80)
        await attic.goes_on(30)
        assert "ups" in attic.rules()
        assert not attic.limits.current.writing
        assert "battery" in attic.downloads.says
        assert attic.ends == 0
        attic.ups = UPS.format("OB LB", 5)
        await attic.goes_on(60)
        assert attic.ends == 1
        attic.ups = UPS.format("OL CHRG", 30)
        await attic.goes_on(1_800)
        assert attic.downloads.says == ""
        assert attic.limits.current == attic.limits.wanted

    asyncio.run(night())


def test_a_ups_that_is_lost_on_battery_ends_the_box_and_one_that_is_silent_is_told(attic: Attic) -> None:
    async def night() -> None:
        await attic.goes_on(30)
        assert attic.governing.readings.ups_silent_s == 5
        attic.ups = ""
        await attic.goes_on(600)
        assert attic.ends == 0, "it was on mains"
        assert (attic.governing.readings.ups_silent_s or 0) >= 600
        assert attic.governing.readings.plug_silent_s is None, "there is none"
        attic.ups = UPS.format("OB DISCHRG", 80)
        await attic.goes_on(30)
        attic.ups = ""
        await attic.goes_on(120)
        assert attic.ends == 0
        await attic.goes_on(120)
        assert attic.ends == 1

    asyncio.run(night())


def test_a_shutdown_that_fails_is_told_and_tried_again_and_one_that_dies_ends_the_process(
    attic: Attic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governing, "AGAIN_S", 0.0)

    async def night() -> None:
        attic.ups = UPS.format("OB LB", 5)
        attic.ending = RetryLater("systemd does not answer.")
        await attic.goes_on(20)
        tried = attic.ends
        assert tried > 1
        assert any("could not shut down: systemd does not answer." in text for text in await attic.events())
        assert attic.failed == []
        attic.ending = OSError("no systemd")
        await attic.goes_on(20)
        assert [str(error) for error in attic.failed] == ["no systemd"]
        await attic.governing.stop()

    asyncio.run(night())


def test_what_an_older_version_remembers_is_still_known(attic: Attic) -> None:
    async def night() -> None:
        attic.heat(77)
        attic.drives.free = GIB
        await attic.goes_on(240)
        await attic.governing.override(60)
        until, settings = attic.governing.override_until, Settings(attic.database)
        kept = msgspec.msgpack.decode(settings.get("governor") or b"")
        state = kept["state"]
        state["told"], state["courtesy"] = state.pop("in_force"), state.pop("uplink_notice")
        state["room"] = {"full": state["room"]["full"], "held": state["room"]["hysteresis"]}
        await settings.put("governor", msgspec.msgpack.encode(kept))
        await attic.journal.flush()
        before = await attic.events()
        attic.database.close()
        attic.start()
        attic.drives.free = GIB
        await attic.goes_on(60)
        assert attic.governing.override_until == until
        assert "room" in attic.rules()
        assert await attic.events() == before, "nothing is told twice"

    asyncio.run(night())


def test_who_pays_is_told_only_when_the_free_share_is_not_enough(attic: Attic) -> None:
    async def afternoon() -> None:
        attic.sales = SlotSales(leased=True, free_percent=50)
        attic.line = UplinkReading(cap=BytesPerSecond(6 * MIB), latency_us=40_000, base_us=10_000)
        await attic.goes_on(60)
        assert attic.market == (6 * MIB, "", True)
        attic.line = UplinkReading(cap=BytesPerSecond(MIB), latency_us=40_000, base_us=10_000)
        await attic.goes_on(60)
        rate, says, _ = attic.market
        assert rate == MIB
        assert "others are using its connection" in says

    asyncio.run(afternoon())


def test_a_disk_that_is_nearly_full_takes_no_more(attic: Attic) -> None:
    async def day() -> None:
        await attic.goes_on(30)
        attic.drives.free = GIB
        await attic.goes_on(60)
        assert "room" in attic.rules()
        assert not attic.limits.current.writing
        assert attic.downloads.says

    asyncio.run(day())
