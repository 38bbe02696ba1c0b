"""Where new downloads go: by room and wear, never where something is wrong, and a floor stays free."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.units import GIB, MIB
from appliance.domain.catalogue.placing import Candidate, kept_free, no_place, place
from appliance.domain.volumes.faults import Condition
from appliance.domain.volumes.volume import Volume

FLOOR = 2 * GIB


def room(path: str, free: int | None, total: int | None = 1_000 * GIB, **about: object) -> Candidate:
    return Candidate(Volume(path=path, total=total, **about), free)  # type: ignore[arg-type]


A, B, C = room("/a", 100 * GIB), room("/b", 300 * GIB), room("/c", 200 * GIB)


def test_it_goes_where_the_most_room_is() -> None:
    assert place([A, B, C], GIB, FLOOR) == "/b"


def test_what_is_promised_to_others_and_the_floor_are_not_given_away() -> None:
    # 5 % of a terabyte stay free.
    assert place([A], 50 * GIB, FLOOR) == "/a"
    assert place([A], 50 * GIB + 1, FLOOR) == ""
    assert place([room("/a", 10 * GIB, 20 * GIB)], 8 * GIB, FLOOR) == "/a"
    assert place([room("/a", 10 * GIB, 20 * GIB)], 8 * GIB + 1, FLOOR) == ""


def test_a_small_disk_can_be_used_but_for_a_quarter() -> None:
    assert kept_free(400 * MIB, FLOOR) == 100 * MIB
    assert kept_free(64 * GIB, FLOOR) == 64 * GIB // 20
    assert kept_free(None, FLOOR) == FLOOR


def test_nothing_goes_where_something_is_wrong() -> None:
    for wrong in (
        replace(B.volume, condition=Condition.AWAY),
        replace(B.volume, read_only=True),
        replace(B.volume, write_error="Input/output error"),
        replace(B.volume, read_error="film1: Input/output error"),
        replace(B.volume, failing="Maker 4000"),
    ):
        bad = replace(B, volume=wrong)
        assert place([A, bad], GIB, FLOOR) == "/a"
        assert place([bad], GIB, FLOOR, prefer="/b") == ""
        assert no_place([bad], GIB, FLOOR) == wrong.refusal
        assert wrong.refusal


def test_a_worn_drive_is_taken_last_but_it_is_taken() -> None:
    worn = replace(B, volume=replace(B.volume, wear_percent=85))
    little = replace(C, volume=replace(C.volume, wear_percent=79))
    assert place([A, worn, little], GIB, FLOOR) == "/c"
    assert place([A, worn, little], 200 * GIB, FLOOR) == "/b"


def test_a_magnet_link_of_unknown_size_is_looked_up_even_where_the_disk_is_full() -> None:
    assert place([room("/a", 0)], 0, FLOOR) == "/a"


def test_one_stays_where_it_is_if_it_can() -> None:
    assert place([A, B], GIB, FLOOR, prefer="/a") == "/a"
    assert place([A, B], 200 * GIB, FLOOR, prefer="/a") == "/b"


def test_room_that_nobody_knows_is_taken_before_waiting_but_after_all_others() -> None:
    unknown = room("/u", None, None)
    assert place([unknown, A], GIB, FLOOR) == "/a"
    assert place([unknown, A], 900 * GIB, FLOOR) == "/u"


def test_what_finds_no_place_says_why_and_what_to_do() -> None:
    says = no_place([room("/a", 10 * MIB, 400 * MIB)], 20 * MIB, FLOOR)
    assert says.startswith("The disk is full")
    assert "20.0 MiB" in says
    assert "Free up some space" in says
    assert no_place([A, B], 900 * GIB, FLOOR).startswith("Every disk is too full")


rooms = st.lists(
    st.builds(
        lambda n, free, total, condition, wear: Candidate(
            Volume(path=f"/{n}", condition=condition, wear_percent=wear, total=total), free
        ),
        st.integers(0, 9),
        st.none() | st.integers(0, 10**13),
        st.none() | st.integers(1, 10**13),
        st.sampled_from([Condition.WELL, Condition.WELL, Condition.PULLED]),
        st.none() | st.integers(0, 120),
    ),
    max_size=5,
    unique_by=lambda one: one.volume.path,
)


@given(rooms, st.integers(0, 10**13), st.integers(0, 10**11))
def test_a_place_is_always_one_that_is_there_and_has_the_room(
    found: list[Candidate], size: int, floor: int
) -> None:
    path = place(found, size, floor)
    if not path:
        assert all(
            one.volume.away or (one.free is not None and one.free - kept_free(one.volume.total, floor) < size)
            for one in found
        )
        assert no_place(found, size, floor)
        return
    chosen = next(one for one in found if one.volume.path == path)
    assert not chosen.volume.away
    assert size == 0 or chosen.free is None or chosen.free - kept_free(chosen.volume.total, floor) >= size
