"""The uplink guard's rule: how much may be sent so that nobody else in the house waits for it.

The queue before a home's uplink is often deep: a TCP upload that fills it adds some hundred milliseconds to
everybody's round trips. The rule watches how much longer a round trip takes than when nothing is sent, and
caps the upload: down by a share as soon as it is late, quickly back to nearly what the line was seen to
carry, and from there slowly further (after RFC 6817, LEDBAT, and as cake-autorate does it on routers).
"""

from dataclasses import dataclass, replace

from appliance.core.units import KIB, BytesPerSecond, MonoNs

FLOOR = BytesPerSecond(16 * KIB)
"""It never sends slower than this: peers must not take it for dead."""

_SECOND = 1_000_000_000
_NEVER, _NOTHING = MonoNs(0), BytesPerSecond(0)
_SETTLE = 3 * _SECOND
"""What a cut does shows after the queue has drained and the probes' median has followed."""
_HOLD = 180 * _SECOND
"""How long a cap stands when round trips are no longer known."""
_STEADY = 120 * _SECOND
"""So long at the floor, with a round trip that stays longer but steady: the way itself has become longer."""
_UNUSED = 600 * _SECOND
"""A cap that was not reached for so long is taken away."""
_SHOW, _HIDE = 10 * _SECOND, 1_200 * _SECOND
"""Only what lasts is shown to the owner: on three times an hour at most, and off as often."""

_MILLION = 1_000_000
_LEAST_CUT, _CUT_PER_TARGET, _MOST_CUT = 80_000, 40_000, 500_000
"""ppm: a cut when the delay is at its target, more for each further target, and at most."""
_NEAR = 950_000
"""ppm of what the line carried last: up to there it recovers at once."""
_BACK, _SLOW, _FAST = 100_000, 3_000, 80_000
"""ppm a second: back to there; beyond, at first; and beyond, once that went well for long."""
_FASTER_AFTER = 10 * _SECOND
"""It grows with the square of the time, in these: slowly where the line was late, fast where it no longer is
(after RFC 9438, CUBIC)."""
_RELEASE = 10_000
"""ppm a second, when round trips are no longer known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeLineReading:
    """The home line at one moment."""

    now: MonoNs
    latency_us: int | None
    """Round trip now, median of the last probes; None: not known."""
    base_us: int | None
    """The same when nothing is sent; None: not known."""
    up_rate: BytesPerSecond
    """What the box sends."""
    wanted: BytesPerSecond
    """What its other limits allow; 0 means unlimited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkState:
    """What the rule remembers."""

    cap: BytesPerSecond | None = None
    """The upload's cap; None: none is needed."""
    carried: BytesPerSecond = _NOTHING
    """What the line carried when it was late last; 0: it never was."""
    rebase_us: int | None = None
    """The least round trip of a way that has become longer than the last hour's least."""
    at: MonoNs = _NEVER
    """The last step."""
    known_at: MonoNs = _NEVER
    """When a round trip was known last."""
    late_at: MonoNs = _NEVER
    """When the line was late last."""
    cut_at: MonoNs | None = None
    most: BytesPerSecond = _NOTHING
    """What the line carried before it was taken for full."""
    used_at: MonoNs = _NEVER
    """When the cap was reached last."""
    floor: tuple[MonoNs, int, int] | None = None
    """(since, least, most) round trip while it could not get less; None: it can."""
    gives_way: bool = False
    """What the owner sees: someone else needs the connection."""
    bound_since: MonoNs | None = None
    """Since when the cap has limited the upload; None: it does not."""
    bound_at: MonoNs = _NEVER
    """When it last limited the upload."""


def decide(
    state: UplinkState, line: HomeLineReading, target_us: int
) -> tuple[UplinkState, BytesPerSecond | None]:
    """The next state and the upload's cap, every half second or so; `target_us` may be added at most."""
    passed = min(line.now - state.at, 5 * _SECOND) if state.at else 0
    state = replace(state, at=line.now)
    if line.latency_us is None or line.base_us is None:
        state = _unknown(state, line, passed)
    else:
        state = _rebased(state, line.latency_us, line.base_us)
        base = max(line.base_us, state.rebase_us or 0)
        state = _known(state, line, line.latency_us - base, target_us, passed)
        state = _at_floor(state, line, line.latency_us, target_us, late=line.latency_us - base > target_us)
    state = _shown(_unused(state, line), line)
    return state, state.cap


def _unknown(state: UplinkState, line: HomeLineReading, passed: int) -> UplinkState:
    """Nobody knows: the last cap stands for some minutes, then it is let go slowly."""
    if state.cap is None or line.now - state.known_at < _HOLD:
        return state
    cap = _grown(state.cap, _RELEASE, passed)
    gone = cap > 4 * max(state.carried, FLOOR) or 0 < line.wanted <= cap
    return replace(state, cap=None if gone else cap)


def _known(state: UplinkState, line: HomeLineReading, delay: int, target: int, passed: int) -> UplinkState:
    state = replace(state, known_at=line.now)
    if delay > target:
        return _late(state, line, delay, target)
    if state.cap is None or 2 * delay > target or not _used(state, line):
        return state
    return replace(state, cap=_recovered(state, state.cap, line.now, passed))


