"""One pass of the gateway: read solid blocks, sign what is to be sent, send it.

Everything is kept before it takes effect, and every pass begins from what is kept: it may be cut off
anywhere, and two of them may run at once.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from appliance.adapters.chain.node import ChainNode, Sent, SolidBlock
from appliance.adapters.chain.transaction import Transaction, Transfer, serialise, sign, txid
from appliance.adapters.store import ledger as store
from appliance.adapters.store.ledger_database import LedgerDatabase, Sql
from appliance.core.clock import Clock
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.keys import Address, Key, parse_address
from appliance.core.units import BTT, MicroBtt, UtcMs, show_btt
from appliance.domain.ledger import gateway
from appliance.domain.ledger.gateway import (
    DAY_MS,
    Asset,
    Outcome,
    Withdrawal,
    WithdrawalLimits,
    WithdrawalPhase,
)

log = logging.getLogger(__name__)

LIFE_MS = 600_000
"""How long after the newest solid block a transfer can still be included."""
FEE_LIMIT = 100_000_000
"""SUN: 100 TRX, several times what a TRC-20 transfer ever burnt; beyond it the transfer fails, and costs."""
_POSITION = "gateway-block"
NO_LIMITS = WithdrawalLimits()


@dataclass(frozen=True, slots=True)
class WaitingWithdrawal:
    """A withdrawal that was not signed, and why."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Passed:
    """What one pass has done."""

    deposits: list[MicroBtt]
    """Those that it has credited."""
    waiting: list[WaitingWithdrawal]


