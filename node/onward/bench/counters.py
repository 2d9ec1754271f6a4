"""What the nodes say of themselves: the counters on their /metrics pages, before and after."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping

from onward.network.definition import Network, NodePlace

PAGE_BYTES_MAX = 4 * 1024 * 1024
PEER_BYTES = "onward_peer_sent_bytes_total"
_TIMEOUT_S = 5.0
_COUNTING = ("_total", "_sum", "_count")

_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Whatever proxy the environment names: it does not know this machine's loopback."""

Counters = Mapping[str, float]


def read_counters(network: Network) -> Counters:
    """Every counter by name, over all its labels and all validators that answer."""
    found: dict[str, float] = defaultdict(float)
    for node in network.nodes:
        for name, value in parse(_page(node)):
            if name.endswith(_COUNTING):
                found[name] += value
    return found


def parse(page: str) -> list[tuple[str, float]]:
    """The values on a page, with their names and without their labels."""
    found = []
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.rpartition(" ")
        try:
            found.append((name.partition("{")[0], float(value)))
        except ValueError:
            continue
    return found


def growth(before: Counters, after: Counters) -> dict[str, float]:
    """What grew, by how much."""
    grown = {name: round(after[name] - before.get(name, 0.0), 6) for name in sorted(after)}
    return {name: value for name, value in grown.items() if value}


def _page(node: NodePlace) -> str:
    try:
        with _DIRECTLY.open(f"http://{node.metrics}/metrics", timeout=_TIMEOUT_S) as page:
            data: bytes = page.read(PAGE_BYTES_MAX)
    except (urllib.error.URLError, OSError):
        return ""
    return data.decode(errors="replace")
