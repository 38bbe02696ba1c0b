"""`seedbox settle`: one pass of the gateway, for a timer."""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.adapters.chain.http_node import HttpNode
from appliance.adapters.store import ledger
from appliance.adapters.store.ledger_database import open_ledger, place_of
from appliance.core.clock import SystemClock
from appliance.core.config import Config
from appliance.core.keys import Address
from appliance.core.state import StateFolder
from appliance.domain.ledger.gateway import Asset, Limits, Phase
from appliance.entrypoints.settle.gateway import Gateway, Waiting
from appliance.entrypoints.settle.wallet import api_key, load


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass has come to."""

    wallet: Address
    waiting: list[Waiting]
    """Withdrawals that could not be signed, and why."""
    signed: int
    """Withdrawals of which no solid block tells yet."""


def settle(config: Config, state: StateFolder, ask: Callable[[str], str]) -> Pass:
    """One pass. Raises OwnerMustAct, RetryLater; what was done by then is kept."""
    told = config.gateway
    limits, asset = Limits.told(told), Asset(told.asset, told.decimals)
    key = load(state.resolve(told.keystore), ask)
    node = HttpNode(told.nodes, told.solidity_nodes, asset=asset.id, api_key=api_key())
    database = open_ledger(place_of(config.ledger.database, state))
    try:
        waiting = Gateway(database, node, key, asset, SystemClock(), limits).run()
        left = [one.phase for one in database.transact(ledger.open_withdrawals)]
    finally:
        database.close()
        node.close()
    return Pass(key.address, waiting, left.count(Phase.SIGNED))
