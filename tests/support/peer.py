"""A libtorrent peer in a process and on a loopback address of its own.

As a program: reads a JSON object on stdin (`Peer.start` writes it), then writes a line of JSON a few times a second.
"""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.addresses import address
from tests.support.processes import start
from tests.support.until import until


class Peer:
    """Somebody else's BitTorrent client."""

    def __init__(
        self, folder: Path, source: bytes | str, *, call: tuple[str, int] | None = None, **settings: Any
    ) -> None:
        """`source` is a .torrent file or a magnet link; `call` the peer that it connects to."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = settings.pop("address", None) or address()
        self._request = {
            "source": source if isinstance(source, str) else base64.b64encode(source).decode(),
            "folder": str(folder),
            "address": self.address,
            "call": call,
            "settings": settings,
        }
        self.said: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._process = start(
            [sys.executable, "-m", "tests.support.peer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._process.stdin.write(json.dumps(self._request).encode())
        self._process.stdin.close()
        self.listen()
        return self

    def listen(self) -> dict[str, Any]:
        """The next thing it says."""
        line = self._process.stdout.readline()
        assert line, "the peer ended"
        self.said = json.loads(line)
        return self.said

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self.said["port"])

    def wait_done(self, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until it has everything."""
        until(lambda: self.listen()["complete"], "the peer's download", seconds)
        return self.said

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def main() -> None:
    """The peer's own process."""
    import libtorrent as lt

    request = json.load(sys.stdin)
    own = request["address"]
    shown = f"[{own}]" if ":" in own else own
    settings: Any = {
        "listen_interfaces": f"{shown}:0",
        "outgoing_interfaces": own,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "allow_multiple_connections_per_ip": True,
        # It tries again at once, however often the box went away.
        "min_reconnect_time": 1,
        "max_failcount": 100_000,
        "alert_mask": 0,
    } | request["settings"]
    session = lt.session(settings)
    source = request["source"]
    if source.startswith("magnet:"):
        params = lt.parse_magnet_uri(source)
    else:
        params = lt.load_torrent_buffer(base64.b64decode(source))
    params.save_path = request["folder"]
    handle = session.add_torrent(params)
    while True:
        status = handle.status()
        if request["call"] and not status.num_peers:
            handle.connect_peer(tuple(request["call"]))
        peers = handle.get_peer_info()
        over = ["utp" if peer.flags & 1 << 17 else "tcp" for peer in peers]
        clients = [peer.client.decode() if isinstance(peer.client, bytes) else peer.client for peer in peers]
        said = {
            "port": session.listen_port(),
            "complete": status.is_seeding,
            "done": status.total_wanted_done,
            "peers": status.num_peers,
            "fetched": status.total_payload_download,
            "rate": status.download_payload_rate,
            "over": over,
            "clients": clients,
        }
        if status.is_seeding:
            handle.flush_cache()
        print(json.dumps(said), flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
