"""Whatever one validator of four sends, well-formed and senseless: the others agree and go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.cluster import Cluster

from onward import limits
from onward.consensus.messages import (
    Certificate,
    ChainEntry,
    ChainPage,
    ChainRequest,
    CheckpointSignature,
    Fetch,
    IndexedSignature,
    Packet,
    PeerMessage,
    Vote,
    VoteKind,
    vote_signed_bytes,
)
from onward.errors import MalformedError
from onward.ledger.block import (
    Batch,
    Block,
    Executed,
    LanePoint,
    batch_head,
    batch_signed_bytes,
    block_digest,
)
from onward.types import NIL

T = TypeVar("T")
LIAR = 1
HONEST = (0, 2, 3)
_TAIL_MS = 9_000

NUMBERS = st.one_of(
    st.integers(0, 12), st.sampled_from([24, 63, 64, 65, 97, 513, 2**32, 2**53 - 1])
)
SIGNERS = st.integers(0, 6)
SIGNATURES = st.sampled_from([bytes(64), b"\xff" * 64])


class Pool:
    """What a cluster has said: the raw material of lies."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.certificates: list[Certificate] = []
        self.votes: list[Vote] = []
        self.batches: list[Batch] = []
        self.digests: list[bytes] = [NIL, bytes([7]) * 32]

    def listen(self, _sender: int, _to: int, message: PeerMessage) -> PeerMessage:
        if isinstance(message, Packet):
            self.blocks += message.blocks
            self.certificates += message.certificates
            self.votes += message.votes
            self.digests += [block_digest(block) for block in message.blocks]
            self.digests += [point.head for block in message.blocks for point in block.cut]
        if isinstance(message, Batch):
            self.batches.append(message)
        return message


@cache
def heard() -> tuple[Pool, tuple[ChainPage, ...]]:
    """A little of the history that every cluster here begins with, and its pages."""
    pool, cluster = Pool(), started()
    cluster.filter = pool.listen
    cluster.run_ms(700)
    return pool, tuple(cluster.page(0, height) for height in (1, 2, 4))


def started() -> Cluster:
    """Always the same: what one of them said fits the others.

    So a certificate of another one holds votes that these validators have yet to give: to them it
    is a vote that they forgot, which is not what this is about.
    """
    cluster = Cluster(may_abstain=False)
    for number in range(6):
        cluster.submit(number, to=number % 4)
    return cluster


