"""The state map: every key under one 32-byte root, with proofs of presence and of absence.

**What is hashed** (consensus; changing it is a hard fork). A key's *path* is the SHA-256 of its
UTF-8 bytes: 256 bits, most significant first. Over the paths of all keys stands a binary trie::

    no key below      EMPTY = SHA-256("onward/state-empty/1")
    one key below     leaf  = SHA-256("onward/state-leaf/1" ‖ path ‖ SHA-256(value))
    two keys or more  node  = SHA-256("onward/state-node/1" ‖ child of bit 0 ‖ child of bit 1)

So a leaf stands at the first depth at which it is alone, and the shape follows from the set of keys
only: equal content has an equal root, whatever order of writes and deletions led to it.

**What is stored** (local; may change from release to release). Four levels of the trie make a
*page*, kept under (version, path), where the version is the height that wrote it; leaves stand
inside their page. A block rewrites each page that it touches once. What the map still refers to in
the oldest height is written anew in time (`moving`), so that whole heights can be removed when no
reader needs them any more.

**Why the proofs are sound.** A proof lists the siblings along the path and what stands at its end:
the claimed leaf, nothing, or the leaf of another key. Folding it must give the root. All three
kinds of hash have inputs that begin with different tags, and their other parts have fixed sizes, so
(SHA-256 being collision-free) the fold can only retrace the trie that the root was computed from:
at each depth the bits of the key choose the side. Its end is therefore what really stands at that
place on the key's path. If that is EMPTY, or the leaf of another path, then no leaf with the key's
own path exists, because it could stand nowhere else: presence and absence cannot both be proved. A
leaf offered in the place of a node, or at another depth, would need one hash to have two inputs.

What a proof of absence shows of another key is its path, not its text. Whoever can guess a key can
test the guess; keys of the state must not be secrets.

Source: the single-leaf rule is that of compressed sparse Merkle trees; docs/adr/0003-state-map.md
has the measurements behind the choice.
"""

from onward.ledger.statemap.cache import PageCache
from onward.ledger.statemap.moving import KeptPages, living
from onward.ledger.statemap.pages import EMPTY_MAP, MapRef
from onward.ledger.statemap.proof import (
    MapProof,
    decode_map_proof,
    encode_map_proof,
    prove,
    verify_absence,
    verify_presence,
)
from onward.ledger.statemap.trie import EMPTY_ROOT, key_path, value_hash
from onward.ledger.statemap.update import MapUpdate, Move, apply
from onward.ledger.statemap.walk import leaves, lookup

__all__ = [
    "EMPTY_MAP",
    "EMPTY_ROOT",
    "KeptPages",
    "MapProof",
    "MapRef",
    "MapUpdate",
    "Move",
    "PageCache",
    "apply",
    "decode_map_proof",
    "encode_map_proof",
    "key_path",
    "leaves",
    "living",
    "lookup",
    "prove",
    "value_hash",
    "verify_absence",
    "verify_presence",
]
