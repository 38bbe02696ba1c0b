"""The box's account at a ledger: its key, its wallet, and the loop that keeps wallet and ledger in step."""

import asyncio
import logging
from dataclasses import dataclass, field, replace

import msgspec

from appliance.adapters.ledger_http import messages as wire
from appliance.adapters.ledger_http.client import LedgerClient
from appliance.adapters.store.database import Database
from appliance.adapters.store.settings import Settings
from appliance.adapters.store.wallet import WalletMemory
from appliance.core.clock import Clock
from appliance.core.errors import Bug, OwnerMustAct, RetryLater, SeedboxError
from appliance.core.journal import Journal
from appliance.core.keys import Key, parse_address
from appliance.core.service import Beat
from appliance.core.tasks import Fail, Tasks
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.wallet.keeper import WalletKeeper
from appliance.domain.wallet.wallet import Wallet

log = logging.getLogger(__name__)

ROUND_S = 300.0
BEAT_S = 5.0
ROUND_LIMIT_S = 120.0
"""For one round: a ledger that sends a byte now and then would otherwise be waited for without an end."""
AWAY_S = 30.0
"""How soon a ledger that is away is asked again."""
FRESH_MS = 5_000
"""What somebody is shown is no older than this, as far as the ledger answers."""
SLOW_S = 3.0
"""How long somebody who looks waits for a ledger; after that the last answers are shown."""
_KNOWN = "money-ledger"
_OWNER = "money-account"


@dataclass(frozen=True, slots=True)
class LedgerReply:
    """The ledger's answers of the last round, and why there are none since."""

    at: UtcMs = UtcMs(0)
    """When it answered; 0: not since the start."""
    away: str = ""
    """Why it could not be asked since; empty where all is well."""
    info: wire.LedgerInfo | None = None
    payout: wire.PayoutInfo = field(default_factory=lambda: wire.PayoutInfo("", "", 0))
    withdrawals: tuple[wire.WithdrawalInfo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPorts:
    """What the account needs of the box."""

    database: Database
    settings: Settings
    journal: Journal
    clock: Clock
    fail: Fail


class Account:
    """The box's account; its wallet is there once the ledger has answered for the first time."""

    def __init__(self, url: str, key: Key, ports: AccountPorts) -> None:
        """`url` is the ledger's. Raises OwnerMustAct where it is not valid."""
        self.url, self.key = url, key
        self._database, self._settings = ports.database, ports.settings
        self._journal, self._clock = ports.journal, ports.clock
        self._known = self._known_ledger()
        self._client = LedgerClient(url, key, ports.clock, self._known)
        self._tasks = Tasks(ports.fail)
        self._asking: asyncio.Task[None] | None = None
        """The round under way, or the last one."""
        self.reply = LedgerReply()
        self.wallet: Wallet | None = None
        self._keeper: WalletKeeper | None = None
        self._busy = asyncio.Lock()

    def _known_ledger(self) -> bytes | None:
        """The id of the ledger that was at this address the last time."""
        kept = self._settings.decoded(_KNOWN, dict[str, str]) or {}
        return bytes.fromhex(kept[self.url]) if self.url in kept else None

    async def start(self) -> None:
        """Begin with what is known; the ledger need not answer."""
        owner = (self._settings.get(_OWNER) or b"").decode()
        if owner not in ("", self.key.address):
            self._journal.error(
                f"The box's key has changed: the account {owner} cannot be used without the old key. "
                "Put your copy of identity.key back into the state folder, and start again."
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

    async def stop(self) -> None:
        """Hang up, whoever waits for an answer."""
        await self._tasks.stop()
        if self.wallet:
            self.wallet.close()
        self._client.abort()

    async def run(self, beat: Beat) -> None:
        """Do one round after another, for ever; a ledger that is away is asked again sooner."""
        try:
            while True:
                await self._finish_round(beat)
                await self._pause(beat, AWAY_S if self.reply.away else ROUND_S)
        finally:
            # Who looks must not begin another question when this one is cut off.
            await self._tasks.stop()

    async def _finish_round(self, beat: Beat) -> None:
        """Wait for a round; one that never ends is hung up on."""
        began, asking = self._seconds(), self._ask()
        while not asking.done():
            beat()
            await asyncio.wait([asking], timeout=BEAT_S)
            if not asking.done() and self._seconds() - began > ROUND_LIMIT_S:
                self._client.abort()

    async def _pause(self, beat: Beat, seconds: float) -> None:
        until = self._seconds() + seconds
        while (left := until - self._seconds()) > 0:
            beat()
            await asyncio.sleep(min(BEAT_S, left))

    def _seconds(self) -> float:
        return self._clock.mono() / 1e9

    def _ask(self) -> asyncio.Task[None]:
        """The round under way, or a new one."""
        if self._asking is None or self._asking.done():
            self._asking = self._tasks.start(self.round(), "asking the ledger")
        return self._asking

    async def fresh(self) -> LedgerReply:
        """The ledger's answers as they are now, for somebody who looks."""
        if self._clock.now() - self.reply.at > FRESH_MS:
            # A slow ledger is not waited for: the round goes on, and what it answered before is shown.
            _, late = await asyncio.wait([self._ask()], timeout=SLOW_S)
            if late and not self.reply.away:
                self._away(f"The ledger {self.url} is slow to answer.", new=True)
        return self.reply

    async def round(self) -> None:
        """Ask the ledger for everything; where it is away, its last answers stay."""
        async with self._busy:
            try:
                await self._ask_all()
            except Bug:
                raise
            except RetryLater as error:
                self._away(str(error), new=not self.reply.away)
            except SeedboxError as error:
                if self.reply.away != str(error):
                    self._journal.error(str(error))
                self._away(str(error), new=False)

    def _away(self, why: str, *, new: bool) -> None:
        if new:
            log.warning("%s", why)
        self.reply = replace(self.reply, away=why)

    async def _ask_all(self) -> None:
        wallet = self.wallet or await self._meet()
        assert self._keeper is not None
        info = await wallet.ask(lambda _: self._client.info())
        await self._keeper.round()
        payout, withdrawals = await wallet.ask(
            lambda _: (self._client.payout(), tuple(self._client.withdrawals()))
        )
        self.reply = LedgerReply(self._clock.now(), "", info, payout, withdrawals)

    # ----------------------------------------------------------------------------------- for the owner

    def usable(self) -> Wallet:
        """The wallet. Raises RetryLater before the ledger has answered for the first time."""
        if self.wallet is None:
            raise RetryLater(f"The ledger {self.url} has not answered yet. {self.reply.away}".strip())
        return self.wallet

    async def withdraw(self, name: str, amount: MicroBtt, to: str) -> None:
        """Ask for money on the chain; the same `name` again asks for nothing more."""
        if amount <= 0:
            raise OwnerMustAct("The amount to withdraw must be more than 0.")
        address = parse_address(to)
        sums = await self.usable().store.sums()
        if amount > sums.available:
            raise OwnerMustAct("That is more than the available balance. See: seedbox wallet show")
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
