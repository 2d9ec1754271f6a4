"""The order of effects, with a scripted replica and a disk that waits for the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event as Gate
from typing import Any

import pytest

from onward import limits
from onward.consensus.messages import ChainPage, ChainRequest, PeerMessage, Vote
from onward.errors import CorruptionError, DivergenceError, InvariantError, Unavailable
from onward.ledger.store import WriteBatch
from onward.ledger.transaction import CheckedEnvelope
from onward.replica.effects import (
    Answer,
    BatchChecked,
    Boot,
    Commit,
    Effects,
    Event,
    Happened,
    Outbound,
    Serve,
    Submitted,
    Tick,
    Verdict,
    VerifyJob,
)
from onward.runtime.driver import Driver, DriverPorts
from onward.runtime.inbox import Inbox
from onward.telemetry.events import EventSink, make_log
from onward.telemetry.metrics import make_metrics
from onward.types import NIL, Digest, ValidatorIndex

BOOT = Boot(journal=(), batches=())
WITHIN_S = 30
VOTE = Vote(kind=2, view=1, digest=NIL, signer=0, signature=bytes(64))


class ScriptedReplica:
    """Answers each event with what the test wrote down for it; the default is nothing."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events
        self.script: list[Effects | Exception] = []
        self.stepped: list[Event] = []
        self.wake_at_ms: int | None = None

    def step_all(self, events: Sequence[Event], now_ms: int) -> Effects:
        self.stepped += events
        self.events.append(("step", tuple(events)))
        if isinstance(events[0], Boot) or not self.script:
            return Effects(wake_at_ms=self.wake_at_ms)
        effects = self.script.pop(0)
        if isinstance(effects, Exception):
            raise effects
        return effects


class GatedDisk:
    """Persists one staged step whenever the test opens the gate."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events
        self.gate = Gate()
        self.closed = False
        self.full = False
        self.staged: list[Effects] = []
        self.persisted_through = 0
        self.error: Exception | None = None

    @property
    def pending(self) -> bool:
        return self.persisted_through < len(self.staged)

    def stage(self, effects: Effects) -> int:
        if effects.persist or effects.commit or effects.store:
            self.staged.append(effects)
        return len(self.staged)

    def write(self, persisted: Callable[[int], None]) -> None:
        while self.pending and not self.closed:
            if not self.gate.wait(WITHIN_S):
                raise TimeoutError("the gate stayed shut")
            if self.error is not None:
                raise self.error
            group = len(self.staged)
            self.events.append(("durable", group))
            self.persisted_through = group
            persisted(group)


class RecordingPorts:
    """Peers, clients and verifier in one: each call becomes an entry."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events

    def send(self, to: ValidatorIndex | None, message: PeerMessage) -> None:
        self.events.append(("send", message))

    def punish(self, peer: ValidatorIndex, reason: str) -> None:
        self.events.append(("punish", peer))

    def finished(self, verdicts: Sequence[Verdict]) -> None:
        self.events.append(("finished", tuple(verdicts)))

    def refused(self, answer: Answer) -> None:
        self.events.append(("refused", answer))

    def progressed(self) -> None:
        self.events.append(("progressed", None))

    def submit(self, job: VerifyJob) -> None:
        self.events.append(("verify", job))

    async def run(self) -> None:
        raise NotImplementedError


class FakeClock:
    def __init__(self) -> None:
        self.ms = 1_000

    def now_ms(self) -> int:
        return self.ms


