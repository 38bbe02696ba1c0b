"""The owner's way through the page, in Chromium, on a real box; the tests here follow each other."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from playwright.sync_api import Error as PlaywrightError

from appliance.control.box import GetLimits
from appliance.control.intake import AddMagnet
from appliance.control.torrents import GetMetainfo, ListTorrents
from tests.support.peer import Peer
from tests.support.torrents import make_torrent, write_data
from tests.web.conftest import PASSWORD
from tests.web.conftest import Page as Site

SCREENS = Path(__file__).parents[2] / "artefacts" / "screens"
MIB = 1024**2


@pytest.fixture(scope="module")
def context(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(context: BrowserContext) -> Page:
    return context.new_page()


def test_the_first_visitor_claims_the_box_with_the_code(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_label("Claim code").fill("AAAA-AAAA")
    for label in ("New password (at least 10 characters)", "Repeat password"):
        page.get_by_label(label).fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_text("Wrong code")).to_be_visible()
    screens(page, site, "claim", "/claim")
    page.goto(site.url + "/claim")
    page.get_by_label("Claim code").fill(site.code.lower())
    for label in ("New password (at least 10 characters)", "Repeat password"):
        page.get_by_label(label).fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("link", name="Add your first torrent")).to_be_visible()
    screens(page, site, "empty", "/")


def test_the_owner_signs_out_and_in(page: Page, site: Site) -> None:
    page.goto(site.url + "/settings")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Wrong password")).to_be_visible()
    screens(page, site, "login", "/login")
    page.goto(site.url + "/login")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("The box is ready")


def test_a_folder_is_shared_by_clicking(page: Page, site: Site) -> None:
    write_data(site.box.content / "Holiday films" / "beach.bin", 5 * MIB, 1)
    write_data(site.box.content / "Holiday films" / "mountains.bin", 3 * MIB, 2)
    page.goto(site.url + "/add")
    page.get_by_role("link", name=str(site.box.content)).click()
    page.get_by_role("link", name="Holiday films").click()
    screens(page, site, "add", page.url.removeprefix(site.url))
    page.get_by_role("button", name="Share this folder").click()
    page.wait_for_url("**/torrents/*")
    expect(page.get_by_role("heading", name="Holiday films")).to_be_visible()
    assert page.locator("input.copy").input_value().startswith("magnet:?xt=urn:btih:")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_qr_code_reads_as_the_magnet_link(page: Page, site: Site, tmp_path: Path, width: int) -> None:
    if shutil.which("zbarimg") is None:
        pytest.skip("zbarimg is not installed")
    id = site.box.call(ListTorrents(text="Holiday")).rows[0].id
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{site.url}/torrents/{id}")
    page.locator(".qrbox").screenshot(path=tmp_path / "qr.png")
    link = page.locator("input.copy").input_value()
    page.set_viewport_size({"width": 1280, "height": 900})
    read = subprocess.run(
        ["zbarimg", "--quiet", "--raw", tmp_path / "qr.png"], capture_output=True, text=True, check=True
    )
    assert read.stdout.strip() == link.partition("&tr=")[0]


def test_a_torrent_file_and_a_magnet_link_are_added(page: Page, site: Site, tmp_path: Path) -> None:
    metainfo = make_torrent(write_data(site.box.content / "book.bin", 2 * MIB, 3))
    (tmp_path / "book.torrent").write_bytes(metainfo)
    page.goto(site.url + "/add")
    page.get_by_label("Files on this device").set_input_files(tmp_path / "book.torrent")
    page.get_by_role("button", name="Add files").click()
    expect(page.get_by_role("heading", name="book.bin")).to_be_visible()
    page.goto(site.url + "/add")
    page.get_by_label("Magnet link, or URL").fill("magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=Wanted")
    page.get_by_role("button", name="Add link").click()
    expect(page.get_by_role("heading", name="Wanted")).to_be_visible()
    page.goto(site.url + "/add")
    page.get_by_label("Magnet link, or URL").fill("nonsense")
    page.get_by_role("button", name="Add link").click()
    expect(page.get_by_text("This is not a magnet link")).to_be_visible()


def test_names_of_strangers_are_text_and_never_markup(page: Page, site: Site) -> None:
    name = "<img src=x onerror=alert(1)>"
    site.box.call(AddMagnet(uri="magnet:?xt=urn:btih:" + "cd" * 20 + "&dn=" + quote(name)))
    alerts: list[object] = []
    page.on("dialog", lambda dialog: alerts.append(dialog))
    page.goto(site.url + "/torrents")
    with page.expect_response(lambda answer: "/live" in answer.url):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    assert not alerts
    assert page.locator("td img").count() == 0


def test_the_page_is_live_while_a_peer_downloads(page: Page, site: Site, tmp_path: Path) -> None:
    rows = {row.name: row.id for row in site.box.call(ListTorrents()).rows}
    metainfo = site.box.call(GetMetainfo(id=rows["Holiday films"])).metainfo
    page.goto(site.url + "/torrents")
    row = page.locator("tr", has_text="Holiday films")
    expect(row).to_contain_text("seeding")
    call = (site.box.address, site.box.port)
    with Peer(tmp_path / "peer", metainfo, call=call, download_rate_limit=MIB // 2) as peer:
        peer.listen()
        expect(row.locator('[data-name="Up"]')).to_contain_text("/s", timeout=15_000)
        page.goto(site.url + "/")
        expect(page.locator('[data-number="up_rate"]')).to_contain_text("KiB/s", timeout=15_000)
        before = page.locator("#graph polyline.up").get_attribute("points")
        page.wait_for_function(
            "before => document.querySelector('#graph polyline.up').getAttribute('points') !== before",
            arg=before,
        )
        peer.wait_done()


def test_the_list_is_searched_while_one_types(page: Page, site: Site) -> None:
    page.goto(site.url + "/torrents")
    expect(page.get_by_role("button", name="Search")).to_be_hidden()
    page.get_by_label("Search").press_sequentially("BOOK")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page.locator("#list tbody")).to_contain_text("book.bin")
    assert page.url.endswith("text=BOOK&sort=added")
    page.get_by_label("Search").fill("nothing has this name")
    expect(page.get_by_text("No torrents match.")).to_be_visible()
    with page.expect_response(lambda answer: "/live" in answer.url):
        page.get_by_label("Search").fill("")
    expect(page.get_by_role("link", name="Holiday films")).to_be_visible()


def test_pause_and_remove_from_the_list(page: Page, site: Site) -> None:
    page.goto(site.url + "/torrents")
    page.get_by_label("Select book.bin").check()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused: 1 torrent.")).to_be_visible()
    expect(page.locator("tr", has_text="book.bin")).to_contain_text("paused")
    page.get_by_label("Select Wanted").check()
    page.get_by_role("button", name="Remove…").click()
    expect(page.get_by_role("heading", name="Remove this torrent?")).to_be_visible()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("Removed: 1 torrent.")).to_be_visible()
    assert page.get_by_role("link", name="Wanted").count() == 0


def test_limits_are_set_and_wrong_ones_refused(page: Page, site: Site) -> None:
    page.goto(site.url + "/settings")
    page.get_by_label("Upload limit (KiB/s)").fill("750")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Limits saved.")).to_be_visible()
    assert site.box.call(GetLimits()).limits.upload_rate == 750 * 1024
    page.get_by_label("Maximum connections").fill("3")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("connections is 3; it must be between")).to_be_visible()
    page.get_by_role("button", name="Reset to configuration").click()
    assert site.box.call(GetLimits()).limits.upload_rate == 0


def test_everything_is_reached_without_javascript(browser: Browser, site: Site) -> None:
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(site.url)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#graph svg")).to_be_visible()
    for link in ("Torrents", "Add", "Events", "Settings", "Overview"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=link).click()
        expect(page.locator("main h1")).to_be_visible()
    page.get_by_role("link", name="Torrents", exact=True).click()
    page.get_by_label("Select book.bin").check()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Resumed: 1 torrent.")).to_be_visible()
    plain.close()


def test_every_page_is_accessible_and_fits_the_phone(page: Page, site: Site) -> None:
    id = next(row.id for row in site.box.call(ListTorrents()).rows if row.name == "Holiday films")
    for name, path in (
        ("overview", "/"),
        ("torrents", "/torrents"),
        ("torrent", f"/torrents/{id}"),
        ("add-start", "/add"),
        ("events", "/events"),
        ("health", "/health"),
        ("settings", "/settings"),
        ("missing", "/nothing-here"),
    ):
        screens(page, site, name, path)


def test_a_page_that_lost_its_box_says_so_and_comes_back(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(site.url + "/")
    site.box.kill()
    expect(page.get_by_text("No connection to the box. This page reconnects")).to_be_visible(timeout=20_000)
    assert visit(page, site.url + "/events") == 503
    expect(page.get_by_role("heading", name="No connection to the box")).to_be_visible()
    screens(page, site, "away", "/")
    visit(page, site.url + "/")
    site.box.start()
    expect(page.get_by_role("heading", level=1)).to_contain_text("eeding", timeout=30_000)


def visit(page: Page, url: str) -> int:
    """Go there; returns the status. A page without its box reloads itself now and then, maybe just now."""
    while True:
        try:
            answer = page.goto(url)
        except PlaywrightError as error:
            if "interrupted by another navigation" not in error.message:
                raise
        else:
            return answer.status if answer else 0


class HasUrl(Protocol):
    """A page that somebody serves."""

    @property
    def url(self) -> str:
        """Where."""


def screens(page: Page, site: HasUrl, name: str, path: str) -> None:
    """Pictures of a page on desk and phone, light and dark; nothing may overflow, nor shut anybody out."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width, height in ((1280, 900), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            visit(page, site.url + path)
            page.screenshot(path=SCREENS / f"{name}-{width}-{scheme}.png", full_page=True)
            overflow = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, f"{name} overflows by {overflow} px at {width}"
        found = Axe().run(page).response["violations"]
        bad = [one for one in found if one["impact"] in ("serious", "critical")]
        assert not bad, [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in bad]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
