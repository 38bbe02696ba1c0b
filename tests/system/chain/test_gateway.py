"""The gateway: G1 to G4 of ledger/gateway.py, on a chain and in a database that fail in every way."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from appliance.adapters.chain.fee import Fee, Prices, Resources, forecast, size_of
from appliance.adapters.chain.http_node import TRIES, HttpNode
from appliance.adapters.chain.node import ChainNode, Sent, SolidBlock
from appliance.adapters.chain.transaction import Transaction, Transfer, parse, serialise, sign
from appliance.adapters.store import ledger
from appliance.adapters.store.ledger_database import LedgerDatabase, Sql, open_ledger
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.keys import Address, Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger import gateway as rules
from appliance.domain.ledger.book import NotEnough
from appliance.domain.ledger.gateway import CHAIN, Asset, Withdrawal, WithdrawalLimits, WithdrawalPhase
from appliance.entrypoints.devnet.accounts import (
    NEW_ACCOUNT_NET_SUN,
    NEW_ACCOUNT_SUN,
    SUN_PER_BYTE,
    SUN_PER_ENERGY,
    TOKEN,
    ChainAccount,
    Refused,
    energy_of,
)
from appliance.entrypoints.devnet.app import create_app
from appliance.entrypoints.devnet.chain import SOLID_AFTER, Chain
from appliance.entrypoints.devnet.node import Mischief, Node
from appliance.entrypoints.settle.gateway import FEE_LIMIT, LIFE_MS, NO_LIMITS, ChainGateway
from tests.support.clock import FakeClock
from tests.support.wsgi import serving
from tests.system.ledger.test_store import Cut, Cutting

TRC10, TRC20 = Asset("1002000", 6), Asset(TOKEN, 18)
WALLET, ALICE, BOB = (Key(bytes(31) + bytes([number])) for number in (1, 2, 3))
BTT = 1_000_000
Fresh = Callable[[], str]


class Direct:
    """A node without a line in between: a written stand-in for HttpNode, with its own bad days."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.lose = False
        self.silent = False

    def solid_number(self) -> int:
        return self.chain.solid.number

    def solid_block(self, number: int) -> SolidBlock:
        if number > self.chain.solid.number:
            raise RetryLater("not yet")
        block = self.chain.blocks[number]
        transfers = tuple(
            (one.txid, parse(one.raw))
            for one, receipt in zip(block.transactions, block.receipts, strict=True)
            if receipt.result == "SUCCESS"
        )
        return SolidBlock(number, block.id, block.parent, block.timestamp, transfers)

    def solid_balance(self, address: Address, asset: str) -> int:
        accounts = self.chain.accounts_at(self.chain.solid.number)
        return accounts.get(address, ChainAccount()).assets.get(asset, 0)

    def development(self) -> bool:
        return True

    def fee(self, raw: bytes) -> Fee:
        transfer, accounts = parse(raw).transfer, self.chain.accounts
        owner = accounts.get(transfer.owner, ChainAccount())
        resources = Resources(trx=owner.trx, bandwidth=owner.free_net(self.chain.newest.timestamp), energy=0)
        prices = Prices(
            byte=SUN_PER_BYTE, energy=SUN_PER_ENERGY, new_account=NEW_ACCOUNT_SUN + NEW_ACCOUNT_NET_SUN
        )
        energy = energy_of(accounts, transfer.to) if transfer.is_call else 0
        wakes = not transfer.is_call and transfer.to not in accounts
        return forecast(resources, prices, size=size_of(raw), energy=energy, wakes=wakes)

    def broadcast(self, raw: bytes, signature: bytes) -> Sent:
        if self.silent:
            raise RetryLater("no answer")
        if self.lose:
            return Sent.TAKEN
        try:
            self.chain.take(raw, signature)
        except Refused as error:
            return Sent.TAKEN if error.code == "DUP_TRANSACTION_ERROR" else Sent.REFUSED
        return Sent.TAKEN


