"""The watch folder: .torrent and .magnet files put there are added, and renamed to say how it went."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Protocol

from asyncinotify import Inotify, Mask

from appliance.adapters.engine.metainfo import MOST_METAINFO, parse_magnet, parse_torrent
from appliance.core.crashguard import CrashGuard
from appliance.core.errors import Bug, OwnerMustAct, RetryLater, SeedboxError
from appliance.core.journal import Journal
from appliance.core.magnets import MOST_PASTED, pasted_links
from appliance.core.service import Beat
from appliance.core.text import shown
from appliance.domain.catalogue.catalogue import AddOptions
from appliance.domain.catalogue.description import Parsed

log = logging.getLogger(__name__)

KINDS = (".torrent", ".magnet")
_RETRY_S = 30.0
_LONGEST = 255
"""Bytes of a file name (NAME_MAX)."""
_WATCHED = Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.DELETE_SELF | Mask.MOVE_SELF
_GONE = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.IGNORED


class Adds(Protocol):
    """Where torrents are added; the catalogue."""

    async def add(self, parsed: Parsed, wish: AddOptions) -> object:
        """Download and seed a torrent. Raises OwnerMustAct, RetryLater."""
        ...


class WatchFolder:
    """One folder, watched by inotify(7)."""

    def __init__(
        self, folder: Path, journal: Journal, catalogue: Adds, guard: CrashGuard | None = None
    ) -> None:
        """`guard` knows at which files the process has died before."""
        self._folder, self._journal, self._catalogue = folder, journal, catalogue
        self._guard = guard or CrashGuard()

    async def run(self, beat: Beat) -> None:
        """Take in what is there, then what comes, for ever. The folder is made where it is missing."""
        while True:
            try:
                await self._watch(beat)
            except OSError as error:
                log.warning("the watch folder %s cannot be watched: %s", self._folder, error)
            beat()
            await asyncio.sleep(_RETRY_S)

    async def _watch(self, beat: Beat) -> None:
        """Watch until the folder itself goes away. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with Inotify() as inotify:
            inotify.add_watch(self._folder, _WATCHED)
            while True:
                await self._take_all()
                beat()
                if await _next_event(inotify) & _GONE:
                    return

    async def _take_all(self) -> None:
        for path in sorted(self._folder.iterdir()):
            if path.suffix.lower() in KINDS and path.is_file():
                await self._take(path)

    async def _take(self, path: Path) -> None:
        """Add one file; it stays for another try where that may go through later."""
        try:
            with self._guard.reading(f"watch {_shown(path)}"):
                for parsed in await _parsed(path):
                    await self._catalogue.add(parsed, AddOptions())
        except RetryLater as error:
            log.warning("%s waits: %s", path, error)
        except Bug:
            raise
        except (SeedboxError, OSError) as error:
            self._journal.error(f"{_shown(path)} in the watch folder was refused: {error}")
            _rename(path, "refused")
            self._guard.forgive(f"watch {_shown(path)}")
        else:
            _rename(path, "added")


async def _next_event(inotify: Inotify) -> Mask:
    """What happens next, or nothing for a while."""
    try:
        async with asyncio.timeout(_RETRY_S):
            return (await inotify.get()).mask
    except TimeoutError:
        return Mask(0)


async def _parsed(path: Path) -> list[Parsed]:
    """What is in a file: one torrent, or any number of links. Raises OwnerMustAct, OSError."""
    data = _content(path)
    if path.suffix.lower() == ".magnet":
        return [
            parse_magnet(link) for link in pasted_links(data[: 4 * MOST_PASTED].decode("utf-8", "replace"))
        ]
    return [await asyncio.to_thread(parse_torrent, data)]


def _content(path: Path) -> bytes:
    if path.stat().st_size > MOST_METAINFO:
        raise OwnerMustAct("it is too large to be a torrent.")
    return path.read_bytes()


def _rename(path: Path, outcome: str) -> None:
    try:
        path.rename(path.with_name(_marked(path.name, outcome)))
    except OSError as error:
        log.warning("%s cannot be renamed: %s", path, error)


def _marked(name: str, outcome: str) -> str:
    """A name that says how it went; one that is nearly too long for a file system is cut before that."""
    end = f".{outcome}".encode()
    return os.fsdecode(os.fsencode(name)[: _LONGEST - len(end)] + end)


def _shown(path: Path) -> str:
    """A file's name for people; one that is not UTF-8 is shown with replacement characters."""
    return shown(path.name)
