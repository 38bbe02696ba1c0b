"""The ledger's service, asked over HTTP by the client that boxes use: on SQLite and on PostgreSQL."""

import http.client
import json
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from appliance.adapters.ledger_http.client import LedgerClient
from appliance.adapters.ledger_http.messages import NewTransfer
from appliance.adapters.store import ledger as store
from appliance.adapters.store.ledger_database import LedgerDatabase, Sql, open_ledger
from appliance.adapters.store.ledger_unit import Draft
from appliance.core.clock import SystemClock
from appliance.core.errors import NotFound, OwnerMustAct, RetryLater
from appliance.core.keys import Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.book import Move, NotEnough, entry
from appliance.domain.ledger.channel import Channel, ChannelPhase, ChannelState, accept, pay
from appliance.domain.ledger.gateway import WithdrawalLimits, WithdrawalPhase
from appliance.domain.ledger.request import WINDOW_MS, Request, Signer, sign
from appliance.entrypoints.operator.app import MOST_BODY, LedgerApp
from appliance.entrypoints.operator.requests import Replayed, SignedRequest
from appliance.entrypoints.operator.routes import ROUTES
from appliance.entrypoints.operator.server import LedgerServer, listen
from appliance.entrypoints.operator.service import NO_LIMITS, Operator
from tests.support.addresses import address, free_port
from tests.support.box import SEEDBOX
from tests.support.clock import FakeClock
from tests.support.processes import end, start
from tests.support.until import until

HOUR = 3_600_000
PAYER, SELLER, STRANGER = (Key(bytes(31) + bytes([number])) for number in (1, 2, 3))
BTT = 1_000_000
Fresh = Callable[[], str]


