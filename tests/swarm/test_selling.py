"""A box sells its slots: real peers, a real ledger, and money that arrives."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.control import auction, money
from appliance.control.torrents import ListPeers, Remove, ShowTorrent, TorrentState
from appliance.core.keys import Key
from appliance.core.units import MIB, MicroBtt
from appliance.domain.auction.lease import CREDIT
from appliance.entrypoints.operator.service import Operator
from tests.support.addresses import free_port
from tests.support.box import Box
from tests.support.buyer import Buyer
from tests.support.peer import Peer
from tests.support.torrents import make_torrent, write_data
from tests.system.ledger.service import serving

pytestmark = pytest.mark.slow
PRICE = 1_000
UPLINK = 2 * MIB
IN_FLIGHT = 2 * MIB
"""What libtorrent has read ahead, and the kernel holds, when a lane is shut."""
TCP_ALONE = {"enable_outgoing_utp": False, "enable_incoming_utp": False}
"""For a peer whose box goes away: over uTP it keeps the dead connection for a minute or two, and refuses
another one.
"""


class Stall:
    """A box that sells one slot of a torrent."""

    def __init__(self, folder: Path, url: str, operator: Operator, address: str = "") -> None:
        self.url, self.operator, self.folder = url, operator, folder
        self.ledger_away: Callable[[], None] = lambda: None
        self.box = Box(
            folder / "box",
            address=address,
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
        self.box.wait_state(self.id, TorrentState.SEEDING)
        self.info_hash = bytes.fromhex(self.box.call(ShowTorrent(id=self.id)).v1)
        self.box.wait_ledger()
        self.account = self.box.call(money.GetMoney()).address

    def uploads(self) -> dict[str, int]:
        """Payload by address."""
        rows = self.box.call(ListPeers(id=self.id)).peers
        found = dict[str, int]()
        for row in rows:
            ip = row.address.rpartition(":")[0].strip("[]")
            found[ip] = found.get(ip, 0) + row.uploaded
        return found

    def peer(self, name: str, **settings: Any) -> Peer:
        return Peer(self.folder / name, self.metainfo, call=(self.box.address, self.box.port), **settings)

    def buyer(self, number: int, peer: Peer, price: int = PRICE, pays: bool = True) -> Buyer:
        one = Buyer(Key(bytes(31) + bytes([number])), price, peer.port, pays)
        self.operator.credit(one.key.address, MicroBtt(10**7), f"{number:064x}")
        one.open(self.url, self.account, 10**6)
        return one

    @contextlib.asynccontextmanager
    async def meeting(self, *pairs: tuple[Buyer, Peer]) -> AsyncIterator[None]:
        """Buyers at the market, each from the address of its peer, until the end."""
        for buyer, peer in pairs:
            await buyer.meet(self.box.address, self.port, self.info_hash, peer.address)
        yield
        for buyer, _ in pairs:
            await buyer.market.close()


@pytest.fixture
def stall(tmp_path: Path) -> Iterator[Stall]:
    with contextlib.ExitStack() as ledger:
        url, operator = ledger.enter_context(serving(str(tmp_path / "ledger.db")))
        made = Stall(tmp_path, url, operator)
        made.ledger_away = ledger.close
        with made.box:
            made.open()
            yield made


def test_a_market_whose_port_is_taken_keeps_no_box_from_seeding(tmp_path: Path) -> None:
    with serving(str(tmp_path / "ledger.db")) as (url, operator):
        made = Stall(tmp_path, url, operator)
        with socket.create_server((made.box.address, made.port)), made.box:
            made.open()
            assert any("auction.port" in text for text in made.box.events())


def test_who_pays_is_served_before_all_others_and_both_books_agree(stall: Stall) -> None:
    with stall.peer("free1"), stall.peer("free2"), stall.peer("payer") as payer:
        buyer = stall.buyer(1, payer)

        async def deal() -> dict[str, int]:
            async with stall.meeting((buyer, payer)):
                await buyer.until_paid()
                before = stall.uploads()
                await buyer.until_paid(20 * PRICE)
                return {ip: count - before.get(ip, 0) for ip, count in stall.uploads().items()}

        more = asyncio.run(deal())
        others = [count for ip, count in more.items() if ip != payer.address]
        assert more[payer.address] > 3 * sum(others), more
        assert any(others), "who does not pay waits, and is not shut out"
        assert buyer.unfair == 0
        assert not buyer.troubles

        async def part() -> None:
            """The buyer takes its bid back, and pays the last receipt."""
            async with stall.meeting((buyer, payer)):
                await buyer.until(lambda: buyer.line)
                buyer.take_back()
                await buyer.until(lambda: not stall.box.call(auction.GetAuction()).sold, 60)

        asyncio.run(part())
        told = stall.box.call(money.GetMoney())
        assert told.totals["distribution"] == buyer.channel.paid == told.receivable
        (shown,) = stall.box.call(auction.GetYields()).torrents
        assert shown.earned == buyer.channel.paid
        assert shown.earned == -(-shown.sold * PRICE // MIB), "every byte was charged, once"


def test_who_does_not_pay_gets_a_credit_window_and_the_slot_goes_to_the_next(stall: Stall) -> None:
    with stall.peer("cheat") as cheat, stall.peer("payer") as payer:
        thief, buyer = stall.buyer(1, cheat, price=5 * PRICE, pays=False), stall.buyer(2, payer)

        async def deal() -> None:
            async with stall.meeting((thief, cheat), (buyer, payer)):
                await buyer.until(lambda: any(one.won for one in thief.results), 40)
                await buyer.until(lambda: any(one.won for one in buyer.results), 60)
                await buyer.until_paid()

        asyncio.run(deal())
        assert max(one.sent for one in thief.receipts) <= CREDIT * 5 // 4 + IN_FLIGHT
        assert any("was not paid" in text for text in stall.box.events())
        assert not thief.unfair
        assert not buyer.unfair


def test_a_box_that_dies_in_a_lease_goes_on_with_it_and_charges_nothing_twice(stall: Stall) -> None:
    with stall.peer("payer", **TCP_ALONE) as payer:
        buyer = stall.buyer(1, payer)

        async def first() -> None:
            async with stall.meeting((buyer, payer)):
                await buyer.until_paid(10 * PRICE)
                stall.box.kill()

        asyncio.run(first())
        paid = buyer.channel.paid
        stall.box.start()
        (slot,) = stall.box.call(auction.GetAuction()).sold
        assert slot.holder == buyer.key.address
        assert slot.owed == 0, "what was paid before is paid"
        receipts = len(buyer.receipts)

        async def second() -> None:
            async with stall.meeting((buyer, payer)):
                await buyer.until_paid(paid + 5 * PRICE)

        asyncio.run(second())
        first_owed = buyer.receipts[receipts].owed
        assert paid <= first_owed <= paid + CREDIT // MIB * PRICE * 5 // 4
        told = stall.box.call(money.GetMoney())
        assert told.totals["distribution"] == buyer.channel.paid


def test_a_torrent_that_is_removed_under_a_lease_ends_it(stall: Stall) -> None:
    with stall.peer("payer") as payer:
        buyer = stall.buyer(1, payer)

        async def deal() -> None:
            async with stall.meeting((buyer, payer)):
                await buyer.until_paid()
                await asyncio.to_thread(stall.box.call, Remove(ids=[stall.id]))
                await buyer.until(lambda: not stall.box.call(auction.GetAuction()).sold, 10)

        asyncio.run(deal())
        assert any("the torrent is gone" in text for text in stall.box.events())


def test_a_slot_is_sold_on_while_the_ledger_is_away(stall: Stall) -> None:
    with stall.peer("payer") as payer:
        buyer = stall.buyer(1, payer)

        async def deal() -> None:
            async with stall.meeting((buyer, payer)):
                await buyer.until_paid()
                stall.ledger_away()
                await buyer.until_paid(buyer.channel.paid + 20 * PRICE)

        asyncio.run(deal())


def test_who_pays_with_states_of_another_channel_is_refused_and_others_are_served_on(stall: Stall) -> None:
    with stall.peer("payer") as payer, stall.peer("thief") as other:
        buyer, thief = stall.buyer(1, payer), stall.buyer(2, other, pays=False)
        foreign = stall.buyer(3, other)

        async def deal() -> None:
            wrong = (buyer.signed(), foreign.signed(10), replace(thief.signed(10), signature=bytes(64)))
            async with stall.meeting((buyer, payer)):
                await buyer.until_paid()
                for state in wrong:
                    async with stall.meeting((thief, other)):
                        await thief.until(lambda: thief.line)
                        thief.send(state)
                        await thief.until(lambda: thief.line is None or thief.troubles, 20)
                await buyer.until_paid(buyer.channel.paid)

        asyncio.run(deal())
        told = stall.box.call(money.GetMoney())
        assert told.totals["distribution"] == buyer.channel.paid, "nothing came of what was not theirs"


def test_neighbours_behind_one_address_share_a_lane_and_the_best_bid_has_it(stall: Stall) -> None:
    with stall.peer("home") as home:
        best, other = stall.buyer(1, home, price=2 * PRICE), stall.buyer(2, home)

        async def deal() -> None:
            async with stall.meeting((best, home), (other, home)):
                await best.until_paid()
                await best.until(lambda: len(other.results) > 1, 30)

        asyncio.run(deal())
        assert not any(one.won for one in other.results)
        assert all(one.full for one in other.results if one.price < PRICE * 2), "it is told why"
        assert other.channel.paid == 0


def test_who_comes_back_from_another_address_goes_on_with_its_channel(stall: Stall) -> None:
    with stall.peer("before") as before:
        buyer = stall.buyer(1, before)

        async def first() -> None:
            async with stall.meeting((buyer, before)):
                await buyer.until_paid()

        asyncio.run(first())
    with stall.peer("after") as after:
        paid, buyer.port = buyer.channel.paid, after.port

        async def second() -> None:
            async with stall.meeting((buyer, after)):
                await buyer.until_paid(paid + 5 * PRICE, 90)
                (slot,) = stall.box.call(auction.GetAuction()).sold
                assert slot.host == after.address

        asyncio.run(second())
    (shown,) = stall.box.call(auction.GetYields()).torrents
    assert buyer.channel.paid <= shown.sold * PRICE // MIB + 2, "every byte was charged once at most"


def test_a_clock_that_jumps_by_years_moves_no_round_and_no_lease(tmp_path: Path) -> None:
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    told = tmp_path / "clock"
    told.write_text("+0")
    with contextlib.ExitStack() as stack:
        url, operator = stack.enter_context(serving(str(tmp_path / "ledger.db")))
        stall = Stall(tmp_path, url, operator)
        stall.box.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(told),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        stack.enter_context(stall.box)
        stall.open()
        # The box's libtorrent may give up its connections when the clock jumps.
        payer = stack.enter_context(stall.peer("payer", **TCP_ALONE))
        buyer = stall.buyer(1, payer)

        async def deal() -> None:
            async with stall.meeting((buyer, payer)):
                await buyer.until_paid()
                told.write_text("+3650d")
                rounds = len(buyer.results)
                await buyer.until_paid(buyer.channel.paid + 10 * PRICE, 30)
                told.write_text("-3650d")
                await buyer.until(lambda: len(buyer.results) > rounds, 30)
                assert all(one.won for one in buyer.results)

        asyncio.run(deal())
