"""A libtorrent peer in a process and on a loopback address of its own.

As a program: reads a JSON object on stdin, then writes a line of JSON ten times a second.
"""

import base64
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.addresses import address
from tests.support.processes import pipe, start
from tests.support.until import until


class Peer:
    """Somebody else's BitTorrent client."""

    def __init__(
        self, folder: Path, source: bytes | str, *, call: tuple[str, int] | None = None, **settings: Any
    ) -> None:
        """`source` is a .torrent file or a magnet link; `call` the peer that it connects to.

        `download_limit` is in bytes per second, `unchecked` believes that all data is there and right,
        `prefix` are the words that it is started by; the other keys are libtorrent's settings.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = settings.pop("address", None) or address()
        self._prefix: tuple[str, ...] = settings.pop("prefix", ())
        self._request = {
            "source": source if isinstance(source, str) else base64.b64encode(source).decode(),
            "folder": str(folder),
            "address": self.address,
            "call": call,
            "download_limit": settings.pop("download_limit", 0),
            "unchecked": settings.pop("unchecked", False),
            "settings": settings,
        }
        self.said: dict[str, Any] = {}
        self._news = threading.Condition()
        self._count = 0

    def __enter__(self) -> Self:
        self._process = start(
            [*self._prefix, sys.executable, "-m", "tests.support.peer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with pipe(self._process.stdin) as request:
            request.write(json.dumps(self._request).encode())
        # Always read: a peer that nobody listens to would block at a full pipe.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.listen()
        return self

    def _read(self) -> None:
        for line in pipe(self._process.stdout):
            with self._news:
                self.said = json.loads(line)
                self._count += 1
                self._news.notify_all()

    def listen(self) -> dict[str, Any]:
        """The next thing it says."""
        with self._news:
            before = self._count
            assert self._news.wait_for(lambda: self._count > before, 30), "the peer is silent"
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
        self._reader.join(10)
        pipe(self._process.stdout).close()


def main() -> None:
    """The peer's own process."""
    import libtorrent as lt

    request = json.load(sys.stdin)
    own = request["address"]
    shown = f"[{own}]" if ":" in own else own
    settings: Any = {
        "listen_interfaces": f"{shown}:6881",
        "outgoing_interfaces": own,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "allow_multiple_connections_per_ip": True,
        # It tries again at once, however often the box went away.
        "min_reconnect_time": 0,
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
    params.download_limit = request["download_limit"] or -1
    if request["unchecked"]:
        params.flags |= lt.torrent_flags.seed_mode
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    handle = session.add_torrent(params)
    # Before, it turns away those who call it.
    while handle.status().state in (lt.torrent_status.checking_resume_data, lt.torrent_status.checking_files):
        time.sleep(0.005)
    over: set[str] = set()
    clients: set[str] = set()
    while True:
        if request["call"] and not handle.status().num_peers:
            handle.connect_peer(tuple(request["call"]))
        for _ in range(20):
            # All that were ever met, however briefly: a seed and a seed part at once.
            for peer in handle.get_peer_info():
                over.add("utp" if peer.flags & 1 << 17 else "tcp")
                clients.add(peer.client.decode() if isinstance(peer.client, bytes) else peer.client)
            time.sleep(0.005)
        status = handle.status()
        said = {
            "port": session.listen_port(),
            "complete": status.is_seeding,
            "done": status.total_wanted_done,
            "peers": status.num_peers,
            "fetched": status.total_payload_download,
            "rate": status.download_payload_rate,
            "over": sorted(over),
            "clients": sorted(clients),
        }
        if status.is_seeding:
            handle.flush_cache()
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
