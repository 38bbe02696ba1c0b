"""The page's answers, without a browser: who may see what, and what strangers can send."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from appliance.control.client import ControlClient
from appliance.control.torrents import Configure, ListTorrents, Remove, TorrentState
from appliance.core.config import Config, WebConfig
from appliance.entrypoints.web.app import create_app
from appliance.entrypoints.web.secrets import Secrets
from tests.support.box import Box
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until
from tests.web.conftest import PASSWORD

MIB = 1024**2
PAGES = ("/", "/?span=month", "/torrents", "/add", "/events", "/health", "/settings", "/torrents/{id}")
LIVE = ("/live", "/live?view=torrents", "/live/graph", "/live/torrent/{id}", "/metrics", "/healthz")
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Visitor:
    """A browser without JavaScript."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, **more: object) -> tuple[int, str]:
        answer = self.client.get(path, base_url="http://127.0.0.1", **more)
        return answer.status_code, answer.text

    def token(self, page: str) -> str:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(page)[1])
        assert found, f"no form on {page}"
        return found.group(1)

    def post(self, path: str, form: dict[str, object], page: str = "/settings") -> tuple[int, str]:
        """Send a form of `page`, and look at what it leads to."""
        data = {"csrf_token": self.token(page)} | form
        answer = self.client.post(path, data=data, base_url="http://127.0.0.1", follow_redirects=True)
        return answer.status_code, answer.text

    def claim(self, code: str, password: str = PASSWORD) -> str:
        return self.post("/claim", {"code": code, "password": password, "again": password}, "/claim")[1]

    def sign_in(self, password: str = PASSWORD) -> str:
        return self.post("/login", {"password": password}, "/login")[1]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, str]]:
    """A box with one torrent, whose name is an attack."""
    with Box(tmp_path_factory.mktemp("pages") / "box") as box:
        data = write_data(box.content / "<script>alert(1)<&quot;'.bin", MIB)
        id = box.add(make_torrent(data, "hybrid", ("http://127.0.0.1:9/<b>announce",)))
        box.wait_state(id, TorrentState.SEEDING)
        yield box, id


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path / "web")


@pytest.fixture
def app(running: tuple[Box, str], secrets: Secrets) -> Flask:
    box, _ = running
    return create_app(
        ControlClient(box.folder / "control.sock"), secrets, Config(web=WebConfig(hosts=("box.example",)))
    )


@pytest.fixture
def owner(app: Flask, secrets: Secrets) -> Visitor:
    visitor = Visitor(app)
    visitor.claim(secrets.claim_code)
    return visitor


def test_a_stranger_sees_the_gate_alone(app: Flask, running: tuple[Box, str]) -> None:
    stranger = Visitor(app)
    for path in (*PAGES, *LIVE):
        path = path.format(id=running[1])
        code, text = stranger.get(path)
        if path == "/healthz":
            assert code in (200, 503)
        elif path.startswith(("/live", "/metrics")):
            assert code == 401
        else:
            assert code == 302
        assert "alert(1)" not in text
    assert stranger.get("/claim")[0] == 200
    assert stranger.get("/static/style.css")[0] == 200


def test_the_box_is_claimed_once_with_the_code_and_a_fair_password(app: Flask, secrets: Secrets) -> None:
    first, code = Visitor(app), secrets.claim_code
    assert "Wrong code" in first.claim("AAAA-AAAA")
    assert "at least 10" in first.claim(code, "short")
    assert secrets.claim_code
    first.claim(code)
    assert not secrets.claim_code
    assert first.get("/")[0] == 200
    second = Visitor(app)
    assert second.get("/claim")[0] == 302
    assert "Wrong password" in second.sign_in("not the password")
    second.sign_in()
    assert second.get("/")[0] == 200


