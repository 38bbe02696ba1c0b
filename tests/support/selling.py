"""The outside of selling, for tests: an engine with lanes, torrents, an account, a disk and bidders."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from appliance.adapters.wire.session import Peer
from appliance.core.errors import NotFound, PeerMisbehaved, RetryLater
from appliance.core.keys import address_of
from appliance.core.units import MicroBtt
from appliance.domain.auction.effects import Decided
from appliance.domain.auction.messages import Message
from appliance.domain.auction.meter import PeerConnection
from appliance.domain.auction.model import SellerMemory
from appliance.domain.catalogue.model import TorrentState as TorrentState
from appliance.domain.catalogue.record import Record
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.ledger.channel import ChannelState
from appliance.domain.wallet.model import Purpose, WalletChannel
from appliance.services.market.selling_ports import SellerWallet

PRIORITISED = -1
"""Stands for no limit."""


@dataclass
class FakeLanes:
    """`LaneEngine`: peers that are connected, cut and called, and how each lane is served."""

    connected: dict[str, PeerConnection] = field(default_factory=dict)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    """(torrent, address) -> payload bytes."""
    lane_of: dict[str, int] = field(default_factory=dict)
    rates: dict[int, int] = field(default_factory=dict)
    free: int = 0
    calls: list[str] = field(default_factory=list)
    refuses: int = 0
    """How many of the next calls are refused."""
    _blocked: set[str] = field(default_factory=set)

    def connect(self, torrent: str, ip: str, port: int = 6_881) -> None:
        """A peer connects."""
        self.connected[ip] = PeerConnection(torrent, ip, port)
        self.sent.setdefault((torrent, ip), 0)

    def send(self, torrent: str, ip: str, count: int) -> None:
        """So many bytes are sent to a peer."""
        self.sent[torrent, ip] += count

    def prioritised(self, ip: str) -> bool:
        """Whether a peer is served before all others."""
        lane = self.lane_of.get(ip)
        return ip in self.connected and lane is not None and self.rates.get(lane) == PRIORITISED

    def map(self, lanes: Mapping[str, int]) -> None:
        self.lane_of = dict(lanes)

    def prioritise(self, lane: int) -> None:
        self.rates[lane] = PRIORITISED

    def limit(self, lane: int, rate: int) -> None:
        self.rates[lane] = rate

    def share(self, rate: int) -> None:
        self.free = rate

    def cut(self, ips: set[str]) -> None:
        self._blocked |= ips
        for ip in ips:
            self.connected.pop(ip, None)

    def uncut(self, ips: set[str]) -> None:
        self._blocked -= ips

    def call(self, torrent: str, ip: str, port: int) -> None:
        assert ip not in self._blocked, "called while it was shut out"
        self.calls.append(ip)
        if self.refuses:
            self.refuses -= 1
        else:
            self.connect(torrent, ip, port)

    async def counters(self, torrents: Iterable[str]) -> dict[str, dict[PeerConnection, int]]:
        wanted = set(torrents)
        return {
            ip: {one: self.sent[one.torrent, ip]}
            for ip, one in self.connected.items()
            if one.torrent in wanted
        }


@dataclass
class FakeTorrents:
    """`Torrents`."""

    torrents: dict[str, Torrent] = field(default_factory=dict)

    def seed(self, id: str) -> bytes:
        """Seed a torrent; returns its info-hash."""
        record = Record(id=id, name="film", v1=id, v2="", folder="/content")
        self.torrents[id] = Torrent(record, TorrentState.SEEDING)
        return bytes.fromhex(id)

    def all(self) -> Iterable[Torrent]:
        return self.torrents.values()

    def find(self, info_hash: bytes) -> Torrent | None:
        return self.torrents.get(info_hash.hex())

    def get(self, id: str) -> Torrent:
        if id not in self.torrents:
            raise NotFound("There is no such torrent.")
        return self.torrents[id]


@dataclass
class FakeAccount:
    """`SellerAccount`."""

    wallet: SellerWallet | None = None

    def usable(self) -> SellerWallet:
        if self.wallet is None:
            raise RetryLater("The ledger has not answered yet.")
        return self.wallet


@dataclass
class FakeWallet:
    """`SellerWallet` over channels that tests open; every state is believed."""

    ledger: bytes = b"L" * 32
    open: dict[bytes, WalletChannel] = field(default_factory=dict)
    broken: Exception | None = None
    """What it dies of when it is paid."""
    _held: dict[bytes, WalletChannel] = field(default_factory=dict)

    @property
    def channels(self) -> list[WalletChannel]:
        return list(self._held.values())

    def held(self, id: bytes) -> WalletChannel:
        if id not in self._held:
            raise NotFound("This box has no such channel.")
        return self._held[id]

    async def adopt(self, id: bytes, purpose: Purpose) -> WalletChannel:
        if id not in self.open:
            raise PeerMisbehaved("The ledger knows no such channel.")
        return self._held.setdefault(id, self.open[id])

    async def accept_state(self, id: bytes, state: ChannelState, torrent: str) -> MicroBtt:
        if self.broken:
            raise self.broken
        held = self.held(id)
        channel = replace(held.channel, seq=state.seq, paid=state.paid)
        self._held[id] = replace(held, channel=channel)
        return MicroBtt(channel.paid - held.channel.paid)


@dataclass
class FakeStore:
    """`SellerStore`: may be full, or die once before or after it has saved."""

    memory: SellerMemory = field(default_factory=SellerMemory)
    full: bool = False
    dies_before: Exception | None = None
    dies_after: Exception | None = None
    while_saving: Callable[[], None] = lambda: None
    """What happens while it saves."""

    def load(self) -> SellerMemory:
        return self.memory

    async def keep(self, memory: SellerMemory) -> None:
        self.while_saving()
        if self.full:
            raise RetryLater("The disk is full. Make room.")
        if self.dies_before:
            raise self.dies_before
        self.memory = memory
        if self.dies_after:
            raise self.dies_after


@dataclass
class FakeSales:
    """`SalesLog`, as sums."""

    rounds: list[Decided] = field(default_factory=list)
    bytes: int = 0
    money: int = 0

    def decided(self, one: Decided) -> None:
        self.rounds.append(one)

    def sent(self, torrent: str, count: int) -> None:
        self.bytes += count

    def earned(self, amount: MicroBtt) -> None:
        self.money += amount


@dataclass(eq=False)
class FakeBidder:
    """`MarketLine`: somebody at the other end, and what they were sent."""

    key: bytes
    host: str
    info_hash: bytes
    on_message: Callable[[Message], None] = lambda message: None
    sent: list[Message] = field(default_factory=list)
    closed: bool = False

    @property
    def peer(self) -> Peer:
        return Peer(self.key, address_of(self.key), "test")

    def send(self, message: Message) -> None:
        self.sent.append(message)
        self.on_message(message)

    def close(self) -> None:
        self.closed = True
