"""What the README tells a newcomer to type works, word for word."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from onward.network.definition import NETWORK_NAME, read_network
from onward.network.processes import kill

ROOT = Path(__file__).parents[2]


def shell_blocks(document: str) -> list[str]:
    """The shell blocks of a document, in order."""
    text = (ROOT / document).read_text()
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like a clone whose set-up is done."""
    for name in (".venv", "scenarios"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_readme_begins_with_two_commands_that_the_makefile_has() -> None:
    first, *_ = shell_blocks("README.md")
    commands = [line.split("#")[0].split() for line in first.splitlines()]
    assert [command[0] for command in commands] == ["make", "make"]
    listed = (ROOT / "Makefile").read_text()
    for _, target in commands:
        assert re.search(rf"^{target}:", listed, re.MULTILINE)


@pytest.mark.timeout(300)
def test_the_readmes_network_of_your_own_runs_as_it_stands(clone: Path) -> None:
    block = shell_blocks("README.md")[1]
    try:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=clone,
            env={key: value for key, value in os.environ.items() if key != "ONWARD_NETWORK"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:  # also when it takes too long: its nodes are no children of the shell
        if (clone / "mynet" / NETWORK_NAME).exists():
            kill(read_network(clone / "mynet").nodes)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "beta" in ran.stdout
    assert "share.onward by acme" in ran.stdout


def test_the_scenario_that_the_readme_names_runs(clone: Path) -> None:
    named = re.search(r"`onward (scenario run \S+)`", (ROOT / "README.md").read_text())
    assert named is not None
    ran = subprocess.run(
        [ROOT / ".venv/bin/onward", *named[1].split()],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
