"""What the README tells a newcomer to type works, word for word; so does what the runbook says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from onward.network.definition import NETWORK_NAME, read_network
from onward.network.ports import free_ports
from onward.network.processes import kill
from onward.runtime.config import (
    GatewayConfig,
    Listen,
    NodeConfig,
    PeersConfig,
    render_config,
)
from onward.runtime.home import BEGAN_NAME

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


# -- a network of several organisations ------------------------------------------------------------

ORGANISATIONS = ("north", "south", "east", "west")
PATIENCE = 10  # looks, of some seconds each


def commands_of(document: str, title: str) -> dict[str, str]:
    """The commands with something to fill in that a section names, by their first two words."""
    text = (ROOT / document).read_text(encoding="utf-8")
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(r"`onward ([^`]*\b[A-Z]+\b[^`]*)`", section)
    return {" ".join(command.split()[:2]): command for command in found}


def typed(command: str, **parts: str | Path) -> list[str]:
    """A command's words as somebody types them who fills in the parts in capitals."""
    line = re.sub(r"\b[A-Z]+\b", lambda part: str(parts[part[0]]), command)
    return [str(ROOT / ".venv/bin/onward"), *line.split()]


def config_of(name: str, base: int) -> str:
    """A node.toml as each organisation writes its own."""
    places = {
        other: Listen(host="127.0.0.1", port=base + 3 * number)
        for number, other in enumerate(ORGANISATIONS)
    }
    own = places[name]
    config = NodeConfig(
        name=name,
        peers=PeersConfig(
            listen=own,
            addresses=tuple(item for item in places.items() if item[0] != name),
            plaintext=False,
        ),
        gateway=GatewayConfig(listen=Listen(host=own.host, port=own.port + 1), plaintext=False),
        metrics=Listen(host=own.host, port=own.port + 2),
        log_level="info",
    )
    return render_config(config)


@contextmanager
def started(lines: list[list[str]], folder: Path) -> Iterator[None]:
    """Node processes, in the foreground of nobody."""
    with (folder / "log").open("wb") as log:
        nodes = [subprocess.Popen(line, cwd=folder, stderr=log) for line in lines]
        try:
            yield
        finally:
            for node in nodes:
                node.terminate()
            for node in nodes:
                node.wait(timeout=30)


@pytest.mark.timeout(300)
def test_organisations_set_up_a_network_together_as_the_runbook_says(tmp_path: Path) -> None:
    """Names of their own, a genesis that was edited in place, and no folder that has it all."""
    commands = commands_of("docs/operating/runbook.md", "A network of several organisations")

    def run(name: str, **parts: str | Path) -> Any:
        line = [*typed(commands[name], **parts), "--json"]
        done = subprocess.run(
            line,
            cwd=tmp_path,
            env={key: value for key, value in os.environ.items() if key != "ONWARD_NETWORK"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return json.loads(done.stdout)

    keys = {name: run("node key", HOME=name)["public_key"] for name in ORGANISATIONS}
    run("network init", N="4", NAME="consortium")
    genesis = tmp_path / "draft" / "genesis.json"
    document = json.loads(genesis.read_bytes())
    document["validators"] = [
        {**pattern, "name": name, "organisation": f"org-{name}", "public_key": keys[name]}
        for pattern, name in zip(document["validators"], ORGANISATIONS, strict=True)
    ]
    genesis.write_text(json.dumps(document), encoding="utf-8")
    base = free_ports(3 * len(ORGANISATIONS))
    for name in ORGANISATIONS:
        shutil.copy(genesis, tmp_path / name)
        (tmp_path / name / "node.toml").write_text(config_of(name, base), encoding="utf-8")
        assert run("node init", HOME=name)["in_genesis"]
        assert (tmp_path / name / BEGAN_NAME).exists()

    with started([typed(commands["node run"], HOME=name) for name in ORGANISATIONS], tmp_path):
        look = typed(commands["why-stuck HOME"], HOME="north")
        looks = (subprocess.run(look, cwd=tmp_path, check=False) for _ in range(PATIENCE))
        assert any(done.returncode == 0 for done in looks), (tmp_path / "log").read_text()
        made = run("party create", NAME="gamma", DIR="draft")
        told = run(
            "party register",
            NAME="gamma",
            KEY=made["public_key"],
            FILE=genesis,
            VALIDATOR="south",
            HOST="127.0.0.1",
            PORT=str(base + 4),
        )
        assert (told["code"], made["party"]) == ("OK", "gamma")
