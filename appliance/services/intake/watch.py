"""The watch folder: .torrent and .magnet files put there are added, and renamed to say how it went."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from asyncinotify import Inotify, Mask

from appliance.adapters.engine.metainfo import MOST_MAGNET, MOST_METAINFO
from appliance.core.errors import OwnerMustAct, RetryLater, SeedboxError
from appliance.core.journal import Journal

log = logging.getLogger(__name__)

KINDS = (".torrent", ".magnet")
_RETRY_S = 30.0


class WatchFolder:
    """One folder, watched by inotify."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        add_torrent: Callable[[bytes], Awaitable[object]],
        add_magnet: Callable[[str], Awaitable[object]],
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._add: dict[str, Callable[[bytes], Awaitable[object]]] = {
            ".torrent": add_torrent,
            ".magnet": lambda data: add_magnet(_text(data)),
        }

    async def run(self, beat: Callable[[], None]) -> None:
        """For ever: take in what lies there, then what comes. The folder is made where it is missing."""
        while True:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with Inotify() as inotify:
                    inotify.add_watch(
                        self._folder, Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.DELETE_SELF | Mask.MOVE_SELF
                    )
                    await self._follow(inotify, beat)
            except OSError as error:
                log.warning("the watch folder %s cannot be watched: %s", self._folder, error)
            beat()
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, inotify: Inotify, beat: Callable[[], None]) -> None:
        """Until the folder itself goes away."""
        while True:
            for path in sorted(self._folder.iterdir()):
                if path.suffix.lower() in KINDS and path.is_file():
                    await self._take(path)
            beat()
            try:
                async with asyncio.timeout(_RETRY_S):
                    event = await inotify.get()
            except TimeoutError:
                continue
            if event.mask & (Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.IGNORED):
                return

    async def _take(self, path: Path) -> bool:
        """Add one file; False where it is worth another try."""
        try:
            add = self._add[path.suffix.lower()]
            await add(_content(path))
            outcome = "added"
        except RetryLater as error:
            log.warning("%s waits: %s", path, error)
            return False
        except (SeedboxError, OSError) as error:
            self._journal.error(f"{path.name} in the watch folder was refused: {error}")
            outcome = "refused"
        return _rename(path, outcome)


def _content(path: Path) -> bytes:
    if path.stat().st_size > MOST_METAINFO:
        raise OwnerMustAct("it is too large to be a torrent.")
    return path.read_bytes()


def _rename(path: Path, outcome: str) -> bool:
    try:
        path.rename(path.with_name(f"{path.name}.{outcome}"))
    except OSError as error:
        log.warning("%s cannot be renamed: %s", path, error)
        return False
    return True


def _text(data: bytes) -> str:
    return data[: MOST_MAGNET + 1].decode("utf-8", "replace").strip()
