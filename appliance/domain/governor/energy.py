"""Energy: what the box takes, what that costs, and whether it is worth it.

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
from appliance.domain.governor.hours import DAY_MIN

Source = Literal["plug", "ups", "told", "model", "unknown"]

SUPPLY_PPM = 1_200_000
"""What a small power supply takes from the wall for what it gives: some 83 % arrive."""
MILLION_BTT = 10**12
"""µBTT."""
FEW_PERCENT = 20
"""An estimate differs by so much at least: within it nobody can say whether the box is worth its power."""


class Drive(StrEnum):
    """What a drive is, as far as its power goes."""

    LARGE = "3.5-inch hard disk"
    SMALL = "2.5-inch hard disk"
    SSD = "SSD"
    NVME = "NVMe"
    CARD = "card"


_DRIVES_MW = {
    Drive.LARGE: (4_500, 7_000, 800),
    Drive.SMALL: (1_100, 1_700, 200),
    Drive.SSD: (300, 2_000, 100),
    Drive.NVME: (700, 3_500, 100),
    Drive.CARD: (50, 300, 50),
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
class Disk:
    """One drive of the machine."""

    kind: Drive
    asleep: bool = False


@dataclass(frozen=True, slots=True)
class Power:
    """What the machine takes; None: nobody knows."""

    milliwatts: int | None
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Prices in thousandths of the currency; 0: unknown."""

    currency: str
    price: int
    """Of a kilowatt hour."""
    cheap_price: int = 0
    """Of one in cheap hours; 0: the same."""
    cheap_minutes: int = 0
    """Of a day."""
    btt_price: int = 0
    """Of a million BTT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A day of the box."""

    power: Power
    cost_day: int | None
    """Thousandths of the currency; None: unknown."""
    earned_day: MicroBtt
    worth_day: int | None
    """What is earned, in thousandths of the currency; None: unknown."""
    sentence: str
    """Is this box worth its power?"""


def kind_of(device: str, *, rotational: bool | None, inches_tenths: int | None = None) -> Drive:
    """What a drive is, by its name (`/dev/sda`), whether it turns, and its size (25 for 2.5 inches).

    A drive that does not tell its size is a small one: those are what a board's USB port feeds.
    """
    name = device.rpartition("/")[2]
    if name.startswith("nvme"):
        return Drive.NVME
    if name.startswith("mmcblk"):
        return Drive.CARD
    if rotational is False:
        return Drive.SSD
    return Drive.LARGE if inches_tenths is not None and inches_tenths > 30 else Drive.SMALL


def power_of(
    *,
    measured_mw: int | None,
    measured_by: Literal["plug", "ups"],
    told_w: int,
    board: str,
    x86: bool,
    load_milli: int | None,
    disks: Iterable[Disk],
) -> Power:
    """What the machine takes: measured, else told by its owner, else estimated.

    `board` is what the board calls itself (device tree `model`), `load_milli` the load for each processor in
    thousandths. A UPS that feeds other machines too measures them as well: then the owner tells the watts.
    """
    if told_w and measured_by == "ups":
        return Power(told_w * 1_000, "told")
    if measured_mw is not None:
        return Power(measured_mw, measured_by)
    if told_w:
        return Power(told_w * 1_000, "told")
    bounds = _board(board, x86)
    if bounds is None:
        return Power(None, "unknown")
    idle, full = bounds
    busy = max(0, min(1_000, load_milli or 0))
    total = idle + (full - idle) * busy // 1_000
    for disk in disks:
        turning, working, asleep = _DRIVES_MW[disk.kind]
        total += asleep if disk.asleep else turning + (working - turning) * busy // 1_000
    return Power(total * SUPPLY_PPM // 1_000_000, "model")


def account(power: Power, tariff: Tariff, earned_day: MicroBtt) -> Account:
    """A day's cost beside what was earned in the last 24 hours, and what to say of it."""
    cost = None
    if power.milliwatts is not None and tariff.price:
        cost = cost_day(power.milliwatts, tariff)
    worth = _nearest(earned_day * tariff.btt_price, MILLION_BTT) if tariff.btt_price else None
    return Account(
        power=power,
        cost_day=cost,
        earned_day=earned_day,
        worth_day=worth,
        sentence=_sentence(power, tariff, cost, earned_day, worth),
    )


def cost_day(milliwatts: int, tariff: Tariff) -> int:
    """Thousandths of the currency for a day, to the nearest."""
    cheap = tariff.cheap_minutes
    prices = tariff.price * (DAY_MIN - cheap) + (tariff.cheap_price or tariff.price) * cheap
    return _nearest(milliwatts * prices, 60 * 1_000_000)


# ------------------------------------------------------------------------------------------- the answer


def _sentence(power: Power, tariff: Tariff, cost: int | None, earned: MicroBtt, worth: int | None) -> str:
    if power.milliwatts is None:
        return (
            "Not known yet: what the box takes is unknown. Set energy.watts, or energy.plug for a smart plug."
        )
    takes = f"{_ABOUT[power.source]}{show_watts(power.milliwatts)}"
    got = f"{_amount(earned)} in the last day" if earned > 0 else "nothing in the last day"
    if cost is None:
        return f"Not known yet: it takes {takes} and earned {got}. Set energy.price to see what that costs."
    costs = f"{takes} cost {show_money(cost, tariff.currency)} a day"
    if earned <= 0:
        return f"No, if you look at money alone: {costs}, and it earned {got}. What it seeds is still a gift."
    if worth is None:
        even = _nearest(cost * MILLION_BTT, earned)
        return (
            f"That depends: {costs}, and it earned {got}; it is worth it where a million BTT are worth "
            f"{show_money(even, tariff.currency)}. Set energy.btt_price to what they are."
        )
    brings = f"the {_amount(earned)} of the last day are worth {show_money(worth, tariff.currency)}"
    unsure = power.source == "model" and abs(worth - cost) * 100 <= cost * FEW_PERCENT
    if unsure:
        return f"Hard to say: {costs}, and {brings}; measure its power, and tell it as energy.watts."
    if worth >= cost:
        return f"Yes: {costs}, and {brings}."
    return f"No, if you look at money alone: {costs}, and {brings}. What it seeds for free is a gift."


_ABOUT: dict[Source, str] = {"plug": "", "ups": "", "told": "", "model": "about ", "unknown": ""}


def _amount(earned: MicroBtt) -> str:
    return f"{show_btt(earned)} BTT"


def _board(board: str, x86: bool) -> tuple[int, int] | None:
    name = board.lower()
    for part, idle, full in _BOARDS_MW:
        if part in name:
            return idle, full
    return _X86_MW if x86 else None


def _nearest(value: int, by: int) -> int:
    return (2 * value + by) // (2 * by)
