"""The limits in force: the configuration's, over them what the owner set by hand, and what eases both."""

import logging
from collections.abc import Callable
from dataclasses import fields, replace

import msgspec

from appliance.adapters.store.settings import Settings
from appliance.core.config import LimitKeys
from appliance.core.errors import OwnerMustAct
from appliance.core.units import KIB, Bytes, BytesPerSecond
from appliance.domain.governor.limits import Limits, LimitsChange, for_memory

log = logging.getLogger(__name__)

_KEY = "limits"


class LimitsKeeper:
    """Keeps the owner's changes over restarts, and puts every change into force."""

    def __init__(self, configured: Limits, settings: Settings) -> None:
        self.configured = configured
        self._settings = settings
        self.changed = _possible(settings.decoded(_KEY, LimitsChange), configured)
        self.apply: Callable[[Limits], None] = lambda limits: None
        self.review: Callable[[], None] = lambda: None
        """Called when the owner has set other limits; it is to `ease` them anew."""
        self.current = self.wanted
        """What holds now."""
        self._eased: Limits | None = None
        self._cap = BytesPerSecond(0)

    @property
    def wanted(self) -> Limits:
        """What the owner and the configuration allow."""
        return self.changed.over(self.configured)

    def ease(self, limits: Limits | None) -> None:
        """What the governor leaves of `wanted`; None: all of it."""
        self._eased = limits
        self._put()

    def cap(self, rate: BytesPerSecond) -> None:
        """The upload that the home line bears, in bytes a second; 0: all of it."""
        self._cap = rate
        self._put()

    @property
    def uncapped(self) -> Limits:
        """What would hold but for the home line."""
        return self._eased or self.wanted

    def _put(self) -> None:
        limits = self.uncapped
        if self._cap:
            least = min(limits.upload_rate or self._cap, self._cap)
            limits = replace(limits, upload_rate=BytesPerSecond(least), even=least == self._cap)
        if limits != self.current:
            self.current = limits
            self.apply(limits)

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
        self._eased = None
        self.review()
        self._put()


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
