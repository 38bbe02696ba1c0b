"""The storage guard: looks after the folders for content, and takes a drive in and out of use."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from appliance.adapters.board.folder import ContentFolder, Seen
from appliance.adapters.board.mounts import Mounts
from appliance.adapters.board.probe import Spot
from appliance.adapters.store.settings import Settings
from appliance.core.blocking import Patience
from appliance.core.clock import Clock
from appliance.core.config import Content
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.state import StateFolder
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.catalogue.placing import Volume
from appliance.domain.doctor.drives import Condition, examine_drive, why_away, why_frozen
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.readings import DiskReading, VolumeReading

log = logging.getLogger(__name__)

PRESENCE_S = 10.0
"""How often each folder is looked for; a change of the mounts is seen at once."""
READ_S = 60.0
WRITE_S = 300.0
HANG_S = 30.0
"""A drive that takes longer to answer hangs; one that must start to turn takes ten seconds."""
_CALM_S = 0.5
"""Between two looks, however often the mounts change."""


class Drive:
    """One folder for content, and what is known of it."""

    def __init__(self, folder: ContentFolder) -> None:
        self.folder = folder
        self.path = str(folder.path)
        self.patience = Patience(f"drive {folder.path}")
        self.wake = asyncio.Event()
        self.seen = Seen(condition=Condition.AWAY)
        self.spot: Spot | None = None
        """What could not be read."""
        self.write_error = ""
        self.written: bool | None = None
        self.read_due = 0.0
        """Seconds of the monotonic clock."""
        self.write_due = 0.0
        self.disk: DiskReading | None = None
        self.told: Volume | None = None

    def look_closely(self) -> None:
        """Read and write it at once."""
        self.read_due = self.write_due = 0.0
        self.wake.set()

    def reading(self) -> VolumeReading:
        """What is known of it, for the governor."""
        seen, mounted = self.seen, self.seen.file_system
        says, _ = ("", "") if seen.well else why_away(self.path, seen.condition, seen.why)
        return VolumeReading(
            path=self.path,
            uuid=self.folder.uuid,
            device=mounted.device if mounted and seen.well else "",
            present=seen.well,
            read_only=bool(seen.well and mounted and mounted.read_only),
            writable=self.written if seen.well else None,
            trouble=says or self.write_error or (str(self.spot) if self.spot else ""),
            total=seen.total,
            free=seen.free,
            inodes_free_percent=seen.inodes_free_percent,
        )

    def findings(self) -> list[Finding]:
        """What the doctor says of it."""
        return list(
            examine_drive(
                self.reading(),
                self.seen.condition,
                self.seen.why,
                read_error=str(self.spot) if self.spot else "",
                write_error=self.write_error,
                disk=self.disk,
            )
        )

    def volume(self) -> Volume:
        """What the catalogue must know of it."""
        reading, seen = self.reading(), self.seen
        frozen = reading.read_only or self.write_error
        unfit = [
            f"{finding.says} {finding.remedy}"
            for finding in self.findings()
            if finding.verdict is Verdict.ERROR
            and finding.check.startswith(("drive-health", "drive-reading"))
        ]
        return Volume(
            path=self.path,
            away="" if seen.well else " ".join(why_away(self.path, seen.condition, seen.why)),
            frozen=" ".join(why_frozen(reading, self.write_error)) if seen.well and frozen else "",
            unfit=" ".join(unfit),
            wear_percent=self.disk.wear_percent if self.disk else None,
            total=seen.total,
        )


class Standing(NamedTuple):
    """How a folder for content is."""

    reading: VolumeReading
    torrents: int
    """That keep their data on it."""
    worst: Finding


class Guard:
    """All folders for content; each is looked after by a loop of its own, so that none waits for another."""

    def __init__(
        self,
        folders: Sequence[ContentFolder],
        mounts: Mounts,
        catalogue: Catalogue,
        settings: Settings,
        clock: Clock,
        chance: random.Random | None = None,
    ) -> None:
        """`folders`: that of content.root first."""
        self._drives = [Drive(folder) for folder in folders]
        self._mounts = mounts
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311  which block is read is no secret
        self.resting: Callable[[], bool] = lambda: False
        """Whether the disks shall rest now: then only those are read that are in use anyway."""
        catalogue.on_suspicion(self.suspect)

    # ------------------------------------------------------------------------------------------- reading

    @property
    def main_present(self) -> bool:
        """The folder of content.root is there."""
        return self._drives[0].seen.well

    def readings(self) -> tuple[VolumeReading, ...]:
        """What is known of each folder."""
        return tuple(drive.reading() for drive in self._drives)

    def standings(self) -> list[Standing]:
        """Each folder, for the owner; that of content.root first."""
        return [self._standing(drive) for drive in self._drives]

    def findings(self) -> list[Finding]:
        """What the doctor says of all of them."""
        return [finding for drive in self._drives for finding in drive.findings()]

    def _standing(self, drive: Drive) -> Standing:
        findings = drive.findings()
        worst = next((finding for finding in findings if finding.verdict is Verdict.ERROR), findings[-1])
        return Standing(drive.reading(), len(self._catalogue.on_volume(drive.path)), worst)

    def hear_disks(self, disks: Sequence[DiskReading]) -> None:
        """What the drives tell of themselves: SMART and wear; a failing one under a folder stands for it."""
        by_name = {disk.device: disk for disk in disks}
        for drive in self._drives:
            mounted = drive.seen.file_system
            under = [by_name[name] for name in (mounted.disks if mounted else ()) if name in by_name]
            drive.disk = max(
                under, key=lambda disk: (disk.healthy is False, disk.wear_percent or 0), default=None
            )
            self._tell(drive)

    # ------------------------------------------------------------------------------------------- looking

    def suspect(self, path: str) -> None:
        """A torrent met an error in this folder: look closely, now."""
        for drive in self._drives:
            if drive.path == path:
                drive.look_closely()

    async def start(self) -> None:
        """Adopt the folders, or find them again, before any torrent is started.

        Raises OwnerMustAct where the main one is new and can neither be made nor written.
        """
        for drive in self._drives:
            drive.folder.recall(self._settings)
        await self.look()

    async def look(self) -> None:
        """Look at each folder once, as thoroughly as is due."""
        for drive in self._drives:
            # One after another: a further folder must not share its drive with one before it.
            await self._look(drive)

    async def run(self, beat: Callable[[], None]) -> None:
        """For ever; `beat` hears of every look."""
        loop, watch = asyncio.get_running_loop(), self._mounts.watch()

        def changed() -> None:
            watch.drain()
            for drive in self._drives:
                drive.wake.set()

        loop.add_reader(watch.fileno(), changed)
        try:
            async with asyncio.TaskGroup() as group:
                for drive in self._drives:
                    group.create_task(self._keep(drive, beat), name=drive.path)
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()

    async def _keep(self, drive: Drive, beat: Callable[[], None]) -> None:
        while True:
            beat()
            await self._look(drive)
            await asyncio.sleep(_CALM_S)
            wait = PRESENCE_S - _CALM_S
            if drive.seen.well and self._awake(drive):
                wait = max(0.0, min(wait, drive.read_due - self._now()))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await drive.wake.wait()

    async def _look(self, drive: Drive) -> None:
        """Look at a folder once, as thoroughly as is due, and let the catalogue know."""
        drive.wake.clear()
        awake = self._awake(drive)
        touch = awake and self._now() >= drive.read_due
        drive.seen = await self._ask(drive, partial(drive.folder.look, touch=touch))
        if drive.seen.well:
            self._tell(drive)
            # What the kernel remembers of a drive that failed is no proof that it is well again.
            await self._touch(drive, read=touch, write=awake)
        else:
            drive.read_due = 0.0
            drive.spot, drive.write_error, drive.written = None, "", None
        self._tell(drive)
        with suppress(RetryLater):
            await drive.folder.keep(self._settings)

    async def _touch(self, drive: Drive, *, read: bool, write: bool) -> None:
        mounted, now = drive.seen.file_system, self._now()
        try:
            if read:
                drive.read_due = now + READ_S
                drive.spot = await drive.patience.ask(
                    partial(drive.folder.read, drive.spot, self._chance), HANG_S
                )
            if mounted and mounted.read_only:
                drive.write_error, drive.written, drive.write_due = "", False, 0.0
            elif write and now >= drive.write_due:
                drive.write_due = now + WRITE_S
                if drive.write_error or self._in_use(drive):
                    drive.write_error = await drive.patience.ask(drive.folder.write, HANG_S)
                    drive.written = not drive.write_error
                    drive.write_due = now + (READ_S if drive.write_error else WRITE_S)
        except TimeoutError:
            drive.seen = Seen(condition=Condition.HANGS, file_system=mounted)
            drive.read_due = drive.write_due = 0.0

    async def _ask(self, drive: Drive, look: Callable[[], Seen]) -> Seen:
        try:
            return await drive.patience.ask(look, HANG_S)
        except TimeoutError:
            return Seen(condition=Condition.HANGS)
        except OwnerMustAct as error:
            if drive.told is None:
                raise
            return Seen(condition=Condition.UNUSABLE, why=str(error.__cause__ or error))
        except OSError as error:
            return Seen(condition=Condition.UNREADABLE, why=error.strerror or str(error))

    def _tell(self, drive: Drive) -> None:
        volume = drive.volume()
        if volume != drive.told:
            drive.told = volume
            self._catalogue.volume_is(volume)

    def _awake(self, drive: Drive) -> bool:
        """Whether reading it wakes nobody."""
        asleep = drive.disk is not None and drive.disk.asleep
        return not (asleep or self.resting()) or any(
            torrent.up_rate or torrent.down_rate for torrent in self._catalogue.on_volume(drive.path)
        )

    def _in_use(self, drive: Drive) -> bool:
        return any(torrent.in_engine for torrent in self._catalogue.on_volume(drive.path))

    def _now(self) -> float:
        return self._clock.mono() / 1e9


def content_folders(config: Content, state: StateFolder, mounts: Mounts) -> list[ContentFolder]:
    """The folders for content that a configuration names, that of content.root first, none twice.

    Raises OwnerMustAct where one of them is a folder of the box's own.
    """
    folders = [ContentFolder(state.resolve(config.root), state.path, mounts.of)]
    for name in config.volumes:
        path = state.resolve(name)
        if path not in [folder.path for folder in folders]:
            folders.append(ContentFolder(path, state.path, mounts.of, before=tuple(folders)))
    return folders
