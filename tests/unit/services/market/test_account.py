"""The loop of the account: whatever the ledger does, it sends heartbeats, and goes on."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.adapters.store.database import Database
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.store.settings import Settings
from appliance.core.clock import SystemClock
from appliance.core.keys import Key
from appliance.services.market import account as money
from appliance.services.market.account import Account, AccountPorts
from tests.support.addresses import address

Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def ledger(serve: Serve) -> Iterator[str]:
    """Something that listens where a ledger should."""
    with socket.create_server((address(), 0)) as server:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    line, _ = server.accept()
                    with contextlib.suppress(OSError):
                        serve(line)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        ip, port = server.getsockname()
        yield f"http://{ip}:{port}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def dribble(line: socket.socket) -> None:
    """A byte now and then, for ever."""
    over = threading.Event()
    line.recv(1_000)
    while not over.wait(0.02):
        line.sendall(b"H")


def silent(line: socket.socket) -> None:
    """Nothing, until the other side hangs up."""
    while line.recv(1_000):
        pass


def nonsense(line: socket.socket) -> None:
    """An answer that is none."""
    line.recv(1_000)
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>no</html>")
    line.close()


@pytest.mark.parametrize("serve", [dribble, silent, nonsense])
def test_a_ledger_that_misbehaves_never_stops_the_heartbeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    for name, seconds in (("BEAT_S", 0.05), ("ROUND_LIMIT_S", 0.3), ("AWAY_S", 0.1)):
        monkeypatch.setattr(money, name, seconds)
    beats = 0
    failed: list[BaseException] = []

    def beat() -> None:
        nonlocal beats
        beats += 1

    async def run(url: str) -> None:
        database = Database(tmp_path / "box.db", check=False)
        clock = SystemClock()
        journal = EventJournal(database, clock)
        ports = AccountPorts(
            database=database, settings=Settings(database), journal=journal, clock=clock, fail=failed.append
        )
        account = Account(url, Key.make(), ports)
        await account.start()
        loop = asyncio.create_task(account.run(beat))
        async with asyncio.timeout(15):
            while not account.reply.away or beats < 5:
                await asyncio.sleep(0.01)
        assert account.wallet is None
        loop.cancel()
        await asyncio.wait([loop])
        await account.stop()
        database.close()

    with ledger(serve) as url:
        asyncio.run(run(url))
    assert not failed


def test_an_error_that_nobody_expected_ends_the_process_also_where_nobody_waits_for_the_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, failed = ValueError("broken"), list[BaseException]()

    async def run() -> None:
        database = Database(tmp_path / "box.db", check=False)
        clock = SystemClock()
        ports = AccountPorts(
            database=database,
            settings=Settings(database),
            journal=EventJournal(database, clock),
            clock=clock,
            fail=failed.append,
        )
        account = Account("http://127.0.0.1:9", Key.make(), ports)

        async def ask_all() -> None:
            raise broken

        monkeypatch.setattr(account, "_ask_all", ask_all)
        assert (await account.fresh()).at == 0
        await account.stop()
        database.close()

    asyncio.run(run())
    assert failed == [broken]
