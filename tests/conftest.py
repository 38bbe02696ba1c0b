"""Fixtures for all tests."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import Box


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A running box with an empty state folder."""
    with Box(tmp_path / "box") as running:
        yield running
        if running.process.poll() is None:
            assert "Traceback" not in running.log(), running.log()[-4000:]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show what the box said beside a failure."""
    report = yield
    running = getattr(item, "funcargs", {}).get("box")
    if report.failed and isinstance(running, Box):
        report.sections.append(("the box's log", running.log()[-4000:]))
    return report
