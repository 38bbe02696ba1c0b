"""What the process died at twice is left alone at the third start, and told."""

import asyncio
import os
from pathlib import Path

import pytest

from appliance.core.crashguard import CrashGuard
from appliance.core.errors import OwnerMustAct


def die(path: Path, what: str) -> None:
    """A process that is killed while it reads."""
    child = os.fork()
    if child == 0:
        with CrashGuard(path).reading(what):
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def refused(path: Path, what: str) -> bool:
    try:
        with CrashGuard(path).reading(what):
            return False
    except OwnerMustAct as error:
        return "set aside" in str(error)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "being-read"


def test_what_it_died_at_twice_is_refused_at_the_third_start_and_ever_after(path: Path) -> None:
    die(path, "one")
    die(path, "one")
    assert refused(path, "one")
    assert refused(path, "one")
    assert not refused(path, "another")


def test_what_was_read_well_once_is_not_held_against_it(path: Path) -> None:
    die(path, "one")
    assert not refused(path, "one")
    die(path, "one")
    assert not refused(path, "one")


def test_deaths_at_different_things_do_not_add_up(path: Path) -> None:
    for what in ("one", "two", "three"):
        die(path, what)
    assert not refused(path, "one")


def test_what_is_removed_is_forgiven(path: Path) -> None:
    die(path, "one")
    die(path, "one")
    CrashGuard(path).forgive("one")
    assert not refused(path, "one")


@pytest.mark.parametrize("error", [OwnerMustAct("no"), ValueError(), OSError(), asyncio.CancelledError()])
def test_a_refusal_or_the_end_of_the_box_is_no_death(path: Path, error: BaseException) -> None:
    for _ in range(3):
        with pytest.raises(type(error)), CrashGuard(path).reading("one"):
            raise error
    assert not refused(path, "one")


def test_an_error_that_nobody_expected_counts_as_one(path: Path) -> None:
    for _ in range(2):
        with pytest.raises(AssertionError), CrashGuard(path).reading("one"):
            raise AssertionError
    assert refused(path, "one")


@pytest.mark.parametrize("left", [b"", b"\xff", b"{}", b"[1]", b'{"reading":[5]}', b'{"reading":["one"'])
def test_a_damaged_file_guards_nothing_and_stops_nothing(path: Path, left: bytes) -> None:
    path.write_bytes(left)
    assert not refused(path, "one")


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    assert not refused(tmp_path / "nowhere" / "being-read", "one")
