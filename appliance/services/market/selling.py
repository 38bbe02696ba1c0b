"""Selling slots, wired: the market's lines, the seller's rules, the wallet, and the lanes of the engine."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from appliance.adapters.engine.lanes import EngineLanes
from appliance.adapters.store.auction import AuctionMemory, RoundLog
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.wire.market import Line, Market
from appliance.core.clock import Clock
from appliance.core.config import Auction
from appliance.core.errors import NotFound, PeerMisbehaved, RetryLater, SeedboxError
from appliance.core.keys import address_of
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, show_btt, show_bytes
from appliance.domain.auction.clearing import Rule
from appliance.domain.auction.effects import (
    Asks,
    Decided,
    Delivered,
    Eased,
    Effect,
    Keep,
    Look,
    Narrow,
    Over,
    Receipts,
    Results,
    Seats,
    Wide,
)
from appliance.domain.auction.lease import Why
from appliance.domain.auction.messages import EASED, Ask, Bid, Message, Pay, Receipt, Result, Trouble
from appliance.domain.auction.reserve import Reserve, limited
from appliance.domain.auction.seller import LOOK_NS, Offer, Seller, Terms
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.catalogue.model import State as TorrentState
from appliance.domain.ledger.channel import ChannelState
from appliance.domain.wallet.model import Purpose
from appliance.services.market.account import Money
from appliance.services.market.lanes import SeatKeeper

log = logging.getLogger(__name__)

LOOK_S = LOOK_NS / 1e9
IDLE_S = 1.0
"""Between two looks while no slot is sold."""
WIDE_S = 5.0
"""Between two looks at all torrents, for what those with a lane take of others."""
CEILING = MicroBttPerMib(10**12)
_HERE = (TorrentState.SEEDING, TorrentState.DOWNLOADING)


class Selling:
    """The box's own market, from the seller's side."""

    def __init__(
        self,
        told: Auction,
        money: Money,
        catalogue: Catalogue,
        lanes: EngineLanes,
        journal: EventJournal,
        memory: AuctionMemory,
        rounds: RoundLog,
        clock: Clock,
        client: str,
        uplink: Callable[[], int],
    ) -> None:
        """`uplink` is what the box can send, in bytes a second, 0 while nobody knows."""
        self.told = told
        self._money = money
        self._catalogue = catalogue
        self._engine = lanes
        self._journal = journal
        self._memory = memory
        self.rounds = rounds
        self._clock = clock
        self.seats = SeatKeeper(lanes, uplink, told.free_share)
        wallet = money.wallet
        known = memory.load()
        self.seller = Seller(
            terms_of(told, uplink()),
            reserve_of(told),
            secrets.token_bytes,
            clock.mono(),
            known,
            {held.channel.id: held.channel.paid for held in wallet.channels} if wallet else {},
        )
        self.market = Market(money.key, client, lambda found: self._torrent(found) is not None, self)
        self._lines: dict[int, Line] = {}
        self._numbers: dict[Line, int] = {}
        self.price = MicroBttPerMib(0)
        """Of the last round in which a slot was sold."""
        self.connected: set[str] = set()
        """Addresses to which there is a connection."""
        self._looking: set[int] = set()
        self._others: set[str] = set()
        """Torrents of which those with a lane take something, beside those that they bid for."""
        self._looked_wide = 0
        self._keeping = False
        self._later: list[Effect] = []
        """What came up while something was being written down."""
        self._unkept = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._ended = asyncio.Event()
        self._running = asyncio.Lock()

    async def run(self, beat: Callable[[], None]) -> None:
        """Count, decide, serve, until `end`."""
        async with self._running:
            if self.seller.served:
                await self.seats.arrange(self.seller.seats().wishes)
            while not self._ended.is_set():
                beat()
                await self._serve()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S if self.seller.served else IDLE_S):
                        await self._ended.wait()

    async def _serve(self) -> None:
        counters = await self._counters()
        for torrent in self._torrents():
            if not self._sells(torrent):
                await self._carry(self.seller.gone(torrent))
        self.connected = set(counters)
        await self._carry(self.seller.counted(counters, self._clock.mono()))
        self.seller.terms = terms_of(self.told, self.seats.uplink)
        await self._carry(self.seller.tick(self._clock.mono()))
        self.seats.look(counters)
        self.seats.share(counters, sold=bool(self.seller.served))

    async def _counters(self) -> dict[str, dict[str, int]]:
        """Payload sent to all who have a lane, of every torrent: the lane serves them all."""
        now = self._clock.mono()
        torrents = self._torrents() | self.seats.torrents
        if self.seats.lanes.map and now - self._looked_wide >= WIDE_S * 1e9:
            self._looked_wide = now
            busy = {one.record.id for one in self._catalogue.all() if one.peers} - torrents
            found = await self._engine.counters(busy)
            self._others = {
                connection.partition(" ")[0]
                for ip, connections in found.items()
                if ip in self.seats.lanes.map
                for connection in connections
            }
        return await self._engine.counters(torrents | self._others)

    def _torrents(self) -> set[str]:
        bid_for = {bidder.torrent for bidder in self.seller.bidders.values()}
        return bid_for | {served.lease.torrent for served in self.seller.served.values()}

    async def end(self) -> None:
        """Sell nothing any more: leases end, and everybody is served alike."""
        self._ended.set()
        async with self._running:
            await self._end()

    async def _end(self) -> None:
        await self._carry(self.seller.stop(Why.CLOSED))
        await self._carry(self.seller.counted(await self._counters(), self._clock.mono()))
        await self.stop()
        await self.seats.arrange(())
        self.seats.share({}, sold=False)

    async def stop(self) -> None:
        """Hang up; what was sold is kept."""
        await self.market.close()
        for task in self._tasks:
            task.cancel()
        await self._memory.keep(self.seller.memory())

    async def listen(self, addresses: list[str]) -> None:
        """Take bids. Raises OwnerMustAct where the port is taken."""
        await self.market.listen(addresses, self.told.port)

    def set_terms(self, told: Auction) -> None:
        """Other terms: the reserve at once, the rest from the next round on."""
        reserve = reserve_of(told)
        if (self.told.reserve, self.told.reserve_moves) == (told.reserve, told.reserve_moves):
            reserve = limited(replace(reserve, price=self.seller.reserve.price))
        self.seller.terms, self.seller.reserve, self.told = terms_of(told, self.seats.uplink), reserve, told
        self.seats.percent = told.free_share

    def ease(self, uplink_now: int, says: str, *, new_work: bool = True) -> None:
        """The box may send `uplink_now` bytes a second for a while (0: as usual), because of what it `says`.

        The free share bears the reduction first; who pays is told `says`, up to 300 bytes of it, or with ""
        that it is over. Without `new_work` leases that run can be won again, and no other ones.
        """
        self.seats.uplink_now = uplink_now
        self.seller.ease(says, new_work=new_work)

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
        match message:
            case Bid():
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
                self._do(self.seller.bid(number, offer))
            case Pay():
                self._start(self._paid(number, message), line)
            case Trouble(code=b"meter"):
                self._do(self.seller.disagreed(number))
            case Trouble() | Receipt():
                pass
            case _:
                raise PeerMisbehaved("A bidder says what only sellers say.")

    async def _paid(self, number: int, message: Pay) -> None:
        bidder = self.seller.bidders.get(number)
        if bidder is None or not message.channel:
            raise PeerMisbehaved("Somebody pays who has not bid.")
        wallet = self._money.usable()
        held = wallet.held(message.channel)
        if held.channel.payer != bidder.key:
            raise PeerMisbehaved("Somebody pays with a channel that is not theirs.")
        if (message.seq, message.paid) == (held.channel.seq, held.channel.paid):
            # Said again after a line broke.
            return
        state = ChannelState(
            wallet.ledger, message.channel, message.seq, MicroBtt(message.paid), message.state
        )
        more = await wallet.accept_state(message.channel, state, bidder.torrent)
        self.rounds.earned(more)
        self._do(self.seller.paid(bidder.key, message.channel, MicroBtt(message.paid)))

    async def _look(self, number: int, channel: bytes) -> None:
        """Look at the channel that somebody wants to pay with."""
        try:
            line, bidder = self._lines.get(number), self.seller.bidders.get(number)
            if line is None or bidder is None:
                return
            try:
                held = await self._money.usable().adopt(channel, Purpose.DISTRIBUTION)
                if held.channel.payer != bidder.key:
                    raise PeerMisbehaved("A channel is somebody else's.")
            except (PeerMisbehaved, RetryLater) as error:
                line.send(Trouble(code=b"channel", text=str(error).encode()[:300]))
                return
            self._do(self.seller.funded(number, channel, held.channel.paid, held.channel.lock))
        finally:
            self._looking.discard(number)

    # ----------------------------------------------------------------------------------------- effects

    async def _carry(self, effects: list[Effect]) -> None:
        """Carry out effects; where a lease changed, it is written down before anything is done."""
        if any(isinstance(one, Keep) for one in effects):
            self._keeping = True
            try:
                await self._memory.keep(self.seller.memory())
                self._unkept = False
            except RetryLater as error:
                if not self._unkept:
                    self._journal.error(f"No slots are sold: {error}")
                self._unkept = True
                effects = [one for one in effects if not isinstance(one, Results | Wide | Seats)]
                effects += self.seller.stop(Why.UNKEPT)
            finally:
                self._keeping = False
        later, self._later = self._later, []
        self._do([*effects, *later])

    def _do(self, effects: Iterable[Effect]) -> None:
        if self._keeping:
            self._later += effects
            return
        for one in effects:
            match one:
                case Asks() | Results() | Receipts() | Eased():
                    self._say(one)
                case Look(line, channel):
                    # One at a time for each line: a stranger must not make the box flood its ledger.
                    if line not in self._looking:
                        self._looking.add(line)
                        self._start(self._look(line, channel), self._lines.get(line))
                case Seats(wishes):
                    self._start(self.seats.arrange(wishes))
                case Wide(key):
                    self.seats.wide(key)
                case Narrow(key, shut):
                    self.seats.narrow(key, shut=shut)
                case Delivered(torrent, count):
                    self.rounds.sent(torrent, count)
                case Decided():
                    self.rounds.decided(one)
                    self.price = one.price if one.sold else self.price
                case Over(lease):
                    self._journal.info(
                        f"A slot was sold to {address_of(lease.key)}: {show_bytes(lease.sent)} for "
                        f"{show_btt(MicroBtt(lease.paid - lease.before))} BTT; it ended because "
                        f"{lease.ended}.",
                        lease.torrent,
                    )
                case Keep():
                    pass

    def _say(self, one: Asks | Results | Receipts | Eased) -> None:
        line, wallet = self._lines.get(one.line), self._money.wallet
        if line is None or wallet is None:
            return
        match one:
            case Asks():
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
                line.send(Receipt(sent=one.sent, owed=one.owed, paid=one.paid, channel=one.channel))
            case Eased(says=says):
                line.send(Trouble(code=EASED, text=says.encode()[:300]))

    # ----------------------------------------------------------------------------------------- helpers

    def _torrent(self, info_hash: bytes) -> str | None:
        """The id of the torrent that is here to be sent, and goes by an info-hash (20 bytes)."""
        found = self._catalogue.find(info_hash)
        return found.record.id if found and found.state in _HERE else None

    def _sells(self, id: str) -> bool:
        """Whether a torrent is here to be sent."""
        try:
            return self._catalogue.get(id).state in _HERE
        except NotFound:
            return False

    def _start(self, work: Coroutine[Any, Any, None], line: Line | None = None) -> None:
        """Begin something that takes a while; who misbehaves in it is hung up on."""

        async def guarded() -> None:
            try:
                await work
            except SeedboxError as error:
                log.info("auction: %s", error)
                if line:
                    line.send(Trouble(code=b"refused", text=str(error).encode()[:300]))
                if line and isinstance(error, PeerMisbehaved):
                    line.close()

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def terms_of(told: Auction, uplink: int) -> Terms:
    """What the owner offers.

    The credit is at least what the uplink sends in a second: looked at four times in it, nobody gets more
    than a quarter beyond.
    """
    return Terms(
        slots=told.slots,
        per_torrent=told.per_torrent,
        rule=Rule(told.rule),
        credit=max(told.credit * MIB, -(-uplink // MIB) * MIB),
    )


def reserve_of(told: Auction) -> Reserve:
    """The owner's reserve price: what is set is the floor, or the price itself."""
    floor = MicroBttPerMib(told.reserve)
    ceiling = MicroBttPerMib(told.ceiling) if told.ceiling else CEILING
    return Reserve(price=floor, floor=floor, ceiling=max(floor, ceiling), adaptive=told.reserve_moves)
