"""What may be shared: the folders that the owner named, never secrets, never by a detour."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.core.config import ContentConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.state import StateFolder
from appliance.services.intake.places import MOST_ENTRIES, Places, places


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with things to share, secrets, and ways out."""
    base = tmp_path_factory.mktemp("home")
    for folder in ("films/deep", ".ssh", "box/content/album", "box/torrents", "box/web"):
        (base / "owner" / folder).mkdir(parents=True)
    for file in ("films/a.bin", "films/deep/b.bin", ".ssh/id", "box/seedbox.db", "box/content/album/c.bin"):
        (base / "owner" / file).write_text("x")
    (base / "outside").mkdir()
    (base / "outside" / "d.bin").write_text("x")
    (base / "owner" / "way out").symlink_to(base / "outside")
    (base / "owner" / "circle").symlink_to(base / "owner" / "circle")
    return base


@pytest.fixture(scope="module")
def allowed(home: Path) -> Places:
    content = ContentConfig(root="content", share=(str(home / "owner"), "relative", "/nowhere"))
    return places(content, StateFolder(home / "owner" / "box"))


@pytest.mark.parametrize(
    "path", ["films", "films/a.bin", "films/deep", "box/content/album", "films/../films"]
)
def test_what_lies_in_a_named_folder_may_be_shared(home: Path, allowed: Places, path: str) -> None:
    assert allowed.check(str(home / "owner" / path)) == (home / "owner" / path).resolve()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("../outside/d.bin", "outside"),
        ("way out/d.bin", "outside"),
        (".ssh", "hidden"),
        (".ssh/id", "hidden"),
        ("films/../.ssh/id", "hidden"),
        ("box", "secrets"),
        ("box/seedbox.db", "secrets"),
        ("box/torrents", "secrets"),
        ("box/web", "secrets"),
        ("", "secrets"),
        ("nothing", "nothing at"),
        ("circle", "nothing at"),
        ("films/a.bin/x", "nothing at"),
        ("n" * 300, "nothing at"),
    ],
)
def test_what_must_not_be_shared_is_refused_with_the_reason(
    home: Path, allowed: Places, path: str, says: str
) -> None:
    with pytest.raises(OwnerMustAct, match=says):
        allowed.check(f"{home}/owner/{path}")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "films",
        "~nobody-of-this-name/films",
        "/\0",
        "\ud800",
        "/\ud800",
        "~\0",
        "/" + "a/" * 3_000,
    ],
)
def test_no_path_breaks_the_look(allowed: Places, path: str) -> None:
    with pytest.raises(OwnerMustAct):
        allowed.check(path)
    if path:
        with pytest.raises(OwnerMustAct):
            allowed.browse(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["..", ".", "owner", "films", "way out", "outside", ".ssh", "box", "content", "deep"])
    )
)
def test_no_detour_leads_to_what_is_not_allowed(home: Path, allowed: Places, steps: list[str]) -> None:
    path = "/".join([str(home), *steps])
    try:
        real = allowed.check(path)
    except OwnerMustAct:
        return
    inside = os.path.relpath(real, home / "owner")
    assert inside.split("/")[0] == "films" or inside.startswith("box/content")


def test_looking_starts_with_the_roots_and_hides_what_cannot_be_shared(home: Path, allowed: Places) -> None:
    parent, roots, files, more, _ = allowed.browse("")
    assert (parent, files, more) == ("", [], False)
    assert set(roots) == {str(home / "owner"), str(home / "owner" / "box" / "content")}
    _, folders, _, _, _ = allowed.browse(str(home / "owner"))
    assert folders == ["box", "films"]
    assert allowed.browse(str(home / "owner" / "films")) == (
        str(home / "owner"),
        ["deep"],
        ["a.bin"],
        False,
        0,
    )


def test_a_folder_of_very_many_files_is_listed_in_part(allowed: Places, home: Path) -> None:
    many = home / "owner" / "films" / "many"
    many.mkdir()
    for number in range(MOST_ENTRIES + 1):
        (many / f"{number:04}").touch()
    _, _, files, more, _ = allowed.browse(str(many))
    assert len(files) == MOST_ENTRIES
    assert more


def test_names_that_are_not_utf_8_are_counted_and_cannot_be_shared(allowed: Places, home: Path) -> None:
    folder = home / "owner" / "films" / "odd"
    (folder / "caf\udce9").mkdir(parents=True)
    (folder / "x\udcff.bin").touch()
    (folder / "good.bin").touch()
    found = allowed.browse(str(folder))
    assert (found.folders, found.files, found.left_out) == ([], ["good.bin"], 2)
    with pytest.raises(OwnerMustAct, match=r"caf\ufffd.* is not UTF-8\. Rename it") as refused:
        allowed.check(str(folder / "caf\udce9"))
    str(refused.value).encode()
