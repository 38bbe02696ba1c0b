"""What money costs: channel states, and the ledger's service under load."""

import hashlib
import secrets
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from coincurve import PrivateKey, PublicKey

from appliance.errors import RetryLater
from appliance.keys import Key
from appliance.ledger.channel import Channel, accept, channel_id, check, pay
from appliance.operator.client import LedgerClient
from appliance.store import ledger
from appliance.store.ledger_database import SqliteLedger
from appliance.units import MicroBtt, UtcMs
from tests.bench.figure import Figure
from tests.support.postgres import Postgres

CLIENTS = 32


def _per_second(work: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        work()
    return count / (time.perf_counter() - started)


def states(folder: Path, pairs: int) -> Iterator[Figure]:
    """Verifying a channel state, alone and with keeping it, each beside its least cost."""
    payer, seller = Key.make(), Key.make()
    channel = Channel(
        id=channel_id(b"L" * 32, payer.public, seller.address, b"n"),
        ledger=b"L" * 32,
        payer=payer.public,
        recipient=seller.address,
        lock=MicroBtt(10**12),
        expires=UtcMs(2**50),
        window_ms=1,
    )
    _, state = pay(channel, payer, MicroBtt(1))
    private = PrivateKey()
    public, digest = PublicKey(private.public_key.format()), hashlib.sha256(b"x").digest()
    signature = private.sign(digest, hasher=None)
    plain = sqlite3.connect(folder / "plain.db", isolation_level=None)
    plain.execute("PRAGMA journal_mode = WAL")
    plain.execute("PRAGMA synchronous = FULL")
    plain.execute("CREATE TABLE best (id INTEGER PRIMARY KEY, seq INTEGER, paid INTEGER, signature BLOB)")
    database, current = SqliteLedger(folder / "ledger.db"), channel
    database.transact(lambda sql: ledger.put_channel(sql, channel))

    def verify_alone() -> None:
        assert public.verify(signature, digest, hasher=None)

    def commit_alone() -> None:
        verify_alone()
        plain.execute("INSERT OR REPLACE INTO best VALUES (1, 2, 3, ?)", (signature,))

    def keep() -> None:
        nonlocal current
        current = accept(current, next(signed))
        database.transact(lambda sql: ledger.put_channel(sql, current))

    verified, alone, kept, least = [], [], [], []
    latest = channel
    for _ in range(pairs):
        verified.append(_per_second(lambda: check(channel, state), 2_000))
        alone.append(_per_second(verify_alone, 2_000))
        made = []
        for _ in range(200):
            latest, one = pay(latest, payer, MicroBtt(latest.paid + 1))
            made.append(one)
        signed = iter(made)
        kept.append(1e3 / _per_second(keep, 200))
        least.append(1e3 / _per_second(commit_alone, 200))
    database.close()
    plain.close()
    middle = statistics.median
    yield Figure("verify and keep a channel state", middle(kept), middle(least), "<= 1.5", "ms")
    yield Figure("states verified a second, not kept", middle(verified), middle(alone), ">= 0.8", "/s")


def operator(folder: Path, pairs: int) -> Iterator[Figure]:
    """32 clients pay, open and close, beside pgbench on the same server."""
    with Postgres() as server:
        for kind in ("postgres", "sqlite"):
            rates, references, times = [], [], []
            for number in range(pairs):
                where = (
                    server.fresh(f"bench{number}")
                    if kind == "postgres"
                    else str(folder / f"bench{number}.db")
                )
                rate, took = _load(where)
                rates.append(rate)
                times += took
                references.append(server.pgbench(CLIENTS, 4))
            p50, p99 = (statistics.quantiles(times, n=100)[at] * 1e3 for at in (49, 98))
            middle = statistics.median
            yield Figure(
                f"ledger requests a second, 32 clients, {kind}",
                middle(rates),
                middle(references),
                ">= 0.3",
                "/s",
            )
            yield Figure(f"  p50 of a request, {kind}", p50, None, "-", "ms")
            yield Figure(f"  p99 of a request, {kind}", p99, None, "-", "ms")


def _load(where: str) -> tuple[float, list[float]]:
    """(requests a second, seconds of each) of clients that each transfer, open a channel and close it."""
    from appliance.clock import SystemClock
    from tests.ledger.service import serving

    keys = [Key.make() for _ in range(CLIENTS)]
    times: list[float] = []
    with serving(where) as (url, running):
        for key in keys:
            running.credit(key.address, MicroBtt(10**9), secrets.token_hex(32))

        def work(mine: int) -> None:
            client, other = LedgerClient(url, keys[mine], SystemClock()), keys[(mine + 1) % CLIENTS]
            seller = LedgerClient(url, other, SystemClock())
            for turn in range(6):
                ends = UtcMs(client.now() + 3_600_000)
                for ask in (
                    lambda turn=turn: client.transfer(f"t{turn}", other.address, MicroBtt(1)),
                    lambda turn=turn, ends=ends: client.open(
                        f"c{turn}", other.address, MicroBtt(5), ends, 60_000
                    ),
                    lambda turn=turn: seller.close_channel(
                        channel_id(client.ledger, keys[mine].public, other.address, f"c{turn}".encode()), None
                    ),
                ):
                    started = time.perf_counter()
                    while True:
                        try:
                            ask()
                        except RetryLater:
                            continue
                        break
                    times.append(time.perf_counter() - started)
            client.close()
            seller.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(times) / (time.perf_counter() - started), times
