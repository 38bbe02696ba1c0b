"""Mains, battery and watts: what a UPS and a smart plug say, and that nothing else is asked or believed."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.adapters.board import plug as plugs
from appliance.adapters.board.plug import Plug, watts_mw
from appliance.adapters.board.sensors import Sensors
from appliance.adapters.board.ups import Ups, UpsReading, parse
from appliance.core.errors import OwnerMustAct
from appliance.domain.governor.readings import Supply
from tests.support.addresses import address

# ---------------------------------------------------------------------------------------------------- UPS


@pytest.mark.parametrize(
    ("status", "supply"),
    [
        ("OL", Supply.MAINS),
        ("OL CHRG LB", Supply.MAINS),
        ("ALARM OL RB", Supply.MAINS),
        ("BYPASS", Supply.MAINS),
        ("OB DISCHRG", Supply.BATTERY),
        ("OB LB", Supply.LOW),
        ("LB OB", Supply.LOW),
        ("FSD OL", Supply.LOW),
        ("", None),
        ("WAIT", None),
        ("OFF", None),
        ("LB", None),
    ],
)
def test_the_words_of_a_ups_say_where_the_power_comes_from(status: str, supply: Supply | None) -> None:
    assert parse(f"ups.mfr: APC\nups.status: {status}\n").supply is supply


def test_a_ups_is_read_with_its_battery_and_its_load() -> None:
    text = "battery.charge: 93.5\nbattery.runtime: 1500\nups.load: 12\nups.realpower.nominal: 330\n"
    assert parse(text) == UpsReading(supply=None, battery_percent=93, battery_s=1_500, watts_mw=39_600)
    assert parse(f"{text}ups.realpower: 35.25\n").watts_mw == 35_250, "measured is better than reckoned"


def test_a_load_without_watts_is_no_watts() -> None:
    assert parse("ups.load: 12\nups.power.nominal: 500\n").watts_mw is None, "volt-amperes are no watts"


@given(st.text(max_size=200) | st.text(max_size=20).map(lambda text: f"battery.charge: {text}\nups.load: -1"))
def test_no_garbage_is_taken_for_a_ups(text: str) -> None:
    power = parse(text)
    assert power.battery_percent is None or 0 <= power.battery_percent <= 100
    assert power.watts_mw is None


@pytest.mark.parametrize("name", ["", "-L", "ups@", "ups;reboot", "a b", "--help", "ups@host/x"])
def test_what_is_no_name_of_a_ups_is_refused_in_words(name: str) -> None:
    def run(words: Sequence[str], seconds: float) -> str | None:
        raise AssertionError(words)

    with pytest.raises(OwnerMustAct, match=r"energy\.ups"):
        Ups(name, run)


@pytest.mark.parametrize("name", ["ups", "ups@localhost", "my-ups@192.168.1.2:3493", "ups@[::1]:3493"])
def test_every_name_of_a_ups_is_taken(name: str) -> None:
    ran: list[tuple[str, ...]] = []

    def run(words: Sequence[str], seconds: float) -> str | None:
        ran.append(tuple(words))
        return None

    assert Ups(name, run).read() == UpsReading()
    assert ran == [("upsc", name)]


# --------------------------------------------------------------------------------------------- smart plug

GEN1 = '{"meters":[{"power":2.21,"is_valid":true,"timestamp":1680779310,"total":439237}],"uptime":18961214}'
GEN2 = '{"id":0,"source":"HTTP","output":true,"apower":47.11,"voltage":232.0,"temperature":{"tC":25.3}}'
TASMOTA = '{"StatusSNS":{"Time":"2019-09-06T20:06:19","ENERGY":{"Total":0.003,"Power":26,"Voltage":239}}}'


class Device:
    """Something in the home network that answers some paths, over plain sockets as such devices do."""

    def __init__(self, **answers: str | bytes) -> None:
        """Answers by the first letters of their path, `rpc`, `status` or `cm`."""
        self.answers = answers
        self.asked: list[str] = []
        self._listener = socket.create_server((address(), 0))
        ip, port = self._listener.getsockname()
        self.url = f"http://{ip}:{port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with closing(line):
                path = line.recv(2_000).decode().split()[1]
                self.asked.append(path)
                answer = next((text for key, text in self.answers.items() if path.startswith(f"/{key}")), "")
                raw = answer if isinstance(answer, bytes) else self._http(answer)
                try:
                    line.sendall(raw)
                    if answer == b"":
                        line.recv(1)
                except OSError:
                    pass

    def _http(self, text: str) -> bytes:
        status = "200 OK" if text else "404 Not Found"
        return (
            f"HTTP/1.1 {status}\r\nServer: Mongoose\r\nContent-Length: {len(text)}\r\n\r\n{text}"
        ).encode()

    def close(self) -> None:
        """Be gone."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("path", "answer", "watts"), [("rpc", GEN2, 47_110), ("status", GEN1, 2_210), ("cm", TASMOTA, 26_000)]
)
def test_each_kind_of_plug_is_found_out_and_then_asked_directly(
    path: str, answer: str, watts: int, device: Device
) -> None:
    device.answers = {path: answer}
    plug = Plug(device.url)
    assert plug.read() == watts
    tried = len(device.asked)
    assert plug.read() == watts
    assert len(device.asked) == tried + 1


