"""Data and torrents for tests: v1, hybrid and v2, from a seed, so that a failure can be played again."""

import random
from pathlib import Path
from typing import Any

import libtorrent as lt

KINDS = {"v1": lt.create_torrent.v1_only, "hybrid": 0, "v2": lt.create_torrent.v2_only}


_BLOCK = 64 * 1024**2


def write_data(path: Path, size: int, seed: int = 1) -> Path:
    """A file of `size` random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            file.write(chance.randbytes(min(_BLOCK, size - start)))
    return path


def make_torrent(
    path: Path, kind: str = "hybrid", trackers: tuple[str, ...] = (), piece: int = 32 * 1024
) -> bytes:
    """The .torrent file of a file or folder."""
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    entries = [
        lt.create_file_entry(str(file.relative_to(path.parent)), file.stat().st_size) for file in files
    ]
    torrent = lt.create_torrent(entries, piece, KINDS[kind])
    for tracker in trackers:
        torrent.add_tracker(tracker)
    lt.set_piece_hashes(torrent, str(path.parent))
    made: Any = torrent.generate()
    return lt.bencode(made)


def magnet(metainfo: bytes) -> str:
    """The magnet link of a torrent."""
    return lt.make_magnet_uri(lt.load_torrent_buffer(metainfo))
