"""Bytes of strangers in a live session: they are read with gaps, and concern their torrent alone."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from appliance.adapters.engine.foreign import UNREADABLE, said, tracker_urls, trackers
from appliance.adapters.engine.pump import AlertPump
from appliance.core.errors import Bug, OwnerMustAct, PeerMisbehaved
from tests.support.until import until

REFUSAL = "Торрент не зарегистрирован".encode("cp1251")


@contextmanager
def tracker(answer: bytes) -> Iterator[str]:
    """A tracker that gives one answer to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    caller, _ = listener.accept()
                except TimeoutError:
                    continue
                with caller:
                    caller.recv(65_536)
                    caller.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/announce"
        finally:
            over.set()
            thread.join()


def handle(folder: Path, *urls: str) -> tuple[lt.session, lt.torrent_handle]:
    settings: Any = {"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False}
    session = lt.session(
        settings | {"enable_upnp": False, "enable_natpmp": False, "announce_to_all_tiers": True}
    )
    params = lt.parse_magnet_uri("magnet:?xt=urn:btih:" + "a" * 40)
    params.trackers, params.save_path = list(urls), str(folder)
    return session, session.add_torrent(params)


def test_a_refusal_in_an_encoding_of_its_own_is_shown_with_gaps(tmp_path: Path) -> None:
    failure: Any = {b"failure reason": REFUSAL}
    with tracker(lt.bencode(failure)) as url:
        _, torrent = handle(tmp_path, url)
        message = until(
            lambda: trackers(torrent)[0]["url"] == url and _message(torrent), "the tracker's answer", 30
        )
    assert "\ufffd" in message
    assert tracker_urls(torrent) == [url]


def test_one_such_tracker_of_two_leaves_both_named(tmp_path: Path) -> None:
    failure: Any = {b"failure reason": REFUSAL}
    with tracker(lt.bencode(failure)) as url:
        _, torrent = handle(tmp_path, url, "http://127.0.0.1:9/announce")
        until(lambda: _message(torrent) == UNREADABLE, "the tracker's answer", 30)
    assert set(tracker_urls(torrent)) == {url, "http://127.0.0.1:9/announce"}


def _message(torrent: lt.torrent_handle) -> str:
    found = [
        str(attempt["message"])
        for entry in trackers(torrent)
        for endpoint in entry["endpoints"]
        for attempt in endpoint["info_hashes"]
    ]
    return next(filter(None, found), "")


def test_a_text_that_is_not_utf_8_is_read_with_gaps() -> None:
    params = lt.parse_magnet_uri(f"magnet:?xt=urn:btih:{'a' * 40}&dn=K%F6ln%1b")
    assert said(lambda: params.name) == "K\ufffdln\ufffd"


@pytest.mark.parametrize(
    "error", [PeerMisbehaved("no"), OwnerMustAct("no"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "")]
)
def test_an_alert_that_cannot_be_read_is_dropped_and_the_next_is_handled(error: Exception) -> None:
    assert _pumped(error) == ([], 2)


@pytest.mark.parametrize("error", [Bug("no"), AssertionError("no")])
def test_an_error_of_our_own_ends_the_loop(error: Exception) -> None:
    assert _pumped(error) == ([error], 1)


def _pumped(error: Exception) -> tuple[list[Exception], int]:
    """(what the pump failed of, alerts that were handled) where the first of two alerts raises."""

    class Told:
        """An alert of its own kind."""

    waiting = [[Told(), Told()]]
    failed: list[Exception] = []
    handled: list[Told] = []

    def handler(alert: Told) -> None:
        handled.append(alert)
        if len(handled) == 1:
            raise error

    pop: Any = lambda: waiting.pop() if waiting else []  # noqa: E731
    pump = AlertPump(pop, {Told: handler}, failed.append)

    async def run() -> None:
        pump.start(asyncio.get_running_loop())
        pump.stop(asyncio.get_running_loop())
        pump.close()

    asyncio.run(run())
    return failed, len(handled)
