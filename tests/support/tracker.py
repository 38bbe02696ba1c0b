"""Trackers: Debian's opentracker, and one of our own that lies or hangs."""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.addresses import address, free_port
from tests.support.processes import end, start
from tests.support.until import until


class OpenTracker:
    """The real tracker."""

    def __init__(self) -> None:
        program = shutil.which("opentracker") or shutil.which("/usr/bin/opentracker")
        if program is None:
            pytest.skip("opentracker is not installed")
        self._program = program
        self.address = address()
        self.port = free_port(self.address)
        self.url = f"http://{self.address}:{self.port}/announce"

    def allow(self, *hashes: str) -> None:
        """Debian's build serves only the info-hashes on its list; it reads that again at SIGHUP."""
        with self._list.open("a") as file:
            file.writelines(f"{one}\n" for one in hashes)
        self._process.send_signal(signal.SIGHUP)
        for one in hashes:
            until(partial(self._serves, one), f"the tracker serving {one}")

    def _serves(self, info_hash: str) -> bool:
        quoted = urllib.parse.quote(bytes.fromhex(info_hash))
        with urllib.request.urlopen(f"{self.url.replace('announce', 'scrape')}?info_hash={quoted}") as answer:
            scraped = answer.read()
        probe = f"{self.url}?info_hash={quoted}&peer_id=-XX0000-000000000000&port=1&left=1&event=stopped"
        with urllib.request.urlopen(probe) as answer:
            return b"failure" not in answer.read() + scraped

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self._list = Path(self._folder.name, "whitelist")
        self._list.touch()
        Path(self._folder.name).chmod(0o755)
        self._process = start(
            [
                *(self._program, "-i", self.address, "-p", str(self.port), "-P", str(self.port)),
                *("-d", self._folder.name, "-w", "whitelist"),
            ],
            subprocess.DEVNULL,
            cwd=self._folder.name,
        )
        until(self._up, "the tracker's answer")
        return self

    def _up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        end(self._process, 5)
        self._folder.cleanup()


HOSTILE = {
    "garbage": b"<html>hello</html>",
    "not bencoded": b"d8:intervali",
    "negative": b"d8:intervali-99999999e5:peers6:\x00\x00\x00\x00\x00\x00e",
    "huge interval": b"d8:intervali99999999999999999999e5:peers0:e",
    "many peers": b"d8:intervali60e5:peers240000:" + bytes(range(1, 241)) * 1000 + b"e",
    "nested": b"l" * 5000 + b"e" * 5000,
    "endless": b"d5:peers" + b"9" * 500_000,
}


class HostileTracker:
    """Answers `/announce/WORD` with that lie; `hang` never answers at all."""

    def __init__(self, folder: Path | None = None) -> None:
        self.address = address()
        self.asked: list[str] = []
        self._released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lie = self.path.split("?")[0].rsplit("/", 1)[-1].replace("%20", " ")
                outer.asked.append(lie)
                if lie == "hang":
                    outer._released.wait(60)
                    return
                if lie == "loop":
                    self.send_response(302)
                    self.send_header("Location", self.path)
                    self.end_headers()
                    return
                file = folder / lie if folder else None
                body = file.read_bytes() if file and file.is_file() else HOSTILE.get(lie, b"")
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((self.address, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{self.address}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
