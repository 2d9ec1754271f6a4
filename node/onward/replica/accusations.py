"""Accusations: the evidence that this validator holds, found by itself or told by its peers.

What is new is stored and told to everybody once; who connects later is told one piece against each
cheater. So what one honest validator can prove, all can. The evidence against one validator is
bounded: after the first piece the others say nothing new about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from onward import limits
from onward.consensus.evidence import evidence_fault, is_formed, offence_of
from onward.consensus.messages import Evidence
from onward.crypto.signing import Verify
from onward.errors import CorruptionError, PeerFault
from onward.ledger.genesis import Genesis
from onward.ledger.store import EVIDENCE, Store, WriteBatch, prefix_end, u64
from onward.replica.outbox import Outbox
from onward.replica.standing import validators_of
from onward_proto.canonical import CanonicalError, decode, encode

_Cheater = tuple[int, int]
"""An epoch, and a place in its set."""

_Place = tuple[_Cheater, str, int]
"""Who did what where: the signer, and the offence."""


class Accusations:
    """Evidence by what it proves, as the store has it. `out` gives the outbox of the step."""

    __slots__ = ("_counts", "_genesis", "_out", "_places", "_store", "_verify", "held")

    def __init__(
        self, genesis: Genesis, verify: Verify, store: Store, out: Callable[[], Outbox]
    ) -> None:
        """Take up what the store holds. Raises `CorruptionError`."""
        self._genesis = genesis
        self._verify = verify
        self._out = out
        self._store = store
        self.held = read_evidence(store)  # in the order of the store, then as it came
        self._places = {_place_of(item) for item in self.held}
        self._counts = Counter(map(_cheater, self.held))

    def accuse(self, evidence: Evidence) -> None:
        """Keep and tell evidence whose signatures are known to be valid, if it is new."""
        if not self._is_news(evidence):
            return
        self.held = (*self.held, evidence)
        self._places.add(_place_of(evidence))
        self._counts[_cheater(evidence)] += 1
        out, (offence, at) = self._out(), offence_of(evidence)
        place = {"epoch": evidence.epoch} if evidence.epoch else {}
        out.happened("evidence", signer=evidence.signer, offence=offence, at=at, **place)
        out.store.append(WriteBatch(entries=((_key_of(evidence), encode(evidence)),)))
        out.send(None, evidence)

    def hear(self, evidence: Evidence) -> None:
        """Take what a peer tells. Raises `PeerFault` where it proves nothing."""
        if is_formed(evidence) and not self._is_news(evidence):
            return  # before anything is verified: repeating it costs nobody anything
        validators = validators_of(self._store, self._genesis, evidence.epoch)
        if validators is None:
            raise PeerFault(f"evidence of epoch {evidence.epoch}, which never was")
        fault = evidence_fault(evidence, self._genesis.chain_id, validators, self._verify)
        if fault is not None:
            raise PeerFault(fault)
        self.accuse(evidence)

    def of_each(self) -> tuple[Evidence, ...]:
        """The first piece against each cheater."""
        first: dict[_Cheater, Evidence] = {}
        for item in self.held:
            first.setdefault(_cheater(item), item)
        return tuple(first.values())

    def _is_news(self, evidence: Evidence) -> bool:
        has_room = self._counts[_cheater(evidence)] < limits.EVIDENCE_PER_SIGNER_MAX
        return has_room and _place_of(evidence) not in self._places


def read_evidence(store: Store) -> tuple[Evidence, ...]:
    """The evidence in a store, by signer. Raises `CorruptionError`."""
    found = []
    for key, data in store.scan(EVIDENCE, prefix_end(EVIDENCE)):
        try:
            found.append(decode(Evidence, data))
        except CanonicalError as error:
            raise CorruptionError(f"evidence {key.hex()}: {error}") from None
    return tuple(found)


def _cheater(evidence: Evidence) -> _Cheater:
    return evidence.epoch, evidence.signer


def _place_of(evidence: Evidence) -> _Place:
    return _cheater(evidence), *offence_of(evidence)


def _key_of(evidence: Evidence) -> bytes:
    name, at = offence_of(evidence)
    epoch = u64(evidence.epoch) if evidence.epoch else b""
    return EVIDENCE + evidence.signer.to_bytes(1, "big") + u64(at) + name.encode() + epoch
