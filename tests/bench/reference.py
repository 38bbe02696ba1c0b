"""The reference: adds torrents with given settings and does nothing else.

`reference SETTINGS.json RESUME_FOLDER DISK`, where DISK is a libtorrent disk back-end or "".
Says "ready" when all of them seed, and ends when its input does.
"""

import json
import sys
import time
from pathlib import Path

import libtorrent as lt


def main() -> None:
    settings, folder, disk = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), sys.argv[3]
    params = lt.session_params()
    params.settings = settings
    if disk:
        params.disk_io_constructor = disk
    session = lt.session(params)
    for path in sorted(folder.iterdir()):
        torrent = lt.read_resume_data(path.read_bytes())
        torrent.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        session.async_add_torrent(torrent)
    count = len(list(folder.iterdir()))
    while sum(handle.status().is_seeding for handle in session.get_torrents()) < count:
        time.sleep(0.01)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
