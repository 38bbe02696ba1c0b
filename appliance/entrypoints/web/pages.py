"""The pages of the owner, and the small answers that keep them live."""

import io
from typing import Any
from urllib.parse import urlencode

from flask import (
    Blueprint,
    Response,
    flash,
    get_template_attribute,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from appliance.control import auction
from appliance.control import machine as care
from appliance.control.box import (
    GetConfig,
    GetLimits,
    GetStatus,
    GetTraffic,
    LimitsChange,
    ListEvents,
    ResetLimits,
    SetLimits,
    Span,
    Status,
)
from appliance.control.client import ControlClient
from appliance.control.intake import AddMagnet, AddTorrent, AddUrl, Browse, CancelJob, GetJob, ShareFolder
from appliance.control.torrents import (
    Configure,
    GetMetainfo,
    ListFiles,
    ListPeers,
    ListTorrents,
    Pause,
    Priority,
    Reannounce,
    Recheck,
    Remove,
    Resume,
    ShowPieces,
    ShowTorrent,
    State,
)
from appliance.core.errors import OwnerMustAct
from appliance.core.magnets import pasted_links
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.auction import bought
from appliance.entrypoints.web.graph import graph, pieces
from appliance.entrypoints.web.guard import secrets_of, sign_in
from appliance.entrypoints.web.qr import qr
from appliance.entrypoints.web.routes import blueprint

SPANS = ("hour", "day", "month")
FILES_PAGE = 100
_ACTIONS: dict[str, Any] = {
    "pause": Pause,
    "resume": Resume,
    "recheck": Recheck,
    "reannounce": Reannounce,
}


def pages(box: ControlClient) -> Blueprint:
    """All pages over one daemon."""
    views = Views(box)
    return blueprint(
        "pages",
        "",
        ("/", views.overview, "GET"),
        ("/torrents", views.torrents, "GET"),
        ("/torrents", views.act, "POST"),
        ("/torrents/remove", views.remove, "POST"),
        ("/torrents/<id>", views.torrent, "GET"),
        ("/torrents/<id>", views.configure, "POST"),
        ("/torrents/<id>/file", views.metainfo, "GET"),
        ("/add", views.add, "GET"),
        ("/add", views.added, "POST"),
        ("/jobs/<id>", views.job, "GET"),
        ("/jobs/<id>", views.cancel, "POST"),
        ("/events", views.events, "GET"),
        ("/settings", views.settings, "GET"),
        ("/settings/limits", views.limits, "POST"),
        ("/settings/password", views.password, "POST"),
        ("/settings/sessions", views.sessions, "POST"),
        ("/live", views.live, "GET"),
        ("/live/graph", views.live_graph, "GET"),
        ("/live/torrent/<id>", views.live_torrent, "GET"),
        ("/live/job/<id>", views.live_job, "GET"),
    )


class Views:
    """One method a page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    # ---------------------------------------------------------------------------------------- overview

    def overview(self) -> ResponseReturnValue:
        """What the box does right now."""
        span = _span()
        status = self._box.call(GetStatus())
        drawn = graph(self._box.call(GetTraffic(span=span)), span)
        latest = self._box.call(ListEvents(count=5)).events
        return render_template(
            "overview.html",
            status=status,
            governor=self._box.call(care.GetGovernor()),
            energy=self._box.call(care.GetEnergy()),
            graph=drawn,
            span=span,
            spans=SPANS,
            events=latest,
        )

    def live(self) -> ResponseReturnValue:
        """Numbers that changed, and rows of the shown list that did."""
        status = self._box.call(GetStatus())
        answer: dict[str, Any] = {"revision": status.revision, "numbers": _numbers(status)}
        if request.args.get("view") == "torrents":
            since = forms.whole(request.args.get("since"), 0, 0, 2**53)
            page = self._box.call(forms.query(request.args, since=since))
            macro = get_template_attribute("rows.html", "row")
            answer |= {
                "revision": page.revision,
                "ids": page.ids,
                "rows": {row.id: str(macro(row)) for row in page.rows},
            }
        else:
            eased = get_template_attribute("health-parts.html", "eased")
            answer["numbers"]["eased"] = str(eased(self._box.call(care.GetGovernor())))
        return answer

    def live_graph(self) -> ResponseReturnValue:
        """The graph, drawn anew."""
        span = _span()
        return Response(graph(self._box.call(GetTraffic(span=span)), span), content_type="image/svg+xml")

    # ---------------------------------------------------------------------------------------- torrents

    def torrents(self) -> ResponseReturnValue:
        """The list."""
        asked = forms.query(request.args)
        page = self._box.call(asked)
        number = asked.offset // forms.PAGE + 1
        if page.matched and not page.ids:
            return redirect(_link(page=None))
        return render_template(
            "torrents.html",
            page=page,
            asked=asked,
            number=number,
            last=max(1, -(-page.matched // forms.PAGE)),
            link=_link,
            sort_link=lambda key: _sort_link(asked, key),
            states=list(State),
        )

    def act(self) -> ResponseReturnValue:
        """Something for all chosen torrents."""
        ids, action = request.form.getlist("id"), request.form.get("action", "")
        if not ids:
            raise OwnerMustAct("Choose some torrents first, then say what to do with them.")
        if action == "remove":
            rows = [self._box.call(ShowTorrent(id=id)).row for id in ids[:500]]
            return render_template("remove.html", rows=rows, back=request.form.get("back", ""))
        if action not in _ACTIONS:
            raise OwnerMustAct("Say what to do: pause, resume or remove.")
        changed = self._box.call(_ACTIONS[action](ids=ids))
        words = {
            "pause": "Paused",
            "resume": "Resumed",
            "recheck": "Being checked",
            "reannounce": "Asking for peers",
        }
        flash(f"{words[action]}: {_torrents(len(changed.ids))}.", "ok")
        return redirect(_returning())

    def remove(self) -> ResponseReturnValue:
        """After the question."""
        ids = request.form.getlist("id")
        changed = self._box.call(Remove(ids=ids, with_data=request.form.get("data") == "1"))
        flash(f"Removed: {_torrents(len(changed.ids))}.", "ok")
        for note in changed.notes:
            flash(note, "warning")
        return redirect(url_for("pages.torrents"))

    def torrent(self, id: str) -> ResponseReturnValue:
        """One torrent."""
        detail = self._box.call(ShowTorrent(id=id))
        number = forms.whole(request.args.get("files"), 1, 1, 100_000)
        files = self._box.call(ListFiles(id=id, offset=(number - 1) * FILES_PAGE, count=FILES_PAGE))
        coming = detail.row.state in (State.ADDING, State.DOWNLOADING)
        bids = self._box.call(auction.ListBids()) if coming else auction.Bids(on=False)
        return render_template(
            "torrent.html",
            detail=detail,
            files=files,
            files_page=number,
            files_last=max(1, -(-files.total // FILES_PAGE)),
            peers=self._box.call(ListPeers(id=id)).peers,
            pieces=pieces(self._box.call(ShowPieces(id=id)).buckets),
            qr=_qr(detail.magnet),
            may_bid=bids.on,
            bought=bought(bids, id),
        )

    def live_torrent(self, id: str) -> ResponseReturnValue:
        """The moving parts of one torrent."""
        detail = self._box.call(ShowTorrent(id=id))
        peers = self._box.call(ListPeers(id=id)).peers
        drawn = pieces(self._box.call(ShowPieces(id=id)).buckets)
        return {
            "parts": {
                "facts": str(get_template_attribute("parts.html", "facts")(detail)),
                "peers": str(get_template_attribute("parts.html", "peer_rows")(peers)),
                "pieces": str(drawn),
            }
        }

    def configure(self, id: str) -> ResponseReturnValue:
        """Label, priority, goal and rates of one torrent."""
        form = request.form
        priority = form.get("priority", "")
        self._box.call(
            Configure(
                id=id,
                label=form.get("label", ""),
                priority=Priority(priority) if priority in list(Priority) else None,
                goal=forms.goal(form),
                upload_limit=forms.rate(form.get("upload_limit", ""), "Upload"),
                download_limit=forms.rate(form.get("download_limit", ""), "Download"),
            )
        )
        flash("Saved.", "ok")
        return redirect(url_for("pages.torrent", id=id))

    def metainfo(self, id: str) -> ResponseReturnValue:
        """The .torrent file, to hand on."""
        answer = self._box.call(GetMetainfo(id=id))
        return send_file(
            io.BytesIO(answer.metainfo),
            mimetype="application/x-bittorrent",
            as_attachment=True,
            download_name=f"{answer.name}.torrent",
        )

    # ------------------------------------------------------------------------------------------ adding

    def add(self) -> ResponseReturnValue:
        """The ways to add something."""
        path = request.args.get("path", "")
        try:
            folder = self._box.call(Browse(path=path))
        except OwnerMustAct as error:
            flash(str(error), "error")
            folder = self._box.call(Browse())
        return render_template("add.html", folder=folder, link=request.args.get("link", ""))

    def added(self) -> ResponseReturnValue:
        """Whatever was given: files, a link, a folder."""
        form, told = request.form, forms.options(request.form)
        link, path = form.get("link", "").strip(), form.get("path", "")
        files = [file for file in request.files.getlist("files") if file.filename]
        if path:
            wanted = ShareFolder(
                path=path,
                trackers=[line.strip() for line in form.get("trackers", "").splitlines() if line.strip()][
                    :20
                ],
                comment=form.get("comment", "")[:500],
                private=form.get("private") == "1",
                v1_only=form.get("v1") == "1",
                options=told,
            )
            return redirect(url_for("pages.job", id=self._box.call(wanted).job))
        if files:
            results = [self._box.call(AddTorrent(metainfo=file.read(), options=told)) for file in files]
        elif link.lower().startswith(("http://", "https://")):
            return redirect(url_for("pages.job", id=self._box.call(AddUrl(url=link, options=told)).job))
        elif link:
            results = [self._box.call(AddMagnet(uri=one, options=told)) for one in pasted_links(link)]
        else:
            raise OwnerMustAct("Choose a .torrent file, paste a link, or choose a folder.")
        for one in results:
            flash(f"{'Already here' if one.known else 'Added'}: {one.name}. {one.note}".strip(), "ok")
        if len(results) == 1:
            return redirect(url_for("pages.torrent", id=results[0].id))
        return redirect(url_for("pages.torrents"))

    def job(self, id: str) -> ResponseReturnValue:
        """How far a job is; the torrent when it is done."""
        job = self._box.call(GetJob(id=id))
        if job.torrent:
            flash(f"Done: {job.title}.", "ok")
            return redirect(url_for("pages.torrent", id=job.torrent))
        return render_template("job.html", job=job)

    def live_job(self, id: str) -> ResponseReturnValue:
        """How far a job is."""
        job = self._box.call(GetJob(id=id))
        return {"progress": job.progress, "done": job.done}

    def cancel(self, id: str) -> ResponseReturnValue:
        """Stop a job."""
        self._box.call(CancelJob(id=id))
        flash("Cancelled.", "ok")
        return redirect(url_for("pages.add"))

    # ----------------------------------------------------------------------------------------- the rest

    def events(self) -> ResponseReturnValue:
        """What happened."""
        before = forms.whole(request.args.get("before"), 0, 0, 2**53)
        answer = self._box.call(ListEvents(before=before))
        now = self._box.call(GetStatus()).now
        return render_template("events.html", answer=answer, now=now, before=before)

    def settings(self) -> ResponseReturnValue:
        """Limits, password, configuration."""
        return render_template(
            "settings.html",
            limits=self._box.call(GetLimits()),
            config=self._box.call(GetConfig()),
            token=secrets_of().metrics_token,
        )

    def limits(self) -> ResponseReturnValue:
        """Set limits, or go back to the configuration's."""
        form = request.form
        if form.get("action") == "reset":
            self._box.call(ResetLimits())
        else:
            change = LimitsChange(
                upload_rate=forms.rate(form.get("upload_rate", ""), "Upload"),  # type: ignore[arg-type]
                download_rate=forms.rate(form.get("download_rate", ""), "Download"),  # type: ignore[arg-type]
                connections=forms.number(form.get("connections", ""), "Connections"),
                upload_slots=forms.number(form.get("upload_slots", ""), "Upload slots"),
                active_downloads=forms.number(form.get("active_downloads", ""), "Downloads at once"),
            )
            self._box.call(SetLimits(change=change))
        flash("The limits are in force.", "ok")
        return redirect(url_for("pages.settings"))

    def password(self) -> ResponseReturnValue:
        """Another password."""
        form = request.form
        if form.get("new", "") != form.get("again", ""):
            raise OwnerMustAct("The two new passwords differ.")
        if not secrets_of().change(form.get("old", ""), form.get("new", "")):
            raise OwnerMustAct("That is not the present password.")
        sign_in()
        flash("The password is changed; everybody else was signed out.", "ok")
        return redirect(url_for("pages.settings"))

    def sessions(self) -> ResponseReturnValue:
        """Sign out everywhere."""
        secrets_of().end_sessions()
        return redirect(url_for("gate.login"))


def _span() -> Span:
    asked = request.args.get("span", "hour")
    found: Span = "day" if asked == "day" else "month" if asked == "month" else "hour"
    return found


def _numbers(status: Status) -> dict[str, str]:
    part = get_template_attribute("parts.html", "number")
    names = (
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
    return {name: str(part(name, status)).strip() for name in names}


def _link(**changes: Any) -> str:
    """This list with some of its query changed; None takes a part away."""
    asked = {**request.args, **changes}
    return (
        url_for("pages.torrents") + "?" + urlencode({k: v for k, v in asked.items() if v not in (None, "")})
    )


def _sort_link(asked: ListTorrents, key: str) -> str:
    turned = not asked.descending if asked.sort == key else key not in ("name", "state")
    return _link(sort=key, desc="1" if turned else "0", page=None)


def _returning() -> str:
    came = request.form.get("back", "")
    return came if came.startswith("/torrents") and came.isprintable() else url_for("pages.torrents")


def _torrents(count: int) -> str:
    return "1 torrent" if count == 1 else f"{count} torrents"


def _qr(magnet: str) -> Markup:
    """The magnet link to scan; without its trackers, which would make it too fine to read."""
    if not magnet:
        return Markup("")
    short = "&".join(part for part in magnet.split("&") if not part.startswith("tr="))
    return qr(short[:1_500], error="l")
