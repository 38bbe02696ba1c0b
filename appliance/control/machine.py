"""The commands about the machine: readings, what throttles it, its energy, its drives, and its issues.

Times are UtcMs, temperatures millidegrees Celsius, power milliwatts, shares ppm.
"""

from typing import Literal

from msgspec import field

from appliance.control.command import Answer, Command
from appliance.domain.doctor.model import Verdict
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.readings import DiskReading as DiskReading
from appliance.domain.governor.readings import Firmware as Firmware
from appliance.domain.governor.readings import Pressure as Pressure
from appliance.domain.governor.readings import Readings as Readings
from appliance.domain.governor.readings import Supply as Supply
from appliance.domain.governor.throttle import ThrottleRule as ThrottleRule

# ------------------------------------------------------------------------------------------- readings


class ReadingsAnswer(Answer, frozen=True, kw_only=True):
    """The latest readings; None: it cannot be known."""

    readings: Readings
    board: str
    """Model of the board; empty where it does not tell."""


class GetReadings(Command[ReadingsAnswer], frozen=True, kw_only=True):
    """The latest readings."""


class PastThrottle(Answer, frozen=True, kw_only=True):
    """A time in which one rule of the governor throttled the box."""

    at: int
    until: int
    """0: it still does."""
    rule: str
    """Such as `heat`."""
    says: str


class History(Answer, frozen=True, kw_only=True):
    """Readings over time, oldest first, one a bucket of `step_s`; None where nothing was read."""

    start: int
    step_s: int
    temperature: list[int | None]
    """The hottest of the bucket."""
    disk_temperature: list[int | None]
    io: list[int | None]
    """Pressure (some10), ppm, the highest of the bucket."""
    memory: list[int | None]
    latency: list[int | None]
    """Microseconds, the mean of the bucket."""
    watts: list[int | None]
    """Milliwatts, the mean of the bucket."""
    up: list[int]
    """Bytes a second, the mean of the bucket."""
    limit: list[int | None]
    """Upload limit in force, bytes a second, the least of the bucket; 0: none."""
    decisions: list[PastThrottle]
    """All that were in force at some time of it, newest first."""


class GetHistory(Command[History], frozen=True, kw_only=True):
    """Readings and decisions over the last hour, day or month."""

    span: Literal["hour", "day", "month"] = "day"


# ------------------------------------------------------------------------------------------- governor


class ThrottleAnswer(Answer, frozen=True, kw_only=True):
    """Why the box does less than it could."""

    rule: str
    says: str
    since: int


class GovernorAnswer(Answer, frozen=True, kw_only=True):
    """What the governor does."""

    throttles: list[ThrottleAnswer] = field(name="eases")
    """On the socket they keep the name that they have had since the first version."""
    limits: Limits
    """In force."""
    wanted: Limits
    """What the owner and the configuration allow."""
    override_until: int
    """Until when the owner has lifted the throttling; 0: it is on."""
    kept: list[str]
    """Rules that an override does not lift, as they protect the box and its data."""


class GetGovernor(Command[GovernorAnswer], frozen=True, kw_only=True):
    """Show what the governor does, and why."""


class SetOverride(Command[GovernorAnswer], frozen=True, kw_only=True):
    """Lift throttling for some time; safety limits stay on. 0 minutes: throttle again."""

    minutes: int


# --------------------------------------------------------------------------------------------- energy


class EnergyAnswer(Answer, frozen=True, kw_only=True):
    """What the box draws and costs, beside what it earns."""

    watts_mw: int | None
    source: Literal["plug", "ups", "told", "model", "unknown"]
    cost_day: int | None
    """Thousandths of the currency; None: no price is configured."""
    earned_day: int
    """µBTT of the last 24 hours, storage and slots."""
    worth_day: int | None
    """The same in thousandths of the currency."""
    currency: str
    sentence: str
    """What it costs to run the box, beside what it earned, in words."""


class GetEnergy(Command[EnergyAnswer], frozen=True, kw_only=True):
    """What it costs to run the box."""


# --------------------------------------------------------------------------------------------- drives


class VolumeAnswer(Answer, frozen=True, kw_only=True):
    """A folder for content."""

    path: str
    uuid: str
    device: str
    present: bool
    read_only: bool
    total: int | None
    free: int | None
    torrents: int
    main: bool
    """The one of content.root."""
    says: str
    """`OK`, or what is wrong and what to do about it."""


class Volumes(Answer, frozen=True, kw_only=True):
    """All folders for content."""

    volumes: list[VolumeAnswer]


class ListVolumes(Command[Volumes], frozen=True, kw_only=True):
    """List the folders for content and their drives."""


# --------------------------------------------------------------------------------------------- issues


class IssueAnswer(Answer, frozen=True, kw_only=True):
    """Something that needs the owner's attention."""

    check: str
    """A short stable name, such as `temperature`."""
    severity: Verdict
    """`warning` or `error`."""
    says: str
    remedy: str
    first: int
    last: int
    mended: int
    """0: it is still so."""
    unknown_since: int = 0
    """When it was found last, where it cannot be looked at now; 0: it can be."""


class Issues(Answer, frozen=True, kw_only=True):
    """Open ones first, the worst first; then those that were mended, the latest first."""

    issues: list[IssueAnswer]


class ListIssues(Command[Issues], frozen=True, kw_only=True):
    """List what is wrong, or was."""

    mended: bool = False
    """Also those of the last 30 days that are mended."""


class NoticesSent(Answer, frozen=True, kw_only=True):
    """How sending went, one line for each address (its scheme and host only)."""

    lines: list[str]


class TryNotice(Command[NoticesSent], frozen=True, kw_only=True):
    """Send a test to every address in the `notify` file."""


# ---------------------------------------------------------------------------------------------- panel


class PanelAnswer(Answer, frozen=True, kw_only=True):
    """What the light is to show."""

    light: Literal["well", "busy", "needs-you", "sold-out"]
    sentence: str


class GetPanel(Command[PanelAnswer], frozen=True, kw_only=True):
    """What the light is to show."""


class Done(Answer, frozen=True, kw_only=True):
    """It is done, or has begun."""

    sentence: str


class ShowYourself(Command[Done], frozen=True, kw_only=True):
    """Someone pressed the button: the event list and the page show which box it is."""


class ShutDown(Command[Done], frozen=True, kw_only=True):
    """Save everything, leave the swarms, and power the machine off where it is allowed to."""


class ResetSettings(Command[Done], frozen=True, kw_only=True):
    """Forget what was set by hand, and have a new claim code; torrents, data, keys and money stay."""
