"""The auction over IPv6: bids, lanes and bounces work as they do over IPv4."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.control import auction, money
from tests.support.netns import own_network
from tests.swarm.test_selling import PRICE, Stall
from tests.system.ledger.service import serving

pytestmark = pytest.mark.slow
BOX, PAYER, *OTHERS = (f"fd00::{number}" for number in range(1, 6))


@pytest.fixture
def stall(tmp_path: Path) -> Iterator[Stall]:
    with ExitStack() as stack:
        stack.enter_context(own_network(*(f"{one}/128" for one in (BOX, PAYER, *OTHERS))))
        url, operator = stack.enter_context(serving(str(tmp_path / "ledger.db")))
        made = Stall(tmp_path, url, operator, BOX)
        stack.enter_context(made.box)
        made.open()
        yield made


@pytest.mark.parametrize("transport", ["tcp", "utp"])
def test_who_pays_is_served_before_all_others_over_ipv6(stall: Stall, transport: str) -> None:
    over = {
        f"enable_{way}_{other}": False
        for way in ("incoming", "outgoing")
        for other in {"tcp", "utp"} - {transport}
    }
    with ExitStack() as stack:
        others = [stack.enter_context(stall.peer(one[-1], address=one, **over)) for one in OTHERS]
        payer = stack.enter_context(stall.peer("payer", address=PAYER, **over))
        buyer = stall.buyer(1, payer)

        async def deal() -> dict[str, int]:
            async with stall.meeting((buyer, payer)):
                await buyer.until_paid()
                before = stall.uploads()
                await buyer.until_paid(20 * PRICE)
                (slot,) = stall.box.call(auction.GetAuction()).sold
                assert (slot.host, slot.connected) == (PAYER, True)
                return {ip: count - before.get(ip, 0) for ip, count in stall.uploads().items()}

        more = asyncio.run(deal())
        waiting = sum(more.get(one, 0) for one in OTHERS)
        assert more[PAYER] > 3 * waiting > 0, more
        assert all(one.listen()["over"] == [transport] for one in (payer, *others))
        assert not buyer.unfair
        assert not buyer.troubles
        assert stall.box.call(auction.GetAuction()).others == len(OTHERS)
    told = stall.box.call(money.GetMoney())
    assert told.totals["distribution"] == buyer.channel.paid >= 20 * PRICE
