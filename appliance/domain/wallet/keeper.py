"""Keeps the wallet and its ledger at one: reads the statement, tends channels, notices copies and losses."""

import secrets
from contextlib import suppress

from appliance.core.errors import OwnerMustAct
from appliance.core.journal import Journal
from appliance.core.units import MicroBtt, show_btt
from appliance.domain.ledger.channel import Channel, ChannelPhase
from appliance.domain.ledger.statement import AccountLine
from appliance.domain.wallet.model import ChannelStanding, WalletChannel
from appliance.domain.wallet.wallet import CLOSE_BEFORE_MS, Wallet, check

PAGE = 1_000


class WalletKeeper:
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
            if held.standing is ChannelStanding.OPEN:
                await self._wallet.stand(held.channel.id, None, ChannelStanding.FROZEN)
        for channel in await self._wallet.ask(lambda ledger: ledger.channels()):
            if channel.id not in known and channel.phase is not ChannelPhase.CLOSED:
                with suppress(OwnerMustAct):
                    await self._wallet.freeze(channel)
        self._report_frozen()

    def _report_frozen(self) -> None:
        frozen = [held for held in self._wallet.channels if held.standing is ChannelStanding.FROZEN]
        proven = sum(held.channel.paid for held in frozen if held.purpose.earns)
        unsure = sum(held.channel.lock - held.channel.paid for held in frozen)
        self._journal.error(
            "This box's database is older than its last run, or another box runs with the same identity. "
            f"It cannot know what was paid since in its channels ({len(frozen)}) and no longer uses them: "
            f"{show_btt(MicroBtt(proven))} BTT that it can prove are collected now; the ledger decides "
            f"about up to {show_btt(MicroBtt(unsure))} BTT when the channels end. Nothing else is lost."
        )

    # ----------------------------------------------------------------------------------------- statement

    async def _read(self) -> None:
        """Bring the copy of the statement up to date."""
        last = await self._store.last_line()
        while True:
            page = await self._page(last.number - 1 if last else 0)
            if last and page[:1] != [last]:
                last = await self._diverged()
                continue
            fresh = page[1:] if last else page
            check(last, fresh)
            if not fresh:
                return
            await self._store.add_lines(fresh)
            last = fresh[-1]
            if len(page) < PAGE:
                return

    async def _page(self, after: int) -> list[AccountLine]:
        return await self._wallet.ask(lambda ledger: ledger.statement(after, PAGE))

    async def _diverged(self) -> AccountLine | None:
        """The ledger has forgotten lines: set them aside, and say so; the last line that both know."""
        statement: list[AccountLine] = []
        while True:
            page = await self._page(statement[-1].number if statement else 0)
            statement += page
            if len(page) < PAGE:
                break
        gone = await self._store.diverge(statement)
        self._journal.error(
            f"Entries missing from the ledger: {len(gone.lines)} ({show_btt(gone.amount)} BTT in total). Its "
            "operator has restored an older database. Your box has kept them: seedbox wallet verify. Ask "
            "the operator to restore them."
        )
        return await self._store.last_line()

    # ------------------------------------------------------------------------------------------ channels

    async def _tend_all(self) -> None:
        if not self._wallet.channels:
            return
        known = {one.id: one for one in await self._wallet.ask(lambda ledger: ledger.channels())}
        now = await self._wallet.ask(lambda ledger: ledger.now())
        for held in self._wallet.channels:
            await self._tend(held, known.get(held.channel.id), now)

    async def _tend(self, held: WalletChannel, theirs: Channel | None, now: int) -> None:
        """Do what is due for one channel."""
        id = held.channel.id
        if held.standing is ChannelStanding.OPENING:
            try:
                await self._wallet.opened(held)
            except OwnerMustAct as error:
                self._journal.info(f"Could not open a channel: {error}")
            return
        if theirs is None:
            await self._lost(held)
        elif theirs.phase is ChannelPhase.CLOSED:
            await self._closed(held, theirs)
        elif _due(held, theirs, now):
            after = await self._wallet.close_channel(id)
            if held.purpose.earns:
                paid = show_btt(after.channel.paid)
                self._journal.info(f"Collected {paid} BTT from the channel of {held.counterparty}.")
        elif theirs.phase is not held.channel.phase:
            await self._wallet.stand(id, theirs, ChannelStanding.FROZEN)

    async def _lost(self, held: WalletChannel) -> None:
        await self._wallet.stand(held.channel.id, None, ChannelStanding.FORGOTTEN)
        worth = held.channel.paid if held.purpose.earns else held.channel.lock - held.channel.paid
        self._journal.error(
            f"The ledger no longer knows a channel between {held.counterparty} and this box; "
            f"{show_btt(MicroBtt(worth))} BTT in it cannot be collected. Ask the ledger's operator."
        )

    async def _closed(self, held: WalletChannel, theirs: Channel) -> None:
        await self._wallet.stand(held.channel.id, theirs, ChannelStanding.CLOSED)
        if held.purpose.earns and theirs.paid < held.channel.paid:
            missed = MicroBtt(held.channel.paid - theirs.paid)
            self._journal.error(
                f"A channel of {held.counterparty} was closed without its last payments: "
                f"{show_btt(missed)} BTT were not collected in time."
            )


def _due(held: WalletChannel, theirs: Channel, now: int) -> bool:
    """Whether a channel is to be closed now."""
    if held.purpose.earns:
        # Whoever has no state has nothing to show; the payer gets its money back without us.
        ending = theirs.phase is ChannelPhase.CLOSING or now >= theirs.expires - CLOSE_BEFORE_MS
        return held.state is not None and (ending or held.standing is ChannelStanding.FROZEN)
    if theirs.phase is ChannelPhase.CLOSING:
        return now >= theirs.closes
    return now >= theirs.expires
