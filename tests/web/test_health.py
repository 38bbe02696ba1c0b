"""The health page over a daemon written for tests: what it says, what it draws, and what its forms do."""

import importlib.util
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.serving import make_server

from appliance.control import machine
from appliance.control.box import GetStatus
from appliance.core.config import Config
from appliance.core.units import UtcMs
from appliance.domain.governor.readings import Firmware, Readings, Supply
from appliance.entrypoints.web.app import create_app
from appliance.entrypoints.web.secrets import Secrets
from tests.support.addresses import address
from tests.support.fake_box import HEAT, MINUTE, NOW, FakeBox, decided, local
from tests.web.conftest import PASSWORD
from tests.web.conftest import Page as RealSite
from tests.web.test_browser import screens
from tests.web.test_pages import Visitor

SPANS = ("hour", "day", "month")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[FakeBox]:
    with FakeBox(tmp_path) as running:
        yield running


@pytest.fixture
def app(box: FakeBox, tmp_path: Path) -> Flask:
    return create_app(box.client, Secrets(tmp_path / "web"), Config())


@pytest.fixture
def owner(app: Flask, tmp_path: Path) -> Visitor:
    visitor = Visitor(app)
    visitor.claim(Secrets(tmp_path / "web").claim_code)
    return visitor


def text_of(page: str) -> str:
    """What a page says, without its markup."""
    said = re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(svg|script).*?</\1>", " ", page))
    return re.sub(r"\s+", " ", said).replace("&#39;", "'").replace("&gt;", ">")


def section(page: str, heading: str) -> str:
    """What the part of a page below a heading says."""
    parts = re.split(r"(?=<h2)", page)
    return text_of(next(part for part in parts if part.partition("</h2>")[0].endswith(heading)))


def blind(box: FakeBox) -> None:
    """A machine that tells nothing of itself."""
    box.blind, box.readings = True, Readings(at=UtcMs(NOW))
    box.throttles, box.decisions, box.issues, box.volumes = [], [], [], []
    box.energy = machine.EnergyAnswer(
        watts_mw=None,
        source="unknown",
        cost_day=None,
        earned_day=0,
        worth_day=None,
        currency="EUR",
        sentence="Nobody knows what this box takes.",
    )


# --------------------------------------------------------------------------------------------- issues


def test_open_issues_say_what_is_wrong_what_to_do_and_since_when_the_worst_first(owner: Visitor) -> None:
    said = section(owner.get("/health")[1], "Problems")
    drive, supply = said.index("drive of /mnt/archive"), said.index("power supply was too weak")
    assert drive < supply
    assert "since 2026-11-21 11:02 , last seen 1 min ago" in said
    assert "What to do: Connect it again." in said


def test_mended_issues_are_folded_and_where_nothing_is_wrong_a_calm_line_says_so(
    owner: Visitor, box: FakeBox
) -> None:
    page = owner.get("/health")[1]
    folded = page[page.index("<details") : page.index("</details>")]
    assert "Less than 5 % of /srv/content was free." in folded
    assert "1 resolved in the last 30 days" in folded
    box.issues = [one for one in box.issues if one.mended]
    assert "No problems found." in section(owner.get("/health")[1], "Problems")


def test_the_owner_can_try_whether_notices_arrive(owner: Visitor, box: FakeBox) -> None:
    said = text_of(owner.post("/health/notice", {}, "/health")[1])
    assert "json://192.168.1.5: sent" in said
    assert "mailto://mail.example: refused the password" in said
    assert box.notices == 1
    box.told = []
    assert "No notification addresses set" in text_of(owner.post("/health/notice", {}, "/health")[1])


# ------------------------------------------------------------------------------------------- governor


def test_what_eases_the_box_is_said_with_what_it_still_may_do(owner: Visitor) -> None:
    said = section(owner.get("/health")[1], "Throttling")
    assert HEAT in said
    assert "since 2026-11-21 17:05" in said
    assert "1.00 MiB/s normally 5.00 MiB/s" in said
    assert "200 normally 400" in said
    assert "On hold data checks" in said


