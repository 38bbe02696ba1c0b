"""Channels: C1 to C5 of ledger/channel.py."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.core.errors import OwnerMustAct, PeerMisbehaved
from appliance.core.keys import Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.channel import (
    MOST_SEQ,
    Channel,
    ChannelPhase,
    ChannelState,
    accept,
    channel_id,
    close,
    dispute,
    encode,
    finish,
    open_channel,
    pay,
)

NOW = UtcMs(1_750_000_000_000)
HOUR = 3_600_000
PAYER, SELLER, OTHER = (Key(bytes(31) + bytes([number])) for number in (1, 2, 3))
LEDGER = b"L" * 32


def new(lock: int = 1_000, nonce: bytes = b"n") -> Channel:
    return Channel(
        id=channel_id(LEDGER, PAYER.public, SELLER.address, nonce),
        ledger=LEDGER,
        payer=PAYER.public,
        recipient=SELLER.address,
        lock=MicroBtt(lock),
        expires=UtcMs(NOW + HOUR),
        window_ms=HOUR,
    )


def signed(channel: Channel, seq: int, paid: int, key: Key = PAYER) -> ChannelState:
    """A state that only a payer who wants it so would sign."""
    message = encode(channel.ledger, channel.id, seq, MicroBtt(paid))
    return ChannelState(
        channel.ledger, channel.id, seq, MicroBtt(paid), key.sign(b"seedbox/channel-state/1", message)
    )


def test_opening_locks_the_money_and_closing_hands_out_all_of_it() -> None:
    channel = new()
    opened = open_channel(channel, NOW)
    assert {p.account: p.amount for p in opened.postings} == {PAYER.address: -1_000, channel.account: 1_000}
    _, state = pay(channel, PAYER, MicroBtt(300))
    closed, settled = close(channel, SELLER.address, state, NOW)
    assert closed.phase is ChannelPhase.CLOSED
    assert settled
    assert {p.account: p.amount for p in settled.postings} == {
        channel.account: -1_000,
        SELLER.address: 300,
        PAYER.address: 700,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"lock": MicroBtt(0)},
        {"lock": MicroBtt(2**63)},
        {"expires": NOW},
        {"window_ms": 0},
        {"recipient": PAYER.address},
        {"id": b"x"},
    ],
)
def test_impossible_terms_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(OwnerMustAct):
        open_channel(replace(new(), **change), NOW)  # type: ignore[arg-type]


def test_states_of_another_ledger_channel_or_key_are_refused() -> None:
    channel, other = new(), new(nonce=b"m")
    good = signed(channel, 1, 10)
    for wrong in (
        signed(other, 1, 10),
        signed(replace(channel, ledger=b"M" * 32), 1, 10),
        signed(channel, 1, 10, OTHER),
        signed(channel, 1, 10, SELLER),
        replace(good, paid=MicroBtt(11)),
        replace(good, seq=2),
        replace(good, signature=good.signature[:-1] + b"\0"),
        replace(signed(other, 1, 10), channel=channel.id),
        signed(channel, 0, 10),
        signed(channel, 1, 1_001),
        signed(channel, MOST_SEQ + 1, 10),
    ):
        with pytest.raises(PeerMisbehaved):
            accept(channel, wrong)
    assert accept(channel, good).paid == 10


def test_a_state_counts_once_and_takes_nothing_back() -> None:
    channel = accept(new(), signed(new(), 2, 10))
    for seq, paid in ((2, 10), (1, 20), (2, 20), (3, 9)):
        with pytest.raises(PeerMisbehaved):
            accept(channel, signed(channel, seq, paid))
    assert accept(channel, signed(channel, 3, 10)).seq == 3


def test_the_payer_alone_waits_for_the_end_and_for_the_window() -> None:
    channel = new()
    with pytest.raises(OwnerMustAct):
        close(channel, PAYER.address, None, NOW)
    closing, settled = close(channel, PAYER.address, None, channel.expires)
    assert (closing.phase, settled) == (ChannelPhase.CLOSING, None)
    with pytest.raises(OwnerMustAct):
        finish(closing, UtcMs(closing.closes - 1))
    _, entry = finish(closing, closing.closes)
    assert {p.account: p.amount for p in entry.postings} == {channel.account: -1_000, PAYER.address: 1_000}


def test_a_payer_cannot_undo_what_was_paid_by_a_last_state_that_pays_nothing() -> None:
    channel = new()
    held = signed(channel, 57, 900)
    closing, _ = close(channel, PAYER.address, signed(channel, MOST_SEQ, 0), channel.expires)
    shown = dispute(closing, held, UtcMs(closing.closes - 1))
    assert shown.paid == 900
    again = dispute(shown, signed(channel, MOST_SEQ, 0), UtcMs(closing.closes - 1))
    assert again.paid == 900
    with pytest.raises(OwnerMustAct):
        dispute(shown, held, closing.closes)


def test_strangers_close_nothing_and_nobody_closes_twice() -> None:
    channel = new()
    with pytest.raises(OwnerMustAct):
        close(channel, OTHER.address, None, UtcMs(NOW + 9 * HOUR))
    closed, _ = close(channel, SELLER.address, None, NOW)
    for by in (PAYER, SELLER):
        with pytest.raises(OwnerMustAct):
            close(closed, by.address, None, UtcMs(NOW + 9 * HOUR))
    with pytest.raises(PeerMisbehaved):
        accept(closed, signed(closed, 1, 10))


def test_more_than_the_lock_is_never_signed_nor_less_than_before() -> None:
    channel, _ = pay(new(), PAYER, MicroBtt(500))
    for paid in (499, 1_001, -1):
        with pytest.raises(OwnerMustAct):
            pay(channel, PAYER, MicroBtt(paid))
    with pytest.raises(OwnerMustAct):
        pay(channel, SELLER, MicroBtt(600))


class Quarrel(RuleBasedStateMachine):
    """A payer who signs whatever suits them, a recipient who keeps the best state, and an operator."""

    def __init__(self) -> None:
        super().__init__()
        self.now = int(NOW)
        self.operator = self.recipient = new()
        self.states = [signed(self.operator, 1, 0)]
        self.shown: list[int] = []
        self.settled: dict[str, int] | None = None
        self.last = (0, 0)

    @rule(seq=st.integers(1, 12) | st.just(MOST_SEQ), paid=st.integers(0, 1_000))
    def sign(self, seq: int, paid: int) -> None:
        state = signed(self.operator, seq, paid)
        self.states.append(state)
        try:
            self.recipient = accept(self.recipient, state)
        except PeerMisbehaved:
            return
        assert (state.seq, state.paid) > self.last
        self.last = (state.seq, state.paid)
        self.best = state

    @rule(hours=st.integers(0, 2))
    def wait(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule(by=st.sampled_from([PAYER, SELLER, OTHER]), which=st.integers(0, 50), none=st.booleans())
    def close(self, by: Key, which: int, none: bool) -> None:
        state = None if none else self.states[which % len(self.states)]
        try:
            self.operator, entry = close(self.operator, by.address, state, UtcMs(self.now))
        except (OwnerMustAct, PeerMisbehaved):
            return
        assert by is not OTHER
        if state:
            self.shown.append(state.paid)
        if entry:
            assert self.settled is None, "a channel closes once"
            self.settled = {posting.account: posting.amount for posting in entry.postings}

    @rule(which=st.integers(0, 50))
    def dispute(self, which: int) -> None:
        state = self.states[which % len(self.states)]
        try:
            self.operator = dispute(self.operator, state, UtcMs(self.now))
        except (OwnerMustAct, PeerMisbehaved):
            return
        self.shown.append(state.paid)

    @invariant()
    def the_money_is_shared_out_by_the_best_state_that_was_shown(self) -> None:
        assert self.operator.paid == max(self.shown, default=0)
        if self.settled is not None:
            paid = max(self.shown, default=0)
            assert self.settled.get(SELLER.address, 0) == paid
            assert self.settled.get(PAYER.address, 0) == 1_000 - paid
            assert sum(self.settled.values()) == 0


TestQuarrel = Quarrel.TestCase
TestQuarrel.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
