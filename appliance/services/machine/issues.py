"""The issue keeper: takes the findings of every minute, writes them down, and notifies the owner."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from appliance.adapters.notices.addresses import Address, Addresses, bad_line
from appliance.core.clock import Clock
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.journal import Journal
from appliance.core.service import Beat
from appliance.domain.doctor.delivery import (
    DeliveryState,
    NoticeRules,
    aged,
    due,
    failed,
    new_delivery,
    sent,
)
from appliance.domain.doctor.issues import Issue, IssueList, IssueUpdate, listed, update
from appliance.domain.doctor.model import Finding, Verdict, warning
from appliance.domain.doctor.notice import Notice, compose, trial_notice

log = logging.getLogger(__name__)

PAUSE_S = 60.0
LAST_WORD_S = 3.0
"""How long a notice on its way is waited for when the box stops."""
MANY_FAILURES = 3
"""Attempts to reach an address after which the owner is to know: some seven minutes."""


class IssueMemory(Protocol):
    """Where issues are kept over restarts."""

    def load(self) -> tuple[IssueList, dict[str, DeliveryState]]:
        """What was kept: issues, and the state of each address by its label."""
        ...

    async def keep(self, known: IssueList, deliveries: Mapping[str, DeliveryState], *, durable: bool) -> None:
        """Write them down; `durable`: they outlive a power cut. Raises RetryLater."""
        ...


class NoticeSender(Protocol):
    """Whoever can send a notice to an address."""

    async def send(self, address: Address, notice: Notice) -> str:
        """Send one; returns why it did not go through, and nothing where it did."""
        ...

    async def wrong(self, addresses: Sequence[Address]) -> list[Address]:
        """The malformed ones among the addresses; nothing is sent."""
        ...


class AddressBook(Protocol):
    """Where the owner writes the addresses."""

    @property
    def name(self) -> str:
        """The path of its file."""
        ...

    def read(self) -> Addresses:
        """The addresses as they are now; blocks for a disk."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePorts:
    """What the issue keeper needs of the outside."""

    memory: IssueMemory
    journal: Journal
    clock: Clock
    addresses: AddressBook
    sender: NoticeSender
    page: Callable[[], str]
    """The address of the status page; empty while nobody knows it."""


