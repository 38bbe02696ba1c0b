"""Conservation: what buyers pay is what sellers earn and what is locked, whoever dies at whatever write."""

import asyncio
import random
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.adapters.store.auction import AuctionMemory
from appliance.adapters.store.database import Database
from appliance.adapters.store.ledger_database import open_ledger
from appliance.core.clock import FakeClock
from appliance.core.errors import RetryLater
from appliance.core.keys import Key
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction.buyer import LATE, SILENT, Asked, Deal
from appliance.domain.auction.effects import Asks, Effect, Keep, Look, Narrow, Receipts, Results, Wide
from appliance.domain.auction.lease import CREDIT, GRACE_NS, ROUND_NS, charge
from appliance.domain.auction.reserve import Reserve
from appliance.domain.auction.seller import Memory, Offer, Seller, Terms
from appliance.domain.ledger.channel import ChannelPhase, ChannelState
from appliance.domain.wallet.model import ChannelStanding, Purpose
from appliance.domain.wallet.wallet import HOUR_MS, Wallet
from appliance.entrypoints.operator.service import Operator
from tests.support.account import DirectLedger
from tests.unit.domain.wallet.test_wallet import Cut, CuttingMemory

T = TypeVar("T")
SELLER, BUYER = (Key(bytes(31) + bytes([number])) for number in (1, 2))
TORRENT = "ab" * 20
CREDITED = 10**8
HIGHEST = MicroBttPerMib(1_000)
LOCK = MicroBtt(60_000)
RESERVE = Reserve(
    price=MicroBttPerMib(10), floor=MicroBttPerMib(10), ceiling=MicroBttPerMib(10), adaptive=False
)
WINDOW = charge(CREDIT, HIGHEST)


