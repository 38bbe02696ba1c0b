"""Tables of the file about seeding: the box itself, content, network, limits and goals."""

from typing import Annotated, Literal

from appliance.core.config.table import Table, filled, key, whole

_KIB_S = "KiB/s, 0 = unlimited"
_BY_RAM = "0 = by the size of RAM"


class BoxConfig(Table, frozen=True, kw_only=True):
    """The box itself."""

    name: Annotated[
        str,
        key("Name shown on the page and to other peers.", pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$"),
    ] = "seedbox"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], key("How much is written to the log.")
    ] = "info"


class ContentConfig(Table, frozen=True, kw_only=True):
    """Where the data is kept."""

    root: Annotated[str, filled("Folder for downloads. A relative path starts at the state folder.")] = (
        "content"
    )
    share: Annotated[
        tuple[str, ...], key("Your own folders that may be shared in place. The box only reads them.")
    ] = ("~", "/media", "/mnt", "/srv")
    volumes: Annotated[
        tuple[str, ...],
        key(
            "More folders for downloads, each on a drive of its own. "
            "New downloads go to the healthy drive with the most free space."
        ),
    ] = ()
    watch: Annotated[
        str, key("Watch folder: .torrent and .magnet files put here are added. Empty turns it off.")
    ] = "watch"


class NetworkConfig(Table, frozen=True, kw_only=True):
    """How the box connects to peers."""

    listen_port: Annotated[int, whole("Port for peers, TCP and UDP. Open it in your router.", 1, 65_535)] = (
        6881
    )
    listen_addresses: Annotated[
        tuple[str, ...],
        key(
            "IP addresses to listen on. Empty means all addresses of this machine. TCP calls to peers come "
            "from them too, unless both IPv4 and IPv6 are given."
        ),
    ] = ()
    ipv6: Annotated[bool, key("Use IPv6 where available.")] = True
    tcp: Annotated[bool, key("Connect to peers over TCP.")] = True
    utp: Annotated[bool, key("Connect to peers over uTP, which yields to other traffic (BEP 29).")] = True
    dht: Annotated[bool, key("Find peers without a tracker (BEP 5).")] = True
    lsd: Annotated[bool, key("Find peers on the local network (BEP 14).")] = True
    pex: Annotated[bool, key("Learn about peers from other peers (BEP 11).")] = True
    upnp: Annotated[bool, key("Ask the router to open the port by UPnP.")] = True
    natpmp: Annotated[bool, key("Ask the router to open the port by NAT-PMP or PCP.")] = True
    encryption: Annotated[
        Literal["allow", "require", "off"],
        key("Protocol encryption. It hides traffic from traffic shaping, not from surveillance."),
    ] = "allow"
    announce_to_all_trackers: Annotated[
        bool,
        key(
            "Announce to every tracker of a torrent, not only to the first one that answers (BEP 12). "
            "Some trackers block clients that do, private ones above all."
        ),
    ] = False


class LimitsConfig(Table, frozen=True, kw_only=True):
    """What the box may use. The page and `seedbox limits` can change each limit while the box runs."""

    upload_rate: Annotated[int, whole("Upload limit for all peers together.", 0, 2_000_000, _KIB_S)] = 0
    download_rate: Annotated[int, whole("Download limit for all peers together.", 0, 2_000_000, _KIB_S)] = 0
    connections: Annotated[int, whole("Maximum number of peer connections.", 0, 4_000, _BY_RAM)] = 0
    upload_slots: Annotated[int, whole("Maximum number of peers to upload to at once.", 0, 500, _BY_RAM)] = 0
    active_downloads: Annotated[
        int, whole("Maximum number of active downloads. Further ones are queued.", 1, 100)
    ] = 3


class SeedingConfig(Table, frozen=True, kw_only=True):
    """How long torrents are seeded, unless a torrent has a goal of its own."""

    goal: Annotated[Literal["forever", "ratio", "time"], key("When to stop seeding a torrent.")] = "forever"
    ratio: Annotated[
        int, whole('Share ratio to reach for the goal "ratio".', 1, 100_000, "% of the torrent's size")
    ] = 200
    hours: Annotated[int, whole('Time to seed for the goal "time".', 1, 1_000_000, "hours")] = 720
