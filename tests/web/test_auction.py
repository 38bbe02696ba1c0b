"""The auction's page in a real browser, over a real trade between two boxes."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from appliance.control import auction
from appliance.control.intake import AddMagnet, Options
from appliance.control.torrents import ShowTorrent, TorrentState
from appliance.core.units import BTT, MIB, MicroBtt
from tests.support.box import Box
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until
from tests.system.ledger.service import serving
from tests.web.conftest import PASSWORD
from tests.web.conftest import Page as Site
from tests.web.test_browser import screens

pytestmark = pytest.mark.slow
UPLINK_KIB = 1_024


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Box, str]]:
    """(the page of a box that sells and buys, a box that buys from it, the torrent)."""
    folder = tmp_path_factory.mktemp("market")
    with ExitStack() as stack:
        url, operator = stack.enter_context(serving(str(folder / "ledger.db")))
        site = Site(folder / "seller", wallet__ledger=url, limits__upload_rate=UPLINK_KIB, auction__slots=3)
        buyer = Box(folder / "buyer", wallet__ledger=url)
        data = write_data(site.box.content / "The long film.bin", 160 * MIB, 1)
        stack.enter_context(site.box)
        stack.enter_context(buyer)
        id = site.box.add(make_torrent(data))
        site.box.wait_state(id, TorrentState.SEEDING)
        site.box.wait_ledger()
        operator.credit(buyer.wait_ledger(), MicroBtt(100 * BTT), "1" * 64)
        site.start_web()
        yield site, buyer, id
        site.stop_web()


@pytest.fixture(scope="module")
def context(browser: Browser, market: tuple[Site, Box, str]) -> Iterator[BrowserContext]:
    site = market[0]
    made = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 900})
    made.set_default_timeout(15_000)
    page = made.new_page()
    page.goto("/")
    page.get_by_label("Claim code").fill(site.code)
    for label in ("New password (at least 10 characters)", "Repeat password"):
        page.get_by_label(label).fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("link", name="Auction")).to_be_visible()
    yield made
    made.close()


def test_the_owner_sells_slots_by_clicking_and_sees_who_has_them(
    context: BrowserContext, market: tuple[Site, Box, str]
) -> None:
    site, buyer, id = market
    page = context.new_page()
    page.goto("/")
    page.get_by_role("link", name="Auction").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are not selling slots.")
    screens(page, site, "auction-off", "/auction")
    page.get_by_role("button", name="Sell slots").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("3 slots for sale, none sold yet.")
    uri = site.box.call(ShowTorrent(id=id)).magnet
    peer = f"&x.pe={site.box.address}:{site.box.port}"
    buyer.call(AddMagnet(uri=uri + peer, options=Options()))
    buyer.wait_state(id, TorrentState.DOWNLOADING)
    buyer.call(auction.WantTorrent(id=id, price=1_000, budget=10 * BTT))
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile(r"1 of 3 slots sold, at 1\.\d+ BTT/GiB\."), timeout=60_000
    )
    expect(page.locator("[data-part=slots]")).to_contain_text("served", timeout=10_000)
    until(lambda: sum(site.box.call(auction.GetRounds(span="hour")).earned) > 0, "a payment", 30)
    screens(page, site, "auction", "/auction?span=hour")
    earned = page.locator("svg[aria-label^='Earned']")
    assert earned.locator("rect.earned").count() == 1
    assert "The long film.bin" in page.locator("main").inner_text()
    told = context.request.get(f"{site.url}/metrics").text()
    assert "seedbox_auction_slots_sold 1.0" in told
    assert "seedbox_auction_price 1000.0" in told


def test_the_terms_are_set_by_the_form_and_wrong_ones_refused(
    context: BrowserContext, market: tuple[Site, Box, str]
) -> None:
    site, _, _ = market
    page = context.new_page()
    page.goto("/auction")
    page.get_by_label("Minimum price").fill("0.2048")
    page.get_by_label("Slots for sale").fill("4")
    page.get_by_label("Bid automatically up to").fill("2.048")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".note.ok")).to_be_visible()
    now = site.box.call(auction.GetAuction())
    assert (now.floor, now.slots) == (200, 4)
    assert site.box.call(auction.ListBids()).buy_price == 2_000
    page.get_by_label("Minimum price").fill("cheap")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".notes .note.error").first).to_contain_text("not an amount of BTT")
    assert site.box.call(auction.GetAuction()).floor == 200


def test_a_torrent_that_downloads_can_be_paid_for_on_its_page(
    context: BrowserContext, market: tuple[Site, Box, str]
) -> None:
    site, _, _ = market
    page = context.new_page()
    uri = "magnet:?xt=urn:btih:" + "ab" * 20
    id = site.box.call(AddMagnet(uri=uri, options=Options())).id
    page.goto(f"/torrents/{id}")
    page.get_by_label("Max price (BTT/GiB)").fill("1.5")
    page.get_by_label("Total budget (BTT)").fill("2")
    page.get_by_role("button", name="Start bidding").click()
    expect(page.locator(".note.ok")).to_be_visible()
    screens(page, site, "torrent-sooner", f"/torrents/{id}")
