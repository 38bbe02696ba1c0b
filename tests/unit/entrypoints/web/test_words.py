"""Every page with counts of exactly one: no "1 torrents", and no id of a state where people read."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.control import auction, intake, machine, money, torrents
from appliance.control import box as status
from appliance.control.client import ControlClient
from appliance.control.command import Command
from appliance.control.torrents import Goal, GoalKind, TorrentState
from appliance.core.config import Config
from appliance.core.units import MIB, MicroBtt
from appliance.domain.governor.limits import LimitsChange
from appliance.domain.governor.throttle import ThrottleRule
from appliance.entrypoints.web.app import create_app
from appliance.entrypoints.web.secrets import Secrets
from appliance.entrypoints.web.words import STATES, btt, goal, magnet_link, percent, state
from tests.support.fake_box import HEAT, NOW, WANTED, FakeBox, decided, local

ID = "ab" * 20
PASSWORD = "correct horse battery"
PAGES = (
    "/",
    "/torrents",
    f"/torrents/{ID}",
    f"/torrents/{ID}?files=2",
    "/add",
    "/jobs/1",
    "/events",
    "/money",
    "/money?by=torrent",
    "/money?by=counterparty",
    "/auction",
    "/health",
    "/settings",
)
SINGULAR = {"1 address"}
"""What ends in s and is one all the same."""
IDS = {one.value for kind in (TorrentState, ThrottleRule) for one in kind if "-" in one.value}
ROW = torrents.TorrentRow(
    id=ID,
    name="Film",
    state=TorrentState.MISSING_DATA,
    reason="",
    progress=10_000,
    size=MIB,
    up_rate=1,
    down_rate=1,
    uploaded=1,
    downloaded=1,
    peers=1,
    seeds=1,
    label="films",
    priority=torrents.Priority.NORMAL,
    added=NOW,
    eta_s=1,
)
DETAIL = torrents.TorrentDetail(
    row=ROW,
    sentence="",
    v1=ID,
    v2="cd" * 32,
    magnet="",
    folder="/srv/content",
    own=False,
    files=1,
    piece_length=MIB,
    pieces=1,
    private=False,
    comment="",
    created_by="",
    completed=0,
    seeding_s=1,
    goal=Goal(GoalKind.TIME, hours=24),
    upload_limit=0,
    download_limit=0,
    swarm_seeds=1,
    swarm_peers=1,
    trackers=[],
)
ONE_SLOT = auction.AuctionAnswer(
    on=True,
    sell=True,
    slots=1,
    others=1,
    price=1_000,
    sold=[
        auction.Slot(
            holder="T" + "x" * 33,
            host="192.0.2.1",
            torrent=ID,
            name="Film",
            price=1_000,
            sent=1,
            owed=1,
            paid=1_000_000,
            standing="good",
            sentence="",
            connected=True,
        )
    ],
)
ONE_BID = auction.Bids(
    on=True,
    buy_price=1_000,
    buy_hours=1,
    buy_budget=1,
    torrents=[
        auction.Bought(
            torrent=ID,
            name="Film",
            price=1_000,
            budget=1_000_000,
            spent=1_000_000,
            deadline=0,
            bid=1_000,
            simulate=False,
            own=True,
            progress=1,
            sentence="",
        )
    ],
)
MONEY = money.Money(
    on=True,
    address="T" + "y" * 33,
    as_of=NOW,
    balance=1_000_000,
    totals={"distribution": 1_000_000, "storage": 0, "downloading": 0, "storing": 0},
)


class OneOfEach(ControlClient):
    """Answers the commands of every page with one of everything, and leaves the machine to `FakeBox`."""

    def __init__(self, box: FakeBox) -> None:
        super().__init__(box.path)
        one_of_each(box)
        self._answers: dict[type[Command[Any]], Any] = {
            status.GetStatus: replace(box.status(), sentence="", torrents=dict.fromkeys(TorrentState, 1)),
            status.ListEvents: status.Events(events=[], more=False),
            status.GetLimits: status.LimitsAnswer(limits=WANTED, configured=WANTED, changed=LimitsChange()),
            status.GetConfig: status.ConfigAnswer(path="/etc/seedbox.toml", entries=[]),
            torrents.ListTorrents: torrents.TorrentPage(
                revision=1,
                total=1,
                matched=1,
                ids=[ID],
                rows=[ROW],
                states=dict.fromkeys(TorrentState, 1),
                labels={"films": 1},
            ),
            torrents.ShowTorrent: DETAIL,
            torrents.ListFiles: torrents.Files(total=1, files=[]),
            torrents.ListPeers: torrents.Peers(peers=[]),
            torrents.ShowPieces: torrents.Pieces(total=1, have=1, buckets=[100]),
            torrents.Pause: torrents.Changed(ids=[ID]),
            intake.Browse: intake.Folder(path="/srv", parent="", folders=[], files=["film"], more=True),
            intake.GetJob: intake.JobAnswer(id="1", kind="share", title="Film", progress=1),
            money.GetMoney: MONEY,
            money.GetTotals: money.Totals(
                totals=[money.Total(heading="", earned=1_000_000, spent=1_000_000)], today="2026-11-21"
            ),
            money.ListMoney: money.MoneyLines(lines=[], more=False),
            auction.GetAuction: ONE_SLOT,
            auction.ListBids: ONE_BID,
            auction.GetYields: auction.Yields(torrents=[]),
            auction.GetRounds: auction.Rounds(
                start=NOW, step_s=60, price=[1_000], earned=[1_000_000], sent=[1], sold=[1]
            ),
        }

    def call(self, command: Command[Any]) -> Any:
        """The answer of the table, or that of the daemon for tests."""
        return self._answers.get(type(command)) or super().call(command)


def one_of_each(box: FakeBox) -> None:
    """Let the machine have one of everything, and every rule throttle it."""
    box.issues = [replace(one, says="", remedy="") for one in box.issues[-2:]]
    box.volumes = [replace(one, torrents=1) for one in box.volumes[:1]]
    box.readings = dataclasses.replace(
        box.readings, disks=tuple(dataclasses.replace(one, bad_sectors=1) for one in box.readings.disks)
    )
    box.throttles = [machine.ThrottleAnswer(rule=rule, says=HEAT, since=NOW) for rule in ThrottleRule]
    box.decisions = [decided(rule, HEAT, local(21, 15), local(21, 16)) for rule in ThrottleRule]


def visible(page: str) -> str:
    """What a page says to those who see it and to those who hear it."""
    heard = re.findall(r'(?:aria-label|title|placeholder)="([^"]*)"', page)
    seen = re.sub(r"<[^>]+>", " ", page)
    return unescape(re.sub(r"\s+", " ", " ".join([seen, *heard])))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The page at an address, as its owner reads it."""
    folder = tmp_path_factory.mktemp("words")
    with FakeBox(folder) as box:
        secrets = Secrets(folder / "web")
        client = OneOfEach(box)
        app = create_app(client, secrets, Config())
        app.config["WTF_CSRF_ENABLED"] = False
        owner = app.test_client()
        form = {"code": secrets.claim_code, "password": PASSWORD, "again": PASSWORD}
        assert owner.post("/claim", base_url="http://127.0.0.1", data=form).status_code == 302

        def page(path: str) -> str:
            answer = owner.get(path, base_url="http://127.0.0.1")
            assert answer.status_code == 200, answer.text
            return visible(answer.text)

        yield page
        client.close()


