"""Sends notices, each in a process of its own that ends: apprise would cost the daemon 37 MB for good."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from appliance.adapters.notices.addresses import Address
from appliance.domain.doctor.notice import Notice

TIMEOUT_S = 45.0
"""For one message to one address; slow boards need some seconds of it to load apprise."""

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "PYTHONPATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_REASONS = {
    "address": "apprise does not understand the address",
    "moved": "the address redirects to another one (code {code}); use that one",
    "refused": "the server rejected it (code {code})",
    "away": "no connection",
}
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Sender:
    """Sends to one address at a time."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    async def send(self, address: Address, notice: Notice) -> str:
        """Send one notice; returns why it did not go through, and nothing where it did."""
        request = {"title": notice.title, "body": notice.body, "kind": notice.kind, "id": notice.id}
        answers = await self._ask([address.url], request)
        if answers is None:
            return f"no answer within {self._timeout_s:.0f} s"
        return _reason(answers[0])

    async def wrong(self, addresses: Sequence[Address]) -> list[Address]:
        """The addresses that apprise does not understand; nothing is sent."""
        answers = await self._ask([one.url for one in addresses], {})
        if answers is None:
            return []
        answered = zip(addresses, answers, strict=True)
        return [one for one, answer in answered if answer.get("why") == "address"]

    async def _ask(self, urls: list[str], request: dict[str, str]) -> list[dict[str, Any]] | None:
        """The answer of the process, and of one that died, an answer for it; None: it took too long."""
        died = [{"ok": False, "why": "failed"} for _ in urls]
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "appliance.adapters.notices.post",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # What it would say there could hold an address.
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(),
            )
        except OSError:
            return died
        try:
            async with asyncio.timeout(self._timeout_s):
                out, _ = await process.communicate(json.dumps({"urls": urls, **request}).encode())
        except TimeoutError:
            return None
        finally:
            # Also where the box stops meanwhile: nothing of it stays behind.
            await _end(process)
        try:
            answers = json.loads(out)
        except ValueError:
            return died
        assert isinstance(answers, list)
        return answers


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _environment() -> dict[str, str]:
    """Without systemd's: the process is not the service, and credentials are not for it."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.lower() in _PROXIES}
    return kept | {"MALLOC_ARENA_MAX": "1"}


def _reason(answer: dict[str, Any]) -> str:
    if answer.get("ok"):
        return ""
    why = str(answer.get("why"))
    return _REASONS.get(why, "sending failed").format(code=answer.get("code"))
