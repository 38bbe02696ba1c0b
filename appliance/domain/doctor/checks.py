"""From facts to findings: pure rules, each with a remedy that a person can carry out.

Whatever the governor acts on has its threshold there, or in the owner's settings, and is only asked for here.
"""

from collections.abc import Iterator

from appliance.core.units import show_bytes, show_span
from appliance.domain.doctor.facts import Facts, MachineFacts, NetworkFacts, Volume
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.hours import SET_SINCE_YEAR
from appliance.domain.governor.pressure import memory_is_low
from appliance.domain.governor.room import FEW_INODES_PERCENT, SPENT, floor_of
from appliance.domain.governor.settings import GovernorSettings

FEW_FILES = 1_024
_SMALL_KINDS = ("vfat", "msdos", "exfat")


def examine(facts: Facts, settings: GovernorSettings) -> list[Finding]:
    """One finding for each thing looked at; what could not be learnt is `unknown`.

    `settings` are the governor's: what it throttles by is what is warned of.
    """
    return [*_network(facts.network), *_machine(facts.machine, settings)]


def _network(network: NetworkFacts | None) -> Iterator[Finding]:
    if network is None:
        yield _unknown("listen-port", "Whether peers can reach the box is only known while it runs.")
        return
    yield _port(network)
    yield _reachable(network)
    yield _mapping(network)
    yield _dht(network)
    if not network.mounted:
        yield Finding(
            "content-drive",
            Verdict.ERROR,
            "The drive with the content is not connected, or another one is in its place.",
            "Connect it; the box goes on by itself. Nothing is written until then.",
        )
    if network.watch and not network.watch_exists:
        yield _warning(
            "watch-folder", f"The watch folder {network.watch} is missing.", "Make it, or restart the box."
        )


def _port(network: NetworkFacts) -> Finding:
    if not network.ports:
        why = f" ({network.listen_errors[0]})" if network.listen_errors else ""
        return Finding(
            "listen-port",
            Verdict.ERROR,
            f"The box cannot listen on port {network.wanted_port} for other peers{why}.",
            "End the program that uses the port, or set network.listen_port to another one, and restart.",
        )
    if network.wanted_port not in network.ports:
        return _warning(
            "listen-port",
            f"Port {network.wanted_port} is taken; the box listens on {network.ports[0]} instead.",
            f"End the program that has it, or set network.listen_port to {network.ports[0]} and open that.",
        )
    return _ok("listen-port", f"The box listens on port {network.wanted_port}.")


def _reachable(network: NetworkFacts) -> Finding:
    if network.incoming:
        return _ok("reachable", "Other peers have reached the box from outside.")
    return _unknown(
        "reachable",
        "No peer has called the box yet, so it is not known whether the router lets them in.",
        f"If this stays for hours, open port {network.wanted_port} (TCP and UDP) in the router.",
    )


def _mapping(network: NetworkFacts) -> Finding:
    if network.mapped:
        return _ok("port-mapping", f"The router has opened the port ({' and '.join(network.mapped)}).")
    if not network.mapping_wanted:
        return _unknown("port-mapping", "The router is not asked to open the port; UPnP and NAT-PMP are off.")
    if network.map_errors and not network.incoming:
        return _warning(
            "port-mapping",
            "The router did not open the port by itself.",
            f"Switch on UPnP in the router, or forward port {network.wanted_port} to this machine by hand.",
        )
    return _unknown("port-mapping", "The router has not answered whether it opens the port.")


def _dht(network: NetworkFacts) -> Finding:
    if network.dht_nodes is None:
        return _unknown("dht", "DHT is switched off; peers are found by trackers only.")
    if network.dht_nodes > 0:
        return _ok("dht", f"The DHT is reached: {network.dht_nodes} nodes.")
    if network.uptime_s < 180:
        return _unknown("dht", "The DHT has not answered yet; that takes some minutes.")
    return _warning(
        "dht",
        f"No DHT node has answered for {show_span(network.uptime_s)}.",
        "Check the internet connection, and that the router lets UDP out.",
    )


def _machine(machine: MachineFacts, settings: GovernorSettings) -> Iterator[Finding]:
    yield _clock(machine)
    yield from _volume("content", "content folder", machine.content, settings.floor)
    yield from _volume("state", "state folder", machine.state, settings.floor)
    yield _card(machine.content)
    yield _ram(machine)
    yield _heat(machine, settings)
    yield _ipv6(machine)
    yield _files(machine)


def _clock(machine: MachineFacts) -> Finding:
    if machine.year < SET_SINCE_YEAR:
        return Finding(
            "clock",
            Verdict.ERROR,
            f"The clock says it is {machine.year}; it was never set.",
            "Connect the box to the network so that it gets the time (timedatectl set-ntp true).",
        )
    if machine.clock_synchronised is None:
        return _unknown("clock", "It is not known whether the clock is kept by the network.")
    if not machine.clock_synchronised:
        return _warning(
            "clock", "The clock is not kept by the network.", "Switch it on: timedatectl set-ntp true."
        )
    return _ok("clock", "The clock is set and kept by the network.")