class World:
    """A chain, a ledger, and the gateway between them."""

    def __init__(self, where: str, asset: Asset, limits: WithdrawalLimits = NO_LIMITS) -> None:
        self.clock, self.asset, self.limits = FakeClock(), asset, limits
        genesis = {
            WALLET.address: ChainAccount(trx=10**12),
            ALICE.address: ChainAccount(trx=10**12, assets={asset.id: asset.units(MicroBtt(1_000 * BTT))}),
        }
        self.chain = Chain(self.clock.now, genesis)
        self.blocks(SOLID_AFTER + 2)
        self.node: ChainNode = Direct(self.chain)
        self.where = where
        self.open()
        self.gateway.read()

    def open(self) -> None:
        self.database: LedgerDatabase = open_ledger(self.where)
        self.gateway = self.another(self.node)

    def another(self, node: ChainNode, database: LedgerDatabase | None = None) -> ChainGateway:
        return ChainGateway(database or self.database, node, WALLET, self.asset, self.clock, self.limits)

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(3)
            self.chain.make_block()

    def solidify(self) -> None:
        self.blocks(SOLID_AFTER + 1)

    def deposit(self, amount: int, memo: bytes, to: Key = WALLET, asset: str | None = None) -> bytes:
        """Of µBTT, or of another asset's smallest units."""
        units = self.asset.units(MicroBtt(amount)) if asset is None else amount
        return self.send(
            Transfer(ALICE.address, to.address, self.asset.id if asset is None else asset, units), memo
        )

    def send(self, transfer: Transfer, memo: bytes, fee_limit: int = FEE_LIMIT) -> bytes:
        block, now = self.chain.solid, self.chain.newest.timestamp
        ref = block.id[6:8], block.id[8:16]
        fee_limit = fee_limit if transfer.is_call else 0
        raw = serialise(Transaction(transfer, *ref, now + 60_000, now, memo, fee_limit))
        return self.chain.take(raw, sign(raw, ALICE, transfer))

    def withdraw(self, name: str, amount: int, to: Key = BOB) -> None:
        one = Withdrawal(
            id=name, account=ALICE.address, to=to.address, amount=MicroBtt(amount), at=self.clock.now()
        )

        def work(sql: Sql) -> None:
            ledger.post(sql, rules.lock(one))
            ledger.put_withdrawal(sql, one)

        self.database.transact(work)

    def phase(self, name: str) -> WithdrawalPhase:
        return self.database.transact(lambda sql: ledger.get_withdrawal(sql, name)).phase

    def balance(self, account: str) -> int:
        return self.database.transact(lambda sql: ledger.balance(sql, account))

    def on_chain(self, key: Key) -> int:
        held = self.chain.accounts.get(key.address, ChainAccount()).assets.get(self.asset.id, 0)
        return self.asset.amount(held)

    def close(self) -> None:
        self.database.transact(ledger.audit)
        self.database.close()


@pytest.fixture(params=[TRC10, TRC20], ids=["trc10", "trc20"])
def asset(request: pytest.FixtureRequest) -> Asset:
    found: Asset = request.param
    return found


@pytest.fixture
def world(fresh: Fresh, asset: Asset) -> Iterator[World]:
    made = World(fresh(), asset)
    yield made
    made.close()


def funded(world: World, amount: int = 100 * BTT) -> None:
    world.deposit(amount, ALICE.address.encode())
    world.blocks(1)
    world.solidify()
    world.gateway.run()
    assert world.balance(ALICE.address) == amount


def test_a_deposit_is_credited_by_its_memo_when_it_is_solid_and_once(world: World) -> None:
    world.deposit(5 * BTT, ALICE.address.encode())
    world.blocks(SOLID_AFTER)
    world.gateway.run()
    assert world.balance(ALICE.address) == 0, "not solid yet"
    world.blocks(1)
    passes = [world.gateway.run().deposits for _ in range(3)]
    assert world.balance(ALICE.address) == 5 * BTT
    assert passes == [[5 * BTT], [], []]


