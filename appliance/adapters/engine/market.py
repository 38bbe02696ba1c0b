"""What the auction needs of the session besides lanes: a port on the router, the DHT, what sellers sent."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import libtorrent as lt

from appliance.adapters.engine.foreign import said
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.domain.auction.intake import Intake, Source
from appliance.domain.auction.meter import PeerConnection

_SHOWN = re.compile(r"\bsb/1:(\d{1,5})\b")
"""How a box names its market's port in its client version."""
_DOMAIN = b"seedbox/market/1"
_HERE = (2, 3)
"""`block_info::writing` and `finished`, which the bindings leave out."""


class EngineMarket:
    """The session, as the market sees it."""

    def __init__(self, engine: LibtorrentEngine) -> None:
        """The engine has to be started."""
        self._engine = engine
        self._mapped: list[Any] = []
        """What was asked of routers, as libtorrent names it."""

    def show(self, client: str, port: int) -> None:
        """Let peers see where bids are taken, beside the client's name; 0: nowhere."""
        shown = f"{client} sb/1:{port}" if port else client
        changes: Any = {"handshake_client_version": shown}
        self._engine.session.apply_settings(changes)

    def map_port(self, port: int) -> None:
        """Ask the router for the market's port, where it is asked for that of the session."""
        self._engine.outside.own_mappings.add(port)
        asked: Any = self._engine.session.add_port_mapping(lt.portmap_protocol.tcp, port, port)
        self._mapped += asked

    def unmap_ports(self) -> None:
        """Let the router shut what was asked for."""
        while self._mapped:
            self._engine.session.delete_port_mapping(self._mapped.pop())

    def announce(self, info_hash: bytes, port: int) -> None:
        """Say on the DHT that slots of a torrent are sold here."""
        self._engine.session.dht_announce(lt.sha1_hash(rendezvous(info_hash)), port, 0)

    def find(self, info_hash: bytes, found: Callable[[list[tuple[str, int]]], None]) -> None:
        """Ask the DHT who sells slots of a torrent; `found` is given (address, port of the market)."""
        hash = rendezvous(info_hash)
        self._engine.outside.seekers[hash] = found
        self._engine.session.dht_get_peers(lt.sha1_hash(hash))

    async def intake(self, torrent: str) -> Intake:
        """What everybody who is connected for a torrent has sent."""
        return await self._engine.ask(torrent, partial(_intake, torrent)) or Intake()


def rendezvous(info_hash: bytes) -> bytes:
    """Where those meet who sell slots of a torrent: SHA-1(domain || first 20 bytes of its hash)."""
    return hashlib.sha1(_DOMAIN + info_hash[:20], usedforsecurity=False).digest()


def shown_port(client: str) -> int:
    """The port of the market that a client version names; 0: none."""
    found = _SHOWN.search(client)
    port = int(found[1]) if found else 0
    return port if port < 65_536 else 0


def _intake(torrent: str, handle: lt.torrent_handle) -> Intake:
    unverified: dict[tuple[str, int], int] = {}
    for piece in handle.get_download_queue():
        for block in piece["blocks"]:
            if block["state"] in _HERE:
                unverified[block["peer"]] = unverified.get(block["peer"], 0) + block["block_size"]
    sources = tuple(_source(torrent, peer, unverified) for peer in handle.get_peer_info())
    return Intake(sources, handle.status(0).total_failed_bytes)


def _source(torrent: str, peer: Any, unverified: dict[tuple[str, int], int]) -> Source:
    host, port = peer.ip
    return Source(
        ip=host,
        connection=PeerConnection(torrent, host, port),
        market=shown_port(said(lambda: peer.client)),
        received=peer.total_download,
        unverified=unverified.get((host, port), 0),
        failures=peer.num_hashfails,
    )
