"""The book and the channels of one ledger in its database: every function is a part of a transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.adapters.store.channels import read_channel
from appliance.adapters.store.ledger_database import Sql
from appliance.core.errors import Bug, NotFound
from appliance.core.keys import Address
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger import book
from appliance.domain.ledger.book import Entry, Posting
from appliance.domain.ledger.channel import Channel, ChannelPhase
from appliance.domain.ledger.gateway import Withdrawal, WithdrawalPhase
from appliance.domain.ledger.payout import Payout
from appliance.domain.ledger.statement import AccountLine

_COUNTER = "(name = 'outside' OR substr(name, 1, 8) = 'outside:')"
"""`book.is_counter`, for the database."""


def post(sql: Sql, entry: Entry) -> bool:
    """Write an entry; False where its cause was written before.

    Raises NotEnough, and CauseReused where that was another entry.
    """
    if known := find(sql, entry.cause):
        book.same(known, entry)
        return False
    held = balances_in(sql, [posting.account for posting in entry.postings])
    after = book.post(entry, lambda account: held.get(account, MicroBtt(0)))
    insert_entries(sql, [(entry, after)])
    return True


def insert_entries(sql: Sql, posted: Sequence[tuple[Entry, dict[str, MicroBtt]]]) -> None:
    """Write entries, each with the balances after it, in their order."""
    rows = [(one.cause, one.kind, int(one.at), one.about) for one, _ in posted]
    made = sql.insert("entry (cause, kind, at, about)", rows, "RETURNING number, cause")
    numbers = {cause: number for number, cause in made}
    balances = {name: held for _, after in posted for name, held in after.items()}
    sql.insert(
        "account (name, balance)",
        list(balances.items()),
        "ON CONFLICT (name) DO UPDATE SET balance = excluded.balance",
    )
    postings = [
        (numbers[one.cause], posting.account, posting.amount, after[posting.account])
        for one, after in posted
        for posting in one.postings
    ]
    sql.insert("posting (entry, account, amount, balance)", postings)


def find(sql: Sql, cause: str) -> Entry | None:
    """The entry of a cause."""
    return next(iter(entries_in(sql, [cause])), None)


def entries_in(sql: Sql, causes: Sequence[str]) -> list[Entry]:
    """The entries of those causes that have one."""
    rows = sql.among(
        "SELECT number, cause, kind, at, about, account, amount FROM entry LEFT JOIN posting "
        "ON posting.entry = entry.number WHERE cause",
        causes,
    )
    found: dict[int, tuple[str, str, int, str, list[tuple[str, int]]]] = {}
    for number, cause, kind, at, about, account, amount in rows:
        postings = found.setdefault(number, (cause, kind, at, about, []))[4]
        if account is not None:
            postings.append((account, amount))
    # By code points, as Python sorts: a database has an order of its own for people's words.
    return [
        Entry(
            cause,
            kind,
            UtcMs(at),
            tuple(Posting(name, MicroBtt(amount)) for name, amount in sorted(all)),
            about,
        )
        for cause, kind, at, about, all in found.values()
    ]


def balances_in(sql: Sql, accounts: Sequence[str]) -> dict[str, MicroBtt]:
    """What those accounts hold that exist."""
    rows = sql.among("SELECT name, balance FROM account WHERE name", accounts)
    return {name: MicroBtt(balance) for name, balance in rows}


def balance(sql: Sql, account: str, at: UtcMs | None = None) -> MicroBtt:
    """What an account holds, or held when everything up to `at` had happened."""
    if at is None:
        rows = sql.run("SELECT balance FROM account WHERE name = ?", account)
        return MicroBtt(rows[0][0] if rows else 0)
    total = (
        "SELECT COALESCE(SUM(amount), 0) FROM posting JOIN entry ON entry.number = posting.entry "
        "WHERE account = ? AND at <= ?"
    )
    return MicroBtt(int(sql.run(total, account, at)[0][0]))


def statement(sql: Sql, account: str, *, after: int = 0, count: int = 1_000) -> list[AccountLine]:
    """The lines of an account behind the entry number `after`, the oldest first."""
    rows = sql.run(
        "SELECT number, at, kind, cause, about, amount, balance "
        "FROM posting JOIN entry ON entry.number = posting.entry "
        "WHERE account = ? AND entry > ? ORDER BY entry LIMIT ?",
        account,
        after,
        count,
    )
    return [AccountLine(*row) for row in rows]


def put_channel(sql: Sql, channel: Channel) -> None:
    """Keep a channel as it is now."""
    put_channels(sql, [channel])


def put_channels(sql: Sql, channels: Sequence[Channel]) -> None:
    """Keep channels as they are now."""
    rows = [
        (
            one.id,
            one.ledger,
            one.payer,
            str(one.payer_address),
            str(one.recipient),
            int(one.lock),
            int(one.expires),
            one.window_ms,
            one.phase.value,
            one.seq,
            int(one.paid),
            int(one.closes),
        )
        for one in channels
    ]
    sql.insert(
        "channel (id, ledger, payer, payer_address, recipient, locked, expires, window_ms, phase, seq, paid, "
        "closes)",
        rows,
        "ON CONFLICT (id) DO UPDATE SET "
        "phase = excluded.phase, seq = excluded.seq, paid = excluded.paid, closes = excluded.closes",
    )


def channels_in(sql: Sql, ids: Sequence[bytes]) -> list[Channel]:
    """Those channels that there are."""
    return [_channel(row) for row in sql.among("SELECT * FROM channel WHERE id", ids)]


def get_channel(sql: Sql, id: bytes) -> Channel:
    """The channel of an id. Raises NotFound."""
    rows = sql.run("SELECT * FROM channel WHERE id = ?", id)
    if not rows:
        raise NotFound(f"This ledger has no channel {id.hex()[:16]}.")
    return _channel(rows[0])


def channels_of(sql: Sql, address: Address) -> list[Channel]:
    """The channels that an account pays from or is paid by."""
    rows = sql.run("SELECT * FROM channel WHERE payer_address = ? OR recipient = ?", address, address)
    return [_channel(row) for row in rows]


def _channel(row: tuple[Any, ...]) -> Channel:
    id, ledger, payer, _payer_address, *rest = row
    return read_channel((id, ledger, payer, *rest))


def put_withdrawal(sql: Sql, withdrawal: Withdrawal) -> None:
    """Keep a withdrawal as it is now."""
    sql.run(
        "INSERT INTO withdrawal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "phase = excluded.phase, raw = excluded.raw, signature = excluded.signature, txid = excluded.txid, "
        "expiration = excluded.expiration",
        withdrawal.id,
        withdrawal.account,
        withdrawal.to,
        withdrawal.amount,
        withdrawal.at,
        withdrawal.phase.value,
        withdrawal.raw,
        withdrawal.signature,
        withdrawal.txid,
        withdrawal.expiration,
    )


def get_withdrawal(sql: Sql, id: str) -> Withdrawal:
    """The withdrawal of an id. Raises NotFound."""
    rows = sql.run("SELECT * FROM withdrawal WHERE id = ?", id)
    if not rows:
        raise NotFound(f"This ledger has no withdrawal {id}.")
    return _withdrawal(rows[0])


def open_withdrawals(sql: Sql) -> list[Withdrawal]:
    """Those that are neither paid nor refunded, the oldest first."""
    rows = sql.run("SELECT * FROM withdrawal WHERE phase IN ('locked', 'signed') ORDER BY at, id")
    return [_withdrawal(row) for row in rows]


def signed_since(sql: Sql, expiration: int) -> MicroBtt:
    """What withdrawals that end after a point of chain time move in all, refunded ones left out."""
    rows = sql.run(
        "SELECT COALESCE(SUM(amount), 0) FROM withdrawal "
        "WHERE phase IN ('signed', 'paid') AND expiration > ?",
        expiration,
    )
    return MicroBtt(int(rows[0][0]))


def withdrawals_of(sql: Sql, account: Address) -> list[Withdrawal]:
    """All of an account, the newest first."""
    rows = sql.run("SELECT * FROM withdrawal WHERE account = ? ORDER BY at DESC, id LIMIT 1000", account)
    return [_withdrawal(row) for row in rows]


def _withdrawal(row: tuple[Any, ...]) -> Withdrawal:
    id, account, to, amount, at, phase, raw, signature, txid, expiration = row
    return Withdrawal(
        id=id,
        account=Address(account),
        to=Address(to),
        amount=MicroBtt(amount),
        at=UtcMs(at),
        phase=WithdrawalPhase(phase),
        raw=raw,
        signature=signature,
        txid=txid,
        expiration=expiration,
    )


def payout_of(sql: Sql, account: Address) -> Payout | None:
    """Where an account's money may leave to."""
    rows = sql.run("SELECT address, since, before FROM payout WHERE account = ?", account)
    if not rows:
        return None
    address, since, before = rows[0]
    return Payout(Address(address), UtcMs(since), Address(before) if before else None)


