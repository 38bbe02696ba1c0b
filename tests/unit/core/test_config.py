"""seedbox.toml: what is wrong is refused by file, line and key, with what would be right."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.config import Config, ConfigKey, all_keys, default_text, load, parse, toml_value
from appliance.core.errors import OwnerMustAct


def test_the_default_file_says_nothing_but_defaults() -> None:
    assert parse(default_text()) == Config()


def test_every_key_of_the_default_file_can_be_uncommented() -> None:
    assert parse(re.sub(r"^#(\w+ = )", r"\1", default_text(), flags=re.M)) == Config()


@pytest.mark.parametrize("key", list(all_keys()), ids=lambda key: f"{key.table}.{key.name}")
def test_every_key_is_explained_and_refuses_a_wrong_type(key: ConfigKey) -> None:
    assert key.says.endswith(".")
    with pytest.raises(OwnerMustAct) as refused:
        parse(f"# first line\n[{key.table}]\n{key.name} = {{}}\n")
    assert f"seedbox.toml:3: {key.table}.{key.name}" in str(refused.value)
    assert toml_value(key.default) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "[network]\nlisten_prt = 1",
            'seedbox.toml:2: unknown key "network.listen_prt"; did you mean "listen_port"?',
        ),
        ("\n[netwrk]\nx = 1", 'seedbox.toml:2: unknown table "netwrk"; did you mean "network"?'),
        (
            "[limits]\n\nupload_rate = -1",
            "seedbox.toml:3: limits.upload_rate is -1; it must be a whole number from 0",
        ),
        ("[web]\nport = 70000", "seedbox.toml:2: web.port is 70000"),
        ("box = 3", 'seedbox.toml:1: "box" must be a table'),
        ("network.dht = 1", "seedbox.toml:1: network.dht is 1; it must be true or false"),
        ("a = [", "seedbox.toml: not TOML"),
    ],
)
def test_errors_name_line_key_and_remedy(text: str, wanted: str) -> None:
    with pytest.raises(OwnerMustAct) as refused:
        parse(text)
    assert wanted in str(refused.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[energy]\nprice = 300", "energy.price is 300. Its unit is now currency per kWh, 0 = unknown."),
        ("[energy]\nprice = 300", "300.0, or 0.3 if it is from an older file."),
        ("[auction]\nreserve = 100", "100.0, or 0.1024 if it is from an older file."),
        (
            "[auction]\nreserve = 0.0000001",
            "auction.reserve is 1E-7; it must be a number from 0 to 1000000000",
        ),
        ("[auction]\nreserve = -1.0", "auction.reserve is -1.0; it must be a number"),
        ("[auction]\nreserve = nan", "auction.reserve is NaN; it must be a number"),
        ("[auction]\nreserve = inf", "auction.reserve is Infinity; it must be a number"),
        ("[auction]\nreserve = 1e99999999", "auction.reserve is 1E+99999999; it must be a number"),
        ('[auction]\nreserve = "much"', "auction.reserve is"),
    ],
)
def test_a_price_of_an_older_file_is_never_taken_for_the_new_unit(text: str, wanted: str) -> None:
    with pytest.raises(OwnerMustAct) as refused:
        parse(text)
    assert wanted in str(refused.value)


def test_a_price_is_exactly_what_was_typed() -> None:
    config = parse("[energy]\nprice = 0.30\n[auction]\nreserve = 0.1\nceiling = 0\n")
    assert (config.energy.price, config.auction.reserve) == (Decimal("0.30"), Decimal("0.1"))


def test_a_missing_file_means_defaults_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml") == Config()
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"[box]\nname = '\xff'")
    with pytest.raises(OwnerMustAct, match="UTF-8"):
        load(broken)


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    try:
        assert isinstance(parse(text), Config)
    except OwnerMustAct as error:
        assert str(error)


@given(
    st.dictionaries(
        st.sampled_from(["box", "network", "limits", "web", "x"]),
        st.dictionaries(
            st.sampled_from([key.name for key in all_keys()]), st.integers() | st.booleans(), max_size=3
        ),
        max_size=3,
    )
)
def test_no_table_raises_anything_but_a_refusal_with_a_line(tables: dict[str, dict[str, object]]) -> None:
    text = "".join(
        f"[{table}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in entries.items())
        for table, entries in tables.items()
    )
    try:
        parse(text)
    except OwnerMustAct as error:
        assert re.match(r"seedbox\.toml(:\d+)?: ", str(error))
