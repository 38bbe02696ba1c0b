"""The development chain: its rules, and that tronpy cannot tell it from a real node."""

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.adapters.chain.fee import size_of
from appliance.adapters.chain.transaction import Transaction, Transfer, serialise, sign, txid
from appliance.core.keys import Key
from appliance.entrypoints.devnet.accounts import (
    ENERGY_NEW,
    FREE_NET,
    SUN_PER_ENERGY,
    TOKEN,
    ChainAccount,
    Refused,
)
from appliance.entrypoints.devnet.app import create_app
from appliance.entrypoints.devnet.chain import BLOCK_MS, SOLID_AFTER, Chain
from appliance.entrypoints.devnet.node import FAUCET, Node
from tests.support.addresses import address, free_port
from tests.support.box import SEEDBOX
from tests.support.clock import FakeClock
from tests.support.processes import end, start
from tests.support.until import until
from tests.support.wsgi import serving

ASSET = "1002000"
RICH, POOR, NEW = (Key(bytes(31) + bytes([number])) for number in (1, 2, 3))
TRX = 1_000_000


def make(clock: FakeClock) -> Chain:
    genesis = {
        RICH.address: ChainAccount(trx=100 * TRX, assets={ASSET: 10_000}),
        POOR.address: ChainAccount(trx=10, assets={ASSET: 50}),
    }
    chain = Chain(clock.now, genesis)
    chain.make_block()
    return chain


def transfer(chain: Chain, key: Key, to: Key, amount: int, asset: str = ASSET, **change: Any) -> bytes:
    block = chain.solid
    made = Transaction(
        Transfer(key.address, to.address, asset, amount),
        block.id[6:8],
        block.id[8:16],
        chain.newest.timestamp + 60_000,
        chain.newest.timestamp,
    )
    return serialise(replace(made, **change))


def send(chain: Chain, key: Key, raw: bytes) -> bytes:
    from appliance.adapters.chain.transaction import parse

    return chain.take(raw, sign(raw, key, parse(raw).transfer))


def test_a_transfer_is_in_the_next_block_and_solid_nineteen_later() -> None:
    clock = FakeClock()
    chain = make(clock)
    id = send(chain, RICH, transfer(chain, RICH, POOR, 7))
    assert chain.find(id) is None
    block = chain.make_block()
    assert chain.find(id) is not None
    for _ in range(SOLID_AFTER - 1):
        clock.advance(BLOCK_MS / 1_000)
        chain.make_block()
    assert chain.solid.number < block.number
    chain.make_block()
    assert chain.solid.number == block.number
    assert chain.accounts[POOR.address].assets[ASSET] == 57


def test_block_ids_carry_their_number_and_depend_on_everything_before() -> None:
    one, other = make(FakeClock()), make(FakeClock())
    assert one.newest.id == other.newest.id
    send(one, RICH, transfer(one, RICH, POOR, 7))
    assert one.make_block().id != other.make_block().id
    assert int.from_bytes(one.newest.id[:8], "big") == one.newest.number
    assert one.newest.parent == one.blocks[-2].id


def refusal(chain: Chain, raw: bytes, key: Key) -> str:
    with pytest.raises(Refused) as refused:
        send(chain, key, raw)
    return refused.value.code


def test_what_a_node_refuses_is_refused_with_its_code() -> None:
    chain = make(FakeClock())
    good = transfer(chain, RICH, POOR, 7)
    send(chain, RICH, good)
    assert refusal(chain, good, RICH) == "DUP_TRANSACTION_ERROR"
    chain.make_block()
    assert refusal(chain, good, RICH) == "DUP_TRANSACTION_ERROR"
    assert refusal(chain, transfer(chain, RICH, POOR, 10**9), RICH) == "CONTRACT_VALIDATE_ERROR"
    assert refusal(chain, transfer(chain, RICH, POOR, 1, "1"), RICH) == "CONTRACT_VALIDATE_ERROR"
    assert refusal(chain, transfer(chain, NEW, POOR, 1), NEW) == "CONTRACT_VALIDATE_ERROR"
    old = transfer(chain, RICH, POOR, 1, expiration=chain.newest.timestamp)
    assert refusal(chain, old, RICH) == "TRANSACTION_EXPIRATION_ERROR"
    long = transfer(chain, RICH, POOR, 1, expiration=chain.newest.timestamp + 2 * 86_400_000)
    assert refusal(chain, long, RICH) == "TRANSACTION_EXPIRATION_ERROR"
    elsewhere = transfer(chain, RICH, POOR, 1, ref_block_hash=b"12345678")
    assert refusal(chain, elsewhere, RICH) == "TAPOS_ERROR"
    with pytest.raises(Refused) as refused:
        chain.take(transfer(chain, RICH, POOR, 1), bytes(65))
    assert refused.value.code == "SIGERROR"
    raw = transfer(chain, RICH, POOR, 1)
    with pytest.raises(Refused) as refused:
        chain.take(raw, POOR.sign_recoverable(txid(raw)))
    assert refused.value.code == "SIGERROR"


