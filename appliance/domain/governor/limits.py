"""`Limits`: the one object by which rates, connections and slots of the box are set."""

from dataclasses import asdict, dataclass, replace
from typing import Self

from appliance.core.errors import OwnerMustAct
from appliance.core.units import GIB, Bytes, BytesPerSecond

MOST_CONNECTIONS = 4_000
MOST_UPLOAD_SLOTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the engine may use. A rate of 0 means unlimited."""

    upload_rate: BytesPerSecond
    download_rate: BytesPerSecond
    connections: int
    """Peer connections of all torrents together."""
    upload_slots: int
    """Peers unchoked at once, all torrents together; the auction takes its slots elsewhere."""
    active_downloads: int
    """Torrents that download at once; further ones wait their turn."""
    active_checks: int = 1
    """Torrents whose data is hashed at once: one disk head, one reader."""
    sending: bool = True
    """Data is sent; False: nothing is, as an `upload_rate` of 0 would be unlimited."""
    writing: bool = True
    """Data is fetched; False: every download waits."""
    checking: bool = True
    """Data may be hashed, as checks and scrubs do."""
    new_work: bool = True
    """New leases and storage contracts are taken."""
    even: bool = False
    """Others are using the connection: data is sent evenly, which costs some CPU."""

    def checked(self) -> Self:
        """Return these limits, or raise OwnerMustAct naming the first impossible value."""
        for name, value, least, most in (
            ("upload_rate", self.upload_rate, 0, 2**31 - 1),
            ("download_rate", self.download_rate, 0, 2**31 - 1),
            ("connections", self.connections, 10, MOST_CONNECTIONS),
            ("upload_slots", self.upload_slots, 1, MOST_UPLOAD_SLOTS),
            ("active_downloads", self.active_downloads, 1, 100),
            ("active_checks", self.active_checks, 1, 16),
        ):
            if not least <= value <= most:
                raise OwnerMustAct(f"{name} is {value}; it must be between {least} and {most}.")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChange:
    """Some of the limits, as an owner sets them by hand; None leaves a limit to the configuration."""

    upload_rate: BytesPerSecond | None = None
    download_rate: BytesPerSecond | None = None
    connections: int | None = None
    upload_slots: int | None = None
    active_downloads: int | None = None

    def set_fields(self) -> dict[str, int]:
        """The limits that this change names, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def then(self, later: "LimitsChange") -> "LimitsChange":
        """Both changes as one; where both set a limit, the later one counts."""
        return replace(self, **later.set_fields())  # type: ignore[arg-type]

    def over(self, base: Limits) -> Limits:
        """The limits after this change; raises OwnerMustAct for an impossible value."""
        return replace(base, **self.set_fields()).checked()  # type: ignore[arg-type]


def for_memory(ram: Bytes) -> tuple[int, int]:
    """(connections, upload slots) that suit a machine with `ram` bytes of memory.

    A connection costs libtorrent some 20 to 60 KB of its own and up to 500 KB of kernel socket buffers
    while it runs at full rate, so a 512 MB board gets 100 and only machines of 4 GB get 800.
    """
    for floor, connections, slots in (
        (7 * GIB // 2, 800, 40),
        (3 * GIB // 2, 400, 24),
        (3 * GIB // 4, 200, 16),
    ):
        if ram >= floor:
            return connections, slots
    return 100, 8
