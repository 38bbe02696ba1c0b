"""`seedbox devnet`: the development chain as a process, a block every three seconds."""

import threading
from collections.abc import Sequence

import waitress

from appliance.core.clock import SystemClock
from appliance.core.errors import OwnerMustAct
from appliance.core.keys import Address
from appliance.core.process import serve_until_told
from appliance.entrypoints.devnet.accounts import TOKEN, ChainAccount
from appliance.entrypoints.devnet.app import create_app
from appliance.entrypoints.devnet.chain import BLOCK_MS, SOLID_AFTER, Chain
from appliance.entrypoints.devnet.node import FAUCET, MARK, Node

FUNDED_TRX = 1_000_000_000
"""SUN, in every account that is funded at the start."""
FUNDED_ASSET = 1_000_000_000_000


def serve(address: str, port: int, asset: str, funded: Sequence[Address], *, on_demand: bool) -> int:
    """Serve until SIGTERM; returns the exit code. Raises OwnerMustAct where the port is taken.

    The chain lives in memory alone, and begins anew each time.
    """
    assets = {asset: FUNDED_ASSET, TOKEN: FUNDED_ASSET * 10**12}
    genesis = {one: ChainAccount(trx=FUNDED_TRX, assets=dict(assets)) for one in (*funded, FAUCET.address)}
    # Old enough to have solid blocks, as every real chain is.
    node = Node(Chain(SystemClock().now, genesis, history=SOLID_AFTER + 1), asset)
    node.chain.make_block()
    try:
        server = waitress.create_server(create_app(node), host=address, port=port, threads=4, ident="")
    except OSError as error:
        raise OwnerMustAct(
            f"The development chain cannot listen on {address} port {port} ({error.strerror}). Name another "
            "port with --port."
        ) from error
    over = threading.Event()
    if not on_demand:
        threading.Thread(target=_make_blocks, args=(node, over), daemon=True).start()
    print(f"{MARK}\nNode: http://{address}:{port}", flush=True)  # noqa: T201
    print(f"Tokens: TRC-10 {asset}; TRC-20 {TOKEN} with 18 decimals", flush=True)  # noqa: T201
    for one in funded:
        print(f"Funded: {one} (development chain)", flush=True)  # noqa: T201
    serve_until_told(server, "The development chain is served.")
    over.set()
    return 0


def _make_blocks(node: Node, over: threading.Event) -> None:
    while not over.wait(BLOCK_MS // 1_000):
        with node.lock:
            node.chain.make_block()
