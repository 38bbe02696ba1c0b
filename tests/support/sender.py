"""A box's upload with the uplink guard: the real engine, probe and rule, and one complete torrent.

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
from appliance.adapters.engine.pacing import even_settings, utp_settings
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.adapters.engine.settings import engine_settings
from appliance.core.clock import SystemClock
from appliance.core.config import GovernorConfig, LimitsConfig, NetworkConfig
from appliance.core.units import BytesPerSecond
from appliance.services.machine.limits import configured_limits
from appliance.services.machine.uplink import UplinkGuard, UplinkGuardPorts
from tests.support.engine import start_alone
from tests.support.processes import pipe, start

RAM = 1024**3


class Sender:
    """The other end of that program."""

    def __init__(
        self, folder: Path, metainfo: bytes, ip: str, *, guarded: bool, prefix: tuple[str, ...] = ()
    ) -> None:
        self._request = {
            "folder": str(folder),
            "metainfo": base64.b64encode(metainfo).decode(),
            "ip": ip,
            "guarded": guarded,
        }
        self._prefix = prefix
        self.said: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._process = start(
            [*self._prefix, sys.executable, "-m", "tests.support.sender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with pipe(self._process.stdin) as request:
            request.write(json.dumps(self._request).encode())
        self.said = json.loads(pipe(self._process.stdout).readline() or b"{}")
        assert self.said, "the sender has not started"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        for line in pipe(self._process.stdout):
            self.said = json.loads(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        pipe(self._process.stdout).close()


async def _send(request: dict[str, Any]) -> None:
    network = NetworkConfig(listen_addresses=(request["ip"],), dht=False, lsd=False, upnp=False, natpmp=False)
    limits = configured_limits(LimitsConfig(), RAM)  # type: ignore[arg-type]
    config = GovernorConfig(courtesy=request["guarded"])
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
    guard = UplinkGuard(
        config,
        UplinkGuardPorts(probe=probe, sent=sent, wanted=lambda: BytesPerSecond(0), set_cap=cap, clock=clock),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(guard.run(lambda: None))
        while True:
            said = {
                "cap": guard.cap,
                "gives_way": guard.gives_way,
                "sent": sent(),
                "latency_us": probe.latency_us,
                "base_us": probe.latency_base_us,
                "hops": probe.target and probe.target.hops,
                "echo": probe.target and probe.target.echo,
            }
            print(json.dumps(said), flush=True)
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(_send(json.load(sys.stdin)))
