"""The buyer: whom to call, when to bid and how much, and what to pay for. Nothing here waits.

Events go in, effects come out, and whoever calls carries them out in their order. Money is spoken of only
after the wallet has kept it (`funded`, `paid`). All that is kept is what has become of sellers: after a
restart the wallet's channels say what was paid.

Invariants, checked by tests/unit/domain/auction/test_buyer.py (B1 and B2 by test_deal.py, too):
B1  never is more paid than the channel holds, than the receipt asks for, or than is due by the own count;
B2  never is more paid than one step beyond what has passed its hash check;
B3  no bid is above what the owner allows, or what is left of the budget could pay for;
B4  nothing is bid for what is here, to oneself, or to a seller that is shunned;
B5  what was paid for a torrent, and what its channels may still be paid, never exceed its budget together;
B6  of the channels for a torrent one is opened at a time, and none while a payment to its seller is signed;
B7  payments to a seller are signed one at a time, are sent only when they are kept, and count once;
B8  records hold what was received and paid, once, also where a connection broke meanwhile;
B9  there is one dealing with a seller at a time, and nothing is sent where nobody is connected;
B10 a bid is made only where the channel covers a credit window at its price, or all that is missing.
"""

from collections.abc import Iterable, Mapping

from appliance.core.errors import PeerMisbehaved
from appliance.core.keys import Address, address_of
from appliance.core.units import MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction.bidding import NO_BID, Bidding
from appliance.domain.auction.buyer_effects import (
    BuyerEffect,
    CallMarket,
    CountSoon,
    Funding,
    HangUp,
    KeepRecords,
    SeekSellers,
    SendMessage,
    SignPayment,
    Situation,
    TellOwner,
)
from appliance.domain.auction.clearing import Rule
from appliance.domain.auction.contact import Contact, ContactId, blame
from appliance.domain.auction.deal import Asked
from appliance.domain.auction.dealings import Dealings
from appliance.domain.auction.intake import Intake, Moment
from appliance.domain.auction.lease import ROUND_NS
from appliance.domain.auction.markets import Markets
from appliance.domain.auction.messages import THROTTLED, Ask, Message, Pay, Receipt, Result, Trouble
from appliance.domain.auction.purchase import Download, Purchase
from appliance.domain.auction.records import BAD_DATA, METER, SILENT, Misconduct, SellerRecord, dealt

LINGER_NS = 2 * ROUND_NS + 2_000_000_000
"""How long we stay connected after the last bid is taken back: a last receipt follows the lease's end."""
KEEP_NS = 60_000_000_000
"""Between two times that records are written down."""


