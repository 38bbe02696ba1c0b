"""Where the state lies."""

from pathlib import Path

import pytest

from appliance.core.state import SYSTEM_CONFIG, SYSTEM_SOCKET, SYSTEM_STATE, StateFolder, default_state


def test_all_state_of_a_foreground_box_is_under_one_folder(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    places = [state.config, state.control_socket, state.database, state.torrents, state.lock, state.web]
    assert len(set(places)) == len(places)
    assert all(place.parent == tmp_path for place in places)


def test_a_box_of_systemd_has_its_configuration_and_socket_where_debian_puts_them() -> None:
    state = StateFolder(SYSTEM_STATE)
    assert (state.config, state.control_socket) == (SYSTEM_CONFIG, SYSTEM_SOCKET)
    assert state.database.parent == SYSTEM_STATE


def test_paths_of_the_configuration_start_at_the_state_folder_or_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/owner")
    state = StateFolder(tmp_path)
    assert state.resolve("content") == tmp_path / "content"
    assert state.resolve("/srv/content") == Path("/srv/content")
    assert state.resolve("~/content") == Path("/home/owner/content")


def test_the_state_folder_is_the_named_one_then_the_one_here_then_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEEDBOX_STATE", raising=False)
    assert default_state() == SYSTEM_STATE
    (tmp_path / "var").mkdir()
    assert default_state() == SYSTEM_STATE, "a folder that is called var is not yet a box"
    (tmp_path / "var" / "lock").touch()
    assert default_state() == SYSTEM_STATE, "every Debian has a /var/lock"
    (tmp_path / "var" / "seedbox.db").touch()
    assert default_state() == tmp_path / "var"
    monkeypatch.setenv("SEEDBOX_STATE", "elsewhere")
    assert default_state() == tmp_path / "elsewhere"
