"""The doctor at work: examines the box every minute, and keeps what it finds."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.core.blocking import BlockingCall
from appliance.core.errors import RetryLater
from appliance.core.service import Beat
from appliance.domain.doctor.checks import examine
from appliance.domain.doctor.facts import Facts, MachineFacts, NetworkFacts
from appliance.domain.doctor.model import Finding
from appliance.domain.doctor.sensors import examine_sensors
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.settings import GovernorSettings

log = logging.getLogger(__name__)

EXAMINE_S = 60.0
HANG_S = 30.0
"""A machine whose files take longer to read has a drive that hangs; the last facts are used then."""


class IssueSink(Protocol):
    """Who keeps the owner's issues."""

    async def take(self, findings: Iterable[Finding]) -> None:
        """Take what was found at this moment."""
        ...

    def findings(self) -> list[Finding]:
        """What is found of the notices to the owner."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPorts:
    """What the doctor examines, and where its findings go."""

    machine: Callable[[], MachineFacts]
    """May block for as long as a drive hangs."""
    network: Callable[[], NetworkFacts]
    volumes: Callable[[], Sequence[Finding]]
    readings: Callable[[], Readings]
    issues: IssueSink


class HealthWatch:
    """The box's health."""

    def __init__(self, ports: HealthPorts, settings: GovernorSettings) -> None:
        """`settings` are the governor's: the doctor warns by the same thresholds."""
        self._ports, self._settings = ports, settings
        self._reading = BlockingCall("health")
        self._turn = asyncio.Lock()
        self._machine: MachineFacts | None = None
        self.findings: list[Finding] = []
        """What the last examination found; empty before the first."""

    async def run(self, beat: Beat) -> None:
        """Examine the box every minute, for ever."""
        while True:
            try:
                found = await self.examine()
                await self._ports.issues.take(found)
                self.findings = [*found, *self._ports.issues.findings()]
            except RetryLater as error:
                log.warning("%s", error)
            beat()
            await asyncio.sleep(EXAMINE_S)

    async def examine(self) -> list[Finding]:
        """Examine the box now. Raises RetryLater while a drive hangs and the machine is not known yet."""
        facts = await self._facts()
        return [
            *examine(Facts(facts, self._ports.network()), self._settings),
            *self._ports.volumes(),
            *examine_sensors(self._ports.readings()),
        ]

    async def _facts(self) -> MachineFacts:
        async with self._turn:
            try:
                self._machine = await self._reading.run(self._ports.machine, HANG_S)
            except TimeoutError:
                log.warning("the machine cannot be examined now: a drive does not answer")
            if self._machine is None:
                raise RetryLater("The machine cannot be examined: a drive does not answer. Check its cable.")
            return self._machine
