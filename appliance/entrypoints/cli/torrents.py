"""Commands about torrents."""

import sys
import time
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
    Job,
    Options,
    ShareFolder,
)
from appliance.control.torrents import (
    Configure,
    Files,
    GetMetainfo,
    Goal,
    ListFiles,
    ListPeers,
    ListTorrents,
    Pause,
    Priority,
    Recheck,
    Remove,
    Resume,
    ShowTorrent,
    SortKey,
    State,
    TorrentDetail,
    TorrentRow,
)
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.magnets import is_link, pasted_links
from appliance.core.units import show_bytes, show_rate, show_span
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.words import (
    GOAL,
    RATE,
    TORRENT,
    find,
    find_all,
    ratio,
    table,
    torrent_table,
    when,
)

_STATES = click.Choice([state.value for state in State])
_PRIORITIES = click.Choice([priority.value for priority in Priority])
_SORTS = click.Choice(list(SortKey.__args__))  # type: ignore[attr-defined]


def _options(function: Any) -> Any:
    for option in (
        click.option("--paused", is_flag=True, help="Add it, but do not start it."),
        click.option("--goal", type=GOAL, help="When it is seeded enough: forever, ratio:2.0 or time:30d."),
        click.option("--priority", type=_PRIORITIES, default="normal", help="Who is served first."),
        click.option("--label", default="", help="A word of yours to sort by."),
    ):
        function = option(function)
    return function


def _told(label: str, priority: str, goal: Goal | None, paused: bool) -> Options:
    return Options(label=label, priority=Priority(priority), goal=goal, paused=paused)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@_options
@command
def add(app: App, sources: tuple[str, ...], **told: Any) -> None:
    """Add torrents: a .torrent file, a magnet link, a web address, or - for standard input."""
    options = _told(**told)
    added = [_add(app, one, options) for source in sources for one in _each(source)]
    lines = []
    for one in added:
        lines.append(f"{'Known' if one.known else 'Added'}: {one.name} ({one.id[:8]})")
        if one.note:
            lines.append(f"  {one.note}")
    app.answer(added, *lines)


def added_from(app: App, source: str) -> Added:
    """Add one torrent, with nothing said about it."""
    return _add(app, source, Options())


def _each(source: str) -> list[str]:
    """The magnet links in a source, or the source itself."""
    return pasted_links(source) if is_link(source) else [source]


def _add(app: App, source: str, options: Options) -> Added:
    if is_link(source):
        return app.box.call(AddMagnet(uri=source, options=options))
    if source.lower().startswith(("http://", "https://")):
        job = _follow(app, app.box.call(AddUrl(url=source, options=options)).job, "Fetching")
        row = app.box.call(ShowTorrent(id=job.torrent)).row
        return Added(id=row.id, name=row.name)
    return app.box.call(AddTorrent(metainfo=_read(source), options=options))


