"""Copies share what never changes, and nothing else: a shared file that changes ruins them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from onward.bench.homes import copy_data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A home's data between two flushes: the database's log has the number 20."""
    found = tmp_path / "data"
    for name in (
        "database/000007.ldb",
        "database/000019.ldb",
        "database/000021.ldb",
        "database/000020.log",
        "database/MANIFEST-000002",
        "database/CURRENT",
        "batches/0000000001.log",
        "batches/0000000002.log",
        "batches/0000000003.log",
        "pages/0000000007.log",
        "pages/0000000008.log",
        "journal/0000000004.log",
        "lock",
    ):
        file = found / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name, encoding="utf-8")
    return found


def test_only_files_that_are_never_written_again_are_shared(data: Path, tmp_path: Path) -> None:
    """LevelDB writes table 21 in place when the manifest does not know it: in all copies."""
    copy = tmp_path / "copy"
    copy_data(data, copy)
    files = [file.relative_to(copy) for file in copy.rglob("*") if file.is_file()]
    assert {str(file) for file in files if (copy / file).samefile(data / file)} == {
        "database/000007.ldb",
        "database/000019.ldb",
        "batches/0000000001.log",
        "batches/0000000002.log",
        "pages/0000000007.log",
    }
    assert all((copy / file).read_text(encoding="utf-8") == str(file) for file in files)
    assert len(files) == 12, "all but the lock"


def test_what_stood_there_before_is_gone(data: Path, tmp_path: Path) -> None:
    """A table or a journal of an earlier run beside the copied ones would be taken for theirs."""
    copy = tmp_path / "copy"
    (copy / "journal").mkdir(parents=True)
    (copy / "journal" / "0000000009.log").write_text("votes", encoding="utf-8")
    copy_data(data, copy)
    assert [file.name for file in (copy / "journal").iterdir()] == ["0000000004.log"]


def test_a_database_without_a_log_shares_no_table(data: Path, tmp_path: Path) -> None:
    """Nothing says then from where on it will count."""
    (data / "database" / "000020.log").unlink()
    copy = tmp_path / "copy"
    copy_data(data, copy)
    for name in ("000007.ldb", "000019.ldb", "000021.ldb"):
        assert not (copy / "database" / name).samefile(data / "database" / name)
