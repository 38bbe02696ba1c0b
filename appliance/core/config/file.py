"""Reading `seedbox.toml`: what is wrong is refused with file, line, key, and what would be right."""

import difflib
import re
import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from appliance.core.config.keys import ConfigKey, all_keys, toml_value
from appliance.core.config.schema import Config
from appliance.core.errors import OwnerMustAct

_SMALLEST = Decimal("0.000001")
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_ASSIGNMENT = re.compile(r"\s*([^=#]+?)\s*=")


def load(path: Path) -> Config:
    """Read and check the file at `path`; a missing file means all defaults.

    Raises OwnerMustAct, with file, line, key and what would be right.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Config()
    except UnicodeDecodeError as error:
        raise OwnerMustAct(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8.") from error
    except OSError as error:
        raise OwnerMustAct(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error
    return parse(text, str(path))


def parse(text: str, name: str = "seedbox.toml") -> Config:
    """Check the text of a configuration; see `load`. `name` is the file's name in error messages."""
    raw = _toml(text, name)
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise OwnerMustAct(_explain(text, name, raw, error)) from error
    for key in all_keys():
        if key.type is Decimal and (given := raw.get(key.table, {}).get(key.name)) is not None:
            _check_decimal(text, name, key, given)
    return config


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, InvalidOperation) as error:
        raise OwnerMustAct(f"{name}: not TOML: {error}.") from error
    except RecursionError as error:
        raise OwnerMustAct(f"{name}: nested too deeply to be a configuration.") from error


def _check_decimal(text: str, name: str, key: ConfigKey, given: Any) -> None:
    """Raises OwnerMustAct where a decimal number is out of range, or is a whole number of an older file."""
    place = f"{name}:{_line(text, [key.table, key.name])}: {key.table}.{key.name}"
    if isinstance(given, int) and given and key.was:
        raise OwnerMustAct(
            f"{place} is {given}. Its unit is now {key.unit}. Write it with a decimal point: "
            f"{_with_point(Decimal(given))}, or {_with_point(given * key.was)} if it is from an older file."
        )
    if not _possible(Decimal(given), key.most or 0):
        raise OwnerMustAct(
            f"{place} is {given}; it must be {key.kind} ({key.unit}) with up to six decimals. "
            f"Its default is {toml_value(key.default)}."
        )


def _with_point(value: Decimal) -> str:
    whole, _, part = f"{value:f}".partition(".")
    return f"{whole}.{part.rstrip('0') or '0'}"


def _possible(value: Decimal, most: int) -> bool:
    return value.is_finite() and 0 <= value <= most and value % _SMALLEST == 0


def _explain(text: str, name: str, raw: dict[str, Any], error: msgspec.ValidationError) -> str:
    """One sentence about what a file holds in place of what it should."""
    message, _, path = str(error).partition(" - at `$")
    where = [part for part in re.split(r"[.`\[\]]+", path) if part and part != "..."]
    if found := re.search(r"unknown field `(.*)`", message):
        return _unknown(text, name, where, found[1])
    place = f"{name}:{_line(text, where)}"
    key = _key_at(where)
    if key is None:
        table = where[0] if where else "box"
        return f'{place}: "{".".join(where)}" must be a table, written as [{table}].'
    unit = f" ({key.unit})" if key.unit else ""
    given = _short(raw[key.table][key.name])
    return (
        f"{place}: {key.table}.{key.name} is {given}; it must be {key.kind}{unit}. "
        f"Its default is {toml_value(key.default)}."
    )


def _key_at(where: list[str]) -> ConfigKey | None:
    return next((one for one in all_keys() if [one.table, one.name] == where[:2]), None)


def _unknown(text: str, name: str, where: list[str], stranger: str) -> str:
    """One sentence about a table or key that does not exist, with the name that was probably meant."""
    names = [key.name for key in all_keys() if where == [key.table]] or list(get_type_hints(Config))
    near = difflib.get_close_matches(stranger, names, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(names)}."
    parts = [*where, stranger]
    what = "key" if where else "table"
    return f'{name}:{_line(text, parts)}: unknown {what} "{".".join(parts)}"; {hint}'


def _short(value: Any) -> str:
    shown = str(msgspec.json.encode(msgspec.to_builtins(value, str_keys=True)), "utf-8")
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _line(text: str, where: list[str]) -> int:
    """The line of the dotted key `where` (1 when it cannot be found): tomllib keeps no positions."""
    table: list[str] = []
    best = 1
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = [part.strip(" \"'") for part in header[1].split(".")]
            if table[: len(where)] == where:
                return number
            best = number if table == where[: len(table)] else best
        elif (assignment := _ASSIGNMENT.match(line)) and _assigns(assignment[1], table, where):
            return number
    return best


def _assigns(name: str, table: list[str], where: list[str]) -> bool:
    """Whether an assignment to `name` within `table` is that of `where`, of a part or of a parent of it."""
    own = [part.strip(" \"'") for part in name.split(".")]
    dotted = [*table, *own]
    return dotted[: len(where)] == where or (bool(own) and dotted == where[: len(dotted)])
