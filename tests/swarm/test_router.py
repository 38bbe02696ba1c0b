"""A box behind a router that opens ports: its market, and its peers' port, can be reached from far away."""

from pathlib import Path
from typing import Any

import pytest

from appliance.control import auction
from tests.support.box import Box
from tests.support.router import HOME, Router
from tests.support.until import until

pytestmark = pytest.mark.slow
MARKET = 6_882


@pytest.mark.parametrize("way", ["upnp", "natpmp"])
def test_the_port_for_bids_is_opened_while_slots_are_sold_and_shut_after_that(
    tmp_path: Path, way: str
) -> None:
    ways = {one: one == way for one in ("upnp", "natpmp")}
    with Router(tmp_path, **ways) as router:
        keys: dict[str, Any] = {f"network__{one}": on for one, on in ways.items()}
        box = Box(
            tmp_path / "box",
            address=HOME,
            prefix=router.inside("home"),
            # No ledger answers there: bids are heard all the same.
            wallet__ledger="http://127.0.0.1:9",
            auction__port=MARKET,
            **keys,
        )
        with box:
            peers = ("TCP", box.port, HOME, box.port)
            until(lambda: peers in router.leases(), "the peers' port")
            assert not router.reaches(MARKET)
            box.call(auction.SetAuction(sell=True))
            market = ("TCP", MARKET, HOME, MARKET)
            until(lambda: market in router.leases(), "the market's port")
            until(lambda: router.reaches(MARKET), "a call from far away")
            assert router.reaches(box.port)
            box.call(auction.SetAuction(sell=False))
            until(lambda: market not in router.leases(), "the end of the market's port")
            assert peers in router.leases()
