"""A node that computed something else says exactly what, and believes no liar about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.execution.worlds import Chain, Puppet, body

from onward import limits
from onward.errors import CorruptionError, DivergenceError, Unavailable
from onward.execution.block import write_set
from onward.ledger.block import Executed
from onward.ledger.chain import StoredCheckpoint, read_block
from onward.ledger.results import Leaves, leaves_at, write_set_at
from onward.ledger.store import WRITES, checkpoint_key, u64
from onward.ledger.transaction import body_hash
from onward.runtime import supervisor
from onward.runtime.divergence import Found, examine, write_report
from onward.runtime.home import NodeHome
from onward.telemetry.events import make_log
from onward.types import ValidatorIndex
from onward_chaincode.contract import Context, Recorded, Refuse
from onward_proto.canonical import encode

BLOCKS, BODIES, WRONG_BLOCK, WRONG_BODY = 5, 4, 3, 2
BODY_OF = {
    (block, place): body(salt=100 * block + place)
    for block in range(1, BLOCKS + 1)
    for place in range(BODIES)
}
WRONG_TX = body_hash(encode(BODY_OF[WRONG_BLOCK, WRONG_BODY])).hex()
NAMES = ("v1", "v2", "v3", "v4")


def right(ctx: Context) -> Recorded | None:
    if int(ctx.tx_id, 16) % 3:
        ctx.put(f"count/{ctx.tx_id}", b"right")
        ctx.put("shared", ctx.tx_id.encode())
    ctx.emit("counted", {"by": ctx.caller}, (ctx.caller,))
    return None


def wrong_value(ctx: Context) -> Recorded | None:
    right(ctx)
    if ctx.tx_id == WRONG_TX:
        ctx.put(f"count/{ctx.tx_id}", b"wrong")
        ctx.put("shared", ctx.tx_id.encode())
    return None


def wrong_key(ctx: Context) -> Recorded | None:
    right(ctx)
    if ctx.tx_id == WRONG_TX:
        ctx.put("another", b"key")
    return None


def wrong_verdict(ctx: Context) -> Recorded | None:
    if ctx.tx_id == WRONG_TX:
        raise Refuse("E_MOOD", "not today")
    return right(ctx)


def wrong_event(ctx: Context) -> Recorded | None:
    if ctx.tx_id != WRONG_TX:
        return right(ctx)
    if int(ctx.tx_id, 16) % 3:
        ctx.put(f"count/{ctx.tx_id}", b"right")
        ctx.put("shared", ctx.tx_id.encode())
    ctx.emit("counted", {"by": "somebody"}, (ctx.caller,))
    return None


def chain(action: Any) -> Chain:
    made = Chain(Puppet(action))
    for block in range(1, BLOCKS + 1):
        made.execute(*(made.envelope(BODY_OF[block, place]) for place in range(BODIES)))
    return made


class Peers:
    """Validators 1 to 3, each with a chain, or with what a test makes it say."""

    def __init__(self, *chains: Chain) -> None:
        self.chains = dict(enumerate(chains, start=1))
        self.indexes = [ValidatorIndex(number) for number in self.chains]
        self.asked: list[int] = []

    async def leaves(self, peer: ValidatorIndex, height: int) -> Leaves:
        self.asked.append(peer)
        found = leaves_at(self.chains[peer].store, height)
        if found is None:
            raise Unavailable("not there")
        return found

    async def write_set(self, peer: ValidatorIndex, height: int, index: int) -> bytes:
        found = write_set_at(self.chains[peer].store, height, index)
        if found is None:
            raise Unavailable("not kept")
        return found


def certified(made: Chain, height: int = BLOCKS) -> DivergenceError:
    stored = read_block(made.store, height)
    assert stored is not None
    result = Executed(height=height, log_size=stored.log_size, log_root=stored.log_root)
    return DivergenceError("they say otherwise", certified=result)


def agree_until(own: Chain, height: int) -> None:
    """The node holds a certified checkpoint of this height: there, all agreed."""
    error = certified(own, height)
    assert isinstance(error.certified, Executed)
    stored = StoredCheckpoint(executed=error.certified, note=b"note")
    own.store.rows[checkpoint_key(height)] = encode(stored)


@pytest.mark.parametrize("agreed", [None, 1, WRONG_BLOCK - 1])
async def test_key_and_both_values_are_named(agreed: int | None) -> None:
    """What an operator needs to find the line of the contract that did it."""
    honest, own = chain(right), chain(wrong_value)
    if agreed is not None:
        agree_until(own, agreed)
    found = await examine(own.store, certified(honest), (ValidatorIndex(1),), Peers(honest))
    assert found is not None
    assert found.parting.height == WRONG_BLOCK
    assert found.parting.index == WRONG_BODY
    assert found.key is not None
    assert found.key.key == f"puppet/count/{WRONG_TX}"
    assert found.key.own == b"wrong"
    assert found.key.theirs in (b"right", None)
    assert WRONG_TX in found.sentence
    assert found.key.key in found.sentence


async def test_key_that_only_one_side_wrote_is_named() -> None:
    honest, own = chain(right), chain(wrong_key)
    found = await examine(own.store, certified(honest), (ValidatorIndex(1),), Peers(honest))
    assert found is not None
    assert found.key is not None
    assert (found.key.key, found.key.is_own, found.key.is_theirs) == ("puppet/another", True, False)


@pytest.mark.parametrize(
    ("action", "words"), [(wrong_verdict, "E_MOOD"), (wrong_event, "announced something else")]
)
async def test_another_verdict_or_event_is_named(action: Any, words: str) -> None:
    honest, own = chain(right), chain(action)
    found = await examine(own.store, certified(honest), (ValidatorIndex(1),), Peers(honest))
    assert found is not None
    assert found.parting.height == WRONG_BLOCK
    assert words in found.sentence
    assert WRONG_TX in found.sentence


async def test_peer_that_parted_in_the_same_way_is_not_believed() -> None:
    """Two nodes with the same wrong program agree with each other, and with no certificate."""
    honest, own = chain(right), chain(wrong_value)
    found = await examine(own.store, certified(honest), (ValidatorIndex(1),), Peers(own))
    assert found is None


async def test_peer_that_lies_about_its_leaves_is_passed_over() -> None:
    """One liar could otherwise send the operators after an innocent transaction."""
    honest, own, liar = chain(right), chain(wrong_value), chain(wrong_event)
    peers = Peers(liar, honest)
    found = await examine(own.store, certified(honest), peers.indexes, peers)
    assert found is not None
    assert found.peer == 2
    assert found.key is not None


@pytest.mark.parametrize("moved", [-1, 1, 3])
async def test_peer_that_cuts_the_log_into_other_blocks_is_passed_over(moved: int) -> None:
    """The same leaves have the same root wherever the blocks end: that alone certifies no place."""
    honest, own = chain(right), chain(wrong_value)
    peers = Peers(honest, honest)
    blocks = [leaves_at(honest.store, height) or () for height in range(1, BLOCKS + 1)]
    log = [leaf for leaves in blocks for leaf in leaves]
    end = len(blocks[0]) + moved

    async def lie(peer: ValidatorIndex, height: int) -> Leaves:
        cut = [tuple(log[:end]), tuple(log[end:]), (), (), ()]
        return cut[height - 1] if peer == 1 else blocks[height - 1]

    peers.leaves = lie  # type: ignore[method-assign]
    found = await examine(own.store, certified(honest), peers.indexes, peers)
    assert found is not None
    assert found.peer == 2
    assert (found.parting.height, found.parting.index) == (WRONG_BLOCK, WRONG_BODY)


@pytest.mark.parametrize("leaf", [b"", b"\xff", b"\x08\x02"])
async def test_peer_that_answers_with_noise_is_passed_over(leaf: bytes) -> None:
    honest, own = chain(right), chain(wrong_value)
    peers = Peers(honest, honest)
    tell = peers.leaves

    async def lie(peer: ValidatorIndex, height: int) -> Leaves:
        return (leaf,) * (height % 2) if peer == 1 else await tell(peer, height)

    peers.leaves = lie  # type: ignore[method-assign]
    found = await examine(own.store, certified(honest), peers.indexes, peers)
    assert found is not None
    assert found.peer == 2


async def test_peer_that_never_answers_leaves_the_others_their_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of the liars could otherwise keep every report from being written."""
    monkeypatch.setattr(limits, "DIVERGENCE_S_MAX", 0.1)
    honest, own = chain(right), chain(wrong_value)
    peers = Peers(honest, honest, honest)
    tell = peers.leaves

    async def hang(peer: ValidatorIndex, height: int) -> Leaves:
        if peer == 1:
            await asyncio.Event().wait()
        return await tell(peer, height)

    peers.leaves = hang  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        found = await examine(own.store, certified(honest), peers.indexes, peers)
    assert found is not None
    assert found.peer == 2


