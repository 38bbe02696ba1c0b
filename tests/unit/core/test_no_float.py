"""Amounts: exact, whole, and never a float."""

import ast
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.errors import OwnerMustAct
from appliance.core.units import MOST_MONEY, MicroBtt, parse_btt, show_btt

ROOMS = (
    "appliance/domain/ledger",
    "appliance/adapters/chain/transaction.py",
    "appliance/adapters/chain/protobuf.py",
    "appliance/entrypoints/devnet/chain.py",
    "appliance/entrypoints/settle/gateway.py",
    "appliance/core/keys.py",
    "appliance/adapters/store/ledger.py",
    "appliance/adapters/store/ledger_unit.py",
    "appliance/adapters/store/wallet.py",
    "appliance/domain/wallet",
    "appliance/entrypoints/operator/service.py",
    "appliance/adapters/ledger_http/messages.py",
    "appliance/adapters/chain/fee.py",
    "appliance/entrypoints/daemon/handlers/money.py",
    "appliance/control/money.py",
    "appliance/entrypoints/web/money.py",
    "appliance/entrypoints/cli/wallet.py",
    "appliance/entrypoints/cli/statement.py",
)
amounts = st.integers(0, MOST_MONEY).map(MicroBtt)


@given(amounts)
def test_what_is_shown_reads_back_as_the_same_amount(amount: MicroBtt) -> None:
    assert parse_btt(show_btt(amount)) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", 1_000_000),
        ("0.000001", 1),
        ("1.5", 1_500_000),
        (" 007.10 ", 7_100_000),
        ("9223372036854.775807", MOST_MONEY),
    ],
)
def test_amounts_are_read_exactly(text: str, amount: int) -> None:
    assert parse_btt(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1e3",
        "0.0000001",
        ".5",
        "1.",
        "1,5",
        "0x10",
        "٣",
        "nan",
        "9223372036854.775808",
        "1 000",
    ],
)
def test_what_is_not_an_amount_is_refused_by_name(text: str) -> None:
    with pytest.raises(OwnerMustAct, match="BTT"):
        parse_btt(text)


@given(st.text(max_size=30))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    with contextlib.suppress(OwnerMustAct):
        assert 0 <= parse_btt(text) <= MOST_MONEY


def test_debts_are_shown_with_their_sign() -> None:
    assert show_btt(MicroBtt(-1_500_000)) == "-1.5"
    assert show_btt(MicroBtt(-1)) == "-0.000001"


def test_there_is_no_float_anywhere_near_money() -> None:
    files = [
        file
        for room in ROOMS
        for file in ([Path(room)] if room.endswith(".py") else Path(room).rglob("*.py"))
    ]
    for file in (file for file in files if file.exists()):
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), (file, node.lineno)
            assert not (isinstance(node, ast.Name) and node.id in ("float", "round")), (file, node.lineno)
            assert not isinstance(node, ast.Div), file
