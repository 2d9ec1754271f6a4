"""After a fork: two honest validators' chains side by side name those who made it.

Where two chains of one genesis part, some view was finalized in one and nullified, or given to
another block, in the other, and more than f validators signed both. Each validator keeps with its
blocks the certificates that led to them, so its database can be asked years later.

Let X be the first finalization behind the fork in one chain and Y in the other, X's view not above
Y's. Y's chain passed X's view by a nullification, which X's signers contradict, or by another block
of that view, whose notarization the notarization of X's block contradicts. Both are in the records
of the two chains, unless a node fetched the blocks instead of voting on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from onward import limits
from onward.consensus.evidence import OPPOSITE, conflicts_between, evidence_fault, evidence_of_votes
from onward.consensus.messages import Certificate, Evidence, VoteKind
from onward.crypto.signing import Verify
from onward.errors import CorruptionError
from onward.ledger.chain import StoredBlock, read_block, read_tip
from onward.ledger.store import Store
from onward.types import ValidatorSet
from onward_proto.canonical import CanonicalError, decode, encode, nested


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecord:
    """The notarization of a block and the nullifications between its parent and it."""

    certificates: Annotated[
        tuple[Certificate, ...],
        nested(1, Certificate, count=limits.BLOCK_RECORD_CERTIFICATES_MAX),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Where two chains part (the first height at which they differ), and what that proves."""

    height: int
    evidence: tuple[Evidence, ...]


def encode_record(certificates: tuple[Certificate, ...]) -> bytes:
    """The bytes that are kept with a block."""
    return encode(BlockRecord(certificates=certificates))


def find_fork(
    left: Store, right: Store, chain_id: bytes, sets: Sequence[ValidatorSet], verify: Verify
) -> Fork | None:
    """Compare two validators' databases of one chain; None where neither contradicts the other.

    `sets`: the validators by epoch. The evidence is verified, one piece for each cheater. Raises
    `CorruptionError`.
    """
    height = _first_difference(left, right)
    if height is None:
        return None
    parent = _block(left, height - 1).block  # both have it, so both go on in one epoch
    epoch = parent.epoch + parent.last
    validators = sets[epoch]
    known = {(item.kind, item.view): item for item in _certificates(left, height, epoch)}
    found: dict[int, Evidence] = {}
    for other in _certificates(right, height, epoch):
        kind = VoteKind(other.kind)
        for rival in (
            known.get((kind, other.view)),
            known.get((OPPOSITE.get(kind, 0), other.view)),
        ):
            for first, second in () if rival is None else conflicts_between(rival, other):
                evidence = evidence_of_votes(validators.epoch, first, second)
                if evidence_fault(evidence, chain_id, validators, verify) is None:
                    found.setdefault(evidence.signer, evidence)
    return Fork(height=height, evidence=tuple(found[signer] for signer in sorted(found)))


def _first_difference(left: Store, right: Store) -> int | None:
    """By bisection: blocks that differ have descendants that differ."""
    tips = (read_tip(left), read_tip(right))
    top = min(0 if tip is None else tip.height for tip in tips)
    if not _differ(left, right, top):
        return None
    same, different = 0, top
    while different - same > 1:
        middle = (same + different) // 2
        if _differ(left, right, middle):
            different = middle
        else:
            same = middle
    return different


def _differ(left: Store, right: Store, height: int) -> bool:
    return _block(left, height).block != _block(right, height).block


def _certificates(store: Store, from_height: int, epoch: int) -> Iterator[Certificate]:
    """Those of one epoch: in the next one views begin anew."""
    tip = read_tip(store)
    for height in range(from_height, 1 + (0 if tip is None else tip.height)):
        stored = _block(store, height)
        if stored.block.epoch != epoch:
            return
        try:
            yield from decode(BlockRecord, stored.record).certificates
            if stored.final:
                yield decode(Certificate, stored.final)
        except CanonicalError as error:
            raise CorruptionError(f"certificates of block {height}: {error}") from None


def _block(store: Store, height: int) -> StoredBlock:
    stored = read_block(store, height)
    if stored is None:
        raise CorruptionError(f"block {height} is missing below the tip")
    return stored
