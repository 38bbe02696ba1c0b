"""`seedbox web`: the status page as a process of its own, under waitress."""

import contextlib
import itertools
import logging
import socket
import sys
import threading
import time
from pathlib import Path

import psutil
import waitress

from appliance.control.client import ControlClient
from appliance.core.config import Config
from appliance.core.errors import OwnerMustAct
from appliance.core.process import serve_until_told
from appliance.core.state import StateFolder
from appliance.entrypoints.web.app import MOST_UPLOAD, create_app
from appliance.entrypoints.web.secrets import Secrets

THREADS = 4
MOST_CONNECTIONS = 60
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104
RESET_S = 2.0
"""Seconds between two checks for the daemon's word to set the page up again."""


def serve(state: StateFolder, config: Config) -> int:
    """Serve the page until SIGTERM, and return the exit code. Raises OwnerMustAct if the port is taken."""
    # What prints here is for people: on the console, or in the journal.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    secrets = Secrets(state.web)
    _obey(state.page_reset, secrets)
    app = create_app(ControlClient(state.control_socket), secrets, config)
    web = config.web
    try:
        server = waitress.create_server(
            app,
            host=web.address,
            port=web.port,
            threads=THREADS,
            connection_limit=MOST_CONNECTIONS,
            channel_timeout=30,
            max_request_body_size=MOST_UPLOAD,
            # Larger bodies wait in a file, not in memory.
            inbuf_overflow=512 * 1024,
            ident="",
        )
    except OSError as error:
        raise OwnerMustAct(
            f"The page cannot listen on {web.address} port {web.port} ({error.strerror}). "
            "Stop the other program, or choose another web.port in seedbox.toml."
        ) from error
    _say(f"Page: {' or '.join(addresses(web.address, web.port))}")
    if secrets.claim_code:
        _say(f"Claim code: {secrets.claim_code}")
    threading.Thread(target=_watch, args=(state.page_reset, secrets), name="reset", daemon=True).start()
    serve_until_told(server, "The page is served.")
    return 0


def addresses(address: str, port: int) -> list[str]:
    """The addresses under which a browser finds the page."""
    if address in EVERYWHERE:
        return [f"http://{ip}:{port}/" for ip in (_own_ipv4() or ["127.0.0.1"])[:2]]
    host = f"[{address}]" if ":" in address else address
    return [f"http://{host}:{port}/"]


def _own_ipv4() -> list[str]:
    """The IPv4 addresses of this machine, without its loopback."""
    every = itertools.chain.from_iterable(psutil.net_if_addrs().values())
    ipv4 = [one.address for one in every if one.family == socket.AF_INET]
    return [ip for ip in ipv4 if not ip.startswith("127.")]


def _watch(path: Path, secrets: Secrets) -> None:
    """Print the new claim code whenever the owner has reset the box; never returns."""
    while True:
        time.sleep(RESET_S)
        if _obey(path, secrets):
            _say(f"The box was reset. Claim code: {secrets.claim_code}")


def _obey(path: Path, secrets: Secrets) -> bool:
    """Whether the file held a new word, which was obeyed."""
    # No file, or a disk that is full now and may have room next time.
    with contextlib.suppress(OSError):
        return secrets.obey(path.read_bytes()[:64].decode("ascii", "replace").strip())
    return False


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
