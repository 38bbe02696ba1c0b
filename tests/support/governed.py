"""A box whose governor is shown one reading after the other, in a time that the test makes."""

from dataclasses import dataclass, field, replace
from typing import Any

from appliance.core.config import LimitsConfig
from appliance.core.units import GIB, Bytes, MonoNs, UtcMs
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.model import GovernorDecision, GovernorMoment, GovernorState, ThrottleEvent
from appliance.domain.governor.policy import decide
from appliance.domain.governor.readings import Firmware, Pressure, Readings
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.volumes.volume import Volume
from appliance.services.machine.limits import configured_limits

WANTED = configured_limits(LimitsConfig(), Bytes(GIB))
UPLINK = 2_000_000
START = UtcMs(1_780_000_000_000)
"""2026-05-28 20:26:40 UTC."""


@dataclass
class Governed:
    """The governor of one box."""

    settings: GovernorSettings = field(default_factory=GovernorSettings)
    wanted: Limits = WANTED
    state: GovernorState = field(default_factory=GovernorState)
    at: int = START
    mono: int = 10**15
    events: list[ThrottleEvent] = field(default_factory=list)
    changes: int = 0

    def look(self, after: int = 10, *, moment: dict[str, Any] | None = None, **told: Any) -> GovernorDecision:
        """What is decided `after` seconds at these readings."""
        self.at += after * 1_000
        self.mono += after * 10**9
        readings = Readings(at=UtcMs(self.at), **({"up_rate": UPLINK} | told))
        shown = GovernorMoment(at=UtcMs(self.at), mono=MonoNs(self.mono), wanted=self.wanted, uplink=UPLINK)
        self.state, decision = decide(self.settings, self.state, readings, replace(shown, **(moment or {})))
        self.events += decision.events
        self.changes += decision.changed
        return decision

    def last(self, seconds: int, **told: Any) -> GovernorDecision:
        """What is decided at last, when these readings last for so long, looked at each ten seconds."""
        for _ in range(max(1, seconds // 10)):
            decision = self.look(**told)
        return decision


def firmware(**flags: bool) -> Firmware:
    """All is well, but for what is named."""
    well = dict.fromkeys(Firmware.__slots__, False)
    return Firmware(**(well | flags))


def pressure(some: int = 0, full: int = 0) -> Pressure:
    """In ppm, over ten seconds and a minute alike."""
    return Pressure(some10=some, some60=some, full10=full, full60=full)


def volume(free: int | None, path: str = "/srv", *, total: int = 32 * GIB, **told: Any) -> Volume:
    """A drive."""
    well: dict[str, Any] = {"device": "/dev/sda1", "writable": True}
    shown = well | {"uuid": path, "total": total, "inodes_free_percent": 90} | told
    return Volume(path=path, free=free, **shown)
