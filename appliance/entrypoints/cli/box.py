"""Commands about the box itself: status, events, health, and shell completion."""

from datetime import UTC

import click

from appliance.control.box import Event, Finding, GetHealth, GetStatus, Health, ListEvents, Status, Verdict
from appliance.control.client import DaemonAway
from appliance.control.intake import JobAnswer
from appliance.core import config as configuration
from appliance.core.units import plural, show_bytes, show_rate, show_span
from appliance.entrypoints.cli.context import UNWELL, App, command
from appliance.entrypoints.cli.findings import shown
from appliance.entrypoints.cli.words import facts, percent, state_name, when

_COLOURS = {"info": None, "warning": "yellow", "error": "red"}
_JOBS = {"share": "hashing", "fetch": "downloading"}


@click.command()
@command
def status(app: App) -> None:
    """Show what the box is doing."""
    now = app.box.call(GetStatus())
    app.answer(now, *status_lines(now))


def status_lines(now: Status) -> list[str]:
    """What the box is doing, for people."""
    running = [("Job", _job(job)) for job in now.jobs if not job.done]
    lines = [f"  {line}" for line in facts([*_status_facts(now), *running])]
    return [click.style(now.sentence, bold=True), *lines, *shown(now.problems)]


def _status_facts(now: Status) -> list[tuple[str, str]]:
    port = f"port {now.listen_port}" if now.listen_port else "no port open"
    return [
        ("Torrents", f"{_states(now)}; {show_bytes(now.size)}"),
        ("Upload", f"{show_rate(now.up_rate)}; total {show_bytes(now.uploaded)}"),
        ("Download", f"{show_rate(now.down_rate)}; total {show_bytes(now.downloaded)}"),
        ("Peers", f"{now.peers} connected; {port}; {plural(now.dht_nodes, 'DHT node')}"),
        ("Disk", _disk(now)),
        ("Uptime", f"{show_span(now.uptime_s)}; version {now.version}"),
    ]


def _states(now: Status) -> str:
    counts = [f"{count} {state_name(state)}" for state, count in now.torrents.items() if count]
    return ", ".join(counts) or "none"


def _disk(now: Status) -> str:
    if not now.disk:
        return "unavailable"
    return f"{show_bytes(now.disk.free)} free of {show_bytes(now.disk.total)}"


def _job(job: JobAnswer) -> str:
    return f"{_JOBS[job.kind]} {job.title}, {percent(job.progress)}"


@click.command()
@click.option("--count", default=20, show_default=True, help="Number of events.")
@command
def events(app: App, count: int) -> None:
    """List recent events, newest last."""
    answer = app.box.call(ListEvents(count=count))
    app.answer(answer, *event_lines(answer.events))


def event_lines(events: list[Event]) -> list[str]:
    """Events for people, oldest first; `events` has the newest first."""
    lines = [f"{when(one.at)}  {click.style(one.text, fg=_COLOURS[one.kind])}" for one in reversed(events)]
    return lines or ["No events yet."]


@click.command()
@click.option(
    "--transfer", is_flag=True, help="Download 64 MiB from this box in a second process, and verify them."
)
@command
def doctor(app: App, transfer: bool) -> None:
    """Check this machine and suggest fixes."""
    if transfer:
        from appliance.entrypoints.cli.transfer import prove

        prove(app)
        return
    findings = _examined(app)
    worst = UNWELL if any(finding.verdict is Verdict.ERROR for finding in findings) else 0
    app.answer(Health(findings=findings), *shown(findings))
    raise SystemExit(worst)


def _examined(app: App) -> list[Finding]:
    """The daemon's findings, or without it what this process can see for itself."""
    try:
        return app.box.call(GetHealth()).findings
    except DaemonAway as away:
        return [Finding("daemon", Verdict.ERROR, "The box is not running.", str(away)), *_examined_alone(app)]


def _examined_alone(app: App) -> list[Finding]:
    from appliance.adapters.board.machine import Machine
    from appliance.domain.doctor.checks import examine
    from appliance.domain.doctor.facts import Facts
    from appliance.domain.governor.settings import settings_of

    loaded = configuration.load(app.config_path)
    machine = Machine()
    volume = machine.volume(app.state.resolve(loaded.content.root))
    return examine(Facts(machine.facts(volume, app.state.path)), settings_of(loaded.governor, UTC))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    For bash, add eval "$(seedbox completion bash)" to ~/.bashrc.
    """
    from click.shell_completion import get_completion_class

    from appliance.entrypoints.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "seedbox", "_SEEDBOX_COMPLETE").source())


COMMANDS = (status, events, doctor, completion)
