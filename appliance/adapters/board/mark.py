"""The mark of a content folder: the file in it, and what the box remembers of it."""

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from appliance.adapters.board.probe import read_past_cache
from appliance.domain.volumes.faults import MARK

_T = TypeVar("_T")
_LONGEST = 64
"""Bytes of the file that are looked at; whatever is longer is not ours."""


class FolderMark(msgspec.Struct, frozen=True):
    """What the box remembers of a content folder."""

    path: str
    secret: str
    own_device: bool
    """It was on another file system than the state folder: on a drive that can go away."""
    uuid: str = ""
    """The UUID of its file system; empty where that has none, or nobody has learnt it yet."""


class MarkMemory(Protocol):
    """Where the marks are kept over restarts."""

    def decoded(self, key: str, kind: type[_T]) -> _T | None:
        """What is kept under a key; None where nothing is, or where it is damaged."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep it. Raises RetryLater."""
        ...


def read_mark(folder: Path, *, past_cache: bool) -> str | None:
    """What the mark of a folder says; None where it has none. Raises OSError."""
    try:
        raw = read_past_cache(folder / MARK) if past_cache else (folder / MARK).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return raw[:_LONGEST].decode("ascii", "replace").strip()
