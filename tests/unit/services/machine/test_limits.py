"""Limits: one object, impossible values refused, the owner's changes kept."""

import asyncio
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.adapters.store.database import Database
from appliance.adapters.store.settings import Settings
from appliance.core.config import LimitsConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.units import GIB, MIB, Bytes, BytesPerSecond
from appliance.domain.governor.limits import Limits, LimitsChange, for_memory
from appliance.services.machine.limits import LimitsKeeper, LimitsPorts, configured_limits

BASE = configured_limits(LimitsConfig(), Bytes(GIB))
NAMES = [field.name for field in fields(LimitsChange)]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Settings]:
    database = Database(tmp_path / "box.db", check=False)
    yield Settings(database)
    database.close()


def keeper_of(kept: Settings, applied: list[Limits] | None = None) -> LimitsKeeper:
    """A keeper that nothing throttles; `applied` takes what it puts into force."""
    taken: list[Limits] = [] if applied is None else applied
    return LimitsKeeper(BASE, LimitsPorts(store=kept, apply=taken.append, review=lambda: None))


@given(st.integers(0, 64 * GIB), st.integers(0, 64 * GIB))
def test_more_memory_never_gives_less(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert all(
        less <= more for less, more in zip(for_memory(Bytes(small)), for_memory(Bytes(large)), strict=True)
    )


@given(st.integers(0, 64 * GIB))
def test_the_default_configuration_is_possible_on_every_machine(ram: int) -> None:
    limits = configured_limits(LimitsConfig(), Bytes(ram))
    assert limits.upload_rate == limits.download_rate == 0
    assert limits.connections >= 100


def test_rates_of_the_configuration_are_kib_and_those_of_the_limits_bytes() -> None:
    limits = configured_limits(LimitsConfig(upload_rate=100, download_rate=2_000_000), Bytes(512 * MIB))
    assert limits.upload_rate == 102_400
    assert limits.download_rate == 2_000_000 * 1_024


@given(st.dictionaries(st.sampled_from(NAMES), st.integers(-(2**70), 2**70)))
def test_a_change_is_in_force_or_refused_by_name(values: dict[str, int]) -> None:
    change = LimitsChange(**values)  # type: ignore[arg-type]
    try:
        limits = change.over(BASE)
    except OwnerMustAct as error:
        assert any(f"{name} is {value};" in str(error) for name, value in values.items())
    else:
        assert {name: getattr(limits, name) for name in values} == values
        assert {name: getattr(limits, name) for name in NAMES if name not in values} == {
            name: getattr(BASE, name) for name in NAMES if name not in values
        }


def test_changes_add_up_and_outlive_a_restart(kept: Settings) -> None:
    applied: list[Limits] = []
    keeper = keeper_of(kept, applied)
    asyncio.run(keeper.change(LimitsChange(upload_rate=BytesPerSecond(1_000))))
    asyncio.run(keeper.change(LimitsChange(upload_slots=5)))
    assert (applied[-1].upload_rate, applied[-1].upload_slots) == (1_000, 5)
    assert keeper_of(kept).current == applied[-1]


def test_a_refused_change_changes_nothing(kept: Settings) -> None:
    keeper = keeper_of(kept)
    with pytest.raises(OwnerMustAct):
        asyncio.run(keeper.change(LimitsChange(connections=1, upload_slots=5)))
    assert keeper.current == keeper_of(kept).current == BASE


def test_reset_goes_back_to_the_configuration(kept: Settings) -> None:
    keeper = keeper_of(kept)
    asyncio.run(keeper.change(LimitsChange(upload_slots=5)))
    asyncio.run(keeper.reset())
    assert keeper.current == keeper_of(kept).current == BASE


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"upload_slots": "many"}', b'{"upload_slots": -1}'])
def test_damaged_limits_fall_back_to_the_configuration(kept: Settings, garbage: bytes) -> None:
    asyncio.run(kept.put("limits", garbage))
    assert keeper_of(kept).current == BASE