def test_bandwidth_is_free_first_then_burns_and_comes_back_over_a_day() -> None:
    clock = FakeClock()
    chain = make(clock)
    sizes = []
    for amount in (1, 2, 3):
        raw = transfer(chain, RICH, POOR, amount)
        sizes.append(size_of(raw))
        send(chain, RICH, raw)
        chain.make_block()
    receipts = [chain.blocks[number].receipts[0] for number in (2, 3, 4)]
    assert [receipt.net_usage for receipt in receipts] == [sizes[0], sizes[1], 0]
    assert receipts[2].fee == sizes[2] * 1_000
    assert chain.accounts[RICH.address].trx == 100 * TRX - receipts[2].fee
    clock.advance(86_400)
    chain.make_block()
    assert chain.accounts[RICH.address].free_net(chain.newest.timestamp) == FREE_NET


def test_waking_an_account_costs_and_who_cannot_pay_is_refused() -> None:
    chain = make(FakeClock())
    send(chain, RICH, transfer(chain, RICH, NEW, 5))
    receipt = chain.make_block().receipts[0]
    assert receipt.fee == 1_100_000
    assert chain.accounts[NEW.address].assets == {ASSET: 5}
    other = Key(bytes(31) + b"\4")
    assert refusal(chain, transfer(chain, POOR, other, 5), POOR) in (
        "BANDWITH_ERROR",
        "CONTRACT_VALIDATE_ERROR",
    )


def test_two_transfers_of_the_last_coin_are_not_both_taken() -> None:
    chain = make(FakeClock())
    send(chain, POOR, transfer(chain, POOR, RICH, 50))
    assert refusal(chain, transfer(chain, POOR, RICH, 49), POOR) == "CONTRACT_VALIDATE_ERROR"


def test_a_fork_takes_back_what_is_not_solid_and_it_can_be_sent_again() -> None:
    chain = make(FakeClock())
    raw = transfer(chain, RICH, POOR, 7)
    id = send(chain, RICH, raw)
    chain.make_block()
    assert [one.txid for one in chain.fork(1)] == [id]
    assert chain.find(id) is None
    assert chain.accounts[POOR.address].assets[ASSET] == 50
    assert send(chain, RICH, raw) == id
    for _ in range(SOLID_AFTER + 1):
        chain.make_block()
    chain.fork(1_000)
    assert chain.find(id) is not None