def put_payout(sql: Sql, account: Address, payout: Payout) -> None:
    """Keep it."""
    sql.run(
        "INSERT INTO payout VALUES (?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET "
        "address = excluded.address, since = excluded.since, before = excluded.before",
        account,
        payout.address,
        payout.since,
        payout.before or "",
    )


def swap_mark(sql: Sql, account: Address, known: Sequence[str], new: str) -> str:
    """Put a new mark in place of one that the account's owner knows; the mark that is there then."""
    rows = sql.run("SELECT mark FROM mark WHERE account = ?", account)
    if rows and rows[0][0] not in known:
        return str(rows[0][0])
    row = "INSERT INTO mark VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET mark = excluded.mark"
    sql.run(row, account, new)
    return new


def note_nonces(sql: Sql, nonces: Sequence[tuple[bytes, str, UtcMs]]) -> set[tuple[bytes, str]]:
    """Remember the nonces of signed requests; (key, nonce) of those that were not known."""
    fresh = sql.insert(
        "nonce (public, nonce, at)",
        [(public, nonce, int(at)) for public, nonce, at in nonces],
        "ON CONFLICT DO NOTHING RETURNING public, nonce",
    )
    return {(bytes(public), nonce) for public, nonce in fresh}


def note_nonce(sql: Sql, public: bytes, nonce: str, at: UtcMs) -> bool:
    """Remember the nonce of a signed request; False where it is known."""
    return bool(note_nonces(sql, [(public, nonce, at)]))


