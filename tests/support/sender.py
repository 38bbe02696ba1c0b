"""A box's upload with courtesy: the real engine, probe and rule, and one complete torrent.

As a program: reads a JSON object on stdin, then writes a line of JSON ten times a second.
"""

import asyncio
import base64
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import libtorrent as lt

from appliance.adapters.board.latency import LatencyProbe
from appliance.adapters.engine.gentle import even_settings, utp_settings
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.adapters.engine.settings import engine_settings
from appliance.core.clock import SystemClock
from appliance.core.config import Governor, LimitKeys, Network
from appliance.core.units import BytesPerSecond
from appliance.services.machine.limits import configured_limits
from appliance.services.machine.uplink import Courtesy
from tests.support.engine import start_alone
from tests.support.processes import start

RAM = 1024**3


class Sender:
    """The other end of that program."""

    def __init__(
        self, folder: Path, metainfo: bytes, ip: str, *, courtesy: bool, prefix: tuple[str, ...] = ()
    ) -> None:
        self._request = {
            "folder": str(folder),
            "metainfo": base64.b64encode(metainfo).decode(),
            "ip": ip,
            "courtesy": courtesy,
        }
        self._prefix = prefix
        self.said: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._process = start(
            [*self._prefix, sys.executable, "-m", "tests.support.sender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._process.stdin.write(json.dumps(self._request).encode())
        self._process.stdin.close()
        self.said = json.loads(self._process.stdout.readline() or b"{}")
        assert self.said, "the sender has not started"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        for line in self._process.stdout:
            self.said = json.loads(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        self._process.stdout.close()


async def _send(request: dict[str, Any]) -> None:
    network = Network(listen_addresses=(request["ip"],), dht=False, lsd=False, upnp=False, natpmp=False)
    limits = configured_limits(LimitKeys(), RAM)  # type: ignore[arg-type]
    config = Governor(courtesy=request["courtesy"])
    settings = engine_settings(network, limits, RAM, "seedbox", "0")  # type: ignore[arg-type]
    settings |= utp_settings(config.courtesy_delay if config.courtesy else None)
    engine = LibtorrentEngine(settings, pex=False)
    start_alone(engine)
    params = lt.load_torrent_buffer(base64.b64decode(request["metainfo"]))
    params.save_path = request["folder"]
    params.flags |= lt.torrent_flags.seed_mode
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    engine.session.add_torrent(params)

    def cap(rate: BytesPerSecond | None) -> None:
        changes: Any = {"upload_rate_limit": rate or 0} | even_settings(rate or 0, settings)
        engine.session.apply_settings(changes)

    def sent() -> int:
        # What is asked for now is read at the next tick.
        engine.session.post_session_stats()
        return engine.network.sent

    clock = SystemClock()
    probe = LatencyProbe("", clock)
    courtesy = Courtesy(config, probe, sent, lambda: BytesPerSecond(0), cap, clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(courtesy.run(lambda: None))
        while True:
            said = {
                "cap": courtesy.cap,
                "gives_way": courtesy.gives_way,
                "sent": engine.network.sent,
                "latency_us": probe.latency_us,
                "base_us": probe.latency_base_us,
                "hops": probe.target and probe.target.hops,
                "echo": probe.target and probe.target.echo,
            }
            print(json.dumps(said), flush=True)
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(_send(json.load(sys.stdin)))
