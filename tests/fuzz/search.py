"""A search by atheris for inputs that reach new code, for as long as it is told."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

FINDINGS = Path(__file__).parents[2] / "artefacts" / "fuzz"
"""For inputs that broke something."""


def search(one: Callable[[bytes], None], corpus: Path, most: int) -> None:
    """Feed `one` with inputs of up to `most` bytes, and keep in `corpus` what reached new code."""
    import atheris

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    options = parser.parse_args()
    FINDINGS.mkdir(parents=True, exist_ok=True)
    corpus.mkdir(exist_ok=True)
    atheris.instrument_all()
    words = [
        sys.argv[0],
        f"-max_total_time={options.minutes * 60}",
        f"-max_len={most}",
        "-timeout=5",
        f"-artifact_prefix={FINDINGS}/",
        str(corpus),
    ]
    atheris.Setup(words, one)
    atheris.Fuzz()
