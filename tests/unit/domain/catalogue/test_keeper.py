"""What is to be written is written once, and nothing is lost while two writers meet or the disk is full."""

import asyncio

from appliance.core.errors import RetryLater
from appliance.domain.catalogue.keeper import WRITE_S, CatalogueKeeper
from appliance.domain.catalogue.record import Record
from appliance.domain.catalogue.torrent import Torrent
from tests.support.clock import FakeClock
from tests.support.fakes import MemoryStore
from tests.support.virtual import play


def kept() -> tuple[MemoryStore, Torrent]:
    """A store that knows the torrent `a`, and that torrent."""
    store, record = MemoryStore(), Record(id="a", name="n", v1="a", v2="", folder="/c")
    asyncio.run(store.add(record, b"as it came"))
    return store, Torrent(record, in_engine=True)


def test_two_flushes_at_once_do_every_effect_once_and_in_order() -> None:
    store = MemoryStore()

    async def play() -> None:
        keeper = CatalogueKeeper(store)
        for name in "abcde":
            keeper.later(lambda name=name: store.forget(name))  # type: ignore[misc]
        await asyncio.gather(*(keeper.flush({}, totals=False) for _ in range(3)))
        await keeper.flush({}, totals=False)

    asyncio.run(play())
    assert store.forgotten == list("abcde")


def test_a_flush_ends_only_when_what_was_changed_before_it_is_written() -> None:
    store, one = kept()

    async def play() -> None:
        keeper = CatalogueKeeper(store)
        one.record.label = "new"
        keeper.record("a")
        first = asyncio.create_task(keeper.flush({"a": one}, totals=False))
        await asyncio.sleep(0)
        # The flush of an owner's command, while the catalogue's own is still writing.
        await keeper.flush({"a": one}, totals=False)
        assert store.records["a"].label == "new"
        await first

    asyncio.run(play())


def test_what_cannot_be_written_is_written_when_there_is_room() -> None:
    store, one = kept()

    async def play() -> None:
        keeper = CatalogueKeeper(store)
        store.full = True
        keeper.later(lambda: store.forget("b"))
        one.record.label = "new"
        keeper.record("a")
        keeper.resume("a", b"old")
        keeper.total("a")
        await keeper.flush({"a": one}, totals=True)
        assert store.records["a"].label == ""
        assert not store.forgotten
        one.record.label = "newer"
        keeper.resume("a", b"new")
        store.full = False
        await keeper.flush({"a": one}, totals=True)

    asyncio.run(play())
    assert store.records["a"].label == "newer"
    assert store.kept_resumes == {"a": b"new"}
    assert store.totals == {"a": (0, 0, 0)}
    assert store.forgotten == ["b"]


def test_resume_data_that_came_during_a_failed_write_is_newer_than_the_kept() -> None:
    store, one = kept()

    async def play() -> None:
        keeper = CatalogueKeeper(store)
        store.full = True
        keeper.resume("a", b"old")
        writing = asyncio.create_task(keeper.flush({"a": one}, totals=False))
        await asyncio.sleep(0)
        keeper.resume("a", b"new")
        await writing
        store.full = False
        await keeper.flush({"a": one}, totals=False)

    asyncio.run(play())
    assert store.kept_resumes == {"a": b"new"}


def test_nothing_is_written_of_a_torrent_that_is_gone() -> None:
    store, one = kept()

    async def play() -> None:
        keeper = CatalogueKeeper(store)
        one.record.label = "new"
        keeper.record("a")
        keeper.resume("a", b"new")
        keeper.total("a")
        keeper.drop("a")
        await keeper.flush({"a": one}, totals=True)

    asyncio.run(play())
    assert store.records["a"].label == ""
    assert store.kept_resumes == {"a": b"as it came"}
    assert not store.totals


class _Drives(MemoryStore):
    """A store over drives of which one hangs and one fails when they are to be written out."""

    async def put_resume(self, resumes: dict[str, bytes], folders: set[str]) -> None:
        """As the slowest of the folders."""
        if "/hangs" in folders:
            await asyncio.Event().wait()
        if "/fails" in folders:
            raise RetryLater("/fails could not be written out.")
        await super().put_resume(resumes, folders)


def test_a_drive_that_hangs_or_fails_costs_the_torrents_of_others_no_progress() -> None:
    clock, store = FakeClock(), _Drives()
    torrents = {}
    for id, folder in (("a", "/well"), ("b", "/hangs"), ("c", "/fails")):
        record = Record(id=id, name=id, v1=id, v2="", folder=folder)
        torrents[id] = Torrent(record, in_engine=True, unsynced=True)
        asyncio.run(store.add(record, b"as it came"))

    async def run() -> None:
        keeper = CatalogueKeeper(store)
        for id in torrents:
            keeper.resume(id, b"new")
        await keeper.flush(torrents, totals=False)
        assert store.kept_resumes == {"a": b"new", "b": b"as it came", "c": b"as it came"}
        assert [torrent.unsynced for torrent in torrents.values()] == [False, True, True]
        for torrent in torrents.values():
            torrent.record.folder = "/well"
        await keeper.flush(torrents, totals=False)

    play(clock, run())
    assert set(store.kept_resumes.values()) == {b"new"}
    assert clock.mono() / 1e9 < 3 * WRITE_S, "the loop of the catalogue must not fall silent"


def test_nothing_is_vouched_for_that_has_left_with_its_drive() -> None:
    store, one = kept()
    one.in_engine = False

    async def run() -> None:
        keeper = CatalogueKeeper(store)
        keeper.resume("a", b"new")
        await keeper.flush({"a": one}, totals=False)
        one.in_engine = True
        await keeper.flush({"a": one}, totals=False)

    asyncio.run(run())
    assert store.kept_resumes == {"a": b"as it came"}
