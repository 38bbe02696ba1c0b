"""Every form that takes a password or a code is a place to guess at; none shuts the owner out."""

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from appliance.control.client import ControlClient
from appliance.core.config import Config
from appliance.entrypoints.web.app import create_app
from appliance.entrypoints.web.secrets import Secrets
from appliance.entrypoints.web.throttle import FREE_TRIES, MOST_WAITING, LoginThrottle, Turns

PASSWORD = "correct horse battery"
HOME = "http://127.0.0.1"
NEW = "another fine password"
FORMS = {
    "/login": {"password": "wrong password"},
    "/settings/password": {"old": "wrong password", "new": NEW, "again": NEW},
    "/money/payout": {"password": "wrong password"},
    "/money/withdraw/yes": {"password": "wrong password", "name": "0123456789abcdef", "amount": "1"},
}


class Time:
    """A clock that is set by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Guesser:
    """A browser at an address of its own, in front of a page whose daemon is away."""

    def __init__(self, app: Flask, address: str) -> None:
        self.client: FlaskClient = app.test_client()
        self._environment = {"REMOTE_ADDR": address}

    def send(self, path: str, **form: str) -> str:
        """What the page says to a form."""
        answer = self.client.post(path, data=form, base_url=HOME, environ_base=self._environment)
        with self.client.session_transaction(base_url=HOME) as session:
            flashed = " ".join(text for _, text in session.pop("_flashes", []))
        return flashed + answer.text

    def enters(self) -> bool:
        """Whether the right password leads in."""
        self.send("/login", password=PASSWORD)
        # The daemon is away: 503 is for those who are signed in.
        return self.client.get("/", base_url=HOME).status_code == 503


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path / "web")


@pytest.fixture
def app(tmp_path: Path, secrets: Secrets, time: Time) -> Flask:
    app = create_app(ControlClient(tmp_path / "none.sock"), secrets, Config())
    app.config["WTF_CSRF_ENABLED"] = False
    app.extensions["throttle"] = LoginThrottle(time)
    return app


@pytest.fixture
def owner(app: Flask, secrets: Secrets) -> Guesser:
    browser = Guesser(app, "192.0.2.1")
    browser.send("/claim", code=secrets.claim_code, password=PASSWORD, again=PASSWORD)
    return browser


@pytest.mark.parametrize("path", FORMS)
def test_every_form_that_takes_a_password_is_slowed_down(app: Flask, owner: Guesser, path: str) -> None:
    answers = [owner.send(path, **FORMS[path]) for _ in range(3 * FREE_TRIES)]
    assert all("wrong" in said.lower() for said in answers[:FREE_TRIES])
    assert "Too many failed attempts" in answers[-1]
    for other in FORMS:
        assert "Too many failed attempts" in owner.send(other, **FORMS[other])


def test_the_claim_code_is_slowed_down_too(app: Flask, secrets: Secrets) -> None:
    stranger = Guesser(app, "192.0.2.66")
    form = {"code": "AAAA-AAAA", "password": PASSWORD, "again": PASSWORD}
    answers = [stranger.send("/claim", **form) for _ in range(FREE_TRIES + 1)]
    assert "Wrong code" in answers[0]
    assert "Too many failed attempts" in answers[-1]
    assert secrets.claim_code


def test_a_password_that_is_too_short_is_no_guess(owner: Guesser) -> None:
    form = {"old": PASSWORD, "new": "short", "again": "short"}
    for _ in range(3 * FREE_TRIES):
        assert "at least 10" in owner.send("/settings/password", **form)
    assert owner.enters()


def test_the_owner_gets_in_within_30_s_while_three_neighbours_guess(
    app: Flask, owner: Guesser, time: Time
) -> None:
    strangers = [Guesser(app, f"192.0.2.{number}") for number in (66, 67, 68)]

    def guess() -> None:
        time.now += 1
        for stranger in strangers:
            stranger.send("/login", password="a wrong password")

    for _ in range(90):
        guess()
    fresh = Guesser(app, "192.0.2.2")
    began = time.now
    while not fresh.enters():
        guess()
    assert time.now - began <= 30


def test_a_browser_that_was_signed_in_gets_in_from_the_very_address_of_those_who_guess(
    app: Flask, owner: Guesser
) -> None:
    owner.send("/logout")
    stranger = Guesser(app, "192.0.2.1")
    for _ in range(3 * FREE_TRIES):
        stranger.send("/login", password="a wrong password")
    assert not stranger.enters()
    assert owner.enters()


def test_a_thief_of_the_cookie_who_guesses_does_not_lock_the_owner_out(app: Flask, owner: Guesser) -> None:
    thief = Guesser(app, "192.0.2.66")
    cookie = owner.client.get_cookie("seedbox", domain="127.0.0.1")
    assert cookie
    thief.client.set_cookie("seedbox", cookie.value, domain="127.0.0.1")
    for _ in range(4 * FREE_TRIES):
        thief.send("/money/payout", password="a wrong password")
    assert "Too many" in thief.send("/money/payout", password=PASSWORD)
    assert owner.enters()


def test_of_eight_sign_ins_at_once_one_is_checked_two_wait_and_the_rest_is_told_so(
    app: Flask, owner: Guesser
) -> None:
    turns: Turns = app.extensions["turns"]
    visitors = [Guesser(app, f"192.0.2.{number}") for number in range(10, 18)]
    said: list[str] = []
    told = threading.Semaphore(0)

    def sign_in(visitor: Guesser) -> None:
        said.append(visitor.send("/login", password=PASSWORD))
        told.release()

    threads = [threading.Thread(target=sign_in, args=(visitor,)) for visitor in visitors]
    with ExitStack() as held:
        held.enter_context(turns.turn())
        for thread in threads:
            thread.start()
        for _ in range(len(threads) - MOST_WAITING):
            assert told.acquire(timeout=30)
        assert len(said) == len(threads) - MOST_WAITING
        assert all("checking other passwords" in one for one in said)
    for thread in threads:
        thread.join(30)
    assert sum("checking other passwords" in one for one in said) == len(threads) - MOST_WAITING
