"""The wallet: W1 to W4 of wallet/wallet.py, on a real database and a real ledger that fail in every way."""

import asyncio
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from appliance.adapters.store.database import Database
from appliance.adapters.store.ledger_database import open_ledger
from appliance.adapters.store.wallet import WalletMemory
from appliance.core.errors import OwnerMustAct, PeerMisbehaved, RetryLater
from appliance.core.keys import Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger import channel as channels
from appliance.domain.ledger.book import NotEnough
from appliance.domain.ledger.channel import Channel, ChannelState
from appliance.domain.wallet.keeper import WalletKeeper
from appliance.domain.wallet.model import ChannelStanding, Purpose, WalletChannel
from appliance.domain.wallet.wallet import CLOSE_BEFORE_MS, HOUR_MS, Wallet
from appliance.entrypoints.operator.service import Operator
from tests.support.account import DirectLedger, Heard
from tests.support.clock import FakeClock

T = TypeVar("T")
BOX, SELLER, BUYER = (Key(bytes(31) + bytes([number])) for number in (1, 2, 3))
TORRENT = "ab" * 20
DAY_MS = 24 * HOUR_MS


class Cut(Exception):
    """The power goes."""


class CuttingMemory(WalletMemory):
    """A memory that dies before or after its n-th write."""

    cut = -1

    async def _write(self, work: Coroutine[Any, Any, T]) -> T:
        self.cut -= 1
        if self.cut == 0:
            work.close()
            raise Cut
        done = await work
        self.cut -= 1
        if self.cut == 0:
            raise Cut
        return done

    async def put_hold(self, *args: Any) -> None:
        return await self._write(super().put_hold(*args))

    async def new_channel(self, *args: Any) -> None:
        return await self._write(super().new_channel(*args))

    async def put_channel(self, *args: Any) -> None:
        return await self._write(super().put_channel(*args))

    async def put_state(self, *args: Any) -> None:
        return await self._write(super().put_state(*args))

    async def put_marks(self, *args: Any) -> None:
        return await self._write(super().put_marks(*args))

    async def add_lines(self, *args: Any) -> None:
        return await self._write(super().add_lines(*args))


