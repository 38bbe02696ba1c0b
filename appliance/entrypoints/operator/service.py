"""What the ledger does for its accounts: each call is one transaction, and the same call twice is one."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from appliance.adapters.ledger_http import messages as wire
from appliance.adapters.store import ledger as store
from appliance.adapters.store.ledger_database import LedgerDatabase, Sql
from appliance.adapters.store.ledger_unit import Unit
from appliance.core.clock import Clock
from appliance.core.errors import NotFound, OwnerMustAct, SeedboxError
from appliance.core.keys import Address, parse_address
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger import channel as channels
from appliance.domain.ledger import gateway
from appliance.domain.ledger import payout as payouts
from appliance.domain.ledger.channel import Channel
from appliance.domain.ledger.gateway import DAY_MS, Withdrawal, WithdrawalLimits
from appliance.domain.ledger.payout import Payout
from appliance.domain.ledger.request import WINDOW_MS, Signer
from appliance.domain.ledger.statement import AccountLine
from appliance.entrypoints.operator.requests import (
    Replayed,
    Requests,
    SignedRequest,
    amount_of,
    check_inside,
    nonce_of,
)

T = TypeVar("T")
MOST_LINES = 1_000
NO_LIMITS = WithdrawalLimits()


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """What the operator publishes."""

    held: MicroBtt
    outside: MicroBtt
    solid: MicroBtt | None
    gateway: wire.GatewayInfo | None


class Operator:
    """One ledger."""

    def __init__(
        self,
        database: LedgerDatabase,
        clock: Clock,
        name: str,
        limits: WithdrawalLimits = NO_LIMITS,
        payout_lock_ms: int = DAY_MS,
    ) -> None:
        """`name` is for people. The ledger's id is made once, and stays with its database."""
        self._database = database
        self._clock = clock
        self._limits = limits
        self._payout_lock_ms = payout_lock_ms
        self.name = name
        self.id = database.transact(_own_id)
        self.requests = Requests(self.id, clock)
        """Those that can be done together."""

    # ------------------------------------------------------------------------------------ for its accounts

    def once(self, signer: Signer, work: Callable[[Sql], T]) -> T:
        """Run the work of a signed request, and remember that it came. Raises Replayed."""

        def noted(sql: Sql) -> T:
            if not store.note_nonce(sql, signer.public, signer.nonce, signer.at):
                raise Replayed("This request was already used; sign a new one to ask again.")
            return work(sql)

        return self._database.transact(noted)

    def account(self, who: Address) -> tuple[MicroBtt, MicroBtt]:
        """(balance, locked in channels that this account pays from)."""

        def work(sql: Sql) -> tuple[MicroBtt, MicroBtt]:
            mine = store.channels_of(sql, who)
            locked = sum(
                one.lock
                for one in mine
                if one.payer_address == who and one.phase is not channels.ChannelPhase.CLOSED
            )
            return store.balance(sql, who), MicroBtt(locked)

        return self._database.transact(work)

    def statement(self, who: Address, after: int, count: int) -> list[AccountLine]:
        """Lines of an account, the oldest first."""
        count = max(1, min(MOST_LINES, count))
        return self._database.transact(lambda sql: store.statement(sql, who, after=after, count=count))

    def channel(self, who: Address, id: bytes) -> Channel:
        """A channel, for those who are in it. Raises NotFound."""
        found = self._database.transact(lambda sql: store.get_channel(sql, id))
        check_inside(found, who)
        return found

    def channels(self, who: Address) -> list[Channel]:
        """All channels of an account."""
        return self._database.transact(lambda sql: store.channels_of(sql, who))

    def together(self, asked: Sequence[SignedRequest[Any]]) -> list[Any]:
        """Do many things in one transaction, each wholly or not at all; results, or what each has raised.

        Raises RetryLater where nothing was done.
        """

        def work(sql: Sql) -> list[Any]:
            unit = Unit(sql, [one.needs for one in asked])
            results: list[Any] = []
            for one in asked:
                draft = unit.draft()
                try:
                    if not draft.take_nonce(nonce_of(one.signer)):
                        raise Replayed("This request was already used; sign a new one to ask again.")
                    results.append(one.work(draft))
                    draft.keep()
                except SeedboxError as error:
                    results.append(error)
            unit.write()
            return results

        return self._database.transact(work)

    def withdraw(self, signer: Signer, wanted: wire.NewWithdrawal) -> Withdrawal:
        """Set money apart for the chain; the gateway sends it. The same name again is the same withdrawal."""
        new = Withdrawal(
            id=f"{signer.address}.{wanted.name}",
            account=signer.address,
            to=parse_address(wanted.to),
            amount=amount_of(wanted.amount),
            at=self._clock.now(),
        )

        def work(sql: Sql) -> Withdrawal:
            try:
                known = store.get_withdrawal(sql, new.id)
            except NotFound:
                payouts.allowed(store.payout_of(sql, new.account), new.to, new.at)
                if never := self._limits.refuse(new.to, new.amount):
                    raise OwnerMustAct(never) from None
                store.post(sql, gateway.lock(new))
                store.put_withdrawal(sql, new)
                return new
            if (known.to, known.amount) != (new.to, new.amount):
                raise OwnerMustAct(
                    "A withdrawal with this name but other terms already exists; choose another name."
                )
            return known

        return self.once(signer, work)

    def cancel(self, signer: Signer, name: str) -> Withdrawal:
        """Take a withdrawal back, as long as nothing is signed for it."""

        def work(sql: Sql) -> Withdrawal:
            found = store.get_withdrawal(sql, f"{signer.address}.{name}")
            if found.phase is gateway.WithdrawalPhase.REFUNDED:
                return found
            store.post(sql, gateway.cancel(found, self._clock.now()))
            after = replace(found, phase=gateway.WithdrawalPhase.REFUNDED)
            store.put_withdrawal(sql, after)
            return after

        return self.once(signer, work)

    def payout(self, who: Address) -> Payout | None:
        """Where an account's money may leave to."""
        return self._database.transact(lambda sql: store.payout_of(sql, who))

    def set_payout(self, signer: Signer, to: Address) -> Payout:
        """Another payout address, in force after the time lock."""

        def work(sql: Sql) -> Payout:
            known = store.payout_of(sql, signer.address)
            after = payouts.change(known, to, self._clock.now(), self._payout_lock_ms)
            store.put_payout(sql, signer.address, after)
            return after

        return self.once(signer, work)

    def mark(self, signer: Signer, wanted: wire.NewMark) -> str:
        """Put a mark in place of one that is known; the mark that is there then."""
        return self.once(signer, lambda sql: store.swap_mark(sql, signer.address, wanted.known, wanted.new))

    def withdrawals(self, who: Address) -> list[Withdrawal]:
        """All withdrawals of an account, the newest first."""
        return self._database.transact(lambda sql: store.withdrawals_of(sql, who))

    # ----------------------------------------------------------------------------------- for everybody

    def figures(self) -> LedgerFigures:
        """What is owed, what came in, and what the chain holds."""

        def work(sql: Sql) -> LedgerFigures:
            solid = store.fact(sql, "solid")
            return LedgerFigures(
                held=store.held(sql),
                outside=MicroBtt(-store.outside(sql)),
                solid=None if solid is None else MicroBtt(int(solid)),
                gateway=_gateway(sql),
            )

        return self._database.transact(work)

    # --------------------------------------------------------------------- for the gateway to the chain

    def credit(self, account: Address, amount: MicroBtt, txid: str) -> bool:
        """Credit a deposit that is solid on the chain; False where it was credited before."""
        line = gateway.deposit(account, amount, bytes.fromhex(txid), self._clock.now())
        return self._database.transact(lambda sql: store.post(sql, line))

    def tidy(self) -> None:
        """Forget nonces that are too old to matter; now and then."""
        self._database.transact(
            lambda sql: store.forget_nonces(sql, UtcMs(self._clock.now() - 2 * WINDOW_MS))
        )

    def audit(self) -> None:
        """Add everything up again. Raises Bug."""
        self._database.transact(store.audit)


def _gateway(sql: Sql) -> wire.GatewayInfo | None:
    fact = store.fact(sql, gateway.FACT)
    return msgspec.json.decode(fact, type=wire.GatewayInfo) if fact else None


def _own_id(sql: Sql) -> bytes:
    found = store.fact(sql, "ledger")
    if found is None:
        found = secrets.token_hex(channels.ID_BYTES)
        store.put_fact(sql, "ledger", found)
    return bytes.fromhex(found)