@pytest.mark.parametrize(("until", "minutes"), [("hour", 60), ("morning", 13 * 60 + 30), ("no", 0)])
def test_the_owner_has_full_speed_for_a_while_and_easing_again(
    owner: Visitor, box: FakeBox, until: str, minutes: int
) -> None:
    code, page = owner.post("/health/override", {"until": until}, "/health")
    assert code == 200
    assert box.overrides == [minutes]
    said = text_of(page)
    if minutes:
        assert "Throttling is off until 2026-11-2" in said
        assert "limits stay active: heat, weak power supply, battery, full disks, data allowance." in said
        assert "End override" in said
        assert "Full speed for 1 hour" not in said
    else:
        assert "Override ended" in said


@pytest.mark.parametrize("until", ["", "for ever", "-60", "60"])
def test_no_other_end_of_an_override_is_taken(owner: Visitor, box: FakeBox, until: str) -> None:
    page = owner.post("/health/override", {"until": until}, "/health")[1]
    assert "Choose how long" in page
    assert not box.overrides


def test_the_forms_of_the_health_page_are_taken_with_their_token_alone(owner: Visitor, box: FakeBox) -> None:
    for path in ("/health/override", "/health/notice"):
        data = {"until": "hour"}
        assert owner.client.post(path, data=data, base_url="http://127.0.0.1").status_code == 400
    assert not box.overrides
    assert not box.notices


# ------------------------------------------------------------------------------------------- readings


def test_why_it_was_slower_at_three_stands_in_the_graphs_and_below_them(owner: Visitor) -> None:
    page = owner.get("/health?span=day")[1]
    said = section(page, "History")
    assert "2 15:00–15:40 heat: The processor is at 77 °C" in said
    assert "1 since 17:05 heat:" in said
    assert "20 Nov 20:10–20:54 others at home, 5 times:" in said
    graphs = re.findall(r'(?s)<svg class="graph plot".*?</svg>', page)
    assert len(graphs) == 5
    for graph in graphs:
        assert "<title>2: 15:00–15:40 heat: The processor is at 77 °C" in graph
        assert re.search(r'class="scale number"[^>]*>2<', graph)
    assert "throttles at 75 °C" in graphs[0]
    assert "throttles hard at 80 °C" in graphs[0]


def test_every_graph_says_in_words_what_it_shows(owner: Visitor) -> None:
    labels = re.findall(r'<svg class="graph plot"[^>]*aria-label="([^"]+)"', owner.get("/health")[1])
    assert labels[0].startswith("Temperature over the last day. Processor: latest ")
    assert labels[1].startswith("Upload over the last day. Rate: latest 1 MiB/s, between 0 B/s and ")
    assert all("Throttled 5 times, as listed below the graphs." in label for label in labels)


def test_what_is_not_measured_has_no_graph_and_is_named(owner: Visitor, box: FakeBox) -> None:
    assert "Not available on this machine: disk and memory pressure (memory)." in text_of(
        owner.get("/health")[1]
    )
    blind(box)
    page = owner.get("/health")[1]
    assert "on this machine: temperature, latency, disk and memory pressure, power." in text_of(page)
    assert len(re.findall('<svg class="graph plot"', page)) == 1


def test_an_unknown_reading_is_said_to_be_unknown_and_never_to_be_well(owner: Visitor, box: FakeBox) -> None:
    blind(box)
    page = owner.get("/health")[1]
    said = section(page, "Current readings")
    for name in ("Board", "Processor", "Power supply", "Mains", "Disks", "Memory", "Network", "Latency"):
        assert f"{name} unknown" in said, name
    assert "Power now unknown" in text_of(page)
    assert "Cost per day unknown" in text_of(page)
    assert "No drives found yet." in page


