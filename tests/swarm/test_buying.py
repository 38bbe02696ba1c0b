"""A box buys from a box: sellers are found, bid to, paid for what has arrived, and left when they cheat."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.control import auction, money
from appliance.control.box import SetLimits
from appliance.control.intake import AddMagnet, AddTorrent, Options
from appliance.control.torrents import ShowTorrent, TorrentState
from appliance.core.units import BTT, MIB, BytesPerSecond, MicroBtt
from appliance.domain.auction.deal import PIECES_AHEAD
from appliance.domain.auction.lease import CREDIT
from appliance.domain.governor.limits import LimitsChange
from appliance.entrypoints.operator.service import Operator
from tests.support.addresses import address
from tests.support.box import Box, refused
from tests.support.crook import Crook
from tests.support.peer import Peer
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until
from tests.system.ledger.service import serving

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
        self.seller.wait_state(self.id, TorrentState.SEEDING)
        self.account = self.seller.wait_ledger()
        self.operator.credit(self.buyer.wait_ledger(), MicroBtt(100 * BTT), "1" * 64)

    def add(self) -> None:
        """The buyer adds the torrent, and knows the seller."""
        uri = self.seller.call(ShowTorrent(id=self.id)).magnet
        peer = f"&x.pe={self.seller.address}:{self.seller.port}"
        self.buyer.call(AddMagnet(uri=uri + peer, options=Options()))
        self.buyer.wait_state(self.id, TorrentState.DOWNLOADING)

    def begin(self, **want: Any) -> None:
        """The buyer adds the torrent, and wants it."""
        self.add()
        self.buyer.call(auction.WantTorrent(id=self.id, **want))


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
    trade.buyer.wait_state(trade.id, TorrentState.SEEDING, 90)
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
    assert sold.sold < SIZE, "what came before the lease is nobody's, over whatever connection"
    assert not trade.buyer.call(auction.ListBids()).shunned
    assert not [text for text in trade.buyer.events() if "left alone" in text]


class Deceived:
    """A box that buys, and a crook that it finds."""

    def __init__(self, trade: Trade, folder: Path, lie: str = "", **peer: Any) -> None:
        self.trade, self.folder, self.peer_settings = trade, folder, peer
        info = trade.seller.call(ShowTorrent(id=trade.id))
        self.info_hash, self.magnet = bytes.fromhex(info.v1), info.magnet
        self.crook = Crook(trade.operator.id, lie)
        self.address = address()

    def run(self, until_true: Callable[[], object], price: int = 1_000, seconds: float = 60) -> auction.Bids:
        """Let the box buy from the crook until something is true."""

        async def work() -> None:
            port = await self.crook.listen(self.address, self.info_hash)
            shown = f"Seedbox/0 sb/1:{port}"
            settings = {"address": self.address, "handshake_client_version": shown, **self.peer_settings}
            with Peer(self.folder, self.trade.metainfo, **settings) as peer:
                uri = f"{self.magnet}&x.pe={self.address}:{peer.port}"
                box = self.trade.buyer
                await asyncio.to_thread(box.call, AddMagnet(uri=uri, options=Options()))
                want = auction.WantTorrent(id=self.trade.id, price=price, budget=10 * BTT)
                await asyncio.to_thread(box.call, want)
                async with asyncio.timeout(seconds):
                    while not await asyncio.to_thread(until_true):
                        await asyncio.sleep(0.1)
            await self.crook.market.close()

        asyncio.run(work())
        return self.trade.buyer.call(auction.ListBids())

    def shunned(self) -> bool:
        return bool(self.trade.buyer.call(auction.ListBids()).shunned)

    def spent(self) -> int:
        return self.trade.buyer.call(money.GetMoney()).totals["downloading"]


@pytest.mark.parametrize("lie", ["price", "draw"])
def test_a_seller_that_lies_about_price_or_draw_is_left_with_nothing(
    trade: Trade, tmp_path: Path, lie: str
) -> None:
    deceived = Deceived(trade, tmp_path / "crook", lie)
    told = deceived.run(deceived.shunned)
    (one,) = told.shunned
    assert one.seller == deceived.crook.key.address
    assert "lied about a round's price or its draw" in one.why
    assert deceived.spent() == 0
    assert any("left alone" in text for text in trade.buyer.events())


def test_a_seller_that_charges_for_what_it_did_not_send_is_paid_for_what_came(
    trade: Trade, tmp_path: Path
) -> None:
    write_data(tmp_path / "crook" / "film.bin", SIZE, 1)
    trade.buyer.call(SetLimits(change=LimitsChange(download_rate=BytesPerSecond(MIB))))
    deceived = Deceived(trade, tmp_path / "crook", "meter")
    deceived.crook.sent = 1 << 30
    told = deceived.run(deceived.shunned)
    assert "charged for more than it sent" in told.shunned[0].why
    assert b"meter" in deceived.crook.troubles
    arrived = trade.buyer.row(trade.id).downloaded
    assert deceived.spent() <= 1_000 * (arrived // MIB + 1)


def test_a_seller_whose_slot_brings_nothing_is_given_up_and_costs_nothing(
    trade: Trade, tmp_path: Path
) -> None:
    deceived = Deceived(trade, tmp_path / "crook")
    trade.buyer.call(AddTorrent(metainfo=trade.metainfo, options=Options()))
    told = deceived.run(deceived.shunned)
    assert "nothing came" in told.shunned[0].why
    assert deceived.spent() == 0


def test_bad_pieces_are_not_paid_for_and_their_seller_is_left(trade: Trade, tmp_path: Path) -> None:
    data = write_data(tmp_path / "crook" / "film.bin", SIZE, 1)
    with data.open("r+b") as file:
        # One piece of 300 is bad: some good ones come, and are sold, before the first bad one does.
        for at in range(0, SIZE, 300 * 32 * 1024):
            file.seek(at)
            file.write(b"bad")
    trade.buyer.call(AddTorrent(metainfo=trade.metainfo, options=Options()))
    trade.buyer.call(SetLimits(change=LimitsChange(download_rate=BytesPerSecond(MIB))))
    # It must not look at what it sends: libtorrent would notice, and not send it.
    deceived = Deceived(trade, tmp_path / "crook", unchecked=True, disable_hash_checks=True)
    deceived.crook.sent = 1 << 30
    deceived.crook.lie = "bad data"
    told = deceived.run(deceived.shunned)
    assert "failed its check" in told.shunned[0].why
    arrived = trade.buyer.row(trade.id).downloaded
    step = CREDIT + PIECES_AHEAD * 32 * 1024
    assert deceived.spent() <= 1_000 * (arrived + step) // MIB


def test_a_simulated_purchase_says_what_it_would_bid_and_bids_nothing(trade: Trade) -> None:
    trade.begin(price=2_000, budget=10 * BTT, simulate=True)
    until(lambda: any("would be bid" in text for text in trade.buyer.events()), "the simulation", 30)
    assert not trade.seller.call(auction.GetAuction()).waiting
    trade.buyer.wait_state(trade.id, TorrentState.SEEDING, 90)
    told = trade.buyer.call(money.GetMoney())
    assert (told.totals["downloading"], told.locked, told.held) == (0, 0, 0)


def test_a_buyer_that_dies_in_a_lease_goes_on_and_pays_nothing_twice(trade: Trade) -> None:
    trade.begin(price=2_000, budget=10 * BTT)
    until(lambda: trade.buyer.call(money.GetMoney()).totals["downloading"] > 2_000, "payments", 60)
    trade.buyer.kill()
    trade.buyer.start()
    (wanted,) = until(lambda: trade.buyer.call(auction.ListBids()).torrents, "what it wants", 60)
    assert wanted.price == 2_000
    trade.buyer.wait_state(trade.id, TorrentState.SEEDING, 90)

    def settled() -> bool:
        spent = trade.buyer.call(money.GetMoney()).totals["downloading"]
        return bool(spent == trade.seller.call(money.GetMoney()).totals["distribution"])

    until(settled, "both books to agree", 60)
    assert not trade.buyer.call(auction.ListBids()).shunned
    spent = trade.buyer.call(money.GetMoney()).totals["downloading"]
    assert spent <= 2_000 * (SIZE // MIB) + 2_000 * CREDIT // MIB


def test_what_cannot_be_bought_is_refused_with_the_reason(trade: Trade) -> None:
    assert "here already" in refused(trade.seller, auction.WantTorrent(id=trade.id, price=1, budget=1))
    trade.begin(price=2_000, budget=10 * BTT, simulate=True)
    for want, says in (
        (auction.WantTorrent(id=trade.id, price=1, budget=0), "more than nothing"),
        (auction.WantTorrent(id=trade.id, price=1, budget=1, deadline=1), "over"),
        (auction.WantTorrent(id="0" * 40, price=1, budget=1), "No torrent"),
    ):
        assert says in refused(trade.buyer, want), says


def test_a_box_bids_by_itself_as_far_as_its_owner_allows(trade: Trade) -> None:
    trade.buyer.call(auction.SetAuction(buy_price=1_500, buy_budget=0))
    trade.add()
    until(lambda: trade.buyer.call(auction.ListBids()).bids, "a market", 30)
    (bought,) = trade.buyer.call(auction.ListBids()).torrents
    assert not bought.own
    assert not any(one.bid for one in trade.buyer.call(auction.ListBids()).bids), "the day has no budget"
    trade.buyer.call(auction.SetAuction(buy_budget=1))
    until(lambda: trade.buyer.call(money.GetMoney()).totals["downloading"], "a payment", 60)
    assert all(one.bid <= 1_500 for one in trade.buyer.call(auction.ListBids()).bids)
    trade.buyer.call(auction.SetAuction(buy_price=0))
    until(lambda: not trade.buyer.call(auction.ListBids()).torrents, "the end of bidding", 20)
