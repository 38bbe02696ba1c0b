"""Months of weather for one box, decided by the code that decides in the box.

What is simulated is only what is outside of that code: a Raspberry Pi 4 in a case without a fan under a roof,
a sensor that is not exact and at times does not answer, an internet provider that counts more than the
payload, dear hours, and how much is asked for at which hour.

The same days are lived by an oracle beside it: it knows the true temperature and what each moment of
sending adds to it, the whole month's demand, and what the provider counts; it changes its rate whenever it
likes. What it sends within the same bounds (hard temperature, cap, share of dear hours) is what can be
achieved.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from appliance.core.config import LimitsConfig
from appliance.core.units import GIB, Bytes, MonoNs, UtcMs
from appliance.domain.governor.cap import month_of
from appliance.domain.governor.model import GovernorMoment, GovernorState
from appliance.domain.governor.policy import decide
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.governor.spans import parse_spans
from appliance.services.machine.limits import configured_limits

ZONE = ZoneInfo("Europe/Berlin")
WANTED = configured_limits(LimitsConfig(), Bytes(4 * GIB))
COUNTED = 1.04
"""Bytes that the provider counts for one of payload: headers and acknowledgements."""

# A bare Pi 4 stands 28 K above the room when idle (2.7 W), and some 50 K when it sends and hashes at full
# rate (4.4 W); the case follows in a quarter of an hour, the chip itself at once.
IDLE_W, FULL_W = 2.7, 1.7
CASE_K_W, CHIP_K_W = 8.5, 1.8
TAU_S = 900.0
"""Time constant of the case."""
LATEST_S = 300.0
"""A third of it: so long may the chip be above the hard limit, once it has got there."""


@dataclass(frozen=True)
class World:
    """One summer."""

    seed: int = 1
    start: datetime = datetime(2026, 6, 10, tzinfo=ZONE)
    days: int = 92
    step_s: int = 60
    uplink: int = 2_500_000
    """Bytes a second."""
    busy: float = 0.62
    """Mean demand, of the uplink."""
    hot: float = 31.0
    """Mean of the day's highest temperature under the roof, °C; heat waves are 12 K above."""
    settings: GovernorSettings = field(default_factory=lambda: GovernorSettings(zone=ZONE))


@dataclass
class Outcome:
    """What has come of it."""

    sent: int = 0
    achievable: int = 0
    hot_sent: int = 0
    """While heat bounds the oracle as well."""
    hot_achievable: int = 0
    months: list[tuple[int, int]] = field(default_factory=list)
    """(bytes that the provider counted, the cap) of each of the cap's months."""
    hottest: float = 0.0
    longest_s: float = 0.0
    """That the true temperature was above the hard limit at once."""
    hot_s: float = 0.0
    """That heat throttled the box."""
    changes: list[float] = field(default_factory=list)
    """Seconds since the start."""

    @property
    def share(self) -> float:
        """Of what could be achieved."""
        return self.sent / self.achievable

    @property
    def hot_share(self) -> float:
        """Of what could be achieved while it was too hot to send all."""
        return self.hot_sent / self.hot_achievable if self.hot_achievable else 1.0

    @property
    def cap_kept(self) -> bool:
        """In every month."""
        return all(not cap or counted <= cap for counted, cap in self.months)

    @property
    def temperature_kept(self) -> bool:
        """Never above the hard limit for longer than the case needs to cool."""
        return self.longest_s <= LATEST_S

    @property
    def restless(self) -> int:
        """The most changes of the limits within any hour."""
        return most_in_an_hour(self.changes)


def most_in_an_hour(times: list[float]) -> int:
    """How many of these moments, in seconds, lie within any one hour."""
    most = first = 0
    for number, now in enumerate(times):
        while now - times[first] >= 3_600:
            first += 1
        most = max(most, number - first + 1)
    return most


def attic(seed: int = 1) -> World:
    """Heat alone."""
    return World(seed=seed)


def heat_wave(seed: int = 1) -> World:
    """Heat alone, and so hot that on most days it bounds what anybody could send."""
    return World(seed=seed, hot=38.0, days=31)


def capped(seed: int = 1) -> World:
    """A cap that is a third less than what is asked for, and a cool cellar."""
    settings = GovernorSettings(zone=ZONE, month_cap=Bytes(2_500 * GIB), cap_counts="upload", cap_day=10)
    return World(seed=seed, hot=18.0, settings=settings)


def tariff(seed: int = 1) -> World:
    """Power is cheap at night and at noon."""
    cheap = parse_spans("cheap_hours", ("22:00-06:00", "12:00-15:00"))
    return World(seed=seed, hot=18.0, settings=GovernorSettings(zone=ZONE, cheap=cheap, dear_percent=25))


def everything(seed: int = 1) -> World:
    """All three together: what may be sent in cheap hours is more than the cap in some months."""
    both = tariff(seed).settings
    settings = replace(both, month_cap=Bytes(2_000 * GIB), cap_counts="upload", cap_day=10)
    return replace(attic(seed), settings=settings)


@dataclass
class _Board:
    """One node for the case, and the chip on it."""

    case: float

    def chip(self, share: float) -> float:
        """True temperature of the chip while it sends `share` of the uplink."""
        return self.case + CHIP_K_W * (IDLE_W + FULL_W * share)

    def go_on(self, air: float, share: float, seconds: float) -> None:
        """Let time pass."""
        end = air + CASE_K_W * (IDLE_W + FULL_W * share)
        self.case = end + (self.case - end) * math.exp(-seconds / TAU_S)