class IssueKeeper:
    """The issues of the box, and what each address was notified of."""

    def __init__(self, ports: IssuePorts, rules: NoticeRules, name: str) -> None:
        """`name` is the box's."""
        self._ports, self._rules, self._name = ports, rules, name
        self._known: IssueList = ()
        self._deliveries: dict[str, DeliveryState] = {}
        """What each address was notified of, by the label of the address."""
        self._round: int | None = None
        self._addresses = Addresses()
        self._checked: tuple[Address, ...] = ()
        """Addresses that the sender has been asked about."""
        self._wrong: frozenset[Address] = frozenset()
        """Those of them that are malformed."""
        self._reasons: dict[str, str] = {}
        """Why the last attempt to reach an address failed, by its label."""
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Take up what was kept."""
        self._known, self._deliveries = self._ports.memory.load()

    def listed(self, *, mended: bool) -> list[Issue]:
        """What is wrong, the worst first; with `mended` also what was."""
        return listed(self._known, mended=mended)

    def failures(self) -> dict[str, int]:
        """Failed attempts since the last notice that went through, by the label of the address."""
        return {label: state.failures for label, state in self._deliveries.items()}

    # ------------------------------------------------------------------------------------------ findings

    async def take(self, findings: Iterable[Finding]) -> None:
        """Take a whole round of findings, about once a minute."""
        self._addresses = await asyncio.to_thread(self._ports.addresses.read)
        seconds = self._ports.clock.mono() // 1_000_000_000
        passed = 0 if self._round is None else seconds - self._round
        self._round = seconds
        before = {issue.id: issue.open for issue in self._known}
        done = update(self._known, [*findings, *self.findings()], self._ports.clock.now(), passed)
        self._known = done.known
        self._log(done)
        self._age(passed)
        if {issue.id: issue.open for issue in self._known} != before or done.mended:
            await self._save()
        self._wake.set()

    def _log(self, done: IssueUpdate) -> None:
        journal = self._ports.journal
        for issue in done.begun:
            say = journal.error if issue.severity is Verdict.ERROR else journal.warning
            say(f"{issue.says} {issue.remedy}".strip())
        for issue in done.mended:
            head = "It is no longer known whether this is so" if issue.lost else "Resolved"
            journal.info(f"{head}: {issue.says}")

    def findings(self) -> list[Finding]:
        """What is wrong with the notifications themselves."""
        each = (self._examined(address) for address in self._addresses.found)
        return [*self._addresses.troubles, *(finding for finding in each if finding)]

    def _examined(self, address: Address) -> Finding | None:
        if address in self._wrong:
            return bad_line(self._addresses.source, address.line)
        reason = self._reasons.get(address.label)
        failures = self._deliveries.get(address.label, DeliveryState()).failures
        if not reason or failures < MANY_FAILURES:
            return None
        return warning(
            _check_of(address.label),
            f"Notifications to {address.label} do not go through: {reason}.",
            f"Check line {address.line} of {self._addresses.source}, then run: seedbox notify test. "
            "The box keeps trying.",
        )

    def _age(self, passed: int) -> None:
        """Let time pass for the addresses; begin with new ones, forget those that have gone."""
        if not self._addresses.readable:
            return
        self._deliveries = {
            address.label: aged(
                self._deliveries.get(address.label) or new_delivery(self._known),
                self._known,
                self._rules,
                passed,
            )
            for address in self._addresses.found
        }

    async def flush(self) -> None:
        """Write down how long all has lasted, every few minutes. Raises RetryLater.

        What begins, ends, or was sent is written at once.
        """
        await self._ports.memory.keep(self._known, self._deliveries, durable=False)

    async def _save(self) -> None:
        try:
            await self._ports.memory.keep(self._known, self._deliveries, durable=True)
        except RetryLater as error:
            log.warning("issues are not saved yet: %s", error)

    # ----------------------------------------------------------------------------------------- notifying

    async def run(self, beat: Beat) -> None:
        """Send what is due, after each round of findings, for ever."""
        while True:
            beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._wake.wait()
            self._wake.clear()
            await self._check()
            for address in self._addresses.found:
                beat()
                await self._notify(address)

    async def _check(self) -> None:
        """Have new addresses checked: a wrong one shall be known before it is needed."""
        addresses = self._addresses.found
        if addresses == self._checked:
            return
        self._wrong = frozenset(await self._ports.sender.wrong(addresses) if addresses else ())
        before = {address.label: address.url for address in self._checked}
        for address in addresses:
            if before.get(address.label, address.url) != address.url:
                self._retry(address.label)
        self._checked = addresses

    def _retry(self, label: str) -> None:
        """The owner has corrected an address: whether that helps is tried at once."""
        if state := self._deliveries.get(label):
            self._deliveries[label] = replace(state, failures=0, wait_s=0)

    async def _notify(self, address: Address) -> None:
        label = address.label
        state = self._deliveries.get(label)
        if state is None or address in self._wrong:
            return
        items = due(state, self._of_interest(label, state), self._rules)
        if not items:
            return
        notice = compose(items, state, self._rules, self._name, self._ports.page())
        # Not in the background: it is awaited here, and outlives only a cancellation for some seconds.
        sending = asyncio.create_task(self._ports.sender.send(address, notice))
        try:
            self._sent(label, notice, await asyncio.shield(sending))
        except asyncio.CancelledError:
            # What has arrived already must not be sent again after the restart.
            if (await asyncio.wait({sending}, timeout=LAST_WORD_S))[0]:
                self._sent(label, notice, sending.result())
            else:
                sending.cancel()
                await asyncio.wait({sending})
            raise
        await self._save()

    def _sent(self, label: str, notice: Notice, reason: str) -> None:
        """A notice went through, or did not for a `reason`."""
        if reason:
            self._reasons[label] = reason
            log.warning("notifying the owner by %s: %s", label, reason)
        else:
            self._reasons.pop(label, None)
            log.info("notified the owner by %s: %s", label, notice.title)
        if state := self._deliveries.get(label):
            self._deliveries[label] = failed(state) if reason else sent(state, notice.last_notices)

    def _of_interest(self, label: str, state: DeliveryState) -> IssueList:
        """All issues but an address's own silence, and that of others which ended before a notice of it."""
        return tuple(issue for issue in self._known if _concerns(issue, label, state))

    async def test(self) -> list[str]:
        """Send a test to every address; one line for each, of how it went. Raises OwnerMustAct."""
        book = self._ports.addresses
        addresses = await asyncio.to_thread(book.read)
        troubles = [trouble.text for trouble in addresses.troubles]
        if troubles and not addresses.readable:
            raise OwnerMustAct(troubles[0])
        if not addresses.found and not troubles:
            raise OwnerMustAct(
                f"No notification addresses are set. Write them to {book.name}, one per line, such as "
                "mailto://user:password@example.com or json://192.168.1.20:8000/path, and protect the file: "
                f"chmod 600 {book.name}"
            )
        return troubles + [await self._tested(address) for address in addresses.found]

    async def _tested(self, address: Address) -> str:
        reason = await self._ports.sender.send(address, trial_notice(self._name, self._ports.page()))
        return f"{address.label} (line {address.line}): {reason or 'sent'}"


def _concerns(issue: Issue, label: str, state: DeliveryState) -> bool:
    if not issue.check.startswith("notify:"):
        return True
    return issue.check != _check_of(label) and (issue.open or issue.id in state.last_notices)


def _check_of(label: str) -> str:
    return f"notify:{label}"
