"""What the sensors say at one moment; None: it could not be read, never that all is well."""

from dataclasses import dataclass
from enum import StrEnum

from appliance.core.units import UtcMs
from appliance.domain.volumes.volume import Volume


class Supply(StrEnum):
    """Where the power comes from, as a UPS tells it (NUT `ups.status`)."""

    MAINS = "mains"
    BATTERY = "battery"
    LOW = "low-battery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """What a Raspberry Pi's firmware reports (`vcgencmd get_throttled`), now and since it was booted.

    Where only the kernel's voltage alarm can be read, the other flags are None.
    """

    under_voltage: bool
    frequency_capped: bool | None
    firmware_throttled: bool | None
    soft_temperature_limit: bool | None
    under_voltage_before: bool
    frequency_capped_before: bool | None
    firmware_throttled_before: bool | None
    soft_temperature_limit_before: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """Pressure stall information (Linux: Documentation/accounting/psi.rst), ppm of the time."""

    some10: int
    """Some work stood still for want of it, over the last 10 seconds."""
    some60: int
    full10: int
    """All work stood still."""
    full60: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskReading:
    """A drive, as it tells of itself (SMART, NVMe, eMMC)."""

    device: str
    """Such as `/dev/sda`."""
    model: str
    healthy: bool | None
    """Its own verdict."""
    temperature_mc: int | None
    """Millidegrees Celsius."""
    wear_percent: int | None
    """How much of its life is used up; above 100 for some drives that live longer."""
    bad_sectors: int | None
    """Reallocated, pending and uncorrectable."""
    hours: int | None
    """Powered on."""
    asleep: bool = False
    """In standby; it was not woken for this reading, and the other values are older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Everything, at one moment."""

    at: UtcMs
    temperature_mc: int | None = None
    """The processor's temperature, millidegrees Celsius."""
    firmware: Firmware | None = None
    """None where the board is no Raspberry Pi."""
    cpu: Pressure | None = None
    io: Pressure | None = None
    memory: Pressure | None = None
    load_milli: int | None = None
    """Load average of a minute, thousandths for each processor."""
    ram_total: int | None = None
    """Bytes."""
    ram_available: int | None = None
    volumes: tuple[Volume, ...] = ()
    disks: tuple[DiskReading, ...] = ()
    supply: Supply | None = None
    battery_percent: int | None = None
    battery_s: int | None = None
    """Seconds that the battery lasts, as the UPS guesses."""
    watts_mw: int | None = None
    """Measured, milliwatts."""
    ups_silent_s: int | None = None
    """For how long the configured UPS has not answered; None where there is none."""
    plug_silent_s: int | None = None
    """The same of the smart plug."""
    link_up: bool | None = None
    """The interface of the default route."""
    link_mbit: int | None = None
    latency_us: int | None = None
    """Round trip to the first host beyond the uplink, median of the last probes."""
    latency_base_us: int | None = None
    """The same when nothing is sent: the least of the last hour."""
    month_up: int = 0
    """Payload bytes of this calendar month, or of the cap's month."""
    month_down: int = 0
    up_rate: int = 0
    """Bytes a second that the box sends now."""
    down_rate: int = 0
