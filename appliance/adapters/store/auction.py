"""What the auction remembers: leases and debts of the seller, rounds for the page, wants and sellers."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from appliance.adapters.store.database import Database
from appliance.adapters.store.series import Series, SeriesTable
from appliance.core.clock import Clock
from appliance.core.errors import RetryLater
from appliance.core.keys import Address
from appliance.core.units import MicroBtt, MicroBttPerMib, UtcMs
from appliance.domain.auction.effects import Decided
from appliance.domain.auction.model import Debt, SellerMemory, SoldSlot
from appliance.domain.auction.records import SellerRecord
from appliance.domain.auction.wants import Want

BUCKET_MS = 300_000
KEEP_BUCKETS = 32 * 24 * 12
MOST_SELLERS = 5_000


class AuctionMemory:
    """The part of the box's database that is the auction's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> SellerMemory:
        """What a seller has saved."""
        return self._database.run_now(_load)

    async def keep(self, memory: SellerMemory) -> None:
        """Save what a seller must not forget; durable when this returns. Raises RetryLater."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO auction VALUES (1, ?, ?)", (memory.round, memory.reserve))
            db.execute("DELETE FROM sold")
            db.executemany(
                "INSERT INTO sold VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (one.key, one.ip, one.torrent, one.port, one.channel, one.lock, one.price, one.due)
                    for one in memory.sold
                ],
            )
            known = {row[0]: row[1:] for row in db.execute("SELECT key, channel, due, paid FROM debt")}
            debts = {key: (one.channel, one.due, one.paid) for key, one in memory.debts.items()}
            db.executemany("DELETE FROM debt WHERE key = ?", [(key,) for key in known.keys() - debts.keys()])
            changed = [(key, *row) for key, row in debts.items() if known.get(key) != row]
            db.executemany("INSERT OR REPLACE INTO debt VALUES (?, ?, ?, ?)", changed)

        await self._database.run(work, durable=True)

    # ------------------------------------------------------------------------------------------ buying

    async def wants(self) -> dict[str, Want]:
        """What the owner pays for, by torrent."""
        rows = await self._database.run(
            lambda db: db.execute(
                "SELECT torrent, price, budget, deadline, before, simulate FROM want"
            ).fetchall()
        )
        return {
            torrent: Want(
                MicroBttPerMib(price), MicroBtt(budget), UtcMs(deadline), MicroBtt(before), bool(simulate)
            )
            for torrent, price, budget, deadline, before, simulate in rows
        }

    async def put_want(self, torrent: str, want: Want | None) -> None:
        """Keep what is paid for a torrent; None: nothing any more."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM want WHERE torrent = ?", (torrent,))
            if want:
                row = (torrent, want.price, want.budget, want.deadline, want.before, want.simulate)
                db.execute("INSERT INTO want VALUES (?, ?, ?, ?, ?, ?)", row)

        await self._database.run(work, durable=True)

    async def records(self) -> dict[Address, SellerRecord]:
        """What became of dealings with sellers, by their address."""
        rows = await self._database.run(
            lambda db: db.execute("SELECT address, received, paid, seen, shunned, why FROM seller").fetchall()
        )
        return {
            Address(address): SellerRecord(received, MicroBtt(paid), UtcMs(seen), UtcMs(shunned), why)
            for address, received, paid, seen, shunned, why in rows
        }

    async def put_records(self, records: Iterable[tuple[Address, SellerRecord]]) -> None:
        """Keep what became of dealings."""
        rows = [(address, one.received, one.paid, one.seen, one.shunned, one.why) for address, one in records]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO seller VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.execute(
                "DELETE FROM seller WHERE address IN "
                "(SELECT address FROM seller ORDER BY seen DESC LIMIT -1 OFFSET ?)",
                (MOST_SELLERS,),
            )

        await self._database.run(work, durable=True)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Five minutes of selling."""

    at: UtcMs = UtcMs(0)
    rounds: int = 0
    sold: int = 0
    """Slots, summed over the rounds."""
    waiting: int = 0
    """Bids that did not win, summed over the rounds."""
    price: MicroBttPerMib = MicroBttPerMib(0)
    """The price of the last round in which a slot was sold."""
    sent: int = 0
    """Bytes in leases."""
    earned: MicroBtt = MicroBtt(0)

    def plus(self, later: "Bucket") -> "Bucket":
        """Both together, at the time of this one."""
        return Bucket(
            self.at,
            self.rounds + later.rounds,
            self.sold + later.sold,
            self.waiting + later.waiting,
            later.price or self.price,
            self.sent + later.sent,
            MicroBtt(self.earned + later.earned),
        )


_ROUNDS = SeriesTable(
    name="rounds",
    key="bucket",
    columns=("rounds", "sold", "waiting", "price", "sent", "earned"),
    span_ms=BUCKET_MS,
    keep=KEEP_BUCKETS,
    make=partial(Bucket, UtcMs(0)),
    values=lambda one: (one.rounds, one.sold, one.waiting, one.price, one.sent, one.earned),
)


class RoundLog:
    """Rounds, bytes and money over time; written in batches, as it is for looking at only."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._series = Series(database, clock, _ROUNDS)
        self._delivered = Counter[str]()

    def decided(self, one: Decided) -> None:
        """A round is over."""
        price = one.price if one.sold else MicroBttPerMib(0)
        self._series.add(Bucket(rounds=1, sold=one.sold, waiting=one.waiting, price=price))

    def sent(self, torrent: str, count: int) -> None:
        """Bytes were sent in a lease."""
        self._series.add(Bucket(sent=count))
        self._delivered[torrent] += count

    def earned(self, amount: MicroBtt) -> None:
        """A payment came."""
        self._series.add(Bucket(earned=amount))

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater; it is kept for the next time then."""
        delivered, self._delivered = self._delivered, Counter()

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO delivered VALUES (?, ?) ON CONFLICT (torrent) DO UPDATE SET "
                "sent = sent + excluded.sent",
                delivered.items(),
            )

        try:
            await self._series.flush(also=work if delivered else None)
        except RetryLater:
            self._delivered += delivered
            raise

    async def buckets(self, count: int, each: int) -> list[Bucket]:
        """The last `count` times `each` buckets, oldest first, those without a round too."""
        start, found = await self._series.last(count, each)
        return [replace(one, at=UtcMs(start + at * each * BUCKET_MS)) for at, one in enumerate(found)]

    async def delivered(self) -> dict[str, int]:
        """Bytes that were sent in leases, by torrent."""
        rows = await self._database.run(
            lambda db: db.execute("SELECT torrent, sent FROM delivered").fetchall()
        )
        return Counter[str](dict(rows)) + self._delivered


def _load(db: sqlite3.Connection) -> SellerMemory:
    round, reserve = db.execute("SELECT round, reserve FROM auction").fetchone() or (1, 0)
    sold = [
        SoldSlot(key, ip, torrent, port, channel, MicroBtt(locked), MicroBttPerMib(price), MicroBtt(due))
        for key, ip, torrent, port, channel, locked, price, due in db.execute(
            "SELECT key, ip, torrent, port, channel, locked, price, due FROM sold"
        )
    ]
    debts = {
        key: Debt(channel, MicroBtt(due), MicroBtt(paid))
        for key, channel, due, paid in db.execute("SELECT key, channel, due, paid FROM debt")
    }
    return SellerMemory(round, MicroBttPerMib(reserve), tuple(sold), debts)