@pytest.mark.parametrize("memo", [b"", b"hello", b"\xff\xfe", b"T" * 34, ALICE.address.lower().encode()])
def test_a_deposit_for_nobody_is_credited_to_nobody_and_shows_as_a_difference(
    world: World, memo: bytes
) -> None:
    world.deposit(5, memo)
    world.blocks(1)
    world.solidify()
    world.gateway.run()
    assert world.database.transact(ledger.held) == 0
    assert world.database.transact(lambda sql: ledger.fact(sql, "solid")) == "5"


def test_other_tokens_and_other_wallets_are_not_ours(world: World) -> None:
    world.deposit(5, ALICE.address.encode(), to=BOB)
    world.deposit(7, ALICE.address.encode(), asset="")
    world.blocks(1)
    world.solidify()
    world.gateway.run()
    assert world.database.transact(ledger.held) == 0


def test_a_deposit_that_a_fork_takes_back_was_never_credited(world: World) -> None:
    world.deposit(5, ALICE.address.encode())
    world.blocks(3)
    world.gateway.run()
    world.chain.fork(10)
    world.solidify()
    world.gateway.run()
    assert world.balance(ALICE.address) == 0


def test_a_withdrawal_is_locked_sent_and_paid_when_solid(world: World) -> None:
    funded(world)
    world.withdraw("w", 30 * BTT)
    assert world.balance(ALICE.address) == 70 * BTT
    world.gateway.run()
    assert world.phase("w") is WithdrawalPhase.SIGNED
    world.blocks(1)
    world.gateway.run()
    assert world.phase("w") is WithdrawalPhase.SIGNED, "not solid yet"
    world.solidify()
    world.gateway.run()
    assert world.phase("w") is WithdrawalPhase.PAID
    assert world.on_chain(BOB) == 30 * BTT
    assert world.balance(CHAIN) == -70 * BTT


def test_a_lost_broadcast_is_sent_again_with_the_same_bytes(world: World) -> None:
    funded(world)
    world.withdraw("w", 30)
    assert isinstance(world.node, Direct)
    world.node.lose = True
    world.gateway.run()
    first = world.database.transact(lambda sql: ledger.get_withdrawal(sql, "w")).raw
    world.blocks(2)
    world.node.lose = False
    world.gateway.run()
    assert world.database.transact(lambda sql: ledger.get_withdrawal(sql, "w")).raw == first
    world.solidify()
    world.gateway.run()
    assert world.phase("w") is WithdrawalPhase.PAID
    assert world.on_chain(BOB) == 30


def test_it_is_refunded_only_when_it_can_never_happen(world: World) -> None:
    funded(world)
    world.withdraw("w", 30)
    assert isinstance(world.node, Direct)
    world.node.silent = True
    world.gateway.run()
    signed = world.database.transact(lambda sql: ledger.get_withdrawal(sql, "w"))
    while world.chain.newest.timestamp < signed.expiration:
        world.blocks(10)
        world.gateway.run()
    assert world.phase("w") is WithdrawalPhase.SIGNED, "past its end, but no solid block says so"
    world.solidify()
    world.gateway.run()
    assert world.phase("w") is WithdrawalPhase.REFUNDED
    assert world.balance(ALICE.address) == 100 * BTT
    with pytest.raises(Refused):
        world.chain.take(signed.raw, signed.signature)


def test_what_was_included_in_the_very_last_block_is_paid_and_not_refunded(world: World) -> None:
    funded(world)
    world.withdraw("w", 30)
    assert isinstance(world.node, Direct)
    world.node.silent = True
    world.gateway.run()
    signed = world.database.transact(lambda sql: ledger.get_withdrawal(sql, "w"))
    while world.chain.newest.timestamp + 3_000 < signed.expiration:
        world.blocks(1)
    world.chain.take(signed.raw, signed.signature)
    world.blocks(1)
    assert world.chain.newest.timestamp >= signed.expiration
    world.solidify()
    world.gateway.run()
    assert world.phase("w") is WithdrawalPhase.PAID


