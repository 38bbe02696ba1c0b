"""Machines as the kernel shows them, and drives as smartctl does, for tests of `appliance.adapters.board`.

The trees are written by hand, as the kernel's documentation and drivers say that these files look on such
boards; the answers of smartctl are cut down from published ones to what concerns a drive's health.
"""

from pathlib import Path

_HERE = Path(__file__).parent


def plant(board: str, root: Path) -> Path:
    """Make the files of a board under `root`: `== path`, then its content, or `== path -> target`."""
    for part in (_HERE / f"{board}.tree").read_text().split("\n== ")[1:]:
        head, _, content = part.partition("\n")
        name, link, target = head.partition(" -> ")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if link:
            path.symlink_to(target)
        elif name.endswith("/"):
            path.mkdir()
        else:
            path.write_text(content.replace("\\0", "\0") + "\n")
    return root


def smart(name: str) -> str:
    """An answer of smartctl."""
    return (_HERE / "smart" / f"{name}.json").read_text()
