"""What throttles the box, on a real session: downloads wait and say why, and seeding goes on."""

import time
from pathlib import Path

import pytest

from appliance.control import machine as care
from appliance.control.box import GetStatus
from appliance.control.torrents import TorrentState
from appliance.core.units import MIB
from tests.support.box import Box
from tests.support.peer import Peer
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

pytestmark = pytest.mark.slow
ALWAYS = ["00:00-12:00", "12:00-24:00"]


def test_in_quiet_hours_nothing_is_fetched_and_what_is_here_is_seeded(tmp_path: Path) -> None:
    wanted = make_torrent(write_data(tmp_path / "elsewhere" / "new.bin", 8 * MIB, 1))
    with Box(tmp_path / "box", governor__quiet_hours=ALWAYS) as box:
        data = write_data(box.content / "old.bin", 8 * MIB, 2)
        held = make_torrent(data)
        throttles = until(lambda: box.call(care.GetGovernor()).throttles, "the governor")
        assert [one.rule for one in throttles] == ["quiet"]
        # No check either: what lies here is not looked at until the hours are over, or the owner says so.
        here = box.add(held)
        row = box.wait_state(here, TorrentState.THROTTLED)
        assert "Quiet hours" in row.reason
        answer = box.call(care.SetOverride(minutes=60))
        assert not answer.throttles
        assert answer.override_until
        box.wait_state(here, TorrentState.SEEDING)
        box.call(care.SetOverride(minutes=0))
        with Peer(tmp_path / "elsewhere", wanted, call=(box.address, box.port), enable_outgoing_utp=False):
            coming = box.add(wanted)
            row = box.wait_state(coming, TorrentState.THROTTLED)
            assert "Quiet hours" in row.reason
            with Peer(tmp_path / "leecher", held, call=(box.address, box.port)) as leecher:
                leecher.wait_done()
            assert box.row(coming).downloaded == 0
            box.call(care.SetOverride(minutes=60))
            box.wait_state(coming, TorrentState.SEEDING, 60)


def test_where_disks_shall_stop_turning_nothing_is_sent_in_quiet_hours(tmp_path: Path) -> None:
    with Box(tmp_path / "box", governor__quiet_hours=ALWAYS, governor__spin_down=10) as box:
        held = make_torrent(write_data(box.content / "old.bin", 8 * MIB, 2))
        until(lambda: box.call(care.GetGovernor()).throttles, "the governor")
        box.call(care.SetOverride(minutes=60))
        here = box.add(held)
        box.wait_state(here, TorrentState.SEEDING)
        box.call(care.SetOverride(minutes=0))
        row = box.wait_state(here, TorrentState.THROTTLED)
        assert "uploads" in row.reason
        with Peer(
            tmp_path / "leecher", held, call=(box.address, box.port), enable_outgoing_utp=False
        ) as leecher:
            for _ in range(3):
                assert leecher.listen()["done"] == 0
            box.call(care.SetOverride(minutes=60))
            leecher.wait_done()
        assert box.wait_state(here, TorrentState.SEEDING)


def test_a_dear_hour_sends_its_share_and_no_more(tmp_path: Path) -> None:
    """Hours of which none is cheap: a quarter of the upload limit."""
    with Box(
        tmp_path / "box",
        governor__cheap_hours=_another_hour(),
        governor__dear_share=25,
        limits__upload_rate=4_096,
    ) as box:
        until(lambda: box.call(care.GetGovernor()).throttles, "the governor")
        limits = box.call(care.GetGovernor())
        assert limits.wanted.upload_rate == 4 * MIB
        assert limits.limits.upload_rate == MIB
        assert box.call(GetStatus()).limits.upload_rate == MIB


def _another_hour() -> list[str]:
    """An hour that is six hours away."""
    hour = (time.localtime().tm_hour + 6) % 24
    return [f"{hour:02}:00-{hour:02}:59"]
