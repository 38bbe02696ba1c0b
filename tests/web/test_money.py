"""The owner's money on the page, in Chromium on a real box with a real ledger; and what a thief can do."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from appliance.adapters.ledger_http.messages import GatewayInfo
from appliance.adapters.store import ledger as store
from appliance.control import money as api
from appliance.control.client import ControlClient
from appliance.core.config import Config
from appliance.core.keys import Key
from appliance.core.units import MicroBtt
from appliance.domain.ledger import gateway
from appliance.domain.wallet.model import Purpose
from appliance.entrypoints.operator.service import Operator
from appliance.entrypoints.web.app import create_app
from appliance.entrypoints.web.secrets import Secrets
from tests.support.money import earned
from tests.support.torrents import make_torrent, write_data
from tests.system.ledger.service import serving
from tests.web.conftest import PASSWORD
from tests.web.conftest import Page as Site
from tests.web.test_browser import screens
from tests.web.test_pages import Visitor

BUYER, SELLER, WALLET, PHONE, THIEF = (Key(bytes(31) + bytes([number])) for number in range(1, 6))
BTT = 1_000_000


@dataclass
class Rich:
    """A box with money, its page, and the ledger behind both."""

    site: Site
    key: Key
    operator: Operator


def publish(operator: Operator, **change: object) -> None:
    """What a gateway would leave in the ledger."""
    told = GatewayInfo(WALLET.address, "1002000", development=True, fee=0, fee_new=1_100_000)
    told = msgspec.structs.replace(told, **change)
    text = msgspec.json.encode(told).decode()
    operator._database.transact(lambda sql: store.put_fact(sql, gateway.FACT, text))


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rich]:
    folder = tmp_path_factory.mktemp("money")
    with serving(str(folder / "ledger.db")) as (url, operator):
        publish(operator)
        site = Site(folder / "box", wallet__ledger=url)
        film = write_data(site.box.content / "Harbour in winter.mp4", 1 << 20)
        with site.box:
            id = site.box.add(make_torrent(film))
            site.box.stop()
            for number, owner in enumerate((BUYER, SELLER)):
                operator.credit(owner.address, MicroBtt(5_000 * BTT), f"{number:064x}")
            paid = [
                (day, id if day % 3 else "cd" * 20, BTT * (31 - day) * (day % 5))
                for day in range(30)
                if day % 5
            ]
            key = earned(site.box.folder, url, BUYER, paid, Purpose.DISTRIBUTION)
            operator.credit(key.address, MicroBtt(1_234_567_890), f"{9:064x}")
            spent = [(day, "ef" * 20, 7 * BTT + day) for day in range(0, 30, 4)]
            earned(site.box.folder, url, SELLER, spent, Purpose.DOWNLOADING)
            site.box.start()
            site.start_web()
            yield Rich(site, key, operator)
            site.stop_web()


@pytest.fixture(scope="module")
def page(browser: Browser, rich: Rich) -> Iterator[Page]:
    context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(rich.site.url + "/claim")
    page.get_by_label("Claim code").fill(rich.site.code)
    for label in ("New password (at least 10 characters)", "Repeat password"):
        page.get_by_label(label).fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    yield page
    context.close()


def test_the_owner_sees_balance_earned_and_spent(page: Page, rich: Rich) -> None:
    page.get_by_role("link", name="Money").click()
    money = rich.site.box.call(api.GetMoney())
    expect(page.get_by_role("heading", level=1)).to_contain_text("BTT")
    expect(page.get_by_text("Test network", exact=False).first).to_be_visible()
    assert money.balance == 1_234_567_890 - money.locked - money.totals["downloading"]
    assert page.locator("rect.earned").count() == 24
    assert page.locator("rect.spent").count() == 8
    assert money.receivable == money.totals["distribution"] > 0
    page.get_by_role("link", name="Torrents", exact=True).last.click()
    expect(page.get_by_role("cell", name="Harbour in winter.mp4")).to_be_visible()
    expect(page.get_by_role("cell", name="cdcdcdcd (removed)")).to_be_visible()
    page.get_by_role("link", name="Counterparties").click()
    expect(page.get_by_role("cell", name=BUYER.address)).to_be_visible()
    screens(page, rich.site, "money", "/money")
    screens(page, rich.site, "money-torrents", "/money?by=torrent")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_deposit_code_reads_as_the_address(page: Page, rich: Rich, tmp_path: Path, width: int) -> None:
    if shutil.which("zbarimg") is None:
        pytest.skip("zbarimg is not installed")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(rich.site.url + "/money")
    page.locator(".qrbox").screenshot(path=tmp_path / "qr.png")
    page.set_viewport_size({"width": 1280, "height": 900})
    read = subprocess.run(
        ["zbarimg", "--quiet", "--raw", tmp_path / "qr.png"], capture_output=True, text=True, check=True
    )
    assert read.stdout.strip() == WALLET.address
    expect(page.get_by_text(rich.key.address).first).to_be_visible()


def test_money_is_withdrawn_after_a_question_and_the_password(page: Page, rich: Rich) -> None:
    page.goto(rich.site.url + "/money")
    page.get_by_label("TRON address").fill(PHONE.address)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Save address").click()
    expect(page.get_by_text("Payout address saved")).to_be_visible()
    page.get_by_label("Amount in BTT").fill("12.5")
    page.get_by_role("button", name="Withdraw…").click()
    expect(page.get_by_role("heading", name="Send 12.5 BTT?")).to_be_visible()
    expect(page.get_by_text("1.1 TRX if the address was never used")).to_be_visible()
    page.screenshot(path=Path("artefacts/screens/withdraw-1280.png"))
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=Path("artefacts/screens/withdraw-390.png"))
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_label("Your password").fill("not my password")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Wrong password")).to_be_visible()
    assert rich.operator.withdrawals(rich.key.address) == []
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("It waits for the gateway")).to_be_visible()
    found = rich.operator.withdrawals(rich.key.address)
    assert [(one.to, one.amount) for one in found] == [(PHONE.address, 12_500_000)]
    screens(page, rich.site, "money-waiting", "/money")
    page.goto(rich.site.url + "/money")
    page.get_by_role("button", name="Cancel withdrawal").click()
    expect(page.get_by_text("It was not sent; the amount is back.")).to_be_visible()


@pytest.mark.parametrize("amount", ["", "0", "-1", "1.0000001", "1e3", "99999999999", "one"])
def test_nonsense_is_refused_in_words(page: Page, rich: Rich, amount: str) -> None:
    page.goto(rich.site.url + "/money")
    field = page.get_by_label("Amount in BTT")
    field.evaluate("field => field.required = false")
    field.fill(amount)
    page.get_by_role("button", name="Withdraw…").click()
    expect(page.locator(".notes .note.error")).to_be_visible()


def test_a_ledger_that_is_not_covered_is_said_in_red(page: Page, rich: Rich) -> None:
    rich.operator._database.transact(lambda sql: store.put_fact(sql, "solid", "5"))

    def said() -> bool:
        page.goto(rich.site.url + "/money")
        return page.get_by_text("more than it holds on TRON").is_visible()

    from tests.support.until import until

    until(said, "the warning", 20)


# ------------------------------------------------------------------------------------ a stolen session


@pytest.fixture
def thief(rich: Rich, tmp_path: Path) -> Visitor:
    """Somebody with the owner's cookie, and without the password."""
    secrets = Secrets(tmp_path / "web")
    app = create_app(ControlClient(rich.site.box.folder / "control.sock"), secrets, Config())
    visitor = Visitor(app)
    visitor.claim(secrets.claim_code)
    return visitor


