"""The safety kernel: what this validator has promised, and whether it may promise more.

    S1  at most one vote per (kind, view)
    S2  never NULLIFY and FINALIZE in one view
    S3  no vote at or below the floor: its records may be gone
    J   NOTARIZE only what is justified, in its own view
    F   FINALIZE only what is notarized
    A   nothing at all once a vote turned up that was given and is not known here

Every vote passes `give`, which checks all six again whatever the rules thought: a bug must end the
node before it breaks a promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onward.consensus.knowledge import Knowledge
from onward.consensus.messages import Vote, VoteKind, vote_signed_bytes
from onward.errors import invariant
from onward.ledger.block import Block
from onward.types import ValidatorIndex

if TYPE_CHECKING:
    from onward.crypto.signing import Signer

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


class Promises:
    """Our own votes above the floor."""

    def __init__(
        self, chain_id: bytes, epoch: int, me: ValidatorIndex, signer: Signer, floor_view: int
    ) -> None:
        self._chain_id = chain_id
        self._epoch = epoch
        self._me = me
        self._signer = signer
        self._floor_view = floor_view
        self._given: dict[tuple[int, int], Vote] = {}  # by view and kind
        self.abstains = False

    @property
    def all(self) -> tuple[Vote, ...]:
        """Every promise above the floor, by view and kind."""
        return tuple(self._given[key] for key in sorted(self._given))

    def recall(self, vote: Vote) -> None:
        """A promise that the journal kept."""
        self._given[vote.view, vote.kind] = vote

    def raise_floor(self, view: int) -> None:
        """Nothing at or below `view` will be voted on again."""
        self._floor_view = max(self._floor_view, view)
        self._given = {key: vote for key, vote in self._given.items() if key[0] > self._floor_view}

    def has(self, kind: VoteKind, view: int) -> bool:
        """Whether this was promised."""
        return (view, kind) in self._given

    def forgot(self, vote: Vote) -> bool:
        """Whether this vote, which is ours by its signature, is one that we do not know of."""
        given = self._given.get((vote.view, vote.kind))
        return vote.view > self._floor_view and (given is None or given.digest != vote.digest)

    def abstain(self) -> None:
        """Give no promise any more: there are some that are not known here."""
        self.abstains = True

    def may_notarize(self, view: int) -> bool:
        """Whether S1, S3 and A leave a NOTARIZE."""
        is_open = view > self._floor_view and not self.abstains
        return is_open and not self.has(NOTARIZE, view)

    def may_nullify(self, view: int) -> bool:
        """Whether S1, S2, S3 and A leave a NULLIFY."""
        voted = self.has(NULLIFY, view) or self.has(FINALIZE, view)
        return view > self._floor_view and not voted and not self.abstains

    def may_finalize(self, view: int) -> bool:
        """Whether S1, S2, S3 and A leave a FINALIZE."""
        voted = self.has(NULLIFY, view) or self.has(FINALIZE, view)
        return view > self._floor_view and not voted and not self.abstains

    def give(
        self, kind: VoteKind, view: int, digest: bytes, block: Block | None, known: Knowledge
    ) -> Vote:
        """One more promise, signed. It must be durable before it leaves.

        `block` is the one that `digest` names. Raises: InvariantError where S1 to A forbid it.
        """
        self._check_history(kind, view)
        self._check_ground(kind, view, digest, block, known)
        signed = vote_signed_bytes(self._chain_id, self._epoch, kind, view, digest)
        signature = self._signer.sign(signed)
        vote = Vote(kind=kind, view=view, digest=digest, signer=self._me, signature=signature)
        self._given[view, kind] = vote
        return vote

    def _check_history(self, kind: VoteKind, view: int) -> None:
        invariant(not self.abstains, "A: a vote after abstaining")
        invariant(view > self._floor_view, f"S3: vote in view {view}, floor {self._floor_view}")
        invariant(not self.has(kind, view), f"S1: a second {kind.name} in view {view}")
        if kind != NOTARIZE:
            other = NULLIFY if kind == FINALIZE else FINALIZE
            invariant(not self.has(other, view), f"S2: NULLIFY and FINALIZE in view {view}")

    def _check_ground(
        self, kind: VoteKind, view: int, digest: bytes, block: Block | None, known: Knowledge
    ) -> None:
        if kind == NOTARIZE:
            is_just = block is not None and block.view == view and known.is_justified(block)
            invariant(is_just, f"J: view {view} is not justified")
        elif kind == FINALIZE:
            certificate = known.notarized.get(view)
            is_notarized = certificate is not None and certificate.digest == digest
            invariant(is_notarized, f"F: view {view} is not notarized")
