"""Commands that run the parts of the box, as systemd and developers do."""

from collections.abc import Sequence

import click
import msgspec

from appliance.core import config as configuration
from appliance.entrypoints.cli.context import UNWELL, App, command
from appliance.entrypoints.cli.words import btt


@click.command()
@click.pass_obj
def run(app: App) -> None:
    """Run the box and its status page until Ctrl-C."""
    from appliance.entrypoints.daemon.run import run as start

    raise SystemExit(start(app.state, configuration.load(app.config_path)))


@click.command()
@click.option("--ledger", metavar="URL", help="Ledger for the box's account if wallet.ledger is not set.")
@click.pass_obj
def daemon(app: App, ledger: str | None) -> None:
    """Run the daemon only, as systemd does."""
    from appliance.entrypoints.daemon.main import main as start

    loaded = configuration.load(app.config_path)
    if ledger and not loaded.wallet.ledger:
        loaded = msgspec.structs.replace(loaded, wallet=configuration.WalletConfig(ledger=ledger))
    raise SystemExit(start(app.state, loaded))


@click.command()
@click.pass_obj
def web(app: App) -> None:
    """Run the status page only, as systemd does."""
    from appliance.entrypoints.web.main import serve

    raise SystemExit(serve(app.state, configuration.load(app.config_path)))


@click.command()
@click.pass_obj
def panel(app: App) -> None:
    """Run the light and the button on the board's pins."""
    from appliance.entrypoints.panel.main import serve

    raise SystemExit(serve(app.state, configuration.load(app.config_path)))


@click.command()
@click.pass_obj
def ledger(app: App) -> None:
    """Run a ledger for many boxes.

    It keeps accounts, transfers and payment channels, and is reached over HTTP.
    """
    from appliance.entrypoints.operator.main import serve

    raise SystemExit(serve(configuration.load(app.config_path), app.state))


@click.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="IP address to listen on.")
@click.option(
    "--port", default=8091, show_default=True, type=click.IntRange(1, 65_535), help="TCP port to listen on."
)
@click.option("--asset", default="1002000", show_default=True, help="Id of the chain's TRC-10 token.")
@click.option("--fund", multiple=True, metavar="ADDRESS", help="Give this account test tokens; repeatable.")
@click.option("--on-demand", is_flag=True, help="Make blocks only on request (POST /dev/blocks).")
@command
def devnet(app: App, address: str, port: int, asset: str, fund: tuple[str, ...], on_demand: bool) -> None:
    """Run a development chain that behaves like a TRON node.

    Its tokens are worthless.
    """
    from appliance.core.keys import parse_address
    from appliance.entrypoints.devnet.main import serve

    funded = [parse_address(one) for one in fund]
    raise SystemExit(serve(address, port, asset, funded, on_demand=on_demand))


@click.command()
@click.option("--new-wallet", is_flag=True, help="Only create a wallet in an encrypted file.")
@command
def settle(app: App, new_wallet: bool) -> None:
    """Transfer tokens between the ledger and TRON, once.

    Credits deposits and sends withdrawals; asks for the wallet's passphrase. Exit code 4: something needs
    the wallet owner's attention, such as an empty wallet.
    """
    loaded = configuration.load(app.config_path)
    if new_wallet:
        _new_wallet(app, loaded)
    else:
        _settle(app, loaded)


def _new_wallet(app: App, loaded: configuration.Config) -> None:
    from appliance.entrypoints.settle import wallet

    path = app.state.resolve(loaded.gateway.keystore)
    passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    key = wallet.make(path, passphrase)
    app.answer({"wallet": key.address, "path": str(path)}, f"Wallet: {key.address}", f"Saved in {path}")


def _settle(app: App, loaded: configuration.Config) -> None:
    from appliance.entrypoints.settle import main

    done = main.settle(loaded, app.state, lambda text: str(click.prompt(text, hide_input=True, err=True)))
    app.answer(
        done,
        f"Wallet: {done.wallet}",
        deposits_line(done.deposits),
        f"Withdrawals: {done.signed} sent and waiting for confirmation, {len(done.waiting)} on hold.",
        *(f"  {click.style(one.id, bold=True)} is on hold: {one.why}" for one in done.waiting),
    )
    raise SystemExit(UNWELL if done.waiting else 0)


def deposits_line(deposits: Sequence[int]) -> str:
    """The deposits that one pass has credited, for people; amounts in µBTT."""
    amount = f" ({btt(sum(deposits))} BTT)" if deposits else ""
    return f"Deposits: {len(deposits)} credited{amount}."


COMMANDS = (run, daemon, web, panel, ledger, devnet, settle)
