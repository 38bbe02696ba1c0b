"""Energy: what the box draws, what that costs, and whether it pays for itself.

Sources of the model, each rounded:
- Raspberry Pi's documentation, "Power supply" (currents idle and under stress at 5.1 V): Pi 2, 3 B, 4, Zero;
- pidramble.com, "Power consumption" (idle and all cores): Pi 3 B+ and 4;
- Turing Pi's benchmarks of the RK3588 (4 to 5 W idle, 10 to 12 W at full load): Rock 5;
- storedbits.com, "Hard drive power consumption" (5,400 revolutions a minute: 4 to 6 W idle, 6 to 9 W busy,
  0.5 to 1.5 W in standby); Seagate's manual of the Laptop Thin HDD (0.7 to 1.1 W, 1.3 to 1.7 W, 0.2 W);
  Western Digital's of the WD Blue SSD (2 to 2.7 W reading);
- linuxlinks.com and others for an N100 and an N5105 at the wall (13 to 14 W with little to do, 25 to 30 W
  busy).
The Pi 5, the Zero 2 W, Rock 3 and 4, cards and NVMe are estimates between those. Boards differ by a third
with their supply and what is plugged in: who wants to know it measures.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from appliance.core.units import MicroBtt, show_btt, show_money, show_watts
from appliance.domain.governor.spans import DAY_MIN

Source = Literal["plug", "ups", "told", "model", "unknown"]

SUPPLY_PPM = 1_200_000
"""What a small power supply takes from the wall for what it gives: some 83 % arrive."""
MILLION_BTT = 10**12
"""µBTT."""
FEW_PERCENT = 20
"""An estimate differs by so much at least: within it nobody can say whether the box is worth its power."""


class DriveKind(StrEnum):
    """What a drive is, as far as its power goes."""

    LARGE = "3.5-inch hard disk"
    SMALL = "2.5-inch hard disk"
    SSD = "SSD"
    NVME = "NVMe"
    CARD = "card"


_DRIVES_MW = {
    DriveKind.LARGE: (4_500, 7_000, 800),
    DriveKind.SMALL: (1_100, 1_700, 200),
    DriveKind.SSD: (300, 2_000, 100),
    DriveKind.NVME: (700, 3_500, 100),
    DriveKind.CARD: (50, 300, 50),
}
"""Milliwatts turning, working, asleep."""

_BOARDS_MW = (
    ("raspberry pi zero 2", 700, 2_600),
    ("raspberry pi zero", 500, 1_300),
    ("raspberry pi 5", 3_000, 8_500),
    ("raspberry pi 500", 3_000, 8_500),
    ("compute module 5", 3_000, 8_500),
    ("raspberry pi 4", 2_800, 6_200),
    ("raspberry pi 400", 2_800, 6_200),
    ("compute module 4", 2_600, 6_000),
    ("raspberry pi 3 model b plus", 1_900, 5_100),
    ("raspberry pi 3", 1_500, 4_300),
    ("compute module 3", 1_500, 4_300),
    ("raspberry pi 2", 1_100, 3_800),
    ("rock 5", 4_500, 11_000),
    ("rock 4", 3_500, 9_000),
    ("rock 3", 2_000, 5_500),
    ("rock pi", 3_500, 9_000),
)
"""A part of the model's name, milliwatts idle and with all cores busy, behind the supply. The first that fits
counts."""
_X86_MW = (10_000, 23_000)
"""A small x86 machine, such as an N100 or a thin client."""


@dataclass(frozen=True, slots=True)
class DriveActivity:
    """One drive of the machine."""

    kind: DriveKind
    asleep: bool = False


@dataclass(frozen=True, slots=True)
class PowerDraw:
    """What the machine draws; None: nobody knows."""

    milliwatts: int | None
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Prices in thousandths of the currency; 0: unknown."""

    currency: str
    price: int
    """The price of a kilowatt hour."""
    cheap_price: int = 0
    """The price of one in cheap hours; 0: the same."""
    cheap_minutes: int = 0
    """Minutes of a day that are cheap."""
    btt_price: int = 0
    """The price of a million BTT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyAccount:
    """A day of the box."""

    power: PowerDraw
    cost_day: int | None
    """Thousandths of the currency; None: unknown."""
    earned_day: MicroBtt
    worth_day: int | None
    """What is earned, in thousandths of the currency; None: unknown."""
    sentence: str
    """What it costs to run the box, beside what it earned."""


def kind_of(device: str, *, rotational: bool | None, inches_tenths: int | None = None) -> DriveKind:
    """What a drive is, by its name (`/dev/sda`), whether it turns, and its size (25 for 2.5 inches).

    A drive that does not tell its size is a small one: those are what a board's USB port feeds.
    """
    if by_name := _kind_by_name(device.rpartition("/")[2]):
        return by_name
    if rotational is False:
        return DriveKind.SSD
    return DriveKind.LARGE if (inches_tenths or 0) > 30 else DriveKind.SMALL


def _kind_by_name(name: str) -> DriveKind | None:
    return next((kind for prefix, kind in _BY_NAME if name.startswith(prefix)), None)


_BY_NAME = (("nvme", DriveKind.NVME), ("mmcblk", DriveKind.CARD))


def power_of(
    *,
    measured_mw: int | None,
    measured_by: Literal["plug", "ups"],
    owner_w: int,
    board: str,
    x86: bool,
    load_milli: int | None,
    disks: Iterable[DriveActivity],
) -> PowerDraw:
    """What the machine draws: measured, else as its owner set it (`owner_w`), else estimated.

    `board` is what the board calls itself (device tree `model`), `load_milli` the load for each processor in
    thousandths. A UPS that feeds other machines too measures them as well: then the owner's figure counts.
    """
    owner_knows = owner_w > 0 and (measured_by == "ups" or measured_mw is None)
    if owner_knows:
        return PowerDraw(owner_w * 1_000, "told")
    if measured_mw is not None:
        return PowerDraw(measured_mw, measured_by)
    bounds = _board(board, x86)
    return _estimated(bounds, load_milli or 0, disks) if bounds else PowerDraw(None, "unknown")


def _estimated(bounds: tuple[int, int], load_milli: int, disks: Iterable[DriveActivity]) -> PowerDraw:
    busy = max(0, min(1_000, load_milli))
    idle, full = bounds
    total = idle + (full - idle) * busy // 1_000 + sum(_drive_mw(disk, busy) for disk in disks)
    return PowerDraw(total * SUPPLY_PPM // 1_000_000, "model")


def _drive_mw(disk: DriveActivity, busy: int) -> int:
    turning, working, asleep = _DRIVES_MW[disk.kind]
    return asleep if disk.asleep else turning + (working - turning) * busy // 1_000


def account(draw: PowerDraw, tariff: Tariff, earned_day: MicroBtt) -> EnergyAccount:
    """A day's cost beside what was earned in the last 24 hours, and what to say of it."""
    cost = None
    if draw.milliwatts is not None and tariff.price:
        cost = cost_day(draw.milliwatts, tariff)
    worth = _nearest(earned_day * tariff.btt_price, MILLION_BTT) if tariff.btt_price else None
    return EnergyAccount(
        power=draw,
        cost_day=cost,
        earned_day=earned_day,
        worth_day=worth,
        sentence=_sentence(draw, tariff, cost, earned_day, worth),
    )


