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
from appliance.core.units import MicroBtt
from appliance.domain.ledger.gateway import Asset, WithdrawalLimits, WithdrawalPhase
from appliance.entrypoints.settle.gateway import ChainGateway, WaitingWithdrawal
from appliance.entrypoints.settle.wallet import api_key, load


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of one pass."""

    wallet: Address
    deposits: list[MicroBtt]
    """Those that were credited."""
    waiting: list[WaitingWithdrawal]
    """Withdrawals that could not be signed, and why."""
    signed: int
    """Withdrawals that were sent and are not in a solid block yet."""


def settle(config: Config, state: StateFolder, ask: Callable[[str], str]) -> Settlement:
    """Make one pass. Raises OwnerMustAct, RetryLater; what was done by then is kept."""
    gateway = config.gateway
    limits, asset = WithdrawalLimits.configured(gateway), Asset(gateway.asset, gateway.decimals)
    key = load(state.resolve(gateway.keystore), ask)
    node = HttpNode(gateway.nodes, gateway.solidity_nodes, asset=asset.id, api_key=api_key())
    database = open_ledger(place_of(config.ledger.database, state))
    try:
        passed = ChainGateway(database, node, key, asset, SystemClock(), limits).run()
        left = [one.phase for one in database.transact(ledger.open_withdrawals)]
    finally:
        database.close()
        node.close()
    return Settlement(key.address, passed.deposits, passed.waiting, left.count(WithdrawalPhase.SIGNED))
