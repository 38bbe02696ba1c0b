"""The health page: what is wrong, why the box is slower now, its readings, its drives and its power."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, flash, get_template_attribute, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.control import machine as care
from appliance.control.box import GetHealth, GetStatus, Span
from appliance.control.client import ControlClient
from appliance.core.config import Governor
from appliance.core.errors import OwnerMustAct
from appliance.core.units import show_money, show_watts
from appliance.entrypoints.web import readings
from appliance.entrypoints.web.decisions import MOST_SHOWN, Band, bands, rule_name, words
from appliance.entrypoints.web.routes import blueprint

SPANS: tuple[Span, ...] = ("hour", "day", "month")
MORNING = 7
"""Hour of the day until which "until the morning" lasts."""
_PARTS = "health-parts.html"


def care_pages(box: ControlClient, keys: Governor) -> Blueprint:
    """The pages over one daemon."""
    views = Views(box, keys)
    return blueprint(
        "care",
        "",
        ("/health", views.health, "GET"),
        ("/health/override", views.override, "POST"),
        ("/health/notice", views.notice, "POST"),
        ("/live/health", views.live, "GET"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The readings as the page shows them."""

    rows: list[readings.Row]
    graphs: list[readings.Graph]
    missing: list[str]
    bands: tuple[Band, ...]
    now: int


class Views:
    """One method a page."""

    def __init__(self, box: ControlClient, keys: Governor) -> None:
        self._box = box
        self._keys = keys

    def health(self) -> ResponseReturnValue:
        """Everything about the box's own body."""
        issues = self._box.call(care.ListIssues(mended=True)).issues
        span = _span()
        told = self._told(span)
        return render_template(
            "health.html",
            span=span,
            spans=SPANS,
            told=told,
            shown=MOST_SHOWN,
            words=words,
            rule_name=rule_name,
            open_issues=[one for one in issues if not one.mended],
            mended=[one for one in issues if one.mended],
            governor=self._box.call(care.GetGovernor()),
            energy=self._box.call(care.GetEnergy()),
            money=show_money,
            watts=show_watts,
            volumes_told=self._box.call(care.ListVolumes()).volumes,
            findings=self._box.call(GetHealth()).findings,
            morning=until_morning(datetime.fromtimestamp(told.now / 1_000))[1],
        )

    def live(self) -> ResponseReturnValue:
        """What changes while one looks."""
        told = self._told(_span())
        issues = [one for one in self._box.call(care.ListIssues()).issues if not one.mended]
        return {
            "parts": {
                "issues": _part("issues", issues, told.now),
                "eases": _part("eases", self._box.call(care.GetGovernor()), rule_name),
                "graphs": _part("graphs", told.graphs, told.missing),
                "decisions": _part("decisions", told.bands, told.now, words, MOST_SHOWN),
                "readings": _part("readings", told.rows),
            }
        }

    def _told(self, span: Span) -> Told:
        history = self._box.call(care.GetHistory(span=span))
        answer = self._box.call(care.GetReadings())
        end = history.start + len(history.up) * history.step_s * 1_000
        found = bands(history.decisions, history.start, end)
        graphs, missing = readings.graphs(history, answer.readings, self._keys, span, found)
        return Told(
            rows=readings.rows(answer), graphs=graphs, missing=missing, bands=found, now=answer.readings.at
        )

    def override(self) -> ResponseReturnValue:
        """Full speed for a while, or easing again."""
        asked = request.form.get("until", "")
        now = datetime.fromtimestamp(self._box.call(GetStatus()).now / 1_000)
        choices = {"hour": 60, "morning": until_morning(now)[0], "no": 0}
        if asked not in choices:
            raise OwnerMustAct("Say until when the box shall work at full speed.")
        after = self._box.call(care.SetOverride(minutes=choices[asked]))
        if after.override_until:
            clock = time.strftime("%Y-%m-%d %H:%M", time.localtime(after.override_until / 1_000))
            flash(f"Nothing is eased until {clock}, but for what would do harm.", "ok")
        else:
            flash("The box eases itself again where it has to.", "ok")
        return redirect(url_for("care.health", _anchor="slower"))

    def notice(self) -> ResponseReturnValue:
        """Try out whether the owner can be told elsewhere."""
        lines = self._box.call(care.TryNotice()).lines
        for line in lines:
            flash(line, "info")
        if not lines:
            flash(
                "Nobody is told elsewhere. Write addresses into the file that the settings name.", "warning"
            )
        return redirect(url_for("care.health"))


def until_morning(now: datetime) -> tuple[int, str]:
    """Minutes until it is seven in the morning next, at most a day, and how that time is called.

    `now` is naive, in the owner's own time; a night in which the clocks are changed is as long as it is.
    """
    morning = now.replace(hour=MORNING, minute=0, second=0, microsecond=0)
    today = now < morning
    if not today:
        morning += timedelta(days=1)
    minutes = -int((now.timestamp() - morning.timestamp()) // 60)
    return minutes, f"until {MORNING:02}:00 this morning" if today else "until tomorrow morning"


def _span() -> Span:
    asked = request.args.get("span")
    return next((span for span in SPANS if span == asked), "day")


def _part(name: str, *told: Any) -> str:
    return str(get_template_attribute(_PARTS, name)(*told))
