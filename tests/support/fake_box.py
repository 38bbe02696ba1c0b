"""A daemon written for tests: a real control socket, and behind it a box with a hot afternoon."""

import asyncio
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from appliance.control import auction
from appliance.control import machine as care
from appliance.control.box import (
    DiskAnswer,
    Events,
    GetHealth,
    GetStatus,
    GetTraffic,
    Health,
    Hello,
    ListEvents,
    SayHello,
    Status,
    Traffic,
)
from appliance.control.client import ControlClient
from appliance.control.command import API_VERSION, Command
from appliance.core.errors import NotFound
from appliance.core.units import GIB, MIB, BytesPerSecond, UtcMs
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.readings import (
    DiskReading,
    Firmware,
    Pressure,
    Readings,
    Supply,
)
from appliance.domain.volumes.volume import Volume
from tests.support.control import control_server

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BUCKETS = {"hour": (60, 60), "day": (288, 300), "month": (360, 7_200)}
"""Number and seconds of the buckets of each span."""


def local(day: int, hour: int, minute: int = 0) -> int:
    """UtcMs of a time in November 2026, by the clock of this machine."""
    return round(datetime(2026, 11, day, hour, minute).timestamp() * 1_000)


NOW = local(21, 17, 30)
WANTED = Limits(
    upload_rate=BytesPerSecond(5 * MIB),
    download_rate=BytesPerSecond(0),
    connections=400,
    upload_slots=24,
    active_downloads=3,
)
THROTTLED = replace(WANTED, upload_rate=BytesPerSecond(MIB), connections=200, checking=False)
HEAT = "The processor is at 76 °C; the box sends slower until it is below 70 °C. Give it air."
COURTESY = "Others in the house waited 48 ms longer for their answers, so the box sends slower."


def decided(rule: str, says: str, at: int, until: int = 0) -> care.PastThrottle:
    """One decision."""
    return care.PastThrottle(at=at, until=until, rule=rule, says=says)


DECISIONS = [
    decided("heat", HEAT, local(21, 17, 5)),
    decided("heat", HEAT.replace("76", "77"), local(21, 15), local(21, 15, 40)),
    decided(
        "io",
        "The disk cannot keep up: work stood still for 42 % of the time, so checks wait.",
        local(21, 13, 10),
        local(21, 13, 50),
    ),
    decided(
        "tariff",
        "Power is not cheap between 06:00 and 09:00, so a quarter of the upload is used.",
        local(21, 6),
        local(21, 9),
    ),
    *(
        decided("courtesy", COURTESY, local(20, 20, minute), local(20, 20, minute + 4))
        for minute in range(50, 0, -10)
    ),
]