def _read(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    path = Path(source)
    if path.is_dir():
        raise OwnerMustAct(f"{source} is a folder. To share it, use: seedbox create {source}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise OwnerMustAct(f"{source} cannot be read ({error.strerror}). Check the path.") from error


def _follow(app: App, id: str, title: str) -> Job:
    """Wait for a job, with a progress bar; Ctrl-C cancels it. Raises OwnerMustAct where it failed."""
    try:
        with _bar(app, title) as bar:
            while not (job := app.box.call(GetJob(id=id))).done:
                bar.update(job.progress - bar.pos)
                time.sleep(0.2)
            bar.update(1_000_000 - bar.pos)
    except KeyboardInterrupt:
        app.box.call(CancelJob(id=id))
        raise
    if job.error:
        raise OwnerMustAct(job.error)
    return job


def _bar(app: App, title: str) -> Any:
    hidden = app.as_json or not sys.stderr.isatty()
    return click.progressbar(length=1_000_000, label=title, file=sys.stderr, hidden=hidden)


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="", help="Name in the torrent; without it that of the folder.")
@click.option(
    "--tracker", "trackers", multiple=True, metavar="URL", help="A tracker to announce to; repeatable."
)
@click.option("--comment", default="", help="A sentence for those who get it.")
@click.option("--private", is_flag=True, help="Peers only by its trackers, not by DHT (BEP 27).")
@click.option(
    "--v1", "v1_only", is_flag=True, help="For old programs that cannot read hybrids (Transmission 3)."
)
@click.option("--output", type=click.Path(path_type=Path), help="Write the .torrent file here as well.")
@_options
@command
def create(
    app: App,
    path: Path,
    name: str,
    trackers: tuple[str, ...],
    comment: str,
    private: bool,
    v1_only: bool,
    output: Path | None,
    **told: Any,
) -> None:
    """Share a folder or file of your own: makes a torrent of it, and seeds it where it lies."""
    wanted = ShareFolder(
        path=str(path.resolve()),
        name=name,
        trackers=list(trackers),
        comment=comment,
        private=private,
        v1_only=v1_only,
        options=_told(**told),
    )
    job = _follow(app, app.box.call(wanted).job, "Hashing")
    detail = app.box.call(ShowTorrent(id=job.torrent))
    lines = [f"Sharing: {detail.row.name} ({detail.row.id[:8]})", "Hand this link on:", detail.magnet]
    if output is not None:
        output.write_bytes(app.box.call(GetMetainfo(id=job.torrent)).metainfo)
        lines.append(f"Written: {output}")
    app.answer(detail, *lines)


@click.command("list")
@click.option("--text", default="", help="Part of the name, or the beginning of an id.")
@click.option("--state", type=_STATES, help="Only those in this state.")
@click.option("--label", help="Only those with this label.")
@click.option("--sort", type=_SORTS, default="added", show_default=True)
@click.option("--desc", is_flag=True, help="The largest first.")
@click.option("--limit", default=100, show_default=True, help="Rows at most; 500 is the most there is.")
@click.option("--offset", default=0, help="Rows to pass over.")
@command
def list_(app: App, state: str | None, sort: Any, desc: bool, limit: int, **filters: Any) -> None:
    """The torrents in the box."""
    page = app.box.call(
        ListTorrents(
            state=State(state) if state else None, sort=sort, descending=desc, count=limit, **filters
        )
    )
    if not page.total:
        app.answer(
            page, "No torrents yet. Add one: seedbox add FILE, or share a folder: seedbox create FOLDER"
        )
        return
    lines = torrent_table(page.rows) if page.rows else ["No torrent fits."]
    if page.matched > len(page.rows):
        lines.append(f"{len(page.rows)} of {page.matched} shown; --offset and --limit show more.")
    app.answer(page, *lines)


@click.command()
@click.argument("torrent", type=TORRENT)
@click.option("--files", is_flag=True, help="Its files too.")
@command
def show(app: App, torrent: str, files: bool) -> None:
    """All about one torrent."""
    id = find(app, torrent)
    detail = app.box.call(ShowTorrent(id=id))
    lines = _detail(detail)
    if files:
        listed = app.box.call(ListFiles(id=id, count=1_000))
        lines += ["", *_files(listed)]
    app.answer(detail, *lines)


def _detail(detail: TorrentDetail) -> list[str]:
    row = detail.row
    facts = [
        ("State", f"{row.state.value}. {row.reason or detail.sentence}"),
        ("Done", f"{row.progress / 10_000:.1f} % of {show_bytes(row.size)}, {detail.files} files"),
        ("Sent", f"{show_bytes(row.uploaded)} (ratio {ratio(row)}), now {show_rate(row.up_rate)}"),
        ("Fetched", f"{show_bytes(row.downloaded)}, now {show_rate(row.down_rate)}"),
        ("Peers", f"{row.peers} connected, {row.seeds} of them seeds"),
        ("Seeded", f"{show_span(detail.seeding_s)}; goal: {detail.goal}"),
        ("Folder", detail.folder + (" (your own files, only read)" if detail.own else "")),
        ("Label", row.label or "-"),
        ("Priority", row.priority.value),
        ("Limits", f"up {_rate(detail.upload_limit)}, down {_rate(detail.download_limit)}"),
        ("Added", when(row.added)),
        ("Info-hash", " / ".join(part for part in (detail.v1, detail.v2) if part)),
        ("Magnet", detail.magnet),
    ]
    lines = [click.style(row.name, bold=True)]
    lines += [f"  {name:<10} {text}" for name, text in facts if text]
    for tracker in detail.trackers:
        lines.append(f"  {'Tracker':<10} {tracker.url} - {tracker.verdict} {tracker.message}".rstrip())
    return lines


def _rate(limit: int) -> str:
    return show_rate(limit) if limit else "unlimited"


def _files(listed: Files) -> list[str]:
    cells = [
        [file.path, show_bytes(file.size), f"{100 * file.done // file.size if file.size else 100} %"]
        for file in listed.files
    ]
    lines = table(["FILE", "SIZE", "DONE"], cells, wide=0, right="12")
    more = listed.total - len(listed.files)
    return [*lines, f"and {more} more files"] if more else lines


@click.command()
@click.argument("torrent", type=TORRENT)
@command
def peers(app: App, torrent: str) -> None:
    """Who is connected for a torrent."""
    answer = app.box.call(ListPeers(id=find(app, torrent)))
    cells = [
        [
            peer.address,
            peer.client or "?",
            peer.transport + ("+" if peer.encrypted else ""),
            f"{peer.progress // 10_000} %",
            show_rate(peer.up_rate),
            show_rate(peer.down_rate),
            show_bytes(peer.uploaded),
        ]
        for peer in answer.peers
    ]
    head = ["ADDRESS", "CLIENT", "OVER", "HAS", "UP", "DOWN", "SENT"]
    app.answer(answer, *(table(head, cells, wide=1, right="3456") if cells else ["Nobody is connected."]))


@click.command()
@click.argument("torrents", nargs=-1, required=True, type=TORRENT)
@command
def pause(app: App, torrents: tuple[str, ...]) -> None:
    """Stop torrents; `all` means every one."""
    changed = app.box.call(Pause(ids=find_all(app, torrents)))
    app.answer(changed, f"Paused: {len(changed.ids)}")


@click.command()
@click.argument("torrents", nargs=-1, required=True, type=TORRENT)
@command
def resume(app: App, torrents: tuple[str, ...]) -> None:
    """Start torrents again, also those that failed; `all` means every one."""
    changed = app.box.call(Resume(ids=find_all(app, torrents)))
    app.answer(changed, f"Resumed: {len(changed.ids)}")


@click.command()
@click.argument("torrents", nargs=-1, required=True, type=TORRENT)
@click.option("--with-data", is_flag=True, help="Delete the files too (never those in a folder of your own).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command
def remove(app: App, torrents: tuple[str, ...], with_data: bool, yes: bool) -> None:
    """Forget torrents."""
    ids = find_all(app, torrents)
    what = "every torrent" if ids == ["all"] else f"{len(ids)} torrent{'s' if len(ids) > 1 else ''}"
    if not yes:
        if not sys.stdin.isatty():
            raise OwnerMustAct("Nobody is there to ask; say --yes if you are sure.")
        click.confirm(f"Remove {what}{' and the files' if with_data else ''}?", abort=True)
    changed = app.box.call(Remove(ids=ids, with_data=with_data))
    app.answer(changed, f"Removed: {len(changed.ids)}", *changed.notes)


@click.command()
@click.argument("torrent", type=TORRENT)
@click.option("--wait", is_flag=True, help="Wait for the end of the check.")
@command
def recheck(app: App, torrent: str, wait: bool) -> None:
    """Compare the data of a torrent with its hashes again."""
    id = find(app, torrent)
    app.box.call(Recheck(ids=[id]))
    row = _checked(app, id) if wait else app.box.call(ShowTorrent(id=id)).row
    app.answer(row, f"{row.name}: {row.state.value}. {row.reason}".strip())


def _checked(app: App, id: str) -> TorrentRow:
    started = time.monotonic()
    with _bar(app, "Checking") as bar:
        while True:
            row = app.box.call(ShowTorrent(id=id)).row
            # The check begins a moment after it was asked for.
            if row.state is not State.CHECKING and time.monotonic() - started > 3:
                bar.update(1_000_000 - bar.pos)
                return row
            if row.state is State.CHECKING:
                bar.update(max(0, row.progress - bar.pos))
            if time.monotonic() - started > 86_400:
                raise RetryLater("The check takes longer than a day; look again with `seedbox list`.")
            time.sleep(0.3)


@click.command("set")
@click.argument("torrent", type=TORRENT)
@click.option("--label", help="A word of yours; '' takes it away.")
@click.option("--priority", type=_PRIORITIES)
@click.option("--goal", type=GOAL, help="forever, ratio:2.0 or time:30d.")
@click.option("--upload-limit", type=RATE, help="For this torrent, such as 500KiB; 0 = unlimited.")
@click.option("--download-limit", type=RATE)
@command
def set_(app: App, torrent: str, priority: str | None, **changes: Any) -> None:
    """Set label, priority, goal or rates of one torrent."""
    chosen = Priority(priority) if priority else None
    detail = app.box.call(Configure(id=find(app, torrent), priority=chosen, **changes))
    app.answer(detail, *_detail(detail))


COMMANDS = (add, create, list_, show, peers, pause, resume, remove, recheck, set_)