def test_the_password_is_nowhere_in_the_file(owner: Visitor, tmp_path: Path) -> None:
    kept = (tmp_path / "web" / "secrets.json").read_text()
    assert PASSWORD not in kept
    assert "scrypt:" in kept
    assert (tmp_path / "web" / "secrets.json").stat().st_mode & 0o077 == 0


def test_no_form_is_taken_without_its_token(
    app: Flask, secrets: Secrets, owner: Visitor, running: tuple[Box, str]
) -> None:
    rules = [rule.rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    assert len(rules) >= 10
    for rule in rules:
        path = re.sub(r"<[^>]*>", running[1], rule)
        answer = owner.client.post(
            path, data={"id": running[1], "action": "pause"}, base_url="http://127.0.0.1"
        )
        assert answer.status_code == 400, rule
    assert running[0].row(running[1]).state is TorrentState.SEEDING


def test_guessing_gets_slower_and_the_owner_elsewhere_is_let_in(
    app: Flask, secrets: Secrets, owner: Visitor
) -> None:
    guesser, other = Visitor(app), Visitor(app)
    for _ in range(5):
        assert "Wrong password" in guesser.sign_in("wrong password")
    assert "Too many failed attempts" in guesser.sign_in()
    assert guesser.get("/")[0] == 302
    token = other.token("/login")
    answer = other.client.post(
        "/login",
        data={"csrf_token": token, "password": PASSWORD},
        base_url="http://127.0.0.1",
        environ_base={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert answer.status_code == 302
    assert other.get("/")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "a b", "[::1"])
def test_a_rebound_name_is_not_answered(owner: Visitor, host: str) -> None:
    code = owner.client.get("/", headers={"Host": host}).status_code
    assert code in (400, 421)


@pytest.mark.parametrize(
    "host", ["192.168.1.7:8080", "[fe80::1]:8080", "localhost", "box.example", "BOX.example:1"]
)
def test_the_boxs_own_names_are_answered(owner: Visitor, host: str) -> None:
    assert owner.client.get("/healthz", headers={"Host": host}).status_code in (200, 503)


def test_every_page_keeps_to_a_strict_policy_and_escapes_what_others_named(
    owner: Visitor, running: tuple[Box, str]
) -> None:
    for path in PAGES:
        answer = owner.client.get(path.format(id=running[1]), base_url="http://127.0.0.1")
        assert answer.status_code == 200, path
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in policy
        page = answer.text
        assert "<script>alert" not in page
        assert "<b>announce" not in page
        # Nothing that the policy would forbid, and nothing from elsewhere.
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert not re.search(r"\s(style|on\w+)=", page), path
        assert not re.search(r"""(src|href)=["'](https?:)?//""", page), path


def test_the_cookie_is_for_this_site_and_no_script(app: Flask, secrets: Secrets) -> None:
    visitor = Visitor(app)
    data = {"csrf_token": visitor.token("/claim"), "code": secrets.claim_code, "password": PASSWORD}
    answer = visitor.client.post("/claim", data=data | {"again": PASSWORD}, base_url="http://127.0.0.1")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_another_password_signs_everybody_else_out(app: Flask, owner: Visitor) -> None:
    elsewhere = Visitor(app)
    elsewhere.sign_in()
    assert elsewhere.get("/")[0] == 200
    new = "another fine password"
    assert (
        "current password is wrong"
        in owner.post("/settings/password", {"old": "x", "new": new, "again": new})[1]
    )
    assert "changed" in owner.post("/settings/password", {"old": PASSWORD, "new": new, "again": new})[1]
    assert owner.get("/")[0] == 200
    assert elsewhere.get("/")[0] == 302


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"]
)
def test_no_form_leads_to_a_strangers_page(owner: Visitor, back: str) -> None:
    for path in ("/torrents", "/add"):
        data = {"csrf_token": owner.token("/settings"), "back": back}
        answer = owner.client.post(path, data=data, base_url="http://127.0.0.1")
        assert "evil" not in answer.headers["Location"]
        assert "javascript" not in answer.headers["Location"]


