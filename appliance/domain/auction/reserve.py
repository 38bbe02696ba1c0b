"""The seller's reserve price: it follows demand, so that no uplink stays empty for the sake of a price."""

from dataclasses import dataclass, replace

from appliance.core.units import MicroBttPerMib

UP, DOWN = 50_000, 100_000
"""Ppm by which it rises in a round whose slots were all sold above it, and falls where slots stayed empty."""
ONE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """The reserve of one box."""

    price: MicroBttPerMib
    floor: MicroBttPerMib
    ceiling: MicroBttPerMib
    adaptive: bool = True
    """False: the owner has posted a price, and it stays."""


def after(reserve: Reserve, *, slots: int, sold: int, waiting: int, clearing: MicroBttPerMib) -> Reserve:
    """The reserve after a round: `sold` of `slots`, with `waiting` bids that did not win.

    Bids below the reserve do not count, so one that is refused for it looks like no demand; where slots
    stay empty the reserve falls until somebody takes them.
    """
    if not reserve.adaptive or not slots:
        return reserve
    price = reserve.price
    if sold < slots:
        return _at(reserve, price - max(1, price * DOWN // ONE))
    if waiting and clearing > price:
        return _at(reserve, min(price + max(1, price * UP // ONE), clearing))
    return reserve


def _at(reserve: Reserve, price: int) -> Reserve:
    return limited(replace(reserve, price=MicroBttPerMib(price)))


def limited(reserve: Reserve) -> Reserve:
    """The reserve with its price within the floor and the ceiling."""
    held = max(reserve.floor, min(reserve.ceiling, reserve.price))
    return replace(reserve, price=MicroBttPerMib(held))
