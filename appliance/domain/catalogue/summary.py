"""The box in one sentence: pure, from counts and rates."""

from collections.abc import Mapping

from appliance.core.units import show_rate
from appliance.domain.catalogue.model import TorrentState


def sentence(
    states: Mapping[TorrentState, int], up_rate: int, down_rate: int, *, mounted: bool, listening: bool
) -> str:
    """What the box does right now, and first of all what keeps it from it."""
    total = sum(states.values())
    if not mounted:
        return "The drive with the content is not connected. Connect it."
    if not total:
        return "The box is ready. Add your first torrent."
    if not listening:
        return "The box cannot accept connections from peers. See Health."
    parts = _doing(states)
    text = _listed(parts) if parts else "nothing runs; every torrent is paused or needs attention"
    rates = ((up_rate, "sending"), (down_rate, "fetching"))
    flow = " and ".join(f"{word} {show_rate(rate)}" for rate, word in rates if rate)
    return f"{text[0].upper()}{text[1:]}{', ' if flow else ''}{flow}.{_trouble(states)}"


_DOING = (
    (TorrentState.SEEDING, "seeding"),
    (TorrentState.DOWNLOADING, "downloading"),
    (TorrentState.CHECKING, "checking"),
    (TorrentState.ADDING, "fetching the metadata of"),
)
_WAITING = (
    (TorrentState.MISSING_DATA, "missing data"),
    (TorrentState.FAILED, "stopped by an error"),
    (TorrentState.THROTTLED, "held back by the box"),
)


def _doing(states: Mapping[TorrentState, int]) -> list[str]:
    return [f"{word} {_count(states[state])}" for state, word in _DOING if states.get(state)]


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _trouble(states: Mapping[TorrentState, int]) -> str:
    """A second sentence where something waits or needs attention."""
    parts = [f"{states[state]} {words}" for state, words in _WAITING if states.get(state)]
    return f" {', '.join(parts)}." if parts else ""


def _count(number: int) -> str:
    return "one torrent" if number == 1 else f"{number} torrents"
