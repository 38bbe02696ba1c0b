"""Payment channels as rows, for the ledger's database and the wallet's alike."""

from typing import Any

from appliance.core.keys import Address
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.channel import Channel, ChannelPhase


def read_channel(row: tuple[Any, ...]) -> Channel:
    """The channel in (id, ledger, payer, recipient, lock, expires, window_ms, phase, seq, paid, closes)."""
    id, ledger, payer, recipient, lock, expires, window_ms, phase, seq, paid, closes = row
    return Channel(
        id=id,
        ledger=ledger,
        payer=payer,
        recipient=Address(recipient),
        lock=MicroBtt(lock),
        expires=UtcMs(expires),
        window_ms=window_ms,
        phase=ChannelPhase(phase),
        seq=seq,
        paid=MicroBtt(paid),
        closes=UtcMs(closes),
    )