def test_the_readings_of_now_are_a_table_in_plain_words(owner: Visitor, box: FakeBox) -> None:
    said = section(owner.get("/health")[1], "Current readings")
    assert "Processor 76 °C, load 0.42 per core" in said
    assert "Power supply OK now, but was too weak at some point since startup" in said
    assert "Mains OK, battery 100 % charged" in said
    assert (
        "Seagate Expansion 2 TB: health OK, 41 °C, wear unknown, 2 bad sectors, 891 d 16 h powered on" in said
    )
    assert "SC32G: health unknown, temperature unknown, 20 % worn" in said
    assert "Network 1000 Mbit/s" in said
    assert "Latency 12 ms (idle: 9.4 ms)" in said
    box.readings = replace(box.readings, supply=Supply.BATTERY, battery_percent=80, battery_s=1_500)
    said = section(owner.get("/health")[1], "Current readings")
    assert "Mains power cut, running on battery, battery 80 % charged, 25 min left" in said


def test_drives_and_power_are_said_in_a_sentence_each(owner: Visitor, box: FakeBox) -> None:
    page = owner.get("/health")[1]
    drives, power = section(page, "Drives"), section(page, "Power and cost")
    assert "420 GiB free of 1.95 TiB" in drives
    assert "It is not connected; nothing is written to the empty folder." in drives
    assert box.energy.sentence in power
    assert "7.4 W measured by the smart plug" in power
    assert "Cost per day 0.053 EUR" in power
    assert "128.5 BTT worth 0.096 EUR" in power


def test_without_a_price_the_overview_is_silent_about_power_and_health_says_how_to_set_it(
    owner: Visitor, box: FakeBox
) -> None:
    box.energy = msgspec.structs.replace(box.energy, cost_day=None, worth_day=None)
    assert box.energy.sentence not in owner.get("/")[1]
    page = owner.get("/health")[1]
    assert "To see the cost in EUR, set your electricity price: energy.price" in text_of(page)
    assert 'href="/settings#energy.price"' in page


def test_the_overview_says_whether_the_box_is_worth_its_power_and_why_it_is_slower(
    owner: Visitor, box: FakeBox
) -> None:
    said = text_of(owner.get("/")[1])
    assert f"Throttled: {HEAT}" in said
    assert box.energy.sentence in said
    assert HEAT in owner.client.get("/live", base_url="http://127.0.0.1").get_json()["numbers"]["throttling"]
    box.throttles = []
    assert "Throttled" not in text_of(owner.get("/")[1])


# --------------------------------------------------------------------------------------- all of a page


def test_what_drives_and_disks_are_called_is_text_and_never_markup(owner: Visitor, box: FakeBox) -> None:
    evil = "<script>alert(1)</script>\"'&"
    box.readings = replace(
        box.readings, disks=tuple(replace(disk, model=evil) for disk in box.readings.disks)
    )
    box.volumes = [msgspec.structs.replace(one, path=evil, says=evil) for one in box.volumes]
    box.decisions = [decided(evil, evil, local(21, 16), local(21, 17))]
    box.throttles = [machine.ThrottleAnswer(rule=evil, says=evil, since=NOW)]
    box.told = [evil]
    for page in (
        *(owner.get(f"/health?span={span}")[1] for span in SPANS),
        owner.get("/")[1],
        owner.post("/health/notice", {}, "/health")[1],
        *owner.client.get("/live/health", base_url="http://127.0.0.1").get_json()["parts"].values(),
    ):
        assert "<script>alert" not in page
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"\s(style|on\w+)=", page)


def test_the_page_is_whole_for_every_span_and_whatever_else_is_asked(owner: Visitor) -> None:
    for asked in (*SPANS, "year", "", "<b>"):
        code, page = owner.get(f"/health?span={asked}")
        assert code == 200
        over = asked if asked in SPANS else "day"
        assert f"Temperature over the last {over}." in page


def test_the_live_parts_are_the_parts_of_the_page(owner: Visitor) -> None:
    page = owner.get("/health?span=hour")[1]
    parts = owner.client.get("/live/health?span=hour", base_url="http://127.0.0.1").get_json()["parts"]
    assert set(parts) == set(re.findall(r'data-part="(\w+)"', page))
    for name, html in parts.items():
        assert html in page, name


