"""What the commands print for people, at counts of exactly one and with every state that has a hyphen."""

import re
from collections.abc import Iterator

import pytest

from appliance.control import auction, machine, money
from appliance.control.box import ConfigEntry, Event, Finding, LimitsAnswer, LimitsChange, Status, Verdict
from appliance.control.intake import Added, JobAnswer
from appliance.control.torrents import (
    FileRow,
    Files,
    Goal,
    PeerRow,
    Peers,
    Priority,
    TorrentDetail,
    TorrentPage,
    TorrentRow,
    TorrentState,
    TrackerRow,
)
from appliance.core.units import BytesPerSecond, UtcMs
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.readings import DiskReading, Readings
from appliance.domain.governor.throttle import ThrottleRule
from appliance.entrypoints.cli.adding import added_lines
from appliance.entrypoints.cli.auction import auction_lines, round_lines, yield_lines
from appliance.entrypoints.cli.bids import bids_lines, got_line, progress_line
from appliance.entrypoints.cli.box import event_lines, status_lines
from appliance.entrypoints.cli.limits import limit_lines
from appliance.entrypoints.cli.machine import drive_lines, energy_lines, governor_lines, issue_lines
from appliance.entrypoints.cli.programs import deposits_line
from appliance.entrypoints.cli.readings import reading_facts
from appliance.entrypoints.cli.statement import entry_lines
from appliance.entrypoints.cli.torrents import detail_lines, file_lines, page_lines, peer_lines
from appliance.entrypoints.cli.wallet import money_lines, total_lines

AT = 1_790_000_000_000
ID = "ab" * 20
LIMITS = Limits(
    upload_rate=BytesPerSecond(0),
    download_rate=BytesPerSecond(2**20),
    connections=1,
    upload_slots=1,
    active_downloads=1,
)
NOUNS = "torrent|file|peer|seed|node|slot|bidder|sector|day|hour|entry|entries|other|withdrawal|deposit"
IDS = [one.value for one in (*TorrentState, *ThrottleRule) if "-" in one.value] + ["eased", "channel-open"]


def row(state: TorrentState = TorrentState.MISSING_DATA) -> TorrentRow:
    return TorrentRow(
        id=ID,
        name="film",
        state=state,
        reason="",
        progress=500_000,
        size=1,
        up_rate=1,
        down_rate=0,
        uploaded=1,
        downloaded=1,
        peers=1,
        seeds=1,
        label="",
        priority=Priority.NORMAL,
        added=AT,
        eta_s=1,
    )


def detail(state: TorrentState = TorrentState.MISSING_DATA) -> TorrentDetail:
    return TorrentDetail(
        row=row(state),
        sentence="",
        v1=ID,
        v2="",
        magnet="magnet:?xt=urn:btih:" + ID,
        folder="/content",
        own=False,
        files=1,
        piece_length=1,
        pieces=1,
        private=False,
        comment="",
        created_by="",
        completed=0,
        seeding_s=1,
        goal=Goal(),
        upload_limit=0,
        download_limit=0,
        swarm_seeds=1,
        swarm_peers=1,
        trackers=[TrackerRow(url="udp://a", tier=0, verdict="working", message="", seeds=1, peers=1)],
    )


def status() -> Status:
    return Status(
        revision=1,
        sentence="",
        name="box",
        version="1",
        now=AT,
        uptime_s=1,
        up_rate=0,
        down_rate=0,
        uploaded=0,
        downloaded=0,
        peers=1,
        torrents={state.value: 1 for state in TorrentState},
        size=1,
        disk=None,
        listen_port=6881,
        dht_nodes=1,
        limits=LIMITS,
        health=Verdict.OK,
        problems=[Finding("under-voltage", Verdict.WARNING, "The supply is weak.", "")],
        jobs=[JobAnswer(id="1", kind="share", title="film", progress=1)],
    )


def page(*states: TorrentState) -> TorrentPage:
    rows = [row(state) for state in states]
    return TorrentPage(
        revision=1, total=len(rows), matched=len(rows), ids=[], rows=rows, states={}, labels={}
    )


def auction_now() -> auction.AuctionAnswer:
    return auction.AuctionAnswer(
        on=True,
        sell=True,
        round=1,
        left_ms=1_000,
        slots=1,
        free_share=1,
        reserve=1,
        price=1,
        others=1,
        debtors=1,
        debts=1,
        sold=[
            auction.Slot(
                holder="T1",
                host="192.0.2.1",
                torrent=ID,
                name="",
                price=1,
                sent=1,
                owed=1,
                paid=1,
                standing="served",
                sentence="",
                connected=True,
            )
        ],
        waiting=[auction.Waiting(bidder="T2", torrent=ID, name="", bid=1, why="")],
    )


def bids() -> auction.Bids:
    bought = auction.Bought(
        torrent=ID,
        name="film",
        price=1,
        budget=1,
        spent=1,
        deadline=AT,
        bid=1,
        simulate=False,
        own=True,
        progress=1,
        sentence="",
    )
    bid = auction.BidAnswer(
        seller="T1",
        host="192.0.2.1",
        torrent=ID,
        reserve=1,
        bid=1,
        won=True,
        price=1,
        received=1,
        paid=1,
        locked=1,
    )
    shunned = auction.Shunned(seller="T2", until=AT, why="it did not deliver")
    return auction.Bids(on=True, buy_price=1, torrents=[bought], bids=[bid], shunned=[shunned])


def governor() -> machine.GovernorAnswer:
    return machine.GovernorAnswer(
        throttles=[machine.ThrottleAnswer(rule="under-voltage", says="The supply is weak.", since=AT)],
        limits=LIMITS,
        wanted=LIMITS,
        override_until=AT,
        kept=[rule.value for rule in ThrottleRule],
    )


