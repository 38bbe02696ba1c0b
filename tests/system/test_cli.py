"""The `seedbox` command as its owner and as programs use it, against a real daemon."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.control.torrents import ListTorrents, Remove, TorrentState
from tests.support.box import SEEDBOX, Box
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

MIB = 1024**2


class Shell:
    """Types `seedbox …` for one state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def __call__(self, *words: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*SEEDBOX, "--state", self.state, *words],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"COLUMNS": "100"} | options.pop("env", {}),
            **options,
        )

    def json(self, *words: str | Path) -> Any:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with Box(tmp_path_factory.mktemp("cli") / "box") as box:
        yield box


@pytest.fixture
def seedbox(running: Box) -> Iterator[Shell]:
    yield Shell(running.folder)
    running.call(Remove(ids=["all"]))


@pytest.fixture
def film(running: Box, tmp_path: Path) -> Path:
    """A .torrent file whose data is in the box's content folder."""
    file = tmp_path / "film.torrent"
    file.write_bytes(make_torrent(write_data(running.content / "film.bin", MIB)))
    return file


def test_a_newcomer_is_told_what_to_do_next(seedbox: Shell) -> None:
    assert "seedbox add" in seedbox("list").stdout
    assert "seedbox create" in seedbox("list").stdout
    status = seedbox("status")
    assert status.returncode == 0
    assert "no torrents" in status.stdout.lower() or "none" in status.stdout


def test_add_list_show_pause_resume_remove(seedbox: Shell, running: Box, film: Path) -> None:
    added = seedbox("add", film, "--label", "films", "--goal", "ratio:2.5")
    assert added.stdout.startswith("Added: film.bin (")
    again = seedbox("add", film)
    assert again.stdout.startswith("Already in the list: film.bin")
    row = seedbox.json("list")["rows"][0]
    running.wait_state(row["id"], TorrentState.SEEDING)
    assert "film.bin" in seedbox("list", "--state", "seeding", "--sort", "size", "--desc").stdout
    assert "No torrents match" in seedbox("list", "--label", "books").stdout
    shown = seedbox("show", "film.bin", "--files").stdout
    assert "in 1 file\n" in shown
    for part in ("Seeding. ", "until ratio 2.5", "films", "magnet:?xt=", row["id"], "100 %"):
        assert part in shown
    assert seedbox.json("show", row["id"][:8])["row"]["name"] == "film.bin"
    assert seedbox("peers", "film").stdout.strip() == "No peers are connected."
    assert seedbox("pause", "film").stdout.strip() == "Paused: 1 torrent"
    running.wait_state(row["id"], TorrentState.PAUSED)
    assert seedbox("resume", "all").stdout.strip() == "Resumed: 1 torrent"
    running.wait_state(row["id"], TorrentState.SEEDING)
    assert "film.bin: Seeding." in seedbox("recheck", "film", "--wait").stdout
    set_ = seedbox("set", "film", "--priority", "high", "--upload-limit", "500KiB", "--label", "")
    assert "500" in set_.stdout
    assert "high" in set_.stdout
    asked = seedbox("remove", "film", stdin=subprocess.DEVNULL)
    assert asked.returncode == 1
    assert "--yes" in asked.stderr
    assert seedbox("remove", "film", "--yes").stdout.splitlines()[0] == "Removed: 1 torrent"
    assert (running.content / "film.bin").exists()
    assert "was removed" in seedbox("events").stdout


def test_remove_with_data_deletes_the_files(seedbox: Shell, running: Box, film: Path) -> None:
    seedbox("add", film)
    assert seedbox("remove", "film", "--with-data", "--yes").returncode == 0
    assert not (running.content / "film.bin").exists()


def test_a_torrent_comes_by_standard_input_and_by_link(seedbox: Shell, film: Path) -> None:
    done = subprocess.run(
        [*SEEDBOX, "--state", seedbox.state, "add", "-"], input=film.read_bytes(), capture_output=True
    )
    assert b"Added: film.bin" in done.stdout
    assert seedbox("add", "magnet:?xt=urn:btih:" + "ab" * 20).stdout.startswith("Added: magnet abababab")


def test_a_source_that_is_refused_hides_nothing_of_what_was_added_before_it(
    seedbox: Shell, film: Path
) -> None:
    done = seedbox("add", film, "/nowhere.torrent")
    assert (done.returncode, done.stdout.startswith("Added: film.bin")) == (1, True)
    assert "/nowhere.torrent cannot be read" in done.stderr


