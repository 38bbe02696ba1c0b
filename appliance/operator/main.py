"""`seedbox ledger`: the operator's process, under waitress."""

import threading

import waitress

from appliance.clock import SystemClock
from appliance.config import Config
from appliance.errors import OwnerMustAct, SeedboxError
from appliance.ledger.gateway import Limits
from appliance.operator.app import MOST_BODY, create_app
from appliance.operator.service import Operator
from appliance.process import serve_until_told
from appliance.state import StateFolder
from appliance.store.ledger_database import open_ledger, place_of

THREADS = 8
HOUR_MS = 3_600_000
_TIDY_S = 60.0


def serve(config: Config, state: StateFolder) -> int:
    """Serve a ledger until SIGTERM; returns the exit code. Raises OwnerMustAct where that is not possible."""
    told, clock = config.ledger, SystemClock()
    opened = open_ledger(place_of(told.database, state))
    operator = Operator(opened, clock, told.name, Limits.told(config.gateway), told.payout_lock * HOUR_MS)
    operator.audit()
    try:
        server = waitress.create_server(
            create_app(operator, clock),
            host=told.address,
            port=told.port,
            threads=THREADS,
            connection_limit=500,
            channel_timeout=60,
            max_request_body_size=MOST_BODY,
            ident="",
        )
    except OSError as error:
        raise OwnerMustAct(
            f"The ledger cannot listen on {told.address} port {told.port} ({error.strerror}). End the other "
            "program, or set ledger.port in seedbox.toml to another one."
        ) from error
    over = threading.Event()
    threading.Thread(target=_tidy, args=(operator, over), daemon=True).start()
    print(f"Ledger {operator.id.hex()[:16]} on http://{told.address}:{told.port}", flush=True)  # noqa: T201
    serve_until_told(server, "The ledger is served.")
    over.set()
    opened.close()
    return 0


def _tidy(operator: Operator, over: threading.Event) -> None:
    while not over.wait(_TIDY_S):
        try:
            operator.tidy()
        except SeedboxError:
            continue