def test_a_wallet_that_ran_dry_lets_withdrawals_wait(world: World) -> None:
    funded(world)
    # Somebody with the wallet's key takes tokens past the ledger.
    units = world.asset.units(MicroBtt(90 * BTT))
    transfer = Transfer(WALLET.address, BOB.address, world.asset.id, units)
    block, now = world.chain.solid, world.chain.newest.timestamp
    raw = serialise(Transaction(transfer, block.id[6:8], block.id[8:16], now + 60_000, now, b"", FEE_LIMIT))
    world.chain.take(raw, sign(raw, WALLET, transfer))
    world.blocks(1)
    world.solidify()
    world.withdraw("w", 30 * BTT)
    waiting = world.gateway.run().waiting
    assert [one.id for one in waiting] == ["w"]
    assert "run dry" in waiting[0].why
    assert world.phase("w") is WithdrawalPhase.LOCKED
    assert world.balance(ALICE.address) == 70 * BTT


def test_a_wallet_without_trx_for_the_fee_lets_withdrawals_wait(world: World) -> None:
    funded(world)
    # All but one TRX leaves the wallet: waking an account costs 1.1, a contract more.
    left = world.chain.accounts[WALLET.address].trx - 1_000_000
    transfer = Transfer(WALLET.address, ALICE.address, "", left)
    block, now = world.chain.solid, world.chain.newest.timestamp
    raw = serialise(Transaction(transfer, block.id[6:8], block.id[8:16], now + 60_000, now))
    world.chain.take(raw, sign(raw, WALLET, transfer))
    world.blocks(1)
    world.withdraw("w", 30)
    waiting = world.gateway.run().waiting
    assert "TRX for the fee" in waiting[0].why
    assert world.phase("w") is WithdrawalPhase.LOCKED


def test_limits_hold_for_each_withdrawal_for_a_day_and_for_addresses(fresh: Fresh, asset: Asset) -> None:
    limits = WithdrawalLimits(each=MicroBtt(50), day=MicroBtt(60), allow=frozenset({BOB.address}))
    world = World(fresh(), asset, limits)
    funded(world)
    for name, amount, to in (("a", 50, BOB), ("b", 20, BOB), ("c", 51, BOB), ("d", 5, ALICE)):
        world.withdraw(name, amount, to)
    why = {one.id: one.why for one in world.gateway.run().waiting}
    assert world.phase("a") is WithdrawalPhase.SIGNED
    assert why["b"] == "the daily limit is reached"
    assert "at most 0.00005 BTT" in why["c"]
    assert "list of allowed addresses" in why["d"]
    world.blocks(1)
    world.solidify()
    world.gateway.run()
    assert (world.phase("a"), world.phase("b")) == (WithdrawalPhase.PAID, WithdrawalPhase.LOCKED)
    world.clock.advance(86_400)
    world.blocks(1)
    world.solidify()
    world.gateway.run()
    assert world.phase("b") is WithdrawalPhase.SIGNED
    assert {world.phase("c"), world.phase("d")} == {WithdrawalPhase.LOCKED}
    world.close()


def test_a_clock_that_is_wrong_by_years_changes_nothing(world: World) -> None:
    """What ends when is read from the chain; the gateway's own clock only dates its entries."""
    funded(world)
    honest, jump = world.gateway._clock, FakeClock()
    assert honest is world.clock
    for years in (-10, 10):
        jump.wall = UtcMs(world.clock.wall + years * 365 * 86_400_000)
        gate = ChainGateway(world.database, world.node, WALLET, world.asset, jump)
        world.withdraw(f"w{years}", 30)
        gate.run()
        assert world.phase(f"w{years}") is WithdrawalPhase.SIGNED
        world.blocks(1)
        world.solidify()
        gate.run()
        assert world.phase(f"w{years}") is WithdrawalPhase.PAID
    assert world.on_chain(BOB) == 60