class Stand:
    """A driver with everything around it scripted."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.replica = ScriptedReplica(self.events)
        self.disk = GatedDisk(self.events)
        self.inbox = Inbox()
        self.ports = RecordingPorts(self.events)
        self.clock = FakeClock()
        self.writer = ThreadPoolExecutor(1)
        metrics = make_metrics()
        self.driver = Driver(
            DriverPorts(
                machine=self.replica,
                disk=self.disk,
                writer=self.writer,
                inbox=self.inbox,
                peers=self.ports,
                clients=self.ports,
                verifier=self.ports,
                chain_page=self.chain_page,
                clock=self.clock,
                events=EventSink(make_log("error"), metrics),
                metrics=metrics,
                accused=lambda: self.events.append(("accused", None)),
            )
        )
        self.task = asyncio.create_task(self.driver.run(BOOT))

    def chain_page(self, from_height: int) -> ChainPage:
        return ChainPage(tip=from_height, entries=(), links=(), final=None)

    def feed(self, *effects: Effects | Exception) -> None:
        """One event for each of these answers."""
        for item in effects:
            self.replica.script.append(item)
            self.inbox.tell(BatchChecked(head=Digest(bytes(32)), opened=((),)))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0)

    def names(self) -> list[str]:
        return [name for name, _ in self.events if name not in ("step", "progressed")]

    async def end(self) -> None:
        self.disk.gate.set()
        self.driver.stop()
        await asyncio.wait({self.task})
        self.writer.shutdown()


@pytest.fixture
async def stand(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    # One event a step: what these tests are about is the order of steps.
    monkeypatch.setattr(limits, "EVENTS_PER_STEP_MAX", 1)
    made = Stand()
    yield made
    await made.end()


def sends(number: int, **more: Any) -> Effects:
    message = ChainRequest(from_height=number)
    return Effects(send=(Outbound(to=None, message=message),), **more)


async def test_vote_is_never_sent_before_it_is_durable(stand: Stand) -> None:
    """A vote that a crash could make us forget must never have been sent."""
    stand.feed(sends(1, persist=(VOTE,)))
    await stand.until(lambda: len(stand.replica.stepped) == 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert stand.names() == []
    stand.disk.gate.set()
    await stand.until(lambda: stand.names() == ["durable", "send"])


async def test_later_steps_run_while_the_disk_works_and_send_in_their_order(stand: Stand) -> None:
    stand.feed(sends(1, persist=(VOTE,)), sends(2), sends(3, persist=(VOTE,)))
    await stand.until(lambda: len(stand.replica.stepped) == 4)
    assert "send" not in stand.names()
    stand.disk.gate.set()
    await stand.until(lambda: stand.names().count("send") == 3)
    sent = [message.from_height for name, message in stand.events if name == "send"]
    assert sent == [1, 2, 3]
    assert stand.names().index("durable") < stand.names().index("send")


async def test_several_steps_become_durable_together(stand: Stand) -> None:
    """One sync for all that was stepped while the last one ran."""
    stand.feed(*(sends(number, persist=(VOTE,)) for number in range(1, 9)))
    await stand.until(lambda: len(stand.replica.stepped) == 9)
    stand.disk.gate.set()
    await stand.until(lambda: stand.names().count("send") == 8)
    assert stand.names().count("durable") <= 3


async def test_what_came_meanwhile_is_taken_in_together(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a look, a sync and a packet cost is shared, up to a bound."""
    monkeypatch.setattr(limits, "EVENTS_PER_STEP_MAX", 3)
    stand.feed(*(sends(number) for number in range(4)))
    await stand.until(lambda: len(stand.replica.stepped) == 5)
    taken = [len(value) for name, value in stand.events if name == "step"]
    assert taken == [1, 3, 1]


async def test_step_that_persists_nothing_sends_at_once(stand: Stand) -> None:
    stand.feed(sends(1))
    await stand.until(lambda: stand.names() == ["send"])


async def test_verdicts_and_refusals_wait_for_durability_too(stand: Stand) -> None:
    verdict = Verdict(
        tx_hash=NIL, height=1, code="OK", rule="", message="", outcome=1, log_index=0, event=None
    )
    commit = Commit(
        height=1,
        time_ms=1,
        state_root=NIL,
        writes=WriteBatch(entries=()),
        batch_heads=(),
        verdicts=(verdict,),
    )
    answer = Answer(tx_hashes=(NIL,), error=Unavailable("full"))
    stand.feed(Effects(persist=(VOTE,), commit=commit, answers=(answer,)))
    await stand.until(lambda: len(stand.replica.stepped) == 2)
    assert stand.names() == []
    stand.disk.gate.set()
    await stand.until(lambda: stand.names() == ["durable", "refused", "finished"])
    assert ("progressed", None) in stand.events


async def test_verify_jobs_and_pages_do_not_wait_for_the_disk(stand: Stand) -> None:
    serve = Serve(to=ValidatorIndex(2), from_height=5)
    stand.feed(Effects(persist=(VOTE,), serve=(serve, replace(serve, from_height=6))))
    await stand.until(lambda: stand.names() == ["send"])
    assert stand.events[-1] == ("send", ChainPage(tip=6, entries=(), links=(), final=None))


