"""Long work: however it dies, its place is free again, and its owner knows why."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters.engine.create import Wanted
from appliance.core.errors import Bug, NotFound, OwnerMustAct, RetryLater
from appliance.domain.catalogue.catalogue import AddOptions, Admitted
from appliance.domain.catalogue.description import Parsed
from appliance.services.intake import fetch, hashing, jobs
from appliance.services.intake.jobs import MOST_JOBS, Job, Jobs
from tests.support.fakes import ListJournal


class TakesAll:
    """A catalogue that takes every torrent, or fails with `error`."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.taken: list[str] = []

    async def add(self, parsed: Parsed, wish: AddOptions) -> Admitted:
        return self._take(parsed)

    async def share(self, parsed: Parsed, wish: AddOptions, path: Path) -> Admitted:
        return self._take(parsed)

    def _take(self, parsed: Parsed) -> Admitted:
        if self.error:
            raise self.error
        self.taken.append(parsed.description.name)
        return Admitted("0" * 40, parsed.description.name, known=False, note="")


class World:
    """Jobs, and what they tell others."""

    def __init__(self) -> None:
        self.catalogue, self.journal = TakesAll(), ListJournal()
        self.failed: list[BaseException] = []
        self.jobs = Jobs(self.catalogue, self.journal, self.failed.append)

    def play(self, story: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            await story(self)
            await self.jobs.stop()

        asyncio.run(run())

    async def ended(self, id: str) -> Job:
        async with asyncio.timeout(30):
            while not self.jobs.get(id).done:
                await asyncio.sleep(0.01)
        return self.jobs.get(id)


def share(world: World, folder: Path) -> str:
    return world.jobs.share(Wanted(path=str(folder)), AddOptions())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.mkdir()
    (path / "a.bin").write_bytes(b"x" * 100_000)
    return path


def program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_a_folder_is_hashed_and_shared(folder: Path) -> None:
    async def story(world: World) -> None:
        done = await world.ended(share(world, folder))
        assert (done.error, done.progress, done.torrent) == ("", 1_000_000, "0" * 40)
        assert world.catalogue.taken == ["film"]

    World().play(story)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "a.bin").chmod(0)

    async def story(world: World) -> None:
        assert "a.bin cannot be read" in (await world.ended(share(world, folder))).error

    World().play(story)


@pytest.mark.parametrize(
    "broken",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import sys; sys.stdin.close(); print('{\"progr', end='')",
        "import sys; sys.stdin.read(); print('Traceback')",
        "import os; os.close(0); os.close(1)",
    ],
    ids=["killed", "cut off in a line", "not JSON", "broken pipes"],
)
def test_a_hashing_process_that_dies_ends_its_job_with_a_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(hashing.hash_folder, "__defaults__", (program(broken),))

    async def story(world: World) -> None:
        for _ in range(MOST_JOBS + 1):
            assert "was cut short" in (await world.ended(share(world, folder))).error
        assert not world.failed

    World().play(story)


def test_a_hashing_process_that_cannot_be_started_frees_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing.hash_folder, "__defaults__", (("/nowhere/python",),))

    async def story(world: World) -> None:
        for _ in range(MOST_JOBS + 1):
            assert "/nowhere/python: No such file" in (await world.ended(share(world, folder))).error
        assert not world.failed

    World().play(story)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(5, "Input/output error", "/mnt/x/a.bin"), "/mnt/x/a.bin: Input/output error. Check disk"),
        (ConnectionResetError(104, "Connection reset by peer"), "film: Connection reset by peer. Check disk"),
        (RetryLater("The disk is full. Make room."), "The disk is full. Make room."),
    ],
)
def test_what_may_fail_is_the_jobs_failure_and_its_place_is_free_again(
    folder: Path, error: Exception, says: str
) -> None:
    async def story(world: World) -> None:
        world.catalogue.error = error
        for _ in range(MOST_JOBS + 1):
            assert (await world.ended(share(world, folder))).error.startswith(says)
        assert not world.failed
        assert world.journal.events[-1][0] == "error"

    World().play(story)


@pytest.mark.parametrize("error", [ValueError("odd"), Bug("It contradicts itself.")])
def test_what_nobody_expected_fails_the_job_and_ends_the_process(folder: Path, error: Exception) -> None:
    async def story(world: World) -> None:
        world.catalogue.error = error
        assert (await world.ended(share(world, folder))).error
        await asyncio.sleep(0)
        assert world.failed == [error]

    World().play(story)


def test_one_that_is_cancelled_before_its_first_step_keeps_no_place(folder: Path) -> None:
    async def story(world: World) -> None:
        for _ in range(MOST_JOBS + 1):
            job = await world.jobs.cancel(share(world, folder))
            assert (job.done, job.error) == (True, "It was cancelled.")

    World().play(story)


def test_one_that_is_cancelled_on_its_way_ends_its_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = folder / "pid"
    slow = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(hashing.hash_folder, "__defaults__", (program(slow),))

    async def story(world: World) -> None:
        id = share(world, folder)
        async with asyncio.timeout(20):
            while not (pid.exists() and pid.read_text()):
                await asyncio.sleep(0.01)
        assert (await world.jobs.cancel(id)).error == "It was cancelled."
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)

    World().play(story)


def test_only_so_many_are_under_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(url: str, progress: Callable[[int], None], stopped: Callable[[], bool]) -> bytes:
        while not stopped():
            time.sleep(0.01)
        return b""

    monkeypatch.setattr(fetch, "fetch_torrent", slow)

    async def story(world: World) -> None:
        ids = [world.jobs.fetch("http://one.example/", AddOptions()) for _ in range(MOST_JOBS)]
        with pytest.raises(OwnerMustAct, match="under way already"):
            world.jobs.fetch("http://one.example/", AddOptions())
        await world.jobs.cancel(ids[0])
        world.jobs.fetch("http://one.example/", AddOptions())

    World().play(story)


def test_those_that_ended_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(jobs, "_REMEMBER", 1)

    async def story(world: World) -> None:
        for _ in range(4):
            await world.jobs.cancel(share(world, folder))
        with pytest.raises(NotFound):
            world.jobs.get("1")
        assert world.jobs.get("4")

    World().play(story)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/SECRET/film.torrent?passkey=SECRET",
        "http://me:SECRET@127.0.0.1/film.torrent?passkey=SECRET",
        "http://127.0.0.1:SECRET/",
        "http://127.0.0.1:1/a b?passkey=SECRET\n",
        "ftp://me:SECRET@127.0.0.1/SECRET/x",
        "http://[SECRET",
    ],
)
def test_no_job_nor_event_shows_what_is_secret_in_an_address(url: str) -> None:
    async def story(world: World) -> None:
        job = await world.ended(world.jobs.fetch(url, AddOptions()))
        assert job.error
        assert "SECRET" not in f"{job} {world.journal.events}"

    World().play(story)
