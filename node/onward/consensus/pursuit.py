"""Going after the blocks that the rules wait for: fetch, then judge, ancestors first.

Answers may get lost, so fetches are repeated. NOT_NOW is an answer about the clock and not about
the block: it is asked again after a while, and at once without the clock when a quorum has
accepted the block meanwhile. (Remembering it as a refusal would leave this node behind for good.)
"""

from __future__ import annotations

from dataclasses import dataclass

from onward import limits
from onward.consensus.effects import CoreEffect, FetchBlock, Validate
from onward.consensus.timing import NEVER_MS
from onward.consensus.tree import BlockTree
from onward.types import Digest

__all__ = ["NEVER_MS", "Pursuit"]


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is known of a block before it is judged."""

    first_sight: bool
    is_final: bool


@dataclass(slots=True)
class _Question:
    """A `Validate` that was asked."""

    standing: _Standing
    again_ms: int = NEVER_MS  # when to ask it again


class Pursuit:
    """What was asked for, and when to ask again."""

    def __init__(self, tree: BlockTree) -> None:
        self._tree = tree
        self._fetches: dict[bytes, int] = {}  # digest -> when to ask again
        self._questions: dict[bytes, _Question] = {}

    @property
    def deadline_ms(self) -> int:
        """When the next repetition is due."""
        due = [*self._fetches.values(), *(item.again_ms for item in self._questions.values())]
        return min(due, default=NEVER_MS)

    def is_fetching(self, digest: bytes) -> bool:
        """Whether this block was asked for and is still wanted."""
        return digest in self._fetches

    def postpone(self, digest: bytes, again_ms: int) -> None:
        """The verdict was NOT_NOW."""
        question = self._questions.get(digest)
        if question is not None:
            question.again_ms = again_ms

    def seek(self, goals: dict[bytes, bool], final: bytes, now_ms: int) -> tuple[CoreEffect, ...]:
        """What to ask now on the way to `goals`: digest -> whether it is a mere proposal.

        `final` is the one among them that is finalized.

        Raises: Stray when a goal does not descend from the root.
        """
        wanted: dict[bytes, _Standing] = {}
        for goal, is_proposal in goals.items():
            found = self._tree.lowest_undecided(goal)
            if found is None:
                continue
            self._tree.judge_header(found)
            if self._tree.is_bad(found):
                continue
            # An ancestor of a certified or justified block is certified itself.
            before = wanted.get(found, _Standing(first_sight=True, is_final=False))
            wanted[found] = _Standing(
                first_sight=before.first_sight and is_proposal and found == goal,
                is_final=before.is_final or goal == final,
            )
        if self._fetches:
            self._fetches = {key: at for key, at in self._fetches.items() if key in wanted}
        if self._questions:
            self._questions = {key: item for key, item in self._questions.items() if key in wanted}
        effects: list[CoreEffect] = []
        for digest, standing in wanted.items():
            effects += self._ask(digest, standing, now_ms)
        return tuple(effects)

    def _ask(self, digest: bytes, standing: _Standing, now_ms: int) -> tuple[CoreEffect, ...]:
        block = self._tree.get(digest)
        if block is None:
            if self._fetches.get(digest, 0) > now_ms:
                return ()
            self._fetches[digest] = now_ms + limits.FETCH_RETRY_MS
            return (FetchBlock(digest=Digest(digest)),)
        self._fetches.pop(digest, None)
        asked = self._questions.get(digest)
        if asked is not None and asked.standing == standing and asked.again_ms > now_ms:
            return ()
        self._questions[digest] = _Question(standing)
        question = Validate(
            digest=Digest(digest),
            block=block,
            parent=self._tree.block(block.parent),
            first_sight=standing.first_sight,
            is_final=standing.is_final,
        )
        return (question,)