class World:
    """A ledger, and a box with an account there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.clock, self.heard, self.runner = FakeClock(), Heard(), asyncio.Runner()
        self.open_ledger()
        self.seller = DirectLedger(self.operator, SELLER, self.clock)
        self.buyer = DirectLedger(self.operator, BUYER, self.clock)
        for key in (BOX, BUYER):
            self.operator.credit(key.address, MicroBtt(10_000), secrets.token_hex(32))
        self.start()

    def open_ledger(self) -> None:
        self.ledger_database = open_ledger(str(self.folder / "ledger.db"))
        self.operator = Operator(self.ledger_database, self.clock, "test")

    def start(self) -> None:
        """Begin from what is on the disk, as after a kill."""
        self.line = DirectLedger(self.operator, BOX, self.clock)
        self.database = Database(self.folder / "box.db", check=False)
        self.memory = CuttingMemory(self.database, self.operator.id, self.clock)
        self.wallet = Wallet(BOX, self.line, self.memory)
        self.do(self.wallet.load())
        self.keeper = WalletKeeper(self.wallet, self.heard)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def stop(self) -> None:
        self.wallet.close()
        self.database.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        self.runner.close()
        self.operator.audit()
        self.ledger_database.close()

    def round(self) -> None:
        self.do(self.keeper.round())

    def sums(self) -> tuple[int, int, int, int]:
        found = self.do(self.memory.sums())
        return found.balance, found.held, found.locked, found.receivable

    def opened(self, lock: int = 1_000, life_ms: int = DAY_MS) -> WalletChannel:
        """A channel from the box to the seller."""
        hold = self.do(self.wallet.hold(MicroBtt(lock)))
        return self.do(
            self.wallet.open_channel(hold, SELLER.address, MicroBtt(lock), life_ms, Purpose.DOWNLOADING)
        )

    def earning(self, lock: int = 1_000, life_ms: int = DAY_MS) -> Channel:
        """A channel from the buyer to the box."""
        ends = UtcMs(self.clock.now() + life_ms)
        channel = self.buyer.open(secrets.token_hex(8), BOX.address, MicroBtt(lock), ends, DAY_MS)
        self.do(self.wallet.adopt(channel.id, Purpose.DISTRIBUTION))
        return channel

    def paid(self, channel: Channel, paid: int) -> tuple[Channel, ChannelState]:
        """The buyer pays."""
        return channels.pay(channel, BUYER, MicroBtt(paid))

    def accept(self, state: ChannelState) -> int:
        return self.do(self.wallet.accept_state(state.channel, state, TORRENT))

    def balance(self, key: Key) -> int:
        return self.operator.account(key.address)[0]


@pytest.fixture
def world(ram_path: Path) -> Iterator[World]:
    made = World(ram_path)
    made.round()
    yield made
    made.close()


def test_money_is_held_locked_paid_and_comes_back(world: World) -> None:
    hold = world.do(world.wallet.hold(MicroBtt(4_000), "a film"))
    assert world.sums() == (10_000, 4_000, 0, 0)
    held = world.do(
        world.wallet.open_channel(hold, SELLER.address, MicroBtt(3_000), DAY_MS, Purpose.DOWNLOADING)
    )
    assert world.sums() == (10_000, 4_000, 0, 0), "the ledger has not told of it yet"
    world.round()
    assert world.sums() == (7_000, 1_000, 3_000, 0)
    state = world.do(world.wallet.pay(held.channel.id, MicroBtt(2_500), TORRENT))
    assert world.sums() == (7_000, 1_000, 500, 0)
    world.do(world.wallet.release(hold))
    world.seller.close_channel(held.channel.id, state)
    world.round()
    assert world.sums() == (7_500, 0, 0, 0)
    assert world.balance(BOX) == 7_500
    assert world.do(world.memory.totals())[Purpose.DOWNLOADING] == 2_500
    assert world.wallet.channels == []


def test_what_a_buyer_pays_is_earned_by_day_torrent_and_counterparty(world: World) -> None:
    channel = world.earning()
    first, state = world.paid(channel, 300)
    assert world.accept(state) == 300
    _, state = world.paid(first, 450)
    assert world.do(world.wallet.accept_state(channel.id, state, "cd" * 20)) == 150
    assert world.sums()[3] == 450
    for by, headings in (
        ("day", [("2025-06-15", 450)]),
        ("torrent", [(TORRENT, 300), ("cd" * 20, 150)]),
        ("counterparty", [(BUYER.address, 450)]),
    ):
        found = world.do(world.memory.tallies(by, "2025-06-15"))
        assert [(one.heading, one.amount) for one in found] == headings
    assert world.do(world.memory.tallies("day", "2025-06-16")) == []
    world.do(world.wallet.close_channel(channel.id))
    world.round()
    assert world.sums() == (10_450, 0, 0, 0)
    assert world.do(world.wallet.verify()) == 2


def test_no_state_is_accepted_twice_or_from_elsewhere(world: World) -> None:
    channel = world.earning()
    paid, state = world.paid(channel, 300)
    _, more = world.paid(paid, 400)
    other = world.earning()
    world.accept(more)
    for wrong in (state, more, world.paid(other, 100)[1]):
        with pytest.raises(PeerMisbehaved):
            world.do(world.wallet.accept_state(channel.id, wrong, TORRENT))
    world.restart()
    with pytest.raises(PeerMisbehaved, match="not newer"):
        world.accept(more)
    assert world.sums()[3] == 400


def test_a_channel_that_is_over_is_not_begun_anew(world: World) -> None:
    channel = world.earning()
    world.accept(world.paid(channel, 300)[1])
    world.do(world.wallet.close_channel(channel.id))
    with pytest.raises(PeerMisbehaved):
        world.do(world.wallet.adopt(channel.id, Purpose.DISTRIBUTION))
    world.restart()
    with pytest.raises(PeerMisbehaved):
        world.do(world.wallet.adopt(channel.id, Purpose.DISTRIBUTION))


def test_a_channel_that_pays_somebody_else_or_ends_soon_is_refused(world: World) -> None:
    ends = UtcMs(world.clock.now() + DAY_MS)
    elsewhere = world.buyer.open("x", SELLER.address, MicroBtt(5), ends, DAY_MS)
    soon = UtcMs(world.clock.now() + CLOSE_BEFORE_MS)
    short = world.buyer.open("y", BOX.address, MicroBtt(5), soon, DAY_MS)
    for id in (elsewhere.id, short.id, b"?" * 32):
        with pytest.raises(PeerMisbehaved):
            world.do(world.wallet.adopt(id, Purpose.DISTRIBUTION))


def test_holds_at_once_never_exceed_what_there_is(world: World) -> None:
    async def all_at_once() -> list[str | BaseException]:
        asked = [world.wallet.hold(MicroBtt(900)) for _ in range(30)]
        return await asyncio.gather(*asked, return_exceptions=True)

    found = world.do(all_at_once())
    assert sum(isinstance(one, str) for one in found) == 11
    assert all(isinstance(one, str | NotEnough) for one in found)
    assert world.sums()[1] == 9_900


def test_channels_at_once_never_exceed_their_hold(world: World) -> None:
    hold = world.do(world.wallet.hold(MicroBtt(1_000)))

    async def all_at_once() -> list[WalletChannel | BaseException]:
        asked = [
            world.wallet.open_channel(hold, SELLER.address, MicroBtt(300), DAY_MS, Purpose.DOWNLOADING)
            for _ in range(8)
        ]
        return await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(one, WalletChannel) for one in world.do(all_at_once())) == 3
    world.round()
    assert world.sums() == (9_100, 100, 900, 0)


def test_the_box_closes_what_it_is_paid_in_before_the_payer_can(world: World) -> None:
    channel = world.earning(life_ms=DAY_MS)
    _, state = world.paid(channel, 700)
    world.accept(state)
    world.clock.advance((DAY_MS - CLOSE_BEFORE_MS) / 1_000 - 10)
    world.round()
    assert world.balance(BOX) == 10_000, "not before it has to"
    world.clock.advance(20)
    world.round()
    assert world.balance(BOX) == 10_700
    assert "Collected 0.0007 BTT" in world.heard.texts[-1]


def test_a_payer_that_closes_with_an_old_state_does_not_get_away_with_it(world: World) -> None:
    channel = world.earning(life_ms=DAY_MS)
    paid, old = world.paid(channel, 100)
    world.accept(old)
    world.accept(world.paid(paid, 900)[1])
    # The box was off when the channel ended.
    world.clock.advance(DAY_MS / 1_000 + 1)
    world.buyer.close_channel(channel.id, old)
    world.round()
    assert world.balance(BOX) == 10_900


def test_money_in_a_channel_whose_seller_is_gone_comes_back_after_its_end(world: World) -> None:
    world.opened(1_000, life_ms=DAY_MS)
    world.round()
    assert world.sums()[0] == 9_000
    world.clock.advance(DAY_MS / 1_000 + 1)
    world.round()
    assert world.sums()[0] == 9_000, "the seller has a day to show what it was paid"
    world.clock.advance(DAY_MS / 1_000 + 1)
    world.round()
    world.round()
    assert world.sums() == (10_000, 0, 0, 0)


# -------------------------------------------------------------------------------------------- bad days


def test_the_ledger_is_away_for_a_day_and_paying_goes_on(world: World) -> None:
    outgoing, incoming = world.opened(), world.earning(life_ms=2 * DAY_MS)
    world.line.away = True
    for hour in range(1, 25):
        world.clock.advance(3_600)
        with suppress(RetryLater):
            world.round()
        world.do(world.wallet.pay(outgoing.channel.id, MicroBtt(10 * hour), TORRENT))
        incoming, state = world.paid(incoming, 20 * hour)
        world.accept(state)
    world.line.away = False
    world.clock.advance(DAY_MS / 1_000)
    world.round()
    assert world.balance(BOX) == 9_000 + 480


def test_an_opening_whose_answer_was_lost_is_asked_for_again_and_locks_once(world: World) -> None:
    world.line.silent = 1
    with pytest.raises(RetryLater):
        world.opened(1_000)
    assert world.sums()[1] == 1_000
    world.restart()
    world.round()
    assert [held.standing for held in world.wallet.channels] == [ChannelStanding.OPEN]
    assert world.balance(BOX) == 9_000
    assert world.sums()[2] == 1_000


def test_an_opening_that_the_ledger_refuses_gives_the_money_back(world: World) -> None:
    hold = world.do(world.wallet.hold(MicroBtt(9_500)))
    # Another program with the same key was faster.
    other = DirectLedger(world.operator, BOX, world.clock)
    other.open("faster", SELLER.address, MicroBtt(9_000), UtcMs(world.clock.now() + DAY_MS), DAY_MS)
    with pytest.raises(NotEnough):
        world.do(
            world.wallet.open_channel(hold, SELLER.address, MicroBtt(9_500), DAY_MS, Purpose.DOWNLOADING)
        )
    world.do(world.wallet.release(hold))
    world.round()
    assert world.sums()[:2] == (1_000, 0)


def test_a_box_restored_from_yesterday_uses_no_channel_of_which_it_may_not_know_the_last_state(
    world: World,
) -> None:
    outgoing, incoming = world.opened(), world.earning()
    world.do(world.wallet.pay(outgoing.channel.id, MicroBtt(100), TORRENT))
    paid, first = world.paid(incoming, 100)
    world.accept(first)
    world.round()
    world.stop()
    yesterday = world.folder / "yesterday"
    yesterday.mkdir()
    shutil.copy(world.folder / "box.db", yesterday)
    world.start()
    late = world.earning()
    best = world.do(world.wallet.pay(outgoing.channel.id, MicroBtt(900), TORRENT))
    paid, second = world.paid(paid, 800)
    world.accept(second)
    world.accept(world.paid(late, 50)[1])
    world.round()
    world.stop()
    shutil.copy(yesterday / "box.db", world.folder)
    for left in ("box.db-wal", "box.db-shm"):
        (world.folder / left).unlink(missing_ok=True)
    world.start()
    world.line.away = True
    with suppress(RetryLater):
        world.round()
    world.line.away = False
    world.round()
    assert "older than its last run" in world.heard.texts[0]
    with pytest.raises(PeerMisbehaved):
        world.do(world.wallet.pay(outgoing.channel.id, MicroBtt(200), TORRENT))
    for old in (second, world.paid(paid, 900)[1], world.paid(late, 50)[1]):
        with pytest.raises(PeerMisbehaved):
            world.accept(old)
    with pytest.raises(PeerMisbehaved):
        world.do(world.wallet.adopt(incoming.id, Purpose.DISTRIBUTION))
    assert world.balance(BOX) == 9_000 + 100, "what it can prove is collected"
    world.seller.close_channel(outgoing.channel.id, best)
    world.clock.advance(3 * DAY_MS / 1_000)
    world.round()
    world.round()
    assert world.balance(BOX) == 9_100 + 100
    assert world.do(world.wallet.verify()) > 0
    said = len(world.heard.texts)
    world.restart()
    world.round()
    assert not any("older than its last run" in text for text in world.heard.texts[said:]), "said once"


def test_a_ledger_restored_from_yesterday_is_noticed_and_what_it_forgot_is_kept(world: World) -> None:
    held = world.opened()
    world.round()
    world.ledger_database.close()
    shutil.copy(world.folder / "ledger.db", world.folder / "yesterday.db")
    world.open_ledger()
    world.line.operator = world.seller.operator = world.buyer.operator = world.operator
    world.operator.credit(BOX.address, MicroBtt(5_000), secrets.token_hex(32))
    lost = world.opened(2_000)
    world.do(world.wallet.pay(held.channel.id, MicroBtt(300), TORRENT))
    world.round()
    assert world.sums()[0] == 12_000
    world.ledger_database.close()
    shutil.copy(world.folder / "yesterday.db", world.folder / "ledger.db")
    world.open_ledger()
    world.line.operator = world.seller.operator = world.buyer.operator = world.operator
    world.round()
    said = " ".join(world.heard.texts)
    assert "Entries missing from the ledger: 2" in said
    assert "(0.003 BTT in total)" in said
    assert "no longer knows a channel" in said
    assert world.sums()[0] == 9_000
    assert [line.amount for line in world.do(world.memory.forgotten())] == [5_000, -2_000]
    assert lost.channel.id not in {one.channel.id for one in world.wallet.channels}


def test_a_statement_that_does_not_add_up_is_not_believed(world: World) -> None:
    world.operator.credit(BOX.address, MicroBtt(7), secrets.token_hex(32))
    world.ledger_database.transact(lambda sql: sql.run("UPDATE posting SET balance = 5 WHERE amount = 7"))
    with pytest.raises(OwnerMustAct, match="does not add up"):
        world.round()
    assert world.sums()[0] == 10_000
    world.ledger_database.transact(lambda sql: sql.run("UPDATE posting SET balance = 10007 WHERE amount = 7"))


def test_a_full_disk_credits_nothing_and_loses_nothing(world: World) -> None:
    channel = world.earning()
    paid, state = world.paid(channel, 1)
    world.accept(state)

    def fill(db: sqlite3.Connection) -> None:
        # Whatever is written from now on finds no room.
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")

    world.database.run_now(fill)
    refused = None
    for number in range(2, 400):
        paid, state = world.paid(paid, number)
        try:
            world.do(world.wallet.accept_state(channel.id, state, f"{number:040x}"))
        except RetryLater:
            refused = number
            break
    assert refused is not None
    assert world.sums()[3] == refused - 1
    world.restart()
    assert world.sums()[3] == refused - 1
    assert world.accept(state) == 1, "it is accepted when there is room again"
    assert world.do(world.memory.audit()) is None


def test_a_clock_that_is_wrong_by_years_loses_nothing(world: World) -> None:
    """The wallet asks the ledger for the time; here both jump, as when the operator's clock is wrong."""
    channel = world.earning()
    world.accept(world.paid(channel, 300)[1])
    world.clock.jump(-10 * 365 * 86_400)
    world.round()
    world.clock.jump(20 * 365 * 86_400)
    world.round()
    assert world.balance(BOX) == 10_300, "it ended, as far as anybody can tell: the money is collected"


