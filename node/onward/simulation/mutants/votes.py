"""Planted bugs about votes: promises, counting, and what a certificate is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from onward.consensus.certificates import KnownSignature, VoteVerifier
from onward.consensus.core import Core
from onward.consensus.effects import CoreEffect
from onward.consensus.evidence import votes_of
from onward.consensus.journal import JournalRecord
from onward.consensus.messages import Certificate, Vote, VoteKind
from onward.consensus.promises import FINALIZE, NOTARIZE, NULLIFY, Promises
from onward.consensus.tally import Tally
from onward.errors import invariant
from onward.ledger.block import Block
from onward.simulation.mutants.mutant import Mutant, planted
from onward.types import ValidatorSet


class _WeakSet(ValidatorSet):
    """A validator set that takes 2f for a quorum."""

    __slots__ = ()

    @property
    def quorum(self) -> int:
        return max(1, 2 * ((self.size - 1) // 3))


class _Unanimity(ValidatorSet):
    """A validator set that waits for everybody."""

    __slots__ = ()

    @property
    def quorum(self) -> int:
        return self.size


class QuorumOfTwoF(Mutant):
    """A quorum is 2f: two of them need not share an honest validator."""

    members: type[ValidatorSet] = _WeakSet

    def on_config(self, config: Any) -> Any:
        """Every certificate of this validator is made and checked with so many votes."""
        honest = config.genesis.validators
        other = self.members(epoch=honest.epoch, members=honest.members)
        return replace(config, genesis=replace(config.genesis, validators=other))


class QuorumOfAll(QuorumOfTwoF):
    """A quorum is everybody: one that is down stops all."""

    members = _Unanimity


class FinalizeAfterNullify(Mutant):
    """S2 is forgotten: a view that was given up is finalized all the same."""

    trial = "splits"

    def on_replica(self, replica: Any) -> None:
        """Neither the rule nor the kernel asks about the other kind."""
        promises = replica._core._promises  # noqa: SLF001

        def may_finalize(view: int) -> bool:
            return view > promises._floor_view and not promises.has(FINALIZE, view)  # noqa: SLF001

        def check_history(kind: Any, view: int) -> None:
            invariant(not promises.has(kind, view), "S1")

        promises.may_finalize = may_finalize
        promises._check_history = check_history  # noqa: SLF001


class _Forgetful(Promises):
    """What was voted before a reboot is forgotten, and may be voted otherwise."""

    def recall(self, vote: Vote) -> None:
        del vote


class _NotarizesTwice(Promises):
    """S1 is forgotten after a reboot: the journal's NOTARIZE does not keep from another one."""

    def recall(self, vote: Vote) -> None:
        if vote.kind != NOTARIZE:
            super().recall(vote)


class _FloorStays(Promises):
    """S3 is forgotten: what was delivered may still be voted on."""

    def raise_floor(self, view: int) -> None:
        floor = self._floor_view
        super().raise_floor(view)
        self._floor_view = floor


class _KeepsPromises(Promises):
    """Own votes are kept for ever, and told in every status."""

    def raise_floor(self, view: int) -> None:
        given = self._given
        super().raise_floor(view)
        self._given = given


class _FloorUnwritten(Core):
    """A new segment of the journal begins with the floor of the old one."""

    def journal_snapshot(self) -> tuple[JournalRecord, ...]:
        records = super().journal_snapshot()
        first = self.__dict__.setdefault("first", records[0])
        return (first, *records[1:])


class _CountsVotes(Tally):
    """Votes are counted and not voters: one that comes twice counts twice."""

    def is_settled(self, vote: Vote) -> bool:
        del vote
        return False

    def count(self, vote: Vote) -> int:
        super().count(vote)
        calls = self.__dict__.setdefault("calls", Counter())
        calls[vote.kind, vote.view, vote.digest] += 1
        return int(calls[vote.kind, vote.view, vote.digest])


class _CountsAnyDigest(Tally):
    """Votes of a kind and view are counted together, whichever block they name."""

    def count(self, vote: Vote) -> int:
        agreeing = super().count(vote)
        others = (len(item) for key, item in self._signatures.items() if key[:2] == _place(vote))
        return max(agreeing, sum(others))


class _CountsOneTooMany(Tally):
    """The count is off by one: a certificate is made one vote early."""

    def count(self, vote: Vote) -> int:
        return super().count(vote) + 1


class _SeesNoRival(Tally):
    """Two votes of one signer that exclude each other are both counted, and nobody is accused."""

    def rival_of(self, vote: Vote) -> Vote | None:
        del vote
        return None


class _SeesRivalsEverywhere(Tally):
    """NOTARIZE and NULLIFY in one view, which every honest validator may give, are an offence."""

    def rival_of(self, vote: Vote) -> Vote | None:
        other = {NULLIFY: NOTARIZE, NOTARIZE: NULLIFY}.get(VoteKind(vote.kind))
        found = None if other is None else self._first.get((other, vote.view, vote.signer))
        return found or super().rival_of(vote)


