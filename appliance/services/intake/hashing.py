"""Hashing a folder into a .torrent file, in a process of its own (see adapters/engine/create.py)."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from appliance.adapters.engine.create import CreateReport, Wanted
from appliance.adapters.engine.metainfo import MOST_METAINFO
from appliance.core.errors import OwnerMustAct

PROGRAM = (sys.executable, "-m", "appliance.adapters.engine.create")


async def hash_folder(
    wanted: Wanted, progress: Callable[[int], None], program: Sequence[str] = PROGRAM
) -> tuple[bytes, int]:
    """(.torrent file, number of files left out). `progress` gets parts per million.

    Raises OwnerMustAct where the folder cannot be shared or the process dies, OSError where it cannot be
    started.
    """
    process = await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2 * MOST_METAINFO
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(wanted))
        process.stdin.close()
        async for line in _lines(process.stdout):
            if line.error:
                raise OwnerMustAct(line.error)
            if line.metainfo:
                return line.metainfo, line.skipped
            progress(line.progress)
        raise OwnerMustAct(f"Hashing {wanted.path} was cut short. Is there enough memory? Try again.")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _lines(stdout: asyncio.StreamReader) -> AsyncIterator[CreateReport]:
    """What the process says, until it ends; a line that was cut off ends it too."""
    try:
        async for raw in stdout:
            yield msgspec.json.decode(raw, type=CreateReport)
    except (ConnectionError, ValueError):
        return
