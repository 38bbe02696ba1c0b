"""Subprocesses that never outlive the test."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

A = TypeVar("A", str, bytes)

_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc.prctl(1, signal.SIGKILL)


def start(
    arguments: Sequence[str | Path],
    log: IO[Any] | int | None = None,
    env: dict[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[Any]:
    """Start a process that is killed when this one dies, whatever the reason."""
    return subprocess.Popen(
        [str(argument) for argument in arguments],
        stdout=options.pop("stdout", log),
        stderr=options.pop("stderr", subprocess.STDOUT if log is not None else None),
        env=os.environ | (env or {}),
        preexec_fn=_die_with_parent,
        **options,
    )


def pipe(end: IO[A] | None) -> IO[A]:
    """An end of a pipe that was asked for when the process was started."""
    assert end is not None, "no pipe was asked for"
    return end


def end(process: subprocess.Popen[Any], seconds: float = 20.0) -> int:
    """Ask a process to end, and kill it if it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return int(process.returncode)
