"""`seedbox.toml`: every key with type, unit, default and one sentence; errors name line and key."""

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from appliance.core.errors import OwnerMustAct

_KIB_S = "KiB/s, 0 = unlimited"


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file."""


class Box(_Table, frozen=True, kw_only=True):
    """The box itself."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$",
            description="Name shown on the page and to other peers.",
        ),
    ] = "seedbox"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="How much is written to the log."),
    ] = "info"


class Content(_Table, frozen=True, kw_only=True):
    """Where the data lies."""

    root: Annotated[
        str,
        Meta(min_length=1, description="Folder for downloads; a relative path starts at the state folder."),
    ] = "content"
    share: Annotated[
        tuple[str, ...],
        Meta(description="Folders of your own from which files may be shared in place; they are only read."),
    ] = ("~", "/media", "/mnt", "/srv")
    volumes: Annotated[
        tuple[str, ...],
        Meta(
            description="Further folders for downloads, each on a drive of its own; a new download goes to "
            "where there is the most room on a healthy drive."
        ),
    ] = ()
    watch: Annotated[
        str,
        Meta(description="Folder that is watched for .torrent and .magnet files; empty switches it off."),
    ] = "watch"


class Network(_Table, frozen=True, kw_only=True):
    """How the box meets other peers."""

    listen_port: Annotated[
        int, Meta(ge=1, le=65535, description="Port for peers, TCP and UDP; open it in your router.")
    ] = 6881
    listen_addresses: Annotated[
        tuple[str, ...],
        Meta(description="IP addresses to listen on; empty means all of this machine."),
    ] = ()
    ipv6: Annotated[bool, Meta(description="Use IPv6 too, where the machine has it.")] = True
    tcp: Annotated[bool, Meta(description="Talk to peers over TCP.")] = True
    utp: Annotated[
        bool, Meta(description="Talk to peers over uTP, which gives way to other traffic (BEP 29).")
    ] = True
    dht: Annotated[bool, Meta(description="Find peers without a tracker (BEP 5).")] = True
    lsd: Annotated[bool, Meta(description="Find peers on the local network (BEP 14).")] = True
    pex: Annotated[bool, Meta(description="Learn peers from peers (BEP 11).")] = True
    upnp: Annotated[bool, Meta(description="Ask the router to open the port by UPnP.")] = True
    natpmp: Annotated[bool, Meta(description="Ask the router to open the port by NAT-PMP or PCP.")] = True
    encryption: Annotated[
        Literal["allow", "require", "off"],
        Meta(description="Protocol encryption towards peers; it hides from shapers, not from spies."),
    ] = "allow"
    announce_to_all_trackers: Annotated[
        bool, Meta(description="Announce to every tracker of a torrent, not only to the first that answers.")
    ] = True


class LimitKeys(_Table, frozen=True, kw_only=True):
    """What the box may use; the page and `seedbox limits` can override each while it runs."""

    upload_rate: Annotated[
        int, Meta(ge=0, le=2_000_000, description="Upload to all peers together.", extra={"unit": _KIB_S})
    ] = 0
    download_rate: Annotated[
        int, Meta(ge=0, le=2_000_000, description="Download from all peers together.", extra={"unit": _KIB_S})
    ] = 0
    connections: Annotated[
        int,
        Meta(
            ge=0, le=4_000, description="Peer connections at most.", extra={"unit": "0 = by the size of RAM"}
        ),
    ] = 0
    upload_slots: Annotated[
        int,
        Meta(
            ge=0,
            le=500,
            description="Peers that are sent data at once.",
            extra={"unit": "0 = by the size of RAM"},
        ),
    ] = 0
    active_downloads: Annotated[
        int, Meta(ge=1, le=100, description="Torrents that download at once; others wait their turn.")
    ] = 3


class Seeding(_Table, frozen=True, kw_only=True):
    """How long a torrent is seeded, unless it is told otherwise for itself."""

    goal: Annotated[
        Literal["forever", "ratio", "time"], Meta(description="What ends the seeding of a torrent.")
    ] = "forever"
    ratio: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description='Upload to reach for the goal "ratio".',
            extra={"unit": "% of its size"},
        ),
    ] = 200
    hours: Annotated[
        int, Meta(ge=1, le=1_000_000, description='Time to seed for the goal "time".', extra={"unit": "h"})
    ] = 720


