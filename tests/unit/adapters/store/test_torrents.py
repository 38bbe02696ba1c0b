"""The store: whole or not there, whatever happens to the file underneath."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.adapters.store.auction import BUCKET_MS, RoundLog
from appliance.adapters.store.database import Damaged, Database
from appliance.adapters.store.files import set_aside
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.store.settings import Settings
from appliance.adapters.store.torrents import TorrentStore
from appliance.adapters.store.traffic import TrafficLog
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.files import write_durably
from appliance.core.units import MicroBtt, MicroBttPerMib
from appliance.domain.auction.effects import Decided
from appliance.domain.catalogue.model import Goal, GoalKind, Priority
from appliance.domain.catalogue.record import Record
from tests.support.clock import FakeClock

MINUTE = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "box.db", check=False)
    yield opened
    opened.close()


def record(number: int = 1, **fields: object) -> Record:
    id = f"{number:040x}"
    return Record(**({"id": id, "name": f"n{number}", "v1": id, "v2": "", "folder": "/c"} | fields))  # type: ignore[arg-type]


def test_a_torrent_comes_back_as_it_was_kept(database: Database, tmp_path: Path) -> None:
    store = TorrentStore(database, tmp_path / "torrents")
    kept = record(goal=Goal(GoalKind.RATIO, 150), priority=Priority.HIGH, label="ü", paused=True)
    asyncio.run(store.add(kept, b"resume"))
    asyncio.run(store.put_totals({kept.id: (5, 6, 7)}))
    found = store.load()[kept.id]
    assert (found.uploaded, found.downloaded, found.seeding_s) == (5, 6, 7)
    kept.uploaded, kept.downloaded, kept.seeding_s = 5, 6, 7
    assert found == kept
    assert store.resumes([kept.id, "none"]) == {kept.id: (b"resume", True), "none": (b"", False)}


def test_a_forgotten_torrent_leaves_nothing(database: Database, tmp_path: Path) -> None:
    store = TorrentStore(database, tmp_path / "torrents")
    asyncio.run(store.add(record(), b"resume"))
    asyncio.run(store.put_totals({record().id: (1, 1, 1)}))
    asyncio.run(store.forget(record().id))
    assert not store.load()
    assert not list((tmp_path / "torrents").iterdir())
    left = database.run_now(lambda db: db.execute("SELECT count(*) FROM resume, total").fetchone())
    assert left == (0,)


def test_a_lost_row_is_brought_back_by_its_rebuild_file_and_its_data_checked(
    database: Database, tmp_path: Path
) -> None:
    store = TorrentStore(database, tmp_path / "torrents")
    asyncio.run(store.add(record(label="films"), b"resume"))
    database.run_now(lambda db: db.execute("DELETE FROM torrent"))
    assert store.load()[record().id].label == "films"
    assert store.resumes([record().id]) == {record().id: (b"resume", False)}
    assert any("n1" in report for report in store.reports)


@pytest.mark.parametrize("damage", [b"", b"\0" * 50, b"\x93", b"not msgpack"])
def test_a_damaged_rebuild_file_is_set_aside_and_the_others_come_back(
    database: Database, tmp_path: Path, damage: bytes
) -> None:
    store = TorrentStore(database, tmp_path / "torrents")
    for number in (1, 2):
        asyncio.run(store.add(record(number), b"resume"))
    database.run_now(lambda db: db.execute("DELETE FROM torrent"))
    bad = tmp_path / "torrents" / f"{record(1).id}.torrentstate"
    bad.write_bytes(damage)
    assert list(store.load()) == [record(2).id]
    assert not bad.exists()
    assert next((tmp_path / "torrents").glob("*.damaged-*")).read_bytes() == damage
    assert any("was damaged" in report for report in store.reports)


def test_resume_data_whose_sum_is_wrong_is_not_trusted(database: Database, tmp_path: Path) -> None:
    store = TorrentStore(database, tmp_path / "torrents")
    asyncio.run(store.add(record(), b"as it came"))
    asyncio.run(store.put_resume({record().id: b"later"}, {str(tmp_path)}))
    database.run_now(lambda db: db.execute("UPDATE resume SET data = CAST('lateR' AS BLOB)"))
    assert store.resumes([record().id]) == {record().id: (b"as it came", False)}


def test_resume_data_is_not_kept_when_its_content_cannot_be_written_out(
    database: Database, tmp_path: Path
) -> None:
    store = TorrentStore(database, tmp_path / "torrents")
    asyncio.run(store.add(record(), b"old"))
    with pytest.raises(RetryLater, match="could not be written out"):
        asyncio.run(store.put_resume({record().id: b"new"}, {"/nowhere"}))
    assert asyncio.run(store.resume_of(record().id)) == b"old"


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("overwritten", lambda raw: b"\xaa" * len(raw)),
        ("cut", lambda raw: raw[: len(raw) // 2]),
        ("header", lambda raw: b"x" * 100 + raw[100:]),
        ("pages", lambda raw: raw[:4096] + bytes(reversed(raw[4096:]))),
    ],
)
def test_a_damaged_file_is_told_as_such(tmp_path: Path, name: str, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / name
    database = Database(path, check=False)
    database.run_now(
        lambda db: db.executemany(
            "INSERT INTO setting VALUES (?, ?)", [(str(n), b"x" * 999) for n in range(99)]
        )
    )
    database.close()
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(Damaged):
        Database(path, check=True)


def test_a_database_of_a_newer_box_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "box.db"
    Database(path, check=False).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 999")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(OwnerMustAct, match="newer version"):
        Database(path, check=True)
    assert path.read_bytes() == before


def test_a_failed_transaction_leaves_nothing_behind(database: Database) -> None:
    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO setting VALUES ('a', x'01')")
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        asyncio.run(database.run(work))
    assert Settings(database).get("a") is None


def test_what_was_kept_durably_is_there_when_the_file_is_copied_at_that_moment(
    database: Database, tmp_path: Path
) -> None:
    asyncio.run(Settings(database).put("a", b"1"))
    for suffix in ("", "-wal"):
        (tmp_path / f"copy.db{suffix}").write_bytes((tmp_path / f"box.db{suffix}").read_bytes())
    copy = Database(tmp_path / "copy.db", check=True)
    assert Settings(copy).get("a") == b"1"
    copy.close()


def test_only_the_box_reads_its_database(database: Database, tmp_path: Path) -> None:
    assert (tmp_path / "box.db").stat().st_mode & 0o077 == 0


def test_two_things_set_aside_in_one_second_keep_both(tmp_path: Path) -> None:
    kept = []
    for content in ("one", "two", "three"):
        (tmp_path / "x.db").write_text(content)
        (tmp_path / "x.db-wal").write_text(f"{content} wal")
        kept.append(set_aside(tmp_path / "x.db"))
    assert [path.read_text() for path in kept] == ["one", "two", "three"]
    assert kept[2].with_name(kept[2].name + "-wal").read_text() == "three wal"


def test_a_file_that_cannot_be_written_keeps_its_old_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_durably(path, b"old", 0o640)
    assert path.stat().st_mode & 0o777 == 0o640
    (tmp_path / ".x.new").mkdir()
    with pytest.raises(OSError):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"


def test_events_are_read_newest_first_whether_written_or_not(database: Database) -> None:
    journal = EventJournal(database, FakeClock())
    for number in range(3):
        journal.info(f"written {number}")
    asyncio.run(journal.flush())
    journal.error("fresh")
    assert [event.text for event in asyncio.run(journal.last(0, 3))] == ["fresh", "written 2", "written 1"]
    older = asyncio.run(journal.last(asyncio.run(journal.last(0, 2))[-1].id, 9))
    assert [event.text for event in older] == ["written 1", "written 0"]


def test_a_name_that_is_not_utf_8_keeps_no_event_from_the_disk(database: Database) -> None:
    journal = EventJournal(database, FakeClock())
    journal.error("bad \udcff name")
    asyncio.run(journal.flush())
    again = EventJournal(database, FakeClock())
    assert [event.text for event in asyncio.run(again.last(0, 5))] == ["bad \ufffd name"]


def test_events_are_numbered_on_over_a_restart(database: Database) -> None:
    first = EventJournal(database, FakeClock())
    first.info("before")
    asyncio.run(first.flush())
    second = EventJournal(database, FakeClock())
    second.info("after")
    assert [event.id for event in asyncio.run(second.last(0, 5))] == [2, 1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 90), st.booleans())))
def test_traffic_of_the_last_hours_adds_up_however_it_is_written(
    tmp_path: Path, steps: list[tuple[int, int, int, bool]]
) -> None:
    database = Database(tmp_path / "traffic.db", check=False)
    database.run_now(lambda db: db.execute("DELETE FROM traffic"))
    clock = FakeClock()
    log = TrafficLog(database, clock)
    for up, down, seconds, flush in steps:
        log.add(up, down)
        clock.advance(seconds)
        if flush:
            asyncio.run(log.flush())
    _, sent, received = asyncio.run(log.buckets(144 * 20, 10))
    database.close()
    assert (sum(sent), sum(received)) == (sum(step[0] for step in steps), sum(step[1] for step in steps))


def test_a_clock_that_jumps_ahead_and_back_does_not_wipe_the_month(database: Database) -> None:
    clock = FakeClock()
    log = TrafficLog(database, clock)
    for _ in range(5):
        log.add(1_000, 0)
        clock.advance(MINUTE)
    asyncio.run(log.flush())
    clock.jump(20 * 365 * 86_400)
    log.add(7, 0)
    clock.advance(MINUTE)
    asyncio.run(log.flush())
    clock.jump(-20 * 365 * 86_400)
    _, sent, _ = asyncio.run(log.buckets(60, 1))
    assert sum(sent) == 5_000


def test_rounds_that_cannot_be_written_are_kept_and_counted_once(database: Database) -> None:
    clock = FakeClock()
    log = RoundLog(database, clock)

    def happens(price: int) -> None:
        log.decided(Decided(sold=2, waiting=1, price=MicroBttPerMib(price)))
        log.sent("a", 100)
        log.earned(MicroBtt(5))

    happens(30)
    asyncio.run(log.flush())
    happens(40)
    database.run_now(lambda db: db.execute("ALTER TABLE rounds RENAME TO away"))
    with pytest.raises(RetryLater):
        asyncio.run(log.flush())
    database.run_now(lambda db: db.execute("ALTER TABLE away RENAME TO rounds"))
    clock.advance(BUCKET_MS / 1_000)
    happens(0)

    def look() -> list[tuple[int, ...]]:
        buckets = asyncio.run(log.buckets(2, 1))
        return [(one.rounds, one.sold, one.waiting, one.price, one.sent, one.earned) for one in buckets]

    expected = [(2, 4, 2, 40, 200, 10), (1, 2, 1, 0, 100, 5)]
    for _ in range(2):
        assert look() == expected, "whether it is written or not"
        assert asyncio.run(log.delivered()) == {"a": 300}
        asyncio.run(log.flush())
