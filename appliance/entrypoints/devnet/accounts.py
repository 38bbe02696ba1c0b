"""The development chain's accounts: who may move what, and what it costs.

The rules are those of java-tron for plain transfers, with the figures that the main chain had in 2025 (its
chain parameters): 600 bytes of free bandwidth a day, 1,000 SUN for a byte beyond, 1.1 TRX for waking an
account, 100 SUN for a unit of energy. One TRC-20 token with 18 decimals is there from the beginning.
"""

import hashlib
from dataclasses import dataclass, field, replace

import base58

from appliance.adapters.chain.fee import size_of
from appliance.adapters.chain.transaction import Transaction, Transfer
from appliance.core.keys import Address
from appliance.entrypoints.devnet.blocks import ChainReceipt, Signed

FREE_NET = 600
NET_WINDOW_MS = 86_400_000
SUN_PER_BYTE = 1_000
NEW_ACCOUNT_SUN = 1_000_000
NEW_ACCOUNT_NET_SUN = 100_000
SUN_PER_ENERGY = 100
ENERGY, ENERGY_NEW = 30_000, 60_000
"""What the contract takes for a holder of its token, and for one who becomes it: about what real ones do."""
TOKEN = Address(
    base58.b58encode_check(b"\x41" + hashlib.sha256(b"seedbox/devnet/token").digest()[:20]).decode()
)
"""The TRC-20 contract; balances are kept as those of other assets are, under its address."""


class Refused(Exception):
    """A node does not take a transaction: its `code` (`Return.response_code` of api.proto) and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class ChainAccount:
    """What the chain knows of an address."""

    trx: int = 0
    """SUN."""
    assets: dict[str, int] = field(default_factory=dict)
    net_used: int = 0
    net_at: int = 0
    created: int = 0

    def copy(self) -> "ChainAccount":
        """Another one of the same content."""
        return replace(self, assets=dict(self.assets))

    def free_net(self, now: int) -> int:
        """Bytes of free bandwidth that are left; what was used comes back evenly over a day."""
        gone = max(0, now - self.net_at)
        used = self.net_used * max(0, NET_WINDOW_MS - gone) // NET_WINDOW_MS
        return max(0, FREE_NET - used)


ChainAccounts = dict[Address, ChainAccount]


def energy_of(accounts: ChainAccounts, to: Address) -> int:
    """What a transfer of the token to an account takes."""
    held = to in accounts and accounts[to].assets.get(TOKEN, 0)
    return ENERGY if held else ENERGY_NEW


def apply(accounts: ChainAccounts, one: Signed, transaction: Transaction, now: int) -> ChainReceipt:
    """Carry out a transfer. Raises Refused, and then nothing has changed."""
    if transaction.transfer.owner not in accounts:
        raise _invalid("Validate TransferContract error, no OwnerAccount.")
    if transaction.transfer.is_call:
        return _call(accounts, one, transaction, now)
    return _transfer(accounts, one, transaction.transfer, now)


def _transfer(accounts: ChainAccounts, one: Signed, transfer: Transfer, now: int) -> ChainReceipt:
    """TRX, or a TRC-10 token."""
    if transfer.to == transfer.owner:
        raise _invalid("Cannot transfer TRX to yourself.")
    owner, new = accounts[transfer.owner].copy(), transfer.to not in accounts
    fee, used = _fee(owner, size_of(one.raw), now, new=new)
    to = ChainAccount(created=now) if new else accounts[transfer.to].copy()
    if transfer.asset:
        _move_asset(owner, to, transfer)
        _burn(owner, fee, waking=new)
    else:
        owner.trx -= transfer.amount
        _burn(owner, fee, waking=new)
        to.trx += transfer.amount
    accounts[transfer.owner], accounts[transfer.to] = owner, to
    return ChainReceipt(one.txid, fee, used)


def _move_asset(owner: ChainAccount, to: ChainAccount, transfer: Transfer) -> None:
    if owner.assets.get(transfer.asset, 0) < transfer.amount:
        held = transfer.asset in owner.assets
        raise _invalid("assetBalance is not sufficient." if held else "No asset!")
    _move(owner, to, transfer.asset, transfer.amount)


def _burn(owner: ChainAccount, fee: int, *, waking: bool) -> None:
    """Take a fee; what is below zero then says what it was that could not be paid."""
    owner.trx -= fee
    if owner.trx >= 0:
        return
    bandwidth = fee - (NEW_ACCOUNT_SUN if waking else 0)
    if owner.trx + bandwidth >= 0:
        raise Refused("BANDWITH_ERROR", "Account resource insufficient error.")
    raise _invalid("Validate TransferContract error, balance is not sufficient.")


def _call(accounts: ChainAccounts, one: Signed, transaction: Transaction, now: int) -> ChainReceipt:
    """The token's contract: it is paid for what it does, also where it then fails."""
    transfer = transaction.transfer
    if transfer.asset != TOKEN:
        raise _invalid("No contract or not a valid smart contract")
    owner = accounts[transfer.owner].copy()
    fee, used = _fee(owner, size_of(one.raw), now, new=False)
    if owner.trx < fee:
        raise Refused("BANDWITH_ERROR", "Account resource insufficient error.")
    most = max(0, min(transaction.fee_limit, owner.trx - fee) // SUN_PER_ENERGY)
    energy = energy_of(accounts, transfer.to)
    result = _result(owner, transfer, enough=most >= energy)
    energy = min(energy, most)
    burnt = fee + energy * SUN_PER_ENERGY
    owner.trx -= burnt
    accounts[transfer.owner] = owner
    if result == "SUCCESS":
        _move(owner, accounts.setdefault(transfer.to, ChainAccount(created=now)), TOKEN, transfer.amount)
    return ChainReceipt(one.txid, burnt, used, energy, result)


def _result(owner: ChainAccount, transfer: Transfer, *, enough: bool) -> str:
    if not enough:
        return "OUT_OF_ENERGY"
    return "SUCCESS" if owner.assets.get(TOKEN, 0) >= transfer.amount else "REVERT"


def _move(owner: ChainAccount, to: ChainAccount, asset: str, amount: int) -> None:
    owner.assets[asset] -= amount
    to.assets[asset] = to.assets.get(asset, 0) + amount


def _fee(owner: ChainAccount, size: int, now: int, *, new: bool) -> tuple[int, int]:
    """(SUN to burn, bytes of free bandwidth taken); notes the bytes in the account."""
    if new:
        return NEW_ACCOUNT_SUN + NEW_ACCOUNT_NET_SUN, 0
    left = owner.free_net(now)
    if left < size:
        return size * SUN_PER_BYTE, 0
    owner.net_used, owner.net_at = FREE_NET - left + size, now
    return 0, size


def _invalid(message: str) -> Refused:
    return Refused("CONTRACT_VALIDATE_ERROR", f"Contract validate error : {message}")
