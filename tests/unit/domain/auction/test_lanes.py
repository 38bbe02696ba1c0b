"""Lanes: N1 to N3 of auction/lanes.py."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.core.units import MicroBttPerMib
from appliance.domain.auction.lanes import (
    LANES,
    LanePhase,
    LaneRequest,
    Lanes,
    Reconnect,
    free_share,
    one_each,
    throttled_share,
    trickle,
)
from appliance.domain.auction.meter import PeerConnection


def request(name: int, price: int, ip: str = "", port: int = 6_881) -> LaneRequest:
    return LaneRequest(name.to_bytes(33, "big"), ip or f"10.0.0.{name}", "t", port, MicroBttPerMib(price))


def there(ip: str, port: int) -> dict[str, list[PeerConnection]]:
    return {ip: [PeerConnection("t", ip, port)]}


def test_a_bidder_who_is_connected_is_cut_once_and_called_back() -> None:
    lanes = Lanes()
    assert lanes.arrange([request(1, 5)], there("10.0.0.1", 999)) == [Reconnect("10.0.0.1", "t", 6_881)]
    assert lanes.map == {"10.0.0.1": 0}
    assert lanes.lane_of(request(1, 5).key) is None, "the old connection is still outside of the lane"
    assert not lanes.refresh(there("10.0.0.1", 999))
    assert lanes.refresh(there("10.0.0.1", 6_881))
    assert lanes.lane_of(request(1, 5).key) == 0
    assert lanes.arrange([request(1, 7)], there("10.0.0.1", 6_881)) == [], "who stays is left in peace"


def test_a_lane_is_given_out_again_when_the_last_connection_in_it_has_gone() -> None:
    lanes = Lanes()
    connections = dict[str, list[PeerConnection]]()
    for name in range(1, 40):
        connections |= there(f"10.0.0.{name}", 1)
    lanes.arrange([request(name, name) for name in range(1, LANES + 1)], {})
    assert len(lanes.taken) == LANES
    (move,) = lanes.arrange([request(name, name) for name in range(2, LANES + 2)], connections)
    assert move.ip == "10.0.0.1"
    newcomer = request(LANES + 1, LANES + 1).key
    assert newcomer not in {lane.holder.key for lane in lanes.taken.values()}, "N2"
    del connections["10.0.0.1"]
    lanes.refresh(connections)
    lanes.arrange([request(name, name) for name in range(2, LANES + 2)], connections)
    assert newcomer in {lane.holder.key for lane in lanes.taken.values()}


def test_who_comes_from_another_address_leaves_the_lane_of_the_old_one() -> None:
    lanes = Lanes()
    lanes.arrange([request(1, 5)], {})
    lanes.arrange([request(1, 5, ip="10.0.9.9")], {})
    assert lanes.map == {"10.0.9.9": 0}


def test_neighbours_behind_one_address_share_no_lane() -> None:
    lanes = Lanes()
    lanes.arrange([request(1, 5, ip="10.0.0.7"), request(2, 9, ip="10.0.0.7")], {})
    assert [lane.holder.key[-1] for lane in lanes.taken.values()] == [2]


def test_the_free_share_is_kept_while_slots_are_sold() -> None:
    assert free_share(1_000_000, 20) == 200_000
    assert free_share(1, 20) == 1, "0 would be unlimited"
    assert free_share(0, 20) == 0, "an uplink whose size nobody knows is not cut"
    assert trickle(200_000, 40, 2_000) == 5_000
    assert trickle(0, 40, 2_000) == 2_000


def test_who_does_not_pay_bears_what_is_sent_less_before_leases_do() -> None:
    free, usual, least = 200_000, 1_000_000, 8_000
    assert throttled_share(free, usual, 0, least) == free, "as usual"
    assert throttled_share(free, usual, 2_000_000, least) == free, "more than usual is no more for them"
    assert throttled_share(free, usual, 900_000, least) == 100_000, "leases still have their 800,000"
    assert throttled_share(free, usual, 400_000, least) == least, "then leases have what is left"
    assert throttled_share(5_000, usual, 400_000, least) == 5_000
    assert throttled_share(0, 0, 400_000, least) == 0, "an uplink whose size nobody knows is not shared out"


class Street(RuleBasedStateMachine):
    """Bidders come and go, connections take their time."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.there: dict[str, list[PeerConnection]] = {}
        self.inside: dict[PeerConnection, tuple[int, str]] = {}
        """Connection -> the lane (and its address) that it was made in."""
        self.count = 0

    @rule(bids=st.lists(st.tuples(st.integers(1, 45), st.integers(0, 99), st.integers(0, 3)), max_size=45))
    def arrange(self, bids: list[tuple[int, int, int]]) -> None:
        requests = [request(name, price, f"10.0.{away}.{name}" if away else "") for name, price, away in bids]
        self.lanes.arrange(requests, self.there)
        taken = self.lanes.taken.values()
        held = {lane.holder.key for lane in taken if lane.phase is not LanePhase.LEAVING}
        best = [one.key for one in one_each(requests)[:LANES]]
        assert held <= set(best), "N3"
        if len(held) == len(taken):
            assert held == set(best), "N3"

    @rule(name=st.integers(1, 45), away=st.integers(0, 3))
    def connects(self, name: int, away: int) -> None:
        self.count += 1
        ip = f"10.0.{away}.{name}"
        made = PeerConnection("t", ip, self.count)
        self.there.setdefault(ip, []).append(made)
        if ip in self.lanes.map:
            self.inside[made] = (self.lanes.map[ip], ip)

    @rule(which=st.integers(0, 30))
    def goes(self, which: int) -> None:
        all = [one for several in self.there.values() for one in several]
        if all:
            gone = all[which % len(all)]
            self.there[gone.ip].remove(gone)
            self.inside.pop(gone, None)

    @rule()
    def look(self) -> None:
        self.lanes.refresh(self.there)

    @invariant()
    def nobody_shares(self) -> None:
        held = [lane for lane in self.lanes.taken.values() if lane.phase is not LanePhase.LEAVING]
        assert (
            len({lane.holder.key for lane in held}) == len(held) == len({lane.holder.ip for lane in held})
        ), "N1"
        for number, ip in self.inside.values():
            lane = self.lanes.taken.get(number)
            assert lane is not None, "N2: a connection is in a lane that nobody has"
            assert lane.holder.ip == ip, "N2: a connection is in a lane of somebody else"


TestStreet = Street.TestCase
TestStreet.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
