"""The buyer's money: budgets, channels to sellers, and payments."""

from collections.abc import Callable

from appliance.adapters.store.journal import EventJournal
from appliance.core.config import Auction
from appliance.core.errors import OwnerMustAct
from appliance.core.keys import Address
from appliance.core.units import BTT, MicroBtt, MicroBttPerMib, UtcMs
from appliance.domain.auction.buyer import Need, lock_for
from appliance.domain.auction.lease import CREDIT
from appliance.domain.ledger.channel import ChannelState
from appliance.domain.wallet.model import ChannelStanding, Purpose, WalletChannel
from appliance.services.market.account import Money
from appliance.services.market.deals import Live, Purchase

CHANNEL_MS = 24 * 3_600_000
ENDS_SOON_MS = 3 * 3_600_000
"""A channel that ends so soon is not bid with: its recipient would close it."""


class Purse:
    """What the box spends on downloading."""

    def __init__(
        self, money: Money, told: Callable[[], Auction], journal: EventJournal, now: Callable[[], UtcMs]
    ) -> None:
        self._money = money
        self._told = told
        self._journal = journal
        self._now = now
        self._day = ("", MicroBtt(0))

    async def spent(self, id: str) -> MicroBtt:
        """For a torrent, since ever."""
        sums = await self._money.usable().store.tallies("torrent", "")
        found = (one.amount for one in sums if one.heading == id and one.purpose is Purpose.DOWNLOADING)
        return MicroBtt(sum(found))

    async def day_spent(self) -> MicroBtt:
        """On downloading, today by the ledger's clock."""
        wallet = self._money.usable()
        today = wallet.day()
        if self._day[0] != today:
            sums = await wallet.store.tallies("day", today)
            spent = sum(one.amount for one in sums if one.purpose is Purpose.DOWNLOADING)
            self._day = (today, MicroBtt(spent))
        return self._day[1]

    async def day_left(self) -> MicroBtt:
        """Of the owner's budget for the day."""
        return MicroBtt(max(0, self._told().buy_budget * BTT - await self.day_spent()))

    async def fund(
        self, live: Live, purchase: Purchase, locked: int, price: MicroBttPerMib, need: Need
    ) -> bool:
        """Have a channel to the seller that covers what is bid; whether there is one.

        `locked` is in open channels for the same torrent, and spoken for.
        """
        wallet, deal = self._money.usable(), live.deal
        credit = deal.last.credit if deal.last else CREDIT
        enough = credit * price >> 20
        now = self._now()
        if deal.channel and deal.lock - deal.paid >= enough:
            return True
        left = MicroBtt(max(0, min(purchase.want.budget - purchase.used, await self.day_left()) - locked))
        for held in wallet.channels:
            if _usable(held, live.seller, now) and held.channel.lock - held.channel.paid >= enough:
                self._take(live, held, left, resumed=held.channel.paid > 0)
                return left >= enough
        available = (await wallet.store.sums()).available
        if available < left:
            # A deposit that has just come in may not have been told yet.
            await self._money.fresh()
            available = (await wallet.store.sums()).available
        lock = lock_for(price, need, MicroBtt(min(left, available)), credit)
        if not lock:
            self._tell(
                live, "Nothing is bid: the account holds too little. Deposit some BTT.", available < left
            )
            return False
        try:
            hold = await wallet.hold(lock, f"bid for {live.torrent[:16]}")
            try:
                held = await wallet.open_channel(hold, live.seller, lock, CHANNEL_MS, Purpose.DOWNLOADING)
            finally:
                await wallet.release(hold)
        except OwnerMustAct as error:
            self._tell(live, f"Nothing is bid: {error}", True)
            return False
        self._take(live, held, left, resumed=False)
        return True

    def _tell(self, live: Live, says: str, new: bool) -> None:
        """Tell the owner, once."""
        if new and live.told != says:
            live.told = says
            self._journal.warning(says, live.torrent)

    def _take(self, live: Live, held: WalletChannel, left: MicroBtt, *, resumed: bool) -> None:
        """Pay with a channel from now on, of which no more than `left` is meant for this torrent."""
        one = held.channel
        before = live.deal.paid - live.started
        live.deal.fund(one.id, MicroBtt(min(one.lock, one.paid + left)), one.paid, resumed=resumed)
        live.started = one.paid - before
        live.receipt = None

    async def pay(self, live: Live) -> ChannelState | None:
        """Pay what its receipt asks for, as far as it has arrived; None where nothing is due."""
        deal, receipt = live.deal, live.receipt
        total = receipt and deal.pays(MicroBtt(receipt.owed))
        if not total or live.busy:
            return None
        live.busy = True
        try:
            state = await self._money.usable().pay(deal.channel, total, live.torrent)
        finally:
            live.busy = False
        self._day = (self._day[0], MicroBtt(self._day[1] + state.paid - deal.paid))
        return state

    def last_states(self, seller: Address) -> list[ChannelState]:
        """The last payments in all channels to a seller: they may have been lost with a line."""
        return [
            held.state
            for held in self._money.usable().channels
            if _to(held, seller) and held.standing is ChannelStanding.OPEN and held.state
        ]


def _to(held: WalletChannel, seller: Address) -> bool:
    return held.purpose is Purpose.DOWNLOADING and held.channel.recipient == seller


def _usable(held: WalletChannel, seller: Address, now: UtcMs) -> bool:
    return (
        _to(held, seller)
        and held.standing is ChannelStanding.OPEN
        and held.channel.expires - now > ENDS_SOON_MS
    )
