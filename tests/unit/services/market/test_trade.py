"""Conservation: what buyers pay is what sellers earn and what is locked, whoever dies at whatever write."""

import asyncio
import random
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.adapters.store.auction import AuctionMemory
from appliance.adapters.store.database import Database
from appliance.adapters.store.ledger_database import open_ledger
from appliance.core.config import AuctionConfig
from appliance.core.errors import RetryLater
from appliance.core.keys import Key
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, MonoNs, btt_per_gib
from appliance.domain.auction.clearing import Rule
from appliance.domain.auction.deal import LATE, Asked, Deal
from appliance.domain.auction.lease import CREDIT, GRACE_NS, ROUND_NS, charge
from appliance.domain.auction.messages import Ask, Bid, Message, Pay, Receipt, Result
from appliance.domain.auction.model import SellerMemory
from appliance.domain.auction.records import SILENT
from appliance.domain.ledger.channel import ChannelPhase, ChannelState
from appliance.domain.wallet.model import ChannelStanding, Purpose
from appliance.domain.wallet.wallet import HOUR_MS, Wallet
from appliance.entrypoints.operator.service import Operator
from appliance.services.market.selling import Selling
from appliance.services.market.selling_ports import SellingPorts
from tests.support.account import DirectLedger
from tests.support.clock import FakeClock
from tests.support.fails import Failures
from tests.support.fakes import ListJournal
from tests.support.selling import FakeAccount, FakeBidder, FakeLanes, FakeSales, FakeTorrents
from tests.unit.domain.wallet.test_wallet import Cut, CuttingMemory

T = TypeVar("T")
SELLER, BUYER = (Key(bytes(31) + bytes([number])) for number in (1, 2))
TORRENT = "ab" * 20
CREDITED = 10**8
HIGHEST = MicroBttPerMib(1_000)
LOCK = MicroBtt(60_000)
CONFIG = AuctionConfig(sell=True, slots=1, reserve=btt_per_gib(MicroBttPerMib(10)), reserve_moves=False)
HOME = "10.0.0.1"
WINDOW = charge(CREDIT, HIGHEST)


class CuttingAuction(AuctionMemory):
    """What the seller remembers, cut off by the same count of writes as its wallet."""

    def __init__(self, database: Database, writes: CuttingMemory) -> None:
        super().__init__(database)
        self._writes = writes

    async def keep(self, memory: SellerMemory) -> None:
        await self._writes._write(super().keep(memory))


class Side:
    """One box's database and wallet."""

    def __init__(self, folder: Path, key: Key, operator: Operator, clock: FakeClock) -> None:
        self.file, self.key, self.operator, self.clock = folder / f"{key.address}.db", key, operator, clock
        self.runner = asyncio.Runner()
        self.start()

    def start(self) -> None:
        self.line = DirectLedger(self.operator, self.key, self.clock)
        self.database = Database(self.file, check=False)
        self.memory = CuttingMemory(self.database, self.operator.id, self.clock)
        self.wallet = Wallet(self.key, self.line, self.memory)
        self.do(self.wallet.load())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def stop(self) -> None:
        self.wallet.close()
        self.database.close()

    def total(self, purpose: Purpose) -> int:
        return self.do(self.memory.totals())[purpose]


