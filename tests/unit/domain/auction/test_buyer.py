"""The buyer as a whole: B1 to B10 of auction/buyer.py, whatever sellers, the wallet and the owner do."""

from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.core.errors import PeerMisbehaved
from appliance.core.keys import Address, Key
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, MonoNs, UtcMs
from appliance.domain.auction.buyer import KEEP_NS, LINGER_NS, Buyer
from appliance.domain.auction.buyer_effects import (
    BuyerEffect,
    CallMarket,
    CountSoon,
    FundChannel,
    Funding,
    HangUp,
    KeepRecords,
    RepeatPayments,
    SeekSellers,
    SendMessage,
    SignPayment,
    Situation,
    TellOwner,
)
from appliance.domain.auction.clearing import commitment
from appliance.domain.auction.contact import BANNED_NS, ContactId
from appliance.domain.auction.dealings import SELLERS
from appliance.domain.auction.intake import Intake, Moment, Source
from appliance.domain.auction.lease import CREDIT, ROUND_NS, charge
from appliance.domain.auction.markets import MOST_LINES, SEEK_NS
from appliance.domain.auction.messages import THROTTLED, Ask, Bid, Pay, Receipt, Result, Trouble
from appliance.domain.auction.meter import PeerConnection
from appliance.domain.auction.purchase import Download
from appliance.domain.auction.records import SellerRecord
from appliance.domain.auction.wants import Want

LEDGER = b"L" * 32
SEED = b"s" * 32
ME, *OTHERS = (Key(bytes(31) + bytes([number])) for number in range(1, 9))
A, B, C = (key.address for key in OTHERS[:3])
ONE, TWO = "1" * 40, "2" * 40
PORT = 6_881


def hosted(seller: Address) -> str:
    return f"10.0.0.{[key.address for key in (ME, *OTHERS)].index(seller)}"


def download(id: str = ONE, price: int = 1_000, budget: int = 10**6, **fields: object) -> Download:
    values: dict[str, object] = {
        "id": id,
        "name": "film",
        "info_hash": bytes.fromhex(id),
        "piece": MIB,
        "missing": 100 * MIB,
        "rate": 0,
        "private": False,
        "want": Want(MicroBttPerMib(price), MicroBtt(budget)),
        "own": True,
    }
    return Download(**(values | fields))  # type: ignore[arg-type]


def ask(round: int = 1, reserve: int = 100, credit: int = CREDIT, ledger: bytes = LEDGER) -> Ask:
    return Ask(
        round=round,
        slots=4,
        per_torrent=0,
        reserve=reserve,
        round_ms=15_000,
        credit=credit,
        rule=b"lowest-winning",
        ledger=ledger,
        commit=commitment(SEED),
    )


def won(round: int, price: int) -> Result:
    return Result(round=round, won=1, price=price, lease_ms=30_000, reveal=SEED)


class House:
    """A buyer, and what it has wanted done; the wallet grants what it is asked for, when it is told to."""

    def __init__(self, *downloads: Download, records: dict[Address, SellerRecord] | None = None) -> None:
        self.buyer = Buyer(ME.public, records or {}, MonoNs(0))
        self.mono, self.utc = 0, 10**12
        self.line = 0
        self.effects: list[BuyerEffect] = []
        self.wants(*downloads)

    @property
    def now(self) -> Moment:
        return Moment(MonoNs(self.mono), UtcMs(self.utc))

    def passes(self, ns: int) -> list[BuyerEffect]:
        self.mono += ns
        self.utc += ns // 1_000_000
        return self.take(self.buyer.tick(self.now))

    def take(self, effects: list[BuyerEffect]) -> list[BuyerEffect]:
        self.effects += effects
        return effects

    def wants(self, *downloads: Download, day: int = 10**9, port: int = PORT) -> None:
        spent = {one.id: MicroBtt(0) for one in downloads}
        self.buyer.updated(
            Situation(ledger=LEDGER, port=port, day_left=MicroBtt(day), downloads=downloads, spent=spent),
            self.now,
        )

    def opens(self, seller: Address = A, torrent: str = ONE) -> int:
        self.line += 1
        self.take(self.buyer.opened(self.line, seller, hosted(seller), torrent, self.now))
        return self.line

    def hears(self, line: int, message: Ask | Result | Receipt | Trouble | Bid) -> list[BuyerEffect]:
        return self.take(self.buyer.received(line, message, self.now))

    def is_funded(self, need: FundChannel, channel: bytes = b"c" * 32, lock: int = 0) -> list[BuyerEffect]:
        most = MicroBtt(lock or need.left)
        funding = Funding(channel=channel, lock=most, paid=MicroBtt(0), resumed=False)
        return self.take(self.buyer.funded(need.contact, funding, self.now))

    def bids(self, seller: Address = A, torrent: str = ONE, channel: bytes = b"c" * 32) -> int:
        """A connection over which a bid stands."""
        line = self.opens(seller, torrent)
        (need,) = self.hears(line, ask())
        assert isinstance(need, FundChannel)
        self.is_funded(need, channel)
        return line

    def arrives(self, count: int, seller: Address = A, torrent: str = ONE, **more: int) -> list[BuyerEffect]:
        host = hosted(seller)
        source = Source(
            host, PeerConnection(torrent, host, 1), more.get("market", 0), count, 0, more.get("failures", 0)
        )
        return self.take(self.buyer.arrived(torrent, Intake((source,), more.get("failed", 0)), self.now))


