"""The commands about the box itself: its state, health, traffic, events, limits and configuration.

Times are UtcMs, sizes bytes, rates bytes per second.
"""

from typing import Literal

from appliance.control.command import API_VERSION, Answer, Command
from appliance.control.intake import JobAnswer
from appliance.domain.doctor.model import Finding as Finding
from appliance.domain.doctor.model import Verdict as Verdict
from appliance.domain.governor.limits import Limits as Limits
from appliance.domain.governor.limits import LimitsChange as LimitsChange


class Hello(Answer, frozen=True, kw_only=True):
    """The daemon that answers on this socket."""

    api: int
    version: str
    name: str
    pid: int


class SayHello(Command[Hello], frozen=True, kw_only=True):
    """First command of every connection; refused when the versions do not fit."""

    api: int = API_VERSION


class DiskAnswer(Answer, frozen=True, kw_only=True):
    """The file system that holds the downloads."""

    path: str
    total: int
    free: int


class Status(Answer, frozen=True, kw_only=True):
    """What the box does right now."""

    revision: int
    """Rises with every change of any torrent; see ListTorrents.since."""
    sentence: str
    name: str
    version: str
    now: int
    uptime_s: int
    up_rate: int
    down_rate: int
    uploaded: int
    """Payload bytes since the box was first started."""
    downloaded: int
    peers: int
    torrents: dict[str, int]
    """Number of torrents by state; every state is there."""
    size: int
    """Bytes of content held."""
    disk: DiskAnswer | None
    """None while the content folder cannot be reached."""
    listen_port: int
    """0 while the box listens nowhere."""
    dht_nodes: int
    limits: Limits
    health: Verdict
    """The worst verdict of GetHealth, `unknown` left out."""
    problems: list[Finding]
    """Warnings and errors of GetHealth."""
    jobs: list[JobAnswer]


class GetStatus(Command[Status], frozen=True, kw_only=True):
    """Show the overview."""


class Health(Answer, frozen=True, kw_only=True):
    """Everything that the doctor looked at."""

    findings: list[Finding]


class GetHealth(Command[Health], frozen=True, kw_only=True):
    """Examine the machine: what is wrong, and how to fix it."""


Span = Literal["hour", "day", "month"]


class Traffic(Answer, frozen=True, kw_only=True):
    """Payload over time, oldest first; one bucket is `step_s` long."""

    start: int
    step_s: int
    up: list[int]
    """Bytes per second, mean of the bucket."""
    down: list[int]


class GetTraffic(Command[Traffic], frozen=True, kw_only=True):
    """Show upload and download rates over the last hour, day or month."""

    span: Span = "hour"


class Event(Answer, frozen=True, kw_only=True):
    """Something that happened, in plain words."""

    id: int
    at: int
    kind: Literal["info", "warning", "error"]
    text: str
    torrent: str = ""


class Events(Answer, frozen=True, kw_only=True):
    """Newest first."""

    events: list[Event]
    more: bool


class ListEvents(Command[Events], frozen=True, kw_only=True):
    """List events, newest first. `before` is the id of the oldest event already known; 0: from the newest."""

    before: int = 0
    count: int = 50


class LimitsAnswer(Answer, frozen=True, kw_only=True):
    """The limits in force, and where they come from."""

    limits: Limits
    configured: Limits
    """The limits by configuration and size of RAM."""
    changed: LimitsChange
    """The limits that the owner has set instead."""


class GetLimits(Command[LimitsAnswer], frozen=True, kw_only=True):
    """The limits in force."""


class SetLimits(Command[LimitsAnswer], frozen=True, kw_only=True):
    """Set some limits, live and over restarts; fields left out keep what they have."""

    change: LimitsChange


class ResetLimits(Command[LimitsAnswer], frozen=True, kw_only=True):
    """Go back to what the configuration says."""


class ConfigEntry(Answer, frozen=True, kw_only=True):
    """One key of seedbox.toml."""

    table: str
    key: str
    value: str
    """The value in force, as written in TOML."""
    default: str
    unit: str
    says: str


class ConfigAnswer(Answer, frozen=True, kw_only=True):
    """The configuration that the daemon runs with."""

    path: str
    entries: list[ConfigEntry]


class GetConfig(Command[ConfigAnswer], frozen=True, kw_only=True):
    """The configuration that the daemon runs with."""
