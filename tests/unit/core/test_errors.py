"""Errors keep their meaning over the control socket."""

import pytest
from pjrpc.common.exceptions import JsonRpcError

from appliance.control.client import DaemonAway
from appliance.control.codes import INTERNAL, code_of, error_of
from appliance.core import errors
from appliance.core.errors import Bug, NotFound, OwnerMustAct, RetryLater, SeedboxError


@pytest.mark.parametrize("kind", [OwnerMustAct, NotFound, RetryLater])
def test_who_acts_is_known_on_the_other_side(kind: type[SeedboxError]) -> None:
    back = error_of(JsonRpcError(code=code_of(kind("Do this.")), message="Do this."))
    assert type(back) is kind
    assert str(back) == "Do this."


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SeedboxError)],
)
def test_every_error_says_in_a_sentence_who_acts(kind: type[SeedboxError]) -> None:
    assert kind.__doc__
    assert kind.__doc__.endswith(".")


def test_a_special_error_travels_as_its_family() -> None:
    assert code_of(DaemonAway("x")) == code_of(RetryLater("x"))


@pytest.mark.parametrize("code", [INTERNAL, -32700, 0, 99])
def test_what_nobody_foresaw_is_a_bug_and_points_to_the_log(code: int) -> None:
    back = error_of(JsonRpcError(code=code, message="odd"))
    assert type(back) is Bug
    assert "log" in str(back)
