"""The box in one sentence: pure, from counts and rates."""

from collections.abc import Mapping

from appliance.core.units import show_rate
from appliance.domain.catalogue.model import State


def sentence(
    states: Mapping[State, int], up_rate: int, down_rate: int, *, mounted: bool, listening: bool
) -> str:
    """What the box does right now, and first of all what keeps it from it."""
    total = sum(states.values())
    if not mounted:
        return "The drive with the content is not connected; the box waits for it."
    if not total:
        return "The box is ready, and waits for its first torrent."
    if not listening:
        return "The box cannot listen for other peers; see the health below."
    parts = _doing(states)
    text = _listed(parts) if parts else "nothing runs; every torrent is paused or needs a look"
    flow = [f"sending {show_rate(up_rate)}"] * bool(up_rate) + [f"fetching {show_rate(down_rate)}"] * bool(
        down_rate
    )
    end = f", {' and '.join(flow)}" if flow else ""
    return f"{text[0].upper()}{text[1:]}{end}.{_trouble(states)}"


def _doing(states: Mapping[State, int]) -> list[str]:
    words = (
        (State.SEEDING, "seeding"),
        (State.DOWNLOADING, "downloading"),
        (State.CHECKING, "checking"),
        (State.ADDING, "looking up"),
    )
    return [f"{word} {_count(states[state])}" for state, word in words if states.get(state)]


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _trouble(states: Mapping[State, int]) -> str:
    """A second sentence where something needs a look."""
    parts = []
    if missing := states.get(State.MISSING_DATA):
        parts.append(f"{_count(missing)} {'lacks its' if missing == 1 else 'lack their'} data")
    if failed := states.get(State.FAILED):
        parts.append(f"{_count(failed)} {'needs' if failed == 1 else 'need'} you")
    if eased := states.get(State.THROTTLED):
        parts.append(f"{_count(eased)} {'waits' if eased == 1 else 'wait'} for better times")
    if not parts:
        return ""
    text = ", ".join(parts)
    return f" {text[0].upper()}{text[1:]}."


def _count(number: int) -> str:
    return "one torrent" if number == 1 else f"{number} torrents"