class Money(RuleBasedStateMachine):
    """Whatever is sent, taken back and included: nothing is made, and only fees are burnt."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.chain = make(self.clock)

    @rule(
        source=st.sampled_from([RICH, POOR, NEW]),
        to=st.sampled_from([RICH, POOR, NEW]),
        amount=st.integers(1, 20_000),
        asset=st.sampled_from([ASSET, "", "7"]),
    )
    def send(self, source: Key, to: Key, amount: int, asset: str) -> None:
        try:
            send(self.chain, source, transfer(self.chain, source, to, amount, asset))
        except Refused:
            return

    @rule(seconds=st.integers(0, 90_000))
    def block(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.chain.make_block()

    @rule(depth=st.integers(1, 30))
    def fork(self, depth: int) -> None:
        before = self.chain.solid
        self.chain.fork(depth)
        assert self.chain.blocks[before.number].id == before.id

    @invariant()
    def it_adds_up(self) -> None:
        accounts = self.chain.accounts.values()
        assert sum(account.assets.get(ASSET, 0) for account in accounts) == 10_050
        burnt = sum(receipt.fee for block in self.chain.blocks for receipt in block.receipts)
        assert sum(account.trx for account in accounts) + burnt == 100 * TRX + 10
        assert all(account.trx >= 0 and min(account.assets.values(), default=0) >= 0 for account in accounts)


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


# -------------------------------------------------------------------------------- by HTTP, and by tronpy


@pytest.fixture
def served() -> Iterator[tuple[Node, str]]:
    from appliance.core.clock import SystemClock

    genesis = {
        RICH.address: ChainAccount(trx=100 * TRX, assets={ASSET: 10_000, TOKEN: 5 * 10**18}),
        POOR.address: ChainAccount(trx=10),
        FAUCET.address: ChainAccount(trx=100 * TRX, assets={ASSET: 100}),
    }
    node = Node(Chain(SystemClock().now, genesis), ASSET)
    node.chain.make_block()
    with serving(create_app(node)) as url:
        yield node, url
        while _clients:
            _clients.pop().provider.sess.close()


_clients: list[Any] = []


def client(url: str) -> Any:
    from tronpy import Tron
    from tronpy.providers import HTTPProvider

    _clients.append(Tron(HTTPProvider(url, timeout=10)))
    return _clients[-1]


def test_tronpy_sends_a_token_and_follows_it(served: tuple[Node, str]) -> None:
    from tronpy.keys import PrivateKey

    node, url = served
    tron = client(url)
    assert tron.get_account_asset_balance(RICH.address, int(ASSET)) == 10_000
    assert tron.get_asset(int(ASSET))["precision"] == 6
    built = tron.trx.asset_transfer(RICH.address, POOR.address, 25, int(ASSET)).memo("hello").build()
    sent = built.sign(PrivateKey(RICH.secret)).broadcast()
    assert sent["result"]
    node.chain.make_block()
    info = tron.get_transaction_info(sent["txid"])
    assert info["blockNumber"] == 2
    shown = tron.get_transaction(sent["txid"])
    assert hashlib.sha256(bytes.fromhex(shown["raw_data_hex"])).hexdigest() == sent["txid"]
    assert bytes.fromhex(shown["raw_data"]["data"]) == b"hello"
    assert tron.get_account_asset_balance(POOR.address, int(ASSET)) == 25
    from tronpy.exceptions import TransactionNotFound

    with pytest.raises(TransactionNotFound):
        tron.get_solid_transaction_info(sent["txid"])
    for _ in range(SOLID_AFTER):
        node.chain.make_block()
    assert tron.get_solid_transaction_info(sent["txid"])["id"] == sent["txid"]


def test_tronpy_calls_the_tokens_contract(served: tuple[Node, str]) -> None:
    from tronpy.keys import PrivateKey

    node, url = served
    tron = client(url)
    contract = tron.get_contract(TOKEN)
    whole = 10**18
    assert contract.functions.decimals() == 18
    assert contract.functions.balanceOf(RICH.address) == 5 * whole
    built = (
        contract.functions.transfer(POOR.address, 2 * whole)
        .with_owner(RICH.address)
        .fee_limit(10 * TRX)
        .build()
    )
    sent = built.sign(PrivateKey(RICH.secret)).broadcast()
    assert sent["result"]
    node.chain.make_block()
    info = tron.get_transaction_info(sent["txid"])
    assert info["receipt"]["result"] == "SUCCESS"
    assert info["fee"] == info["receipt"]["energy_fee"] == ENERGY_NEW * SUN_PER_ENERGY
    assert info["log"][0]["topics"][0].startswith("ddf252ad")
    assert contract.functions.balanceOf(POOR.address) == 2 * whole
    assert tron.get_account_balance(RICH.address) == 100 - info["fee"] / TRX


def test_the_faucet_gives_to_everybody(served: tuple[Node, str]) -> None:
    node, url = served
    wanted = {"to": POOR.address, "amount": 5, "memo": "for you"}
    assert requests.post(f"{url}/dev/send", json=wanted, timeout=10).ok
    node.chain.make_block()
    assert node.chain.accounts[POOR.address].assets[ASSET] == 5
    assert requests.post(f"{url}/dev/send", json=wanted | {"amount": 10**15}, timeout=10).status_code == 422


def test_tronpy_raises_what_a_real_node_makes_it_raise(served: tuple[Node, str]) -> None:
    from tronpy.exceptions import AddressNotFound, UnknownError, ValidationError
    from tronpy.keys import PrivateKey

    _, url = served
    tron = client(url)
    with pytest.raises(AddressNotFound):
        tron.get_account(NEW.address)
    key = PrivateKey(RICH.secret)
    built = tron.trx.asset_transfer(RICH.address, POOR.address, 25, int(ASSET)).build().sign(key)
    built.broadcast()
    with pytest.raises(UnknownError, match="DUP_TRANSACTION_ERROR"):
        built.broadcast()
    much = tron.trx.asset_transfer(RICH.address, POOR.address, 10**9, int(ASSET)).build().sign(key)
    with pytest.raises(ValidationError):
        much.broadcast()


def test_the_node_can_be_told_to_misbehave(served: tuple[Node, str]) -> None:
    node, url = served

    def tell(**mischief: int) -> None:
        assert requests.post(f"{url}/dev/mischief", json=mischief, timeout=10).ok

    def broadcast(amount: int) -> requests.Response:
        raw = transfer(node.chain, RICH, POOR, amount)
        signature = RICH.sign_recoverable(txid(raw))
        from appliance.adapters.chain.protobuf import encode

        whole = encode([(1, raw), (2, signature)]).hex()
        return requests.post(f"{url}/wallet/broadcasthex", json={"transaction": whole}, timeout=10)

    tell(lose=1)
    assert broadcast(1).json()["result"]
    assert node.chain.pending == []
    tell(keep_back=1)
    assert broadcast(2).status_code == 504
    assert len(node.chain.pending) == 1
    tell(busy=1, broken=1, html=1)
    codes = [requests.post(f"{url}/wallet/getnowblock", timeout=10) for _ in range(4)]
    assert [answer.status_code for answer in codes] == [429, 503, 200, 200]
    assert "html" in codes[2].text
    assert codes[3].json()["blockID"]
    tell(lie=1)
    tron = client(url)
    built = tron.trx.asset_transfer(RICH.address, POOR.address, 25, int(ASSET)).build()
    honest = tron.trx.asset_transfer(RICH.address, POOR.address, 25, int(ASSET)).build()
    assert built.txid != honest.txid, "tronpy would sign the lie"
    assert requests.post(f"{url}/dev/blocks", json={"count": 3}, timeout=10).json()["number"] == 4
    assert requests.post(f"{url}/dev/fork", json={"depth": 3}, timeout=10).json()["lost"]
    assert "development chain" in requests.post(f"{url}/wallet/getnodeinfo", timeout=10).text


def test_seedbox_devnet_makes_blocks_by_itself_and_says_what_it_is(tmp_path: Path) -> None:
    ip = address()
    port = free_port(ip)
    words = ["devnet", "--address", ip, "--port", str(port), "--fund", RICH.address]
    with (tmp_path / "log").open("wb") as log:
        process = start([*SEEDBOX, "--state", tmp_path, *words], log)
    until(lambda: "Funded" in (tmp_path / "log").read_text(), "the chain")
    assert "nothing here has any worth" in (tmp_path / "log").read_text()
    tron = client(f"http://{ip}:{port}")
    assert tron.get_account_asset_balance(RICH.address, int(ASSET)) == 10**12
    first = tron.get_latest_block_number()
    until(lambda: tron.get_latest_block_number() > first, "a block")
    second = subprocess.run(
        [*SEEDBOX, "--state", tmp_path, *words], capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert "--port" in second.stderr
    wrong = subprocess.run(
        [*SEEDBOX, "--state", tmp_path, "devnet", "--fund", "me"], capture_output=True, text=True, timeout=60
    )
    assert wrong.returncode == 1
    assert "TRON address" in wrong.stderr
    assert end(process) == 0


def test_nonsense_gets_the_error_of_a_node(served: tuple[Node, str]) -> None:
    _, url = served
    for path in ("getaccount", "broadcasttransaction", "gettransactionbyid", "getsignweight", "broadcasthex"):
        for body in (
            {},
            {"address": "x", "value": "zz", "raw_data": {}, "transaction": "00"},
            {"raw_data": 5},
        ):
            answer = requests.post(f"{url}/wallet/{path}", json=body, timeout=10)
            assert answer.status_code == 200
            assert "Error" in answer.json()
