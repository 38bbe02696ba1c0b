"""Commands about the box itself."""

from datetime import UTC
from pathlib import Path
from typing import Any

import click
import msgspec

from appliance.control.box import (
    Finding,
    GetHealth,
    GetLimits,
    GetStatus,
    Health,
    LimitsAnswer,
    LimitsChange,
    ListEvents,
    ResetLimits,
    SetLimits,
    Verdict,
)
from appliance.control.client import DaemonAway
from appliance.core import config as configuration
from appliance.core.units import MicroBtt, show_btt, show_bytes, show_rate, show_span
from appliance.entrypoints.cli.context import UNWELL, App, command
from appliance.entrypoints.cli.findings import shown
from appliance.entrypoints.cli.words import RATE, table, when

_COLOURS = {"info": None, "warning": "yellow", "error": "red"}


@click.command()
@command
def status(app: App) -> None:
    """What the box does right now."""
    now = app.box.call(GetStatus())
    disk = (
        f"{show_bytes(now.disk.free)} free of {show_bytes(now.disk.total)}" if now.disk else "not reachable"
    )
    states = ", ".join(f"{count} {state}" for state, count in now.torrents.items() if count) or "none"
    facts = [
        ("Torrents", f"{states}; {show_bytes(now.size)}"),
        ("Up", f"{show_rate(now.up_rate)}, {show_bytes(now.uploaded)} in all"),
        ("Down", f"{show_rate(now.down_rate)}, {show_bytes(now.downloaded)} in all"),
        ("Peers", f"{now.peers} connected; port {now.listen_port or 'none'}; {now.dht_nodes} DHT nodes"),
        ("Disk", disk),
        ("Runs for", f"{show_span(now.uptime_s)}, version {now.version}"),
    ]
    lines = [click.style(now.sentence, bold=True), *(f"  {name:<9} {text}" for name, text in facts)]
    for job in now.jobs:
        if not job.done:
            lines.append(f"  {'Working':<9} {job.kind} {job.title}: {job.progress // 10_000} %")
    lines += shown(now.problems)
    app.answer(now, *lines)


@click.command()
@click.option("--count", default=20, show_default=True)
@command
def events(app: App, count: int) -> None:
    """What happened, the newest last."""
    answer = app.box.call(ListEvents(count=count))
    lines = [
        f"{when(event.at)}  {click.style(event.text, fg=_COLOURS[event.kind])}"
        for event in reversed(answer.events)
    ]
    app.answer(answer, *(lines or ["Nothing has happened yet."]))


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@click.pass_context
def limits(ctx: click.Context, as_json: bool) -> None:
    """Rates, connections and slots of the whole box."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(limits_show, as_json=as_json)


@limits.command("show")
@command
def limits_show(app: App) -> None:
    """The limits in force, and where they come from."""
    _show_limits(app, app.box.call(GetLimits()))


@limits.command("set")
@click.option("--upload-rate", type=RATE, help="Such as 500KiB, 2MiB or unlimited (per second).")
@click.option("--download-rate", type=RATE)
@click.option("--connections", type=int)
@click.option("--upload-slots", type=int, help="Peers that are sent data at once.")
@click.option("--active-downloads", type=int)
@command
def limits_set(app: App, **changes: Any) -> None:
    """Set limits, now and after restarts."""
    if all(value is None for value in changes.values()):
        raise click.UsageError("Say what to set, such as --upload-rate 2MiB.")
    _show_limits(app, app.box.call(SetLimits(change=LimitsChange(**changes))))


@limits.command("reset")
@command
def limits_reset(app: App) -> None:
    """Go back to what the configuration says."""
    _show_limits(app, app.box.call(ResetLimits()))


def _show_limits(app: App, answer: LimitsAnswer) -> None:
    changed = answer.changed.set_fields()
    told = msgspec.to_builtins(answer.configured) | changed
    rows = []
    for name, value in msgspec.to_builtins(answer.limits).items():
        if isinstance(value, bool):
            continue  # the governor's own; `seedbox governor show` has them
        shown = (show_rate(value) if value else "unlimited") if name.endswith("_rate") else str(value)
        source = "set by you" if name in changed else "configuration, RAM"
        if value != told[name]:
            source = "eased: see seedbox governor show"
        rows.append([name.replace("_", "-"), shown, source])
    app.answer(answer, *table(["LIMIT", "VALUE", "FROM"], rows, wide=2))


@click.group()
def config() -> None:
    """The configuration file, seedbox.toml."""


@config.command("show")
@command
def config_show(app: App) -> None:
    """Every key, its value, and what it does."""
    loaded = configuration.load(app.config_path)
    lines = [f"# {app.config_path}{'' if app.config_path.exists() else ' (does not exist: all defaults)'}"]
    section = ""
    for key in configuration.all_keys():
        if key.table != section:
            section = key.table
            lines += ["", click.style(f"[{section}]", bold=True)]
        value = configuration.toml_value(configuration.value_of(loaded, key))
        unit = f" [{key.unit}]" if key.unit else ""
        lines.append(f"{key.name} = {value}  # {key.says}{unit}")
    app.answer(loaded, *lines)


@config.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@command
def config_check(app: App, file: Path | None) -> None:
    """Say whether the file is right, and if not, where and how to mend it."""
    path = file or app.config_path
    if file is not None and not file.exists():
        raise click.UsageError(f"There is no file {file}.")
    loaded = configuration.load(path)
    app.answer({"path": str(path), "ok": True, "config": loaded}, f"{path} is right.")


@config.command("default")
@command
def config_default(app: App) -> None:
    """A complete file with every key at its default, to start from."""
    app.answer(configuration.Config(), configuration.default_text().rstrip("\n"))


@click.command()
@click.option(
    "--transfer", is_flag=True, help="Send 64 MiB from this box to a second process, and check every byte."
)
@command
def doctor(app: App, transfer: bool) -> None:
    """What is wrong with this machine, and how to mend it."""
    if transfer:
        from appliance.entrypoints.cli.transfer import prove

        prove(app)
        return
    findings = _examined(app)
    worst = UNWELL if any(finding.verdict is Verdict.ERROR for finding in findings) else 0
    app.answer(Health(findings=findings), *shown(findings))
    raise SystemExit(worst)


def _examined(app: App) -> list[Finding]:
    """By the daemon, or without it as far as this process can see."""
    try:
        return app.box.call(GetHealth()).findings
    except DaemonAway as away:
        from appliance.adapters.board.machine import Machine
        from appliance.domain.doctor.checks import examine
        from appliance.domain.doctor.facts import Facts
        from appliance.domain.governor.settings import settings_of

        loaded = configuration.load(app.config_path)
        content = app.state.resolve(loaded.content.root)
        machine = Machine()
        facts = Facts(machine.facts(machine.volume(content), app.state.path))
        dead = Finding("daemon", Verdict.ERROR, "The box is not running.", str(away))
        return [dead, *examine(facts, settings_of(loaded.governor, UTC))]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """The shell's completion script: add `eval "$(seedbox completion bash)"` to ~/.bashrc."""
    from click.shell_completion import get_completion_class

    from appliance.entrypoints.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "seedbox", "_SEEDBOX_COMPLETE").source())


