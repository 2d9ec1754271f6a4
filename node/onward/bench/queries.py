"""Queries beside the writes: signed reads of what the prologue made, at a fixed rate.

DIR/lane-K.asked      who asks what: JSON, written with the lane
DIR/lane-K.answers    when due, when answered (both in seconds), whether it was an answer

Half of all ask for an agreement, the others for shares, lineages and the history of handshakes, and
one in twenty for a party's whole view. A signed read holds for a minute for one node and question,
so each is signed once for half of that time and not for every time that it is asked.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

from onward.bench import wire
from onward.bench.cast import CONTRACT
from onward.bench.stories import Step, made
from onward.bench.stream import SubmitStream
from onward.crypto.signing import SigningKey
from onward.ledger.read import ReadScope, query_method, seal_read
from onward.types import Digest
from onward_proto.documents import canonical_document

ANSWERED = Struct("=dd?")
MIX = (
    ("agreement", 50),
    ("share", 20),
    ("lineage", 15),
    ("handshake", 10),
    ("party_view", 5),
)
_DEALT = 400
_WORKERS = 48
_VALID_MS = 40_000
_SIGN_AGAIN_S = 25.0
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query of the contract, and who asks it."""

    name: str
    arguments: Mapping[str, Any]
    party: str
    seed: bytes


class Asked:
    """Collects questions about what the prologue of a lane makes."""

    def __init__(self) -> None:
        self._known: dict[str, list[Question]] = {name: [] for name, _ in MIX}

    def note(self, step: Step, tx_hash: Digest) -> None:
        """A step of the prologue became this transaction."""

        def add(name: str, arguments: Mapping[str, Any]) -> None:
            actor = step.actor
            question = Question(
                name=name, arguments=arguments, party=actor.party_id, seed=actor.seed
            )
            self._known[name].append(question)

        match step.type:
            case "agreement.accept":
                agreement = {"agreement_id": made("agreement", tx_hash).hex()}
                add("agreement", agreement)
                add("lineage", agreement)
                add("party_view", {})
            case "share.record":
                add("share", {"share_id": made("share", tx_hash).hex()})
            case "agreement.offer":
                add("handshake", {"offer_id": made("offer", tx_hash).hex()})

    def write(self, file: Path, rng: random.Random) -> None:
        """Deal the questions in the proportions of the mix."""
        names = [name for name, _ in MIX if self._known[name]]
        weights = [weight for name, weight in MIX if self._known[name]]
        dealt = []
        for name in rng.choices(names, weights, k=_DEALT) if names else ():
            question = rng.choice(self._known[name])
            dealt.append(
                {
                    "name": question.name,
                    "arguments": question.arguments,
                    "party": question.party,
                    "seed": question.seed.hex(),
                }
            )
        file.write_text(json.dumps(dealt) + "\n", encoding="utf-8")


class Questions:
    """The questions of a lane, asked at one node."""

    def __init__(self, file: Path, chain_id: bytes, stream: SubmitStream) -> None:
        self._asked = [
            (item["name"], canonical_document(item["arguments"]), item["party"], item["seed"])
            for item in json.loads(file.read_text(encoding="utf-8"))
        ]
        self._chain_id = chain_id
        self._stream = stream
        self._signed: dict[int, tuple[float, bytes]] = {}
        self.answers: list[tuple[float, float, bool]] = []

    async def ask(self, *, from_s: float, per_second: float, seconds: float) -> None:
        """Ask in turn: question j is due at `from_s` + j / `per_second`."""
        if not self._asked:
            return
        numbers = iter(range(math.floor(seconds * per_second)))
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS):
                group.create_task(self._work(numbers, from_s, per_second))

    async def _work(self, numbers: Iterator[int], from_s: float, per_second: float) -> None:
        for number in numbers:
            due_s = from_s + number / per_second
            wait_s = due_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            answer = await self._stream.query(
                self._request(number % len(self._asked)), timeout_s=_TIMEOUT_S
            )
            self.answers.append((due_s, time.monotonic(), answer is not None))

    def _request(self, place: int) -> bytes:
        """The QueryRequest, signed not long ago."""
        signed_s, request = self._signed.get(place, (-math.inf, b""))
        now_s = time.monotonic()
        if now_s - signed_s > _SIGN_AGAIN_S:
            request = self._sign(*self._asked[place])
            self._signed[place] = (now_s, request)
        return request

    def _sign(self, name: str, arguments: bytes, party: str, seed: str) -> bytes:
        scope = ReadScope(
            chain_id=self._chain_id,
            node=self._stream.endpoint.public_key,
            method=query_method(CONTRACT, name),
            arguments=arguments,
        )
        read = seal_read(
            scope,
            party=party,
            valid_until_ms=time.time_ns() // 1_000_000 + _VALID_MS,
            signer=SigningKey(bytes.fromhex(seed)),
        )
        return b"".join(
            wire.length_delimited(number, value)
            for number, value in (
                (1, read), (2, CONTRACT.encode()), (3, name.encode()), (4, arguments)
            )
        )  # fmt: skip