def cost_day(milliwatts: int, tariff: Tariff) -> int:
    """Thousandths of the currency for a day, to the nearest."""
    cheap = tariff.cheap_minutes
    prices = tariff.price * (DAY_MIN - cheap) + (tariff.cheap_price or tariff.price) * cheap
    return _nearest(milliwatts * prices, 60 * 1_000_000)


# ------------------------------------------------------------------------------------------- the answer


def _sentence(draw: PowerDraw, tariff: Tariff, cost: int | None, earned: MicroBtt, worth: int | None) -> str:
    if draw.milliwatts is None:
        return "Running cost unknown. Set energy.watts, or energy.plug if the box is on a smart plug."
    takes = f"{_ABOUT[draw.source]}{show_watts(draw.milliwatts)}"
    if cost is None:
        return f"Running cost: {takes}. Set energy.price to your electricity price to see it in money."
    costs = f"costs {show_money(cost, tariff.currency)} a day to run ({takes})"
    if worth is None:
        return _without_worth(costs, cost, tariff, earned)
    both = f"It {costs} and earned {_amount(worth, tariff, earned)} in the last 24 hours."
    if draw.source == "model" and _is_near(worth, cost):
        return f"About break-even. {both} Measure the power and set energy.watts to be sure."
    return f"It pays for itself. {both}" if worth >= cost else both


def _is_near(worth: int, cost: int) -> bool:
    return abs(worth - cost) * 100 <= cost * FEW_PERCENT


def _without_worth(costs: str, cost: int, tariff: Tariff, earned: MicroBtt) -> str:
    """The answer where nobody has said what BTT are worth."""
    if earned <= 0:
        return f"It {costs} and earned nothing in the last 24 hours."
    even = show_money(_nearest(cost * MILLION_BTT, earned), tariff.currency)
    return (
        f"It {costs} and earned {show_btt(earned)} BTT in the last 24 hours. It pays for itself if a million "
        f"BTT are worth at least {even}; set energy.btt_price to compare."
    )


def _amount(worth: int, tariff: Tariff, earned: MicroBtt) -> str:
    return f"{show_money(worth, tariff.currency)} ({show_btt(earned)} BTT)"


_ABOUT: dict[Source, str] = {"plug": "", "ups": "", "told": "", "model": "about ", "unknown": ""}


def _board(board: str, x86: bool) -> tuple[int, int] | None:
    name = board.lower()
    known = ((idle, full) for part, idle, full in _BOARDS_MW if part in name)
    return next(known, _X86_MW if x86 else None)


def _nearest(value: int, by: int) -> int:
    return (2 * value + by) // (2 * by)
