"""What the box remembers of its own body: whole after a crash, kept while the disk is full, exact."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.adapters.store.database import Database
from appliance.adapters.store.issues import IssueStore
from appliance.adapters.store.machine import BUCKET_MS, KEEP_BUCKETS, DecisionLog, ReadingLog
from appliance.adapters.store.traffic import TrafficLog
from appliance.core.errors import RetryLater
from appliance.core.units import UtcMs
from appliance.domain.doctor.delivery import DeliveryState, LastNotice
from appliance.domain.doctor.issues import Issue, update
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.cap import month_of
from appliance.domain.governor.readings import DiskReading, Pressure, Readings
from tests.support.clock import FakeClock

NOW = UtcMs(1_750_000_000_000 - 1_750_000_000_000 % BUCKET_MS)
MINUTE = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "box.db", check=False)
    yield opened
    opened.close()


def fill(database: Database) -> None:
    """No page more fits into the database, as on a full disk."""
    database.run_now(lambda db: db.execute("CREATE TABLE IF NOT EXISTS ballast (x BLOB)"))
    pages = database.run_now(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    database.run_now(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    full = False
    for _ in range(50):
        try:
            database.run_now(lambda db: db.execute("INSERT INTO ballast VALUES (zeroblob(4000))"))
        except RetryLater:
            full = True
    assert full


def make_room(database: Database) -> None:
    database.run_now(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchone())


def commits(database: Database) -> int:
    """Rises with every transaction that wrote something."""
    return int(database.run_now(lambda db: db.total_changes))


def readings(**fields: object) -> Readings:
    return Readings(at=NOW, **fields)  # type: ignore[arg-type]


def disk(temperature_mc: int | None) -> DiskReading:
    return DiskReading(
        device="/dev/sda",
        model="",
        healthy=None,
        temperature_mc=temperature_mc,
        wear_percent=None,
        bad_sectors=None,
        hours=None,
    )


def pressure(some10: int) -> Pressure:
    return Pressure(some10=some10, some60=0, full10=0, full60=0)


# ---------------------------------------------------------------------------------------------- issues

ISSUE = Issue(
    id=3,
    check="drive:/mnt/ü",
    severity=Verdict.ERROR,
    says="It is gone.",
    remedy="Connect it.",
    first=UtcMs(5),
    last=UtcMs(6),
    lasted_s=60,
    error_s=50,
)
LINE = DeliveryState(
    last_notices={3: LastNotice(Verdict.WARNING), 2: LastNotice(over=True)},
    failures=2,
    wait_s=40,
    recent=3,
    hour_s=70,
)


def test_issues_and_what_was_told_come_back_as_they_were_kept(database: Database) -> None:
    mended = replace(ISSUE, id=2, mended=UtcMs(9), lost=True, well_s=80, unseen_s=4)
    store = IssueStore(database)
    asyncio.run(store.keep((mended, ISSUE), {"json://a.example": LINE}, durable=True))
    assert IssueStore(database).load() == ((mended, ISSUE), {"json://a.example": LINE})


def test_what_is_gone_leaves_nothing_behind(database: Database) -> None:
    store = IssueStore(database)
    asyncio.run(store.keep((ISSUE,), {"a": LINE, "b": LINE}, durable=True))
    asyncio.run(store.keep((), {"a": replace(LINE, last_notices={2: LastNotice(over=True)})}, durable=True))
    known, lines = IssueStore(database).load()
    assert not known
    assert lines == {"a": replace(LINE, last_notices={2: LastNotice(over=True)})}
    assert database.run_now(lambda db: db.execute("SELECT count(*) FROM told").fetchone()) == (1,)


def test_what_has_not_changed_is_not_written_again(database: Database) -> None:
    store = IssueStore(database)
    settled = replace(ISSUE, mended=UtcMs(9), well_s=10_000)
    asyncio.run(store.keep((settled,), {"a": LINE}, durable=True))
    before = commits(database)
    later = replace(settled, well_s=settled.well_s + 3_600)
    asyncio.run(store.keep((later,), {"a": LINE}, durable=True))
    assert commits(database) == before, "that it was mended an hour longer ago spares the card"
    older = replace(settled, well_s=settled.well_s + 7 * 3_600)
    asyncio.run(store.keep((older,), {"a": LINE}, durable=True))
    assert IssueStore(database).load()[0] == (older,)


def test_a_full_disk_keeps_the_old_issues_and_the_new_are_written_when_there_is_room(
    database: Database,
) -> None:
    store = IssueStore(database)
    asyncio.run(store.keep((ISSUE,), {"a": LINE}, durable=True))
    fill(database)
    many = update((ISSUE,), [Finding(f"c{n}", Verdict.ERROR, "x" * 400) for n in range(99)], NOW, 60).known
    with pytest.raises(RetryLater):
        asyncio.run(store.keep(many, {}, durable=True))
    assert IssueStore(database).load() == ((ISSUE,), {"a": LINE})
    make_room(database)
    asyncio.run(store.keep(many, {}, durable=True))
    assert IssueStore(database).load() == (many, {})


def test_what_was_told_is_there_when_the_file_is_copied_at_that_moment(
    database: Database, tmp_path: Path
) -> None:
    asyncio.run(IssueStore(database).keep((ISSUE,), {"a": LINE}, durable=True))
    for suffix in ("", "-wal"):
        (tmp_path / f"copy.db{suffix}").write_bytes((tmp_path / f"box.db{suffix}").read_bytes())
    copy = Database(tmp_path / "copy.db", check=True)
    assert IssueStore(copy).load() == ((ISSUE,), {"a": LINE})
    copy.close()


def test_two_writes_at_once_leave_the_later_state(database: Database) -> None:
    store = IssueStore(database)

    async def both() -> None:
        one = asyncio.create_task(store.keep((ISSUE,), {"a": LINE}, durable=True))
        await asyncio.sleep(0)
        await store.keep((replace(ISSUE, id=4),), {}, durable=False)
        await one

    asyncio.run(both())
    assert IssueStore(database).load() == ((replace(ISSUE, id=4),), {})


def test_a_box_of_the_version_before_gets_the_new_tables_and_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = Database(path, check=False)
    old.run_now(lambda db: db.execute("INSERT INTO setting VALUES ('a', x'01')"))
    drops = [f"DROP TABLE {table}" for table in ("issue", "owner_line", "told", "reading", "decision")]
    old.run_now(lambda db: [db.execute(drop) for drop in drops])
    old.run_now(lambda db: db.execute("PRAGMA user_version = 3"))
    old.close()
    new = Database(path, check=True)
    asyncio.run(IssueStore(new).keep((ISSUE,), {}, durable=True))
    assert new.run_now(lambda db: db.execute("SELECT value FROM setting").fetchone()) == (b"\x01",)
    new.close()


# -------------------------------------------------------------------------------------------- readings


def logs(database: Database) -> tuple[FakeClock, TrafficLog, ReadingLog]:
    clock = FakeClock(NOW)
    traffic = TrafficLog(database, clock)
    return clock, traffic, ReadingLog(database, clock, traffic)


def test_a_point_has_the_worst_of_five_minutes_and_the_mean_of_what_flows(database: Database) -> None:
    clock, traffic, log = logs(database)
    log.add(
        readings(temperature_mc=60_000, disks=(disk(40_000), disk(45_000)), io=pressure(5), latency_us=10),
        4_000,
        0,
    )
    log.add(
        readings(temperature_mc=70_000, disks=(disk(None),), memory=pressure(9), latency_us=30), None, 500
    )
    log.add(readings(io=pressure(3), temperature_mc=65_000), 5_000, 800)
    traffic.add(6_000, 0)
    clock.advance(100)
    past = asyncio.run(log.history("hour"))
    assert (len(past.temperature), past.step_s, past.start) == (12, 300, NOW - 11 * BUCKET_MS)
    assert (past.temperature[-1], past.disk_temperature[-1]) == (70_000, 45_000)
    assert (past.io[-1], past.memory[-1], past.latency[-1], past.watts[-1]) == (5, 9, 20, 4_500)
    assert past.limit[-1] == 500, "no limit is higher than any"
    assert past.up[-1] == 60, "the mean over the 100 s that have passed of the running point"


def test_what_was_never_read_is_unknown_and_not_nought(database: Database) -> None:
    clock, _, log = logs(database)
    log.add(readings(), None, 0)
    past = asyncio.run(log.history("day"))
    assert len(past.io) == 288
    for values in (past.temperature, past.disk_temperature, past.io, past.memory, past.latency, past.watts):
        assert set(values) == {None}
    assert past.limit[-2:] == [None, 0], "nothing was read before; no limit is in force now"
    clock.advance(MINUTE)
    asyncio.run(log.flush())
    assert asyncio.run(log.history("day")).limit[-2:] == [None, 0]


_READING = st.tuples(
    st.one_of(st.none(), st.integers(0, 90_000)),
    st.one_of(st.none(), st.integers(0, 10**6)),
    st.one_of(st.none(), st.integers(0, 10_000)),
    st.integers(0, 5),
    st.integers(0, 400),
    st.booleans(),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_READING, max_size=40))
def test_history_is_the_same_however_it_was_written(
    tmp_path: Path, steps: list[tuple[int | None, int | None, int | None, int, int, bool]]
) -> None:
    database = Database(tmp_path / "readings.db", check=False)
    database.run_now(lambda db: db.execute("DELETE FROM reading"))
    clock, _, log = logs(database)
    never = ReadingLog(database, clock, TrafficLog(database, clock))
    for temperature, io, latency, limit, seconds, flush in steps:
        one = readings(
            temperature_mc=temperature, io=pressure(io) if io is not None else None, latency_us=latency
        )
        log.add(one, latency, limit)
        never.add(one, latency, limit)
        clock.advance(seconds)
        if flush:
            asyncio.run(log.flush())
    told = asyncio.run(log.history("day"))
    database.run_now(lambda db: db.execute("DELETE FROM reading"))
    assert asyncio.run(never.history("day")) == told
    database.close()


def test_a_history_that_is_asked_for_while_it_is_written_misses_and_doubles_nothing(
    database: Database,
) -> None:
    clock, _, log = logs(database)

    async def together() -> None:
        for number in range(200):
            log.add(readings(latency_us=number), None, 0)
            writing = asyncio.create_task(log.flush())
            if number % 3 == 0:
                await asyncio.sleep(0)
            past = await log.history("hour")
            assert past.latency[-1] == number // 2, number
            await writing

    asyncio.run(together())
    assert clock.now() == NOW


def test_a_full_disk_loses_no_reading(database: Database) -> None:
    clock, _, log = logs(database)
    for hour in range(300):
        log.add(readings(temperature_mc=hour), None, 0)
        clock.advance(300)
    fill(database)
    with pytest.raises(RetryLater):
        asyncio.run(log.flush())
    log.add(readings(temperature_mc=77_000), None, 0)
    before = asyncio.run(log.history("day"))
    assert before.temperature[-1] == 77_000
    assert None not in before.temperature
    make_room(database)
    asyncio.run(log.flush())
    assert asyncio.run(log.history("day")) == before
    assert asyncio.run(ReadingLog(database, clock, TrafficLog(database, clock)).history("day")) == before


def test_five_minutes_of_readings_cost_one_row_and_one_commit(database: Database) -> None:
    clock, _, log = logs(database)
    for _ in range(60):
        log.add(readings(temperature_mc=50_000), 3_000, 0)
        clock.advance(4)
    before = commits(database)
    asyncio.run(log.flush())
    asyncio.run(log.flush())
    assert commits(database) == before + 1


def test_readings_are_kept_for_thirty_two_days_and_no_clock_wipes_them(database: Database) -> None:
    clock, _, log = logs(database)
    for _ in range(KEEP_BUCKETS + 50):
        log.add(readings(temperature_mc=1), None, 0)
        clock.advance(300)
    asyncio.run(log.flush())
    kept = database.run_now(lambda db: db.execute("SELECT count(*) FROM reading").fetchone())
    assert kept == (KEEP_BUCKETS,)
    clock.jump(20 * 365 * 86_400)
    log.add(readings(temperature_mc=2), None, 0)
    asyncio.run(log.flush())
    clock.jump(-20 * 365 * 86_400)
    past = asyncio.run(log.history("month"))
    assert set(past.temperature[:-1]) == {1}


def test_a_month_of_readings_is_read_in_little_time(database: Database) -> None:
    clock, _, log = logs(database)
    for _ in range(KEEP_BUCKETS):
        log.add(readings(temperature_mc=1, latency_us=5), 3_000, 7)
        clock.advance(300)
    asyncio.run(log.flush())
    begun = time.process_time()
    past = asyncio.run(log.history("month"))
    assert time.process_time() - begun < 2
    assert (len(past.latency), past.step_s) == (360, 7_200)


# ------------------------------------------------------------------------------------------- decisions


def test_a_decision_holds_until_its_rule_lets_go(database: Database) -> None:
    clock = FakeClock(NOW)
    log = DecisionLog(database, clock)
    log.hold([("heat", "It is warm."), ("cap", "The month is full.")])
    clock.advance(60)
    log.hold([("heat", "It is warm."), ("cap", "The month is full.")])
    asyncio.run(log.flush())
    clock.advance(60)
    log.hold([("heat", "It is hot.")])
    told = asyncio.run(log.since(NOW))
    assert [(one.rule, one.says, one.at - NOW, one.until and one.until - NOW) for one in told] == [
        ("heat", "It is hot.", 120_000, 0),
        ("cap", "The month is full.", 0, 120_000),
        ("heat", "It is warm.", 0, 120_000),
    ]
    asyncio.run(log.flush())
    assert asyncio.run(log.since(NOW)) == told
    assert [one.says for one in asyncio.run(log.since(UtcMs(NOW + 120_001)))] == ["It is hot."]


def test_what_a_crash_left_open_ends_with_the_last_reading(database: Database) -> None:
    clock, _, readings_log = logs(database)
    first = DecisionLog(database, clock)
    first.hold([("heat", "It is warm.")])
    clock.advance(3_600)
    readings_log.add(readings(temperature_mc=1), None, 0)
    asyncio.run(readings_log.flush())
    asyncio.run(first.flush())
    clock.advance(86_400)
    second = DecisionLog(database, clock)
    second.hold([("heat", "It is warm.")])
    new, old = asyncio.run(second.since(UtcMs(0)))
    assert (old.until, new.until) == (NOW + 3_600_000 + BUCKET_MS, 0)
    assert new.id > old.id


def test_a_full_disk_loses_no_decision(database: Database) -> None:
    clock = FakeClock(NOW)
    log = DecisionLog(database, clock)
    fill(database)
    for number in range(300):
        clock.advance(1)
        log.hold([("heat", f"It is {number} degrees. {'x' * 200}")])
    with pytest.raises(RetryLater):
        asyncio.run(log.flush())
    assert len(asyncio.run(log.since(NOW))) == 300
    make_room(database)
    asyncio.run(log.flush())
    assert len(asyncio.run(DecisionLog(database, clock).since(NOW))) == 300


def test_decisions_stay_in_order_when_the_clock_is_set_back(database: Database) -> None:
    clock = FakeClock(NOW)
    log = DecisionLog(database, clock)
    log.hold([("heat", "It is warm.")])
    clock.jump(-86_400)
    log.hold([])
    (one,) = asyncio.run(log.since(NOW))
    assert one.until == one.at


# ------------------------------------------------------------------------------------------- the month


def at(text: str) -> UtcMs:
    return UtcMs(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000))


async def month(traffic: TrafficLog, day: int, now: UtcMs) -> tuple[int, int]:
    """As the governor asks for it."""
    span = month_of(now, day, UTC)
    return await traffic.between(span.start, span.end)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 200_000), st.sampled_from("frn")
        ),
        max_size=30,
    )
)
def test_the_month_adds_up_exactly_over_writes_and_restarts(
    tmp_path: Path, steps: list[tuple[int, int, int, str]]
) -> None:
    database = Database(tmp_path / "month.db", check=False)
    database.run_now(lambda db: db.execute("DELETE FROM traffic"))
    clock = FakeClock(at("2026-03-20T12:00"))
    log = TrafficLog(database, clock)
    counted: list[tuple[int, int, int]] = []
    for up, down, seconds, then in steps:
        log.add(up, down)
        counted.append((clock.now(), up, down))
        if then == "f":
            asyncio.run(log.flush())
        if then == "r":
            asyncio.run(log.flush(all=True))
            log = TrafficLog(database, clock)
        begin = month_of(clock.now(), 21, UTC).start
        wanted = (
            sum(sent for at, sent, _ in counted if at >= begin),
            sum(received for at, _, received in counted if at >= begin),
        )
        assert asyncio.run(month(log, 21, clock.now())) == wanted
        assert asyncio.run(month(log, 21, clock.now())) == wanted, "asked again, from what was remembered"
        clock.advance(seconds)
    database.close()


def test_the_month_is_read_from_disk_only_after_a_write(database: Database) -> None:
    clock, traffic, _ = logs(database)
    asked: list[str] = []
    database.run_now(lambda db: db.set_trace_callback(lambda text: asked.append(text)))
    for _ in range(20):
        traffic.add(5, 1)
        clock.advance(1)
        assert asyncio.run(month(traffic, 1, clock.now()))
    assert sum("FROM traffic" in text for text in asked) == 1
    database.run_now(lambda db: db.set_trace_callback(None))


def test_a_killed_process_leaves_whole_readings(tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    program = f"""
import asyncio, os, signal
from pathlib import Path
from tests.support.clock import FakeClock
from appliance.domain.governor.readings import Readings
from appliance.adapters.store.machine import ReadingLog
from appliance.adapters.store.database import Database
from appliance.adapters.store.traffic import TrafficLog
from appliance.core.units import UtcMs
clock = FakeClock(UtcMs({NOW}))
database = Database(Path({str(path)!r}), check=False)
log = ReadingLog(database, clock, TrafficLog(database, clock))
for number in range(50):
    log.add(Readings(at=clock.now(), temperature_mc=number), None, 0)
    clock.advance(300)
    asyncio.run(log.flush())
log.add(Readings(at=clock.now(), temperature_mc=99), None, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == -9
    database = Database(path, check=True)
    clock = FakeClock(UtcMs(NOW + 49 * BUCKET_MS))
    past = asyncio.run(ReadingLog(database, clock, TrafficLog(database, clock)).history("day"))
    assert past.temperature[-50:] == list(range(50))
    database.close()