def test_create_shares_a_folder_and_writes_the_torrent(seedbox: Shell, running: Box, tmp_path: Path) -> None:
    folder = running.folder.parent / "holiday"
    write_data(folder / "one.bin", MIB, 1)
    write_data(folder / "two.bin", 1_000, 2)
    output = tmp_path / "holiday.torrent"
    made = seedbox("create", folder, "--output", output, "--comment", "for you", "--private")
    assert made.returncode == 0, made.stderr
    assert "Sharing: holiday" in made.stdout
    assert "It is private: send its .torrent file" in made.stdout
    assert "magnet:" not in made.stdout
    assert output.read_bytes().startswith(b"d")
    again = seedbox.json("create", folder, "--v1")
    assert again["row"]["state"] in ("checking", "seeding")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["add", "/nowhere.torrent"], 1, "cannot be read"),
        (["add", "/etc"], 1, "seedbox create /etc"),
        (["add", "/etc/passwd"], 1, "not a .torrent"),
        (["add", "magnet:?xt=urn:btih:zz"], 1, "magnet"),
        (["show", "nothing like it"], 1, "seedbox list"),
        (["create", "/etc"], 1, "/etc"),
        (["limits", "set"], 2, "--upload-rate"),
        (["limits", "set", "--upload-rate", "fast"], 2, "500KiB"),
        (["add", "x", "--goal", "ratio:x"], 2, "ratio:2.0"),
        (["list", "--state", "happy"], 2, "seeding"),
        (["dance"], 2, "No such command"),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy_and_an_exit_code(
    seedbox: Shell, words: list[str], code: int, says: str
) -> None:
    done = seedbox(*words)
    assert done.returncode == code, done
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_programs_get_errors_in_json_too(seedbox: Shell) -> None:
    done = seedbox("show", "nothing like it", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["kind"] == "NotFound"


def test_without_a_daemon_it_says_how_to_start_it(tmp_path: Path) -> None:
    away = Shell(tmp_path / "none")
    done = away("status")
    assert done.returncode == 3
    assert "make run" in done.stderr
    doctor = away("doctor")
    assert doctor.returncode == 4
    assert "not running" in doctor.stdout
    assert "memory" in doctor.stdout


def limit_row(text: str, name: str) -> list[str]:
    """Value and origin of a limit in what `seedbox limits` prints."""
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return re.split(r"  +", line)[1:]


def test_limits_are_set_shown_and_reset(seedbox: Shell, running: Box) -> None:
    done = seedbox("limits", "set", "--upload-rate", "2MiB", "--upload-slots", "7")
    assert limit_row(done.stdout, "Upload rate") == ["2.00 MiB/s", "you"]
    assert limit_row(done.stdout, "Connections")[1] == "automatic (RAM)"
    assert limit_row(done.stdout, "Active downloads") == ["3", "default"]
    assert seedbox.json("limits")["limits"]["upload_slots"] == 7
    assert "you" not in seedbox("limits", "reset").stdout
    impossible = seedbox("limits", "set", "--upload-slots", "-1")
    assert impossible.returncode == 1
    assert "slots" in impossible.stderr


def test_the_configuration_is_shown_checked_and_written(seedbox: Shell, tmp_path: Path) -> None:
    assert "listen_port = 6881" in seedbox("config", "show").stdout
    default = tmp_path / "default.toml"
    default.write_text(seedbox("config", "default").stdout)
    assert seedbox("config", "check", default).stdout == f"{default}: OK\n"
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[network]\nlisten_prot = 6881\n")
    done = seedbox("config", "check", wrong)
    assert done.returncode == 1
    assert ".toml:2: " in done.stderr
    assert "listen_port" in done.stderr


def test_the_doctor_judges_everything_or_says_unknown(seedbox: Shell) -> None:
    found = {one["check"]: one for one in seedbox.json("doctor")["findings"]}
    for check in ("clock", "memory", "content-room", "content-device", "ipv6", "listen-port", "reachable"):
        assert found[check]["verdict"] in ("ok", "warning", "error", "unknown")
        assert found[check]["says"]
    assert found["listen-port"]["verdict"] == "ok"
    assert found["reachable"]["verdict"] in ("unknown", "ok")


def test_the_doctor_proves_a_transfer_byte_by_byte(seedbox: Shell, running: Box) -> None:
    done = seedbox("doctor", "--transfer")
    assert done.returncode == 0, done.stderr
    assert "downloaded 64 MiB from the box" in done.stdout
    assert "Every byte is correct" in done.stdout
    assert not list(running.content.glob("transfer-proof-*"))
    assert running.call(ListTorrents()).total == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_and_torrents(
    seedbox: Shell, film: Path, running: Box, shell: str
) -> None:
    script = seedbox("completion", shell)
    assert "_SEEDBOX_COMPLETE" in script.stdout
    seedbox("add", film)
    typed = {"COMP_WORDS": f"seedbox --state {seedbox.state} show fil", "COMP_CWORD": "4"}
    if shell == "fish":
        typed = {"COMP_WORDS": f"seedbox --state {seedbox.state} show fil", "COMP_CWORD": "fil"}
    done = seedbox(env={"_SEEDBOX_COMPLETE": f"{shell}_complete"} | typed)
    id = until(lambda: running.call(ListTorrents()).rows, "the torrent")[0].id
    assert id[:12] in done.stdout
