"""The list of torrents, and what can be done to several at once."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.control.client import ControlClient
from appliance.control.torrents import (
    ListTorrents,
    Pause,
    Reannounce,
    Recheck,
    Remove,
    Resume,
    ShowTorrent,
    TorrentState,
)
from appliance.core.errors import OwnerMustAct
from appliance.core.units import plural
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.routes import blueprint

MOST_AT_ONCE = 500
_Action = type[Pause] | type[Resume] | type[Recheck] | type[Reannounce]
_ACTIONS: dict[str, tuple[_Action, str]] = {
    "pause": (Pause, "Paused"),
    "resume": (Resume, "Resumed"),
    "recheck": (Recheck, "Verifying data"),
    "reannounce": (Reannounce, "Re-announced"),
}
"""Action of the form: its command, and the word that reports it."""


def torrents_pages(box: ControlClient) -> Blueprint:
    """The list of the torrents of the box behind `box`."""
    views = TorrentsViews(box)
    return blueprint(
        "torrents",
        "/torrents",
        ("", views.listing, "GET"),
        ("", views.act, "POST"),
        ("/remove", views.remove, "POST"),
    )


class TorrentsViews:
    """One method per page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    def listing(self) -> ResponseReturnValue:
        """List the torrents that the query asks for."""
        asked = forms.query(request.args)
        page = self._box.call(asked)
        if page.matched and not page.ids:
            return redirect(_link(page=None))
        return render_template(
            "torrents.html",
            page=page,
            asked=asked,
            number=asked.offset // forms.PAGE + 1,
            last=max(1, -(-page.matched // forms.PAGE)),
            link=_link,
            sort_link=lambda key: _sort_link(asked, key),
            states=list(TorrentState),
        )

    def act(self) -> ResponseReturnValue:
        """Do something to all selected torrents."""
        ids, action = request.form.getlist("id"), request.form.get("action", "")
        if not ids:
            raise OwnerMustAct("Select one or more torrents first.")
        if action == "remove":
            rows = [self._box.call(ShowTorrent(id=id)).row for id in ids[:MOST_AT_ONCE]]
            return render_template("remove.html", rows=rows)
        if action not in _ACTIONS:
            raise OwnerMustAct("Choose an action: pause, resume or remove.")
        command, word = _ACTIONS[action]
        changed = self._box.call(command(ids=ids))
        flash(f"{word}: {plural(len(changed.ids), 'torrent')}.", "ok")
        return redirect(_returning())

    def remove(self) -> ResponseReturnValue:
        """Remove torrents, once the owner has confirmed it."""
        ids = request.form.getlist("id")
        changed = self._box.call(Remove(ids=ids, with_data=request.form.get("data") == "1"))
        flash(f"Removed: {plural(len(changed.ids), 'torrent')}.", "ok")
        for note in changed.notes:
            flash(note, "warning")
        return redirect(url_for("torrents.listing"))


def _link(**changes: Any) -> str:
    """This list with some of its query changed; None removes a part."""
    asked = {**request.args, **changes}
    kept = {key: value for key, value in asked.items() if value not in (None, "")}
    return url_for("torrents.listing") + "?" + urlencode(kept)


def _sort_link(asked: ListTorrents, key: str) -> str:
    turned = not asked.descending if asked.sort == key else key not in ("name", "state")
    return _link(sort=key, desc="1" if turned else "0", page=None)


def _returning() -> str:
    came = request.form.get("back", "")
    ours = came.startswith("/torrents") and came.isprintable()
    return came if ours else url_for("torrents.listing")
