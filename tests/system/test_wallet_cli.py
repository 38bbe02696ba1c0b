"""`seedbox wallet`, typed: what the owner reads, and what other programs are given."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from beancount.loader import load_string

from appliance.adapters.ledger_http.messages import GatewayInfo
from appliance.adapters.store import ledger as store
from appliance.core.keys import Key
from appliance.core.units import MicroBtt
from appliance.domain.ledger import gateway
from appliance.domain.wallet.model import Purpose
from appliance.entrypoints.operator.service import Operator
from tests.support.box import SEEDBOX, Box
from tests.support.money import earned
from tests.support.until import until
from tests.system.ledger.service import serving

BUYER, WALLET, PHONE = (Key(bytes(31) + bytes([number])) for number in range(1, 4))
BTT = 1_000_000
FILM, BOOK = "ab" * 20, "cd" * 20


@dataclass
class Owner:
    """Somebody at a terminal, with a box and a ledger."""

    box: Box
    key: Key
    operator: Operator

    def types(self, *words: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*SEEDBOX, "--state", str(self.box.folder), "wallet", *words],
            capture_output=True,
            text=True,
            timeout=60,
            input=answer,
        )

    def reads(self, *words: str, answer: str = "") -> str:
        done = self.types(*words, answer=answer)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    folder = tmp_path_factory.mktemp("owner")
    with serving(str(folder / "ledger.db")) as (url, operator):
        info = GatewayInfo(WALLET.address, "1002000", development=True, fee=345_000, fee_new=1_100_000)
        text = msgspec.json.encode(info).decode()
        operator._database.transact(lambda sql: store.put_fact(sql, gateway.FACT, text))
        box = Box(folder / "box", wallet__ledger=url)
        operator.credit(BUYER.address, MicroBtt(100 * BTT), "00" * 32)
        paid = [(0, FILM, 3 * BTT), (1, FILM, 2 * BTT), (1, BOOK, 500_000)]
        key = earned(box.folder, url, BUYER, paid, Purpose.DISTRIBUTION)
        operator.credit(key.address, MicroBtt(20 * BTT), "11" * 32)
        with box:
            yield Owner(box, key, operator)


def test_the_owners_three_questions_have_answers_of_one_line(owner: Owner) -> None:
    said = owner.reads("show")
    assert "Balance   20 BTT" in said
    assert "Earned    5.5 BTT by seeding, 0 BTT by storage" in said
    assert "Spent     0 BTT on downloads" in said
    assert "DEVELOPMENT CHAIN" in said
    money = json.loads(owner.reads("show", "--json"))
    assert (money["balance"], money["totals"]["distribution"]) == (20 * BTT, 5_500_000)


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("day", [["2.5", "0"], ["3", "0"]]),
        ("torrent", [[FILM, "5", "0"], [BOOK, "0.5", "0"]]),
        ("counterparty", [[BUYER.address, "5.5", "0"]]),
    ],
)
def test_earned_and_spent_by_heading(owner: Owner, by: str, rows: list[list[str]]) -> None:
    lines = [line.split() for line in owner.reads("show", "--by", by).splitlines()[1:]]
    assert [line[-len(rows[0]) :] for line in lines] == rows


def test_a_deposit_is_shown_with_its_memo_and_marked_as_development(owner: Owner) -> None:
    said = owner.reads("deposit")
    assert WALLET.address in said
    assert f"with memo {owner.key.address}" in said
    assert "DEVELOPMENT CHAIN" in said


def test_a_withdrawal_asks_first_and_says_what_it_costs(owner: Owner) -> None:
    assert "payout" in owner.types("withdraw", "1").stderr
    assert PHONE.address in owner.reads("payout", PHONE.address)
    refused = owner.types("withdraw", "1.5", answer="n\n")
    assert refused.returncode == 130
    assert "Network fee: 0.345 TRX, or 1.1 TRX if the address has never been used" in refused.stdout
    assert owner.operator.withdrawals(owner.key.address) == []
    said = owner.reads("withdraw", "1.5", answer="y\n")
    assert f"1.5 BTT to {PHONE.address}" in said
    (found,) = owner.operator.withdrawals(owner.key.address)
    name = found.id.partition(".")[2]
    assert f"{name}: 1.5 BTT to {PHONE.address}. It waits" in owner.reads("show")
    assert "the balance is 20 BTT" in owner.reads("cancel", name)


@pytest.mark.parametrize("amount", ["0", "1.2345678", "1,5", "-1", "x", "21"])
def test_an_impossible_amount_is_refused(owner: Owner, amount: str) -> None:
    done = owner.types("withdraw", "--yes", "--", amount)
    assert done.returncode in (1, 2)
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_a_payout_address_with_a_wrong_character_is_refused(owner: Owner) -> None:
    wrong = PHONE.address[:-1] + ("1" if PHONE.address[-1] != "1" else "2")
    assert "not a TRON address" in owner.types("payout", wrong).stderr


def test_the_history_reads_in_other_programs(owner: Owner) -> None:
    assert "deposit" in owner.reads("history")
    lines = json.loads(owner.reads("history", "--format", "json"))
    assert sum(line["amount"] for line in lines) == lines[-1]["balance"] == 20 * BTT
    entries, errors, _ = load_string(owner.reads("history", "--format", "beancount"))
    assert entries
    assert not errors
    assert owner.reads("history", "--format", "csv").startswith("number,at,kind")


def test_all_is_verified_and_a_fault_shows_in_the_exit_code(owner: Owner) -> None:
    assert "add up" in owner.reads("verify")
    owner.operator._database.transact(lambda sql: store.put_fact(sql, "solid", "1"))

    def reported() -> bool:
        done = owner.types("verify")
        return done.returncode == 4 and "more than it holds on the chain" in done.stdout

    until(reported, "the ledger's lack")
    owner.operator._database.transact(lambda sql: sql.run("DELETE FROM fact WHERE key = 'solid'"))


def test_the_key_stays_in_its_file(owner: Owner) -> None:
    for words in (("show",), ("show", "--json"), ("verify",), ("history",)):
        done = owner.types(*words)
        assert owner.key.secret.hex() not in done.stdout + done.stderr
    assert (owner.box.folder / "identity.key").stat().st_mode & 0o077 == 0
    assert owner.key.secret.hex() not in owner.box.log()


def test_a_box_without_a_ledger_says_how_to_get_one(tmp_path: Path) -> None:
    with Box(tmp_path / "box") as box:
        done = subprocess.run(
            [*SEEDBOX, "--state", box.folder, "wallet", "show"], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert "wallet.ledger in seedbox.toml" in done.stderr
    assert not (box.folder / "identity.key").exists()


def test_a_ledger_that_is_another_one_today_is_not_believed(tmp_path: Path) -> None:
    with serving(str(tmp_path / "one.db")) as (url, _):
        box = Box(tmp_path / "box", wallet__ledger=url)
        with box:
            owner = Owner(box, Key.make(), None)  # type: ignore[arg-type]
            until(lambda: '"away": ""' in owner.reads("show", "--json"), "the ledger")
            box.stop()
    with serving(str(tmp_path / "two.db")) as (other, _):
        text = (box.folder / "seedbox.toml").read_text()
        database = (box.folder / "seedbox.db").read_bytes()
        assert database
        (box.folder / "seedbox.toml").write_text(text.replace(url, other))
        # The address stays the same for the box; what answers there is another ledger.
        rename(box.folder, url, other)
        with box:
            until(lambda: "A different ledger answers" in owner.reads("show"), "the refusal")
            assert any("A different ledger answers" in text for text in box.events())


def rename(folder: Path, old: str, new: str) -> None:
    """Let the box know the old ledger under the new address."""
    import sqlite3

    with sqlite3.connect(folder / "seedbox.db") as database:
        (kept,) = database.execute("SELECT value FROM setting WHERE key = 'money-ledger'").fetchone()
        known = msgspec.msgpack.decode(kept, type=dict[str, str])
        fresh = msgspec.msgpack.encode({new: known[old]})
        database.execute("UPDATE setting SET value = ? WHERE key = 'money-ledger'", (fresh,))
    database.close()


def test_an_address_that_is_none_is_refused_with_the_name_of_its_key(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", wallet__ledger="ledger.example")
    box.launch()
    assert box.process.wait(30) == 1
    assert "wallet.ledger in seedbox.toml" in box.log()
    assert "https://host" in box.log()


def test_a_lost_key_is_reported_before_anything_else(tmp_path: Path) -> None:
    with serving(str(tmp_path / "one.db")) as (url, _):
        box = Box(tmp_path / "box", wallet__ledger=url)
        with box:
            box.stop()
        (box.folder / "identity.key").unlink()
        with box:
            until(lambda: any("key has changed" in text for text in box.events()), "the warning")
            box.stop()
        (box.folder / "identity.key").write_text("nonsense\n")
        box.launch()
        assert box.process.wait(30) == 1
        assert "is damaged" in box.log()
