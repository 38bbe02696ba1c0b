"""The limits in force: the configuration's, and over them what the owner set by hand."""

import logging
from collections.abc import Callable
from dataclasses import fields

import msgspec

from appliance.config import LimitKeys
from appliance.errors import OwnerMustAct
from appliance.governor.limits import Limits, LimitsChange, for_memory
from appliance.store.journal import Settings
from appliance.units import KIB, Bytes, BytesPerSecond

log = logging.getLogger(__name__)

_KEY = "limits"


class LimitsKeeper:
    """Keeps the owner's changes over restarts, and puts every change into force."""

    def __init__(self, configured: Limits, settings: Settings) -> None:
        self.configured = configured
        self._settings = settings
        self.changed = _possible(settings.decoded(_KEY, LimitsChange), configured)
        self.apply: Callable[[Limits], None] = lambda limits: None

    @property
    def current(self) -> Limits:
        """What holds now."""
        return self.changed.over(self.configured)

    async def change(self, change: LimitsChange) -> None:
        """Set some limits. Raises OwnerMustAct for an impossible value; then nothing is changed."""
        merged = {field.name: getattr(self.changed, field.name) for field in fields(LimitsChange)}
        changed = LimitsChange(**(merged | change.set_fields()))
        changed.over(self.configured)
        await self._set(changed)

    async def reset(self) -> None:
        """Forget what the owner set."""
        await self._set(LimitsChange())

    async def _set(self, changed: LimitsChange) -> None:
        await self._settings.put(_KEY, msgspec.msgpack.encode(changed))
        self.changed = changed
        self.apply(self.current)


def _possible(kept: LimitsChange | None, configured: Limits) -> LimitsChange:
    """What was kept, unless it is damaged or no longer possible."""
    try:
        (kept or LimitsChange()).over(configured)
    except OwnerMustAct as error:
        log.warning("the limits set by hand are forgotten: %s", error)
        return LimitsChange()
    return kept or LimitsChange()


def configured_limits(keys: LimitKeys, ram: Bytes) -> Limits:
    """The limits of a configuration on a machine with `ram` bytes."""
    connections, slots = for_memory(ram)
    return Limits(
        upload_rate=BytesPerSecond(keys.upload_rate * KIB),
        download_rate=BytesPerSecond(keys.download_rate * KIB),
        connections=keys.connections or connections,
        upload_slots=keys.upload_slots or slots,
        active_downloads=keys.active_downloads,
    ).checked()
