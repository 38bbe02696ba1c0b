"""Long work that somebody asked for: hashing a folder to share it, fetching a .torrent file."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from appliance.adapters.engine.create import Wanted
from appliance.adapters.engine.metainfo import parse_own, parse_torrent
from appliance.core.errors import Bug, NotFound, OwnerMustAct, SeedboxError
from appliance.core.journal import Journal
from appliance.core.tasks import Fail, Tasks
from appliance.core.urls import shown_url
from appliance.domain.catalogue.catalogue import AddOptions, Admitted
from appliance.domain.catalogue.description import Parsed
from appliance.services.intake.hashing import hash_folder

MOST_JOBS = 4
_REMEMBER = 20
_WHOLE = 1_000_000
_CANCELLED = "It was cancelled."
_BROKEN = "The box failed in a way that nobody expected. Its log says more."


class Admission(Protocol):
    """Where torrents are taken in; the catalogue."""

    async def add(self, parsed: Parsed, wish: AddOptions) -> Admitted:
        """Download and seed a torrent. Raises OwnerMustAct, RetryLater."""
        ...

    async def share(self, parsed: Parsed, wish: AddOptions, path: Path) -> Admitted:
        """Seed a torrent in place. Raises OwnerMustAct, RetryLater."""
        ...


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
    """The id of the torrent that came of it."""


class _Running:
    """A job under way, or over."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False

    def progress(self, ppm: int) -> None:
        """Note how far it has come."""
        self.job = replace(self.job, progress=ppm)

    def end(self, *, torrent: str = "", error: str = "") -> None:
        """Note how it ended; what was noted first stands."""
        if not self.job.done:
            progress = self.job.progress if error else _WHOLE
            self.job = replace(self.job, done=True, progress=progress, torrent=torrent, error=error)


_Work = Callable[[_Running], Awaitable[Admitted]]


class Jobs:
    """The jobs under way, and the last ones for a while after their end."""

    def __init__(self, admission: Admission, journal: Journal, fail: Fail) -> None:
        self._admission = admission
        self._journal = journal
        self._tasks = Tasks(fail)
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
            metainfo, skipped = await hash_folder(wanted, running.progress)
            admitted = await self._admission.share(await asyncio.to_thread(parse_own, metainfo), wish, path)
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
            return await self._admission.add(await asyncio.to_thread(parse_torrent, metainfo), wish)

        return self._start("fetch", shown_url(url), work)

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
        for running in self._jobs.values():
            running.cancelled = True
        await self._tasks.stop()

    def _find(self, id: str) -> _Running:
        if id not in self._jobs:
            raise NotFound(f'There is no job "{id}". It may have ended a while ago.')
        return self._jobs[id]

    def _start(self, kind: Literal["share", "fetch"], title: str, work: _Work) -> str:
        if sum(not running.job.done for running in self._jobs.values()) >= MOST_JOBS:
            raise OwnerMustAct(f"{MOST_JOBS} jobs are under way already. Wait for one of them to end.")
        self._forget()
        id = str(next(self._numbers))
        running = self._jobs[id] = _Running(Job(id=id, kind=kind, title=title))
        running.task = self._tasks.start(self._run(running, work), f"job {id}")
        # One that is cancelled before its first step, or dies of an error, must not keep its place for good.
        running.task.add_done_callback(lambda _: running.end(error=_CANCELLED))
        return id

    def _forget(self) -> None:
        ended = [id for id, running in self._jobs.items() if running.job.done]
        for id in ended[: max(0, len(ended) - _REMEMBER)]:
            del self._jobs[id]

    async def _run(self, running: _Running, work: _Work) -> None:
        try:
            running.end(torrent=(await work(running)).id)
        except asyncio.CancelledError:
            running.end(error=_CANCELLED)
        except OSError as error:
            self._failed(running, _plain(error, running.job.title))
        except SeedboxError as error:
            self._failed(running, str(error))
            if isinstance(error, Bug):
                raise
        except Exception:
            self._failed(running, _BROKEN)
            raise

    def _failed(self, running: _Running, why: str) -> None:
        running.end(error=why)
        self._journal.error(f"{running.job.title}: {why}")


def _plain(error: OSError, title: str) -> str:
    """A failure of the file system or the network, with what it concerns."""
    return f"{error.filename or title}: {error.strerror or error}. Check disk and network, then try again."
