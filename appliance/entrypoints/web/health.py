"""The health page: problems, throttling, sensor readings, drives, and what the power costs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, flash, get_template_attribute, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.control import machine
from appliance.control.box import GetHealth, GetStatus, Span
from appliance.control.client import ControlClient
from appliance.core.config import GovernorConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.units import show_money, show_watts
from appliance.entrypoints.web import forms, readings
from appliance.entrypoints.web.decisions import MOST_SHOWN, Band, bands, rule_name, words
from appliance.entrypoints.web.routes import blueprint
from appliance.entrypoints.web.words import when

MORNING = 7
"""The hour of the day at which an override "until tomorrow morning" ends."""
_PARTS = "health-parts.html"


def health_pages(box: ControlClient, config: GovernorConfig) -> Blueprint:
    """The health page of the box behind `box`; `config` gives the graphs their thresholds."""
    views = HealthViews(box, config)
    return blueprint(
        "health",
        "",
        ("/health", views.show, "GET"),
        ("/health/override", views.override, "POST"),
        ("/health/notice", views.notify, "POST"),
        ("/live/health", views.live, "GET"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The readings and graphs of the page."""

    rows: list[readings.Reading]
    graphs: list[readings.Graph]
    missing: list[str]
    bands: tuple[Band, ...]
    now: int


class HealthViews:
    """One method per page."""

    def __init__(self, box: ControlClient, config: GovernorConfig) -> None:
        self._box = box
        self._config = config

    def show(self) -> ResponseReturnValue:
        """Show how the machine is doing."""
        issues = self._box.call(machine.ListIssues(mended=True)).issues
        span = _span()
        measured = self._measured(span)
        return render_template(
            "health.html",
            span=span,
            spans=forms.SPANS,
            measured=measured,
            shown=MOST_SHOWN,
            words=words,
            rule_name=rule_name,
            open_issues=[one for one in issues if not one.mended],
            mended=[one for one in issues if one.mended],
            governor=self._box.call(machine.GetGovernor()),
            energy=self._box.call(machine.GetEnergy()),
            money=show_money,
            watts=show_watts,
            drives=self._box.call(machine.ListVolumes()).volumes,
            findings=self._box.call(GetHealth()).findings,
            morning=until_morning(datetime.fromtimestamp(measured.now / 1_000))[1],
        )

    def live(self) -> ResponseReturnValue:
        """Answer with the parts of the page that change."""
        measured = self._measured(_span())
        issues = [one for one in self._box.call(machine.ListIssues()).issues if not one.mended]
        return {
            "parts": {
                "issues": _part("issues", issues, measured.now),
                "reasons": _part("reasons", self._box.call(machine.GetGovernor()), rule_name),
                "graphs": _part("graphs", measured.graphs, measured.missing),
                "decisions": _part("decisions", measured.bands, measured.now, words, MOST_SHOWN),
                "readings": _part("readings", measured.rows),
            }
        }

    def _measured(self, span: Span) -> Measured:
        history = self._box.call(machine.GetHistory(span=span))
        answer = self._box.call(machine.GetReadings())
        end = history.start + len(history.up) * history.step_s * 1_000
        found = bands(history.decisions, history.start, end)
        graphs, missing = readings.graphs(history, answer.readings, self._config, span, found)
        return Measured(
            rows=readings.rows(answer), graphs=graphs, missing=missing, bands=found, now=answer.readings.at
        )

    def override(self) -> ResponseReturnValue:
        """Lift the throttling for a while, or end that early."""
        asked = request.form.get("until", "")
        now = datetime.fromtimestamp(self._box.call(GetStatus()).now / 1_000)
        choices = {"hour": 60, "morning": until_morning(now)[0], "no": 0}
        if asked not in choices:
            raise OwnerMustAct("Choose how long to lift the throttling.")
        after = self._box.call(machine.SetOverride(minutes=choices[asked]))
        if after.override_until:
            flash(f"Throttling is off until {when(after.override_until)}.", "ok")
        else:
            flash("Override ended. The box throttles itself again when it needs to.", "ok")
        return redirect(url_for("health.show", _anchor="throttling"))

    def notify(self) -> ResponseReturnValue:
        """Send a test notification."""
        lines = self._box.call(machine.TryNotice()).lines
        for line in lines:
            flash(line, "info")
        if not lines:
            flash("No notification addresses set. Add them to the file named under Settings.", "warning")
        return redirect(url_for("health.show"))


def until_morning(now: datetime) -> tuple[int, str]:
    """Minutes until the next seven in the morning, at most a day, and words for that time.

    `now` is naive, in local time; nights in which the clocks change are counted at their real length.
    """
    morning = now.replace(hour=MORNING, minute=0, second=0, microsecond=0)
    today = now < morning
    if not today:
        morning += timedelta(days=1)
    minutes = -int((now.timestamp() - morning.timestamp()) // 60)
    return minutes, f"until {MORNING:02}:00 this morning" if today else "until tomorrow morning"


def _span() -> Span:
    return forms.span(request.args.get("span"), "day")


def _part(name: str, *values: Any) -> str:
    return str(get_template_attribute(_PARTS, name)(*values))
