"""What a command of the control socket is: a `Command[Answer]`, and the route from it to its handler.

Its JSON-RPC method is the class name in snake_case (`ListTorrents` -> `list_torrents`), its fields are the
named parameters.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import msgspec

API_VERSION = 1
"""Rises with every change that an older client or daemon would misread."""

A = TypeVar("A")


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

    @classmethod
    def answered_by(cls, handler: Callable[[Self], Awaitable[A]]) -> "Route":
        """The route to `handler`, which must take this command and give its answer."""
        return Route(cls, handler)


class Route(NamedTuple):
    """A command and what carries it out; made by `Command.answered_by`, so that the types fit."""

    command: type[Command[Any]]
    handler: Callable[[Any], Awaitable[Any]]
