"""Selling slots, wired: the market's lines, the seller's rules, the wallet, and the lanes of the engine."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from appliance.auction.clearing import Rule
from appliance.auction.lanes import Bounce, Lanes, Phase, Wish, free_share, trickle
from appliance.auction.reserve import Reserve
from appliance.auction.seller import (
    Asks,
    Effect,
    Keep,
    Look,
    Narrow,
    Offer,
    Over,
    Receipts,
    Results,
    Seats,
    Seller,
    Terms,
    Wide,
)
from appliance.catalogue.catalogue import Catalogue
from appliance.clock import Clock
from appliance.config import Auction
from appliance.daemon.money import Money
from appliance.engine.lanes import EngineLanes
from appliance.errors import PeerMisbehaved, RetryLater, SeedboxError
from appliance.keys import address_of
from appliance.ledger.channel import State
from appliance.store.journal import EventJournal
from appliance.units import MicroBtt, MicroBttPerMib, show_btt, show_bytes
from appliance.wallet.model import Purpose
from appliance.wire.market import Line, Market
from appliance.wire.messages import Ask, Bid, Message, Pay, Receipt, Result, Trouble

log = logging.getLogger(__name__)

LOOK_S = 1.0
CALL_AGAIN_S = 5.0
GONE_S = 3.0
"""How long a connection that was cut may take to be gone."""
CEILING = MicroBttPerMib(10**12)
LEAST_TRICKLE = 8 * 1024
SHUT = 1
"""Bytes a second of one who does not pay: libtorrent takes 0 for unlimited."""


class Selling:
    """The box's own market, from the seller's side."""

    def __init__(
        self,
        told: Auction,
        money: Money,
        catalogue: Catalogue,
        lanes: EngineLanes,
        journal: EventJournal,
        clock: Clock,
        client: str,
        uplink: Callable[[], int],
    ) -> None:
        """`uplink` is the upload limit in bytes a second, 0 where there is none."""
        self._told = told
        self._money = money
        self._catalogue = catalogue
        self._engine = lanes
        self._journal = journal
        self._clock = clock
        self._uplink = uplink
        floor = MicroBttPerMib(told.reserve)
        self.seller = Seller(
            Terms(slots=told.slots, per_torrent=told.per_torrent, rule=Rule(told.rule)),
            Reserve(price=floor, floor=floor, ceiling=CEILING),
            secrets.token_bytes,
            clock.mono(),
        )
        self.lanes = Lanes()
        self.market = Market(money.key, client, lambda found: self._torrent(found) is not None, self)
        self._lines: dict[int, Line] = {}
        self._numbers: dict[Line, int] = {}
        self._wide: dict[bytes, bool] = {}
        """Who has won (True), bids or does not pay (False)."""
        self._shut: set[bytes] = set()
        self._looking: set[int] = set()
        self._called = 0.0
        self._others = 1
        """Peers that are in no lane, when they were last counted."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    async def run(self, beat: Callable[[], None]) -> None:
        """Count, decide, serve: once a second, for ever."""
        while True:
            beat()
            torrents = {bidder.torrent for bidder in self.seller.bidders.values()}
            torrents |= {served.lease.torrent for served in self.seller.served.values()}
            counters = await self._engine.counters(torrents)
            self._do(self.seller.counted(counters, self._clock.mono()))
            self._do(self.seller.tick(self._clock.mono()))
            if self.lanes.look({ip: list(found) for ip, found in counters.items()}):
                self._turn_all()
            self._share(counters)
            self._call_missing(counters)
            await asyncio.sleep(LOOK_S)

    async def stop(self) -> None:
        """Hang up, and serve everybody alike."""
        await self.market.close()
        for task in self._tasks:
            task.cancel()

    # ------------------------------------------------------------------------------- what bidders say

    def opened(self, line: Line) -> None:
        """Somebody is there."""
        torrent = self._torrent(line.info_hash)
        if torrent is None:
            line.close()
            return
        self._count += 1
        self._lines[self._count], self._numbers[line] = line, self._count
        self._do(self.seller.opened(self._count, line.peer.key, line.host, torrent, self._clock.mono()))

    def closed(self, line: Line) -> None:
        """They are gone."""
        number = self._numbers.pop(line, 0)
        if number:
            del self._lines[number]
            self._do(self.seller.closed(number))

    def heard(self, line: Line, message: Message) -> None:
        """They said something. Raises PeerMisbehaved."""
        number = self._numbers.get(line, 0)
        if not number:
            return
        if isinstance(message, Bid):
            bidder = self.seller.bidders[number]
            offer = Offer(
                key=bidder.key,
                ip=bidder.ip,
                torrent=bidder.torrent,
                port=message.port,
                price=MicroBttPerMib(message.max_price),
                wants=message.bytes,
                channel=message.channel,
            )
            self._do(self.seller.bid(number, message.round, offer))
        elif isinstance(message, Pay):
            self._start(self._paid(line, number, message))
        elif not isinstance(message, Trouble | Receipt):
            raise PeerMisbehaved("A bidder says what only sellers say.")

    async def _paid(self, line: Line, number: int, message: Pay) -> None:
        bidder = self.seller.bidders.get(number)
        if bidder is None or bidder.offer is None:
            raise PeerMisbehaved("Somebody pays who has not bid.")
        wallet, channel = self._money.usable(), bidder.offer.channel
        state = State(wallet.ledger, channel, message.seq, MicroBtt(message.paid), message.state)
        await wallet.accept_state(channel, state, bidder.torrent)
        left = MicroBtt(wallet.held(channel).channel.lock - message.paid)
        self._do(self.seller.paid(bidder.key, channel, MicroBtt(message.paid), left))

    async def _look(self, number: int, channel: bytes) -> None:
        """Look at the channel that somebody wants to pay with."""
        line, bidder = self._lines.get(number), self.seller.bidders.get(number)
        if line is None or bidder is None:
            self._looking.discard(number)
            return
        try:
            held = await self._money.usable().adopt(channel, Purpose.DISTRIBUTION)
            if held.channel.payer != bidder.key:
                raise PeerMisbehaved("A channel is somebody else's.")
        except (PeerMisbehaved, RetryLater) as error:
            line.send(Trouble(code=b"channel", text=str(error).encode()[:300]))
            return
        finally:
            self._looking.discard(number)
        one = held.channel
        self._do(self.seller.funded(number, channel, one.paid, MicroBtt(one.lock - one.paid)))

    # ----------------------------------------------------------------------------------------- effects

    def _do(self, effects: Iterable[Effect]) -> None:
        for one in effects:
            match one:
                case Asks() | Results() | Receipts():
                    self._say(one)
                case Look(line, channel):
                    # One at a time for each line: a stranger must not make the box flood its ledger.
                    if line not in self._looking:
                        self._looking.add(line)
                        self._start(self._look(line, channel))
                case Seats(wishes):
                    self._start(self._arrange(wishes))
                case Wide(key):
                    self._wide[key] = True
                    self._turn(key)
                case Narrow(key, shut):
                    self._wide[key] = False
                    (self._shut.add if shut else self._shut.discard)(key)
                    self._turn(key)
                case Keep():
                    pass
                case Over(lease):
                    self._journal.info(
                        f"A slot was sold to {address_of(lease.key)}: {show_bytes(lease.sent)} for "
                        f"{show_btt(lease.paid)} BTT; it ended because {lease.ended}.",
                        lease.torrent,
                    )

    def _say(self, one: Asks | Results | Receipts) -> None:
        line = self._lines.get(one.line)
        if line is None:
            return
        match one:
            case Asks():
                wallet = self._money.wallet
                if wallet is None:
                    return
                line.send(
                    Ask(
                        round=one.round,
                        slots=one.slots,
                        per_torrent=one.per_torrent,
                        reserve=one.reserve,
                        round_ms=one.left_ms,
                        credit=one.credit,
                        rule=one.rule.value.encode(),
                        ledger=wallet.ledger,
                        commit=one.commit,
                    )
                )
            case Results():
                line.send(
                    Result(
                        round=one.round,
                        won=int(one.won),
                        price=one.price,
                        lease_ms=one.lease_ms,
                        reveal=one.seed,
                        tie=one.tie or b"",
                        full=int(one.full),
                    )
                )
            case Receipts():
                line.send(Receipt(sent=one.sent, owed=one.owed, paid=one.paid))

    async def _arrange(self, wishes: tuple[Wish, ...]) -> None:
        """Give lanes, and move those who are connected already into theirs."""
        torrents = {wish.torrent for wish in wishes} | {
            seat.wish.torrent for seat in self.lanes.seats.values()
        }
        there = await self._engine.counters(torrents)
        bounces = self.lanes.arrange(wishes, {ip: list(found) for ip, found in there.items()})
        self._engine.map(self.lanes.map)
        self._turn_all()
        if bounces:
            await self._bounce(bounces, torrents)

    async def _bounce(self, bounces: list[Bounce], torrents: set[str]) -> None:
        ips = {one.ip for one in bounces}
        self._engine.cut(ips)
        until = time.monotonic() + GONE_S
        while time.monotonic() < until:
            there = await self._engine.counters(torrents)
            if not ips & set(there):
                break
            await asyncio.sleep(0.1)
        if self.lanes.look({ip: list(found) for ip, found in there.items()}):
            self._turn_all()
        self._engine.uncut(ips)
        for one in bounces:
            self._engine.call(one.torrent, one.ip, one.port)

    def _turn_all(self) -> None:
        for seat in self.lanes.seats.values():
            self._turn(seat.wish.key)

    def _turn(self, key: bytes) -> None:
        lane = self.lanes.lane_of(key)
        if lane is None:
            return
        if self._wide.get(key):
            self._engine.widen(lane)
        else:
            self._engine.narrow(lane, SHUT if key in self._shut else self._trickle)

    def _call_missing(self, counters: dict[str, dict[str, int]]) -> None:
        """Call those again who have a lane and are not connected: a first call may find them not ready."""
        now = time.monotonic()
        if now - self._called < CALL_AGAIN_S:
            return
        self._called = now
        for seat in self.lanes.seats.values():
            if seat.phase is Phase.SEATED and seat.wish.ip not in counters:
                self._engine.call(seat.wish.torrent, seat.wish.ip, seat.wish.port)

    @property
    def _trickle(self) -> int:
        free = free_share(self._uplink(), self._told.free_share, leases=1)
        return trickle(free, self._others, LEAST_TRICKLE)

    def _share(self, counters: dict[str, dict[str, int]]) -> None:
        """Keep the free share for all others while slots are sold."""
        self._others = max(1, len(set(counters) - set(self.lanes.map)))
        sold = any(not served.lease.ended for served in self.seller.served.values())
        self._engine.share(free_share(self._uplink(), self._told.free_share, leases=int(sold)))

    # ----------------------------------------------------------------------------------------- helpers

    def _torrent(self, info_hash: bytes) -> str | None:
        """The id of the torrent that an info-hash (20 bytes, of v2 the first) stands for."""
        wanted = info_hash.hex()
        for torrent in self._catalogue.all():
            if wanted in (torrent.record.v1, torrent.record.v2[:40]):
                return torrent.record.id
        return None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin something that takes a while; who misbehaves in it is hung up on by the next message."""

        async def guarded() -> None:
            try:
                await work
            except SeedboxError as error:
                log.info("auction: %s", error)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
