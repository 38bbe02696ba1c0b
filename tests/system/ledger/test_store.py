"""The book and the channels in their databases: the same rules on SQLite and on PostgreSQL."""

import random
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from appliance.adapters.store import ledger
from appliance.adapters.store.ledger_database import LedgerDatabase, Sql, open_ledger
from appliance.core.errors import NotFound, OwnerMustAct, RetryLater
from appliance.core.keys import Key
from appliance.core.units import MOST_MONEY, MicroBtt, UtcMs
from appliance.domain.ledger.book import COUNTER, CauseReused, Entry, Move, NotEnough, entry
from appliance.domain.ledger.channel import Channel, ChannelPhase, channel_id, close, open_channel
from appliance.domain.ledger.statement import as_beancount, as_csv, as_json
from tests.support.postgres import Postgres

NOW = UtcMs(1_750_000_000_000)
HOUR = 3_600_000
PAYER, SELLER = Key(bytes(31) + b"\1"), Key(bytes(31) + b"\2")
Fresh = Callable[[], str]


def deposit(account: str, amount: int, cause: str = "deposit", at: int = NOW) -> Entry:
    return entry(cause, "deposit", UtcMs(at), Move(COUNTER, account, MicroBtt(amount)))


def transfer(source: str, target: str, amount: int, cause: str, at: int = NOW) -> Entry:
    return entry(cause, "transfer", UtcMs(at), Move(source, target, MicroBtt(amount)), about="films")


def new_channel(lock: int, nonce: bytes = b"n") -> Channel:
    return Channel(
        id=channel_id(b"L" * 32, PAYER.public, SELLER.address, nonce),
        ledger=b"L" * 32,
        payer=PAYER.public,
        recipient=SELLER.address,
        lock=MicroBtt(lock),
        expires=UtcMs(NOW + HOUR),
        window_ms=HOUR,
    )


def post(database: LedgerDatabase, line: Entry) -> bool:
    return database.transact(lambda sql: ledger.post(sql, line))


def _run(sql: Sql, words: str) -> None:
    sql.run(words)


@pytest.fixture
def database(fresh: Fresh) -> Any:
    opened = open_ledger(fresh())
    yield opened
    opened.transact(ledger.audit)
    opened.close()


def test_what_was_posted_is_there_after_a_restart(fresh: Fresh) -> None:
    where = fresh()
    first = open_ledger(where)
    assert first.transact(lambda sql: ledger.post(sql, deposit("ä", MOST_MONEY)))
    first.close()
    second = open_ledger(where)
    assert second.transact(lambda sql: ledger.balance(sql, "ä")) == MOST_MONEY
    assert second.transact(ledger.held) == MOST_MONEY
    second.close()


def test_one_cause_is_one_entry(database: LedgerDatabase) -> None:
    assert database.transact(lambda sql: ledger.post(sql, deposit("a", 5)))
    assert not database.transact(lambda sql: ledger.post(sql, deposit("a", 5, at=NOW + 1)))
    with pytest.raises(CauseReused):
        database.transact(lambda sql: ledger.post(sql, deposit("a", 6)))
    assert database.transact(lambda sql: ledger.balance(sql, "a")) == 5


def test_what_is_refused_leaves_no_trace(database: LedgerDatabase) -> None:
    def work(sql: Sql) -> None:
        ledger.post(sql, deposit("a", 5))
        ledger.post(sql, transfer("a", "b", 6, "t"))

    with pytest.raises(NotEnough):
        database.transact(work)
    assert database.transact(lambda sql: ledger.find(sql, "deposit")) is None
    assert database.transact(ledger.held) == 0


