"""The development chain: its blocks, what they take, and when that is certain."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from appliance.adapters.chain.transaction import Transaction, parse, signer, txid
from appliance.core.errors import PeerMisbehaved
from appliance.core.keys import Address
from appliance.entrypoints.devnet.accounts import ChainAccount, Refused, apply
from appliance.entrypoints.devnet.blocks import Block, ChainReceipt, Signed

BLOCK_MS = 3_000
SOLID_AFTER = 19
"""Blocks on top of one, after which it is never taken back: 19 of the 27 witnesses have built on it."""
LONGEST_LIFE_MS = 86_400_000
_TAPOS_BLOCKS = 65_536


class Chain:
    """All blocks, and the accounts after the newest of them."""

    def __init__(
        self, now: Callable[[], int], genesis: dict[Address, ChainAccount], history: int = 0
    ) -> None:
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

    def find(self, id: bytes) -> tuple[Block, Signed, ChainReceipt] | None:
        """The block that holds a transaction, with it and its receipt."""
        if id not in self._where:
            return None
        block = self.blocks[self._where[id]]
        at = next(at for at, one in enumerate(block.transactions) if one.txid == id)
        return block, block.transactions[at], block.receipts[at]

    def take(self, raw: bytes, signature: bytes) -> bytes:
        """Take a broadcast transaction for the next block; its id. Raises Refused as a node does."""
        one = Signed(raw, signature, txid(raw))
        if self._knows(one.txid):
            raise Refused("DUP_TRANSACTION_ERROR", "Dup transaction.")
        transaction = self._check(one)
        # On a copy of all that is pending: two transfers of the last coin are not both taken.
        accounts = {address: account.copy() for address, account in self.accounts.items()}
        for other in self.pending:
            with suppress(Refused):
                apply(accounts, other, parse(other.raw), self._now())
        apply(accounts, one, transaction, self._now())
        self.pending.append(one)
        return one.txid

    def _knows(self, txid: bytes) -> bool:
        return txid in self._where or any(txid == other.txid for other in self.pending)

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
                receipts.append(apply(self.accounts, one, transaction, timestamp))
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

    def accounts_at(self, number: int) -> dict[Address, ChainAccount]:
        """All accounts after a block."""
        accounts = {address: account.copy() for address, account in self._genesis.items()}
        for block in self.blocks[: number + 1]:
            for one in block.transactions:
                apply(accounts, one, parse(one.raw), block.timestamp)
        return accounts

    def _replay(self) -> None:
        self.accounts = self.accounts_at(self.newest.number)
        self._where = {one.txid: block.number for block in self.blocks for one in block.transactions}
