"""What the auction costs."""

import asyncio
import random
import secrets
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import psutil

from appliance.control import auction, money
from appliance.control.box import GetStatus
from appliance.control.torrents import ShowTorrent, TorrentState
from appliance.core.keys import Key
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib
from appliance.domain.auction.clearing import SlotBid, clear
from appliance.domain.auction.lanes import LaneService
from appliance.entrypoints.operator.service import Operator
from tests.bench.figure import Figure
from tests.support.box import Box
from tests.support.buyer import Buyer
from tests.support.crowd import Crowd, Leecher, key
from tests.support.seller import FREE_PERCENT
from tests.support.torrents import make_torrent, write_data
from tests.system.ledger.service import serving

BIDS, LANES = 10_000, 28


def clearing(folder: Path, pairs: int) -> Iterator[Figure]:
    """A round of 10,000 bids beside Python's own sort of them."""
    chance = random.Random(7)
    bids = [
        SlotBid(secrets.token_bytes(33), f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "t", MicroBttPerMib(price))
        for n, price in enumerate(chance.randrange(1, 10**6) for _ in range(BIDS))
    ]
    cleared, least = [], []
    for _ in range(pairs * 4):
        cleared.append(
            _ms(lambda: clear(bids, slots=LANES, reserve=MicroBttPerMib(1), seed=secrets.token_bytes(32)))
        )
        least.append(_ms(lambda: sorted(bids, key=attrgetter("price"), reverse=True)))
    middle = statistics.median
    yield Figure("clearing of 10,000 bids", middle(cleared), middle(least), "<= 5", "ms")


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


# ------------------------------------------------------------------------------------- slots, for real


def slots(folder: Path, pairs: int) -> Iterator[Figure]:
    """Slots of a loaded seeder with 40 peers: who gets the uplink, and how soon."""
    yield from asyncio.run(_slots(folder, pairs))


async def _slots(folder: Path, pairs: int) -> list[Figure]:
    middle = statistics.median
    shares, firsts, fresh, trickles, faster = [], [], [], [], []
    for number in range(pairs):
        async with Crowd(folder / f"slots{number}", bidders=10, free=30, slots=5) as crowd:
            up, down = dict.fromkeys(range(5), 500), dict.fromkeys(range(5, 10), 100)
            began = time.monotonic()
            await crowd.decide(up | down)
            firsts.append(await _until(crowd, partial(_served, crowd, range(5)), began))
            await crowd.serve(2)
            took = await crowd.took(8)
            winners = sum(took.get(crowd.bidders[one].ip, 0) for one in range(5))
            shares.append(winners / sum(took.values()))
            others = statistics.mean(took.get(one.ip, 0) for one in crowd.free)
            faster.append(winners / 5 / others)
            # Twice: a lease runs for two rounds.
            for _ in range(2):
                await crowd.decide({one: 600 - price for one, price in (up | down).items()})
                await crowd.serve(0.5)
            lost, at = crowd.bidders[0], time.monotonic()
            trickles.append(await _until(crowd, partial(_has_more, lost, lost.received), at))
            crowd.add_bidder()
            began = time.monotonic()
            await crowd.decide({10: 9_000})
            fresh.append(await _until(crowd, partial(_served, crowd, [10]), began))
    free = 1 - FREE_PERCENT / 100
    return [
        Figure(
            "share of the uplink that 5 winners of 40 peers get", middle(shares), free, ">= 0.95", "of it"
        ),
        Figure("from the round's end to a paid byte, connected peer", middle(firsts), None, "<= 2", "s"),
        Figure("from the round's end to a paid byte, new peer", middle(fresh), None, "<= 4", "s"),
        Figure("a demoted bidder trickles again after", middle(trickles), None, "<= 5", "s"),
        Figure("a winner's rate beside a free peer's", middle(faster), None, ">= 5", "times"),
    ]


def _served(crowd: Crowd, who: Iterable[int]) -> bool:
    return all(key(one) in crowd.rules.served and crowd.rules.served[key(one)].lease.sent for one in who)


def _has_more(leecher: Leecher, than: int) -> bool:
    return leecher.received > than


async def _until(crowd: Crowd, true: Callable[[], bool], since: float) -> float:
    while not true():
        await crowd.serve(0.05)
        if time.monotonic() - since > 30:
            break
    return time.monotonic() - since


def whole(folder: Path, pairs: int) -> Iterator[Figure]:
    """200 MB to a winner and to a free peer of a loaded seeder, and both meters of it."""
    yield from asyncio.run(_whole(folder))


