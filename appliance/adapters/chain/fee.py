"""What a transfer will cost its sender, before it is sent.

Bandwidth is counted in bytes and energy in the steps of a contract; both are free up to what the account has,
and beyond that TRX are burnt for all of it (java-tron: `BandwidthProcessor`, `ReceiptCapsule`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What an account can pay with."""

    trx: int
    """SUN."""
    bandwidth: int
    """Bytes that are free now: the day's allowance or what TRX are staked for, whichever is more."""
    energy: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The chain's prices, in SUN."""

    byte: int
    energy: int
    new_account: int
    """The price of waking an address that was never used, with its bandwidth; a contract asks for none."""


@dataclass(frozen=True, slots=True)
class Fee:
    """A forecast."""

    sun: int
    """Will be burnt."""
    covered: bool
    """Whether the account's TRX are enough for it."""


def forecast(resources: Resources, prices: Prices, *, size: int, energy: int, wakes: bool) -> Fee:
    """The fee of a transfer of `size` bytes that takes `energy`; `wakes`: its recipient is a new account."""
    sun = prices.new_account if wakes else 0 if size <= resources.bandwidth else size * prices.byte
    sun += max(0, energy - resources.energy) * prices.energy
    return Fee(sun, sun <= resources.trx)


def size_of(raw: bytes) -> int:
    """Bytes of bandwidth that a transaction of this raw data takes: signature and result are counted too."""
    signature, result = 67, 64
    return len(raw) + (2 if len(raw) < 128 else 3) + signature + result
