"""Issues over time, and what the owner is told of them: once, in time, in words, and never too often."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.units import UtcMs
from appliance.domain.doctor.delivery import (
    HOUR_S,
    LONGEST_WAIT_S,
    MOST_AN_HOUR,
    News,
    NoticeRules,
    aged,
    due,
    failed,
    new_delivery,
    sent,
)
from appliance.domain.doctor.issues import (
    MOST,
    SETTLED_S,
    Issue,
    IssueList,
    listed,
    update,
)
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.doctor.notice import MOST_ITEMS, Notice, compose, trial_notice

NOW = UtcMs(1_750_000_000_000)
MINUTE = 60
RULES = NoticeRules(Verdict.WARNING, 5 * MINUTE)


def finding(
    check: str = "temperature", verdict: Verdict = Verdict.WARNING, says: str = "It is hot."
) -> Finding:
    return Finding(check, verdict, says, "Give it air." if verdict is not Verdict.OK else "")


class House:
    """A box whose rounds come as told, with a line to its owner."""

    def __init__(self, rules: NoticeRules = RULES) -> None:
        self.known: IssueList = ()
        self.now = NOW
        self.rules = rules
        self.delivery = new_delivery(())
        self.inbox: list[Notice] = []
        self.reachable = True
        self.begun: list[Issue] = []
        self.mended: list[Issue] = []

    def round(self, *findings: Finding, passed: int = MINUTE) -> None:
        self.now = UtcMs(self.now + passed * 1_000)
        done = update(self.known, findings, self.now, passed)
        self.known = done.known
        self.begun += done.begun
        self.mended += done.mended
        self.delivery = aged(self.delivery, self.known, self.rules, passed)
        if items := due(self.delivery, self.known, self.rules):
            message = compose(items, self.delivery, self.rules, "attic", "http://192.168.1.5:8080")
            if self.reachable:
                self.inbox.append(message)
                self.delivery = sent(self.delivery, message.last_notices)
            else:
                self.delivery = failed(self.delivery)

    def rounds(self, count: int, *findings: Finding) -> None:
        for _ in range(count):
            self.round(*findings)

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.inbox]


# ---------------------------------------------------------------------------------------------- issues


def test_an_issue_begins_with_the_first_finding_and_keeps_its_first_time() -> None:
    house = House()
    house.round(finding())
    began = house.now
    house.rounds(3, finding(says="It is hotter."))
    (issue,) = house.known
    assert (issue.first, issue.last, issue.mended) == (began, house.now, 0)
    assert issue.says == "It is hotter."
    assert [one.id for one in house.begun] == [issue.id]


@pytest.mark.parametrize("well", [(), (finding(verdict=Verdict.OK),)])
def test_it_is_mended_when_a_round_finds_it_well_or_says_nothing_of_it(well: tuple[Finding, ...]) -> None:
    house = House()
    house.round(finding())
    house.round(*well)
    (issue,) = house.known
    assert issue.mended == house.now
    assert not house.mended, "it may come back at once"
    house.rounds(SETTLED_S // MINUTE, *well)
    assert [one.id for one in house.mended] == [issue.id]
    house.rounds(5, *well)
    assert len(house.mended) == 1


def test_what_nobody_knows_neither_raises_nor_mends_an_issue() -> None:
    house = House()
    house.rounds(3, finding(verdict=Verdict.UNKNOWN))
    assert not house.known
    house.round(finding())
    last = house.now
    house.rounds(7 * 24 * 60, finding(verdict=Verdict.UNKNOWN))
    assert house.known[0].open
    assert house.known[0].unknown_since == last
    house.round(finding())
    assert house.known[0].unknown_since == 0


def test_what_cannot_be_looked_at_after_a_restart_is_unknown_from_the_first_round() -> None:
    house = House()
    house.round(finding())
    house.round(finding(verdict=Verdict.UNKNOWN), passed=0)
    assert house.known[0].unknown_since == house.known[0].last


def test_time_in_which_nobody_knows_is_not_time_in_which_all_was_well() -> None:
    house = House()
    house.rounds(7, finding())
    house.round(finding(verdict=Verdict.OK))
    house.rounds(60, finding(verdict=Verdict.UNKNOWN))
    assert not house.mended
    house.rounds(SETTLED_S // MINUTE, finding(verdict=Verdict.OK))
    assert len(house.mended) == 1


def test_what_was_unknown_and_is_then_looked_at_no_more_is_over_but_not_called_mended() -> None:
    house = House()
    house.rounds(7, finding())
    house.rounds(60, finding(verdict=Verdict.UNKNOWN))
    assert len(house.inbox) == 1
    house.round()
    assert house.known[0].lost
    house.rounds(SETTLED_S // MINUTE)
    assert house.inbox[-1].title == "attic: No longer known: It is hot."
    assert "can no longer tell" in house.inbox[-1].body
    assert "ended" not in house.inbox[-1].body


def test_what_comes_back_before_it_is_settled_is_the_same_issue() -> None:
    house = House()
    for _ in range(20):
        house.rounds(2, finding())
        house.rounds(SETTLED_S // MINUTE - 1)
    assert [issue.id for issue in house.known] == [1]
    house.rounds(SETTLED_S // MINUTE)
    house.round(finding())
    assert [(issue.id, issue.open) for issue in house.known] == [(1, False), (2, True)]


def test_the_severity_rises_and_falls_with_the_findings() -> None:
    house = House()
    house.round(finding())
    house.round(finding(verdict=Verdict.ERROR))
    assert house.known[0].severity is Verdict.ERROR
    house.round(finding())
    assert (len(house.known), house.known[0].severity) == (1, Verdict.WARNING)
    assert house.known[0].error_s == MINUTE


def test_each_thing_that_is_looked_at_has_an_issue_of_its_own_and_the_worst_finding_counts() -> None:
    house = House()
    house.round(
        finding("drive:/mnt/a"),
        finding("drive:/mnt/b", Verdict.ERROR),
        finding("drive:/mnt/b", Verdict.OK),
        finding("drive:/mnt/a", Verdict.UNKNOWN),
    )
    assert [(one.check, one.severity) for one in listed(house.known, mended=False)] == [
        ("drive:/mnt/b", Verdict.ERROR),
        ("drive:/mnt/a", Verdict.WARNING),
    ]


def test_the_list_shows_the_worst_first_and_then_the_last_that_was_mended() -> None:
    house = House()
    house.rounds(3, finding("old"), finding("new"))
    house.round(finding("new"), finding("error", Verdict.ERROR), finding("warning"))
    house.round(finding("error", Verdict.ERROR), finding("warning"), finding("fresh"))
    assert [one.check for one in listed(house.known, mended=True)] == [
        "error",
        "fresh",
        "warning",
        "new",
        "old",
    ]


def test_a_mended_issue_is_kept_for_thirty_days_that_the_box_ran() -> None:
    house = House()
    house.round(finding())
    house.round()
    for _ in range(29):
        house.round(passed=86_400)
    assert len(house.known) == 1
    house.round(passed=86_400)
    assert not house.known


def test_their_number_is_bounded_and_the_open_ones_are_kept() -> None:
    house = House()
    for number in range(MOST):
        house.round(finding(f"past:{number}"))
    house.rounds(SETTLED_S // MINUTE)
    assert len(house.known) == MOST
    now = [finding(f"now:{number}") for number in range(MOST + 100)]
    house.round(*now, finding("worst", Verdict.ERROR))
    assert len(house.known) == MOST
    assert all(issue.open for issue in house.known)
    assert listed(house.known, mended=False)[0].check == "worst"


def test_what_a_drive_says_of_itself_cannot_grow_without_bound() -> None:
    house = House()
    house.round(finding(says="x" * 100_000))
    assert len(house.known[0].says) == 500


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([Verdict.OK, Verdict.UNKNOWN, Verdict.WARNING, Verdict.ERROR, None]),
            st.integers(0, 1_200),
            st.integers(-(10**12), 10**12),
        ),
        max_size=60,
    )
)
def test_a_clock_that_jumps_changes_nothing_but_the_times_shown(
    steps: list[tuple[Verdict | None, int, int]],
) -> None:
    steady: IssueList = ()
    jumping: IssueList = ()
    now = int(NOW)
    for verdict, passed, jump in steps:
        found = [finding(verdict=verdict)] if verdict else []
        now += passed * 1_000
        one = update(steady, found, UtcMs(now), passed)
        other = update(jumping, found, UtcMs(max(1, now + jump)), passed)
        assert [issue.id for issue in one.begun] == [issue.id for issue in other.begun]
        assert [issue.id for issue in one.mended] == [issue.id for issue in other.mended]
        steady, jumping = one.known, other.known
        for issue in jumping:
            assert issue.first <= issue.last
            assert not issue.mended or issue.last <= issue.mended
        assert [_timeless(issue) for issue in steady] == [_timeless(issue) for issue in jumping]
        unsettled = [issue for issue in steady if not issue.settled]
        assert len(unsettled) <= 1, "one check has one issue at a time"


def _timeless(issue: Issue) -> Issue:
    return replace(issue, first=UtcMs(0), last=UtcMs(0), mended=UtcMs(1 if issue.mended else 0))


# --------------------------------------------------------------------------------------------- telling


def test_only_what_has_lasted_is_told_and_once() -> None:
    house = House()
    house.rounds(5, finding())
    assert not house.inbox
    house.rounds(60, finding())
    (message,) = house.inbox
    assert message.title == "attic: It is hot."
    assert "What to do: Give it air." in message.body
    assert "It has lasted 5 min" in message.body
    assert "http://192.168.1.5:8080" in message.body
    assert message.kind == "warning"


def test_what_was_short_is_never_told_neither_that_it_was_mended() -> None:
    house = House()
    house.rounds(3, finding())
    house.rounds(60)
    assert not house.inbox


def test_that_it_is_mended_is_told_once_and_only_when_it_stays_so() -> None:
    house = House()
    house.rounds(6, finding())
    house.rounds(SETTLED_S // MINUTE)
    assert len(house.inbox) == 1
    house.rounds(60)
    assert house.titles[1:] == ["attic: Resolved: It is hot."]
    assert house.inbox[1].kind == "success"


def test_an_issue_that_comes_and_goes_is_told_once() -> None:
    house = House()
    for _ in range(50):
        house.rounds(3, finding())
        house.rounds(3)
    assert len(house.inbox) == 1


def test_a_warning_that_becomes_an_error_is_told_once_more() -> None:
    house = House()
    house.rounds(10, finding())
    house.rounds(20, finding(verdict=Verdict.ERROR))
    house.rounds(5, finding())
    house.rounds(20, finding(verdict=Verdict.ERROR))
    assert [message.kind for message in house.inbox] == ["warning", "failure"]
    assert house.titles[1] == "attic: Worse: It is hot."


def test_who_wants_errors_only_hears_of_no_warning() -> None:
    house = House(NoticeRules(Verdict.ERROR, 0))
    house.rounds(20, finding())
    assert not house.inbox
    house.round(finding(verdict=Verdict.ERROR))
    assert [message.kind for message in house.inbox] == ["failure"]
    assert house.inbox[0].body.startswith("Error: It is hot.")


def test_several_that_begin_together_are_one_message() -> None:
    house = House()
    house.rounds(6, finding("a"), finding("b", Verdict.ERROR, "The drive is gone."), finding("c"))
    (message,) = house.inbox
    assert message.title == "attic: The drive is gone. (and 2 more)"
    assert message.kind == "failure"


def test_a_flood_ends_in_silence_and_one_message_that_sums_it_up() -> None:
    house = House(NoticeRules(Verdict.WARNING, 0))
    count = 0
    for count in range(1, 41):
        house.round(*(finding(f"drive:{number}", says=f"Drive {number} fails.") for number in range(count)))
    assert len(house.inbox) == MOST_AN_HOUR
    assert "sent as one message" in house.inbox[-1].body
    assert "sent as one message" not in house.inbox[-2].body
    flood = tuple(finding(f"drive:{number}", says=f"Drive {number} fails.") for number in range(count))
    house.rounds(HOUR_S // MINUTE, *flood)
    assert len(house.inbox) == MOST_AN_HOUR + 1
    last = house.inbox[-1]
    assert last.title == f"attic: Drive 6 fails. (and {count - MOST_AN_HOUR - 1} more)"
    assert last.body.count("Drive") == MOST_ITEMS
    assert f"And {count - MOST_AN_HOUR - MOST_ITEMS} more: drive:16" in last.body
    told = {id for message in house.inbox for id in message.last_notices}
    assert told == {issue.id for issue in house.known}, "nothing was forgotten"


def test_while_the_network_is_away_it_is_tried_more_and_more_seldom_and_nothing_is_lost() -> None:
    house = House()
    house.reachable = False
    house.rounds(300, finding("a"), finding("b", says="It is damp."))
    assert house.delivery.wait_s <= LONGEST_WAIT_S
    assert 8 <= house.delivery.failures <= 12
    house.rounds(20, finding("a"))
    house.reachable = True
    house.rounds(70, finding("a"))
    (message,) = house.inbox
    assert "Warning: It is hot." in message.body
    assert "Began and was resolved while you could not be reached: It is damp." in message.body
    assert house.delivery.failures == 0
    house.rounds(70, finding("a"))
    assert len(house.inbox) == 1


def test_a_new_address_hears_of_what_is_wrong_and_not_of_the_past() -> None:
    house = House()
    house.rounds(10, finding("past"))
    house.rounds(30, finding("now", says="It is damp."))
    delivery = new_delivery(house.known)
    items = due(delivery, house.known, RULES)
    assert [(news, issue.check) for news, issue in items] == [(News.BEGUN, "now")]


def test_a_looser_rule_digs_up_no_past() -> None:
    house = House(NoticeRules(Verdict.ERROR, 60 * MINUTE))
    house.rounds(20, finding())
    house.rounds(30)
    house.rules = NoticeRules(Verdict.WARNING, 0)
    house.rounds(30)
    assert not house.inbox


def test_names_that_others_choose_cannot_break_a_message_into_lines_or_headers() -> None:
    house = House(NoticeRules(Verdict.WARNING, 0))
    house.round(finding(says="Drive \r\nBcc: x@example.com\x00\x1b[2J\u202e fails."))
    message = house.inbox[0]
    assert message.title == "attic: Drive Bcc: x@example.com [2J fails."
    assert "\r" not in message.body + message.title
    assert "\n" not in message.title
    assert len(trial_notice("attic", "").title.splitlines()) == 1


def test_what_is_told_again_has_the_same_id_and_other_news_another() -> None:
    house = House(NoticeRules(Verdict.WARNING, 0))
    house.round(finding())
    rules, page = house.rules, ""
    (issue,) = house.known
    ids = [
        compose([(news, one)], house.delivery, rules, name, page).id
        for news, one, name in (
            (News.BEGUN, issue, "attic"),
            (News.BEGUN, replace(issue, lasted_s=9), "attic"),
            (News.MENDED, issue, "attic"),
            (News.BEGUN, issue, "cellar"),
        )
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_long_sentence_is_cut_in_the_title_alone() -> None:
    house = House(NoticeRules(Verdict.WARNING, 0))
    house.round(finding(says="word " * 60))
    assert len(house.inbox[0].title) <= 100
    assert house.inbox[0].body.count("word") == 60


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, Verdict.UNKNOWN, Verdict.WARNING, Verdict.ERROR]),
            st.integers(1, 30),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_whatever_happens_each_beginning_and_each_end_is_told_at_most_once(
    steps: list[tuple[Verdict | None, int, bool]],
) -> None:
    house = House()
    for verdict, rounds, reachable in steps:
        house.reachable = reachable
        house.rounds(rounds, *([finding(verdict=verdict)] if verdict else []))
    house.reachable = True
    house.rounds(3 * HOUR_S // MINUTE)
    told: dict[int, list[str]] = {}
    for message in house.inbox:
        for id, one in message.last_notices.items():
            told.setdefault(id, []).append("over" if one.over else one.severity.value)
    for id, words in told.items():
        assert len(words) == len(set(words)), f"issue {id}: {words}"
        assert words[-1] == "over"
    for issue in house.known:
        if issue.lasted_s >= RULES.after_s:
            assert issue.id in told, "what lasted is never forgotten"
