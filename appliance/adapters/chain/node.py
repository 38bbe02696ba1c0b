"""What a gateway asks of TRON, whoever answers it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from appliance.adapters.chain.fee import Fee
from appliance.adapters.chain.transaction import Transaction
from appliance.core.keys import Address


class Sent(StrEnum):
    """What came of a broadcast, as far as the node says; only a solid block is certain."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SolidBlock:
    """A block that is never taken back, and the plain transfers in it that succeeded."""

    number: int
    id: bytes
    parent: bytes
    timestamp: int
    transfers: tuple[tuple[bytes, Transaction], ...]
    """(txid, transaction)."""


class ChainNode(Protocol):
    """What the gateway asks of TRON. Every call raises RetryLater where nobody answers sensibly."""

    def development(self) -> bool:
        """Whether this is a development chain, whose money is worth nothing."""
        ...

    def solid_number(self) -> int:
        """Number of the newest solid block."""
        ...

    def solid_block(self, number: int) -> SolidBlock:
        """A solid block."""
        ...

    def solid_balance(self, address: Address, asset: str) -> int:
        """What an address holds after the newest solid block, in the asset's smallest unit."""
        ...

    def fee(self, raw: bytes) -> Fee:
        """What a transaction will cost its sender now."""
        ...

    def broadcast(self, raw: bytes, signature: bytes) -> Sent:
        """Send a signed transaction."""
        ...