def changed(item: T, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[T]:
    """The same with some of these fields replaced."""
    names = sorted(fields)

    def put(chosen: list[str], values: tuple[object, ...]) -> T:
        by_name = dict(zip(names, values, strict=True))
        return replace(item, **{name: by_name[name] for name in chosen})  # type: ignore[type-var]

    chosen = st.lists(st.sampled_from(names), max_size=2, unique=True)
    return st.builds(put, chosen, st.tuples(*(fields[name] for name in names)))


class Lies:
    """Strategies for everything that the liar can send."""

    def __init__(self, cluster: Cluster) -> None:
        pool, pages = heard()
        self._cluster = cluster
        digests = st.sampled_from(pool.digests)
        points = st.builds(LanePoint, seq=NUMBERS, head=digests)
        cuts = st.one_of(
            st.lists(points, max_size=5).map(tuple),
            st.sampled_from(pool.blocks).flatmap(lambda block: st.just(block.cut)),
        )
        executed = st.builds(Executed, height=NUMBERS, log_size=NUMBERS, log_root=digests)
        self.blocks = st.sampled_from(pool.blocks).flatmap(
            lambda block: changed(
                block,
                view=NUMBERS,
                height=NUMBERS,
                parent_view=NUMBERS,
                parent=digests,
                time_ms=st.sampled_from([0, block.time_ms + 1, 2**53 - 1]),
                cut=cuts,
                executed=executed,
                epoch=st.integers(0, 1),
            )
        )
        self.certificates = st.sampled_from(pool.certificates).flatmap(
            lambda item: changed(
                item,
                kind=st.integers(0, 3),
                view=NUMBERS,
                digest=digests,
                signatures=st.lists(
                    st.builds(IndexedSignature, signer=SIGNERS, signature=SIGNATURES), max_size=4
                ).map(tuple),
            )
        )
        own_votes = st.builds(
            self._vote, st.integers(1, 3), st.integers(1, 80), digests, st.just(LIAR)
        )
        wrong_votes = st.builds(
            Vote,
            kind=st.integers(0, 3),
            view=NUMBERS,
            digest=digests,
            signer=SIGNERS,
            signature=SIGNATURES,
        )
        self.batches = st.one_of(
            st.builds(
                self._batch,
                seq=st.integers(0, 70),
                previous=digests,
                content=st.sampled_from([b"junk", *(b.envelopes[0] for b in pool.batches)]),
            ),
            st.sampled_from(pool.batches).flatmap(
                lambda batch: changed(
                    batch, author=SIGNERS, seq=NUMBERS, previous=digests, epoch=st.integers(0, 1)
                )
            ),
        )
        checkpoints = st.builds(CheckpointSignature, height=NUMBERS, signature=SIGNATURES)
        packets = st.builds(
            Packet,
            status=NUMBERS,
            height=NUMBERS,
            blocks=st.lists(self.blocks, max_size=2).map(tuple),
            certificates=st.lists(self.certificates, max_size=2).map(tuple),
            votes=st.lists(st.one_of(own_votes, own_votes, wrong_votes), max_size=3).map(tuple),
            tips=st.one_of(st.just(()), cuts),
            checkpoints=st.lists(checkpoints, max_size=3).map(tuple),
        )
        proposals = self.blocks.map(self._proposal)
        fetches = st.builds(
            Fetch,
            blocks=st.lists(digests, max_size=limits.FETCH_DIGESTS_MAX).map(tuple),
            batches=st.lists(digests, max_size=limits.FETCH_DIGESTS_MAX).map(tuple),
        )
        entries = st.sampled_from([entry for page in pages for entry in page.entries]).flatmap(
            lambda entry: changed(
                entry,
                block=self.blocks,
                batches=st.lists(self.batches, max_size=3).map(tuple),
            )
        )
        whole_pages = st.sampled_from(pages).flatmap(
            lambda page: changed(
                page,
                tip=NUMBERS,
                entries=st.lists(entries, max_size=3).map(tuple[ChainEntry, ...]),
                links=st.lists(self.blocks, max_size=3).map(tuple),
                final=st.one_of(st.none(), self.certificates),
            )
        )
        requests = st.builds(ChainRequest, from_height=NUMBERS)
        self.messages: st.SearchStrategy[PeerMessage] = st.one_of(
            packets, proposals, self.batches, fetches, requests, whole_pages
        )

    def _vote(self, kind: int, view: int, digest: bytes, signer: int) -> Vote:
        digest = NIL if kind == VoteKind.NULLIFY else digest
        signed = vote_signed_bytes(self._cluster.genesis.chain_id, 0, kind, view, digest)
        signature = self._cluster.keys[signer].sign(signed)
        return Vote(kind=kind, view=view, digest=digest, signer=signer, signature=signature)

    def _proposal(self, block: Block) -> Packet:
        """A block in a view that the liar leads, with its vote."""
        led = replace(block, view=block.view % 64 // 4 * 4 + LIAR, epoch=0)
        vote = self._vote(VoteKind.NOTARIZE, led.view, block_digest(led), LIAR)
        return Packet(
            status=0, height=0, blocks=(led,), certificates=(), votes=(vote,), tips=(),
            checkpoints=(),
        )  # fmt: skip

    def _batch(self, seq: int, previous: bytes, content: bytes) -> Batch:
        """One that the liar really signed."""
        draft = Batch(
            author=LIAR,
            epoch=0,
            seq=seq,
            previous=previous,
            envelopes=(content,),
            signature=bytes(64),
        )
        head = batch_head(self._cluster.genesis.chain_id, draft)
        return replace(draft, signature=self._cluster.keys[LIAR].sign(batch_signed_bytes(head)))


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_senseless_messages_of_one_validator_change_nothing(data: st.DataObject) -> None:
    cluster = started()
    send = sender(cluster)
    lies = data.draw(st.lists(Lies(cluster).messages, min_size=25, max_size=60))
    for number, lie in enumerate(lies):
        send(lie)
        cluster.run_ms(number % 3 * 20)
    cluster.run_ms(1_000)
    tx_hashes = [cluster.submit(100 + index, to=index) for index in HONEST]
    cluster.run_ms(_TAIL_MS)
    for index in HONEST:
        verdicts = cluster.verdicts(index)
        assert all(verdicts[tx_hash] == "OK" for tx_hash in tx_hashes)
        roots = {commit.height: commit.state_root for commit in cluster.commits[index]}
        for commit in cluster.commits[0]:
            assert roots.get(commit.height, commit.state_root) == commit.state_root


def sender(cluster: Cluster) -> Callable[[PeerMessage], None]:
    """Sends to every honest validator what the wire can carry."""

    def send(message: PeerMessage) -> None:
        for index in HONEST:
            try:
                cluster.send(LIAR, index, message)
            except MalformedError:
                return  # the wire itself refuses it

    return send
