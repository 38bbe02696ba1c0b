"""Buying at work: the real service and its real spending, between a wallet and sellers written for tests."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.core.keys import Address
from appliance.core.units import BTT, MIB, MicroBtt, MicroBttPerMib, btt_per_gib
from appliance.domain.auction.clearing import commitment
from appliance.domain.auction.lease import CREDIT, ROUND_NS, charge
from appliance.domain.auction.messages import Ask, Bid, Message, Pay, Receipt, Result
from appliance.domain.auction.records import SellerRecord
from appliance.domain.auction.wants import Want
from appliance.domain.catalogue.model import TorrentState
from appliance.services.market.spending import TOO_LITTLE
from tests.support.buying import LEDGER, SELLERS, FakeBox, FakeSellerLine

SEED = b"s" * 32
ONE, TWO = "1" * 40, "2" * 40
A, B, C = (key.address for key in SELLERS)
PRICE = 1_000
HOSTS = {A: "10.0.0.1", B: "10.0.0.2", C: "10.0.0.3"}
MARKET = 6_882


def ask(round: int, reserve: int = 100) -> Ask:
    return Ask(
        round=round,
        slots=4,
        per_torrent=0,
        reserve=reserve,
        round_ms=15_000,
        credit=CREDIT,
        rule=b"lowest-winning",
        ledger=LEDGER,
        commit=commitment(SEED),
    )


class Story(FakeBox):
    """A box that wants a torrent, and sellers that are connected to it."""

    def __init__(self, *sellers: Address, torrents: tuple[str, ...] = (ONE,), **config: Any) -> None:
        super().__init__(**config)
        self.round = 0
        for torrent in torrents:
            self.downloads.add(torrent)
            for seller in sellers or (A,):
                self.downloads.came[torrent, HOSTS[seller]] = (MARKET, 0)
                self.markets.sellers[HOSTS[seller], MARKET] = seller

    async def begin(self, budget: int = BTT, price: int = PRICE, **want: Any) -> None:
        await self.buying.start()
        await self.buying.want(ONE, Want(MicroBttPerMib(price), MicroBtt(budget), **want))
        await self.look()

    def line(self, seller: Address = A) -> FakeSellerLine:
        line = self.markets.line(seller)
        assert line
        return line

    async def ask(self, seller: Address = A, reserve: int = 100) -> None:
        self.round += 1
        self.line(seller).say(ask(self.round, reserve))
        await self.settle()

    async def win(self, seller: Address = A) -> None:
        """A round is asked for and won."""
        await self.ask(seller)
        price = self.bids(seller)[-1].max_price
        self.line(seller).say(Result(round=self.round, won=1, price=price, lease_ms=30_000, reveal=SEED))

    async def is_owed(self, owed: int, seller: Address = A, sent: int = 0) -> None:
        line = self.line(seller)
        line.say(Receipt(channel=self.bids(seller)[-1].channel, sent=sent, owed=owed, paid=0))
        await self.settle()

    async def owes_for_two_mib(self) -> None:
        """A round is won, and what was sent in it has arrived and is to be paid."""
        await self.win()
        self.comes(2)
        await self.is_owed(2_000)

    def comes(self, mib: int, seller: Address = A, torrent: str = ONE) -> None:
        market, count = self.downloads.came[torrent, HOSTS[seller]]
        self.downloads.came[torrent, HOSTS[seller]] = (market, count + mib * MIB)

    def said(self, kind: type[Message], seller: Address = A) -> list[Any]:
        lines = [one for one in self.markets.lines if one.peer.address == seller]
        return [one for line in lines for one in line.sent if isinstance(one, kind)]

    def bids(self, seller: Address = A) -> list[Bid]:
        return self.said(Bid, seller)

    def pays(self, seller: Address = A) -> list[int]:
        return [one.paid for one in self.said(Pay, seller)]


def play(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_a_seller_is_called_bid_to_and_paid_for_what_has_arrived() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.win()
        assert [one.max_price for one in box.bids()] == [PRICE]
        await box.is_owed(3_000)
        box.comes(2)
        await box.look()
        assert box.pays() == [2_000], "no more than has arrived"
        box.comes(1)
        await box.look()
        assert box.pays() == [2_000, 3_000]
        assert box.wallet.paid() == 3_000
        assert not box.failures

    play(story())


def test_nothing_is_paid_twice_when_the_connection_breaks_or_the_box_dies() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.owes_for_two_mib()
        await box.look()
        box.line().hang_up()
        await box.look(61)
        await box.ask()
        assert box.pays() == [2_000, 2_000], "the same state again: it may have been lost"
        await box.is_owed(2_000)
        await box.look()
        assert box.wallet.paid() == 2_000
        await box.dies()
        await box.look(61)
        await box.ask()
        await box.is_owed(2_000)
        await box.look()
        assert box.wallet.paid() == 2_000
        assert len(box.wallet.kept) == 1, "its channel is used on"

    play(story())


def test_a_payment_is_sent_only_after_it_is_kept() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.owes_for_two_mib()
        box.wallet.away = True
        await box.look()
        assert (box.pays(), box.wallet.paid()) == ([], 0)
        box.wallet.away = False
        await box.look()
        assert box.pays() == [box.wallet.paid()] == [2_000]

    play(story())


@pytest.mark.parametrize("where", ["wallet", "markets"])
def test_an_error_that_nobody_expected_ends_the_process_with_the_reason(where: str) -> None:
    async def story() -> None:
        box = Story()
        broken = OSError(5, "I/O")
        if where == "markets":
            box.markets.broken = broken
            await box.begin()
        else:
            await box.begin()
            await box.owes_for_two_mib()
            box.wallet.broken = broken
            await box.look()
        assert box.failures == [broken]

    play(story())


def test_a_torrent_never_costs_more_than_its_budget_whoever_comes_and_goes() -> None:
    async def story() -> None:
        box = Story(A, B)
        await box.begin(budget=20_000)
        for round in range(1, 8):
            for seller in (A, B):
                if box.markets.line(seller) is None:
                    await box.look(61)
                await box.ask(seller)
                bids = box.bids(seller)
                if not bids or not bids[-1].max_price:
                    continue
                await box.win(seller)
                box.comes(4, seller)
                await box.is_owed(4_000 * round, seller)
                await box.look()
                box.line(seller).hang_up()
        assert 10_000 < box.wallet.paid() <= 20_000

    play(story())


def test_the_budget_of_the_day_holds_for_all_that_the_box_bids_on_its_own() -> None:
    async def story() -> None:
        box = Story(buy_price=btt_per_gib(MicroBttPerMib(PRICE)), buy_budget=0)
        await box.buying.start()
        await box.look()
        await box.ask()
        assert not box.bids()
        box.config = box.config.__class__(buy_price=btt_per_gib(MicroBttPerMib(PRICE)), buy_budget=1)
        await box.look()
        await box.ask()
        assert box.bids()
        assert sum(one.channel.lock for one in box.wallet.channels) <= BTT
        purchase = box.buying.buyer.dealings.purchases[ONE]
        assert not purchase.download.own

    play(story())


def test_channels_for_a_torrent_are_opened_one_after_the_other() -> None:
    async def story() -> None:
        box = Story(A, B, C)
        await box.begin(budget=250_000)
        for seller in (A, B, C):
            box.line(seller).say(ask(1))
        await box.settle()
        assert len(box.wallet.kept) == 3
        assert box.wallet.most_opening == 1
        assert sum(one.channel.lock for one in box.wallet.channels) <= 250_000

    play(story())


def test_who_cannot_pay_bids_nothing_and_the_owner_is_told_once_and_a_deposit_is_noticed() -> None:
    async def story() -> None:
        box = Story()
        box.wallet.balance = 0
        await box.begin()
        await box.ask()
        await box.ask()
        assert not box.bids()
        assert box.journal.events == [("warning", TOO_LITTLE)]
        box.wallet.coming = 10**7
        await box.ask()
        assert box.bids()

    play(story())


def test_a_connection_that_is_closed_keeps_the_record_and_a_full_disk_only_delays_it() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.owes_for_two_mib()
        await box.look()
        box.memory.full = True
        box.line().hang_up()
        await box.settle()
        assert not box.memory.kept_records
        box.memory.full = False
        await box.buying.stop()
        record = box.memory.kept_records[A]
        assert (record.received, record.paid) == (2 * MIB, 2_000)

    play(story())


def test_a_seller_that_cheats_is_written_down_before_it_is_hung_up_on_and_not_called_again() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.win()
        line = box.line()
        await box.is_owed(1, sent=1 << 40)
        assert not line.open
        assert box.memory.kept_records[A].shunned > box.clock.now()
        assert any("left alone" in text for _, text in box.journal.events)
        await box.dies()
        await box.look(120)
        assert box.markets.line(A) is None, "it is remembered over a restart"
        await box.look(25 * 3_600)
        assert box.markets.line(A), "not for ever"

    play(story())


def test_nobody_is_hung_up_on_before_it_is_written_down_why_and_nothing_counts_meanwhile() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.win()
        box.memory.slow = asyncio.Event()
        await box.is_owed(1, sent=1 << 40)
        box.comes(4)
        await box.look()
        line = box.line()
        assert line.open
        assert not box.pays()
        box.memory.slow.set()
        await box.settle()
        assert not line.open

    play(story())


def test_a_seller_that_is_shunned_stays_so_where_the_disk_is_full() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.win()
        box.memory.full = True
        await box.is_owed(1, sent=1 << 40)
        assert box.markets.line(A) is None
        box.memory.full = False
        await box.buying.flush()
        assert box.memory.kept_records[A].shunned > box.clock.now()

    play(story())


def test_what_the_owner_wants_is_kept_first_and_holds_at_once_and_after_a_restart() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        assert box.buying.buyer.dealings.purchases[ONE].want.price == PRICE
        await box.dies()
        await box.look()
        assert box.buying.buyer.dealings.purchases[ONE].want.price == PRICE
        await box.buying.want(ONE, None)
        assert not box.buying.buyer.dealings.purchases
        assert not box.memory.kept_wants

    play(story())


def test_other_terms_do_not_count_what_was_paid_before_them() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.owes_for_two_mib()
        await box.look()
        assert box.buying.buyer.dealings.purchases[ONE].used == 2_000
        await box.buying.want(ONE, Want(MicroBttPerMib(PRICE), MicroBtt(BTT)))
        purchase = box.buying.buyer.dealings.purchases[ONE]
        assert (purchase.used, purchase.spent) == (0, 2_000)

    play(story())


def test_a_torrent_that_is_here_is_not_bid_for_any_more_and_one_that_is_gone_is_not_wanted() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        await box.ask()
        line = box.line()
        box.downloads.torrents[ONE].state = TorrentState.SEEDING
        await box.look()
        assert [one.max_price for one in box.bids()] == [PRICE, 0]
        await box.look(ROUND_NS / 1e9 * 2 + 3)
        assert not line.open
        box.downloads.torrents.clear()
        await box.look()
        assert not box.buying.wants
        assert not box.memory.kept_wants

    play(story())


def test_the_loop_beats_whatever_the_wallet_does_and_stopping_hangs_up() -> None:
    async def story() -> None:
        box = Story()
        await box.begin()
        beats: list[int] = []
        task = asyncio.create_task(box.buying.run(lambda: beats.append(1)))
        async with asyncio.timeout(10):
            while len(beats) < 2:
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await box.buying.stop()
        assert not [one for one in box.markets.lines if one.open]

    play(story())


class Trade(RuleBasedStateMachine):
    """Honest sellers over connections that break, and a buyer that dies at any moment."""

    @initialize(budget=st.integers(5_000, 60_000))
    def begin(self, budget: int) -> None:
        self.runner = asyncio.Runner()
        self.box = Story(A, B)
        self.budget = budget
        self.due: dict[bytes, int] = {}
        """What is due in each channel, by the seller's count."""
        self.sent = Counter[Address]()
        self.crashes = 0
        self.do(self.box.begin(budget=budget))

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    def sellers(self) -> list[Address]:
        return [one for one in (A, B) if self.box.markets.line(one)]

    @rule(seconds=st.sampled_from([0.5, 0.5, 0.5, 16, 61]))
    def looks(self, seconds: float) -> None:
        self.do(self.box.look(seconds))

    @precondition(lambda self: self.sellers())
    @rule(data=st.data(), reserve=st.sampled_from([10, 100, 2_000]), turns=st.integers(0, 40))
    def round_begins(self, data: st.DataObject, reserve: int, turns: int) -> None:
        line = self.box.line(data.draw(st.sampled_from(self.sellers())))
        self.box.round += 1

        async def work() -> None:
            line.say(ask(self.box.round, reserve))
            await self.box.settle(turns)

        self.do(work())

    @precondition(lambda self: self.sellers())
    @rule(data=st.data(), mib=st.integers(1, 4), rounds=st.integers(1, 4), turns=st.integers(0, 40))
    def is_served(self, data: st.DataObject, mib: int, rounds: int, turns: int) -> None:
        """Slots are won, bytes come, and receipts are said for what is due; the last look is cut short."""
        seller = data.draw(st.sampled_from(self.sellers()))
        line = self.box.line(seller)

        async def work() -> None:
            for left in reversed(range(rounds)):
                await self.wins(line)
                self.serves(line, seller, mib)
                self.box.clock.advance(0.5)
                await self.box.buying.look()
                await self.box.settle(40 if left else turns)

        self.do(work())

    async def wins(self, line: FakeSellerLine) -> None:
        self.box.round += 1
        line.say(ask(self.box.round))
        await self.box.settle()
        bids = [one.max_price for one in line.sent if isinstance(one, Bid)]
        if bids and bids[-1]:
            line.say(Result(round=self.box.round, won=1, price=bids[-1], lease_ms=1, reveal=SEED))

    def serves(self, line: FakeSellerLine, seller: Address, mib: int) -> None:
        """Within its credit window, and no more than its channel covers, if its bid stands."""
        bids = [one for one in line.sent if isinstance(one, Bid)]
        if not bids or not bids[-1].max_price or not line.open:
            return
        channel, price = bids[-1].channel, bids[-1].max_price
        held, due = self.box.wallet.kept[channel].channel, self.due.get(channel, 0)
        if due - held.paid < charge(CREDIT, MicroBttPerMib(price)):
            self.box.comes(mib, seller)
            self.sent[seller] += mib * MIB
            self.due[channel] = min(held.lock, due + mib * price)
        line.say(Receipt(channel=channel, sent=0, owed=self.due.get(channel, 0), paid=0))

    @precondition(lambda self: self.sellers())
    @rule(data=st.data(), turns=st.integers(0, 40), seconds=st.sampled_from([0.5, 61]))
    def connection_breaks(self, data: st.DataObject, turns: int, seconds: float) -> None:
        line = self.box.line(data.draw(st.sampled_from(self.sellers())))

        async def work() -> None:
            line.hang_up()
            await self.box.settle(turns)
            await self.box.look(seconds)

        self.do(work())

    @rule(
        away=st.sampled_from([True, False, False, False]), full=st.sampled_from([True, False, False, False])
    )
    def bad_days(self, away: bool, full: bool) -> None:
        self.box.wallet.away, self.box.memory.full = away, full

    @rule(turns=st.integers(0, 12))
    def dies(self, turns: int) -> None:
        """In the middle of a look, perhaps."""
        self.crashes += 1

        async def work() -> None:
            look = asyncio.create_task(self.box.buying.look())
            await self.box.settle(turns)
            look.cancel()
            await self.box.dies()
            await self.box.look()

        self.do(work())

    @invariant()
    def nothing_is_paid_twice_or_beyond_what_is_due(self) -> None:
        if not hasattr(self, "box"):
            return
        assert not self.box.failures
        for id, held in self.box.wallet.kept.items():
            assert held.channel.paid <= self.due.get(id, 0), "B1"
        for seller in (A, B):
            most = charge(self.sent[seller], MicroBttPerMib(PRICE))
            assert self.box.wallet.paid(seller) <= most, "B1: what has come, at the highest price"

    @invariant()
    def no_budget_is_exceeded(self) -> None:
        if hasattr(self, "box"):
            assert self.box.wallet.paid() <= self.budget, "B5"
            assert self.box.wallet.most_opening <= 1, "B6"

    @invariant()
    def payments_are_kept_before_they_are_sent(self) -> None:
        if not hasattr(self, "box"):
            return
        for line in self.box.markets.lines:
            for message in line.sent:
                if isinstance(message, Pay):
                    kept = self.box.wallet.kept[message.channel].channel
                    assert message.paid <= kept.paid, "B7"
                    assert message.seq <= kept.seq, "B7"
                if isinstance(message, Bid) and message.max_price:
                    assert message.max_price <= PRICE, "B3"
                    assert message.channel in self.box.wallet.kept, "B10"

    def teardown(self) -> None:
        if not hasattr(self, "box"):
            return
        try:
            self.ends()
        finally:
            self.runner.close()

    def ends(self) -> None:
        """Everything settles, and without a crash the records are complete."""
        self.box.wallet.away = self.box.memory.full = False
        self.do(self.box.look(0.5))
        self.do(self.box.buying.stop())
        self.nothing_is_paid_twice_or_beyond_what_is_due()
        self.no_budget_is_exceeded()
        for seller in (A, B):
            record = self.box.memory.kept_records.get(seller, SellerRecord())
            assert record.paid <= self.box.wallet.paid(seller), "B8"
            assert record.received <= self.sent[seller], "B8"
            if not self.crashes:
                assert record.paid == self.box.wallet.paid(seller), "B8"


TestTrade = Trade.TestCase
TestTrade.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
