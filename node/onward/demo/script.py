"""The demo's script: the story's steps, and how they are told. Data of this package."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from onward.errors import MalformedError
from onward.scenario.documents import shipped_documents
from onward.scenario.format import Scenario, Step, parse_scenario

_STORY = "story.toml"
_TELLING = "telling.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How one step is told: `say` follows the actor's name, `then` (or "") stands below."""

    say: str
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Steps under a title. `kill` and `restart` name a validator, or are ""; they come first."""

    title: str
    lead: str
    kill: str
    restart: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The whole demo. Every step of the scenario stands in one scene, in the same order."""

    title: str
    names: Mapping[str, str]
    scenario: Scenario
    scenes: tuple[Scene, ...]
    lines: Mapping[str, Line]

    def name(self, party: str) -> str:
        """A party's name as people write it."""
        return self.names.get(party, party)


def load_script() -> Script:
    """The script that ships with the package. Raises `MalformedError` for one that does not fit."""
    folder = resources.files("onward.demo")
    scenario = parse_scenario(
        (folder / _STORY).read_bytes(), where=_STORY, fixtures=shipped_documents()
    )
    telling = tomllib.loads((folder / _TELLING).read_text(encoding="utf-8"))
    steps = {step.name: step for step in scenario.steps}
    lines = {
        name: Line(say=entry["say"], then=entry.get("then", ""))
        for name, entry in telling["step"].items()
    }
    scenes = tuple(_scene(entry, steps) for entry in telling["scene"])
    told = [step.name for scene in scenes for step in scene.steps]
    if told != list(steps) or sorted(lines) != sorted(steps):
        raise MalformedError(f"{_TELLING}: tells {told}, expected every step of {_STORY} once")
    return Script(
        title=telling["title"],
        names=telling["names"],
        scenario=scenario,
        scenes=scenes,
        lines=lines,
    )


def _scene(entry: Mapping[str, Any], steps: Mapping[str, Step]) -> Scene:
    unknown = [name for name in entry["steps"] if name not in steps]
    if unknown:
        raise MalformedError(f"{_TELLING}: {', '.join(unknown)}: no such step in {_STORY}")
    return Scene(
        title=entry["title"],
        lead=entry["lead"],
        kill=entry.get("kill", ""),
        restart=entry.get("restart", ""),
        steps=tuple(steps[name] for name in entry["steps"]),
    )
