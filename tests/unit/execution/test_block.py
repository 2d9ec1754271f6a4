"""A block: verdicts in order, leaves, roots, one write batch, and nothing executed twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.execution.worlds import T0, Chain, Puppet, body

from onward import limits
from onward.crypto.hashing import TAG_EVENT, TAG_WRITES, tagged_hash
from onward.errors import CorruptionError, InvariantError
from onward.execution.block import write_set
from onward.ledger import statemap
from onward.ledger.chain import (
    BlockWrites,
    read_block,
    read_log_node,
    read_tip,
    read_transaction,
)
from onward.ledger.leaf import Outcome
from onward.ledger.log import LogFrontier
from onward.ledger.merkle import leaf_hash
from onward.ledger.statemap import KeptPages, MapRef, key_path, value_hash
from onward.ledger.statemap.pages import page_version
from onward.ledger.store import (
    MAP_FLOORS,
    MAP_KEPT_KEY,
    MAP_NODE,
    MAP_STEPS,
    PROJECTION,
    STATE,
    WRITES,
    prefix_end,
    transaction_key,
    transactions_key,
    u64,
)
from onward.ledger.transaction import body_hash
from onward.system.contracts import genesis_state
from onward_chaincode.contract import Context, Refuse
from onward_proto.canonical import encode


def state_of(chain: Chain) -> dict[str, bytes]:
    rows = chain.store.scan(STATE, prefix_end(STATE))
    return {key[len(STATE) :].decode(): value for key, value in rows}


def map_root(state: dict[str, bytes]) -> bytes:
    """The root of a map that is built from nothing."""
    return statemap.apply(lambda _: None, statemap.EMPTY_MAP, 0, dict(state)).root


def test_genesis_writes_the_state_that_the_document_states() -> None:
    chain = Chain()
    tip = read_tip(chain.store)
    stored = read_block(chain.store, 0)
    assert tip is not None
    assert stored is not None
    assert state_of(chain) == genesis_state(chain.genesis)
    assert stored.state_root == map_root(genesis_state(chain.genesis))
    assert (tip.height, tip.time_ms, stored.log_size) == (0, T0, 0)
    assert set(state_of(chain)) >= {"sys/party/acme", "sys/contract/puppet"}


def test_every_outcome_leaves_what_it_should() -> None:
    """A void body has no leaf: it would be a statement on the account of a party that made none."""

    def action(ctx: Context) -> None:
        if ctx.caller == "beta":
            raise Refuse("E_NO", "not beta")
        ctx.put(f"by/{ctx.caller}", b"1")
        ctx.emit("moved", {}, ())

    puppet = Puppet(action)
    puppet.rows = {"row": b"1"}
    chain = Chain(puppet)
    good, bad, void = body(), body(actor="beta"), body(actor="nobody")
    done = chain.execute(chain.envelope(good), chain.envelope(void), chain.envelope(bad))
    assert [item.result.outcome for item in done.bodies] == [
        Outcome.ACCEPTED,
        None,
        Outcome.REFUSED,
    ]
    assert done.log_indexes == (0, None, 1)
    assert done.log_size == 3, "two bodies and the block"
    first, second = (read_transaction(chain.store, body_hash(encode(item))) for item in (good, bad))
    assert first is not None
    assert second is not None
    assert (first.leaf.code, first.leaf.index, second.leaf.code, second.leaf.index) == (
        "OK",
        0,
        "E_NO",
        1,
    )
    assert read_transaction(chain.store, body_hash(encode(void))) is None
    assert chain.store.get(transactions_key(1)) == body_hash(encode(good)) + body_hash(encode(bad))
    stored = read_block(chain.store, 1)
    assert stored is not None
    assert stored.void_count == 1
    assert state_of(chain)["puppet/by/acme"] == b"1"
    assert chain.store.get(PROJECTION + b"puppet/row") == b"1"
    assert done.state_root == map_root(state_of(chain))
    tip = read_tip(chain.store)
    assert tip is not None
    assert LogFrontier.decode(tip.frontier).root() == done.log_root


def test_body_is_executed_once_in_a_block_and_on_the_chain() -> None:
    chain = Chain()
    item = chain.envelope(body())
    first = chain.execute(item, item)
    assert [done.result.code for done in first.bodies] == ["OK", "E_REPLAY"]
    second = chain.execute(item)
    assert [(done.result.code, done.result.outcome) for done in second.bodies] == [
        ("E_REPLAY", None)
    ]
    assert second.state_root == first.state_root


def test_the_same_body_under_other_signatures_is_the_same_body() -> None:
    """Otherwise a second envelope, signed again, would execute it a second time."""
    chain = Chain()
    again = chain.envelope(body(), signers=("acme", "beta"))
    done = chain.execute(chain.envelope(body()), again)
    assert [item.result.code for item in done.bodies] == ["OK", "E_REPLAY"]


def test_refused_body_is_not_tried_again_but_a_void_one_may_come_back() -> None:
    """A forged envelope must not use up the body of the party whose name it carries."""
    chain = Chain(Puppet(lambda ctx: (_ for _ in ()).throw(Refuse("E_NO", "never"))))
    refused = chain.envelope(body())
    codes = [item.result.code for item in chain.execute(refused, refused).bodies]
    assert codes == ["E_NO", "E_REPLAY"]
    forged = chain.envelope(body(salt=1), signers=("beta",))
    honest = chain.envelope(body(salt=1))
    codes = [item.result.code for item in chain.execute(forged, honest).bodies]
    assert codes == ["E_PARTY", "E_NO"]


def test_bodies_see_the_writes_of_those_before_them_in_the_block() -> None:
    def count(ctx: Context) -> None:
        seen = len(ctx.scan("n/", "n0", 100))
        ctx.put(f"n/{seen}", b"1")
        ctx.emit("counted", {"seen": seen}, ())

    chain = Chain(Puppet(count))
    chain.execute(chain.envelope(*(body(salt=index) for index in range(3))))
    chain.execute(chain.envelope(body(salt=3)))
    assert sorted(key for key in state_of(chain) if key.startswith("puppet/")) == [
        f"puppet/n/{index}" for index in range(4)
    ]


@pytest.mark.parametrize("slice_bodies", [1, 2, 3, 7])
def test_block_in_slices_gives_the_same_result_as_in_one_go(slice_bodies: int) -> None:
    """Replicas slice as their load allows: the roots may not show it."""

    def prepared() -> tuple[Chain, list[bytes]]:
        chain = Chain()
        chain.execute(chain.envelope(body(salt=100)))
        batches = [
            chain.envelope(*(body(salt=10 * part + index) for index in range(3)))
            for part in range(3)
        ]
        return chain, [*batches, chain.envelope(body(salt=100)), chain.envelope(body(actor="no"))]

    whole, envelopes = prepared()
    expected = whole.execute(*envelopes)
    sliced, envelopes = prepared()
    ordered = sliced.ordered(*envelopes)
    execution = sliced.execution(ordered)
    turns = 1
    while not execution.run(slice_bodies):
        turns += 1
    assert turns > 1
    assert execution.finish() == expected


def test_block_that_does_not_follow_the_tip_is_a_bug_not_a_verdict() -> None:
    chain = Chain()
    ordered = chain.ordered()
    for wrong in (
        replace(ordered.block, height=2),
        replace(ordered.block, parent=bytes(32)),
    ):
        with pytest.raises(InvariantError):
            chain.execution(replace(ordered, block=wrong))


def test_empty_block_appends_its_own_leaf_and_keeps_the_state() -> None:
    chain = Chain()
    before = read_block(chain.store, 0)
    done = chain.execute()
    assert before is not None
    assert (done.state_root, done.log_size) == (before.state_root, 1)


def test_deleted_key_is_gone_from_store_and_root() -> None:
    def toggle(ctx: Context) -> None:
        if ctx.get("k") is None:
            ctx.put("k", b"1")
        else:
            ctx.delete("k")
        ctx.emit("toggled", {}, ())

    chain = Chain(Puppet(toggle))
    empty = read_block(chain.store, 0)
    assert empty is not None
    assert chain.execute(chain.envelope(body(salt=1))).state_root != empty.state_root
    assert chain.execute(chain.envelope(body(salt=2))).state_root == empty.state_root
    assert "puppet/k" not in state_of(chain)


def test_rows_put_together_from_encoded_parts_are_the_rows_that_are_read() -> None:
    """Readers take them apart as `StoredTransaction` and `BlockWrites`: one byte off is damage."""

    def act(ctx: Context) -> None:
        ctx.put("k", b"v" * 300)
        ctx.put("b", b"w")
        ctx.delete("gone")
        ctx.emit("set", {"n": 1}, ("acme",))

    chain = Chain(Puppet(act))
    done = chain.execute(
        chain.envelope(body(salt=1)), chain.envelope(body(salt=2, valid_until_ms=1))
    )
    tx_hash = done.bodies[0].transaction.tx_hash
    stored = read_transaction(chain.store, tx_hash)
    assert stored is not None
    assert stored.event is not None
    assert encode(stored) == chain.store.get(transaction_key(tx_hash))
    sets = tuple(write_set(item.result.writes) for item in done.bodies)
    assert [len(item.writes) for item in sets] == [3, 0]
    assert chain.store.get(WRITES + u64(1)) == encode(BlockWrites(writes=sets))
    assert stored.leaf.write_set_hash == tagged_hash(TAG_WRITES, encode(sets[0]))
    assert stored.leaf.event_hash == tagged_hash(TAG_EVENT, encode(stored.event))
    assert read_log_node(chain.store, 0, 0) == leaf_hash(encode(stored.leaf))
    with pytest.raises(CorruptionError):
        read_log_node(chain.store, 0, done.log_size)


def test_recent_rows_are_kept_for_a_while_and_then_removed() -> None:
    """What is only for naming a divergence may not grow with the chain."""
    chain = Chain(Puppet(_overwrite))
    for index in range(limits.RECENT_HEIGHTS_KEPT + 6):
        chain.execute(chain.envelope(body(salt=index)), time_ms=T0 + index + 1)
    oldest = chain.last.height - limits.RECENT_HEIGHTS_KEPT
    for family in (WRITES, MAP_FLOORS):
        assert chain.store.get(family + u64(oldest)) is None
        assert chain.store.get(family + u64(oldest + 1)) is not None


def test_old_pages_are_given_up_and_recent_versions_of_the_map_stay_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page that is removed while a version needs it is a proof that cannot be given.

    Worse: a key that is never written again, and whose page was not moved, stops the node.
    """
    monkeypatch.setattr(limits, "STATE_PAGES_SPARE", 10)
    monkeypatch.setattr(limits, "RECENT_HEIGHTS_KEPT", 16)
    chain = Chain(Puppet(_spread))
    refs: list[tuple[MapRef, dict[str, bytes]]] = []
    counts: list[int] = []
    for index in range(120):
        chain.execute(chain.envelope(body(salt=index)), time_ms=T0 + index + 1)
        refs.append((map_of(chain), state_of(chain)))
        for ref, state in refs[-16:]:
            found = sorted(statemap.leaves(lambda key: chain.store.get(MAP_NODE + key), ref))
            assert found == sorted((key_path(k), value_hash(v)) for k, v in state.items())
        assert refs[-1][0].root == map_root(state_of(chain))
        counts.append(sum(1 for _ in chain.store.scan(MAP_NODE, prefix_end(MAP_NODE))))
    kept = KeptPages.decode(chain.store.get(MAP_KEPT_KEY))
    assert kept.floor > 80
    assert kept.living == len({key for key, _ in _pages_below(chain, refs[-1][0])})
    recent = sum(1 for _ in chain.store.scan(MAP_NODE + page_version(kept.floor), MAP_NODE + b"z"))
    assert kept.kept == recent
    assert max(counts[60:]) < 2 * counts[60], "it does not grow with the chain"


