"""The volume guard: looks after the folders for content, and takes a drive in and out of use."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

from appliance.adapters.board.folder import ContentFolder
from appliance.adapters.board.mark import MarkMemory
from appliance.adapters.board.mounts import MountWatch
from appliance.core.clock import Clock
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.service import Beat
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.doctor.volumes import examine_volume
from appliance.domain.governor.readings import DiskReading
from appliance.domain.volumes.faults import Condition
from appliance.domain.volumes.volume import Volume
from appliance.services.machine.kept_folder import KeptFolder

PRESENCE_S = 10.0
"""How often each folder is looked for; a change of the mounts is seen at once."""
READ_S = 60.0
WRITE_S = 300.0
HANG_S = 30.0
"""A drive that takes longer to answer hangs; one that must spin up takes ten seconds."""
_CALM_S = 0.5
"""Between two looks, however often the mounts change."""


class TorrentOnVolume(Protocol):
    """A torrent, as far as its drive is concerned."""

    @property
    def in_engine(self) -> bool:
        """Whether its data is in use."""
        ...

    @property
    def up_rate(self) -> int:
        """Bytes a second that it sends."""
        ...

    @property
    def down_rate(self) -> int:
        """Bytes a second that it downloads."""
        ...


class TorrentsOnVolumes(Protocol):
    """The catalogue, as far as the volumes are concerned."""

    def volume_is(self, now: Volume) -> None:
        """Take note of how a volume is now."""
        ...

    def on_volume(self, path: str) -> Sequence[TorrentOnVolume]:
        """The torrents whose data is on a volume."""
        ...

    def on_suspicion(self, suspect: Callable[[str], None]) -> None:
        """Have `suspect` called with the path of a volume on which a torrent met an error."""
        ...


class MountWatcher(Protocol):
    """Whoever knows what is mounted."""

    def watch(self) -> MountWatch:
        """A watch that wakes up when that changes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePorts:
    """What the volume guard needs of the outside."""

    mounts: MountWatcher
    torrents: TorrentsOnVolumes
    memory: MarkMemory
    clock: Clock
    resting: Callable[[], bool]
    """Whether the disks shall rest now: then only those are read that are in use anyway."""
    chance: random.Random
    """Chooses which block is read; that is no secret."""


class VolumeStatus(NamedTuple):
    """How a volume is, for its owner."""

    volume: Volume
    torrents: int
    """How many torrents keep their data on it."""
    worst: Finding


