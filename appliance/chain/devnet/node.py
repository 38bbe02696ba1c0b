"""The development chain behind the HTTP API of a full node and a solidity node, as far as transfers need it.

Requests and answers have the shape that java-tron gives them; errors come as it sends them, with status 200.
`/dev/...` lets tests and the curious make blocks and mischief.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import base58
from flask import Flask, request
from flask.typing import ResponseReturnValue

from appliance.chain.devnet.blocks import VERSION, WITNESS, Block, Receipt, Signed
from appliance.chain.devnet.chain import FREE_NET, SUN_PER_BYTE, Account, Chain, Refused
from appliance.chain.protobuf import decode
from appliance.chain.transaction import Transaction, Transfer, parse, serialise, txid
from appliance.errors import OwnerMustAct, PeerMisbehaved
from appliance.keys import Address, parse_address

MARK = "seedbox development chain: nothing here has any worth"
_TYPES = {True: "TransferAssetContract", False: "TransferContract"}


@dataclass(slots=True)
class Mischief:
    """How the node misbehaves from now on; each is 0 or empty for an honest one."""

    late_ms: int = 0
    """Answers come so much later."""
    lose: int = 0
    """So many broadcasts are acknowledged and forgotten."""
    keep_back: int = 0
    """So many broadcasts end in a time-out for the caller, and are included all the same."""
    lie: int = 0
    """So many transactions are built with another amount than was asked for."""
    busy: int = 0
    """So many requests are refused as too many (429)."""
    html: int = 0
    """So many requests are answered with a page for people."""
    broken: int = 0
    """So many requests end with a 503."""


@dataclass(slots=True)
class Node:
    """One node over a chain; not two requests at once."""

    chain: Chain
    asset: str
    """Id of the TRC-10 token that there is."""
    mischief: Mischief = field(default_factory=Mischief)
    lock: threading.Lock = field(default_factory=threading.Lock)


def create_app(node: Node) -> Flask:
    """The node's API."""
    app = Flask(__name__, static_folder=None)
    for name, answer in _ANSWERS.items():
        for prefix in ("wallet", "walletsolidity"):
            app.add_url_rule(
                f"/{prefix}/{name}",
                endpoint=f"{prefix}/{name}",
                view_func=_view(node, answer, solid=prefix == "walletsolidity"),
                methods=["GET", "POST"],
            )

    @app.post("/dev/blocks")
    def blocks() -> ResponseReturnValue:
        with node.lock:
            for _ in range(min(1_000, int(request.get_json()["count"]))):
                node.chain.make_block()
            return {"number": node.chain.newest.number, "mark": MARK}

    @app.post("/dev/fork")
    def fork() -> ResponseReturnValue:
        with node.lock:
            lost = node.chain.fork(int(request.get_json()["depth"]))
            return {"number": node.chain.newest.number, "lost": [one.txid.hex() for one in lost]}

    @app.post("/dev/mischief")
    def mischief() -> ResponseReturnValue:
        with node.lock:
            node.mischief = Mischief(**request.get_json())
            return {"mark": MARK}

    return app


def _view(node: Node, answer: Callable[..., Any], *, solid: bool) -> Callable[[], ResponseReturnValue]:
    def view() -> ResponseReturnValue:
        mischief = node.mischief
        if mischief.late_ms:
            time.sleep(mischief.late_ms / 1_000)
        for name, status in (("busy", 429), ("broken", 503), ("html", 200)):
            if left := getattr(mischief, name):
                setattr(mischief, name, left - 1)
                return f"<html><body>{status}</body></html>", status, {"Content-Type": "text/html"}
        asked = request.get_json(silent=True) or {}
        with node.lock:
            try:
                told: ResponseReturnValue = answer(node, asked, solid)
            except (KeyError, ValueError, TypeError, OwnerMustAct, PeerMisbehaved) as error:
                return {"Error": f"class java.lang.IllegalArgumentException : {error}"}
            return told

    return view


# ------------------------------------------------------------------------------------------------ answers


