"""The owner's commands about the auction, as they are typed."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control.torrents import ListTorrents
from tests.support.addresses import free_port
from tests.support.box import SEEDBOX, Box
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until
from tests.system.ledger.service import serving


def typed(box: Box, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*SEEDBOX, "--state", str(box.folder), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("auction")
    with serving(str(folder / "ledger.db")) as (url, _):
        made = Box(folder / "box", wallet__ledger=url)
        made.configure(
            wallet__ledger=url, auction__port=free_port(made.address), content__root=str(made.content)
        )
        with made:
            made.wait_ledger()
            yield made


def test_a_box_without_an_account_says_what_is_missing(tmp_path: Path) -> None:
    with Box(tmp_path / "box") as box:
        for words in (("auction", "show"), ("auction", "set", "--sell"), ("bids",)):
            done = typed(box, *words)
            assert done.returncode == 1, done.stdout
            assert "wallet.ledger" in done.stderr


def test_slots_are_offered_changed_and_shown(box: Box) -> None:
    assert "To start: seedbox auction set --sell" in typed(box, "auction", "show").stdout
    done = typed(box, "auction", "set", "--sell", "--slots", "7", "--reserve", "0.2", "--free-share", "30")
    assert "0 of 7 slots sold." in done.stdout, done.stderr
    assert "0.2 BTT/GiB, adjusts with demand" in done.stdout
    shown = json.loads(typed(box, "auction", "show", "--json").stdout)
    assert (shown["floor"], shown["slots"], shown["free_share"]) == (195, 7, 30)
    assert shown["changed"] == ["free_share", "reserve", "sell", "slots"]
    assert "Nothing was sold" in typed(box, "auction", "history").stdout
    assert "No torrent has earned" in typed(box, "auction", "history", "--by", "torrent").stdout
    box.stop()
    box.start()
    assert "0 of 7 slots" in typed(box, "auction", "show").stdout, "it is kept after a restart"
    assert "does not sell slots" in typed(box, "auction", "set", "--reset", "--no-sell").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--slots", "29"), "cannot be set"),
        (("--free-share", "0"), "cannot be set"),
        (("--reserve", "cheap"), "not an amount of BTT"),
        (("--reserve", "0.0001"), "below the lowest possible price"),
        ((), "Nothing to change"),
    ],
)
def test_what_is_impossible_is_refused_and_changes_nothing(
    box: Box, words: tuple[str, ...], says: str
) -> None:
    before = typed(box, "auction", "show", "--json").stdout
    done = typed(box, "auction", "set", *words)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert json.loads(typed(box, "auction", "show", "--json").stdout)["slots"] == json.loads(before)["slots"]


def test_a_torrent_is_wanted_and_not_any_more(box: Box, tmp_path: Path) -> None:
    metainfo = tmp_path / "film.torrent"
    metainfo.write_bytes(make_torrent(write_data(tmp_path / "film.bin", 100_000, 4)))
    done = typed(box, "get", str(metainfo), "--max-price", "0.5", "--budget", "2", "--detach")
    assert "is downloading, and the box bids for it" in done.stdout, done.stderr
    id = box.call(ListTorrents()).rows[0].id
    shown = until(lambda: text if "film.bin" in (text := typed(box, "bids").stdout) else "", "the purchase")
    assert "up to 0.5 BTT/GiB; spent 0 of 2 BTT" in shown
    assert "No seller was found yet" in shown
    assert typed(box, "get", id[:10], "--max-price", "0", "--budget", "2", "--detach").returncode
    assert "Stopped bidding" in typed(box, "unget", id[:10]).stdout
    until(lambda: "film.bin" not in typed(box, "bids").stdout, "the end of the purchase")
