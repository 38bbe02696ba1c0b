"""What the tables of the configuration file are made of: keys with a range, a unit and one sentence."""

from decimal import Decimal

import msgspec
from msgspec import Meta


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file."""


def key(says: str, *, pattern: str | None = None, unit: str = "") -> Meta:
    """A key of any type, explained by the sentence `says`; text must match the regex `pattern`."""
    return Meta(description=says, pattern=pattern, extra={"unit": unit})


def filled(says: str, *, most: int | None = None) -> Meta:
    """A text that must not be empty, of at most `most` characters."""
    return Meta(description=says, min_length=1, max_length=most, extra={"unit": ""})


def whole(says: str, least: int, most: int, unit: str = "") -> Meta:
    """A whole number from `least` to `most`."""
    return Meta(description=says, ge=least, le=most, extra={"unit": unit})


def decimal(says: str, most: int, unit: str, *, was: Decimal | None = None) -> Meta:
    """A decimal number from 0 to `most` with up to six decimals.

    `was` is how much of `unit` one unit stood for in older files, which had whole numbers here: those are
    refused, as taking them for the new unit would change a price by a large factor without a word.
    """
    return Meta(description=says, extra={"unit": unit, "most": most, "was": was})
