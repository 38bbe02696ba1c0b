"""A box sells its slots: real peers, a real ledger, and money that arrives."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.auction.lease import CREDIT
from appliance.control import api, money
from appliance.keys import Key
from appliance.operator.service import Operator
from appliance.units import MIB, MicroBtt
from tests.ledger.service import serving
from tests.support.addresses import free_port
from tests.support.box import Box
from tests.support.buyer import Buyer
from tests.support.peer import Peer
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

pytestmark = pytest.mark.slow
PRICE = 1_000
UPLINK = 3 * MIB


class Stall:
    """A box that sells one slot of a torrent."""

    def __init__(self, folder: Path, url: str, operator: Operator) -> None:
        self.url, self.operator, self.folder = url, operator, folder
        self.box = Box(
            folder / "box",
            wallet__ledger=url,
            auction__sell=True,
            auction__slots=1,
            limits__upload_rate=UPLINK // 1024,
            limits__upload_slots=2,
        )
        self.port = free_port(self.box.address)
        text = (self.box.folder / "seedbox.toml").read_text()
        (self.box.folder / "seedbox.toml").write_text(
            text.replace("[auction]\n", f"[auction]\nport = {self.port}\n")
        )

    def open(self) -> None:
        data = write_data(self.box.content / "film.bin", 240 * MIB, 1)
        self.metainfo = make_torrent(data)
        self.id = self.box.add(self.metainfo)
        self.box.wait_state(self.id, api.State.SEEDING)
        self.info_hash = bytes.fromhex(self.box.call(api.ShowTorrent(id=self.id)).v1)
        until(lambda: self.box.call(money.GetMoney()).as_of, "the ledger")
        self.account = self.box.call(money.GetMoney()).address

    def peer(self, name: str) -> Peer:
        return Peer(self.folder / name, self.metainfo, call=(self.box.address, self.box.port))

    def buyer(self, number: int, peer: Peer, price: int = PRICE, pays: bool = True) -> Buyer:
        one = Buyer(Key(bytes(31) + bytes([number])), price, peer.port, pays)
        self.operator.credit(one.key.address, MicroBtt(10**7), f"{number:064x}")
        one.open(self.url, self.account, 10**6)
        return one


@pytest.fixture
def stall(tmp_path: Path) -> Iterator[Stall]:
    with serving(str(tmp_path / "ledger.db")) as (url, operator):
        made = Stall(tmp_path, url, operator)
        with made.box:
            made.open()
            yield made


def test_a_market_whose_port_is_taken_keeps_no_box_from_seeding(tmp_path: Path) -> None:
    with serving(str(tmp_path / "ledger.db")) as (url, operator):
        made = Stall(tmp_path, url, operator)
        with socket.create_server((made.box.address, made.port)), made.box:
            made.open()
            assert any("auction.port" in text for text in made.box.events())


def test_who_does_not_pay_gets_a_credit_window_and_the_slot_goes_to_the_next(stall: Stall) -> None:
    with stall.peer("cheat") as cheat, stall.peer("payer") as payer:
        thief, buyer = stall.buyer(1, cheat, price=5 * PRICE, pays=False), stall.buyer(2, payer)

        async def deal() -> None:
            for one, peer in ((thief, cheat), (buyer, payer)):
                await one.meet(stall.box.address, stall.port, stall.info_hash, peer.address)
            await buyer.until(lambda: any(one.won for one in thief.results), 40)
            await buyer.until(lambda: any(one.won for one in buyer.results), 60)
            await buyer.until(lambda: buyer.channel.paid > 0, 40)
            for one in (thief, buyer):
                await one.market.close()

        asyncio.run(deal())
        most = max(one.sent for one in thief.receipts)
        assert most <= CREDIT * 5 // 4 + 3 * UPLINK, "and what was in flight"
        assert any("was not paid" in text for text in stall.box.events())
