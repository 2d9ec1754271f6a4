"""Random histories of the state map against a plain dictionary and a map built from nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from onward.ledger.statemap import (
    EMPTY_MAP,
    PageCache,
    apply,
    decode_map_proof,
    encode_map_proof,
    key_path,
    leaves,
    living,
    lookup,
    prove,
    value_hash,
    verify_absence,
    verify_presence,
)
from onward.ledger.statemap.pages import MapRef, decode_page, encode_page, version_height
from onward.ledger.statemap.update import Change, apply_hashed

KEYS = st.integers(0, 60).map(lambda number: f"key/{number}")
VALUES = st.one_of(st.none(), st.binary(min_size=1, max_size=3))
BLOCKS = st.lists(st.dictionaries(KEYS, VALUES, max_size=25), min_size=1, max_size=8)


class History:
    """Blocks of writes, applied one after the other, stale pages pruned at once."""

    def __init__(self, blocks: list[dict[str, bytes | None]]) -> None:
        self.pages: dict[bytes, bytes] = {}
        self.content: dict[str, bytes] = {}
        self.ref = EMPTY_MAP
        for height, writes in enumerate(blocks, 1):
            update = apply(self.pages.get, self.ref, height, writes)
            self.pages.update(update.node_writes)
            for stale in update.stale:
                del self.pages[stale]
            self.ref = update.ref
            for key, value in writes.items():
                if value is None:
                    self.content.pop(key, None)
                else:
                    self.content[key] = value


@given(blocks=BLOCKS)
@settings(max_examples=150)
def test_root_and_pages_depend_on_the_content_alone(
    blocks: list[dict[str, bytes | None]],
) -> None:
    """Two validators that reached one state by different ways must sign one root."""
    history = History(blocks)
    fresh = apply(lambda _: None, EMPTY_MAP, 1, dict(reversed(history.content.items())))
    assert history.ref.root == fresh.root
    assert len(history.pages) == len(fresh.node_writes)
    for page in history.pages.values():
        assert encode_page(decode_page(page)) == page


@given(
    blocks=st.lists(
        st.tuples(st.dictionaries(KEYS, VALUES, max_size=25), st.booleans()), max_size=10
    ),
    size=st.sampled_from([0, 1, 2, 5, 1_000]),
)
@settings(max_examples=150)
def test_a_page_cache_changes_no_root_and_no_page(
    blocks: list[tuple[dict[str, bytes | None], bool]], size: int
) -> None:
    """A stale, a dropped or an abandoned page in memory would fork the node that has it.

    Some blocks are abandoned after they were computed, as by a crash before their write.
    """
    cache, ref, height = PageCache(size), EMPTY_MAP, 0
    pages: dict[bytes, bytes] = {}
    for writes, abandoned in blocks:
        update = apply(pages.get, ref, height + 1, writes, cache)
        assert update == apply(pages.get, ref, height + 1, writes)
        assert len(cache) <= 2 * max(1, size)
        if not abandoned:
            height += 1
            pages.update(update.node_writes)
            for stale in update.stale:
                del pages[stale]
            ref = update.ref


@given(
    blocks=st.lists(
        st.tuples(st.dictionaries(KEYS, VALUES, max_size=12), st.integers(0, 4)), max_size=12
    ),
    size=st.sampled_from([0, 3, 1_000]),
)
@settings(max_examples=150)
def test_old_heights_can_go_once_their_living_pages_are_moved(
    blocks: list[tuple[dict[str, bytes | None], int]], size: int
) -> None:
    """A page that is not moved, moved to a wrong place or lost ends the node when it is asked for.

    Each block moves what lives of a random part of the past, among changes of the same pages.
    """
    history, cache = History([]), PageCache(size)
    for height, (writes, kept) in enumerate(blocks, 1):
        floor = max(0, height - 1 - kept)
        old = [(key[8:], key[:8]) for key in history.pages if version_height(key[:8]) < floor]
        moves = list(living(history.pages.get, history.ref, sorted(old), cache))
        update = apply(history.pages.get, history.ref, height, writes, cache, moves=moves)
        history.pages.update(update.node_writes)
        for stale in update.stale:
            del history.pages[stale]
        history.ref = update.ref
        for key, value in writes.items():
            history.content[key] = value or b""
        content = {key: value for key, value in history.content.items() if value}
        assert update.root == apply(lambda _: None, EMPTY_MAP, 1, dict(content)).root
        assert all(version_height(key[:8]) >= floor for key in history.pages)
        assert len(history.pages) == len(pages_below(history))


def pages_below(history: History) -> set[bytes]:
    """The keys of the pages that the newest version refers to, with every hash checked."""
    found: set[bytes] = set()

    def read(key: bytes) -> bytes | None:
        found.add(key)
        return history.pages.get(key)

    list(leaves(read, history.ref))
    return found


@given(blocks=BLOCKS)
@settings(max_examples=60)
def test_every_key_is_proved_present_or_absent(blocks: list[dict[str, bytes | None]]) -> None:
    history = History(blocks)
    read, root = history.pages.get, history.ref.root
    for number in range(64):
        key = f"key/{number}"
        proof = decode_map_proof(encode_map_proof(prove(read, history.ref, key)))
        value = history.content.get(key)
        if value is None:
            verify_absence(root, key, proof)
            assert lookup(read, history.ref, key) is None
        else:
            verify_presence(root, key, value_hash(value), proof)
            assert lookup(read, history.ref, key) == value_hash(value)
    expected = sorted((key_path(key), value_hash(v)) for key, v in history.content.items())
    assert list(leaves(read, history.ref)) == expected


# Paths that agree in their first bytes: what an attacker gets who grinds keys for depth.
NEAR_PATHS = st.tuples(
    st.sampled_from([0, 1, 15, 16, 30]), st.sampled_from([0, 1, 16, 128, 255])
).map(lambda place: bytes(place[0]) + bytes((place[1],)) + bytes(31 - place[0]))


@given(
    first=st.dictionaries(NEAR_PATHS, st.just(bytes(32)), max_size=12),
    second=st.dictionaries(NEAR_PATHS, st.one_of(st.none(), st.just(bytes(32))), max_size=12),
)
@settings(max_examples=150)
def test_deep_paths_collapse_when_their_neighbours_go(
    first: dict[bytes, bytes], second: dict[bytes, bytes | None]
) -> None:
    pages: dict[bytes, bytes] = {}
    ref = MapRef(height=0, root=EMPTY_MAP.root)
    blocks: list[list[Change]] = [sorted(first.items()), sorted(second.items())]
    for height, changes in enumerate(blocks, 1):
        update = apply_hashed(pages.get, ref, height, changes)
        pages.update(update.node_writes)
        for stale in update.stale:
            del pages[stale]
        ref = update.ref
    left = {path: value for path, value in (first | second).items() if value is not None}
    fresh = apply_hashed(lambda _: None, EMPTY_MAP, 1, sorted(left.items()))
    assert ref.root == fresh.root
    assert len(pages) == len(fresh.node_writes)
    assert list(leaves(pages.get, ref)) == sorted(left.items())
