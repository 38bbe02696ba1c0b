"""The folders for content: whether each is there, is the right one, and can be read and written."""

import contextlib
import errno
import os
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from appliance.adapters.board.mark import FolderMark, MarkMemory, read_mark
from appliance.adapters.board.mounts import FileSystem, Mounts
from appliance.adapters.board.probe import Spot, try_writing
from appliance.adapters.board.space import disk_space
from appliance.core.config import ContentConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.files import write_durably
from appliance.core.state import StateFolder
from appliance.domain.volumes.faults import ADOPT, MARK, Condition
from appliance.domain.volumes.volume import Volume

_KEY = "content"


class ContentFolder:
    """A folder that downloads go to. A drive that is not mounted must not be mistaken for an empty folder.

    All methods but `keep` block, for as long as its drive hangs.
    """

    def __init__(
        self,
        path: Path,
        state: Path,
        look_up: Callable[[Path], FileSystem | None],
        *,
        before: Sequence["ContentFolder"] | None = None,
    ) -> None:
        """`before`: the folders named before it, where this is a further one, which needs a drive of its own.

        Raises OwnerMustAct where the folder is one that the box keeps its own state in.
        """
        self.path = path
        self.further = before is not None
        self._before = before or ()
        self._state = state
        self._look_up = look_up
        _refuse_own(path, state.resolve(), "content.volumes" if self.further else "content.root")
        self._mark: FolderMark | None = None
        self._kept: FolderMark | None = None

    @property
    def uuid(self) -> str:
        """The UUID of the file system that it was adopted on; empty where nobody knows."""
        return self._mark.uuid if self._mark else ""

    def recall(self, memory: MarkMemory) -> None:
        """Take up what was remembered of the folder."""
        mark = memory.decoded(self._key, FolderMark)
        self._mark = self._kept = mark if mark and mark.path == str(self.path) else None

    async def keep(self, memory: MarkMemory) -> None:
        """Remember what the last look has learnt. Raises RetryLater where the disk of the state is full."""
        if self._mark and self._mark != self._kept:
            mark = self._mark
            await memory.put(self._key, msgspec.msgpack.encode(mark))
            self._kept = mark

    @property
    def _key(self) -> str:
        return f"{_KEY} {self.path}" if self.further else _KEY

    # -------------------------------------------------------------------------------------------- looking

    def examine(self, *, touch: bool = False) -> Volume:
        """The folder as it is now: well, if it is the one that was adopted, on its drive, with its mark.

        `touch` reads the drive itself, and not what the kernel still has in memory.

        Raises OwnerMustAct where the first folder is new and can neither be created nor written.
        """
        file_system = self._look_up(self.path)
        condition, why = self._condition(file_system, touch)
        if condition is not Condition.WELL:
            drives = file_system.drives if file_system else ()
            return Volume(path=str(self.path), condition=condition, why=why, uuid=self.uuid, drives=drives)
        space = disk_space(self.path)
        volume = Volume(
            path=str(self.path),
            total=space.total,
            free=space.free,
            inodes_free_percent=space.inodes_free_percent,
        )
        return replace(file_system.under(volume) if file_system else volume, uuid=self.uuid)

    def _condition(self, file_system: FileSystem | None, touch: bool) -> tuple[Condition, str]:
        if file_system and not file_system.attached:
            return Condition.PULLED, ""
        try:
            mark = read_mark(self.path, past_cache=touch)
            return self._judge(mark, file_system.uuid if file_system else "")
        except PermissionError as error:
            return Condition.DENIED, _why(error)
        except OSError as error:
            return Condition.UNREADABLE, _why(error)

    def _judge(self, found: str | None, uuid: str) -> tuple[Condition, str]:
        """The condition by the mark that was found, on a file system of this UUID, empty where not known."""
        if self._mark is None or found == ADOPT:
            return self._adopt(found or "", uuid)
        marked = found == self._mark.secret
        return (self._recognise if marked else self._unmarked)(self._mark, uuid), ""

    def _recognise(self, mark: FolderMark, uuid: str) -> Condition:
        """The mark is right; the file system must be too, where both are known: a copy is another drive."""
        if uuid in ("", mark.uuid):
            return Condition.WELL
        if mark.uuid and mark.own_device:
            return Condition.ANOTHER
        self._mark = msgspec.structs.replace(mark, uuid=uuid)
        return Condition.WELL

    def _unmarked(self, mark: FolderMark, uuid: str) -> Condition:
        """A mark that was cleaned away by hand is written again, but only where this is surely the folder."""
        right_drive = _known_same(uuid, mark.uuid)
        if self._marked_again(mark, right_drive):
            return Condition.WELL
        if right_drive:
            return Condition.NO_FOLDER
        return Condition.AWAY if self._device() in self._system_devices() else Condition.ANOTHER

    def _marked_again(self, mark: FolderMark, right_drive: bool) -> bool:
        if mark.own_device and not (right_drive and self.path.is_dir()):
            return False
        with contextlib.suppress(OSError):
            # On the state folder's own file system nothing can be unmounted.
            self.path.mkdir(parents=not mark.own_device, exist_ok=True)
            if right_drive or self._beside_state():
                self._write_mark(mark.secret)
                return True
        return False

    # ------------------------------------------------------------------------------------------- adopting

    def _adopt(self, found: str, uuid: str) -> tuple[Condition, str]:
        """Create and mark it; a further folder only on a drive of its own, or where it was marked before."""
        secret = _secret_in(found)
        shared = self._shared(uuid) if self.further and not secret else ""
        if shared:
            return Condition.NO_DRIVE, shared
        try:
            self._mark = self._make(secret or secrets.token_hex(8), uuid)
        except OSError as error:
            return self._not_made(error)
        return Condition.WELL, ""

    def _not_made(self, error: OSError) -> tuple[Condition, str]:
        """The condition where it cannot be made. Raises OwnerMustAct where the first folder is new."""
        if self.further or self._mark:
            return Condition.UNUSABLE, _why(error)
        raise OwnerMustAct(
            f"The content folder {self.path} cannot be used ({error}). Connect its drive, let the box "
            "write there, or set content.root in seedbox.toml to another folder."
        ) from error

    def _make(self, secret: str, uuid: str) -> FolderMark:
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_mark(secret)
        return FolderMark(str(self.path), secret, not self._beside_state(), uuid)

    def _write_mark(self, secret: str) -> None:
        write_durably(self.path / MARK, f"{secret}\n".encode(), 0o644)

    def _shared(self, uuid: str) -> str:
        """What it would share its file system with; empty where it has one of its own."""
        device = self._device()
        if device in self._system_devices():
            return "its drive is not connected, or it is an ordinary folder on the system disk"
        others = (other.path for other in self._before if other.shares(device, uuid))
        return next((f"it is on that of {path}" for path in others), "")

    def shares(self, device: int, uuid: str) -> bool:
        """Whether it is on the file system of this device number (st_dev) or UUID; empty: not known."""
        return _known_same(uuid, self.uuid) or (self.path.is_dir() and self.path.stat().st_dev == device)

    def _device(self) -> int:
        """The device number of the file system that the folder is on, or would be."""
        there = next(path for path in (self.path, *self.path.parents) if path.exists())
        return there.stat().st_dev

    def _beside_state(self) -> bool:
        """Whether it is on the file system of the state folder."""
        return self._device() == self._state.stat().st_dev

    def _system_devices(self) -> set[int]:
        return {self._state.stat().st_dev, Path("/").stat().st_dev}

    # ------------------------------------------------------------------------------------------- touching

    def read(self, before: Spot | None, chance: random.Random) -> Spot | None:
        """Read a block of some file from the drive itself; returns what could not be read, or None.

        Where `before` is given, which could not be read then, that is tried again first.
        """
        if before and (still := before.retried()):
            return still
        return Spot.somewhere(self.path, chance)

    def write(self) -> str:
        """Write a few bytes through to the drive and remove them; returns why that failed, or an empty text.

        A disk that is merely full is not at fault: the governor takes care of that.
        """
        mark = self._mark
        if mark is None:
            return ""
        try:
            try_writing(self.path, MARK, mark.secret)
        except OSError as error:
            return "" if error.errno in (errno.ENOSPC, errno.EDQUOT) else _why(error)
        return ""


