"""Requests that an account signs: nobody else can make them, change them, or send them a second time.

Signed are, each behind its length (4 bytes, big-endian): the ledger's id, the method, the path with its
query, the time (decimal ms), the nonce, and the SHA-256 of the body. They travel in four headers.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.core.errors import PeerMisbehaved
from appliance.core.keys import Address, Key, address_of, verify
from appliance.core.units import UtcMs

KEY, AT, NONCE, SIGNATURE = "Seedbox-Key", "Seedbox-At", "Seedbox-Nonce", "Seedbox-Signature"
WINDOW_MS = 300_000
"""How far the two clocks may be apart; nonces are remembered for twice as long."""
_DOMAIN = b"seedbox/request/1"
_FORMS = {KEY: r"0[23][0-9a-f]{64}", AT: r"[0-9]{1,15}", NONCE: r"[0-9a-f]{32}", SIGNATURE: r"[0-9a-f]{128}"}


class WrongTime(PeerMisbehaved):
    """The request's time is too far from ours."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes over the line."""

    method: str
    target: str
    """Path and query."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Signer:
    """Who has signed a request."""

    public: bytes
    address: Address
    nonce: str
    at: UtcMs


def sign(key: Key, ledger: bytes, request: Request, at: UtcMs, nonce: str) -> dict[str, str]:
    """The headers of a signed request; `nonce` is 32 hex digits that were never used before."""
    signature = key.sign(_DOMAIN, _encode(ledger, request, str(at), nonce))
    return {KEY: key.public.hex(), AT: str(at), NONCE: nonce, SIGNATURE: signature.hex()}


def _given(headers: Mapping[str, str]) -> dict[str, str]:
    given = {name: headers.get(name, "") for name in _FORMS}
    for name, form in _FORMS.items():
        if not re.fullmatch(form, given[name], re.ASCII):
            raise PeerMisbehaved(f"The header {name} is missing or malformed.")
    return given


def check(headers: Mapping[str, str], ledger: bytes, request: Request, now: UtcMs) -> Signer:
    """Who has signed this request for this ledger. Raises PeerMisbehaved; WrongTime for the clock's sake."""
    given = _given(headers)
    at = UtcMs(int(given[AT]))
    if abs(at - now) > WINDOW_MS:
        raise WrongTime("The request's time is more than five minutes from the ledger's.")
    public = bytes.fromhex(given[KEY])
    message = _encode(ledger, request, given[AT], given[NONCE])
    if not verify(public, _DOMAIN, message, bytes.fromhex(given[SIGNATURE])):
        raise PeerMisbehaved("The request is not signed by this key, or was changed on its way.")
    return Signer(public, address_of(public), given[NONCE], at)


def _encode(ledger: bytes, request: Request, at: str, nonce: str) -> bytes:
    parts = (
        ledger,
        request.method.encode(),
        request.target.encode(),
        at.encode(),
        nonce.encode(),
        hashlib.sha256(request.body).digest(),
    )
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
