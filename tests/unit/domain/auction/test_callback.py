"""When bidders are called back."""

from appliance.core.units import MonoNs
from appliance.domain.auction.callback import CallBacks
from appliance.domain.auction.lanes import Reconnect

ONE, OTHER = (Reconnect(ip, "t", 6_881) for ip in ("10.0.0.1", "10.0.0.2"))
SECOND = 1_000_000_000


def at(seconds: float) -> MonoNs:
    return MonoNs(round(seconds * SECOND))


def test_a_holder_that_is_missing_is_called_at_once_then_every_second_then_less_often() -> None:
    calls = CallBacks()
    when = [second for second in range(60) if calls.due([ONE], (), at(second))]
    assert when[:20] == list(range(20))
    assert when[20:] == list(range(24, 60, 5))


def test_one_that_was_just_cut_and_called_has_a_second_to_answer() -> None:
    calls = CallBacks()
    calls.called([ONE], at(0))
    assert not calls.due([ONE], (), at(0.5))
    assert calls.due([ONE], (), at(1)) == [ONE]
    assert not calls.due([ONE], {ONE.ip}, at(2)), "it is there"


def test_one_that_was_cut_and_has_lost_its_lane_is_called_for_a_while() -> None:
    calls = CallBacks()
    calls.called([ONE, OTHER], at(0))
    assert calls.due([], {OTHER.ip}, at(1)) == [ONE]
    made = sum(bool(calls.due([], (), at(second))) for second in range(2, 200))
    assert 10 < made < 30


def test_one_that_leaves_again_and_again_is_not_called_more_often_for_that() -> None:
    calls, made = CallBacks(), 0
    for step in range(400):
        connected = {ONE.ip} if step % 2 else set()
        made += len(calls.due([ONE], connected, at(step / 10)))
    assert made <= 26


def test_one_that_was_there_for_a_minute_is_called_soon_again() -> None:
    calls = CallBacks()
    for second in range(30):
        calls.due([ONE], (), at(second))
    for second in range(30, 120):
        assert not calls.due([ONE], {ONE.ip}, at(second))
    assert calls.due([ONE], (), at(120)) == [ONE]
    assert calls.due([ONE], (), at(121)) == [ONE]