def test_a_stranger_learns_nothing_of_the_machine(app: Flask, owner: Visitor) -> None:
    stranger = Visitor(app)
    assert stranger.get("/health")[0] == 302
    assert stranger.get("/live/health")[0] == 401


def test_metrics_tell_readings_eases_drives_issues_and_power(owner: Visitor) -> None:
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(owner.get("/metrics")[1])
        for sample in family.samples
    }
    assert found["seedbox_temperature_celsius",] == 76.2
    assert found["seedbox_disk_temperature_celsius", "/dev/sda"] == 41
    assert found["seedbox_disk_bad_sectors", "/dev/sda"] == 2
    assert found["seedbox_firmware", "boot", "under_voltage"] == 1
    assert found["seedbox_firmware", "now", "under_voltage"] == 0
    assert found["seedbox_pressure_ratio", "io"] == 0.031
    assert found["seedbox_eased", "heat"] == 1
    assert found["seedbox_limit_bytes", "up"] == 1024**2
    assert found["seedbox_volume_present", "/mnt/archive"] == 0
    assert found["seedbox_volume_free_bytes", "/srv/content"] == 420 * 1024**3
    assert found["seedbox_issue_since_seconds", "drive", "error"] == local(21, 11, 2) / 1_000
    assert ("seedbox_issue_since_seconds", "free-space", "warning") not in found, "it is mended"
    assert found["seedbox_power_watts", "plug"] == 7.4
    assert found["seedbox_day_cost", "EUR"] == 0.053


def test_a_board_that_tells_only_of_its_voltage_has_metrics_without_the_other_flags(
    owner: Visitor, box: FakeBox
) -> None:
    firmware = Firmware(
        under_voltage=True,
        frequency_capped=None,
        firmware_throttled=None,
        soft_temperature_limit=None,
        under_voltage_before=True,
        frequency_capped_before=None,
        firmware_throttled_before=None,
        soft_temperature_limit_before=None,
    )
    box.readings = replace(box.readings, firmware=firmware)
    code, text = owner.get("/metrics")
    assert code == 200
    found = {
        (sample.labels["flag"], sample.labels["since"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name == "seedbox_firmware"
    }
    assert found == {("under_voltage", "now"): 1, ("under_voltage", "boot"): 1}


def test_metrics_have_no_series_for_what_is_unknown(owner: Visitor, box: FakeBox) -> None:
    blind(box)
    names = {
        sample.name
        for family in text_string_to_metric_families(owner.get("/metrics")[1])
        for sample in family.samples
    }
    for name in ("temperature_celsius", "mains", "link_up", "power_watts", "disk_healthy", "pressure_ratio"):
        assert f"seedbox_{name}" not in names
    assert "seedbox_torrents" in names


# ------------------------------------------------------------------------------------------ in a browser


@dataclass(frozen=True, slots=True)
class Site:
    """The page, served for a browser."""

    url: str
    box: FakeBox


@contextmanager
def serving(box: FakeBox, folder: Path) -> Iterator[str]:
    """The page over a daemon, at the address that is given."""
    app = create_app(box.client, Secrets(folder), Config())
    ip = address()
    server = make_server(ip, 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{ip}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def claim(page: Page, url: str, code: str) -> None:
    """The first visit."""
    page.goto(f"{url}/claim")
    page.get_by_label("Claim code").fill(code)
    for label in ("New password (at least 10 characters)", "Repeat password"):
        page.get_by_label(label).fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("link", name="Health", exact=True)).to_be_visible()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("health")
    with FakeBox(folder) as box, serving(box, folder / "web") as url:
        yield Site(url, box)


@pytest.fixture(scope="module")
def context(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 900})
    made.set_default_timeout(15_000)
    claim(made.new_page(), site.url, Secrets(site.box.path.parent / "web").claim_code)
    yield made
    made.close()


def test_the_health_page_is_accessible_and_fits_the_phone(context: BrowserContext, site: Site) -> None:
    page = context.new_page()
    for span in SPANS:
        screens(page, site, f"health-{span}", f"/health?span={span}")
    screens(page, site, "overview-eased", "/")
    page.goto("/health")
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.get_by_text("Nobody could say whether there is swap.")).to_be_visible()


