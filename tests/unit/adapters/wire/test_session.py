"""The market's wire protocol: what is said arrives as it was said, and nothing else is believed."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.adapters.wire import bencode, market
from appliance.adapters.wire.frames import (
    EXTENDED,
    MOST_FRAME,
    Extended,
    Frames,
    Handshake,
    frame,
    shake,
    shaken,
)
from appliance.adapters.wire.market import Market, MarketConnection
from appliance.adapters.wire.messages import KINDS, from_value, to_value
from appliance.adapters.wire.session import AUCTION, Session
from appliance.core.errors import OwnerMustAct, PeerMisbehaved, RetryLater
from appliance.core.keys import Key
from appliance.domain.auction.messages import Ask, Auth, Bid, Message, Pay, Receipt, Result, Trouble
from tests.support.addresses import address
from tests.support.fails import never

SELLER, BUYER, THIEF = (Key(bytes(31) + bytes([number])) for number in (1, 2, 3))
IH = b"h" * 20
ID = b"-SX0100-" + b"x" * 12

values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_bencoded_reads_back_and_is_what_libtorrent_writes(value: Any) -> None:
    raw = bencode.encode(value)
    assert raw == lt.bencode(value)
    try:
        assert bencode.decode(raw) == value
    except PeerMisbehaved as error:
        assert "deeply" in str(error)


@given(st.binary(max_size=80))
def test_no_bytes_are_read_in_two_ways(raw: bytes) -> None:
    try:
        value = bencode.decode(raw)
    except PeerMisbehaved:
        return
    assert bencode.encode(value) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"i01e",
        b"i-0e",
        b"ie",
        b"i1",
        b"03:abc",
        b"4:abc",
        b"d1:b0:1:a0:e",
        b"d1:a0:1:a0:e",
        b"di1e0:e",
        b"i1ei2e",
        b"i9223372036854775808e",
        b"l" * 10 + b"e" * 10,
        b"99999999999999999999:",
        "i١e".encode(),
        b"x",
    ],
)
def test_what_is_not_strictly_bencoded_is_refused(raw: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        bencode.decode(raw)


MESSAGES: list[Message] = [
    Ask(
        round=7,
        slots=4,
        per_torrent=0,
        reserve=10,
        round_ms=15_000,
        credit=4 << 20,
        rule=b"lowest-winning",
        ledger=b"L" * 32,
        commit=b"c" * 32,
    ),
    Bid(round=7, max_price=1_000, bytes=10**9, port=6_881, channel=b"C" * 32),
    Result(round=7, won=1, price=900, lease_ms=30_000, reveal=b"s" * 32, tie=b"t" * 32),
    Pay(channel=b"C" * 32, seq=3, paid=12, state=b"S" * 64),
    Receipt(channel=b"C" * 32, sent=5, owed=6, paid=7),
    Trouble(code=b"x", text=b"y"),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_read_back(message: Message) -> None:
    raw = bencode.encode(to_value(message) | {b"later": [1, b"2"]})
    assert from_value(bencode.decode(raw)) == message


@pytest.mark.parametrize("message", MESSAGES)
@given(data=st.data())
def test_a_message_with_an_impossible_field_is_refused(message: Message, data: st.DataObject) -> None:
    value = to_value(message)
    name = data.draw(st.sampled_from(sorted(set(value) - {b"t"})))
    held = value[name]
    wrongs: list[bencode.Value] = [b"z" * 400 if isinstance(held, bytes) else -1, [held], {}]
    wrong = data.draw(st.sampled_from(wrongs))
    with pytest.raises(PeerMisbehaved):
        from_value(value | {name: wrong})


def test_frames_come_in_any_pieces_and_the_swarms_own_are_passed_over() -> None:
    stream = (
        b"\0\0\0\0" + b"\0\0\0\1\2" + frame(Extended(3, b"abc")) + b"\0\0\0\5\4abcd" + frame(Extended(1, b""))
    )
    for size in (1, 2, 7, 1_000):
        frames, found = Frames(), list[Extended]()
        for at in range(0, len(stream), size):
            found += frames.feed(stream[at : at + size])
        assert found == [Extended(3, b"abc"), Extended(1, b"")]


@pytest.mark.parametrize(
    "raw",
    [
        (MOST_FRAME + 1).to_bytes(4, "big"),
        b"\0\0\0\1\x63",
        b"\0\0\0\1" + bytes([EXTENDED]),
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_what_is_no_frame_is_refused_at_once(raw: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        Frames().feed(raw)


def test_a_handshake_is_refused_at_its_first_wrong_byte() -> None:
    good = shake(Handshake(IH, ID))
    assert shaken(good) == Handshake(IH, ID)
    assert shaken(good[:67]) is None
    for wrong in (b"GET", good[:5] + b"x", good[:20] + bytes(8) + good[28:]):
        with pytest.raises(PeerMisbehaved):
            shaken(wrong)


# ---------------------------------------------------------------------------------------------- sessions


def pair(caller: Key = BUYER, called: Key = SELLER) -> tuple[Session, Session]:
    told: dict[str, Any] = {"client": "test", "peer_id": ID, "knows": lambda found: found == IH}
    return Session(caller, info_hash=IH, **told), Session(called, info_hash=None, **told)


def introduced(caller: Key = BUYER, called: Key = SELLER) -> tuple[Session, Session]:
    one, other = pair(caller, called)
    line = one.begin()
    for turn in range(4):
        to = other if turn % 2 == 0 else one
        line, messages = to.feed(line)
        assert not messages
    assert one.peer
    assert other.peer
    return one, other


def test_both_know_whom_they_talk_to_and_for_which_torrent() -> None:
    one, other = introduced()
    assert one.peer
    assert other.peer
    assert (one.peer.address, other.peer.address) == (SELLER.address, BUYER.address)
    assert one.info_hash == other.info_hash == IH
    for message in MESSAGES:
        assert other.feed(one.send(message)) == (b"", [message])
        assert one.feed(other.send(message)) == (b"", [message])


def test_it_may_come_byte_by_byte() -> None:
    one, other = pair()
    to_other, to_one = one.begin(), b""
    while to_other or to_one:
        for at in range(len(to_other)):
            answer, _ = other.feed(to_other[at : at + 1])
            to_one += answer
        to_other = b""
        for at in range(len(to_one)):
            answer, _ = one.feed(to_one[at : at + 1])
            to_other += answer
        to_one = b""
    assert one.peer
    assert other.peer


def test_nothing_is_answered_for_a_torrent_that_is_not_here() -> None:
    _, other = pair()
    with pytest.raises(PeerMisbehaved, match="not here"):
        other.feed(shake(Handshake(b"?" * 20, ID)))


def test_no_message_counts_twice_or_in_another_connection_or_changed_or_by_others() -> None:
    one, other = introduced()
    first = one.send(MESSAGES[1])
    assert other.feed(first)[1] == [MESSAGES[1]]
    with pytest.raises(PeerMisbehaved, match="missing, or came twice"):
        other.feed(first)
    again, elsewhere = introduced()
    with pytest.raises(PeerMisbehaved, match="another connection"):
        elsewhere.feed(first)
    again, elsewhere = introduced()
    lost = again.send(MESSAGES[1])
    with pytest.raises(PeerMisbehaved, match="missing"):
        elsewhere.feed(again.send(MESSAGES[3]))
    assert lost
    again, elsewhere = introduced()
    with pytest.raises(PeerMisbehaved):
        elsewhere.feed(again.send(MESSAGES[1]).replace(b"i1000e", b"i9000e"))
    mine, other_one = introduced(THIEF)
    stranger, victim = introduced()
    assert stranger.peer
    assert other_one.peer
    with pytest.raises(PeerMisbehaved):
        victim.feed(mine.send(MESSAGES[1]))


def test_what_we_said_is_not_taken_when_it_is_said_back() -> None:
    one, other = introduced()
    with pytest.raises(PeerMisbehaved):
        one.feed(one.send(MESSAGES[1]))
    assert other


def test_a_key_that_somebody_only_names_is_no_proof() -> None:
    """The thief says that it is the buyer, and cannot sign for it."""

    class Mask(Key):
        """The buyer's face, the thief's hand."""

        def __init__(self) -> None:
            super().__init__(THIEF.secret)
            self.public = BUYER.public

    liar, other = pair(Mask())
    answer, _ = other.feed(liar.begin())
    proof, _ = liar.feed(answer)
    with pytest.raises(PeerMisbehaved, match="not signed by the peer"):
        other.feed(proof)
    assert other.peer is None


@pytest.mark.parametrize(
    "told",
    [
        {b"m": {}},
        {b"m": {AUCTION: 0}},
        {b"m": {AUCTION: 1}},
        {b"m": {AUCTION: 1}, b"sb_id": b"x" * 33, b"sb_nonce": b"n" * 32},
        {b"m": {AUCTION: 1}, b"sb_id": BUYER.public, b"sb_nonce": b"n"},
        {b"m": {AUCTION: 1}, b"sb_id": SELLER.public, b"sb_nonce": b"n" * 32},
        {b"m": [1]},
        {},
    ],
)
def test_an_introduction_without_substance_is_refused(told: Any) -> None:
    _, other = pair()
    with pytest.raises(PeerMisbehaved):
        other.feed(shake(Handshake(IH, ID)) + frame(Extended(0, bencode.encode(told))))


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=300), max_size=6), st.booleans())
def test_no_garbage_raises_anything_but_a_refusal(parts: list[bytes], inside: bool) -> None:
    _, other = introduced() if inside else pair()
    with suppress(PeerMisbehaved):
        for part in parts:
            other.feed(frame(Extended(1, part)) if inside and len(part) % 2 else part)


@given(values)
def test_no_signed_nonsense_raises_anything_but_a_refusal(value: Any) -> None:
    one, other = introduced()
    body = dict(value) if isinstance(value, dict) else {b"x": value}
    signed = body | {b"n": 1}
    signature = BUYER.sign(b"seedbox/wire/1", one._session + BUYER.public + bencode.encode(signed))
    with suppress(PeerMisbehaved):
        other.feed(frame(Extended(1, bencode.encode(signed | {b"sig": signature}))))


def test_every_message_is_known_by_its_name() -> None:
    assert set(KINDS) == {Auth.name, *(message.name for message in MESSAGES)}


# ----------------------------------------------------------------------------------------------- sockets


@dataclass
class Ear:
    """A trader that remembers."""

    lines: list[MarketConnection] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    gone: int = 0

    def opened(self, line: MarketConnection) -> None:
        self.lines.append(line)

    def received(self, line: MarketConnection, message: Message) -> None:
        self.messages.append(message)
        if isinstance(message, Bid) and message.max_price == 666:
            raise PeerMisbehaved("no")

    def closed(self, line: MarketConnection) -> None:
        self.gone += 1


class Fair:
    """A seller that listens, and a buyer."""

    def __init__(self) -> None:
        self.ip = address()
        self.ear, self.mouth = Ear(), Ear()
        self.seller = Market(SELLER, "seller", lambda found: found == IH, self.ear, fail=never)
        self.buyer = Market(BUYER, "buyer", lambda found: False, self.mouth, fail=never)

    async def open(self) -> None:
        self.port = await self.seller.listen([self.ip], 0)

    async def met(self) -> MarketConnection:
        before = len(self.mouth.lines), len(self.ear.lines)
        await self.buyer.dial(self.ip, self.port, IH)
        await soon(lambda: len(self.mouth.lines) > before[0] and len(self.ear.lines) > before[1])
        return self.mouth.lines[-1]

    async def close(self) -> None:
        await self.buyer.close()
        await self.seller.close()


async def soon(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


def fair(work: Callable[[Fair], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        async def run() -> None:
            made = Fair()
            await made.open()
            try:
                await work(made)
            finally:
                await made.close()

        asyncio.run(run())

    test.__name__ = work.__name__
    return test


@fair
async def test_a_bid_goes_over_a_real_line(made: Fair) -> None:
    line = await made.met()
    line.send(MESSAGES[1])
    await soon(lambda: made.ear.messages)
    assert made.ear.messages == [MESSAGES[1]]
    assert made.ear.lines[0].peer.address == BUYER.address
    assert made.ear.lines[0].peer.client == "buyer"
    made.ear.lines[0].send(MESSAGES[2])
    await soon(lambda: made.mouth.messages)
    line.close()
    await soon(lambda: made.ear.gone and made.mouth.gone)
    assert made.seller.connections == 0


@fair
async def test_who_misbehaves_is_hung_up_on_and_others_stay(made: Fair) -> None:
    line = await made.met()
    line.send(Bid(round=1, max_price=666, bytes=1, port=1, channel=b"C" * 32))
    await soon(lambda: made.mouth.gone)
    await made.met()
    assert len(made.ear.lines) == 2


@fair
async def test_one_address_gets_few_connections(made: Fair) -> None:
    lines = []
    for _ in range(30):
        reader, writer = await asyncio.open_connection(made.ip, made.port)
        lines.append((reader, writer))
    await soon(lambda: made.seller.connections == market.MOST_FROM_ONE)
    cut = 0
    for reader, writer in lines[market.MOST_FROM_ONE :]:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        cut += 1
        writer.close()
    assert cut == 30 - market.MOST_FROM_ONE
    for _, writer in lines:
        writer.close()
    await soon(lambda: made.seller.connections == 0)


@fair
async def test_too_many_messages_end_a_connection(made: Fair) -> None:
    line = await made.met()
    for _ in range(int(market.BURST) + 50):
        line.send(MESSAGES[4])
    await soon(lambda: made.mouth.gone)
    assert len(made.ear.messages) <= market.BURST + 10


def test_who_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market, "HANDSHAKE_S", 0.2)

    @fair
    async def work(made: Fair) -> None:
        for start in (b"", b"\x13Bit", shake(Handshake(IH, ID))):
            reader, writer = await asyncio.open_connection(made.ip, made.port)
            writer.write(start)
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(10_000)
            writer.close()
        assert made.ear.lines == []

    work()


@fair
async def test_a_market_that_is_not_there_is_tried_again_later(made: Fair) -> None:
    with socket.create_server((made.ip, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RetryLater):
        await made.buyer.dial(made.ip, port, IH)
    with pytest.raises(OwnerMustAct):
        await made.seller.listen([made.ip], made.port)


@fair
async def test_a_message_of_a_later_version_is_answered_with_an_error(made: Fair) -> None:
    line = await made.met()
    session = line._session
    value: dict[bytes, bencode.Value] = {b"t": b"dance", b"n": session._sent}
    session._sent += 1
    signature = BUYER.sign(b"seedbox/wire/1", session._session + BUYER.public + bencode.encode(value))
    line._writer.write(frame(Extended(session._theirs, bencode.encode(value | {b"sig": signature}))))
    await soon(lambda: made.mouth.messages)
    assert isinstance(made.mouth.messages[0], Trouble)
    line.send(MESSAGES[1])
    await soon(lambda: made.ear.messages)


def test_an_ipv6_home_counts_as_one_however_many_addresses_it_has() -> None:
    assert market.home_of("2001:db8:1:2::1") == market.home_of("2001:db8:1:2:ffff::7")
    assert market.home_of("2001:db8:1:2::1") != market.home_of("2001:db8:1:3::1")
    assert market.home_of("fe80::1%eth0") == market.home_of("fe80::2")
    assert market.home_of("198.51.100.1") != market.home_of("198.51.100.2")
