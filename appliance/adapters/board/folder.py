"""The folders for content: is each one there, is it the right one, and can it be read and written."""

import contextlib
import errno
import os
import random
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from appliance.adapters.board.probe import Spot, read_past_cache, try_writing
from appliance.core.errors import OwnerMustAct
from appliance.core.files import write_durably
from appliance.domain.doctor.drives import ADOPT, MARK, Condition

_T = TypeVar("_T")
_KEY = "content"
_FIRST_LOOK = 64
"""Bytes of the mark that are looked at; whatever is longer is not ours."""


class _Mark(msgspec.Struct, frozen=True):
    """What the box remembers of a content folder."""

    path: str
    secret: str
    own_device: bool
    """It lay on another file system than the state folder: on a drive that can go away."""
    uuid: str = ""
    """Of its file system; empty where that has none, or nobody has learnt it yet."""


class Memory(Protocol):
    """Where the marks are kept over restarts."""

    def decoded(self, key: str, kind: type[_T]) -> _T | None:
        """What is kept under a key; None where nothing is, or where it is damaged."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep it. Raises RetryLater."""
        ...


class FileSystem(Protocol):
    """What must be known of the file system that a folder lies on."""

    @property
    def uuid(self) -> str:
        """Empty where nobody knows."""
        ...

    @property
    def device(self) -> str:
        """Such as `/dev/sda1`."""
        ...

    @property
    def disks(self) -> tuple[str, ...]:
        """The whole drives under it, such as `/dev/sda`."""
        ...

    @property
    def read_only(self) -> bool:
        """It is mounted so."""
        ...

    @property
    def attached(self) -> bool:
        """Its device has not vanished."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look at a folder has shown."""

    condition: Condition
    why: str = ""
    """The system's own word for it."""
    file_system: FileSystem | None = None
    total: int | None = None
    """Bytes."""
    free: int | None = None
    inodes_free_percent: int | None = None

    @property
    def well(self) -> bool:
        """The folder can be used."""
        return self.condition is Condition.WELL