@click.command()
@click.pass_obj
def run(app: App) -> None:
    """Run the box here in the foreground, page and all, until Ctrl-C."""
    from appliance.entrypoints.daemon.run import run as start

    raise SystemExit(start(app.state, configuration.load(app.config_path)))


@click.command()
@click.option(
    "--ledger", metavar="URL", help="The ledger that keeps the box's account, if none is configured."
)
@click.pass_obj
def daemon(app: App, ledger: str | None) -> None:
    """Run the daemon alone, as systemd does."""
    from appliance.entrypoints.daemon.main import main as start

    loaded = configuration.load(app.config_path)
    if ledger and not loaded.wallet.ledger:
        loaded = msgspec.structs.replace(loaded, wallet=configuration.Wallet(ledger=ledger))
    raise SystemExit(start(app.state, loaded))


@click.command()
@click.pass_obj
def web(app: App) -> None:
    """Run the status page alone, as systemd does."""
    from appliance.entrypoints.web.main import serve

    raise SystemExit(serve(app.state, configuration.load(app.config_path)))


@click.command()
@click.pass_obj
def panel(app: App) -> None:
    """Serve a light and a button on the board's pins, as systemd does."""
    from appliance.entrypoints.panel.main import serve

    raise SystemExit(serve(app.state, configuration.load(app.config_path)))


@click.command()
@click.pass_obj
def ledger(app: App) -> None:
    """Keep a ledger for others: accounts, transfers and payment channels, by HTTP (see `config show`)."""
    from appliance.entrypoints.operator.main import serve

    raise SystemExit(serve(configuration.load(app.config_path), app.state))


@click.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="IP address to listen on.")
@click.option("--port", default=8091, show_default=True, type=click.IntRange(1, 65_535))
@click.option("--asset", default="1002000", show_default=True, help="Id of the TRC-10 token that there is.")
@click.option("--fund", multiple=True, metavar="ADDRESS", help="Give this account plenty; repeatable.")
@click.option("--on-demand", is_flag=True, help="Make blocks only when asked to (POST /dev/blocks).")
@command
def devnet(app: App, address: str, port: int, asset: str, fund: tuple[str, ...], on_demand: bool) -> None:
    """Run a development chain that looks like TRON; its money is worth nothing."""
    from appliance.core.keys import parse_address
    from appliance.entrypoints.devnet.main import serve

    funded = [parse_address(one) for one in fund]
    raise SystemExit(serve(address, port, asset, funded, on_demand=on_demand))


@click.command()
@click.option("--new-wallet", is_flag=True, help="Make a wallet in an encrypted file, and do nothing else.")
@command
def settle(app: App, new_wallet: bool) -> None:
    """Move tokens between the ledger and TRON, one pass; the passphrase is asked for.

    Exit code 4: something waits for the wallet's owner, such as a wallet that has run dry.
    """
    from appliance.entrypoints.settle import main, wallet

    loaded = configuration.load(app.config_path)
    if new_wallet:
        path = app.state.resolve(loaded.gateway.keystore)
        passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
        key = wallet.make(path, passphrase)
        app.answer({"wallet": key.address, "path": str(path)}, f"Wallet: {key.address}", f"Kept in {path}")
        return
    done = main.settle(loaded, app.state, lambda text: str(click.prompt(text, hide_input=True, err=True)))
    lines = [f"  {click.style(one.id, bold=True)} is on hold: {one.why}" for one in done.waiting]
    credited = f" ({show_btt(MicroBtt(sum(done.deposits)))} BTT)" if done.deposits else ""
    app.answer(
        done,
        f"Wallet: {done.wallet}",
        f"Deposits: {len(done.deposits)} credited{credited}. "
        f"Withdrawals: {done.signed} sent and waiting for confirmation, {len(done.waiting)} on hold.",
        *lines,
    )
    raise SystemExit(UNWELL if done.waiting else 0)


COMMANDS = (
    status,
    events,
    limits,
    config,
    doctor,
    completion,
    run,
    daemon,
    web,
    panel,
    ledger,
    devnet,
    settle,
)
