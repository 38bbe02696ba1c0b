"""The page of one torrent."""

import io

from flask import (
    Blueprint,
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
from appliance.control.client import ControlClient
from appliance.control.torrents import (
    Configure,
    GetMetainfo,
    ListFiles,
    ListPeers,
    Priority,
    ShowPieces,
    ShowTorrent,
    TorrentDetail,
    TorrentState,
)
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.auction import bought
from appliance.entrypoints.web.graph import pieces
from appliance.entrypoints.web.qr import qr
from appliance.entrypoints.web.routes import blueprint
from appliance.entrypoints.web.words import magnet_link

FILES_PAGE = 100
MOST_IN_QR = 1_500
"""Characters; more would make the code too fine to read."""


def torrent_pages(box: ControlClient) -> Blueprint:
    """The pages of each torrent of the box behind `box`."""
    views = TorrentViews(box)
    return blueprint(
        "torrent",
        "",
        ("/torrents/<id>", views.show, "GET"),
        ("/torrents/<id>", views.configure, "POST"),
        ("/torrents/<id>/file", views.metainfo, "GET"),
        ("/live/torrent/<id>", views.live, "GET"),
    )


class TorrentViews:
    """One method per page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    def show(self, id: str) -> ResponseReturnValue:
        """Show one torrent."""
        detail = self._box.call(ShowTorrent(id=id))
        number = forms.whole(request.args.get("files"), 1, 1, 100_000)
        files = self._box.call(ListFiles(id=id, offset=(number - 1) * FILES_PAGE, count=FILES_PAGE))
        bids, magnet = self._bids(detail), magnet_link(detail)
        return render_template(
            "torrent.html",
            detail=detail,
            files=files,
            files_page=number,
            files_last=max(1, -(-files.total // FILES_PAGE)),
            peers=self._box.call(ListPeers(id=id)).peers,
            pieces=self._pieces(id),
            magnet=magnet,
            qr=_qr(magnet) if magnet else "",
            may_bid=bids.on,
            bought=bought(bids, id),
        )

    def _bids(self, detail: TorrentDetail) -> auction.Bids:
        """The box's bids, where it could still bid for this torrent."""
        if detail.row.state in (TorrentState.ADDING, TorrentState.DOWNLOADING):
            return self._box.call(auction.ListBids())
        return auction.Bids(on=False)

    def _pieces(self, id: str) -> Markup:
        return pieces(self._box.call(ShowPieces(id=id)).buckets)

    def live(self, id: str) -> ResponseReturnValue:
        """Answer with the parts of the page that change."""
        detail = self._box.call(ShowTorrent(id=id))
        peers = self._box.call(ListPeers(id=id)).peers
        return {
            "parts": {
                "facts": str(get_template_attribute("parts.html", "facts")(detail)),
                "peers": str(get_template_attribute("parts.html", "peer_rows")(peers)),
                "pieces": str(self._pieces(id)),
            }
        }

    def configure(self, id: str) -> ResponseReturnValue:
        """Save the torrent's label, priority, goal and rate limits."""
        form = request.form
        priority = form.get("priority", "")
        self._box.call(
            Configure(
                id=id,
                label=form.get("label", ""),
                priority=Priority(priority) if priority in list(Priority) else None,
                goal=forms.goal(form),
                upload_limit=forms.rate(form.get("upload_limit", ""), "Upload limit"),
                download_limit=forms.rate(form.get("download_limit", ""), "Download limit"),
            )
        )
        flash("Saved.", "ok")
        return redirect(url_for("torrent.show", id=id))

    def metainfo(self, id: str) -> ResponseReturnValue:
        """Download the .torrent file."""
        answer = self._box.call(GetMetainfo(id=id))
        return send_file(
            io.BytesIO(answer.metainfo),
            mimetype="application/x-bittorrent",
            as_attachment=True,
            download_name=f"{answer.name}.torrent",
        )


def _qr(magnet: str) -> Markup:
    """The magnet link to scan, without its trackers, which would make the code too fine to read."""
    short = "&".join(part for part in magnet.split("&") if not part.startswith("tr="))
    return qr(short[:MOST_IN_QR], error="l")
