"""The limits in force: the configuration's, over them what the owner set by hand, and what throttles both."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from appliance.core.config import LimitsConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.units import KIB, Bytes, BytesPerSecond
from appliance.domain.governor.limits import Limits, LimitsChange, for_memory
from appliance.services.machine.ports import SettingStore

log = logging.getLogger(__name__)

_KEY = "limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsPorts:
    """What the limits need of the outside."""

    store: SettingStore
    apply: Callable[[Limits], None]
    """Puts limits into force."""
    review: Callable[[], None]
    """Called when the owner has set other limits; it is to `throttle` them anew."""


class LimitsKeeper:
    """Keeps the owner's changes over restarts, and puts every change into force."""

    def __init__(self, configured: Limits, ports: LimitsPorts) -> None:
        self.configured = configured
        self._ports = ports
        self.changed = _possible(ports.store.decoded(_KEY, LimitsChange), configured)
        self.current = self.wanted
        """The limits in force."""
        self._throttled: Limits | None = None
        self._cap = BytesPerSecond(0)

    @property
    def wanted(self) -> Limits:
        """What the owner and the configuration allow."""
        return self.changed.over(self.configured)

    def throttle(self, limits: Limits | None) -> None:
        """Set what the governor leaves of `wanted`; None: all of it."""
        self._throttled = limits
        self._put()

    def cap(self, rate: BytesPerSecond) -> None:
        """Set the upload that the home line bears, in bytes a second; 0: all of it."""
        self._cap = rate
        self._put()

    @property
    def uncapped(self) -> Limits:
        """The limits without the home line's cap."""
        return self._throttled or self.wanted

    def _put(self) -> None:
        limits = _capped(self.uncapped, self._cap)
        if limits != self.current:
            self.current = limits
            self._ports.apply(limits)

    async def change(self, change: LimitsChange) -> None:
        """Set some limits. Raises OwnerMustAct for an impossible value; then nothing is changed."""
        changed = self.changed.then(change)
        changed.over(self.configured)
        await self._set(changed)

    async def reset(self) -> None:
        """Forget what the owner set."""
        await self._set(LimitsChange())

    async def _set(self, changed: LimitsChange) -> None:
        await self._ports.store.put(_KEY, msgspec.msgpack.encode(changed))
        self.changed = changed
        self._throttled = None
        self._ports.review()
        self._put()


def _capped(limits: Limits, cap: BytesPerSecond) -> Limits:
    """The limits under the home line's cap, 0 for none; what is sent under it is sent evenly."""
    if not cap:
        return limits
    least = min(limits.upload_rate or cap, cap)
    return replace(limits, upload_rate=BytesPerSecond(least), even=least == cap)


def _possible(kept: LimitsChange | None, configured: Limits) -> LimitsChange:
    """What was kept, unless it is damaged or no longer possible."""
    change = kept or LimitsChange()
    try:
        change.over(configured)
    except OwnerMustAct as error:
        log.warning("the limits that were set by hand are dropped: %s", error)
        return LimitsChange()
    return change


def configured_limits(keys: LimitsConfig, ram: Bytes) -> Limits:
    """The limits of a configuration on a machine with `ram` bytes."""
    connections, slots = for_memory(ram)
    return Limits(
        upload_rate=BytesPerSecond(keys.upload_rate * KIB),
        download_rate=BytesPerSecond(keys.download_rate * KIB),
        connections=keys.connections or connections,
        upload_slots=keys.upload_slots or slots,
        active_downloads=keys.active_downloads,
    ).checked()
