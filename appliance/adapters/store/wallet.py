"""The wallet's memory in the box's database; every change is synced to the disk before it counts."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from appliance.adapters.store.channels import read_channel
from appliance.adapters.store.database import Database
from appliance.core.clock import Clock
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.units import MicroBtt, show_btt
from appliance.domain.ledger.book import NotEnough
from appliance.domain.ledger.statement import AccountLine
from appliance.domain.wallet.model import ChannelStanding, Divergence, Hold, Purpose, Sum, Sums, WalletChannel

_COLUMNS = (
    "id, ledger, payer, recipient, locked, expires, window_ms, phase, seq, paid, closes, purpose, standing, "
    "name, signature"
)
_HEADINGS = {"day": "day", "torrent": "torrent", "counterparty": "counterparty"}
_DONE = "('closed', 'forgotten')"
_EARNS = "('distribution', 'storage')"
"""`Purpose.earns`, for the database."""


class WalletMemory:
    """`wallet.ports.WalletStore` over one account at one ledger; others stay in the database untouched."""

    def __init__(self, database: Database, ledger: bytes, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._mark = f"mark:{ledger.hex()}"

    @property
    def ledger(self) -> bytes:
        """The id of the ledger whose account it is."""
        return self._ledger

    async def sums(self) -> Sums:
        """The account."""
        return await self._database.run(lambda db: _sums(db, self._ledger))

    async def put_hold(self, hold: Hold) -> None:
        """Set money apart. Raises NotEnough where less is available."""

        def work(db: sqlite3.Connection) -> None:
            available = _sums(db, self._ledger).available
            if hold.amount > available:
                raise NotEnough(
                    f"{show_btt(available)} BTT are available, and {show_btt(hold.amount)} are needed. "
                    "Deposit more, or wait until reserved money comes back."
                )
            row = (hold.id, self._ledger, hold.amount, hold.left, hold.at, hold.about)
            db.execute("INSERT INTO hold VALUES (?, ?, ?, ?, ?, ?)", row)

        await self._database.run(work, durable=True)

    async def drop_hold(self, id: str) -> None:
        """Give back what is left of a hold."""
        await self._database.run(lambda db: db.execute("DELETE FROM hold WHERE id = ?", (id,)), durable=True)

    async def new_channel(self, held: WalletChannel, hold: str = "") -> None:
        """Keep a channel that is new, its lock taken out of a hold where one is named.

        Raises NotEnough, and OwnerMustAct where the channel is known.
        """

        def work(db: sqlite3.Connection) -> None:
            if hold:
                taken = db.execute(
                    "UPDATE hold SET left = left - ?1 WHERE id = ?2 AND left >= ?1", (held.channel.lock, hold)
                )
                if not taken.rowcount:
                    raise NotEnough("The reserved money does not cover this channel.")
            values = f"VALUES ({', '.join('?' * 15)}) ON CONFLICT DO NOTHING"
            if not db.execute(f"INSERT INTO channel ({_COLUMNS}) {values}", _row(held)).rowcount:
                raise OwnerMustAct("The channel is already known.")

        await self._database.run(work, durable=True)

    async def put_channel(self, held: WalletChannel) -> None:
        """Keep how a channel stands; its states are kept by `put_state` alone."""
        one = held.channel
        row = (one.phase.value, one.closes, held.standing.value, one.id)
        await self._database.run(
            lambda db: db.execute("UPDATE channel SET phase = ?, closes = ?, standing = ? WHERE id = ?", row),
            durable=True,
        )

    async def put_state(self, held: WalletChannel, day: str, torrent: str, more: MicroBtt) -> None:
        """Keep a channel's new state, and what it brought or cost for a torrent, together."""

        def work(db: sqlite3.Connection) -> None:
            one = held.channel
            # Only forward, whatever was decided on: two callers may have read the same state.
            moved = db.execute(
                "UPDATE channel SET seq = ?1, paid = ?2, signature = ?3 "
                "WHERE id = ?4 AND seq < ?1 AND paid = ?5 AND standing = 'open'",
                (one.seq, one.paid, held.signature, one.id, one.paid - more),
            )
            if not moved.rowcount:
                raise NotFound("The channel has a newer state, or is no longer open.")
            if more:
                db.execute(
                    "INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (day, channel, torrent) "
                    "DO UPDATE SET amount = amount + excluded.amount",
                    (day, one.id, torrent, held.purpose.value, held.counterparty, more),
                )

        await self._database.run(work, durable=True)

    async def channels(self) -> list[WalletChannel]:
        """All that the ledger has not settled."""
        query = f"SELECT {_COLUMNS} FROM channel WHERE ledger = ? AND standing NOT IN {_DONE}"  # noqa: S608
        rows = await self._database.run(lambda db: db.execute(query, (self._ledger,)).fetchall())
        return [_held(row) for row in rows]

    async def marks(self) -> list[str]:
        """The mark that was left at the ledger, and one that may have been."""
        row = await self._database.run(
            lambda db: db.execute("SELECT value FROM setting WHERE key = ?", (self._mark,)).fetchone()
        )
        return bytes(row[0]).decode().split() if row else []

    async def put_marks(self, marks: list[str]) -> None:
        """Keep them."""
        row = (self._mark, " ".join(marks).encode())
        await self._database.run(
            lambda db: db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", row), durable=True
        )

    async def last_line(self) -> AccountLine | None:
        """The last line of the account that was read from the ledger."""
        found = await self.lines(0, 1)
        return found[0] if found else None

    async def lines(self, before: int, count: int) -> list[AccountLine]:
        """Lines before a number (0: the newest), the newest first."""
        rows = await self._database.run(
            lambda db: db.execute(
                "SELECT number, at, kind, cause, about, amount, balance FROM line "
                "WHERE ledger = ? AND gone = 0 AND number < ? ORDER BY number DESC LIMIT ?",
                (self._ledger, before or 2**62, count),
            ).fetchall()
        )
        return [AccountLine(*row) for row in rows]

    async def forgotten(self) -> list[AccountLine]:
        """Lines that the ledger once had, and no longer has."""
        rows = await self._database.run(
            lambda db: db.execute(
                "SELECT number, at, kind, cause, about, amount, balance FROM line "
                "WHERE ledger = ? AND gone > 0 ORDER BY gone, number",
                (self._ledger,),
            ).fetchall()
        )
        return [AccountLine(*row) for row in rows]

    async def add_lines(self, lines: Sequence[AccountLine]) -> None:
        """Keep lines that go on from the last one."""
        rows = [
            (self._ledger, line.number, line.at, line.kind, line.cause, line.about, line.amount, line.balance)
            for line in lines
        ]
        await self._database.run(
            lambda db: db.executemany("INSERT INTO line VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?)", rows),
            durable=True,
        )

    async def diverge(self, statement: Sequence[AccountLine]) -> Divergence:
        """Set aside the lines that are no longer in the ledger's statement, given from its beginning."""
        kept = list(reversed(await self.lines(0, 2**31)))
        same = 0
        while same < min(len(kept), len(statement)) and kept[same] == statement[same]:
            same += 1
        gone = kept[same:]
        if gone:
            await self._database.run(
                lambda db: db.execute(
                    "UPDATE line SET gone = ? WHERE ledger = ? AND gone = 0 AND number >= ?",
                    (max(1, self._clock.now()), self._ledger, gone[0].number),
                ),
                durable=True,
            )
        return Divergence(gone)

    async def tallies(self, by: str, since: str) -> list[Sum]:
        """Earned and spent since a day, by `day`, `torrent` or `counterparty`; days come in order."""
        heading = _HEADINGS[by]
        order = "1" if by == "day" else "3 DESC, 1"
        query = (
            f"SELECT {heading}, purpose, SUM(amount) FROM tally WHERE day >= ? "  # noqa: S608  of a fixed set
            f"GROUP BY 1, 2 ORDER BY {order}"
        )
        rows = await self._database.run(lambda db: db.execute(query, (since,)).fetchall())
        return [Sum(heading, Purpose(purpose), MicroBtt(amount)) for heading, purpose, amount in rows]

    async def audit(self) -> bytes | None:
        """A channel whose tallies are not what its state pays, if there is one."""
        query = (
            "SELECT id FROM channel WHERE standing <> 'frozen' AND paid <> "
            "(SELECT COALESCE(SUM(amount), 0) FROM tally WHERE tally.channel = channel.id) LIMIT 1"
        )
        row = await self._database.run(lambda db: db.execute(query).fetchone())
        return bytes(row[0]) if row else None

    async def totals(self) -> dict[Purpose, MicroBtt]:
        """Earned and spent in all."""
        query = "SELECT purpose, SUM(amount) FROM tally GROUP BY purpose"
        rows = await self._database.run(lambda db: db.execute(query).fetchall())
        found = {Purpose(purpose): MicroBtt(amount) for purpose, amount in rows}
        return {one: found.get(one, MicroBtt(0)) for one in Purpose}


