"""Which of the owner's folders may be browsed and shared: those that the configuration names, no secrets."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from appliance.core.config import ContentConfig
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.state import StateFolder
from appliance.core.text import is_text, shown

MOST_ENTRIES = 500


class FolderListing(NamedTuple):
    """What is in a folder, sorted by name."""

    parent: str
    """Empty where there is none that may be browsed."""
    folders: list[str]
    files: list[str]
    more: bool
    """There are more entries than are listed."""
    left_out: int = 0
    """Entries that have no name in UTF-8: they can be neither listed nor shared."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders to start from, all symbolic links resolved."""

    roots: tuple[Path, ...]
    content: Path
    state: Path

    def check(self, path: str) -> Path:
        """Resolve `path`, if it may be shared. Raises NotFound, OwnerMustAct."""
        real = _resolved(path)
        if not is_text(str(real)):
            raise OwnerMustAct(f'The name of "{shown(str(real))}" is not UTF-8. Rename it, then share it.')
        root = self._root_of(real)
        if _hidden(real.relative_to(root)):
            raise OwnerMustAct(f"{real} is hidden. Hidden files are never shared.")
        if self._secret(real):
            raise OwnerMustAct(f"{real} holds the box's own secrets and cannot be shared.")
        return real

    def check_folder(self, path: str) -> Path:
        """A folder to browse: as `check`, but the way down to the content may be walked."""
        return next((root for root in self.roots if str(root) == path), None) or self.check(path)

    def browse(self, path: str) -> FolderListing:
        """List a folder; without a path, the roots. Raises NotFound, OwnerMustAct."""
        if not path:
            return FolderListing("", [str(root) for root in self.roots], [], more=False)
        folder = self.check_folder(path)
        folders, files, left_out = _entries(folder)
        return FolderListing(
            parent="" if folder in self.roots else str(folder.parent),
            folders=folders[:MOST_ENTRIES],
            files=files[: max(0, MOST_ENTRIES - len(folders))],
            more=len(folders) + len(files) > MOST_ENTRIES,
            left_out=left_out,
        )

    def _root_of(self, real: Path) -> Path:
        for root in self.roots:
            if _within(real, root):
                return root
        raise OwnerMustAct(
            f"{real} is outside of the folders that this box may share ({', '.join(map(str, self.roots))}). "
            "Add its folder to content.share in seedbox.toml."
        )

    def _secret(self, real: Path) -> bool:
        """Whether it is the state folder, above it or inside of it, but for the content."""
        if _within(real, self.content):
            return False
        return _within(real, self.state) or _within(self.state, real)


def _within(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _resolved(path: str) -> Path:
    if not path.startswith(("/", "~")) or "\0" in path:
        raise OwnerMustAct(f'"{shown(path)}" is not an absolute path. It must start with a slash.')
    try:
        return Path(path).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise NotFound(f"There is nothing at {shown(path)} that the box can see.") from error


def _entries(folder: Path) -> tuple[list[str], list[str], int]:
    """(folders, files) that are neither hidden nor links, sorted by name, and how many have no name in UTF-8.

    Raises OwnerMustAct.
    """
    names: dict[bool, list[str]] = {True: [], False: []}
    left_out = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if is_text(entry.name):
                    names[entry.is_dir()].append(entry.name)
                else:
                    left_out += 1
    except OSError as error:
        raise OwnerMustAct(f"{folder} cannot be read ({error.strerror}).") from error
    return sorted(names[True], key=str.casefold), sorted(names[False], key=str.casefold), left_out


def places(content: ContentConfig, state: StateFolder) -> Places:
    """The places that a configuration gives; those that do not exist are left out."""
    root = state.resolve(content.root).resolve()
    named = [Path(folder).expanduser() for folder in content.share]
    found = [root, *(folder.resolve() for folder in named if folder.is_absolute() and folder.is_dir())]
    return Places(tuple(dict.fromkeys(found)), root, state.path.resolve())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
