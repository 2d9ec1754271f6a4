"""Lanes: envelopes signed before the clock starts, one file for each validator's stream.

DIR/lane-K.frames     envelopes, each in its frame of a StreamedSubmit (`wire.framed`), end to end
DIR/lane-K.ends       where each frame ends: 8 bytes each, in the machine's order
DIR/lane-K.hashes     the transactions' hashes, 32 bytes each, in the order of their envelopes
DIR/lane-K.facts      for each envelope: which verdict its transactions must get, how many
                      signatures, which type, how many transactions; 4 bytes
DIR/lane-K.json       what the numbers in the facts stand for, and how many are the prologue's

The first ones are the prologue: they are executed before the clock starts, so that the mix is even
from then on.

A file instead of a list: the generator maps it, and sending so many envelopes is one slice.
"""

from __future__ import annotations

import json
import mmap
from array import array
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Self

from onward.bench import wire
from onward.bench.cast import VALID_MS, Setting
from onward.bench.queries import Asked
from onward.bench.stories import WORKLOADS, Stage, Step, Story, Workload
from onward.ledger.transaction import BODY_FORMAT, Body, body_hash, seal_envelope
from onward.types import Digest
from onward_proto.canonical import encode

SLOTS = 8
FACT_BYTES = 4
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneJob:
    """Which envelopes to sign, and where to put them. `count`: without the prologue."""

    folder: Path
    lane: int
    count: int
    workload: str
    setting: Setting
    chain_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFacts:
    """What was signed. `persons`: their public keys, to be registered before."""

    lane: int
    persons: tuple[bytes, ...]
    prologue: int  # envelopes, all of them counted in `envelopes`
    envelopes: int
    transactions: int
    envelope_bytes: int
    body_bytes: int
    signatures: int


def write_lane(job: LaneJob) -> LaneFacts:
    """Sign the envelopes of a lane, some stories at a time so that they cross each other."""
    stage = Stage(job.setting, job.lane)
    workload = WORKLOADS[job.workload]
    base = _base(job.folder, job.lane)
    codes: dict[str, int] = {}
    types: dict[str, int] = {}
    ends, facts, hashes = array("Q"), bytearray(), bytearray()
    position = body_bytes = signatures = 0
    playing, asked = _Playing(stage, workload), Asked()
    with base.with_suffix(".frames").open("wb") as frames:
        for index in range(playing.prologue + job.count):
            step = playing.next_step()
            bodies = [_body(stage, step, payload) for payload in (step.payload, *step.more)]
            tx_hashes = [body_hash(body) for body in bodies]
            signers = [party.signer for party in (step.actor, step.cosigner) if party is not None]
            frame = wire.framed(seal_envelope(job.chain_id, bodies, signers))
            frames.write(frame)
            position += len(frame)
            body_bytes += sum(map(len, bodies))
            signatures += len(signers)
            ends.append(position)
            hashes += b"".join(tx_hashes)
            facts.append(codes.setdefault(step.expected, len(codes)))
            facts.append(len(signers))
            facts.append(types.setdefault(step.type, len(types)))
            facts.append(len(bodies))
            playing.became(tx_hashes[0])
            if index < playing.prologue:
                asked.note(step, tx_hashes[0])
    asked.write(base.with_suffix(".asked"), stage.rng)
    persons = [job.setting.person(job.lane, number) for number in range(stage.persons)]
    keys = tuple(bytes(person.signer.public_key) for person in persons)
    base.with_suffix(".ends").write_bytes(ends.tobytes())
    base.with_suffix(".hashes").write_bytes(hashes)
    base.with_suffix(".facts").write_bytes(facts)
    base.with_suffix(".json").write_text(
        json.dumps({"prologue": playing.prologue, "codes": list(codes), "types": list(types)})
        + "\n",
        encoding="utf-8",
    )
    return LaneFacts(
        lane=job.lane,
        persons=keys,
        prologue=playing.prologue,
        envelopes=len(ends),
        transactions=len(hashes) // _HASH_BYTES,
        envelope_bytes=position,
        body_bytes=body_bytes,
        signatures=signatures,
    )