class Buyer:
    """The box, as it buys from others."""

    def __init__(self, key: bytes, records: Mapping[Address, SellerRecord], now: MonoNs) -> None:
        """`key` is the box's own public key, `records` what was kept of sellers."""
        self._key, self._address = key, address_of(key)
        self.records = dict(records)
        self.dealings = Dealings()
        self._markets = Markets()
        self._bidding = Bidding(self.dealings, self.records)
        self._kept = now

    # ------------------------------------------------------------------------------------------ events

    def updated(self, situation: Situation, now: Moment) -> None:
        """What is wanted and what there is to pay with, as it is now."""
        self._bidding.situation = situation
        wanted = {one.id: one for one in situation.downloads}
        self.dealings.want(wanted, situation.spent)
        self._markets.forget(wanted, now.mono)

    def arrived(self, torrent: str, intake: Intake, now: Moment) -> list[BuyerEffect]:
        """What has come of a torrent by now: sellers are paid for it, or left, and others are called."""
        purchase = self.dealings.purchases.get(torrent)
        contacts = self.dealings.connected(torrent)
        blame(contacts, intake, purchase.failed_since(intake.failed) if purchase else 0, now.mono)
        effects: list[BuyerEffect] = []
        for one in contacts:
            count = one.arrived(intake.of(one.host))
            if purchase:
                purchase.received(count)
            effects += self._pay_or_shun(one, now)
        return effects + (self._call(purchase, intake, now.mono) if purchase else [])

    def _pay_or_shun(self, contact: Contact, now: Moment) -> list[BuyerEffect]:
        return self._shun(contact, BAD_DATA, now) if contact.spoilt(now.mono) else self._settle(contact)

    def tick(self, now: Moment) -> list[BuyerEffect]:
        """Time has passed."""
        effects: list[BuyerEffect] = []
        for purchase in self.dealings.purchases.values():
            purchase.turn(now.mono, bidding=bool(self.dealings.bidding(purchase.download.id)))
            effects += self._seek(purchase.download, now.mono)
        for one in self.dealings.unwanted:
            effects += self._leave(one, now.mono)
        if now.mono - self._kept >= KEEP_NS:
            self._kept = now.mono
            effects += self.flush(now)
        return effects

    def flush(self, now: Moment) -> list[BuyerEffect]:
        """Have everything that is not in a record yet written down."""
        return self._record(self.dealings.contacts.values(), now)

    def found(self, torrent: str, places: Iterable[tuple[str, int]]) -> None:
        """The DHT names (host, port) of markets; they are called when it is counted what has arrived."""
        self._markets.found(torrent, places)

    def called(self, host: str, port: int) -> None:
        """A call has ended; where somebody is there, `opened` follows or has come before."""
        self._markets.called(host, port)

    def opened(self, line: int, seller: Address, host: str, torrent: str, now: Moment) -> list[BuyerEffect]:
        """A market that was called answers, and its owner has proven who they are."""
        purchase = self.dealings.purchases.get(torrent)
        unwelcome = self._shunned(seller, now) or seller == self._address
        if purchase is None or unwelcome or self.dealings.taken(torrent, seller):
            return [HangUp(line)]
        contact = self.dealings.meet(purchase, seller, self._key)
        contact.connect(line, host)
        contact.deal.limit(self.dealings.left(purchase, contact))
        self.dealings.lines[line] = contact
        return []

    def _shunned(self, seller: Address, now: Moment) -> bool:
        return seller in self.records and self.records[seller].shunned > now.utc

    def closed(self, line: int, now: Moment) -> list[BuyerEffect]:
        """A connection has ended; the dealing goes on where it was when there is another one."""
        contact = self.dealings.lines.pop(line, None)
        if contact is None:
            return []
        contact.line = None
        self.dealings.drop()
        return self._record([contact], now)

    def received(self, line: int, message: Message, now: Moment) -> list[BuyerEffect]:
        """A seller has said something. Raises PeerMisbehaved."""
        contact = self.dealings.lines.get(line)
        if contact is None or contact.over:
            return []
        match message:
            case Ask():
                return self._asked(contact, line, message, now)
            case Result():
                return self._result(contact, message, now)
            case Receipt():
                return self._receipt(contact, line, message, now)
            case Trouble():
                return self._troubled(contact, message)
            case _:
                raise PeerMisbehaved("A seller says what only bidders say.")

    def _troubled(self, contact: Contact, trouble: Trouble) -> list[BuyerEffect]:
        if trouble.code == THROTTLED:
            contact.deal.throttled = bool(trouble.text)
        return []

    # ------------------------------------------------------------------------------------------ rounds

    def _asked(self, contact: Contact, line: int, ask: Ask, now: Moment) -> list[BuyerEffect]:
        if ask.ledger != self._bidding.situation.ledger:
            return [HangUp(line)]
        try:
            rule = Rule(ask.rule.decode("ascii", "replace"))
        except ValueError as error:
            raise PeerMisbehaved("A seller names no rule that is known.") from error
        contact.deal.asked(Asked(ask.round, MicroBttPerMib(ask.reserve), ask.credit, rule, ask.commit))
        contact.undecided = True
        return self._bidding.decide(contact, now)

    def _result(self, contact: Contact, result: Result, now: Moment) -> list[BuyerEffect]:
        wrong = contact.deal.result(
            result.round,
            bool(result.won),
            MicroBttPerMib(result.price),
            result.reveal,
            result.tie or None,
            bool(result.full),
        )
        if wrong is None:
            return []
        # Nothing comes any more from a seller that libtorrent has banned.
        return self._shun(contact, BAD_DATA if contact.failed and wrong is SILENT else wrong, now)

    # ------------------------------------------------------------------------------------------- money

    def funded(self, id: ContactId, funding: Funding, now: Moment) -> list[BuyerEffect]:
        """There is a channel; what is bid is decided again, for much may have changed meanwhile."""
        contact = self.dealings.contacts[id]
        contact.funding = MicroBtt(0)
        if funding.channel != contact.deal.channel:
            contact.owed = MicroBtt(0)
        contact.deal.fund(funding.channel, funding.lock, funding.paid, resumed=funding.resumed)
        if purchase := self.dealings.purchases.get(contact.torrent):
            contact.deal.limit(self.dealings.left(purchase, contact))
        return self._bidding.decide(contact, now, funds=False) + self._go_on(contact.torrent, now)

    def unfunded(self, id: ContactId, why: str, now: Moment, *, later: bool = False) -> list[BuyerEffect]:
        """There is no channel; the owner is told `why` where it is not empty.

        `later`: nobody knows, and it is tried again in the next round; a bid that stands is not taken back.
        """
        contact = self.dealings.contacts[id]
        contact.funding = MicroBtt(0)
        effects = self._bidding.notify(contact, why, warning=True) if why else []
        if not later and not contact.ending:
            effects += self._bidding.bid(contact, NO_BID)
        return effects + self._go_on(contact.torrent, now)

    def _receipt(self, contact: Contact, line: int, receipt: Receipt, now: Moment) -> list[BuyerEffect]:
        if receipt.channel != contact.deal.channel:
            return []
        contact.owed = MicroBtt(receipt.owed)
        if contact.deal.lies(receipt.sent):
            trouble = Trouble(code=b"meter", text=b"More was charged than has arrived.")
            return [SendMessage(line, trouble), *self._shun(contact, METER, now)]
        return [CountSoon()]

    def _settle(self, contact: Contact) -> list[BuyerEffect]:
        """Pay what its receipt asks for, as far as it has arrived."""
        if not contact.owed or contact.busy:
            return []
        total = contact.deal.pays(contact.owed)
        if total is None:
            return []
        contact.paying = total
        return [SignPayment(contact.id, contact.deal.channel, total)]

    def paid(self, id: ContactId, state: Pay, now: Moment) -> list[BuyerEffect]:
        """A payment is kept: from now on it may be sent, and does not go away."""
        contact = self.dealings.contacts[id]
        more = MicroBtt(state.paid - contact.deal.paid)
        contact.paying, contact.deal.paid = MicroBtt(0), MicroBtt(state.paid)
        contact.paid = MicroBtt(contact.paid + more)
        self._bidding.spent(more)
        if purchase := self.dealings.purchases.get(contact.torrent):
            purchase.paid(more)
        if contact.line is None:
            return self._record([contact], now) + self._go_on(contact.torrent, now)
        return [SendMessage(contact.line, state), *self._go_on(contact.torrent, now)]

    def unpaid(self, id: ContactId, now: Moment) -> list[BuyerEffect]:
        """A payment could not be signed or kept: it is tried again when it is counted what has arrived."""
        contact = self.dealings.contacts[id]
        contact.paying = MicroBtt(0)
        return self._go_on(contact.torrent, now)

    def _go_on(self, torrent: str, now: Moment) -> list[BuyerEffect]:
        """Decide the rounds that have begun while something was under way."""
        self.dealings.drop()
        waiting = [one for one in self.dealings.connected(torrent) if one.undecided]
        return [effect for one in waiting for effect in self._bidding.decide(one, now)]

    # ----------------------------------------------------------------------------------------- finding

    def _seek(self, download: Download, now: MonoNs) -> list[BuyerEffect]:
        if download.private or not self._markets.seek(download.id, now):
            return []
        return [SeekSellers(download.id, download.info_hash)]

    def _call(self, purchase: Purchase, intake: Intake, now: MonoNs) -> list[BuyerEffect]:
        download = purchase.download
        there = {one.host for one in self.dealings.lines.values() if one.torrent == download.id}
        places = self._markets.call(download.id, intake.sources, there, len(self.dealings.lines), now)
        return [CallMarket(host, port, download.info_hash) for host, port in places]

    # ---------------------------------------------------------------------------------------- partings

    def _leave(self, contact: Contact, now: MonoNs) -> list[BuyerEffect]:
        """The torrent is here, or not wanted any more: take the bid back, pay what is due, and hang up."""
        assert contact.line is not None
        if contact.leaving is None:
            contact.leaving = now
            return self._bidding.bid(contact, NO_BID)
        if now - contact.leaving < LINGER_NS:
            return []
        contact.over = True
        return [HangUp(contact.line)]

    def _shun(self, contact: Contact, wrong: Misconduct, now: Moment) -> list[BuyerEffect]:
        """Leave a seller alone, and remember why."""
        assert contact.line is not None
        contact.over = True
        text = f"The seller {contact.seller} is left alone: {wrong.why}."
        tell = TellOwner(contact.torrent, text, warning=True)
        return [*self._record([contact], now, wrong), tell, HangUp(contact.line)]

    def _record(
        self, contacts: Iterable[Contact], now: Moment, wrong: Misconduct | None = None
    ) -> list[BuyerEffect]:
        """Write down what came of dealings since the last time, and what was `wrong`."""
        changed: dict[Address, SellerRecord] = {}
        for one in contacts:
            received, paid = one.unrecorded()
            if received or paid or wrong:
                record = self.records.get(one.seller, SellerRecord())
                changed[one.seller] = dealt(record, received, paid, now.utc, wrong)
                self.records[one.seller] = changed[one.seller]
        return [KeepRecords(tuple(changed.items()))] if changed else []
