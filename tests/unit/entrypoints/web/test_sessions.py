"""A session that was signed out stays so: for a copy of its cookie, and for a page that was started again."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from appliance.control.client import ControlClient
from appliance.core.config import Config
from appliance.entrypoints.web.app import create_app
from appliance.entrypoints.web.secrets import MOST_ENDED, Secrets

PASSWORD = "correct horse battery"
HOME = "http://127.0.0.1"
IN, OUT = 503, 302
"""Answers of the overview while the daemon is away: to who is signed in, and to who is not."""


class Cookies:
    """A browser in front of a page whose daemon is away; `Cookies(folder)` starts the page anew."""

    def __init__(self, folder: Path) -> None:
        self.secrets = Secrets(folder / "web")
        app = create_app(ControlClient(folder / "none.sock"), self.secrets, Config())
        app.config["WTF_CSRF_ENABLED"] = False
        self.client: FlaskClient = app.test_client()

    def post(self, path: str, **form: str) -> str:
        """What a form leads to."""
        return self.client.post(path, data=form, base_url=HOME).headers["Location"]

    def sign_in(self, password: str = PASSWORD) -> None:
        """Claim the page, or sign in."""
        code = self.secrets.claim_code
        if code:
            self.post("/claim", code=code, password=password, again=password)
        else:
            self.post("/login", password=password)
        assert self.overview() == IN

    def overview(self) -> int:
        """The code of the answer to the overview."""
        return self.client.get("/", base_url=HOME).status_code

    @property
    def cookie(self) -> str:
        """The session's cookie, as a thief copies it."""
        found = self.client.get_cookie("seedbox", domain="127.0.0.1")
        assert found
        return found.value

    def steal(self, cookie: str) -> None:
        """Use a cookie of somebody else."""
        self.client.set_cookie("seedbox", cookie, domain="127.0.0.1")


@pytest.fixture
def owner(tmp_path: Path) -> Cookies:
    browser = Cookies(tmp_path)
    browser.sign_in()
    return browser


def test_a_stolen_cookie_is_dead_after_sign_out_and_stays_dead(owner: Cookies, tmp_path: Path) -> None:
    stolen = owner.cookie
    assert "/login" in owner.post("/logout")
    owner.steal(stolen)
    assert owner.overview() == OUT
    assert owner.client.get("/live", base_url=HOME).status_code == 401
    restarted = Cookies(tmp_path)
    restarted.steal(stolen)
    assert restarted.overview() == OUT


def test_signing_out_here_leaves_the_other_browsers_signed_in(owner: Cookies) -> None:
    here = owner.cookie
    owner.sign_in()
    other = owner.cookie
    owner.steal(here)
    owner.post("/logout")
    owner.steal(other)
    assert owner.overview() == IN


@pytest.mark.parametrize("end", ["password", "everywhere"])
def test_a_new_password_and_sign_out_everywhere_end_every_cookie(
    owner: Cookies, tmp_path: Path, end: str
) -> None:
    stolen = owner.cookie
    if end == "password":
        new = "another fine password"
        owner.post("/settings/password", old=PASSWORD, new=new, again=new)
        assert owner.overview() == IN
    else:
        owner.post("/settings/sessions")
        assert owner.overview() == OUT
    owner.steal(stolen)
    assert owner.overview() == OUT
    restarted = Cookies(tmp_path)
    restarted.steal(stolen)
    assert restarted.overview() == OUT


def test_what_is_remembered_of_ended_sessions_is_bounded_and_none_comes_back(owner: Cookies) -> None:
    stolen = owner.cookie
    owner.post("/logout")
    for number in range(MOST_ENDED):
        owner.secrets.end_session(f"session {number}")
    size = len(re.findall("session ", owner.secrets._path.read_text()))
    assert size <= MOST_ENDED
    owner.steal(stolen)
    assert owner.overview() == OUT


def test_a_cookie_without_a_sessions_name_is_not_signed_in(owner: Cookies) -> None:
    with owner.client.session_transaction(base_url=HOME) as session:
        del session["id"]
    assert owner.overview() == OUT
