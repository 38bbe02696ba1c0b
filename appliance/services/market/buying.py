"""Bidding for slots of others: what happens is put to the buyer, and what it decides is carried out."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from appliance.core.config import AuctionConfig
from appliance.core.errors import RetryLater, SeedboxError
from appliance.core.keys import Address
from appliance.core.service import Beat
from appliance.core.tasks import Tasks
from appliance.core.units import UtcMs, price_of
from appliance.domain.auction.buyer import Buyer
from appliance.domain.auction.buyer_effects import (
    BuyerEffect,
    CallMarket,
    CountSoon,
    FundChannel,
    HangUp,
    KeepRecords,
    RepeatPayments,
    SeekSellers,
    SendMessage,
    SignPayment,
    Situation,
    TellOwner,
)
from appliance.domain.auction.intake import Moment
from appliance.domain.auction.messages import Message, Trouble
from appliance.domain.auction.purchase import Download
from appliance.domain.auction.records import SellerRecord
from appliance.domain.auction.wants import Want, automatic
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.catalogue.torrent import Torrent
from appliance.services.market.buying_ports import BuyingPorts
from appliance.services.market.line import MarketLine
from appliance.services.market.spending import Refusal

log = logging.getLogger(__name__)

LOOK_S = 0.5
LEAST_LOOK_S = 0.1
"""A receipt makes us look at once, but not more often than this."""
IDLE_S = 5.0


class Buying:
    """The box as a buyer."""

    def __init__(self, ports: BuyingPorts) -> None:
        self._ports = ports
        self.spending = ports.spending
        self.buyer = Buyer(ports.key, {}, ports.clock.mono())
        self.wants: dict[str, Want] = {}
        """What the owner has asked for by name."""
        self._dialler = ports.dialler(self)
        self._lines: dict[int, MarketLine] = {}
        self._numbers: dict[MarketLine, int] = {}
        self._count = 0
        self._unkept: dict[Address, SellerRecord] = {}
        """Records that are not written down yet."""
        self._tasks = Tasks(ports.fail)
        self._wake = asyncio.Event()

    # -------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Take up what was kept."""
        self.wants = await self._ports.memory.wants()
        records = await self._ports.memory.records()
        self.buyer = Buyer(self._ports.key, records, self._ports.clock.mono())

    async def run(self, beat: Beat) -> None:
        """Look, again and again: at once when a seller wants to be paid."""
        while True:
            beat()
            await self.look()
            self._wake.clear()
            try:
                async with asyncio.timeout(LOOK_S if self.buyer.dealings.torrents else IDLE_S):
                    await self._wake.wait()
                await asyncio.sleep(LEAST_LOOK_S)
            except TimeoutError:
                pass

    async def flush(self) -> None:
        """Write down what came of all dealings. Raises RetryLater."""
        self._do(self.buyer.flush(self._now()))
        await self._keep_records()

    async def stop(self) -> None:
        """Hang up, and write down what came of all dealings. Raises RetryLater."""
        await self._dialler.close()
        try:
            await self.flush()
        finally:
            await self._tasks.stop()

    # --------------------------------------------------------------------------------------- the owner

    async def want(self, id: str, want: Want | None) -> None:
        """Pay for a torrent from now on, or not any more. Raises RetryLater."""
        if want:
            want = replace(want, before=await self.spending.spent(id))
        await self._ports.memory.put_want(id, want)
        self.wants.pop(id, None)
        if want:
            self.wants[id] = want
        if self.spending.ledger:
            await self._update()
        self._wake.set()

    # ------------------------------------------------------------------------------------ what happens

    async def look(self) -> None:
        """See what is wanted, what has arrived, and what is due."""
        if self.spending.ledger is None:
            return
        try:
            await self._forget_wants()
            await self._update()
            for torrent in self.buyer.dealings.torrents:
                intake = await self._ports.engine.intake(torrent)
                self._do(self.buyer.arrived(torrent, intake, self._now()))
            self._do(self.buyer.tick(self._now()))
        except RetryLater as error:
            log.info("buying: %s", error)

    async def _update(self) -> None:
        new = [one.id for one in self._downloads() if self.buyer.dealings.is_new(one)]
        spent = {id: await self.spending.spent(id) for id in new}
        situation = Situation(
            day_left=await self.spending.day_left(),
            ledger=self.spending.ledger or b"",
            port=self._ports.port(),
            downloads=tuple(self._downloads()),
            spent=spent,
        )
        self.buyer.updated(situation, self._now())

    async def _forget_wants(self) -> None:
        """Torrents that were removed are wanted no more."""
        for id in self.wants.keys() - {one.record.id for one in self._ports.catalogue.all()}:
            await self._ports.memory.put_want(id, None)
            self.wants.pop(id, None)

    def _downloads(self) -> list[Download]:
        """The torrents that are bought for, on the owner's terms or the box's own."""
        config = self._ports.config()
        return [
            _download(one, self.wants.get(one.record.id), config)
            for one in self._ports.catalogue.all()
            if one.state is TorrentState.DOWNLOADING and (config.buy_price or one.record.id in self.wants)
        ]

    def opened(self, line: MarketLine) -> None:
        """A market answers."""
        self._count += 1
        self._lines[self._count], self._numbers[line] = line, self._count
        found = self._ports.catalogue.find(line.info_hash)
        torrent = found.record.id if found else ""
        self._do(self.buyer.opened(self._count, line.peer.address, line.host, torrent, self._now()))

    def closed(self, line: MarketLine) -> None:
        """A market has hung up, or we have."""
        number = self._numbers.pop(line, 0)
        self._lines.pop(number, None)
        self._do(self.buyer.closed(number, self._now()))

    def received(self, line: MarketLine, message: Message) -> None:
        """A seller said something. Raises PeerMisbehaved."""
        if isinstance(message, Trouble):
            log.info("buying: %s says %r", line.peer.address, message.text.decode("utf-8", "replace"))
        self._do(self.buyer.received(self._numbers.get(line, 0), message, self._now()))

    # ----------------------------------------------------------------------------------- what is done

    def _do(self, effects: Sequence[BuyerEffect]) -> None:
        """Carry effects out in their order; what follows on something to be kept waits until it is."""
        for at, effect in enumerate(effects):
            if isinstance(effect, KeepRecords):
                self._unkept |= dict(effect.records)
                self._tasks.start(self._keep_before(effects[at + 1 :]), "keeping records of sellers")
                return
            self._carry_out(effect)

    async def _keep_before(self, rest: Sequence[BuyerEffect]) -> None:
        try:
            await self._keep_records()
        except RetryLater as error:
            log.warning("what came of dealings is not written down yet: %s", error)
        self._do(rest)

    async def _keep_records(self) -> None:
        keeping: Mapping[Address, SellerRecord] = dict(self._unkept)
        if keeping:
            await self._ports.memory.put_records(keeping.items())
        for seller, record in keeping.items():
            if self._unkept.get(seller) == record:
                del self._unkept[seller]

    def _carry_out(self, effect: BuyerEffect) -> None:
        match effect:
            case SendMessage(line, message):
                self._send(line, [message])
            case RepeatPayments(line, seller):
                self._send(line, self.spending.last_payments(seller))
            case HangUp(line):
                if line in self._lines:
                    self._lines[line].close()
            case TellOwner(torrent, text, warning):
                (self._ports.journal.warning if warning else self._ports.journal.info)(text, torrent)
            case SeekSellers(torrent, info_hash):
                self._ports.engine.find(info_hash, lambda found: self.buyer.found(torrent, found))
            case CallMarket():
                self._tasks.start(self._call(effect), "calling a market")
            case FundChannel():
                self._tasks.start(self._fund(effect), "funding a bid")
            case SignPayment():
                self._tasks.start(self._pay(effect), "paying a seller")
            case CountSoon():
                self._wake.set()
            case KeepRecords():
                pass

    def _send(self, line: int, messages: Sequence[Message]) -> None:
        if line in self._lines:
            for message in messages:
                self._lines[line].send(message)

    async def _call(self, call: CallMarket) -> None:
        try:
            source = self._ports.source(call.host)
            await self._dialler.dial(call.host, call.port, call.info_hash, source)
        finally:
            self.buyer.called(call.host, call.port)

    async def _fund(self, need: FundChannel) -> None:
        try:
            found = await self.spending.fund(need)
        except SeedboxError:
            self._do(self.buyer.unfunded(need.contact, "", self._now(), later=True))
            raise
        if isinstance(found, Refusal):
            self._do(self.buyer.unfunded(need.contact, found.why, self._now()))
        else:
            self._do(self.buyer.funded(need.contact, found, self._now()))

    async def _pay(self, payment: SignPayment) -> None:
        try:
            state = await self.spending.pay(payment.channel, payment.total, payment.contact[0])
        except SeedboxError:
            self._do(self.buyer.unpaid(payment.contact, self._now()))
            raise
        self._do(self.buyer.paid(payment.contact, state, self._now()))

    def _now(self) -> Moment:
        return Moment(self._ports.clock.mono(), self._ports.clock.now())


def _download(torrent: Torrent, want: Want | None, config: AuctionConfig) -> Download:
    record, snapshot = torrent.record, torrent.snapshot
    size, done = (snapshot.size, snapshot.done) if snapshot else (torrent.size, 0)
    return Download(
        id=record.id,
        name=record.name,
        info_hash=record.info_hash,
        piece=max(1, record.size // max(1, record.pieces)),
        missing=max(0, size - done),
        rate=torrent.down_rate,
        private=record.private,
        want=want or automatic(price_of(config.buy_price), config.buy_hours, UtcMs(record.added)),
        own=want is not None,
    )
