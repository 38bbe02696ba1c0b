"""`seedbox settle`, whole: a chain and a ledger, each a process of its own, and money there and back."""

import json
import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from appliance.adapters.ledger_http.client import LedgerClient
from appliance.core.clock import SystemClock
from appliance.core.keys import Key
from appliance.core.units import MicroBtt
from tests.support.addresses import address, free_port
from tests.support.box import SEEDBOX
from tests.support.processes import end, start
from tests.support.until import until

ALICE, BOB = (Key(bytes(31) + bytes([number])) for number in (2, 3))
WALLET = Key(bytes(31) + b"\1")
ASSET = 1_002_000


def _has_address(log: Path) -> bool:
    return "http://" in log.read_text()


class Bench:
    """The three processes, and the words that are typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ip = address()
        chain, ledger = free_port(ip), free_port(ip)
        self.chain, self.ledger = f"http://{ip}:{chain}", f"http://{ip}:{ledger}"
        folder.mkdir()
        (folder / "credentials").mkdir()
        (folder / "credentials" / "wallet-key").write_text(WALLET.secret.hex() + "\n")
        (folder / "seedbox.toml").write_text(
            f'[ledger]\naddress = "{ip}"\nport = {ledger}\n[gateway]\nnodes = ["{self.chain}"]\n'
        )
        funds = [word for key in (ALICE, WALLET) for word in ("--fund", key.address)]
        self.processes = []
        for name, words in (
            ("chain", ["devnet", "--address", ip, "--port", str(chain), "--on-demand", *funds]),
            ("ledger", ["ledger"]),
        ):
            with (folder / name).open("wb") as log:
                self.processes.append(start([*SEEDBOX, "--state", folder, *words], log))
            until(partial(_has_address, folder / name), name)

    def blocks(self, count: int = 25) -> None:
        assert requests.post(f"{self.chain}/dev/blocks", json={"count": count}, timeout=20).ok

    def give(self, account: str, amount: int) -> None:
        """The chain's faucet makes a deposit."""
        wanted = {"to": WALLET.address, "amount": amount, "memo": account}
        assert requests.post(f"{self.chain}/dev/send", json=wanted, timeout=20).ok

    def settling(self) -> "subprocess.Popen[str]":
        return start(
            [*SEEDBOX, "--state", self.folder, "settle"],
            env={"CREDENTIALS_DIRECTORY": str(self.folder / "credentials")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def settle(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*SEEDBOX, "--state", self.folder, "settle", *words],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"CREDENTIALS_DIRECTORY": str(self.folder / "credentials")} | env,
        )

    def peak(self) -> float:
        """MB of RSS that a pass takes at most."""
        process = self.settling()
        process.communicate(timeout=60)
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3

    def close(self) -> None:
        for process in self.processes:
            end(process)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "state")
    yield made
    made.close()


def tron(url: str) -> Any:
    from tronpy import Tron
    from tronpy.providers import HTTPProvider

    return Tron(HTTPProvider(url, timeout=10))


def test_tokens_go_into_the_ledger_and_out_again(bench: Bench) -> None:
    from tronpy.keys import PrivateKey

    # Few blocks: each is three seconds later, and tronpy's transfers live for a minute of the real clock.
    bench.blocks(1)
    assert bench.settle().returncode == 0
    chain = tron(bench.chain)
    built = (
        chain.trx.asset_transfer(ALICE.address, WALLET.address, 5_000_000, ASSET).memo(ALICE.address).build()
    )
    assert built.sign(PrivateKey(ALICE.secret)).broadcast()["result"]
    bench.blocks()
    done = bench.settle("--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "wallet": WALLET.address,
        "deposits": [5_000_000],
        "waiting": [],
        "signed": 0,
    }
    alice = LedgerClient(bench.ledger, ALICE, SystemClock())
    assert alice.account() == (5_000_000, 0)
    alice.set_payout(BOB.address)
    alice.withdraw("w1", BOB.address, MicroBtt(2_000_000))
    assert alice.account() == (3_000_000, 0)
    assert "Withdrawals: 1 sent and waiting for confirmation, 0 on hold." in bench.settle().stdout
    bench.blocks()
    assert "Withdrawals: 0 sent and waiting" in bench.settle().stdout
    assert [one.phase for one in alice.withdrawals()] == ["paid"]
    assert chain.get_account_asset_balance(BOB.address, ASSET) == 2_000_000
    info = alice.info()
    assert info.held == "3000000"
    assert info.difference == str(10**12), "what the wallet had before the ledger"
    alice.close()
    chain.provider.sess.close()


