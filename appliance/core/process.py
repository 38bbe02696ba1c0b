"""The beginning and end of every process of ours: telling systemd, and ending on a signal."""

import os
import signal
from typing import NoReturn, Protocol


class Server(Protocol):
    """A server that runs until it is interrupted, such as waitress's."""

    def run(self) -> None:
        """Serve."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


def notify(message: str) -> None:
    """Tell systemd (sd_notify(3)); nothing happens where it does not listen."""
    if "NOTIFY_SOCKET" in os.environ:
        from systemd import daemon  # type: ignore[attr-defined]

        daemon.notify(message)


def serve_until_told(server: Server, status: str) -> None:
    """Run a server until SIGTERM or Ctrl-C; `status` is what `systemctl status` shows meanwhile."""
    notify(f"READY=1\nSTATUS={status}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        server.run()
    except SystemExit:
        server.close()


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(0)
