"""What each command about the auction does: the seam between control/auction.py and the two sides of it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from appliance.adapters.store.auction import BUCKET_MS
from appliance.control import auction as api
from appliance.control.command import Route
from appliance.core.config import AuctionConfig
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.keys import address_of
from appliance.core.units import GIB, MicroBtt, MicroBttPerMib, UtcMs, price_of
from appliance.domain.auction.contact import Contact
from appliance.domain.auction.lease import ROUND_NS
from appliance.domain.auction.model import Offer
from appliance.domain.auction.purchase import Purchase
from appliance.domain.auction.wants import Want
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.wallet.model import Purpose
from appliance.entrypoints.daemon.box import Box

if TYPE_CHECKING:
    from appliance.services.market.market import Trading
    from appliance.services.market.selling import Selling

_SPANS = {"hour": (12, 1), "day": (96, 3), "month": (120, 72)}
"""Span -> (buckets, five minutes in each)."""
_NO_ACCOUNT = "Slots are paid for through a ledger. Name one: wallet.ledger in seedbox.toml."


class AuctionHandlers:
    """One method a command, of the same name."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def routes(self) -> list[Route]:
        """What carries out each command."""
        return [
            api.GetAuction.answered_by(self.get_auction),
            api.SetAuction.answered_by(self.set_auction),
            api.GetRounds.answered_by(self.get_rounds),
            api.GetYields.answered_by(self.get_yields),
            api.ListBids.answered_by(self.list_bids),
            api.WantTorrent.answered_by(self.want_torrent),
        ]

    def _trading(self) -> "Trading":
        if self._box.trading is None:
            raise OwnerMustAct(_NO_ACCOUNT)
        return self._box.trading

    def _name(self, id: str) -> str:
        try:
            return self._box.catalogue.get(id).record.name
        except NotFound:
            return ""

    # ----------------------------------------------------------------------------------------- selling

    async def get_auction(self, _: api.GetAuction) -> api.AuctionAnswer:
        """What is sold."""
        trading = self._box.trading
        if trading is None:
            return api.AuctionAnswer(on=False, trouble=_NO_ACCOUNT)
        config, selling = trading.config, trading.selling
        shown = _configured(config, trading.changed)
        if selling is None:
            trouble = f"Port {config.port} cannot be used for bids; see the events." if config.sell else ""
            return api.AuctionAnswer(**shown, trouble=trouble)
        seller = selling.seller
        debts = seller.debts.values()
        left = seller.began + ROUND_NS - self._box.clock.mono()
        return api.AuctionAnswer(
            **shown
            | {
                "round": seller.round,
                "left_ms": max(0, left // 1_000_000),
                "reserve": seller.reserve.price,
                "price": selling.price,
                "sold": self._sold(selling),
                "waiting": self._waiting(selling),
                "others": selling.lanes.others,
                "uplink": selling.lanes.uplink,
                "debtors": len(debts),
                "debts": sum(debt.due - debt.paid for debt in debts),
            }
        )

    def _sold(self, selling: "Selling") -> list[api.Slot]:
        found = []
        for served in selling.seller.served.values():
            lease = served.lease
            found.append(
                api.Slot(
                    holder=address_of(lease.key),
                    host=lease.ip,
                    torrent=lease.torrent,
                    name=self._name(lease.torrent),
                    price=lease.price,
                    sent=lease.sent,
                    owed=lease.owed - lease.before,
                    paid=lease.paid - lease.before,
                    standing=lease.standing.value,
                    sentence=lease.standing.sentence,
                    connected=lease.ip in selling.connected,
                )
            )
        return sorted(found, key=lambda slot: (-slot.price, slot.holder))

    def _waiting(self, selling: "Selling") -> list[api.Waiting]:
        seller = selling.seller
        offers = [
            (line, bidder.offer)
            for line, bidder in seller.bidders.items()
            if bidder.offer and bidder.key not in seller.served
        ]
        rows = [
            api.Waiting(
                bidder=address_of(offer.key),
                torrent=offer.torrent,
                name=self._name(offer.torrent),
                bid=offer.price,
                why=self._why_not(selling, line, offer),
            )
            for line, offer in offers
        ]
        return sorted(rows, key=lambda row: (-row.bid, row.bidder))[:100]

    def _why_not(self, selling: "Selling", line: int, offer: Offer) -> str:
        seller = selling.seller
        if offer.key in seller.debts:
            return "it owes for an earlier lease"
        if offer.price < seller.reserve.price:
            return "it bids less than the minimum price"
        return "" if seller.bidders[line].lock else "its channel is not known yet"

    async def set_auction(self, command: api.SetAuction) -> api.AuctionAnswer:
        """Change what is offered. Raises OwnerMustAct for what is impossible."""
        trading = self._trading()
        fields = [name for name in command.__struct_fields__ if name != "reset"]
        changes = {name: value for name in fields if (value := getattr(command, name)) is not None}
        if changes or command.reset:
            await trading.change(changes, reset=command.reset)
        return await self.get_auction(api.GetAuction())

    async def get_rounds(self, command: api.GetRounds) -> api.Rounds:
        """Prices and earnings over time."""
        count, each = _SPANS[command.span]
        trading = self._trading()
        found = await trading.rounds.buckets(count, each)
        slots = max(1, trading.config.slots)
        return api.Rounds(
            start=found[0].at,
            step_s=each * BUCKET_MS // 1_000,
            price=[one.price for one in found],
            earned=[one.earned for one in found],
            sent=[one.sent for one in found],
            sold=[min(1_000, 1_000 * one.sold // max(1, one.rounds * slots)) for one in found],
        )

    async def get_yields(self, _: api.GetYields) -> api.Yields:
        """What each torrent has earned."""
        trading, money = self._trading(), self._box.money
        assert money is not None
        delivered = await trading.rounds.delivered()
        earned = dict[str, int]()
        if money.wallet:
            for one in await money.wallet.store.tallies("torrent", ""):
                if one.purpose is Purpose.DISTRIBUTION and one.amount:
                    earned[one.heading] = earned.get(one.heading, 0) + one.amount
        here = {one.record.id: one for one in self._box.catalogue.all()}
        rows = []
        for id in delivered.keys() | earned.keys():
            torrent, got = here.get(id), earned.get(id, 0)
            size = torrent.size if torrent else 0
            sold = delivered.get(id, 0)
            rows.append(
                api.Yield(
                    id=id,
                    name=torrent.record.name if torrent else "",
                    size=size,
                    sold=sold,
                    uploaded=torrent.uploaded if torrent else sold,
                    earned=got,
                    per_gib_stored=got * GIB // size if size else 0,
                    per_gib_sent=got * GIB // sold if sold else 0,
                )
            )
        return api.Yields(torrents=sorted(rows, key=lambda row: (-row.earned, row.id)))

    # ------------------------------------------------------------------------------------------ buying

    async def list_bids(self, _: api.ListBids) -> api.Bids:
        """What the box bids elsewhere."""
        trading = self._box.trading
        if trading is None:
            return api.Bids(on=False)
        buying, config, now = trading.buying, trading.config, self._box.clock.now()
        shunned = [
            api.Shunned(seller=address, until=record.shunned, why=record.why)
            for address, record in buying.buyer.records.items()
            if record.shunned > now
        ]
        day_spent = await buying.spending.day_spent() if buying.spending.ledger else 0
        return api.Bids(
            on=True,
            buy_price=price_of(config.buy_price),
            buy_budget=config.buy_budget,
            buy_hours=config.buy_hours,
            day_spent=day_spent,
            torrents=[self._bought(id, purchase) for id, purchase in buying.buyer.dealings.purchases.items()],
            bids=[_bid(contact) for contact in buying.buyer.dealings.lines.values()],
            shunned=sorted(shunned, key=lambda one: one.until),
        )

    def _bought(self, id: str, purchase: Purchase) -> api.Bought:
        torrent, want = self._box.catalogue.get(id), purchase.want
        contacts = self._trading().buying.buyer.dealings.connected(id)
        return api.Bought(
            torrent=id,
            name=torrent.record.name,
            price=want.price,
            budget=want.budget if purchase.download.own else 0,
            spent=purchase.used,
            deadline=want.deadline,
            bid=purchase.price,
            simulate=want.simulate,
            own=purchase.download.own,
            progress=torrent.progress,
            sentence=_sentence(purchase, contacts),
        )

    async def want_torrent(self, command: api.WantTorrent) -> api.Bids:
        """Pay for a torrent, or not any more."""
        trading, torrent = self._trading(), self._box.catalogue.get(command.id)
        if not command.price:
            await trading.buying.want(torrent.record.id, None)
            return await self.list_bids(api.ListBids())
        if torrent.state is TorrentState.SEEDING:
            raise OwnerMustAct(f'"{torrent.record.name}" is here already: there is nothing to pay for.')
        if command.budget <= 0 or not 0 < command.price <= 10**12:
            raise OwnerMustAct("A price and a budget are more than nothing.")
        if command.deadline and command.deadline <= self._box.clock.now():
            raise OwnerMustAct("That deadline is over.")
        want = Want(
            MicroBttPerMib(command.price),
            MicroBtt(command.budget),
            UtcMs(command.deadline),
            simulate=command.simulate,
        )
        await trading.buying.want(torrent.record.id, want)
        return await self.list_bids(api.ListBids())


def _configured(config: AuctionConfig, changed: Iterable[str]) -> dict[str, Any]:
    """What the owner offers, and which of it was set by hand."""
    return {
        "on": True,
        "sell": config.sell,
        "slots": config.slots,
        "per_torrent": config.per_torrent,
        "rule": config.rule,
        "free_share": config.free_share,
        "floor": price_of(config.reserve),
        "reserve": price_of(config.reserve),
        "ceiling": price_of(config.ceiling),
        "reserve_moves": config.reserve_moves,
        "credit": config.credit,
        "port": config.port,
        "changed": sorted(changed),
    }


def _bid(contact: Contact) -> api.BidAnswer:
    deal = contact.deal
    return api.BidAnswer(
        seller=contact.seller,
        host=contact.host,
        torrent=contact.torrent,
        reserve=deal.last.reserve if deal.last else 0,
        bid=deal.said,
        won=deal.won,
        price=deal.price,
        received=deal.received,
        paid=contact.paid,
        locked=max(0, deal.lock - deal.paid),
    )


def _sentence(purchase: Purchase, contacts: list[Contact]) -> str:
    """How buying goes, in words."""
    want = purchase.want
    if purchase.used >= want.budget:
        return "The budget is spent; it goes on without paying."
    if not contacts:
        return "No seller was found yet; it goes on without paying."
    won = sum(one.deal.won for one in contacts)
    if won:
        return f"{won} of {len(contacts)} sellers serve it."
    if want.simulate:
        return "Simulated: nothing is bid, and the events say what would be."
    if not purchase.price:
        return "It comes in time without paying." if want.deadline else "There is nothing to bid with now."
    if all(one.deal.last and purchase.price < one.deal.last.reserve for one in contacts):
        return "Every seller asks for more than may be bid."
    return "A bid is placed; the round is not over, or others have bid more."
