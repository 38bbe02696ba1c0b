"""The development chain behind the HTTP API of a full node and a solidity node, as far as transfers need it.

Requests and answers have the shape that java-tron gives them; errors come as it sends them, with status 200.
`/dev/...` lets tests and the curious make blocks and mischief.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import base58
from flask import Flask, request
from flask.typing import ResponseReturnValue

from appliance.adapters.chain.protobuf import decode
from appliance.adapters.chain.transaction import (
    Transaction,
    Transfer,
    call_data,
    parse,
    read_call,
    serialise,
    sign,
    txid,
)
from appliance.core.errors import OwnerMustAct, PeerMisbehaved
from appliance.core.keys import Address, Key, parse_address
from appliance.entrypoints.devnet.blocks import VERSION, WITNESS, Block, Receipt, Signed
from appliance.entrypoints.devnet.chain import (
    FREE_NET,
    SUN_PER_BYTE,
    SUN_PER_ENERGY,
    TOKEN,
    Account,
    Chain,
    Refused,
    energy_of,
)

FAUCET = Key(hashlib.sha256(b"seedbox/devnet/faucet").digest())
"""Everybody knows this key: what it holds is worth nothing."""
FEE_LIMIT = 100_000_000
MARK = "seedbox development chain: nothing here has any worth"
_TRX, _TRC10, _CALL = "TransferContract", "TransferAssetContract", "TriggerSmartContract"
_TRANSFERRED = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Keccak-256("Transfer(address,address,uint256)")."""
_ABI = {
    "entrys": [
        {
            "name": "transfer",
            "type": "Function",
            "stateMutability": "Nonpayable",
            "inputs": [{"name": "to", "type": "address"}, {"name": "value", "type": "uint256"}],
            "outputs": [{"type": "bool"}],
        },
        {
            "name": "balanceOf",
            "type": "Function",
            "stateMutability": "View",
            "constant": True,
            "inputs": [{"name": "who", "type": "address"}],
            "outputs": [{"type": "uint256"}],
        },
        {"name": "decimals", "type": "Function", "stateMutability": "View", "outputs": [{"type": "uint8"}]},
    ]
}


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
    dry: str = ""
    """This address has run dry, as far as the node tells, and nothing of it is taken."""

    def refusal(self) -> int:
        """The HTTP status with which to refuse the next request; 0 is none."""
        if self.busy:
            self.busy -= 1
            return 429
        if self.broken:
            self.broken -= 1
            return 503
        if self.html:
            self.html -= 1
            return 200
        return 0


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

    @app.post("/dev/send")
    def send() -> ResponseReturnValue:
        """What the faucet gives, for those who try things out: `{to, amount, memo, asset}`; "" is TRX."""
        asked = request.get_json()
        with node.lock:
            asset, memo = str(asked.get("asset", node.asset)), str(asked.get("memo", ""))
            raw = _given(
                node, Transfer(FAUCET.address, _address(asked["to"]), asset, int(asked["amount"])), memo
            )
            try:
                id = node.chain.take(raw, sign(raw, FAUCET, parse(raw).transfer))
            except Refused as error:
                return {"Error": str(error)}, 422
            return {"txid": id.hex(), "mark": MARK}

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


def _given(node: Node, transfer: Transfer, memo: str) -> bytes:
    solid, now = node.chain.solid, node.chain.newest.timestamp
    ref = solid.id[6:8], solid.id[8:16]
    fee_limit = FEE_LIMIT if transfer.is_call else 0
    return serialise(Transaction(transfer, *ref, now + 60_000, now, memo.encode(), fee_limit))


def _view(node: Node, answer: Callable[..., Any], *, solid: bool) -> Callable[[], ResponseReturnValue]:
    def view() -> ResponseReturnValue:
        mischief = node.mischief
        if mischief.late_ms:
            time.sleep(mischief.late_ms / 1_000)
        if status := mischief.refusal():
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
    return _shown(found[1]) | {"ret": [{"contractRet": found[2].result}]} if found else {}


