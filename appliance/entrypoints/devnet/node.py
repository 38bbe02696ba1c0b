"""One node over the development chain, and how it may misbehave."""

import hashlib
import threading
from dataclasses import dataclass, field

from appliance.core.keys import Key
from appliance.entrypoints.devnet.chain import Chain

FAUCET = Key(hashlib.sha256(b"seedbox/devnet/faucet").digest())
"""Everybody knows this key: what it holds is worth nothing."""
MARK = "seedbox development chain: nothing here has any worth"


@dataclass(slots=True)
class Mischief:
    """How the node misbehaves from now on; each is 0 or empty for an honest one."""

    late_ms: int = 0
    """Answers come so much later."""
    lose: int = 0
    """So many broadcasts are acknowledged and forgotten."""
    keep_back: int = 0
    """So many broadcasts end in a time-out for the caller, and are included all the same."""
    lie: int = 0
    """So many transactions are built with another amount than was asked for."""
    busy: int = 0
    """So many requests are refused as too many (429)."""
    html: int = 0
    """So many requests are answered with a page for people."""
    broken: int = 0
    """So many requests end with a 503."""
    dry: str = ""
    """This address has run dry, as far as the node tells, and nothing of it is taken."""

    def refusal(self) -> int:
        """The HTTP status of the page that comes in place of an answer; 0: the answer comes."""
        if self.busy:
            self.busy -= 1
            return 429
        if self.broken:
            self.broken -= 1
            return 503
        if self.html:
            self.html -= 1
            return 200
        return 0


@dataclass(slots=True)
class Node:
    """One node over a chain; not two requests at once."""

    chain: Chain
    asset: str
    """Id of the TRC-10 token that there is."""
    mischief: Mischief = field(default_factory=Mischief)
    lock: threading.Lock = field(default_factory=threading.Lock)