class FakeBox:
    """Answers what the pages about the box's body ask; `readings` and the rest can be set by a test."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "control.sock"
        self.client = ControlClient(self.path)
        self.now = NOW
        self.readings = whole_readings()
        self.decisions = DECISIONS
        self.throttles = [care.ThrottleAnswer(rule="heat", says=HEAT, since=local(21, 17, 5))]
        self.override_until = 0
        self.overrides: list[int] = []
        """Minutes that were asked for."""
        self.blind = False
        """Nothing can be read."""
        self.unmeasured = {"memory"}
        """Readings that the history has not."""
        self.issues = some_issues()
        self.told = ["json://192.168.1.5: sent", "mailto://mail.example: refused the password"]
        self.notices = 0
        self.energy = care.EnergyAnswer(
            watts_mw=7_400,
            source="plug",
            cost_day=53,
            earned_day=128_500_000,
            worth_day=96,
            currency="EUR",
            sentence="Yes: it earned 0.096 EUR in the last day, and its power cost 0.053 EUR.",
        )
        self.volumes = some_volumes()
        self._loop = asyncio.new_event_loop()
        answers: dict[type[Command[Any]], Callable[[Any], Any]] = {
            SayHello: lambda _: Hello(api=API_VERSION, version="0", name="test", pid=1),
            GetStatus: lambda _: self.status(),
            GetHealth: lambda _: Health(findings=FINDINGS),
            GetTraffic: lambda asked: self.traffic(asked.span),
            ListEvents: lambda _: Events(events=[], more=False),
            auction.GetAuction: lambda _: auction.AuctionAnswer(on=False),
            auction.ListBids: lambda _: auction.Bids(on=False),
            care.GetReadings: lambda _: care.ReadingsAnswer(
                readings=self.readings, board="" if self.blind else "Raspberry Pi 4 Model B Rev 1.4"
            ),
            care.GetHistory: lambda asked: self.history(asked.span),
            care.GetGovernor: lambda _: self.governor(),
            care.SetOverride: self._override,
            care.GetEnergy: lambda _: self.energy,
            care.ListVolumes: lambda _: care.Volumes(volumes=self.volumes),
            care.ListIssues: lambda asked: care.Issues(
                issues=[one for one in self.issues if asked.mended or not one.mended]
            ),
            care.TryNotice: self._notice,
        }

        def handler(command: type[Command[Any]]) -> Any:
            async def handle(asked: Any) -> Any:
                if command not in answers:
                    raise NotFound("It is not here.")
                return answers[command](asked)

            return handle

        self._server = control_server(self.path, handler)

    # ----------------------------------------------------------------------------------------- answers

    def status(self) -> Status:
        """A box that seeds."""
        return Status(
            revision=1,
            sentence="Seeding 12 torrents, sending 1.00 MiB/s.",
            name="attic",
            version="0",
            now=self.now,
            uptime_s=864_000,
            up_rate=MIB,
            down_rate=0,
            uploaded=812 * GIB,
            downloaded=90 * GIB,
            peers=41,
            torrents={"seeding": 12},
            size=640 * GIB,
            disk=DiskAnswer(path="/srv/content", total=2_000 * GIB, free=420 * GIB),
            listen_port=6881,
            dht_nodes=300,
            limits=THROTTLED,
            health=Verdict.WARNING,
            problems=[
                Finding(one.check, one.severity, one.says, one.remedy)
                for one in self.issues
                if not one.mended
            ],
            jobs=[],
        )

    def traffic(self, span: str) -> Traffic:
        """As in the history."""
        told = self.history(span)
        return Traffic(start=told.start, step_s=told.step_s, up=told.up, down=[0] * len(told.up))

    def history(self, span: str) -> care.History:
        """Warm at noon, hot in the afternoon, off for half an hour in the morning."""
        count, step_s = BUCKETS[span]
        start = self.now - count * step_s * 1_000
        times = [start + index * step_s * 1_000 for index in range(count)]
        off = [local(21, 9, 30) <= at < local(21, 10, 15) for at in times]

        def read(form: Callable[[int], int]) -> list[int | None]:
            return [None if gone or self.blind else form(at) for at, gone in zip(times, off, strict=True)]

        limits = [self._limit(at) for at in times]
        up = [
            0 if gone or self.blind else min(limit, round(3 * MIB * (1 + _wave(at, 7) / 4)))
            for at, gone, limit in zip(times, off, limits, strict=True)
        ]
        held = [one for one in self.decisions if (one.until or self.now) > start and one.at < self.now]
        told = care.History(
            start=start,
            step_s=step_s,
            temperature=read(self._temperature),
            disk_temperature=read(lambda at: round(38_000 + 4_000 * _wave(at, 1))),
            io=read(lambda at: 420_000 if "io" in self._rules(at) else round(30_000 * (1 + _wave(at, 9)))),
            memory=read(lambda at: round(12_000 * (1 + _wave(at, 5)))),
            latency=read(
                lambda at: 58_000 if "courtesy" in self._rules(at) else round(11_000 + 2_000 * _wave(at, 11))
            ),
            watts=read(lambda at: round(6_800 + 900 * _wave(at, 7))),
            up=up,
            limit=[None if gone else limit for gone, limit in zip(off, limits, strict=True)],
            decisions=held,
        )
        gone: list[int | None] = [None] * count
        return msgspec.structs.replace(told, **dict.fromkeys(self.unmeasured, gone))

    def governor(self) -> care.GovernorAnswer:
        """Throttled, unless the owner does not want it."""
        throttles = [] if self.override_until else self.throttles
        return care.GovernorAnswer(
            throttles=throttles,
            limits=THROTTLED if throttles else WANTED,
            wanted=WANTED,
            override_until=self.override_until,
            kept=["heat", "under-voltage", "ups", "room", "cap"],
        )

    def _override(self, asked: care.SetOverride) -> care.GovernorAnswer:
        self.overrides.append(asked.minutes)
        self.override_until = self.now + asked.minutes * MINUTE if asked.minutes else 0
        return self.governor()

    def _notice(self, _: care.TryNotice) -> care.NoticesSent:
        self.notices += 1
        return care.NoticesSent(lines=self.told)

    def _rules(self, at: int) -> set[str]:
        return {one.rule for one in self.decisions if one.at <= at < (one.until or self.now + 1)}

    def _limit(self, at: int) -> int:
        rules = self._rules(at)
        if "heat" in rules:
            return MIB
        return 5 * MIB // 4 if rules & {"tariff", "courtesy"} else 5 * MIB

    def _temperature(self, at: int) -> int:
        noon = datetime.fromtimestamp(at / 1_000)
        warm = max(0.0, math.sin((noon.hour + noon.minute / 60 - 8) / 16 * math.pi))
        eased = 3_000 if "heat" in self._rules(at) else 0
        return round(55_000 + 20_000 * warm + 1_000 * _wave(at, 13)) - eased

    # ------------------------------------------------------------------------------------------ serving

    def __enter__(self) -> Self:
        started = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self._server.start())
            started.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.client.close()
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _wave(at: int, turns: int) -> float:
    """Between -1 and 1, `turns` times a day."""
    return math.sin(at / DAY * 2 * math.pi * turns)


FINDINGS = [
    Finding("clock", Verdict.OK, "The clock is right."),
    Finding("listen-port", Verdict.OK, "The box listens on port 6881."),
    Finding("swap", Verdict.UNKNOWN, "Nobody could say whether there is swap."),
]


def whole_readings() -> Readings:
    """Of a Raspberry Pi with a disk on USB, where all but the watts is known."""
    calm = Pressure(some10=31_000, some60=20_000, full10=0, full60=0)
    return Readings(
        at=UtcMs(NOW),
        temperature_mc=76_200,
        firmware=Firmware(
            under_voltage=False,
            frequency_capped=False,
            firmware_throttled=False,
            soft_temperature_limit=False,
            under_voltage_before=True,
            frequency_capped_before=True,
            firmware_throttled_before=False,
            soft_temperature_limit_before=False,
        ),
        cpu=calm,
        io=calm,
        memory=replace(calm, some10=0),
        load_milli=420,
        ram_total=4 * GIB,
        ram_available=3 * GIB,
        volumes=(
            Volume(
                path="/srv/content",
                uuid="2f1c",
                device="/dev/sda1",
                writable=True,
                total=2_000 * GIB,
                free=420 * GIB,
                inodes_free_percent=98,
            ),
        ),
        disks=(
            DiskReading(
                device="/dev/sda",
                model="Seagate Expansion 2 TB",
                healthy=True,
                temperature_mc=41_000,
                wear_percent=None,
                bad_sectors=2,
                hours=21_400,
            ),
            DiskReading(
                device="/dev/mmcblk0",
                model="SC32G",
                healthy=None,
                temperature_mc=None,
                wear_percent=20,
                bad_sectors=None,
                hours=None,
            ),
        ),
        supply=Supply.MAINS,
        battery_percent=100,
        link_up=True,
        link_mbit=1_000,
        latency_us=11_800,
        latency_base_us=9_400,
        month_up=212 * GIB,
        month_down=18 * GIB,
        up_rate=MIB,
    )


def some_issues() -> list[care.IssueAnswer]:
    """Two that are open, and one that is mended."""
    return [
        care.IssueAnswer(
            check="drive",
            severity=Verdict.ERROR,
            says="The drive of /mnt/archive is not connected; its 3 torrents wait for it.",
            remedy="Connect it again. Nothing has to be checked when it is back.",
            first=local(21, 11, 2),
            last=NOW - MINUTE,
            mended=0,
        ),
        care.IssueAnswer(
            check="power-supply",
            severity=Verdict.WARNING,
            says="The power supply was too weak at some time since the box was started.",
            remedy="Change the power supply for one of 3 A, or its cable for a shorter one.",
            first=local(19, 8),
            last=NOW - 2 * MINUTE,
            mended=0,
        ),
        care.IssueAnswer(
            check="free-space",
            severity=Verdict.WARNING,
            says="Less than 5 % of /srv/content was free.",
            remedy="Remove a torrent with its data.",
            first=local(12, 8),
            last=local(14, 9),
            mended=local(14, 9, 5),
        ),
    ]


def some_volumes() -> list[care.VolumeAnswer]:
    """One that is here, and one that is away."""
    return [
        care.VolumeAnswer(
            path="/srv/content",
            uuid="2f1c0a9e-4b1d-4c1a-9a56-5d1b3c0a7e11",
            device="/dev/sda1",
            present=True,
            read_only=False,
            total=2_000 * GIB,
            free=420 * GIB,
            torrents=12,
            main=True,
            says="It is here, and was written last a minute ago.",
        ),
        care.VolumeAnswer(
            path="/mnt/archive",
            uuid="77d0b6a2-90f7-4c7a-8e0b-0d5f4f1f2b3c",
            device="",
            present=False,
            read_only=False,
            total=None,
            free=None,
            torrents=3,
            main=False,
            says="It is not connected; nothing is written to the empty folder.",
        ),
    ]
