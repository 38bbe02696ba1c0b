"""Lanes: N1 to N3 of auction/lanes.py."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.core.units import MicroBttPerMib
from appliance.domain.auction.lanes import (
    LANES,
    Bounce,
    Lanes,
    Phase,
    Wish,
    eased,
    free_share,
    one_each,
    trickle,
)


def wish(name: int, price: int, ip: str = "", port: int = 6_881) -> Wish:
    return Wish(name.to_bytes(33, "big"), ip or f"10.0.0.{name}", "t", port, MicroBttPerMib(price))


def test_a_bidder_who_is_connected_is_cut_once_and_called_back() -> None:
    lanes = Lanes()
    assert lanes.arrange([wish(1, 5)], {"10.0.0.1": ["10.0.0.1:999"]}) == [Bounce("10.0.0.1", "t", 6_881)]
    assert lanes.map == {"10.0.0.1": 0}
    assert lanes.lane_of(wish(1, 5).key) is None, "the old connection is still outside of the lane"
    assert not lanes.look({"10.0.0.1": ["10.0.0.1:999"]})
    assert lanes.look({"10.0.0.1": ["10.0.0.1:6881"]})
    assert lanes.lane_of(wish(1, 5).key) == 0
    assert lanes.arrange([wish(1, 7)], {"10.0.0.1": ["10.0.0.1:6881"]}) == [], "who stays is left in peace"


def test_a_lane_is_given_out_again_when_the_last_connection_in_it_has_gone() -> None:
    lanes = Lanes()
    there = {f"10.0.0.{name}": [f"10.0.0.{name}:1"] for name in range(1, 40)}
    lanes.arrange([wish(name, name) for name in range(1, LANES + 1)], {})
    assert len(lanes.seats) == LANES
    (bounce,) = lanes.arrange([wish(name, name) for name in range(2, LANES + 2)], there)
    assert bounce.ip == "10.0.0.1"
    newcomer = wish(LANES + 1, LANES + 1).key
    assert newcomer not in {seat.wish.key for seat in lanes.seats.values()}, "N2"
    del there["10.0.0.1"]
    lanes.look(there)
    lanes.arrange([wish(name, name) for name in range(2, LANES + 2)], there)
    assert newcomer in {seat.wish.key for seat in lanes.seats.values()}


def test_who_comes_from_another_address_leaves_the_lane_of_the_old_one() -> None:
    lanes = Lanes()
    lanes.arrange([wish(1, 5)], {})
    lanes.arrange([wish(1, 5, ip="10.0.9.9")], {})
    assert lanes.map == {"10.0.9.9": 0}


def test_neighbours_behind_one_address_share_no_lane() -> None:
    lanes = Lanes()
    lanes.arrange([wish(1, 5, ip="10.0.0.7"), wish(2, 9, ip="10.0.0.7")], {})
    assert [seat.wish.key[-1] for seat in lanes.seats.values()] == [2]


def test_the_free_share_is_kept_while_slots_are_sold() -> None:
    assert free_share(1_000_000, 20) == 200_000
    assert free_share(1, 20) == 1, "0 would be unlimited"
    assert free_share(0, 20) == 0, "an uplink whose size nobody knows is not cut"
    assert trickle(200_000, 40, 2_000) == 5_000
    assert trickle(0, 40, 2_000) == 2_000


def test_who_does_not_pay_bears_what_is_sent_less_before_leases_do() -> None:
    free, usual, least = 200_000, 1_000_000, 8_000
    assert eased(free, usual, 0, least) == free, "as usual"
    assert eased(free, usual, 2_000_000, least) == free, "more than usual is no more for them"
    assert eased(free, usual, 900_000, least) == 100_000, "leases still have their 800,000"
    assert eased(free, usual, 400_000, least) == least, "then leases have what is left"
    assert eased(5_000, usual, 400_000, least) == 5_000
    assert eased(0, 0, 400_000, least) == 0, "an uplink whose size nobody knows is not shared out"


class Street(RuleBasedStateMachine):
    """Bidders come and go, connections take their time."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.there: dict[str, list[str]] = {}
        self.inside: dict[str, tuple[int, str]] = {}
        """Connection -> the lane (and its address) that it was made in."""
        self.count = 0

    @rule(bids=st.lists(st.tuples(st.integers(1, 45), st.integers(0, 99), st.integers(0, 3)), max_size=45))
    def arrange(self, bids: list[tuple[int, int, int]]) -> None:
        wishes = [wish(name, price, f"10.0.{away}.{name}" if away else "") for name, price, away in bids]
        self.lanes.arrange(wishes, self.there)
        seats = self.lanes.seats.values()
        held = {seat.wish.key for seat in seats if seat.phase is not Phase.LEAVING}
        best = [one.key for one in one_each(wishes)[:LANES]]
        assert held <= set(best), "N3"
        if len(held) == len(seats):
            assert held == set(best), "N3"

    @rule(name=st.integers(1, 45), away=st.integers(0, 3))
    def connects(self, name: int, away: int) -> None:
        self.count += 1
        ip = f"10.0.{away}.{name}"
        made = f"{ip}:{self.count}"
        self.there.setdefault(ip, []).append(made)
        if ip in self.lanes.map:
            self.inside[made] = (self.lanes.map[ip], ip)

    @rule(which=st.integers(0, 30))
    def goes(self, which: int) -> None:
        all = [one for several in self.there.values() for one in several]
        if all:
            gone = all[which % len(all)]
            ip = gone.rpartition(":")[0]
            self.there[ip].remove(gone)
            self.inside.pop(gone, None)

    @rule()
    def look(self) -> None:
        self.lanes.look(self.there)

    @invariant()
    def nobody_shares(self) -> None:
        seats = list(self.lanes.seats.values())
        held = [seat for seat in seats if seat.phase is not Phase.LEAVING]
        assert len({seat.wish.key for seat in held}) == len(held) == len({seat.wish.ip for seat in held}), (
            "N1"
        )
        for lane, ip in self.inside.values():
            seat = self.lanes.seats.get(lane)
            assert seat is not None, "N2: a connection is in a lane that nobody has"
            assert seat.wish.ip == ip, "N2: a connection is in a lane of somebody else"


TestStreet = Street.TestCase
TestStreet.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