class Web(_Table, frozen=True, kw_only=True):
    """The status page."""

    address: Annotated[
        str,
        Meta(
            min_length=1,
            description="IP address that the page listens on; 127.0.0.1 keeps it to this machine.",
        ),
    ] = "0.0.0.0"  # noqa: S104  a page on the phone needs the home network; the claim code guards it
    port: Annotated[int, Meta(ge=1, le=65535, description="Port of the page.")] = 8080
    hosts: Annotated[
        tuple[str, ...],
        Meta(description="Further host names for opening the page; addresses and own name always work."),
    ] = ()


class Ledger(_Table, frozen=True, kw_only=True):
    """The ledger that `seedbox ledger` keeps for others."""

    name: Annotated[str, Meta(min_length=1, max_length=60, description="Name of the ledger, for people.")] = (
        "ledger"
    )
    database: Annotated[
        str,
        Meta(
            min_length=1,
            description="A file in the state folder, or a postgresql:// URL without a password: that belongs "
            "into the file that PGPASSFILE names.",
        ),
    ] = "ledger.db"
    address: Annotated[str, Meta(min_length=1, description="IP address that the ledger listens on.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="Port of the ledger.")] = 8090
    payout_lock: Annotated[
        int,
        Meta(
            ge=0,
            le=720,
            description="How long an account waits for a change of its payout address.",
            extra={"unit": "h"},
        ),
    ] = 24


class Gateway(_Table, frozen=True, kw_only=True):
    """The way between that ledger and TRON, for `seedbox settle`."""

    nodes: Annotated[
        tuple[str, ...],
        Meta(description="Full nodes of TRON, such as http://127.0.0.1:8091, tried in this order."),
    ] = ()
    solidity_nodes: Annotated[
        tuple[str, ...],
        Meta(description="Solidity nodes, where they have other addresses than the full nodes."),
    ] = ()
    asset: Annotated[
        str,
        Meta(
            pattern=r"^([1-9][0-9]{0,18}|T[1-9A-HJ-NP-Za-km-z]{33})$",
            description="The token: id of a TRC-10 token, or address of a TRC-20 contract.",
        ),
    ] = "1002000"
    decimals: Annotated[
        int, Meta(ge=6, le=30, description="Decimals of the token: 6 for TRC-10 BTT, 18 for TRC-20 BTT.")
    ] = 6
    most_each: Annotated[
        int,
        Meta(
            ge=0,
            le=10**12,
            description="The most that leaves in one withdrawal.",
            extra={"unit": "BTT, 0 = no limit"},
        ),
    ] = 0
    most_a_day: Annotated[
        int,
        Meta(
            ge=0,
            le=10**12,
            description="The most that leaves in 24 hours; more waits.",
            extra={"unit": "BTT, 0 = no limit"},
        ),
    ] = 0
    allow: Annotated[
        tuple[str, ...], Meta(description="Addresses that may be paid to; an empty list allows all.")
    ] = ()
    keystore: Annotated[
        str,
        Meta(
            min_length=1,
            description="The wallet's encrypted file; a relative path starts at the state folder.",
        ),
    ] = "wallet.json"


class Auction(_Table, frozen=True, kw_only=True):
    """Selling upload slots, and bidding for slots of others; needs an account at a ledger."""

    sell: Annotated[
        bool,
        Meta(description="Sell upload slots to the highest bidders; others share what is kept for them."),
    ] = False
    slots: Annotated[int, Meta(ge=1, le=28, description="Slots that are sold at once.")] = 5
    per_torrent: Annotated[
        int, Meta(ge=0, le=28, description="Of them for one torrent.", extra={"unit": "0 = all"})
    ] = 0
    rule: Annotated[
        Literal["lowest-winning", "highest-losing"], Meta(description="What all winners pay.")
    ] = "lowest-winning"
    free_share: Annotated[
        int,
        Meta(
            ge=1,
            le=90,
            description="Kept for those who do not bid, while slots are sold.",
            extra={"unit": "% of the upload limit"},
        ),
    ] = 20
    reserve: Annotated[
        int,
        Meta(
            ge=0,
            le=10**12,
            description="Least price of a MiB; it rises with demand and falls to this again.",
            extra={"unit": "µBTT"},
        ),
    ] = 100
    reserve_moves: Annotated[
        bool, Meta(description="Let the least price follow demand; false: it stays as it is set.")
    ] = True
    ceiling: Annotated[
        int,
        Meta(
            ge=0,
            le=10**12,
            description="The least price of a MiB never rises above this.",
            extra={"unit": "µBTT, 0 = no ceiling"},
        ),
    ] = 0
    credit: Annotated[
        int,
        Meta(
            ge=1,
            le=1_024,
            description="Sent before it is paid, at most; more lets faster lines be filled.",
            extra={"unit": "MiB"},
        ),
    ] = 4
    buy_price: Annotated[
        int,
        Meta(
            ge=0,
            le=10**12,
            description="Bid by itself up to this for a MiB of whatever is being downloaded.",
            extra={"unit": "µBTT, 0 = never bid by itself"},
        ),
    ] = 0
    buy_budget: Annotated[
        int,
        Meta(
            ge=0,
            le=10**9,
            description="The most that is spent on downloading in a day (UTC).",
            extra={"unit": "BTT"},
        ),
    ] = 10
    buy_hours: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="Bid by itself only for what would not be here so soon without paying.",
            extra={"unit": "hours after it was added, 0 = always bid"},
        ),
    ] = 0
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port of the market, where others bid.")] = 6882


