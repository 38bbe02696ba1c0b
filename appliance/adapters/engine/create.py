"""Making a v1+v2 hybrid torrent (BEP 52) of a folder, in a process of its own.

libtorrent's bindings hash with the interpreter locked, which would stop the daemon for minutes; and a process
can be ended half-way. `python -m appliance.adapters.engine.create` reads one JSON object (the
fields of `Wanted`) on stdin and writes lines of JSON: `{"progress": ppm}`, and last `{"metainfo": base64}` or
`{"error": text}`.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import libtorrent as lt
import msgspec

from appliance import __version__
from appliance.adapters.engine.metainfo import MOST_FILES
from appliance.core.errors import OwnerMustAct
from appliance.core.text import is_text, shown
from appliance.core.units import MIB


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to make a torrent of."""

    path: str
    name: str = ""
    """Name in the torrent; empty: that of the path."""
    trackers: list[str] = []
    comment: str = ""
    private: bool = False
    v1_only: bool = False
    """Make it for programs that cannot read hybrids, such as Transmission 3."""


class CreateReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of what the process says."""

    progress: int = 0
    metainfo: bytes = b""
    skipped: int = 0
    """Hidden files and symbolic links that were left out."""
    error: str = ""


def create(wanted: Wanted, progress: Callable[[int], None]) -> tuple[bytes, int]:
    """(.torrent file, number of files left out). `progress` is given parts per million.

    Raises OwnerMustAct where there is nothing to share or a file cannot be read.
    """
    source = Path(wanted.path)
    name = wanted.name or source.name
    skipped: list[Path] = []
    files = [(path, path.stat()) for path in _walk(source, skipped)]
    total = _total(source, files)
    entries = [
        lt.create_file_entry(
            str(Path(name, path.relative_to(source))) if path != source else name, found.st_size
        )
        for path, found in files
    ]
    torrent = lt.create_torrent(entries, _piece_length(total), lt.create_torrent.v1_only * wanted.v1_only)
    for tier, url in enumerate(wanted.trackers):
        torrent.add_tracker(url, tier)
    torrent.set_priv(wanted.private)
    torrent.set_creator(f"Seedbox {__version__}")
    if wanted.comment:
        torrent.set_comment(wanted.comment)
    _hash(torrent, source, name, progress)
    _unchanged(files)
    # generate_buf() fails in the bindings of 2.1.1: it takes the bytes for UTF-8.
    return lt.bencode(torrent.generate()), len(skipped)


def _total(source: Path, files: list[tuple[Path, os.stat_result]]) -> int:
    """Bytes of all files. Raises OwnerMustAct where there are none, or too many."""
    if not files:
        raise OwnerMustAct(f"{source} has no files; add some, then share it.")
    if len(files) > MOST_FILES:
        raise OwnerMustAct(f"{source} has more than {MOST_FILES} files; share parts of it.")
    total = sum(found.st_size for _, found in files)
    if not total:
        raise OwnerMustAct(f"{source} has only empty files; there is nothing to share.")
    return total


def _walk(source: Path, skipped: list[Path]) -> Iterator[Path]:
    if source.is_file():
        yield source
        return
    for folder, folders, names in os.walk(source, onerror=_unreadable):
        left_out = [name for name in folders if _is_skipped(Path(folder, name))]
        skipped += [Path(folder, name) for name in left_out]
        folders[:] = sorted(set(folders) - set(left_out))
        for path in (Path(folder, name) for name in sorted(names)):
            if _is_skipped(path) or not path.is_file():
                skipped.append(path)
            else:
                _check_readable(path)
                yield path


def _is_skipped(path: Path) -> bool:
    return path.name.startswith(".") or path.is_symlink()


def _check_readable(path: Path) -> None:
    """Raise OwnerMustAct where a file cannot be named in a torrent, or not be read."""
    if not is_text(str(path)):
        raise OwnerMustAct(f'The name of "{shown(str(path))}" is not UTF-8; rename it, then share again.')
    if not os.access(path, os.R_OK):
        raise OwnerMustAct(
            f"{path} cannot be read by the box; change its permissions, or move the file away."
        )


def _unreadable(error: OSError) -> None:
    raise OwnerMustAct(
        f"{error.filename} cannot be read ({error.strerror}); change its permissions, then share again."
    )


def _piece_length(total: int) -> int:
    """A power of two from 64 KiB to 16 MiB that makes about 1,500 pieces."""
    length = 64 * 1024
    while length < 16 * MIB and total // length > 1_500:
        length *= 2
    return length


def _hash(torrent: lt.create_torrent, source: Path, name: str, progress: Callable[[int], None]) -> None:
    pieces = torrent.num_pieces()
    step = max(1, pieces // 200)

    def hashed(piece: int) -> None:
        if piece % step == 0:
            progress(piece * 1_000_000 // pieces)

    # libtorrent reads `base/name`: a link of that name stands in where the torrent is called otherwise.
    with tempfile.TemporaryDirectory() as base:
        Path(base, name).symlink_to(source)
        try:
            lt.set_piece_hashes(torrent, base, hashed)
        except RuntimeError as error:
            raise OwnerMustAct(f"{source} could not be read completely ({error}); check its disk.") from error
    progress(1_000_000)


def _unchanged(files: list[tuple[Path, os.stat_result]]) -> None:
    for path, before in files:
        now = path.stat()
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise OwnerMustAct(
                f"{path} changed while it was being read; share it again when nothing writes to it."
            )


def main() -> None:
    """Serve one request on stdin; see the module's description."""

    def say(line: CreateReport) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()

    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    try:
        metainfo, skipped = create(wanted, lambda ppm: say(CreateReport(progress=ppm)))
    except OwnerMustAct as error:
        say(CreateReport(error=str(error)))
    except OSError as error:
        say(
            CreateReport(
                error=f"{error.filename or wanted.path}: {error.strerror}. Check the disk and permissions."
            )
        )
    else:
        say(CreateReport(progress=1_000_000, metainfo=metainfo, skipped=skipped))


if __name__ == "__main__":
    main()
