"""Every input that the fuzzer ever found worth keeping is refused, or read, and nothing worse."""

import pytest

from tests.fuzz.wire import CORPUS, one

KEPT = sorted(CORPUS.iterdir())


def test_there_is_a_corpus() -> None:
    assert len(KEPT) > 100


@pytest.mark.parametrize("start", range(0, len(KEPT), 100))
def test_what_the_fuzzer_kept_is_refused_or_read(start: int) -> None:
    for path in KEPT[start : start + 100]:
        one(path.read_bytes())
