"""The state map: one root for one content, proofs of presence and of absence, pages on disk."""

from __future__ import annotations

from hashlib import sha256

import pytest

from onward.errors import CorruptionError, InvariantError
from onward.ledger.merkle import ProofError
from onward.ledger.statemap import (
    EMPTY_MAP,
    EMPTY_ROOT,
    MapProof,
    MapRef,
    MapUpdate,
    PageCache,
    apply,
    decode_map_proof,
    encode_map_proof,
    key_path,
    leaves,
    lookup,
    prove,
    value_hash,
    verify_absence,
    verify_presence,
)
from onward.ledger.statemap.moving import decode_steps, encode_steps, living
from onward.ledger.statemap.pages import page_version


class Shelf:
    """Pages in a dictionary, and the latest version."""

    def __init__(self, cache: PageCache | None = None) -> None:
        self.pages: dict[bytes, bytes] = {}
        self.cache = cache
        self.reads = 0
        self.ref = EMPTY_MAP
        self.height = 0

    def read(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.pages.get(key)

    def write(self, writes: dict[str, bytes | None], *, prune: bool = True) -> MapUpdate:
        self.height += 1
        update = apply(self.read, self.ref, self.height, writes, self.cache)
        for key, page in update.node_writes:
            assert key not in self.pages, "a stored page is never overwritten"
            self.pages[key] = page
        for key in update.stale:
            assert key in self.pages
            if prune:
                del self.pages[key]
        self.ref = update.ref
        return update


def map_of(count: int) -> Shelf:
    shelf = Shelf()
    shelf.write({f"key/{index}": b"value %d" % index for index in range(count)})
    return shelf


def reference_root(content: dict[str, bytes], depth: int = 0) -> bytes:
    """The definition of the root, straight from the rules: recursive, bit by bit."""
    if not content:
        return sha256(b"onward/state-empty/1").digest()
    if len(content) == 1:
        ((key, value),) = content.items()
        leaf = sha256(key.encode()).digest() + sha256(value).digest()
        return sha256(b"onward/state-leaf/1" + leaf).digest()
    sides: tuple[dict[str, bytes], dict[str, bytes]] = ({}, {})
    for key, value in content.items():
        bit = sha256(key.encode()).digest()[depth // 8] >> (7 - depth % 8) & 1
        sides[bit][key] = value
    below = b"".join(reference_root(side, depth + 1) for side in sides)
    return sha256(b"onward/state-node/1" + below).digest()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17, 300])
def test_the_root_is_the_one_that_the_rules_define(count: int) -> None:
    content = {f"key/{index}": b"value %d" % index for index in range(count)}
    assert map_of(count).ref.root == reference_root(content)


def test_a_known_root_stays_what_it_is() -> None:
    """Changing it is a hard fork: every network's history would become unverifiable."""
    expected = "3796810d36445d1e57191bc704da228802f8f6f21abfc88e70c5363638d39826"
    assert map_of(100).ref.root.hex() == expected


def test_writing_what_is_there_already_writes_nothing() -> None:
    shelf = map_of(50)
    before = shelf.ref
    update = shelf.write({"key/7": b"value 7", "absent": None})
    assert (update.ref, update.node_writes, update.stale) == (before, (), ())


def test_an_emptied_map_is_the_empty_map_and_leaves_no_page() -> None:
    shelf = map_of(50)
    assert shelf.write({f"key/{index}": None for index in range(50)}).root == EMPTY_ROOT
    assert not shelf.pages
    assert shelf.write({"key/1": b"again"}).root == reference_root({"key/1": b"again"})


def test_old_versions_answer_as_they_did_until_they_are_pruned() -> None:
    shelf = Shelf()
    versions: list[MapRef] = []
    for number in range(1, 6):
        shelf.write({"changing": b"%d" % number, f"new/{number}": b"x"}, prune=False)
        versions.append(shelf.ref)
    for number, ref in enumerate(versions, 1):
        assert lookup(shelf.pages.get, ref, "changing") == value_hash(b"%d" % number)
        assert len(list(leaves(shelf.pages.get, ref))) == number + 1


