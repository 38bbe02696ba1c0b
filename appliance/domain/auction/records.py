"""What the buyer remembers of sellers: whom to prefer, and whom to leave alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.core.keys import Address
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, UtcMs
from appliance.domain.auction.lease import CREDIT

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class SellerRecord:
    """All dealings with one seller so far."""

    received: int = 0
    """Bytes in leases."""
    paid: MicroBtt = MicroBtt(0)
    seen: UtcMs = UtcMs(0)
    shunned: UtcMs = UtcMs(0)
    """Until when nothing is bid there."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Misconduct:
    """Why a seller is left alone, and for how long (ms)."""

    why: str
    ms: int


SILENT = Misconduct("its slot was won, and nothing came", HOUR_MS)
LIED = Misconduct("it lied about a round's price or its draw", 24 * HOUR_MS)
METER = Misconduct("it charged for more than it sent", 24 * HOUR_MS)
BAD_DATA = Misconduct("what it sent failed its check", 24 * HOUR_MS)


def cost(record: SellerRecord, price: MicroBttPerMib) -> int:
    """What a GiB from a seller really costs, in µBTT: as measured, once enough was bought from it."""
    asked = price * 1_024
    if record.received < CREDIT:
        return asked
    return max(asked, record.paid * 1_024 * MIB // record.received)


def rank(
    offers: Mapping[Address, MicroBttPerMib], records: Mapping[Address, SellerRecord], now: UtcMs
) -> list[Address]:
    """Sellers, the cheapest by measure first; those that are shunned are left out."""
    known = {one: records.get(one, SellerRecord()) for one in offers}
    fit = [one for one in offers if known[one].shunned <= now]
    return sorted(fit, key=lambda one: (cost(known[one], offers[one]), one))


def dealt(
    record: SellerRecord, received: int, paid: MicroBtt, now: UtcMs, wrong: Misconduct | None = None
) -> SellerRecord:
    """A record after more dealings."""
    shunned, why = record.shunned, record.why
    if wrong:
        shunned, why = UtcMs(now + wrong.ms), wrong.why
    return SellerRecord(record.received + received, MicroBtt(record.paid + paid), now, shunned, why)
