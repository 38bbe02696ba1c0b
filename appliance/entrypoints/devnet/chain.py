"""The development chain's rules: who may move what, what it costs, and when it is certain.

They are those of java-tron for plain transfers, with the figures that the main chain had in 2025 (its chain
parameters): 600 bytes of free bandwidth a day, 1,000 SUN for a byte beyond, 1.1 TRX for waking an account,
100 SUN for a unit of energy. One TRC-20 token with 18 decimals is there from the beginning.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import base58

from appliance.adapters.chain.fee import size_of
from appliance.adapters.chain.transaction import Transaction, parse, signer, txid
from appliance.core.errors import PeerMisbehaved
from appliance.core.keys import Address
from appliance.entrypoints.devnet.blocks import Block, Receipt, Signed

BLOCK_MS = 3_000
SOLID_AFTER = 19
"""Blocks on top of one, after which it is never taken back: 19 of the 27 witnesses have built on it."""
FREE_NET = 600
NET_WINDOW_MS = 86_400_000
SUN_PER_BYTE = 1_000
NEW_ACCOUNT_SUN = 1_000_000
NEW_ACCOUNT_NET_SUN = 100_000
LONGEST_LIFE_MS = 86_400_000
SUN_PER_ENERGY = 100
ENERGY, ENERGY_NEW = 30_000, 60_000
"""What the contract takes for a holder of its token, and for one who becomes it: about what real ones do."""
TOKEN = Address(
    base58.b58encode_check(b"\x41" + hashlib.sha256(b"seedbox/devnet/token").digest()[:20]).decode()
)
"""The TRC-20 contract; balances are kept as those of other assets are, under its address."""
_TAPOS_BLOCKS = 65_536


class Refused(Exception):
    """A node does not take a transaction: its `code` (`Return.response_code` of api.proto) and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Account:
    """What the chain knows of an address."""

    trx: int = 0
    """SUN."""
    assets: dict[str, int] = field(default_factory=dict)
    net_used: int = 0
    net_at: int = 0
    created: int = 0

    def copy(self) -> "Account":
        """Another one of the same content."""
        return replace(self, assets=dict(self.assets))

    def free_net(self, now: int) -> int:
        """Bytes of free bandwidth that are left; what was used comes back evenly over a day."""
        gone = max(0, now - self.net_at)
        used = self.net_used * max(0, NET_WINDOW_MS - gone) // NET_WINDOW_MS
        return max(0, FREE_NET - used)


