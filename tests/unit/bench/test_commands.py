"""`onward bench faults` and `validators`: their manners, without a network."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from onward.cli.main import main


@pytest.mark.parametrize(
    "arguments",
    [
        ("faults",),
        ("faults", "--rate", "10", "--only", "melt"),
        ("faults", "--rate", "10", "--validator", "v5"),
        ("faults", "--rate", "10", "--workload", "read"),
        ("validators", "--sizes", "3"),
        ("validators", "--sizes", "4,26"),
        ("validators", "--sizes", "4;7"),
        ("validators", "--delay-ms", "-1"),
        ("validators", "--delay-ms", "nan"),
        ("validators", "--workload", "read"),
        ("run", "--rate", "10", "--network", ".", "--fault", "equivocate:v2:1:1"),
    ],
)
def test_wrong_usage_starts_nothing(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, ["bench", *arguments]).exit_code == 2
