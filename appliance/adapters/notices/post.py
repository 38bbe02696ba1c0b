"""The short-lived process that loads apprise and sends one message.

`python -m appliance.adapters.notices.post` takes a request as JSON on its standard input, where no list of
processes shows it, and answers with JSON: never with words of apprise or of the other side, in which an
address could stand.
"""

import json
import logging
import re
import resource
import sys
from typing import Any

MOST_MEMORY = 384 * 1024**2
"""The most address space, several times what is used: an endless answer must not fill the board."""

CONNECT_S, ANSWER_S = 10.0, 20.0
"""How long a server may take: many answer only when they have passed a message on. Both together and the
start of this process are less than the sender waits."""
ID_HEADER = "Idempotency-Key"
"""The id of a message to web services and mail; it stays the same when the message is sent again."""


def main() -> None:
    """Serve one request: which of its `urls` apprise understands, or with `title`, `body`, `kind` a message.

    The answer holds for each address `ok`, and `why` where it is not: `address`, `moved`, `refused`, `away`
    or `failed`, with the other side's `code` where it gave one.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _cap(resource.RLIMIT_AS, MOST_MEMORY)
    request = json.load(sys.stdin)
    answers = [_serve(url, request) for url in request["urls"]]
    json.dump(answers, sys.stdout)


def _cap(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _serve(url: str, request: dict[str, Any]) -> dict[str, object]:
    import apprise

    reasons = _Reasons()
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [reasons]
    # No disk: what apprise logs would lie in a temporary file, addresses and all.
    asset = apprise.AppriseAsset(
        app_id="Seedbox", app_desc="Seedbox", app_url="", result_log_disk_size=0, async_mode=False
    )
    # A message that is redirected arrives nowhere: the second request is one without it.
    asset.http_redirects = False
    try:
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            return {"ok": False, "why": "address"}
        if "body" not in request:
            return {"ok": True}
        _prepare(service, request["id"])
        sender = apprise.Apprise(asset=asset)
        sender.add(service)
        done = sender.notify(
            body=request["body"],
            title=request["title"],
            notify_type=apprise.NotifyType(request["kind"]),
            body_format=apprise.NotifyFormat.TEXT,
        )
    # Whatever a service of apprise makes of an address or an answer, and of too little memory.
    except Exception:
        return {"ok": False, "why": "failed"}
    return {"ok": True} if done else {"ok": False, **reasons.summary()}


def _prepare(service: Any, id: str) -> None:
    """Give a service its times, where its address sets none of its own, and the message its id."""
    usual = type(service)
    if service.socket_connect_timeout == usual.socket_connect_timeout:
        service.socket_connect_timeout = CONNECT_S
    if service.socket_read_timeout == usual.socket_read_timeout:
        service.socket_read_timeout = ANSWER_S
    headers = getattr(service, "headers", None)
    if id and isinstance(headers, dict):
        headers.setdefault(ID_HEADER, id)


class _Reasons(logging.Handler):
    """Picks a status code or a lost connection out of what apprise logs, and keeps nothing else of it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._code = 0
        self._away = False

    def emit(self, record: logging.LogRecord) -> None:
        """Read one line."""
        text = record.getMessage()
        # "…, error=401." by the web services; "(535, b'…')" and "(550, b'…')" by smtplib.
        if found := re.search(r"\berror=(\d{3})\b", text) or re.search(r"\((\d{3}), b['\"]", text):
            self._code = int(found[1])
        if "onnection error" in text:
            self._away = True

    def summary(self) -> dict[str, object]:
        """Why it did not go through."""
        if 300 <= self._code < 400:
            return {"why": "moved", "code": self._code}
        if self._code:
            return {"why": "refused", "code": self._code}
        return {"why": "away" if self._away else "failed"}


if __name__ == "__main__":
    main()
