"""Filtering, sorting and paging of the catalogue, for lists of thousands."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from appliance.domain.catalogue.model import TorrentState
from appliance.domain.catalogue.torrent import Torrent

MOST_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which torrents, in which order."""

    text: str = ""
    state: TorrentState | None = None
    label: str | None = None
    sort: str = "added"
    descending: bool = False
    offset: int = 0
    count: int = 50


def select(torrents: Iterable[Torrent], query: Query) -> list[Torrent]:
    """All torrents that fit, in order; the id settles ties, so that pages never overlap."""
    text = query.text.casefold()
    found = [
        torrent
        for torrent in torrents
        if (query.state is None or torrent.state is query.state)
        and (query.label is None or torrent.record.label == query.label)
        and (not text or text in torrent.record.name.casefold() or torrent.record.id.startswith(text))
    ]
    found.sort(key=lambda torrent: torrent.record.id)
    found.sort(key=_KEYS[query.sort], reverse=query.descending)
    return found


def page(found: list[Torrent], query: Query) -> list[Torrent]:
    """The part of `found` that is asked for."""
    offset = max(0, query.offset)
    return found[offset : offset + max(0, min(query.count, MOST_ROWS))]


_KEYS: dict[str, Callable[[Torrent], Any]] = {
    "name": lambda torrent: torrent.record.name.casefold(),
    "added": lambda torrent: torrent.record.added,
    "size": lambda torrent: torrent.size,
    "progress": lambda torrent: torrent.progress,
    "state": lambda torrent: torrent.state.value,
    "up_rate": lambda torrent: torrent.up_rate,
    "down_rate": lambda torrent: torrent.down_rate,
    "uploaded": lambda torrent: torrent.uploaded,
    "ratio": lambda torrent: torrent.uploaded / torrent.size if torrent.size else 0,
    "peers": lambda torrent: torrent.peers,
}
