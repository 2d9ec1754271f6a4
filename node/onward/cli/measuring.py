"""What the measuring commands share: what they tell people and what they leave."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from onward.cli.output import writing

_TOLD_EVERY_S = 5.0


class Progress:
    """What is going on, on stderr: one line that is written anew, or a line now and then."""

    def __init__(self) -> None:
        self._alive = sys.stderr.isatty()
        self._next_s = 0.0

    def __call__(self, text: str) -> None:
        """Something goes on; at most every few seconds where lines stay."""
        now_s = time.monotonic()
        if self._alive:
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)
        elif now_s >= self._next_s:
            self._next_s = now_s + _TOLD_EVERY_S
            click.echo(text, err=True)

    def told(self, sentence: str) -> None:
        """Something is over: a line that stays."""
        self.done()
        click.echo(sentence, err=True)
        self._next_s = 0.0

    def done(self) -> None:
        """Leave no line behind."""
        if self._alive:
            click.echo("\r\x1b[K", err=True, nl=False)


def write_result(
    result: dict[str, Any], page: str, *, out: Path | None, charts: Path | None
) -> None:
    """Leave the document and the page of charts where they are asked for."""
    with writing():
        if out is not None:
            out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        if charts is not None:
            charts.write_text(page, encoding="utf-8")
