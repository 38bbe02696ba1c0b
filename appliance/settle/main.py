"""`seedbox settle`: one pass of the gateway, for a timer."""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.chain.http_node import HttpNode
from appliance.clock import SystemClock
from appliance.config import Config
from appliance.ledger.gateway import Phase
from appliance.settle.gateway import Gateway
from appliance.settle.wallet import load
from appliance.state import StateFolder
from appliance.store import ledger
from appliance.store.ledger_database import open_ledger, place_of


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass has come to."""

    wallet: str
    waiting: int
    """Withdrawals that are not signed yet."""
    signed: int
    """Withdrawals of which no solid block tells yet."""


def settle(config: Config, state: StateFolder, ask: Callable[[str], str]) -> Pass:
    """One pass. Raises OwnerMustAct, RetryLater; what was done by then is kept."""
    key = load(state.resolve(config.gateway.keystore), ask)
    node = HttpNode(config.gateway.nodes)
    database = open_ledger(place_of(config.ledger.database, state))
    try:
        Gateway(database, node, key, config.gateway.asset, SystemClock()).run()
        left = [one.phase for one in database.transact(ledger.open_withdrawals)]
    finally:
        database.close()
    return Pass(key.address, left.count(Phase.LOCKED), left.count(Phase.SIGNED))