class _NeverForgets(Tally):
    """Votes of delivered views are kept for ever."""

    def forget(self, view: int) -> None:
        del view


class _AnySignature(VoteVerifier):
    """A certificate's signatures are not verified."""

    def certificate_fault(self, certificate: Certificate, known: KnownSignature) -> str | None:
        return super().certificate_fault(certificate, _knowing(certificate, known))


class _AnyFirstSignature(VoteVerifier):
    """Off by one: the first signature of a certificate is not verified."""

    def certificate_fault(self, certificate: Certificate, known: KnownSignature) -> str | None:
        first = replace(certificate, signatures=certificate.signatures[:1])
        return super().certificate_fault(certificate, _knowing(first, known))


class _RepeatedSigners(VoteVerifier):
    """One signer may stand in a certificate as often as it likes."""

    def certificate_fault(self, certificate: Certificate, known: KnownSignature) -> str | None:
        if len(certificate.signatures) != self._validators.quorum:
            return super().certificate_fault(certificate, known)
        return _fault_of_one(self, certificate)


class _ShortCertificates(VoteVerifier):
    """A certificate may have any number of signatures, if those that it has are right."""

    def certificate_fault(self, certificate: Certificate, known: KnownSignature) -> str | None:
        if len(certificate.signatures) >= self._validators.quorum or not certificate.signatures:
            return super().certificate_fault(certificate, known)
        return _fault_of_one(self, certificate)


class _AnyVote(VoteVerifier):
    """The signature of a vote is not verified, and goes into certificates."""

    def vote_fault(self, vote: Vote) -> str | None:
        return self._shape_fault(vote.kind, vote.digest, vote.signer)


class _ForgetsInCatchUp(Core):
    """Who fetches the chain forgets what it had voted on above it."""

    def jump_to(self, root: Block, final: Certificate, now_ms: int) -> tuple[CoreEffect, ...]:
        self._promises._given.clear()  # noqa: SLF001
        return super().jump_to(root, final, now_ms)


class _AmplifiesNothing(Core):
    """R4 is missing: nobody follows f + 1 nullifiers, each waits for its own timer."""

    def _amplify(self) -> bool:
        return False


class _DropsOwnVotes(Core):
    """A rebooted validator remembers its votes without counting them: all wait for one more."""

    def _recount(self, vote: Vote) -> None:
        del vote


def _place(vote: Vote) -> tuple[int, int]:
    return (vote.kind, vote.view)


def _knowing(certificate: Certificate, known: KnownSignature) -> KnownSignature:
    """As if this certificate's signatures had been verified before."""
    trusted = {item.signer: item.signature for item in certificate.signatures}

    def found(kind: int, view: int, digest: bytes, signer: int) -> bytes | None:
        return trusted.get(signer) or known(kind, view, digest, signer)

    return found


def _fault_of_one(verifier: VoteVerifier, certificate: Certificate) -> str | None:
    """What is wrong with the first wrong vote of a certificate, looked at one by one."""
    faults = map(verifier.vote_fault, votes_of(certificate))
    return next((fault for fault in faults if fault is not None), None)


VOTES: dict[str, type[Mutant]] = {
    "quorum-of-2f": QuorumOfTwoF,
    "quorum-of-all": QuorumOfAll,
    "finalize-after-nullify": FinalizeAfterNullify,
    "votes-forgotten-at-reboot": planted("_core._promises", _Forgetful, "reboots"),
    "notarizes-twice-after-reboot": planted("_core._promises", _NotarizesTwice, "reboots"),
    "floor-never-raised": planted("_core._promises", _FloorStays, "splits"),
    "own-votes-never-forgotten": planted("_core._promises", _KeepsPromises, "busy"),
    "journal-floor-stays": planted("_core", _FloorUnwritten, "reboots"),
    "votes-counted-not-voters": planted("_core._tally", _CountsVotes),
    "votes-for-any-block-counted": planted("_core._tally", _CountsAnyDigest, "swarm:equivocator"),
    "certificate-one-vote-early": planted("_core._tally", _CountsOneTooMany),
    "rivals-not-seen": planted("_core._tally", _SeesNoRival, "accountable:double_voter"),
    "rivals-seen-everywhere": planted("_core._tally", _SeesRivalsEverywhere),
    "votes-never-forgotten": planted("_core._tally", _NeverForgets, "busy"),
    "certificate-unverified": planted("_core._verifier", _AnySignature, "swarm:forger"),
    "certificate-first-unverified": planted("_core._verifier", _AnyFirstSignature, "swarm:forger"),
    "certificate-of-one-signer": planted("_core._verifier", _RepeatedSigners, "swarm:forger"),
    "certificate-too-short": planted("_core._verifier", _ShortCertificates, "swarm:forger"),
    "vote-unverified": planted("_core._verifier", _AnyVote, "swarm:garbler"),
    "votes-forgotten-in-catch-up": planted("_core", _ForgetsInCatchUp, "reboots"),
    "nullifiers-not-followed": planted("_core", _AmplifiesNothing, "followed"),
    "own-votes-not-recounted": planted("_core", _DropsOwnVotes, "dark"),
}