async def test_tick_comes_when_it_was_wished(stand: Stand) -> None:
    stand.feed(Effects(wake_at_ms=1_000))
    await stand.until(lambda: stand.replica.stepped[-1] == Tick())


async def test_newer_wish_replaces_the_older_one(stand: Stand) -> None:
    stand.feed(Effects(wake_at_ms=1_001), Effects(wake_at_ms=None))
    await stand.until(lambda: len(stand.replica.stepped) == 3)
    stand.clock.ms = 2_000
    stand.feed(Effects())
    await stand.until(lambda: len(stand.replica.stepped) == 4)
    assert Tick() not in stand.replica.stepped


async def test_peer_that_misbehaved_loses_its_stream(stand: Stand) -> None:
    event = Happened(name="misbehaved", fields=(("peer", 2), ("reason", "forged vote")))
    stand.feed(Effects(events=(event,)))
    await stand.until(lambda: stand.events[-1] == ("punish", 2))


async def test_full_disk_queue_holds_the_steps(stand: Stand) -> None:
    stand.disk.full = True
    stand.feed(sends(1))
    for _ in range(20):
        await asyncio.sleep(0)
    assert stand.replica.stepped == [BOOT]
    stand.disk.full = False
    stand.driver._progress.set()
    await stand.until(lambda: stand.names() == ["send"])


async def test_steps_in_flight_are_bounded(stand: Stand) -> None:
    count = limits.STEPS_IN_FLIGHT_MAX
    stand.feed(*(sends(number + 1, persist=(VOTE,)) for number in range(count + 1)))
    await stand.until(lambda: len(stand.replica.stepped) == count + 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(stand.replica.stepped) == count + 1
    stand.disk.gate.set()
    await stand.until(lambda: len(stand.replica.stepped) == count + 2)


async def test_clean_stop_leaves_with_everything_durable_and_sent(stand: Stand) -> None:
    stand.feed(sends(1, persist=(VOTE,)))
    await stand.until(lambda: len(stand.replica.stepped) == 2)
    stand.driver.stop()
    await asyncio.sleep(0)
    assert not stand.task.done()
    stand.disk.gate.set()
    await asyncio.wait_for(stand.task, WITHIN_S)
    assert stand.names() == ["durable", "send"]


@pytest.mark.parametrize("error", [InvariantError("a bug"), CorruptionError("a lie")])
async def test_error_of_the_replica_ends_the_node(stand: Stand, error: Exception) -> None:
    stand.feed(error)
    with pytest.raises(type(error)):
        await asyncio.wait_for(asyncio.shield(stand.task), WITHIN_S)


async def test_halting_node_leaves_its_evidence_durable_and_told(stand: Stand) -> None:
    """A fork ends the node. What names the cheaters must not end with it."""
    evidence = WriteBatch(entries=((b"e/", b"proof"),))
    found = (Happened(name="evidence"),)
    stand.feed(sends(1, store=(evidence,), events=found, halt=DivergenceError("a fork")))
    stand.feed(sends(2))
    stand.disk.gate.set()
    with pytest.raises(DivergenceError, match="a fork"):
        await asyncio.wait_for(asyncio.shield(stand.task), WITHIN_S)
    assert stand.names() == ["accused", "durable", "send"]
    assert len(stand.replica.stepped) == 2  # the boot and the fork: nothing after it


async def test_failed_disk_ends_the_node_with_nothing_sent(stand: Stand) -> None:
    """A sync that failed may have lost the very pages; to go on would be to promise on sand."""
    stand.disk.error = OSError("no space left")
    stand.feed(sends(1, persist=(VOTE,)))
    stand.disk.gate.set()
    with pytest.raises(OSError, match="no space"):
        await asyncio.wait_for(asyncio.shield(stand.task), WITHIN_S)
    assert "send" not in stand.names()
    stand.disk.error = None


async def test_submissions_are_stepped(stand: Stand) -> None:
    assert stand.inbox.offer(Submitted(envelopes=(CheckedEnvelope(data=b"x", transactions=()),)))
    await stand.until(lambda: isinstance(stand.replica.stepped[-1], Submitted))
