"""Blocks, transactions and addresses in the JSON that java-tron speaks."""

from typing import Any

import base58

from appliance.adapters.chain.transaction import Transaction, Transfer, call_data, parse, read_call
from appliance.core.keys import Address, parse_address
from appliance.entrypoints.devnet.blocks import VERSION, WITNESS, Block, Signed

_TRX, _TRC10, _CALL = "TransferContract", "TransferAssetContract", "TriggerSmartContract"


def block_json(block: Block) -> dict[str, Any]:
    """A block, as `getnowblock` gives it."""
    raw = {
        "number": block.number,
        "txTrieRoot": block.root.hex(),
        "witness_address": WITNESS.hex(),
        "parentHash": block.parent.hex(),
        "version": VERSION,
        "timestamp": block.timestamp,
    }
    shown: dict[str, Any] = {
        "blockID": block.id.hex(),
        "block_header": {"raw_data": raw, "witness_signature": ""},
    }
    if block.transactions:
        shown["transactions"] = [
            transaction_json(one) | {"ret": [{"contractRet": receipt.result}]}
            for one, receipt in zip(block.transactions, block.receipts, strict=True)
        ]
    return shown


def transaction_json(one: Signed) -> dict[str, Any]:
    """A transaction, as `gettransactionbyid` gives it."""
    transaction = parse(one.raw)
    transfer = transaction.transfer
    kind, value = _contract_json(transfer)
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
    shown = {"txID": one.txid.hex(), "raw_data": raw, "raw_data_hex": one.raw.hex(), "signature": []}
    return shown | ({"signature": [one.signature.hex()]} if one.signature else {})


def _contract_json(transfer: Transfer) -> tuple[str, dict[str, Any]]:
    """(type of the contract, its fields)."""
    value: dict[str, Any] = {"owner_address": hex_of(transfer.owner)}
    if transfer.is_call:
        return _CALL, value | {"contract_address": hex_of(transfer.asset), "data": call_data(transfer)}
    value |= {"to_address": hex_of(transfer.to), "amount": transfer.amount}
    if not transfer.asset:
        return _TRX, value
    return _TRC10, value | {"asset_name": transfer.asset.encode().hex()}


def transaction_from(raw: dict[str, Any]) -> Transaction:
    """The transaction that a client's `raw_data` means. Raises ValueError, KeyError, OwnerMustAct."""
    contract = raw["contract"][0]
    return Transaction(
        _transfer_from(contract["type"], contract["parameter"]["value"]),
        bytes.fromhex(raw["ref_block_bytes"]),
        bytes.fromhex(raw["ref_block_hash"]),
        int(raw["expiration"]),
        int(raw.get("timestamp", 0)),
        bytes.fromhex(raw.get("data", "")),
        int(raw.get("fee_limit", 0)),
    )


def _transfer_from(kind: str, value: dict[str, Any]) -> Transfer:
    owner = address_from(value["owner_address"])
    if kind == _CALL:
        to, amount = read_call(bytes.fromhex(value["data"]))
        return Transfer(owner, to, address_from(value["contract_address"]), amount)
    if kind not in (_TRX, _TRC10):
        raise ValueError(f"a {kind} is not known here")
    asset = bytes.fromhex(value["asset_name"]).decode() if kind == _TRC10 else ""
    return Transfer(owner, address_from(value["to_address"]), asset, int(value["amount"]))


def address_from(text: str) -> Address:
    """An address in Base58Check or in hex. Raises ValueError, OwnerMustAct."""
    if text.startswith("T"):
        return parse_address(text)
    return parse_address(base58.b58encode_check(bytes.fromhex(text)).decode())


def hex_of(address: str) -> str:
    """An address in hex, with its first byte `41`."""
    return base58.b58decode_check(address).hex()


def word_of(address: str) -> str:
    """An address as a word of 32 bytes, as contracts take and log it."""
    return hex_of(address)[2:].rjust(64, "0")
