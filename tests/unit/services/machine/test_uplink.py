"""The uplink guard, played on a line of numbers: a queue, its capacity, and a noisy round trip."""

import asyncio
import random
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.adapters.engine.pacing import even_settings
from appliance.adapters.engine.settings import engine_settings
from appliance.core.config import GovernorConfig, LimitsConfig, NetworkConfig
from appliance.core.units import GIB, Bytes, BytesPerSecond, MonoNs
from appliance.domain.governor.uplink import FLOOR, HomeLineReading, UplinkState, decide
from appliance.services.machine.limits import configured_limits
from appliance.services.machine.uplink import UplinkGuard, UplinkGuardPorts
from tests.support.clock import FakeClock

TARGET = 20_000
RAM = Bytes(GIB)
CAPACITY = 1_250_000
SECOND = 1_000_000_000
TICK = SECOND // 2


@dataclass
class Home:
    """A home line with a queue of 200 ms: what is sent beyond its capacity waits there, or is lost."""

    capacity: int = CAPACITY
    base_us: int = 12_000
    neighbour: Callable[[float], int] = lambda seconds: 0
    """Bytes a second that somebody else sends, by the time."""
    demand: int = 10 * CAPACITY
    wanted: int = 0
    noise: Callable[[random.Random], int] = lambda chance: 0
    """Microseconds that a single round trip takes longer by chance, as on Wi-Fi."""
    seen: Callable[[float], bool] = lambda seconds: True
    state: UplinkState = field(default_factory=UplinkState)
    now: int = SECOND
    queue: float = 0
    least_us: int = 12_000
    """The probe's base: the least median of the last hour."""
    sent: list[float] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    switches: int = 0

    def play(self, seconds: float) -> None:
        """Let time go on, in steps of a twentieth of a second; probe and rule come twice a second."""
        chance = random.Random(7)
        probes: deque[int] = deque([self.base_us] * 5, maxlen=5)
        rates: deque[float] = deque(maxlen=30)
        self.sent.clear()
        self.delays_ms.clear()
        for tick in range(round(seconds * 20)):
            allowed = min(self.demand, self.state.cap or self.demand, self.wanted or self.demand)
            others = self.neighbour(self.now / SECOND)
            # Where both want more than there is, each gets its share, as of TCP.
            through = min(allowed, max(self.capacity - others, self.capacity * allowed // (allowed + others)))
            excess = allowed + others - self.capacity
            self.queue = min(self.capacity / 5, max(0, self.queue + excess / 20))
            rates.append(through)
            self.sent.append(through)
            self.delays_ms.append(self.queue / self.capacity * 1000)
            self.now += SECOND // 20
            if tick % 10 == 0:
                self._look(probes, chance, round(statistics.fmean(rates)))

    def _look(self, probes: deque[int], chance: random.Random, rate: int) -> None:
        probes.append(self.base_us + round(self.queue * 1e6 / self.capacity) + self.noise(chance))
        known = self.seen(self.now / SECOND)
        latency = round(statistics.median(probes))
        before = self.state.gives_way
        self.state, _ = decide(
            self.state,
            HomeLineReading(
                now=MonoNs(self.now),
                latency_us=latency if known else None,
                base_us=self.least_us if known else None,
                up_rate=BytesPerSecond(rate),
                wanted=BytesPerSecond(self.wanted),
            ),
            TARGET,
        )
        self.switches += before != self.state.gives_way

    @property
    def share(self) -> float:
        """Of the line, that the box used."""
        return statistics.fmean(self.sent) / self.capacity

    @property
    def delay_ms(self) -> float:
        """Mean of what was added to everybody's round trips."""
        return statistics.fmean(self.delays_ms)


def test_a_full_line_is_left_nearly_empty_and_yet_used() -> None:
    home = Home()
    home.play(30)
    home.play(300)
    assert home.delay_ms <= 15
    assert sorted(home.delays_ms)[len(home.delays_ms) * 95 // 100] <= 40
    assert home.share >= 0.9


def test_within_seconds_of_the_first_delay_the_family_is_alone_again() -> None:
    home = Home()
    home.play(6)
    assert max(home.delays_ms) > 100, "the line was never full"
    home.play(4)
    assert max(home.delays_ms) <= 20


def test_an_upload_that_delays_nobody_has_no_cap() -> None:
    home = Home(demand=CAPACITY // 2)
    home.play(600)
    assert home.state.cap is None
    assert not home.state.gives_way


def test_a_neighbours_upload_is_given_way_to_and_its_end_is_noticed() -> None:
    home = Home(neighbour=lambda seconds: CAPACITY * 7 // 10 if 60 <= seconds < 120 else 0)
    home.play(80)
    home.play(35)
    assert home.delay_ms <= 30
    assert home.share <= 0.32
    home.play(65)
    home.play(60)
    assert home.share >= 0.85


def test_a_neighbour_who_fills_the_line_for_hours_leaves_the_box_its_floor_and_then_everything() -> None:
    def fills(seconds: float) -> int:
        # TCP's window falls by a third when the queue is full, and the queue with it.
        return round(CAPACITY * (1.1 if seconds % 20 < 10 else 0.93)) if 60 <= seconds < 7_200 else 0

    home = Home(neighbour=fills)
    home.play(300)
    home.play(6_000)
    assert home.state.cap is not None
    assert home.state.cap <= 2 * FLOOR
    assert home.share >= 0.9 * FLOOR / CAPACITY
    home.play(900)
    home.play(180)
    home.play(60)
    assert home.share >= 0.85


def wifi(chance: random.Random) -> int:
    """Some milliseconds always, and every tenth time very long."""
    return chance.randrange(6_000) + (chance.randrange(20_000, 150_000) if chance.random() < 0.1 else 0)


def test_noisy_wifi_costs_little_of_the_upload() -> None:
    home = Home(noise=wifi)
    home.play(60)
    home.play(600)
    assert home.share >= 0.85
    assert home.delay_ms <= 20


def test_a_longer_way_is_not_taken_for_a_full_line_for_long() -> None:
    home = Home()
    home.play(60)
    home.base_us += 35_000
    home.play(60)
    assert home.share < 0.5, "nothing was to be relearnt"
    home.play(240)
    home.play(60)
    assert home.share >= 0.85
    home.base_us -= 35_000
    home.play(60)
    home.play(60)
    assert home.share >= 0.85
    assert home.delay_ms <= 20
    assert home.state.rebase_us is None


def test_an_unknown_round_trip_keeps_the_cap_for_minutes_and_then_lets_go_slowly() -> None:
    home = Home()
    home.play(60)
    home.seen = lambda seconds: False
    kept = home.state.cap
    assert kept is not None
    home.play(170)
    assert home.state.cap == kept
    home.play(60)
    assert home.state.cap is not None
    assert kept < home.state.cap < 2 * kept
    home.play(400)
    assert home.state.cap is None


def test_a_cap_that_nobody_reaches_is_taken_away() -> None:
    home = Home()
    home.play(30)
    home.demand = CAPACITY // 10
    home.play(700)
    assert home.state.cap is None


@pytest.mark.parametrize("noise", [lambda chance: 0, wifi])
def test_what_the_owner_sees_changes_six_times_an_hour_at_most(noise: Callable[[random.Random], int]) -> None:
    def comes_and_goes(seconds: float) -> int:
        return CAPACITY * 9 // 10 if seconds % 47 < 20 else 0

    home = Home(neighbour=comes_and_goes, noise=noise)
    for minute in range(240):
        # Peers that take much, and none, by turns.
        home.demand = 10 * CAPACITY if minute % 31 < 7 else 5_000
        home.play(60)
    assert 1 <= home.switches <= 6 * 4


def test_a_limit_below_the_cap_is_never_called_giving_way() -> None:
    home = Home(wanted=CAPACITY // 2)
    home.play(120)
    assert not home.state.gives_way


MOMENTS = st.lists(
    st.tuples(
        st.integers(0, 5 * SECOND),
        st.none() | st.integers(0, 3_000_000),
        st.none() | st.integers(0, 3_000_000),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
    ),
    max_size=60,
)


@given(MOMENTS)
def test_whatever_is_seen_the_cap_never_starves_and_never_rises_while_others_wait(
    moments: list[tuple[int, int | None, int | None, int, int]],
) -> None:
    state, now = UplinkState(), SECOND
    for passed, latency, base, rate, wanted in moments:
        now += passed
        before = state
        line = HomeLineReading(
            now=MonoNs(now),
            latency_us=latency,
            base_us=base,
            up_rate=BytesPerSecond(rate),
            wanted=BytesPerSecond(wanted),
        )
        state, cap = decide(state, line, TARGET)
        assert cap is None or cap >= FLOOR
        late = (
            latency is not None
            and base is not None
            and latency - max(base, state.rebase_us or 0, before.rebase_us or 0) > TARGET
        )
        if late and before.cap is not None and cap is not None:
            assert cap <= before.cap


# ------------------------------------------------------------------------------------------ carried out


@dataclass
class KnownLine:
    """A probe that tells what was set."""

    latency_us: int | None = 10_000
    latency_base_us: int | None = 10_000
    busy: Callable[[], bool] = lambda: False

    async def run(self, busy: Callable[[], bool]) -> None:
        """For ever."""
        self.busy = busy
        await asyncio.Event().wait()


def guard_of(
    config: GovernorConfig,
    probe: KnownLine,
    sent: Callable[[], int],
    caps: list[int | None],
    clock: FakeClock,
) -> UplinkGuard:
    """An uplink guard whose caps are noted."""
    ports = UplinkGuardPorts(
        probe=probe, sent=sent, wanted=lambda: BytesPerSecond(0), set_cap=caps.append, clock=clock
    )
    return UplinkGuard(config, ports)


def test_a_cap_is_put_into_force_only_when_it_moves_by_a_hundredth() -> None:
    clock, probe, sent = FakeClock(), KnownLine(), 0
    caps: list[int | None] = []
    guard = guard_of(GovernorConfig(), probe, lambda: sent, caps, clock)
    for tick in range(120):
        clock.advance(0.5)
        sent += min(CAPACITY, guard.cap or CAPACITY) // 2
        probe.latency_us = 90_000 if 6 <= tick < 9 else 10_000
        guard.tick()
    first, *later = caps
    assert first is not None
    assert first < CAPACITY * 8 // 10
    assert len(later) > 5
    assert all(new >= old * 1.01 for old, new in pairwise(caps))  # type: ignore[operator]


def test_where_it_is_off_nothing_is_capped() -> None:
    clock, probe, sent = FakeClock(), KnownLine(latency_us=900_000), 0
    caps: list[int | None] = []
    off = GovernorConfig(courtesy=False)
    guard = guard_of(off, probe, lambda: sent, caps, clock)
    for _ in range(60):
        clock.advance(0.5)
        sent += CAPACITY // 2
        guard.tick()
    assert caps == []


def test_the_owner_and_the_buyers_hear_of_a_cap_that_lasts_and_not_of_each_seconds() -> None:
    clock, probe, sent = FakeClock(), KnownLine(), 0
    guard = guard_of(GovernorConfig(), probe, lambda: sent, [], clock)
    shown: list[bool] = []
    for tick in range(80):
        clock.advance(0.5)
        sent += min(CAPACITY, guard.cap or CAPACITY) // 2
        probe.latency_us = 90_000 if 6 <= tick < 9 else 10_000
        guard.tick()
        reading = guard.reading()
        assert reading.cap in (None, guard.cap)
        assert (reading.latency_us, reading.base_us) == (probe.latency_us, 10_000)
        if guard.cap:
            shown.append(reading.cap is not None)
    assert shown[:10] == [False] * 10
    assert shown[-1]


def test_the_line_is_looked_at_closely_only_while_the_box_sends() -> None:
    async def play() -> list[bool]:
        clock, probe, sent, seen = FakeClock(), KnownLine(), [0], []
        guard = guard_of(GovernorConfig(), probe, lambda: sent[0], [], clock)
        task = asyncio.create_task(guard.run(lambda: None))
        await asyncio.sleep(0)
        for rate in (0, CAPACITY):
            for _ in range(6):
                clock.advance(0.5)
                sent[0] += rate // 2
                guard.tick()
            await asyncio.sleep(0)
            seen.append(probe.busy())
        task.cancel()
        return seen

    assert asyncio.run(play()) == [False, True]


def test_without_a_cap_the_engine_reads_ahead_as_before() -> None:
    usual = engine_settings(NetworkConfig(), configured_limits(LimitsConfig(), RAM), RAM, "seedbox", "0")
    before = even_settings(0, usual)
    assert before["tick_interval"] == 500
    assert before.items() - {"tick_interval": 500}.items() <= usual.items()
    for rate in (FLOOR, CAPACITY, 100 * CAPACITY):
        eased = even_settings(rate, usual)
        assert eased.keys() == before.keys()
        assert all(16 * 1024 <= eased[key] <= before[key] for key in before if key != "tick_interval")
