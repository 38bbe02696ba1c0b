"""A box with an account at a ledger, and what others have paid it."""

import asyncio
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from appliance.adapters.ledger_http.client import LedgerClient
from appliance.adapters.store.database import Database
from appliance.adapters.store.identity import own_key
from appliance.adapters.store.wallet import WalletMemory
from appliance.core.clock import SystemClock
from appliance.core.keys import Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger import channel as channels
from appliance.domain.wallet.keeper import WalletKeeper
from appliance.domain.wallet.model import Purpose
from appliance.domain.wallet.wallet import Wallet

DAY_MS = 86_400_000


class _Quiet:
    def info(self, text: str, torrent: str = "") -> None:
        pass

    def warning(self, text: str, torrent: str = "") -> None:
        pass

    def error(self, text: str, torrent: str = "") -> None:
        raise AssertionError(text)


def earned(state: Path, url: str, payer: Key, paid: Sequence[tuple[int, str, int]], purpose: Purpose) -> Key:
    """Let a box that does not run be paid (or pay): (days ago, torrent, µBTT) each; returns its key.

    The account of whoever pays must hold the money.
    """
    state.mkdir(parents=True, exist_ok=True)
    key, clock = own_key(state / "identity.key"), SystemClock()
    line, other = LedgerClient(url, key, clock), LedgerClient(url, payer, clock)
    database = Database(state / "seedbox.db", check=False)
    memory = WalletMemory(database, line.ledger, clock)
    wallet = Wallet(key, line, memory)
    lock = MicroBtt(sum(amount for _, _, amount in paid))

    async def work() -> None:
        await WalletKeeper(wallet, _Quiet()).round()
        if purpose.earns:
            ends = UtcMs(clock.now() + 10 * DAY_MS)
            channel = other.open(secrets.token_hex(8), key.address, lock, ends, DAY_MS)
            held = await wallet.adopt(channel.id, purpose)
        else:
            hold = await wallet.hold(lock)
            held = await wallet.open_channel(hold, payer.address, lock, 10 * DAY_MS, purpose)
        for days, torrent, amount in paid:
            total = MicroBtt(held.channel.paid + amount)
            after, signed = channels.pay(held.channel, payer if purpose.earns else key, total)
            held = replace(held, channel=after, signature=signed.signature)
            await memory.put_state(held, wallet.day(days), torrent, MicroBtt(amount))

    # In a thread: where a browser is driven, a loop runs in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work()).result()
    wallet.close()
    line.close()
    other.close()
    database.close()
    return key
