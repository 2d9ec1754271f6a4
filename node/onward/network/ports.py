"""Ports for the processes of one machine.

Ports of the range from which the system serves outgoing connections are avoided: a node that was
stopped finds its port again when it comes back, and a dial to a port where nobody listens cannot
meet itself.
"""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from onward.errors import Unavailable

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10_000
HIGHEST_PORT = 65_535
_ATTEMPTS_MAX = 200
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT = 32_768


def free_ports(count: int) -> int:
    """The first of `count` consecutive ports that nobody listens at now."""
    ceiling = _ephemeral_from() - count
    for _ in range(_ATTEMPTS_MAX):
        base = LOWEST_PORT + secrets.randbelow(max(1, ceiling - LOWEST_PORT))
        if taken_port(base, count) is None:
            return base
    raise Unavailable(f"no {count} consecutive free ports on {LOOPBACK} below {ceiling + count}")


def taken_port(base: int, count: int) -> int | None:
    """The first of `count` ports from `base` on at which somebody listens, or None."""
    for port in range(base, base + count):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # A connection that lingers after its end does not take the port; a listener does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return port
    return None


def _ephemeral_from() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_DEFAULT
