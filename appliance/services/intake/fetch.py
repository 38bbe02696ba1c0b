"""Fetching a .torrent file over HTTP(S): bounded in size, time and redirects, and only ever that."""

import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, InvalidURL
from typing import Any

from appliance import __version__
from appliance.adapters.engine.metainfo import MOST_METAINFO
from appliance.core.errors import OwnerMustAct
from appliance.core.units import MIB
from appliance.core.urls import shown_url

WAIT_S = 20.0
"""For a connection, and between two pieces of the answer."""
WHOLE_S = 120.0
"""For the whole answer."""
MOST_URL = 4_096


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A few redirects, and never to another kind of address."""

    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _checked(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_torrent(url: str, progress: Callable[[int], None], stopped: Callable[[], bool]) -> bytes:
    """Fetch the bytes behind `url`; blocks. `progress` gets parts per million where the length is known.

    Raises OwnerMustAct, naming the address and what went wrong.
    """
    _checked(url)
    # Only these handlers: no file:, ftp: or data:, and no proxy from the environment of a service.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": f"Seedbox/{__version__}"})  # noqa: S310
    try:
        with opener.open(request, timeout=WAIT_S) as answer:
            return _read(answer, url, progress, stopped)
    except urllib.error.HTTPError as error:
        raise OwnerMustAct(
            f"{shown_url(url)} answered {error.code} {error.reason}. Check the address."
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        raise OwnerMustAct(
            f"{shown_url(url)} could not be fetched ({_why(error)}). Check the address and the network."
        ) from error


def _why(error: Exception) -> object:
    """What went wrong. An invalid address is quoted by its error, with the password that is in it."""
    if isinstance(error, InvalidURL):
        return "it is not a valid web address"
    return error.reason if isinstance(error, urllib.error.URLError) else error


def _read(answer: Any, url: str, progress: Callable[[int], None], stopped: Callable[[], bool]) -> bytes:
    length = int(answer.headers.get("Content-Length") or 0)
    _small_enough(url, length)
    deadline = time.monotonic() + WHOLE_S
    data = bytearray()
    while part := answer.read1(64 * 1024):
        data += part
        _small_enough(url, len(data))
        if time.monotonic() > deadline:
            raise OwnerMustAct(f"{shown_url(url)} answers too slowly. Try again later.")
        if stopped():
            raise OwnerMustAct("It was cancelled.")
        if length:
            progress(len(data) * 1_000_000 // length)
    return bytes(data)


def _small_enough(url: str, size: int) -> None:
    if size > MOST_METAINFO:
        most = MOST_METAINFO // MIB
        raise OwnerMustAct(f"{shown_url(url)} is larger than {most} MiB; that is not a .torrent file.")


def _is_web(parts: urllib.parse.SplitResult) -> bool:
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _checked(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise OwnerMustAct("This is not a web address. Copy it again.") from error
    if len(url) > MOST_URL or not _is_web(parts):
        raise OwnerMustAct(
            f'"{shown_url(url)}" is not a web address; it must start with http:// or https://.'
        )
