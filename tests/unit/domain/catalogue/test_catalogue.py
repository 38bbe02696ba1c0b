"""The catalogue over an engine, a disk and a store in memory: what it does by itself, and in which time."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from appliance.core.errors import NotFound, OwnerMustAct
from appliance.domain.catalogue.catalogue import AddOptions, Catalogue
from appliance.domain.catalogue.description import Description, Parsed
from appliance.domain.catalogue.duties import LOOK_EVERY_S, PRESENCE_EVERY_S
from appliance.domain.catalogue.model import Goal, GoalKind, TorrentState
from appliance.domain.catalogue.ports import Described, TroubleKind
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.volumes.faults import Condition
from appliance.domain.volumes.volume import Volume
from tests.support.clock import FakeClock
from tests.support.fakes import FakeDisk, FakeEngine, ListJournal, MemoryStore, parsed
from tests.support.virtual import play

ROOT = "/content"
HERE = Volume(path=ROOT)
AWAY = Volume(path=ROOT, condition=Condition.AWAY)


def state_of(torrent: Torrent) -> TorrentState:
    """Its state now: the type checker believes that an attribute stays what it was last compared with."""
    return torrent.state


class House:
    """A catalogue at work, with all that is around it."""

    def __init__(
        self, clock: FakeClock, disk: FakeDisk, store: MemoryStore, content: tuple[str, ...] = (ROOT,)
    ) -> None:
        self.clock, self.disk, self.store = clock, disk, store
        self.journal = ListJournal()
        self.engine = FakeEngine(disk)
        self.content = content
        folders = [Path(folder) for folder in content]
        self.catalogue = Catalogue(self.engine, store, self.journal, disk, clock, folders, Goal())
        self.engine.start(self.catalogue.apply)

    async def wait(self, seconds: float = 3.0) -> None:
        """Let time go on; the engine is heard twice a second."""
        for _ in range(round(seconds * 2)):
            self.engine.deliver()
            await asyncio.sleep(0.5)
        self.engine.deliver()

    async def add(self, what: Parsed | None = None, **wish: Any) -> Torrent:
        """Add a torrent."""
        admitted = await self.catalogue.add(what or parsed(), AddOptions(**wish))
        await self.wait()
        return self.catalogue.get(admitted.id)

    async def seeding(self, what: Parsed | None = None, **wish: Any) -> Torrent:
        """A torrent whose data is there."""
        what = what or parsed()
        self.disk.put(f"{ROOT}/{what.description.name}")
        torrent = await self.add(what, **wish)
        assert torrent.state is TorrentState.SEEDING
        return torrent

    async def remove(self, *ids: str, with_data: bool = False) -> list[str]:
        """Remove torrents, and hear the engine meanwhile."""
        removing = asyncio.create_task(self.catalogue.remove(list(ids), with_data))
        await self.wait()
        return (await removing)[1]

    async def power_cut(self) -> "House":
        """The same disk and store after a start; all that was only in memory is lost."""
        house = House(self.clock, self.disk, self.store, self.content)
        house.working = asyncio.create_task(house.catalogue.work(lambda: None))
        await house.catalogue.load(house.store.load().values(), house.store.resumes)
        await house.wait()
        return house

    working: "asyncio.Task[None]"


Story = Callable[[House], Coroutine[Any, Any, None]]


def told(story: Story) -> Callable[[], None]:
    """Run a story in virtual time, on a catalogue that works beside it."""

    def test() -> None:
        clock = FakeClock()

        async def run() -> None:
            house = House(clock, FakeDisk(), MemoryStore())
            house.working = asyncio.create_task(house.catalogue.work(lambda: None))
            await house.wait()
            await story(house)
            assert not house.working.done(), house.working.exception()

        play(clock, run())

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


# ---------------------------------------------------------------------------------------------- the way in


@told
async def test_data_that_is_there_is_adopted_and_never_written(house: House) -> None:
    torrent = await house.seeding()
    assert not house.engine.torrents[torrent.record.id].writable
    assert ("info", '"film1" is complete: its data was already here.') in house.journal.events


@told
async def test_what_is_complete_is_not_fetched_again_when_it_is_lost(house: House) -> None:
    torrent = await house.add()
    assert state_of(torrent) is TorrentState.DOWNLOADING
    house.engine.fetch(torrent.record.id)
    await house.wait()
    assert state_of(torrent) is TorrentState.SEEDING
    house.disk.put(f"{ROOT}/film1", right=10)
    await house.catalogue.recheck([torrent.record.id])
    await house.wait()
    assert state_of(torrent) is TorrentState.MISSING_DATA
    house.engine.fetch(torrent.record.id)
    assert house.disk.files[f"{ROOT}/film1"] == 10


@told
async def test_a_torrent_is_kept_before_it_is_acknowledged(house: House) -> None:
    admitted = await house.catalogue.add(parsed(), AddOptions(label="films"))
    after = await house.power_cut()
    assert after.catalogue.get(admitted.id).record.label == "films"


@told
async def test_a_torrent_that_cannot_be_kept_is_not_acknowledged(house: House) -> None:
    house.store.full = True
    with pytest.raises(Exception, match="Make room"):
        await house.catalogue.add(parsed(), AddOptions())
    assert len(house.catalogue) == 0
    house.store.full = False
    assert await house.add()


@told
async def test_every_change_an_owner_makes_is_kept_before_it_is_acknowledged(house: House) -> None:
    torrent = await house.seeding()
    id = torrent.record.id
    for change, holds in (
        (house.catalogue.pause([id]), lambda record: record.paused),
        (house.catalogue.resume([id]), lambda record: not record.paused),
        (house.catalogue.configure(id, label="new"), lambda record: record.label == "new"),
        (house.catalogue.configure(id, upload_limit=5), lambda record: record.upload_limit == 5),
    ):
        # The catalogue is just writing something else.
        house.disk.writes += 1
        house.engine.snapshot(id, uploaded=house.disk.writes)
        house.engine.deliver()
        await change
        assert holds(house.store.records[id])


# --------------------------------------------------------------------------------------- lost and found


@told
async def test_lost_data_goes_on_by_itself_when_it_is_put_back(house: House) -> None:
    torrent = await house.seeding()
    del house.disk.files[f"{ROOT}/film1"]
    house.engine.fail(torrent.record.id, TroubleKind.MISSING)
    await house.wait()
    assert state_of(torrent) is TorrentState.MISSING_DATA
    house.disk.put(f"{ROOT}/film1")
    await house.wait(LOOK_EVERY_S + 5)
    assert state_of(torrent) is TorrentState.SEEDING


@told
async def test_who_was_told_of_a_loss_is_told_of_its_end(house: House) -> None:
    torrent = await house.seeding()
    del house.disk.files[f"{ROOT}/film1"]
    house.engine.fail(torrent.record.id, TroubleKind.MISSING)
    await house.wait()
    assert house.journal.events[-1][0] == "error"
    house.disk.put(f"{ROOT}/film1")
    await house.wait(LOOK_EVERY_S + 5)
    assert ("info", 'The data of "film1" is complete again.') in house.journal.events


@told
async def test_lost_data_is_noticed_before_a_peer_asks_for_it(house: House) -> None:
    torrent = await house.seeding()
    del house.disk.files[f"{ROOT}/film1"]
    await house.wait(PRESENCE_EVERY_S + 5)
    assert torrent.state is TorrentState.MISSING_DATA


@told
async def test_data_that_comes_back_in_parts_goes_on_when_all_of_it_is_there(house: House) -> None:
    torrent = await house.seeding()
    house.disk.files.pop(f"{ROOT}/film1")
    house.engine.fail(torrent.record.id, TroubleKind.MISSING)
    await house.wait()
    for right in (10, 500, 1_000):
        house.disk.put(f"{ROOT}/film1", right)
        await house.wait(LOOK_EVERY_S + 5)
    assert torrent.state is TorrentState.SEEDING


@told
async def test_data_found_damaged_is_still_known_as_such_after_a_power_cut(house: House) -> None:
    torrent = await house.seeding()
    await house.wait(60)
    house.disk.put(f"{ROOT}/film1", right=10)
    await house.catalogue.recheck([torrent.record.id])
    await house.wait(60)
    assert torrent.state is TorrentState.MISSING_DATA
    after = await house.power_cut()
    await after.wait(10)
    assert after.catalogue.get(torrent.record.id).state is TorrentState.MISSING_DATA


@told
async def test_lost_data_is_fetched_when_the_owner_says_so(house: House) -> None:
    torrent = await house.seeding()
    house.disk.put(f"{ROOT}/film1", right=10)
    await house.catalogue.recheck([torrent.record.id])
    await house.wait()
    await house.catalogue.resume([torrent.record.id])
    await house.wait()
    assert state_of(torrent) is TorrentState.DOWNLOADING
    house.engine.fetch(torrent.record.id)
    await house.wait()
    assert state_of(torrent) is TorrentState.SEEDING
    assert not house.engine.torrents[torrent.record.id].writable


@told
async def test_files_of_the_owners_own_are_never_fetched_even_when_asked(house: House) -> None:
    house.disk.put("/home/film1")
    what = parsed()
    admitted = await house.catalogue.share(
        Parsed(what.description, b"film1+"), AddOptions(), Path("/home/film1")
    )
    await house.wait()
    torrent = house.catalogue.get(admitted.id)
    assert state_of(torrent) is TorrentState.SEEDING
    house.disk.put("/home/film1", right=10)
    await house.catalogue.recheck([admitted.id])
    await house.wait()
    await house.catalogue.resume([admitted.id])
    await house.wait()
    house.engine.fetch(admitted.id)
    await house.wait()
    assert house.disk.files["/home/film1"] == 10
    assert state_of(torrent) is TorrentState.MISSING_DATA
    await house.remove(admitted.id, with_data=True)
    assert house.disk.files["/home/film1"] == 10


# ---------------------------------------------------------------------------------------------- disk full


@told
async def test_a_full_disk_eases_and_the_download_goes_on_when_there_is_room(house: House) -> None:
    torrent = await house.add()
    house.disk.free_bytes = 0
    house.engine.fail(torrent.record.id, TroubleKind.DISK_FULL)
    await house.wait(LOOK_EVERY_S * 3)
    assert state_of(torrent) is TorrentState.THROTTLED
    house.disk.free_bytes = 10**12
    await house.wait(LOOK_EVERY_S + 5)
    assert state_of(torrent) is TorrentState.DOWNLOADING
    house.engine.fetch(torrent.record.id)
    await house.wait()
    assert state_of(torrent) is TorrentState.SEEDING


@told
async def test_a_full_disk_that_empties_does_not_start_what_the_owner_has_paused(house: House) -> None:
    torrent = await house.add()
    house.disk.free_bytes = 0
    house.engine.fail(torrent.record.id, TroubleKind.DISK_FULL)
    await house.wait()
    await house.catalogue.pause([torrent.record.id])
    house.disk.free_bytes = 10**12
    await house.wait(LOOK_EVERY_S * 3)
    assert house.engine.torrents[torrent.record.id].paused


@told
async def test_no_progress_is_forgotten_while_the_disk_is_full(house: House) -> None:
    torrent = await house.add()
    house.store.full = True
    house.engine.fetch(torrent.record.id)
    await house.wait(120)
    house.store.full = False
    await house.wait(10)
    after = await house.power_cut()
    assert after.catalogue.get(torrent.record.id).record.completed
    assert after.store.kept_resumes[torrent.record.id] == b"film1+"


# ------------------------------------------------------------------------------------------ drive away


@told
async def test_a_drive_that_goes_and_comes_back_takes_its_torrents_along(house: House) -> None:
    torrent = await house.seeding()
    files = dict(house.disk.files)
    house.disk.files.clear()
    house.catalogue.volume_is(AWAY)
    await house.wait()
    assert state_of(torrent) is TorrentState.MISSING_DATA
    assert not house.engine.torrents, "nothing may write into the empty mount point"
    house.disk.files |= files
    house.catalogue.volume_is(HERE)
    await house.wait()
    assert state_of(torrent) is TorrentState.SEEDING


@told
async def test_a_drive_that_goes_and_is_back_at_once_loses_no_torrent(house: House) -> None:
    torrent = await house.seeding()
    house.catalogue.volume_is(AWAY)
    house.catalogue.volume_is(HERE)
    await house.wait()
    assert torrent.state is TorrentState.SEEDING
    assert torrent.in_engine


@told
async def test_what_is_paused_or_removed_while_the_drive_is_away_is_so_when_it_is_back(house: House) -> None:
    one, two, three = [await house.seeding(parsed(number)) for number in (1, 2, 3)]
    house.catalogue.volume_is(AWAY)
    await house.wait()
    await house.catalogue.pause([one.record.id])
    notes = await house.remove(two.record.id, with_data=True)
    assert "was not deleted" in notes[0]
    house.catalogue.volume_is(HERE)
    await house.wait()
    assert [torrent.record.id for torrent in house.catalogue.all()] == [one.record.id, three.record.id]
    assert one.state is TorrentState.PAUSED
    assert house.engine.torrents[one.record.id].paused
    assert three.state is TorrentState.SEEDING
    assert f"{ROOT}/film2" in house.disk.files


@told
async def test_a_start_without_the_drive_waits_for_it(house: House) -> None:
    torrent = await house.seeding()
    after = House(house.clock, house.disk, house.store)
    after.working = asyncio.create_task(after.catalogue.work(lambda: None))
    after.catalogue.volume_is(AWAY)
    await after.catalogue.load(after.store.load().values(), after.store.resumes)
    await after.wait()
    assert after.catalogue.get(torrent.record.id).state is TorrentState.MISSING_DATA
    after.catalogue.volume_is(HERE)
    await after.wait()
    assert after.catalogue.get(torrent.record.id).state is TorrentState.SEEDING


# ------------------------------------------------------------------------------------------------- goals


@told
async def test_a_torrent_rests_when_it_has_been_seeded_for_its_time(house: House) -> None:
    torrent = await house.seeding(goal=Goal(GoalKind.TIME, hours=2))
    house.engine.snapshot(torrent.record.id, seeding_s=7_199)
    await house.wait(LOOK_EVERY_S + 5)
    assert state_of(torrent) is TorrentState.SEEDING
    house.engine.snapshot(torrent.record.id, seeding_s=7_200)
    await house.wait(LOOK_EVERY_S + 5)
    assert state_of(torrent) is TorrentState.PAUSED
    assert house.engine.torrents[torrent.record.id].paused
    after = await house.power_cut()
    assert after.catalogue.get(torrent.record.id).state is TorrentState.PAUSED


@told
async def test_a_higher_goal_wakes_what_rests_and_a_reached_one_does_not(house: House) -> None:
    torrent = await house.seeding(goal=Goal(GoalKind.RATIO, ratio_percent=100))
    id = torrent.record.id
    house.engine.snapshot(id, uploaded=1_000)
    await house.wait(LOOK_EVERY_S + 5)
    assert state_of(torrent) is TorrentState.PAUSED
    await house.catalogue.configure(id, goal=Goal(GoalKind.RATIO, ratio_percent=50))
    await house.wait()
    assert state_of(torrent) is TorrentState.PAUSED
    await house.catalogue.configure(id, goal=Goal(GoalKind.RATIO, ratio_percent=300))
    await house.wait()
    assert state_of(torrent) is TorrentState.SEEDING
    assert not house.engine.torrents[id].paused


@told
async def test_a_higher_goal_does_not_wake_what_the_owner_has_paused(house: House) -> None:
    torrent = await house.seeding(goal=Goal(GoalKind.RATIO, ratio_percent=100))
    id = torrent.record.id
    house.engine.snapshot(id, uploaded=1_000)
    await house.wait(LOOK_EVERY_S + 5)
    await house.catalogue.pause([id])
    await house.catalogue.configure(id, goal=Goal())
    await house.wait()
    assert torrent.state is TorrentState.PAUSED
    assert house.engine.torrents[id].paused


# --------------------------------------------------------------------------------------- hostile strangers


def magnet(number: int = 1, name: str = "") -> Parsed:
    """A link to the torrent of the same number."""
    return Parsed(Description(name=name, v1=f"{number:040x}", v2=""), b"")


@told
async def test_a_hostile_description_stays_refused_whatever_the_owner_resumes(house: House) -> None:
    torrent = await house.add(magnet())
    id = torrent.record.id
    assert state_of(torrent) is TorrentState.ADDING
    house.engine.describe(id, None, "It holds a symbolic link.")
    await house.wait()
    assert state_of(torrent) is TorrentState.FAILED
    assert "symbolic link" in torrent.reason
    await house.catalogue.resume([id])
    await house.wait()
    assert state_of(torrent) is TorrentState.FAILED
    one = house.engine.torrents.get(id)
    assert one is None or one.paused or not one.writable
    await house.catalogue.configure(id, goal=Goal(GoalKind.RATIO))
    with suppress(OwnerMustAct):
        await house.catalogue.recheck([id])
    await house.wait()
    one = house.engine.torrents.get(id)
    assert one is None or one.paused or not one.writable
    await house.remove(id)
    assert len(house.catalogue) == 0


@told
async def test_two_links_that_turn_out_to_be_one_torrent_become_one(house: House) -> None:
    by_v1 = await house.add(magnet(1))
    by_v2 = await house.add(Parsed(Description(name="", v1="", v2="2" * 64), b""))
    whole = parsed(1, v2="2" * 64)
    for torrent in (by_v1, by_v2):
        house.engine.describe(torrent.record.id, whole)
    await house.wait(10)
    assert len(house.catalogue) == 1
    left = next(iter(house.catalogue.all()))
    assert (left.record.v1, left.record.v2) == (f"{1:040x}", "2" * 64)


@told
async def test_a_link_whose_description_arrives_goes_on_like_a_file(house: House) -> None:
    torrent = await house.add(magnet())
    house.engine.describe(torrent.record.id, parsed())
    await house.wait()
    assert torrent.state is TorrentState.DOWNLOADING
    assert torrent.record.name == "film1"
    after = await house.power_cut()
    assert after.catalogue.get(torrent.record.id).record.pieces == 10


@told
async def test_a_description_that_arrives_while_paused_starts_nothing(house: House) -> None:
    torrent = await house.add(magnet(), paused=True)
    house.engine.describe(torrent.record.id, parsed())
    await house.wait()
    assert torrent.state is TorrentState.PAUSED
    assert house.engine.torrents[torrent.record.id].paused


# ------------------------------------------------------------------------------------------------ the way out


@told
async def test_many_removed_while_others_are_changed_all_go(house: House) -> None:
    torrents = [await house.seeding(parsed(number)) for number in range(1, 21)]
    going, staying = torrents[:15], torrents[15:]
    removing = asyncio.create_task(house.catalogue.remove([t.record.id for t in going], True))
    for _ in range(10):
        house.engine.deliver()
        await house.catalogue.pause([staying[0].record.id])
        await house.catalogue.resume([staying[0].record.id])
    await house.wait(5)
    await removing
    assert len(house.catalogue) == 5
    assert set(house.store.records) == {torrent.record.id for torrent in staying}


@told
async def test_a_removal_cut_short_by_the_power_is_finished_at_the_next_start(house: House) -> None:
    torrent = await house.seeding()
    asyncio.create_task(house.catalogue.remove([torrent.record.id], True))  # noqa: RUF006  cut short
    await asyncio.sleep(0.01)
    assert house.store.records[torrent.record.id].removing == "delete"
    after = await house.power_cut()
    assert len(after.catalogue) == 0
    assert f"{ROOT}/film1" not in after.disk.files


@told
async def test_data_that_two_torrents_share_goes_with_the_last_of_them(house: House) -> None:
    first = await house.seeding()
    twin = await house.add(parsed(2, name="film1", layout="L1"))
    assert twin.state is TorrentState.SEEDING
    assert "stays" in (await house.remove(first.record.id, with_data=True))[0]
    assert twin.state is TorrentState.SEEDING
    await house.remove(twin.record.id, with_data=True)
    assert not house.disk.files


@told
async def test_both_of_a_pair_removed_at_once_take_their_data_along(house: House) -> None:
    first = await house.seeding()
    twin = await house.add(parsed(2, name="film1", layout="L1"))
    await house.remove(first.record.id, twin.record.id, with_data=True)
    assert not house.disk.files


@told
async def test_a_torrent_can_be_added_again_as_soon_as_it_is_removed(house: House) -> None:
    torrent = await house.seeding()
    removing = asyncio.create_task(house.catalogue.remove([torrent.record.id], False))
    await asyncio.sleep(0.01)
    try:
        await house.catalogue.add(parsed(), AddOptions())
    except OwnerMustAct:
        await house.wait()
        await house.catalogue.add(parsed(), AddOptions())
    await house.wait()
    await removing
    assert len(house.catalogue) == 1, "what was acknowledged is there"


@told
async def test_an_id_is_named_by_a_prefix_that_fits_one_alone(house: House) -> None:
    one = await house.seeding(parsed(0x1234 << 144))
    await house.seeding(parsed(0x1239 << 144))
    assert house.catalogue.get("1234") is one
    for name, error in (("123", NotFound), ("", NotFound), ("12345678", NotFound), ("all", NotFound)):
        with pytest.raises(error):
            house.catalogue.get(name)
    with pytest.raises(NotFound):
        await house.catalogue.pause(["1234", "none"])
    assert one.state is TorrentState.SEEDING, "of a wrong list nothing is done"


@told
async def test_a_link_whose_description_was_refused_stays_aside_with_the_reason(house: House) -> None:
    torrent = await house.add(parsed(name="", pieces=0, layout=""))
    id = torrent.record.id
    house.catalogue.apply(Described(id, None, "It is hostile."))
    await house.wait(5)
    assert state_of(torrent) is TorrentState.FAILED
    after = await house.power_cut()
    again = after.catalogue.get(id)
    assert (state_of(again), again.reason) == (TorrentState.FAILED, "It is hostile. Remove it.")
    assert id not in after.engine.torrents
    assert await after.remove(id) == []
    assert state_of(await after.add(parsed())) is not TorrentState.FAILED


@told
async def test_a_link_gives_a_private_torrent_neither_trackers_nor_peers(house: House) -> None:
    await house.seeding(parsed(private=True))
    link = parsed(pieces=0, size=0, files=0, layout="")
    assert "private" in (await house.catalogue.add(link, AddOptions())).note
    assert not house.engine.merged
    await house.seeding(parsed(2))
    await house.catalogue.add(parsed(2, pieces=0), AddOptions())
    assert house.engine.merged == [f"{2:040x}"]