def drive() -> machine.VolumeAnswer:
    return machine.VolumeAnswer(
        path="/content",
        uuid="1",
        device="/dev/sda1",
        present=True,
        read_only=False,
        total=1,
        free=1,
        torrents=1,
        main=True,
        says="OK",
    )


def energy() -> machine.EnergyAnswer:
    return machine.EnergyAnswer(
        watts_mw=5_200,
        source="told",
        cost_day=1,
        earned_day=1,
        worth_day=1,
        currency="EUR",
        sentence="",
    )


def disk() -> DiskReading:
    return DiskReading(
        device="/dev/sda",
        model="",
        healthy=False,
        bad_sectors=1,
        wear_percent=1,
        temperature_mc=None,
        hours=None,
    )


def answers() -> Iterator[tuple[str, list[str]]]:
    """Every answer for people that has counts or states in it."""
    yield "status", status_lines(status())
    yield "events", event_lines([Event(id=1, at=AT, kind="info", text="Started.")])
    yield "list", page_lines(page(*TorrentState))
    yield "show", detail_lines(detail())
    yield "files", file_lines(Files(total=2, files=[FileRow(path="film", size=1, done=0)]))
    yield "peers", peer_lines(Peers(peers=[peer()]))
    yield "add", added_lines(Added(id=ID, name="film", known=True, note=""))
    yield "auction", auction_lines(auction_now())
    yield (
        "rounds",
        round_lines(auction.Rounds(start=AT, step_s=1, price=[1], earned=[1], sent=[1], sold=[1]), "hour"),
    )
    yield (
        "yields",
        yield_lines(
            auction.Yields(
                torrents=[
                    auction.Yield(
                        id=ID, name="", size=1, sold=1, uploaded=1, earned=1, per_gib_stored=1, per_gib_sent=1
                    )
                ]
            )
        ),
    )
    yield "bids", bids_lines(bids())
    yield "get", [got_line(ID, "film", simulate=True), progress_line(row(), bids().torrents[0])]
    yield "governor", governor_lines(governor())
    yield "drives", drive_lines(drive(), 1)
    yield "energy", energy_lines(energy())
    yield "issues", issue_lines([issue(0), issue(AT)])
    yield "readings", [text for _, text in reading_facts(Readings(at=UtcMs(AT), disks=(disk(),)))]
    yield "entries", entry_lines([entry()])
    yield "money", money_lines(money.Money(on=True))
    yield "totals", total_lines([], "DAY", 1)
    yield "settle", [deposits_line([]), deposits_line([1])]
    yield "limits", limit_lines(limits(), [])


def peer() -> PeerRow:
    return PeerRow(
        address="192.0.2.1",
        client="",
        transport="utp",
        encrypted=True,
        incoming=True,
        progress=1,
        up_rate=1,
        down_rate=1,
        uploaded=1,
        downloaded=1,
    )


def issue(mended: int) -> machine.IssueAnswer:
    return machine.IssueAnswer(
        check="under-voltage",
        severity=Verdict.WARNING,
        says="The supply is weak.",
        remedy="",
        first=AT,
        last=AT,
        mended=mended,
    )


def entry() -> money.MoneyLine:
    return money.MoneyLine(
        number=1, at=AT, kind="channel-open", cause="1:open", about="", amount=1, balance=1
    )


def limits(**changed: BytesPerSecond) -> LimitsAnswer:
    return LimitsAnswer(limits=LIMITS, configured=LIMITS, changed=LimitsChange(**changed))


ANSWERS = dict(answers())


@pytest.mark.parametrize("name", ANSWERS)
def test_one_of_anything_is_in_the_singular(name: str) -> None:
    text = "\n".join(ANSWERS[name])
    assert not re.findall(rf"(?<![\d.])1 (?:more )?(?:{NOUNS})(?:s|ies)\b", text)


@pytest.mark.parametrize("name", ANSWERS)
def test_people_never_read_the_id_of_a_state(name: str) -> None:
    text = "\n".join(ANSWERS[name])
    assert not [id for id in IDS if re.search(rf"\b{id}\b", text)]


def test_the_list_names_each_state_in_words() -> None:
    text = "\n".join(page_lines(page(*TorrentState)))
    for words in ("fetching metadata", "checking", "held back", "missing data", "failed"):
        assert words in text


def test_a_limit_says_where_it_comes_from() -> None:
    entry = ConfigEntry(table="limits", key="active_downloads", value="1", default="3", unit="", says="")
    lines = limit_lines(limits(download_rate=BytesPerSecond(2**20)), [entry])
    origin = {re.split("  +", line)[0]: re.split("  +", line)[2] for line in lines}
    assert origin["Upload rate"] == "default"
    assert origin["Download rate"] == "you"
    assert origin["Connections"] == "automatic (RAM)"
    assert origin["Active downloads"] == "seedbox.toml"


def test_a_throttled_limit_points_to_the_governor() -> None:
    wanted = LimitsAnswer(
        limits=LIMITS,
        configured=Limits(
            upload_rate=BytesPerSecond(0),
            download_rate=BytesPerSecond(0),
            connections=1,
            upload_slots=1,
            active_downloads=1,
        ),
        changed=LimitsChange(),
    )
    assert any("1.00 MiB/s" in line and "throttled" in line for line in limit_lines(wanted, []))


def test_a_box_that_does_nothing_says_how_to_begin() -> None:
    assert "seedbox add" in page_lines(page())[0]
    assert "seedbox auction set --sell" in auction_lines(auction.AuctionAnswer(on=True))[0]
    assert "seedbox get" in bids_lines(auction.Bids(on=True))[0]
