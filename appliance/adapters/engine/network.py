"""What the session learns of the outside: its listeners, the router's ports, and what the DHT answers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import libtorrent as lt

from appliance.adapters.engine.foreign import error_said, said
from appliance.adapters.engine.pump import Handlers

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SessionNetwork:
    """The session's listeners, ports and totals, as its alerts have reported them."""

    listening: list[tuple[str, int]] = field(default_factory=list)
    """(address, TCP port) of each listener."""
    listen_errors: dict[str, str] = field(default_factory=dict)
    """Interface -> why it could not be listened on."""
    mapped: dict[str, int] = field(default_factory=dict)
    """`upnp`, `nat-pmp` -> port that the router opened."""
    map_errors: dict[str, str] = field(default_factory=dict)
    incoming: bool = False
    """A peer has called us since the start."""
    dht_nodes: int = 0
    peers: int = 0
    sent: int = 0
    """Payload bytes since the start."""
    received: int = 0


class NetworkAlerts:
    """Keeps a `Network` up to date, and passes on the DHT's answers."""

    def __init__(self) -> None:
        self.network = SessionNetwork()
        self.own_mappings: set[int] = set()
        """Ports on the router that are not the session's own."""
        self.seekers: dict[bytes, Callable[[list[tuple[str, int]]], None]] = {}
        """Hash -> who gets the (address, port) pairs that the DHT answers for it."""
        self.handlers: Handlers = {
            lt.listen_succeeded_alert: self._on_listening,
            lt.listen_failed_alert: self._on_listen_failed,
            lt.portmap_alert: self._on_mapped,
            lt.portmap_error_alert: self._on_map_failed,
            lt.dht_get_peers_reply_alert: self._on_dht_peers,
        }

    def on_stats(self, alert: lt.session_stats_alert) -> None:
        """Take over counters of the whole session."""
        values, network = alert.values, self.network
        network.sent = values["net.sent_payload_bytes"]
        network.received = values["net.recv_payload_bytes"]
        network.dht_nodes = values["dht.dht_nodes"]
        network.peers = values["peer.num_peers_connected"]
        network.incoming = network.incoming or bool(values["net.has_incoming_connections"])

    def _on_listening(self, alert: lt.listen_succeeded_alert) -> None:
        endpoint = (alert.address, alert.port)
        tcp = alert.socket_type == lt.socket_type_t.tcp or "TCP" in said(alert.message)
        if tcp and endpoint not in self.network.listening:
            self.network.listening.append(endpoint)

    def _on_listen_failed(self, alert: lt.listen_failed_alert) -> None:
        self.network.listen_errors[said(alert.message).partition(" failed")[0]] = error_said(alert.error)
        log.warning("%s", said(alert.message))

    def _on_mapped(self, alert: lt.portmap_alert) -> None:
        if alert.external_port not in self.own_mappings:
            self.network.mapped[_protocol(alert)] = alert.external_port
            self.network.map_errors.pop(_protocol(alert), None)

    def _on_map_failed(self, alert: lt.portmap_error_alert) -> None:
        self.network.map_errors[_protocol(alert)] = error_said(alert.error)

    def _on_dht_peers(self, alert: lt.dht_get_peers_reply_alert) -> None:
        if seeker := self.seekers.get(alert.info_hash.to_bytes()):
            seeker([(str(host), int(port)) for host, port in alert.peers()])


def _protocol(alert: lt.portmap_alert | lt.portmap_error_alert) -> str:
    return "nat-pmp" if alert.map_transport == lt.portmap_transport.natpmp else "upnp"
