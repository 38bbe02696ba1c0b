"""Leases and meters: L1 to L3 of auction/lease.py, and bytes that are counted once."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction.lease import (
    CREDIT,
    GRACE_NS,
    LEASE_ROUNDS,
    ROUND_NS,
    Lease,
    LeaseEnd,
    LeaseStanding,
    charge,
    check,
    deliver,
    end,
    pay,
    renew,
)
from appliance.domain.auction.meter import LeaseMeter, PeerConnection

PRICE = MicroBttPerMib(1_000)
NOW = MonoNs(5)


def new(price: int = PRICE, lock: int = 10**15, paid: int = 0) -> Lease:
    return Lease(
        key=b"k" * 33,
        ip="10.0.0.1",
        torrent="t",
        channel=b"c" * 32,
        lock=MicroBtt(lock),
        price=MicroBttPerMib(price),
        until=MonoNs(NOW + LEASE_ROUNDS * ROUND_NS),
        base=MicroBtt(paid),
        paid=MicroBtt(paid),
        before=MicroBtt(paid),
    )


def test_it_is_warned_at_half_the_window_stopped_at_all_and_ended_when_nothing_comes() -> None:
    lease = new()
    for sent, standing in (
        (CREDIT // 2 - MIB, LeaseStanding.SERVED),
        (MIB, LeaseStanding.WARNED),
        (CREDIT // 2 - MIB, LeaseStanding.WARNED),
        (MIB, LeaseStanding.STOPPED),
    ):
        lease = check(deliver(lease, sent), NOW)
        assert lease.standing is standing
    assert check(lease, MonoNs(NOW + GRACE_NS - 1)).standing is LeaseStanding.STOPPED
    ended = check(lease, MonoNs(NOW + GRACE_NS))
    assert (ended.standing, ended.ended) == (LeaseStanding.ENDED, LeaseEnd.UNPAID)
    assert check(pay(ended, MicroBtt(10**9)), NOW).ended is LeaseEnd.UNPAID, "L3"


def test_who_pays_in_time_has_all_the_grace_again() -> None:
    lease = check(deliver(new(), CREDIT), NOW)
    lease = check(pay(lease, lease.owed), MonoNs(NOW + GRACE_NS - 1))
    lease = check(deliver(lease, CREDIT), MonoNs(NOW + GRACE_NS))
    assert check(lease, MonoNs(NOW + 2 * GRACE_NS - 1)).standing is LeaseStanding.STOPPED


def test_a_channel_that_is_used_up_ends_it_and_no_more_is_ever_owed() -> None:
    lease = check(deliver(new(lock=1_500, paid=500), MIB), NOW)
    assert (lease.owed, lease.ended) == (1_500, LeaseEnd.CHANNEL)
    assert deliver(lease, 10 * MIB).owed == 1_500


def test_who_pays_is_served_again() -> None:
    lease = deliver(new(), CREDIT)
    assert lease.standing is LeaseStanding.STOPPED
    assert pay(lease, MicroBtt(2_500)).standing is LeaseStanding.SERVED


def test_it_ends_with_its_time_unless_it_is_won_again() -> None:
    lease = new()
    over = MonoNs(NOW + LEASE_ROUNDS * ROUND_NS)
    assert check(lease, MonoNs(over - 1)).ended is None
    assert check(lease, over).ended is LeaseEnd.TIME
    again = renew(lease, PRICE, MonoNs(NOW + ROUND_NS))
    assert check(again, over).ended is None
    assert renew(end(lease, LeaseEnd.GONE), PRICE, NOW).ended is LeaseEnd.GONE


def test_a_free_slot_is_never_stopped() -> None:
    assert deliver(new(0), 10**12).standing is LeaseStanding.SERVED


@given(st.lists(st.integers(0, 3 * MIB), max_size=30), st.integers(1, 10**7))
def test_splitting_readings_never_changes_a_charge(parts: list[int], price: int) -> None:
    lease = new(price)
    for part in parts:
        lease = deliver(lease, part)
    assert lease.owed == charge(sum(parts), MicroBttPerMib(price))
    assert 0 <= lease.owed * MIB - sum(parts) * price < MIB, "L1"


@given(st.lists(st.tuples(st.integers(0, MIB), st.integers(0, 10**6), st.booleans()), max_size=30))
def test_a_new_price_holds_for_what_is_sent_from_then_on(steps: list[tuple[int, int, bool]]) -> None:
    lease, owed = new(), 0
    exact = 0
    price = int(PRICE)
    for sent, other, again in steps:
        lease = deliver(lease, sent)
        exact += sent * price
        assert lease.owed >= owed
        owed = lease.owed
        if again:
            price = other
            lease = renew(lease, MicroBttPerMib(price), NOW)
    renewals = sum(again for *_, again in steps)
    assert 0 <= lease.owed * MIB - exact <= MIB * (renewals + 1), "rounded up once for each price"


def peer(ip: str) -> PeerConnection:
    return PeerConnection("t", ip, 6_881)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5 * MIB), st.booleans()), max_size=60))
def test_a_reconnect_never_charges_the_same_bytes_twice(steps: list[tuple[str, int, bool]]) -> None:
    """Peers send, leave and come back; the meter reads now and then. It never counts more than was sent."""
    meter, counters, really = LeaseMeter(), dict[PeerConnection, int](), 0
    for name, sent, read in steps:
        one = peer(name)
        if sent % 7 == 0:
            counters.pop(one, None)
        counters[one] = counters.get(one, 0) + sent
        really += sent
        if read:
            meter.read(counters)
            assert meter.total <= really
    counters.clear()
    assert meter.read(counters) == 0


def test_what_was_sent_before_the_lease_is_nobodys() -> None:
    meter, a, b = LeaseMeter(), peer("a"), peer("b")
    meter.begin({a: 500_000})
    assert meter.read({a: 700_000}) == 200_000
    assert meter.read({a: 700_000, b: 30}) == 30
    assert meter.read({b: 30}) == 0
    assert meter.read({a: 10, b: 30}) == 10
    assert meter.total == 200_040


def test_a_counter_that_goes_on_over_the_next_connection_is_not_counted_again() -> None:
    """What libtorrent 2.1.1 does with a peer that comes back: 3,925,453 bytes go on as 3,924,992."""
    meter = LeaseMeter()
    assert meter.read({PeerConnection("t", "127.0.0.1", 6_881): 3_925_453}) == 3_925_453
    assert meter.read({}) == 0
    assert meter.read({PeerConnection("t", "127.0.0.1", 50_123): 3_924_992}) == 0
    assert meter.read({PeerConnection("t", "127.0.0.1", 50_123): 4_088_832}) == 4_088_832 - 3_924_992
    assert meter.read({PeerConnection("t", "127.0.0.1", 6_881): 163_840}) == 163_840, (
        "and one that begins at nothing is new"
    )
