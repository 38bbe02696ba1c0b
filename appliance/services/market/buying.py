"""Bidding for slots of others, wired: sellers are found, bid to, watched, and paid for what has arrived."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from appliance.adapters.engine.market import EngineMarket, Intake, Source
from appliance.adapters.store.auction import AuctionMemory
from appliance.adapters.store.journal import EventJournal
from appliance.adapters.wire.market import Line, Market
from appliance.core.clock import Clock
from appliance.core.config import Auction
from appliance.core.errors import PeerMisbehaved, RetryLater, SeedboxError
from appliance.core.keys import Address
from appliance.core.units import MicroBtt, MicroBttPerMib, UtcMs
from appliance.domain.auction import pacing
from appliance.domain.auction.buyer import (
    BAD_DATA,
    METER,
    SELLERS,
    SILENT,
    Asked,
    Deal,
    Need,
    Record,
    Want,
    Wrong,
    bids,
    dealt,
    rank,
)
from appliance.domain.auction.clearing import Rule
from appliance.domain.auction.lease import CREDIT, ROUND_NS
from appliance.domain.auction.messages import EASED, Ask, Bid, Message, Pay, Receipt, Result, Trouble
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.catalogue.model import State
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.ledger.channel import ChannelState
from appliance.services.market.account import Money
from appliance.services.market.deals import SEEK_S, Live, Purchase
from appliance.services.market.spending import Purse

log = logging.getLogger(__name__)

LOOK_S = 0.5
LEAST_LOOK_S = 0.1
"""A receipt makes us look at once, but not more often than this."""
IDLE_S = 5.0
AGAIN_S = 60.0
"""Before a market that did not answer, or hung up, is called again."""
ROUND_S = ROUND_NS / 1e9
MOST_LINES = 64
BANNED_S = 10.0
"""Without a connection after bad data: libtorrent has banned it, and it was not just moved to its lane."""
_KEEP_S = 60.0


class Buying:
    """The box as a buyer."""

    def __init__(
        self,
        told: Callable[[], Auction],
        money: Money,
        catalogue: Catalogue,
        engine: EngineMarket,
        journal: EventJournal,
        memory: AuctionMemory,
        clock: Clock,
        client: str,
        source: Callable[[str], str],
        port: Callable[[], int],
    ) -> None:
        """`source` gives the own address to call a host from, `port` that on which peers reach us."""
        self._told = told
        self._money = money
        self._catalogue = catalogue
        self._engine = engine
        self._journal = journal
        self._memory = memory
        self._clock = clock
        self._source, self._port = source, port
        self.purse = Purse(money, told, journal, clock.now)
        self._market = Market(money.key, client, lambda found: False, self)
        self.wants: dict[str, Want] = {}
        """What the owner has asked for by name."""
        self.records: dict[Address, Record] = {}
        self.purchases: dict[str, Purchase] = {}
        self.live: dict[Line, Live] = {}
        self._parted: dict[tuple[str, Address], Live] = {}
        """Dealings whose line broke: they go on where they were, so that nothing is counted twice."""
        self._calling: dict[tuple[str, int], str] = {}
        """Markets that are being called -> torrent."""
        self._next: dict[tuple[str, int], float] = {}
        self._found: dict[str, set[tuple[str, int]]] = {}
        """Markets that the DHT named, by torrent."""
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept = 0.0

    # ---------------------------------------------------------------------------------------- the owner

    async def want(self, torrent: Torrent, want: Want | None) -> None:
        """Pay for a torrent from now on, or not any more."""
        id = torrent.record.id
        if want:
            want = replace(want, before=await self.purse.spent(id))
            self.wants[id] = want
        else:
            self.wants.pop(id, None)
        await self._memory.put_want(id, want)
        self.purchases.pop(id, None)
        self._wake.set()

    # ------------------------------------------------------------------------------------------- loop

    async def run(self, beat: Callable[[], None]) -> None:
        """Look, seek, call, bid and pay: for ever."""
        self.wants = await self._memory.wants()
        self.records = await self._memory.records()
        while True:
            beat()
            try:
                await self._look()
            except RetryLater as error:
                log.info("buying: %s", error)
            if time.monotonic() - self._kept >= _KEEP_S:
                self._kept = time.monotonic()
                await self._keep(list(self.live.values()))
            self._wake.clear()
            try:
                async with asyncio.timeout(LOOK_S if self.purchases else IDLE_S):
                    await self._wake.wait()
                await asyncio.sleep(LEAST_LOOK_S)
            except TimeoutError:
                pass

    async def stop(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await self._keep(list(self.live.values()))
        await self._market.close()

    async def _look(self) -> None:
        wallet = self._money.wallet
        if wallet is None:
            return
        await self._choose()
        for id, purchase in list(self.purchases.items()):
            intake = await self._engine.intake(id)
            self._count(id, intake)
            self._seek(id, purchase)
            self._call(id, intake.sources)
            self._pace(id, purchase)
        for live in list(self.live.values()):
            if live.torrent in self.purchases:
                continue
            # What has arrived is paid before we hang up; nothing more is asked for.
            self._count(live.torrent, await self._engine.intake(live.torrent))
            self._leave(live)

    async def _choose(self) -> None:
        """Which torrents are bought for now."""
        told = self._told()
        downloading = {one.record.id: one for one in self._catalogue.all() if one.state is State.DOWNLOADING}
        for id in set(self.purchases) - set(downloading):
            del self.purchases[id]
            self._parted = {key: live for key, live in self._parted.items() if key[0] != id}
        for id, torrent in downloading.items():
            own = id in self.wants
            if not own and not told.buy_price:
                self.purchases.pop(id, None)
            elif id not in self.purchases:
                want = self.wants[id] if own else _automatic(told, torrent)
                self.purchases[id] = Purchase(want, await self.purse.spent(id), own)
            elif not own:
                self.purchases[id].want = _automatic(told, torrent)
        for id in set(self.wants) - {one.record.id for one in self._catalogue.all()}:
            del self.wants[id]
            await self._memory.put_want(id, None)

    def _count(self, id: str, intake: Intake) -> None:
        """Take in what has arrived, and pay for it."""
        purchase = self.purchases.get(id)
        lives = [one for one in self.live.values() if one.torrent == id]
        bad = self._failed(purchase, intake.failed)
        suspects = []
        for live in lives:
            ours = [one for one in intake.sources if one.ip == live.line.host]
            failures = sum(one.failures for one in ours)
            # Who sent all of a bad piece is banned by libtorrent, and gone before anybody can ask.
            if failures > live.failures or (live.connected and not ours):
                suspects.append(live)
            live.failures, live.connected = failures, bool(ours)
            live.gone_at = 0.0 if ours else live.gone_at or time.monotonic()
        for live in suspects if bad else ():
            live.failed += bad
        for live in lives:
            ours = [one for one in intake.sources if one.ip == live.line.host]
            count = live.meter.read({one.connection: one.received for one in ours})
            live.deal.arrived(count, sum(one.unverified for one in ours), live.failed)
            if purchase:
                purchase.got += count
            banned = live.gone_at and time.monotonic() - live.gone_at > BANNED_S
            if live.failed and (banned or live.failures > 2):
                self._shun(live, BAD_DATA)
            else:
                self._settle(live)

    def _failed(self, purchase: Purchase | None, failed: int) -> int:
        """Bytes that have failed since the last look."""
        if purchase is None:
            return 0
        before, purchase.failed = purchase.failed, failed
        return 0 if before is None else max(0, failed - before)

    def _seek(self, id: str, purchase: Purchase) -> None:
        now = time.monotonic()
        torrent = self._catalogue.get(id)
        if torrent.record.private or now - purchase.sought < SEEK_S:
            return
        purchase.sought = now
        self._next = {market: at for market, at in self._next.items() if at > now}
        # Found anew each time: what strangers name must not pile up.
        known = self._found[id] = set()
        self._engine.find(
            torrent.record.info_hash, lambda found: known.update(found[: MOST_LINES - len(known)])
        )

    def _call(self, id: str, sources: tuple[Source, ...]) -> None:
        """Call markets that are not called yet: of those who are connected first, then of the DHT's."""
        there = {(one.line.host, one.torrent) for one in self.live.values()}
        markets = [(one.ip, one.market) for one in sources if one.market]
        markets += sorted(self._found.get(id, set()) - set(markets))
        for host, port in markets:
            busy = len(self.live) + len(self._calling) >= MOST_LINES
            waits = self._next.get((host, port), 0.0) > time.monotonic()
            if busy or waits or (host, id) in there or (host, port) in self._calling:
                continue
            self._calling[host, port] = id
            self._start(self._dial(id, host, port))

    async def _dial(self, id: str, host: str, port: int) -> None:
        self._next[host, port] = time.monotonic() + AGAIN_S
        try:
            info_hash = self._catalogue.get(id).record.info_hash
            await self._market.dial(host, port, info_hash, self._source(host))
        finally:
            self._calling.pop((host, port), None)

    # --------------------------------------------------------------------------------------- what is said

    def opened(self, line: Line) -> None:
        """A market answers."""
        found = self._catalogue.find(line.info_hash)
        shunned = self.records.get(line.peer.address, Record()).shunned > self._clock.now()
        taken = any(one.seller == line.peer.address for one in self.live.values())
        if found is None or found.record.id not in self.purchases or shunned or taken:
            # One deal with a seller at a time: it has one lease for us, and one channel.
            line.close()
            return
        record = found.record
        piece = max(1, record.size // max(1, record.pieces))
        known = self._parted.pop((record.id, line.peer.address), None)
        if known:
            known.line = line
            known.deal.reopened()
        deal = Deal(key=self._money.key.public, piece=piece)
        self.live[line] = known or Live(record.id, line, deal)

    def closed(self, line: Line) -> None:
        """A market has hung up."""
        live = self.live.pop(line, None)
        if live:
            if live.torrent in self.purchases:
                self._parted[live.torrent, live.seller] = live
            self._start(self._keep([live]))

    def heard(self, line: Line, message: Message) -> None:
        """A seller said something. Raises PeerMisbehaved."""
        live = self.live.get(line)
        if live is None:
            return
        match message:
            case Ask():
                self._asked(live, message)
            case Result():
                wrong = live.deal.result(
                    message.round,
                    bool(message.won),
                    MicroBttPerMib(message.price),
                    message.reveal,
                    message.tie or None,
                    bool(message.full),
                )
                if wrong:
                    # Nothing comes any more from whom libtorrent has banned.
                    self._shun(live, BAD_DATA if live.failed and wrong is SILENT else wrong)
            case Receipt():
                if message.channel != live.deal.channel:
                    return
                live.receipt = message
                if live.deal.lies(message.sent):
                    line.send(Trouble(code=b"meter", text=b"More was charged than has arrived."))
                    self._shun(live, METER)
                self._wake.set()
            case Trouble():
                if message.code == EASED:
                    live.deal.eased = bool(message.text)
                log.info("buying: %s says %r", live.seller, message.text.decode("utf-8", "replace"))
            case _:
                raise PeerMisbehaved("A seller says what only bidders say.")

    def _asked(self, live: Live, ask: Ask) -> None:
        wallet = self._money.usable()
        if ask.ledger != wallet.ledger:
            self._hang_up(live, "keeps its account at another ledger")
            return
        try:
            rule = Rule(ask.rule.decode("ascii", "replace"))
        except ValueError as error:
            raise PeerMisbehaved("A seller names no rule that is known.") from error
        live.deal.asked(Asked(ask.round, MicroBttPerMib(ask.reserve), ask.credit, rule, ask.commit))
        self._start(self._consider(live))

    async def _consider(self, live: Live) -> None:
        """Bid in the round that has begun, or not."""
        purchase = self.purchases.get(live.torrent)
        ask = live.deal.last
        if purchase is None or ask is None or live.busy:
            return
        torrent = self._catalogue.get(live.torrent)
        need = self._need(torrent, purchase)
        pace, price = bids(purchase.want, need, purchase.pace, await self.purse.day_left(), self._clock.now())
        purchase.pace = replace(pace, last=MicroBttPerMib(price))
        purchase.price = MicroBttPerMib(price)
        if not self._chosen(live) or price < max(1, ask.reserve):
            self._bid(live, MicroBttPerMib(0), need)
            return
        if purchase.want.simulate:
            self._simulate(live, torrent, price)
            return
        live.busy = True
        try:
            async with purchase.opening:
                lives = [one.deal for one in self.live.values() if one.torrent == live.torrent]
                locked = sum(deal.lock - deal.paid for deal in lives)
                funded = await self.purse.fund(live, purchase, locked, MicroBttPerMib(price), need)
        finally:
            live.busy = False
        self._bid(live, MicroBttPerMib(price if funded else 0), need)

    def _bid(self, live: Live, price: MicroBttPerMib, need: Need) -> None:
        deal, ask = live.deal, live.deal.last
        if ask is None or price == deal.said:
            return
        deal.says(price)
        channel = deal.channel or bytes(32)
        wants = max(1, need.missing)
        live.line.send(Bid(round=ask.round, max_price=price, bytes=wants, port=self._port(), channel=channel))
        if price and not deal.repeated:
            # The last payments may have been lost with the line before this one.
            deal.repeated = True
            for state in self.purse.last_states(live.seller):
                live.line.send(_pay(state))

    def _simulate(self, live: Live, torrent: Torrent, price: int) -> None:
        says = f"{price} µBTT/MiB"
        if says == live.told:
            return
        live.told = says
        self._journal.info(
            f'Simulated: {says} would be bid to {live.seller} for "{torrent.record.name}".', torrent.record.id
        )

    # ------------------------------------------------------------------------------------------- money

    def _need(self, torrent: Torrent, purchase: Purchase) -> Need:
        done = torrent.snapshot.done if torrent.snapshot else 0
        size = torrent.snapshot.size if torrent.snapshot else torrent.size
        sellers = sum(one.torrent == torrent.record.id and bool(one.deal.said) for one in self.live.values())
        return Need(
            missing=max(0, size - done),
            free_rate=max(0, torrent.down_rate - purchase.rate),
            spent=purchase.used,
            sellers=sellers,
            rate=max(purchase.rate, torrent.down_rate, CREDIT // int(ROUND_S)),
        )

    def _chosen(self, live: Live) -> bool:
        """Whether it is one of the best sellers of its torrent."""
        offers = {
            one.seller: max(one.deal.last.reserve, one.deal.price)
            for one in self.live.values()
            if one.torrent == live.torrent and one.deal.last
        }
        best = rank(offers, self.records, self._clock.now())
        return live.seller in best[:SELLERS]

    def _settle(self, live: Live) -> None:
        """Pay what a receipt asks for, as far as it has arrived."""
        if live.receipt and not live.busy and live.deal.pays(MicroBtt(live.receipt.owed)):
            self._start(self._pay(live))

    async def _pay(self, live: Live) -> None:
        state = await self.purse.pay(live)
        if state is None:
            return
        more = MicroBtt(state.paid - live.deal.paid)
        live.deal.paid = state.paid
        if purchase := self.purchases.get(live.torrent):
            purchase.spent = MicroBtt(purchase.spent + more)
            purchase.round_spent += more
        live.line.send(_pay(state))

    def _pace(self, id: str, purchase: Purchase) -> None:
        """Once a round: learn from what it has cost."""
        now = time.monotonic()
        if now - purchase.round_at < ROUND_S:
            return
        if (
            purchase.pace
            and purchase.round_at
            and any(one.deal.said for one in self.live.values() if one.torrent == id)
        ):
            purchase.pace = pacing.after(purchase.pace, MicroBtt(purchase.round_spent), purchase.price)
        purchase.rate = int(purchase.got / max(1.0, now - purchase.round_at)) if purchase.round_at else 0
        purchase.round_at, purchase.round_spent, purchase.got = now, 0, 0

    # ----------------------------------------------------------------------------------------- partings

    def _leave(self, live: Live) -> None:
        """The torrent is here, or not wanted any more: take the bid back, pay what is due, and hang up."""
        if live.leaving:
            return
        live.leaving = True
        ask = live.deal.last
        if live.deal.said and ask:
            live.deal.says(MicroBttPerMib(0))
            live.line.send(
                Bid(round=ask.round, max_price=0, bytes=0, port=self._port(), channel=live.deal.channel)
            )
        # A last receipt follows when the lease has ended.
        self._start(self._linger(live))

    async def _linger(self, live: Live) -> None:
        await asyncio.sleep(2 * ROUND_S + 2)
        live.line.close()

    def _shun(self, live: Live, wrong: Wrong) -> None:
        """Leave a seller alone, and remember why."""
        record = self.records.get(live.seller, Record())
        self.records[live.seller] = dealt(record, 0, MicroBtt(0), self._clock.now(), wrong)
        self._journal.warning(f"The seller {live.seller} is left alone: {wrong.why}.", live.torrent)
        self._start(self._keep([live]))
        live.line.close()

    def _hang_up(self, live: Live, why: str) -> None:
        log.info("buying: the market of %s %s", live.seller, why)
        live.line.close()

    async def _keep(self, lives: list[Live]) -> None:
        """Write down what became of dealings."""
        changed: dict[Address, Record] = {}
        for live in lives:
            received, paid = live.deal.received, live.deal.paid - live.started
            before = live.kept
            live.kept = (received, paid)
            record = self.records.get(live.seller, Record())
            if received > before[0] or paid > before[1] or record.shunned > self._clock.now():
                record = dealt(record, received - before[0], MicroBtt(paid - before[1]), self._clock.now())
                changed[live.seller] = self.records[live.seller] = record
        if changed:
            try:
                await self._memory.put_records(changed.items())
            except RetryLater as error:
                log.warning("what became of sellers is not written down yet: %s", error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except SeedboxError as error:
                log.info("buying: %s", error)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pay(state: ChannelState) -> Pay:
    return Pay(channel=state.channel, seq=state.seq, paid=state.paid, state=state.signature)


def _automatic(told: Auction, torrent: Torrent) -> Want:
    """What the box pays by itself."""
    deadline = torrent.record.added + told.buy_hours * 3_600_000 if told.buy_hours else 0
    return Want(MicroBttPerMib(told.buy_price), MicroBtt(2**62), UtcMs(deadline))