def _now_block(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    return _block(node.chain.solid if solid else node.chain.newest)


def _block_by_number(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    number, top = int(asked["num"]), (node.chain.solid if solid else node.chain.newest).number
    return _block(node.chain.blocks[number]) if 0 <= number <= top else {}


def _transaction(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    found = _found(node, asked, solid)
    return _shown(found[1]) | {"ret": [{"contractRet": "SUCCESS"}]} if found else {}


def _transaction_info(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    found = _found(node, asked, solid)
    if not found:
        return {}
    block, one, receipt = found
    told: dict[str, Any] = {
        "id": one.txid.hex(),
        "blockNumber": block.number,
        "blockTimeStamp": block.timestamp,
        "contractResult": [""],
        "receipt": {"net_usage": receipt.net_usage} if receipt.net_usage else {"net_fee": receipt.fee},
    }
    return told | ({"fee": receipt.fee} if receipt.fee else {})


def _found(node: Node, asked: dict[str, Any], solid: bool) -> tuple[Block, Signed, Receipt] | None:
    found = node.chain.find(bytes.fromhex(asked["value"]))
    return found if found and not (solid and found[0].number > node.chain.solid.number) else None


def _account(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    address = _address(asked["address"])
    accounts = node.chain.accounts_at(node.chain.solid.number) if solid else node.chain.accounts
    account = accounts.get(address)
    if account is None:
        return {}
    told: dict[str, Any] = {"address": asked["address"], "create_time": account.created}
    if account.trx:
        told["balance"] = account.trx
    if assets := [{"key": id, "value": held} for id, held in account.assets.items() if held]:
        told["assetV2"] = assets
    return told


def _account_net(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    account = node.chain.accounts.get(_address(asked["address"]), Account())
    used = FREE_NET - account.free_net(node.chain.newest.timestamp)
    return {"freeNetLimit": FREE_NET, "TotalNetLimit": 43_200_000_000} | (
        {"freeNetUsed": used} if used else {}
    )


def _node_info(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    newest, solid_one = node.chain.newest, node.chain.solid
    return {
        "block": f"Num:{newest.number},ID:{newest.id.hex()}",
        "solidityBlock": f"Num:{solid_one.number},ID:{solid_one.id.hex()}",
        "configNodeInfo": {"codeVersion": f"devnet ({MARK})"},
    }


def _asset(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    if str(asked["value"]) != node.asset:
        return {}
    return {"id": node.asset, "name": "DevelopmentBTT", "abbr": "DEV", "precision": 6, "description": MARK}


def _parameters(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    parameters = {
        "getTransactionFee": SUN_PER_BYTE,
        "getCreateNewAccountFeeInSystemContract": 1_000_000,
        "getCreateAccountFee": 100_000,
        "getFreeNetLimit": FREE_NET,
    }
    return {"chainParameter": [{"key": key, "value": value} for key, value in parameters.items()]}


def _sign_weight(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    """tronpy asks this for a transaction's id, and for who may sign it."""
    raw = serialise(_from_json(asked["raw_data"]))
    transaction = parse(raw)
    if node.mischief.lie:
        node.mischief.lie -= 1
        other = replace(transaction.transfer, amount=transaction.transfer.amount + 1)
        raw = serialise(replace(transaction, transfer=other))
    shown = _shown(Signed(raw, b"", txid(raw)))
    owner = _hex(transaction.transfer.owner)
    return {
        "result": {"code": "NOT_ENOUGH_PERMISSION"},
        "permission": {
            "permission_name": "owner",
            "threshold": 1,
            "keys": [{"address": owner, "weight": 1}],
        },
        "transaction": {"result": {"result": True}, "txid": shown["txID"], "transaction": shown},
    }


def _broadcast(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    raw = serialise(_from_json(asked["raw_data"]))
    if "raw_data_hex" in asked:
        raw = bytes.fromhex(asked["raw_data_hex"])
    return _take(node, raw, bytes.fromhex(asked["signature"][0]))


def _broadcast_hex(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    """A whole `protocol.Transaction`: raw data in field 1, signatures in field 2."""
    fields = decode(bytes.fromhex(asked["transaction"]), (1, 2))
    raw, signature = fields[1], fields[2]
    if not isinstance(raw, bytes) or not isinstance(signature, bytes):
        raise PeerMisbehaved("not a transaction")
    return _take(node, raw, signature)


def _take(node: Node, raw: bytes, signature: bytes) -> Any:
    id = txid(raw)
    if node.mischief.lose:
        node.mischief.lose -= 1
        return {"result": True, "txid": id.hex()}
    try:
        node.chain.take(raw, signature)
    except Refused as error:
        return {"code": error.code, "txid": id.hex(), "message": str(error).encode().hex()}
    if node.mischief.keep_back:
        node.mischief.keep_back -= 1
        return "", 504
    return {"result": True, "txid": id.hex()}


_ANSWERS: dict[str, Callable[[Node, dict[str, Any], bool], Any]] = {
    "getnowblock": _now_block,
    "getblockbynum": _block_by_number,
    "gettransactionbyid": _transaction,
    "gettransactioninfobyid": _transaction_info,
    "getaccount": _account,
    "getaccountnet": _account_net,
    "getnodeinfo": _node_info,
    "getassetissuebyid": _asset,
    "getchainparameters": _parameters,
    "getsignweight": _sign_weight,
    "broadcasttransaction": _broadcast,
    "broadcasthex": _broadcast_hex,
}


# ------------------------------------------------------------------------------------------------- shapes


def _block(block: Block) -> dict[str, Any]:
    raw = {
        "number": block.number,
        "txTrieRoot": block.root.hex(),
        "witness_address": WITNESS.hex(),
        "parentHash": block.parent.hex(),
        "version": VERSION,
        "timestamp": block.timestamp,
    }
    told: dict[str, Any] = {
        "blockID": block.id.hex(),
        "block_header": {"raw_data": raw, "witness_signature": ""},
    }
    if block.transactions:
        told["transactions"] = [
            _shown(one) | {"ret": [{"contractRet": "SUCCESS"}]} for one in block.transactions
        ]
    return told


def _shown(one: Signed) -> dict[str, Any]:
    transaction = parse(one.raw)
    transfer = transaction.transfer
    value: dict[str, Any] = {
        "amount": transfer.amount,
        "owner_address": _hex(transfer.owner),
        "to_address": _hex(transfer.to),
    }
    if transfer.asset:
        value["asset_name"] = transfer.asset.encode().hex()
    kind = _TYPES[bool(transfer.asset)]
    raw: dict[str, Any] = {
        "contract": [
            {"parameter": {"value": value, "type_url": f"type.googleapis.com/protocol.{kind}"}, "type": kind}
        ],
        "ref_block_bytes": transaction.ref_block_bytes.hex(),
        "ref_block_hash": transaction.ref_block_hash.hex(),
        "expiration": transaction.expiration,
        "timestamp": transaction.timestamp,
    }
    if transaction.memo:
        raw["data"] = transaction.memo.hex()
    told = {"txID": one.txid.hex(), "raw_data": raw, "raw_data_hex": one.raw.hex(), "signature": []}
    return told | ({"signature": [one.signature.hex()]} if one.signature else {})


def _from_json(raw: dict[str, Any]) -> Transaction:
    contract = raw["contract"][0]
    value = contract["parameter"]["value"]
    kind = contract["type"]
    if kind not in _TYPES.values():
        raise ValueError(f"a {kind} is not known here")
    asset = bytes.fromhex(value["asset_name"]).decode() if kind == _TYPES[True] else ""
    return Transaction(
        Transfer(
            _address(value["owner_address"]), _address(value["to_address"]), asset, int(value["amount"])
        ),
        bytes.fromhex(raw["ref_block_bytes"]),
        bytes.fromhex(raw["ref_block_hash"]),
        int(raw["expiration"]),
        int(raw.get("timestamp", 0)),
        bytes.fromhex(raw.get("data", "")),
    )


def _address(text: str) -> Address:
    if text.startswith("T"):
        return parse_address(text)
    return parse_address(base58.b58encode_check(bytes.fromhex(text)).decode())


def _hex(address: Address) -> str:
    return base58.b58decode_check(address).hex()
