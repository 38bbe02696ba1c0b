"""The catalogue over several drives: each comes and goes for itself, and new downloads find the right one."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from appliance.domain.catalogue.catalogue import AddOptions
from appliance.domain.catalogue.duties import LOOK_EVERY_S
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.catalogue.ports import TroubleKind
from appliance.domain.volumes.faults import Condition
from appliance.domain.volumes.volume import Volume
from tests.support.clock import FakeClock
from tests.support.fakes import SIZE, FakeDisk, MemoryStore, parsed
from tests.support.virtual import play
from tests.unit.domain.catalogue.test_catalogue import House, state_of

ONE, TWO = "/one", "/two"
AWAY = Volume(path=TWO, condition=Condition.AWAY)
GONE = AWAY.away
READ_ONLY = Volume(path=TWO, read_only=True)
FROZEN = READ_ONLY.frozen


class Disks(FakeDisk):
    """Two drives with room of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.left = {ONE: 100 * SIZE, TWO: 50 * SIZE}

    def free(self, folder: Path) -> int | None:
        """By the drive."""
        return next((free for path, free in self.left.items() if str(folder).startswith(path)), None)


def told(story: Callable[[House, Disks], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a story in virtual time."""

    def test() -> None:
        clock, disks = FakeClock(), Disks()

        async def run() -> None:
            house = House(clock, disks, MemoryStore(), (ONE, TWO))
            house.working = asyncio.create_task(house.catalogue.work(lambda: None))
            await house.wait()
            await story(house, disks)
            assert not house.working.done(), house.working.exception()

        play(clock, run())

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


def away(house: House) -> None:
    house.catalogue.volume_is(AWAY)


def back(house: House) -> None:
    house.catalogue.volume_is(Volume(path=TWO))


@told
async def test_a_new_download_goes_to_the_most_room_less_what_is_promised_there(
    house: House, disks: Disks
) -> None:
    disks.left = {ONE: 3 * SIZE, TWO: 3 * SIZE - 1}
    folders = [(await house.add(parsed(number))).record.folder for number in (1, 2, 3, 4)]
    assert folders == [ONE, TWO, ONE, TWO]


@told
async def test_data_that_lies_on_a_drive_already_is_taken_up_there_however_full_it_is(
    house: House, disks: Disks
) -> None:
    disks.left[TWO] = 0
    disks.put(f"{TWO}/film1")
    torrent = await house.add()
    assert (torrent.record.folder, torrent.state) == (TWO, TorrentState.SEEDING)


@told
async def test_the_same_files_are_seeded_from_the_copy_that_is_there(house: House, disks: Disks) -> None:
    disks.put(f"{TWO}/film1")
    await house.add()
    twin = await house.add(parsed(2, name="film1", layout="L1"))
    assert (twin.record.folder, twin.state) == (TWO, TorrentState.SEEDING)
    assert twin.record.twin


@told
async def test_only_the_torrents_of_the_drive_that_went_lack_their_data(house: House, disks: Disks) -> None:
    disks.put(f"{ONE}/film1")
    disks.put(f"{TWO}/film2")
    stays, goes = await house.add(parsed(1)), await house.add(parsed(2))
    away(house)
    await house.wait()
    assert (goes.state, goes.reason) == (TorrentState.MISSING_DATA, GONE)
    assert stays.state is TorrentState.SEEDING
    assert list(house.engine.torrents) == [stays.record.id]
    assert house.journal.events[-1] == ("error", GONE)
    back(house)
    await house.wait()
    assert goes.state is TorrentState.SEEDING
    assert [kind for kind, text in house.journal.events if "/two" in text] == ["error", "info"]


@told
async def test_nothing_is_vouched_for_that_a_drive_took_along(house: House, disks: Disks) -> None:
    disks.left[ONE] = 0
    torrent = await house.add()
    id = torrent.record.id
    assert torrent.record.folder == TWO
    house.engine.save(id)
    house.engine.deliver()
    house.store.kept_resumes[id] = b"film1"
    away(house)
    await house.wait()
    assert house.store.kept_resumes[id] == b"film1"


@told
async def test_a_drive_that_is_away_for_a_new_reason_says_the_new_one(house: House, disks: Disks) -> None:
    disks.put(f"{TWO}/film1")
    torrent = await house.add()
    away(house)
    house.catalogue.volume_is(Volume(path=TWO, condition=Condition.ANOTHER))
    assert torrent.reason.startswith("Another drive is connected in place of the one with /two.")
    assert torrent.state is TorrentState.MISSING_DATA


@told
async def test_a_new_download_waits_where_none_has_room_and_goes_on_by_itself(
    house: House, disks: Disks
) -> None:
    disks.left = {ONE: SIZE - 1, TWO: SIZE - 2}
    torrent = await house.add()
    assert state_of(torrent) is TorrentState.THROTTLED
    assert torrent.reason.startswith("Every disk is too full")
    assert not house.engine.torrents
    after = await house.power_cut()
    torrent = after.catalogue.get(torrent.record.id)
    assert state_of(torrent) is TorrentState.THROTTLED, "it waits over a restart"
    disks.left[TWO] = SIZE
    await after.wait(LOOK_EVERY_S + 5)
    assert (torrent.record.folder, torrent.state) == (TWO, TorrentState.DOWNLOADING)
    assert after.store.records[torrent.record.id].folder == TWO


@told
async def test_what_waits_for_a_drive_is_placed_as_soon_as_one_is_back(house: House, disks: Disks) -> None:
    disks.left[ONE] = 0
    away(house)
    torrent = await house.add()
    assert state_of(torrent) is TorrentState.THROTTLED
    back(house)
    await house.wait(5)
    assert (torrent.record.folder, torrent.state) == (TWO, TorrentState.DOWNLOADING)


@told
async def test_what_waits_can_be_removed_with_its_data(house: House, disks: Disks) -> None:
    disks.left = {ONE: 0, TWO: 0}
    torrent = await house.add()
    assert await house.remove(torrent.record.id, with_data=True) == []
    assert len(house.catalogue) == 0


@told
async def test_a_link_is_placed_when_its_size_is_known(house: House, disks: Disks) -> None:
    disks.left = {ONE: SIZE - 1, TWO: SIZE - 2}
    link = parsed(1, size=0, files=0, pieces=0, layout="")
    link = type(link)(type(link.description)(name="", v1=link.description.v1, v2=""), b"")
    admitted = await house.catalogue.add(link, AddOptions())
    await house.wait()
    torrent = house.catalogue.get(admitted.id)
    assert torrent.state is TorrentState.ADDING
    disks.left[TWO] = 5 * SIZE
    house.engine.describe(torrent.record.id, parsed(1))
    await house.wait()
    assert (torrent.record.folder, torrent.state) == (TWO, TorrentState.DOWNLOADING)


@told
async def test_downloads_wait_while_their_drive_can_only_be_read_and_seeds_go_on(
    house: House, disks: Disks
) -> None:
    disks.put(f"{TWO}/film1")
    seed = await house.add(parsed(1))
    disks.left[ONE] = 0
    load = await house.add(parsed(2))
    house.engine.fail(load.record.id, TroubleKind.DENIED)
    await house.wait()
    assert load.state is TorrentState.FAILED
    house.catalogue.volume_is(READ_ONLY)
    await house.wait()
    assert (load.state, load.reason) == (TorrentState.THROTTLED, FROZEN)
    assert list(house.engine.torrents) == [seed.record.id]
    assert seed.state is TorrentState.SEEDING
    await house.catalogue.resume([load.record.id])
    await house.wait()
    assert state_of(load) is TorrentState.THROTTLED, "however often it is tried"
    back(house)
    await house.wait()
    assert state_of(load) is TorrentState.DOWNLOADING
    house.engine.fetch(load.record.id)
    await house.wait()
    assert state_of(load) is TorrentState.SEEDING


@told
async def test_a_frozen_drive_does_not_start_what_the_owner_has_paused(house: House, disks: Disks) -> None:
    disks.left[ONE] = 0
    load = await house.add()
    house.catalogue.volume_is(READ_ONLY)
    await house.catalogue.pause([load.record.id])
    back(house)
    await house.wait()
    assert load.state is TorrentState.PAUSED
    assert house.engine.torrents[load.record.id].paused


@told
async def test_what_came_just_before_a_drive_froze_is_not_believed_to_be_on_it(
    house: House, disks: Disks
) -> None:
    disks.left[ONE] = 0
    load = await house.add()
    house.store.full = True  # nothing is vouched for from here on
    house.engine.snapshot(load.record.id, downloaded=SIZE)
    house.engine.fetch(load.record.id)
    await house.wait(1)
    assert state_of(load) is TorrentState.SEEDING
    assert load.unsynced
    del disks.files[f"{TWO}/film1"]  # it was in memory only
    house.catalogue.volume_is(READ_ONLY)
    house.store.full = False
    await house.wait()
    assert state_of(load) is TorrentState.MISSING_DATA
    assert load.record.damaged


@told
async def test_a_start_over_a_frozen_drive_fetches_nothing_there(house: House, disks: Disks) -> None:
    disks.left[ONE] = 0
    load = await house.add()
    after = House(house.clock, disks, house.store, house.content)
    after.working = asyncio.create_task(after.catalogue.work(lambda: None))
    after.catalogue.volume_is(READ_ONLY)
    await after.catalogue.load(after.store.load().values(), after.store.resumes)
    await after.wait()
    load = after.catalogue.get(load.record.id)
    assert state_of(load) is TorrentState.THROTTLED
    assert not after.engine.torrents
    back(after)
    await after.wait()
    assert state_of(load) is TorrentState.DOWNLOADING


@told
async def test_an_error_of_a_torrent_has_its_drive_looked_at(house: House, disks: Disks) -> None:
    suspected: list[str] = []
    house.catalogue.on_suspicion(suspected.append)
    disks.put(f"{TWO}/film1")
    torrent = await house.add()
    house.engine.fail(torrent.record.id, TroubleKind.DISK_ERROR)
    await house.wait()
    assert suspected == [TWO]


@told
async def test_an_own_folder_on_a_second_drive_stays_there(house: House, disks: Disks) -> None:
    disks.left[ONE] = 0
    first = await house.add(parsed(1, name="film"))
    other = await house.add(parsed(2, name="film"))
    assert first.record.folder == TWO
    assert other.record.folder.startswith(f"{TWO}/")
    assert house.catalogue.on_volume(TWO) == [first, other]
    assert house.catalogue.on_volume(ONE) == []
