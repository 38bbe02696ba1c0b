"""An ease: why the box does less than it could, and how much less; and what all eases together leave."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.core.units import KIB, BytesPerSecond, UtcMs
from appliance.domain.governor.limits import Limits

ONE = 1_000_000
"""1 in ppm."""
LEAST_UPLOAD = 2 * KIB
"""Bytes a second: below this, peers give up and nothing is gained."""
LEAST_CONNECTIONS = 10


class Rule(StrEnum):
    """What may ease the box."""

    HEAT = "heat"
    UNDER_VOLTAGE = "under-voltage"
    UPS = "ups"
    IO = "io"
    MEMORY = "memory"
    ROOM = "room"
    CAP = "cap"
    TARIFF = "tariff"
    QUIET = "quiet"
    COURTESY = "courtesy"

    @property
    def short(self) -> str:
        """The reason for those who pay, who need not know the owner's house."""
        return _SHORT[self]


_SHORT = {
    Rule.HEAT: "it is too hot",
    Rule.UNDER_VOLTAGE: "its power supply is too weak",
    Rule.UPS: "it runs on battery",
    Rule.IO: "its disks are overloaded",
    Rule.MEMORY: "it is short of memory",
    Rule.ROOM: "its disks are full",
    Rule.CAP: "its data allowance is short",
    Rule.TARIFF: "its power is dear at this hour",
    Rule.QUIET: "its disks rest at this hour",
    Rule.COURTESY: "others use its line",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What is taken away; as it is built, nothing."""

    upload_ppm: int = ONE
    """Of what the box would send: its upload limit, or what its uplink can do."""
    upload: int | None = None
    """Bytes a second at most; None: no such bound."""
    download: int | None = None
    connections_ppm: int = ONE
    slots_ppm: int = ONE
    sending: bool = True
    writing: bool = True
    checking: bool = True
    new_work: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ease:
    """One reason, and what it takes away."""

    rule: Rule
    says: str
    """One sentence for the owner, with the figure that matters."""
    cut: Cut
    kept: "Ease | None" = None
    """What an owner's override leaves of it, as otherwise box, data or a bill would come to harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """An ease as it is told: since when, and whether an override leaves it."""

    rule: Rule
    says: str
    since: UtcMs
    kept: bool = False


def strictest(cuts: Iterable[Cut]) -> Cut:
    """The least that any of them leaves of each thing."""
    total = Cut()
    for cut in cuts:
        total = Cut(
            upload_ppm=min(total.upload_ppm, cut.upload_ppm),
            upload=_least(total.upload, cut.upload),
            download=_least(total.download, cut.download),
            connections_ppm=min(total.connections_ppm, cut.connections_ppm),
            slots_ppm=min(total.slots_ppm, cut.slots_ppm),
            sending=total.sending and cut.sending,
            writing=total.writing and cut.writing,
            checking=total.checking and cut.checking,
            new_work=total.new_work and cut.new_work,
        )
    return total


def eased(wanted: Limits, cut: Cut, base: int) -> Limits:
    """What is left of `wanted`. `base`: bytes a second that the box would send without any cut.

    Where nothing is to be sent, the rate is one byte a second as well, since 0 would be unlimited.
    """
    bounds = [] if cut.upload is None else [cut.upload]
    if cut.upload_ppm < ONE:
        bounds.append(base * cut.upload_ppm // ONE)
    upload = wanted.upload_rate
    if bounds:
        bound = max(LEAST_UPLOAD, min(bounds))
        upload = BytesPerSecond(min(upload, bound) if upload else bound)
    if not cut.sending:
        upload = BytesPerSecond(1)
    download = wanted.download_rate
    if cut.download is not None:
        bound = max(LEAST_UPLOAD, cut.download)
        download = BytesPerSecond(min(download, bound) if download else bound)
    connections = max(LEAST_CONNECTIONS, wanted.connections * cut.connections_ppm // ONE)
    return replace(
        wanted,
        upload_rate=upload,
        download_rate=download,
        connections=min(wanted.connections, connections),
        upload_slots=max(1, wanted.upload_slots * cut.slots_ppm // ONE),
        sending=wanted.sending and cut.sending,
        writing=wanted.writing and cut.writing,
        checking=wanted.checking and cut.checking,
        new_work=wanted.new_work and cut.new_work,
    )


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
