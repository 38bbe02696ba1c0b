"""What the services of this room need of the outside in common."""

from typing import Protocol, TypeVar

T = TypeVar("T")


class SettingStore(Protocol):
    """Small values that outlive a restart."""

    def decoded(self, key: str, kind: type[T]) -> T | None:
        """A value that was encoded as MessagePack; None where there is none, or where it is damaged."""
        ...

    async def put(self, key: str, value: bytes, *, durable: bool = True) -> None:
        """Keep a value. Raises RetryLater."""
        ...