class Wallet(_Table, frozen=True, kw_only=True):
    """The box's own money."""

    ledger: Annotated[
        str,
        Meta(
            description="Address of the ledger that keeps the box's account, such as https://host; empty: "
            "none, but `seedbox run` keeps one itself, for trying things out.",
        ),
    ] = ""


_HOURS = "times of day such as 22:00-06:00"


class Governor(_Table, frozen=True, kw_only=True):
    """How the box eases itself: heat, power, disks, memory, the home line and the month's data."""

    heat_ease: Annotated[
        int, Meta(ge=40, le=100, description="It works less from this on.", extra={"unit": "°C"})
    ] = 75
    heat_hard: Annotated[
        int,
        Meta(ge=41, le=105, description="It works as little as it can from this on.", extra={"unit": "°C"}),
    ] = 80
    heat_back: Annotated[
        int, Meta(ge=35, le=99, description="Below this it works as before.", extra={"unit": "°C"})
    ] = 70
    floor: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Kept free on every drive, and at least 5 % of it.",
            extra={"unit": "GiB"},
        ),
    ] = 2
    month_cap: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="Data for a month, spread over its days.",
            extra={"unit": "GiB, 0 = no cap"},
        ),
    ] = 0
    cap_counts: Annotated[
        Literal["both", "upload", "download"], Meta(description="What the internet provider counts.")
    ] = "both"
    cap_day: Annotated[int, Meta(ge=1, le=28, description="Day on which the provider's month begins.")] = 1
    cheap_hours: Annotated[
        tuple[str, ...],
        Meta(description="When power is cheap; empty: always the same.", extra={"unit": _HOURS}),
    ] = ()
    dear_share: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="How much is uploaded while power is not cheap.",
            extra={"unit": "% of the upload limit"},
        ),
    ] = 25
    quiet_hours: Annotated[
        tuple[str, ...],
        Meta(description="When disks shall rest: nothing is fetched or checked.", extra={"unit": _HOURS}),
    ] = ()
    spin_down: Annotated[
        int,
        Meta(
            ge=0,
            le=330,
            description="A disk that nobody reads in quiet hours stops turning after this time.",
            extra={"unit": "minutes, 0 = never"},
        ),
    ] = 0
    courtesy: Annotated[
        bool,
        Meta(description="Send slower as soon as others in the house would notice the upload."),
    ] = True
    courtesy_host: Annotated[
        str,
        Meta(description="Host that is asked for its round-trip time; empty: the first router beyond yours."),
    ] = ""
    courtesy_delay: Annotated[
        int,
        Meta(
            ge=5,
            le=500,
            description="What the upload may add to a round trip.",
            extra={"unit": "ms"},
        ),
    ] = 20


