"""The owner is told elsewhere: by real webhooks and real mail, once, whatever the network does."""

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from appliance.adapters.notices.addresses import MOST_ADDRESSES, Address, AddressFile, shown
from appliance.adapters.notices.sender import Sender
from appliance.adapters.store.database import Database
from appliance.adapters.store.issues import IssueStore
from appliance.core.errors import OwnerMustAct
from appliance.domain.doctor.delivery import NoticeRules
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.doctor.notice import trial_notice
from appliance.services.machine.issues import IssueKeeper, IssuePorts
from tests.support.addresses import address, free_port
from tests.support.clock import FakeClock
from tests.support.fakes import ListJournal
from tests.support.until import until

# A test's password over loopback needs no TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")

T = TypeVar("T")
SECRET = "s3cr3t-Passw0rd"
HOT = Finding("temperature", Verdict.ERROR, "The processor is at 85 °C.", "Give it air.")
GONE = Finding("drive:/srv/content", Verdict.ERROR, "The drive is gone.", "Connect it.")


class Webhook:
    """A web server that keeps what it is sent, or behaves badly."""

    def __init__(self, host: str = "", port: int = 0) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 200
        self.behave: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.called = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.called.set()
                if hook.behave:
                    with contextlib.suppress(OSError):
                        hook.behave(self)
                    return
                hook.posts.append(
                    body
                    | {
                        "path": self.path,
                        "auth": self.headers.get("Authorization", ""),
                        "id": self.headers.get("Idempotency-Key", ""),
                    }
                )
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.host = host or address()
        self._server = ThreadingHTTPServer((self.host, port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"json://owner:{SECRET}@{self.host}:{self.port}/hook"

    @property
    def titles(self) -> list[str]:
        return [post["title"] for post in self.posts]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    running = Webhook()
    yield running
    running.stop()


class Home:
    """The keeper of issues in a loop of its own, as the daemon runs it; its clock goes as told."""

    def __init__(
        self, folder: Path, *lines: str, mode: int = 0o600, timeout_s: float = 45, after: int = 5
    ) -> None:
        self.folder = folder
        self.file = folder / "notify"
        self.write(*lines, mode=mode)
        self.clock = FakeClock()
        self.journal = ListJournal()
        self._rules = NoticeRules(Verdict.WARNING, after * 60)
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.begin()

    def write(self, *lines: str, mode: int = 0o600) -> None:
        self.file.write_text("\n".join(lines) + "\n")
        self.file.chmod(mode)

    def begin(self) -> None:
        """As at the start of a daemon."""
        self.database = Database(self.folder / "box.db", check=True)
        ports = IssuePorts(
            memory=IssueStore(self.database),
            journal=self.journal,
            clock=self.clock,
            addresses=AddressFile(self.file),
            sender=Sender(self._timeout_s),
            page=lambda: "http://192.168.1.5:8080",
        )
        self.keeper = IssueKeeper(ports, self._rules, "attic")
        self._telling = self.do(self._begin())

    async def _begin(self) -> "asyncio.Task[None]":
        await self.keeper.start()
        return asyncio.create_task(self.keeper.run(lambda: None))

    def end(self) -> None:
        """As a daemon that is told to stop."""
        self.do(self._end())
        self.do(self.keeper.flush())
        self.database.close()

    async def _end(self) -> None:
        self._telling.cancel()
        (ended,) = await asyncio.gather(self._telling, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def round(self, *findings: Finding, seconds: float = 60) -> None:
        self.clock.advance(seconds)
        self.do(self.keeper.take(findings))

    def failures(self) -> int:
        return max(self.keeper.failures().values(), default=0)

    def close(self) -> None:
        self.end()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextlib.contextmanager
def home(folder: Path, *lines: str, **keys: Any) -> Iterator[Home]:
    running = Home(folder, *lines, **keys)
    try:
        yield running
    finally:
        running.close()


def senders() -> list[int]:
    """Processes that send a notice for this test."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and b"notices.post" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


# --------------------------------------------------------------------------------------------- webhook


def test_a_webhook_hears_once_of_the_beginning_and_once_of_the_end(tmp_path: Path, webhook: Webhook) -> None:
    with home(tmp_path, "# mine", "", webhook.url, after=5) as house:
        for _ in range(5):
            house.round(HOT, GONE)
        assert not webhook.posts
        house.round(HOT, GONE)
        until(lambda: webhook.posts, "the message")
        for _ in range(10):
            house.round(GONE)
        for _ in range(16):
            house.round(GONE)
        until(lambda: len(webhook.posts) == 2, "that it is mended")
    first, second = webhook.posts
    assert (first["path"], first["type"]) == ("/hook", "failure")
    assert first["title"] == "attic: The processor is at 85 °C. (and 1 more)"
    assert "Error: The drive is gone.\nWhat to do: Connect it." in first["message"]
    assert "http://192.168.1.5:8080" in first["message"]
    assert (second["title"], second["type"]) == ("attic: Resolved: The processor is at 85 °C.", "success")


def test_no_word_is_doubled_by_a_restart(tmp_path: Path, webhook: Webhook) -> None:
    with home(tmp_path, webhook.url, after=0) as house:
        house.round(HOT)
        until(lambda: webhook.posts, "the message")
        for _ in range(3):
            house.end()
            house.begin()
            house.round(HOT)
            house.round(HOT, GONE)
        until(lambda: len(webhook.posts) > 1, "the second message")
        assert webhook.titles == ["attic: The processor is at 85 °C.", "attic: The drive is gone."]
        assert [issue.id for issue in house.keeper.listed(mended=True)] == [2, 1]


def test_while_the_network_is_away_all_waits_and_comes_when_it_is_back_even_after_a_restart(
    tmp_path: Path,
) -> None:
    host = address()
    port = free_port(host)
    with home(tmp_path, f"json://{host}:{port}", after=0) as house:
        for attempt in range(1, 4):
            while house.failures() < attempt:
                house.round(HOT, seconds=600)
                until(lambda: not senders(), "the attempt's end")
        house.round(HOT)
        checks = {issue.check: issue for issue in house.keeper.listed(mended=False)}
        assert f"notify:json://{host}" in checks
        assert "no connection" in checks[f"notify:json://{host}"].says
        house.end()
        house.begin()
        assert house.failures() >= 3, "how long it waits is kept"
        hook = Webhook(host, port)
        try:
            for _ in range(4):
                house.round(HOT, seconds=600)
            until(lambda: hook.posts, "the message")
            for _ in range(4):
                house.round(HOT, seconds=600)
            assert hook.titles == ["attic: The processor is at 85 °C."]
        finally:
            hook.stop()


def test_a_webhook_that_takes_seconds_to_answer_is_told_once(tmp_path: Path, webhook: Webhook) -> None:
    arrived: list[str] = []
    quiet = threading.Event()

    def dawdle(handler: BaseHTTPRequestHandler) -> None:
        arrived.append(handler.headers["Idempotency-Key"])
        quiet.wait(6)
        handler.send_response(200)
        handler.end_headers()

    webhook.behave = dawdle
    with home(tmp_path, webhook.url, after=0) as house:
        house.round(HOT)
        until(lambda: arrived, "the message")
        until(lambda: not senders(), "the answer", 60)
        assert house.failures() == 0
        house.round(HOT, seconds=3_600)
    assert len(arrived) == 1
    assert len(arrived[0]) == 32


def test_a_redirect_is_not_sent_and_what_is_repeated_has_the_same_id(
    tmp_path: Path, webhook: Webhook
) -> None:
    webhook.status = 302
    with home(tmp_path, webhook.url, after=0) as house:
        house.round(HOT)
        until(lambda: house.failures() == 1, "the refusal")
        (line,) = house.do(house.keeper.test())
        assert "redirects to another one (code 302)" in line
        webhook.status = 200
        house.round(HOT, seconds=61)
        until(lambda: len(webhook.posts) == 3, "the second attempt")
    first, _, again = webhook.posts
    assert first["id"] == again["id"] != ""


def test_who_refuses_is_asked_again_and_the_code_is_told(tmp_path: Path, webhook: Webhook) -> None:
    webhook.status = 401
    with home(tmp_path, webhook.url, after=0) as house:
        house.round(HOT)
        until(lambda: house.failures() == 1, "the refusal")
        (line,) = house.do(house.keeper.test())
        assert line == f"json://{webhook.host} (line 1): the server rejected it (code 401)"
        webhook.status = 200
        webhook.posts.clear()
        house.round(HOT, seconds=61)
        until(lambda: webhook.titles == ["attic: The processor is at 85 °C."], "the second attempt")


def drip(request: BaseHTTPRequestHandler) -> None:
    """An answer that never ends, a byte at a time: no timeout of a socket notices."""
    request.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
    stop = threading.Event()
    while not stop.wait(0.1):
        request.wfile.write(b"x")
        request.wfile.flush()


def test_a_server_that_hangs_holds_up_nothing_and_leaves_no_process(tmp_path: Path, webhook: Webhook) -> None:
    webhook.behave = drip
    other = Webhook()
    try:
        with home(tmp_path, webhook.url, other.url, after=0, timeout_s=10) as house:
            house.round(HOT)
            assert webhook.called.wait(30)
            house.round(HOT, GONE)
            assert len(house.keeper.listed(mended=False)) == 2, "rounds go on meanwhile"
            until(lambda: other.posts, "the other address", 60)
            until(lambda: house.failures() == 1, "the attempt's end")
            until(lambda: not senders(), "no process is left")
    finally:
        other.stop()


def test_no_list_of_processes_shows_an_address_and_the_end_of_the_box_ends_them(
    tmp_path: Path, webhook: Webhook
) -> None:
    webhook.behave = drip
    with home(tmp_path, webhook.url, after=0) as house:
        house.round(HOT)
        assert webhook.called.wait(30)
        (pid,) = senders()
        for name in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    assert not senders()


def test_an_endless_answer_fills_no_memory(webhook: Webhook) -> None:
    sent = 0

    def flood(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        request.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        while True:
            request.wfile.write(b"x" * 1_000_000)
            sent += 1

    webhook.behave = flood
    one = Address("json://x", 1, webhook.url)
    assert asyncio.run(Sender(60).send(one, trial_notice("attic", "")))
    assert 1 < sent < 500, "megabytes, until it was cut off"


# ------------------------------------------------------------------------------------------------ mail


class Mailbox:
    """A mail server that takes mail from who knows the password."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.host = address()
        self._controller = Controller(
            self,
            hostname=self.host,
            port=free_port(self.host),
            authenticator=self._check,
            auth_required=True,
            auth_require_tls=False,
        )
        self._controller.start()
        self.port = self._controller.port

    def _check(self, server: SMTP, session: Session, envelope: Envelope, kind: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=data.password == SECRET.encode(), handled=False)

    async def handle_DATA(  # noqa: N802  aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.mails.append(envelope)
        return "250 OK"

    def url(self, password: str = SECRET) -> str:
        return (
            f"mailto://owner:{password}@{self.host}:{self.port}"
            "?from=box@example.com&to=owner@example.com&mode=insecure"
        )

    def stop(self) -> None:
        self._controller.stop()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox()
    yield running
    running.stop()


def test_a_mail_arrives_with_what_it_means_and_what_to_do(tmp_path: Path, mailbox: Mailbox) -> None:
    from email import message_from_bytes, policy

    with home(tmp_path, mailbox.url(), after=0) as house:
        house.round(HOT)
        until(lambda: mailbox.mails, "the mail")
    (mail,) = mailbox.mails
    assert mail.rcpt_tos == ["owner@example.com"]
    message = message_from_bytes(mail.original_content or b"", policy=policy.default)
    assert message["Subject"] == "attic: The processor is at 85 °C."
    assert "box@example.com" in message["From"]
    body = message.get_body(("plain", "html"))
    assert body is not None
    text = body.get_content()
    assert "What to do: Give it air." in text


def test_a_wrong_password_is_told_by_its_code_and_tried_again_as_soon_as_it_is_mended(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    with home(tmp_path, mailbox.url("wrong"), after=0) as house:
        house.round(HOT)
        until(lambda: house.failures() == 1, "the refusal")
        assert "code 535" in house.do(house.keeper.test())[0]
        house.write(mailbox.url())
        house.round(HOT, seconds=5)
        until(lambda: mailbox.mails, "the mail")


# ------------------------------------------------------------------------------------------- addresses


def test_secrets_are_in_no_log_no_event_no_finding_and_no_database(
    tmp_path: Path, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.status = 500
    lines = (webhook.url, f"nonsense://{SECRET}", f"mailto://{SECRET}", SECRET, f"tgram://{SECRET}/x")
    with home(tmp_path, *lines, after=0) as house:
        for _ in range(4):
            house.round(HOT, seconds=3_600)
            until(lambda: house.keeper._checked, "the check of the addresses")
            until(lambda: not senders(), "the attempt's end")
        house.round(HOT)
        told = house.do(house.keeper.test())
        shown_texts = repr(
            (house.journal.events, house.keeper.findings(), house.keeper.listed(mended=True), told)
        )
        assert webhook.called.is_set()
    assert len(told) == len(lines)
    assert SECRET not in shown_texts
    assert SECRET not in caplog.text
    for file in tmp_path.glob("box.db*"):
        assert SECRET.encode() not in file.read_bytes()


def test_a_wrong_line_is_named_by_its_number_before_it_is_needed(tmp_path: Path) -> None:
    with home(tmp_path, "# mine", "nonsense://a/b", "json://127.0.0.1:1/x", "hello world") as house:
        house.round()
        until(lambda: house.keeper._checked, "the check")
        house.round()
        issues = house.keeper.listed(mended=False)
        assert sorted(issue.check for issue in issues) == ["notify-file:2", "notify-file:4"]
        assert all(str(house.file) in issue.says for issue in issues)
        house.write("json://127.0.0.1:1/x")
        house.round()
        until(lambda: len(house.keeper._checked) == 1, "the new check")
        house.round()
        assert not house.keeper.listed(mended=False)


def test_a_file_that_others_can_read_is_not_used_until_it_is_closed(tmp_path: Path, webhook: Webhook) -> None:
    with home(tmp_path, webhook.url, mode=0o640, after=0) as house:
        house.round(HOT)
        house.round(HOT)
        found = {issue.check: issue for issue in house.keeper.listed(mended=False)}
        assert f"chmod 600 {house.file}" in found["notify-file"].remedy
        with pytest.raises(OwnerMustAct, match="chmod 600"):
            house.do(house.keeper.test())
        assert not webhook.called.is_set()
        house.file.chmod(0o600)
        house.round(HOT)
        until(lambda: webhook.posts, "the message")


def test_an_unreadable_file_forgets_nothing_that_was_told(tmp_path: Path, webhook: Webhook) -> None:
    with home(tmp_path, webhook.url, after=0) as house:
        house.round(HOT)
        until(lambda: webhook.posts, "the message")
        house.file.chmod(0o644)
        house.round(HOT)
        house.file.chmod(0o600)
        house.round(HOT)
        house.round(HOT)
        until(lambda: not senders(), "all attempts")
        assert len(webhook.posts) == 1


def test_no_file_means_nobody_to_tell_and_the_test_says_what_to_write(tmp_path: Path) -> None:
    with home(tmp_path) as house:
        house.file.unlink()
        house.round(HOT)
        assert [issue.check for issue in house.keeper.listed(mended=False)] == ["temperature"]
        with pytest.raises(OwnerMustAct, match="chmod 600"):
            house.do(house.keeper.test())


def test_systemd_s_credential_comes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "notify").write_text("json://file.example")
    (tmp_path / "notify").chmod(0o600)
    kept = tmp_path / "credentials"
    kept.mkdir()
    assert [one.label for one in AddressFile(tmp_path / "notify", str(kept)).read().found] == [
        "json://file.example"
    ]
    (kept / "notify").write_text("json://kept.example")
    (kept / "notify").chmod(0o440)
    assert [one.label for one in AddressFile(tmp_path / "notify", str(kept)).read().found] == [
        "json://kept.example"
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
def test_a_file_that_is_no_list_is_told_as_such(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notify"
    file.write_bytes(content)
    file.chmod(0o600)
    told = AddressFile(file).read()
    assert not told.readable
    assert told.troubles[0].verdict is Verdict.WARNING


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "notify", 0o600)
    assert "is not a regular file" in AddressFile(tmp_path / "notify").read().troubles[0].says


def test_too_many_addresses_are_refused_by_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "notify"
    file.write_text("\n".join(f"json://h{number}.example" for number in range(MOST_ADDRESSES + 2)))
    file.chmod(0o600)
    told = AddressFile(file).read()
    assert len(told.found) == MOST_ADDRESSES
    assert [one.check for one in told.troubles] == [
        f"notify-file:{MOST_ADDRESSES + 1}",
        f"notify-file:{MOST_ADDRESSES + 2}",
    ]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mailto://me:pw@example.com", "mailto://example.com"),
        ("MAILTOS://me:pw@Example.com:465?to=a@b.example", "mailtos://example.com"),
        ("json://me:pw@192.168.1.2:80/token", "json://192.168.1.2"),
        ("jsons://[2001:db8::1]/token", "jsons://2001:db8::1"),
        ("tgram://123456:abcdef/789", "tgram://"),
        ("discord://webhook.id/token", "discord://"),
        ("ntfy://my-secret-topic", "ntfy://"),
        ("mailto://me:pass/word@example.com", "mailto://"),
        ("json://token", "json://"),
        ("json://[broken", "json://"),
    ],
)
def test_of_an_address_only_scheme_and_host_are_shown(url: str, says: str) -> None:
    assert shown(url) == says
    assert "pw" not in repr(Address(says, 1, url))


def test_two_addresses_at_one_host_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "notify"
    file.write_text("json://a.example/1\njson://a.example/2\n")
    file.chmod(0o600)
    assert [one.label for one in AddressFile(file).read().found] == [
        "json://a.example",
        "json://a.example #2",
    ]


def test_the_daemon_does_not_load_apprise() -> None:
    program = "import sys, appliance.services.machine.issues; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
