"""What the wallet needs of the outside: the ledger that keeps its account, and a database."""

from collections.abc import Sequence
from typing import Protocol

from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.channel import Channel, ChannelState
from appliance.domain.ledger.statement import AccountLine
from appliance.domain.wallet.model import Divergence, Hold, Purpose, Sum, Sums, WalletChannel


class LedgerAccount(Protocol):
    """The account at a ledger. Calls block; RetryLater while it is away, OwnerMustAct where it refuses."""

    @property
    def ledger(self) -> bytes:
        """The ledger's id."""
        ...

    def now(self) -> UtcMs:
        """The ledger's time."""
        ...

    def account(self) -> tuple[MicroBtt, MicroBtt]:
        """(balance, locked in channels)."""
        ...

    def statement(self, after: int = 0, count: int = 1_000) -> list[AccountLine]:
        """Lines behind a number, the oldest first."""
        ...

    def open(self, name: str, recipient: str, lock: MicroBtt, expires: UtcMs, window_ms: int) -> Channel:
        """Open a channel; the same name again is the same channel."""
        ...

    def channel(self, id: bytes) -> Channel:
        """A channel that we are in. Raises NotFound."""
        ...

    def channels(self) -> list[Channel]:
        """All channels that we are in."""
        ...

    def close_channel(self, id: bytes, state: ChannelState | None) -> Channel:
        """Close a channel with the best state, or begin to."""
        ...

    def mark(self, known: list[str], new: str) -> str:
        """Leave a mark in place of one that is known; the mark that is there then."""
        ...


class WalletStore(Protocol):
    """The wallet's memory. Every change is durable when it returns; RetryLater where the disk is full."""

    @property
    def ledger(self) -> bytes:
        """The id of the ledger whose account it is."""
        ...

    async def sums(self) -> Sums:
        """The account."""
        ...

    async def put_hold(self, hold: Hold) -> None:
        """Set money apart. Raises NotEnough where less is available."""
        ...

    async def drop_hold(self, id: str) -> None:
        """Give back what is left of a hold; one that is gone already stays so."""
        ...

    async def new_channel(self, held: WalletChannel, hold: str = "") -> None:
        """Keep a channel that is new, its lock taken out of a hold where one is named.

        Raises NotEnough, and OwnerMustAct where the channel is known.
        """
        ...

    async def put_channel(self, held: WalletChannel) -> None:
        """Keep how a channel stands; its states are kept by `put_state` alone."""
        ...

    async def put_state(self, held: WalletChannel, day: str, torrent: str, more: MicroBtt) -> None:
        """Keep a channel's new state, and what it brought or cost for a torrent, together."""
        ...

    async def channels(self) -> list[WalletChannel]:
        """All that the ledger has not settled."""
        ...

    async def marks(self) -> list[str]:
        """The mark that was left at the ledger, and one that may have been."""
        ...

    async def put_marks(self, marks: list[str]) -> None:
        """Keep them."""
        ...

    async def last_line(self) -> AccountLine | None:
        """The last line of the account that was read from the ledger."""
        ...

    async def add_lines(self, lines: Sequence[AccountLine]) -> None:
        """Keep lines that go on from the last one."""
        ...

    async def lines(self, before: int, count: int) -> list[AccountLine]:
        """Lines before a number (0: the newest), the newest first."""
        ...

    async def forgotten(self) -> list[AccountLine]:
        """Lines that the ledger once had, and no longer has."""
        ...

    async def diverge(self, statement: Sequence[AccountLine]) -> Divergence:
        """Set aside the lines that are no longer in the ledger's statement, given from its beginning."""
        ...

    async def tallies(self, by: str, since: str) -> list[Sum]:
        """Earned and spent since a day, by `day`, `torrent` or `counterparty`."""
        ...

    async def audit(self) -> bytes | None:
        """A channel whose tallies are not what its state pays, if there is one."""
        ...

    async def totals(self) -> dict[Purpose, MicroBtt]:
        """Earned and spent in all."""
        ...
