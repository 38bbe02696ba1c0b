"""What buying needs of the outside."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from appliance.core.clock import Clock
from appliance.core.config import AuctionConfig
from appliance.core.journal import Journal
from appliance.core.keys import Address
from appliance.core.tasks import Fail
from appliance.domain.auction.intake import Intake
from appliance.domain.auction.messages import Message
from appliance.domain.auction.records import SellerRecord
from appliance.domain.auction.wants import Want
from appliance.domain.catalogue.torrent import Torrent
from appliance.services.market.line import MarketLine
from appliance.services.market.spending import Spending


class SellerTalk(Protocol):
    """Who is told what happens on the connections."""

    def opened(self, line: MarketLine) -> None:
        """A market answers."""
        ...

    def received(self, line: MarketLine, message: Message) -> None:
        """A seller said something. Raises PeerMisbehaved."""
        ...

    def closed(self, line: MarketLine) -> None:
        """A market has hung up, or we have."""
        ...


class Dialler(Protocol):
    """What calls the markets of others."""

    async def dial(self, host: str, port: int, info_hash: bytes, source: str = "") -> None:
        """Call a market from one of our addresses. Raises RetryLater where nobody answers."""
        ...

    async def close(self) -> None:
        """Hang up on everybody."""
        ...


class BuyingMemory(Protocol):
    """What is kept of buying. Every change is durable when it returns; RetryLater where the disk is full."""

    async def wants(self) -> dict[str, Want]:
        """What the owner pays for, by torrent."""
        ...

    async def put_want(self, torrent: str, want: Want | None) -> None:
        """Keep what is paid for a torrent; None: nothing any more."""
        ...

    async def records(self) -> dict[Address, SellerRecord]:
        """What came of dealings with sellers."""
        ...

    async def put_records(self, records: Iterable[tuple[Address, SellerRecord]]) -> None:
        """Keep what came of dealings."""
        ...


class DownloadEngine(Protocol):
    """What the BitTorrent session knows of sellers."""

    async def intake(self, torrent: str) -> Intake:
        """What everybody who is connected for a torrent has sent."""
        ...

    def find(self, info_hash: bytes, found: Callable[[list[tuple[str, int]]], None]) -> None:
        """Ask the DHT who sells a torrent; `found` is given (address, port of the market)."""
        ...


class Downloads(Protocol):
    """The catalogue, as far as it matters here."""

    def all(self) -> Iterable[Torrent]:
        """Every torrent."""
        ...

    def find(self, info_hash: bytes) -> Torrent | None:
        """The torrent that goes by an info-hash."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyingPorts:
    """What buying needs of the outside."""

    key: bytes
    """The box's own public key."""
    config: Callable[[], AuctionConfig]
    spending: Spending
    catalogue: Downloads
    engine: DownloadEngine
    journal: Journal
    memory: BuyingMemory
    clock: Clock
    dialler: Callable[[SellerTalk], Dialler]
    """Makes what calls markets; it tells the one that it is given what happens on the connections."""
    source: Callable[[str], str]
    """Our own address to call a host from."""
    port: Callable[[], int]
    """On which peers reach us; 0: they cannot."""
    fail: Fail
