"""How much a replica remembers: every container within it, however deep, has a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache

CONTAINER_ITEMS_MAX = 5_000
"""Far above what a bounded queue reaches in a run, far below what a leak does."""

CONSENSUS_ITEMS_MAX = 600
"""The same for what consensus keeps: it forgets with every finalization."""

_CONSENSUS = "onward.consensus."
_DEPTH_MAX = 6
_SAMPLE = 8  # of a large container's values: they are alike
_OWN = "onward."
_DISK = "onward.storage."  # what it holds is what the chain has; it stands for a disk


def oversized_containers(roots: Iterable[object]) -> list[str]:
    """The places, from `roots` down, that hold more than `CONTAINER_ITEMS_MAX` items."""
    found: list[str] = []
    seen: set[int] = set()
    for root in roots:
        _visit(root, type(root).__name__, CONTAINER_ITEMS_MAX, (seen, found))
    return found


def _visit(
    value: object, path: str, items_max: int, look: tuple[set[int], list[str]], depth: int = 0
) -> None:
    seen, found = look
    if depth > _DEPTH_MAX or id(value) in seen:
        return
    if isinstance(value, dict | list | set | deque | tuple | frozenset):
        seen.add(id(value))
        if len(value) > items_max:
            found.append(f"{path} holds {len(value)}")
        items = value.values() if isinstance(value, dict) else value
        for number, item in zip(range(_SAMPLE), items, strict=False):
            _visit(item, f"{path}[{number}]", items_max, look, depth + 1)
    elif _is_own(type(value).__module__):
        seen.add(id(value))
        is_consensus = any(cls.__module__.startswith(_CONSENSUS) for cls in type(value).__mro__)
        items_max = CONSENSUS_ITEMS_MAX if is_consensus else CONTAINER_ITEMS_MAX
        for name, item in _attributes(value):
            _visit(item, f"{path}.{name}", items_max, look, depth + 1)


@cache
def _is_own(module: str) -> bool:
    return module.startswith(_OWN) and not module.startswith(_DISK)


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    names = list(getattr(value, "__dict__", ()))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names.extend((slots,) if isinstance(slots, str) else slots)
    for name in names:
        item = getattr(value, name, None)
        if item is not None:
            yield name, item