def test_balances_of_the_past_and_statements(database: LedgerDatabase) -> None:
    for number in range(10):
        post(database, deposit("a", 1 + number, f"d{number}", NOW + number * HOUR))
    assert database.transact(lambda sql: ledger.balance(sql, "a", UtcMs(NOW + 3 * HOUR))) == 1 + 2 + 3 + 4
    assert database.transact(lambda sql: ledger.balance(sql, "a", UtcMs(NOW - 1))) == 0
    lines = database.transact(lambda sql: ledger.statement(sql, "a"))
    assert [line.balance for line in lines] == [1, 3, 6, 10, 15, 21, 28, 36, 45, 55]
    rest = database.transact(lambda sql: ledger.statement(sql, "a", after=lines[7].number))
    assert rest == lines[8:]
    assert database.transact(lambda sql: ledger.statement(sql, "nobody")) == []


def test_a_channel_is_kept_as_it_is(database: LedgerDatabase) -> None:
    channel = new_channel(1_000)

    def work(sql: Sql) -> None:
        ledger.post(sql, deposit(PAYER.address, 1_000))
        ledger.post(sql, open_channel(channel, NOW))
        ledger.put_channel(sql, channel)

    database.transact(work)
    assert database.transact(lambda sql: ledger.get_channel(sql, channel.id)) == channel
    closing = replace(channel, phase=ChannelPhase.CLOSING, seq=7, paid=MicroBtt(70), closes=UtcMs(NOW + HOUR))
    database.transact(lambda sql: ledger.put_channel(sql, closing))
    assert database.transact(lambda sql: ledger.get_channel(sql, channel.id)) == closing
    with pytest.raises(NotFound):
        database.transact(lambda sql: ledger.get_channel(sql, b"x" * 32))


def test_many_at_once_spend_nothing_twice(database: LedgerDatabase) -> None:
    """Eight clients pay from one account that holds enough for half of what they want."""
    database.transact(lambda sql: ledger.post(sql, deposit("a", 80)))
    paid: list[str] = []

    def client(number: int) -> None:
        for turn in range(20):
            cause = f"{number}/{turn}"
            line = transfer("a", f"shop{number}", 1, cause)
            while True:
                try:
                    post(database, line)
                    paid.append(cause)
                except NotEnough:
                    pass
                except RetryLater:
                    continue
                break

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paid) == 80
    assert database.transact(lambda sql: ledger.balance(sql, "a")) == 0
    assert database.transact(ledger.held) == 80


def test_an_audit_finds_what_somebody_changed_by_hand(tmp_path: Path) -> None:
    where = str(tmp_path / "ledger.db")
    database = open_ledger(where)
    database.transact(lambda sql: ledger.post(sql, deposit("a", 5)))
    for change, says in (
        ("UPDATE account SET balance = 6 WHERE name = 'a'", "kept at 6"),
        ("UPDATE posting SET amount = 7 WHERE account = 'a'", "does not sum to zero"),
    ):
        database.transact(partial(_run, words=change))
        with pytest.raises(Exception, match=says):
            database.transact(ledger.audit)
    database.close()


def test_a_ledger_of_a_newer_program_is_left_alone(fresh: Fresh) -> None:
    where = fresh()
    database = open_ledger(where)
    database.transact(lambda sql: sql.run("UPDATE fact SET value = '99' WHERE key = 'schema'"))
    database.close()
    with pytest.raises(OwnerMustAct, match="schema 99"):
        open_ledger(where)


def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(OwnerMustAct) as refused:
        open_ledger(f"postgresql://me:secret@/x?host={tmp_path}")
    assert "secret" not in str(refused.value)
    with pytest.raises(OwnerMustAct, match="cannot be opened"):
        open_ledger(str(tmp_path / "no folder" / "ledger.db"))


def test_a_server_that_went_away_and_came_back_lost_nothing(postgres: Postgres) -> None:
    database = open_ledger(postgres.fresh("away"))
    database.transact(lambda sql: ledger.post(sql, deposit("a", 5)))
    postgres.stop()
    try:
        with pytest.raises(RetryLater):
            database.transact(lambda sql: ledger.balance(sql, "a"))
    finally:
        postgres.start()
    assert database.transact(lambda sql: ledger.balance(sql, "a")) == 5
    database.close()


