"""The page of metrics in the documentation lists what a node serves, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from onward.telemetry.metrics import make_metrics

PAGE = Path(__file__).parents[3] / "docs" / "operating" / "metrics.md"


def test_every_metric_is_documented_and_every_documented_metric_exists() -> None:
    served = {family.name for family in make_metrics().registry.collect()}
    documented = set(re.findall(r"^\| `(onward_\w+?)(?:_total)?`", PAGE.read_text(), re.MULTILINE))
    assert documented == served