def _sums(db: sqlite3.Connection, ledger: bytes) -> Sums:
    def number(query: str, *parameters: object) -> MicroBtt:
        return MicroBtt(int((db.execute(query, parameters).fetchone() or (0,))[0] or 0))

    balance = number(
        "SELECT balance FROM line WHERE ledger = ? AND gone = 0 ORDER BY number DESC LIMIT 1", ledger
    )
    pays = f"FROM channel WHERE ledger = ? AND purpose NOT IN {_EARNS} AND standing NOT IN {_DONE}"
    # Channels of ours whose opening the statement does not show yet still weigh on the balance.
    shown = (
        "EXISTS (SELECT 1 FROM line WHERE gone = 0 "
        "AND cause = 'channel:' || lower(hex(channel.id)) || ':open')"
    )
    earns = f"FROM channel WHERE ledger = ? AND purpose IN {_EARNS} AND standing NOT IN {_DONE}"
    held = number("SELECT SUM(left) FROM hold WHERE ledger = ?", ledger)
    coming = number(f"SELECT SUM(locked) {pays} AND NOT {shown}", ledger)
    return Sums(
        balance=balance,
        held=MicroBtt(held + coming),
        locked=number(f"SELECT SUM(locked - paid) {pays} AND {shown}", ledger),
        receivable=number(f"SELECT SUM(paid) {earns}", ledger),
    )


def _row(held: WalletChannel) -> tuple[object, ...]:
    one = held.channel
    return (
        one.id,
        one.ledger,
        one.payer,
        one.recipient,
        one.lock,
        one.expires,
        one.window_ms,
        one.phase.value,
        one.seq,
        one.paid,
        one.closes,
        held.purpose.value,
        held.standing.value,
        held.name,
        held.signature,
    )


def _held(row: tuple[Any, ...]) -> WalletChannel:
    *columns, purpose, standing, name, signature = row
    return WalletChannel(
        channel=read_channel(tuple(columns)),
        purpose=Purpose(purpose),
        standing=ChannelStanding(standing),
        name=name,
        signature=signature,
    )
