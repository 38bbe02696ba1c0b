"""TRON's nodes over HTTP: several of them, of which one has to answer, and none is believed blindly."""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import base58
import requests
from tronpy.exceptions import ApiError
from tronpy.providers import HTTPProvider

from appliance.adapters.chain.fee import Fee, Prices, Resources, forecast, size_of
from appliance.adapters.chain.node import Sent, SolidBlock
from appliance.adapters.chain.protobuf import encode
from appliance.adapters.chain.transaction import Transaction, Transfer, call_data, parse, txid
from appliance.core.errors import OwnerMustAct, PeerMisbehaved, RetryLater
from appliance.core.keys import Address

log = logging.getLogger(__name__)

WAIT_S = 10.0
TRIES = 4
_TRANSFERRED = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Keccak-256("Transfer(address,address,uint256)"): the event of every TRC-20 transfer."""
_NEW_ACCOUNT_SUN = 100_000
"""Bandwidth of waking an account, burnt beside the chain's fee for it (`getCreateAccountFee`)."""

_UNCLEAR = ("", "SERVER_BUSY", "OTHER_ERROR", "NO_CONNECTION")
"""Answers to a broadcast after which it may have been taken all the same."""


class HttpNode:
    """Full nodes and solidity nodes, each tried in their order, and all of them again a little later."""

    def __init__(
        self,
        urls: Sequence[str],
        solidity: Sequence[str] = (),
        *,
        asset: str = "",
        api_key: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`urls` such as `https://host`; `solidity` where those are others. Raises OwnerMustAct for none.

        `asset` is the TRC-20 contract whose transfers are looked for, if any; `api_key` for services that
        want one.
        """
        if not urls:
            raise OwnerMustAct("No TRON node is set. Add at least one to gateway.nodes in seedbox.toml.")
        self._full = [_provider(url, api_key) for url in urls]
        self._solidity = [_provider(url, api_key) for url in solidity] or self._full
        self._asset = asset
        self._sleep = sleep
        self._chance = random.Random()  # noqa: S311  spreads retries, decides nothing

    def close(self) -> None:
        """Hang up."""
        for provider in {*self._full, *self._solidity}:
            provider.sess.close()

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The first sensible answer. Raises RetryLater where there is none after some rounds.

        Nodes that are too busy (429) or broken (5xx) are given more time from round to round.
        """
        last = ""
        providers = self._solidity if path.startswith("walletsolidity/") else self._full
        for tried in range(TRIES):
            if tried:
                self._sleep(0.5 * 2**tried * self._chance.uniform(0.75, 1.25))
            for provider in providers:
                answer = _answer(provider, path, body)
                if isinstance(answer, dict):
                    return answer
                last = answer
        raise RetryLater(f"No TRON node answers {path} ({last}). The next pass tries again.")

    def development(self) -> bool:
        """Whether the node says that it is one for development."""
        info = self.ask("wallet/getnodeinfo", {}).get("configNodeInfo")
        return isinstance(info, dict) and "devnet" in str(info.get("codeVersion"))

    def solid_number(self) -> int:
        """Number of the newest solid block."""
        return _whole(self.ask("walletsolidity/getnowblock", {}), "block_header", "raw_data", "number")

    def solid_block(self, number: int) -> SolidBlock:
        """A solid block."""
        block = self.ask("walletsolidity/getblockbynum", {"num": number})
        try:
            raw = block["block_header"]["raw_data"]
            id, parent = bytes.fromhex(block["blockID"]), bytes.fromhex(raw["parentHash"])
            time = int(raw["timestamp"])
        except (KeyError, ValueError, TypeError) as error:
            raise RetryLater(f"A TRON node does not have block {number} yet.") from error
        if int.from_bytes(id[:8], "big") != number or len(id) != 32:
            raise RetryLater(f"A TRON node answered with another block than {number}.")
        found = _transfers(block.get("transactions", []))
        transfers = tuple((id_, one) for id_, one in found if self._happened(id_, one))
        return SolidBlock(number, id, parent, time, transfers)

    def _happened(self, id: bytes, one: Transaction) -> bool:
        """Whether a transfer moved what it says: of a contract's, only the event it left is proof."""
        if not one.transfer.is_call:
            return True
        if one.transfer.asset != self._asset:
            return False
        receipt = self.ask("walletsolidity/gettransactioninfobyid", {"value": id.hex()})
        if receipt.get("id") != id.hex():
            raise RetryLater("A TRON node does not have a transaction's receipt yet.")
        wanted = {
            "address": _raw(one.transfer.asset)[1:].hex(),
            "topics": [_TRANSFERRED, _word(one.transfer.owner), _word(one.transfer.to)],
            "data": one.transfer.amount.to_bytes(32, "big").hex(),
        }
        return wanted in receipt.get("log", [])

    def solid_balance(self, address: Address, asset: str) -> int:
        """What an address holds of a token after the newest solid block."""
        if asset.startswith("T"):
            return self._contract_balance(address, asset)
        account = self.ask("walletsolidity/getaccount", {"address": address, "visible": True})
        held = (one.get("value", 0) for one in account.get("assetV2", []) if one.get("key") == asset)
        return int(next(held, 0))

    def _contract_balance(self, address: Address, contract: str) -> int:
        answer = self._call("walletsolidity", address, contract, "balanceOf(address)", _word(address))
        try:
            return int(answer["constant_result"][0], 16)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise RetryLater("A TRON node did not report the wallet's balance.") from error

    def fee(self, raw: bytes) -> Fee:
        """What a transaction will cost, by the account's resources and the chain's prices of this moment."""
        transfer = parse(raw).transfer
        energy, wakes = 0, False
        if transfer.is_call:
            energy = self._energy(transfer)
        else:
            wakes = not self.ask("wallet/getaccount", {"address": transfer.to, "visible": True})
        return forecast(
            self._resources(transfer.owner), self._prices(), size=size_of(raw), energy=energy, wakes=wakes
        )

    def _energy(self, transfer: Transfer) -> int:
        data = call_data(transfer)
        answer = self._call("wallet", transfer.owner, transfer.asset, "transfer(address,uint256)", data[8:])
        return _whole(answer, "energy_used")

    def _call(self, node: str, owner: Address, contract: str, selector: str, data: str) -> dict[str, Any]:
        """A contract's function, as if it were called."""
        body = {
            "owner_address": owner,
            "contract_address": contract,
            "function_selector": selector,
            "parameter": data,
            "visible": True,
        }
        return self.ask(f"{node}/triggerconstantcontract", body)

    def _resources(self, address: Address) -> Resources:
        asked = {"address": address, "visible": True}
        left, account = self.ask("wallet/getaccountresource", asked), self.ask("wallet/getaccount", asked)
        free = left.get("freeNetLimit", 0) - left.get("freeNetUsed", 0)
        staked = left.get("NetLimit", 0) - left.get("NetUsed", 0)
        return Resources(
            trx=int(account.get("balance", 0)),
            bandwidth=int(max(free, staked, 0)),
            energy=int(max(0, left.get("EnergyLimit", 0) - left.get("EnergyUsed", 0))),
        )

    def _prices(self) -> Prices:
        parameters = self.ask("wallet/getchainparameters", {}).get("chainParameter", [])
        known = {one["key"]: one.get("value", 0) for one in parameters}
        try:
            return Prices(
                byte=known["getTransactionFee"],
                energy=known["getEnergyFee"],
                new_account=known["getCreateNewAccountFeeInSystemContract"]
                + known.get("getCreateAccountFee", _NEW_ACCOUNT_SUN),
            )
        except KeyError as error:
            raise RetryLater("A TRON node did not report its fees.") from error

    def broadcast(self, raw: bytes, signature: bytes) -> Sent:
        """Send a signed transaction."""
        whole = encode([(1, raw), (2, signature)]).hex()
        answer = self.ask("wallet/broadcasthex", {"transaction": whole})
        code = str(answer.get("code", ""))
        if answer.get("result") is True or code == "DUP_TRANSACTION_ERROR":
            return Sent.TAKEN
        if code:
            log.warning("TRON: %s %s", code, _message(answer))
        return Sent.UNKNOWN if code in _UNCLEAR else Sent.REFUSED


def _provider(url: str, api_key: str) -> HTTPProvider:
    provider = HTTPProvider(url, timeout=WAIT_S, api_key=api_key or None)
    if api_key:
        # tronpy sends a key to TronGrid alone, and forgets it when it was refused once.
        provider.use_api_key = False
        provider.sess.headers["TRON-PRO-API-KEY"] = api_key
    return provider


def _answer(provider: HTTPProvider, path: str, body: dict[str, Any]) -> dict[str, Any] | str:
    """A node's sensible answer, or in a few words what else came of it."""
    try:
        answer = provider.make_request(path, body)
    except (requests.RequestException, ValueError, ApiError) as error:
        return type(error).__name__
    sensible = isinstance(answer, dict) and "Error" not in answer
    return answer if sensible else str(answer)[:100]


def _transfers(transactions: list[Any]) -> Iterator[tuple[bytes, Transaction]]:
    """The plain transfers among a block's transactions, by their bytes and not by the node's words."""
    for one in transactions:
        try:
            raw = bytes.fromhex(one["raw_data_hex"])
            result = one["ret"][0].get("contractRet", "SUCCESS")
            transaction = parse(raw)
        except (KeyError, ValueError, TypeError, IndexError, PeerMisbehaved):
            continue
        if result == "SUCCESS":
            yield txid(raw), transaction


def _raw(address: str) -> bytes:
    return bytes(base58.b58decode_check(address))


def _word(address: str) -> str:
    """An account as the ABI has it."""
    return _raw(address)[1:].rjust(32, b"\0").hex()


def _whole(answer: dict[str, Any], *path: str) -> int:
    found: Any = answer
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, int):
        raise RetryLater("This server is not a TRON node.")
    return found


def _message(answer: dict[str, Any]) -> str:
    try:
        return bytes.fromhex(answer.get("message", "")).decode(errors="replace")[:200]
    except ValueError:
        return str(answer.get("message", ""))[:200]