# ------------------------------------------------------------------------------------ everything together


class Life(RuleBasedStateMachine):
    """A box that buys and sells, and is killed at any write; a ledger that is away, or loses its answers."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        self.world = World(Path(self.folder, secrets.token_hex(8)))
        self.world.round()
        self.seen: dict[bytes, ChannelState] = {}
        """The best state that each seller was sent."""
        self.credited: dict[bytes, int] = {}
        self.buyers: dict[bytes, Channel] = {}

    def attempt(self, work: Coroutine[Any, Any, T]) -> T | None:
        try:
            return self.world.do(work)
        except (RetryLater, NotEnough, PeerMisbehaved, OwnerMustAct):
            return None
        except Cut:
            self.world.restart()
            return None

    @rule(amount=st.integers(1, 3_000), life=st.sampled_from([3, 30, 300]))
    def buy(self, amount: int, life: int) -> None:
        async def work() -> None:
            hold = await self.world.wallet.hold(MicroBtt(amount))
            await self.world.wallet.open_channel(
                hold, SELLER.address, MicroBtt(amount), life * HOUR_MS, Purpose.DOWNLOADING
            )

        self.attempt(work())

    @rule(which=st.integers(0, 9), more=st.integers(0, 900))
    def pay(self, which: int, more: int) -> None:
        ours = [held for held in self.world.wallet.channels if not held.purpose.earns]
        if not ours:
            return
        held = ours[which % len(ours)]
        state = self.attempt(
            self.world.wallet.pay(held.channel.id, MicroBtt(held.channel.paid + more), TORRENT)
        )
        if state:
            # The seller has its own rules: C2 of ledger/channel.py.
            before = self.seen.get(state.channel)
            known = held.channel if before is None else _at(held.channel, before)
            channels.accept(known, state)
            self.seen[state.channel] = state

    @rule(amount=st.integers(1, 2_000))
    def is_bought_from(self, amount: int) -> None:
        with suppress(NotEnough):
            channel = self.world.buyer.open(
                secrets.token_hex(8),
                BOX.address,
                MicroBtt(amount),
                UtcMs(self.world.clock.now() + 48 * HOUR_MS),
                DAY_MS,
            )
            self.buyers[channel.id] = channel
            self.attempt(self.world.wallet.adopt(channel.id, Purpose.DISTRIBUTION))

    @rule(which=st.integers(0, 9), more=st.integers(0, 500), honest=st.booleans())
    def is_paid(self, which: int, more: int, honest: bool) -> None:
        if not self.buyers:
            return
        id = list(self.buyers)[which % len(self.buyers)]
        channel = self.buyers[id]
        if not honest:
            channel = _at(channel, ChannelState(channel.ledger, id, 0, MicroBtt(0), b""))
        try:
            after, state = channels.pay(channel, BUYER, MicroBtt(min(channel.paid + more, channel.lock)))
        except OwnerMustAct:
            return
        if honest:
            self.buyers[id] = after
        before = self.credited.get(id, 0)
        earned = self.attempt(self.world.wallet.accept_state(id, state, TORRENT))
        if earned is None:
            # Refused, or killed around its commit: then only the wallet knows whether it was kept.
            self.credited[id] = self.kept(id, before)
        else:
            self.credited[id] = before + earned
        assert self.credited[id] in (before, state.paid)

    def kept(self, id: bytes, otherwise: int) -> int:
        """What the wallet has kept of a buyer's payments, while it keeps the channel at all."""
        found = [held.channel.paid for held in self.world.wallet.channels if held.channel.id == id]
        return found[0] if found else otherwise

    @rule(seconds=st.sampled_from([60, 3_600, 30_000, 90_000]))
    def later(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule(which=st.integers(0, 9))
    def a_seller_collects(self, which: int) -> None:
        if self.seen:
            state = list(self.seen.values())[which % len(self.seen)]
            with suppress(OwnerMustAct):
                self.world.seller.close_channel(state.channel, state)

    @rule(away=st.booleans(), silent=st.integers(0, 2))
    def mood(self, away: bool, silent: int) -> None:
        self.world.line.away, self.world.line.silent = away, silent

    @rule()
    def round(self) -> None:
        self.attempt(self.world.keeper.round())

    @rule(cut=st.integers(1, 8))
    def will_die(self, cut: int) -> None:
        self.world.memory.cut = cut

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def it_adds_up(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.operator.audit()
        sums = world.do(world.memory.sums())
        assert sums.balance - sums.held >= 0, "W1"
        assert world.do(world.memory.audit()) is None, "W3"
        kept = {held.channel.id: held for held in world.wallet.channels}
        for id, state in self.seen.items():
            assert id not in kept or kept[id].channel.seq >= state.seq, "W2: what was sent is known"
        for id, credited in self.credited.items():
            assert id not in kept or kept[id].channel.paid == credited, "W2: what was given for is kept"

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.line.away, world.line.silent, world.memory.cut = False, 0, -1
        for _ in range(8):
            world.clock.advance(200 * 3_600)
            world.round()
        assert world.wallet.channels == [] or all(
            held.purpose.earns and not held.signature for held in world.wallet.channels
        )
        # All is settled: what the box has is what it began with, and what its best states say.
        for id, credited in self.credited.items():
            assert world.buyer.channel(id).paid >= credited, "everything that was credited was collected"
        balance = world.sums()[0]
        assert balance == world.balance(BOX)
        world.close()


def _at(channel: Channel, state: ChannelState) -> Channel:
    from dataclasses import replace

    return replace(channel, seq=state.seq, paid=state.paid)


def test_what_was_credited_before_a_kill_is_credited_once(ram_path: Path) -> None:
    """The wallet dies between its commit and its answer, and the buyer sends the same amount again."""

    class Here(Life):
        folder = ram_path

    life = Here()
    life.begin()
    steps: list[Callable[[], None]] = [
        lambda: life.is_bought_from(amount=1),
        lambda: life.will_die(cut=8),
        lambda: life.buy(amount=1, life=3),
        lambda: life.is_paid(which=0, more=1, honest=True),
        lambda: life.is_paid(which=0, more=0, honest=True),
    ]
    for step in steps:
        step()
        life.it_adds_up()
    assert list(life.credited.values()) == [1]
    life.teardown()


def test_nothing_is_lost_paid_twice_or_believed_twice_whatever_happens(ram_path: Path) -> None:
    class Here(Life):
        folder = ram_path

    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=checks
        ),
    )
