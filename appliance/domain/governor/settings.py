"""What the owner has configured of the governor, checked and in the units that the rules reckon in."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Literal

from appliance.core.config import Governor
from appliance.core.errors import OwnerMustAct
from appliance.core.units import GIB, Bytes
from appliance.domain.governor.hours import Span, parse_spans

Counts = Literal["both", "upload", "download"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
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
    cheap: tuple[Span, ...] = ()
    dear_percent: int = 25
    quiet: tuple[Span, ...] = ()
    spin_down: bool = False
    """Disks stop turning when nobody reads them: in quiet hours nobody shall."""
    zone: tzinfo = UTC
    """In which the owner's hours and months are."""


def settings_of(told: Governor, zone: tzinfo) -> Settings:
    """The settings of a configuration. Raises OwnerMustAct naming the key that is impossible."""
    if not told.heat_back < told.heat_ease < told.heat_hard:
        raise OwnerMustAct(
            f"governor.heat_back, heat_ease and heat_hard are {told.heat_back}, {told.heat_ease} and "
            f"{told.heat_hard} °C; each must be higher than the one before, such as 70, 75 and 80."
        )
    return Settings(
        heat_ease=told.heat_ease * 1_000,
        heat_hard=told.heat_hard * 1_000,
        heat_back=told.heat_back * 1_000,
        floor=Bytes(told.floor * GIB),
        month_cap=Bytes(told.month_cap * GIB),
        cap_counts=told.cap_counts,
        cap_day=told.cap_day,
        cheap=parse_spans("governor.cheap_hours", told.cheap_hours),
        dear_percent=told.dear_share,
        quiet=parse_spans("governor.quiet_hours", told.quiet_hours),
        spin_down=told.spin_down > 0,
        zone=zone,
    )
