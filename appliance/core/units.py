"""Units of measure as types, so that bytes are never added to milliseconds, and how people read them."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import NewType

from appliance.core.errors import OwnerMustAct

Bytes = NewType("Bytes", int)
BytesPerSecond = NewType("BytesPerSecond", int)
UtcMs = NewType("UtcMs", int)
"""Milliseconds since 1970-01-01 UTC: for people. It may jump by years; nothing is decided by it."""
MonoNs = NewType("MonoNs", int)
"""Nanoseconds of the monotonic clock: for every decision about time."""

MicroBtt = NewType("MicroBtt", int)
"""10^-6 BTT, the only form of money inside the box: int64, never a float."""
MicroBttPerMib = NewType("MicroBttPerMib", int)
"""A price of traffic."""

MOST_MONEY = MicroBtt(2**63 - 1)
"""The largest int64; all BTT of the TRC-10 token are 9.9 * 10^17 µBTT."""
BTT = MicroBtt(1_000_000)
BTT_DIGITS = 6

KIB = 1024
MIB = 1024**2
GIB = 1024**3

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def show_bytes(count: int) -> str:
    """Bytes for people, three significant digits: `1.42 GiB`."""
    value, size = float(count), 0
    while abs(value) >= 999.5 and size < len(_SIZES) - 1:
        value /= KIB
        size += 1
    if size == 0:
        return f"{count} B"
    return f"{value:.{_decimals(abs(value))}f} {_SIZES[size]}"


def _decimals(value: float) -> int:
    """Decimals that make three significant digits of a number below 1,000."""
    return 2 if value < 9.995 else 1 if value < 99.95 else 0


def show_rate(rate: int) -> str:
    """Bytes per second for people: `1.42 MiB/s`."""
    return f"{show_bytes(rate)}/s"


def parse_btt(text: str) -> MicroBtt:
    """An amount as people write it, such as `1.5` or `0.000001`, exactly. Raises OwnerMustAct."""
    found = re.fullmatch(r"([0-9]{1,13})(?:\.([0-9]{1,6}))?", text.strip())
    if not found:
        raise OwnerMustAct(
            f'"{text.strip()[:40]}" is not an amount of BTT. Write digits, at most {BTT_DIGITS} after '
            "the point."
        )
    whole, part = found.group(1), found.group(2) or ""
    amount = int(whole) * BTT + int(part.ljust(BTT_DIGITS, "0"))
    if amount > MOST_MONEY:
        raise OwnerMustAct(f"{text.strip()} BTT is more than there is.")
    return MicroBtt(amount)


def show_btt(amount: MicroBtt) -> str:
    """An amount for people, exactly: `1.5`, `-0.000001`."""
    whole, part = divmod(abs(amount), BTT)
    shown = f"{whole}.{part:0{BTT_DIGITS}}".rstrip("0").rstrip(".")
    return f"-{shown}" if amount < 0 else shown


def parse_price(text: str) -> MicroBttPerMib:
    """A price as people write it, in BTT/GiB, to the nearest µBTT/MiB. Raises OwnerMustAct."""
    amount = parse_btt(text)
    price = price_of(Decimal(amount) / BTT)
    if not price and amount:
        raise OwnerMustAct(f"{text.strip()} BTT/GiB is below the lowest possible price, 0.001 BTT/GiB.")
    return price


def price_of(btt_per_gib: Decimal) -> MicroBttPerMib:
    """The price inside the box of one in BTT/GiB, to the nearest µBTT/MiB."""
    return MicroBttPerMib(int((btt_per_gib * BTT * MIB / GIB).to_integral_value(ROUND_HALF_UP)))


def btt_per_gib(price: MicroBttPerMib) -> Decimal:
    """A price in BTT/GiB, exactly."""
    return Decimal(price) * GIB / MIB / BTT


def show_price(price: MicroBttPerMib) -> str:
    """A price for people, in BTT/GiB: the shortest number that stands for it, and so what its owner typed."""
    exact = btt_per_gib(price)
    for digits in range(BTT_DIGITS):
        shown = round(exact, digits)
        if price_of(shown) == price:
            return f"{shown:f}"
    return f"{exact.normalize():f}"


def plural(count: int, noun: str, several: str = "") -> str:
    """A count and its noun: `1 torrent`, `2 torrents`; `several` is the plural that is not noun + s."""
    return f"{count} {noun if count == 1 else several or noun + 's'}"


def show_span(seconds: int) -> str:
    """A span of time in its two largest units: `3 d 4 h`."""
    parts: list[str] = []
    rest = max(0, seconds)
    for length, name in _SPANS:
        count, rest = divmod(rest, length)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {name}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 ")) or "0 s"


def in_thousandths(amount: Decimal) -> int:
    """An amount of a currency in thousandths of it, to the nearest."""
    return int((amount * 1_000).to_integral_value(ROUND_HALF_UP))


def show_money(thousandths: int, currency: str) -> str:
    """Money for people: `1.25 EUR`, with a third digit below a tenth."""
    if abs(thousandths) < 100:
        return f"{'-' if thousandths < 0 else ''}0.{abs(thousandths):03} {currency}"
    whole, part = divmod(_nearest(abs(thousandths), 10), 100)
    return f"{'-' if thousandths < 0 else ''}{whole}.{part:02} {currency}"


def show_watts(milliwatts: int) -> str:
    """Power for people: `5.2 W`."""
    whole, part = divmod(_nearest(milliwatts, 100), 10)
    return f"{whole}.{part} W"


def _nearest(value: int, by: int) -> int:
    return (2 * value + by) // (2 * by)
