"""A box buys from a box: sellers are found, bid to, paid for what has arrived, and left when they cheat."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control import api, auction, money
from appliance.operator.service import Operator
from appliance.units import BTT, MIB, MicroBtt
from tests.ledger.service import serving
from tests.support.box import Box
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

pytestmark = pytest.mark.slow
UPLINK = 3 * MIB
SIZE = 90 * MIB


class Trade:
    """A ledger, a box that sells, and one that buys."""

    def __init__(self, folder: Path, url: str, operator: Operator) -> None:
        self.operator = operator
        self.seller = Box(
            folder / "seller",
            wallet__ledger=url,
            auction__sell=True,
            auction__slots=2,
            auction__port=6882,
            limits__upload_rate=UPLINK // 1024,
        )
        self.buyer = Box(folder / "buyer", wallet__ledger=url)
        self.metainfo = make_torrent(write_data(self.seller.content / "film.bin", SIZE, 1))

    def open(self) -> None:
        self.id = self.seller.add(self.metainfo)
        self.seller.wait_state(self.id, api.State.SEEDING)
        for box in (self.seller, self.buyer):
            until(lambda box=box: box.call(money.GetMoney()).as_of, "the ledger")  # type: ignore[misc]
        self.account = self.seller.call(money.GetMoney()).address
        buyer = self.buyer.call(money.GetMoney()).address
        self.operator.credit(buyer, MicroBtt(100 * BTT), "1" * 64)

    def begin(self, **want: int | bool) -> None:
        """The buyer adds the torrent, knows the seller, and wants it."""
        uri = self.seller.call(api.ShowTorrent(id=self.id)).magnet
        peer = f"&x.pe={self.seller.address}:{self.seller.port}"
        self.buyer.call(api.AddMagnet(uri=uri + peer, options=api.Options()))
        self.buyer.wait_state(self.id, api.State.DOWNLOADING)
        self.buyer.call(auction.WantTorrent(id=self.id, **want))  # type: ignore[arg-type]


@pytest.fixture
def trade(tmp_path: Path) -> Iterator[Trade]:
    with contextlib.ExitStack() as stack:
        url, operator = stack.enter_context(serving(str(tmp_path / "ledger.db")))
        made = Trade(tmp_path, url, operator)
        stack.enter_context(made.seller)
        stack.enter_context(made.buyer)
        made.open()
        yield made


def test_a_box_buys_what_its_owner_wants_sooner_and_both_books_agree(trade: Trade) -> None:
    trade.begin(price=2_000, budget=10 * BTT)
    until(lambda: any(one.won for one in trade.buyer.call(auction.ListBids()).bids), "a slot", 60)
    trade.buyer.wait_state(trade.id, api.State.SEEDING, 90)
    until(lambda: not trade.seller.call(auction.GetAuction()).sold, "the end of the lease", 60)

    def settled() -> bool:
        spent = trade.buyer.call(money.GetMoney()).totals["downloading"]
        return bool(spent == trade.seller.call(money.GetMoney()).totals["distribution"] > 0)

    until(settled, "both books to agree", 30)
    (sold,) = trade.seller.call(auction.GetYields()).torrents
    spent = trade.buyer.call(money.GetMoney()).totals["downloading"]
    assert spent == sold.earned
    assert spent <= 2_000 * sold.sold // MIB + 1
    assert spent >= 99 * sold.sold // MIB, "the least price of the seller, at least"
    assert not trade.buyer.call(auction.ListBids()).shunned
    assert not [text for text in trade.buyer.events() if "left alone" in text]
