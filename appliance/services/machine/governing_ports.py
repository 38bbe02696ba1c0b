"""What the governor needs of the outside."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from appliance.adapters.board.sensors import QuickReading
from appliance.adapters.board.ups import UpsReading
from appliance.adapters.store.machine import DecisionRecord, Past
from appliance.core.clock import Clock
from appliance.core.journal import Journal
from appliance.core.tasks import Fail
from appliance.core.units import UtcMs
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.readings import DiskReading, Readings
from appliance.domain.volumes.volume import Volume
from appliance.services.machine.ports import SettingStore
from appliance.services.machine.uplink import UplinkReading


class SensorReadings(Protocol):
    """The machine, as it can be read. Nothing raises, and what cannot be read is None."""

    def quick(self) -> QuickReading:
        """What the kernel's files tell at once."""
        ...

    def supply(self) -> UpsReading:
        """Mains or battery; may take seconds."""
        ...

    def watts(self) -> int | None:
        """Milliwatts by the smart plug; may take seconds."""
        ...

    def slow(self, devices: Iterable[str]) -> tuple[DiskReading, ...]:
        """The drives under devices such as `/dev/sda1`; seconds for each."""
        ...

    def board_model(self) -> str:
        """What the board calls itself; empty where it does not tell."""
        ...

    def boot(self) -> str:
        """Which boot this is."""
        ...

    def rotational(self, device: str) -> bool | None:
        """Whether a drive turns."""
        ...


class LimitsInForce(Protocol):
    """The limits of the box (`services/machine/limits.py`)."""

    @property
    def wanted(self) -> Limits:
        """What the owner and the configuration allow."""
        ...

    @property
    def current(self) -> Limits:
        """The limits in force."""
        ...

    def throttle(self, limits: Limits | None) -> None:
        """Set what the governor leaves of `wanted`; None: all of it."""
        ...


class Rates(Protocol):
    """What flows now, in bytes a second (`services/machine/meter.py`)."""

    @property
    def up_rate(self) -> int:
        """Sent."""
        ...

    @property
    def down_rate(self) -> int:
        """Received."""
        ...

    @property
    def peak(self) -> int:
        """What the uplink can do."""
        ...


class TrafficTotals(Protocol):
    """Payload over time."""

    async def between(self, start: UtcMs, end: UtcMs) -> tuple[int, int]:
        """Bytes sent and received in that time. Raises RetryLater."""
        ...


class ReadingHistory(Protocol):
    """Readings over time."""

    def add(self, readings: Readings, watts_mw: int | None, upload_limit: int) -> None:
        """Take one reading."""
        ...

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater."""
        ...

    async def history(self, span: Literal["hour", "day", "month"]) -> Past:
        """Readings up to this moment. Raises RetryLater."""
        ...


class ThrottleHistory(Protocol):
    """What throttled the box, over time."""

    def hold(self, eases: Iterable[tuple[str, str]]) -> None:
        """All (rule, sentence) that are in force now."""
        ...

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater."""
        ...

    async def since(self, start: UtcMs) -> list[DecisionRecord]:
        """All that were in force at some time since `start`, newest first. Raises RetryLater."""
        ...


class SlotSales(NamedTuple):
    """What the market of the box is doing."""

    leased: bool
    free_percent: int
    """The part of the upload that those who do not pay keep while slots are sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoverningPorts:
    """What the governor needs of the outside."""

    sensors: SensorReadings
    clock: Clock
    store: SettingStore
    journal: Journal
    readings: ReadingHistory
    throttles: ThrottleHistory
    traffic: TrafficTotals
    meter: Rates
    limits: LimitsInForce
    volumes: Callable[[], tuple[Volume, ...]]
    """The folders for downloads and their drives, as they are known."""
    disks_read: Callable[[Sequence[DiskReading]], None]
    """Called with what the drives tell of themselves, whenever they were asked."""
    uplink: Callable[[], UplinkReading]
    sales: Callable[[], SlotSales]
    throttle_torrents: Callable[[str, str], None]
    """Takes why nothing is downloaded, and why nothing is sent; empty where something is."""
    throttle_market: Callable[[int, str, bool], None]
    """Takes the upload in bytes a second (0: as usual), what buyers are told, and whether to take new work.
    """
    shut_down: Callable[[], Coroutine[Any, Any, object]]
    """Saves everything and switches the machine off. Raises SeedboxError where that fails for now."""
    fail: Fail
