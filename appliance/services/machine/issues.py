"""Keeps the owner's issues: takes the findings of every minute, writes them down, and tells of them."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from appliance.adapters.notices.addresses import Address, Addresses, bad_line, read
from appliance.adapters.notices.sender import Sender
from appliance.adapters.store.issues import IssueStore
from appliance.core.clock import Clock
from appliance.core.config import Notify
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.journal import Journal
from appliance.domain.doctor.issues import Issue, Known, listed, update
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.doctor.telling import (
    Line,
    Notice,
    Rules,
    aged,
    due,
    failed,
    notice,
    opened,
    sent,
    trial,
)

log = logging.getLogger(__name__)

PAUSE_S = 60.0
LAST_WORD_S = 3.0
"""What a message on its way is waited for when the box stops."""
MANY_FAILURES = 3
"""Attempts to reach an address after which the owner is to know: some seven minutes."""


class IssueKeeper:
    """The issues of the box, and the lines to its owner."""

    def __init__(
        self,
        store: IssueStore,
        journal: Journal,
        clock: Clock,
        config: Notify,
        file: Path,
        credentials: str | None,
        name: str,
        page: Callable[[], str],
        sender: Sender,
    ) -> None:
        """`file` holds the addresses, unless systemd's folder `credentials` has them (see notices/).

        `name` is the box's; `page` tells the address of its status page, empty while nobody knows it.
        """
        self._store, self._journal, self._clock, self._sender = store, journal, clock, sender
        self._file, self._credentials = file, credentials
        self._name, self._page = name, page
        self._rules = Rules(Verdict(config.least), config.after * 60)
        self.known: Known
        self._lines: dict[str, Line]
        self.known, self._lines = store.load()
        self._round: int | None = None
        self._addresses = Addresses()
        self._checked: tuple[Address, ...] = ()
        """Addresses that apprise has been asked about."""
        self._wrong: frozenset[Address] = frozenset()
        """Those of which it can make nothing."""
        self._reasons: dict[str, str] = {}
        """By the label of an address that was not reached at the last attempt."""
        self._wake = asyncio.Event()

    def listed(self, *, mended: bool) -> list[Issue]:
        """What is wrong, the worst first; with `mended` also what was."""
        return listed(self.known, mended=mended)

    # ------------------------------------------------------------------------------------------ findings

    async def take(self, findings: Iterable[Finding]) -> None:
        """A whole round of findings, about once a minute."""
        self._addresses = await asyncio.to_thread(read, self._file, self._credentials)
        seconds = self._clock.mono() // 1_000_000_000
        passed = 0 if self._round is None else seconds - self._round
        self._round = seconds
        before = {issue.id: issue.open for issue in self.known}
        done = update(self.known, [*findings, *self.findings()], self._clock.now(), passed)
        self.known = done.known
        for issue in done.begun:
            say = self._journal.error if issue.severity is Verdict.ERROR else self._journal.warning
            say(f"{issue.says} {issue.remedy}".strip())
        for issue in done.mended:
            word = "It is not known any more whether this is so" if issue.lost else "Mended"
            self._journal.info(f"{word}: {issue.says}")
        self._age(passed)
        if {issue.id: issue.open for issue in self.known} != before or done.mended:
            await self._save()
        self._wake.set()

    def findings(self) -> list[Finding]:
        """What is wrong with the telling itself."""
        found = list(self._addresses.troubles)
        for address in self._addresses.found:
            reason = self._reasons.get(address.label, "")
            line = self._lines.get(address.label, Line())
            if address in self._wrong:
                found.append(bad_line(self._addresses.source, address.line))
            elif reason and line.failures >= MANY_FAILURES:
                found.append(_unreached(address, self._addresses.source, reason))
        return found

    def _age(self, passed: int) -> None:
        """Let time pass on the lines; open one to each new address, close those that have gone."""
        if not self._addresses.readable:
            return
        self._lines = {
            address.label: aged(
                self._lines.get(address.label) or opened(self.known), self.known, self._rules, passed
            )
            for address in self._addresses.found
        }

    async def flush(self) -> None:
        """Write down how long all has lasted, every few minutes. Raises RetryLater.

        What begins, ends, or was told is written at once.
        """
        await self._store.keep(self.known, self._lines, durable=False)

    async def _save(self) -> None:
        try:
            await self._store.keep(self.known, self._lines, durable=True)
        except RetryLater as error:
            log.warning("issues are not saved yet: %s", error)

    # ------------------------------------------------------------------------------------------- telling

    async def run(self, beat: Callable[[], None]) -> None:
        """For ever: tell what is due, after each round of findings."""
        while True:
            beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._wake.wait()
            self._wake.clear()
            await self._check()
            for address in self._addresses.found:
                beat()
                await self._tell(address)

    async def _check(self) -> None:
        """Ask apprise about addresses that are new: a wrong one shall be known before it is needed."""
        addresses = self._addresses.found
        if addresses == self._checked:
            return
        self._wrong = frozenset(await self._sender.wrong(addresses) if addresses else ())
        before = {address.label: address.url for address in self._checked}
        for address in addresses:
            if before.get(address.label, address.url) != address.url and address.label in self._lines:
                # The owner has mended it: whether that helps is tried at once.
                self._lines[address.label] = replace(self._lines[address.label], failures=0, wait_s=0)
        self._checked = addresses

    async def _tell(self, address: Address) -> None:
        label = address.label
        line = self._lines.get(label)
        if line is None or address in self._wrong:
            return
        items = due(line, self._of_interest(label, line), self._rules)
        if not items:
            return
        message = notice(items, line, self._rules, self._name, self._page())
        sending = asyncio.create_task(self._sender.send(address, message))
        try:
            self._sent(label, message, await asyncio.shield(sending))
        except asyncio.CancelledError:
            # What has arrived already must not be told again after the restart.
            if (await asyncio.wait({sending}, timeout=LAST_WORD_S))[0]:
                self._sent(label, message, sending.result())
            else:
                sending.cancel()
                await asyncio.wait({sending})
            raise
        await self._save()

    def _sent(self, label: str, message: Notice, reason: str) -> None:
        """A message went through, or did not for a `reason`."""
        if reason:
            self._reasons[label] = reason
            log.warning("telling the owner by %s: %s", label, reason)
        else:
            self._reasons.pop(label, None)
            log.info("told the owner by %s: %s", label, message.title)
        if line := self._lines.get(label):
            self._lines[label] = failed(line) if reason else sent(line, message)

    def _of_interest(self, label: str, line: Line) -> Known:
        """All but an address's own silence, and that of others which has ended before it was told."""
        return tuple(
            issue
            for issue in self.known
            if not issue.check.startswith("notify:")
            or (issue.check != _check_of(label) and (issue.open or issue.id in line.told))
        )

    async def test(self) -> list[str]:
        """Send a test to every address; one line for each, of how it went. Raises OwnerMustAct."""
        told = await asyncio.to_thread(read, self._file, self._credentials)
        for trouble in told.troubles:
            if not told.readable:
                raise OwnerMustAct(f"{trouble.says} {trouble.remedy}")
        if not told.found and not told.troubles:
            raise OwnerMustAct(
                f"Nobody is told anything yet. Write addresses into {self._file}, one a line, such as "
                "mailto://user:password@example.com or json://192.168.1.20:8000/path, and close it: "
                f"chmod 600 {self._file}"
            )
        lines = [f"{trouble.says} {trouble.remedy}" for trouble in told.troubles]
        for address in told.found:
            reason = await self._sender.send(address, trial(self._name, self._page()))
            lines.append(f"{address.label} (line {address.line}): {reason or 'sent'}")
        return lines


def _check_of(label: str) -> str:
    return f"notify:{label}"


def _unreached(address: Address, source: str, reason: str) -> Finding:
    return Finding(
        _check_of(address.label),
        Verdict.WARNING,
        f"You cannot be told by {address.label}: {reason}.",
        f"Check line {address.line} of {source}, then: seedbox notify test. The box goes on trying.",
    )
