"""The owner's commands about the machine, as they are typed; the daemon's answers are given here."""

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.control import machine
from appliance.control.box import Hello, SayHello, Verdict
from appliance.control.command import API_VERSION, Command
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.units import BytesPerSecond, UtcMs
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.readings import DiskReading, Firmware, Pressure, Readings, Supply
from tests.support.box import SEEDBOX
from tests.support.control import control_server

AT = 1_750_000_000_000
HOUR = 3_600_000


class Answering:
    """A control server that gives the answers it is set up with, and keeps what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[Any] = []
        self.answers: dict[type[Command[Any]], Any] = {
            SayHello: Hello(api=API_VERSION, version="0", name="attic", pid=1)
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = control_server(folder / "control.sock", self._handler)
        self._do(self._server.start())

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _handler(self, command: type[Command[Any]]) -> Any:
        async def handle(asked: Any) -> Any:
            self.asked.append(asked)
            answer = self.answers.get(command, NotFound("It is not here."))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return handle

    def typed(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*SEEDBOX, "--state", str(self.folder), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> None:
        self._do(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Answering]:
    running = Answering(tmp_path)
    yield running
    running.stop()


def issue(check: str, severity: Verdict, says: str, remedy: str = "", mended: int = 0) -> machine.IssueAnswer:
    return machine.IssueAnswer(
        check=check, severity=severity, says=says, remedy=remedy, first=AT, last=AT + HOUR, mended=mended
    )


def test_issues_are_listed_with_what_to_do_and_since_when(daemon: Answering) -> None:
    daemon.answers[machine.ListIssues] = machine.Issues(
        issues=[
            issue("drive:/srv/content", Verdict.ERROR, "The drive is gone.", "Connect it."),
            issue("memory", Verdict.WARNING, "Memory is short."),
        ]
    )
    done = daemon.typed("issues")
    assert done.returncode == 0, done.stderr
    assert "✖ error    The drive is gone." in done.stdout
    assert "-> Connect it." in done.stdout
    assert done.stdout.count("Since 2025-06-1") == 2
    assert done.stdout.index("drive is gone") < done.stdout.index("Memory is short")
    assert daemon.asked[-1] == machine.ListIssues(mended=False)


def test_resolved_issues_are_listed_on_demand(daemon: Answering) -> None:
    daemon.answers[machine.ListIssues] = machine.Issues(
        issues=[issue("memory", Verdict.WARNING, "Memory was short.", mended=AT + HOUR)]
    )
    done = daemon.typed("issues", "--all")
    assert "No issues." in done.stdout
    assert "Memory was short." in done.stdout
    assert "RESOLVED" in done.stdout
    assert daemon.asked[-1] == machine.ListIssues(mended=True)
    answer = json.loads(daemon.typed("issues", "--all", "--json").stdout)
    assert (answer["issues"][0]["check"], answer["issues"][0]["mended"]) == ("memory", AT + HOUR)


def test_readings_say_what_is_unknown(daemon: Answering) -> None:
    daemon.answers[machine.GetReadings] = machine.ReadingsAnswer(readings=Readings(at=UtcMs(AT)), board="")
    done = daemon.typed("readings")
    assert done.returncode == 0, done.stderr
    shown = dict(re.split("  +", line) for line in done.stdout.splitlines())
    for name in (
        "Board",
        "Processor",
        "Firmware",
        "Power supply",
        "Power use",
        "Load",
        "Memory",
        "Link",
        "Round trip",
    ):
        assert shown[name] == "unknown"
    for name in ("CPU", "Disk", "Memory"):
        assert shown[f"{name} pressure"] == "unknown"


def test_readings_are_shown_with_their_units(daemon: Answering) -> None:
    flags = dict.fromkeys(Firmware.__slots__, False)
    some = Pressure(some10=125_000, some60=0, full10=0, full60=0)
    daemon.answers[machine.GetReadings] = machine.ReadingsAnswer(
        board="Raspberry Pi 4",
        readings=Readings(
            at=UtcMs(AT),
            temperature_mc=71_250,
            firmware=Firmware(**(flags | {"under_voltage": True, "firmware_throttled_before": True})),
            io=some,
            load_milli=1_500,
            ram_total=2**30,
            ram_available=2**29,
            disks=(
                DiskReading(
                    device="/dev/sda",
                    model="WD Blue",
                    healthy=False,
                    temperature_mc=41_000,
                    wear_percent=7,
                    bad_sectors=3,
                    hours=9,
                    asleep=True,
                ),
            ),
            supply=Supply.BATTERY,
            battery_percent=80,
            battery_s=600,
            watts_mw=6_400,
            link_up=True,
            link_mbit=1_000,
            latency_us=23_400,
            latency_base_us=9_000,
            month_up=2**40,
        ),
    )
    text = daemon.typed("readings").stdout
    for part in (
        "71.2 °C",
        "under-voltage, throttling earlier (since start-up)",
        "Disk pressure    12 %",
        "1.50 per CPU core",
        "512 MiB of 1.00 GiB available",
        "battery, battery at 80 %, 10 min left",
        "6.4 W",
        "up, 1000 Mbit/s",
        "23.4 ms, 9.0 ms idle",
        "1.00 TiB up",
        "WD Blue, failing, 41.0 °C, 7 % worn, 3 bad sectors, asleep",
    ):
        assert part in text, text


def governed(*throttles: machine.ThrottleAnswer, until: int = 0) -> machine.GovernorAnswer:
    wanted = Limits(
        upload_rate=BytesPerSecond(0),
        download_rate=BytesPerSecond(0),
        connections=200,
        upload_slots=16,
        active_downloads=3,
    )
    now = Limits(
        upload_rate=BytesPerSecond(2**20),
        download_rate=BytesPerSecond(0),
        connections=100,
        upload_slots=8,
        active_downloads=3,
        writing=False,
    )
    return machine.GovernorAnswer(
        throttles=list(throttles),
        limits=now,
        wanted=wanted,
        override_until=until,
        kept=["under-voltage", "room"],
    )


def test_the_governor_says_why_and_what_it_has_changed(daemon: Answering) -> None:
    daemon.answers[machine.GetGovernor] = governed(
        machine.ThrottleAnswer(rule="heat", says="The processor is hot.", since=AT)
    )
    text = daemon.typed("governor", "show").stdout
    assert "The processor is hot. (since 2025-06-1" in text
    rows = {line[:18].strip(): line[18:].split() for line in text.splitlines() if line}
    assert rows["Upload limit"] == ["1.00", "MiB/s", "unlimited"]
    assert rows["Downloading"] == ["no", "yes"]
    assert rows["Connections"] == ["100", "200"]


@pytest.mark.parametrize(("word", "minutes"), [("2h", 120), ("90m", 90), ("1d", 1_440), ("off", 0)])
def test_an_override_is_set_for_a_duration_or_ended(daemon: Answering, word: str, minutes: int) -> None:
    daemon.answers[machine.SetOverride] = governed(until=AT if minutes else 0)
    done = daemon.typed("governor", "override", word)
    assert done.returncode == 0, done.stderr
    assert daemon.asked[-1] == machine.SetOverride(minutes=minutes)
    assert ("Still active: weak power supply, full disks." in done.stdout) == bool(minutes)


@pytest.mark.parametrize("word", ["", "2", "h", "-1h", "0h", "forever"])
def test_an_invalid_duration_is_refused_and_nothing_is_asked(daemon: Answering, word: str) -> None:
    done = daemon.typed("governor", "override", "--", word)
    assert done.returncode == 2
    assert "90m, 2h or 3d" in done.stderr
    assert not daemon.asked


def test_energy_begins_with_the_answer_to_the_question(daemon: Answering) -> None:
    daemon.answers[machine.GetEnergy] = machine.EnergyAnswer(
        watts_mw=5_200,
        source="plug",
        cost_day=37,
        earned_day=1_500_000,
        worth_day=1_204,
        currency="EUR",
        sentence="It earns more than its power costs.",
    )
    lines = daemon.typed("energy").stdout.splitlines()
    assert lines[0] == "It earns more than its power costs."
    assert "5.2 W (measured by the plug)" in lines[1]
    assert "0.037 EUR per day" in lines[2]
    assert "1.5 BTT (1.20 EUR) in the last 24 hours" in lines[3]


def test_energy_without_prices_says_which_key_to_set(daemon: Answering) -> None:
    daemon.answers[machine.GetEnergy] = machine.EnergyAnswer(
        watts_mw=None,
        source="unknown",
        cost_day=None,
        earned_day=0,
        worth_day=None,
        currency="EUR",
        sentence="Nobody knows.",
    )
    text = daemon.typed("energy").stdout
    assert "set energy.price" in text
    assert "set energy.btt_price" in text
    assert json.loads(daemon.typed("--json", "energy").stdout)["watts_mw"] is None


def test_drives_are_listed_with_their_room_and_how_they_are(daemon: Answering) -> None:
    usual: dict[str, Any] = {"uuid": "11-22", "read_only": False, "torrents": 4}
    daemon.answers[machine.ListVolumes] = machine.Volumes(
        volumes=[
            machine.VolumeAnswer(
                path="/srv/a",
                device="/dev/sda1",
                present=True,
                total=2**40,
                free=2**30,
                main=True,
                says="It is well.",
                **usual,
            ),
            machine.VolumeAnswer(
                path="/srv/b",
                device="",
                present=False,
                total=None,
                free=None,
                main=False,
                says="It is away.",
                **usual,
            ),
        ]
    )
    text = daemon.typed("drives").stdout
    assert (
        "/srv/a (main folder)\n  It is well.\n  /dev/sda1, 11-22; 1.00 GiB free of 1.00 TiB; 4 torrents"
        in text
    )
    assert "/srv/b\n  It is away.\n  no device, 11-22; free space unknown; 4 torrents" in text


def test_a_test_notification_reports_the_result_for_each_address(daemon: Answering) -> None:
    daemon.answers[machine.TryNotice] = machine.NoticesSent(lines=["mailto://example.com (line 1): sent"])
    assert daemon.typed("notify", "test").stdout == "mailto://example.com (line 1): sent\n"
    daemon.answers[machine.TryNotice] = OwnerMustAct("Nobody is told anything yet.")
    done = daemon.typed("notify", "test")
    assert done.returncode == 1
    assert "Nobody is told anything yet." in done.stderr


@pytest.mark.parametrize(
    "words",
    [("issues",), ("readings",), ("governor", "show"), ("energy",), ("drives",), ("notify", "test")],
)
def test_without_a_daemon_each_says_how_to_start_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [*SEEDBOX, "--state", str(tmp_path), *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert "Start it" in done.stderr
