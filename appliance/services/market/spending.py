"""The buyer's money: budgets, channels to sellers, and payments. Only here does it lock and sign away any."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.core.clock import Clock
from appliance.core.config import AuctionConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.keys import Address
from appliance.core.units import BTT, MicroBtt
from appliance.domain.auction.buyer_effects import FundChannel, Funding
from appliance.domain.auction.messages import Pay
from appliance.domain.auction.wants import lock_for
from appliance.domain.ledger.channel import ChannelState
from appliance.domain.wallet.model import ChannelStanding, Purpose, Sum, Sums, WalletChannel

CHANNEL_MS = 24 * 3_600_000
ENDS_SOON_MS = 3 * 3_600_000
"""A channel that ends so soon is not bid with: its recipient would close it."""
TOO_LITTLE = "Nothing is bid: the account holds too little. Deposit some BTT."


class Books(Protocol):
    """What the wallet has written down."""

    async def sums(self) -> Sums:
        """The account."""
        ...

    async def tallies(self, by: str, since: str) -> list[Sum]:
        """Earned and spent since a day, by `day` or `torrent`."""
        ...


class SpendingWallet(Protocol):
    """The box's wallet, as somebody uses it who spends."""

    @property
    def ledger(self) -> bytes:
        """The ledger's id."""
        ...

    @property
    def store(self) -> Books:
        """What is written down."""
        ...

    @property
    def channels(self) -> Sequence[WalletChannel]:
        """The channels that are under way."""
        ...

    def day(self) -> str:
        """Today (UTC) by the ledger's clock."""
        ...

    async def hold(self, amount: MicroBtt, about: str) -> str:
        """Set money apart; the hold's id. Raises OwnerMustAct where the account holds less."""
        ...

    async def release(self, hold: str) -> None:
        """Give back what is left of a hold."""
        ...

    async def open_channel(
        self, hold: str, recipient: Address, lock: MicroBtt, life_ms: int, purpose: Purpose
    ) -> WalletChannel:
        """Lock money of a hold in a channel to somebody."""
        ...

    async def pay(self, id: bytes, paid: MicroBtt, torrent: str) -> ChannelState:
        """The signed state that `paid` in all is the recipient's; durable before it is returned."""
        ...


