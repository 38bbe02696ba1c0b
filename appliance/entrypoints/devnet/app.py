"""The node's HTTP API: java-tron's calls, and `/dev/...` for tests and the curious.

Requests and answers have the shape that java-tron gives them; errors come as it sends them, with status 200.
"""

import time
from collections.abc import Callable
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue

from appliance.adapters.chain.transaction import Transaction, Transfer, parse, serialise, sign
from appliance.core.errors import OwnerMustAct, PeerMisbehaved
from appliance.entrypoints.devnet.accounts import Refused
from appliance.entrypoints.devnet.answers import ANSWERS
from appliance.entrypoints.devnet.node import FAUCET, MARK, Mischief, Node
from appliance.entrypoints.devnet.shapes import address_from

FEE_LIMIT = 100_000_000


def create_app(node: Node) -> Flask:
    """The API of one node."""
    app = Flask(__name__, static_folder=None)
    for name, answer in ANSWERS.items():
        for prefix in ("wallet", "walletsolidity"):
            path = f"/{prefix}/{name}"
            view = _answering(node, answer, solid=prefix == "walletsolidity")
            app.add_url_rule(path, path, view, methods=["GET", "POST"])
    for path, command in _DEV.items():
        app.add_url_rule(path, path, _commanding(node, command), methods=["POST"])
    return app


def _answering(node: Node, answer: Callable[..., Any], *, solid: bool) -> Callable[[], ResponseReturnValue]:
    def view() -> ResponseReturnValue:
        if node.mischief.late_ms:
            time.sleep(node.mischief.late_ms / 1_000)
        if status := node.mischief.refusal():
            return f"<html><body>{status}</body></html>", status, {"Content-Type": "text/html"}
        asked = request.get_json(silent=True) or {}
        with node.lock:
            try:
                found: ResponseReturnValue = answer(node, asked, solid)
            except (KeyError, ValueError, TypeError, OwnerMustAct, PeerMisbehaved) as error:
                return {"Error": f"class java.lang.IllegalArgumentException : {error}"}
            return found

    return view


# ------------------------------------------------------------------------------------------ /dev/...


def _commanding(node: Node, command: Callable[[Node, Any], Any]) -> Callable[[], ResponseReturnValue]:
    def view() -> ResponseReturnValue:
        asked = request.get_json()
        with node.lock:
            done: ResponseReturnValue = command(node, asked)
            return done

    return view


def _blocks(node: Node, asked: Any) -> Any:
    """Make some: `{count}`."""
    for _ in range(min(1_000, int(asked["count"]))):
        node.chain.make_block()
    return {"number": node.chain.newest.number, "mark": MARK}


def _send(node: Node, asked: Any) -> Any:
    """Give something from the faucet: `{to, amount, memo, asset}`; the asset "" is TRX."""
    asset, memo = str(asked.get("asset", node.asset)), str(asked.get("memo", ""))
    raw = _transfer(
        node, Transfer(FAUCET.address, address_from(asked["to"]), asset, int(asked["amount"])), memo
    )
    try:
        id = node.chain.take(raw, sign(raw, FAUCET, parse(raw).transfer))
    except Refused as error:
        return {"Error": str(error)}, 422
    return {"txid": id.hex(), "mark": MARK}


def _transfer(node: Node, transfer: Transfer, memo: str) -> bytes:
    solid, now = node.chain.solid, node.chain.newest.timestamp
    ref = solid.id[6:8], solid.id[8:16]
    fee_limit = FEE_LIMIT if transfer.is_call else 0
    return serialise(Transaction(transfer, *ref, now + 60_000, now, memo.encode(), fee_limit))


def _fork(node: Node, asked: Any) -> Any:
    """Take blocks back: `{depth}`."""
    lost = node.chain.fork(int(asked["depth"]))
    return {"number": node.chain.newest.number, "lost": [one.txid.hex() for one in lost]}


def _mischief(node: Node, asked: Any) -> Any:
    """Misbehave from now on: the fields of `Mischief`."""
    node.mischief = Mischief(**asked)
    return {"mark": MARK}


_DEV: dict[str, Callable[[Node, Any], Any]] = {
    "/dev/blocks": _blocks,
    "/dev/send": _send,
    "/dev/fork": _fork,
    "/dev/mischief": _mischief,
}