def test_what_is_no_whole_number_of_micro_btt_is_not_credited(fresh: Fresh) -> None:
    world = World(fresh(), TRC20)
    wallet = WALLET.address
    world.send(Transfer(ALICE.address, wallet, TOKEN, 5 * 10**12 + 1), ALICE.address.encode())
    world.send(Transfer(ALICE.address, wallet, TOKEN, 7 * 10**12), ALICE.address.encode())
    world.blocks(1)
    world.solidify()
    world.gateway.run()
    assert world.balance(ALICE.address) == 7
    assert world.database.transact(lambda sql: ledger.fact(sql, "solid")) == "12"
    world.close()


def test_a_contract_that_fails_credits_nobody_and_pays_nobody(fresh: Fresh) -> None:
    """It is in a solid block, and has moved nothing: out of energy, or more than there was."""
    world = World(fresh(), TRC20)
    funded(world)
    poor = Transfer(ALICE.address, WALLET.address, TOKEN, 5 * 10**12)
    world.send(poor, ALICE.address.encode(), fee_limit=1)
    world.send(replace(poor, amount=10**40), ALICE.address.encode())
    world.blocks(1)
    assert [one.result for one in world.chain.newest.receipts] == ["OUT_OF_ENERGY", "REVERT"]
    world.solidify()
    world.gateway.run()
    assert world.balance(ALICE.address) == 100 * BTT
    world.close()


def test_what_the_ledger_tells_of_its_gateway(world: World) -> None:
    world.gateway.run()
    facts = json.loads(world.database.transact(lambda sql: ledger.fact(sql, rules.FACT)) or "")
    assert (facts["address"], facts["asset"], facts["development"]) == (WALLET.address, world.asset.id, True)
    # A TRC-10 transfer fits into the day's free bandwidth; a contract's energy is burnt.
    assert (facts["fee"] == 0) == (world.asset is TRC10)


def test_two_passes_at_once_sign_one_transfer(world: World) -> None:
    funded(world)
    world.withdraw("w", 30)
    locked = world.database.transact(ledger.open_withdrawals)[0]
    other = world.another(world.node)
    world.gateway.sign(locked)
    first = world.database.transact(lambda sql: ledger.get_withdrawal(sql, "w"))
    world.solidify()
    other.read()
    other.sign(locked)
    assert world.database.transact(lambda sql: ledger.get_withdrawal(sql, "w")) == first


def test_a_node_of_another_chain_is_not_believed(world: World) -> None:
    funded(world)
    stranger = World(world.where + ".other" if "://" not in world.where else world.where, world.asset)
    world.blocks(3)
    honest = world.node

    class Liar(Direct):
        def solid_block(self, number: int) -> SolidBlock:
            return replace(super().solid_block(number), parent=b"\1" * 32)

    liar = Liar(world.chain)
    with pytest.raises(OwnerMustAct, match="another chain, or lies"):
        world.another(liar).run()
    world.another(honest).run()
    stranger.database.close()


def test_nobody_withdraws_more_than_they_have(world: World) -> None:
    funded(world)
    with pytest.raises(NotEnough):
        world.withdraw("w", 100 * BTT + 1)


# -------------------------------------------------------------------------------- over HTTP, as it will be


@pytest.fixture
def line(world: World) -> Iterator[tuple[Node, str]]:
    node = Node(world.chain, TRC10.id)
    with serving(create_app(node)) as url:
        yield node, url