def _recovered(state: UplinkState, cap: BytesPerSecond, now: MonoNs, passed: int) -> BytesPerSecond:
    """The next cap of a line that is not late: quickly up to nearly what it carried, beyond that slowly."""
    if cap * _MILLION < state.carried * _NEAR:
        near = BytesPerSecond(state.carried * _NEAR // _MILLION + 1)
        return min(_grown(cap, _BACK, passed), near)
    well = (now - state.late_at) * 1_000 // _FASTER_AFTER
    return _grown(cap, min(_FAST, _SLOW + _SLOW * well * well // _MILLION), passed)


def _settling(state: UplinkState, line: HomeLineReading) -> bool:
    """Whether the last cut has yet to show."""
    return state.cut_at is not None and line.now - state.cut_at < _SETTLE


def _late(state: UplinkState, line: HomeLineReading, delay: int, target: int) -> UplinkState:
    """Others wait: less, unless the last cut has yet to show, or the box sends nearly nothing anyway."""
    state = replace(state, late_at=line.now)
    sending = line.up_rate if state.cap is None else min(state.cap, line.up_rate)
    if _settling(state, line) or sending <= FLOOR:
        return state
    cut = _LEAST_CUT + _CUT_PER_TARGET * (delay - target) // target
    most = BytesPerSecond(max(sending, state.most * 63 // 64))
    if state.cap is None:
        # Much of what was counted as sent waits in the kernel's buffers, which have just been filled.
        cap = _less(sending, 2 * min(_MOST_CUT, cut))
        return replace(state, cap=cap, carried=cap, most=most, cut_at=line.now)
    # A neighbour's short burst does not make a narrow line of a wide one.
    carried = BytesPerSecond(max(sending, state.carried * 7 // 8))
    return replace(state, cap=_less(sending, cut), carried=carried, most=most, cut_at=line.now)


def _less(rate: int, cut: int) -> BytesPerSecond:
    """`rate` without a cut of so many ppm; never below the floor."""
    return BytesPerSecond(max(FLOOR, rate * (_MILLION - min(_MOST_CUT, cut)) // _MILLION))


def _rebased(state: UplinkState, latency: int, base: int) -> UplinkState:
    """A longer way is forgotten as it becomes shorter again."""
    if state.rebase_us is None:
        return state
    least = min(state.rebase_us, latency)
    return replace(state, rebase_us=least if least > base else None)


def _at_floor(
    state: UplinkState, line: HomeLineReading, latency: int, target: int, *, late: bool
) -> UplinkState:
    """A round trip that stays late, and steady, though nearly nothing is sent, is the way's own.

    A neighbour's upload is not taken for it: TCP's window, and so the queue, rises and falls by a third.
    """
    if not late or line.up_rate > 2 * FLOOR:
        return replace(state, floor=None)
    return _held_at_floor(state, line, latency, target)


def _held_at_floor(state: UplinkState, line: HomeLineReading, latency: int, target: int) -> UplinkState:
    since, least, most = state.floor or (line.now, latency, latency)
    least, most = min(least, latency), max(most, latency)
    if most - least > target:
        return replace(state, floor=(line.now, latency, latency))
    if line.now - since < _STEADY:
        return replace(state, floor=(since, least, most))
    # What was cut was cut in error.
    return replace(state, floor=None, rebase_us=least, carried=state.most)


def _used(state: UplinkState, line: HomeLineReading) -> bool:
    return state.cap is not None and 4 * line.up_rate >= 3 * state.cap


def _unused(state: UplinkState, line: HomeLineReading) -> UplinkState:
    if state.cap is None or _used(state, line) or not state.used_at:
        return replace(state, used_at=line.now)
    return state if line.now - state.used_at < _UNUSED else replace(state, cap=None)


def _shown(state: UplinkState, line: HomeLineReading) -> UplinkState:
    """What the owner sees: only what lasts."""
    if _binds(state, line):
        return _bound(state, line)
    pause = line.now - state.bound_at
    # A pause of a moment, as when a peer's turn ends, does not count.
    since = state.bound_since if pause < _SETTLE else None
    return replace(state, bound_since=since, gives_way=state.gives_way and pause < _HIDE)


def _bound(state: UplinkState, line: HomeLineReading) -> UplinkState:
    began = line.now if state.bound_since is None else state.bound_since
    shown = state.gives_way or line.now - began >= _SHOW
    return replace(state, bound_since=began, bound_at=line.now, gives_way=shown)


def _binds(state: UplinkState, line: HomeLineReading) -> bool:
    """Whether the cap holds the upload back, and no other limit does."""
    return state.cap is not None and _used(state, line) and not 0 < line.wanted <= state.cap


def _grown(rate: int, ppm: int, passed: int) -> BytesPerSecond:
    """`rate` after it has risen by `ppm` a second for `passed` nanoseconds; by a byte at least."""
    return BytesPerSecond(rate + max(1, rate * ppm * passed // (_MILLION * _SECOND)))
