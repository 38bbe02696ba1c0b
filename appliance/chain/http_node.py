"""TRON's nodes over HTTP: several of them, of which one has to answer, and none is believed blindly."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import requests
from tronpy.providers import HTTPProvider

from appliance.chain.node import Sent, SolidBlock
from appliance.chain.protobuf import encode
from appliance.chain.transaction import Transaction, parse, txid
from appliance.errors import OwnerMustAct, PeerMisbehaved, RetryLater
from appliance.keys import Address

log = logging.getLogger(__name__)

WAIT_S = 10.0


class HttpNode:
    """Full and solidity node at the same addresses, tried in their order."""

    def __init__(self, urls: Sequence[str], api_key: str = "") -> None:
        """`urls` such as `https://host`; `api_key` for services that want one."""
        if not urls:
            raise OwnerMustAct("No TRON node is named; name at least one.")
        self._providers = [HTTPProvider(url, timeout=WAIT_S, api_key=api_key or None) for url in urls]

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The first sensible answer. Raises RetryLater where there is none."""
        last: Exception | None = None
        for provider in self._providers:
            try:
                answer = provider.make_request(path, body)
            except (requests.RequestException, ValueError) as error:
                last = error
                continue
            if isinstance(answer, dict) and "Error" not in answer:
                return answer
            last = PeerMisbehaved(str(answer)[:200])
        raise RetryLater(f"No TRON node answers {path} ({type(last).__name__}). It is tried again.")

    def solid_number(self) -> int:
        """Number of the newest solid block."""
        return _whole(self.ask("walletsolidity/getnowblock", {}), "block_header", "raw_data", "number")

    def solid_block(self, number: int) -> SolidBlock:
        """A solid block."""
        told = self.ask("walletsolidity/getblockbynum", {"num": number})
        try:
            raw = told["block_header"]["raw_data"]
            id, parent = bytes.fromhex(told["blockID"]), bytes.fromhex(raw["parentHash"])
            time = int(raw["timestamp"])
        except (KeyError, ValueError, TypeError) as error:
            raise RetryLater(f"A TRON node does not have block {number} yet.") from error
        if int.from_bytes(id[:8], "big") != number or len(id) != 32:
            raise RetryLater(f"A TRON node answers with another block than {number}.")
        return SolidBlock(number, id, parent, time, tuple(_transfers(told.get("transactions", []))))

    def solid_balance(self, address: Address, asset: str) -> int:
        """What an address holds of a token after the newest solid block."""
        told = self.ask("walletsolidity/getaccount", {"address": address, "visible": True})
        held = [one.get("value", 0) for one in told.get("assetV2", []) if one.get("key") == asset]
        return int(held[0]) if held else 0

    def broadcast(self, raw: bytes, signature: bytes) -> Sent:
        """Send a signed transaction."""
        whole = encode([(1, raw), (2, signature)]).hex()
        told = self.ask("wallet/broadcasthex", {"transaction": whole})
        if told.get("result") is True or told.get("code") == "DUP_TRANSACTION_ERROR":
            return Sent.TAKEN
        if "code" not in told:
            return Sent.UNKNOWN
        log.warning("TRON: %s %s", told["code"], _message(told))
        unclear = told["code"] in ("SERVER_BUSY", "OTHER_ERROR", "NO_CONNECTION")
        return Sent.UNKNOWN if unclear else Sent.REFUSED


def _transfers(told: list[Any]) -> Iterator[tuple[bytes, Transaction]]:
    """The plain transfers among a block's transactions, by their bytes and not by the node's words."""
    for one in told:
        try:
            raw = bytes.fromhex(one["raw_data_hex"])
            result = one["ret"][0].get("contractRet", "SUCCESS")
            transaction = parse(raw)
        except (KeyError, ValueError, TypeError, IndexError, PeerMisbehaved):
            continue
        if result == "SUCCESS":
            yield txid(raw), transaction


def _whole(told: dict[str, Any], *path: str) -> int:
    found: Any = told
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, int):
        raise RetryLater("What answers is no TRON node.")
    return found


def _message(told: dict[str, Any]) -> str:
    try:
        return bytes.fromhex(told.get("message", "")).decode(errors="replace")[:200]
    except ValueError:
        return str(told.get("message", ""))[:200]
