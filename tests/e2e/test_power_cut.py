"""The power of four validators goes at once. What was acknowledged must be there afterwards.

A sample; `python -m tests.campaigns.power_cuts` cuts at 200 points (tests/README.md).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.campaigns.power_cuts import survive_power_cuts
from tests.support import power_cut, powered_network
from tests.support.power_cut import RecordingFiles

from onward.errors import CorruptionError


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", [1_001, 1_002, 1_003])
def test_four_validators_that_lose_power_at_once_forget_nothing_acknowledged(
    tmp_path: Path, seed: int
) -> None:
    """A vote that was sent and then forgotten forks the chain; a lost batch is lost for good.

    Real LevelDB, journal and batch log, cut to what had been synced when the power went.
    """
    figures = survive_power_cuts(tmp_path, seed, cuts=4)
    assert figures.cuts >= 4
    assert figures.acknowledged > 10


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("journal", "forgot"),  # a vote that others have
        ("batches", "damaged|the log ends before"),  # a batch that the log counted on
        ("database", "database ends"),  # blocks that the journal was rotated for
    ],
)
def test_power_cuts_find_what_is_not_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, expected: str
) -> None:
    """A stand that finds nothing when a sync is left out shows nothing when it is there."""
    honest = RecordingFiles.sync

    def sync_others(self: RecordingFiles, name: str) -> None:
        if not name.startswith(f"{folder}/"):
            honest(self, name)

    def lose_newest_log(database: Path, _synced: object, _chooser: object) -> None:
        for log in database.glob("*.log"):
            log.write_bytes(b"")

    monkeypatch.setattr(RecordingFiles, "sync", sync_others)
    if folder == "database":
        monkeypatch.setattr(power_cut, "_cut_database", lose_newest_log)
        monkeypatch.setattr(powered_network, "LEVEL_WITHIN_MS", 5_000)
    with pytest.raises((AssertionError, CorruptionError), match=expected):
        survive_power_cuts(tmp_path, 1_001, cuts=20)
