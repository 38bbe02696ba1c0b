"""The content folder: is it there, is it the right one, and what lies in it."""

import contextlib
import secrets
import shutil
from pathlib import Path

import msgspec

from appliance.errors import OwnerMustAct
from appliance.files import write_durably
from appliance.store.journal import Settings

MARK = ".seedbox-content"
_KEY = "content"


class _Mark(msgspec.Struct, frozen=True):
    """What the box remembers of its content folder."""

    path: str
    secret: str
    own_device: bool
    """It lay on another file system than the state folder: on a drive that can go away."""


class ContentFolder:
    """Where downloads go. A drive that is not mounted must not be mistaken for an empty folder."""

    def __init__(self, path: Path, state: Path) -> None:
        self.path = path
        self._state = state
        real, own = path.resolve(), state.resolve()
        reserved = {own / name for name in ("torrents", "web", "watch")}
        if real in {own, *own.parents, *reserved} or reserved & set(real.parents):
            raise OwnerMustAct(
                f"The content folder cannot be {path}: the box keeps its own state there. "
                "Set content.root in seedbox.toml to a folder of its own."
            )
        self._mark: _Mark | None = None

    async def adopt(self, settings: Settings) -> bool:
        """Recognise the folder, or make and mark it the first time; False when its drive is away.

        Raises OwnerMustAct where the folder can neither be made nor written.
        """
        mark = settings.decoded(_KEY, _Mark)
        if mark is None or mark.path != str(self.path):
            mark = self._make()
            await settings.put(_KEY, msgspec.msgpack.encode(mark))
        self._mark = mark
        return self.there()

    def _make(self) -> _Mark:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = self.path / MARK
            secret = file.read_text().strip() if file.exists() else secrets.token_hex(8)
            write_durably(file, f"{secret}\n".encode(), 0o644)
        except (OSError, UnicodeDecodeError) as error:
            raise OwnerMustAct(
                f"The content folder {self.path} cannot be used ({error}). Connect its drive, let the box "
                "write there, or name another folder as content.root in seedbox.toml."
            ) from error
        return _Mark(str(self.path), secret, self.path.stat().st_dev != self._state.stat().st_dev)

    def there(self) -> bool:
        """Whether the folder is the one that was adopted: on its drive, with its mark."""
        mark = self._mark
        assert mark is not None, "adopt first"
        try:
            if (self.path / MARK).read_text().strip() == mark.secret:
                return True
        except (OSError, UnicodeDecodeError):
            pass
        if mark.own_device:
            return False
        # On the state folder's own file system nothing can be unmounted: the mark was cleaned away by hand.
        with contextlib.suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True)
            if self.path.stat().st_dev == self._state.stat().st_dev:
                write_durably(self.path / MARK, f"{mark.secret}\n".encode(), 0o644)
                return True
        return False

    # ------------------------------------------------------------------------------ the catalogue's Disk

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
