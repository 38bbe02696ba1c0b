"""Long work that somebody asked for: hashing a folder to share it, fetching a .torrent file."""

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from appliance.adapters.engine.create import CreateReport, Wanted
from appliance.adapters.engine.metainfo import MOST_METAINFO, parse_own, parse_torrent
from appliance.core.errors import NotFound, OwnerMustAct, SeedboxError
from appliance.domain.catalogue.catalogue import AddOptions, Admitted, Catalogue
from appliance.domain.catalogue.ports import Journal

MOST_JOBS = 4
_REMEMBER = 20
_Work = Callable[["_Running"], Awaitable[Admitted]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Long work, and how far it has come."""

    id: str
    kind: Literal["share", "fetch"]
    title: str
    progress: int = 0
    """Parts per million."""
    done: bool = False
    error: str = ""
    torrent: str = ""
    """Id of the torrent that came of it."""


class _Running:
    """A job that is under way or over."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False

    def progress(self, ppm: int) -> None:
        """Note how far it has come."""
        self.job = replace(self.job, progress=ppm)


class Jobs:
    """The jobs, the last of them for a while after their end."""

    def __init__(self, catalogue: Catalogue, journal: Journal) -> None:
        self._catalogue = catalogue
        self._journal = journal
        self._numbers = itertools.count(1)
        self._jobs: dict[str, _Running] = {}

    def list(self) -> list[Job]:
        """Jobs under way, and the newest that ended."""
        return [running.job for running in self._jobs.values()]

    def get(self, id: str) -> Job:
        """One job. Raises NotFound."""
        return self._find(id).job

    def share(self, wanted: Wanted, wish: AddOptions) -> str:
        """Begin to share a path that was found allowed; returns the job's id."""
        path = Path(wanted.path)

        async def work(running: _Running) -> Admitted:
            metainfo, skipped = await _hash(wanted, running.progress)
            admitted = await self._catalogue.share(await asyncio.to_thread(parse_own, metainfo), wish, path)
            if skipped:
                self._journal.warning(f"Left out of {path}: {skipped} hidden files or links.", admitted.id)
            return admitted

        return self._start("share", path.name, work)

    def fetch(self, url: str, wish: AddOptions) -> str:
        """Begin to fetch a .torrent file; returns the job's id."""

        async def work(running: _Running) -> Admitted:
            # HTTP is not needed before somebody asks for it: a tenth of the time to start.
            from appliance.services.intake.fetch import fetch_torrent

            metainfo = await asyncio.to_thread(
                fetch_torrent, url, running.progress, lambda: running.cancelled
            )
            return await self._catalogue.add(await asyncio.to_thread(parse_torrent, metainfo), wish)

        return self._start("fetch", url[:100], work)

    async def cancel(self, id: str) -> Job:
        """Stop a job. Raises NotFound."""
        running = self._find(id)
        if running.task is not None and not running.job.done:
            running.cancelled = True
            running.task.cancel()
            await asyncio.wait([running.task])
        return running.job

    async def stop(self) -> None:
        """Stop them all."""
        for id in list(self._jobs):
            await self.cancel(id)

    def _find(self, id: str) -> _Running:
        if id not in self._jobs:
            raise NotFound(f'There is no job "{id}"; it may have ended a while ago.')
        return self._jobs[id]

    def _start(self, kind: Literal["share", "fetch"], title: str, work: _Work) -> str:
        if sum(not running.job.done for running in self._jobs.values()) >= MOST_JOBS:
            raise OwnerMustAct(f"{MOST_JOBS} jobs are under way already; wait for one of them to end.")
        ended = [id for id, running in self._jobs.items() if running.job.done]
        for id in ended[: max(0, len(ended) - _REMEMBER)]:
            del self._jobs[id]
        id = str(next(self._numbers))
        running = self._jobs[id] = _Running(Job(id=id, kind=kind, title=title))
        running.task = asyncio.create_task(self._run(running, work))
        return id

    async def _run(self, running: _Running, work: _Work) -> None:
        try:
            admitted = await work(running)
            running.job = replace(running.job, done=True, progress=1_000_000, torrent=admitted.id)
        except asyncio.CancelledError:
            running.job = replace(running.job, done=True, error="It was cancelled.")
        except SeedboxError as error:
            running.job = replace(running.job, done=True, error=str(error))
            self._journal.error(f"{running.job.title}: {error}")


async def _hash(wanted: Wanted, progress: Callable[[int], None]) -> tuple[bytes, int]:
    """(.torrent file, files left out), made by a process of its own: see engine/create.py."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "appliance.adapters.engine.create",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2 * MOST_METAINFO,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(wanted))
        process.stdin.close()
        async for raw in process.stdout:
            line = msgspec.json.decode(raw, type=CreateReport)
            if line.error:
                raise OwnerMustAct(line.error)
            if line.metainfo:
                return line.metainfo, line.skipped
            progress(line.progress)
        raise OwnerMustAct(f"Hashing {wanted.path} was cut short; is there enough memory? Try again.")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
