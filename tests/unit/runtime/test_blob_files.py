"""Blobs on the disk: whole or absent, and destroyed whatever happens in between."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.cluster import make_genesis

from onward import limits
from onward.blobs.deletion import verify_deletion
from onward.blobs.place import Place
from onward.blobs.sealing import blob_hash
from onward.crypto.signing import verify
from onward.errors import Unavailable
from onward.runtime import blob_files
from onward.runtime.blob_files import BlobFiles

GENESIS, KEYS = make_genesis(4)
NAME = GENESIS.validators.members[0].name
PLACE = Place(contract="isa", record=b"r" * 32)
BLOB = b"sealed bytes" * 100


class PowerCut(Exception):
    """The process ends here."""


def files_in(folder: Path) -> BlobFiles:
    return BlobFiles(folder / "blobs", GENESIS.chain_id, NAME, KEYS[0])


def test_blob_is_read_as_it_was_kept_and_the_first_one_stays(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    assert files.read(PLACE) is None
    files.keep(PLACE, "acme", BLOB)
    files.keep(PLACE, "alice", b"other bytes")
    assert files_in(tmp_path).read(PLACE) == BLOB
    assert list(files.places()) == [(PLACE, "acme")]


def test_destroying_nothing_signs_nothing(tmp_path: Path) -> None:
    """A signed deletion of what was never here would be a lie."""
    files = files_in(tmp_path)
    assert files.destroy(PLACE, 7) is False
    assert files.deletion(PLACE) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut_at", range(12))
def test_destruction_that_was_cut_off_anywhere_is_finished_by_the_next_start(
    cut_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a destruction is either still a blob or already a deletion, and never neither."""
    files = files_in(tmp_path)
    files.keep(PLACE, "acme", BLOB)
    left = [cut_at]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if left[0] == 0:
                raise PowerCut
            left[0] -= 1
            return real(*arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(Path, "replace", counted(Path.replace))
        try:
            files.destroy(PLACE, 7)
            finished = True
        except PowerCut:
            finished = False

    again = files_in(tmp_path)
    if not finished and again.deletion(PLACE) is None:
        assert [place for place, _ in again.places()] == [PLACE], "nobody would go on with it"
    for place, _ in list(again.places()):
        again.destroy(place, 8)
    signed = again.deletion(PLACE)
    assert signed is not None
    assert verify_deletion(signed, GENESIS, verify).deletion.blob == blob_hash(BLOB)
    assert list(again.places()) == []
    assert not any(BLOB[:12] in file.read_bytes() for file in tmp_path.rglob("*.*"))
    again.keep(PLACE, "acme", BLOB)
    assert again.read(PLACE) is None, "it came back"


def test_strange_files_are_left_alone(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.keep(PLACE, "acme", BLOB)
    (tmp_path / "blobs" / "isa" / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "blobs" / "isa" / "short.blob").write_bytes(b"acme\nx")
    assert list(files.places()) == [(PLACE, "acme")]


def test_file_that_was_changed_is_told_by_its_name(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.keep(PLACE, "acme", BLOB)
    (found,) = tmp_path.rglob("*.blob")
    found.write_bytes(b"\xff" * 100)
    with pytest.raises(Unavailable, match=found.name):
        files.read(PLACE)


@pytest.mark.parametrize("is_down", [False, True], ids=["purged-at-once", "purged-while-down"])
def test_blob_that_a_crash_left_half_written_does_not_outlive_its_purge(
    is_down: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the crash left was promised to nobody, so nothing would ever look at it again."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", power_cut)
        with pytest.raises(PowerCut):
            files_in(tmp_path).keep(PLACE, "acme", BLOB)
    assert any(BLOB in file.read_bytes() for file in tmp_path.rglob("*.*")), "nothing was cut off"
    again = files_in(tmp_path)
    if is_down:
        assert list(again.places()) == []
    else:
        assert again.destroy(PLACE, 7) is False
    assert not any(BLOB[:12] in file.read_bytes() for file in tmp_path.rglob("*.*"))
    assert again.deletion(PLACE) is None


def test_blob_that_did_not_fit_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a blob would take the room that the next one needs, and hold what nobody kept."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", disk_full)
        files = files_in(tmp_path)
        with pytest.raises(OSError, match="No space"):
            files.keep(PLACE, "acme", BLOB)
    assert list(tmp_path.rglob("*.*")) == []
    files.keep(PLACE, "acme", BLOB)
    assert files.read(PLACE) == BLOB


def test_folder_that_a_crash_left_unsynced_is_synced_before_a_blob_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A synced file in a folder that is not on the disk is gone with the next power cut."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", power_cut)
        with pytest.raises(PowerCut):
            files_in(tmp_path).keep(PLACE, "acme", BLOB)
    synced: list[Path] = []
    monkeypatch.setattr(blob_files, "_sync_folder", synced.append)
    files_in(tmp_path).keep(PLACE, "acme", BLOB)
    blobs = tmp_path / "blobs"
    assert synced == [blobs, tmp_path, blobs / "isa"]


def test_blobs_leave_the_chain_its_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A validator whose disk is full stops voting: two parties could stop all with shares."""
    files = files_in(tmp_path)
    most = SimpleNamespace(free=limits.BLOB_DISK_FREE_BYTES_MIN + len(BLOB) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: most)
    with pytest.raises(OSError, match="No space"):
        files.keep(PLACE, "acme", BLOB)
    assert files.read(PLACE) is None
    most.free += 1
    files.keep(PLACE, "acme", BLOB)
    assert files.read(PLACE) == BLOB


def test_file_that_was_changed_is_destroyed_all_the_same(tmp_path: Path) -> None:
    """Otherwise whoever can spoil a line of the file keeps the rest of it from every purge."""
    files = files_in(tmp_path)
    files.keep(PLACE, "acme", BLOB)
    (found,) = tmp_path.rglob("*.blob")
    changed = b"\xff" * 100 + BLOB
    found.write_bytes(changed)
    assert files.destroy(PLACE, 7) is True
    signed = files.deletion(PLACE)
    assert signed is not None
    assert verify_deletion(signed, GENESIS, verify).deletion.blob == blob_hash(changed)
    assert not any(BLOB[:12] in file.read_bytes() for file in tmp_path.rglob("*.*"))


def test_changed_file_does_not_hide_the_others(tmp_path: Path) -> None:
    """One bad file would keep every other blob from the purge that the node has missed."""
    files = files_in(tmp_path)
    other = Place(contract="isa", record=b"s" * 32)
    files.keep(PLACE, "acme", BLOB)
    files.keep(other, "acme", BLOB)
    (tmp_path / "blobs" / "isa" / f"{PLACE.record.hex()}.blob").write_bytes(b"\xff" * 100)
    assert list(files.places()) == [(PLACE, ""), (other, "acme")]


def test_what_is_half_destroyed_needs_nobodys_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it was purged is known already; a contract that refuses an answer must not save it."""
    files = files_in(tmp_path)
    files.keep(PLACE, "acme", BLOB)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", power_cut)
        with pytest.raises(PowerCut):
            files.destroy(PLACE, 7)
    assert list(files_in(tmp_path).places()) == [(PLACE, None)]


def test_refusal_of_a_changed_file_tells_no_path_of_the_machine(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.keep(PLACE, "acme", BLOB)
    (found,) = tmp_path.rglob("*.blob")
    found.write_bytes(b"\xff" * 100)
    with pytest.raises(Unavailable) as refused:
        files.read(PLACE)
    assert str(tmp_path) not in str(refused.value)


def power_cut(*_: Any) -> None:
    raise PowerCut


def disk_full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
