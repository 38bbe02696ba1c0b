"""Magnet links whose torrents are not described yet, and what libtorrent must not do meanwhile."""

from collections.abc import Callable

import libtorrent as lt

from appliance.adapters.engine.foreign import BROKEN, tracker_urls
from appliance.adapters.engine.metainfo import checked
from appliance.core.errors import OwnerMustAct
from appliance.domain.catalogue.ports import Described


class Links:
    """The links that do not want their data yet.

    libtorrent wants no data of a link before its description was looked at, and would close a connection that
    neither side has a use for: it must not part from those who give the description. A connection keeps the
    setting with which it was made, so it is set before the link is begun.
    """

    def __init__(self, close_useless: Callable[[bool], None]) -> None:
        """`close_useless` turns `close_redundant_connections` of the session on and off."""
        self._close_useless = close_useless
        self._waiting: set[str] = set()

    def __contains__(self, id: str) -> bool:
        return id in self._waiting

    def begin(self, id: str) -> None:
        """A link is about to be added."""
        self._waiting.add(id)
        self._close_useless(False)

    def end(self, id: str) -> None:
        """A torrent wants its data, or is no more; any torrent's id may be given."""
        self._waiting.discard(id)
        self._close_useless(not self._waiting)


def description(id: str, handle: lt.torrent_handle) -> Described:
    """What peers say that a link is (BEP 9), once it was looked at; whatever fails at it is a refusal."""
    params = lt.add_torrent_params()
    try:
        params.ti = handle.torrent_file()
        params.trackers = tracker_urls(handle)
        # Who gave the description is worth keeping, should it have to come back placed otherwise.
        params.peers = [peer.ip for peer in handle.get_peer_info()]
    except BROKEN as error:
        return Described(id, None, f"The description that peers gave cannot be read ({error}).")
    return described(id, params)


def described(id: str, params: lt.add_torrent_params, *, held: bool = True) -> Described:
    """A description, or why it may not be used."""
    try:
        return Described(id, checked(params), held=held)
    except OwnerMustAct as error:
        return Described(id, None, str(error))