class SpendingAccount(Protocol):
    """The box's account at a ledger."""

    @property
    def wallet(self) -> SpendingWallet | None:
        """The wallet; None before the ledger has answered for the first time."""
        ...

    def usable(self) -> SpendingWallet:
        """The wallet. Raises RetryLater where there is none yet."""
        ...

    async def fresh(self) -> object:
        """Ask the ledger what is new, for as long as somebody who looks would wait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingPorts:
    """What spending needs of the outside."""

    account: SpendingAccount
    config: Callable[[], AuctionConfig]
    clock: Clock


@dataclass(frozen=True, slots=True)
class Refusal:
    """There is no channel, and `why` for the owner; empty where a bid is not worth a word."""

    why: str = ""


class Spending:
    """What the box spends on downloading."""

    def __init__(self, ports: SpendingPorts) -> None:
        self._ports = ports
        self._day = ("", MicroBtt(0))
        """(today, spent so far)"""

    @property
    def ledger(self) -> bytes | None:
        """The id of the ledger that keeps the account; None before it has answered for the first time."""
        wallet = self._ports.account.wallet
        return wallet.ledger if wallet else None

    # ----------------------------------------------------------------------------------------- budgets

    async def spent(self, torrent: str) -> MicroBtt:
        """Everything that was spent on downloading a torrent. Raises RetryLater."""
        sums = await self._ports.account.usable().store.tallies("torrent", "")
        return _downloading(one for one in sums if one.heading == torrent)

    async def day_spent(self) -> MicroBtt:
        """Spent on downloading today, by the ledger's clock. Raises RetryLater."""
        wallet = self._ports.account.usable()
        today = wallet.day()
        if self._day[0] != today:
            self._day = (today, _downloading(await wallet.store.tallies("day", today)))
        return self._day[1]

    async def day_left(self) -> MicroBtt:
        """What is left of the owner's budget for the day. Raises RetryLater."""
        budget = self._ports.config().buy_budget * BTT
        return MicroBtt(max(0, budget - await self.day_spent()))

    # ---------------------------------------------------------------------------------------- channels

    async def fund(self, need: FundChannel) -> Funding | Refusal:
        """A channel to the seller that covers what is to be bid: one that is open, or another one.

        Raises RetryLater where the ledger does not answer.
        """
        wallet = self._ports.account.usable()
        seller = need.contact[1]
        known = next((one for one in wallet.channels if self._covers(one, seller, need.enough)), None)
        if known:
            return _funding(known, need.left) if need.left >= need.enough else Refusal()
        available = await self._available(wallet, need.left)
        left = MicroBtt(min(need.left, available))
        lock = lock_for(need.price, need.missing, left, need.credit, sole=need.sole)
        if not lock:
            return Refusal(TOO_LITTLE if available < need.left else "")
        try:
            return _funding(await self._open(wallet, need, lock), need.left)
        except OwnerMustAct as error:
            return Refusal(f"Nothing is bid: {error}")

    def _covers(self, held: WalletChannel, seller: Address, enough: MicroBtt) -> bool:
        channel = held.channel
        lasts = channel.expires - self._ports.clock.now() > ENDS_SOON_MS
        return _pays(held, seller) and lasts and channel.lock - channel.paid >= enough

    async def _available(self, wallet: SpendingWallet, wanted: MicroBtt) -> MicroBtt:
        available = (await wallet.store.sums()).available
        if available < wanted:
            # A deposit that has just come in may not be known yet.
            await self._ports.account.fresh()
            available = (await wallet.store.sums()).available
        return available

    async def _open(self, wallet: SpendingWallet, need: FundChannel, lock: MicroBtt) -> WalletChannel:
        torrent, seller = need.contact
        hold = await wallet.hold(lock, f"bid for {torrent[:16]}")
        try:
            return await wallet.open_channel(hold, seller, lock, CHANNEL_MS, Purpose.DOWNLOADING)
        finally:
            await wallet.release(hold)

    # ---------------------------------------------------------------------------------------- payments

    async def pay(self, channel: bytes, total: MicroBtt, torrent: str) -> Pay:
        """The payment that makes `total` in all the seller's; kept when this returns. Raises SeedboxError."""
        wallet = self._ports.account.usable()
        before = next((one.channel.paid for one in wallet.channels if one.channel.id == channel), total)
        state = await wallet.pay(channel, total, torrent)
        self._day = (self._day[0], MicroBtt(self._day[1] + state.paid - before))
        return _payment(state)

    def last_payments(self, seller: Address) -> list[Pay]:
        """The last payment in each channel to a seller: any may have been lost with a connection."""
        held = self._ports.account.usable().channels
        return [_payment(one.state) for one in held if _pays(one, seller) and one.state]


def _pays(held: WalletChannel, seller: Address) -> bool:
    """Whether a channel is open, and pays this seller."""
    ours = held.purpose is Purpose.DOWNLOADING and held.channel.recipient == seller
    return ours and held.standing is ChannelStanding.OPEN


def _funding(held: WalletChannel, left: MicroBtt) -> Funding:
    """A channel of which no more than `left` is meant for one torrent."""
    one = held.channel
    most = MicroBtt(min(one.lock, one.paid + left))
    return Funding(channel=one.id, lock=most, paid=one.paid, resumed=one.paid > 0)


def _payment(state: ChannelState) -> Pay:
    return Pay(channel=state.channel, seq=state.seq, paid=state.paid, state=state.signature)


def _downloading(sums: Iterable[Sum]) -> MicroBtt:
    return MicroBtt(sum(one.amount for one in sums if one.purpose is Purpose.DOWNLOADING))
