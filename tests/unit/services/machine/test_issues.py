"""The issue keeper over fakes: each address hears of each issue once, whatever sender and disk do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from appliance.core.errors import OwnerMustAct
from appliance.domain.doctor.delivery import NoticeRules
from appliance.domain.doctor.model import Finding, Verdict
from appliance.services.machine.issues import MANY_FAILURES, IssueKeeper, IssuePorts
from tests.support.clock import FakeClock
from tests.support.fakes import ListJournal
from tests.support.notices import FakeAddressBook, FakeIssueMemory, FakeSender

HOT = Finding("temperature", Verdict.ERROR, "The processor is at 85 °C.", "Improve the airflow.")


class Desk:
    """A keeper of issues at work, with all that is around it."""

    def __init__(self, *urls: str) -> None:
        self.memory, self.sender = FakeIssueMemory(), FakeSender()
        self.book = FakeAddressBook(*(urls or ("mail:me",)))
        self.clock, self.journal = FakeClock(), ListJournal()
        self.again()

    def again(self) -> None:
        """The box is started anew."""
        ports = IssuePorts(
            memory=self.memory,
            journal=self.journal,
            clock=self.clock,
            addresses=self.book,
            sender=self.sender,
            page=lambda: "http://attic/",
        )
        self.keeper = IssueKeeper(ports, NoticeRules(Verdict.WARNING, 0), "attic")

    async def round(self, *findings: Finding, seconds: float = 60.0) -> None:
        """A round of findings, and time for what follows from it."""
        self.clock.advance(seconds)
        await self.keeper.take(findings)
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def titles(self) -> list[str]:
        return [f"{label}: {notice.title}" for label, notice in self.sender.sent]


def play(desk: Desk, story: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await desk.keeper.start()
        working = asyncio.create_task(desk.keeper.run(lambda: None))
        await story()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    asyncio.run(run())


def test_each_address_hears_once_of_each_issue_also_over_a_restart() -> None:
    desk = Desk("mail:me", "hook:there")

    async def story() -> None:
        await desk.round(HOT)
        await desk.round(HOT)

    play(desk, story)
    desk.again()
    play(desk, story)
    assert desk.titles == [f"{label}: attic: The processor is at 85 °C." for label in ("mail", "hook")]


def test_a_notice_that_was_on_its_way_when_the_box_stopped_is_not_sent_again() -> None:
    desk = Desk()

    async def hang() -> None:
        desk.sender.free.clear()
        await desk.round(HOT)
        assert desk.sender.sending == 1
        asyncio.get_running_loop().call_later(0.05, desk.sender.free.set)

    play(desk, hang)
    assert len(desk.titles) == 1
    assert desk.keeper.failures() == {"mail": 0}
    asyncio.run(desk.keeper.flush())
    desk.again()
    play(desk, lambda: desk.round(HOT))
    assert len(desk.titles) == 1


def test_an_address_that_stays_silent_is_an_issue_that_it_is_not_told_itself() -> None:
    desk = Desk("mail:me")
    desk.sender.reason = "no connection"

    async def story() -> None:
        for _ in range(MANY_FAILURES + 1):
            await desk.round(HOT, seconds=3_600)
        assert "Notifications to mail do not go through: no connection." in [
            finding.says for finding in desk.keeper.findings()
        ]
        desk.sender.reason = ""
        await desk.round(HOT, seconds=3_600)
        assert desk.titles == ["mail: attic: The processor is at 85 °C."]
        assert not desk.keeper.findings()

    play(desk, story)


def test_an_address_that_the_owner_has_corrected_is_tried_at_once() -> None:
    desk = Desk("mail:wrong")
    desk.sender.reason = "the server rejected it (code 535)"

    async def story() -> None:
        await desk.round(HOT)
        assert desk.keeper.failures() == {"mail": 1}
        desk.sender.reason = ""
        desk.book.write("mail:right")
        await desk.round(HOT, seconds=1)
        assert len(desk.titles) == 1

    play(desk, story)


def test_a_malformed_address_is_named_by_its_line_and_never_used() -> None:
    desk = Desk("mail:me", "nonsense:there")
    desk.sender.malformed = ["nonsense"]

    async def story() -> None:
        await desk.round(HOT)
        assert [finding.check for finding in desk.keeper.findings()] == ["notify-file:2"]
        assert [label for label, _ in desk.sender.sent] == ["mail"]

    play(desk, story)


def test_a_full_disk_holds_up_no_notice() -> None:
    desk = Desk()
    desk.memory.full = True
    play(desk, lambda: desk.round(HOT))
    assert len(desk.titles) == 1


def test_without_addresses_a_test_says_where_to_write_them() -> None:
    desk = Desk()
    desk.book.write()
    with pytest.raises(OwnerMustAct, match=r"No notification addresses.*chmod 600 /etc/seedbox/notify"):
        asyncio.run(desk.keeper.test())
