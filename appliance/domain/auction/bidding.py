"""How a buyer bids in a round: whether, how much, and what has to be locked first."""

from collections.abc import Mapping
from dataclasses import replace

from appliance.core.keys import Address
from appliance.core.units import MicroBtt, MicroBttPerMib
from appliance.domain.auction.buyer_effects import (
    BuyerEffect,
    FundChannel,
    RepeatPayments,
    SendMessage,
    Situation,
    TellOwner,
)
from appliance.domain.auction.contact import Contact
from appliance.domain.auction.dealings import Dealings
from appliance.domain.auction.intake import Moment
from appliance.domain.auction.messages import Bid
from appliance.domain.auction.purchase import Purchase
from appliance.domain.auction.records import SellerRecord

NO_BID = MicroBttPerMib(0)
_NO_CHANNEL = bytes(32)


class Bidding:
    """The bids for what a buyer deals in."""

    def __init__(self, dealings: Dealings, records: Mapping[Address, SellerRecord]) -> None:
        self.situation = Situation()
        self._dealings, self._records = dealings, records

    def spent(self, more: MicroBtt) -> None:
        """`more` was paid: the day's budget has less left, until it is counted again."""
        day_left = MicroBtt(max(0, self.situation.day_left - more))
        self.situation = replace(self.situation, day_left=day_left)

    def decide(self, contact: Contact, now: Moment, *, funds: bool = True) -> list[BuyerEffect]:
        """Bid in the round that has begun, or not; later, where something is under way.

        Without `funds` no channel is opened for it.
        """
        purchase, ask = self._dealings.purchases.get(contact.torrent), contact.deal.last
        if purchase is None or ask is None or contact.ending or contact.busy:
            return []
        bidding = len(self._dealings.bidding(contact.torrent))
        price = purchase.decide(bidding, self.situation.day_left, now.utc)
        best = self._dealings.best(contact.torrent, self._records, now.utc)
        contact.undecided = False
        if price < max(1, ask.reserve) or contact.seller not in best:
            return self.bid(contact, NO_BID)
        if purchase.want.simulate:
            return self._simulate(contact, purchase)
        return self._offer(contact, price, purchase, funds=funds, sole=not bidding)

    def _offer(
        self, contact: Contact, price: MicroBttPerMib, purchase: Purchase, *, funds: bool, sole: bool
    ) -> list[BuyerEffect]:
        """Bid what the channel covers; else have one funded first, where that is allowed."""
        if contact.deal.covers(price, purchase.download.missing):
            return self.bid(contact, price)
        return self._fund(contact, price, purchase, sole=sole) if funds else self.bid(contact, NO_BID)

    def _fund(
        self, contact: Contact, price: MicroBttPerMib, purchase: Purchase, *, sole: bool
    ) -> list[BuyerEffect]:
        if any(one.funding for one in self._dealings.of(contact.torrent)):
            # One channel is opened after the other: together they must not exceed the budget.
            contact.undecided = True
            return []
        left = min(self._dealings.left(purchase, contact), self.situation.day_left)
        if not left:
            return self.bid(contact, NO_BID)
        contact.funding = left
        return [
            FundChannel(
                contact=contact.id,
                price=price,
                credit=contact.deal.credit,
                missing=purchase.download.missing,
                left=left,
                sole=sole,
            )
        ]

    def bid(self, contact: Contact, price: MicroBttPerMib) -> list[BuyerEffect]:
        """Say what is bid to a seller, where that is something new."""
        deal, line, port = contact.deal, contact.line, self.situation.port
        if deal.last is None or line is None or not port or price == deal.said:
            return []
        deal.says(price)
        bid = Bid(
            round=deal.last.round,
            max_price=price,
            bytes=self._wanted(contact.torrent),
            port=port,
            channel=deal.channel or _NO_CHANNEL,
        )
        if not price or deal.repeated:
            return [SendMessage(line, bid)]
        deal.repeated = True
        return [SendMessage(line, bid), RepeatPayments(line, contact.seller)]

    def _wanted(self, torrent: str) -> int:
        """The bytes that a bid is for; 0 where the torrent is not bought any more."""
        purchase = self._dealings.purchases.get(torrent)
        return max(1, purchase.download.missing) if purchase else 0

    def _simulate(self, contact: Contact, purchase: Purchase) -> list[BuyerEffect]:
        offer = f"{purchase.price} µBTT/MiB"
        name = purchase.download.name
        return self.notify(
            contact, f'Simulated: {offer} would be bid to {contact.seller} for "{name}".', warning=False
        )

    def notify(self, contact: Contact, text: str, *, warning: bool) -> list[BuyerEffect]:
        """Tell the owner, once."""
        if contact.last_notice == text:
            return []
        contact.last_notice = text
        return [TellOwner(contact.torrent, text, warning)]