class ContentFolder:
    """A folder that downloads go to. A drive that is not mounted must not be mistaken for an empty folder.

    All methods but `adopt` and `keep` block, for as long as its drive hangs.
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

        Raises OwnerMustAct where the box keeps its own state.
        """
        self.path = path
        self.further = before is not None
        self._before = before or ()
        self._state = state
        self._look_up = look_up
        real, own = path.resolve(), state.resolve()
        reserved = {own / name for name in ("torrents", "web", "watch")}
        if real in {own, *own.parents, *reserved} or reserved & set(real.parents):
            key = "content.volumes" if self.further else "content.root"
            raise OwnerMustAct(
                f"The content folder cannot be {path}: the box keeps its own state there. "
                f"Set {key} in seedbox.toml to a folder of its own."
            )
        self._mark: _Mark | None = None
        self._kept: _Mark | None = None

    @property
    def uuid(self) -> str:
        """Of the file system that it was adopted on; empty where nobody knows."""
        return self._mark.uuid if self._mark else ""

    async def adopt(self, memory: Memory) -> bool:
        """Recognise the folder, or make and mark it the first time; False when its drive is away.

        Raises OwnerMustAct where the first folder can neither be made nor written.
        """
        self.recall(memory)
        seen = self.look()
        await self.keep(memory)
        return seen.well

    def recall(self, memory: Memory) -> None:
        """Take up what was remembered of the folder."""
        mark = memory.decoded(self._key, _Mark)
        self._mark = self._kept = mark if mark and mark.path == str(self.path) else None

    async def keep(self, memory: Memory) -> None:
        """Remember what the last look has learnt. Raises RetryLater where the disk of the state is full."""
        if self._mark and self._mark != self._kept:
            mark = self._mark
            await memory.put(self._key, msgspec.msgpack.encode(mark))
            self._kept = mark

    @property
    def _key(self) -> str:
        return f"{_KEY} {self.path}" if self.further else _KEY

    # -------------------------------------------------------------------------------------------- looking

    def look(self, *, touch: bool = False) -> Seen:
        """Whether the folder is the one that was adopted: on its drive, with its mark.

        `touch` has the drive itself read, and not what the kernel still has in memory.

        Raises OwnerMustAct where the first folder is new and can neither be made nor written.
        """
        file_system = self._look_up(self.path)
        condition, why = self._condition(file_system, touch)
        usage = None
        if condition is Condition.WELL:
            with contextlib.suppress(OSError):
                usage = os.statvfs(self.path)
        return Seen(
            condition=condition,
            why=why,
            file_system=file_system,
            total=usage.f_blocks * usage.f_frsize if usage else None,
            free=usage.f_bavail * usage.f_frsize if usage else None,
            inodes_free_percent=100 * usage.f_favail // usage.f_files if usage and usage.f_files else None,
        )

    def _condition(self, file_system: FileSystem | None, touch: bool) -> tuple[Condition, str]:
        if file_system and not file_system.attached:
            return Condition.PULLED, ""
        try:
            found = self._read_mark(touch)
            if self._mark is None or found == ADOPT:
                return self._adopt_now(file_system, found or "")
            if found != self._mark.secret:
                return self._unmarked(self._mark, file_system), ""
            return self._recognise(self._mark, file_system), ""
        except PermissionError as error:
            return Condition.DENIED, _why(error)
        except OSError as error:
            return Condition.UNREADABLE, _why(error)

    def _read_mark(self, touch: bool) -> str | None:
        """What stands in the file; None where there is none. Raises OSError."""
        try:
            raw = read_past_cache(self.path / MARK) if touch else (self.path / MARK).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return raw[:_FIRST_LOOK].decode("ascii", "replace").strip()

    def _recognise(self, mark: _Mark, file_system: FileSystem | None) -> Condition:
        """The mark is right; the file system must be too, where both are known: a copy is another drive."""
        uuid = file_system.uuid if file_system else ""
        if mark.uuid and uuid and mark.uuid != uuid and mark.own_device:
            return Condition.ANOTHER
        if uuid and mark.uuid != uuid:
            self._mark = msgspec.structs.replace(mark, uuid=uuid)
        return Condition.WELL

    def _unmarked(self, mark: _Mark, file_system: FileSystem | None) -> Condition:
        """A mark that was cleaned away by hand is made again, but only where this is surely the folder."""
        right_drive = bool(mark.uuid and file_system and file_system.uuid == mark.uuid)
        if (right_drive and self.path.is_dir()) or not mark.own_device:
            with contextlib.suppress(OSError):
                # On the state folder's own file system nothing can be unmounted.
                self.path.mkdir(parents=not mark.own_device, exist_ok=True)
                if right_drive or self._device() == self._state.stat().st_dev:
                    write_durably(self.path / MARK, f"{mark.secret}\n".encode(), 0o644)
                    return Condition.WELL
        if right_drive:
            return Condition.NO_FOLDER
        return Condition.AWAY if self._device() in self._system_devices() else Condition.ANOTHER

    # ------------------------------------------------------------------------------------------- adopting

    def _adopt_now(self, file_system: FileSystem | None, found: str) -> tuple[Condition, str]:
        """Make and mark it; a further folder only on a drive of its own, or where it was marked before."""
        secret = found if found.isalnum() and found != ADOPT else ""
        if self.further and not secret and (shared := self._shared(file_system)):
            return Condition.NO_DRIVE, shared
        try:
            self._mark = self._make(file_system, secret or secrets.token_hex(8))
        except OwnerMustAct as error:
            if not self.further and self._mark is None:
                raise
            return Condition.UNUSABLE, str(error.__cause__ or error)
        return Condition.WELL, ""

    def _make(self, file_system: FileSystem | None, secret: str) -> _Mark:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_durably(self.path / MARK, f"{secret}\n".encode(), 0o644)
        except OSError as error:
            raise OwnerMustAct(
                f"The content folder {self.path} cannot be used ({error}). Connect its drive, let the box "
                "write there, or name another folder as content.root in seedbox.toml."
            ) from error
        own = self._device() != self._state.stat().st_dev
        return _Mark(str(self.path), secret, own, file_system.uuid if file_system else "")

    def _shared(self, file_system: FileSystem | None) -> str:
        """With what it would share its file system; empty where it has one of its own."""
        device = self._device()
        if device in self._system_devices():
            return "its drive is not connected, or it is a plain folder of the system's disk"
        for other in self._before:
            same_uuid = file_system and file_system.uuid and file_system.uuid == other.uuid
            if same_uuid or (other.path.is_dir() and device == other.path.stat().st_dev):
                return f"it is on that of {other.path}"
        return ""

    def _device(self) -> int:
        """The file system that the folder lies on, or would."""
        there = next(path for path in (self.path, *self.path.parents) if path.exists())
        return there.stat().st_dev

    def _system_devices(self) -> set[int]:
        return {self._state.stat().st_dev, Path("/").stat().st_dev}

    # ------------------------------------------------------------------------------------------- touching

    def read(self, before: Spot | None, chance: random.Random) -> Spot | None:
        """Read a block of some file from the drive itself; what could not be read, or None.

        Where `before` is given, which could not be read then, that is tried again first.
        """
        if before and (still := before.retried()):
            return still
        return Spot.somewhere(self.path, chance)

    def write(self) -> str:
        """Write a few bytes through to the drive and remove them; why that failed, or an empty text.

        A disk that is merely full is not at fault: that is looked after elsewhere.
        """
        mark = self._mark
        if mark is None:
            return ""
        try:
            try_writing(self.path, MARK, mark.secret)
        except OSError as error:
            return "" if error.errno in (errno.ENOSPC, errno.EDQUOT) else _why(error)
        return ""


class ContentDisk:
    """The catalogue's Disk."""

    def mark(self, folder: Path, name: str) -> tuple[int, int] | None:
        """(size, time of last change in ns) of a top-level file or folder; None where it is not there."""
        try:
            found = (folder / name).stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    def free(self, folder: Path) -> int | None:
        """Free bytes of the file system that holds `folder`; None where it cannot be known."""
        try:
            return shutil.disk_usage(folder if folder.exists() else folder.parent).free
        except OSError:
            return None

    def prune(self, folder: Path) -> None:
        """Remove a folder of ours if it is empty."""
        with contextlib.suppress(OSError):
            folder.rmdir()


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
