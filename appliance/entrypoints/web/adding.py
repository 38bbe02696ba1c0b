"""Adding torrents: links, .torrent files and folders to share, and the jobs that do it."""

from collections.abc import Iterable

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from appliance.control.client import ControlClient
from appliance.control.intake import (
    Added,
    AddMagnet,
    AddTorrent,
    AddUrl,
    Browse,
    CancelJob,
    GetJob,
)
from appliance.core.errors import OwnerMustAct
from appliance.core.magnets import pasted_links
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.routes import blueprint


def adding_pages(box: ControlClient) -> Blueprint:
    """The pages that add torrents to the box behind `box`."""
    views = AddingViews(box)
    return blueprint(
        "adding",
        "",
        ("/add", views.form, "GET"),
        ("/add", views.submit, "POST"),
        ("/jobs/<id>", views.job, "GET"),
        ("/jobs/<id>", views.cancel, "POST"),
        ("/live/job/<id>", views.live_job, "GET"),
    )


class AddingViews:
    """One method per page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    def form(self) -> ResponseReturnValue:
        """Show the ways to add a torrent."""
        try:
            folder = self._box.call(Browse(path=request.args.get("path", "")))
        except OwnerMustAct as error:
            flash(str(error), "error")
            folder = self._box.call(Browse())
        return render_template("add.html", folder=folder, link=request.args.get("link", ""))

    def submit(self) -> ResponseReturnValue:
        """Add what the form holds: a folder to share, .torrent files, or a link."""
        link = request.form.get("link", "").strip()
        files = [file for file in request.files.getlist("files") if file.filename]
        if request.form.get("path"):
            return self._share()
        if files:
            return self._add_files(files)
        if link:
            return self._add_link(link)
        raise OwnerMustAct("Choose a .torrent file, paste a link, or choose a folder.")

    def _add_link(self, link: str) -> ResponseReturnValue:
        options = forms.options(request.form)
        if link.lower().startswith(("http://", "https://")):
            job = self._box.call(AddUrl(url=link, options=options)).job
            return redirect(url_for("adding.job", id=job))
        return _report(self._box.call(AddMagnet(uri=one, options=options)) for one in pasted_links(link))

    def _share(self) -> ResponseReturnValue:
        job = self._box.call(forms.share(request.form)).job
        return redirect(url_for("adding.job", id=job))

    def _add_files(self, files: list[FileStorage]) -> ResponseReturnValue:
        options = forms.options(request.form)
        return _report(self._box.call(AddTorrent(metainfo=file.read(), options=options)) for file in files)

    def job(self, id: str) -> ResponseReturnValue:
        """Show the progress of a job, or its torrent once it is done."""
        job = self._box.call(GetJob(id=id))
        if job.torrent:
            flash(f"Added: {job.title}.", "ok")
            return redirect(url_for("torrent.show", id=job.torrent))
        return render_template("job.html", job=job)

    def live_job(self, id: str) -> ResponseReturnValue:
        """Answer with the progress of a job."""
        job = self._box.call(GetJob(id=id))
        return {"progress": job.progress, "done": job.done}

    def cancel(self, id: str) -> ResponseReturnValue:
        """Stop a job."""
        self._box.call(CancelJob(id=id))
        flash("Cancelled.", "ok")
        return redirect(url_for("adding.form"))


def _report(adding: Iterable[Added]) -> ResponseReturnValue:
    """Say what is added as it is, so that a refusal hides nothing of what came before it; and go there."""
    ids = []
    for one in adding:
        text = f"{one.name} is already in the list." if one.known else f"Added: {one.name}. {one.note}"
        flash(text.strip(), "ok")
        ids.append(one.id)
    if len(ids) == 1:
        return redirect(url_for("torrent.show", id=ids[0]))
    return redirect(url_for("torrents.listing"))
