"""Units of measure as types, so that bytes are never added to milliseconds, and how people read them."""

from typing import NewType

Bytes = NewType("Bytes", int)
BytesPerSecond = NewType("BytesPerSecond", int)
UtcMs = NewType("UtcMs", int)
"""Milliseconds since 1970-01-01 UTC: for people. It may jump by years; nothing is decided by it."""
MonoNs = NewType("MonoNs", int)
"""Nanoseconds of the monotonic clock: for every decision about time."""
Ppm = NewType("Ppm", int)
"""Parts per million, 0 to 1,000,000: progress without a float."""

KIB = 1024
MIB = 1024**2
GIB = 1024**3

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def show_bytes(count: int) -> str:
    """Bytes for people, three significant digits: `1.42 GiB`."""
    value, size = float(count), 0
    while abs(value) >= 999.5 and size < len(_SIZES) - 1:
        value /= KIB
        size += 1
    if size == 0:
        return f"{count} B"
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f} {_SIZES[size]}"


def show_rate(rate: int) -> str:
    """Bytes per second for people: `1.42 MiB/s`."""
    return f"{show_bytes(rate)}/s"


def show_span(seconds: int) -> str:
    """A span of time in its two largest units: `3 d 4 h`."""
    parts: list[str] = []
    rest = max(0, seconds)
    for length, name in _SPANS:
        count, rest = divmod(rest, length)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {name}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 ")) or "0 s"
