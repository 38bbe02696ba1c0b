"""Lanes in libtorrent: which address is in which peer class, and how each is served."""

from collections.abc import Iterable, Mapping

import libtorrent as lt

from appliance.adapters.engine.classes import ClassPool
from appliance.adapters.engine.session import LibtorrentEngine
from appliance.domain.auction.meter import PeerConnection

_BLOCKED = 1
"""`ip_filter::blocked`, which the bindings leave out."""
_EVEN, _LAST = 255, 1
"""Priorities of a class: whose turn it is when the uplink is short. Who has a limit of their own needs the
same turn as those who have none, or never comes near it.
"""


class EngineLanes:
    """The lanes of one session; works on addresses of either family, over TCP and uTP."""

    def __init__(self, engine: LibtorrentEngine) -> None:
        """The engine has to be started."""
        self._engine = engine
        self._pool: ClassPool = engine.classes
        self._set: dict[int, tuple[int, int]] = {}
        self._blocked: set[str] = set()
        """The addresses in the session's IP filter, which is used for nothing else."""

    def map(self, lanes: Mapping[str, int]) -> None:
        """Put new connections of these addresses (address -> number of the lane) into their lanes."""
        pool, rules = self._pool, lt.ip_filter()
        others = _mask(pool.everyone, pool.free)
        rules.add_rule("0.0.0.0", "255.255.255.255", others)  # noqa: S104  a range, not a listener
        rules.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", others)
        for ip, lane in lanes.items():
            rules.add_rule(ip, ip, _mask(pool.everyone, pool.lanes[lane]))
        self._engine.session.set_peer_class_filter(rules)

    def prioritise(self, lane: int) -> None:
        """Serve a lane before all others, and without a limit of its own: its holder has won.

        Not with a high limit: a class saves up three seconds of its limit, and spends them when that is
        lowered (`bandwidth_channel::update_quota`), so that somebody who is stopped would go on for seconds.
        """
        self._turn(self._pool.lanes[lane], 0, _EVEN)

    def limit(self, lane: int, rate: int) -> None:
        """Send so many bytes a second in a lane (1 is as good as none)."""
        self._turn(self._pool.lanes[lane], rate, _EVEN)

    def share(self, rate: int) -> None:
        """Send so many bytes a second to all that are in no lane; 0 is unlimited: no slots are sold."""
        self._engine.quicken(bool(rate))
        self._turn(self._pool.free, rate, _EVEN if rate else _LAST)

    def _turn(self, number: int, rate: int, priority: int) -> None:
        if self._set.get(number) == (rate, priority):
            return
        session = self._engine.session
        # `ignore_unchoke_slots` stays as it is, for good: see classes.py.
        session.set_peer_class(
            number, session.get_peer_class(number) | {"upload_limit": rate, "upload_priority": priority}
        )
        self._set[number] = (rate, priority)

    def cut(self, ips: set[str]) -> None:
        """Cut the connections of addresses, and forget them as peers; `uncut` lets them in again.

        With them goes what libtorrent remembers of failed calls: it would wait `min_reconnect_time`, a
        minute, after each before it calls the same peer again (`peer_list::find_connect_candidates`).
        """
        self._block(self._blocked | ips)

    def uncut(self, ips: set[str]) -> None:
        """Let addresses in again."""
        self._block(self._blocked - ips)

    def _block(self, ips: set[str]) -> None:
        self._blocked, rules = ips, lt.ip_filter()
        for ip in ips:
            rules.add_rule(ip, ip, _BLOCKED)
        self._engine.session.set_ip_filter(rules)

    async def counters(self, torrents: Iterable[str]) -> dict[str, dict[PeerConnection, int]]:
        """Payload bytes sent over each connection of these torrents, by address."""
        found: dict[str, dict[PeerConnection, int]] = {}
        for torrent in torrents:
            for peer in await self._engine.ask(torrent, lambda handle: handle.get_peer_info()) or ():
                host, port = peer.ip
                found.setdefault(host, {})[PeerConnection(torrent, host, port)] = peer.total_upload
        return found

    def call(self, torrent: str, ip: str, port: int) -> None:
        """Connect to a peer of a torrent, where that is still here."""
        if handle := self._engine.handle(torrent):
            handle.connect_peer((ip, port))


def _mask(*classes: int) -> int:
    """Peer classes as the filter takes them: the bindings want a signed int, whose sign is class 31."""
    mask = sum(1 << one for one in classes)
    return mask - (1 << 32) if mask >> 31 else mask
