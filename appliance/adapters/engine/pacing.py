"""Sending evenly under a cap, and giving way over uTP: libtorrent's settings for a narrow line.

libtorrent hands out what may be sent in portions: a peer waits until all that it has ready fits into its
portion, or for twenty ticks, and sends that at once. With much read ahead and the ordinary tick of half a
second a cap below the line's capacity still fills the router's queue (m: 10 Mbit/s capped at 90 %, queue of
200 ms, 12 peers: ticks of 20 ms add 36 ms, of 5 ms 12, of 2 ms 3, for 1 % more of a fast core than those).
"""

from collections.abc import Mapping
from typing import Any

_TICK_MS, _FAST_TICK_MS, _FAST_LINE = 2, 5, 4 * 1024**2
"""Twenty ticks are the longest burst; on a line of 4 MiB/s and more a block for each peer passes sooner."""
_TICK, _READ_AHEAD = "tick_interval", ("send_buffer_low_watermark", "send_buffer_watermark")
USUAL_TICK_MS, QUICK_TICK_MS = 500, 200
"""libtorrent's own, and the one while slots are sold: who has a small limit is sent to when all of its send
buffer is allowed, or after 20 ticks (`bandwidth_manager`): by the usual ones somebody who has lost a slot
would wait for ten seconds."""
_BLOCK = 16 * 1024
_PORTION = 64
"""A peer has a 64th of a second of the line ready, and a block at least."""
_LEAST_UTP_MS, _USUAL_UTP_MS = 20, 100


def even_settings(upload_rate: int, usual: Mapping[str, Any]) -> dict[str, int]:
    """The settings for a cap of `upload_rate` bytes a second, 0 for none; `usual` are those without a cap.

    All of them can be changed while the session runs.
    """
    if not upload_rate:
        return {_TICK: int(usual.get(_TICK, USUAL_TICK_MS))} | {key: int(usual[key]) for key in _READ_AHEAD}
    ready = max(_BLOCK, upload_rate // _PORTION)
    low, high = (min(int(usual[key]), ready) for key in _READ_AHEAD)
    tick = _TICK_MS if upload_rate < _FAST_LINE else _FAST_TICK_MS
    return {_TICK: tick} | dict(zip(_READ_AHEAD, (low, high), strict=True))


def utp_settings(delay_ms: int | None) -> dict[str, int]:
    """uTP's own target (BEP 29: 100 ms) for a line that may be delayed by `delay_ms`; None: anything goes.

    uTP needs no cap to keep to it, and still fills the line (m: 25 ms added at a target of 25, 99 at 100).
    """
    return {"utp_target_delay": _USUAL_UTP_MS if delay_ms is None else max(_LEAST_UTP_MS, delay_ms)}
