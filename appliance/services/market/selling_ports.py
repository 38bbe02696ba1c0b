"""What selling needs of the outside."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from appliance.core.clock import Clock
from appliance.core.journal import Journal
from appliance.core.tasks import Fail
from appliance.core.units import MicroBtt
from appliance.domain.auction.effects import Decided
from appliance.domain.auction.model import SellerMemory
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.ledger.channel import ChannelState
from appliance.domain.wallet.model import Purpose, WalletChannel
from appliance.services.market.lanes import LaneEngine


class SellerWallet(Protocol):
    """The money that bidders pay with."""

    @property
    def ledger(self) -> bytes:
        """The id of the ledger that keeps it."""
        ...

    @property
    def channels(self) -> list[WalletChannel]:
        """The channels that are not settled."""
        ...

    def held(self, id: bytes) -> WalletChannel:
        """A channel that is not settled. Raises NotFound."""
        ...

    async def adopt(self, id: bytes, purpose: Purpose) -> WalletChannel:
        """Begin to be paid in a channel that somebody has opened to the box.

        Raises PeerMisbehaved, or RetryLater where the ledger is away.
        """
        ...

    async def accept_state(self, id: bytes, state: ChannelState, torrent: str) -> MicroBtt:
        """What a payer's state brings beyond the last one; durable before it is returned.

        Raises PeerMisbehaved, RetryLater.
        """
        ...


class SellerAccount(Protocol):
    """The box's account at its ledger."""

    @property
    def wallet(self) -> SellerWallet | None:
        """None until the ledger has answered for the first time."""
        ...

    def usable(self) -> SellerWallet:
        """The wallet. Raises RetryLater before the ledger has answered for the first time."""
        ...


class SoldTorrents(Protocol):
    """The torrents of the box."""

    def all(self) -> Iterable[Torrent]:
        """Every torrent, in no order."""
        ...

    def find(self, info_hash: bytes) -> Torrent | None:
        """The torrent that peers mean by an info-hash (20 bytes)."""
        ...

    def get(self, id: str) -> Torrent:
        """A torrent by its id. Raises NotFound."""
        ...


class SellerStore(Protocol):
    """Where a seller's memory is saved."""

    def load(self) -> SellerMemory:
        """What was saved last."""
        ...

    async def keep(self, memory: SellerMemory) -> None:
        """Save; durable when this returns. Raises RetryLater."""
        ...


class SalesLog(Protocol):
    """The history of selling."""

    def decided(self, one: Decided) -> None:
        """A round is over."""
        ...

    def sent(self, torrent: str, count: int) -> None:
        """Bytes were sent in a lease."""
        ...

    def earned(self, amount: MicroBtt) -> None:
        """A payment came."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SellingPorts:
    """Everything outside that selling needs."""

    account: SellerAccount
    torrents: SoldTorrents
    engine: LaneEngine
    journal: Journal
    store: SellerStore
    log: SalesLog
    clock: Clock
    chance: Callable[[int], bytes]
    """Random bytes that nobody can foresee."""
    uplink: Callable[[], int]
    """What the box can send, in bytes a second; 0 while nobody knows."""
    fail: Fail