class VolumeGuard:
    """All folders for content; each is looked after by a loop of its own, so that none waits for another."""

    def __init__(self, folders: Sequence[ContentFolder], ports: VolumePorts) -> None:
        """`folders`: that of content.root first."""
        self._kept = [KeptFolder(folder) for folder in folders]
        self._ports = ports
        ports.torrents.on_suspicion(self.suspect)

    # ------------------------------------------------------------------------------------------- reading

    @property
    def main(self) -> Volume:
        """The folder of content.root."""
        return self._kept[0].volume

    def volumes(self) -> tuple[Volume, ...]:
        """All that is known of each folder; that of content.root first."""
        return tuple(kept.volume for kept in self._kept)

    def statuses(self) -> list[VolumeStatus]:
        """Each folder, for the owner; that of content.root first."""
        return [self._status(volume) for volume in self.volumes()]

    def findings(self) -> list[Finding]:
        """What the doctor says of all of them."""
        return [finding for volume in self.volumes() for finding in examine_volume(volume)]

    def _status(self, volume: Volume) -> VolumeStatus:
        findings = examine_volume(volume)
        bad = [
            one for verdict in (Verdict.ERROR, Verdict.WARNING) for one in findings if one.verdict is verdict
        ]
        torrents = self._ports.torrents.on_volume(volume.path)
        return VolumeStatus(volume, len(torrents), (bad or findings)[0])

    def apply_disks(self, disks: Sequence[DiskReading]) -> None:
        """Take what the drives report (SMART, wear); the worst one under a folder stands for it."""
        for kept in self._kept:
            under = (disk for disk in disks if disk.device in kept.seen.drives)
            kept.judge(max(under, key=_badness, default=None))
            self._apply(kept)

    # ------------------------------------------------------------------------------------------- looking

    def suspect(self, path: str) -> None:
        """A torrent met an error in this folder: look closely, now."""
        for kept in self._kept:
            if kept.path == path:
                kept.look_closely()

    async def start(self) -> None:
        """Adopt the folders, or find them again, before any torrent is started.

        Raises OwnerMustAct where the main one is new and can neither be created nor written.
        """
        for kept in self._kept:
            kept.folder.recall(self._ports.memory)
        await self.refresh()

    async def refresh(self) -> None:
        """Look at each folder once, as thoroughly as is due."""
        for kept in self._kept:
            # One after another: a further folder must not share its drive with one before it.
            await self._look(kept)

    async def run(self, beat: Beat) -> None:
        """Look after all of them, for ever; `beat` is called at every look."""
        loop, watch = asyncio.get_running_loop(), self._ports.mounts.watch()

        def changed() -> None:
            watch.drain()
            for kept in self._kept:
                kept.wake.set()

        loop.add_reader(watch.fileno(), changed)
        try:
            async with asyncio.TaskGroup() as group:
                for kept in self._kept:
                    group.create_task(self._keep(kept, beat), name=kept.path)
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()

    async def _keep(self, kept: KeptFolder, beat: Beat) -> None:
        while True:
            beat()
            await self._look(kept)
            await asyncio.sleep(_CALM_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait(kept)):
                    await kept.wake.wait()

    def _wait(self, kept: KeptFolder) -> float:
        """Seconds until the next look."""
        wait = PRESENCE_S - _CALM_S
        due = kept.seen.present and self._awake(kept)
        return max(0.0, min(wait, kept.read_due - self._now())) if due else wait

    async def _look(self, kept: KeptFolder) -> None:
        """Look at a folder once, as thoroughly as is due, and let the catalogue know."""
        kept.wake.clear()
        awake = self._awake(kept)
        touch = awake and self._now() >= kept.read_due
        seen = await self._ask(kept, touch)
        if seen.present:
            kept.seen = seen
            self._apply(kept)
            # What the kernel remembers of a drive that failed is no proof that it is well again.
            await self._touch(kept, read=touch, write=awake)
        else:
            kept.lose(seen)
        self._apply(kept)
        with suppress(RetryLater):
            await kept.folder.keep(self._ports.memory)

    async def _ask(self, kept: KeptFolder, touch: bool) -> Volume:
        try:
            return await kept.blocking.run(partial(kept.folder.examine, touch=touch), HANG_S)
        except TimeoutError:
            condition, why = Condition.HANGS, ""
        except OwnerMustAct as error:
            if kept.applied is None:
                raise
            condition, why = Condition.UNUSABLE, str(error.__cause__ or error)
        except OSError as error:
            condition, why = Condition.UNREADABLE, error.strerror or str(error)
        return Volume(path=kept.path, condition=condition, why=why)

    async def _touch(self, kept: KeptFolder, *, read: bool, write: bool) -> None:
        try:
            if read:
                await self._read(kept)
            if kept.seen.read_only:
                kept.write_error, kept.written, kept.write_due = "", False, 0.0
            elif write and self._now() >= kept.write_due:
                await self._write(kept)
        except TimeoutError:
            kept.seen = Volume(path=kept.path, condition=Condition.HANGS, drives=kept.seen.drives)
            kept.read_due = kept.write_due = 0.0

    async def _read(self, kept: KeptFolder) -> None:
        kept.read_due = self._now() + READ_S
        read = partial(kept.folder.read, kept.spot, self._ports.chance)
        kept.spot = await kept.blocking.run(read, HANG_S)

    async def _write(self, kept: KeptFolder) -> None:
        now = self._now()
        kept.write_due = now + WRITE_S
        if kept.write_error or any(torrent.in_engine for torrent in self._torrents(kept)):
            kept.write_error = await kept.blocking.run(kept.folder.write, HANG_S)
            kept.written = not kept.write_error
            kept.write_due = now + (READ_S if kept.write_error else WRITE_S)

    def _apply(self, kept: KeptFolder) -> None:
        # The catalogue is not woken for every byte of free space that comes and goes.
        volume = replace(kept.volume, free=None, inodes_free_percent=None, writable=None)
        if volume != kept.applied:
            kept.applied = volume
            self._ports.torrents.volume_is(volume)

    def _awake(self, kept: KeptFolder) -> bool:
        """Whether reading it wakes nobody."""
        if not (kept.disk and kept.disk.asleep) and not self._ports.resting():
            return True
        return any(torrent.up_rate or torrent.down_rate for torrent in self._torrents(kept))

    def _torrents(self, kept: KeptFolder) -> Iterable[TorrentOnVolume]:
        return self._ports.torrents.on_volume(kept.path)

    def _now(self) -> float:
        return self._ports.clock.mono() / 1e9


def _badness(disk: DiskReading) -> tuple[bool, bool, int]:
    """Failing before silent before well: one that tells nothing does not hide behind one that is well."""
    return disk.healthy is False, disk.healthy is None, disk.wear_percent or 0