def forget_nonces(sql: Sql, before: UtcMs) -> None:
    """Drop nonces whose requests are too old to be taken anyway."""
    sql.run("DELETE FROM nonce WHERE at < ?", before)


def fact(sql: Sql, key: str) -> str | None:
    """A single thing that the ledger knows of itself."""
    rows = sql.run("SELECT value FROM fact WHERE key = ?", key)
    return str(rows[0][0]) if rows else None


def put_fact(sql: Sql, key: str, value: str) -> None:
    """Save a value under a key."""
    row = "INSERT INTO fact VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    sql.run(row, key, value)


def outside(sql: Sql) -> MicroBtt:
    """The counter-accounts together: minus what came in and has not gone out."""
    rows = sql.run(f"SELECT COALESCE(SUM(balance), 0) FROM account WHERE {_COUNTER}")  # noqa: S608  no input
    return MicroBtt(int(rows[0][0]))


def held(sql: Sql) -> MicroBtt:
    """What all accounts hold together, locks and holds among them: what the outside has to cover."""
    inside = f"SELECT COALESCE(SUM(balance), 0) FROM account WHERE NOT {_COUNTER}"  # noqa: S608  no input
    return MicroBtt(int(sql.run(inside)[0][0]))


def audit(sql: Sql) -> None:
    """Add everything up again from the postings alone. Raises Bug, naming the first thing that is wrong."""
    for number, total in sql.run("SELECT entry, SUM(amount) FROM posting GROUP BY entry"):
        if total:
            raise Bug(f"Entry {number} of the ledger does not sum to zero but to {total} µBTT.")
    rows = sql.run("SELECT account, SUM(amount) FROM posting GROUP BY account")
    sums = {name: int(total) for name, total in rows}
    _audit_accounts(sql, sums)
    _audit_channels(sql, sums)


def _audit_accounts(sql: Sql, sums: Mapping[str, int]) -> None:
    for name, kept in sql.run("SELECT name, balance FROM account"):
        if kept != sums.get(name, 0):
            raise Bug(
                f"The account {name} is kept at {kept} µBTT, but its postings sum to {sums.get(name, 0)}."
            )
        if kept < 0 and not book.is_counter(name):
            raise Bug(f"The account {name} has a negative balance.")


def _audit_channels(sql: Sql, sums: Mapping[str, int]) -> None:
    for id, lock, phase in sql.run("SELECT id, locked, phase FROM channel"):
        locked = sums.get(f"channel:{bytes(id).hex()}", 0)
        if locked != (0 if phase == ChannelPhase.CLOSED else lock):
            raise Bug(f"The channel {bytes(id).hex()[:16]} should hold {lock} µBTT and holds {locked}.")