class Trade(RuleBasedStateMachine):
    """A seller and a buyer over a line that breaks, on disks that stop at any write."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.ledger = open_ledger(str(self.folder / "ledger.db"))
        self.operator = Operator(self.ledger, self.clock, "test")
        self.operator.credit(BUYER.address, MicroBtt(CREDITED), secrets.token_hex(32))
        self.chance = random.Random(1)
        self.received = self.crashes = 0
        self.connection: FakeBidder | None = None
        self.selling = Side(self.folder, SELLER, self.operator, self.clock)
        self.buying = Side(self.folder, BUYER, self.operator, self.clock)
        self.read_statement()
        self.seller_starts()
        self.deal: Deal | None = None
        self.inbox: deque[Message] = deque()
        self.outbox: deque[ChannelState] = deque()
        self.connects()
        self.all_is_said(HIGHEST)
        self.time_passes(ROUND_NS)

    def read_statement(self) -> None:
        lines = self.buying.line.statement()
        self.buying.do(self.buying.memory.add_lines(lines))

    # ------------------------------------------------------------------------------------------ plumbing

    def seller_starts(self) -> None:
        self.engine, self.failures, self.torrents = FakeLanes(), Failures(), FakeTorrents()
        self.info_hash = self.torrents.seed(TORRENT)
        self.engine.connect(TORRENT, HOME)
        side = self.selling
        self.seller = Selling(
            CONFIG,
            SellingPorts(
                account=FakeAccount(side.wallet),
                torrents=self.torrents,
                engine=self.engine,
                journal=ListJournal(),
                store=CuttingAuction(side.database, side.memory),
                log=FakeSales(),
                clock=self.clock,
                chance=self.chance.randbytes,
                uplink=lambda: 0,
                fail=self.failures,
            ),
        )
        self.happens(self.seller.start)

    def happens(self, work: Callable[[], Awaitable[None] | None]) -> None:
        """Something happens to the seller, and all that comes of it; it dies where its disk stops."""

        async def until_quiet() -> None:
            if waits := work():
                await waits
            while not self.failures.errors and (tasks := self.others()):
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

        async def run() -> None:
            try:
                await until_quiet()
            finally:
                for task in self.others():
                    task.cancel()

        self.tried(self.selling, lambda: self.selling.do(run()))

    def others(self) -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks() - {asyncio.current_task()}

    def hears(self, message: Message) -> None:
        self.inbox.append(message)

    def says(self, message: Message) -> None:
        """The buyer says something, as long as somebody is there."""
        if connection := self.connection:
            self.happens(lambda: self.seller.received(connection, message))
            assert not connection.closed, "an honest buyer is not hung up on"

    def breaks(self) -> None:
        """The line: what was on its way is lost."""
        connection, self.connection = self.connection, None
        self.inbox.clear()
        self.outbox.clear()
        if connection:
            connection.on_message = lambda message: None
            self.happens(lambda: self.seller.closed(connection))

    def dies(self, side: Side) -> None:
        self.crashes += 1
        self.breaks()
        side.stop()
        side.start()
        if side is self.selling:
            self.connection = None
            self.seller_starts()
        else:
            self.deal = None

    def tried(self, side: Side, work: Callable[[], object]) -> None:
        """Do something that a cut at a write of this side may end."""
        try:
            work()
            for error in self.failures.errors:
                raise error
        except Cut:
            self.dies(side)

    # --------------------------------------------------------------------------------------------- rules

    @precondition(lambda self: not self.connection)
    @rule()
    def connects(self) -> None:
        if self.deal:
            self.deal.reopened()
        else:
            self.deal = Deal(key=BUYER.public, piece=MIB)
        connection = FakeBidder(BUYER.public, HOME, self.info_hash, self.hears)
        self.connection = connection
        self.happens(lambda: self.seller.opened(connection))

    @precondition(lambda self: self.connection)
    @rule()
    def line_breaks(self) -> None:
        self.breaks()

    @precondition(lambda self: self.inbox)
    @rule(price=st.integers(10, HIGHEST))
    def buyer_hears(self, price: int) -> None:
        message = self.inbox.popleft()
        self.tried(self.buying, lambda: self.buyer_does(message, MicroBttPerMib(price)))

    def buyer_does(self, message: Message, price: MicroBttPerMib) -> None:
        deal = self.deal
        assert deal
        match message:
            case Ask():
                rule, reserve = Rule(message.rule.decode()), MicroBttPerMib(message.reserve)
                deal.asked(Asked(message.round, reserve, message.credit, rule, message.commit))
                with suppress(RetryLater):
                    self.bids(deal, price)
            case Result():
                wrong = deal.result(
                    message.round,
                    bool(message.won),
                    MicroBttPerMib(message.price),
                    message.reveal,
                    message.tie or None,
                    bool(message.full),
                )
                assert wrong in (None, SILENT), "an honest seller is not accused"
            case Receipt():
                if message.channel != deal.channel:
                    return
                assert not deal.lies(message.sent), "an honest meter is not accused"
                if total := deal.pays(MicroBtt(message.owed)):
                    state = self.buying.do(self.buying.wallet.pay(deal.channel, total, TORRENT))
                    deal.paid = total
                    self.outbox.append(state)

    def bids(self, deal: Deal, price: MicroBttPerMib) -> None:
        wallet = self.buying.wallet
        if deal.lock - deal.paid < charge(CREDIT, price):
            usable = [
                one
                for one in wallet.channels
                if one.standing is ChannelStanding.OPEN and one.channel.lock - one.channel.paid >= WINDOW
            ]
            if usable:
                held, resumed = usable[0], usable[0].channel.paid > 0
            else:
                hold = self.buying.do(wallet.hold(LOCK))
                work = wallet.open_channel(hold, SELLER.address, LOCK, 24 * HOUR_MS, Purpose.DOWNLOADING)
                held, resumed = self.buying.do(work), False
            deal.fund(held.channel.id, held.channel.lock, held.channel.paid, resumed=resumed)
        deal.says(price)
        # A bid is said over the line: what the seller's disk does then is the seller's.
        self.says(Bid(round=0, max_price=price, bytes=1 << 30, port=6_881, channel=deal.channel))
        if self.connection and not deal.repeated:
            deal.repeated = True
            self.outbox.extend(one.state for one in wallet.channels if one.state)

    @precondition(lambda self: self.outbox)
    @rule()
    def seller_is_paid(self) -> None:
        state = self.outbox.popleft()
        self.says(Pay(channel=state.channel, seq=state.seq, paid=state.paid, state=state.signature))

    @rule(price=st.integers(10, HIGHEST))
    def all_is_said(self, price: int) -> None:
        """Until neither side has anything to say."""
        if not self.connection:
            self.connects()
        while self.inbox or self.outbox:
            if self.inbox:
                self.buyer_hears(price)
            else:
                self.seller_is_paid()

    @rule(quarters=st.integers(1, 4), arrives=st.booleans())
    def is_served(self, quarters: int, arrives: bool) -> None:
        """Between two looks, a quarter of the credit at most."""
        count = CREDIT // 16 * quarters if self.engine.prioritised(HOME) else 0
        self.engine.send(TORRENT, HOME, count)
        self.received += count
        if self.deal:
            self.deal.arrived(count, 0 if arrives else count, 0)
        self.happens(self.seller.serve)

    @rule(length=st.sampled_from([GRACE_NS, ROUND_NS]))
    def time_passes(self, length: int) -> None:
        if len(self.inbox) > 2 * LATE - 2:
            # Who does not read is hung up on.
            self.breaks()
        self.clock.steady = MonoNs(self.clock.steady + length)
        self.happens(self.seller.serve)

    @rule(who=st.booleans(), writes=st.integers(1, 8))
    def will_die(self, who: bool, writes: int) -> None:
        """At one of its next writes, before it or after it."""
        (self.selling if who else self.buying).memory.cut = writes

    @rule(away=st.sampled_from([True, False, False]))
    def ledger_goes_or_comes(self, away: bool) -> None:
        self.selling.line.away = self.buying.line.away = away

    # ---------------------------------------------------------------------------------------- invariants

    @invariant()
    def nothing_is_lost_or_made(self) -> None:
        if not hasattr(self, "seller"):
            return
        accounts = sum(self.operator.account(key.address)[0] for key in (SELLER, BUYER))
        open_ = [one for one in self.operator.channels(BUYER.address) if one.phase is not ChannelPhase.CLOSED]
        locked = sum(one.lock for one in open_)
        assert accounts + locked == CREDITED
        paid = {held.channel.id: held.channel for held in self.buying.wallet.channels}
        for held in self.selling.wallet.channels:
            one = held.channel
            assert one.paid <= paid[one.id].paid <= one.lock, "earned is never more than was paid"
        for served in self.seller.seller.served.values():
            assert served.lease.unpaid <= WINDOW * 5 // 4, "a credit window and a quarter, unpaid"
        assert self.buying.total(Purpose.DOWNLOADING) <= (
            charge(self.received, HIGHEST) + (self.crashes + 1) * WINDOW * 2
        )

    def teardown(self) -> None:
        if not hasattr(self, "seller"):
            return
        try:
            self.settle()
        finally:
            for side in (self.selling, self.buying):
                side.stop()
                side.runner.close()
            self.operator.audit()
            self.ledger.close()
            shutil.rmtree(self.folder)

    def settle(self) -> None:
        """Everybody lives, says what is left to say, and the seller collects."""
        for side in (self.selling, self.buying):
            side.memory.cut = -1
            side.line.away = False
        self.breaks()
        self.connects()
        for _ in range(8):
            self.time_passes(ROUND_NS)
            self.all_is_said(HIGHEST)
        earned = self.selling.total(Purpose.DISTRIBUTION)
        assert earned == self.buying.total(Purpose.DOWNLOADING)
        for held in self.selling.wallet.channels:
            if held.state:
                self.selling.do(self.selling.wallet.close_channel(held.channel.id))
        assert self.operator.account(SELLER.address)[0] == earned
        self.nothing_is_lost_or_made()


TestTrade = Trade.TestCase
TestTrade.settings = settings(
    max_examples=25, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
