"""The commands about the auction. Amounts are whole µBTT, prices µBTT for a MiB, times UtcMs."""

from typing import Literal

import msgspec

from appliance.control.command import Answer, Command


class Slot(Answer, frozen=True, kw_only=True):
    """A slot that is sold."""

    holder: str
    """Address of the bidder's account."""
    host: str
    torrent: str
    name: str
    price: int
    sent: int
    """Bytes in this lease."""
    owed: int
    """For it."""
    paid: int
    standing: str
    sentence: str
    connected: bool


class Waiting(Answer, frozen=True, kw_only=True):
    """A bid that has no slot."""

    bidder: str
    torrent: str
    name: str
    bid: int
    why: str
    """Why it does not take part; empty where others have bid more."""


class AuctionAnswer(Answer, frozen=True, kw_only=True):
    """What is sold, to whom, at what price."""

    on: bool
    """False: the box has no account at a ledger, so that nothing can be sold."""
    sell: bool = False
    trouble: str = ""
    """Why nothing is sold although it is meant to be."""
    round: int = 0
    left_ms: int = 0
    """Until the round is decided."""
    slots: int = 0
    per_torrent: int = 0
    rule: str = ""
    free_share: int = 0
    """Per cent."""
    reserve: int = 0
    """In force."""
    floor: int = 0
    ceiling: int = 0
    reserve_moves: bool = True
    credit: int = 0
    """MiB."""
    price: int = 0
    """The price of the last round in which a slot was sold."""
    sold: list[Slot] = msgspec.field(default_factory=list)
    waiting: list[Waiting] = msgspec.field(default_factory=list)
    others: int = 0
    """Peers that do not bid, and share what is free."""
    uplink: int = 0
    """Bytes a second that the free share is counted from; 0: not known yet."""
    port: int = 0
    debtors: int = 0
    debts: int = 0
    """What is owed for leases that have ended."""
    changed: list[str] = msgspec.field(default_factory=list)
    """Keys that were set by hand, not in the configuration."""


class GetAuction(Command[AuctionAnswer], frozen=True, kw_only=True):
    """The auction as it is now."""


class SetAuction(Command[AuctionAnswer], frozen=True, kw_only=True):
    """Change what is offered, or bid automatically; kept over restarts. None leaves a value as it is."""

    sell: bool | None = None
    slots: int | None = None
    per_torrent: int | None = None
    rule: str | None = None
    free_share: int | None = None
    reserve: int | None = None
    reserve_moves: bool | None = None
    ceiling: int | None = None
    credit: int | None = None
    buy_price: int | None = None
    buy_budget: int | None = None
    buy_hours: int | None = None
    reset: bool = False
    """Back to the configuration first."""


class Rounds(Answer, frozen=True, kw_only=True):
    """The auction over time, oldest first, in equal steps."""

    start: int
    step_s: int
    price: list[int]
    """0 where nothing was sold."""
    earned: list[int]
    sent: list[int]
    """Bytes in leases."""
    sold: list[int]
    """Per mille of the slots' rounds that were sold."""


class GetRounds(Command[Rounds], frozen=True, kw_only=True):
    """Prices and earnings over time."""

    span: Literal["hour", "day", "month"] = "day"


class Yield(Answer, frozen=True, kw_only=True):
    """What a torrent has earned."""

    id: str
    name: str
    """Empty where it is here no more."""
    size: int
    sold: int
    """Bytes that were sent in leases."""
    uploaded: int
    """Bytes that were sent in all."""
    earned: int
    per_gib_stored: int
    per_gib_sent: int


class Yields(Answer, frozen=True, kw_only=True):
    """The most profitable first."""

    torrents: list[Yield]


class GetYields(Command[Yields], frozen=True, kw_only=True):
    """What each torrent has earned in slots, over all time."""


class Bought(Answer, frozen=True, kw_only=True):
    """A torrent that is paid for."""

    torrent: str
    name: str
    price: int
    """The most that is bid."""
    budget: int
    """0: the day's alone."""
    spent: int
    deadline: int
    """0: none."""
    bid: int
    """What is bid now."""
    simulate: bool
    own: bool
    """The owner asked for it by name."""
    progress: int
    """Ppm."""
    sentence: str


class BidAnswer(Answer, frozen=True, kw_only=True):
    """A market that the box is connected to."""

    seller: str
    host: str
    torrent: str
    reserve: int
    bid: int
    won: bool
    price: int
    received: int
    paid: int
    locked: int


class Shunned(Answer, frozen=True, kw_only=True):
    """A seller that is left alone for a while."""

    seller: str
    until: int
    why: str


class Bids(Answer, frozen=True, kw_only=True):
    """The box as a buyer."""

    on: bool
    buy_price: int = 0
    """Bid by itself up to this; 0: never."""
    buy_budget: int = 0
    """BTT a day."""
    buy_hours: int = 0
    day_spent: int = 0
    torrents: list[Bought] = msgspec.field(default_factory=list)
    bids: list[BidAnswer] = msgspec.field(default_factory=list)
    shunned: list[Shunned] = msgspec.field(default_factory=list)


class ListBids(Command[Bids], frozen=True, kw_only=True):
    """What the box bids elsewhere."""


class WantTorrent(Command[Bids], frozen=True, kw_only=True):
    """Pay for a torrent that is not here yet."""

    id: str
    price: int
    """The most for a MiB; 0: pay no more for it."""
    budget: int = 0
    """The most in all."""
    deadline: int = 0
    """UtcMs; 0: as soon as may be."""
    simulate: bool = False
