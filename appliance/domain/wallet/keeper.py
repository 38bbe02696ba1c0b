"""Keeps the wallet and its ledger at one: reads the statement, tends channels, notices copies and losses."""

import secrets

from appliance.core.errors import OwnerMustAct
from appliance.core.journal import Journal
from appliance.core.units import MicroBtt, show_btt
from appliance.domain.ledger.channel import Channel, Phase
from appliance.domain.ledger.statement import Line
from appliance.domain.wallet.model import Held, Standing
from appliance.domain.wallet.wallet import CLOSE_BEFORE_MS, Wallet, check

PAGE = 1_000


class Keeper:
    """One wallet's dealings with its ledger; a round does all that is due."""

    def __init__(self, wallet: Wallet, journal: Journal) -> None:
        self._wallet = wallet
        self._store = wallet.store
        self._journal = journal
        self._marked = -1
        """`wallet.states` when the last mark was left."""

    async def round(self) -> None:
        """All that is due. Raises RetryLater while the ledger is away; what was done is kept."""
        await self._mark()
        await self._read()
        await self._tend_all()

    # ------------------------------------------------------------------------------- copies and restores

    async def _mark(self) -> None:
        """Leave another mark at the ledger whenever states went by.

        Who then starts from an older copy of the database knows an older mark, and finds out here before it
        uses a channel of which it may not know the last state.
        """
        states = self._wallet.states
        if states == self._marked:
            return
        known = await self._store.marks()
        new = known[1] if len(known) > 1 else secrets.token_hex(32)
        await self._store.put_marks([*known[:1], new])
        found = await self._wallet.ask(lambda ledger: ledger.mark([*known[:1], new], new))
        if found != new:
            await self._restored()
            await self._wallet.ask(lambda ledger: ledger.mark([found], new))
        await self._store.put_marks([new])
        self._marked = states

    async def _restored(self) -> None:
        """Use no channel any more that may have been used after this database was copied."""
        known = {held.channel.id for held in self._wallet.channels}
        for held in self._wallet.channels:
            if held.standing is Standing.OPEN:
                await self._wallet.stand(held.channel.id, None, Standing.FROZEN)
        for channel in await self._wallet.ask(lambda ledger: ledger.channels()):
            if channel.id not in known and channel.phase is not Phase.CLOSED:
                try:
                    await self._wallet.freeze(channel)
                except OwnerMustAct:
                    continue
        frozen = [held for held in self._wallet.channels if held.standing is Standing.FROZEN]
        proven = sum(held.channel.paid for held in frozen if held.purpose.earns)
        unsure = sum(held.channel.lock - held.channel.paid for held in frozen)
        self._journal.error(
            "This box's database is older than its last run, or another box runs with the same identity. "
            f"It cannot know what was paid in {len(frozen)} channels since, and uses them no more: "
            f"{show_btt(MicroBtt(proven))} BTT that it can prove are collected now, and the ledger decides "
            f"about at most {show_btt(MicroBtt(unsure))} BTT when the channels end. Nothing else is lost."
        )

    # ----------------------------------------------------------------------------------------- statement

    async def _read(self) -> None:
        """Bring the copy of the statement up to date."""
        last = await self._store.last_line()
        while True:
            after = last.number - 1 if last else 0
            told = await self._wallet.ask(lambda ledger, after=after: ledger.statement(after, PAGE))  # type: ignore[misc]
            if last and (not told or told[0] != last):
                last = await self._diverged()
                continue
            fresh = told[1:] if last else told
            check(last, fresh)
            if not fresh:
                return
            await self._store.add_lines(fresh)
            last = fresh[-1]
            if len(told) < PAGE:
                return

    async def _diverged(self) -> Line | None:
        """The ledger has forgotten lines: set them aside, and say so; the last line that both know."""
        told: list[Line] = []
        while True:
            after = told[-1].number if told else 0
            page = await self._wallet.ask(lambda ledger, after=after: ledger.statement(after, PAGE))  # type: ignore[misc]
            told += page
            if len(page) < PAGE:
                break
        gone = await self._store.diverge(told)
        self._journal.error(
            f"The ledger has forgotten {len(gone.lines)} entries that it had told of before "
            f"({show_btt(gone.amount)} BTT in all): its operator has put an older database back. Yours are "
            "kept here as they were told: seedbox wallet verify. Ask the operator to put them right."
        )
        return await self._store.last_line()

    # ------------------------------------------------------------------------------------------ channels

    async def _tend_all(self) -> None:
        if not self._wallet.channels:
            return
        told = {one.id: one for one in await self._wallet.ask(lambda ledger: ledger.channels())}
        now = await self._wallet.ask(lambda ledger: ledger.now())
        for held in self._wallet.channels:
            await self._tend(held, told.get(held.channel.id), now)

    async def _tend(self, held: Held, told: Channel | None, now: int) -> None:
        """Do what is due for one channel."""
        id = held.channel.id
        if held.standing is Standing.OPENING:
            try:
                await self._wallet.opened(held)
            except OwnerMustAct as error:
                self._journal.info(f"A channel was not opened: {error}")
            return
        if told is None:
            await self._lost(held)
        elif told.phase is Phase.CLOSED:
            await self._closed(held, told)
        elif _due(held, told, now):
            after = await self._wallet.close_channel(id)
            if held.purpose.earns:
                paid = show_btt(after.channel.paid)
                self._journal.info(f"{paid} BTT were collected from the channel of {held.counterparty}.")
        elif told.phase is not held.channel.phase:
            await self._wallet.stand(id, told, Standing.FROZEN)

    async def _lost(self, held: Held) -> None:
        await self._wallet.stand(held.channel.id, None, Standing.FORGOTTEN)
        worth = held.channel.paid if held.purpose.earns else held.channel.lock - held.channel.paid
        self._journal.error(
            f"The ledger does not know a channel any more that {held.counterparty} and this box have used; "
            f"{show_btt(MicroBtt(worth))} BTT in it are not to be had. Ask its operator."
        )

    async def _closed(self, held: Held, told: Channel) -> None:
        await self._wallet.stand(held.channel.id, told, Standing.CLOSED)
        if held.purpose.earns and told.paid < held.channel.paid:
            missed = MicroBtt(held.channel.paid - told.paid)
            self._journal.error(
                f"A channel of {held.counterparty} was closed without the last states: "
                f"{show_btt(missed)} BTT were not collected in time."
            )


def _due(held: Held, told: Channel, now: int) -> bool:
    """Whether a channel is to be closed now."""
    if held.purpose.earns:
        # Whoever has no state has nothing to show; the payer gets its money back without us.
        ending = told.phase is Phase.CLOSING or now >= told.expires - CLOSE_BEFORE_MS
        return held.state is not None and (ending or held.standing is Standing.FROZEN)
    if told.phase is Phase.CLOSING:
        return now >= told.closes
    return now >= told.expires
