"""Who may bring and take a blob, and that a purge leaves nothing behind."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.cluster import make_genesis
from tests.unit.gateway.test_door import ACME, BETA, CHAIN, FakeNode, unexpected, verdict

from onward import limits
from onward.blobs.deletion import verify_deletion
from onward.blobs.place import Place
from onward.blobs.sealing import blob_hash
from onward.crypto.signing import verify
from onward.errors import RejectedError, Unavailable
from onward.gateway.blobs import BlobDoor
from onward.ledger.leaf import LedgerEvent, Outcome
from onward.ledger.read import Reader
from onward.replica.effects import Verdict
from onward.runtime.blob_files import BlobFiles
from onward.types import PartyId

GENESIS, KEYS = make_genesis(4)
NAME = GENESIS.validators.members[0].name
PLACE = Place(contract="isa", record=b"r" * 32)
BLOB = b"sealed bytes"
ALICE_READS = Reader(party=PartyId("acme"), public_key=ACME.public_key)
STRANGER_READS = Reader(party=PartyId("beta"), public_key=BETA.public_key)


class ContractWithBlobs(FakeNode):
    """One record, which `acme` and `alice` hold."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: dict[str, Any] = {
            "blob": blob_hash(BLOB).hex(),
            "holders": ["acme", "alice"],
            "purged_at_ms": None,
        }

    def query(
        self, contract: str, name: str, arguments: bytes, reader: Reader
    ) -> tuple[bytes, int]:
        assert (contract, name) == ("isa", "blob")
        assert json.loads(arguments) == {"record": PLACE.record.hex()}
        if reader.party not in ("acme", "alice", "auditor"):
            raise RejectedError("E_READER", "no part in it")
        return json.dumps(self.answer).encode(), 9

    def status(self) -> Any:
        return SimpleNamespace(height=9)


def purge_event(payload: bytes = b"") -> Verdict:
    text = (
        payload
        or json.dumps(
            {"purges": [PLACE.record.hex()]}, separators=(",", ":"), sort_keys=True
        ).encode()
    )
    event = LedgerEvent(contract="isa", name="purged", payload=text, readers=())
    return dataclasses.replace(verdict(b"t" * 32), event=event)


def failing(*_: Any) -> None:
    raise OSError(5, "broken")


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


@pytest.fixture
def files(tmp_path: Path) -> BlobFiles:
    return BlobFiles(tmp_path / "blobs", GENESIS.chain_id, NAME, KEYS[0])


@pytest.fixture
async def contract() -> ContractWithBlobs:
    return ContractWithBlobs()


@pytest.fixture
async def door(files: BlobFiles, contract: ContractWithBlobs) -> AsyncIterator[BlobDoor]:
    opened = BlobDoor(files, contract, unexpected)
    yield opened
    await opened.close()


async def test_holder_takes_what_a_holder_brought(door: BlobDoor) -> None:
    await door.put(ALICE_READS, PLACE, BLOB)
    await door.put(ALICE_READS, PLACE, BLOB)  # whoever got no answer sends the same bytes again
    assert await door.get(ALICE_READS, PLACE) == BLOB


async def test_auditor_and_stranger_take_nothing(door: BlobDoor) -> None:
    """An auditor may read the record; the ciphertext is none of his business."""
    await door.put(ALICE_READS, PLACE, BLOB)
    auditor = dataclasses.replace(ALICE_READS, party=PartyId("auditor"))
    for reader in (auditor, STRANGER_READS):
        for call in (door.get(reader, PLACE), door.put(reader, PLACE, BLOB)):
            with pytest.raises(RejectedError) as refused:
                await call
            assert refused.value.code == "E_READER"


async def test_bytes_that_the_chain_does_not_name_are_not_kept(
    door: BlobDoor, contract: ContractWithBlobs, tmp_path: Path
) -> None:
    """A node that kept what anybody brings would be a free disk for everybody."""
    with pytest.raises(RejectedError) as refused:
        await door.put(ALICE_READS, PLACE, b"other bytes")
    assert refused.value.code == "E_BLOB"
    contract.answer["blob"] = None
    with pytest.raises(RejectedError) as refused:
        await door.put(ALICE_READS, PLACE, BLOB)
    assert refused.value.code == "E_STATE"
    assert contents(tmp_path) == []


