"""What people may type, and what they read when it is not valid."""

from collections.abc import Callable

import pytest

from appliance.control.torrents import Goal, GoalKind
from appliance.core.errors import OwnerMustAct
from appliance.entrypoints.cli.params import parse_duration, parse_duration_or_off, parse_goal, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [("500KiB", 512_000), ("2 MiB/s", 2 * 2**20), ("1.5m", 1_572_864), ("7", 7), ("unlimited", 0), ("0", 0)],
)
def test_a_rate_is_read_in_bytes_per_second(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(("text", "minutes"), [("90m", 90), ("2h", 120), ("3D", 4_320), ("off", 0)])
def test_a_duration_is_read_in_milliseconds(text: str, minutes: int) -> None:
    assert parse_duration_or_off(text) == minutes * 60_000


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("forever", Goal()),
        ("Ratio:2.5", Goal(GoalKind.RATIO, ratio_percent=250)),
        ("time:30d", Goal(GoalKind.TIME, hours=720)),
        ("time:5h", Goal(GoalKind.TIME, hours=5)),
    ],
)
def test_a_goal_is_read(text: str, goal: Goal) -> None:
    assert parse_goal(text) == goal


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (parse_rate, "fast", '"fast" is not a valid rate. Use 500KiB, 2MiB'),
        (parse_duration, "off", '"off" is not a valid duration. Use 90m, 2h or 3d.'),
        (parse_duration, "0h", "not a valid duration"),
        (parse_goal, "ratio:x", '"ratio:x" is not a valid goal. Use forever'),
    ],
)
def test_what_is_not_valid_is_refused_with_an_example(
    parse: Callable[[str], object], text: str, says: str
) -> None:
    with pytest.raises(OwnerMustAct) as refused:
        parse(text)
    assert says in str(refused.value)
