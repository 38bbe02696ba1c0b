"""The outside of the buyer, written for tests: a wallet, sellers' markets, arriving bytes, and a memory.

Whatever is durable gives way to other tasks before and after it is written, so that a crash can cut it there.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from appliance.adapters.wire.session import Peer
from appliance.core.config import AuctionConfig
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.keys import Address, Key
from appliance.core.units import MIB, MicroBtt, UtcMs
from appliance.domain.auction.intake import Intake, Source
from appliance.domain.auction.messages import Message
from appliance.domain.auction.meter import PeerConnection
from appliance.domain.auction.records import SellerRecord
from appliance.domain.auction.wants import Want
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.catalogue.record import Record
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.ledger import channel as channels
from appliance.domain.ledger.channel import Channel, ChannelState
from appliance.domain.wallet.model import ChannelStanding, Purpose, Sum, Sums, WalletChannel
from appliance.services.market.buying import Buying
from appliance.services.market.buying_ports import BuyingPorts, SellerTalk
from appliance.services.market.spending import Spending, SpendingPorts
from tests.support.clock import FakeClock
from tests.support.fakes import ListJournal

LEDGER = b"L" * 32
ME, *SELLERS = (Key(bytes(31) + bytes([number])) for number in range(1, 5))
PORT = 6_881


async def others_run() -> None:
    """Let other tasks have their turn."""
    for _ in range(2):
        await asyncio.sleep(0)


class FakeWallet:
    """An account that is there, its store too; what it has kept outlives whoever uses it."""

    ledger = LEDGER

    def __init__(self, clock: FakeClock, balance: int = 10**9) -> None:
        self.clock, self.balance = clock, balance
        self.coming = 0
        """A deposit of which nobody knows before the ledger is asked."""
        self.holds: dict[str, int] = {}
        self.opening = Counter[str]()
        """How many channels are being opened at once, by what they are about."""
        self.most_opening = 0
        self.kept: dict[bytes, WalletChannel] = {}
        self.sums_by: Counter[tuple[str, str]] = Counter()
        self.away = False
        self.broken: Exception | None = None
        """What the next payment dies of."""

    # The account.

    @property
    def wallet(self) -> "FakeWallet | None":
        return self

    def usable(self) -> "FakeWallet":
        return self

    async def fresh(self) -> object:
        await others_run()
        self.balance, self.coming = self.balance + self.coming, 0
        return None

    # Its store.

    @property
    def store(self) -> "FakeWallet":
        return self

    async def sums(self) -> Sums:
        await others_run()
        held = MicroBtt(sum(self.holds.values()))
        return Sums(MicroBtt(self.balance), held, MicroBtt(0), MicroBtt(0))

    async def tallies(self, by: str, since: str) -> list[Sum]:
        await others_run()
        found = [(heading, amount) for (kind, heading), amount in self.sums_by.items() if kind == by]
        return [Sum(heading, Purpose.DOWNLOADING, MicroBtt(amount)) for heading, amount in found]

    # The wallet.

    @property
    def channels(self) -> list[WalletChannel]:
        return list(self.kept.values())

    def day(self) -> str:
        return "2026-11-25"

    async def hold(self, amount: MicroBtt, about: str) -> str:
        self.opening[about] += 1
        self.most_opening = max(self.most_opening, self.opening[about])
        await others_run()
        if amount > self.balance - sum(self.holds.values()):
            self.opening[about] -= 1
            raise OwnerMustAct("The account holds less.")
        name = f"{about}#{len(self.holds)}"
        self.holds[name] = amount
        return name

    async def release(self, hold: str) -> None:
        self.holds.pop(hold, None)
        self.opening[hold.partition("#")[0]] -= 1

    async def open_channel(
        self, hold: str, recipient: Address, lock: MicroBtt, life_ms: int, purpose: Purpose
    ) -> WalletChannel:
        await others_run()
        if self.away:
            raise RetryLater("The ledger is away.")
        assert self.holds.pop(hold) >= lock
        self.balance -= lock
        channel = Channel(
            id=hashlib.sha256(str(len(self.kept)).encode()).digest(),
            ledger=LEDGER,
            payer=ME.public,
            recipient=recipient,
            lock=lock,
            expires=UtcMs(self.clock.now() + life_ms),
            window_ms=1,
        )
        held = WalletChannel(channel=channel, purpose=purpose, standing=ChannelStanding.OPEN, name="n")
        self.kept[channel.id] = held
        await others_run()
        return held

    async def pay(self, id: bytes, paid: MicroBtt, torrent: str) -> ChannelState:
        await others_run()
        if self.broken:
            raise self.broken
        if self.away:
            raise RetryLater("The disk is full.")
        held = self.kept[id]
        after, state = channels.pay(held.channel, ME, paid)
        more = after.paid - held.channel.paid
        self.kept[id] = replace(held, channel=after, signature=state.signature)
        self.sums_by["torrent", torrent] += more
        self.sums_by["day", self.day()] += more
        await others_run()
        return state

    def paid(self, seller: Address | None = None) -> int:
        """In all, or to one seller."""
        found = (one.channel for one in self.kept.values())
        return sum(one.paid for one in found if seller in (None, one.recipient))


@dataclass
class FakeBuyingMemory:
    """What is kept of buying; it may be full."""

    kept_wants: dict[str, Want] = field(default_factory=dict)
    kept_records: dict[Address, SellerRecord] = field(default_factory=dict)
    full: bool = False
    slow: asyncio.Event | None = None
    """What a write waits for."""

    async def _write(self) -> None:
        await others_run()
        if self.slow:
            await self.slow.wait()
        if self.full:
            raise RetryLater("The disk is full. Make room.")

    async def wants(self) -> dict[str, Want]:
        return dict(self.kept_wants)

    async def put_want(self, torrent: str, want: Want | None) -> None:
        await self._write()
        self.kept_wants.pop(torrent, None)
        if want:
            self.kept_wants[torrent] = want

    async def records(self) -> dict[Address, SellerRecord]:
        return dict(self.kept_records)

    async def put_records(self, records: Iterable[tuple[Address, SellerRecord]]) -> None:
        changed = dict(records)
        await self._write()
        self.kept_records |= changed


class FakeSellerLine:
    """A connection to a market, with what was said over it."""

    def __init__(self, seller: Address, host: str, info_hash: bytes, talk: SellerTalk) -> None:
        key = next(one for one in SELLERS if one.address == seller)
        self.peer, self.host, self.info_hash = Peer(key.public, seller, "test"), host, info_hash
        self._talk = talk
        self.sent: list[Message] = []
        self.open = True

    def send(self, message: Message) -> None:
        assert self.open, "nothing is said where nobody is connected"
        self.sent.append(message)

    def close(self) -> None:
        """The other end learns of it in its own time, as with sockets."""
        asyncio.get_running_loop().call_soon(self.hang_up)

    def hang_up(self) -> None:
        """The connection ends."""
        if self.open:
            self.open = False
            self._talk.closed(self)

    def say(self, message: Message) -> None:
        """The seller says something."""
        self._talk.received(self, message)


class FakeMarkets:
    """All markets that can be called, by (host, port), and the connections to them."""

    def __init__(self) -> None:
        self.sellers: dict[tuple[str, int], Address] = {}
        self.lines: list[FakeSellerLine] = []
        self.calls: list[tuple[str, int]] = []
        self.broken: Exception | None = None
        """What a call dies of."""

    def dialler(self, talk: SellerTalk) -> "FakeDialler":
        return FakeDialler(self, talk)

    def line(self, seller: Address) -> FakeSellerLine | None:
        """The connection to a seller."""
        return next((one for one in self.lines if one.open and one.peer.address == seller), None)


@dataclass
class FakeDialler:
    """Calls markets."""

    markets: FakeMarkets
    talk: SellerTalk

    async def dial(self, host: str, port: int, info_hash: bytes, source: str = "") -> None:
        self.markets.calls.append((host, port))
        await others_run()
        if self.markets.broken:
            raise self.markets.broken
        seller = self.markets.sellers.get((host, port))
        if seller is None:
            raise RetryLater("Nobody answers.")
        line = FakeSellerLine(seller, host, info_hash, self.talk)
        self.markets.lines.append(line)
        self.talk.opened(line)

    async def close(self) -> None:
        for line in self.markets.lines:
            line.hang_up()


class FakeDownloads:
    """A catalogue: its torrents, what has come of them, and whom the DHT names."""

    def __init__(self) -> None:
        self.torrents: dict[str, Torrent] = {}
        self.came: dict[tuple[str, str], tuple[int, int]] = {}
        """(torrent, host) -> (port of its market, bytes)"""
        self.failed = Counter[str]()
        self.failures = Counter[tuple[str, str]]()
        self.named: list[tuple[str, int]] = []
        self.sought: list[bytes] = []

    def add(self, id: str, size: int = 100 * MIB, state: TorrentState = TorrentState.DOWNLOADING) -> None:
        record = Record(
            id=id,
            name="film",
            v1=id,
            v2="",
            folder="/content",
            size=size,
            pieces=size // MIB,
            piece_length=MIB,
        )
        self.torrents[id] = Torrent(record, state)

    def all(self) -> Iterable[Torrent]:
        return list(self.torrents.values())

    def find(self, info_hash: bytes) -> Torrent | None:
        return next((one for one in self.all() if one.record.goes_by(info_hash)), None)

    async def intake(self, torrent: str) -> Intake:
        await others_run()
        sources = tuple(
            Source(host, PeerConnection(torrent, host, 1), market, count, 0, self.failures[torrent, host])
            for (id, host), (market, count) in self.came.items()
            if id == torrent
        )
        return Intake(sources, self.failed[torrent])


class FakeBox:
    """Everything around a buyer that outlives it, and the buyer that is alive now."""

    def __init__(self, **config: int) -> None:
        self.clock = FakeClock()
        self.wallet = FakeWallet(self.clock)
        self.memory = FakeBuyingMemory()
        self.markets = FakeMarkets()
        self.downloads = FakeDownloads()
        self.journal = ListJournal()
        self.config = AuctionConfig(**({"buy_budget": 1_000} | config))  # type: ignore[arg-type]
        self.port = PORT
        self.failures: list[BaseException] = []
        self.buying = self.made()

    def made(self) -> Buying:
        spending = SpendingPorts(account=self.wallet, config=lambda: self.config, clock=self.clock)
        return Buying(
            BuyingPorts(
                key=ME.public,
                config=lambda: self.config,
                spending=Spending(spending),
                catalogue=self.downloads,
                engine=_Engine(self.downloads),
                journal=self.journal,
                memory=self.memory,
                clock=self.clock,
                dialler=self.markets.dialler,
                source=lambda host: "",
                port=lambda: self.port,
                fail=self.failures.append,
            )
        )

    async def settle(self, turns: int = 40) -> None:
        """Let everything that was begun end."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def look(self, seconds: float = 0.5) -> None:
        """One look, and all that comes of it."""
        self.clock.advance(seconds)
        await self.buying.look()
        await self.settle()

    async def dies(self) -> None:
        """Power fails: whatever was under way ends where it is; then there is another buyer."""
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await self.settle()
        for line in self.markets.lines:
            line.open = False
        # Another session counts its connections from nothing.
        self.downloads.came = {place: (market, 0) for place, (market, _) in self.downloads.came.items()}
        self.wallet.holds.clear()
        self.wallet.opening.clear()
        self.buying = self.made()
        await self.buying.start()


@dataclass
class _Engine:
    downloads: FakeDownloads

    async def intake(self, torrent: str) -> Intake:
        return await self.downloads.intake(torrent)

    def find(self, info_hash: bytes, found: Callable[[list[tuple[str, int]]], None]) -> None:
        self.downloads.sought.append(info_hash)
        found(list(self.downloads.named))
