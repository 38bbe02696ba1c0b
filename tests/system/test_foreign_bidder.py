"""A client that nobody here wrote bids: WebTorrent's wire implementation (npm: bittorrent-protocol)."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.adapters.wire.market import Market, MarketConnection
from appliance.core.keys import Key, address_of
from appliance.domain.auction.clearing import commitment
from appliance.domain.auction.messages import Ask, Bid, Message, Result
from tests.support.addresses import address
from tests.support.fails import never

SELLER = Key(bytes(31) + b"\1")
IH, CHANNEL, SEED = b"h" * 20, b"C" * 32, b"s" * 32
HERE = Path(__file__).parent / "foreign"


@pytest.fixture(scope="module")
def bidder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with the packages of its lock file."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("foreign")
    for file in HERE.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    installed = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert installed.returncode == 0, installed.stderr
    return folder / "bidder.mjs"


class Seller:
    """Offers a slot to whoever comes, and sells it to whoever bids."""

    def __init__(self) -> None:
        self.bids: list[Bid] = []
        self.names: list[str] = []

    def opened(self, line: MarketConnection) -> None:
        self.names.append(line.peer.client)
        line.send(
            Ask(
                round=7,
                slots=1,
                per_torrent=0,
                reserve=10,
                round_ms=15_000,
                credit=4 << 20,
                rule=b"lowest-winning",
                ledger=b"L" * 32,
                commit=commitment(SEED),
            )
        )

    def received(self, line: MarketConnection, message: Message) -> None:
        assert isinstance(message, Bid)
        self.bids.append(message)
        line.send(Result(round=7, won=1, price=900, lease_ms=30_000, reveal=SEED))

    def closed(self, line: MarketConnection) -> None:
        pass


def test_a_foreign_client_places_a_bid_and_reads_its_result(bidder: Path) -> None:
    async def run() -> tuple[Seller, list[dict[str, object]]]:
        seller, ip = Seller(), address()
        market = Market(SELLER, "Seedbox", lambda found: found == IH, seller, fail=never)
        port = await market.listen([ip], 0)
        process = await asyncio.create_subprocess_exec(
            *("node", bidder, ip, str(port), IH.hex(), "1000", CHANNEL.hex()),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
        await market.close()
        return seller, [json.loads(line) for line in said.splitlines()]

    seller, said = asyncio.run(run())
    assert [one["t"] for one in said] == ["auth", "ask", "result"]
    assert all(one["sound"] for one in said), "it has verified our signatures with its own cryptography"
    assert (said[2]["won"], said[2]["price"], said[2]["reveal"]) == (1, 900, SEED.hex())
    assert seller.bids == [Bid(round=7, max_price=1_000, bytes=1_000_000, port=6_881, channel=CHANNEL)]
    assert seller.names == ["Foreign bidder"]
    assert address_of(SELLER.public) == SELLER.address


def test_a_foreign_client_that_asks_for_another_torrent_is_told_nothing(bidder: Path) -> None:
    async def run() -> bytes:
        ip = address()
        market = Market(SELLER, "Seedbox", lambda found: False, Seller(), fail=never)
        port = await market.listen([ip], 0)
        process = await asyncio.create_subprocess_exec(
            *("node", bidder, ip, str(port), IH.hex(), "1000", CHANNEL.hex()), stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
        await market.close()
        return said

    assert b"ask" not in asyncio.run(run())