def test_it_works_over_http_with_tronpy_and_through_a_nodes_bad_moods(
    world: World, line: tuple[Node, str]
) -> None:
    node, url = line
    naps: list[float] = []
    http = HttpNode(["http://127.0.0.1:9", url], asset=world.asset.id, sleep=naps.append)
    gate = world.another(http)
    world.deposit(50, ALICE.address.encode())
    world.blocks(1)
    world.solidify()
    node.mischief = Mischief(busy=TRIES)
    with pytest.raises(RetryLater):
        gate.run()
    assert naps == sorted(naps), "each wait is longer than the one before"
    for mischief in (Mischief(html=2), Mischief(broken=3)):
        node.mischief = mischief
        gate.run()
    assert world.balance(ALICE.address) == 50
    world.withdraw("w", 20)
    node.mischief = Mischief(keep_back=1)
    gate.run()
    assert world.phase("w") is WithdrawalPhase.SIGNED
    gate.run()
    world.blocks(1)
    world.solidify()
    gate.run()
    assert world.phase("w") is WithdrawalPhase.PAID
    assert world.on_chain(BOB) == 20
    assert world.database.transact(lambda sql: ledger.fact(sql, "solid")) == "30"
    http.close()


def test_a_wallet_that_the_node_says_has_run_dry_sends_nothing_and_loses_nothing(
    world: World, line: tuple[Node, str]
) -> None:
    funded(world)
    node, url = line
    http = HttpNode([url], asset=world.asset.id, sleep=lambda seconds: None)
    world.withdraw("w", 30)
    node.mischief = Mischief(dry=WALLET.address)
    assert "run dry" in world.another(http).run().waiting[0].why
    assert world.phase("w") is WithdrawalPhase.LOCKED
    assert json.loads(world.database.transact(lambda sql: ledger.fact(sql, "solid")) or "") == 0
    node.mischief = Mischief()
    assert world.another(http).run().waiting == []
    assert world.phase("w") is WithdrawalPhase.SIGNED
    http.close()


def test_both_nodes_say_the_same(world: World, line: tuple[Node, str]) -> None:
    """The contract of ChainNode, on the stand-in and on the real adapter."""
    funded(world)
    direct, http = world.node, HttpNode([line[1]], asset=world.asset.id, sleep=lambda seconds: None)
    number = direct.solid_number()
    assert http.solid_number() == number
    for back in range(SOLID_AFTER + 3):
        assert http.solid_block(number - back) == direct.solid_block(number - back)
    asset = world.asset.id
    assert http.solid_balance(WALLET.address, asset) == direct.solid_balance(WALLET.address, asset) > 0
    assert http.development()
    for node in (direct, http):
        with pytest.raises(RetryLater):
            node.solid_block(number + 1)
    for to in (ALICE, BOB):
        for memo in (b"", b"x" * 200):
            raw = serialise(
                Transaction(
                    Transfer(WALLET.address, to.address, asset, 5), b"zz", b"12345678", 10**15, 1, memo
                )
            )
            assert http.fee(raw) == direct.fee(raw)
    transfer = Transfer(WALLET.address, BOB.address, asset, 5)
    raw = serialise(Transaction(transfer, b"zz", b"12345678", 10**15, 1))
    for node in (direct, http):
        assert node.broadcast(raw, sign(raw, WALLET, transfer)) is Sent.REFUSED
    http.close()


# ----------------------------------------------------------------------------------- everything together


class CuttingDatabase:
    """A database whose transactions end in the middle, now and then."""

    def __init__(self, database: LedgerDatabase, cuts: Iterator[int]) -> None:
        self._database, self._cuts = database, cuts

    def transact(self, work: Callable[[Sql], Any]) -> Any:
        cut = next(self._cuts)
        return self._database.transact(lambda sql: work(Cutting(sql, cut)))

    def close(self) -> None:
        self._database.close()


