"""A second libtorrent process that fetches one torrent from a box: the other end of `doctor --transfer`.

`python -m appliance.adapters.engine.fetcher ADDRESS PORT FOLDER` reads a .torrent file on stdin, calls the
box at that address, and writes lines of JSON: `{"done": bytes, "rate": bytes per second, "over": "tcp" |
"utp"}`. It ends with 0 when everything is there, with 1 when nothing came for a minute.
"""

import json
import sys
import time
from typing import Any

import libtorrent as lt

_UTP = 1 << 17
_SILENCE_S = 60


def fetch(address: str, port: int, folder: str, metainfo: bytes) -> bool:
    """Whether all of the torrent came."""
    session = lt.session(_settings(address))
    params = lt.load_torrent_buffer(metainfo)
    params.save_path = folder
    params.trackers = []
    handle = session.add_torrent(params)
    done, since = -1, time.monotonic()
    while time.monotonic() - since < _SILENCE_S:
        status = handle.status()
        if not status.num_peers:
            handle.connect_peer((address, port))
        if status.total_wanted_done != done:
            done, since = status.total_wanted_done, time.monotonic()
            _report(handle, status)
        if status.is_seeding:
            # What is verified may still be on its way to the disk.
            handle.flush_cache()
            del handle, session
            return True
        time.sleep(0.1)
    return False


def _settings(address: str) -> Any:
    loopback = address.startswith("127.") or address == "::1"
    # On loopback it takes an address of its own, so that the two ends can be told apart.
    own = loopback and ":" not in address
    return {
        "listen_interfaces": "127.0.0.2:0" if own else "0.0.0.0:0,[::]:0",
        "outgoing_interfaces": "127.0.0.2" if own else "",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "alert_mask": 0,
    }


def _report(handle: lt.torrent_handle, status: lt.torrent_status) -> None:
    over = "utp" if any(peer.flags & _UTP for peer in handle.get_peer_info()) else "tcp"
    line = {"done": status.total_wanted_done, "rate": status.download_payload_rate, "over": over}
    print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(0 if fetch(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.stdin.buffer.read()) else 1)
