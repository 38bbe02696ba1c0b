"""`seedbox run`: what a newcomer starts with one command."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from appliance.control import money
from appliance.control.box import GetStatus, Verdict
from appliance.control.client import ControlClient, DaemonAway
from tests.support.addresses import address, free_port
from tests.support.box import SEEDBOX, Box
from tests.support.processes import end, start
from tests.support.until import until

PROJECT = Path(__file__).parents[2]


class Run:
    """The box in the foreground of somebody's terminal."""

    def __init__(self, folder: Path) -> None:
        self.ip = address()
        self.port = free_port(self.ip)
        own: dict[str, Any] = {"ledger__address": self.ip, "ledger__port": free_port(self.ip)}
        self.box = Box(folder, web__address=self.ip, web__port=self.port, **own)
        self.log = folder / "terminal"

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.process = start([*SEEDBOX, "--state", self.box.folder, "run"], log)
        until(lambda: "Page: " in self.said(), "the page's address")

    def said(self) -> str:
        return self.log.read_text()

    def children(self) -> dict[str, psutil.Process]:
        """By their command; one that was just forked has none yet."""
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE:
                    words = set(child.cmdline()) & {"daemon", "web", "ledger"}
                    found |= dict.fromkeys(words, child)
        return found

    def answers(self) -> bool:
        """Whether the daemon does."""
        try:
            with ControlClient(self.box.folder / "control.sock", timeout=5) as client:
                return bool(client.call(GetStatus()))
        except DaemonAway:
            return False

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.ip}:{self.port}/healthz", timeout=5) as answer:
                return "ok" in json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code == 503
        except OSError:
            return False


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    running = Run(tmp_path / "var")
    running.start()
    yield running
    end(running.process, 60)


def test_the_address_and_the_claim_code_are_printed_and_the_page_answers(run: Run) -> None:
    assert f"http://{run.ip}:{run.port}/" in run.said()
    assert re.search(r"Claim code: [A-Z2-9]{4}-[A-Z2-9]{4}", run.said())
    until(run.healthy, "the page")


def test_a_newcomer_has_an_account_at_a_ledger_of_their_own(run: Run) -> None:
    until(run.healthy, "the page")
    account = run.box.call(money.GetMoney())
    assert account.on
    assert account.ledger.startswith(f"http://{run.ip}:")
    assert account.name == "ledger"
    assert run.box.call(money.VerifyMoney()).findings[0].verdict is Verdict.OK
    run.box.client.close()


def test_a_ledger_that_cannot_listen_keeps_no_box_from_seeding(tmp_path: Path) -> None:
    run = Run(tmp_path / "var")
    with socket.create_server((run.ip, 0)) as taken:
        text = (run.box.folder / "seedbox.toml").read_text()
        port = f"port = {taken.getsockname()[1]}"
        (run.box.folder / "seedbox.toml").write_text(
            re.sub(r"(?<=\[ledger\]\n)(.*\n)port = \d+", rf"\1{port}", text)
        )
        run.start()
        try:
            until(run.healthy, "the page")
            assert "cannot listen" in run.said()
            assert run.box.call(money.GetMoney()).away
            assert run.box.call(GetStatus())
        finally:
            run.box.client.close()
            end(run.process, 60)


def test_make_run_is_all_that_a_newcomer_types(tmp_path: Path) -> None:
    run = Run(tmp_path / "var")
    with run.log.open("wb") as log:
        process = start(["make", "--directory", PROJECT, "run", f"STATE={run.box.folder}"], log)
    try:
        until(lambda: "Claim code: " in run.said(), "the claim code")
        until(run.healthy, "the page")
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        for child in children:
            if child.cmdline()[-1:] == ["run"]:
                child.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, run.said()
        assert psutil.wait_procs(children, timeout=30)[1] == []


def test_a_page_that_was_killed_is_started_again_and_the_box_runs_on(run: Run) -> None:
    until(run.healthy, "the page")
    daemon = run.children()["daemon"]
    killed = run.children()["web"]
    killed.kill()
    until(lambda: run.children().get("web", killed).pid != killed.pid, "another process")
    until(run.healthy, "the page again")
    assert run.children()["daemon"].pid == daemon.pid
    assert "started again" in run.said()
    assert run.box.call(GetStatus())
    run.box.client.close()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_and_leaves_nothing_behind(run: Run, by: signal.Signals) -> None:
    until(run.healthy, "the page")
    children = list(run.children().values())
    assert len(children) == 3
    os.kill(run.process.pid, by)
    assert run.process.wait(30) == 0
    assert not [child for child in children if child.is_running()]
    assert not (run.box.folder / "control.sock").exists()
    assert "Traceback" not in run.said()


def test_when_it_is_killed_its_children_end_too(run: Run) -> None:
    until(run.healthy, "the page")
    children = list(run.children().values())
    run.process.kill()
    run.process.wait()
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_a_daemon_that_was_killed_is_started_again_behind_the_same_page(run: Run) -> None:
    until(run.healthy, "the page")
    killed, page = run.children()["daemon"], run.children()["web"]
    killed.kill()
    until(lambda: run.children().get("daemon", killed).pid != killed.pid, "another process")
    until(run.answers, "the daemon")
    until(run.healthy, "the page again")
    assert run.children()["web"].pid == page.pid
    assert "seedbox daemon ended (exit code -9) and was started again" in run.said()


def test_a_daemon_that_was_told_to_end_ends_the_box(run: Run) -> None:
    until(run.healthy, "the page")
    run.children()["daemon"].terminate()
    assert run.process.wait(60) == 0
    assert not run.healthy()


def test_a_box_whose_owner_must_act_says_so_and_ends(run: Run) -> None:
    second = subprocess.run(
        [*SEEDBOX, "--state", run.box.folder, "run"], capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert "Another seedbox already runs" in second.stderr


def test_a_daemon_that_was_stopped_for_a_while_goes_on_where_it_was(run: Run) -> None:
    until(run.healthy, "the page")
    daemon = run.children()["daemon"]
    daemon.send_signal(signal.SIGSTOP)
    try:
        until(lambda: daemon.status() == psutil.STATUS_STOPPED, "the stop")
        # Longer than the ten seconds that libtorrent has for an answer.
        with ControlClient(run.box.folder / "control.sock", timeout=13) as client, pytest.raises(DaemonAway):
            client.call(GetStatus())
    finally:
        daemon.send_signal(signal.SIGCONT)
    until(run.answers, "the daemon")
    until(run.healthy, "the page")
    assert run.children()["daemon"].pid == daemon.pid
    assert "started again" not in run.said()


def test_a_broken_configuration_is_told_with_its_line_and_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "seedbox.toml").write_text("[web]\nport = 99999\n")
    done = subprocess.run([*SEEDBOX, "--state", tmp_path, "run"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert ".toml:2: " in done.stderr
    assert "web.port" in done.stderr
    assert not (tmp_path / "seedbox.db").exists()
