"""One pass of the gateway: read solid blocks, sign what is to be sent, send it.

Everything is kept before it takes effect, and every pass begins from what is kept: it may be cut off
anywhere, and two of them may run at once.
"""

import logging
from dataclasses import replace

from appliance.chain.node import ChainNode, Sent, SolidBlock
from appliance.chain.transaction import Transaction, Transfer, serialise, sign, txid
from appliance.clock import Clock
from appliance.errors import OwnerMustAct, RetryLater
from appliance.keys import Key, parse_address
from appliance.ledger import gateway
from appliance.ledger.gateway import Outcome, Phase, Withdrawal
from appliance.store import ledger as store
from appliance.store.ledger_database import LedgerDatabase, Sql
from appliance.units import MicroBtt

log = logging.getLogger(__name__)

LIFE_MS = 600_000
"""From the newest solid block on: how long a transfer can still be included."""
_POSITION = "gateway-block"


class Gateway:
    """The gateway of one ledger."""

    def __init__(self, database: LedgerDatabase, node: ChainNode, key: Key, asset: str, clock: Clock) -> None:
        """`key` is the wallet's; `asset` the id of a TRC-10 token with six decimals: units are µBTT."""
        self._database = database
        self._node = node
        self._key = key
        self._asset = asset
        self._clock = clock

    def run(self) -> None:
        """One pass. Raises RetryLater where the chain is away; what was done by then is kept."""
        self.read()
        for withdrawal in self._open(Phase.LOCKED):
            self.sign(withdrawal)
        for withdrawal in self._open(Phase.SIGNED):
            self.send(withdrawal)

    # --------------------------------------------------------------------------------------- the way in

    def read(self) -> None:
        """Read the solid blocks since the last time: deposits come in, withdrawals end."""
        newest = self._node.solid_number()
        position = self._position()
        if position is None:
            # What came before this ledger had a gateway is not its business.
            block = self._node.solid_block(newest)
            self._database.transact(lambda sql: _move_to(sql, block))
            return
        for number in range(position[0] + 1, newest + 1):
            block = self._node.solid_block(number)
            self._database.transact(lambda sql, block=block: self._take(sql, block))  # type: ignore[misc]
        holdings = self._node.solid_balance(self._key.address, self._asset)
        self._database.transact(lambda sql: store.put_fact(sql, "solid", str(holdings)))

    def _position(self) -> tuple[int, str] | None:
        found = self._database.transact(lambda sql: store.fact(sql, _POSITION))
        if found is None:
            return None
        number, id = found.split()
        return int(number), id

    def _take(self, sql: Sql, block: SolidBlock) -> None:
        """All that one block changes, in one transaction, once."""
        number, id = (store.fact(sql, _POSITION) or "").split()
        if int(number) >= block.number:
            return
        if int(number) != block.number - 1 or id != block.parent.hex():
            raise OwnerMustAct(
                f"The node's solid block {block.number} does not follow the one that was read before it: it "
                "is on another chain, or lies. Name another node, and look into the ledger before going on."
            )
        for id_, transaction in block.transfers:
            self._deposit(sql, id_, transaction)
        included = {id_ for id_, _ in block.transfers}
        for one in store.open_withdrawals(sql):
            if one.phase is Phase.SIGNED:
                self._end(sql, one, included, block.timestamp)
        _move_to(sql, block)

    def _deposit(self, sql: Sql, id: bytes, transaction: Transaction) -> None:
        transfer = transaction.transfer
        if transfer.to != self._key.address or transfer.asset != self._asset:
            return
        try:
            account = parse_address(transaction.memo.decode("ascii"))
        except (OwnerMustAct, UnicodeDecodeError):
            # Nobody's: it stays visible as the difference between what is held and what is owed.
            log.warning("transfer %s has no account in its memo; it is not credited", id.hex())
            return
        store.post(sql, gateway.deposit(account, MicroBtt(transfer.amount), id, self._clock.now()))

    def _end(self, sql: Sql, one: Withdrawal, included: set[bytes], block_time: int) -> None:
        now = self._clock.now()
        match gateway.outcome(one, included=one.txid in included, block_time=block_time):
            case Outcome.PAID:
                store.post(sql, gateway.settle(one, now))
                store.put_withdrawal(sql, replace(one, phase=Phase.PAID))
            case Outcome.IMPOSSIBLE:
                store.post(sql, gateway.refund(one, now))
                store.put_withdrawal(sql, replace(one, phase=Phase.REFUNDED))
            case Outcome.OPEN:
                pass

    # -------------------------------------------------------------------------------------- the way out

    def sign(self, withdrawal: Withdrawal) -> None:
        """Sign a withdrawal and keep the bytes, before anybody sees them. One that is not covered waits."""
        position = self._position()
        if position is None:
            return
        block = self._node.solid_block(position[0])
        out = sum(one.amount for one in self._open(Phase.SIGNED))
        if self._node.solid_balance(self._key.address, self._asset) - out < withdrawal.amount:
            log.error("the wallet %s does not cover a withdrawal; it waits", self._key.address)
            return
        intended = Transfer(self._key.address, withdrawal.to, self._asset, withdrawal.amount)
        transaction = Transaction(
            intended,
            ref_block_bytes=block.id[6:8],
            ref_block_hash=block.id[8:16],
            expiration=block.timestamp + LIFE_MS,
            timestamp=block.timestamp,
            # So that two withdrawals of one amount to one address in one block are two transactions.
            memo=withdrawal.id.encode()[-60:],
        )
        raw = serialise(transaction)
        signed = replace(
            withdrawal,
            phase=Phase.SIGNED,
            raw=raw,
            signature=sign(raw, self._key, intended),
            txid=txid(raw),
            expiration=transaction.expiration,
        )

        def keep(sql: Sql) -> None:
            # Another pass may have been faster: what is kept first is what is sent.
            if store.get_withdrawal(sql, withdrawal.id).phase is Phase.LOCKED:
                store.put_withdrawal(sql, signed)

        self._database.transact(keep)

    def send(self, withdrawal: Withdrawal) -> None:
        """Send the bytes that are kept, again and again; what comes of it is read from solid blocks alone."""
        try:
            sent = self._node.broadcast(withdrawal.raw, withdrawal.signature)
        except RetryLater as error:
            log.warning("a broadcast got no answer (%s); the same bytes are sent again", error)
            return
        if sent is Sent.REFUSED:
            log.warning("the node refuses withdrawal %s for now", withdrawal.txid.hex())

    def _open(self, phase: Phase) -> list[Withdrawal]:
        found = self._database.transact(store.open_withdrawals)
        return [one for one in found if one.phase is phase]


def _move_to(sql: Sql, block: SolidBlock) -> None:
    store.put_fact(sql, _POSITION, f"{block.number} {block.id.hex()}")