class CuttingAuction(AuctionMemory):
    """What the seller remembers, cut off by the same count of writes as its wallet."""

    def __init__(self, database: Database, writes: CuttingMemory) -> None:
        super().__init__(database)
        self._writes = writes

    async def keep(self, memory: Memory) -> None:
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
        self.now = MonoNs(0)
        self.counter = self.received = self.crashes = self.line = 0
        self.connected = False
        self.selling = Side(self.folder, SELLER, self.operator, self.clock)
        self.buying = Side(self.folder, BUYER, self.operator, self.clock)
        self.read_statement()
        self.seller_starts()
        self.deal: Deal | None = None
        self.inbox: deque[Effect] = deque()
        self.outbox: deque[ChannelState] = deque()
        self.connects()
        self.all_is_said(HIGHEST)
        self.time_passes(ROUND_NS)

    def read_statement(self) -> None:
        lines = self.buying.line.statement()
        self.buying.do(self.buying.memory.add_lines(lines))

    # ------------------------------------------------------------------------------------------ plumbing

    def seller_starts(self) -> None:
        self.auction = CuttingAuction(self.selling.database, self.selling.memory)
        paid = {held.channel.id: held.channel.paid for held in self.selling.wallet.channels}
        self.seller = Seller(
            Terms(slots=1), RESERVE, self.chance.randbytes, self.now, self.auction.load(), paid
        )
        self.wide, self.counter = False, 0

    def breaks(self) -> None:
        """The line: what was on its way is lost."""
        if self.connected:
            self.seller.closed(self.line)
        self.connected = False
        self.inbox.clear()
        self.outbox.clear()

    def dies(self, side: Side) -> None:
        self.crashes += 1
        self.breaks()
        side.stop()
        side.start()
        if side is self.selling:
            self.seller_starts()
        else:
            self.deal = None

    def carry(self, effects: list[Effect]) -> None:
        if any(isinstance(one, Keep) for one in effects):
            self.selling.do(self.auction.keep(self.seller.memory()))
        for one in effects:
            match one:
                case Wide():
                    self.wide = True
                case Narrow():
                    self.wide = False
                case Asks() | Results() | Receipts():
                    if self.connected and one.line == self.line:
                        self.inbox.append(one)
                case Look(line, channel):
                    with suppress(RetryLater):
                        held = self.selling.do(self.selling.wallet.adopt(channel, Purpose.DISTRIBUTION))
                        one_more = held.channel
                        self.carry(self.seller.funded(line, channel, one_more.paid, one_more.lock))

    def tried(self, side: Side, work: Any) -> None:
        """Do something that a cut at a write of this side may end."""
        try:
            work()
        except Cut:
            self.dies(side)

    # --------------------------------------------------------------------------------------------- rules

    @precondition(lambda self: not self.connected)
    @rule()
    def connects(self) -> None:
        self.line, self.connected = self.line + 1, True
        if self.deal:
            self.deal.reopened()
        else:
            self.deal = Deal(key=BUYER.public, piece=MIB)
        self.tried(self.selling, lambda: self.carry(self._opened()))

    def _opened(self) -> list[Effect]:
        return self.seller.opened(self.line, BUYER.public, "10.0.0.1", TORRENT, self.now)

    @precondition(lambda self: self.connected)
    @rule()
    def line_breaks(self) -> None:
        self.breaks()

    @precondition(lambda self: self.inbox)
    @rule(price=st.integers(10, HIGHEST))
    def buyer_hears(self, price: int) -> None:
        message = self.inbox.popleft()
        self.tried(self.buying, lambda: self.buyer_does(message, MicroBttPerMib(price)))

    def buyer_does(self, message: Effect, price: MicroBttPerMib) -> None:
        deal = self.deal
        assert deal
        match message:
            case Asks():
                asked = Asked(message.round, message.reserve, message.credit, message.rule, message.commit)
                deal.asked(asked)
                with suppress(RetryLater):
                    self.bids(deal, price)
            case Results():
                wrong = deal.result(
                    message.round, message.won, message.price, message.seed, message.tie, message.full
                )
                assert wrong in (None, SILENT), "an honest seller is not accused"
            case Receipts():
                if message.channel != deal.channel:
                    return
                assert not deal.lies(message.sent), "an honest meter is not accused"
                if total := deal.pays(message.owed):
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
        offer = Offer(BUYER.public, "10.0.0.1", TORRENT, 6_881, price, 1 << 30, deal.channel)
        # A bid is said over the line: what the seller's disk does then is the seller's.
        self.tried(self.selling, lambda: self.carry(self.seller.bid(self.line, offer)))
        if self.connected and not deal.repeated:
            deal.repeated = True
            self.outbox.extend(one.state for one in wallet.channels if one.state)

    @precondition(lambda self: self.outbox)
    @rule()
    def seller_is_paid(self) -> None:
        self.tried(self.selling, self.takes)

    def takes(self) -> None:
        state = self.outbox.popleft()
        known = {held.channel.id: held.channel for held in self.selling.wallet.channels}
        if state.channel not in known or state.seq == known[state.channel].seq:
            return
        self.selling.do(self.selling.wallet.accept_state(state.channel, state, TORRENT))
        self.carry(self.seller.paid(BUYER.public, state.channel, state.paid))

    @rule(price=st.integers(10, HIGHEST))
    def all_is_said(self, price: int) -> None:
        """Until neither side has anything to say."""
        if not self.connected:
            self.connects()
        while self.inbox or self.outbox:
            if self.inbox:
                self.buyer_hears(price)
            else:
                self.seller_is_paid()

    @rule(quarters=st.integers(1, 4), arrives=st.booleans())
    def is_served(self, quarters: int, arrives: bool) -> None:
        """Between two looks, a quarter of the credit at most."""
        count = CREDIT // 16 * quarters if self.wide else 0
        self.counter += count
        self.received += count
        if self.deal:
            self.deal.arrived(count, 0 if arrives else count, 0)
        self.tried(self.selling, self.look)

    def look(self) -> None:
        self.carry(self.seller.counted({"10.0.0.1": {"c": self.counter}}, self.now))

    @rule(length=st.sampled_from([GRACE_NS, ROUND_NS]))
    def time_passes(self, length: int) -> None:
        if len(self.inbox) > 2 * LATE - 2:
            # Who does not read is hung up on.
            self.breaks()
        self.now = MonoNs(self.now + length)
        self.tried(self.selling, self.look)
        self.tried(self.selling, lambda: self.carry(self.seller.tick(self.now)))

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
        for served in self.seller.served.values():
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