def test_graphs_and_buttons_work_without_a_script(
    context: BrowserContext, browser: Browser, site: Site
) -> None:
    plain = browser.new_context(
        base_url=site.url, java_script_enabled=False, storage_state=context.storage_state()
    )
    page = plain.new_page()
    page.goto("/")
    page.get_by_role("link", name="Throttled").click()
    assert page.locator("svg.plot").count() == 5
    page.get_by_role("link", name="Month").click()
    assert page.locator("svg.plot[aria-label*='the last month']").count() == 5
    page.get_by_role("button", name="Full speed for 1 hour").click()
    expect(page.get_by_text("Full speed until 2026-11-21 18:30.")).to_be_visible()
    screens(context.new_page(), site, "health-override", "/health")
    page.get_by_role("button", name="End override").click()
    expect(page.get_by_text(HEAT).first).to_be_visible()
    assert site.box.overrides == [60, 0]
    plain.close()


def test_the_page_follows_the_box_while_one_looks(context: BrowserContext, site: Site) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto("/health?span=hour")
    before = page.locator("svg.plot polyline.up").first.get_attribute("points")
    old = site.box.readings, site.box.now
    try:
        site.box.now = NOW + 5 * MINUTE
        site.box.readings = replace(site.box.readings, temperature_mc=81_000)
        page.clock.run_for(10_000)
        expect(page.locator("[data-part=readings]")).to_contain_text("81 °C")
        assert page.locator("svg.plot polyline.up").first.get_attribute("points") != before
    finally:
        site.box.readings, site.box.now = old


def test_a_machine_that_tells_nothing_has_a_page_all_the_same(context: BrowserContext, site: Site) -> None:
    kept = {
        name: getattr(site.box, name) for name in ("readings", "throttles", "decisions", "issues", "volumes")
    }
    energy = site.box.energy
    try:
        blind(site.box)
        screens(context.new_page(), site, "health-blind", "/health")
    finally:
        site.box.blind, site.box.energy = False, energy
        for name, value in kept.items():
            setattr(site.box, name, value)


# -------------------------------------------------------------------------------------- with a real box


@pytest.mark.skipif(
    importlib.util.find_spec("appliance.entrypoints.daemon.handlers.machine") is None,
    reason="the daemon of this version does not answer the commands of control/machine.py",
)
def test_a_real_box_fills_the_whole_page_and_does_what_its_forms_say(
    browser: Browser, tmp_path: Path
) -> None:
    site = RealSite(tmp_path / "box")
    with site.box as box:
        site.start_web()
        context = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        claim(page, site.url, site.code)
        page.get_by_role("link", name="Health", exact=True).click()
        expect(page.get_by_role("link", name="energy.price")).to_be_visible()
        assert page.locator(".readings tr").count() >= 10
        assert page.locator(".volume").count() == len(box.call(machine.ListVolumes()).volumes) >= 1
        assert page.locator("svg.plot").count() >= 1
        closed = page.get_by_text("Override", exact=True)
        if closed.is_visible():
            closed.click()
        page.get_by_role("button", name="Full speed for 1 hour").click()
        expect(page.get_by_role("button", name="End override")).to_be_visible()
        left = box.call(machine.GetGovernor()).override_until - box.call(GetStatus()).now
        assert 59 * MINUTE < left <= 60 * MINUTE
        page.get_by_role("button", name="End override").click()
        expect(page.get_by_text("Override ended")).to_be_visible()
        assert box.call(machine.GetGovernor()).override_until == 0
        screens(page, site, "health-real", "/health?span=hour")
        assert "seedbox_limit_bytes" in context.request.get(f"{site.url}/metrics").text()
        context.close()
        site.stop_web()
