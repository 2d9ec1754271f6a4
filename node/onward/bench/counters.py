"""What the nodes say of themselves: the counters on their /metrics pages, before and after."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping

from onward.network.definition import Network, NodePlace

PAGE_BYTES_MAX = 4 * 1024 * 1024
PEER_BYTES = "onward_peer_sent_bytes_total"
EVIDENCE = ("equivocation", "evidence", "lane_forked", "misbehaved")
"""Events by which a validator says that another one is no honest one; `evidence`: a proof kept."""
_EVENTS = "onward_events_total"
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


def read_evidence(network: Network) -> dict[str, Counters]:
    """What each validator that answers has found others guilty of, so far."""
    pages = {node.name: _page(node) for node in network.nodes}
    return {name: evidence_on(page) for name, page in pages.items() if page}


def evidence_on(page: str) -> Counters:
    """The counts of `EVIDENCE` on a page, 0 where it has none."""
    starts = {f'{_EVENTS}{{name="{name}"}} ': name for name in EVIDENCE}
    found = dict.fromkeys(EVIDENCE, 0.0)
    for line in page.splitlines():
        for start, name in starts.items():
            if line.startswith(start):
                found[name] = float(line.removeprefix(start))
    return found


def evidence_since(
    before: Mapping[str, Counters],
    after: Mapping[str, Counters],
    *,
    without: frozenset[str] = frozenset(),
) -> dict[str, dict[str, float]]:
    """What each validator found meanwhile; one that was started anew began to count at 0.

    `without`: those whose word is worth nothing.
    """
    found = {}
    for name, counts in after.items():
        if name in without:
            continue
        earlier = before.get(name, {})
        found[name] = {
            event: count - earlier.get(event, 0.0) if count >= earlier.get(event, 0.0) else count
            for event, count in counts.items()
        }
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