@pytest.mark.parametrize("path", PAGES)
def test_one_of_anything_is_singular(read: Callable[[str], str], path: str) -> None:
    assert set(re.findall(r"\b1 [a-z]+s\b", read(path))) <= SINGULAR


@pytest.mark.parametrize("path", PAGES)
def test_no_page_shows_the_id_of_a_state(read: Callable[[str], str], path: str) -> None:
    said = read(path)
    assert not [one for one in IDS if one in said]


@pytest.mark.parametrize("path", PAGES)
def test_prices_have_one_unit(read: Callable[[str], str], path: str) -> None:
    assert not re.search(r"for a (GiB|MiB)|a GiB|BTT/MiB", read(path))


def test_every_state_has_its_words_and_an_unknown_one_its_own() -> None:
    assert set(STATES) == set(TorrentState)
    assert state("missing-data") == "missing data"
    assert state("of-a-newer-daemon") == "of a newer daemon"


def test_goals_are_words() -> None:
    asked = (
        Goal(),
        Goal(GoalKind.RATIO, ratio_percent=150),
        Goal(GoalKind.TIME, hours=24),
        Goal(GoalKind.TIME, hours=25),
    )
    assert [goal(one) for one in asked] == ["forever", "until ratio 1.5", "for 1 day", "for 25 hours"]


def test_amounts_are_exact_with_thousands_apart() -> None:
    amounts = (0, -1, 1_178_567_778, -2_000_000_000_000)
    assert [btt(MicroBtt(one)) for one in amounts] == ["0", "-0.000001", "1,178.567778", "-2,000,000"]


@pytest.mark.parametrize(("ppm", "shown"), [(0, "0"), (1, "0.0"), (999_999, "99.9"), (1_000_000, "100")])
def test_only_what_is_whole_is_whole(ppm: int, shown: str) -> None:
    assert percent(ppm) == shown


def test_a_stopped_torrent_has_a_magnet_link_from_its_info_hashes() -> None:
    tracker = torrents.TrackerRow(
        url="http://t.example/a?b",
        tier=0,
        verdict="off",
        message="",
        seeds=-1,
        peers=-1,
    )
    detail = replace(DETAIL, row=replace(ROW, name="A & B"), trackers=[tracker])
    assert magnet_link(detail) == (
        f"magnet:?xt=urn:btih:{ID}&xt=urn:btmh:1220{'cd' * 32}&dn=A%20%26%20B"
        "&tr=http%3A%2F%2Ft.example%2Fa%3Fb"
    )
    assert magnet_link(replace(detail, magnet="magnet:?xt=1")) == "magnet:?xt=1"


def test_a_private_torrent_has_no_magnet_link() -> None:
    assert magnet_link(DETAIL)
    assert not magnet_link(replace(DETAIL, private=True, magnet="magnet:?xt=urn:btih:" + ID))
