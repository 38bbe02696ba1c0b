"""The keys of the configuration file as people see them, and the file with every key at its default."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from appliance.core.config.schema import Config

_INTRODUCTION = """\
# Configuration of the Seedbox appliance. Remove the # in front of a key to change it.
# Write strings in "quotes", lists in [brackets], and switches as true or false.
"""


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One key of the file, for people."""

    table: str
    name: str
    type: Any
    kind: str
    """Type and range in words, such as `a whole number from 1 to 65535`."""
    unit: str
    default: Any
    says: str
    most: int | None = None
    """The largest decimal number that is allowed; None for other types."""
    was: Decimal | None = None
    """How much of `unit` a whole number stood for in older files; None where nothing changed."""


def all_keys() -> Iterator[ConfigKey]:
    """Every key there is, in the order of the default file."""
    for table_name, table in get_type_hints(Config).items():
        defaults = msgspec.structs.asdict(table())
        for name, annotation in get_type_hints(table, include_extras=True).items():
            kind, meta = get_args(annotation)[0], annotation.__metadata__[0]
            yield ConfigKey(
                table_name,
                name,
                kind,
                _in_words(kind, meta),
                meta.extra["unit"],
                defaults[name],
                meta.description,
                meta.extra.get("most"),
                meta.extra.get("was"),
            )


def value_of(config: Config, key: ConfigKey) -> Any:
    """The value in force of a key."""
    return msgspec.structs.asdict(msgspec.structs.asdict(config)[key.table])[key.name]


def default_text() -> str:
    """A complete configuration file: every key at its default, commented out, with its sentence."""
    lines = [_INTRODUCTION.rstrip()]
    table = ""
    for key in all_keys():
        if key.table != table:
            table = key.table
            lines += ["", f"[{table}]", f"# {_table_says(table)}"]
        notes = "; ".join(filter(None, (key.unit, _range(key))))
        lines += ["", f"# {key.says}{f' [{notes}]' if notes else ''}"]
        lines.append(f"#{key.name} = {toml_value(key.default)}")
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """One value as it is written in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return msgspec.json.encode(value).decode()


def _table_says(table: str) -> str:
    return (get_type_hints(Config)[table].__doc__ or "").strip()


def _range(key: ConfigKey) -> str:
    """What a reader cannot guess of the type: the range of a number, the words of a choice."""
    if key.type is int:
        return key.kind.removeprefix("a whole number from ")
    return key.kind if get_origin(key.type) is Literal else ""


def _in_words(kind: Any, meta: Meta) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list of strings in brackets"
    if kind is int:
        return f"a whole number from {meta.ge} to {meta.le}"
    if kind is Decimal:
        return f"a number from 0 to {(meta.extra or {})['most']}"
    return "true or false" if kind is bool else "a string in quotes"