async def _whole(folder: Path) -> list[Figure]:
    async with Crowd(folder / "whole", bidders=1, free=19, slots=1) as crowd:
        winner, size = crowd.bidders[0], 200_000_000
        await crowd.decide({0: 500})
        began, before = time.monotonic(), winner.received
        at_first = [one.received for one in crowd.free]
        while winner.received - before < size and time.monotonic() - began < 300:
            await crowd.decide({0: 500})
            await crowd.serve(2)
        seconds = time.monotonic() - began
        gains = [one.received - first for one, first in zip(crowd.free, at_first, strict=True)]
        rate = statistics.median(gains) / seconds
        # A free peer would need the better part of an hour: its rate is taken instead.
        figures = [Figure("200 MB to a free peer against a winner", size / rate, seconds, ">= 5", "s")]
        sent, received = await _quiet(crowd, winner)
        await crowd.decide({0: 500})
        await crowd.serve(5)
        after = await _quiet(crowd, winner)
        figures.append(
            Figure(
                "the seller's meter against the buyer's", after[0] - sent, after[1] - received, "equal", "B"
            )
        )
        return figures


async def _quiet(crowd: Crowd, winner: Leecher) -> tuple[int, int]:
    """Both meters, when nothing is on its way."""
    crowd.lanes.set_service(key(0), LaneService.BLOCKED)
    await crowd.serve(3)
    sent = crowd.rules.served[key(0)].lease.sent
    crowd.lanes.set_service(key(0), LaneService.PRIORITISED)
    crowd.rules.served[key(0)].service = LaneService.PRIORITISED
    return sent, winner.received


def selling(folder: Path, pairs: int) -> Iterator[Figure]:
    """The daemon's CPU for a MiB that is sent, with 28 paying leases and with no auction."""
    with serving(str(folder / "ledger.db")) as (url, operator):
        # As many peers at once in either case: what is measured is the auction.
        keys: dict[str, Any] = {"limits__upload_rate": 24 * 1024, "limits__upload_slots": 28}
        box = Box(folder / "box", wallet__ledger=url, auction__slots=28, **keys)
        metainfo = make_torrent(write_data(box.content / "film.bin", 1024 * MIB, 1))
        with box:
            id = box.add(metainfo)
            box.wait_state(id, TorrentState.SEEDING)
            box.wait_ledger()
            yield from asyncio.run(_selling(box, id, metainfo, url, operator, pairs))


async def _selling(
    box: Box, id: str, metainfo: bytes, url: str, operator: Operator, pairs: int
) -> list[Figure]:
    daemon = psutil.Process(box.process.pid)
    account = box.call(money.GetMoney()).address
    info_hash = bytes.fromhex(box.call(ShowTorrent(id=id)).v1)
    # By TCP: over uTP, of 28 that are cut at once some hold the dead connection for a minute or two.
    by = {"enable_incoming_utp": False, "enable_outgoing_utp": False}
    peers = [Leecher(metainfo, (box.address, box.port), **by) for _ in range(28)]
    buyers = []
    for number, peer in enumerate(peers):
        one = Buyer(Key(bytes(30) + bytes([1, number])), 1_000, 6_881)
        operator.credit(one.key.address, MicroBtt(10**8), f"{number:064x}")
        one.open(url, account, 10**7)
        buyers.append(one)
        peer.call()
    plain, sold = [], []
    for _ in range(pairs):
        plain.append(await _cpu_a_mib(daemon, box, 15))
        box.call(auction.SetAuction(sell=True))
        for one, peer in zip(buyers, peers, strict=True):
            await one.meet(box.address, box.call(auction.GetAuction()).port, info_hash, peer.ip)
        async with asyncio.timeout(90):
            while len([one for one in buyers if one.receipts]) < 28:
                await asyncio.sleep(0.2)
        sold.append(await _cpu_a_mib(daemon, box, 15))
        for one in buyers:
            await one.market.close()
            one.receipts.clear()
        box.call(auction.SetAuction(sell=False))
        await asyncio.sleep(5)
    for peer in peers:
        peer.close()
    middle = statistics.median
    return [Figure("CPU of a MiB sold in 28 leases", middle(sold), middle(plain), "<= 1.05", "ms")]


async def _cpu_a_mib(daemon: psutil.Process, box: Box, seconds: float) -> float:
    def used() -> float:
        times = daemon.cpu_times()
        return float(times.user + times.system)

    before, sent = used(), box.call(GetStatus()).uploaded
    await asyncio.sleep(seconds)
    return (used() - before) * 1e3 / max(1, (box.call(GetStatus()).uploaded - sent) / MIB)
