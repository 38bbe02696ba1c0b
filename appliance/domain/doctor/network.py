"""Findings about the network, by what the running daemon knows of it."""

from collections.abc import Iterator

from appliance.core.units import show_span
from appliance.domain.doctor.facts import NetworkFacts
from appliance.domain.doctor.model import Finding, error, ok, unknown, warning

_DHT_START_S = 180
"""The DHT needs some minutes to answer for the first time."""


def examine_network(network: NetworkFacts) -> Iterator[Finding]:
    """One finding for each thing that can be wrong between the box and its peers."""
    yield _port(network)
    yield _reachable(network)
    yield _mapping(network)
    yield _dht(network)
    if network.watch and not network.watch_exists:
        says = f"The watch folder {network.watch} does not exist."
        yield warning("watch-folder", says, "Create it, or restart the box.")


def _port(network: NetworkFacts) -> Finding:
    wanted = network.wanted_port
    if not network.ports:
        why = f" ({network.listen_errors[0]})" if network.listen_errors else ""
        return error(
            "listen-port",
            f"The box cannot listen on port {wanted} for other peers{why}.",
            "Stop the program that uses the port, or set network.listen_port to another one, and restart.",
        )
    if wanted not in network.ports:
        taken = network.ports[0]
        return warning(
            "listen-port",
            f"Port {wanted} is in use; the box listens on {taken} instead.",
            f"Stop the program that uses it, or set network.listen_port to {taken} and open that port.",
        )
    return ok("listen-port", f"The box listens on port {wanted}.")


def _reachable(network: NetworkFacts) -> Finding:
    if network.incoming:
        return ok("reachable", "Other peers have connected to the box from outside.")
    return unknown(
        "reachable",
        "No peer has connected to the box yet, so it is not known whether the router lets them in.",
        f"If this does not change for hours, open port {network.wanted_port} (TCP and UDP) in the router.",
    )


def _mapping(network: NetworkFacts) -> Finding:
    if network.mapped:
        return ok("port-mapping", f"The router has opened the port ({' and '.join(network.mapped)}).")
    if not network.mapping_wanted:
        return unknown("port-mapping", "The router is not asked to open the port; UPnP and NAT-PMP are off.")
    if network.map_errors and not network.incoming:
        return warning(
            "port-mapping",
            "The router did not open the port automatically.",
            f"Turn on UPnP in the router, or forward port {network.wanted_port} to this machine manually.",
        )
    return unknown("port-mapping", "The router has not answered whether it opens the port.")


def _dht(network: NetworkFacts) -> Finding:
    nodes = network.dht_nodes
    if nodes is None:
        return unknown("dht", "DHT is off; peers are found through trackers only.")
    if nodes > 0:
        return ok("dht", f"The box is connected to the DHT ({nodes} node{'' if nodes == 1 else 's'}).")
    if network.uptime_s < _DHT_START_S:
        return unknown("dht", "No DHT node has answered yet; this takes a few minutes.")
    return warning(
        "dht",
        f"No DHT node has answered for {show_span(network.uptime_s)}.",
        "Check the internet connection, and that the router lets UDP out.",
    )
