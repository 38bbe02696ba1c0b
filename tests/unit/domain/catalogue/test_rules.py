"""The catalogue's rules, without any engine."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.errors import OwnerMustAct
from appliance.domain.catalogue.admission import Known, Place, admit
from appliance.domain.catalogue.description import Description
from appliance.domain.catalogue.listing import Query, page, select
from appliance.domain.catalogue.model import Goal, GoalKind, TorrentState
from appliance.domain.catalogue.ports import EnginePhase, Snapshot, TroubleKind
from appliance.domain.catalogue.record import Record
from appliance.domain.catalogue.states import TorrentTrouble, state_of, trouble_of
from appliance.domain.catalogue.summary import sentence
from appliance.domain.catalogue.torrent import Torrent


def record(number: int = 1, **fields: object) -> Record:
    id = f"{number:040x}"
    told: dict[str, object] = {
        "id": id,
        "name": f"n{number}",
        "v1": id,
        "v2": "",
        "folder": "/c",
        "pieces": 1,
    }
    return Record(**(told | fields))  # type: ignore[arg-type]


def snap(phase: EnginePhase, **fields: object) -> Snapshot:
    told: dict[str, object] = dict.fromkeys(Snapshot.__slots__, 0) | {
        "phase": phase,
        "paused": False,
        "unsaved": False,
    }
    return Snapshot(**(told | fields))  # type: ignore[arg-type]


def test_every_state_has_a_sentence() -> None:
    assert all(state.sentence.endswith(".") for state in TorrentState)


@given(
    st.sampled_from(list(EnginePhase)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | st.sampled_from(list(TroubleKind)),
)
def test_every_torrent_has_a_state_and_what_failed_says_why(
    phase: EnginePhase, paused: bool, satisfied: bool, idle: bool, kind: TroubleKind | None
) -> None:
    trouble = trouble_of(kind, "f", "message", None) if kind else None
    state, reason = state_of(record(paused=paused, satisfied=satisfied), snap(phase, paused=idle), trouble)
    assert isinstance(state, TorrentState)
    if state in (TorrentState.FAILED, TorrentState.MISSING_DATA, TorrentState.THROTTLED):
        assert reason.endswith(".")


def test_a_full_disk_eases_and_missing_data_is_no_failure() -> None:
    assert state_of(record(), None, TorrentTrouble(TroubleKind.DISK_FULL, "x"))[0] is TorrentState.THROTTLED
    assert state_of(record(), None, TorrentTrouble(TroubleKind.MISSING, "x"))[0] is TorrentState.MISSING_DATA
    assert state_of(record(), None, TorrentTrouble(TroubleKind.DENIED, "x"))[0] is TorrentState.FAILED


@pytest.mark.parametrize(
    ("goal", "uploaded", "seconds", "reached"),
    [
        (Goal(), 10**18, 10**9, False),
        (Goal(GoalKind.RATIO, ratio_percent=200), 199, 0, False),
        (Goal(GoalKind.RATIO, ratio_percent=200), 200, 0, True),
        (Goal(GoalKind.TIME, hours=2), 0, 7_199, False),
        (Goal(GoalKind.TIME, hours=2), 0, 7_200, True),
    ],
)
def test_a_goal_is_reached_at_its_mark(goal: Goal, uploaded: int, seconds: int, reached: bool) -> None:
    assert goal.reached(uploaded, 100, seconds) is reached


@pytest.mark.parametrize("impossible", [{"ratio_percent": 0}, {"hours": 0}, {"hours": 10**9}])
def test_an_impossible_goal_is_refused(impossible: dict[str, int]) -> None:
    with pytest.raises(OwnerMustAct):
        Goal(**impossible)  # type: ignore[arg-type]


def new(**fields: object) -> Description:
    told: dict[str, object] = {"name": "film", "v1": "a" * 40, "v2": "", "pieces": 3, "layout": "L"}
    return Description(**(told | fields))  # type: ignore[arg-type]


def test_the_same_info_hash_is_known_whichever_version_names_it() -> None:
    hybrid = record(v1="1" * 40, v2="2" * 64)
    assert admit(new(v1="1" * 40), "/c", [hybrid]) == Known(hybrid.id)
    assert admit(new(v1="", v2="2" * 64, name=""), "/c", [hybrid]) == Known(hybrid.id)


def test_the_same_files_in_another_torrent_are_seeded_from_one_copy() -> None:
    other = record(root="film", layout="L", completed=1)
    place = admit(new(), "/c", [other])
    assert isinstance(place, Place)
    assert place.twin == other.id


def test_the_same_files_are_not_fetched_twice_at_once() -> None:
    with pytest.raises(OwnerMustAct, match="being downloaded"):
        admit(new(), "/c", [record(root="film", layout="L", completed=0)])


def test_another_torrent_of_the_same_name_gets_a_folder_of_its_own() -> None:
    place = admit(new(layout="M"), "/c", [record(root="film", layout="L", completed=1)])
    assert isinstance(place, Place)
    assert place.folder == "/c/aaaaaaaa"
    assert not place.twin


@given(
    st.sampled_from(["name", "added", "size", "state", "ratio", "peers", "progress"]),
    st.booleans(),
    st.integers(1, 7),
)
def test_pages_show_every_torrent_once(sort: str, descending: bool, count: int) -> None:
    torrents = [Torrent(record(number, size=number % 3, name=f"n{number % 4}")) for number in range(23)]
    seen = []
    for offset in itertools.count(0, count):
        query = Query(sort=sort, descending=descending, offset=offset, count=count)
        shown = page(select(torrents, query), query)
        if not shown:
            break
        seen += [torrent.record.id for torrent in shown]
    assert sorted(seen) == sorted(torrent.record.id for torrent in torrents)


def test_the_list_is_filtered_by_name_state_and_label() -> None:
    torrents = [Torrent(record(1, name="Ubuntu ISO", label="linux")), Torrent(record(2, name="Film"))]
    torrents[1].state = TorrentState.SEEDING
    assert [t.record.name for t in select(torrents, Query(text="ubuntu"))] == ["Ubuntu ISO"]
    assert [t.record.name for t in select(torrents, Query(state=TorrentState.SEEDING))] == ["Film"]
    assert [t.record.name for t in select(torrents, Query(label="linux"))] == ["Ubuntu ISO"]


@given(
    st.dictionaries(st.sampled_from(list(TorrentState)), st.integers(0, 3)),
    st.integers(0, 10**7),
    st.booleans(),
    st.booleans(),
)
def test_the_box_is_always_one_or_two_sentences(
    states: dict[TorrentState, int], rate: int, mounted: bool, listening: bool
) -> None:
    said = sentence(states, rate, 0, mounted=mounted, listening=listening)
    assert said[0].isupper()
    assert said.endswith(".")
