"""Selling slots: bidders' messages and the engine's counters go in, the seller's effects are carried out."""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from dataclasses import replace

from appliance.core.config import AuctionConfig
from appliance.core.errors import Bug, NotFound, PeerMisbehaved, RetryLater, SeedboxError
from appliance.core.keys import address_of
from appliance.core.service import Beat
from appliance.core.tasks import Tasks
from appliance.core.units import MicroBtt, MicroBttPerMib, show_btt, show_bytes
from appliance.domain.auction.effects import (
    AssignLanes,
    Decided,
    Delivered,
    Effect,
    Inspect,
    Keep,
    LeaseOver,
    Send,
    SetService,
)
from appliance.domain.auction.lanes import LaneService
from appliance.domain.auction.lease import Lease, LeaseEnd
from appliance.domain.auction.messages import (
    METER_DISPUTED,
    Bid,
    Message,
    Pay,
    Receipt,
    Result,
    Trouble,
    to_text,
)
from appliance.domain.auction.model import Offer, Terms
from appliance.domain.auction.reserve import limited
from appliance.domain.auction.seller import LOOK_NS, Seller
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.ledger.channel import ChannelState
from appliance.domain.wallet.model import Purpose
from appliance.services.market.counting import LaneCounting
from appliance.services.market.lanes import LaneKeeper
from appliance.services.market.line import MarketLine
from appliance.services.market.selling_ports import SellingPorts
from appliance.services.market.terms import reserve_of, terms_of

LOOK_S = LOOK_NS / 1e9
IDLE_S = 1.0
"""Between two looks while no slot is sold."""
_HERE = (TorrentState.SEEDING, TorrentState.DOWNLOADING)


