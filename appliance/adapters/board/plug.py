"""The power that a smart plug in the home network measures: Shelly (both generations) and Tasmota."""

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

import msgspec

from appliance.core.errors import OwnerMustAct

WAIT_S = 3.0
"""For a whole answer."""
MOST = 16 * 1024
MOST_WATTS = 100_000
_ASKED = ("/rpc/Switch.GetStatus?id=0", "/status", "/cm?cmnd=Status%208")
"""Shelly from Plus on (Gen2), Shelly before that (Gen1), Tasmota."""
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[^\s/?#@\[\]]+)\]|(?P<host>[^\s/?#@:\[\]]+))(?::(?P<port>[0-9]{0,5}))?/?",
    re.IGNORECASE | re.ASCII,
)
"""Without a path, a query or a password."""
_MOST_PORT = 65_535
_USUAL_PORTS = {"http": 80, "https": 443}
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,6})\r\n", re.IGNORECASE)


class Plug:
    """A plug by its address, such as `http://192.168.1.20`; which kind it is, is found out."""

    def __init__(self, address: str) -> None:
        """Raises OwnerMustAct where the address is none of a device at home. Asks nothing yet."""
        self._secure, self._host, self._port = _place(address)
        self._kind = ""
        """What was asked when it answered last."""

    def read(self) -> int | None:
        """The power in milliwatts; None where it is not known. Waits WAIT_S for each kind of plug."""
        for path in (self._kind,) if self._kind else _ASKED:
            if (watts := watts_mw(self._get(path))) is not None:
                self._kind = path
                return watts
        self._kind = ""
        return None

    def _get(self, path: str) -> Any:
        """The JSON that is answered; None for anything else. Redirections are not followed."""
        deadline = time.monotonic() + WAIT_S
        try:
            with self._connected(deadline) as line:
                host = f"[{self._host}]" if ":" in self._host else self._host
                line.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                raw = _received(line, deadline)
            answer = http.client.HTTPResponse(_Raw(raw))  # type: ignore[arg-type]
            answer.begin()
            return msgspec.json.decode(answer.read()) if answer.status == 200 else None
        except (OSError, ValueError, http.client.HTTPException, msgspec.DecodeError, RecursionError):
            return None

    def _connected(self, deadline: float) -> socket.socket:
        """A connection to the address at home that the host's name stands for now; raises OSError."""
        for family, kind, protocol, _, there in socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM
        ):
            if _at_home(ipaddress.ip_address(str(there[0]).partition("%")[0])):
                return self._opened(socket.socket(family, kind, protocol), there, deadline)
        raise OSError("no address at home")

    def _opened(self, line: socket.socket, there: Any, deadline: float) -> socket.socket:
        """The line, connected; closed where that fails."""
        try:
            line.settimeout(_left(deadline))
            line.connect(there)
            if self._secure:
                return ssl.create_default_context().wrap_socket(line, server_hostname=self._host)
            return line
        except BaseException:
            line.close()
            raise


def watts_mw(said: Any) -> int | None:
    """The power in milliwatts, in an answer of one of the plugs.

    Shelly Gen2: `apower` (shelly-api-docs: Switch); Gen1: `meters[0].power` with `is_valid`;
    Tasmota: `StatusSNS.ENERGY.Power` (one number, or a list with one for each outlet).
    """
    if not isinstance(said, dict):
        return None
    if "apower" in said:
        return _milli(said["apower"])
    meter = _first(said.get("meters"))
    return _metered(meter) if isinstance(meter, dict) else _tasmota(said)


def _metered(meter: dict[str, Any]) -> int | None:
    return _milli(meter.get("power")) if meter.get("is_valid") is True else None


def _tasmota(said: Any) -> int | None:
    for name in ("StatusSNS", "ENERGY", "Power"):
        said = said.get(name) if isinstance(said, dict) else None
    return _milli(_first(said) if isinstance(said, list) else said)


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None


def _milli(watts: Any) -> int | None:
    known = isinstance(watts, int | float) and not isinstance(watts, bool) and 0 <= watts <= MOST_WATTS
    return round(watts * 1_000) if known else None


def _at_home(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Private (RFC 1918, RFC 4193), link-local or this machine."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_private and not address.is_unspecified and not address.is_multicast


def _received(line: socket.socket, deadline: float) -> bytes:
    """Everything up to the end of the answer; raises OSError for one that is too long or too slow."""
    raw = b""
    while len(raw) <= MOST:
        head, split, body = raw.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if split and length and len(body) >= int(length[1]):
            return raw
        line.settimeout(_left(deadline))
        part = line.recv(4_096)
        if not part:
            return raw
        raw += part
    raise OSError("too long")


def _left(deadline: float) -> float:
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _place(address: str) -> tuple[bool, str, int]:
    """(whether by TLS, host, port) of an address. Raises OwnerMustAct."""
    parts = _ADDRESS.fullmatch(address)
    if not parts:
        raise _refused(address)
    scheme, host = parts["scheme"].lower(), (parts["six"] or parts["host"]).lower()
    port = int(parts["port"] or 0) or _USUAL_PORTS[scheme]
    if _is_abroad(host) or port > _MOST_PORT:
        raise _refused(address)
    return scheme == "https", host, port


def _is_abroad(host: str) -> bool:
    """The host is an address outside of the home network; a name is looked up at every reading."""
    with suppress(ValueError):
        return not _at_home(ipaddress.ip_address(host))
    return False


class _Raw:
    """Bytes that http.client takes for a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        """The bytes as a file."""
        return io.BytesIO(self._raw)


def _refused(address: str) -> OwnerMustAct:
    return OwnerMustAct(
        f'energy.plug is "{address[:60]}". Set it to the address of a plug in your home network, such as '
        "http://192.168.1.20, without a path or password."
    )