class Lane:
    """A lane that was written, mapped. Envelopes are numbered from 0. Use it with `with`."""

    def __init__(self, folder: Path, lane: int) -> None:
        base = _base(folder, lane)
        self._ends = array("Q")
        self._ends.frombytes(base.with_suffix(".ends").read_bytes())
        self._hashes = base.with_suffix(".hashes").read_bytes()
        self._facts = base.with_suffix(".facts").read_bytes()
        self._places = array("Q", accumulate(self._facts[3::FACT_BYTES], initial=0))
        names = json.loads(base.with_suffix(".json").read_text(encoding="utf-8"))
        self.prologue: int = names["prologue"]
        self._codes: list[str] = names["codes"]
        self._types: list[str] = names["types"]
        with base.with_suffix(".frames").open("rb") as file:
            self._frames = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._frames.close()

    def frames(self, first: int, end: int) -> bytes:
        """The frames of the envelopes from `first` up to `end`."""
        return self._frames[self._ends[first - 1] if first else 0 : self._ends[end - 1]]

    def envelope(self, index: int) -> bytes:
        """An envelope's bytes."""
        return wire.unframed(self.frames(index, index + 1))

    def tx_hashes(self, index: int) -> tuple[bytes, ...]:
        """The hashes of its transactions, in order."""
        first, end = self._places[index : index + 2]
        return tuple(
            self._hashes[_HASH_BYTES * place : _HASH_BYTES * (place + 1)]
            for place in range(first, end)
        )

    def transactions(self, first: int, end: int) -> int:
        """How many transactions the envelopes from `first` up to `end` carry."""
        return self._places[end] - self._places[first]

    def expected(self, index: int) -> str:
        """The code that the verdict of each of them must have."""
        return self._codes[self._facts[FACT_BYTES * index]]

    def signatures(self, index: int) -> int:
        """How many keys signed it."""
        return self._facts[FACT_BYTES * index + 1]

    def type(self, index: int) -> str:
        """The type of its transactions."""
        return self._types[self._facts[FACT_BYTES * index + 2]]


class _Playing:
    """Some stories at a time, a step of each in turn.

    In the prologue the second gets ahead by an eighth of its length, the third by two, and so on:
    after it all kinds of steps are about equally frequent at any time.
    """

    def __init__(self, stage: Stage, workload: Workload) -> None:
        self._stage = stage
        self._workload = workload
        self._begun = 0
        self._slots: list[tuple[Story, Digest | None]] = [
            (self._begin(), None) for _ in range(SLOTS)
        ]
        self._ahead = [
            slot for slot in range(SLOTS) for _ in range(slot * workload.mean_length // SLOTS)
        ]
        self.prologue = len(self._ahead)
        self._turn = 0  # whose

    def next_step(self) -> Step:
        """The step whose transaction is next; `became` has to follow."""
        self._turn = self._ahead.pop() if self._ahead else (self._turn + 1) % SLOTS
        story, tx_hash = self._slots[self._turn]
        try:
            return next(story) if tx_hash is None else story.send(tx_hash)
        except StopIteration:
            story = self._begin()
            self._slots[self._turn] = (story, None)
            return next(story)

    def became(self, tx_hash: Digest) -> None:
        """The step that was told last became this transaction."""
        self._slots[self._turn] = (self._slots[self._turn][0], tx_hash)

    def _begin(self) -> Story:
        self._begun += 1
        return self._workload.story(self._stage, self._begun - 1)


def _body(stage: Stage, step: Step, payload: object) -> bytes:
    return encode(
        Body(
            format=BODY_FORMAT,
            contract=step.contract,
            type=step.type,
            actor=step.actor.party_id,
            cosigners=() if step.cosigner is None else (step.cosigner.party_id,),
            valid_until_ms=stage.setting.time_ms + VALID_MS,
            salt=stage.rng.randbytes(16),
            payload=encode(payload),
        )
    )


def _base(folder: Path, lane: int) -> Path:
    return folder / f"lane-{lane}"
