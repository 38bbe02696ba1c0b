"""Fixtures for all tests."""

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support.box import Box
from tests.support.leftovers import leftovers, mark
from tests.support.memory import memory_folder

# A time that one example may take is a matter of how busy the machine is: pytest-timeout bounds the whole.
hypothesis.settings.register_profile("seedbox", deadline=None)
hypothesis.settings.load_profile("seedbox")

SWARMS = ("tests/swarm/", "tests/system/", "tests/faults/", "tests/web/", "tests/system/chain/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole systems race on two shared cores: what fails there is tried once more, and shown as R."""
    for item in items:
        if item.nodeid.startswith(SWARMS):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test of this process nothing runs on, and nothing is mounted any more."""
    mark()
    yield
    left = leftovers(tmp_path_factory.getbasetemp())
    assert not left, "\n".join(["the tests have left behind:", *left])


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A running box with an empty state folder."""
    with Box(tmp_path / "box") as running:
        yield running
        if running.process.poll() is None:
            assert "Traceback" not in running.log(), running.log()[-4000:]


@pytest.fixture
def ram_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one."""
    with tempfile.TemporaryDirectory(prefix="seedbox-test-", dir=memory_folder() or tmp_path) as folder:
        yield Path(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show what the box said beside a failure."""
    report = yield
    running = getattr(item, "funcargs", {}).get("box")
    if report.failed and isinstance(running, Box):
        report.sections.append(("the box's log", running.log()[-4000:]))
    return report
