"""What the governor remembers over a restart."""

import logging
from dataclasses import replace
from typing import Any

import msgspec

from appliance.core.clock import Clock
from appliance.domain.governor.model import GovernorState, resumed
from appliance.services.machine.ports import SettingStore

log = logging.getLogger(__name__)

_KEY = "governor"


class _Kept(msgspec.Struct, frozen=True):
    boot: str
    """The boot whose monotonic clock `state` uses."""
    state: dict[str, Any]


def recall(store: SettingStore, boot: str, clock: Clock) -> GovernorState:
    """The state that was kept, by this boot's monotonic clock; a new one where none is whole."""
    kept = store.decoded(_KEY, _Kept)
    if kept is None:
        return GovernorState()
    try:
        state = msgspec.convert(_renamed(kept.state), GovernorState)
    except msgspec.ValidationError as error:
        log.warning("the governor's state was damaged (%s) and is dropped", error)
        return GovernorState()
    state = replace(state, power=state.power.started())
    return state if kept.boot == boot else resumed(state, clock.now(), clock.mono())


async def remember(store: SettingStore, boot: str, state: GovernorState, *, durable: bool) -> None:
    """Keep a state. Raises RetryLater."""
    kept = _Kept(boot, msgspec.to_builtins(state))
    await store.put(_KEY, msgspec.msgpack.encode(kept), durable=durable)


_RENAMED = {"told": "in_force", "courtesy": "uplink_notice"}


def _renamed(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it is named today, from one that an older version may have written."""
    state = {_RENAMED.get(name, name): value for name, value in state.items()}
    room = state.get("room")
    if isinstance(room, dict) and "held" in room:
        state["room"] = {"full": room.get("full", []), "hysteresis": room["held"]}
    return state