def test_metrics_are_for_the_token_and_few_whatever_is_held(
    owner: Visitor, app: Flask, secrets: Secrets
) -> None:
    stranger = Visitor(app)
    assert stranger.get("/metrics", headers={"Authorization": "Bearer no"})[0] == 401
    code, text = stranger.get("/metrics", headers={"Authorization": f"Bearer {secrets.metrics_token}"})
    assert code == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["seedbox_payload_bytes"].type == "counter"
    by_state = {one.labels["state"]: one.value for one in families["seedbox_torrents"].samples}
    assert by_state["seeding"] == 1
    assert sum(len(family.samples) for family in families.values()) < 150
    assert "script" not in text


def test_a_list_of_the_page_is_live_by_its_changes_alone(owner: Visitor, running: tuple[Box, str]) -> None:
    first = owner.client.get("/live?view=torrents", base_url="http://127.0.0.1").get_json()
    assert list(first["rows"]) == [running[1]]
    since = f"/live?view=torrents&since={first['revision']}"
    assert owner.client.get(since, base_url="http://127.0.0.1").get_json()["rows"] == {}
    running[0].call(Configure(id=running[1], label="films"))
    changed = owner.client.get(since, base_url="http://127.0.0.1").get_json()
    assert "films" in changed["rows"][running[1]]


def test_what_is_no_torrent_is_refused_on_the_page_that_asked(owner: Visitor) -> None:
    def upload(content: bytes) -> str:
        file = (io.BytesIO(content), "x.torrent")
        return owner.post("/add", {"files": file, "back": "/add"}, "/add")[1]

    assert "not a .torrent" in upload(b"<html>")
    assert "not a .torrent" in upload(b"")
    for form, says in (
        ({}, "Choose a .torrent file"),
        ({"link": "magnet:?xt=urn:btih:zz"}, "magnet"),
        ({"path": "/etc"}, "/etc"),
        ({"link": "gopher://x"}, "magnet"),
    ):
        assert says in owner.post("/add", {**form, "back": "/add"}, "/add")[1]


def test_a_file_that_is_refused_hides_nothing_of_what_was_added_before_it(
    owner: Visitor, running: tuple[Box, str], tmp_path: Path
) -> None:
    box, _ = running
    metainfo = make_torrent(write_data(tmp_path / "second.bin", 1_000, 2))
    files = [(io.BytesIO(metainfo), "second.torrent"), (io.BytesIO(b"<html>"), "third.torrent")]
    said = owner.post("/add", {"files": files, "back": "/add"}, "/add")[1]
    assert "Added: second.bin" in said
    assert "not a .torrent" in said
    box.call(Remove(ids=[one.id for one in box.call(ListTorrents(text="second.bin")).rows]))


def test_pause_and_resume_work_without_a_script(owner: Visitor, running: tuple[Box, str]) -> None:
    box, id = running
    assert "Paused: 1 torrent" in owner.post("/torrents", {"id": id, "action": "pause"})[1]
    box.wait_state(id, TorrentState.PAUSED)
    assert "Resumed: 1 torrent" in owner.post("/torrents", {"id": id, "action": "resume"})[1]
    box.wait_state(id, TorrentState.SEEDING)
    asked = owner.post("/torrents", {"id": id, "action": "remove"})[1]
    assert "Remove" in asked
    assert box.row(id), "it was only asked"


words = st.text(max_size=40) | st.sampled_from(
    ["-1", "0", "9" * 30, "all", "NaN", "1e9", "seeding", "name", "../..", "%00", "\x00", "’"]
)


