"""What the issue keeper needs of the outside, in memory: addresses, a sender, and what is kept of issues."""

import asyncio
from collections.abc import Mapping, Sequence

from appliance.adapters.notices.addresses import Address, Addresses
from appliance.core.errors import RetryLater
from appliance.domain.doctor.delivery import DeliveryState
from appliance.domain.doctor.issues import IssueList
from appliance.domain.doctor.notice import Notice


class FakeAddressBook:
    """Addresses as a test sets them."""

    name = "/etc/seedbox/notify"

    def __init__(self, *urls: str) -> None:
        self.write(*urls)

    def write(self, *urls: str) -> None:
        """Have other addresses from now on; what comes before a colon is the label."""
        found = (Address(url.partition(":")[0], line, url) for line, url in enumerate(urls, 1))
        self.addresses = Addresses(tuple(found), self.name)

    def read(self) -> Addresses:
        """The addresses."""
        return self.addresses


class FakeSender:
    """Keeps what it is to send, or fails for a reason."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Notice]] = []
        self.reason = ""
        self.malformed: list[str] = []
        self.free = asyncio.Event()
        """Cleared: sending hangs."""
        self.free.set()
        self.sending = 0

    async def send(self, address: Address, notice: Notice) -> str:
        """Send one."""
        self.sending += 1
        await self.free.wait()
        if not self.reason:
            self.sent.append((address.label, notice))
        return self.reason

    async def wrong(self, addresses: Sequence[Address]) -> list[Address]:
        """Those that a test calls malformed."""
        return [one for one in addresses if one.label in self.malformed]


class FakeIssueMemory:
    """Keeps issues as a database would; `full`: nothing can be written."""

    def __init__(self) -> None:
        self.kept: tuple[IssueList, dict[str, DeliveryState]] = ((), {})
        self.full = False

    def load(self) -> tuple[IssueList, dict[str, DeliveryState]]:
        """What was kept."""
        return self.kept

    async def keep(self, known: IssueList, deliveries: Mapping[str, DeliveryState], *, durable: bool) -> None:
        """Keep it."""
        if self.full:
            raise RetryLater("The disk is full.")
        self.kept = known, dict(deliveries)