def said(effects: list[BuyerEffect]) -> list[object]:
    return [one.message for one in effects if isinstance(one, SendMessage)]


def prices(effects: list[BuyerEffect]) -> list[int]:
    return [one.max_price for one in said(effects) if isinstance(one, Bid)]


def signed(payment: SignPayment, seq: int = 1) -> Pay:
    return Pay(channel=payment.channel, seq=seq, paid=payment.total, state=bytes(64))


# ---------------------------------------------------------------------------------------------- finding


def test_connected_peers_are_called_first_then_those_that_the_dht_names_and_each_once_a_minute() -> None:
    house = House(download())
    assert SeekSellers(ONE, bytes.fromhex(ONE)) in house.passes(1)
    house.buyer.found(ONE, [("10.0.0.9", 7)])
    called = house.arrives(0, market=6_882)
    hash = bytes.fromhex(ONE)
    assert called == [CallMarket(hosted(A), 6_882, hash), CallMarket("10.0.0.9", 7, hash)]
    for one in called:
        assert isinstance(one, CallMarket)
        house.buyer.called(one.host, one.port)
    assert house.arrives(0, market=6_882) == [], "both did not answer, or hung up"
    house.passes(60_000_000_000)
    assert len(house.arrives(0, market=6_882)) == 2


def test_the_dht_is_asked_again_after_a_while_and_never_about_a_private_torrent() -> None:
    house = House(download(), download(TWO, private=True))
    asked = [one for one in house.passes(1) if isinstance(one, SeekSellers)]
    assert [one.torrent for one in asked] == [ONE]
    assert not house.passes(SEEK_NS - 1)
    assert house.passes(1)


def test_what_strangers_name_is_bounded() -> None:
    house = House(download())
    house.passes(1)
    house.buyer.found(ONE, [("10.1.0.1", port) for port in range(1, 1_000)])
    house.buyer.found(ONE, [("10.1.0.2", port) for port in range(1, 1_000)])
    assert len(house.arrives(0)) == MOST_LINES


# ---------------------------------------------------------------------------------------------- bidding


def test_a_bid_follows_a_channel_and_the_last_payments_are_sent_again_with_the_first() -> None:
    house = House(download())
    line = house.opens()
    (need,) = house.hears(line, ask())
    assert isinstance(need, FundChannel)
    assert (need.contact, need.left, need.sole) == ((ONE, A), 10**6, True)
    bid, repeat = house.is_funded(need)
    assert isinstance(bid, SendMessage)
    assert isinstance(bid.message, Bid)
    assert (bid.message.max_price, bid.message.channel, bid.message.port) == (need.price, b"c" * 32, PORT)
    assert repeat == RepeatPayments(line, A)
    assert house.hears(line, ask(2)) == [], "the bid stands"


def test_nothing_is_bid_while_peers_cannot_reach_the_box_and_it_is_bid_once_they_can() -> None:
    house = House(download())
    house.wants(download(), port=0)
    line = house.opens()
    (need,) = house.hears(line, ask())
    assert isinstance(need, FundChannel)
    assert prices(house.is_funded(need)) == []
    house.wants(download())
    assert prices(house.hears(line, ask(2))) == [need.price]


