"""What is done in worlds in which more waits to be ordered than a block may order.

Lanes are filled while nobody hears a vote, and stay full while nobody hears whose execution has
come how far. Each play ends with everything ordered, and is worth nothing where the limit that it
is about was never near.
"""

from __future__ import annotations

from dataclasses import replace

from onward import limits
from onward.consensus.messages import Packet, PeerMessage
from onward.simulation.clients import checked
from onward.simulation.consortium import GENESIS_TIME_MS
from onward.simulation.oracles import Violation
from onward.simulation.world import World

_FEED_EVERY_MS = 250
_FULL_MS = 38_000  # a batch waits 60 ms for each one before it: so long for the 32 of a full lane
_EMPTIED_MS_MAX = 20_000
_LARGE_BYTES = 80_000
_LARGE_EACH = 4
_ENVELOPES_EACH = 12


def overfull(world: World) -> None:
    """Every lane is as full as it may be, and more comes while execution seems to stand still."""
    world.expect_finalized(height=1)
    world.wire = _without_order
    _feed(world, _FULL_MS)
    world.wire = _without_results
    _feed(world, 3_000)
    _recover(world)
    _expect_near(world, "growth", limits.LANE_BATCHES_PER_BLOCK_MAX)
    _expect_near(world, "ahead", limits.LANE_AHEAD_OF_EXECUTED_MAX)


def large(world: World) -> None:
    """More bytes wait than a block may order."""
    _pile_up(world, _LARGE_EACH, bodies=1, payload_bytes=_LARGE_BYTES)
    _expect_near(world, "bytes", limits.BLOCK_BYTES_MAX - limits.BATCH_BYTES_MAX)


def many(world: World) -> None:
    """More bodies wait than a block may order."""
    _pile_up(world, _ENVELOPES_EACH, bodies=limits.ENVELOPE_BODIES_MAX, payload_bytes=16)
    _expect_near(world, "bodies", limits.BLOCK_BODIES_MAX - 4 * limits.ENVELOPE_BODIES_MAX)


def unsigned(world: World) -> None:
    """Block upon block is ordered, and nobody hears what executing any of them came to."""
    world.wire = _without_results
    _feed(world, 6_000)
    _expect_near(world, "lag", limits.EXECUTION_LAG_BLOCKS_MAX)
    _recover(world)


def _feed(world: World, for_ms: int) -> None:
    """Each validator gets a small envelope now and then, which nobody asks after."""
    for _ in range(for_ms // _FEED_EVERY_MS):
        _submit(world, bodies=1, payload_bytes=16)
        world.run_ms(_FEED_EVERY_MS)


def _pile_up(world: World, count: int, *, bodies: int, payload_bytes: int) -> None:
    world.expect_finalized(height=1)
    world.wire = _without_order
    for _ in range(count):
        _submit(world, bodies=bodies, payload_bytes=payload_bytes)
        world.run_ms(_FEED_EVERY_MS)
    _recover(world)


def _submit(world: World, *, bodies: int, payload_bytes: int) -> None:
    for host in world.honest:
        order = world.workload.ballast(
            GENESIS_TIME_MS + world.now_ms, bodies=bodies, payload_bytes=payload_bytes
        )
        host.submit(checked(order.envelope))


def _recover(world: World) -> None:
    """All is heard again, and everything that waits is ordered and executed."""
    world.wire = _whole
    world.submit(3)
    world.expect_told(_EMPTIED_MS_MAX)
    world.expect_finalized(world.height + 1)


def _expect_near(world: World, what: str, least: int) -> None:
    found = world.lanes.most[what]
    if found < least:
        raise Violation("pressure", f"{what} came to {found} at most, {least} was meant")


def _whole(message: PeerMessage) -> PeerMessage:
    return message


def _without_order(message: PeerMessage) -> PeerMessage:
    """Batches and acknowledgements pass; blocks, votes and certificates get lost."""
    if not isinstance(message, Packet):
        return message
    return replace(message, status=0, blocks=(), certificates=(), votes=())


def _without_results(message: PeerMessage) -> PeerMessage:
    """What a validator signs of its results gets lost."""
    return replace(message, checkpoints=()) if isinstance(message, Packet) else message
