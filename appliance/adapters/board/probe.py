"""Reading from and writing to a drive itself, past what the kernel keeps of it in memory."""

import errno
import mmap
import os
import random
import secrets
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

BLOCK = 4096
"""Bytes; a multiple of every drive's sector, as O_DIRECT wants it (open(2))."""
_DEEPEST = 8
_ENTRIES = 200
"""How many entries of a folder are chosen from: enough for chance, few for one of a hundred thousand."""
_CHECK = ".seedbox-check"


def read_past_cache(path: Path, offset: int = 0) -> bytes:
    """Up to a block at `offset`, a multiple of BLOCK. Raises OSError.

    Where the file system knows no O_DIRECT, the kernel is asked to forget what it has of the file.
    """
    try:
        return _read_direct(path, offset)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return _read_forgotten(path, offset)


def _read_direct(path: Path, offset: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        with mmap.mmap(-1, BLOCK) as buffer:  # a page, and so aligned
            return buffer[: os.preadv(descriptor, [buffer], offset)]
    finally:
        os.close(descriptor)


def _read_forgotten(path: Path, offset: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(descriptor, BLOCK, offset)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Spot:
    """A block of a file that could not be read."""

    path: Path
    offset: int
    why: str

    @classmethod
    def somewhere(cls, folder: Path, chance: random.Random) -> Self | None:
        """Try a block of some file under `folder`; None where it could be read, or where there is no file."""
        path = folder
        try:
            for _ in range(_DEEPEST):
                chosen = _any_entry(path, chance)
                if chosen is None:
                    return None
                path = Path(chosen.path)
                if chosen.is_file(follow_symlinks=False):
                    return cls(path, _any_offset(chosen.stat().st_size, chance), "").retried()
        except (FileNotFoundError, PermissionError):
            return None
        except OSError as error:
            return cls(path, 0, error.strerror or str(error))
        return None

    def retried(self) -> Self | None:
        """The spot, if it still cannot be read; None if it can, or if the file is gone."""
        try:
            read_past_cache(self.path, self.offset)
        except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError):
            return None
        except OSError as error:
            return type(self)(self.path, self.offset, error.strerror or str(error))
        return None

    def __str__(self) -> str:
        return f"{self.path.name}: {self.why}"


def _any_entry(folder: Path, chance: random.Random) -> os.DirEntry[str] | None:
    """A file or folder in `folder`; None where there is none, or where something else was chosen."""
    with os.scandir(folder) as entries:
        found = [entry for entry in islice(entries, _ENTRIES) if not entry.name.startswith(".")]
    chosen = chance.choice(found) if found else None
    return chosen if chosen and _is_plain(chosen) else None


def _is_plain(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)


def _any_offset(size: int, chance: random.Random) -> int:
    """Where some block of a file of so many bytes begins."""
    return chance.randrange(max(1, size // BLOCK)) * BLOCK


def try_writing(folder: Path, mark: str, secret: str) -> None:
    """Write a few bytes in `folder`, have them reach the drive, and remove them. Raises OSError.

    It goes by way of the opened folder that holds `mark` with `secret` in it: should the drive be unmounted
    meanwhile, nothing is written to what lies under it.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _content(mark, opened) != secret:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(folder))
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(_CHECK, flags, 0o600, dir_fd=opened)
        try:
            os.write(file, secrets.token_bytes(16))
            os.fsync(file)
        finally:
            os.close(file)
            os.unlink(_CHECK, dir_fd=opened)
    finally:
        os.close(opened)


def _content(name: str, folder: int) -> str:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(file, 64).decode("ascii", "replace").strip()
    finally:
        os.close(file)