@pytest.mark.parametrize("fault", [OSError("disk full"), CorruptionError("torn"), ValueError("x")])
async def test_examination_that_fails_does_not_take_the_place_of_the_divergence(
    fault: Exception, make_home: Callable[..., NodeHome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another error has another exit code, and whoever restarts the node by it restarts it."""

    async def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(supervisor, "examine", fail)
    logged = StringIO()
    home = await asyncio.to_thread(make_home)
    node = supervisor.Supervisor(home, make_log("info", stream=logged))
    parts: Any = SimpleNamespace(peers=None)
    await node._examine(parts, Chain(Puppet(right)).store, DivergenceError("they say otherwise"))
    assert json.loads(logged.getvalue())["event"] == "divergence_unexplained"


async def test_peer_that_lies_about_a_write_set_names_no_key() -> None:
    """Its leaves are certified, so the transaction stands; the key it makes up does not."""
    honest, own = chain(right), chain(wrong_value)
    peers = Peers(honest)
    lies = encode(write_set_of("puppet/innocent"))

    async def lie(*_: object) -> bytes:
        return lies

    peers.write_set = lie  # type: ignore[assignment,method-assign]
    found = await examine(own.store, certified(honest), peers.indexes, peers)
    assert found is not None
    assert found.key is None
    assert found.parting.index == WRONG_BODY


@pytest.mark.parametrize("hangs", [False, True])
async def test_peer_that_keeps_a_write_set_back_does_not_hide_the_key(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one can show it: the first that could show the transaction is not the only one."""
    monkeypatch.setattr(limits, "DIVERGENCE_S_MAX", 0.1)
    honest, own = chain(right), chain(wrong_value)
    peers = Peers(honest, honest, honest)
    tell, lies = peers.write_set, encode(write_set_of("puppet/innocent"))

    async def lie(peer: ValidatorIndex, height: int, index: int) -> bytes:
        if peer == 1 and hangs:
            await asyncio.Event().wait()
        return lies if peer == 1 else await tell(peer, height, index)

    peers.write_set = lie  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        found = await examine(own.store, certified(honest), peers.indexes, peers)
    assert found is not None
    assert found.peer == 2
    assert found.key is not None


async def test_nobody_who_can_show_it_is_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    honest, own = chain(right), chain(wrong_value)
    peers = Peers(Chain(Puppet(right)))  # it is behind
    assert await examine(own.store, certified(honest), peers.indexes, peers) is None
    assert await examine(own.store, DivergenceError("a bad block"), peers.indexes, peers) is None
    monkeypatch.setattr(limits, "RECENT_HEIGHTS_KEPT", 2)
    many = Peers(honest)
    assert await examine(own.store, certified(honest), many.indexes, many) is None
    assert many.asked == []


async def test_write_sets_that_are_gone_leave_the_transaction_named() -> None:
    honest, own = chain(right), chain(wrong_value)
    del own.store.rows[WRITES + u64(WRONG_BLOCK)]
    found = await examine(own.store, certified(honest), (ValidatorIndex(1),), Peers(honest))
    assert found is not None
    assert found.key is None
    assert WRONG_TX in found.sentence


async def test_report_shows_both_sides(tmp_path: Path) -> None:
    honest, own = chain(right), chain(wrong_value)
    found = await examine(own.store, certified(honest), (ValidatorIndex(1),), Peers(honest))
    document = await asyncio.to_thread(report_of, found, tmp_path)
    assert document["transaction"] == WRONG_TX
    assert document["shown_by"] == "v2"
    assert document["key"]["here"] == b"wrong".hex()
    assert document["key"]["certified"] in (b"right".hex(), "not written")
    assert document["here"]["writes"] != document["certified"]["writes"]


def report_of(found: Found | None, folder: Path) -> Any:
    assert found is not None
    return json.loads(write_report(folder, found, NAMES).read_text(encoding="utf-8"))


def write_set_of(key: str) -> Any:
    return write_set({key: b"made up"})
