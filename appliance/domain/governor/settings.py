"""What the owner has configured of the governor, checked, and in the units of the rules."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Literal

from appliance.core.config import GovernorConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.units import GIB, Bytes
from appliance.domain.governor.spans import HourSpan, parse_spans

Counts = Literal["both", "upload", "download"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorSettings:
    """The rules' figures."""

    heat_ease: int = 75_000
    """Millidegrees Celsius, as the next two."""
    heat_hard: int = 80_000
    heat_back: int = 70_000
    floor: Bytes = Bytes(2 * GIB)
    month_cap: Bytes = Bytes(0)
    """0: none."""
    cap_counts: Counts = "both"
    cap_day: int = 1
    cheap: tuple[HourSpan, ...] = ()
    dear_percent: int = 25
    quiet: tuple[HourSpan, ...] = ()
    spin_down: bool = False
    """Disks stop turning in quiet hours, so nothing may be read from them then."""
    zone: tzinfo = UTC
    """Time zone of the owner's hours and months."""


def settings_of(config: GovernorConfig, zone: tzinfo) -> GovernorSettings:
    """The settings of a configuration. Raises OwnerMustAct naming the key that is impossible."""
    if not config.heat_back < config.heat_ease < config.heat_hard:
        raise OwnerMustAct(
            f"governor.heat_back, heat_ease and heat_hard are {config.heat_back}, {config.heat_ease} and "
            f"{config.heat_hard} °C; each must be higher than the one before, such as 70, 75 and 80."
        )
    return GovernorSettings(
        heat_ease=config.heat_ease * 1_000,
        heat_hard=config.heat_hard * 1_000,
        heat_back=config.heat_back * 1_000,
        floor=Bytes(config.floor * GIB),
        month_cap=Bytes(config.month_cap * GIB),
        cap_counts=config.cap_counts,
        cap_day=config.cap_day,
        cheap=parse_spans("governor.cheap_hours", config.cheap_hours),
        dear_percent=config.dear_share,
        quiet=parse_spans("governor.quiet_hours", config.quiet_hours),
        spin_down=config.spin_down > 0,
        zone=zone,
    )