class Service:
    """A ledger served from this process, so that its clock can be set."""

    def __init__(self, where: str, limits: WithdrawalLimits = NO_LIMITS) -> None:
        self.clock = FakeClock()
        self.database: LedgerDatabase = open_ledger(where)
        self.operator = Operator(self.database, self.clock, "test", limits)
        self.ip = address()
        sock = listen(self.ip, 0)
        self.port = int(sock.getsockname()[1])
        self.url = f"http://{self.ip}:{self.port}"
        self._server = LedgerServer(LedgerApp(self.operator, self.clock))
        self._thread = threading.Thread(target=self._server.run, args=([sock],), daemon=True)
        self._thread.start()
        self._clients: list[LedgerClient] = []

    def client(self, key: Key, clock: FakeClock | None = None) -> LedgerClient:
        made = LedgerClient(self.url, key, clock or self.clock)
        self._clients.append(made)
        return made

    def credit(self, key: Key, amount: int) -> None:
        assert self.operator.credit(key.address, MicroBtt(amount), secrets.token_hex(32))

    def ask(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, object]]:
        """A request as it stands, by whomever."""
        line = http.client.HTTPConnection(self.ip, self.port, timeout=20)
        line.request(method, target, body, headers)
        answer = line.getresponse()
        told = answer.status, json.loads(answer.read())
        line.close()
        return told

    def signed(self, key: Key, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        request = Request(method, target, body)
        return sign(key, self.operator.id, request, self.clock.now(), secrets.token_hex(16))

    def close(self) -> None:
        self.operator.audit()
        for client in self._clients:
            client.close()
        self._server.should_exit = True
        self._thread.join(10)
        self.database.close()


@pytest.fixture
def service(fresh: Fresh) -> Iterator[Service]:
    running = Service(fresh())
    yield running
    running.close()


def opened(service: Service, lock: int = 1_000) -> tuple[LedgerClient, LedgerClient, Channel]:
    service.credit(PAYER, 10 * BTT)
    payer, seller = service.client(PAYER), service.client(SELLER)
    ends = UtcMs(service.clock.now() + HOUR)
    return payer, seller, payer.open("c1", SELLER.address, MicroBtt(lock), ends, HOUR)


def test_money_goes_from_account_to_account_and_both_read_why(service: Service) -> None:
    service.credit(PAYER, 10 * BTT)
    payer, seller = service.client(PAYER), service.client(SELLER)
    payer.transfer("rent", SELLER.address, MicroBtt(3 * BTT), "for October")
    assert payer.account() == (7 * BTT, 0)
    assert seller.account() == (3 * BTT, 0)
    assert [(line.kind, line.amount, line.about) for line in payer.statement()] == [
        ("deposit", 10 * BTT, ""),
        ("transfer", -3 * BTT, "for October"),
    ]
    assert seller.statement(after=seller.statement()[-1].number) == []
    figures = payer.info()
    assert (figures.held, figures.outside) == (str(10 * BTT), str(10 * BTT))


def test_money_leaves_to_the_payout_address_alone_and_a_change_of_it_takes_a_day(service: Service) -> None:
    service.credit(PAYER, 10 * BTT)
    payer = service.client(PAYER)
    with pytest.raises(OwnerMustAct, match="wallet payout"):
        payer.withdraw("w", SELLER.address, MicroBtt(BTT))
    assert payer.payout().address == ""
    assert payer.set_payout(SELLER.address).address == SELLER.address
    payer.withdraw("w", SELLER.address, MicroBtt(BTT))
    changed = payer.set_payout(STRANGER.address)
    assert (changed.address, changed.next) == (SELLER.address, STRANGER.address)
    service.clock.advance(24 * 3_600 - 10)
    with pytest.raises(OwnerMustAct, match="payout address"):
        payer.withdraw("thief", STRANGER.address, MicroBtt(BTT))
    service.clock.advance(10)
    payer.withdraw("later", STRANGER.address, MicroBtt(BTT))
    assert payer.account()[0] == 8 * BTT
    assert [one.to for one in payer.withdrawals()] == [STRANGER.address, SELLER.address]


def test_a_withdrawal_can_be_taken_back_until_it_is_signed_and_once(service: Service) -> None:
    service.credit(PAYER, 10 * BTT)
    payer, other = service.client(PAYER), service.client(STRANGER)
    payer.set_payout(SELLER.address)
    payer.withdraw("w", SELLER.address, MicroBtt(BTT))
    with pytest.raises(NotFound):
        other.cancel("w")
    for _ in range(2):
        assert payer.cancel("w").phase == "refunded"
        assert payer.account() == (10 * BTT, 0)
    payer.withdraw("v", SELLER.address, MicroBtt(BTT))

    def sign_it(sql: Sql) -> None:
        found = store.get_withdrawal(sql, f"{PAYER.address}.v")
        store.put_withdrawal(sql, replace(found, phase=WithdrawalPhase.SIGNED))

    service.database.transact(sign_it)
    with pytest.raises(OwnerMustAct, match="already signed"):
        payer.cancel("v")
    assert payer.account()[0] == 9 * BTT


def test_a_withdrawal_that_could_never_leave_is_refused_at_once(fresh: Fresh) -> None:
    limited = Service(fresh(), WithdrawalLimits(each=MicroBtt(BTT), allow=frozenset({SELLER.address})))
    limited.credit(PAYER, 10 * BTT)
    payer = limited.client(PAYER)
    payer.set_payout(SELLER.address)
    with pytest.raises(OwnerMustAct, match="at most 1 BTT at once"):
        payer.withdraw("w", SELLER.address, MicroBtt(BTT + 1))
    other = limited.client(STRANGER)
    other.set_payout(STRANGER.address)
    with pytest.raises(OwnerMustAct, match="not on this ledger's list"):
        other.withdraw("w", STRANGER.address, MicroBtt(1))
    limited.close()


def test_a_mark_tells_a_copy_of_a_database(service: Service) -> None:
    payer, (a, b, c) = service.client(PAYER), (secrets.token_hex(32) for _ in range(3))
    assert payer.mark([], a) == a
    assert payer.mark([a], b) == b
    assert payer.mark([a, b], b) == b, "an answer that was lost is asked for again"
    assert payer.mark([a], c) == b, "who knows an older mark has an older database"
    assert payer.mark([], c) == b
    assert service.client(SELLER).mark([], c) == c, "accounts are apart"


def test_the_same_name_twice_pays_once_and_another_meaning_is_refused(service: Service) -> None:
    service.credit(PAYER, 10)
    payer = service.client(PAYER)
    for _ in range(3):
        payer.transfer("rent", SELLER.address, MicroBtt(3))
    assert payer.account() == (7, 0)
    with pytest.raises(OwnerMustAct, match="another name"):
        payer.transfer("rent", SELLER.address, MicroBtt(4))
    assert payer.account() == (7, 0)


def test_what_an_account_does_not_hold_it_cannot_pay(service: Service) -> None:
    service.credit(PAYER, 10)
    payer = service.client(PAYER)
    with pytest.raises(NotEnough, match="Deposit"):
        payer.transfer("rent", SELLER.address, MicroBtt(11))
    with pytest.raises(NotEnough):
        payer.open("c", SELLER.address, MicroBtt(11), UtcMs(service.clock.now() + HOUR), HOUR)
    for wrong in (PAYER.address, "T" + "1" * 33):
        with pytest.raises(OwnerMustAct):
            payer.transfer("x", wrong, MicroBtt(1))
    assert payer.account() == (10, 0)


def test_a_channel_is_opened_paid_and_closed_by_its_recipient(service: Service) -> None:
    payer, seller, channel = opened(service)
    assert payer.account() == (10 * BTT - 1_000, 1_000)
    assert seller.channels() == payer.channels() == [channel]
    theirs = seller.channel(channel.id)
    for paid in (1, 10, 250):
        channel, state = pay(channel, PAYER, MicroBtt(paid))
        theirs = accept(theirs, state)
    closed = seller.close_channel(channel.id, state)
    assert (closed.phase, closed.paid) == (ChannelPhase.CLOSED, 250)
    assert seller.close_channel(channel.id, None) == closed, "closing again changes nothing"
    assert payer.account() == (10 * BTT - 250, 0)
    assert seller.account() == (250, 0)


def test_the_payer_waits_and_the_recipient_can_put_it_right(service: Service) -> None:
    payer, seller, channel = opened(service)
    _, state = pay(channel, PAYER, MicroBtt(900))
    with pytest.raises(OwnerMustAct, match="when it has expired"):
        payer.close_channel(channel.id, None)
    service.clock.advance(3_601)
    assert payer.close_channel(channel.id, None).phase is ChannelPhase.CLOSING
    assert seller.dispute(channel.id, state).paid == 900
    assert payer.close_channel(channel.id, None).phase is ChannelPhase.CLOSING
    service.clock.advance(3_601)
    assert payer.close_channel(channel.id, None).phase is ChannelPhase.CLOSED
    assert seller.account() == (900, 0)
    assert payer.account() == (10 * BTT - 900, 0)


def test_a_state_that_the_payer_did_not_sign_pays_nothing(service: Service) -> None:
    _, seller, channel = opened(service)
    _, good = pay(channel, PAYER, MicroBtt(10))
    for wrong in (
        ChannelState(good.ledger, good.channel, good.seq, MicroBtt(999), good.signature),
        ChannelState(good.ledger, good.channel, good.seq, good.paid, bytes(64)),
    ):
        with pytest.raises(OwnerMustAct):
            seller.close_channel(channel.id, wrong)
    assert seller.channel(channel.id).phase is ChannelPhase.OPEN


def test_strangers_learn_nothing_of_a_channel(service: Service) -> None:
    _, _, channel = opened(service)
    stranger = service.client(STRANGER)
    for ask in (stranger.channel, lambda id: stranger.close_channel(id, None)):
        with pytest.raises(NotFound):
            ask(channel.id)
    assert stranger.channels() == []
    with pytest.raises(NotFound):
        stranger.channel(b"x" * 32)


def test_the_same_channel_twice_is_one_and_other_terms_are_refused(service: Service) -> None:
    payer, _, channel = opened(service)
    again = payer.open("c1", SELLER.address, channel.lock, channel.expires, channel.window_ms)
    assert again == channel
    assert payer.account()[1] == 1_000
    with pytest.raises(OwnerMustAct, match="other terms"):
        payer.open("c1", SELLER.address, MicroBtt(5), channel.expires, channel.window_ms)


# ------------------------------------------------------------------------------------- forged and replayed


def test_a_request_counts_once_and_only_as_it_was_signed(service: Service) -> None:
    service.credit(PAYER, 100)
    body = json.dumps({"name": "a", "to": SELLER.address, "amount": "5"}).encode()
    other = json.dumps({"name": "b", "to": STRANGER.address, "amount": "99"}).encode()
    headers = service.signed(PAYER, "POST", "/v1/transfers", body)
    assert service.ask("POST", "/v1/transfers", other, headers)[1]["code"] == "unsigned"
    assert service.ask("POST", "/v1/channels", body, headers)[1]["code"] == "unsigned"
    assert service.ask("POST", "/v1/transfers?x=1", body, headers)[1]["code"] == "unsigned"
    assert service.ask("POST", "/v1/transfers", body, headers)[0] == 200
    assert service.ask("POST", "/v1/transfers", body, headers)[1]["code"] == "replayed"
    for name, value in (
        ("Seedbox-Key", SELLER.public.hex()),
        ("Seedbox-At", str(service.clock.now() + 1)),
        ("Seedbox-Nonce", "0" * 32),
        ("Seedbox-Signature", "0" * 128),
        ("Seedbox-Signature", "zz"),
    ):
        assert service.ask("POST", "/v1/transfers", body, headers | {name: value})[0] == 401
    assert service.ask("POST", "/v1/transfers", body, {})[0] == 401
    assert service.client(PAYER).account() == (95, 0)


def test_a_request_for_another_ledger_or_time_is_refused(service: Service) -> None:
    request = Request("GET", "/v1/account", b"")
    elsewhere = sign(PAYER, b"x" * 32, request, service.clock.now(), "0" * 32)
    assert service.ask("GET", "/v1/account", b"", elsewhere)[1]["code"] == "unsigned"
    for ahead in (WINDOW_MS + 1, -WINDOW_MS - 1):
        at = UtcMs(service.clock.now() + ahead)
        late = sign(PAYER, service.operator.id, request, at, "1" * 32)
        told = service.ask("GET", "/v1/account", b"", late)[1]
        assert told["code"] == "clock"
        assert told["time"] == service.clock.now()


def test_requests_that_overtake_each_other_are_all_good(service: Service) -> None:
    service.credit(PAYER, 100)
    made = []
    for number in range(5):
        body = json.dumps({"name": str(number), "to": SELLER.address, "amount": "1"}).encode()
        service.clock.advance(1)
        made.append((body, service.signed(PAYER, "POST", "/v1/transfers", body)))
    for body, headers in reversed(made):
        assert service.ask("POST", "/v1/transfers", body, headers)[0] == 200
    assert service.client(SELLER).account() == (5, 0)


def test_a_box_whose_clock_is_wrong_by_years_is_served(service: Service) -> None:
    service.credit(PAYER, 10)
    lost = FakeClock(wall=UtcMs(86_400_000))
    payer = service.client(PAYER, lost)
    payer.transfer("a", SELLER.address, MicroBtt(1))
    lost.jump(40 * 366 * 86_400)
    payer.transfer("b", SELLER.address, MicroBtt(1))
    assert payer.account() == (8, 0)


def test_nonces_are_forgotten_when_their_requests_are_too_old_anyway(service: Service) -> None:
    service.credit(PAYER, 10)
    body = json.dumps({"name": "a", "to": SELLER.address, "amount": "5"}).encode()
    headers = service.signed(PAYER, "POST", "/v1/transfers", body)
    assert service.ask("POST", "/v1/transfers", body, headers)[0] == 200
    service.clock.advance(3 * WINDOW_MS / 1_000)
    service.operator.tidy()
    assert service.database.transact(lambda sql: sql.run("SELECT COUNT(*) FROM nonce"))[0][0] == 0
    assert service.ask("POST", "/v1/transfers", body, headers)[1]["code"] == "clock"


texts = st.text(max_size=30) | st.sampled_from(["0", "-1", "9" * 19, "9" * 30, "1.5", "1e3"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.sampled_from(
        [
            "/v1/transfers",
            "/v1/channels",
            f"/v1/channels/{'ab' * 32}/close",
            "/v1/channels/x/dispute",
            "/v1/y",
        ]
    ),
    body=st.binary(max_size=60)
    | anything.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("name", "to", "amount", "recipient", "lock", "expires", "state", "window_ms"), anything
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_no_body_of_a_good_signer_breaks_the_ledger(service: Service, target: str, body: bytes) -> None:
    code, told = service.ask("POST", target, body, service.signed(PAYER, "POST", target, body))
    assert 400 <= code < 500
    assert told["code"]
    assert told["message"]


def test_a_body_that_is_too_large_is_refused_before_it_is_looked_at(service: Service) -> None:
    body = bytes(MOST_BODY + 1)
    headers = service.signed(PAYER, "POST", "/v1/transfers", body)
    assert service.ask("POST", "/v1/transfers", body, headers)[0] == 413


def test_deeply_nested_json_is_refused(service: Service) -> None:
    body = b"[" * 8_000 + b"]" * 8_000
    headers = service.signed(PAYER, "POST", "/v1/transfers", body)
    assert service.ask("POST", "/v1/transfers", body, headers)[0] == 422


def test_many_clients_at_once_lose_and_invent_nothing(service: Service) -> None:
    keys = [Key.make() for _ in range(6)]
    for key in keys:
        service.credit(key, 1_000)
    failures: list[BaseException] = []

    def work(mine: int) -> None:
        client = service.client(keys[mine])
        ends = UtcMs(service.clock.now() + HOUR)
        try:
            for turn in range(8):
                other = keys[(mine + turn % 5 + 1) % 6]
                while True:
                    try:
                        client.transfer(f"t{turn}", other.address, MicroBtt(7))
                        channel = client.open(f"c{turn}", other.address, MicroBtt(10), ends, HOUR)
                        _, state = pay(channel, keys[mine], MicroBtt(turn))
                        seller = service.client(other)
                        assert seller.close_channel(channel.id, state).paid == turn
                        seller.close()
                    except RetryLater:
                        continue
                    break
        except BaseException as error:
            failures.append(error)
        client.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(keys))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sum(service.client(key).account()[0] for key in keys) == 6_000
    assert service.operator.figures().held == 6_000


# --------------------------------------------------------------------------------- the document, the process


def test_the_openapi_document_is_valid_and_has_every_route(service: Service) -> None:
    line = http.client.HTTPConnection(service.ip, service.port, timeout=20)
    line.request("GET", "/openapi.json")
    document = json.loads(line.getresponse().read())
    line.close()
    validate(document)
    rules = [(route.path, route.method.lower()) for route in ROUTES]
    assert sorted(rules) == sorted(
        (path, method) for path, one in document["paths"].items() for method in one
    )
    assert document["components"]["schemas"]["NewTransfer"]["properties"]["amount"]


def test_a_ledger_keeps_its_id(fresh: Fresh) -> None:
    where = fresh()
    first = Service(where)
    id = first.operator.id
    first.close()
    second = Service(where)
    assert second.operator.id == id
    second.close()


def test_another_ledger_at_the_same_address_is_sent_nothing(tmp_path: Path) -> None:
    first, second = Service(str(tmp_path / "a.db")), Service(str(tmp_path / "b.db"))
    client = first.client(PAYER)
    assert client.ledger == first.operator.id
    client._parts = second.client(PAYER)._parts
    client.close()
    with pytest.raises(OwnerMustAct, match="different ledger"):
        client.info()
    with pytest.raises(OwnerMustAct):
        client.account()
    first.close()
    second.close()


def test_what_answers_html_or_nothing_is_no_ledger() -> None:
    class Html(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome to the hotel's network</html>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    ip = address()
    server = ThreadingHTTPServer((ip, 0), Html)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(RetryLater, match="not a ledger"):
        LedgerClient(f"http://{ip}:{server.server_port}", PAYER, SystemClock()).account()
    server.shutdown()
    server.server_close()
    with pytest.raises(RetryLater, match="cannot be reached"):
        LedgerClient(f"http://{ip}:{server.server_port}", PAYER, SystemClock()).account()
    for wrong in ("ftp://x", "x", "http://", "https://x/path"):
        with pytest.raises(OwnerMustAct, match="address of a ledger"):
            LedgerClient(wrong, PAYER, SystemClock())


def test_seedbox_ledger_serves_and_ends_in_order(tmp_path: Path) -> None:
    ip = address()
    port = free_port(ip)
    (tmp_path / "seedbox.toml").write_text(f'[ledger]\naddress = "{ip}"\nport = {port}\nname = "club"\n')
    with (tmp_path / "log").open("wb") as log:
        process = start([*SEEDBOX, "--state", tmp_path, "ledger"], log)
    until(lambda: "Ledger" in (tmp_path / "log").read_text(), "the ledger")
    client = LedgerClient(f"http://{ip}:{port}", PAYER, SystemClock())
    assert client.info().name == "club"
    assert client.account() == (0, 0)
    second = subprocess.run(
        [*SEEDBOX, "--state", tmp_path, "ledger"], capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert f"port {port}" in second.stderr
    assert end(process) == 0
    assert (tmp_path / "ledger.db").stat().st_mode & 0o077 == 0


def test_a_password_in_the_configuration_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for url in ("postgresql://me:hunter2@host/db", "postgresql://host/db?password=hunter2"):
        (tmp_path / "seedbox.toml").write_text(f'[ledger]\ndatabase = "{url}"\n')
        done = subprocess.run(
            [*SEEDBOX, "--state", tmp_path, "ledger"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert "PGPASSFILE" in done.stderr
        assert "hunter2" not in done.stderr + done.stdout


def test_the_ledger_does_not_import_what_only_a_box_needs() -> None:
    script = "import appliance.entrypoints.operator.main, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"libtorrent", "tronpy", "gpiozero", "psycopg"} & set(loaded.split())


@pytest.mark.parametrize(
    "start", [b"", b"GET /v1/ledger HTTP/1.1\r\nX-A: b", b"POST /v1/transfers HTTP/1.1\r\n"]
)
def test_who_does_not_finish_a_request_is_cut_off(
    service: Service, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.entrypoints.operator.server.REQUEST_S", 0.3)
    with socket.create_connection((service.ip, service.port), timeout=20) as slow:
        slow.sendall(start)
        with suppress(ConnectionResetError):
            assert slow.recv(100) == b""


def test_a_head_without_an_end_is_cut_off(service: Service) -> None:
    with socket.create_connection((service.ip, service.port), timeout=20) as endless:
        endless.sendall(b"GET /v1/ledger HTTP/1.1\r\n")
        line = b"X-A: " + b"a" * 60_000 + b"\r\n"
        with pytest.raises(OSError):
            endless.sendall(line * 1_000)


def test_one_request_does_not_spoil_the_others_of_its_batch(service: Service) -> None:
    """Together in one transaction: good ones, one without money, a replay, and one that fails by itself."""
    service.credit(PAYER, 100)
    service.credit(SELLER, 100)

    def asked(key: Key, name: str, amount: int, nonce: str = "") -> SignedRequest[MicroBtt]:
        signer = Signer(key.public, key.address, nonce or secrets.token_hex(16), service.clock.now())
        return service.operator.requests.transferring(
            signer, NewTransfer(name, STRANGER.address, str(amount))
        )

    def breaks(draft: Draft) -> MicroBtt:
        draft.post(entry("x", "x", UtcMs(1), Move(PAYER.address, "nowhere", MicroBtt(5))))
        raise OwnerMustAct("no")

    broken = replace(asked(PAYER, "z", 1), work=breaks)
    same = asked(PAYER, "a", 10, "ab" * 16)
    results = service.operator.together(
        [
            same,
            asked(SELLER, "b", 101),
            same,
            broken,
            asked(PAYER, "c", 91),
            asked(PAYER, "d", 90),
            asked(SELLER, "e", 100),
            asked(SELLER, "e", 99),
        ]
    )
    assert [result if isinstance(result, int) else type(result) for result in results] == [
        90,
        NotEnough,
        Replayed,
        OwnerMustAct,
        NotEnough,
        0,
        0,
        OwnerMustAct,
    ]
    assert service.operator.account(STRANGER.address) == (200, 0)
    assert [line.balance for line in service.operator.statement(STRANGER.address, 0, 9)] == [10, 100, 200]


def test_a_flood_of_garbage_does_not_keep_honest_clients_out(service: Service) -> None:
    """Bounded: 2,000 requests from one address, while an honest client pays twenty times."""
    service.credit(PAYER, 100)
    over = threading.Event()

    def flood() -> None:
        for _ in range(1_000):
            if over.is_set():
                return
            with socket.create_connection((service.ip, service.port), timeout=20) as one:
                one.sendall(b"POST /v1/transfers HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{{{{")
                one.recv(2_000)

    floods = [threading.Thread(target=flood) for _ in range(2)]
    for one in floods:
        one.start()
    payer = service.client(PAYER)
    for turn in range(20):
        payer.transfer(str(turn), SELLER.address, MicroBtt(1))
    over.set()
    for one in floods:
        one.join()
    assert payer.account() == (80, 0)
