"""The simulated disk really loses what was not synced, and only that."""

from __future__ import annotations

from random import Random

from onward.storage.memory_files import CrashLoss, MemoryFiles

NAME = "f/a"


def _files() -> MemoryFiles:
    files = MemoryFiles()
    files.make_folder("f")
    files.append(NAME, b"durable")
    files.sync(NAME)
    files.sync_directory("f")
    return files


def _after_crashes(ruin: object, *, chances: int = 200) -> set[bytes | None]:
    found: set[bytes | None] = set()
    for chance in range(chances):
        files = _files()
        ruin(files)  # type: ignore[operator]
        files.crash(Random(chance))
        found.add(files.read(NAME, 0, 100) if files.names("f") else None)
    return found


def test_what_was_synced_survives_every_crash() -> None:
    assert _after_crashes(lambda files: None) == {b"durable"}


def test_an_unsynced_end_survives_in_whole_in_part_damaged_or_not_at_all() -> None:
    found = _after_crashes(lambda files: files.append(NAME, b" tail"))
    assert {b"durable", b"durable ta", b"durable tail"} <= found
    assert any(content and b"\0" in content for content in found)
    assert all(content and content.startswith(b"durable") for content in found)


def test_a_cut_that_was_not_synced_may_not_have_happened() -> None:
    assert _after_crashes(lambda files: files.truncate(NAME, 3)) == {b"dur", b"durable"}


def test_a_removal_may_be_undone_until_the_directory_is_synced() -> None:
    assert _after_crashes(lambda files: files.unlink(NAME)) == {b"durable", None}

    def remove_durably(files: MemoryFiles) -> None:
        files.unlink(NAME)
        files.sync_directory("f")

    assert _after_crashes(remove_durably) == {None}


def test_a_synced_file_may_lose_its_name_until_the_directory_is_synced() -> None:
    """This is how a freshly rotated journal can vanish although its bytes are safe."""
    names = set()
    for chance in range(20):
        files = _files()
        files.append("f/b", b"x")
        files.sync("f/b")
        files.crash(Random(chance))
        names.add(files.names("f"))
    assert names == {("a",), ("a", "b")}


def test_a_crash_tells_what_it_did_and_the_same_chance_does_the_same() -> None:
    losses = []
    for chance in range(30):
        pair = []
        for _ in range(2):
            files = _files()
            files.append(NAME, b"0123456789")
            files.append("f/b", b"x")
            pair.append((files.crash(Random(chance)), files.read(NAME, 0, 99), files.names("f")))
        assert pair[0] == pair[1]
        losses.append(pair[0][0])
    assert any(loss.torn_files for loss in losses)
    assert any(loss.lost_bytes for loss in losses)
    assert any(loss.undone_entries for loss in losses)
    assert _files().crash(Random(1)) == CrashLoss(torn_files=0, lost_bytes=0, undone_entries=0)
