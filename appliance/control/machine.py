"""The commands about the box's own body: readings, what eases it, its power, its drives, and its issues.

Times are UtcMs, temperatures millidegrees Celsius, power milliwatts, shares ppm.
"""

from typing import Literal

from appliance.control.command import Answer, Command
from appliance.domain.doctor.model import Verdict
from appliance.domain.governor.ease import Rule as Rule
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.readings import DiskReading as DiskReading
from appliance.domain.governor.readings import Firmware as Firmware
from appliance.domain.governor.readings import Pressure as Pressure
from appliance.domain.governor.readings import Readings as Readings
from appliance.domain.governor.readings import Supply as Supply

# ------------------------------------------------------------------------------------------- readings


class ReadingsAnswer(Answer, frozen=True, kw_only=True):
    """What is read now; None: it cannot be known."""

    readings: Readings
    board: str
    """Model of the board; empty where it does not tell."""


class GetReadings(Command[ReadingsAnswer], frozen=True, kw_only=True):
    """What is read now."""


class Decided(Answer, frozen=True, kw_only=True):
    """A change of the limits by the governor."""

    at: int
    until: int
    """0: it still holds."""
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
    decisions: list[Decided]
    """All that held at some time of it, newest first."""


class GetHistory(Command[History], frozen=True, kw_only=True):
    """Readings and decisions over the last hour, day or month."""

    span: Literal["hour", "day", "month"] = "day"


# ------------------------------------------------------------------------------------------- governor


class Ease(Answer, frozen=True, kw_only=True):
    """Why the box does less than it could."""

    rule: str
    says: str
    since: int


class GovernorAnswer(Answer, frozen=True, kw_only=True):
    """What the governor does."""

    eases: list[Ease]
    limits: Limits
    """In force."""
    wanted: Limits
    """What the owner and the configuration allow."""
    override_until: int
    """Until when the owner has switched the easing off; 0: it is on."""
    kept: list[str]
    """Rules that an override does not switch off, as they keep the box and its data from harm."""


class GetGovernor(Command[GovernorAnswer], frozen=True, kw_only=True):
    """What the governor does, and why."""


class SetOverride(Command[GovernorAnswer], frozen=True, kw_only=True):
    """Ease nothing for some time, but for what would do harm; 0 minutes: go back to easing."""

    minutes: int


# --------------------------------------------------------------------------------------------- energy


class Energy(Answer, frozen=True, kw_only=True):
    """What the box takes and costs, beside what it earns."""

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
    """Is this box worth its power?"""


class GetEnergy(Command[Energy], frozen=True, kw_only=True):
    """Whether the box is worth its power."""


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