def _transaction_info(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    found = _found(node, asked, solid)
    if not found:
        return {}
    block, one, receipt = found
    burnt = receipt.energy * SUN_PER_ENERGY
    told: dict[str, Any] = {
        "id": one.txid.hex(),
        "blockNumber": block.number,
        "blockTimeStamp": block.timestamp,
        "contractResult": [""],
        "receipt": {"net_usage": receipt.net_usage}
        if receipt.net_usage
        else {"net_fee": receipt.fee - burnt},
    }
    transfer = parse(one.raw).transfer
    if transfer.is_call:
        told["contract_address"] = _hex(transfer.asset)
        told["receipt"] |= {
            "energy_fee": burnt,
            "energy_usage_total": receipt.energy,
            "result": receipt.result,
        }
        if receipt.result == "SUCCESS":
            topics = [_TRANSFERRED, _word(transfer.owner), _word(transfer.to)]
            data = transfer.amount.to_bytes(32, "big").hex()
            told["log"] = [{"address": _hex(transfer.asset)[2:], "topics": topics, "data": data}]
        else:
            told["result"] = "FAILED"
    return told | ({"fee": receipt.fee} if receipt.fee else {})


def _found(node: Node, asked: dict[str, Any], solid: bool) -> tuple[Block, Signed, Receipt] | None:
    found = node.chain.find(bytes.fromhex(asked["value"]))
    return found if found and not (solid and found[0].number > node.chain.solid.number) else None


def _account(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    address = _address(asked["address"])
    accounts = node.chain.accounts_at(node.chain.solid.number) if solid else node.chain.accounts
    account = accounts.get(address)
    if account is None or address == node.mischief.dry:
        return {}
    told: dict[str, Any] = {"address": asked["address"], "create_time": account.created}
    if account.trx:
        told["balance"] = account.trx
    held = {id: amount for id, amount in account.assets.items() if amount and id != TOKEN}
    if assets := [{"key": id, "value": amount} for id, amount in held.items()]:
        told["assetV2"] = assets
    return told


def _account_net(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    account = node.chain.accounts.get(_address(asked["address"]), Account())
    used = FREE_NET - account.free_net(node.chain.newest.timestamp)
    return {"freeNetLimit": FREE_NET, "TotalNetLimit": 43_200_000_000} | (
        {"freeNetUsed": used} if used else {}
    )


def _contract(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    if _address(asked["value"]) != TOKEN:
        return {}
    return {"contract_address": _hex(TOKEN), "name": "DevelopmentBTT", "abi": _ABI, "bytecode": ""}


def _constant(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    """A function of the token's contract, as if it were called: nothing changes."""
    if _address(asked["contract_address"]) != TOKEN:
        raise ValueError("Smart contract is not exist.")
    accounts = node.chain.accounts_at(node.chain.solid.number) if solid else node.chain.accounts
    answer, data = 0, str(asked.get("parameter", ""))
    match asked["function_selector"]:
        case "balanceOf(address)":
            who = _address("41" + data[24:64])
            held = accounts.get(who, Account()).assets.get(TOKEN, 0)
            answer, energy = 0 if who == node.mischief.dry else held, 1_000
        case "decimals()":
            answer, energy = 18, 500
        case "transfer(address,uint256)":
            to, _ = read_call(bytes.fromhex("a9059cbb" + data))
            answer, energy = 1, energy_of(accounts, to)
        case unknown:
            raise ValueError(f"no function {unknown}")
    return {
        "result": {"result": True},
        "energy_used": energy,
        "constant_result": [answer.to_bytes(32, "big").hex()],
    }


def _resources(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    return {"TotalEnergyLimit": 180_000_000_000} | _account_net(node, asked, solid)


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
        "getEnergyFee": SUN_PER_ENERGY,
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
        if parse(raw).transfer.owner == node.mischief.dry:
            raise Refused("CONTRACT_VALIDATE_ERROR", "Contract validate error : balance is not sufficient.")
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
    "getaccountresource": _resources,
    "getcontract": _contract,
    "triggerconstantcontract": _constant,
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
            _shown(one) | {"ret": [{"contractRet": receipt.result}]}
            for one, receipt in zip(block.transactions, block.receipts, strict=True)
        ]
    return told


def _shown(one: Signed) -> dict[str, Any]:
    transaction = parse(one.raw)
    transfer = transaction.transfer
    kind, value = _value(transfer)
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
    if transaction.fee_limit:
        raw["fee_limit"] = transaction.fee_limit
    told = {"txID": one.txid.hex(), "raw_data": raw, "raw_data_hex": one.raw.hex(), "signature": []}
    return told | ({"signature": [one.signature.hex()]} if one.signature else {})


def _value(transfer: Transfer) -> tuple[str, dict[str, Any]]:
    """(type of the contract, its fields)."""
    value: dict[str, Any] = {"owner_address": _hex(transfer.owner)}
    if transfer.is_call:
        return _CALL, value | {"contract_address": _hex(transfer.asset), "data": call_data(transfer)}
    value |= {"to_address": _hex(transfer.to), "amount": transfer.amount}
    if not transfer.asset:
        return _TRX, value
    return _TRC10, value | {"asset_name": transfer.asset.encode().hex()}


def _from_json(raw: dict[str, Any]) -> Transaction:
    contract = raw["contract"][0]
    return Transaction(
        _transfer(contract["type"], contract["parameter"]["value"]),
        bytes.fromhex(raw["ref_block_bytes"]),
        bytes.fromhex(raw["ref_block_hash"]),
        int(raw["expiration"]),
        int(raw.get("timestamp", 0)),
        bytes.fromhex(raw.get("data", "")),
        int(raw.get("fee_limit", 0)),
    )


def _transfer(kind: str, value: dict[str, Any]) -> Transfer:
    owner = _address(value["owner_address"])
    if kind == _CALL:
        to, amount = read_call(bytes.fromhex(value["data"]))
        return Transfer(owner, to, _address(value["contract_address"]), amount)
    if kind not in (_TRX, _TRC10):
        raise ValueError(f"a {kind} is not known here")
    asset = bytes.fromhex(value["asset_name"]).decode() if kind == _TRC10 else ""
    return Transfer(owner, _address(value["to_address"]), asset, int(value["amount"]))


def _address(text: str) -> Address:
    if text.startswith("T"):
        return parse_address(text)
    return parse_address(base58.b58encode_check(bytes.fromhex(text)).decode())


def _hex(address: str) -> str:
    return base58.b58decode_check(address).hex()


def _word(address: str) -> str:
    return _hex(address)[2:].rjust(64, "0")