def _known_same(uuid: str, other: str) -> bool:
    """Whether two UUIDs, empty where not known, are of one file system."""
    return bool(uuid) and uuid == other


def _secret_in(found: str) -> str:
    """The secret that a mark holds; empty where it holds none, or asks for adoption."""
    return found if found.isalnum() and found != ADOPT else ""


def _refuse_own(path: Path, own: Path, key: str) -> None:
    """Raises OwnerMustAct where `path` is in the way of what the box keeps in its state folder `own`."""
    real, reserved = path.resolve(), {own / name for name in ("torrents", "web", "watch")}
    if real in {own, *own.parents, *reserved} or reserved & set(real.parents):
        raise OwnerMustAct(
            f"The content folder cannot be {path}: the box keeps its own state there. "
            f"Set {key} in seedbox.toml to another folder."
        )


def content_folders(config: ContentConfig, state: StateFolder, mounts: Mounts) -> list[ContentFolder]:
    """The folders for content that a configuration names, that of content.root first, none twice.

    Raises OwnerMustAct where one of them is a folder of the box's own.
    """
    folders = [ContentFolder(state.resolve(config.root), state.path, mounts.of)]
    for name in config.volumes:
        path = state.resolve(name)
        if path not in [folder.path for folder in folders]:
            folders.append(ContentFolder(path, state.path, mounts.of, before=tuple(folders)))
    return folders


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