def test_a_block_reads_and_writes_each_touched_page_once() -> None:
    shelf = map_of(2_000)
    reads: list[bytes] = []

    def read(key: bytes) -> bytes | None:
        reads.append(key)
        return shelf.pages.get(key)

    writes = {f"key/{index}": b"new" for index in range(200)}
    update = apply(read, shelf.ref, 2, writes)
    assert len(reads) == len(set(reads)) == len(update.stale)
    written = [key for key, _ in update.node_writes]
    assert len(set(written)) == len(written) < 2 * len(writes)


def test_pages_of_the_last_blocks_are_not_read_again() -> None:
    """Every block changes the upper pages: each would be read and taken apart once a block."""
    shelf = Shelf(PageCache(1_000))
    shelf.write({f"key/{index}": b"value" for index in range(500)})
    shelf.write({f"key/{index}": b"other" for index in range(500)})
    assert shelf.reads == 0


def test_the_page_cache_never_holds_more_than_two_generations() -> None:
    cache = PageCache(20)
    shelf = Shelf(cache)
    for block in range(20):
        shelf.write({f"key/{block}/{index}": b"value" for index in range(60)})
        assert len(cache) <= 40
    assert shelf.reads > 0, "what was dropped is read"


def test_a_page_of_an_abandoned_block_is_never_taken_for_the_real_one() -> None:
    """Both have one place and one height: only the hash above them tells them apart."""
    cache = PageCache(1_000)
    shelf, plain = Shelf(cache), Shelf()
    for each in (shelf, plain):
        each.write({f"key/{index}": b"value" for index in range(300)})
    apply(shelf.read, shelf.ref, 2, {f"key/{index}": b"lost" for index in range(150)}, cache)
    for block in range(2):
        writes: dict[str, bytes | None] = {f"key/{n}": b"%d" % block for n in range(0, 300, 2)}
        assert shelf.write(dict(writes)).ref == plain.write(dict(writes)).ref
    assert shelf.pages == plain.pages


def test_the_roots_page_moves_where_it_is_the_only_one() -> None:
    """Nothing stands above it that would be written anew for it."""
    shelf = map_of(2)
    (key,) = shelf.pages
    moves = [(b"", page_version(1))]
    assert list(living(shelf.read, shelf.ref, moves)) == moves
    update = apply(shelf.read, shelf.ref, 2, {}, moves=moves)
    assert (update.ref.height, update.root) == (2, shelf.ref.root)
    assert update.stale == (key,)
    assert [page for _, page in update.node_writes] == [shelf.pages[key]]


def test_heights_only_rise_so_that_no_page_is_overwritten() -> None:
    shelf = map_of(3)
    with pytest.raises(InvariantError):
        apply(shelf.pages.get, shelf.ref, shelf.height, {"key/1": b"other"})


def test_values_are_never_empty() -> None:
    with pytest.raises(InvariantError):
        apply(lambda _: None, EMPTY_MAP, 1, {"key": b""})


def test_presence_and_absence_are_proved_and_never_both() -> None:
    shelf = map_of(200)
    root = shelf.ref.root
    for index in range(400):
        key = f"key/{index}"
        proof = prove(shelf.pages.get, shelf.ref, key)
        digest = value_hash(b"value %d" % index)
        if index < 200:
            verify_presence(root, key, digest, proof)
            with pytest.raises(ProofError):
                verify_presence(root, key, value_hash(b"other"), proof)
            with pytest.raises(ProofError):
                verify_absence(root, key, proof)
        else:
            verify_absence(root, key, proof)
            with pytest.raises(ProofError):
                verify_presence(root, key, digest, proof)


def test_a_present_key_is_not_hidden_behind_its_own_leaf_or_a_shorter_way() -> None:
    """The ways to forge absence: the key's own leaf, a node called a leaf, a cut proof."""
    shelf = map_of(200)
    root, key = shelf.ref.root, "key/11"
    proof = prove(shelf.pages.get, shelf.ref, key)
    own = key_path(key) + value_hash(b"value 11")
    with pytest.raises(ProofError, match="own"):
        verify_absence(root, key, MapProof(siblings=proof.siblings, other=own))
    for depth in range(len(proof.siblings)):
        for other in (None, own, bytes(64)):
            with pytest.raises(ProofError):
                verify_absence(root, key, MapProof(siblings=proof.siblings[:depth], other=other))
    for short in (b"", bytes(32), bytes(63), bytes(65)):
        with pytest.raises(ProofError):
            verify_absence(root, key, MapProof(siblings=proof.siblings, other=short))


