"""Debian's transmission-daemon: the ordinary client of another person."""

import base64
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.addresses import address, free_port
from tests.support.processes import end, start
from tests.support.until import until


class Transmission:
    """One daemon on a loopback address of its own, driven by its RPC."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("transmission-daemon")
        if program is None:
            pytest.skip("transmission-daemon is not installed")
        self._program = program
        self._folder = folder
        self.downloads = folder / "downloads"
        self.address = address()
        self.port = free_port(self.address)
        self._rpc = free_port(self.address)
        self._session = ""

    def __enter__(self) -> Self:
        self.downloads.mkdir(parents=True)
        settings = {
            "bind-address-ipv4": self.address,
            "bind-address-ipv6": "fe80::",
            "dht-enabled": False,
            "download-dir": str(self.downloads),
            "encryption": 1,
            "lpd-enabled": False,
            "peer-port": self.port,
            "pex-enabled": True,
            "port-forwarding-enabled": False,
            "rpc-authentication-required": False,
            "rpc-bind-address": self.address,
            "rpc-port": self._rpc,
            "rpc-whitelist-enabled": False,
            "rpc-host-whitelist-enabled": False,
            "utp-enabled": True,
        }
        config = self._folder / "config"
        config.mkdir()
        (config / "settings.json").write_text(json.dumps(settings))
        with (self._folder / "log").open("wb") as log:
            self._process = start([self._program, "--foreground", "--config-dir", config], log)
        until(self._up, "transmission's answer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        end(self._process, 5)

    def _up(self) -> bool:
        try:
            self.ask("session-get")
        except (OSError, urllib.error.URLError):
            return False
        return True

    def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One RPC call (transmission's rpc-spec)."""
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        request = urllib.request.Request(
            f"http://{self.address}:{self._rpc}/transmission/rpc",
            body,
            {"X-Transmission-Session-Id": self._session},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
            self._session = error.headers["X-Transmission-Session-Id"]
            return self.ask(method, **arguments)
        assert said["result"] == "success", said
        answered: dict[str, Any] = said["arguments"]
        return answered

    def add(self, source: bytes | str, folder: Path | None = None) -> int:
        """Add a .torrent file or a magnet link; returns transmission's number for it."""
        told = (
            {"filename": source}
            if isinstance(source, str)
            else {"metainfo": base64.b64encode(source).decode()}
        )
        answer = self.ask("torrent-add", **told, **{"download-dir": str(folder or self.downloads)})
        return int(next(iter(answer.values()))["id"])

    def torrent(self, number: int) -> dict[str, Any]:
        """What it says of a torrent."""
        fields = [
            "percentDone",
            "metadataPercentComplete",
            "status",
            "error",
            "errorString",
            "peers",
            "leftUntilDone",
        ]
        found: dict[str, Any] = self.ask("torrent-get", ids=[number], fields=fields)["torrents"][0]
        return found

    def wait_done(
        self, number: int, seconds: float = 45.0, nudge: Callable[[], object] | None = None
    ) -> None:
        """Wait until it has everything.

        Transmission calls no peer in 127.0.0.0/8 that a tracker names, so the box must call it: `nudge` makes
        the box announce again, until both have met.
        """
        nudged = time.monotonic()

        def done() -> bool:
            nonlocal nudged
            now = self.torrent(number)
            if nudge and not now["peers"] and time.monotonic() - nudged > 1:
                nudged = time.monotonic()
                nudge()
            assert not now["error"] or now["error"] == 2, now["errorString"]
            return bool(now["percentDone"] == 1 and now["metadataPercentComplete"] == 1)

        until(done, "transmission's download", seconds)
