"""What people ask of one torrent: peers, trackers, files, pieces.

The `post_` calls for these answer with C++ types that the bindings of 2.1.1 cannot convert, so the blocking
ones are used, each in a thread.
"""

import asyncio
from functools import lru_cache, partial
from itertools import pairwise

import libtorrent as lt

from appliance.adapters.engine.foreign import said, trackers
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.adapters.engine.trackers import tracker_row
from appliance.domain.catalogue.swarm import FileRow, PeerRow, TrackerRow

MOST_BUCKETS = 400
_UTP = 1 << 17
"""`peer_info::utp_socket`, which the bindings leave out."""


class Queries:
    """Questions to the session, answered with plain rows."""

    def __init__(self, engine: LibtorrentEngine) -> None:
        self._engine = engine

    async def peers(self, id: str) -> list[PeerRow]:
        """Connected peers, busiest first."""
        found = await self._engine.ask(id, lambda handle: handle.get_peer_info())
        rows = [_peer(peer) for peer in found or ()]
        return sorted(rows, key=lambda row: (-row.up_rate - row.down_rate, -row.uploaded, row.address))

    async def trackers(self, id: str) -> list[TrackerRow]:
        """The trackers by tier."""
        entries = await self._engine.ask(id, trackers)
        return [tracker_row(entry) for entry in entries or ()]

    async def files(self, id: str, offset: int, count: int) -> tuple[int, list[FileRow]]:
        """(number of files, rows) of a page; padding is left out."""
        info = await self._engine.ask(id, lambda handle: handle.torrent_file())
        done = await self._engine.ask(
            id, lambda handle: handle.file_progress(lt.torrent_handle.piece_granularity)
        )
        if info is None or done is None:
            return 0, []
        files = info.files()
        real = await asyncio.to_thread(_real_files, str(info.info_hashes().get_best()), _Held(files))
        chosen = real[max(0, offset) : max(0, offset) + count]
        return len(real), [
            FileRow(
                path=said(partial(files.file_path, index), 4_096),
                size=files.file_size(index),
                done=done[index],
            )
            for index in chosen
        ]

    async def pieces(self, id: str) -> tuple[int, int, list[int]]:
        """(pieces, pieces here, per cent here of each of at most 400 buckets of neighbours)."""
        status = await self._engine.ask(id, lambda handle: handle.status(lt.torrent_handle.query_pieces))
        if status is None:
            return 0, 0, []
        have = list(status.pieces)
        total = len(have)
        if total == 0:
            return 0, 0, []
        return total, sum(have), _buckets(have)

    async def magnet(self, id: str) -> str:
        """The magnet link, with both info-hashes of a hybrid and its trackers."""
        return await self._engine.ask(id, lt.make_magnet_uri) or ""


class _Held:
    """A file_storage as an argument that a cache does not look at."""

    def __init__(self, files: lt.file_storage) -> None:
        self.files = files

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4)
def _real_files(info_hash: str, held: _Held) -> list[int]:
    """Indexes of the files that are no padding; 100,000 take a moment, and are asked for page by page."""
    pad = lt.file_storage.flag_pad_file
    flags = held.files.file_flags
    return [index for index in range(held.files.num_files()) if not flags(index) & pad]


def _peer(peer: lt.peer_info) -> PeerRow:
    host, port = peer.ip
    return PeerRow(
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        client=said(lambda: peer.client),
        transport="utp" if peer.flags & _UTP else "tcp",
        encrypted=bool(peer.flags & lt.peer_info.rc4_encrypted),
        incoming=not peer.flags & lt.peer_info.outgoing_connection,
        progress=peer.progress_ppm,
        up_rate=peer.payload_up_speed,
        down_rate=peer.payload_down_speed,
        uploaded=peer.total_upload,
        downloaded=peer.total_download,
    )


def _buckets(have: list[bool]) -> list[int]:
    """Per cent of the pieces here in each of at most `MOST_BUCKETS` parts of them."""
    total, count = len(have), min(len(have), MOST_BUCKETS)
    edges = [index * total // count for index in range(count + 1)]
    return [100 * sum(have[start:end]) // (end - start) for start, end in pairwise(edges)]
