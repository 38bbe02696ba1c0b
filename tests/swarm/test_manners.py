"""The engine's manners on the wire: whom it calls, from where, and how often."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from appliance.adapters.engine.settings import engine_settings
from appliance.core.config import LimitsConfig, NetworkConfig
from appliance.core.units import GIB, Bytes
from appliance.services.machine.limits import configured_limits
from tests.support.addresses import address, free_port
from tests.support.peer import Peer
from tests.support.torrents import make_torrent, write_data
from tests.support.tracker import HostileTracker
from tests.support.until import until

RAM = Bytes(GIB)
NOBODY = b"d8:intervali1800e5:peers0:e"
QUIET: dict[str, Any] = {"dht": False, "lsd": False, "upnp": False, "natpmp": False}


def session(*addresses: str, **network: Any) -> lt.session:
    """libtorrent with the box's settings, on these addresses."""
    config = NetworkConfig(
        listen_addresses=addresses, listen_port=free_port(addresses[0]), **(QUIET | network)
    )
    settings: Any = engine_settings(config, configured_limits(LimitsConfig(), RAM), RAM, "seedbox", "0")
    return lt.session(settings)


def joined(made: lt.session, metainfo: bytes, folder: Path) -> lt.torrent_handle:
    """A torrent that runs at once."""
    folder.mkdir(parents=True, exist_ok=True)
    params = lt.load_torrent_buffer(metainfo)
    params.save_path = str(folder)
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    return made.add_torrent(params)


def _met(peer: Peer) -> bool:
    return bool(peer.listen()["clients"])


def test_every_call_of_a_box_with_addresses_of_both_families_arrives(tmp_path: Path) -> None:
    metainfo = make_torrent(write_data(tmp_path / "seed" / "film.bin", 64 * 1024))
    others = [write_data(tmp_path / str(number) / "film.bin", 64 * 1024).parent for number in range(4)]
    with ExitStack() as stack:
        made = session(address(), "::1", utp=False)
        handle = joined(made, metainfo, tmp_path / "box")
        # Once it had everything, it would call no seed any more.
        handle.set_download_limit(1_000)
        for folder in others:
            peer = stack.enter_context(Peer(folder, metainfo))
            handle.connect_peer((peer.address, peer.port))
            until(partial(_met, peer), "the box's call", 20)


@pytest.mark.parametrize(
    ("addresses", "calls_from"),
    [
        ((), ""),
        (("10.0.0.2",), "10.0.0.2"),
        (("fd00::1", "fd00::2"), "fd00::1,fd00::2"),
        (("10.0.0.2", "fd00::1"), ""),
        (("fd00::1", "10.0.0.2", "10.0.0.3"), ""),
    ],
)
def test_no_call_is_made_from_an_address_of_the_other_family(
    addresses: tuple[str, ...], calls_from: str
) -> None:
    network = NetworkConfig(listen_addresses=addresses)
    made = engine_settings(network, configured_limits(LimitsConfig(), RAM), RAM, "seedbox", "0")
    assert made["outgoing_interfaces"] == calls_from


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[HostileTracker]:
    served = tmp_path / "answers"
    served.mkdir()
    for word in ("first", "second", "third"):
        (served / word).write_bytes(NOBODY)
    with HostileTracker(served) as made:
        yield made


def tiers(metainfo: bytes, *urls: str) -> bytes:
    """The torrent, with each tracker in a tier of its own, as magnet links have them."""
    torrent: Any = lt.bdecode(metainfo)
    return lt.bencode(torrent | {b"announce-list": [[url.encode()] for url in urls]})


def verified(handle: lt.torrent_handle) -> set[str]:
    """The trackers that have answered."""
    return {tracker["url"].rsplit("/", 1)[-1] for tracker in handle.trackers() if tracker["verified"]}


@pytest.mark.parametrize("everywhere", [False, True])
def test_the_next_tier_is_asked_only_when_the_one_before_does_not_answer(
    tracker: HostileTracker, tmp_path: Path, everywhere: bool
) -> None:
    metainfo = make_torrent(write_data(tmp_path / "seed" / "film.bin", 64 * 1024))
    named = tiers(metainfo, *(f"{tracker.url}/announce/{word}" for word in ("garbage", "second", "third")))
    made = session(tracker.address, announce_to_all_trackers=everywhere)
    handle = joined(made, named, tmp_path / "box")
    until(lambda: "second" in verified(handle), "the second tracker's answer", 30)
    if everywhere:
        until(lambda: "third" in verified(handle), "the third tracker's answer", 30)
    assert ("third" in tracker.asked) == everywhere, tracker.asked


def test_one_tracker_at_a_time_is_the_default() -> None:
    assert not NetworkConfig().announce_to_all_trackers


@pytest.mark.parametrize(
    "policy", [lt.enc_policy.pe_forced, lt.enc_policy.pe_enabled, lt.enc_policy.pe_disabled]
)
@pytest.mark.parametrize("utp", [False, True])
def test_a_peer_is_called_in_its_own_way_at_once(tmp_path: Path, policy: int, utp: bool) -> None:
    metainfo = make_torrent(write_data(tmp_path / "seed" / "film.bin", 64 * 1024))
    made = session(address(), utp=utp, tcp=not utp)
    handle = joined(made, metainfo, tmp_path / "box")
    with Peer(tmp_path / "seed", metainfo, in_enc_policy=int(policy), out_enc_policy=int(policy)) as peer:
        handle.connect_peer((peer.address, peer.port))
        until(lambda: handle.status().is_seeding, "the data from it", 20)
