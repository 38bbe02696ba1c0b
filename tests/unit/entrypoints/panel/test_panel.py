"""The light and the button on gpiozero's mock pins, in virtual time; and what the daemon tells them."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from appliance.core.config import PanelConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.power import power_off
from appliance.core.units import MonoNs
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.doctor.model import Finding, Verdict
from appliance.entrypoints.daemon.handlers.panel import light_of
from appliance.entrypoints.panel.button import Action
from appliance.entrypoints.panel.light import DaemonState, Show
from appliance.entrypoints.panel.main import LightAndButton
from appliance.entrypoints.panel.pins import NoGpio, Pins, open_pins
from appliance.entrypoints.web.secrets import Secrets
from tests.support.clock import FakeClock

LED, BUTTON = 17, 27


class Quiet:
    """A conversation that tests write."""

    def __init__(self) -> None:
        self.state: DaemonState | None = None
        self.asked: list[Action] = []

    def ask(self, action: Action) -> None:
        """Remember it."""
        self.asked.append(action)


class Bench:
    """A panel on mock pins, whose time passes as fast as it asks for."""

    def __init__(self, pin_class: type[MockPin] = MockPWMPin, **keys: object) -> None:
        self.clock = FakeClock(steady=MonoNs(10**12))
        self.factory = MockFactory(pin_class=pin_class)
        self.talk = Quiet()
        self.keys = PanelConfig(**keys)  # type: ignore[arg-type]
        self.pins = open_pins(self.keys, self.factory)
        self.panel = LightAndButton(self.pins, self.talk, self.clock, self._sleep)
        self.film: list[tuple[float, float]] = []
        self.wakes = 0
        self.ends = 0
        self.answers: Show | None = None
        """What the daemon answers all the time; None: it is silent."""

    def pass_time(self, seconds: float) -> list[tuple[float, float]]:
        """(state of the LED's pin, for so many seconds), as long as the same in one."""
        self.ends = self.clock.steady + round(seconds * 1e9)
        self.film = []
        while self.clock.steady < self.ends:
            if self.answers:
                self.talk.state = DaemonState(self.answers, self.clock.mono())
            self.panel.turn()
        return self.film

    def _sleep(self, seconds: float) -> None:
        """As the panel rests: cut short where a test wants to do something."""
        assert seconds > 0, "a busy loop"
        seconds = min(seconds, (self.ends - self.clock.steady) / 1e9)
        self.wakes += 1
        state = float(self.factory.pin(LED).state)
        if self.film and self.film[-1][0] == state:
            self.film[-1] = (state, self.film[-1][1] + seconds)
        else:
            self.film.append((state, seconds))
        self.clock.advance(seconds)

    def press(self, seconds: float) -> list[tuple[float, float]]:
        """Hold the button, let go, and wait a moment."""
        self.factory.pin(BUTTON).drive_low()
        film = self.pass_time(seconds)
        self.factory.pin(BUTTON).drive_high()
        self.pass_time(0.2)
        return film


def steady(seconds: float) -> list[tuple[float, Any]]:
    """The film of a light that is lit for so long."""
    return [(1.0, pytest.approx(seconds))]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.answers = Show.WELL
    made.pass_time(0.5)
    yield made
    made.panel.close()


def test_well_is_a_pin_that_is_high_and_stays_so(bench: Bench) -> None:
    assert bench.pass_time(60) == steady(60)


def test_the_light_starts_with_a_slow_blink_and_says_by_itself_that_the_daemon_is_silent() -> None:
    bench = Bench()
    assert [round(lasts, 1) for _, lasts in bench.pass_time(8)] == [1.0] * 8
    bench.answers = Show.WELL
    assert bench.pass_time(5)[-1][0] == 1.0
    bench.answers = None
    bench.pass_time(9)
    film = bench.pass_time(8)
    assert Counter(round(lasts, 1) for _, lasts in film[1:-1]).keys() <= {0.1, 0.2, 1.6}
    bench.answers = Show.WELL
    bench.pass_time(1)
    assert bench.pass_time(5) == steady(5)


def test_sold_out_breathes_by_pulses_and_only_then(bench: Bench) -> None:
    bench.answers = Show.SOLD_OUT
    film = bench.pass_time(10)
    assert len({state for state, _ in film}) == 11
    bench.answers = Show.WELL
    bench.pass_time(1)
    assert bench.factory.pin(LED).frequency is None, "pulses are made for a light that is steady"


def test_a_pin_without_pulses_blinks_instead_of_breathing() -> None:
    bench = Bench(MockPin)
    bench.answers = Show.SOLD_OUT
    assert {state for state, _ in bench.pass_time(10)} == {0.0, 1.0}


def test_an_led_to_the_supply_is_lit_by_a_low_pin() -> None:
    bench = Bench(led_active_low=True)
    bench.answers = Show.WELL
    bench.pass_time(1)
    assert bench.factory.pin(LED).state == 0
    bench.answers = Show.SOLD_OUT
    assert {round(state, 2) for state, _ in bench.pass_time(10)} >= {0.99, 0.75, 0.0, 1.0}


def test_a_short_press_is_answered_at_once_and_passed_on(bench: Bench) -> None:
    bench.press(0.2)
    assert bench.talk.asked == [Action.SHOW_YOURSELF]
    assert len(bench.pass_time(4)) > 20
    bench.pass_time(2)
    assert bench.pass_time(5) == steady(5)


def test_three_seconds_shut_down_and_the_light_says_that_it_leaves(bench: Bench) -> None:
    bench.press(3.5)
    assert bench.talk.asked == [Action.SHUT_DOWN]
    film = bench.pass_time(10)
    assert {round(lasts, 1) for _, lasts in film[1:-1]} == {0.9, 0.1}


def test_the_countdown_is_seen_from_the_third_second_on_and_ends_steady(bench: Bench) -> None:
    bench.factory.pin(BUTTON).drive_low()
    assert bench.pass_time(2.9) == steady(2.9)
    assert len(bench.pass_time(7)) > 50
    bench.pass_time(0.2)
    assert bench.pass_time(5) == steady(5)
    bench.factory.pin(BUTTON).drive_high()
    bench.pass_time(0.2)
    assert bench.talk.asked == [Action.RESET]


def test_furniture_on_the_button_does_nothing(bench: Bench) -> None:
    bench.press(3_600)
    assert bench.talk.asked == []
    bench.press(0.2)
    assert bench.talk.asked == [Action.SHOW_YOURSELF]


def test_a_button_held_at_the_start_does_nothing() -> None:
    bench = Bench()
    bench.press(12)
    assert bench.talk.asked == []


def test_an_idle_button_wakes_the_processor_thirteen_times_a_second_and_a_light_alone_once(
    bench: Bench,
) -> None:
    before = bench.wakes
    bench.pass_time(100)
    assert bench.wakes - before <= 1_301
    lamp_only = Bench(button=-1)
    lamp_only.answers = Show.WELL
    lamp_only.pass_time(100)
    assert lamp_only.wakes <= 101


def test_a_button_without_a_light_works_too() -> None:
    bench = Bench(led=-1)
    bench.pass_time(0.5)
    bench.press(0.2)
    assert bench.talk.asked == [Action.SHOW_YOURSELF]


def test_the_end_leaves_a_dark_light(bench: Bench) -> None:
    bench.panel.close()
    assert bench.factory.pin(LED).state == 0
    assert bench.factory.pin(LED).function == "input"


def test_no_pins_are_wanted() -> None:
    with pytest.raises(NoGpio, match="-1"):
        open_pins(PanelConfig(led=-1, button=-1))


def test_one_pin_cannot_be_both() -> None:
    with pytest.raises(OwnerMustAct, match="both pin 4"):
        open_pins(PanelConfig(led=4, button=4), MockFactory())


@pytest.mark.parametrize("keys", [{"led": 53}, {"button": 53}])
def test_a_pin_that_the_board_has_not_is_named(keys: dict[str, Any]) -> None:
    factory = MockFactory(pin_class=MockPWMPin)
    name = next(iter(keys))
    with pytest.raises(OwnerMustAct, match=rf"panel\.{name} is pin 53"):
        open_pins(PanelConfig(**keys), factory)
    # What was taken before is free again.
    pins = open_pins(PanelConfig(), factory)
    assert isinstance(pins, Pins)


def test_a_pin_that_is_taken_is_named() -> None:
    factory = MockFactory(pin_class=MockPWMPin)
    first = open_pins(PanelConfig(), factory)
    with pytest.raises(OwnerMustAct, match=r"panel\.led is pin 17"):
        open_pins(PanelConfig(button=4), factory)
    assert first.lamp


# ---------------------------------------------------------------------------------------- the daemon's side

FINE = Finding("memory", Verdict.OK, "There is plenty.")
WARM = Finding("temperature", Verdict.WARNING, "It is warm.", "Give it air.")
GONE = Finding("drive", Verdict.ERROR, "The drive is gone.", "Connect it.")


@pytest.mark.parametrize(
    ("findings", "states", "sold", "slots", "light", "says"),
    [
        ([FINE], {TorrentState.SEEDING: 3}, 0, 0, "well", ""),
        ([FINE, WARM], {TorrentState.SEEDING: 3}, 2, 3, "well", ""),
        ([], {TorrentState.SEEDING: 3}, 0, 0, "busy", ""),
        ([FINE], {TorrentState.SEEDING: 3, TorrentState.CHECKING: 1}, 3, 3, "busy", ""),
        ([FINE], {TorrentState.SEEDING: 3}, 3, 3, "sold-out", "All 3 slots are sold."),
        ([FINE], {}, 1, 1, "sold-out", "The only slot is sold."),
        ([FINE, GONE], {TorrentState.CHECKING: 3}, 3, 3, "needs-you", "The drive is gone. Connect it."),
        ([FINE], {TorrentState.FAILED: 1}, 3, 3, "needs-you", "1 torrent needs attention; see the page."),
        ([FINE], {TorrentState.FAILED: 2}, 0, 0, "needs-you", "2 torrents need attention; see the page."),
    ],
)
def test_the_worst_is_what_the_light_says(
    findings: list[Finding], states: dict[TorrentState, int], sold: int, slots: int, light: str, says: str
) -> None:
    assert light_of(findings, states, sold=sold, slots=slots) == (light, says)


def test_a_box_that_no_unit_runs_never_switches_the_machine_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert power_off() is False
    # In a unit, but nobody waits for its wish.
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    assert power_off() is False
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------ the page's side


def test_a_word_resets_the_page_once(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    code = secrets.claim_code
    assert secrets.claim(code, "correct horse battery")
    token, epoch = secrets.metrics_token, secrets.epoch
    assert not secrets.obey("")
    assert secrets.right("correct horse battery")
    assert secrets.obey("one")
    assert secrets.claim_code not in ("", code)
    assert not secrets.right("correct horse battery")
    assert secrets.metrics_token != token
    assert secrets.epoch > epoch
    assert not secrets.obey("one")
    again = Secrets(tmp_path)
    assert not again.obey("one")
    assert again.claim(secrets.claim_code, "another password")
    assert not again.obey("one")
    assert again.obey("two")


def test_two_that_see_the_word_at_once_make_one_code(tmp_path: Path) -> None:
    secrets, obeyed = Secrets(tmp_path), []
    threads = [threading.Thread(target=lambda: obeyed.append(secrets.obey("one"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(obeyed) == 1
