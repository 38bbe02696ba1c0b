"""What a full node and a solidity node of java-tron answer, as far as transfers need it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from appliance.adapters.chain.protobuf import decode
from appliance.adapters.chain.transaction import Transfer, parse, read_call, serialise, txid
from appliance.core.errors import PeerMisbehaved
from appliance.core.keys import Address
from appliance.entrypoints.devnet.accounts import (
    FREE_NET,
    SUN_PER_BYTE,
    SUN_PER_ENERGY,
    TOKEN,
    ChainAccount,
    Refused,
    energy_of,
)
from appliance.entrypoints.devnet.blocks import Block, ChainReceipt, Signed
from appliance.entrypoints.devnet.node import MARK, Node
from appliance.entrypoints.devnet.shapes import (
    address_from,
    block_json,
    hex_of,
    transaction_from,
    transaction_json,
    word_of,
)

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


def _now_block(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    return block_json(node.chain.solid if solid else node.chain.newest)


def _block_by_number(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    number, top = int(asked["num"]), (node.chain.solid if solid else node.chain.newest).number
    return block_json(node.chain.blocks[number]) if 0 <= number <= top else {}


def _transaction(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    found = _found(node, asked, solid)
    return transaction_json(found[1]) | {"ret": [{"contractRet": found[2].result}]} if found else {}


def _transaction_info(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    if not (found := _found(node, asked, solid)):
        return {}
    block, one, receipt = found
    burnt = receipt.energy * SUN_PER_ENERGY
    net = {"net_usage": receipt.net_usage} if receipt.net_usage else {"net_fee": receipt.fee - burnt}
    info: dict[str, Any] = {
        "id": one.txid.hex(),
        "blockNumber": block.number,
        "blockTimeStamp": block.timestamp,
        "contractResult": [""],
        "receipt": net,
    }
    transfer = parse(one.raw).transfer
    if transfer.is_call:
        energy = {"energy_fee": burnt, "energy_usage_total": receipt.energy, "result": receipt.result}
        info |= {"contract_address": hex_of(transfer.asset), "receipt": net | energy}
        info |= _outcome(transfer, receipt)
    return info | ({"fee": receipt.fee} if receipt.fee else {})


def _outcome(transfer: Transfer, receipt: ChainReceipt) -> dict[str, Any]:
    """What a contract has logged, or that it failed."""
    if receipt.result != "SUCCESS":
        return {"result": "FAILED"}
    topics = [_TRANSFERRED, word_of(transfer.owner), word_of(transfer.to)]
    data = transfer.amount.to_bytes(32, "big").hex()
    return {"log": [{"address": hex_of(transfer.asset)[2:], "topics": topics, "data": data}]}


def _found(node: Node, asked: dict[str, Any], solid: bool) -> tuple[Block, Signed, ChainReceipt] | None:
    found = node.chain.find(bytes.fromhex(asked["value"]))
    return found if found and not (solid and found[0].number > node.chain.solid.number) else None


def _accounts(node: Node, solid: bool) -> dict[Address, ChainAccount]:
    return node.chain.accounts_at(node.chain.solid.number) if solid else node.chain.accounts


def _assets(account: ChainAccount) -> list[dict[str, Any]]:
    held = {id: amount for id, amount in account.assets.items() if amount and id != TOKEN}
    return [{"key": id, "value": amount} for id, amount in held.items()]


def _account(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    address = address_from(asked["address"])
    account = _accounts(node, solid).get(address)
    if account is None or address == node.mischief.dry:
        return {}
    assets = _assets(account)
    # What is zero or empty is left out, as protobuf does.
    numbers = {"balance": account.trx} if account.trx else {}
    lists = {"assetV2": assets} if assets else {}
    return {"address": asked["address"], "create_time": account.created} | numbers | lists


def _account_net(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    account = node.chain.accounts.get(address_from(asked["address"]), ChainAccount())
    used = FREE_NET - account.free_net(node.chain.newest.timestamp)
    return {"freeNetLimit": FREE_NET, "TotalNetLimit": 43_200_000_000} | (
        {"freeNetUsed": used} if used else {}
    )


def _contract(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    if address_from(asked["value"]) != TOKEN:
        return {}
    return {"contract_address": hex_of(TOKEN), "name": "DevelopmentBTT", "abi": _ABI, "bytecode": ""}


def _constant(node: Node, asked: dict[str, Any], solid: bool) -> Any:
    """A function of the token's contract, as if it were called: nothing changes."""
    if address_from(asked["contract_address"]) != TOKEN:
        raise ValueError("Smart contract is not exist.")
    called = _FUNCTIONS.get(asked["function_selector"])
    if called is None:
        raise ValueError(f"no function {asked['function_selector']}")
    answer, energy = called(node, _accounts(node, solid), str(asked.get("parameter", "")))
    return {
        "result": {"result": True},
        "energy_used": energy,
        "constant_result": [answer.to_bytes(32, "big").hex()],
    }


def _balance_of(node: Node, accounts: dict[Address, ChainAccount], data: str) -> tuple[int, int]:
    who = address_from("41" + data[24:64])
    held = accounts.get(who, ChainAccount()).assets.get(TOKEN, 0)
    return 0 if who == node.mischief.dry else held, 1_000


def _would_transfer(node: Node, accounts: dict[Address, ChainAccount], data: str) -> tuple[int, int]:
    to, _ = read_call(bytes.fromhex("a9059cbb" + data))
    return 1, energy_of(accounts, to)


_FUNCTIONS: dict[str, Callable[[Node, dict[Address, ChainAccount], str], tuple[int, int]]] = {
    "balanceOf(address)": _balance_of,
    "decimals()": lambda node, accounts, data: (18, 500),
    "transfer(address,uint256)": _would_transfer,
}
"""Function of the token's contract -> (what it returns, the energy it takes)."""


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
    raw = serialise(transaction_from(asked["raw_data"]))
    transaction = parse(raw)
    if node.mischief.lie:
        node.mischief.lie -= 1
        other = replace(transaction.transfer, amount=transaction.transfer.amount + 1)
        raw = serialise(replace(transaction, transfer=other))
    shown = transaction_json(Signed(raw, b"", txid(raw)))
    owner = hex_of(transaction.transfer.owner)
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
    raw = serialise(transaction_from(asked["raw_data"]))
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


ANSWERS: dict[str, Callable[[Node, dict[str, Any], bool], Any]] = {
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
"""Name of a call -> its answer, from the node, the request, and whether a solidity node is asked."""
