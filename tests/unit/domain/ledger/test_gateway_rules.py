"""Amounts on the chain, limits, fees and payout addresses: the rules alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.adapters.chain.fee import Prices, Resources, forecast
from appliance.core.config import GatewayConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.keys import Address, Key
from appliance.core.units import MOST_MONEY, MicroBtt, UtcMs
from appliance.domain.ledger.gateway import Asset, WithdrawalLimits
from appliance.domain.ledger.payout import Payout, allowed, change

ONE, TWO, THREE = (Key(bytes(31) + bytes([number])).address for number in (1, 2, 3))
HOUR = 3_600_000


@given(st.integers(1, MOST_MONEY), st.integers(6, 30))
def test_amounts_are_converted_exactly_or_refused(amount: int, decimals: int) -> None:
    asset = Asset("T", decimals)
    units = asset.units(MicroBtt(amount))
    assert asset.amount(units) == amount
    if decimals > 6:
        with pytest.raises(OwnerMustAct, match="not a whole number"):
            asset.amount(units + 1)
        assert asset.floor(units + 1) == amount
    with pytest.raises(OwnerMustAct):
        asset.amount((MOST_MONEY + 1) * asset.scale)


def test_limits_are_told_in_btt_and_addresses_are_checked() -> None:
    limits = WithdrawalLimits.configured(GatewayConfig(most_each=5, most_a_day=7, allow=(ONE,)))
    assert limits == WithdrawalLimits(MicroBtt(5_000_000), MicroBtt(7_000_000), frozenset({ONE}))
    with pytest.raises(OwnerMustAct, match="not a TRON address"):
        WithdrawalLimits.configured(GatewayConfig(allow=("T1",)))
    assert WithdrawalLimits().refuse(TWO, MicroBtt(MOST_MONEY)) == ""
    assert not WithdrawalLimits().wait(MicroBtt(MOST_MONEY), MicroBtt(MOST_MONEY))


def test_what_is_free_costs_nothing_and_what_is_not_is_burnt_whole() -> None:
    prices = Prices(byte=1_000, energy=100, new_account=1_100_000)
    rich = Resources(trx=10**9, bandwidth=300, energy=20_000)
    assert forecast(rich, prices, size=300, energy=0, wakes=False).sun == 0
    assert forecast(rich, prices, size=301, energy=0, wakes=False).sun == 301_000
    assert forecast(rich, prices, size=300, energy=0, wakes=True).sun == 1_100_000
    assert forecast(rich, prices, size=300, energy=20_001, wakes=False).sun == 100
    poor = Resources(trx=300_999, bandwidth=300, energy=0)
    assert not forecast(poor, prices, size=301, energy=0, wakes=False).covered


def test_the_first_payout_address_is_in_force_at_once_and_another_one_after_the_lock() -> None:
    with pytest.raises(OwnerMustAct, match="wallet payout"):
        allowed(None, ONE, UtcMs(0))
    first = change(None, ONE, UtcMs(1_000), HOUR)
    allowed(first, ONE, UtcMs(1_000))
    second = change(first, TWO, UtcMs(2_000), HOUR)
    for now, right, wrong in ((2_000, ONE, TWO), (1_999 + HOUR, ONE, TWO), (2_000 + HOUR, TWO, ONE)):
        allowed(second, right, UtcMs(now))
        with pytest.raises(OwnerMustAct):
            allowed(second, wrong, UtcMs(now))


def test_going_back_is_at_once_and_asking_again_does_not_shorten_the_wait() -> None:
    first = change(None, ONE, UtcMs(0), HOUR)
    second = change(first, TWO, UtcMs(10), HOUR)
    assert change(second, TWO, UtcMs(20), HOUR) == second
    assert change(second, ONE, UtcMs(30), HOUR).at(UtcMs(30)) == ONE
    assert change(second, ONE, UtcMs(30), HOUR).at(UtcMs(30 + 2 * HOUR)) == ONE
    third = change(second, THREE, UtcMs(40), HOUR)
    assert (third.at(UtcMs(39 + HOUR)), third.at(UtcMs(40 + HOUR))) == (ONE, THREE)


@given(st.lists(st.tuples(st.sampled_from([ONE, TWO, THREE]), st.integers(0, 2 * HOUR)), min_size=1))
def test_money_leaves_only_to_what_was_named_a_lock_ago(asked: list[tuple[Address, int]]) -> None:
    payout: Payout | None = None
    now, named = 0, list[tuple[Address, int]]()
    for to, wait in asked:
        now += wait
        before = payout.at(UtcMs(now)) if payout else None
        payout = change(payout, to, UtcMs(now), HOUR)
        named.append((to, now))
        assert before is None or payout.at(UtcMs(now)) == before, "nothing changes at once"
        for later in (now, now + HOUR - 1, now + HOUR):
            found = payout.at(UtcMs(later))
            first = named[0][0]
            assert found == first or any(one == found and at + HOUR <= later for one, at in named)