def test_large_blocks_after_very_many_small_ones_do_not_fill_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two old heights for each new one: where the old are tiny, more is written than goes."""
    monkeypatch.setattr(limits, "STATE_PAGES_SPARE", 500)
    monkeypatch.setattr(limits, "RECENT_HEIGHTS_KEPT", 4)
    contract = Puppet(_overwrite)
    chain = Chain(contract)
    too_many: list[int] = []
    for index in range(240):
        if index == 200:
            contract.action = _overwrite_many
        chain.execute(chain.envelope(body(salt=index)), time_ms=T0 + index + 1)
        kept = KeptPages.decode(chain.store.get(MAP_KEPT_KEY))
        too_many.append(kept.kept - limits.STATE_PAGES_KEPT_RATIO * kept.living - 500)
    assert max(too_many[:200]) < 10
    assert max(too_many) < 100, "what two blocks write"


def test_a_map_that_nobody_writes_to_moves_on_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other page is moved with one above it; the root's has nothing above it."""
    monkeypatch.setattr(limits, "STATE_PAGES_SPARE", -1_000_000)
    monkeypatch.setattr(limits, "RECENT_HEIGHTS_KEPT", 4)
    chain = Chain(Puppet(_spread))
    for index in range(60):
        envelopes = [chain.envelope(body(salt=index))] if index < 10 else []
        chain.execute(*envelopes, time_ms=T0 + index + 1)
        found = statemap.leaves(lambda key: chain.store.get(MAP_NODE + key), map_of(chain))
        assert len(list(found)) == len(state_of(chain))
    assert KeptPages.decode(chain.store.get(MAP_KEPT_KEY)).floor > 50
    assert len(list(chain.store.scan(MAP_STEPS, prefix_end(MAP_STEPS)))) < 10


