"""A connection between two markets, as buying and selling see it: either end has proven its key."""

from typing import Protocol

from appliance.adapters.wire.session import Peer
from appliance.domain.auction.messages import Message


class MarketLine(Protocol):
    """A connection to the market of another box, about one torrent."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        ...

    @property
    def host(self) -> str:
        """Its IP address."""
        ...

    @property
    def info_hash(self) -> bytes:
        """The torrent's info-hash (20 bytes)."""
        ...

    def send(self, message: Message) -> None:
        """Send a message."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...
