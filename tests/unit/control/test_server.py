"""The control socket: typed commands over JSON-RPC, and nothing that a client sends ends it."""

import asyncio
import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.control.box import GetStatus, Hello, SayHello
from appliance.control.client import ControlClient, DaemonAway
from appliance.control.command import API_VERSION, Command
from appliance.control.server import MOST_CONNECTIONS
from appliance.control.torrents import Changed, Pause, Recheck, Resume
from appliance.core.errors import Bug, NotFound, OwnerMustAct
from tests.support.control import control_server


class Answering:
    """A control server in a thread of its own, with a handful of handlers."""

    def __init__(self, path: Path, version: int = API_VERSION) -> None:
        self.path = path
        self._version = version
        self.failed: list[BaseException] = []
        self._loop = asyncio.new_event_loop()
        self._server = control_server(path, self._handler, self.failed.append)
        started = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self._server.start())
            started.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)

    def _handler(self, command: type[Command[Any]]) -> Any:
        async def handle(asked: Any) -> Any:
            if command is SayHello:
                return Hello(api=self._version, version="0", name="test", pid=1)
            if command is Pause:
                return Changed(ids=asked.ids)
            if command is Resume:
                raise ValueError("unforeseen")
            if command is Recheck:
                raise Bug("The database is damaged.")
            raise NotFound("It is not here.")

        return handle

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    running = Answering(tmp_path_factory.mktemp("control") / "s")
    yield running
    running.stop()


def test_a_command_travels_typed_both_ways(server: Answering) -> None:
    with ControlClient(server.path) as client:
        assert client.call(Pause(ids=["a", "b"])) == Changed(ids=["a", "b"])


def test_errors_arrive_as_what_they_were(server: Answering) -> None:
    with ControlClient(server.path) as client:
        with pytest.raises(NotFound, match="It is not here"):
            client.call(GetStatus())
        with pytest.raises(Bug):
            client.call(Resume(ids=["a"]))


def test_an_odd_command_never_ends_the_box_but_a_bug_does(tmp_path: Path) -> None:
    running = Answering(tmp_path / "s")
    with ControlClient(running.path) as client:
        for command in (Resume(ids=[]), Recheck(ids=[])):
            with pytest.raises(Bug):
                client.call(command)
        assert [str(error) for error in running.failed] == ["The database is damaged."]
    running.stop()


def test_a_connection_that_breaks_the_server_is_the_reason_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Answering(tmp_path / "s")
    broken = ValueError("broken")

    async def dispatch(line: str, context: None) -> None:
        raise broken

    monkeypatch.setattr(running._server._dispatcher, "dispatch", dispatch)
    assert exchange(running.path, b"{}") == b""
    assert running.failed == [broken]
    monkeypatch.undo()
    for _ in range(MOST_CONNECTIONS + 1):
        exchange(running.path, b"{}")
    assert json.loads(exchange(running.path, b"{}"))["error"]["code"] == -32600, "a place was not given back"
    running.stop()


def test_only_its_user_and_group_may_connect(server: Answering) -> None:
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o660


def test_another_version_is_refused_with_the_remedy(tmp_path: Path) -> None:
    other = Answering(tmp_path / "s", version=99)
    with ControlClient(other.path) as client, pytest.raises(OwnerMustAct, match="restart the daemon"):
        client.call(GetStatus())
    other.stop()


def test_a_client_survives_the_restart_of_its_daemon(tmp_path: Path) -> None:
    first = Answering(tmp_path / "s")
    client = ControlClient(first.path)
    client.call(Pause(ids=[]))
    first.stop()
    with pytest.raises(DaemonAway, match="Start it"):
        client.call(Pause(ids=[]))
    second = Answering(tmp_path / "s")
    client.call(Pause(ids=[]))
    client.close()
    second.stop()


def test_a_file_in_the_way_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    server = control_server(path, lambda command: None)
    with pytest.raises(OwnerMustAct, match="in the way"):
        asyncio.run(server.start())
    assert path.read_text() == "precious"


def exchange(path: Path, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(str(path))
        raw.sendall(line + b"\n")
        raw.shutdown(socket.SHUT_WR)
        answer = b""
        while part := raw.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "none"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "pause", "params": {"ids": 3}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "pause", "params": {"ids": [], "x": 1}}', -32602),
    ],
)
def test_what_is_no_command_gets_the_standard_error(server: Answering, line: bytes, code: int) -> None:
    assert json.loads(exchange(server.path, line))["error"]["code"] == code


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_garbage_never_ends_the_server(server: Answering, line: bytes) -> None:
    exchange(server.path, line.replace(b"\n", b" "))
    with ControlClient(server.path) as client:
        assert client.call(Pause(ids=[])).ids == []


@pytest.mark.parametrize("ids", [["\ud800"], ["fine", "caf\udce9"]])
def test_half_a_character_is_refused_and_the_server_goes_on(server: Answering, ids: list[str]) -> None:
    with ControlClient(server.path) as client:
        with pytest.raises(OwnerMustAct, match="half a character"):
            client.call(Pause(ids=ids))
        assert client.call(Pause(ids=["\U0001f468"])) == Changed(ids=["\U0001f468"])
    assert not any(isinstance(error, UnicodeError) for error in server.failed)
