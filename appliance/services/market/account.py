"""The box's money, wired: its key, its account at a ledger, and the loop that keeps both at one."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec

from appliance.adapters.ledger_http import messages as wire
from appliance.adapters.ledger_http.client import LedgerClient
from appliance.adapters.store.database import Database
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.store.settings import Settings
from appliance.adapters.store.wallet import WalletMemory
from appliance.core.clock import Clock
from appliance.core.errors import OwnerMustAct, RetryLater, SeedboxError
from appliance.core.keys import Key, parse_address
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.wallet.keeper import WalletKeeper
from appliance.domain.wallet.wallet import Wallet

log = logging.getLogger(__name__)

ROUND_S = 300.0
BEAT_S = 5.0
PATIENCE_S = 120.0
"""For a round: a ledger that sends a byte now and then would otherwise be waited for without an end."""
AWAY_S = 30.0
"""How soon a ledger that is away is asked again."""
FRESH_MS = 5_000
"""Somebody who looks sees nothing older, as far as the ledger answers."""
_KNOWN = "money-ledger"
_OWNER = "money-account"


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger told at the last round."""

    at: UtcMs = UtcMs(0)  # noqa: RUF009  a NewType, not a call
    """0: never since the start."""
    away: str = ""
    """Why it could not be asked since; empty where all is well."""
    info: wire.LedgerInfo | None = None
    payout: wire.PayoutInfo = field(default_factory=lambda: wire.PayoutInfo("", "", 0))
    withdrawals: tuple[wire.WithdrawalInfo, ...] = ()


class Money:
    """The box's account; its wallet is there from the first time that the ledger has answered."""

    def __init__(
        self, url: str, key: Key, database: Database, settings: Settings, journal: EventJournal, clock: Clock
    ) -> None:
        """`url` is the ledger's. Raises OwnerMustAct where it is none."""
        self.url, self.key = url, key
        self._database, self._settings = database, settings
        self._journal, self._clock = journal, clock
        self._known = self._known_ledger()
        self._client = LedgerClient(url, key, clock, self._known)
        self.told = Told()
        self.wallet: Wallet | None = None
        self._keeper: WalletKeeper | None = None
        self._busy = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    def _known_ledger(self) -> bytes | None:
        """The id of the ledger that was at this address the last time."""
        kept = self._settings.decoded(_KNOWN, dict[str, str]) or {}
        return bytes.fromhex(kept[self.url]) if self.url in kept else None

    async def start(self) -> None:
        """Begin with what is known; the ledger need not answer."""
        owner = (self._settings.get(_OWNER) or b"").decode()
        if owner not in ("", self.key.address):
            self._journal.error(
                f"The box's key is another one than before: the account {owner} cannot be used without the "
                "old one. Put your copy of identity.key back into the state folder, and start again."
            )
        await self._settings.put(_OWNER, self.key.address.encode())
        if self._known:
            await self._begin(self._known)

    async def _meet(self) -> Wallet:
        """Ask the ledger for its name, the first time, and remember it: another one is not trusted there."""
        ledger = await asyncio.to_thread(lambda: self._client.ledger)
        kept = self._settings.decoded(_KNOWN, dict[str, str]) or {}
        await self._settings.put(_KNOWN, msgspec.msgpack.encode(kept | {self.url: ledger.hex()}))
        return await self._begin(ledger)

    async def _begin(self, ledger: bytes) -> Wallet:
        memory = WalletMemory(self._database, ledger, self._clock)
        wallet = Wallet(self.key, self._client, memory)
        await wallet.load()
        self._keeper = WalletKeeper(wallet, self._journal)
        self.wallet = wallet
        return wallet

    def close(self) -> None:
        """Hang up, whoever waits for an answer."""
        if self.wallet:
            self.wallet.close()
        self._client.abort()

    async def run(self, beat: Callable[[], None]) -> None:
        """Rounds, for ever; a ledger that is away is asked sooner, one that never ends is hung up on."""
        due, going, began = 0.0, None, 0.0
        try:
            while True:
                beat()
                now = time.monotonic()
                if going is None and now >= due:
                    going, began = asyncio.create_task(self.round()), now
                if going is None:
                    await asyncio.sleep(min(BEAT_S, max(0.1, due - now)))
                    continue
                await asyncio.wait([going], timeout=BEAT_S)
                if going.done():
                    going.result()
                    going, due = None, time.monotonic() + (AWAY_S if self.told.away else ROUND_S)
                elif time.monotonic() - began > PATIENCE_S:
                    self._client.abort()
        finally:
            # Who looks must not begin another question when this one is cut off.
            for task in (going, self._looking):
                if task is not None:
                    task.cancel()

    async def fresh(self) -> Told:
        """What the ledger tells now, for somebody who looks."""
        if self._clock.now() - self.told.at > FRESH_MS:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self.round())
            # A slow ledger is not waited for: the round goes on, and what was told before is shown.
            _, late = await asyncio.wait([self._looking], timeout=3)
            if late and not self.told.away:
                self._away(f"The ledger {self.url} is slow to answer.", new=True)
        return self.told

    async def round(self) -> None:
        """Ask the ledger for everything; where it is away, what it told before stays."""
        async with self._busy:
            try:
                await self._ask_all()
            except RetryLater as error:
                self._away(str(error), new=not self.told.away)
            except SeedboxError as error:
                if self.told.away != str(error):
                    self._journal.error(str(error))
                self._away(str(error), new=False)

    def _away(self, why: str, *, new: bool) -> None:
        if new:
            log.warning("%s", why)
        self.told = replace(self.told, away=why)

    async def _ask_all(self) -> None:
        wallet = self.wallet or await self._meet()
        assert self._keeper is not None
        info = await wallet.ask(lambda _: self._client.info())
        await self._keeper.round()
        payout, withdrawals = await wallet.ask(
            lambda _: (self._client.payout(), tuple(self._client.withdrawals()))
        )
        self.told = Told(self._clock.now(), "", info, payout, withdrawals)

    # ----------------------------------------------------------------------------------- for the owner

    def usable(self) -> Wallet:
        """The wallet. Raises RetryLater before the ledger has answered for the first time."""
        if self.wallet is None:
            raise RetryLater(f"The ledger {self.url} has not answered yet. {self.told.away}".strip())
        return self.wallet

    async def withdraw(self, name: str, amount: MicroBtt, to: str) -> None:
        """Ask for money on the chain; the same `name` again asks for nothing more."""
        if amount <= 0:
            raise OwnerMustAct("An amount to withdraw is more than nothing.")
        address = parse_address(to)
        sums = await self.usable().store.sums()
        if amount > sums.available:
            raise OwnerMustAct("That is more than the box has free; see: seedbox wallet show")
        await self.usable().ask(lambda _: self._client.withdraw(name, address, amount))
        await self.round()

    async def cancel(self, name: str) -> None:
        """Take a withdrawal back that is not on its way."""
        await self.usable().ask(lambda _: self._client.cancel(name))
        await self.round()

    async def set_payout(self, to: str) -> None:
        """Another payout address, in force after the ledger's time lock."""
        address = parse_address(to)
        await self.usable().ask(lambda _: self._client.set_payout(address))
        await self.round()
