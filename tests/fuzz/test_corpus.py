"""Every input that the fuzzers ever found worth keeping is refused, or read, and nothing worse."""

from pathlib import Path

import pytest

from tests.fuzz import torrents, wire

KEPT = sorted(wire.CORPUS.iterdir())
TORRENTS = sorted(torrents.CORPUS.iterdir())


def test_there_is_a_corpus() -> None:
    assert len(KEPT) > 100
    assert len(TORRENTS) > 10


@pytest.mark.parametrize("start", range(0, len(KEPT), 100))
def test_what_the_fuzzer_kept_is_refused_or_read(start: int) -> None:
    for path in KEPT[start : start + 100]:
        wire.one(path.read_bytes())


@pytest.mark.parametrize("path", TORRENTS, ids=lambda path: path.name[:12])
def test_what_the_fuzzer_of_torrents_kept_is_refused_or_read(path: Path) -> None:
    torrents.one(path.read_bytes())
