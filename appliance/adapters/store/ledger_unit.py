"""Many requests in one transaction: what they need is read at once, decided in memory, and written at once.

A request of a ledger reads and writes a handful of rows. One by one each costs a round trip to the database,
and each transaction a sync of the disk; together they cost as much as one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from appliance.adapters.store import ledger
from appliance.adapters.store.ledger_database import Sql
from appliance.core.errors import NotFound
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger import book
from appliance.domain.ledger.book import Entry
from appliance.domain.ledger.channel import Channel

Nonce = tuple[bytes, str, UtcMs]
"""(public key, nonce, time) of a signed request."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request reads; what it did not name is read when it asks, at the cost of a round trip."""

    accounts: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    channels: tuple[bytes, ...] = ()
    nonce: Nonce | None = None


@dataclass(slots=True)
class _Rows:
    """Rows as they are known, or as they will be."""

    balances: dict[str, MicroBtt] = field(default_factory=dict)
    entries: dict[str, Entry | None] = field(default_factory=dict)
    channels: dict[bytes, Channel | None] = field(default_factory=dict)


class Unit:
    """One transaction of many requests."""

    def __init__(self, sql: Sql, needs: Iterable[Needs]) -> None:
        """Read what all of them need."""
        self._sql = sql
        self._rows = _Rows()
        self._posted: list[tuple[Entry, dict[str, MicroBtt]]] = []
        self._changed: dict[bytes, Channel] = {}
        wanted = list(needs)
        self._fresh = ledger.note_nonces(sql, [one.nonce for one in wanted if one.nonce])
        self._read_channels({id for one in wanted for id in one.channels})
        self._read_balances({name for one in wanted for name in one.accounts} | self._channel_accounts())
        self._read_entries({cause for one in wanted for cause in one.causes})

    def _channel_accounts(self) -> set[str]:
        found = [channel for channel in self._rows.channels.values() if channel]
        return {name for one in found for name in (one.account, one.recipient, one.payer_address)}

    def _read_channels(self, ids: Iterable[bytes]) -> None:
        asked = list(ids)
        found = {one.id: one for one in ledger.channels_in(self._sql, asked)}
        self._rows.channels |= {id: found.get(id) for id in asked}

    def _read_balances(self, names: Iterable[str]) -> None:
        asked = list(names)
        found = ledger.balances_in(self._sql, asked)
        self._rows.balances |= {name: found.get(name, MicroBtt(0)) for name in asked}

    def _read_entries(self, causes: Iterable[str]) -> None:
        asked = list(causes)
        found = {one.cause: one for one in ledger.entries_in(self._sql, asked)}
        self._rows.entries |= {cause: found.get(cause) for cause in asked}

    def draft(self) -> "Draft":
        """What one request does: nothing of it counts before it is kept."""
        return Draft(self)

    def write(self) -> None:
        """Write what the kept drafts have changed."""
        if self._posted:
            ledger.insert_entries(self._sql, self._posted)
        if self._changed:
            ledger.put_channels(self._sql, list(self._changed.values()))

    # ------------------------------------------------------------------------------------- for drafts

    def balance(self, name: str) -> MicroBtt:
        """What an account holds, after what was kept so far."""
        if name not in self._rows.balances:
            self._read_balances([name])
        return self._rows.balances[name]

    def entry(self, cause: str) -> Entry | None:
        """The entry of a cause, if there is one."""
        if cause not in self._rows.entries:
            self._read_entries([cause])
        return self._rows.entries[cause]

    def channel(self, id: bytes) -> Channel | None:
        """A channel, if there is one."""
        if id not in self._rows.channels:
            self._read_channels([id])
        return self._rows.channels[id]

    def take_nonce(self, nonce: Nonce) -> bool:
        """Whether this is the first time that a nonce comes."""
        known = (nonce[0], nonce[1])
        if known not in self._fresh:
            return False
        self._fresh.remove(known)
        return True

    def keep(
        self, posted: Sequence[tuple[Entry, dict[str, MicroBtt]]], channels: dict[bytes, Channel]
    ) -> None:
        """Take over what a draft has done."""
        for entry, after in posted:
            self._posted.append((entry, after))
            self._rows.entries[entry.cause] = entry
            self._rows.balances |= after
        self._changed |= channels
        self._rows.channels |= channels


class Draft:
    """What one request reads and changes."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._posted: list[tuple[Entry, dict[str, MicroBtt]]] = []
        self._balances: dict[str, MicroBtt] = {}
        self._channels: dict[bytes, Channel] = {}

    def take_nonce(self, nonce: Nonce) -> bool:
        """Whether this is the first time that a nonce comes; it is taken, whatever becomes of the draft."""
        return self._unit.take_nonce(nonce)

    def balance(self, name: str) -> MicroBtt:
        """What an account holds now."""
        return self._balances[name] if name in self._balances else self._unit.balance(name)

    def post(self, entry: Entry) -> bool:
        """Write an entry; False where its cause was written before. Raises NotEnough, CauseReused."""
        known = next((one for one, _ in self._posted if one.cause == entry.cause), None)
        if known := known or self._unit.entry(entry.cause):
            book.same(known, entry)
            return False
        after = book.post(entry, self.balance)
        self._posted.append((entry, after))
        self._balances |= after
        return True

    def channel(self, id: bytes) -> Channel:
        """A channel. Raises NotFound."""
        found = self._channels.get(id) or self._unit.channel(id)
        if found is None:
            raise NotFound(f"This ledger has no channel {id.hex()[:16]}.")
        return found

    def put_channel(self, channel: Channel) -> None:
        """Keep a channel as it is now."""
        self._channels[channel.id] = channel

    def keep(self) -> None:
        """Let it count."""
        self._unit.keep(self._posted, self._channels)
