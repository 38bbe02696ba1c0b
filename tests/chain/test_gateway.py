"""The gateway: G1 to G4 of ledger/gateway.py, on a chain and in a database that fail in every way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import waitress
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from appliance.chain.devnet.chain import SOLID_AFTER, Account, Chain, Refused
from appliance.chain.devnet.node import Mischief, Node, create_app
from appliance.chain.http_node import HttpNode
from appliance.chain.node import ChainNode, Sent, SolidBlock
from appliance.chain.transaction import Transaction, Transfer, parse, serialise, sign
from appliance.clock import FakeClock
from appliance.errors import OwnerMustAct, RetryLater
from appliance.keys import Address, Key
from appliance.ledger import gateway as rules
from appliance.ledger.book import NotEnough
from appliance.ledger.gateway import CHAIN, Phase, Withdrawal
from appliance.settle.gateway import LIFE_MS, Gateway
from appliance.store import ledger
from appliance.store.ledger_database import LedgerDatabase, Sql, open_ledger
from appliance.units import MicroBtt
from tests.ledger.test_store import Cut, Cutting
from tests.support.addresses import address

ASSET = "1002000"
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
        transfers = tuple((one.txid, parse(one.raw)) for one in block.transactions)
        return SolidBlock(number, block.id, block.parent, block.timestamp, transfers)

    def solid_balance(self, address: Address, asset: str) -> int:
        accounts = self.chain.accounts_at(self.chain.solid.number)
        return accounts.get(address, Account()).assets.get(asset, 0)

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

    def __init__(self, where: str, wallet: int = 0) -> None:
        self.clock = FakeClock()
        genesis = {
            WALLET.address: Account(trx=10**12, assets={ASSET: wallet}),
            ALICE.address: Account(trx=10**12, assets={ASSET: 1_000 * BTT}),
        }
        self.chain = Chain(self.clock.now, genesis)
        self.blocks(SOLID_AFTER + 2)
        self.node: ChainNode = Direct(self.chain)
        self.where = where
        self.open()
        self.gateway.read()

    def open(self) -> None:
        self.database: LedgerDatabase = open_ledger(self.where)
        self.gateway = Gateway(self.database, self.node, WALLET, ASSET, self.clock)

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(3)
            self.chain.make_block()

    def solidify(self) -> None:
        self.blocks(SOLID_AFTER + 1)

    def deposit(self, amount: int, memo: bytes, to: Key = WALLET, asset: str = ASSET) -> bytes:
        block = self.chain.solid
        transfer = Transfer(ALICE.address, to.address, asset, amount)
        now = self.chain.newest.timestamp
        raw = serialise(Transaction(transfer, block.id[6:8], block.id[8:16], now + 60_000, now, memo))
        return self.chain.take(raw, sign(raw, ALICE, transfer))

    def withdraw(self, name: str, amount: int, to: Key = BOB) -> None:
        one = Withdrawal(
            id=name, account=ALICE.address, to=to.address, amount=MicroBtt(amount), at=self.clock.now()
        )

        def work(sql: Sql) -> None:
            ledger.post(sql, rules.lock(one))
            ledger.put_withdrawal(sql, one)

        self.database.transact(work)

    def phase(self, name: str) -> Phase:
        return self.database.transact(lambda sql: ledger.get_withdrawal(sql, name)).phase

    def balance(self, account: str) -> int:
        return self.database.transact(lambda sql: ledger.balance(sql, account))

    def on_chain(self, key: Key) -> int:
        return self.chain.accounts.get(key.address, Account()).assets.get(ASSET, 0)

    def close(self) -> None:
        self.database.transact(ledger.audit)
        self.database.close()


@pytest.fixture
def world(fresh: Fresh) -> Iterator[World]:
    made = World(fresh())
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
    for _ in range(3):
        world.gateway.run()
    assert world.balance(ALICE.address) == 5 * BTT


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
    assert world.phase("w") is Phase.SIGNED
    world.blocks(1)
    world.gateway.run()
    assert world.phase("w") is Phase.SIGNED, "not solid yet"
    world.solidify()
    world.gateway.run()
    assert world.phase("w") is Phase.PAID
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
    assert world.phase("w") is Phase.PAID
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
    assert world.phase("w") is Phase.SIGNED, "past its end, but no solid block says so"
    world.solidify()
    world.gateway.run()
    assert world.phase("w") is Phase.REFUNDED
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
    assert world.phase("w") is Phase.PAID


def test_a_wallet_that_ran_dry_lets_withdrawals_wait(world: World) -> None:
    funded(world)
    world.chain._genesis[WALLET.address].assets[ASSET] -= 90 * BTT
    world.withdraw("w", 30 * BTT)
    world.gateway.run()
    assert world.phase("w") is Phase.LOCKED
    assert world.balance(ALICE.address) == 70 * BTT


def test_two_passes_at_once_sign_one_transfer(world: World) -> None:
    funded(world)
    world.withdraw("w", 30)
    locked = world.database.transact(ledger.open_withdrawals)[0]
    other = Gateway(world.database, world.node, WALLET, ASSET, world.clock)
    world.gateway.sign(locked)
    first = world.database.transact(lambda sql: ledger.get_withdrawal(sql, "w"))
    world.solidify()
    other.read()
    other.sign(locked)
    assert world.database.transact(lambda sql: ledger.get_withdrawal(sql, "w")) == first


def test_a_node_of_another_chain_is_not_believed(world: World) -> None:
    funded(world)
    stranger = World(world.where + ".other" if "://" not in world.where else world.where)
    world.blocks(3)
    honest = world.node

    class Liar(Direct):
        def solid_block(self, number: int) -> SolidBlock:
            return replace(super().solid_block(number), parent=b"\1" * 32)

    liar = Liar(world.chain)
    with pytest.raises(OwnerMustAct, match="another chain, or lies"):
        Gateway(world.database, liar, WALLET, ASSET, world.clock).run()
    Gateway(world.database, honest, WALLET, ASSET, world.clock).run()
    stranger.database.close()


def test_nobody_withdraws_more_than_they_have(world: World) -> None:
    funded(world)
    with pytest.raises(NotEnough):
        world.withdraw("w", 100 * BTT + 1)


# -------------------------------------------------------------------------------- over HTTP, as it will be


@pytest.fixture
def line(world: World) -> Iterator[tuple[Node, str]]:
    node = Node(world.chain, ASSET)
    ip = address()
    server = waitress.create_server(create_app(node), host=ip, port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield node, f"http://{ip}:{server.effective_port}"
    server.close()
    thread.join(10)


def test_it_works_over_http_with_tronpy_and_through_a_nodes_bad_moods(
    world: World, line: tuple[Node, str]
) -> None:
    node, url = line
    http = HttpNode(["http://127.0.0.1:9", url])
    gate = Gateway(world.database, http, WALLET, ASSET, world.clock)
    world.deposit(50, ALICE.address.encode())
    world.blocks(1)
    world.solidify()
    node.mischief = Mischief(busy=1)
    with pytest.raises(RetryLater):
        gate.run()
    for mischief in (Mischief(html=2), Mischief(broken=3)):
        node.mischief = mischief
        with suppress(RetryLater):
            gate.run()
    node.mischief = Mischief()
    gate.run()
    assert world.balance(ALICE.address) == 50
    world.withdraw("w", 20)
    node.mischief = Mischief(keep_back=1)
    gate.run()
    assert world.phase("w") is Phase.SIGNED
    node.mischief = Mischief()
    gate.run()
    world.blocks(1)
    world.solidify()
    gate.run()
    assert world.phase("w") is Phase.PAID
    assert world.on_chain(BOB) == 20
    assert world.database.transact(lambda sql: ledger.fact(sql, "solid")) == "30"


def test_both_nodes_say_the_same(world: World, line: tuple[Node, str]) -> None:
    """The contract of ChainNode, on the stand-in and on the real adapter."""
    funded(world)
    direct, http = world.node, HttpNode([line[1]])
    number = direct.solid_number()
    assert http.solid_number() == number
    for back in range(SOLID_AFTER + 3):
        assert http.solid_block(number - back) == direct.solid_block(number - back)
    assert http.solid_balance(WALLET.address, ASSET) == direct.solid_balance(WALLET.address, ASSET)
    for node in (direct, http):
        with pytest.raises(RetryLater):
            node.solid_block(number + 1)
    transfer = Transfer(WALLET.address, BOB.address, ASSET, 5)
    raw = serialise(Transaction(transfer, b"zz", b"12345678", 10**15, 1))
    for node in (direct, http):
        assert node.broadcast(raw, sign(raw, WALLET, transfer)) is Sent.REFUSED


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


def machine(fresh: Fresh) -> type[RuleBasedStateMachine]:
    class Exchange(RuleBasedStateMachine):
        """Deposits, withdrawals, forks, lost broadcasts, and a gateway that is killed at any statement."""

        @initialize()
        def begin(self) -> None:
            self.world = World(fresh())
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
                Gateway(cutting, world.node, WALLET, ASSET, world.clock).run()
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
                parse(one.raw).transfer.amount
                for block in world.chain.blocks[: position[0] + 1]
                for one in block.transactions
                if parse(one.raw).transfer.to == WALLET.address and parse(one.raw).memo == b"?"
            )
            assert then[WALLET.address].assets.get(ASSET, 0) == held + unmatched
            for one in signed:
                assert (one.phase is Phase.PAID) == (one.txid in included and one.phase is not Phase.SIGNED)
                if one.phase is Phase.REFUNDED:
                    assert one.txid not in {
                        other.txid for block in world.chain.blocks for other in block.transactions
                    }
            paid = sum(one.amount for one in signed if one.phase is Phase.PAID)
            assert then.get(BOB.address, Account()).assets.get(ASSET, 0) == paid

        def one(self, name: str) -> Withdrawal:
            return self.world.database.transact(lambda sql: ledger.get_withdrawal(sql, name))

        def teardown(self) -> None:
            if hasattr(self, "world"):
                self.world.close()

    return Exchange


def test_nothing_is_paid_twice_or_lost_whatever_happens(fresh: Fresh) -> None:
    run_state_machine_as_test(
        machine(fresh), settings=settings(max_examples=30, stateful_step_count=40, deadline=None)
    )


def test_the_wallets_key_is_in_no_log_and_no_message(world: World, caplog: pytest.LogCaptureFixture) -> None:
    funded(world)
    world.withdraw("w", 30)
    world.gateway.run()
    assert WALLET.secret.hex() not in caplog.text + repr(world.gateway.__dict__)
