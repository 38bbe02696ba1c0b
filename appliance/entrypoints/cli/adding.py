"""Commands that add torrents, and share folders."""

import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import click

from appliance.control.intake import (
    Added,
    AddMagnet,
    AddTorrent,
    AddUrl,
    CancelJob,
    GetJob,
    JobAnswer,
    Options,
    ShareFolder,
)
from appliance.control.torrents import GetMetainfo, Goal, Priority, ShowTorrent
from appliance.core.errors import OwnerMustAct
from appliance.core.magnets import is_link, pasted_links
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.params import GOAL

PRIORITIES = click.Choice([priority.value for priority in Priority])
GOAL_HELP = "When to stop seeding: forever, ratio:2.0 or time:30d."
LABEL_HELP = "Label to filter the list by."
_WHOLE = 1_000_000
"""A finished job's progress, ppm."""


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that every new torrent can have."""
    for option in (
        click.option("--paused", is_flag=True, help="Add it without starting it."),
        click.option("--goal", type=GOAL, help=GOAL_HELP),
        click.option("--priority", type=PRIORITIES, default="normal", help="Priority among the torrents."),
        click.option("--label", default="", help=LABEL_HELP),
    ):
        function = option(function)
    return function


def _options(label: str, priority: str, goal: Goal | None, paused: bool) -> Options:
    return Options(label=label, priority=Priority(priority), goal=goal, paused=paused)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@_with_options
@command
def add(app: App, sources: tuple[str, ...], **options: Any) -> None:
    """Add torrents.

    SOURCE is a .torrent file, a magnet link, a web address, or - for standard input.
    """
    chosen = _options(**options)
    added: list[Added] = []
    try:
        for one in chain.from_iterable(map(_each, sources)):
            added.append(_add(app, one, chosen))
    finally:
        # A source that is refused hides nothing of what was added before it.
        if added:
            app.answer(added, *(line for one in added for line in added_lines(one)))


def added_lines(one: Added) -> list[str]:
    """What came of adding a torrent, for people."""
    line = f"{'Already in the list' if one.known else 'Added'}: {one.name} ({one.id[:8]})"
    return [line, f"  {one.note}"] if one.note else [line]


def added_from(app: App, source: str) -> Added:
    """Add one torrent with default options."""
    return _add(app, source, Options())


def _each(source: str) -> list[str]:
    """The magnet links in a source, or the source itself."""
    return pasted_links(source) if is_link(source) else [source]


def _add(app: App, source: str, options: Options) -> Added:
    if is_link(source):
        return app.box.call(AddMagnet(uri=source, options=options))
    if source.lower().startswith(("http://", "https://")):
        job = _wait(app, app.box.call(AddUrl(url=source, options=options)).job, "Downloading")
        row = app.box.call(ShowTorrent(id=job.torrent)).row
        return Added(id=row.id, name=row.name)
    return app.box.call(AddTorrent(metainfo=_read(source), options=options))


def _read(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    path = Path(source)
    if path.is_dir():
        raise OwnerMustAct(f"{source} is a folder. To share it: seedbox create {source}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise OwnerMustAct(f"{source} cannot be read ({error.strerror}). Check the path.") from error


def _wait(app: App, id: str, title: str) -> JobAnswer:
    """Wait for a job, with a progress bar; Ctrl-C cancels it. Raises OwnerMustAct if it failed."""
    try:
        with progress_bar(app, title) as bar:
            while not (job := app.box.call(GetJob(id=id))).done:
                bar.update(job.progress - bar.pos)
                time.sleep(0.2)
            bar.update(_WHOLE - bar.pos)
    except KeyboardInterrupt:
        app.box.call(CancelJob(id=id))
        raise
    if job.error:
        raise OwnerMustAct(job.error)
    return job


def progress_bar(app: App, title: str, length: int = _WHOLE) -> Any:
    """A progress bar on standard error, hidden from programs and files."""
    hidden = app.as_json or not sys.stderr.isatty()
    return click.progressbar(length=length, label=title, file=sys.stderr, hidden=hidden)


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="", help="Name of the torrent; default: the name of the folder or file.")
@click.option("--tracker", "trackers", multiple=True, metavar="URL", help="Tracker URL; repeatable.")
@click.option("--comment", default="", help="Comment in the torrent, for those who download it.")
@click.option("--private", is_flag=True, help="Find peers only through the trackers, not DHT (BEP 27).")
@click.option(
    "--v1", "v1_only", is_flag=True, help="Compatible with older clients (v1 only), e.g. Transmission 3."
)
@click.option("--output", type=click.Path(path_type=Path), help="Also write the .torrent file here.")
@_with_options
@command
def create(
    app: App,
    path: Path,
    output: Path | None,
    label: str,
    priority: str,
    goal: Goal | None,
    paused: bool,
    **content: Any,
) -> None:
    """Share a folder or file in place.

    Creates a torrent from it, and seeds it from where it is. The box never changes your files.
    """
    options = _options(label, priority, goal, paused)
    content["trackers"] = list(content["trackers"])
    wanted = ShareFolder(path=str(path.resolve()), options=options, **content)
    job = _wait(app, app.box.call(wanted).job, "Hashing")
    detail = app.box.call(ShowTorrent(id=job.torrent))
    row = detail.row
    lines = [f"Sharing: {row.name} ({row.id[:8]})"]
    if detail.private:
        lines.append("It is private: send its .torrent file to others. A magnet link of it finds no peers.")
    else:
        lines += ["Send this magnet link to others:", detail.magnet]
    if output is not None:
        output.write_bytes(app.box.call(GetMetainfo(id=job.torrent)).metainfo)
        lines.append(f"Torrent file: {output}")
    app.answer(detail, *lines)


COMMANDS = (add, create)
