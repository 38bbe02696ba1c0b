"""Blocks as TRON has them: their ids begin with their number, and everything hangs on the parent's id.

Source: `protocol.BlockHeader.raw` of java-tron.
"""

import hashlib
from dataclasses import dataclass

from appliance.adapters.chain.protobuf import encode

WITNESS = b"\x41" + hashlib.sha256(b"seedbox/devnet").digest()[:20]
"""The one that makes all blocks here."""
VERSION = 30


@dataclass(frozen=True, slots=True)
class Signed:
    """A transaction and its signature, as it was broadcast."""

    raw: bytes
    signature: bytes
    txid: bytes


@dataclass(frozen=True, slots=True)
class ChainReceipt:
    """What a transaction did: kept with its block."""

    txid: bytes
    fee: int
    """SUN that were burnt."""
    net_usage: int
    """Bytes of free bandwidth that it took."""
    energy: int = 0
    """Steps of a contract, all of them paid for in TRX."""
    result: str = "SUCCESS"
    """`Transaction.Result.contractResult`: what is included may have failed all the same."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block."""

    number: int
    parent: bytes
    timestamp: int
    transactions: tuple[Signed, ...] = ()
    receipts: tuple[ChainReceipt, ...] = ()

    @property
    def root(self) -> bytes:
        """SHA-256 tree over the transactions; zero for none."""
        level = [hashlib.sha256(one.raw + one.signature).digest() for one in self.transactions]
        while len(level) > 1:
            level = [_joined(level[at : at + 2]) for at in range(0, len(level), 2)]
        return level[0] if level else bytes(32)

    @property
    def id(self) -> bytes:
        """32 bytes: the number in the first eight, the header's hash in the others."""
        header = encode(
            [
                (1, self.timestamp),
                (2, self.root),
                (3, self.parent),
                (7, self.number),
                (9, WITNESS),
                (10, VERSION),
            ]
        )
        return self.number.to_bytes(8, "big") + hashlib.sha256(header).digest()[8:]


def _joined(pair: list[bytes]) -> bytes:
    """The hash above two others; one that is alone moves up as it is."""
    return hashlib.sha256(b"".join(pair)).digest() if len(pair) > 1 else pair[0]
