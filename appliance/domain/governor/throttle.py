"""Throttles: why the box does less than it could and how much less, and what all of them together leave."""

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


class ThrottleRule(StrEnum):
    """What may throttle the box. The values are stored, and spoken on the control socket."""

    HEAT = "heat"
    UNDER_VOLTAGE = "under-voltage"
    UPS = "ups"
    IO = "io"
    MEMORY = "memory"
    ROOM = "room"
    CAP = "cap"
    TARIFF = "tariff"
    QUIET = "quiet"
    UPLINK = "courtesy"

    @property
    def label(self) -> str:
        """A name for the owner, such as `data allowance`."""
        return _WORDS[self][0]

    @property
    def short(self) -> str:
        """The reason for buyers, who need not know the owner's house."""
        return _WORDS[self][1]


_WORDS = {
    ThrottleRule.HEAT: ("heat", "it is too hot"),
    ThrottleRule.UNDER_VOLTAGE: ("weak power supply", "its power supply is too weak"),
    ThrottleRule.UPS: ("UPS battery", "it is running on battery"),
    ThrottleRule.IO: ("overloaded disks", "its disks are overloaded"),
    ThrottleRule.MEMORY: ("low memory", "it is low on memory"),
    ThrottleRule.ROOM: ("full disks", "its disks are full"),
    ThrottleRule.CAP: ("data allowance", "its data allowance is running low"),
    ThrottleRule.TARIFF: ("expensive hours", "its electricity is expensive right now"),
    ThrottleRule.QUIET: ("quiet hours", "its disks are resting"),
    ThrottleRule.UPLINK: ("others at home", "others are using its connection"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What is taken away; as it is built, nothing."""

    upload_ppm: int = ONE
    """The part that is left of what the box would send: of its upload limit, or of what its uplink can do."""
    upload: int | None = None
    """Bytes a second at most; None: no such bound."""
    download: int | None = None
    connections_ppm: int = ONE
    slots_ppm: int = ONE
    sending: bool = True
    writing: bool = True
    checking: bool = True
    new_work: bool = True

    @property
    def reduces_upload(self) -> bool:
        """Whether less may be sent."""
        return (self.sending, self.upload_ppm, self.upload) != (True, ONE, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """One reason to do less, and what it takes away."""

    rule: ThrottleRule
    says: str
    """One sentence for the owner, with the figure that matters."""
    cut: Cut
    under_override: "Throttle | None" = None
    """What an owner's override leaves of it, as otherwise box, data or a bill would come to harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleReason:
    """A throttle as the owner sees it: since when, and whether an override leaves it."""

    rule: ThrottleRule
    says: str
    since: UtcMs
    kept: bool = False


def always(throttle: Throttle) -> Throttle:
    """The throttle as one that an owner's override does not lift."""
    return replace(throttle, under_override=throttle)


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
            sending=min(total.sending, cut.sending),
            writing=min(total.writing, cut.writing),
            checking=min(total.checking, cut.checking),
            new_work=min(total.new_work, cut.new_work),
        )
    return total


def throttled(wanted: Limits, cut: Cut, base: int) -> Limits:
    """What is left of `wanted`. `base`: bytes a second that the box would send without any cut."""
    connections = max(LEAST_CONNECTIONS, wanted.connections * cut.connections_ppm // ONE)
    return replace(
        wanted,
        upload_rate=_upload(wanted.upload_rate, cut, base),
        download_rate=_bounded(wanted.download_rate, cut.download),
        connections=min(wanted.connections, connections),
        upload_slots=max(1, wanted.upload_slots * cut.slots_ppm // ONE),
        sending=min(wanted.sending, cut.sending),
        writing=min(wanted.writing, cut.writing),
        checking=min(wanted.checking, cut.checking),
        new_work=min(wanted.new_work, cut.new_work),
    )


def _upload(rate: BytesPerSecond, cut: Cut, base: int) -> BytesPerSecond:
    """Bytes a second; one where nothing is to be sent, since 0 would be unlimited."""
    if not cut.sending:
        return BytesPerSecond(1)
    share = base * cut.upload_ppm // ONE if cut.upload_ppm < ONE else None
    return _bounded(rate, _least(cut.upload, share))


def _bounded(rate: BytesPerSecond, bound: int | None) -> BytesPerSecond:
    """A rate, 0 for unlimited, under a bound; None: under none."""
    if bound is None:
        return rate
    most = max(LEAST_UPLOAD, bound)
    return BytesPerSecond(min(rate or most, most))


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
