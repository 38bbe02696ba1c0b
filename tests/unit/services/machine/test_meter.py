"""Totals of payload never fall, and outlive restarts."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.adapters.store.database import Database
from appliance.adapters.store.settings import Settings
from appliance.adapters.store.traffic import TrafficLog
from appliance.services.machine.meter import Meter, MeterPorts
from tests.support.clock import FakeClock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "box.db", check=False)
    yield opened
    opened.close()


def meter(database: Database, clock: FakeClock) -> Meter:
    return Meter(MeterPorts(clock=clock, traffic=TrafficLog(database, clock), store=Settings(database)))


def test_totals_go_on_after_a_restart_though_the_session_counts_from_zero(database: Database) -> None:
    clock = FakeClock()
    first = meter(database, clock)
    clock.advance(2)
    first.read(1_000, 500)
    asyncio.run(first.flush())
    second = meter(database, clock)
    clock.advance(2)
    second.read(10, 5)
    assert (second.uploaded, second.downloaded) == (1_010, 505)


def test_a_rate_settles_at_what_flows_and_falls_to_zero(database: Database) -> None:
    clock = FakeClock()
    one = meter(database, clock)
    for step in range(1, 31):
        clock.advance(2)
        one.read(step * 200_000, 0)
    assert 95_000 < one.up_rate <= 100_000
    for _ in range(60):
        clock.advance(2)
        one.read(30 * 200_000, 0)
    assert (one.up_rate, one.down_rate) == (0, 0)


def test_a_reading_in_the_same_instant_or_after_a_clock_jump_counts_right(database: Database) -> None:
    clock = FakeClock()
    one = meter(database, clock)
    one.read(1_000, 0)
    clock.jump(-(10**9))
    clock.advance(2)
    one.read(2_000, 0)
    assert one.uploaded == 2_000


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x93\x01\x02\x03"])
def test_a_damaged_total_starts_anew(database: Database, garbage: bytes) -> None:
    asyncio.run(Settings(database).put("payload", garbage))
    assert meter(database, FakeClock()).uploaded == 0