@dataclass(frozen=True)
class _Weather:
    """A moment: °C under the roof, demand in bytes a second."""

    at: UtcMs
    seconds: int
    air: float
    demand: int


def _days(world: World) -> Iterator[_Weather]:
    chance = random.Random(world.seed)
    start = int(world.start.timestamp())
    wave = drift = 0.0
    for number in range(world.days * 86_400 // world.step_s):
        seconds = number * world.step_s
        local = datetime.fromtimestamp(start + seconds, ZONE)
        hour = local.hour + local.minute / 60
        if number % (86_400 // world.step_s) == 0:
            wave = 0.75 * wave + chance.gauss(0, 4.5)
        drift = 0.995 * drift + chance.gauss(0, 0.012)
        high = world.hot + max(-14.0, min(14.0, wave))
        # A roof is hottest at five in the afternoon, and 14 K cooler before sunrise.
        air = high - 7 + 7 * math.cos((hour - 17) / 24 * 2 * math.pi)
        evening = 1 + 0.55 * math.cos((hour - 20.5) / 24 * 2 * math.pi) + drift
        demand = world.uplink * max(0.02, world.busy * evening * chance.uniform(0.8, 1.2))
        yield _Weather(UtcMs((start + seconds) * 1_000), seconds, air, round(min(demand, world.uplink)))


def _sensor(chance: random.Random, chip: float) -> int | None:
    """What the board says: noise, steps of 0.487 K, rarely nothing and rarely nonsense."""
    luck = chance.random()
    if luck < 0.01:
        return None
    if luck < 0.01001:
        return 85_000
    return round(round((chip + chance.gauss(0, 0.6)) / 0.487) * 487)


def simulate(world: World) -> Outcome:
    """Live through it."""
    weather = list(_days(world))
    could, achievable = _oracle(world, weather)
    one = Outcome(achievable=achievable)
    chance = random.Random(-world.seed)
    board, state, sent, counted = _Board(weather[0].air + 25), GovernorState(), 0, 0
    uplink, above, month = 0.0, 0.0, month_of(weather[0].at, world.settings.cap_day, ZONE)
    for now, (best, hot) in zip(weather, could, strict=True):
        if now.at >= month.end:
            one.months.append((round(counted * COUNTED), world.settings.month_cap))
            counted, month = 0, month_of(now.at, world.settings.cap_day, ZONE)
        rate = sent // world.step_s
        uplink = max(uplink * (1 - world.step_s / 86_400), rate)
        said = _sensor(chance, board.chip(rate / world.uplink))
        readings = Readings(at=now.at, temperature_mc=said, month_up=counted, up_rate=rate)
        moment = GovernorMoment(
            at=now.at, mono=MonoNs(now.seconds * 10**9), wanted=WANTED, uplink=round(uplink)
        )
        state, decision = decide(world.settings, state, readings, moment)
        if decision.changed:
            one.changes.append(now.seconds)
        limits = decision.limits
        rate = min(now.demand, limits.upload_rate or world.uplink) if limits.sending else 0
        sent = rate * world.step_s
        one.sent += sent
        counted += sent
        if hot:
            one.hot_sent += sent
            one.hot_achievable += best * world.step_s
        board.go_on(now.air, rate / world.uplink, world.step_s)
        chip = board.chip(rate / world.uplink)
        above = above + world.step_s if chip > world.settings.heat_hard / 1_000 else 0.0
        one.hottest, one.longest_s = max(one.hottest, chip), max(one.longest_s, above)
        one.hot_s += world.step_s * any(reason.rule == "heat" for reason in decision.throttles)
    one.months.append((round(counted * COUNTED), world.settings.month_cap))
    return one


def _oracle(world: World, weather: list[_Weather]) -> tuple[list[tuple[int, bool]], int]:
    """What could be sent: at each moment within heat and tariff, and whether heat bounds it; and in all.

    In all, it is month by month no more than the cap; on which of the days does not matter to it.
    """
    hard, board = world.settings.heat_hard / 1_000, _Board(weather[0].air + 25)
    months, end, spans = [0], month_of(weather[0].at, world.settings.cap_day, ZONE).end, world.settings.cheap
    could = []
    for now in weather:
        if now.at >= end:
            months.append(0)
            end = month_of(now.at, world.settings.cap_day, ZONE).end
        local = datetime.fromtimestamp(now.at // 1_000, ZONE)
        dear = spans and not any(span.holds(60 * local.hour + local.minute) for span in spans)
        may = world.uplink * world.settings.dear_percent // 100 if dear else world.uplink
        cool = round(world.uplink * _coolest(board, now.air, hard, world.step_s))
        rate = min(now.demand, may, cool)
        could.append((rate, cool < min(now.demand, may)))
        board.go_on(now.air, rate / world.uplink, world.step_s)
        months[-1] += rate * world.step_s
    cap = world.settings.month_cap / COUNTED if world.settings.month_cap else math.inf
    return could, round(sum(min(cap, month) for month in months))


def _coolest(board: _Board, air: float, hard: float, seconds: float) -> float:
    """The largest share of the uplink with which the chip does not pass `hard` within this time."""
    left = math.exp(-seconds / TAU_S)
    # chip = left * case + (1 - left) * (air + CASE * (IDLE + FULL * share)) + CHIP * (IDLE + FULL * share)
    still = left * board.case + (1 - left) * (air + CASE_K_W * IDLE_W) + CHIP_K_W * IDLE_W
    gain = FULL_W * ((1 - left) * CASE_K_W + CHIP_K_W)
    return max(0.0, min(1.0, (hard - still) / gain))
