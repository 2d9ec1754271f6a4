from __future__ import annotations

import asyncio

from onward.crypto.signing import SigningKey, verify
from onward.ledger.block import Batch
from onward.ledger.transaction import Body, seal_envelope
from onward.replica.effects import BatchChecked, VerifyJob
from onward.runtime.verification import LoopVerifier
from onward.telemetry.metrics import make_metrics
from onward.types import NIL, Digest
from onward_proto.canonical import encode

CHAIN = Digest(bytes([7]) * 32)
KEY = SigningKey(bytes([1]) * 32)


def envelope(number: int) -> bytes:
    body = Body(
        format=1,
        contract="isa",
        type="share.record",
        actor="acme",
        cosigners=(),
        valid_until_ms=1,
        salt=bytes([number]) * 16,
        payload=b"",
    )
    return seal_envelope(CHAIN, [encode(body)], [KEY])


def job(head: int, *envelopes: bytes) -> VerifyJob:
    batch = Batch(author=1, epoch=0, seq=1, previous=NIL, envelopes=envelopes, signature=bytes(64))
    return VerifyJob(head=Digest(bytes([head]) * 32), batch=batch)


async def answers_to(*jobs: VerifyJob) -> tuple[list[BatchChecked], int]:
    """The answers, and how often others had a turn meanwhile."""
    answers: list[BatchChecked] = []
    verifier = LoopVerifier(
        chain_id=CHAIN, verify=verify, answer=answers.append, metrics=make_metrics()
    )
    for item in jobs:
        verifier.submit(item)
    running = asyncio.create_task(verifier.run())
    turns = 0
    async with asyncio.timeout(5):
        while len(answers) < len(jobs):
            await asyncio.sleep(0)
            turns += 1
    running.cancel()
    return answers, turns


async def test_every_job_has_its_answer_in_order() -> None:
    good = envelope(1)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    answers, _ = await answers_to(job(1, good), job(2, good, forged), job(3, b"\xff"))
    assert [item.head[0] for item in answers] == [1, 2, 3]
    assert [item.opened and len(item.opened) for item in answers] == [1, None, None]
    assert "envelope 1: E_SIG" in answers[1].error
    assert "E_FORMAT" in answers[2].error


async def test_long_batch_lets_others_have_a_turn() -> None:
    """Votes wait behind it otherwise."""
    _, turns = await answers_to(job(1, *(envelope(number) for number in range(41))))
    assert turns >= 4