async def test_purge_destroys_the_blob_and_signs_for_it(
    door: BlobDoor, contract: ContractWithBlobs, tmp_path: Path
) -> None:
    await door.put(ALICE_READS, PLACE, BLOB)
    contract.answer["purged_at_ms"] = 1
    door.executed([verdict(b"x" * 32), purge_event()])
    signed = await door.deletion(ALICE_READS, PLACE)  # stands behind the purge in the queue
    found = verify_deletion(signed, GENESIS, verify)
    assert found.deletion.record == PLACE.record
    assert found.deletion.blob == blob_hash(BLOB)
    assert not any(BLOB in data for data in contents(tmp_path))
    with pytest.raises(RejectedError) as refused:
        await door.get(ALICE_READS, PLACE)
    assert refused.value.code == "E_NOT_FOUND"
    with pytest.raises(RejectedError) as refused:
        await door.put(ALICE_READS, PLACE, BLOB)
    assert refused.value.code == "E_STATE"


async def test_what_is_on_its_way_to_the_disk_does_not_outlive_a_purge(door: BlobDoor) -> None:
    """A blob that came in just before the purge must not be written just behind it."""
    bringing = asyncio.ensure_future(door.put(ALICE_READS, PLACE, BLOB))
    await asyncio.sleep(0)
    door.executed([purge_event()])
    await bringing
    with pytest.raises(RejectedError) as refused:
        await door.get(ALICE_READS, PLACE)
    assert refused.value.code == "E_NOT_FOUND"


async def test_purge_that_happened_while_the_node_was_down_is_made_up_for(
    files: BlobFiles, contract: ContractWithBlobs
) -> None:
    """A node that was off for the moment of the purge would keep the data for ever."""
    await asyncio.to_thread(files.keep, PLACE, "acme", BLOB)
    contract.answer["purged_at_ms"] = 1
    door = BlobDoor(files, contract, unexpected)
    await door.sweep()
    signed = await door.deletion(ALICE_READS, PLACE)
    assert verify_deletion(signed, GENESIS, verify).deletion.height == 9
    await door.close()


async def test_sweep_keeps_what_is_not_purged(door: BlobDoor) -> None:
    await door.put(ALICE_READS, PLACE, BLOB)
    await door.sweep()
    assert await door.get(ALICE_READS, PLACE) == BLOB
    with pytest.raises(RejectedError) as refused:
        await door.deletion(ALICE_READS, PLACE)
    assert refused.value.code == "E_NOT_FOUND"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"purges":"all"}',
        b'{"purges":[7,"..","zz"]}',
        b'{"note":"\\"purges\\":"}',
        b'{"purges":1.5}',
        b'"purges":',
    ],
)
async def test_event_that_names_no_records_destroys_nothing(door: BlobDoor, payload: bytes) -> None:
    """An event is a contract's: it must not be able to end the node, or to name a path."""
    await door.put(ALICE_READS, PLACE, BLOB)
    door.executed([purge_event(payload)])
    assert await door.get(ALICE_READS, PLACE) == BLOB


async def test_refusal_that_is_recorded_destroys_nothing(door: BlobDoor) -> None:
    """Whoever was refused a purge must not have it by the record of the refusal."""
    await door.put(ALICE_READS, PLACE, BLOB)
    door.executed([dataclasses.replace(purge_event(), outcome=Outcome.RECORDED)])
    assert await door.get(ALICE_READS, PLACE) == BLOB