def test_a_kill_at_any_moment_leaves_whole_entries(tmp_path: Path) -> None:
    """A process pays on and on and is killed; whatever it was told is done is there, and all adds up."""
    where = tmp_path / "ledger.db"
    script = (
        "import sys\n"
        "from tests.system.ledger.test_store import deposit, transfer\n"
        "from appliance.adapters.store import ledger\n"
        "from appliance.adapters.store.ledger_database import open_ledger\n"
        f"database = open_ledger({str(where)!r})\n"
        "database.transact(lambda sql: ledger.post(sql, deposit('a', 10**9)))\n"
        "start = int(sys.argv[1])\n"
        "for n in range(start, 10**9):\n"
        "    database.transact(lambda sql: ledger.post(sql, transfer('a', f'b{n % 7}', 1 + n % 5, str(n))))\n"
        "    print(n, flush=True)\n"
    )
    done, chance = -1, random.Random(3)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(done + 1)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(chance.randrange(5, 200)):
            done = int(process.stdout.readline())
        process.kill()
        for line in process.stdout.read().splitlines():
            done = int(line) if line.isdigit() and int(line) == done + 1 else done
        process.wait()
        database = open_ledger(str(where))
        database.transact(ledger.audit)
        assert database.transact(ledger.held) == 10**9
        assert all(database.transact(partial(ledger.find, cause=str(n))) for n in range(done + 1))
        database.close()


def test_a_full_disk_in_mid_commit_is_told_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True)
    if made.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        database = open_ledger(str(disk / "ledger.db"))
        done = 0
        database.transact(lambda sql: ledger.post(sql, deposit("a", 10**6)))
        said = ""
        while not said:
            line = transfer("a", "b" * 100 + str(done), 1, str(done))
            try:
                post(database, line)
                done += 1
            except RetryLater as error:
                said = str(error)
        assert "Make room" in said
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        database.transact(ledger.audit)
        assert database.transact(lambda sql: ledger.balance(sql, "a")) == 10**6 - done
        line = transfer("a", "b", 1, str(done))
        assert database.transact(lambda sql: ledger.post(sql, line))
        database.close()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


# ------------------------------------------------------------------------------------------------ exports


def test_statements_are_read_by_the_programs_that_they_are_for(
    database: LedgerDatabase, tmp_path: Path
) -> None:
    channel = new_channel(300)

    def work(sql: Sql) -> None:
        ledger.post(sql, deposit(PAYER.address, 1_500_000))
        ledger.post(sql, transfer(PAYER.address, "shop", 7, 't"1\\', NOW - 5 * HOUR * 24))
        ledger.post(sql, transfer("shop", PAYER.address, 2, "=t2", NOW + 50 * HOUR))
        ledger.post(sql, open_channel(channel, NOW))
        ledger.put_channel(sql, channel)
        closed, settled = close(channel, SELLER.address, None, NOW)
        assert settled
        ledger.post(sql, settled)
        ledger.put_channel(sql, closed)

    database.transact(work)
    lines = database.transact(lambda sql: ledger.statement(sql, PAYER.address))
    assert '"amount": 1500000' in as_json(lines)
    assert "1.499995" in as_csv(lines).splitlines()[-1]
    assert "'=t2" in as_csv(lines)
    for part in (lines, lines[2:]):
        file = tmp_path / "statement.beancount"
        file.write_text(as_beancount(part))
        from beancount import loader

        _, errors, _ = loader.load_file(str(file))
        assert not errors, (errors, file.read_text())
    assert as_beancount([]) == ""


# ------------------------------------------------------------------- all rules together, cut off anywhere


class Cut(BaseException):
    """The power went."""


class Cutting:
    """A transaction that ends after some statements, as a crash does."""

    def __init__(self, sql: Sql, left: int) -> None:
        self._sql, self._left = sql, left

    def run(self, statement: str, *parameters: object) -> Any:
        if self._left == 0:
            raise Cut
        self._left -= 1
        return self._sql.run(statement, *parameters)

    def among(self, *told: Any) -> Any:
        if self._left == 0:
            raise Cut
        self._left -= 1
        return self._sql.among(*told)

    def insert(self, *told: Any) -> Any:
        if self._left == 0:
            raise Cut
        self._left -= 1
        return self._sql.insert(*told)


