"""Sellers are found on the DHT, and bought from over a line that is really narrow."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.adapters.engine.market import EngineMarket, rendezvous, shown_port
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.adapters.engine.settings import engine_settings
from appliance.adapters.store.ledger_database import open_ledger
from appliance.control import auction, money
from appliance.control.intake import AddMagnet, Options
from appliance.control.torrents import ShowTorrent, TorrentState
from appliance.core.clock import SystemClock
from appliance.core.config import NetworkConfig
from appliance.core.units import BTT, GIB, MIB, Bytes, BytesPerSecond, MicroBtt
from appliance.domain.governor.limits import Limits
from appliance.entrypoints.operator.service import Operator
from tests.support.addresses import address
from tests.support.box import SEEDBOX, Box
from tests.support.engine import start_alone
from tests.support.netns import TwoHosts
from tests.support.processes import end, start
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

pytestmark = pytest.mark.slow
INFO_HASH = b"I" * 20


def engine() -> tuple[LibtorrentEngine, str]:
    """An engine whose DHT takes nodes on loopback addresses."""
    ip = address()
    limits = Limits(
        upload_rate=BytesPerSecond(0),
        download_rate=BytesPerSecond(0),
        connections=50,
        upload_slots=4,
        active_downloads=3,
    )
    network = NetworkConfig(listen_addresses=(ip,), dht=True, lsd=False, upnp=False, natpmp=False)
    local = {
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_ignore_dark_internet": False,
        "dht_bootstrap_nodes": "",
    }
    settings = engine_settings(network, limits, Bytes(8 * GIB), "test", "0") | local
    return LibtorrentEngine(settings, pex=False), ip


def test_a_seller_is_found_on_the_dht_under_its_own_hash() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        made = [engine() for _ in range(4)]
        try:
            for one, _ in made:
                start_alone(one)
            async with asyncio.timeout(60):
                while not all(one.network.listening for one, _ in made):
                    await asyncio.sleep(0.05)
                ports = {ip: one.network.listening[0][1] for one, ip in made}
                for one, own in made:
                    for _, ip in made:
                        if ip != own:
                            one.session.add_dht_node((ip, ports[ip]))
                found: set[tuple[str, int]] = set()
                seller, buyer = EngineMarket(made[0][0]), EngineMarket(made[1][0])
                while (made[0][1], 7_777) not in found:
                    seller.announce(INFO_HASH, 7_777)
                    buyer.find(INFO_HASH, found.update)
                    await asyncio.sleep(1)
        finally:
            for one, _ in made:
                one.close(loop)

    asyncio.run(work())
    assert rendezvous(INFO_HASH) != INFO_HASH, "who asks for the torrent itself is not sent to a market"


@pytest.mark.parametrize(
    ("client", "port"),
    [
        ("Seedbox/1.0 (box) sb/1:6882", 6_882),
        ("qBittorrent/4.5", 0),
        ("sb/1:99999", 0),
        ("xsb/1:80", 0),
        ("sb/2:6882", 0),
        ("", 0),
    ],
)
def test_a_market_is_named_in_the_client_version(client: str, port: int) -> None:
    assert shown_port(client) == port


@pytest.fixture
def hosts() -> Iterator[TwoHosts]:
    with TwoHosts() as made:
        made.plug()
        for host in (0, 1):
            tbf = ["rate", "16mbit", "burst", "32kb", "latency", "50ms"]
            narrow = ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *tbf]
            done = subprocess.run([*made.inside(host), *narrow], capture_output=True, check=False)
            if done.returncode:
                pytest.skip(f"links cannot be made narrow here: {done.stderr.decode().strip()}")
        yield made


def test_slots_are_sold_over_a_narrow_line_whose_speed_nobody_has_named(
    hosts: TwoHosts, tmp_path: Path
) -> None:
    """Two hosts and a cable of 16 Mbit/s; the seller knows no upload limit and finds out itself."""
    ips = hosts.addresses
    with ExitStack() as stack:
        ledger = tmp_path / "ledger"
        ledger.mkdir()
        where = str(tmp_path / "ledger.db")
        (ledger / "seedbox.toml").write_text(
            f'[ledger]\naddress = "{ips[0]}"\nport = 8083\ndatabase = "{where}"\n'
        )
        log = (ledger / "log").open("wb")
        stack.callback(log.close)
        process = start([*hosts.inside(0), *SEEDBOX, "--state", ledger, "ledger"], log)
        stack.callback(end, process)
        until(lambda: "Ledger" in (ledger / "log").read_text(), "the ledger")
        database = open_ledger(where)
        stack.callback(database.close)
        operator = Operator(database, SystemClock(), "test")
        seller, buyer = (
            Box(
                tmp_path / name,
                prefix=hosts.inside(host),
                network__listen_addresses=[ips[host]],
                wallet__ledger=f"http://{ips[0]}:8083",
                auction__sell=host == 0,
            )
            for host, name in enumerate(("seller", "buyer"))
        )
        metainfo = make_torrent(write_data(seller.content / "film.bin", 60 * MIB, 1))
        stack.enter_context(seller)
        stack.enter_context(buyer)
        id = seller.add(metainfo)
        seller.wait_state(id, TorrentState.SEEDING)
        seller.wait_ledger()
        operator.credit(buyer.wait_ledger(), MicroBtt(100 * BTT), "1" * 64)
        uri = f"{seller.call(ShowTorrent(id=id)).magnet}&x.pe={ips[0]}:{seller.port}"
        buyer.call(AddMagnet(uri=uri, options=Options()))
        buyer.call(auction.WantTorrent(id=id, price=1_000, budget=BTT))
        buyer.wait_state(id, TorrentState.SEEDING, 90)

        def settled() -> bool:
            spent = buyer.call(money.GetMoney()).totals["downloading"]
            return bool(spent == seller.call(money.GetMoney()).totals["distribution"] > 0)

        until(settled, "both books to agree", 60)
        assert not buyer.call(auction.ListBids()).shunned
        uplink = seller.call(auction.GetAuction()).uplink
        assert MIB < uplink < 3 * MIB, "it has found out what its line can do"
