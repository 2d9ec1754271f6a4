"""The door to the blobs: who may bring and take one, and when all of them are destroyed.

The node knows no contract. A contract whose records have blobs answers the query `blob` (argument
`record`, 64 hex digits) with `blob` (the hash, or null), `holders` (the parties that may bring and
take it) and `purged_at_ms` (or null), to the record's parties alone; an accepted event whose
payload lists records under `purges` has theirs destroyed. docs/spec/chaincode.md is the definition.

The files are touched by one thread, in the order of the calls: what was brought before a purge is
destroyed by it, and nothing is kept behind it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from onward import limits
from onward.blobs.place import Place
from onward.blobs.sealing import blob_hash
from onward.errors import RejectCode, RejectedError, Unavailable
from onward.gateway.ports import BlobPort, ReadPort
from onward.ledger.leaf import LedgerEvent, Outcome
from onward.ledger.read import Reader
from onward.replica.effects import Verdict
from onward.types import PartyId, PublicKey
from onward_proto.documents import DocumentError, canonical_document, parse_document

QUERY = "blob"
_RECORD_BYTES = 32
_RECORD = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MARK = b'"purges":'
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What the contract says about a record's blob."""

    blob: str | None
    holders: tuple[str, ...]
    is_purged: bool


class BlobDoor:
    """Bringing, taking and destroying blobs at one node."""

    def __init__(
        self, files: BlobPort, reads: ReadPort, failed: Callable[[Exception], None]
    ) -> None:
        """`failed` is told where destroying a blob failed: it is tried again, also at a start."""
        self._files = files
        self._reads = reads
        self._failed = failed
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="blobs")
        self._jobs = 0
        self._purging: set[asyncio.Future[None]] = set()
        self._undone: dict[Place, None] = {}  # what the disk refused to destroy, the oldest first

    async def put(self, reader: Reader, place: Place, blob: bytes) -> None:
        """Keep a record's blob, for one of its holders; durable on return.

        Raises `RejectedError`: E_FORMAT, E_READER, E_STATE for a record without one or whose blob
        was purged, E_BLOB for other bytes than the chain names; `Unavailable`.
        """
        record = self._record(reader, place)
        self._check_holder(reader, record)
        if record.blob is None or record.is_purged:
            what = "has no blob" if record.blob is None else "has been purged"
            raise RejectedError(RejectCode.STATE, f"record {place.record.hex()[:16]} {what}")
        found = blob_hash(blob).hex()
        if found != record.blob:
            raise RejectedError(
                RejectCode.BLOB, f"the blob's hash is {found}, the chain names {record.blob}"
            )
        await self._on_disk(lambda: self._files.keep(place, reader.party, blob))

    async def get(self, reader: Reader, place: Place) -> bytes:
        """A record's blob, for one of its holders. Raises as `put`, and E_NOT_FOUND."""
        record = self._record(reader, place)
        self._check_holder(reader, record)
        blob = await self._on_disk(lambda: self._files.read(place))
        if blob is None or record.is_purged:
            raise RejectedError(RejectCode.NOT_FOUND, "this node does not keep the record's blob")
        return blob

    async def deletion(self, reader: Reader, place: Place) -> bytes:
        """The node's signed deletion, for everybody who may read the record."""
        self._record(reader, place)
        found = await self._on_disk(lambda: self._files.deletion(place))
        if found is None:
            raise RejectedError(
                RejectCode.NOT_FOUND, "this node has destroyed no blob of the record"
            )
        return found

    def executed(self, verdicts: Iterable[Verdict]) -> None:
        """Destroy what the events of a block say, and one that could not be destroyed before."""
        if self._undone:
            place = next(iter(self._undone))
            del self._undone[place]
            self._begin_purge(place, self._reads.status().height)
        for verdict in verdicts:
            event = verdict.event
            if event is None or verdict.outcome != Outcome.ACCEPTED:
                continue
            if _MARK in event.payload:
                for place in _purged_by(event):
                    self._begin_purge(place, verdict.height)

    async def sweep(self) -> None:
        """Destroy what was purged while this node was down, or was half destroyed when it ended."""
        try:
            # Not by `_on_disk`: clients that keep the disk busy must not put a purge off.
            kept = await asyncio.get_running_loop().run_in_executor(
                self._disk, lambda: list(self._files.places())
            )
        except OSError as error:
            self._failed(error)
            return
        for place, party in kept:
            await asyncio.sleep(0)  # there may be many, and others want to be served
            try:
                # Where destroying it has begun there is nothing to ask.
                if party is None or self._is_purged(place, party):
                    self._begin_purge(place, self._reads.status().height)
            except RejectedError:
                continue  # the contract knows why; the blob stays where its holders can ask for it
            except Exception as error:  # noqa: BLE001  # a contract's bug; told, never swallowed
                self._failed(error)

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._purging:
            await asyncio.wait(self._purging)
        self._disk.shutdown(wait=False)

    def _begin_purge(self, place: Place, height: int) -> None:
        def destroy() -> None:
            self._files.destroy(place, height)

        purge = asyncio.get_running_loop().run_in_executor(self._disk, destroy)
        self._purging.add(purge)
        purge.add_done_callback(partial(self._purged, place))

    def _purged(self, place: Place, purge: asyncio.Future[None]) -> None:
        self._purging.discard(purge)
        error = None if purge.cancelled() else purge.exception()
        if isinstance(error, Exception):
            self._undone[place] = None
            self._failed(error)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        """Raises `Unavailable` where too much waits already, or where the disk fails."""
        if self._jobs >= limits.BLOB_JOBS_MAX:
            busy = Unavailable("the disk is behind with blobs", retry_after_ms=100)
            busy.code = RejectCode.BUSY
            raise busy
        self._jobs += 1
        job = asyncio.get_running_loop().run_in_executor(self._disk, work)
        job.add_done_callback(self._job_done)
        try:
            # Whoever hangs up leaves her job in the queue: it has to stay in the count as well.
            return await asyncio.shield(job)
        except OSError as error:
            self._failed(error)  # the client cannot mend it: the operator has to know
            raise Unavailable(f"the node's disk: {error.strerror}", retry_after_ms=1_000) from error

    def _job_done(self, _: object) -> None:
        self._jobs -= 1

    def _is_purged(self, place: Place, party: str) -> bool:
        asker = Reader(party=PartyId(party), public_key=PublicKey(bytes(32)))
        return self._record(asker, place).is_purged

    def _record(self, reader: Reader, place: Place) -> _Record:
        if len(place.record) != _RECORD_BYTES:
            raise RejectedError(RejectCode.FORMAT, f"record id of {len(place.record)} bytes")
        arguments = canonical_document({"record": place.record.hex()})
        answer, _ = self._reads.query(place.contract, QUERY, arguments, reader)
        found = json.loads(answer)
        return _Record(
            blob=found["blob"],
            holders=tuple(found["holders"]),
            is_purged=found["purged_at_ms"] is not None,
        )

    def _check_holder(self, reader: Reader, record: _Record) -> None:
        if reader.party not in record.holders:
            raise RejectedError(RejectCode.READER, f"{reader.party} holds no blob of this record")


def _purged_by(event: LedgerEvent) -> list[Place]:
    try:
        document = parse_document(event.payload, maximum=limits.EVENT_PAYLOAD_BYTES_MAX)
    except DocumentError:
        return []  # no contract can have announced it, and nothing of a contract ends a node
    records = document.get("purges")
    return [
        Place(contract=event.contract, record=bytes.fromhex(record))
        for record in (records if isinstance(records, list) else ())
        if isinstance(record, str) and _RECORD.fullmatch(record)
    ]