def machine(fresh: Fresh) -> type[RuleBasedStateMachine]:
    class Ledger(RuleBasedStateMachine):
        """Deposits, transfers and channels; each may be cut off in the middle, or after it was written."""

        @initialize()
        def begin(self) -> None:
            self.where = fresh()
            self.database = open_ledger(self.where)
            self.held: dict[str, int] = {}
            self.count = 0
            self.open: dict[bytes, int] = {}

        def attempt(self, work: Callable[[Any], Any], cut: int, again: bool) -> bool:
            """Whether it happened. After a crash everything is opened anew, and perhaps asked once more."""
            try:
                self.database.transact(lambda sql: work(Cutting(sql, cut)))
            except Cut:
                self.database.close()
                self.database = open_ledger(self.where)
                return self.attempt(work, 1_000, False) if again else False
            except NotEnough:
                return False
            if again:
                # The answer was lost, and the same thing is asked for a second time.
                self.database.transact(work)
            return True

        @rule(
            who=st.sampled_from("abc"),
            amount=st.integers(1, 100),
            cut=st.integers(0, 12),
            again=st.booleans(),
        )
        def deposit(self, who: str, amount: int, cut: int, again: bool) -> None:
            self.count += 1
            line = deposit(who, amount, str(self.count))
            if self.attempt(lambda sql: ledger.post(sql, line), cut, again):
                self.held[who] = self.held.get(who, 0) + amount

        @rule(
            source=st.sampled_from("abc"),
            to=st.sampled_from("abc"),
            amount=st.integers(1, 100),
            cut=st.integers(0, 12),
            again=st.booleans(),
        )
        def transfer(self, source: str, to: str, amount: int, cut: int, again: bool) -> None:
            self.count += 1
            line = transfer(source, to, amount, str(self.count))
            done = self.attempt(lambda sql: ledger.post(sql, line), cut, again)
            assert not (done and source != to and self.held.get(source, 0) < amount)
            if done and source != to:
                self.held[source] -= amount
                self.held[to] = self.held.get(to, 0) + amount

        @rule(lock=st.integers(1, 100), cut=st.integers(0, 14), again=st.booleans())
        def open_channel(self, lock: int, cut: int, again: bool) -> None:
            self.count += 1
            channel = new_channel(lock, str(self.count).encode())

            def work(sql: Sql) -> None:
                ledger.post(sql, deposit(PAYER.address, lock, f"for {channel.id.hex()}"))
                ledger.post(sql, open_channel(channel, NOW))
                ledger.put_channel(sql, channel)

            if self.attempt(work, cut, again):
                self.open[channel.id] = lock

        @rule(cut=st.integers(0, 14), which=st.integers(0, 9))
        def close_channel(self, cut: int, which: int) -> None:
            if not self.open:
                return
            id = sorted(self.open)[which % len(self.open)]

            def work(sql: Sql) -> None:
                closed, settled = close(ledger.get_channel(sql, id), SELLER.address, None, NOW)
                assert settled
                ledger.post(sql, settled)
                ledger.put_channel(sql, closed)

            if self.attempt(work, cut, False):
                self.held[PAYER.address] = self.held.get(PAYER.address, 0) + self.open.pop(id)

        @invariant()
        def all_adds_up(self) -> None:
            if not hasattr(self, "database"):
                return
            self.database.transact(ledger.audit)
            for who, amount in self.held.items():
                assert self.database.transact(partial(ledger.balance, account=who)) == amount
            everything = sum(self.held.values()) + sum(self.open.values())
            assert self.database.transact(ledger.held) == everything

        def teardown(self) -> None:
            if hasattr(self, "database"):
                self.database.close()

    return Ledger


def test_nothing_is_lost_or_invented_however_often_it_is_cut_off(fresh: Fresh) -> None:
    run_state_machine_as_test(
        machine(fresh), settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
