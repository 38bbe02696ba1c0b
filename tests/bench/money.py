"""What money costs: channel states, and the ledger's service under load."""

import asyncio
import hashlib
import secrets
import selectors
import socket
import sqlite3
import statistics
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import psutil
from coincurve import PrivateKey, PublicKey

from appliance.adapters.ledger_http import messages as wire
from appliance.adapters.store.database import Database
from appliance.adapters.store.ledger_database import SqliteLedger
from appliance.adapters.store.wallet import WalletMemory
from appliance.control import money as api
from appliance.core.clock import SystemClock
from appliance.core.keys import Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.channel import Channel, ChannelState, channel_id, check, pay
from appliance.domain.ledger.request import Request, sign
from appliance.domain.wallet.model import ChannelStanding, Purpose, WalletChannel
from appliance.domain.wallet.wallet import Wallet
from appliance.entrypoints.operator.service import Operator
from tests.bench.figure import Figure
from tests.support.account import DirectLedger
from tests.support.box import Box
from tests.support.postgres import Postgres
from tests.system.chain.test_settle import ALICE
from tests.system.chain.test_settle import Bench as Settling
from tests.system.ledger.service import serving

CLIENTS, TURNS = 32, 60


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
    database = Database(folder / "box.db", check=False)
    wallet = Wallet(
        seller,
        DirectLedger(_no_ledger(folder), seller, SystemClock()),
        WalletMemory(database, b"L" * 32, SystemClock()),
    )
    held = WalletChannel(channel=channel, purpose=Purpose.DISTRIBUTION, standing=ChannelStanding.OPEN)
    runner = asyncio.Runner()
    runner.run(wallet.store.new_channel(held))
    runner.run(wallet.load())

    def verify_alone() -> None:
        assert public.verify(signature, digest, hasher=None)

    def commit_alone() -> None:
        verify_alone()
        plain.execute("INSERT OR REPLACE INTO best VALUES (1, 2, 3, ?)", (signature,))

    async def keep(states: Sequence[ChannelState]) -> float:
        """Milliseconds a state, as the box accepts them."""
        started = time.perf_counter()
        for one in states:
            await wallet.accept_state(channel.id, one, "ab" * 20)
        return (time.perf_counter() - started) * 1e3 / len(states)

    verified, alone, kept, least = [], [], [], []
    latest = channel
    for _ in range(pairs):
        verified.append(_per_second(lambda: check(channel, state), 2_000))
        alone.append(_per_second(verify_alone, 2_000))
        made = []
        for _ in range(200):
            latest, one = pay(latest, payer, MicroBtt(latest.paid + 1))
            made.append(one)
        kept.append(runner.run(keep(made)))
        least.append(1e3 / _per_second(commit_alone, 200))
    wallet.close()
    runner.close()
    database.close()
    plain.close()
    middle = statistics.median
    yield Figure("verify and keep a channel state", middle(kept), middle(least), "<= 1.5", "ms")
    yield Figure("states verified a second, not kept", middle(verified), middle(alone), ">= 0.8", "/s")


def _no_ledger(folder: Path) -> Operator:
    return Operator(SqliteLedger(folder / "ledger.db"), SystemClock(), "bench")


def memory(folder: Path, pairs: int) -> Iterator[Figure]:
    """RSS of the daemon with money and without, and of the gateway while it works."""
    with serving(str(folder / "ledger.db")) as (url, _):
        sizes: dict[str, list[float]] = {"": [], url: []}
        for number in range(pairs):
            for where, found in sizes.items():
                with Box(folder / f"box{number}{bool(where)}", wallet__ledger=where) as box:
                    if where:
                        box.wait_ledger()
                    box.call(api.GetMoney())
                    found.append(psutil.Process(box.process.pid).memory_info().rss / 1e6)
    without, money = (statistics.median(one) for one in sizes.values())
    yield Figure(
        "RSS of the daemon that money adds", money - without, without, "<= 8 MB", "MB (ref: without)"
    )
    bench = Settling(folder / "settle")
    try:
        bench.blocks(1)
        bench.settle()
        for number in range(20):
            bench.give(ALICE.address, 1_000_000 + number)
        bench.blocks()
        most = bench.peak()
    finally:
        bench.close()
    yield Figure("RSS of settle at its peak, 20 deposits", most, None, "<= 90 MB", "MB")


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
    keys = [Key.make() for _ in range(CLIENTS)]
    with serving(where) as (url, running):
        for key in keys:
            running.credit(key.address, MicroBtt(10**9), secrets.token_hex(32))
        # Signed beforehand: what is measured is the ledger, as pgbench measures a server.
        scripts = [_script(running, keys[mine], keys[(mine + 1) % CLIENTS]) for mine in range(CLIENTS)]
        times = _drive(url, scripts)
        running.audit()
    started, ended = min(one[0] for one in times), max(one[1] for one in times)
    return len(times) / (ended - started), [end - start for start, end in times]


