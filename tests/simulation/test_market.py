"""The simulator itself: the same seed is the same day, and what it says of the auction can be relied on."""

from dataclasses import replace

import pytest

from appliance.core.units import MIB, MicroBttPerMib
from appliance.domain.auction.clearing import Rule
from appliance.domain.auction.lease import CREDIT
from tests.simulation.market import Manner, Sells, World, simulate

SMALL = World(rounds=300)


def test_the_same_seed_is_the_same_day() -> None:
    one, other = simulate(SMALL), simulate(SMALL)
    assert one == other
    assert simulate(replace(SMALL, seed=2)) != one


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("watched", [None, Manner.SHADES, Manner.FALSE_NAMES, Manner.CHEATS])
def test_what_buyers_pay_is_what_the_seller_earns_and_nobody_pays_more_than_it_is_worth(
    rule: Rule, watched: Manner | None
) -> None:
    one = simulate(replace(SMALL, rule=rule, watched=watched))
    assert sum(peer.paid for peer in one.peers) == one.revenue > 0
    assert sum(peer.got for peer in one.peers) == one.sent
    for peer in one.peers:
        assert peer.got <= peer.wants
        assert peer.surplus >= -peer.wants // MIB, "no more than the rounding"
        assert peer.manner is not Manner.FREE or not peer.paid


def test_a_cheat_gets_a_credit_window_and_what_was_in_flight() -> None:
    one = simulate(replace(SMALL, watched=Manner.CHEATS))
    cheats = [peer for peer in one.peers if peer.unpaid]
    assert cheats
    # In flight: what a step of the simulation sends at most.
    for peer in cheats:
        assert peer.unpaid <= peer.value * (CREDIT * 5 // 4 + peer.downlink * 3) // MIB


def test_who_bids_is_served_first_and_who_does_not_is_not_shut_out() -> None:
    one, chance = simulate(SMALL), simulate(replace(SMALL, sells=Sells.RANDOM))
    assert one.completion(True) * 5 < one.completion(False)
    assert any(peer.done is not None for peer in one.peers if peer.manner is Manner.FREE)
    assert chance.revenue == 0
    assert one.completion(True) < chance.completion(True)


def test_the_auction_earns_more_than_most_prices_that_an_owner_could_post() -> None:
    auction = simulate(SMALL).revenue
    posted = [
        simulate(replace(SMALL, sells=Sells.POSTED, posted=MicroBttPerMib(price))).revenue
        for price in (500, 1_000, 2_000, 4_000, 16_000)
    ]
    assert all(auction > one for one in posted)


def test_no_budget_is_ever_exceeded() -> None:
    one = simulate(replace(SMALL, manners=(Manner.PACED, Manner.HONEST)))
    paced = [peer for peer in one.peers if peer.manner is Manner.PACED]
    assert any(peer.paid for peer in paced)
    assert all(peer.paid <= peer.budget for peer in paced)