def test_a_seller_at_another_ledger_or_with_an_unknown_rule_is_hung_up_on() -> None:
    house = House(download())
    line = house.opens()
    assert house.hears(line, ask(ledger=b"X" * 32)) == [HangUp(line)]
    with pytest.raises(PeerMisbehaved):
        house.hears(line, msgspec.structs.replace(ask(), rule=b"?"))
    with pytest.raises(PeerMisbehaved):
        house.hears(line, Bid(round=1, max_price=1, bytes=1, port=1, channel=LEDGER))


def test_only_the_best_sellers_are_bid_to_and_a_bid_to_another_is_taken_back() -> None:
    house = House(download())
    sellers = [key.address for key in OTHERS[: SELLERS + 1]]
    lines = [house.opens(seller) for seller in sellers]
    for number, line in enumerate(lines):
        need = [one for one in house.hears(line, ask(reserve=200 - number)) if isinstance(one, FundChannel)]
        if need:
            house.is_funded(need[0], bytes([number]) * 32, lock=50_000)
    assert not house.buyer.dealings.contacts[ONE, sellers[-1]].funding
    assert prices(house.hears(lines[0], ask(2, reserve=200))) == [0], "it has become the dearest"


def test_a_simulated_bid_is_told_once_and_not_made() -> None:
    want = Want(MicroBttPerMib(1_000), MicroBtt(10**6), simulate=True)
    house = House(download(want=want))
    line = house.opens()
    (told,) = house.hears(line, ask())
    assert isinstance(told, TellOwner)
    assert "would be bid" in told.text
    assert house.hears(line, ask(2)) == []


def test_one_channel_is_opened_after_the_other_and_who_waited_is_decided_then() -> None:
    """B6."""
    house = House(download(budget=200_000))
    first, second = house.opens(A), house.opens(B)
    (need,) = house.hears(first, ask())
    assert house.hears(second, ask()) == []
    assert isinstance(need, FundChannel)
    effects = house.is_funded(need, lock=100_000)
    (then,) = [one for one in effects if isinstance(one, FundChannel)]
    assert then.contact == (ONE, B)
    assert then.left == 100_000, "B5: the rest of the budget"
    assert not then.sole


def test_terms_that_changed_while_a_channel_was_opened_hold_for_the_bid() -> None:
    """B3."""
    house = House(download(price=2_000))
    (need,) = house.hears(house.opens(), ask())
    assert isinstance(need, FundChannel)
    house.wants(download(price=500))
    assert prices(house.is_funded(need)) == [500]


def test_the_owner_is_told_once_why_there_is_no_channel() -> None:
    house = House(download())
    line = house.opens()
    for round, told in ((1, 1), (2, 0)):
        (need,) = house.hears(line, ask(round))
        assert isinstance(need, FundChannel)
        assert len(house.buyer.unfunded(need.contact, "Deposit some BTT.", house.now)) == told


def test_a_ledger_that_does_not_answer_takes_no_bid_back() -> None:
    house = House(download())
    line = house.bids()
    house.wants(download(price=2_000, missing=700 * MIB))
    (need,) = [one for one in house.hears(line, ask(2, credit=600 * MIB)) if isinstance(one, FundChannel)]
    assert house.buyer.unfunded(need.contact, "", house.now, later=True) == []
    assert house.buyer.dealings.contacts[ONE, A].deal.said == 1_000


# --------------------------------------------------------------------------------------------- payments


def test_a_payment_is_sent_when_it_is_kept_and_the_next_is_signed_only_then() -> None:
    """B7."""
    house = House(download())
    line = house.bids()
    house.hears(line, won(1, 1_000))
    house.arrives(0)
    assert house.hears(line, Receipt(channel=b"c" * 32, sent=0, owed=2_000, paid=0)) == [CountSoon()]
    (payment,) = house.arrives(5 * MIB)
    assert payment == SignPayment((ONE, A), b"c" * 32, MicroBtt(2_000))
    assert isinstance(payment, SignPayment)
    house.hears(line, Receipt(channel=b"c" * 32, sent=0, owed=3_000, paid=0))
    assert house.arrives(6 * MIB) == [], "one at a time"
    assert house.take(house.buyer.paid((ONE, A), signed(payment), house.now)) == [
        SendMessage(line, signed(payment))
    ]
    assert house.arrives(6 * MIB) == [SignPayment((ONE, A), b"c" * 32, MicroBtt(3_000))]


