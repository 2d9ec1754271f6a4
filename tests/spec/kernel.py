"""The node's own safety kernel, asked the questions that the spec is asked."""

from __future__ import annotations

from dataclasses import replace

from tests.spec.small_scope import ROOT, Local, Scope
from tests.spec.vote_rules import Ballot, Kind
from tests.support.consensus_world import CHAIN_ID, CheapSigner, genesis_of, validator_set

from onward.consensus.knowledge import Knowledge
from onward.consensus.messages import Certificate, IndexedSignature, VoteKind
from onward.consensus.promises import Promises
from onward.errors import InvariantError
from onward.ledger.block import Block, block_digest
from onward.types import NIL, Signature, ValidatorIndex

VALIDATORS = validator_set(4)


class _Stamp(CheapSigner):
    """What is signed is not the question here."""

    def sign(self, message: bytes) -> Signature:
        return Signature(bytes(64))


class Kernel:
    """Promises and knowledge of the node, put into any state of a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._blocks: dict[str, Block] = {}
        self._digests: dict[str, bytes] = {"": NIL}
        root, self._root_final = genesis_of(VALIDATORS)
        for name, proposal in scope.blocks.items():
            if name == ROOT.name:
                block = root
            else:
                block = replace(
                    root,
                    view=proposal.view,
                    height=self._blocks[proposal.parent].height + 1,
                    parent_view=proposal.parent_view,
                    parent=self._digests[proposal.parent],
                    time_ms=root.time_ms + 2 * proposal.view + (name[-1] == "b"),
                )
            self._blocks[name], self._digests[name] = block, block_digest(block)
        self.compared = 0

    def disagreement(self, local: Local, certified: int) -> str:
        """The first vote that spec and kernel judge differently, or nothing."""
        objections = self._scope.objections(local, certified)
        promises, known = self._state(local, certified)
        for ballot in self._scope.ballots:
            self.compared += 1
            ours = not objections(ballot)
            theirs = self._gives(promises, known, ballot)
            if ours != theirs:
                return f"{ballot}: spec {ours}, kernel {theirs}, after {local} {certified}"
        return ""

    def _state(self, local: Local, certified: int) -> tuple[Promises, Knowledge]:
        mask, floor = local
        known = Knowledge(self._root_final)
        # A finalization comes after its view's notarization, as it does in the node.
        votes = sorted(self._scope.votes(certified), key=lambda vote: (vote.view, vote.kind))
        for vote in votes:
            known.learn(self._certificate(vote))
        for vote in votes:
            if vote.kind is Kind.FINALIZE and vote.view == floor:
                known.learn_final(self._certificate(vote))
        signer = _Stamp(VALIDATORS.public_key(0))
        promises = Promises(CHAIN_ID, 0, ValidatorIndex(0), signer, 0)
        for vote in self._scope.votes(mask):
            promises.recall(_Said(vote, self._digests[vote.block]))  # type: ignore[arg-type]
        promises.raise_floor(floor)
        return promises, known

    def _certificate(self, ballot: Ballot) -> Certificate:
        signatures = tuple(IndexedSignature(signer=s, signature=bytes(64)) for s in (0, 1, 3))
        return Certificate(
            kind=VoteKind[ballot.kind],
            view=ballot.view,
            digest=self._digests[ballot.block],
            signatures=signatures,
        )

    def _gives(self, promises: Promises, known: Knowledge, ballot: Ballot) -> bool:
        kind = VoteKind[ballot.kind]
        block = self._blocks.get(ballot.block)
        try:
            promises.give(kind, ballot.view, self._digests[ballot.block], block, known)
        except InvariantError:
            return False
        del promises._given[ballot.view, kind]  # it was only a question
        return True


class _Said:
    """As much of a vote as the kernel remembers it by."""

    def __init__(self, ballot: Ballot, digest: bytes) -> None:
        self.kind, self.view, self.digest = VoteKind[ballot.kind], ballot.view, digest
