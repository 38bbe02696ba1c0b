"""A fast leecher over TCP: writes to memory, hashes nothing. `leecher TORRENT SEED_IP OWN_IP [RATE]`."""

import shutil
import sys
import tempfile
import time
from typing import Any

import libtorrent as lt


def main() -> None:
    torrent, seed, own = sys.argv[1:4]
    settings: Any = {
        "listen_interfaces": f"{own}:6881",
        "outgoing_interfaces": own,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "aio_threads": 1,
        "disable_hash_checks": True,
    }
    session = lt.session(settings)
    params = lt.load_torrent_file(torrent)
    params.save_path = tempfile.mkdtemp(dir="/dev/shm")
    params.flags |= lt.torrent_flags.disable_pex
    handle = session.add_torrent(params)
    if len(sys.argv) > 4:
        handle.set_download_limit(int(sys.argv[4]))
    try:
        while not handle.status().is_seeding:
            if not handle.status().num_peers:
                handle.connect_peer((seed, 6881))
            time.sleep(0.1)
    finally:
        shutil.rmtree(params.save_path, ignore_errors=True)


if __name__ == "__main__":
    main()
