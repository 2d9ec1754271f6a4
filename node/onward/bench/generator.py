"""The load generator: a process of its own that sends what was signed and notes what comes back.

    python -m onward.bench.generator SPEC.json

It connects, plays the prologue, writes a line `{"ready": true}`, reads one line with the moment of
the start (the machine's monotonic clock, in seconds), and then writes lines `{"sent": …, "settled":
…}`. While the clock runs it wakes up for each lane at every tick, hands over all envelopes that
are due as one message, and notes when a reply came and its bytes. Replies are only counted then;
they are read after the run (`outcome`), from the files that it leaves:

DIR/lane-K.sends      first envelope, how many, when: 8 bytes each
DIR/lane-K.replies    when (8 bytes), size (8 bytes), the StreamedReply
DIR/lane-K.answers    see `queries`

Open loop: envelope i (after the prologue) of lane K is due at start + (i * lanes + K) / rate,
whatever happens to the others. What is late is sent at once when it can be, and its latency counts
from when it was due.
Closed loop: so many are in flight, and a new one is due when another one is settled.

When a stream breaks, its lane moves on to the next validator, as a client should: what is not
settled is sent again, the same bytes in the same order, and then what follows. (Then two copies may
be on their way. Of each envelope the first counts, wherever it stands; the first ones of a lane
are in its order too, because both copies are.)
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any

from onward.bench import wire
from onward.bench.lanes import Lane
from onward.bench.queries import ANSWERED, Questions
from onward.bench.stream import SubmitStream
from onward.rpc.client import Endpoint
from onward.types import PublicKey

MESSAGE_ENVELOPES_MAX = 256
PROLOGUE_ENVELOPES = 64
SENT = Struct("=QQd")
REPLIED = Struct("=dQ")
_PROGRESS_S = 0.5
_LATE_S_MAX = 30
_CONNECT_S = 2.0
MOVES_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """What to send. `rate` a second over all lanes, or None and `in_flight` over all lanes.

    `query_rate`: queries a second over all lanes, beside it.
    """

    folder: Path
    endpoints: tuple[Endpoint, ...]
    rate: float | None
    in_flight: int
    query_rate: float
    chain_id: bytes
    seconds: float
    tick_ms: int
    wait_ms: int

    def as_json(self) -> dict[str, Any]:
        """For the command line of the process."""
        return {
            "folder": str(self.folder),
            "endpoints": [
                {"address": item.address, "public_key": item.public_key.hex()}
                for item in self.endpoints
            ],
            "rate": self.rate,
            "in_flight": self.in_flight,
            "query_rate": self.query_rate,
            "chain_id": self.chain_id.hex(),
            "seconds": self.seconds,
            "tick_ms": self.tick_ms,
            "wait_ms": self.wait_ms,
        }


def read_spec(file: Path) -> LoadSpec:
    """What `as_json` said."""
    document = json.loads(file.read_text(encoding="utf-8"))
    return LoadSpec(
        folder=Path(document["folder"]),
        endpoints=tuple(
            Endpoint(
                address=item["address"], public_key=PublicKey(bytes.fromhex(item["public_key"]))
            )
            for item in document["endpoints"]
        ),
        rate=document["rate"],
        in_flight=document["in_flight"],
        query_rate=document["query_rate"],
        chain_id=bytes.fromhex(document["chain_id"]),
        seconds=document["seconds"],
        tick_ms=document["tick_ms"],
        wait_ms=document["wait_ms"],
    )


@dataclass(slots=True)
class LaneNotes:
    """What happened on one lane."""

    sends: list[tuple[int, int, float]] = field(default_factory=list)
    replies: list[tuple[float, bytes]] = field(default_factory=list)
    sent: int = 0
    settled: int = 0
    moves: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    error: str = ""

    def unsettled(self) -> list[tuple[int, int]]:
        """What was sent and is not settled: from, up to."""
        settled = bytearray(self.sent)
        for _, reply in self.replies:
            for number in wire.settled_ids(reply):
                settled[number - 1] = 1
        found: list[tuple[int, int]] = []
        end = 0
        while (first := settled.find(0, end)) >= 0:
            after = settled.find(1, first)
            end = self.sent if after < 0 else after
            found.append((first, end))
        return found


class Load:
    """One run over all lanes."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._streams = [SubmitStream(endpoint) for endpoint in spec.endpoints]
        self._lanes = [Lane(spec.folder, lane) for lane in range(len(spec.endpoints))]
        self.notes = [LaneNotes() for _ in spec.endpoints]
        self._questions = [
            Questions(spec.folder / f"lane-{lane}.asked", spec.chain_id, stream)
            for lane, stream in enumerate(self._streams)
        ]
        self._tail = wire.tail(spec.wait_ms)
        self._from_s = 0.0
        self._reading: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Open all streams, and have the prologue executed. Raises `ConnectionError`."""
        await asyncio.gather(*(stream.open() for stream in self._streams))
        self._reading = [asyncio.create_task(self._read(lane)) for lane in range(len(self._lanes))]
        await asyncio.gather(*(self._prologue(lane) for lane in range(len(self._lanes))))

    async def run(self, from_s: float) -> None:
        """Send and note, from this moment on, until everything is settled or it is too late."""
        self._from_s = from_s
        telling = asyncio.create_task(self._tell())
        send = self._send_due if self._spec.rate is not None else self._send_on
        try:
            async with asyncio.timeout(
                max(0, from_s - time.monotonic()) + self._spec.seconds + _LATE_S_MAX
            ):
                await asyncio.gather(
                    *(send(lane) for lane in range(len(self._lanes))),
                    *(self._ask(lane) for lane in range(len(self._lanes))),
                )
                await asyncio.gather(*(self._settled(lane) for lane in range(len(self._lanes))))
        except TimeoutError:
            pass
        finally:
            telling.cancel()
            for task in self._reading:
                task.cancel()
            await asyncio.gather(telling, *self._reading, return_exceptions=True)
            for stream in self._streams:
                await stream.close()

    async def _prologue(self, lane: int) -> None:
        note, count = self.notes[lane], self._lanes[lane].prologue
        while note.sent < count and not note.error:
            await self._write(lane, min(count, note.sent + PROLOGUE_ENVELOPES))
            await self._settled(lane)
        if note.error:
            raise ConnectionError(note.error)

    async def _settled(self, lane: int) -> None:
        """Wait until everything that was sent is settled, or the stream is broken."""
        note = self.notes[lane]
        while note.settled < note.sent and not note.error:
            note.room.clear()
            await note.room.wait()

    async def _send_due(self, lane: int) -> None:
        """Open loop: at each tick everything that is due."""
        note, count, first = self.notes[lane], len(self._lanes[lane]), self._lanes[lane].prologue
        lanes, tick_s = len(self._lanes), self._spec.tick_ms / 1000
        per_second = (self._spec.rate or 0) / lanes
        offset_s = lane / lanes / per_second
        tick = self._from_s  # the same for all lanes: waking up costs more than sending
        while note.sent < count and not note.error:
            tick += tick_s
            wait_s = tick - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elapsed_s = time.monotonic() - self._from_s - offset_s
            due = math.floor(elapsed_s * per_second) + 1 if elapsed_s >= 0 else 0
            due = min(count, first + due)
            while note.sent < due and not note.error:
                await self._write(lane, min(due, note.sent + MESSAGE_ENVELOPES_MAX))

    async def _send_on(self, lane: int) -> None:
        """Closed loop: as many as there is room for, until the time is over."""
        note, count = self.notes[lane], len(self._lanes[lane])
        window = max(1, self._spec.in_flight // len(self._lanes))
        await asyncio.sleep(max(0.0, self._from_s - time.monotonic()))
        until_s = self._from_s + self._spec.seconds
        while note.sent < count and not note.error and time.monotonic() < until_s:
            free = min(window - (note.sent - note.settled), MESSAGE_ENVELOPES_MAX)
            if free > 0:
                await self._write(lane, min(count, note.sent + free))
                continue
            note.room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await note.room.wait()

    async def _ask(self, lane: int) -> None:
        per_second = self._spec.query_rate / len(self._lanes)
        if per_second > 0:
            from_s = self._from_s + lane / self._spec.query_rate
            await self._questions[lane].ask(
                from_s=from_s, per_second=per_second, seconds=self._spec.seconds
            )

    async def _write(self, lane: int, end: int) -> None:
        """Send a lane's transactions up to `end` as one message."""
        note = self.notes[lane]
        async with note.turn:
            first = note.sent
            note.sends.append((first, end - first, time.monotonic()))
            note.sent = end
            with suppress(ConnectionError):  # the reader meets it too, and moves
                await self._streams[lane].write(self._message(lane, first, end))

    def _message(self, lane: int, first: int, end: int) -> bytes:
        return wire.message(first + 1, self._lanes[lane].frames(first, end), self._tail)

    async def _read(self, lane: int) -> None:
        note = self.notes[lane]
        while True:
            try:
                reply = await self._streams[lane].read()
            except ConnectionError as error:
                if note.moves < MOVES_MAX:
                    await self._move(lane)
                    continue
                note.error = str(error)
                note.room.set()
                return
            note.replies.append((time.monotonic(), reply))
            note.settled += wire.count_settled(reply)
            note.room.set()

    async def _move(self, lane: int) -> None:
        """Go on at the next validator, beginning with what is not settled."""
        note, endpoints = self.notes[lane], self._spec.endpoints
        async with note.turn:
            note.moves += 1
            await self._streams[lane].close()
            stream = SubmitStream(endpoints[(lane + note.moves) % len(endpoints)])
            self._streams[lane] = stream
            with suppress(ConnectionError, TimeoutError):  # the reader meets it too, and moves on
                async with asyncio.timeout(_CONNECT_S):
                    await stream.open()
                for first, end in note.unsettled():
                    for start in range(first, end, MESSAGE_ENVELOPES_MAX):
                        stop = min(end, start + MESSAGE_ENVELOPES_MAX)
                        await stream.write(self._message(lane, start, stop))

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_S)
            say(
                {
                    "sent": sum(note.sent for note in self.notes),
                    "settled": sum(note.settled for note in self.notes),
                }
            )

    def write_down(self) -> None:
        """Leave the files; see the module."""
        for lane, note in enumerate(self.notes):
            base = self._spec.folder / f"lane-{lane}"
            with base.with_suffix(".sends").open("wb") as file:
                file.writelines(SENT.pack(*item) for item in note.sends)
            with base.with_suffix(".replies").open("wb") as file:
                for at_s, reply in note.replies:
                    file.write(REPLIED.pack(at_s, len(reply)))
                    file.write(reply)
            with base.with_suffix(".answers").open("wb") as file:
                file.writelines(ANSWERED.pack(*item) for item in self._questions[lane].answers)


def say(document: dict[str, Any]) -> None:
    """One line for the process that started us."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


async def _main(spec: LoadSpec) -> None:
    load = Load(spec)
    await load.begin()
    gc.collect()
    gc.freeze()
    gc.disable()  # what a run notes lives until its end
    say({"ready": True})
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if not line:
        return
    await load.run(float(line))
    load.write_down()
    say(
        {
            "done": True,
            "errors": [note.error for note in load.notes if note.error],
            "moves": sum(note.moves for note in load.notes),
        }
    )


if __name__ == "__main__":
    asyncio.run(_main(read_spec(Path(sys.argv[1]))))
