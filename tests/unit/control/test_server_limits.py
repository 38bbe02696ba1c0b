"""The control socket under pressure: too much, too long, too many, too strange, and it answers on."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from appliance.control.box import GetStatus
from appliance.control.client import ControlClient, DaemonAway
from appliance.control.server import MOST_BYTES, MOST_CONNECTIONS
from appliance.control.torrents import Pause
from tests.support.until import until
from tests.unit.control.test_server import Answering, exchange


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Answering]:
    running = Answering(tmp_path / "s")
    yield running
    running.stop()


def works(server: Answering) -> bool:
    with ControlClient(server.path, timeout=5) as client:
        return client.call(Pause(ids=["a"])).ids == ["a"]


def request(method: str, params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def test_a_line_that_is_too_long_is_refused_and_the_server_lives(server: Answering) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(30)
        raw.connect(str(server.path))
        try:
            for _ in range(MOST_BYTES // (1 << 20) + 8):
                raw.sendall(b"x" * (1 << 20))
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            assert b"too long" in raw.recv(1_000)
    assert works(server)


def test_a_line_of_the_largest_torrent_file_goes_through(server: Answering) -> None:
    names = ["n" * (1 << 20) for _ in range(40)]
    with ControlClient(server.path) as client:
        assert client.call(Pause(ids=names)).ids == names


def test_more_connections_than_allowed_are_turned_away_until_one_ends(server: Answering) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(ControlClient(server.path)) for _ in range(MOST_CONNECTIONS)]
        for client in clients:
            client.call(Pause(ids=[]))
        with pytest.raises(DaemonAway):
            works(server)
        clients.pop().close()

        def free() -> bool:
            try:
                return works(server)
            except DaemonAway:
                return False

        until(free, "room for a connection", 5)


@pytest.mark.parametrize(
    "opening", [b"[", b'{"a":', b'{"jsonrpc": "2.0", "id": 1, "method": "pause", "params": [']
)
def test_a_message_nested_without_end_gets_an_error(server: Answering, opening: bytes) -> None:
    last = opening[-1:] if opening.endswith(b"[") else opening
    said = exchange(server.path, opening + last * 100_000)
    assert said, "the connection was dropped without an answer"
    assert json.loads(said)["error"]["code"] in (-32700, -32600, -32602)
    assert works(server)


@pytest.mark.parametrize(
    "params",
    [
        {"ids": ["\ud800"]},
        {"ids": ["\0"]},
        [["a"]],
        ["a", "b"],
        "text",
        3,
        {"ids": [1e400]},
        {"command": {"ids": []}},
    ],
)
def test_strange_parameters_get_an_answer(server: Answering, params: Any) -> None:
    answer = json.loads(exchange(server.path, request("pause", params)))
    assert answer.get("error", {}).get("code") in (None, -32600, -32602)
    assert works(server)


@pytest.mark.parametrize(
    "goal", [{"kind": "ratio", "ratio_percent": 0}, {"kind": "time", "hours": -1}, {"kind": "never"}, 3, []]
)
def test_an_impossible_goal_is_the_owners_mistake_and_no_bug(server: Answering, goal: Any) -> None:
    params = {"metainfo": "", "options": {"goal": goal}}
    error = json.loads(exchange(server.path, request("add_torrent", params)))["error"]
    assert error["code"] in (1, -32602), error


def test_many_requests_in_one_go_are_answered_in_order(server: Answering) -> None:
    lines = b"\n".join(
        json.dumps({"jsonrpc": "2.0", "id": n, "method": "pause", "params": {"ids": [str(n)]}}).encode()
        for n in range(500)
    )
    answers = [json.loads(line) for line in exchange(server.path, lines).splitlines()]
    assert [answer["id"] for answer in answers] == list(range(500))
    assert [answer["result"]["ids"] for answer in answers] == [[str(n)] for n in range(500)]


def test_a_request_that_is_cut_off_harms_nobody(server: Answering) -> None:
    for cut in (b"", b"{", request("pause", {"ids": []})[:-1]):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(server.path))
            raw.sendall(cut)
    assert works(server)


def test_an_answer_that_is_no_json_rpc_is_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as impostor:
        impostor.bind(str(tmp_path / "s"))
        impostor.listen()

        def answer() -> None:
            peer, _ = impostor.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"SSH-2.0-OpenSSH\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with (
            ControlClient(tmp_path / "s", timeout=5) as client,
            pytest.raises(DaemonAway, match="not JSON-RPC"),
        ):
            client.call(GetStatus())
        thread.join(5)


def test_a_daemon_that_is_silent_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        with ControlClient(tmp_path / "s", timeout=0.3) as client, pytest.raises(DaemonAway, match="in time"):
            client.call(GetStatus())
