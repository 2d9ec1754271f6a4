"""Votes heard and not yet forgotten: the first of each voter, and how many agree.

Every vote in here has been verified or is our own. A voter's first vote of a kind in a view
counts, a second one that conflicts is evidence, and after that nothing of this voter counts in
this view.
"""

from __future__ import annotations

from onward.consensus.evidence import OPPOSITE
from onward.consensus.messages import Certificate, IndexedSignature, Vote
from onward.types import Signature


class Tally:
    """Counts votes by (kind, view, digest)."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int, int], Vote] = {}  # by kind, view, signer
        self._signatures: dict[tuple[int, int, bytes], dict[int, Signature]] = {}
        self._guilty: set[tuple[int, int]] = set()  # view, signer

    def is_settled(self, vote: Vote) -> bool:
        """Whether this vote tells nothing new, so that verifying it would be a waste."""
        first = self._first.get((vote.kind, vote.view, vote.signer))
        is_known = first is not None and first.digest == vote.digest
        return is_known or (vote.view, vote.signer) in self._guilty

    def rival_of(self, vote: Vote) -> Vote | None:
        """An earlier vote of the same voter that excludes this one."""
        first = self._first.get((vote.kind, vote.view, vote.signer))
        if first is not None and first.digest != vote.digest:
            return first
        opposite = OPPOSITE.get(vote.kind)
        return None if opposite is None else self._first.get((opposite, vote.view, vote.signer))

    def condemn(self, vote: Vote) -> None:
        """Ignore this voter in this view from now on."""
        self._guilty.add((vote.view, vote.signer))

    def count(self, vote: Vote) -> int:
        """Take in a vote without rival; answers how many now agree with it."""
        self._first[vote.kind, vote.view, vote.signer] = vote
        agreeing = self._signatures.setdefault((vote.kind, vote.view, vote.digest), {})
        agreeing[vote.signer] = Signature(vote.signature)
        return len(agreeing)

    def voter_count(self, kind: int, view: int, digest: bytes) -> int:
        """How many voters are known for this."""
        return len(self._signatures.get((kind, view, digest), ()))

    def first_digest(self, kind: int, view: int, signer: int) -> bytes | None:
        """What this voter voted for first."""
        vote = self._first.get((kind, view, signer))
        return None if vote is None else vote.digest

    def signature(self, kind: int, view: int, digest: bytes, signer: int) -> bytes | None:
        """The verified signature of this voter on this, if it is known."""
        return self._signatures.get((kind, view, digest), {}).get(signer)

    def certificate(self, vote: Vote, quorum: int) -> Certificate:
        """The certificate of the `quorum` lowest known voters that agree with `vote`."""
        agreeing = self._signatures[vote.kind, vote.view, vote.digest]
        return Certificate(
            kind=vote.kind,
            view=vote.view,
            digest=vote.digest,
            signatures=tuple(
                IndexedSignature(signer=signer, signature=agreeing[signer])
                for signer in sorted(agreeing)[:quorum]
            ),
        )

    def forget(self, view: int) -> None:
        """Drop what is at or below `view`."""
        self._first = {key: vote for key, vote in self._first.items() if key[1] > view}
        self._signatures = {
            key: agreeing for key, agreeing in self._signatures.items() if key[1] > view
        }
        self._guilty = {key for key in self._guilty if key[0] > view}
