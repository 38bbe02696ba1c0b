"""The pool of peer classes: `free` for everybody, and 28 lanes that stay idle until slots are sold.

libtorrent's class filter knows the class ids 0 to 31, of which the session takes three; a class that is made
later is not in its reach, so the pool is made once, at start. A lane ignores the unchoke slots from its
first moment on: flipping that on a live class puts libtorrent's upload counters out of balance.
"""

from dataclasses import dataclass

import libtorrent as lt

LANES = 28
_TOP_CLASS = 31


@dataclass(frozen=True, slots=True)
class ClassPool:
    """Ids of the peer classes of one session."""

    everyone: int
    free: int
    lanes: tuple[int, ...]


def make_pool(session: lt.session) -> ClassPool:
    """Make the classes and put every address, loopback and the home network too, into `free`."""
    everyone = session.global_peer_class_id
    free = session.create_peer_class("free")
    lanes = tuple(session.create_peer_class(f"lane{number}") for number in range(LANES))
    if max(lanes) > _TOP_CLASS:
        raise RuntimeError(f"peer class {max(lanes)} is out of the filter's reach")
    for lane in lanes:
        session.set_peer_class(lane, session.get_peer_class(lane) | {"ignore_unchoke_slots": True})
    everybody = lt.ip_filter()
    classes = 1 << everyone | 1 << free
    everybody.add_rule("0.0.0.0", "255.255.255.255", classes)  # noqa: S104  a range, not a listener
    everybody.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", classes)
    session.set_peer_class_filter(everybody)
    return ClassPool(everyone, free, lanes)
