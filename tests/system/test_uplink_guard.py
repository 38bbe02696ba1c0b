"""The home line, for real: a narrow uplink with a deep queue, peers that take all, and a neighbour."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.home_line import HomeLine, uploading
from tests.support.peer import Peer
from tests.support.sender import Sender
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

MIB = 1024**2


@pytest.fixture
def upload(tmp_path: Path) -> Iterator[Callable[..., tuple[HomeLine, Sender]]]:
    """Starts a box that sends to three peers in the internet, with the uplink guard or without."""
    with ExitStack() as stack:

        def begin(*, guarded: bool, ping: bool = True, over: str = "tcp") -> tuple[HomeLine, Sender]:
            home = stack.enter_context(HomeLine())
            if ping:
                home.allow_ping()
            box = stack.enter_context(
                uploading(tmp_path, home, guarded=guarded, over=over, peers=3, size=96 * MIB)
            )
            return home, box

        yield begin


def added_ms(home: HomeLine, seconds: float) -> float:
    """To a neighbour's round trips, mean; without any upload they take less than a millisecond."""
    return statistics.mean(home.round_trips_ms(seconds))


Upload = Callable[..., tuple[HomeLine, Sender]]


@pytest.mark.slow
def test_without_the_guard_the_neighbour_waits_long(upload: Upload) -> None:
    home, box = upload(guarded=False)
    assert added_ms(home, 8) > 100, "the line has no deep queue: the other tests prove nothing"
    assert box.said["cap"] is None


@pytest.mark.slow
@pytest.mark.parametrize("ping", [True, False], ids=["by echo", "unprivileged"])
def test_with_the_guard_the_neighbour_notices_next_to_nothing_of_a_full_upload(
    upload: Upload, *, ping: bool
) -> None:
    home, box = upload(guarded=True, ping=ping)
    until(lambda: box.said["cap"] and box.said["latency_us"] < 20_000, "a throttled upload")
    assert added_ms(home, 12) <= 30
    until(lambda: box.said["gives_way"], "what the owner sees")
    sent = box.said["sent"]
    home.round_trips_ms(5)
    assert (box.said["sent"] - sent) / 5 > home.UP_BITS / 8 * 0.3, "it is starved"


@pytest.mark.slow
def test_utp_peers_are_throttled_too(upload: Upload) -> None:
    home, box = upload(guarded=True, over="utp")
    until(lambda: box.said["sent"] > 8 * MIB and box.said["latency_us"] < 25_000, "a throttled upload")
    assert added_ms(home, 12) <= 30


@pytest.mark.slow
def test_a_neighbours_download_goes_on_beside_the_upload(upload: Upload, tmp_path: Path) -> None:
    home, box = upload(guarded=True)
    until(lambda: box.said["cap"] and box.said["latency_us"] < 20_000, "a throttled upload")
    metainfo = make_torrent(write_data(tmp_path / "film.bin", 48 * MIB, 2), "v1", piece=256 * 1024)
    with (
        Peer(
            tmp_path,
            metainfo,
            address=home.address(9),
            prefix=home.inside("internet"),
            unchecked=True,
        ),
        Peer(
            tmp_path / "neighbour",
            metainfo,
            call=(home.address(9), 6881),
            address=home.NEIGHBOUR,
            prefix=home.inside("neighbour"),
            enable_outgoing_utp=False,
        ) as neighbour,
    ):
        until(lambda: neighbour.listen()["fetched"] > 8 * MIB, "a download that runs")
        before = neighbour.listen()["fetched"]
        home.round_trips_ms(5)
        rate = (neighbour.listen()["fetched"] - before) / 5
    # Of the 50 Mbit/s down: its acknowledgements do not wait behind the upload.
    assert rate > 50_000_000 / 8 * 0.6