def _script(running: Operator, key: Key, other: Key) -> list[bytes]:
    """All that one client asks, as it goes over the line."""
    now = SystemClock().now()
    asked: list[tuple[Key, str, object]] = []
    for turn in range(TURNS):
        name, ends = f"c{turn}", UtcMs(now + 3_600_000)
        id = channel_id(running.id, key.public, other.address, name.encode())
        asked += [
            (key, "/v1/transfers", wire.NewTransfer(f"t{turn}", other.address, "1")),
            (key, "/v1/channels", wire.NewChannel(name, other.address, "5", ends, 60_000)),
            (other, f"/v1/channels/{id.hex()}/close", wire.Closing()),
        ]
    made = []
    for by, target, body in asked:
        raw = msgspec.json.encode(body)
        headers = sign(by, running.id, Request("POST", target, raw), now, secrets.token_hex(16))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        made.append(
            f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n{head}\r\n".encode() + raw
        )
    return made


def _drive(url: str, scripts: Sequence[list[bytes]]) -> list[tuple[float, float]]:
    """Each script over a connection of its own, one request at a time; (begin, end) of each."""
    parts = urllib.parse.urlsplit(url)
    chosen, times, left = selectors.DefaultSelector(), list[tuple[float, float]](), len(scripts)
    for script in scripts:
        line = socket.create_connection((parts.hostname, parts.port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chosen.register(line, selectors.EVENT_READ, [iter(script), 0.0, b""])
    for key in list(chosen.get_map().values()):
        assert isinstance(key.fileobj, socket.socket)
        key.data[1] = time.perf_counter()
        key.fileobj.sendall(next(key.data[0]))
    while left:
        for key, _ in chosen.select():
            assert isinstance(key.fileobj, socket.socket)
            line, state = key.fileobj, key.data
            state[2] += line.recv(65_536)
            head, _, body = state[2].partition(b"\r\n\r\n")
            if not body or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
                continue
            assert head.startswith(b"HTTP/1.1 200"), state[2]
            now = time.perf_counter()
            times.append((state[1], now))
            state[1], state[2] = now, b""
            following = next(state[0], None)
            if following is None:
                chosen.unregister(line)
                line.close()
                left -= 1
            else:
                line.sendall(following)
    return times


def flood(folder: Path, pairs: int) -> Iterator[Figure]:
    """What an honest client feels while one address sends garbage as fast as it can."""
    with serving(str(folder / "flood.db")) as (url, running):
        payer, seller = Key.make(), Key.make()
        running.credit(payer.address, MicroBtt(10**9), secrets.token_hex(32))
        calm = [end - start for start, end in _drive(url, [_script(running, payer, seller)])]
        garbage = [b"POST /v1/transfers HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{{{{"] * 200
        over = threading.Event()
        sent = [0]

        def storm() -> None:
            parts = urllib.parse.urlsplit(url)
            while not over.is_set():
                with socket.create_connection((parts.hostname, parts.port)) as line:
                    for one in garbage:
                        line.sendall(one)
                        line.recv(4_096)
                        sent[0] += 1

        thread = threading.Thread(target=storm)
        thread.start()
        stranger = Key.make()
        running.credit(stranger.address, MicroBtt(10**9), secrets.token_hex(32))
        stormy = [end - start for start, end in _drive(url, [_script(running, stranger, seller)])]
        over.set()
        thread.join()
    p99 = [statistics.quantiles(one, n=100)[98] * 1e3 for one in (stormy, calm)]
    yield Figure(f"p99 of an honest client, {sent[0]} garbage requests meanwhile", p99[0], p99[1], "-", "ms")
