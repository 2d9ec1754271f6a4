"""What one honest validator can prove, all can: evidence is stored, told, bounded and checked."""

from __future__ import annotations

from dataclasses import replace

from tests.support.cluster import Cluster

from onward import limits
from onward.consensus.evidence import evidence_of_votes
from onward.consensus.messages import Evidence, Vote, VoteKind, vote_signed_bytes
from onward.replica.accusations import read_evidence
from onward.replica.effects import Received
from onward.types import ValidatorIndex

LIAR, HEARER = ValidatorIndex(3), ValidatorIndex(0)


def lie(cluster: Cluster, view: int = 7, signer: int = LIAR) -> Evidence:
    """Two votes of one validator for two blocks of a view."""

    def vote(digest: bytes) -> Vote:
        signed = vote_signed_bytes(cluster.genesis.chain_id, 0, VoteKind.NOTARIZE, view, digest)
        return Vote(
            kind=VoteKind.NOTARIZE,
            view=view,
            digest=digest,
            signer=signer,
            signature=cluster.keys[signer].sign(signed),
        )

    return evidence_of_votes(0, vote(b"a" * 32), vote(b"b" * 32))


def tell(cluster: Cluster, evidence: Evidence, sender: int = 1) -> None:
    cluster.event(HEARER, Received(peer=ValidatorIndex(sender), message=evidence))
    cluster.run_ms(20)


def misbehaved(cluster: Cluster) -> list[object]:
    return [dict(item.fields)["peer"] for _, item in cluster.happened if item.name == "misbehaved"]


def test_evidence_that_one_hears_all_hold_and_no_one_is_told_for_ever() -> None:
    """Gossip that does not end would be an attack that any liar may start."""
    cluster = Cluster()
    cluster.run_ms(100)
    sent: list[Evidence] = []

    def count(_sender: int, _to: int, message: object) -> object:
        if isinstance(message, Evidence):
            sent.append(message)
        return message

    cluster.filter = count  # type: ignore[assignment]
    evidence = lie(cluster)
    tell(cluster, evidence)
    assert all(replica.evidence == (evidence,) for replica in cluster.replicas)
    assert all(read_evidence(store) == (evidence,) for store in cluster.stores)
    assert len(sent) == len(cluster.replicas) * (len(cluster.replicas) - 1)
    tell(cluster, evidence)
    assert len(sent) == len(cluster.replicas) * (len(cluster.replicas) - 1)
    assert misbehaved(cluster) == []


def test_forged_evidence_is_its_tellers_fault_and_convicts_nobody() -> None:
    cluster = Cluster()
    cluster.run_ms(100)
    first, second = lie(cluster).votes
    tell(cluster, replace(lie(cluster), votes=(first, replace(second, signature=bytes(64)))))
    tell(cluster, replace(lie(cluster), votes=()), sender=2)
    assert misbehaved(cluster) == [1, 2]
    assert cluster.replicas[HEARER].evidence == ()


def test_cheater_cannot_fill_the_store_with_its_lies() -> None:
    """The danger: whoever signs a million pairs makes everybody keep them."""
    cluster = Cluster()
    cluster.run_ms(100)
    for view in range(1, 3 * limits.EVIDENCE_PER_SIGNER_MAX):
        tell(cluster, lie(cluster, view))
    assert len(cluster.replicas[HEARER].evidence) == limits.EVIDENCE_PER_SIGNER_MAX
    assert len(read_evidence(cluster.stores[HEARER])) == limits.EVIDENCE_PER_SIGNER_MAX
    tell(cluster, lie(cluster, 9, signer=2))
    assert {item.signer for item in cluster.replicas[HEARER].evidence} == {2, LIAR}


def test_who_was_away_is_told_when_it_is_back() -> None:
    cluster = Cluster()
    cluster.cut_off = {2}
    cluster.run_ms(100)
    tell(cluster, lie(cluster))
    away = cluster.replicas[2]
    assert not away.evidence
    cluster.reconnect(2)
    cluster.run_ms(100)
    assert [item.signer for item in away.evidence] == [LIAR]


def test_evidence_is_held_across_a_reboot() -> None:
    cluster = Cluster()
    cluster.run_ms(100)
    tell(cluster, lie(cluster))
    reborn = cluster._new_replica(HEARER)
    assert reborn.evidence == cluster.replicas[HEARER].evidence != ()