class Chain:
    """All blocks, and the accounts after the newest of them."""

    def __init__(self, now: Callable[[], int], genesis: dict[Address, Account], history: int = 0) -> None:
        """`now` gives ms of UTC; `genesis` is what there is before `history` blocks that are empty."""
        self._now = now
        self._genesis = {address: account.copy() for address, account in genesis.items()}
        self.accounts = {address: account.copy() for address, account in genesis.items()}
        self.blocks = [Block(0, bytes(32), now() // BLOCK_MS * BLOCK_MS - (history + 1) * BLOCK_MS)]
        for number in range(1, history + 1):
            self.blocks.append(Block(number, self.newest.id, self.newest.timestamp + BLOCK_MS))
        self.pending: list[Signed] = []
        self._solid = max(0, history - SOLID_AFTER)
        """Number of the newest solid block; a fork does not lower it."""
        self._where: dict[bytes, int] = {}
        """Txid -> number of the block that holds it."""

    @property
    def newest(self) -> Block:
        """The head of the chain."""
        return self.blocks[-1]

    @property
    def solid(self) -> Block:
        """The newest block that can never be taken back."""
        return self.blocks[self._solid]

    def find(self, id: bytes) -> tuple[Block, Signed, Receipt] | None:
        """The block that holds a transaction, with it and its receipt."""
        if id not in self._where:
            return None
        block = self.blocks[self._where[id]]
        at = next(at for at, one in enumerate(block.transactions) if one.txid == id)
        return block, block.transactions[at], block.receipts[at]

    def take(self, raw: bytes, signature: bytes) -> bytes:
        """Take a broadcast transaction for the next block; its id. Raises Refused as a node does."""
        one = Signed(raw, signature, txid(raw))
        if one.txid in self._where or any(one.txid == other.txid for other in self.pending):
            raise Refused("DUP_TRANSACTION_ERROR", "Dup transaction.")
        transaction = self._check(one)
        # On a copy of all that is pending: two transfers of the last coin are not both taken.
        accounts = {address: account.copy() for address, account in self.accounts.items()}
        for other in self.pending:
            with suppress(Refused):
                _apply(accounts, other, parse(other.raw), self._now())
        _apply(accounts, one, transaction, self._now())
        self.pending.append(one)
        return one.txid

    def _check(self, one: Signed) -> Transaction:
        try:
            transaction = parse(one.raw)
            by = signer(one.raw, one.signature)
        except PeerMisbehaved as error:
            raise Refused("SIGERROR", f"Validate signature error: {error}") from error
        if by != transaction.transfer.owner:
            raise Refused(
                "SIGERROR", f"Validate signature error: {by} but it is not contained of permission."
            )
        if not self._tapos(transaction):
            raise Refused("TAPOS_ERROR", "Tapos check error.")
        head = self.newest.timestamp
        if not head < transaction.expiration <= head + LONGEST_LIFE_MS:
            raise Refused("TRANSACTION_EXPIRATION_ERROR", "Transaction expired")
        return transaction

    def _tapos(self, transaction: Transaction) -> bool:
        """Whether the block that it refers to is one of this chain, and recent."""
        low, head = int.from_bytes(transaction.ref_block_bytes, "big"), self.newest.number
        number = head - (head - low) % _TAPOS_BLOCKS
        return 0 <= number < len(self.blocks) and self.blocks[number].id[8:16] == transaction.ref_block_hash

    def make_block(self) -> Block:
        """The next block, with all pending transactions that are still good."""
        timestamp = max(self.newest.timestamp + BLOCK_MS, self._now() // BLOCK_MS * BLOCK_MS)
        made = Block(self.newest.number + 1, self.newest.id, timestamp)
        taken, receipts = [], []
        pending, self.pending = self.pending, []
        for one in pending:
            try:
                transaction = parse(one.raw)
                if transaction.expiration <= self.newest.timestamp:
                    continue
                receipts.append(_apply(self.accounts, one, transaction, timestamp))
                taken.append(one)
            except Refused:
                continue
        made = replace(made, transactions=tuple(taken), receipts=tuple(receipts))
        self.blocks.append(made)
        self._solid = max(self._solid, made.number - SOLID_AFTER)
        self._where |= {one.txid: made.number for one in taken}
        return made

    def fork(self, depth: int) -> list[Signed]:
        """Take the newest `depth` blocks back, solid ones never; the transactions that were in them."""
        depth = min(depth, self.newest.number - self._solid)
        lost = [one for block in self.blocks[len(self.blocks) - depth :] for one in block.transactions]
        del self.blocks[len(self.blocks) - depth :]
        self._replay()
        return lost

    def accounts_at(self, number: int) -> dict[Address, Account]:
        """All accounts after a block."""
        accounts = {address: account.copy() for address, account in self._genesis.items()}
        for block in self.blocks[: number + 1]:
            for one in block.transactions:
                _apply(accounts, one, parse(one.raw), block.timestamp)
        return accounts

    def _replay(self) -> None:
        self.accounts = self.accounts_at(self.newest.number)
        self._where = {one.txid: block.number for block in self.blocks for one in block.transactions}


def energy_of(accounts: dict[Address, Account], to: Address) -> int:
    """What a transfer of the token to an account takes."""
    held = to in accounts and accounts[to].assets.get(TOKEN, 0)
    return ENERGY if held else ENERGY_NEW


def _apply(accounts: dict[Address, Account], one: Signed, transaction: Transaction, now: int) -> Receipt:
    """Carry out a transfer. Raises Refused, and then nothing has changed."""
    transfer = transaction.transfer
    if transfer.owner not in accounts:
        raise _invalid("Validate TransferContract error, no OwnerAccount.")
    if transfer.is_call:
        return _call(accounts, one, transaction, now)
    if transfer.to == transfer.owner:
        raise _invalid("Cannot transfer TRX to yourself.")
    owner = accounts[transfer.owner].copy()
    new = transfer.to not in accounts
    fee, used = _fee(owner, size_of(one.raw), now, new=new)
    if transfer.asset and owner.assets.get(transfer.asset, 0) < transfer.amount:
        held = transfer.asset in owner.assets
        raise _invalid("assetBalance is not sufficient." if held else "No asset!")
    owner.trx -= fee + (0 if transfer.asset else transfer.amount)
    if owner.trx < 0:
        burnt = fee - (NEW_ACCOUNT_SUN if new else 0)
        if owner.trx + burnt >= 0:
            raise Refused("BANDWITH_ERROR", "Account resource insufficient error.")
        raise _invalid("Validate TransferContract error, balance is not sufficient.")
    to = accounts[transfer.to].copy() if not new else Account(created=now)
    if transfer.asset:
        _move(owner, to, transfer.asset, transfer.amount)
    else:
        to.trx += transfer.amount
    accounts[transfer.owner], accounts[transfer.to] = owner, to
    return Receipt(one.txid, fee, used)


def _call(accounts: dict[Address, Account], one: Signed, transaction: Transaction, now: int) -> Receipt:
    """The token's contract: it is paid for what it does, also where it then fails."""
    transfer = transaction.transfer
    if transfer.asset != TOKEN:
        raise _invalid("No contract or not a valid smart contract")
    owner = accounts[transfer.owner].copy()
    fee, used = _fee(owner, size_of(one.raw), now, new=False)
    energy, result = energy_of(accounts, transfer.to), "SUCCESS"
    most = min(transaction.fee_limit, owner.trx - fee) // SUN_PER_ENERGY
    if owner.trx < fee:
        raise Refused("BANDWITH_ERROR", "Account resource insufficient error.")
    if most < energy:
        energy, result = max(0, most), "OUT_OF_ENERGY"
    elif owner.assets.get(TOKEN, 0) < transfer.amount:
        result = "REVERT"
    owner.trx -= fee + energy * SUN_PER_ENERGY
    accounts[transfer.owner] = owner
    if result == "SUCCESS":
        to = accounts.setdefault(transfer.to, Account(created=now))
        _move(owner, to, TOKEN, transfer.amount)
    return Receipt(one.txid, fee + energy * SUN_PER_ENERGY, used, energy, result)


def _move(owner: Account, to: Account, asset: str, amount: int) -> None:
    owner.assets[asset] -= amount
    to.assets[asset] = to.assets.get(asset, 0) + amount


def _fee(owner: Account, size: int, now: int, *, new: bool) -> tuple[int, int]:
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
