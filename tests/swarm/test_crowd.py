"""Twenty bidders and twenty others at one seeder: bids rise and fall for forty rounds, bytes follow."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.auction.lanes import LanePhase
from tests.support.crowd import Crowd, key
from tests.support.seller import FREE_PERCENT, ID, UPLINK
from tests.support.transmission import Transmission

pytestmark = pytest.mark.slow
ROUNDS = 40
"""Ten minutes of them."""


def test_bids_rise_and_fall_for_ten_minutes_and_the_uplink_follows_them(tmp_path: Path) -> None:
    async def work() -> None:
        async with Crowd(tmp_path / "seeder", bidders=20, free=19, slots=5, kind="v1") as crowd:
            with Transmission(tmp_path / "transmission") as other:
                await asyncio.to_thread(other.add, crowd.seeder.metainfo)
                crowd.seeder.lanes.call(ID, other.address, other.port)
                await rise_and_fall(crowd, other.address)

    asyncio.run(work())


async def rise_and_fall(crowd: Crowd, transmission: str) -> None:
    chance = random.Random(5)
    prices = {number: chance.randrange(100, 1_000) for number in range(20)}
    totals = dict[str, int]()
    sold, all_winners = [], set[int]()
    changes, before = 0, set[int]()
    for _ in range(ROUNDS):
        for number in chance.sample(range(20), 6):
            prices[number] = max(10, prices[number] * chance.randrange(50, 200) // 100)
        await crowd.decide(prices)
        winners = set(crowd.winners)
        best = sorted(prices, key=lambda number: -prices[number])[:5]
        assert {prices[number] for number in winners} == {prices[number] for number in best}
        changes += len(winners - before)
        before = winners
        all_winners |= winners
        took = await crowd.took(1.25)
        for ip, count in took.items():
            totals[ip] = totals.get(ip, 0) + count
        # A lease runs for two rounds: who has lost is still served in the first.
        served = {crowd.bidders[number].ip for number in range(20) if key(number) in crowd.rules.served}
        sold.append(sum(took.get(ip, 0) for ip in served) / max(1, sum(took.values())))
        holders = [lane.holder.key for lane in crowd.lanes.lanes.taken.values()]
        assert len(holders) == len(set(holders)), "a lane is nobody else's"
        assert all(lane.phase is LanePhase.SETTLED for lane in crowd.lanes.lanes.taken.values())
    assert changes > ROUNDS // 2, "winners changed"
    assert len(all_winners) >= 8
    # While winners change, lanes fill within a part of a second; the share is bounded in `make bench`.
    assert sorted(sold)[len(sold) // 2] > (1 - FREE_PERCENT / 100) * 0.85, sold
    shut_out = [one.ip for one in crowd.free if not totals.get(one.ip)]
    assert len(shut_out) <= 2, "who does not pay waits longer, but is not shut out"
    assert totals.get(transmission), "nor is a program that knows nothing of all this"
    for number, one in enumerate(crowd.bidders):
        lease_bytes = sum(over.lease.sent for over in crowd.over if over.lease.key == key(number))
        running = crowd.rules.served.get(key(number))
        lease_bytes += running.lease.sent if running else 0
        assert lease_bytes <= one.received + UPLINK // 4, "nobody is charged for what did not come"
    assert not [over for over in crowd.over if "not paid" in over.lease.ended.value]  # type: ignore[union-attr]


def test_when_less_is_sent_who_does_not_pay_bears_it_first_and_leases_have_the_rest(tmp_path: Path) -> None:
    async def work() -> None:
        async with Crowd(tmp_path / "seeder", bidders=2, free=6, slots=2) as crowd:
            paid, free = {one.ip for one in crowd.bidders}, {one.ip for one in crowd.free}

            async def rates(now: int) -> tuple[int, int]:
                """(of leases, of all others) in bytes a second while so much is sent in all."""
                limit: Any = {"upload_rate_limit": now}
                crowd.seeder.engine.session.apply_settings(limit)
                crowd.lanes.uplink_now = now
                await crowd.decide({0: 500, 1: 400})
                await crowd.serve(4)
                took = await crowd.took(4)
                return tuple(sum(took.get(ip, 0) for ip in ips) // 4 for ips in (paid, free))  # type: ignore[return-value]

            usual, _ = await rates(UPLINK)
            leases, others = await rates(UPLINK * 9 // 10)
            assert leases > usual * 9 // 10, (leases, usual)
            assert others < UPLINK * 3 // 20, "a tenth of the uplink is left of a fifth"
            leases, others = await rates(UPLINK // 2)
            assert leases > UPLINK // 2 * 8 // 10, (leases, others)
            assert 0 < others < UPLINK // 20, "who does not pay waits, and is not shut out"

    asyncio.run(work())