def test_a_plug_that_is_replaced_by_another_kind_is_found_again(device: Device) -> None:
    device.answers = {"cm": TASMOTA}
    plug = Plug(device.url)
    assert plug.read() == 26_000
    device.answers = {"rpc": GEN2}
    assert plug.read() is None
    assert plug.read() == 47_110


def test_a_plug_that_is_away_tells_nothing(tmp_path: Path) -> None:
    gone = Device(rpc=GEN2)
    body = Sensors(tmp_path, lambda words, seconds: None, plug=gone.url)
    assert body.watts() == 47_110
    gone.close()
    assert body.watts() is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://203.0.113.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + GEN2.encode(),
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 100_000 + GEN2.encode(),
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 10_000,
        b"SSH-2.0-dropbear\r\n",
        b"\0" * 3_000,
        '{"apower":true}',
        '{"apower":-1}',
        '{"apower":1e300}',
        '{"apower":"12"}',
        '{"meters":[{"power":5,"is_valid":false}]}',
        '{"meters":[]}',
        "[]",
    ],
)
def test_what_is_no_answer_of_a_plug_is_not_believed(answer: str | bytes, device: Device) -> None:
    device.answers = {"rpc": answer, "status": answer, "cm": answer}
    assert Plug(device.url).read() is None


def test_a_plug_that_never_answers_is_not_waited_for_long(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugs, "WAIT_S", 0.2)
    device.answers = {"": b""}
    began = time.monotonic()
    assert Plug(device.url).read() is None
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8",
        "http://[2606:4700::1111]",
        "http://[::ffff:8.8.8.8]",
        "http://[::ffff:0.0.0.0]",
        "http://0.0.0.0",
        "ftp://192.168.1.20",
        "192.168.1.20",
        "http://",
        "http://user:secret@192.168.1.20",
        "http://192.168.1.20/rpc",
        "http://192.168.1.20:99999",
        "http://[::1",
        "file:///etc/passwd",
    ],
)
def test_only_devices_at_home_are_asked(url: str) -> None:
    with pytest.raises(OwnerMustAct, match=r"energy\.plug") as refused:
        Plug(url)
    assert "http://192.168.1.20" in str(refused.value)


def test_a_name_that_stands_for_an_address_in_the_world_is_not_asked(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, port = socket.getaddrinfo, int(device.url.rpartition(":")[2])

    def rebound(host: str, *rest: object, **more: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    opened: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, there: opened.append(there))
    assert Plug(f"http://plug.example:{port}").read() is None
    assert opened == []
    monkeypatch.setattr(socket, "getaddrinfo", real)


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(
    st.recursive(
        numbers,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["apower", "meters", "power", "is_valid", "StatusSNS", "ENERGY", "Power"]),
                inner,
            )
        ),
    )
)
def test_no_answer_is_more_than_a_house_takes(said: object) -> None:
    watts = watts_mw(said)
    assert watts is None or 0 <= watts <= plugs.MOST_WATTS * 1_000
