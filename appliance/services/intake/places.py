"""Which folders of the owner's may be looked into and shared: those the configuration names, no secrets."""

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.core.config import Content
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.state import StateFolder

MOST_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class Places:
    """The folders to start from, all symbolic links resolved."""

    roots: tuple[Path, ...]
    content: Path
    state: Path

    def check(self, path: str) -> Path:
        """`path`, resolved, if it may be shared. Raises NotFound, OwnerMustAct."""
        if not path.startswith(("/", "~")) or "\0" in path:
            raise OwnerMustAct(f'"{path}" is not a whole path; it must start with a slash.')
        try:
            real = Path(path).expanduser().resolve(strict=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise NotFound(f"There is nothing at {path} that the box can see.") from error
        root = next((root for root in self.roots if real == root or root in real.parents), None)
        if root is None:
            names = ", ".join(map(str, self.roots))
            raise OwnerMustAct(
                f"{real} is outside of the folders that this box may share ({names}). "
                "Add its folder to content.share in seedbox.toml."
            )
        if any(part.startswith(".") for part in real.relative_to(root).parts):
            raise OwnerMustAct(f"{real} is hidden; hidden files are never shared.")
        if self._secret(real):
            raise OwnerMustAct(f"{real} holds the box's own secrets and cannot be shared.")
        return real

    def _secret(self, real: Path) -> bool:
        """The state folder, what is above and what is inside of it, but for the content."""
        if real == self.content or self.content in real.parents:
            return False
        return real == self.state or self.state in real.parents or real in self.state.parents

    def look(self, path: str) -> tuple[str, list[str], list[str], bool]:
        """(parent, folders, files, whether there are more) of a folder; without a path, the roots."""
        if not path:
            return "", [str(root) for root in self.roots], [], False
        folder = self.check_folder(path)
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.is_symlink():
                        continue
                    (folders if entry.is_dir() else files).append(entry.name)
        except OSError as error:
            raise OwnerMustAct(f"{folder} cannot be read ({error.strerror}).") from error
        parent = "" if folder in self.roots else str(folder.parent)
        more = len(folders) + len(files) > MOST_ENTRIES
        folders.sort(key=str.casefold)
        files.sort(key=str.casefold)
        return parent, folders[:MOST_ENTRIES], files[: max(0, MOST_ENTRIES - len(folders))], more

    def check_folder(self, path: str) -> Path:
        """A folder to look into: as `check`, but the way down to the content may be walked."""
        return next((root for root in self.roots if str(root) == path), None) or self.check(path)


def places(content: Content, state: StateFolder) -> Places:
    """The places that a configuration gives; those that do not exist are left out."""
    root = state.resolve(content.root).resolve()
    named = [Path(folder).expanduser() for folder in content.share]
    found = [root, *(folder.resolve() for folder in named if folder.is_absolute() and folder.is_dir())]
    return Places(tuple(dict.fromkeys(found)), root, state.path.resolve())
