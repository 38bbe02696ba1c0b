"""Lanes on a real session: who has won takes the uplink, live; others trickle, and nobody is shut out."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from appliance.core.units import MicroBttPerMib
from appliance.domain.auction.lanes import LANES, LaneRequest, Lanes, free_share
from tests.support.peer import Peer
from tests.support.seller import ID, UPLINK, Seller


def on_a_seller(folder: Path, work: Callable[[Seller, list[Peer], list[Peer]], Awaitable[None]]) -> None:
    async def run(stack: ExitStack) -> None:
        seller = Seller(folder)
        await seller.start()
        try:
            call = (seller.ip, seller.port)
            peers = [
                stack.enter_context(Peer(folder / f"peer{number}", seller.metainfo, call=call))
                for number in range(8)
            ]
            await seller.until(lambda: len(seller.connections()) == 8)
            await work(seller, peers[:4], peers[4:])
        finally:
            seller.engine.close(asyncio.get_running_loop())

    with ExitStack() as stack:
        asyncio.run(run(stack))


def request(peer: Peer, number: int, price: int = 100) -> LaneRequest:
    return LaneRequest(bytes([2]) * 32 + bytes([number]), peer.address, ID, peer.port, MicroBttPerMib(price))


def test_who_wins_takes_the_uplink_live_and_nobody_else_is_shut_out(tmp_path: Path) -> None:
    async def work(seller: Seller, bidders: list[Peer], free: list[Peer]) -> None:
        requests = [request(peer, number) for number, peer in enumerate(bidders)]
        await seller.arrange(requests)
        settled = [seller.keeper.lanes.lane_of(one.key) for one in requests]
        assert None not in settled
        seller.lanes.share(free_share(UPLINK, 20))

        def win(*winners: int) -> None:
            for number, lane in enumerate(settled):
                assert lane is not None
                if number in winners:
                    seller.lanes.prioritise(lane)
                else:
                    seller.lanes.limit(lane, 20_000)

        async def share(*winners: int) -> float:
            rates = await seller.rates()
            won = sum(rates.get(bidders[number].address, 0) for number in winners)
            lost = [rates.get(one.address, 0) for number, one in enumerate(bidders) if number not in winners]
            others = sum(rates.get(peer.address, 0) for peer in free)
            assert max(lost) < 60_000, rates
            assert others < 1.35 * free_share(UPLINK, 20), rates
            return won / (won + sum(lost) + others)

        win(0, 1)
        await asyncio.sleep(1)
        first = await share(0, 1)
        before = set(seller.counters())
        win(2, 3)
        await asyncio.sleep(1)
        second = await share(2, 3)
        assert statistics.mean((first, second)) >= 0.75, (first, second)
        theirs = {peer.address for peer in bidders}
        mine = {one for one in before if one.ip in theirs}
        assert mine <= set(seller.counters()), "nobody was reconnected for it"
        # Nobody bids any more: the uplink is everybody's.
        await seller.arrange([])
        assert seller.taken == {}
        seller.lanes.share(0)
        await asyncio.sleep(6)
        rates = await seller.rates(4)
        assert sum(rates.values()) > 0.5 * UPLINK, rates

    on_a_seller(tmp_path, work)


def test_the_last_of_all_lanes_can_be_given_out_and_works(tmp_path: Path) -> None:
    async def work(seller: Seller, bidders: list[Peer], free: list[Peer]) -> None:
        lanes = Lanes()
        last = bidders[0]
        # Nobody else is there: the best bids have the first lanes.
        absent = [
            LaneRequest(
                bytes([3]) * 32 + bytes([number]), f"127.0.99.{number}", ID, 6_881, MicroBttPerMib(500)
            )
            for number in range(1, LANES)
        ]
        moving = lanes.arrange([*absent, request(last, 0)], seller.connections())
        assert lanes.map[last.address] == LANES - 1
        seller.lanes.map(lanes.map)
        theirs = {last.address}
        seller.lanes.cut(theirs)
        await seller.until(lambda: not theirs & set(seller.connections()))
        seller.lanes.uncut(theirs)
        for one in moving:
            if one.ip in theirs:
                seller.lanes.call(one.torrent, one.ip, one.port)
        await seller.until(lambda: theirs <= set(seller.connections()))
        seller.lanes.share(free_share(UPLINK, 20))

        async def settles(true: Callable[[float], bool]) -> None:
            # Both may have called: one of the two connections goes, and a count with it.
            async with asyncio.timeout(30):
                while not true((await seller.rates(2)).get(last.address, 0)):
                    pass

        seller.lanes.limit(LANES - 1, 20_000)
        await settles(lambda rate: 0 < rate < 60_000)
        seller.lanes.prioritise(LANES - 1)
        await settles(lambda rate: rate > 0.6 * UPLINK)

    on_a_seller(tmp_path, work)