def machine(fresh: Fresh, asset: Asset) -> type[RuleBasedStateMachine]:
    class Exchange(RuleBasedStateMachine):
        """Deposits, withdrawals, forks, lost broadcasts, and a gateway that is killed at any statement."""

        @initialize()
        def begin(self) -> None:
            self.world = World(fresh(), asset)
            funded(self.world, 500)
            self.count = 0
            self.sent: dict[str, int] = {}
            self.unmatched = 0

        @rule(amount=st.integers(1, 50), known=st.booleans())
        def deposit(self, amount: int, known: bool) -> None:
            with suppress(Refused):
                self.world.deposit(amount, ALICE.address.encode() if known else b"?")

        @rule(amount=st.integers(1, 60))
        def withdraw(self, amount: int) -> None:
            self.count += 1
            with suppress(NotEnough):
                self.world.withdraw(str(self.count), amount)
                self.sent[str(self.count)] = amount

        @rule(count=st.sampled_from([1, 2, SOLID_AFTER, SOLID_AFTER + 2]))
        def blocks(self, count: int) -> None:
            self.world.blocks(count)

        @rule(which=st.integers(0, 20))
        def somebody_sends_a_copy(self, which: int) -> None:
            """Whoever has seen a signed transfer can send it, whenever they like."""
            copies = [one for one in map(self.one, self.sent) if one.raw]
            if copies:
                one = copies[which % len(copies)]
                with suppress(Refused):
                    self.world.chain.take(one.raw, one.signature)

        @rule()
        def much_later(self) -> None:
            self.world.clock.advance(LIFE_MS / 1_000)
            self.world.blocks(1)

        @rule(depth=st.integers(1, 15))
        def fork(self, depth: int) -> None:
            self.world.chain.fork(depth)

        @rule(lose=st.booleans(), silent=st.booleans())
        def mood(self, lose: bool, silent: bool) -> None:
            assert isinstance(self.world.node, Direct)
            self.world.node.lose, self.world.node.silent = lose, silent

        @rule()
        def run(self) -> None:
            self.world.gateway.run()

        @rule(cuts=st.lists(st.integers(0, 30), min_size=1, max_size=12))
        def run_and_be_killed(self, cuts: list[int]) -> None:
            world = self.world
            cutting = CuttingDatabase(world.database, iter([*cuts, *[1_000] * 1_000]))
            with suppress(Cut):
                world.another(world.node, cutting).run()
            world.database.close()
            world.open()

        @invariant()
        def nothing_is_paid_twice_or_lost(self) -> None:
            if not hasattr(self, "world"):
                return
            world = self.world
            world.database.transact(ledger.audit)
            position = world.gateway._position()
            assert position is not None
            then = world.chain.accounts_at(position[0])
            held = world.database.transact(ledger.held)
            signed = [self.one(name) for name in self.sent]
            included = {
                one.txid for block in world.chain.blocks[: position[0] + 1] for one in block.transactions
            }
            unmatched = sum(
                asset.amount(parse(one.raw).transfer.amount)
                for block in world.chain.blocks[: position[0] + 1]
                for one in block.transactions
                if parse(one.raw).transfer.to == WALLET.address and parse(one.raw).memo == b"?"
            )
            assert asset.amount(then[WALLET.address].assets.get(asset.id, 0)) == held + unmatched
            for one in signed:
                assert (one.phase is WithdrawalPhase.PAID) == (
                    one.txid in included and one.phase is not WithdrawalPhase.SIGNED
                )
                if one.phase is WithdrawalPhase.REFUNDED:
                    assert one.txid not in {
                        other.txid for block in world.chain.blocks for other in block.transactions
                    }
            paid = sum(one.amount for one in signed if one.phase is WithdrawalPhase.PAID)
            assert asset.amount(then.get(BOB.address, ChainAccount()).assets.get(asset.id, 0)) == paid

        def one(self, name: str) -> Withdrawal:
            return self.world.database.transact(lambda sql: ledger.get_withdrawal(sql, name))

        def teardown(self) -> None:
            if hasattr(self, "world"):
                self.world.close()

    return Exchange


def test_nothing_is_paid_twice_or_lost_whatever_happens(fresh: Fresh, asset: Asset) -> None:
    run_state_machine_as_test(
        machine(fresh, asset), settings=settings(max_examples=20, stateful_step_count=40, deadline=None)
    )


def test_the_wallets_key_is_in_no_log_and_no_message(world: World, caplog: pytest.LogCaptureFixture) -> None:
    funded(world)
    world.withdraw("w", 30)
    world.gateway.run()
    assert WALLET.secret.hex() not in caplog.text + repr(world.gateway.__dict__)
