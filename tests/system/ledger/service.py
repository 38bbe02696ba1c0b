"""`seedbox ledger` as a process of its own, and what its gateway would do beside it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.adapters.store.ledger_database import open_ledger
from appliance.core.clock import SystemClock
from appliance.entrypoints.operator.service import Operator
from tests.support.addresses import address, free_port
from tests.support.box import SEEDBOX
from tests.support.processes import end, start
from tests.support.until import until


@contextmanager
def serving(where: str) -> Iterator[tuple[str, Operator]]:
    """(its address, the same ledger opened by a second process, as the gateway's is)."""
    ip = address()
    port = free_port(ip)
    with tempfile.TemporaryDirectory() as state:
        log = Path(state, "log")
        Path(state, "seedbox.toml").write_text(
            f'[ledger]\naddress = "{ip}"\nport = {port}\ndatabase = "{where}"\n'
        )
        with log.open("wb") as out:
            process = start([*SEEDBOX, "--state", state, "ledger"], out)
        until(lambda: "Ledger" in log.read_text(), "the ledger")
        database = open_ledger(where)
        try:
            yield f"http://{ip}:{port}", Operator(database, SystemClock(), "test")
        finally:
            database.close()
            end(process)
