"""Whose market to call for a torrent: those of connected peers first, then those that the DHT names."""

from collections.abc import Iterable

from appliance.core.units import MonoNs
from appliance.domain.auction.intake import Source

SEEK_NS = 300_000_000_000
"""Between two questions to the DHT."""
AGAIN_NS = 60_000_000_000
"""Before a market that did not answer, or hung up, is called again."""
MOST_LINES = 64

Place = tuple[str, int]
"""(host, port)"""


class Markets:
    """Where sellers may be found, and when each may be called again."""

    def __init__(self) -> None:
        self._found: dict[str, set[Place]] = {}
        """Markets that the DHT named, by torrent."""
        self._sought: dict[str, MonoNs] = {}
        self._calling: set[Place] = set()
        self._again: dict[Place, MonoNs] = {}

    def seek(self, torrent: str, now: MonoNs) -> bool:
        """Whether it is time to ask the DHT about a torrent; what it named before is forgotten then."""
        last = self._sought.get(torrent)
        if last is not None and now - last < SEEK_NS:
            return False
        self._sought[torrent] = now
        # Found anew each time: what strangers name must not pile up.
        self._found[torrent] = set()
        return True

    def found(self, torrent: str, places: Iterable[Place]) -> None:
        """The DHT names markets; what is beyond the bound is left out."""
        known = self._found.get(torrent)
        if known is not None:
            known.update(list(places)[: MOST_LINES - len(known)])

    def forget(self, torrents: Iterable[str], now: MonoNs) -> None:
        """Keep only what is known of these torrents, and who may not be called yet."""
        wanted = set(torrents)
        self._found = {id: places for id, places in self._found.items() if id in wanted}
        self._sought = {id: at for id, at in self._sought.items() if id in wanted}
        self._again = {place: at for place, at in self._again.items() if at > now}

    def call(
        self, torrent: str, sources: Iterable[Source], there: set[str], lines: int, now: MonoNs
    ) -> list[Place]:
        """Which markets to call now; `there` are the hosts that are connected, `lines` all connections."""
        connected = [(one.ip, one.market) for one in sources if one.market]
        named = sorted(self._found.get(torrent, set()) - set(connected))
        chosen: list[Place] = []
        for place in [*connected, *named]:
            if lines + len(self._calling) >= MOST_LINES:
                break
            if place[0] not in there and self._free(place, now):
                self._begin(place, now)
                chosen.append(place)
        return chosen

    def _begin(self, place: Place, now: MonoNs) -> None:
        self._calling.add(place)
        self._again[place] = MonoNs(now + AGAIN_NS)

    def _free(self, place: Place, now: MonoNs) -> bool:
        return place not in self._calling and self._again.get(place, now) <= now

    def called(self, host: str, port: int) -> None:
        """A call has ended, whatever came of it."""
        self._calling.discard((host, port))