class Selling:
    """The box's own market, from the seller's side."""

    def __init__(self, config: AuctionConfig, ports: SellingPorts) -> None:
        self.config = config
        self._ports = ports
        self.lanes = LaneKeeper(ports.engine, ports.uplink, config.free_share, ports.clock)
        self._counting = LaneCounting(ports.engine, ports.torrents, self.lanes, ports.clock)
        wallet = ports.account.wallet
        self.seller = Seller(
            self._terms(),
            reserve_of(config),
            ports.chance,
            ports.clock.mono(),
            ports.store.load(),
            {held.channel.id: held.channel.paid for held in wallet.channels} if wallet else {},
        )
        self.price = MicroBttPerMib(0)
        """The price of the last round in which a slot was sold."""
        self.connected: set[str] = set()
        """Addresses to which there is a BitTorrent connection."""
        self._connections: dict[int, MarketLine] = {}
        self._numbers: dict[MarketLine, int] = {}
        self._count = 0
        self._inspecting: set[int] = set()
        self._keeping = False
        self._later: list[Effect] = []
        """Effects that came up while something was being saved."""
        self._unsaved = False
        """The last attempt to save has failed, and the owner was told."""
        self._tasks = Tasks(ports.fail)
        self._ended = asyncio.Event()
        self._running = asyncio.Lock()

    # -------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Take up the leases that were saved."""
        if self.seller.served:
            await self.lanes.arrange(self.seller.lanes().requests)

    async def run(self, beat: Beat) -> None:
        """Count, decide and serve, until `end`."""
        async with self._running:
            while not self._ended.is_set():
                beat()
                await self.serve()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S if self.seller.served else IDLE_S):
                        await self._ended.wait()

    async def serve(self) -> None:
        """Do once what `run` does over and over."""
        clock = self._ports.clock
        counters = await self._counting.read(self._torrents())
        for torrent in self._torrents():
            if not self._sells(torrent):
                await self._carry_out(self.seller.gone(torrent))
        self.connected = set(counters)
        await self._carry_out(self.seller.counted(counters, clock.mono()))
        self.seller.terms = self._terms()
        await self._carry_out(self.seller.tick(clock.mono()))
        self.lanes.refresh(counters)
        self.lanes.share(counters, sold=bool(self.seller.served))

    async def end(self) -> None:
        """Sell nothing any more: leases end, and everybody is served alike."""
        self._ended.set()
        async with self._running:
            await self._carry_out(self.seller.stop(LeaseEnd.CLOSED))
            counters = await self._counting.read(self._torrents())
            await self._carry_out(self.seller.counted(counters, self._ports.clock.mono()))
            await self._tasks.stop()
            await self.lanes.arrange(())
            self.lanes.share({}, sold=False)

    async def flush(self) -> None:
        """Save what is new. Raises RetryLater."""
        await self._ports.store.keep(self.seller.memory())

    async def stop(self) -> None:
        """Leave in order; leases go on when the box is started again."""
        await self._tasks.stop()
        await self.flush()

    # ---------------------------------------------------------------------------------------- the owner

    def set_terms(self, config: AuctionConfig) -> None:
        """Offer other terms: the reserve at once, the rest from the next round on."""
        reserve, before = reserve_of(config), self.config
        if (before.reserve, before.reserve_moves) == (config.reserve, config.reserve_moves):
            reserve = limited(replace(reserve, price=self.seller.reserve.price))
        self.config, self.seller.reserve = config, reserve
        self.seller.terms = self._terms()
        self.lanes.percent = config.free_share

    def throttle(self, uplink_now: int, reason: str, *, new_work: bool = True) -> None:
        """Send `uplink_now` bytes a second for a while (0: as usual), because of `reason`.

        The free share bears the reduction first; who pays is told the reason, up to 300 bytes of it, or with
        "" that it is over. Without `new_work` leases that run can be won again, and no other ones.
        """
        self.lanes.uplink_now = uplink_now
        self.seller.throttle(reason, new_work=new_work)

    # ---------------------------------------------------------------------------- what bidders say

    def knows(self, info_hash: bytes) -> bool:
        """Whether a torrent is here to be sent, and goes by an info-hash (20 bytes)."""
        return self._torrent(info_hash) is not None

    def opened(self, connection: MarketLine) -> None:
        """A bidder is connected."""
        torrent = self._torrent(connection.info_hash)
        if torrent is None:
            connection.close()
            return
        self._count += 1
        number = self._count
        self._connections[number], self._numbers[connection] = connection, number
        now = self._ports.clock.mono()
        self._do(self.seller.opened(number, connection.peer.key, connection.host, torrent, now))

    def closed(self, connection: MarketLine) -> None:
        """A bidder has hung up."""
        number = self._numbers.pop(connection, 0)
        if number:
            del self._connections[number]
            self._do(self.seller.closed(number))

    def received(self, connection: MarketLine, message: Message) -> None:
        """A bidder has sent a message. Raises PeerMisbehaved."""
        number = self._numbers.get(connection, 0)
        if not number:
            return
        match message:
            case Bid():
                self._do(self.seller.bid(number, self._offer(number, message)))
            case Pay():
                self._tasks.start(self._answering(self._paid(number, message), connection), "payment")
            case Trouble(code=code):
                self._do(self.seller.disagreed(number) if code == METER_DISPUTED else [])
            case Receipt():
                pass
            case _:
                raise PeerMisbehaved("A bidder says what only sellers say.")

    def _offer(self, number: int, bid: Bid) -> Offer:
        bidder = self.seller.bidders[number]
        return Offer(
            key=bidder.key,
            ip=bidder.ip,
            torrent=bidder.torrent,
            port=bid.port,
            price=MicroBttPerMib(bid.max_price),
            wants=bid.bytes,
            channel=bid.channel,
        )

    async def _answering(self, work: Awaitable[None], connection: MarketLine) -> None:
        """Tell a bidder what went wrong with what it asked for; who misbehaves is hung up on."""
        try:
            await work
        except Bug:
            raise
        except SeedboxError as error:
            connection.send(Trouble(code=b"refused", text=to_text(str(error))))
            if isinstance(error, PeerMisbehaved):
                connection.close()
            raise

    async def _paid(self, number: int, message: Pay) -> None:
        bidder = self.seller.bidders.get(number)
        if bidder is None or not message.channel:
            raise PeerMisbehaved("Somebody pays who has not bid.")
        wallet = self._ports.account.usable()
        channel = wallet.held(message.channel).channel
        if channel.payer != bidder.key:
            raise PeerMisbehaved("Somebody pays with a channel that is not theirs.")
        if (message.seq, message.paid) == (channel.seq, channel.paid):
            # Sent again after a connection broke.
            return
        total = MicroBtt(message.paid)
        state = ChannelState(wallet.ledger, message.channel, message.seq, total, message.state)
        self._ports.log.earned(await wallet.accept_state(message.channel, state, bidder.torrent))
        self._do(self.seller.paid(bidder.key, message.channel, total))

    async def _inspect(self, number: int, channel: bytes) -> None:
        """Ask the ledger about the channel that somebody wants to pay with."""
        connection, bidder = self._connections.get(number), self.seller.bidders.get(number)
        if connection is None or bidder is None:
            return
        try:
            held = await self._ports.account.usable().adopt(channel, Purpose.DISTRIBUTION)
            if held.channel.payer != bidder.key:
                raise PeerMisbehaved("A channel is somebody else's.")
        except (PeerMisbehaved, RetryLater) as error:
            connection.send(Trouble(code=b"channel", text=to_text(str(error))))
            return
        self._do(self.seller.funded(number, channel, held.channel.paid, held.channel.lock))

    # ----------------------------------------------------------------------------------------- effects

    async def _carry_out(self, effects: list[Effect]) -> None:
        """Carry out effects; where a lease has changed, it is saved before anything is done."""
        unsold: list[Effect] = []
        if any(isinstance(one, Keep) for one in effects):
            self._keeping = True
            try:
                saved = await self._save()
            finally:
                self._keeping = False
            if not saved:
                effects = [one for one in effects if not _sells(one)]
                unsold = self.seller.stop(LeaseEnd.UNKEPT)
        later, self._later = self._later, []
        self._do([*effects, *later, *unsold])

    async def _save(self) -> bool:
        """Save what the seller must not forget; False where the disk does not take it."""
        try:
            await self.flush()
        except RetryLater as error:
            if not self._unsaved:
                self._ports.journal.error(f"No slots are sold: {error}")
            self._unsaved = True
            return False
        self._unsaved = False
        return True

    def _do(self, effects: Iterable[Effect]) -> None:
        if self._keeping:
            self._later += effects
            return
        for one in effects:
            match one:
                case Send(number, message):
                    self._send(number, message)
                case Inspect(number, channel):
                    self._inspect_soon(number, channel)
                case AssignLanes(requests):
                    self._tasks.start(self.lanes.arrange(requests), "lanes")
                case SetService(key, service):
                    self.lanes.set_service(key, service)
                case Delivered(torrent, count):
                    self._ports.log.sent(torrent, count)
                case Decided():
                    self._ports.log.decided(one)
                    self.price = one.price if one.sold else self.price
                case LeaseOver(lease):
                    self._note_over(lease)
                case Keep():
                    pass

    def _send(self, number: int, message: Message) -> None:
        if connection := self._connections.get(number):
            connection.send(message)

    def _inspect_soon(self, number: int, channel: bytes) -> None:
        # One at a time for each connection: a stranger must not make the box flood its ledger.
        connection = self._connections.get(number)
        if connection is None or number in self._inspecting:
            return
        self._inspecting.add(number)

        async def inspect() -> None:
            try:
                await self._answering(self._inspect(number, channel), connection)
            finally:
                self._inspecting.discard(number)

        self._tasks.start(inspect(), "inspection of a channel")

    def _note_over(self, lease: Lease) -> None:
        """Tell the owner of a lease that has ended, where anything was sent in it."""
        if not lease.sent:
            return
        paid = show_btt(MicroBtt(lease.paid - lease.before))
        self._ports.journal.info(
            f"A slot was sold to {address_of(lease.key)}: {show_bytes(lease.sent)} for {paid} BTT; "
            f"the lease ended because {lease.ended}.",
            lease.torrent,
        )

    # ----------------------------------------------------------------------------------------- helpers

    def _terms(self) -> Terms:
        wallet = self._ports.account.wallet
        return terms_of(self.config, self._ports.uplink(), wallet.ledger if wallet else b"")

    def _torrents(self) -> set[str]:
        """The torrents that somebody bids for or is served."""
        bid_for = {bidder.torrent for bidder in self.seller.bidders.values()}
        return bid_for | {served.lease.torrent for served in self.seller.served.values()}

    def _torrent(self, info_hash: bytes) -> str | None:
        """The id of the torrent that is here to be sent, and goes by an info-hash (20 bytes)."""
        found = self._ports.torrents.find(info_hash)
        return found.record.id if found and found.state in _HERE else None

    def _sells(self, id: str) -> bool:
        """Whether a torrent is here to be sent."""
        try:
            return self._ports.torrents.get(id).state in _HERE
        except NotFound:
            return False


def _sells(effect: Effect) -> bool:
    """Whether an effect tells of a slot that was sold, or serves it."""
    match effect:
        case Send(message=Result()) | AssignLanes() | SetService(service=LaneService.PRIORITISED):
            return True
        case _:
            return False