def test_two_settle_processes_at_once_pay_once(bench: Bench) -> None:
    bench.blocks(1)
    assert bench.settle().returncode == 0
    bench.give(ALICE.address, 5_000_000)
    bench.blocks()
    assert "Deposits: 1 credited (5 BTT)." in bench.settle().stdout
    alice = LedgerClient(bench.ledger, ALICE, SystemClock())
    alice.set_payout(BOB.address)
    for number in range(5):
        alice.withdraw(f"w{number}", BOB.address, MicroBtt(1_000_000))
    both = [bench.settling() for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    bench.blocks()
    assert "Withdrawals: 0 sent and waiting" in bench.settle().stdout
    assert {one.phase for one in alice.withdrawals()} == {"paid"}
    chain = tron(bench.chain)
    assert chain.get_account_asset_balance(BOB.address, ASSET) == 5_000_000
    alice.close()
    chain.provider.sess.close()


def test_a_wallet_that_has_run_dry_says_so_and_ends_as_unwell(bench: Bench) -> None:
    bench.blocks(1)
    bench.settle()
    bench.give(ALICE.address, 5_000_000)
    bench.blocks()
    bench.settle()
    alice = LedgerClient(bench.ledger, ALICE, SystemClock())
    alice.set_payout(BOB.address)
    alice.withdraw("w", BOB.address, MicroBtt(5_000_000))
    with (bench.folder / "seedbox.toml").open("a") as file:
        file.write("most_a_day = 4\n")
    said = bench.settle()
    assert said.returncode == 4
    assert "is on hold: This ledger pays out at most 4 BTT at once" in said.stdout
    assert alice.withdrawals()[0].phase == "locked"
    assert alice.cancel("w").phase == "refunded"
    assert bench.settle().returncode == 0
    alice.close()


def test_the_key_of_a_nodes_service_is_sent_to_it_and_said_nowhere(bench: Bench) -> None:
    heard: list[str | None] = []

    class Node(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers.get("TRON-PRO-API-KEY"))
            self.send_error(403, "Exceed the user daily usage")

        def log_message(self, *_: object) -> None:
            pass

    ip = address()
    with ThreadingHTTPServer((ip, 0), Node) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (bench.folder / "credentials" / "tron-api-key").write_text("an-api-key\n")
        text = (bench.folder / "seedbox.toml").read_text()
        where = f"http://{ip}:{server.server_port}"
        (bench.folder / "seedbox.toml").write_text(text.replace(bench.chain, where))
        said = bench.settle()
        server.shutdown()
    assert said.returncode == 3
    assert set(heard) == {"an-api-key"}
    assert "an-api-key" not in said.stdout + said.stderr


def test_the_key_and_the_passphrase_are_in_no_output(bench: Bench) -> None:
    bench.blocks()
    said = bench.settle()
    assert WALLET.secret.hex() not in said.stdout + said.stderr
    (bench.folder / "credentials" / "wallet-key").write_text("not a key")
    wrong = bench.settle()
    assert wrong.returncode == 1
    assert "64 hex digits" in wrong.stderr


def test_a_chain_that_is_away_is_tried_again_later(bench: Bench) -> None:
    bench.blocks()
    end(bench.processes[0])
    away = bench.settle()
    assert away.returncode == 3
    assert "tries again" in away.stderr


def test_a_wallet_is_made_once_in_an_encrypted_file(tmp_path: Path) -> None:
    from appliance.core.errors import OwnerMustAct
    from appliance.entrypoints.settle import wallet

    path = tmp_path / "wallet.json"
    with pytest.raises(OwnerMustAct, match="--new-wallet"):
        wallet.load(path, lambda text: "")
    with pytest.raises(OwnerMustAct, match="at least 12"):
        wallet.make(path, "short")
    key = wallet.make(path, "a long passphrase")
    assert path.stat().st_mode & 0o077 == 0
    assert key.secret.hex() not in path.read_text()
    assert wallet.load(path, lambda text: "a long passphrase").address == key.address
    with pytest.raises(OwnerMustAct, match="Wrong passphrase"):
        wallet.load(path, lambda text: "another passphrase")
    with pytest.raises(OwnerMustAct, match="never overwritten"):
        wallet.make(path, "a long passphrase")
    path.write_text("{}")
    with pytest.raises(OwnerMustAct):
        wallet.load(path, lambda text: "a long passphrase")