def _volume(check: str, name: str, volume: Volume, reserve: int) -> Iterator[Finding]:
    if not volume.exists:
        yield Finding(
            f"{check}-folder",
            Verdict.ERROR,
            f"The {name} {volume.path} is not there.",
            "Connect its drive, or correct its path in seedbox.toml.",
        )
        return
    if not volume.writable:
        yield Finding(
            f"{check}-folder",
            Verdict.ERROR,
            f"The box may not write to the {name} {volume.path}.",
            "Allow it (chown), or check whether the drive went read-only because of an error.",
        )
    else:
        yield _ok(f"{check}-folder", f"The {name} {volume.path} can be written.")
    yield _room(check, name, volume, reserve)
    if volume.kind in _SMALL_KINDS:
        yield _warning(
            f"{check}-filesystem",
            f"The {name} is on {volume.kind}, which knows no sparse files"
            + (", and none over 4 GiB." if volume.kind != "exfat" else "."),
            "Format the drive with ext4 when it is empty.",
        )


def _room(check: str, name: str, volume: Volume, reserve: int) -> Finding:
    if volume.free is None or volume.total is None:
        return _unknown(f"{check}-room", f"The free room of the {name} cannot be read.")
    floor = floor_of(volume.total, reserve)
    says = f"{show_bytes(volume.free)} of {show_bytes(volume.total)} are free for the {name}."
    if volume.inodes_free_percent is not None and volume.inodes_free_percent < FEW_INODES_PERCENT:
        return _warning(
            f"{check}-room", f"The {name} has hardly any room for more files.", "Remove small files."
        )
    if volume.free < min(SPENT, floor):
        return Finding(f"{check}-room", Verdict.ERROR, says, "Make room: remove torrents with their data.")
    if volume.free < floor:
        return _warning(f"{check}-room", says, "Make room soon, or connect a larger drive.")
    return _ok(f"{check}-room", says)


def _card(volume: Volume) -> Finding:
    if volume.device is None:
        return _unknown("content-device", "It is not known which drive the content lies on.")
    if "mmcblk" in volume.device:
        return _warning(
            "content-device",
            "The content lies on the SD card, which wears out by writing.",
            "Connect a USB drive and name a folder on it as content.root in seedbox.toml.",
        )
    return _ok("content-device", f"The content lies on {volume.device}.")


def _ram(machine: MachineFacts) -> Finding:
    if machine.ram_available is None or machine.ram_total is None:
        return _unknown("memory", "The memory of this machine cannot be read.")
    says = f"{show_bytes(machine.ram_available)} of {show_bytes(machine.ram_total)} memory are available."
    if memory_is_low(machine.ram_available, machine.ram_total):
        return _warning("memory", says, "End other programs, or lower limits.connections in seedbox.toml.")
    return _ok("memory", says)


def _heat(machine: MachineFacts, settings: GovernorSettings) -> Finding:
    if machine.temperature_mc is None:
        return _unknown("temperature", "This machine does not tell its temperature.")
    says = f"The processor is at {machine.temperature_mc // 1_000} °C."
    if machine.temperature_mc >= settings.heat_hard:
        return Finding(
            "temperature", Verdict.ERROR, says, "Give it air or a heat sink: it slows itself down."
        )
    if machine.temperature_mc >= settings.heat_ease:
        return _warning("temperature", says, "Give it more air.")
    return _ok("temperature", says)


def _ipv6(machine: MachineFacts) -> Finding:
    if machine.ipv6 is None:
        return _unknown("ipv6", "It is not known whether this machine has IPv6.")
    if machine.ipv6:
        return _ok("ipv6", "The machine has IPv6, by which peers reach it without a port mapping.")
    return _unknown(
        "ipv6",
        "The machine has no IPv6 address; some peers cannot be reached.",
        "Switch IPv6 on in the router.",
    )


def _files(machine: MachineFacts) -> Finding:
    if machine.open_files_limit is None:
        return _unknown("open-files", "The limit of open files cannot be read.")
    if machine.open_files_limit < FEW_FILES:
        return _warning(
            "open-files",
            f"The box may only open {machine.open_files_limit} files and connections at once.",
            "Raise the limit (ulimit -n 4096, or LimitNOFILE in the unit).",
        )
    return _ok("open-files", f"The box may open {machine.open_files_limit} files and connections at once.")


def _ok(check: str, says: str) -> Finding:
    return Finding(check, Verdict.OK, says)


def _warning(check: str, says: str, remedy: str) -> Finding:
    return Finding(check, Verdict.WARNING, says, remedy)


def _unknown(check: str, says: str, remedy: str = "") -> Finding:
    return Finding(check, Verdict.UNKNOWN, says, remedy)