class ChainGateway:
    """The gateway of one ledger."""

    def __init__(
        self,
        database: LedgerDatabase,
        node: ChainNode,
        key: Key,
        asset: Asset,
        clock: Clock,
        limits: WithdrawalLimits = NO_LIMITS,
    ) -> None:
        """`key` is the wallet's; `asset` the token that the ledger's BTT stand for."""
        self._database = database
        self._node = node
        self._key = key
        self._asset = asset
        self._clock = clock
        self._limits = limits

    def run(self) -> Passed:
        """Make one pass. Raises RetryLater where the chain cannot be reached; what was done is kept."""
        deposits = self.read()
        waiting = [
            WaitingWithdrawal(one.id, why)
            for one in self._open(WithdrawalPhase.LOCKED)
            if (why := self.sign(one))
        ]
        for withdrawal in self._open(WithdrawalPhase.SIGNED):
            self.send(withdrawal)
        self.publish()
        return Passed(deposits, waiting)

    # --------------------------------------------------------------------------------------- the way in

    def read(self) -> list[MicroBtt]:
        """Read the solid blocks since the last time: withdrawals end, deposits come in; the deposits."""
        newest = self._node.solid_number()
        position = self._position()
        if position is None:
            # What came before this ledger had a gateway is not its business.
            block = self._node.solid_block(newest)
            self._database.transact(lambda sql: _move_to(sql, block))
            return []
        credited: list[MicroBtt] = []
        for number in range(position[0] + 1, newest + 1):
            block = self._node.solid_block(number)
            credited += self._database.transact(partial(self._take, block))
        holdings = self._asset.floor(self._node.solid_balance(self._key.address, self._asset.id))
        self._database.transact(lambda sql: store.put_fact(sql, "solid", str(holdings)))
        return credited

    def publish(self) -> None:
        """Leave in the ledger what its accounts need to know: where to deposit, and what leaving costs."""
        facts = {
            "address": self._key.address,
            "asset": self._asset.id,
            "development": self._node.development(),
            # The wallet stands for an address in use, and a new key for one that nobody has used.
            "fee": self._fee(self._key.address),
            "fee_new": self._fee(Key.make().address),
        }
        self._database.transact(lambda sql: store.put_fact(sql, gateway.FACT, json.dumps(facts)))

    def _fee(self, to: Address) -> int:
        """SUN that a withdrawal to an address costs now."""
        position = self._position()
        assert position is not None
        sample = Withdrawal(id="0" * 60, account=to, to=to, amount=BTT, at=UtcMs(0))
        block = self._node.solid_block(position[0])
        return self._node.fee(serialise(self._transaction(sample, block))).sun

    def _position(self) -> tuple[int, str] | None:
        found = self._database.transact(lambda sql: store.fact(sql, _POSITION))
        if found is None:
            return None
        number, id = found.split()
        return int(number), id

    def _take(self, block: SolidBlock, sql: Sql) -> list[MicroBtt]:
        """All that one block changes, in one transaction, once; the deposits that it brought."""
        number, id = (store.fact(sql, _POSITION) or "").split()
        if int(number) >= block.number:
            return []
        _check_follows(block, int(number), id)
        credited = [amount for id_, one in block.transfers if (amount := self._deposit(sql, id_, one))]
        included = {id_ for id_, _ in block.transfers}
        for withdrawal in _in_phase(store.open_withdrawals(sql), WithdrawalPhase.SIGNED):
            self._end(sql, withdrawal, included, block.timestamp)
        _move_to(sql, block)
        return credited

    def _deposit(self, sql: Sql, id: bytes, transaction: Transaction) -> MicroBtt:
        """Credit a transfer to whom it is for; the amount, 0 where it is none of ours or nobody's."""
        nothing, transfer = MicroBtt(0), transaction.transfer
        if (transfer.to, transfer.asset) != (self._key.address, self._asset.id):
            return nothing
        try:
            account = parse_address(transaction.memo.decode("ascii"))
            amount = self._asset.amount(transfer.amount)
        except (OwnerMustAct, UnicodeDecodeError):
            # Nobody's: it stays visible as the difference between what is held and what is owed.
            log.warning("transfer %s names no account, or no whole µBTT; it is not credited", id.hex())
            return nothing
        fresh = store.post(sql, gateway.deposit(account, amount, id, self._clock.now()))
        return amount if fresh else nothing

    def _end(self, sql: Sql, one: Withdrawal, included: set[bytes], block_time: int) -> None:
        now = self._clock.now()
        match gateway.outcome(one, included=one.txid in included, block_time=block_time):
            case Outcome.PAID:
                store.post(sql, gateway.settle(one, now))
                store.put_withdrawal(sql, replace(one, phase=WithdrawalPhase.PAID))
            case Outcome.IMPOSSIBLE:
                store.post(sql, gateway.refund(one, now))
                store.put_withdrawal(sql, replace(one, phase=WithdrawalPhase.REFUNDED))
            case Outcome.OPEN:
                pass

    # -------------------------------------------------------------------------------------- the way out

    def sign(self, withdrawal: Withdrawal) -> str:
        """Sign a withdrawal and keep the bytes, before anybody sees them; or say why it has to wait."""
        position = self._position()
        if position is None:
            return "the chain is not read yet"
        block = self._node.solid_block(position[0])
        transaction = self._transaction(withdrawal, block)
        raw = serialise(transaction)
        if why := self._why_not(withdrawal, raw, block):
            log.error("withdrawal %s waits: %s", withdrawal.id, why)
            return why
        signed = replace(
            withdrawal,
            phase=WithdrawalPhase.SIGNED,
            raw=raw,
            signature=sign(raw, self._key, transaction.transfer),
            txid=txid(raw),
            expiration=transaction.expiration,
        )

        def keep(sql: Sql) -> None:
            # Another pass may have been faster: what is kept first is what is sent. And limits hold for
            # what is kept, whoever signs meanwhile.
            if store.get_withdrawal(sql, withdrawal.id).phase is not WithdrawalPhase.LOCKED:
                return
            sent = store.signed_since(sql, transaction.expiration - DAY_MS)
            if not self._limits.wait(withdrawal.amount, sent):
                store.put_withdrawal(sql, signed)

        self._database.transact(keep)
        return ""

    def _transaction(self, withdrawal: Withdrawal, block: SolidBlock) -> Transaction:
        units = self._asset.units(withdrawal.amount)
        transfer = Transfer(self._key.address, withdrawal.to, self._asset.id, units)
        return Transaction(
            transfer,
            ref_block_bytes=block.id[6:8],
            ref_block_hash=block.id[8:16],
            expiration=block.timestamp + LIFE_MS,
            timestamp=block.timestamp,
            # So that two withdrawals of one amount to one address in one block are two transactions.
            memo=withdrawal.id.encode()[-60:],
            fee_limit=FEE_LIMIT if transfer.is_call else 0,
        )

    def _why_not(self, withdrawal: Withdrawal, raw: bytes, block: SolidBlock) -> str:
        """Why a withdrawal cannot be signed now; empty where it can."""
        return (
            self._limits.refuse(withdrawal.to, withdrawal.amount)
            or self._over_limit(withdrawal, block)
            or self._dry(withdrawal)
            or self._no_fee(withdrawal, raw)
        )

    def _over_limit(self, withdrawal: Withdrawal, block: SolidBlock) -> str:
        since = block.timestamp + LIFE_MS - DAY_MS
        sent = self._database.transact(lambda sql: store.signed_since(sql, since))
        return "the daily limit is reached" if self._limits.wait(withdrawal.amount, sent) else ""

    def _dry(self, withdrawal: Withdrawal) -> str:
        held = self._node.solid_balance(self._key.address, self._asset.id)
        out = self._asset.units(MicroBtt(sum(one.amount for one in self._open(WithdrawalPhase.SIGNED))))
        enough = held - out >= self._asset.units(withdrawal.amount)
        return "" if enough else f"the wallet {self._key.address} has run dry; send it tokens"

    def _no_fee(self, withdrawal: Withdrawal, raw: bytes) -> str:
        fee = self._node.fee(raw)
        if not fee.covered:
            return f"the wallet {self._key.address} needs {show_btt(MicroBtt(fee.sun))} TRX for the fee"
        log.info("withdrawal %s will burn %s TRX", withdrawal.id, show_btt(MicroBtt(fee.sun)))
        return ""

    def send(self, withdrawal: Withdrawal) -> None:
        """Send the bytes that are kept, again and again; what comes of it is read from solid blocks alone."""
        try:
            sent = self._node.broadcast(withdrawal.raw, withdrawal.signature)
        except RetryLater as error:
            log.warning("a broadcast got no answer (%s); the same bytes are sent again", error)
            return
        if sent is Sent.REFUSED:
            log.warning("the node refuses withdrawal %s for now", withdrawal.txid.hex())

    def _open(self, phase: WithdrawalPhase) -> list[Withdrawal]:
        return _in_phase(self._database.transact(store.open_withdrawals), phase)


def _in_phase(withdrawals: Sequence[Withdrawal], phase: WithdrawalPhase) -> list[Withdrawal]:
    return [one for one in withdrawals if one.phase is phase]


def _check_follows(block: SolidBlock, number: int, id: str) -> None:
    """Raise OwnerMustAct where a block is not the one after that with this number and id."""
    if (number, id) != (block.number - 1, block.parent.hex()):
        raise OwnerMustAct(
            f"The node's solid block {block.number} does not follow the one that was read before it: it "
            "is on another chain, or lies. Use another node, and check the ledger before you continue."
        )


def _move_to(sql: Sql, block: SolidBlock) -> None:
    store.put_fact(sql, _POSITION, f"{block.number} {block.id.hex()}")
