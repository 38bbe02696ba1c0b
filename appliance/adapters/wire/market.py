"""The market's listener and dialler: sockets around sessions, with bounds that no stranger can stretch."""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from typing import Protocol

from appliance.adapters.wire.messages import UnknownMessage
from appliance.adapters.wire.session import Peer, Session
from appliance.core.errors import OwnerMustAct, PeerMisbehaved, RetryLater
from appliance.core.keys import Key
from appliance.core.tasks import Fail, Tasks
from appliance.domain.auction.messages import Message, Trouble, to_text

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 400
MOST_FROM_ONE = 8
"""Connections from one home."""
HANDSHAKE_S = 10.0
"""Until the peer has proven who it is."""
IDLE_S = 180.0
RATE, BURST = 20.0, 100.0
"""Messages a second, and at once."""
MOST_UNSENT = 256 * 1024
"""Bytes that wait for a peer that does not read."""
_READ = 32 * 1024


class MarketConnection:
    """A connection to somebody who has proven who they are."""

    def __init__(self, session: Session, writer: asyncio.StreamWriter, host: str) -> None:
        assert session.peer is not None
        self.peer: Peer = session.peer
        self.info_hash = session.info_hash
        self.host = host
        self._session = session
        self._writer = writer

    def send(self, message: Message) -> None:
        """Send a message; a peer that does not read is hung up on."""
        if self._writer.is_closing():
            return
        self._writer.write(self._session.send(message))
        if self._writer.transport.get_write_buffer_size() > MOST_UNSENT:
            self.close()

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()


class Trader(Protocol):
    """What deals with those that are connected."""

    def opened(self, connection: MarketConnection) -> None:
        """Somebody is connected."""
        ...

    def received(self, connection: MarketConnection, message: Message) -> None:
        """They sent a message. PeerMisbehaved hangs up on them."""
        ...

    def closed(self, connection: MarketConnection) -> None:
        """They are no longer connected."""
        ...


class Market:
    """All connections of one box to others' markets, and theirs to ours."""

    def __init__(
        self, key: Key, client: str, knows: Callable[[bytes], bool], trader: Trader, *, fail: Fail
    ) -> None:
        """`knows` says whether bids for a torrent (20 bytes of its hash) are taken here."""
        self._key = key
        self._client = client
        self._knows = knows
        self._trader = trader
        self._peer_id = b"-SX0100-" + secrets.token_bytes(12)
        self._servers: list[asyncio.Server] = []
        self._tasks = Tasks(fail)
        self._from = Counter[str]()

    async def listen(self, addresses: list[str], port: int) -> int:
        """Listen; the port, which is another one where 0 was asked for. Raises OwnerMustAct."""
        try:
            for address in addresses:
                server = await asyncio.start_server(self._accept, address, port, limit=_READ)
                self._servers.append(server)
                port = server.sockets[0].getsockname()[1]
        except OSError as error:
            raise OwnerMustAct(f"The market cannot listen on port {port} ({error.strerror}).") from error
        return port

    async def close(self) -> None:
        """Hang up on everybody."""
        for server in self._servers:
            server.close()
        await self._tasks.stop()

    @property
    def connections(self) -> int:
        """How many there are, with those that have not proven who they are."""
        return self._from.total()

    async def dial(self, host: str, port: int, info_hash: bytes, source: str = "") -> None:
        """Call somebody's market for a torrent; `opened` follows. Raises RetryLater where nobody answers."""
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                local = (source, 0) if source else None
                reader, writer = await asyncio.open_connection(host, port, limit=_READ, local_addr=local)
        except (OSError, TimeoutError) as error:
            raise RetryLater(f"The market {host}:{port} does not answer ({error}).") from error
        self._begin(reader, writer, host, info_hash)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = writer.get_extra_info("peername")[0]
        if self.connections >= MOST_CONNECTIONS or self._from[home_of(host)] >= MOST_FROM_ONE:
            writer.transport.abort()
            return
        self._begin(reader, writer, host, None)

    def _begin(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, info_hash: bytes | None
    ) -> None:
        # Counted before its task runs: the bounds hold however many call at once.
        self._from[home_of(host)] += 1
        session = Session(
            self._key, client=self._client, peer_id=self._peer_id, info_hash=info_hash, knows=self._knows
        )
        self._tasks.start(self._serve(session, reader, writer, host), f"market connection {host}")

    async def _serve(
        self, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        connection: MarketConnection | None = None
        try:
            writer.write(session.begin())
            async with asyncio.timeout(HANDSHAKE_S):
                early = await self._introduce(session, reader, writer)
            connection = MarketConnection(session, writer, host)
            self._trader.opened(connection)
            await self._talk(session, connection, reader, writer, early)
        except PeerMisbehaved as error:
            log.debug("market: hanging up on %s: %s", host, error)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._hung_up(host)
            writer.transport.abort()
            if connection is not None:
                self._trader.closed(connection)

    def _hung_up(self, host: str) -> None:
        home = home_of(host)
        self._from[home] -= 1
        if not self._from[home]:
            del self._from[home]

    async def _introduce(
        self, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> list[Message | UnknownMessage]:
        """Until the other side has proven who it is; what it said in the same breath."""
        while session.peer is None:
            answer, messages = session.feed(await _some(reader))
            writer.write(answer)
        return messages

    def _take(self, connection: MarketConnection, message: Message | UnknownMessage) -> None:
        if isinstance(message, UnknownMessage):
            connection.send(Trouble(code=b"unknown", text=to_text(str(message))))
        else:
            self._trader.received(connection, message)

    async def _talk(
        self,
        session: Session,
        connection: MarketConnection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        messages: list[Message | UnknownMessage],
    ) -> None:
        allowed, at = BURST, time.monotonic()
        while True:
            now = time.monotonic()
            allowed, at = min(BURST, allowed + (now - at) * RATE) - len(messages), now
            if allowed < 0:
                raise PeerMisbehaved("Too many messages.")
            for message in messages:
                self._take(connection, message)
            async with asyncio.timeout(IDLE_S):
                data = await _some(reader)
            answer, messages = session.feed(data)
            writer.write(answer)


def home_of(host: str) -> str:
    """What one home has for itself: an IPv4 address, or the 64 bits of its IPv6 network (RFC 4291)."""
    if ":" not in host:
        return host
    return str(IPv6Network((IPv6Address(host.partition("%")[0]), 64), strict=False))


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(_READ)
    if not data:
        raise asyncio.IncompleteReadError(b"", None)
    return data
