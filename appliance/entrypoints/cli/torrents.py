"""Commands about the torrents in the list."""

import sys
import time
from collections.abc import Iterator
from typing import Any, get_args

import click

from appliance.control.torrents import (
    Configure,
    FileRow,
    Files,
    ListFiles,
    ListPeers,
    ListTorrents,
    Pause,
    PeerRow,
    Peers,
    Priority,
    Recheck,
    Remove,
    Resume,
    ShowTorrent,
    SortKey,
    TorrentDetail,
    TorrentPage,
    TorrentRow,
    TorrentState,
)
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.units import plural, show_bytes, show_rate, show_span
from appliance.entrypoints.cli.adding import GOAL_HELP, LABEL_HELP, PRIORITIES, progress_bar
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.params import GOAL, RATE, TORRENT, find, find_all
from appliance.entrypoints.cli.words import (
    facts,
    percent,
    rate_limit,
    ratio,
    state_name,
    table,
    torrent_table,
    when,
)

_STATES = click.Choice([state.value for state in TorrentState])
_SORTS = click.Choice(list(get_args(SortKey)))
_LONGEST_CHECK_S = 86_400


@click.command("list")
@click.option("--text", default="", help="Part of the name, or the start of the id.")
@click.option("--state", type=_STATES, help="Only torrents in this state.")
@click.option("--label", help="Only torrents with this label.")
@click.option("--sort", type=_SORTS, default="added", show_default=True, help="Column to sort by.")
@click.option("--desc", is_flag=True, help="Sort in descending order.")
@click.option("--limit", default=100, show_default=True, help="Maximum number of rows, up to 500.")
@click.option("--offset", default=0, help="Number of rows to skip.")
@command
def list_(app: App, state: str | None, sort: Any, desc: bool, limit: int, **filters: Any) -> None:
    """List the torrents."""
    chosen = TorrentState(state) if state else None
    page = app.box.call(ListTorrents(state=chosen, sort=sort, descending=desc, count=limit, **filters))
    app.answer(page, *page_lines(page))


def page_lines(page: TorrentPage) -> list[str]:
    """A page of the list, for people."""
    if not page.total:
        return ["No torrents yet. Add one: seedbox add FILE, or share a folder: seedbox create FOLDER"]
    lines = torrent_table(page.rows) if page.rows else ["No torrents match."]
    if page.matched > len(page.rows):
        lines.append(f"Showing {len(page.rows)} of {page.matched}. For more: --limit and --offset")
    return lines


@click.command()
@click.argument("torrent", type=TORRENT)
@click.option("--files", is_flag=True, help="List its files too.")
@command
def show(app: App, torrent: str, files: bool) -> None:
    """Show the details of a torrent."""
    id = find(app, torrent)
    detail = app.box.call(ShowTorrent(id=id))
    lines = detail_lines(detail)
    if files:
        lines += ["", *file_lines(app.box.call(ListFiles(id=id, count=1_000)))]
    app.answer(detail, *lines)


def detail_lines(detail: TorrentDetail) -> list[str]:
    """A torrent's details, for people."""
    row = detail.row
    pairs = [
        *_progress_facts(detail),
        *_choice_facts(detail),
        ("Added", when(row.added)),
        ("Info hash", " / ".join(part for part in (detail.v1, detail.v2) if part)),
        ("Magnet link", "none (private torrent)" if detail.private else detail.magnet),
        *(("Tracker", f"{one.url}: {one.verdict} {one.message}".rstrip()) for one in detail.trackers),
    ]
    return [click.style(row.name, bold=True), *(f"  {line}" for line in facts(pairs))]


def _progress_facts(detail: TorrentDetail) -> list[tuple[str, str]]:
    row = detail.row
    done = f"{row.progress / 10_000:.1f} % of {show_bytes(row.size)} in {plural(detail.files, 'file')}"
    return [
        ("State", _state(row, detail.sentence)),
        ("Done", done),
        ("Uploaded", f"{show_bytes(row.uploaded)} (ratio {ratio(row)}), now {show_rate(row.up_rate)}"),
        ("Downloaded", f"{show_bytes(row.downloaded)}, now {show_rate(row.down_rate)}"),
        ("Peers", f"{row.peers} connected ({plural(row.seeds, 'seed')})"),
        ("Seeded for", f"{show_span(detail.seeding_s)}; goal: {detail.goal}"),
    ]


def _state(row: TorrentRow, sentence: str) -> str:
    return f"{state_name(row.state).capitalize()}. {row.reason or sentence}".strip()


def _choice_facts(detail: TorrentDetail) -> list[tuple[str, str]]:
    return [
        ("Folder", detail.folder + (" (your own folder, read only)" if detail.own else "")),
        ("Label", detail.row.label or "-"),
        ("Priority", detail.row.priority.value),
        ("Limits", f"upload {rate_limit(detail.upload_limit)}, download {rate_limit(detail.download_limit)}"),
    ]


def file_lines(listed: Files) -> list[str]:
    """The files of a torrent, for people."""
    lines = table(["FILE", "SIZE", "DONE"], [_file(one) for one in listed.files], wide=0, right="12")
    more = listed.total - len(listed.files)
    return [*lines, f"and {plural(more, 'more file')}"] if more else lines