def test_a_stolen_session_moves_no_money_and_changes_no_address(rich: Rich, thief: Visitor) -> None:
    payout = rich.site.box.call(api.GetMoney()).payout
    before = rich.operator.withdrawals(rich.key.address)
    form: dict[str, object] = {"name": "ab" * 8, "amount": "5", "to": payout}
    for password in ("", "guess"):
        _, said = thief.post("/money/withdraw/yes", form | {"password": password}, "/money")
        assert "Wrong password" in said
        _, said = thief.post("/money/payout", {"address": THIEF.address, "password": password}, "/money")
        assert "Wrong password" in said
    thief.post("/money/withdraw/yes", form | {"password": "Guess"}, "/money")
    _, said = thief.post("/money/withdraw/yes", form | {"password": PASSWORD}, "/money")
    assert "Too many failed attempts" in said, "guessing is slow"
    assert rich.operator.withdrawals(rich.key.address) == before
    assert rich.site.box.call(api.GetMoney()).payout == payout
    answer = thief.client.post(
        "/money/withdraw/yes", data=form | {"password": PASSWORD}, base_url="http://127.0.0.1"
    )
    assert answer.status_code == 400, "no form without its token"


def test_even_with_the_password_money_leaves_to_the_payout_address_alone(rich: Rich, thief: Visitor) -> None:
    form: dict[str, object] = {"name": "cd" * 8, "amount": "5", "to": THIEF.address, "password": PASSWORD}
    _, said = thief.post("/money/withdraw/yes", form, "/money")
    assert "payout address" in said
    _, said = thief.post("/money/payout", {"address": THIEF.address, "password": PASSWORD}, "/money")
    assert re.search(r"From \d{4}-\d\d-\d\d \d\d:\d\d, withdrawals go to", said)
    _, said = thief.post("/money/withdraw/yes", form | {"name": "ef" * 8}, "/money")
    assert "payout address" in said
    assert THIEF.address not in [one.to for one in rich.operator.withdrawals(rich.key.address)]


def test_strangers_see_nothing(rich: Rich, tmp_path: Path) -> None:
    app = create_app(ControlClient(rich.site.box.folder / "control.sock"), Secrets(tmp_path / "w"), Config())
    stranger = Visitor(app)
    status, said = stranger.get("/money")
    assert status == 302
    assert rich.key.address not in said


def test_the_key_is_on_no_page(rich: Rich, thief: Visitor) -> None:
    for path in ("/money", "/settings", "/events", "/money?by=torrent"):
        assert rich.key.secret.hex() not in thief.get(path)[1]
    assert rich.key.secret.hex() not in rich.site.box.log()
