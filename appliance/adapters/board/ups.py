"""Mains or battery, by a UPS that Network UPS Tools look after (NUT: `upsc`)."""

import re
from dataclasses import dataclass, replace

from appliance.adapters.board.files import thousandths
from appliance.adapters.board.programs import Run
from appliance.core.errors import OwnerMustAct
from appliance.domain.governor.readings import Readings, Supply

ASK_S = 5.0
MOST_WATTS = 100_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(@[A-Za-z0-9_\[][A-Za-z0-9.:_\[\]-]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsReading:
    """What the UPS reports; None: it does not, or it could not be asked."""

    supply: Supply | None = None
    battery_percent: int | None = None
    battery_s: int | None = None
    watts_mw: int | None = None
    """The power that everything on the UPS draws together."""

    def onto(self, readings: Readings) -> Readings:
        """The readings with all of these renewed."""
        return replace(
            readings,
            supply=self.supply,
            battery_percent=self.battery_percent,
            battery_s=self.battery_s,
            watts_mw=self.watts_mw,
        )


class Ups:
    """A UPS by its name, such as `ups@localhost`."""

    def __init__(self, name: str, run: Run) -> None:
        """Raises OwnerMustAct where that is no name of a UPS."""
        if not _NAME.fullmatch(name):
            raise OwnerMustAct(
                f'energy.ups is "{name[:60]}". Set it to the name of the UPS in NUT, such as ups@localhost.'
            )
        self._name, self._run = name, run

    def read(self) -> UpsReading:
        """Ask it now; everything is unknown where NUT, its driver or the cable is away."""
        return parse(self._run(("upsc", self._name), ASK_S) or "")


def parse(text: str) -> UpsReading:
    """`name: value` lines of upsc (NUT: docs/nut-names.txt)."""
    values = _values(text)
    return UpsReading(
        supply=_supply(values.get("ups.status", "")),
        battery_percent=_units(_at_most(100_000, _milli(values, "battery.charge"))),
        battery_s=_units(_milli(values, "battery.runtime")),
        watts_mw=_watts(values),
    )


def _values(text: str) -> dict[str, str]:
    named = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, found, value in named if found}


def _supply(status: str) -> Supply | None:
    """Words of `ups.status`: OL on line, OB on battery, LB low, FSD shut down now, BYPASS."""
    words = set(status.split())
    if "FSD" in words or words >= {"OB", "LB"}:
        return Supply.LOW
    if "OB" in words:
        return Supply.BATTERY
    return Supply.MAINS if words & {"OL", "BYPASS"} else None


def _watts(values: dict[str, str]) -> int | None:
    """Milliwatts: measured, else the load's share of what the UPS can give."""
    watts = _milli(values, "ups.realpower")
    return _at_most(MOST_WATTS * 1_000, _share(values) if watts is None else watts)


def _share(values: dict[str, str]) -> int | None:
    load, most = _milli(values, "ups.load"), _milli(values, "ups.realpower.nominal")
    return load * most // 100_000 if load is not None and most is not None else None


def _at_most(most: int, value: int | None) -> int | None:
    """The value; None where it is more than it can be."""
    return value if value is not None and value <= most else None


def _units(milli: int | None) -> int | None:
    return None if milli is None else milli // 1_000


def _milli(values: dict[str, str], name: str) -> int | None:
    return thousandths(values.get(name, ""))