def _file(file: FileRow) -> list[str]:
    done = 100 * file.done // file.size if file.size else 100
    return [file.path, show_bytes(file.size), f"{done} %"]


@click.command()
@click.argument("torrent", type=TORRENT)
@command
def peers(app: App, torrent: str) -> None:
    """List the peers that are connected for a torrent."""
    answer = app.box.call(ListPeers(id=find(app, torrent)))
    app.answer(answer, *peer_lines(answer))


def peer_lines(answer: Peers) -> list[str]:
    """The peers of a torrent, for people."""
    if not answer.peers:
        return ["No peers are connected."]
    head = ["ADDRESS", "CLIENT", "PROTOCOL", "PROGRESS", "UP", "DOWN", "SENT"]
    return table(head, [_peer(one) for one in answer.peers], wide=1, right="3456")


def _peer(peer: PeerRow) -> list[str]:
    return [
        peer.address,
        peer.client or "unknown",
        f"{peer.transport}, encrypted" if peer.encrypted else peer.transport,
        percent(peer.progress),
        show_rate(peer.up_rate),
        show_rate(peer.down_rate),
        show_bytes(peer.uploaded),
    ]


@click.command()
@click.argument("torrents", nargs=-1, required=True, type=TORRENT, metavar="TORRENT...")
@command
def pause(app: App, torrents: tuple[str, ...]) -> None:
    """Pause torrents; `all` pauses every one."""
    changed = app.box.call(Pause(ids=find_all(app, torrents)))
    app.answer(changed, f"Paused: {plural(len(changed.ids), 'torrent')}")


@click.command()
@click.argument("torrents", nargs=-1, required=True, type=TORRENT, metavar="TORRENT...")
@command
def resume(app: App, torrents: tuple[str, ...]) -> None:
    """Resume torrents, including failed ones.

    `all` resumes every one.
    """
    changed = app.box.call(Resume(ids=find_all(app, torrents)))
    app.answer(changed, f"Resumed: {plural(len(changed.ids), 'torrent')}")


@click.command()
@click.argument("torrents", nargs=-1, required=True, type=TORRENT, metavar="TORRENT...")
@click.option("--with-data", is_flag=True, help="Also delete the files, but never those in your own folders.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@command
def remove(app: App, torrents: tuple[str, ...], with_data: bool, yes: bool) -> None:
    """Remove torrents from the list; `all` removes every one."""
    ids = find_all(app, torrents)
    if not yes:
        _confirm_removal(ids, with_data)
    changed = app.box.call(Remove(ids=ids, with_data=with_data))
    app.answer(changed, f"Removed: {plural(len(changed.ids), 'torrent')}", *changed.notes)


def _confirm_removal(ids: list[str], with_data: bool) -> None:
    if not sys.stdin.isatty():
        raise OwnerMustAct("This command cannot ask for confirmation here. If you are sure, add --yes.")
    what = "every torrent" if ids == ["all"] else plural(len(ids), "torrent")
    click.confirm(f"Remove {what}{' and delete the files' if with_data else ''}?", abort=True)


@click.command()
@click.argument("torrent", type=TORRENT)
@click.option("--wait", is_flag=True, help="Wait until the check is complete.")
@command
def recheck(app: App, torrent: str, wait: bool) -> None:
    """Verify a torrent's data against its hashes."""
    id = find(app, torrent)
    app.box.call(Recheck(ids=[id]))
    row = _checked(app, id) if wait else app.box.call(ShowTorrent(id=id)).row
    app.answer(row, f"{row.name}: {_state(row, '')}")


def _checked(app: App, id: str) -> TorrentRow:
    """The torrent after its check. Raises RetryLater if that takes longer than a day."""
    with progress_bar(app, "Verifying") as bar:
        for row in _while_checking(app, id):
            bar.update(max(0, row.progress - bar.pos))
    return app.box.call(ShowTorrent(id=id)).row


def _while_checking(app: App, id: str) -> Iterator[TorrentRow]:
    started = time.monotonic()
    while (seconds := time.monotonic() - started) < _LONGEST_CHECK_S:
        row = app.box.call(ShowTorrent(id=id)).row
        if row.state is TorrentState.CHECKING:
            yield row
        # The check begins a moment after it was asked for.
        elif seconds > 3:
            return
        time.sleep(0.3)
    raise RetryLater("The check is taking longer than a day. To see whether it is done: seedbox list")


@click.command("set")
@click.argument("torrent", type=TORRENT)
@click.option("--label", help=f"{LABEL_HELP[:-1]}; '' removes it.")
@click.option("--priority", type=PRIORITIES, help="Priority among the torrents.")
@click.option("--goal", type=GOAL, help=GOAL_HELP)
@click.option("--upload-limit", type=RATE, help="Such as 500KiB (per second); 0 is unlimited.")
@click.option("--download-limit", type=RATE, help="Such as 500KiB (per second); 0 is unlimited.")
@command
def set_(app: App, torrent: str, priority: str | None, **changes: Any) -> None:
    """Change label, priority, goal or rate limits of a torrent."""
    chosen = Priority(priority) if priority else None
    detail = app.box.call(Configure(id=find(app, torrent), priority=chosen, **changes))
    app.answer(detail, *detail_lines(detail))


COMMANDS = (list_, show, peers, pause, resume, remove, recheck, set_)