class Energy(_Table, frozen=True, kw_only=True):
    """What the box costs, beside what it earns."""

    price: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Of a kilowatt hour.",
            extra={"unit": "thousandths of the currency, 0 = unknown"},
        ),
    ] = 0
    cheap_price: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Of a kilowatt hour in governor.cheap_hours.",
            extra={"unit": "thousandths of the currency, 0 = the same"},
        ),
    ] = 0
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="Its three letters (ISO 4217).")] = "EUR"
    btt_price: Annotated[
        int,
        Meta(
            ge=0,
            le=10**12,
            description="What a million BTT are worth.",
            extra={"unit": "thousandths of the currency, 0 = unknown"},
        ),
    ] = 0
    watts: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000,
            description="What the box and its disks take, where you have measured it.",
            extra={"unit": "W, 0 = by plug, UPS or a model of the board"},
        ),
    ] = 0
    plug: Annotated[
        str,
        Meta(
            description="Address of a smart plug that tells watts (Shelly or Tasmota), such as "
            "http://192.168.1.20; empty: none."
        ),
    ] = ""
    ups: Annotated[str, Meta(description="A UPS that NUT knows, such as ups@localhost; empty: none.")] = ""


class Panel(_Table, frozen=True, kw_only=True):
    """A light and a button on the board's pins (GPIO numbers, as BCM counts them)."""

    led: Annotated[int, Meta(ge=-1, le=53, description="Pin of the LED.", extra={"unit": "-1 = none"})] = 17
    led_active_low: Annotated[bool, Meta(description="The LED shines when its pin is low.")] = False
    button: Annotated[
        int,
        Meta(
            ge=-1,
            le=53,
            description="Pin of the button, which connects it to ground.",
            extra={"unit": "-1 = none"},
        ),
    ] = 27


class Notify(_Table, frozen=True, kw_only=True):
    """Telling the owner elsewhere. The addresses hold passwords: they belong into the file `notify`."""

    file: Annotated[
        str,
        Meta(
            min_length=1,
            description="File with one address a line, as apprise writes them, such as mailto:// or json://; "
            "only its owner may read it. A relative path starts at the state folder.",
        ),
    ] = "notify"
    least: Annotated[
        Literal["warning", "error"], Meta(description="What is told: all that is wrong, or what needs you.")
    ] = "warning"
    after: Annotated[
        int,
        Meta(
            ge=0,
            le=1_440,
            description="Only what has lasted so long is told.",
            extra={"unit": "minutes"},
        ),
    ] = 5


