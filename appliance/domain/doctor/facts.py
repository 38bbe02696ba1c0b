"""The facts that the doctor judges by; None stands for what nobody could learn."""

from dataclasses import dataclass, field

from appliance.domain.volumes.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """This machine, as read from the kernel."""

    year: int
    """The year, by the machine's clock."""
    clock_synchronised: bool | None
    ram_total: int | None
    """Bytes."""
    ram_available: int | None
    temperature_mc: int | None
    """Hottest thermal zone, millidegrees Celsius."""
    open_files_limit: int | None
    ipv6: bool | None
    """Some interface has an address that the world can reach."""
    content: Volume
    """The main one."""
    state: Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What the running daemon knows of the network."""

    wanted_port: int
    ports: tuple[int, ...]
    """The ports that the daemon listens on."""
    listen_errors: tuple[str, ...]
    mapped: tuple[str, ...]
    """`upnp`, `nat-pmp`: who opened the port in the router."""
    map_errors: tuple[str, ...]
    mapping_wanted: bool
    incoming: bool
    """A peer has called us since the start."""
    dht_nodes: int | None
    """None where DHT is switched off."""
    uptime_s: int
    watch: str
    """The watch folder, empty where there is none."""
    watch_exists: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the doctor looks at."""

    machine: MachineFacts
    network: NetworkFacts | None = field(default=None)
    """None: no daemon runs. Where one does, its volume guard reports on the content folder itself."""
