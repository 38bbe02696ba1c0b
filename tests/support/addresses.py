"""Loopback addresses and ports that no other test uses."""

import itertools
import os
import socket

_numbers = itertools.count(2)
RUN = os.getpid() % 200 + 20


def address() -> str:
    """An address of its own in 127.0.0.0/8."""
    number = next(_numbers)
    return f"127.{RUN}.{number // 200 + 1}.{number % 200 + 2}"


def free_port(ip: str) -> int:
    """A TCP port that is free at this address."""
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
        probe.bind((ip, 0))
        return int(probe.getsockname()[1])