class Config(_Table, frozen=True, kw_only=True):
    """The whole file."""

    box: Box = Box()
    content: Content = Content()
    network: Network = Network()
    limits: LimitKeys = LimitKeys()
    seeding: Seeding = Seeding()
    web: Web = Web()
    wallet: Wallet = Wallet()
    auction: Auction = Auction()
    governor: Governor = Governor()
    energy: Energy = Energy()
    panel: Panel = Panel()
    notify: Notify = Notify()
    ledger: Ledger = Ledger()
    gateway: Gateway = Gateway()


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file, for people."""

    table: str
    name: str
    kind: str
    """Type and range in words, such as `whole number from 1 to 65535`."""
    unit: str
    default: Any
    says: str


def load(path: Path) -> Config:
    """Read and check the file at `path`; a missing file means all defaults.

    Raises OwnerMustAct, with file, line, key and what would be right.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Config()
    except UnicodeDecodeError as error:
        raise OwnerMustAct(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8.") from error
    except OSError as error:
        raise OwnerMustAct(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error
    return parse(text, str(path))


def parse(text: str, name: str = "seedbox.toml") -> Config:
    """Check the text of a configuration; see `load`. `name` stands in the error messages."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OwnerMustAct(f"{name}: not TOML: {error}.") from error
    except RecursionError as error:
        raise OwnerMustAct(f"{name}: nested too deeply to be a configuration.") from error
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise OwnerMustAct(_explain(text, name, raw, error)) from error


def all_keys() -> Iterator[Key]:
    """Every key there is, in the order of the default file."""
    for table_name, table in get_type_hints(Config).items():
        defaults = msgspec.structs.asdict(table())
        for key, annotation in get_type_hints(table, include_extras=True).items():
            kind, meta = get_args(annotation)[0], annotation.__metadata__[0]
            unit = (meta.extra or {}).get("unit", "")
            yield Key(table_name, key, _kind(kind, meta), unit, defaults[key], meta.description)


def value_of(config: Config, key: Key) -> Any:
    """The value in force of a key."""
    return msgspec.structs.asdict(msgspec.structs.asdict(config)[key.table])[key.name]


def default_text() -> str:
    """A complete configuration file: every key at its default, commented out, with its sentence."""
    lines = ["# Configuration of the Seedbox appliance. Remove the # before a key to change it.", ""]
    table = ""
    for key in all_keys():
        if key.table != table:
            if table:
                lines.append("")
            table = key.table
            lines += [f"[{table}]", f"# {_table_says(table)}"]
        unit = f" [{key.unit}]" if key.unit else ""
        lines += [
            "",
            f"# {key.says}{unit}",
            f"# A {key.kind}." if key.kind[0] not in "aeiou" else f"# An {key.kind}.",
        ]
        lines.append(f"#{key.name} = {toml_value(key.default)}")
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """One value as it is written in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return msgspec.json.encode(value).decode()


def _table_says(table: str) -> str:
    return (get_type_hints(Config)[table].__doc__ or "").strip()


def _kind(kind: Any, meta: Meta) -> str:
    if get_origin(kind) is Literal:
        return "choice of " + ", ".join(f'"{choice}"' for choice in get_args(kind))
    if kind is bool:
        return "switch: true or false"
    if kind is int:
        return f"whole number from {meta.ge} to {meta.le}"
    return "list of texts in brackets" if get_origin(kind) is tuple else "text in quotes"


def _explain(text: str, name: str, raw: dict[str, Any], error: msgspec.ValidationError) -> str:
    message, _, path = str(error).partition(" - at `$")
    where = [part for part in re.split(r"[.`\[\]]+", path) if part and part != "..."]
    known = {(key.table, key.name): key for key in all_keys()}
    if found := re.search(r"unknown field `(.*)`", message):
        stranger = found.group(1)
        names = [key for table, key in known if where == [table]] if where else list(get_type_hints(Config))
        near = difflib.get_close_matches(stranger, names, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(names)}."
        what = "key" if where else "table"
        parts = [*where, stranger]
        return f'{name}:{_line(text, parts)}: unknown {what} "{".".join(parts)}"; {hint}'
    line = _line(text, where)
    key = known.get((where[0], where[1])) if len(where) >= 2 else None
    if key is None:
        dotted = ".".join(where)
        return f'{name}:{line}: "{dotted}" must be a table, written as [{where[0] if where else "box"}].'
    given = raw[key.table][key.name]
    unit = f" ({key.unit})" if key.unit else ""
    return (
        f"{name}:{line}: {key.table}.{key.name} is {_short(given)}; it must be a {key.kind}{unit}. "
        f"Its default is {toml_value(key.default)}."
    )


def _short(value: Any) -> str:
    shown = str(msgspec.json.encode(msgspec.to_builtins(value, str_keys=True)), "utf-8")
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _line(text: str, where: list[str]) -> int:
    """The line of the dotted key `where` (1 when it cannot be found): tomllib keeps no positions."""
    table: list[str] = []
    best = 1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = [part.strip(" \"'") for part in header.group(1).split(".")]
            if table[: len(where)] == where:
                return number
            if table == where[: len(table)]:
                best = number
        elif assignment := re.match(r"\s*([^=#]+?)\s*=", line):
            dotted = [*table, *(part.strip(" \"'") for part in assignment.group(1).split("."))]
            if dotted[: len(where)] == where or (len(dotted) > len(table) and dotted == where[: len(dotted)]):
                return number
    return best
