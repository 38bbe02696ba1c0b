"""What a command of the control socket is: a `Command[Answer]`.

Its JSON-RPC method is the class name in snake_case (`ListTorrents` -> `list_torrents`), its fields are the
named parameters.
"""

import re
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

API_VERSION = 1
"""Rises with every change that an older client or daemon would misread."""

A = TypeVar("A")
COMMANDS: dict[str, type["Command[Any]"]] = {}
"""Every command by its JSON-RPC method name."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a command answers; unknown fields from a newer daemon are ignored."""


class Command(msgspec.Struct, Generic[A], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client asks of the daemon."""

    method: ClassVar[str]
    answer: ClassVar[Any]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        cls.answer = cls.__orig_bases__[0].__args__[0]  # type: ignore[attr-defined]
        COMMANDS[cls.method] = cls