def test_a_payment_that_could_not_be_kept_is_not_sent_and_tried_again() -> None:
    house = House(download())
    line = house.bids()
    house.hears(line, won(1, 1_000))
    house.hears(line, Receipt(channel=b"c" * 32, sent=0, owed=2_000, paid=0))
    (payment,) = house.arrives(5 * MIB)
    assert house.buyer.unpaid((ONE, A), house.now) == []
    assert house.arrives(5 * MIB) == [payment]


def test_a_connection_that_breaks_keeps_the_count_and_the_record() -> None:
    """B8."""
    house = House(download())
    line = house.bids()
    house.hears(line, won(1, 1_000))
    house.hears(line, Receipt(channel=b"c" * 32, sent=0, owed=2_000, paid=0))
    (payment,) = house.arrives(2 * MIB)
    assert isinstance(payment, SignPayment)
    (kept,) = house.buyer.closed(line, house.now)
    assert isinstance(kept, KeepRecords)
    assert kept.records[0][1].received == 2 * MIB
    (later,) = house.buyer.paid((ONE, A), signed(payment), house.now)
    assert isinstance(later, KeepRecords), "it was under way when the connection broke"
    assert later.records[0][1].paid == 2_000
    again = house.opens()
    house.hears(again, ask(2))
    house.hears(again, Receipt(channel=b"c" * 32, sent=0, owed=2_500, paid=2_000))
    assert house.arrives(2 * MIB) == [], "nothing more has come, so nothing more is paid"
    assert house.arrives(3 * MIB) == [SignPayment((ONE, A), b"c" * 32, MicroBtt(2_500))]


def test_who_comes_back_may_spend_what_the_others_have_left_of_the_budget() -> None:
    """B5."""
    house = House(download(budget=100_000))
    house.buyer.closed(house.bids(A), house.now)
    house.bids(B, channel=b"d" * 32)
    house.opens(A)
    first, second = (house.buyer.dealings.contacts[ONE, seller].deal for seller in (A, B))
    assert (first.lock, second.lock) == (0, 100_000)


def test_records_are_written_down_every_minute() -> None:
    house = House(download())
    line = house.bids()
    house.hears(line, won(1, 1_000))
    house.arrives(2 * MIB)
    assert any(isinstance(one, KeepRecords) for one in house.passes(KEEP_NS))
    assert not any(isinstance(one, KeepRecords) for one in house.passes(KEEP_NS)), "nothing is new"


# --------------------------------------------------------------------------------------------- partings


def test_when_a_torrent_is_here_its_bid_is_taken_back_and_a_last_receipt_is_still_paid() -> None:
    house = House(download())
    line = house.bids()
    house.hears(line, won(1, 1_000))
    house.wants()
    assert prices(house.passes(1)) == [0]
    assert house.hears(line, ask(2)) == [], "B4"
    house.hears(line, Receipt(channel=b"c" * 32, sent=0, owed=1_000, paid=0))
    assert house.arrives(2 * MIB) == [SignPayment((ONE, A), b"c" * 32, MicroBtt(1_000))]
    assert house.passes(LINGER_NS - 1) == []
    assert house.passes(1) == [HangUp(line)]


def test_a_bid_that_was_taken_back_for_good_is_not_made_again_over_the_same_connection() -> None:
    house = House(download())
    line = house.bids()
    house.wants()
    house.passes(1)
    house.wants(download())
    assert house.hears(line, ask(2)) == []
    assert HangUp(line) in house.passes(LINGER_NS), "it is called again, and then bid to"


def test_a_seller_whose_data_fails_its_check_is_left_alone_and_it_is_written_down_first() -> None:
    house = House(download())
    line = house.bids()
    house.hears(line, won(1, 1_000))
    house.arrives(MIB)
    effects = house.arrives(9 * MIB, failures=3, failed=3 * MIB)
    assert [type(one) for one in effects] == [KeepRecords, TellOwner, HangUp]
    assert house.hears(line, ask(2)) == [], "nothing that it says counts any more"
    assert house.hears(line, Receipt(channel=b"c" * 32, sent=0, owed=1, paid=0)) == []
    house.buyer.closed(line, house.now)
    assert HangUp(house.opens()) in house.effects, "B4"


def test_a_seller_that_libtorrent_has_banned_after_bad_data_is_left_alone() -> None:
    house = House(download())
    house.hears(house.bids(), won(1, 1_000))
    house.arrives(MIB)
    house.buyer.arrived(ONE, Intake((), MIB), house.now)
    house.passes(BANNED_NS)
    assert not house.buyer.arrived(ONE, Intake((), MIB), house.now), "perhaps it was moved to its lane"
    house.passes(1)
    assert len(house.buyer.arrived(ONE, Intake((), MIB), house.now)) == 3


