"""The overview, the events, and the small answers that keep the lists live."""

from typing import Any

from flask import Blueprint, Response, get_template_attribute, render_template, request
from flask.typing import ResponseReturnValue

from appliance.control import machine
from appliance.control.box import GetStatus, GetTraffic, ListEvents, Span, Status
from appliance.control.client import ControlClient
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.graph import graph
from appliance.entrypoints.web.routes import blueprint

NUMBERS = (
    "sentence",
    "up_rate",
    "down_rate",
    "peers",
    "uploaded",
    "downloaded",
    "torrents",
    "disk",
    "jobs",
    "uptime",
)
"""Parts of the overview that the page refreshes; each has its form in `parts.html`."""


def home_pages(box: ControlClient) -> Blueprint:
    """The overview and the events of the box behind `box`."""
    views = HomeViews(box)
    return blueprint(
        "home",
        "",
        ("/", views.overview, "GET"),
        ("/events", views.events, "GET"),
        ("/live", views.live, "GET"),
        ("/live/graph", views.live_graph, "GET"),
    )


class HomeViews:
    """One method per page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    def overview(self) -> ResponseReturnValue:
        """Show what the box is doing right now."""
        span = _span()
        return render_template(
            "overview.html",
            status=self._box.call(GetStatus()),
            governor=self._box.call(machine.GetGovernor()),
            energy=self._box.call(machine.GetEnergy()),
            graph=graph(self._box.call(GetTraffic(span=span)), span),
            span=span,
            spans=forms.SPANS,
            events=self._box.call(ListEvents(count=5)).events,
        )

    def events(self) -> ResponseReturnValue:
        """List what happened, newest first."""
        before = forms.whole(request.args.get("before"), 0, 0, 2**53)
        answer = self._box.call(ListEvents(before=before))
        now = self._box.call(GetStatus()).now
        return render_template("events.html", answer=answer, now=now, before=before)

    def live(self) -> ResponseReturnValue:
        """Answer with the current numbers, and with the rows of the shown list that changed."""
        status = self._box.call(GetStatus())
        numbers = _numbers(status)
        if request.args.get("view") == "torrents":
            return {"numbers": numbers, **self._changed_rows()}
        throttling = get_template_attribute("health-parts.html", "throttling")
        numbers["throttling"] = str(throttling(self._box.call(machine.GetGovernor())))
        return {"numbers": numbers, "revision": status.revision}

    def _changed_rows(self) -> dict[str, Any]:
        since = forms.whole(request.args.get("since"), 0, 0, 2**53)
        page = self._box.call(forms.query(request.args, since=since))
        row = get_template_attribute("rows.html", "row")
        return {
            "revision": page.revision,
            "ids": page.ids,
            "rows": {one.id: str(row(one)) for one in page.rows},
        }

    def live_graph(self) -> ResponseReturnValue:
        """Draw the traffic graph again."""
        span = _span()
        return Response(graph(self._box.call(GetTraffic(span=span)), span), content_type="image/svg+xml")


def _span() -> Span:
    return forms.span(request.args.get("span"), "hour")


def _numbers(status: Status) -> dict[str, str]:
    number = get_template_attribute("parts.html", "number")
    return {name: str(number(name, status)).strip() for name in NUMBERS}