async def test_contract_with_a_bug_does_not_end_the_node_that_sweeps(
    files: BlobFiles, contract: ContractWithBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep is a part of the node: what it raised would end a validator at each of its starts.
    What the contract can still say is done all the same.
    """
    broken = Place(contract="isa", record=b"a" * 32)
    for place in (broken, PLACE):
        await asyncio.to_thread(files.keep, place, "acme", BLOB)
    contract.answer["purged_at_ms"] = 1
    answers = contract.query

    def query(*question: Any) -> tuple[bytes, int]:
        if broken.record.hex().encode() in question[2]:
            return b'{"nothing":"of use"}', 9
        return answers(*question)

    monkeypatch.setattr(contract, "query", query)
    told: list[Exception] = []
    door = BlobDoor(files, contract, told.append)
    await door.sweep()
    await door.deletion(ALICE_READS, PLACE)
    await door.close()
    assert [type(error) for error in told] == [KeyError]


async def test_sweep_goes_on_with_what_was_half_destroyed_without_asking(
    files: BlobFiles, contract: ContractWithBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it was purged is known: a refusal of the contract must not leave it half destroyed."""
    await asyncio.to_thread(files.keep, PLACE, "nobody", BLOB)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing)
        with pytest.raises(OSError, match="broken"):
            await asyncio.to_thread(files.destroy, PLACE, 7)
    door = BlobDoor(files, contract, unexpected)
    await door.sweep()
    signed = await door.deletion(ALICE_READS, PLACE)
    assert verify_deletion(signed, GENESIS, verify).deletion.blob == blob_hash(BLOB)
    await door.close()


async def test_busy_disk_does_not_put_off_the_sweep(
    files: BlobFiles, contract: ContractWithBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wants to keep what was purged would knock hard at every start of the node."""
    await asyncio.to_thread(files.keep, PLACE, "acme", BLOB)
    contract.answer["purged_at_ms"] = 1
    door = BlobDoor(files, contract, unexpected)
    with monkeypatch.context() as patch:
        patch.setattr(limits, "BLOB_JOBS_MAX", 0)
        await door.sweep()
    await door.deletion(ALICE_READS, PLACE)
    await door.close()


async def test_purge_that_the_disk_refused_is_tried_again_with_the_next_block(
    files: BlobFiles, contract: ContractWithBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that was full for a minute would keep the data until somebody restarts the node."""
    told: list[Exception] = []
    door = BlobDoor(files, contract, told.append)
    await door.put(ALICE_READS, PLACE, BLOB)
    with monkeypatch.context() as patch:
        patch.setattr(files, "destroy", failing)
        door.executed([purge_event()])
        with pytest.raises(RejectedError):
            await door.deletion(ALICE_READS, PLACE)  # stands behind the purge in the queue
    door.executed([])
    signed = await door.deletion(ALICE_READS, PLACE)
    assert verify_deletion(signed, GENESIS, verify).deletion.blob == blob_hash(BLOB)
    assert [str(error) for error in told] == ["[Errno 5] broken"]
    await door.close()


async def test_clients_that_give_up_do_not_pile_up_blobs_before_a_slow_disk(
    files: BlobFiles, contract: ContractWithBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one that hung up would leave its blob in memory and its place to the next."""
    monkeypatch.setattr(limits, "BLOB_JOBS_MAX", 2)
    slow = threading.Event()
    monkeypatch.setattr(files, "keep", lambda *_: slow.wait(10))
    door = BlobDoor(files, contract, unexpected)
    for _ in range(2):
        bringing = asyncio.ensure_future(door.put(ALICE_READS, PLACE, BLOB))
        await asyncio.sleep(0)
        bringing.cancel()
        await asyncio.wait({bringing})
    with pytest.raises(Unavailable) as refused:
        await door.put(ALICE_READS, PLACE, BLOB)
    assert refused.value.code == "E_BUSY"
    slow.set()
    await door.close()


async def test_record_id_of_another_length_is_refused(door: BlobDoor) -> None:
    with pytest.raises(RejectedError) as refused:
        await door.get(ALICE_READS, Place(contract="isa", record=b"../../etc"))
    assert refused.value.code == "E_FORMAT"


async def test_failing_disk_is_told_to_the_operator_and_ends_nothing(
    contract: ContractWithBlobs, tmp_path: Path
) -> None:
    (tmp_path / "blobs").write_bytes(b"a file where a folder should be")
    told: list[Exception] = []
    door = BlobDoor(BlobFiles(tmp_path / "blobs", CHAIN, NAME, KEYS[0]), contract, told.append)
    with pytest.raises(Unavailable):
        await door.put(ALICE_READS, PLACE, BLOB)
    assert [isinstance(error, OSError) for error in told] == [True]
    await door.close()