def test_a_meter_that_lies_is_told_so() -> None:
    house = House(download())
    line = house.bids()
    house.hears(line, won(1, 1_000))
    effects = house.hears(line, Receipt(channel=b"c" * 32, sent=1 << 30, owed=1, paid=0))
    assert [type(one) for one in effects] == [SendMessage, KeepRecords, TellOwner, HangUp]


def test_a_seller_that_says_it_sends_less_is_given_more_time() -> None:
    house = House(download())
    line = house.bids()
    house.hears(line, Trouble(code=THROTTLED, text=b"hot"))
    assert house.buyer.dealings.contacts[ONE, A].deal.throttled
    house.hears(line, Trouble(code=THROTTLED))
    assert not house.buyer.dealings.contacts[ONE, A].deal.throttled


def test_one_deals_with_a_seller_once_and_never_with_oneself() -> None:
    """B9, B4."""
    house = House(download(), download(TWO))
    house.opens(A)
    for line in (house.opens(A), house.opens(A, TWO), house.opens(ME.address), house.opens(B, "3" * 40)):
        assert HangUp(line) in house.effects
    assert len(house.buyer.dealings.lines) == 1


class Trade(RuleBasedStateMachine):
    """Sellers that say anything, a wallet that answers when it likes, and an owner who changes their mind."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.wanted: dict[str, Download] = {}
        self.spent, self.before = Counter[str](), Counter[str]()
        self.open: dict[int, ContactId] = {}
        self.needs: dict[ContactId, FundChannel] = {}
        self.payments: dict[ContactId, SignPayment] = {}
        self.channels: dict[bytes, list[int]] = {}
        """[lock, paid]"""
        self.owed: dict[bytes, int] = {}
        self.kept: dict[Address, SellerRecord] = {}
        self.received, self.paid = Counter[Address](), Counter[Address]()
        self.shunned: dict[Address, int] = {}
        self.counters, self.failed = Counter[tuple[str, Address]](), Counter[str]()
        self.rounds = 0

    # ------------------------------------------------------------------------------------ carrying out

    def does(self, effects: list[BuyerEffect]) -> None:
        for one in effects:
            match one:
                case SendMessage(line, message):
                    self.says(line, message)
                case FundChannel():
                    assert one.contact[0] not in {id[0] for id in self.needs}, "B6"
                    assert one.contact not in self.payments, "B6"
                    self.needs[one.contact] = one
                case SignPayment():
                    assert one.contact not in self.payments, "B7"
                    assert one.contact not in self.needs, "B6"
                    lock, paid = self.channels[one.channel]
                    assert paid < one.total <= min(lock, self.owed[one.channel]), "B1"
                    deal = self.house.buyer.dealings.contacts[one.contact].deal
                    assert one.total <= min(deal.due, deal.checked), "B1, B2"
                    self.payments[one.contact] = one
                case KeepRecords(records):
                    self.kept |= dict(records)
                    self.shunned |= {seller: record.shunned for seller, record in records}
                case HangUp(line):
                    self.ends(line)

    def says(self, line: int, message: object) -> None:
        assert line in self.open, "B9"
        torrent, seller = self.open[line]
        if isinstance(message, Pay):
            assert message.paid == self.channels[message.channel][1], "B7"
        if not isinstance(message, Bid) or not message.max_price:
            return
        wanted = self.wanted.get(torrent)
        assert wanted, "B4"
        assert wanted.missing, "B4"
        assert self.shunned.get(seller, 0) <= self.house.utc, "B4"
        assert message.max_price <= wanted.want.price, "B3"
        lock, paid = self.channels[message.channel]
        window = charge(min(CREDIT, wanted.missing), MicroBttPerMib(message.max_price))
        assert lock - paid >= window, "B10"

    def ends(self, line: int) -> None:
        self.open.pop(line, None)
        self.does(self.house.buyer.closed(line, self.house.now))

    # ------------------------------------------------------------------------------------------- rules

    @initialize()
    def begins(self) -> None:
        for torrent in (ONE, TWO):
            want = Want(MicroBttPerMib(2_000), MicroBtt(100_000))
            self.wanted[torrent] = download(torrent, want=want)
        self.refreshed(10**6)
        self.opens(A, ONE)

    @precondition(lambda self: not self.payments)
    @rule(
        torrent=st.sampled_from([ONE, TWO]),
        price=st.sampled_from([2_000, 1_000, 300, 0]),
        budget=st.integers(1, 100_000),
        missing=st.sampled_from([100, 100, 2, 0]),
        day=st.sampled_from([10**6, 10**6, 30_000, 0]),
    )
    def owner_wants(self, torrent: str, price: int, budget: int, missing: int, day: int) -> None:
        self.wanted.pop(torrent, None)
        if price and missing:
            self.before[torrent] = self.spent[torrent]
            want = Want(MicroBttPerMib(price), MicroBtt(budget), before=MicroBtt(self.before[torrent]))
            self.wanted[torrent] = download(torrent, missing=missing * MIB, want=want)
        self.refreshed(day)

    @rule(missing=st.sampled_from([100, 100, 2]))
    def is_refreshed(self, missing: int) -> None:
        self.wanted = {id: replace(one, missing=missing * MIB) for id, one in self.wanted.items()}
        self.refreshed(10**6)

    def refreshed(self, day: int) -> None:
        self.house.buyer.updated(
            Situation(
                ledger=LEDGER,
                port=PORT,
                day_left=MicroBtt(day),
                downloads=tuple(self.wanted.values()),
                spent={id: MicroBtt(self.spent[id]) for id in self.wanted},
            ),
            self.house.now,
        )

    @rule(seller=st.sampled_from([A, B, C]), torrent=st.sampled_from([ONE, ONE, TWO]))
    def is_opened(self, seller: Address, torrent: str) -> None:
        self.opens(seller, torrent)

    def opens(self, seller: Address, torrent: str) -> None:
        self.house.line += 1
        line = self.house.line
        self.open[line] = (torrent, seller)
        self.does(self.house.buyer.opened(line, seller, hosted(seller), torrent, self.house.now))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), reserve=st.sampled_from([0, 100, 100, 1_500]))
    def asks(self, data: st.DataObject, reserve: int) -> None:
        line = data.draw(st.sampled_from(sorted(self.open)))
        self.rounds += 1
        self.does(self.house.buyer.received(line, ask(self.rounds, reserve), self.house.now))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.sampled_from([100, 80, 30]), lies=st.integers(0, 20))
    def decides(self, data: st.DataObject, share: int, lies: int) -> None:
        line = data.draw(st.sampled_from(sorted(self.open)))
        deal = self.house.buyer.dealings.contacts[self.open[line]].deal
        price = deal.said * share // 100 + (not lies) * 10_000
        last = deal.last.round if deal.last else 0
        self.does(self.house.buyer.received(line, won(last, price), self.house.now))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), owed=st.integers(1, 50_000), sent=st.sampled_from([0] * 20 + [1 << 40]))
    def wants_to_be_paid(self, data: st.DataObject, owed: int, sent: int) -> None:
        line = data.draw(st.sampled_from(sorted(self.open)))
        channel = self.house.buyer.dealings.contacts[self.open[line]].deal.channel or bytes(32)
        self.owed[channel] = owed
        receipt = Receipt(channel=channel, sent=sent, owed=owed, paid=0)
        self.does(self.house.buyer.received(line, receipt, self.house.now))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), mib=st.integers(1, 8))
    def is_served(self, data: st.DataObject, mib: int) -> None:
        """A round as it should go, with everything that the wallet is asked for."""
        line = data.draw(st.sampled_from(sorted(self.open)))
        torrent, _ = self.open[line]
        self.rounds += 1
        self.does(self.house.buyer.received(line, ask(self.rounds), self.house.now))
        for need in list(self.needs):
            self.opens_channel(need, None)
        if line not in self.open:
            return
        deal = self.house.buyer.dealings.contacts[self.open[line]].deal
        self.does(self.house.buyer.received(line, won(self.rounds, deal.said), self.house.now))
        if line in self.open and deal.channel:
            self.owed[deal.channel] = deal.due + mib * deal.price
            receipt = Receipt(channel=deal.channel, sent=0, owed=self.owed[deal.channel], paid=0)
            self.does(self.house.buyer.received(line, receipt, self.house.now))
        self.arrive(torrent, mib, 0, 0)

    @rule(
        torrent=st.sampled_from([ONE, ONE, TWO]),
        mib=st.integers(0, 8),
        unverified=st.integers(0, 4),
        fails=st.sampled_from([0] * 20 + [1]),
    )
    def arrives(self, torrent: str, mib: int, unverified: int, fails: int) -> None:
        self.arrive(torrent, mib, unverified, fails)

    def arrive(self, torrent: str, mib: int, unverified: int, fails: int) -> None:
        self.failed[torrent] += fails * MIB
        sources = []
        for seller in (A, B, C):
            self.counters[torrent, seller] += mib * MIB
            host, count = hosted(seller), self.counters[torrent, seller]
            sources.append(Source(host, PeerConnection(torrent, host, 1), 0, count, unverified * MIB, fails))
        before = self.counted()
        intake = Intake(tuple(sources), self.failed[torrent])
        effects = self.house.buyer.arrived(torrent, intake, self.house.now)
        self.received += self.counted() - before
        self.does(effects)

    def counted(self) -> Counter[Address]:
        counted = Counter[Address]()
        for one in self.house.buyer.dealings.contacts.values():
            counted[one.seller] += one.deal.received
        return counted

    @precondition(lambda self: self.needs)
    @rule(data=st.data(), answer=st.sampled_from(["granted", "granted", "refused", "away"]))
    def wallet_opens(self, data: st.DataObject, answer: str) -> None:
        id = data.draw(st.sampled_from(sorted(self.needs)))
        if answer == "granted":
            self.opens_channel(id, data)
        else:
            self.needs.pop(id)
            self.does(self.house.buyer.unfunded(id, "no", self.house.now, later=answer == "away"))

    def opens_channel(self, id: ContactId, data: st.DataObject | None) -> None:
        need = self.needs.pop(id)
        if need.left < need.enough:
            self.does(self.house.buyer.unfunded(id, "no", self.house.now))
            return
        lock = data.draw(st.integers(need.enough, need.left)) if data else (need.enough + need.left) // 2
        channel = (len(self.channels) + 1).to_bytes(32, "big")
        self.channels[channel] = [lock, 0]
        funding = Funding(channel=channel, lock=MicroBtt(lock), paid=MicroBtt(0), resumed=False)
        self.does(self.house.buyer.funded(id, funding, self.house.now))

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), kept=st.sampled_from([True, True, False]))
    def wallet_signs(self, data: st.DataObject, kept: bool) -> None:
        payment = self.payments.pop(data.draw(st.sampled_from(sorted(self.payments))))
        if not kept:
            self.does(self.house.buyer.unpaid(payment.contact, self.house.now))
            return
        more = payment.total - self.channels[payment.channel][1]
        self.channels[payment.channel][1] = payment.total
        self.spent[payment.contact[0]] += more
        self.paid[payment.contact[1]] += more
        self.does(self.house.buyer.paid(payment.contact, signed(payment), self.house.now))

    @precondition(lambda self: self.open and self.rounds % 3 == 0)
    @rule(data=st.data())
    def breaks(self, data: st.DataObject) -> None:
        self.ends(data.draw(st.sampled_from(sorted(self.open))))

    @rule(ns=st.sampled_from([1, ROUND_NS, ROUND_NS, LINGER_NS, KEEP_NS, 25 * 3_600 * 10**9]))
    def time_passes(self, ns: int) -> None:
        self.does(self.house.passes(ns))

    # -------------------------------------------------------------------------------------- invariants

    @invariant()
    def no_budget_is_exceeded(self) -> None:
        dealings = self.house.buyer.dealings
        for id, purchase in dealings.purchases.items():
            assert purchase.spent == self.spent[id], "B7"
            payable = 0
            for one in dealings.of(id):
                most = one.deal.lock if one.line is not None else min(one.deal.lock, one.deal.due)
                payable += max(0, most - one.deal.paid)
            assert self.spent[id] - self.before[id] + payable <= purchase.want.budget, "B5"

    @invariant()
    def one_dealing_with_a_seller(self) -> None:
        sellers = [one.seller for one in self.house.buyer.dealings.lines.values()]
        assert len(sellers) == len(set(sellers)), "B9"
        assert set(self.house.buyer.dealings.lines) == set(self.open), "B9"

    @invariant()
    def records_hold_what_was_counted(self) -> None:
        self.does(self.house.buyer.flush(self.house.now))
        for seller in (A, B, C):
            record = self.kept.get(seller, SellerRecord())
            assert (record.received, record.paid) == (self.received[seller], self.paid[seller]), "B8"


TestTrade = Trade.TestCase
