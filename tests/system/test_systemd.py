"""The units on a real systemd: readiness, watchdog, journal, users that can do little, orderly ends."""

import json
import os
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.container import Container
from tests.support.until import until

pytestmark = pytest.mark.slow
SEEDBOX = ("/opt/seedbox/bin/seedbox",)
UNITS = ("seedbox.service", "seedbox-web.service")


def _active(booted: Container, unit: str) -> bool:
    return booted.unit(unit, "ActiveState") == "active"


@pytest.fixture(scope="module")
def host() -> Iterator[Container]:
    if os.geteuid() != 0:
        pytest.skip("only root may boot a container")
    with Container() as booted:
        for unit in UNITS:
            until(partial(_active, booted, unit), f"{unit} to be active")
        yield booted


def test_both_units_are_ready_and_say_what_they_do(host: Container) -> None:
    assert "torrent" in host.unit("seedbox.service", "StatusText").lower()
    assert host.unit("seedbox-web.service", "StatusText") == "The page is served."
    said = host.run(*SEEDBOX, "status", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["version"]


def test_the_journal_has_levels_and_fields(host: Container) -> None:
    entries = host.journal("seedbox.service")
    runs = next(entry for entry in entries if "is running" in entry["MESSAGE"])
    assert runs["PRIORITY"] == "6"
    assert runs["SYSLOG_IDENTIFIER"] == "seedbox"
    assert runs["CODE_FUNC"]
    assert runs["LOGGER"].startswith("appliance.")
    claim = next(
        entry["MESSAGE"] for entry in host.journal("seedbox-web.service") if "Claim" in entry["MESSAGE"]
    )
    assert claim.startswith("Claim code: ")


def test_the_page_answers_and_its_user_reads_nothing_of_the_daemons(host: Container) -> None:
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/healthz').read().decode())"
    until(lambda: '"ok"' in host.run("python3", "-c", ask).stdout, "the page")
    for path in ("/var/lib/seedbox/seedbox.db", "/var/lib/seedbox/torrents"):
        assert host.run("cat", path, user="seedbox-web").returncode != 0
    assert host.run("ls", "/var/lib/seedbox/web", user="seedbox").returncode != 0
    assert host.run(*SEEDBOX, "status", user="seedbox-web").returncode == 0
    assert host.run(*SEEDBOX, "status", user="nobody").returncode != 0


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_are_closed_in(host: Container, unit: str) -> None:
    said = host.run("systemd-analyze", "security", "--no-pager", unit).stdout
    exposure = float(said.rstrip().splitlines()[-1].split(":")[1].split()[0])
    assert exposure <= 2.0, said


def test_an_operators_ledger_and_gateway_run_apart_and_the_wallets_key_is_the_gateways_alone(
    host: Container,
) -> None:
    """A chain, a ledger and the gateway's timer, as an operator would enable them."""
    config = '[gateway]\\nnodes = ["http://127.0.0.1:8091"]\\n[wallet]\\nledger = "http://127.0.0.1:8090"\\n'
    key = "01" * 32
    for words in (
        f"printf '{config}' > /etc/seedbox/seedbox.toml",
        f"mkdir -p /etc/credstore && echo {key} > /etc/credstore/wallet-key && chmod 600 /etc/credstore/*",
        "systemd-run --unit devnet /opt/seedbox/bin/seedbox devnet",
        "systemctl enable --now seedbox-ledger.service",
    ):
        done = host.run("sh", "-c", words)
        assert done.returncode == 0, done.stderr
    until(lambda: host.unit("seedbox-ledger.service", "ActiveState") == "active", "the ledger")
    assert host.unit("seedbox-ledger.service", "StatusText") == "The ledger is served."
    until(lambda: "Node:" in "".join(one["MESSAGE"] for one in host.journal("devnet")), "the chain")
    host.run("systemctl", "start", "seedbox-settle.service")
    said = [one["MESSAGE"] for one in host.journal("seedbox-settle.service")]
    assert host.unit("seedbox-settle.service", "Result") == "success", said
    assert any(line.startswith("Wallet: T") for line in said)
    assert key not in "".join(said)
    assert host.run("systemctl", "enable", "--now", "seedbox-settle.timer").returncode == 0
    # Both wrote the same database; the others' user reads none of it.
    assert host.run("cat", "/var/lib/seedbox-ledger/ledger.db", user="seedbox").returncode != 0
    for user in ("seedbox-ledger", "seedbox", "seedbox-web"):
        assert host.run("cat", "/etc/credstore/wallet-key", user=user).returncode != 0
    host.run("systemctl", "restart", "seedbox.service")
    until(lambda: host.unit("seedbox.service", "ActiveState") == "active", "the daemon with money")
    money = json.loads(host.run(*SEEDBOX, "wallet", "deposit", "--json").stdout)
    assert money["development"] is True
    assert host.run("stat", "-c", "%U %a", "/var/lib/seedbox/identity.key").stdout.split() == [
        "seedbox",
        "600",
    ]
    for unit in ("seedbox-ledger.service", "seedbox-settle.service"):
        rated = host.run("systemd-analyze", "security", "--no-pager", unit).stdout
        assert float(rated.rstrip().splitlines()[-1].split(":")[1].split()[0]) <= 2.0, rated
    host.run("systemctl", "disable", "--now", "seedbox-settle.timer", "seedbox-ledger.service", "devnet")


def test_a_torrent_is_made_of_a_folder_in_the_content_folder(host: Container) -> None:
    """The sandbox leaves everything that the main job needs."""
    films = "/var/lib/seedbox/content/films"
    make = f"mkdir -p {films} && head -c 3000000 /dev/urandom > {films}/a"
    assert host.run("sh", "-c", make, user="seedbox").returncode == 0
    made = host.run(*SEEDBOX, "create", films, "--json")
    assert made.returncode == 0, made.stdout + made.stderr
    until(
        lambda: json.loads(host.run(*SEEDBOX, "list", "--json").stdout)["rows"][0]["state"] == "seeding",
        "the torrent to be seeded",
    )


def test_the_doctor_finds_its_way_there_too(host: Container) -> None:
    findings = json.loads(host.run(*SEEDBOX, "doctor", "--json").stdout)["findings"]
    verdicts = {finding["check"]: finding["verdict"] for finding in findings}
    assert verdicts["listen-port"] == "ok"
    assert verdicts["drive:/var/lib/seedbox/content"] == "ok"


def test_a_daemon_that_hangs_is_ended_by_the_watchdog_and_starts_again(host: Container) -> None:
    folder = "/run/systemd/system/seedbox.service.d"
    quick = f"mkdir -p {folder} && printf '[Service]\\nWatchdogSec=6\\nRestartSec=1\\n' > {folder}/quick.conf"
    host.run("sh", "-c", quick)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "seedbox.service")
    until(lambda: host.unit("seedbox.service", "ActiveState") == "active", "the daemon")
    before = host.unit("seedbox.service", "MainPID")
    host.run("kill", "-STOP", before)
    until(
        lambda: (
            host.unit("seedbox.service", "MainPID") not in ("0", before)
            and host.unit("seedbox.service", "ActiveState") == "active"
        ),
        "another daemon",
        60,
    )
    assert host.unit("seedbox.service", "NRestarts") == "1"
    assert json.loads(host.run(*SEEDBOX, "list", "--json").stdout)["total"] == 1


def test_a_stop_is_orderly_and_no_failure(host: Container) -> None:
    for unit in reversed(UNITS):
        host.run("systemctl", "stop", unit)
        assert host.unit(unit, "ActiveState") == "inactive"
        assert host.unit(unit, "Result") == "success"
    assert host.run("cat", "/var/lib/seedbox/lock").stdout == ""
