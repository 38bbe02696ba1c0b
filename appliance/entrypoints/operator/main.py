"""`seedbox ledger`: the operator's process."""

import asyncio
import logging
import signal
import threading

from appliance.adapters.store.ledger_database import open_ledger, place_of
from appliance.core.clock import SystemClock
from appliance.core.config import Config
from appliance.core.errors import SeedboxError
from appliance.core.process import notify
from appliance.core.state import StateFolder
from appliance.domain.ledger.gateway import WithdrawalLimits
from appliance.entrypoints.operator.app import LedgerApp
from appliance.entrypoints.operator.server import LedgerServer, listen
from appliance.entrypoints.operator.service import Operator

HOUR_MS = 3_600_000
_TIDY_S = 60.0


def serve(config: Config, state: StateFolder) -> int:
    """Serve a ledger until SIGTERM; returns the exit code. Raises OwnerMustAct where that is not possible."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    ledger, clock = config.ledger, SystemClock()
    opened = open_ledger(place_of(ledger.database, state))
    operator = Operator(
        opened, clock, ledger.name, WithdrawalLimits.configured(config.gateway), ledger.payout_lock * HOUR_MS
    )
    operator.audit()
    sock = listen(ledger.address, ledger.port)
    server = LedgerServer(LedgerApp(operator, clock, lambda: notify("READY=1\nSTATUS=The ledger is served.")))
    over = threading.Event()
    threading.Thread(target=_tidy, args=(operator, over), daemon=True).start()
    print(f"Ledger {operator.id.hex()[:16]} on http://{ledger.address}:{ledger.port}", flush=True)  # noqa: T201

    async def run() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
        await server.serve(sockets=[sock])

    asyncio.run(run())
    over.set()
    opened.close()
    return 0


def _tidy(operator: Operator, over: threading.Event) -> None:
    while not over.wait(_TIDY_S):
        try:
            operator.tidy()
        except SeedboxError:
            continue
