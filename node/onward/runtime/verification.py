"""Verifying the batches of other validators, off the voting path.

Signatures are checked in the event loop, a few at a time with a pause for everything else between:
on two cores that a node shares with its neighbours this beats threads, which wait for the
interpreter longer than a check takes (docs/adr/0002-sans-io-core.md). The driver knows only the
port, so that worker processes can take this over.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from onward import limits
from onward.crypto.signing import Verify
from onward.errors import RejectedError
from onward.ledger.transaction import Opened, Transaction, check_envelope
from onward.replica.effects import BatchChecked, VerifyJob
from onward.telemetry.metrics import Metrics


class Verifier(Protocol):
    """Takes jobs and answers each with one `BatchChecked`."""

    def submit(self, job: VerifyJob) -> None:
        """Queue a job. The replica bounds how many it has under way."""

    async def run(self) -> None:
        """Work until cancelled."""


class LoopVerifier:
    """A `Verifier` that works in the event loop."""

    def __init__(
        self,
        *,
        chain_id: bytes,
        verify: Verify,
        answer: Callable[[BatchChecked], None],
        metrics: Metrics,
    ) -> None:
        self._chain_id = chain_id
        self._verify = verify
        self._answer = answer
        self._metrics = metrics
        self._jobs: deque[VerifyJob] = deque()
        self._filled = asyncio.Event()

    def submit(self, job: VerifyJob) -> None:
        """Queue a job."""
        self._jobs.append(job)
        self._metrics.verify_jobs.set(len(self._jobs))
        self._filled.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            while not self._jobs:
                self._filled.clear()
                await self._filled.wait()
            job = self._jobs.popleft()
            started = time.perf_counter()
            opened, error = await self._check(job)
            self._metrics.verify_seconds.observe(time.perf_counter() - started)
            self._metrics.verify_jobs.set(len(self._jobs))
            self._answer(BatchChecked(head=job.head, opened=opened, error=error))

    async def _check(self, job: VerifyJob) -> tuple[Opened | None, str]:
        opened: list[tuple[Transaction, ...]] = []
        bodies = 0
        for place, envelope in enumerate(job.batch.envelopes):
            if place and place % limits.VERIFY_CHUNK_ENVELOPES == 0:
                await asyncio.sleep(0)
            try:
                opened.append(check_envelope(envelope, self._chain_id, self._verify))
            except RejectedError as error:
                return None, f"envelope {place}: {error.code}: {error}"
            bodies += len(opened[-1])
            if bodies > limits.BATCH_BODIES_MAX:
                return None, f"more than {limits.BATCH_BODIES_MAX} bodies"
        self._metrics.verified_envelopes.inc(len(job.batch.envelopes))
        return tuple(opened), ""
