"""Selling: what is saved before it is done, what a full disk means, and how errors end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from appliance.core.config import AuctionConfig
from appliance.core.errors import Bug
from appliance.core.keys import Key
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, UtcMs, btt_per_gib
from appliance.domain.auction.lease import LEASE_ROUNDS, ROUND_NS
from appliance.domain.auction.messages import Ask, Bid, Message, Pay, Receipt, Result, Trouble
from appliance.domain.ledger.channel import Channel
from appliance.domain.wallet.model import ChannelStanding, Purpose, WalletChannel
from appliance.services.market.selling import Selling
from appliance.services.market.selling_ports import SellingPorts
from tests.support.clock import FakeClock
from tests.support.fails import Failures
from tests.support.fakes import ListJournal
from tests.support.selling import (
    FakeAccount,
    FakeBidder,
    FakeLanes,
    FakeSales,
    FakeStore,
    FakeTorrents,
    FakeWallet,
)

TORRENT, HOME = "ab" * 20, "10.0.0.1"
SELLER, BIDDER = (Key(bytes(31) + bytes([number])) for number in (1, 2))
CHANNEL, LEDGER = b"C" * 32, b"L" * 32
PRICE, LOCK = 1_000, MicroBtt(10**6)
CONFIG = AuctionConfig(sell=True, slots=1, reserve=btt_per_gib(MicroBttPerMib(10)), reserve_moves=False)


class Box:
    """A seller of slots whose outside is written for tests; all that it begins is over when a step is."""

    def __init__(self) -> None:
        self.clock, self.failures, self.journal = FakeClock(), Failures(), ListJournal()
        self.store, self.sales, self.torrents = FakeStore(), FakeSales(), FakeTorrents()
        channel = Channel(
            id=CHANNEL,
            ledger=LEDGER,
            payer=BIDDER.public,
            recipient=SELLER.address,
            lock=LOCK,
            expires=UtcMs(10**15),
            window_ms=1_000,
        )
        held = WalletChannel(channel=channel, purpose=Purpose.DISTRIBUTION, standing=ChannelStanding.OPEN)
        self.wallet = FakeWallet(LEDGER, {CHANNEL: held})
        self.account = FakeAccount(self.wallet)
        self.info_hash = self.torrents.seed(TORRENT)
        self.start()

    def start(self) -> None:
        self.engine = FakeLanes()
        self.engine.connect(TORRENT, HOME)
        self.selling = Selling(
            CONFIG,
            SellingPorts(
                account=self.account,
                torrents=self.torrents,
                engine=self.engine,
                journal=self.journal,
                store=self.store,
                log=self.sales,
                clock=self.clock,
                chance=bytes,
                uplink=lambda: 0,
                fail=self.failures,
            ),
        )
        self.bidder = FakeBidder(BIDDER.public, HOME, self.info_hash)

    async def do(self, work: Callable[[], Awaitable[None] | None]) -> None:
        """Do something, and wait for all that comes of it."""
        if waits := work():
            await waits
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def says(self, message: Message) -> None:
        await self.do(lambda: self.selling.received(self.bidder, message))

    async def bids(self, price: int = PRICE) -> None:
        await self.do(lambda: self.selling.opened(self.bidder))
        await self.says(Bid(round=0, max_price=price, bytes=1 << 30, port=6_881, channel=CHANNEL))

    async def round(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.advance(ROUND_NS / 1e9)
            await self.do(self.selling.serve)

    async def serve(self, count: int = 0) -> None:
        """So many bytes are sent, and counted."""
        self.engine.send(TORRENT, HOME, count)
        await self.do(self.selling.serve)

    def sent(self, kind: type[Message]) -> list[Message]:
        return [one for one in self.bidder.sent if isinstance(one, kind)]

    @property
    def errors(self) -> list[str]:
        return [text for kind, text in self.journal.events if kind == "error"]


def run(work: Callable[[Box], Awaitable[None]]) -> Box:
    box = Box()

    async def main() -> None:
        await work(box)

    asyncio.run(main())
    return box


async def sells(box: Box) -> None:
    await box.bids()
    await box.round()


def test_who_wins_is_asked_told_moved_into_a_lane_and_served_before_others() -> None:
    async def work(box: Box) -> None:
        await sells(box)
        assert box.sent(Ask)
        assert [bool(one.won) for one in box.sent(Result) if isinstance(one, Result)] == [True]
        assert box.engine.calls == [HOME], "cut once, and called back"
        assert box.engine.prioritised(HOME)
        assert [one.key for one in box.store.memory.sold] == [BIDDER.public]
        await box.serve()
        await box.serve(MIB)
        (receipt,) = box.sent(Receipt)
        assert isinstance(receipt, Receipt)
        assert (receipt.sent, receipt.owed) == (MIB, PRICE)
        await box.says(Pay(channel=CHANNEL, seq=1, paid=PRICE, state=bytes(64)))
        assert (box.sales.bytes, box.sales.money) == (MIB, PRICE)
        assert box.selling.seller.served[BIDDER.public].lease.unpaid == 0

    assert not run(work).failures.errors


def test_a_full_disk_sells_nothing_says_so_once_and_sells_when_there_is_room() -> None:
    async def work(box: Box) -> None:
        box.store.full = True
        await box.bids()
        await box.round(3)
        assert not box.sent(Result), "nobody hears of a slot that is not written down"
        assert not box.engine.prioritised(HOME)
        assert len(box.errors) == 1
        assert box.errors[0].startswith("No slots are sold: The disk is full")
        box.store.full = False
        await box.round(3)
        assert box.engine.prioritised(HOME)
        box.store.full = True
        await box.round(2)
        assert len(box.errors) == 2, "and it says so when it happens again"
        assert not box.engine.prioritised(HOME)

    run(work)


def test_what_came_up_while_something_was_saved_is_done_afterwards() -> None:
    async def work(box: Box) -> None:
        await sells(box)
        await box.serve()
        await box.serve(MIB)
        late = FakeBidder(BIDDER.public, HOME, box.info_hash)

        def meanwhile() -> None:
            box.selling.opened(late)
            assert not late.sent, "not before the rest is saved"

        box.store.while_saving = meanwhile
        await box.round()
        assert type(late.sent[0]) is Ask

    run(work)


def test_a_payment_during_a_save_that_fails_serves_nobody() -> None:
    async def work(box: Box) -> None:
        await sells(box)
        await box.serve()
        await box.serve(4 * MIB)
        assert not box.engine.prioritised(HOME), "a credit window is unpaid"
        box.store.full = True
        seller = box.selling.seller
        box.store.while_saving = lambda: box.selling._do(
            seller.paid(BIDDER.public, CHANNEL, MicroBtt(4 * PRICE))
        )
        await box.round()
        assert not box.engine.prioritised(HOME), "S2: its lease has ended"

    run(work)


@pytest.mark.parametrize("saved", [False, True])
def test_a_crash_between_saving_and_doing_sells_the_slot_once_or_not_at_all(saved: bool) -> None:
    class Crash(Exception):
        pass

    async def work(box: Box) -> None:
        await box.bids()
        if saved:
            box.store.dies_after = Crash()
        else:
            box.store.dies_before = Crash()
        with pytest.raises(Crash):
            await box.round()
        assert not box.sent(Result)
        assert not box.engine.prioritised(HOME)
        box.store.dies_before = box.store.dies_after = None
        box.start()
        await box.do(box.selling.start)
        assert bool(box.selling.seller.served) is saved
        await box.do(box.selling.serve)
        assert box.engine.prioritised(HOME) is saved, "what was sold is served on"
        await sells(box)
        assert box.engine.prioritised(HOME)
        lease = box.selling.seller.served[BIDDER.public].lease
        assert (lease.sent, lease.owed, lease.paid) == (0, 0, 0)

    run(work)


def test_an_unexpected_error_in_the_background_ends_the_process_and_bad_peers_do_not() -> None:
    async def work(box: Box) -> None:
        await sells(box)
        await box.says(Pay(channel=b"X" * 32, seq=1, paid=1, state=bytes(64)))
        assert [one.code for one in box.sent(Trouble) if isinstance(one, Trouble)] == [b"refused"]
        assert not box.failures.errors
        for error in (KeyError("nobody expected it"), Bug("The box contradicts itself.")):
            box.wallet.broken = error
            await box.says(Pay(channel=CHANNEL, seq=1, paid=1, state=bytes(64)))
            assert box.failures.errors.pop() is error

    run(work)


def test_a_channel_that_is_somebody_elses_is_refused_with_the_reason() -> None:
    async def work(box: Box) -> None:
        box.wallet.open.clear()
        await box.bids()
        assert [one.code for one in box.sent(Trouble) if isinstance(one, Trouble)] == [b"channel"]
        await box.round()
        assert not box.selling.seller.served

    run(work)


def test_nobody_is_asked_before_the_ledger_has_answered() -> None:
    async def work(box: Box) -> None:
        box.account.wallet = None
        box.start()
        await box.do(lambda: box.selling.opened(box.bidder))
        await box.round()
        assert not box.bidder.sent
        box.account.wallet = box.wallet
        await box.round()
        assert box.sent(Ask)

    run(work)


def test_a_winner_that_refuses_the_call_is_called_every_second_until_it_answers() -> None:
    async def work(box: Box) -> None:
        box.engine.refuses = 3
        await sells(box)
        calls = [len(box.engine.calls)]
        for _ in range(8):
            box.clock.advance(0.5)
            await box.do(box.selling.serve)
            calls.append(len(box.engine.calls))
        assert calls == [1, 1, 2, 2, 3, 3, 4, 4, 4], "and not any more when it is there"
        assert box.engine.prioritised(HOME)

    run(work)


def test_the_end_of_selling_ends_leases_and_serves_everybody_alike() -> None:
    async def work(box: Box) -> None:
        await sells(box)
        await box.serve()
        await box.serve(MIB // 2)
        await box.do(box.selling.end)
        assert not box.engine.lane_of
        assert not box.selling.seller.served
        (event,) = [text for kind, text in box.journal.events if kind == "info"]
        assert "the box stopped selling slots" in event

    run(work)


def test_a_sale_of_nothing_is_no_event() -> None:
    async def work(box: Box) -> None:
        await sells(box)
        await box.says(Bid(round=0, max_price=0, bytes=0, port=6_881, channel=CHANNEL))
        await box.round(LEASE_ROUNDS + 1)
        assert not box.selling.seller.served
        assert not box.journal.events

    run(work)
