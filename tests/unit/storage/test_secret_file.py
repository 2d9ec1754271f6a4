"""Keys on the disk: whole or not there, their owner's only, and never in another one's place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onward.storage import secret_file
from onward.storage.secret_file import write_secret


def test_secret_is_its_owners_only_and_so_is_the_folder_made_for_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_secret(tmp_path / "home" / "keys" / "key", b"secret")
    finally:
        os.umask(before)
    file = tmp_path / "home" / "keys" / "key"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"secret", 0o600)
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_secret_takes_no_other_ones_place(tmp_path: Path) -> None:
    """The first key is the one that others know."""
    write_secret(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError) as refused:
        write_secret(tmp_path / "key", b"second")
    assert refused.value.filename == str(tmp_path / "key")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("key", b"first")]


def test_secret_for_which_there_is_no_room_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty key file would be neither a key nor a place for one."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_secret(tmp_path / "key", b"secret")
    assert [*tmp_path.iterdir()] == []


def test_secret_is_on_the_disk_with_every_folder_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public key that was handed on, and whose secret a power cut took, is a validator lost."""
    synced: list[Path] = []
    monkeypatch.setattr(secret_file, "sync_folder", synced.append)
    home = tmp_path / "home"
    write_secret(home / "keys" / "key", b"secret")
    assert set(synced) == {tmp_path, home, home / "keys"}
    synced.clear()
    write_secret(home / "keys" / "other", b"secret")
    assert synced == [home / "keys"]