def test_a_proof_of_another_key_or_root_proves_nothing() -> None:
    shelf, other = map_of(64), map_of(65)
    for index in range(64):
        key, digest = f"key/{index}", value_hash(b"value %d" % index)
        proof = prove(shelf.pages.get, shelf.ref, key)
        with pytest.raises(ProofError):
            verify_presence(other.ref.root, key, digest, proof)
        with pytest.raises(ProofError):
            verify_presence(shelf.ref.root, f"key/{(index + 1) % 64}", digest, proof)


def test_a_map_of_no_keys_and_of_one_key_proves_too() -> None:
    verify_absence(EMPTY_ROOT, "any", prove(lambda _: None, EMPTY_MAP, "any"))
    shelf = map_of(1)
    verify_presence(
        shelf.ref.root,
        "key/0",
        value_hash(b"value 0"),
        prove(shelf.pages.get, shelf.ref, "key/0"),
    )
    verify_absence(shelf.ref.root, "other", prove(shelf.pages.get, shelf.ref, "other"))


def test_a_proof_has_one_encoding_and_every_changed_byte_is_refused() -> None:
    shelf = map_of(40)
    for key, digest in (("key/5", value_hash(b"value 5")), ("absent/2", None)):
        data = encode_map_proof(prove(shelf.pages.get, shelf.ref, key))
        for position in range(len(data)):
            for bit in (1, 128):
                changed = bytearray(data)
                changed[position] ^= bit
                with pytest.raises(ProofError):
                    check(shelf.ref.root, key, digest, bytes(changed))
        for wrong in (data[:-1], data + b"\x00", data + bytes(64), b"", b"\x01\x01"):
            with pytest.raises(ProofError):
                check(shelf.ref.root, key, digest, wrong)


def check(root: bytes, key: str, digest: bytes | None, data: bytes) -> None:
    proof = decode_map_proof(data)
    if digest is None:
        verify_absence(root, key, proof)
    else:
        verify_presence(root, key, digest, proof)


def test_the_walk_finds_any_changed_byte_of_any_page() -> None:
    """An operator's disk may rot: fsck must name it before a proof is served from it."""
    shelf = map_of(30)
    assert len(list(leaves(shelf.pages.get, shelf.ref))) == 30
    for key, page in list(shelf.pages.items()):
        for position in range(len(page)):
            changed = bytearray(page)
            changed[position] ^= 1
            shelf.pages[key] = bytes(changed)
            with pytest.raises(CorruptionError):
                list(leaves(shelf.pages.get, shelf.ref))
        shelf.pages[key] = page


def test_a_missing_page_is_corruption_not_absence() -> None:
    shelf = map_of(60)
    del shelf.pages[min(shelf.pages, key=len)]  # the root's
    with pytest.raises(CorruptionError, match="missing"):
        lookup(shelf.pages.get, shelf.ref, "key/1")
    with pytest.raises(CorruptionError, match="missing"):
        shelf.write({"key/1": b"other"})


def test_a_reference_survives_its_encoding() -> None:
    ref = map_of(3).ref
    assert MapRef.decode(ref.encode()) == ref
    with pytest.raises(CorruptionError):
        MapRef.decode(ref.encode()[1:])


def test_where_the_pages_of_a_height_stand_survives_its_encoding() -> None:
    """A page that is looked for elsewhere is taken for dead, and removed."""
    shelf = map_of(300)
    update = shelf.write({"key/1": b"other", "new": b"one", "key/2": None})
    found = decode_steps(2, encode_steps(update))
    assert found == [(key[8:], key[:8]) for key, _ in update.node_writes]
    assert decode_steps(2, b"") == []
