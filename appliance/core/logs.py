"""Logging: fields for the journal under systemd, readable lines on a terminal."""

import logging
import os
import sys

from appliance.core.text import shown_lines


def set_up(level: str) -> None:
    """Send all logging to where this process's output goes."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.handlers[:] = [_journal() if _under_systemd() else _lines()]
    # The JSON-RPC library logs whole messages, and with them what people add, when it is chatty.
    logging.getLogger("pjrpc").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _under_systemd() -> bool:
    """Whether stderr is the journal itself (sd_journal_stream_fd(3): JOURNAL_STREAM names its inode)."""
    try:
        device, inode = map(int, os.environ.get("JOURNAL_STREAM", "").split(":"))
        stream = os.fstat(sys.stderr.fileno())
    except (ValueError, OSError):
        return False
    return (stream.st_dev, stream.st_ino) == (device, inode)


def _journal() -> logging.Handler:
    from systemd.journal import JournalHandler

    handler = JournalHandler(SYSLOG_IDENTIFIER="seedbox")
    handler.setFormatter(_Plain("%(message)s"))
    return handler  # type: ignore[no-any-return]


def _lines() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line("%(asctime)s %(message)s", "%H:%M:%S"))
    return handler


class _Plain(logging.Formatter):
    """Whatever is logged of strangers, fit for a terminal: a log is read on one, too."""

    def format(self, record: logging.LogRecord) -> str:
        return shown_lines(super().format(record))


class _Line(_Plain):
    """A line for people: the time, a word where it is bad, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        time, _, rest = text.partition(" ")
        return f"{time} {record.levelname.lower()}: {rest}"