@many
@given(
    path=st.sampled_from(["/torrents", "/live", "/events", "/", "/add", "/live/graph", "/torrents/{id}"]),
    asked=st.dictionaries(
        st.sampled_from(
            [
                "text",
                "state",
                "label",
                "sort",
                "desc",
                "page",
                "since",
                "view",
                "before",
                "span",
                "path",
                "files",
            ]
        ),
        words,
    ),
)
def test_no_query_breaks_a_page(
    owner: Visitor, running: tuple[Box, str], path: str, asked: dict[str, str]
) -> None:
    answer = owner.client.get(path.format(id=running[1]), query_string=asked, base_url="http://127.0.0.1")
    assert answer.status_code in (200, 302), answer.text


@many
@given(
    path=st.sampled_from(
        ["/torrents/{id}", "/settings/limits", "/torrents", "/jobs/{id}", "/settings/password"]
    ),
    form=st.dictionaries(
        st.sampled_from(
            [
                *(
                    "label",
                    "priority",
                    "goal",
                    "ratio",
                    "days",
                    "upload_limit",
                    "download_limit",
                    "back",
                    "id",
                ),
                *("upload_rate", "connections", "upload_slots", "active_downloads", "action", "old", "new"),
            ]
        ),
        words.filter(lambda word: word not in ("all",)),
    ),
)
def test_no_form_breaks_a_page(
    owner: Visitor, running: tuple[Box, str], path: str, form: dict[str, str]
) -> None:
    data = {"csrf_token": owner.token("/settings")} | form
    answer = owner.client.post(path.format(id=running[1]), data=data, base_url="http://127.0.0.1")
    assert answer.status_code in (200, 302, 400, 404), answer.text


def test_while_the_daemon_is_away_the_page_says_so(tmp_path: Path, secrets: Secrets) -> None:
    app = create_app(ControlClient(tmp_path / "none.sock"), secrets, Config())
    visitor = Visitor(app)
    data = {"csrf_token": visitor.token("/claim"), "code": secrets.claim_code, "password": PASSWORD}
    visitor.client.post("/claim", data=data | {"again": PASSWORD}, base_url="http://127.0.0.1")
    for path in ("/", "/torrents", "/settings"):
        code, text = visitor.get(path)
        assert code == 503
        assert "seedbox" in text.lower()
    assert visitor.get("/live") == (503, '{"away":true}\n')
    assert visitor.get("/healthz")[0] == 503


def test_the_page_finds_a_daemon_that_was_started_again(running: tuple[Box, str], owner: Visitor) -> None:
    box, id = running
    assert owner.get("/")[0] == 200
    assert box.stop() == 0
    assert owner.get("/")[0] == 503
    box.start()
    until(lambda: owner.get(f"/torrents/{id}")[0] == 200, "the page")


def test_a_folder_with_names_that_are_not_utf_8_is_listed_without_them(
    owner: Visitor, running: tuple[Box, str]
) -> None:
    folder = running[0].folder / "content" / "mixed"
    (folder / "caf\udce9").mkdir(parents=True, exist_ok=True)
    (folder / "good.bin").touch()
    status, text = owner.get(f"/add?path={folder}")
    assert status == 200
    assert "good.bin" in text
    assert "1 more item has a name that cannot be shown" in text
    assert owner.get(f"/add?path={folder}/caf%E9")[0] == 200


def test_several_links_are_added_at_once_as_they_were_pasted(
    owner: Visitor, running: tuple[Box, str]
) -> None:
    links = [f"MAGNET:?xt=URN:BTIH:{digit * 40}&amp;dn=link {digit}" for digit in "cd"]
    status, text = owner.post(
        "/add", {"link": f"\ufeff<{links[0]}>\r\n\r\n{links[1]}", "back": "/add"}, "/add"
    )
    assert status == 200
    assert "Added: link c" in text
    assert "Added: link d" in text
    refused = owner.post("/add", {"link": f"{links[0]}\nnonsense", "back": "/add"}, "/add")[1]
    assert "Line 2: &#34;nonsense&#34; is not understood" in refused
    running[0].call(Remove(ids=["c" * 40, "d" * 40]))
