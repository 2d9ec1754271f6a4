"""Golden traces: commands with the transcript that they gave when somebody last approved it.

A file holds paragraphs::

    # What this paragraph shows.
    command key=value other=value
    ----
    the transcript, which ends at the empty line

`pytest --rewrite` puts in what is said now; the difference is read and explained in the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SEPARATOR = "----"


@dataclass(frozen=True)
class Step:
    """One paragraph."""

    comments: tuple[str, ...]
    command: str
    arguments: dict[str, str]
    expected: str

    @property
    def line(self) -> str:
        return " ".join([self.command, *(f"{key}={item}" for key, item in self.arguments.items())])


def parse(text: str) -> list[Step]:
    """The steps of a file. Raises ValueError for a paragraph that is none."""
    steps = []
    for paragraph in text.strip().split("\n\n"):
        lines = paragraph.splitlines()
        comments = tuple(line for line in lines if line.startswith("#"))
        rest = lines[len(comments) :]
        if SEPARATOR not in rest[1:2]:
            raise ValueError(f"expected a command and {SEPARATOR!r}, got {rest!r}")
        command, *words = rest[0].split()
        arguments = dict(word.split("=", 1) for word in words)
        steps.append(Step(comments, command, arguments, "\n".join(rest[2:])))
    return steps


def run(path: Path, perform: Callable[[Step], str], *, rewrite: bool) -> None:
    """Perform every step of a file and compare, or with `rewrite` put in what was said."""
    steps = parse(path.read_text())
    said = [perform(step).strip("\n") for step in steps]
    if rewrite:
        paragraphs = [
            "\n".join(part for part in (*step.comments, step.line, SEPARATOR, text) if part)
            for step, text in zip(steps, said, strict=True)
        ]
        path.write_text("\n\n".join(paragraphs) + "\n")
        return
    for step, text in zip(steps, said, strict=True):
        assert text == step.expected, f"{path.name}: {step.line}"
