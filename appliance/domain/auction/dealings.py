"""All dealings of a buyer at one moment: what it buys, from whom, and what is left of each budget."""

from collections.abc import Mapping

from appliance.core.keys import Address
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.auction.contact import Contact, ContactId
from appliance.domain.auction.deal import Deal
from appliance.domain.auction.purchase import Download, Purchase
from appliance.domain.auction.records import SellerRecord, rank

SELLERS = 4
"""How many sellers are bid to at once for one torrent."""


class Dealings:
    """Purchases, and the sellers that they are made from."""

    def __init__(self) -> None:
        self.purchases: dict[str, Purchase] = {}
        """What is bought, by torrent."""
        self.contacts: dict[ContactId, Contact] = {}
        self.lines: dict[int, Contact] = {}
        """Those that are connected, by the connection to their market."""

    @property
    def torrents(self) -> list[str]:
        """The torrents of which it must be counted what arrives."""
        connected = (one.torrent for one in self.lines.values())
        return list(dict.fromkeys([*self.purchases, *connected]))

    def of(self, torrent: str) -> list[Contact]:
        """All sellers of a torrent, connected or not."""
        return [one for one in self.contacts.values() if one.torrent == torrent]

    def connected(self, torrent: str) -> list[Contact]:
        """The sellers of a torrent whose market is connected."""
        return [one for one in self.lines.values() if one.torrent == torrent and not one.over]

    def bidding(self, torrent: str) -> list[Contact]:
        """The sellers to which a bid for a torrent stands."""
        return [one for one in self.connected(torrent) if one.deal.said]

    @property
    def unwanted(self) -> list[Contact]:
        """The connected sellers of whom nothing more is wanted: also where that has changed meanwhile."""
        connected = [one for one in self.lines.values() if not one.over]
        return [one for one in connected if one.leaving is not None or one.torrent not in self.purchases]

    # ----------------------------------------------------------------------------------------- torrents

    def is_new(self, download: Download) -> bool:
        """Whether it must be known what was spent on a download before it is bought on these terms."""
        known = self.purchases.get(download.id)
        return known is None or not known.goes_on_as(download)

    def want(self, downloads: Mapping[str, Download], spent: Mapping[str, MicroBtt]) -> None:
        """Buy these and nothing else; `spent` is what each that is new has cost so far."""
        for id in self.purchases.keys() - downloads.keys():
            del self.purchases[id]
        for id, download in downloads.items():
            if not self.is_new(download):
                self.purchases[id].download = download
            elif id in spent:
                self._begin(Purchase(download=download, spent=spent[id]))
        self.drop()

    def _begin(self, purchase: Purchase) -> None:
        self.purchases[purchase.download.id] = purchase
        for one in self.of(purchase.download.id):
            one.deal.limit(self.left(purchase, one))

    def left(self, purchase: Purchase, contact: Contact) -> MicroBtt:
        """What may be paid to a seller: of the budget, what is not set apart for the others."""
        others = (one.reserved for one in self.of(contact.torrent) if one is not contact)
        return MicroBtt(max(0, purchase.left - sum(others)))

    # ------------------------------------------------------------------------------------------ sellers

    def taken(self, torrent: str, seller: Address) -> bool:
        """Whether somebody deals with a seller already: it has one lease for us, and one channel."""
        return any(
            one.line is not None or (one.busy and one.torrent != torrent)
            for one in self.contacts.values()
            if one.seller == seller
        )

    def meet(self, purchase: Purchase, seller: Address, key: bytes) -> Contact:
        """The dealing with a seller that is connected now, as it was left where there was one."""
        id = (purchase.download.id, seller)
        for other in [one.id for one in self.contacts.values() if one.seller == seller and one.id != id]:
            # Its channel is used for this torrent from now on: what was counted for another one is void.
            del self.contacts[other]
        deal = Deal(key=key, piece=purchase.download.piece)
        return self.contacts.setdefault(id, Contact(torrent=id[0], seller=seller, deal=deal))

    def best(self, torrent: str, records: Mapping[Address, SellerRecord], now: UtcMs) -> list[Address]:
        """The sellers of a torrent that are worth bidding to."""
        offers = {
            one.seller: max(one.deal.last.reserve, one.deal.price)
            for one in self.connected(torrent)
            if one.deal.last
        }
        return rank(offers, records, now)[:SELLERS]

    def drop(self) -> None:
        """Forget sellers that are gone, of torrents that are not bought any more."""
        self.contacts = {
            id: one
            for id, one in self.contacts.items()
            if one.torrent in self.purchases or one.line is not None or one.busy
        }