def test_a_database_without_the_count_of_its_pages_is_refused() -> None:
    chain = Chain()
    del chain.store.rows[MAP_KEPT_KEY]
    with pytest.raises(CorruptionError, match="count"):
        chain.execute(chain.envelope(body(salt=1)))


def map_of(chain: Chain) -> MapRef:
    tip = read_tip(chain.store)
    assert tip is not None
    return MapRef.decode(tip.state_map)


def _pages_below(chain: Chain, ref: MapRef) -> list[tuple[bytes, bytes]]:
    """The keys and bytes of the pages that one version of the map refers to."""
    found: list[tuple[bytes, bytes]] = []

    def read(key: bytes) -> bytes | None:
        page = chain.store.get(MAP_NODE + key)
        found.append((key, page or b""))
        return page

    list(statemap.leaves(read, ref))
    return found


def _spread(ctx: Context) -> None:
    """Some keys that change again and again, one that never does."""
    turn = ctx.tx_id[0]
    ctx.put(f"changing/{turn}", ctx.tx_id.encode())
    if turn in "01234567":
        ctx.delete(f"changing/{turn.translate(str.maketrans('01234567', '89abcdef'))}")
    ctx.put(f"staying/{ctx.tx_id[:2]}", b"x")
    ctx.emit("set", {}, ())


def _overwrite_many(ctx: Context) -> None:
    for number in range(100):
        ctx.put(f"many/{number}", ctx.tx_id.encode())
    ctx.emit("set", {}, ())


def _overwrite(ctx: Context) -> None:
    ctx.put("k", ctx.tx_id.encode())
    ctx.emit("set", {}, ())
