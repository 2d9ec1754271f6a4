"""`onward scenario`: ask what the chain would say, with no network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from onward.cli.output import Exit, answer, json_option, wants_json
from onward.scenario.documents import shipped_documents
from onward.scenario.errors import ScenarioError
from onward.scenario.format import SCENARIO_BYTES_MAX, parse_scenario
from onward.scenario.runner import ScenarioResult, StepResult, run_scenario
from onward_chaincode.registry import contract_for

HEX_SHOWN = 16
DAY_MS = 86_400_000
CLOSE_MS = 1_000  # so near before a full day, a time is shown as the day less the rest


@click.group()
def scenario() -> None:
    """Stories in a file: parties, terms, steps, and the verdict that each step should get."""


@scenario.command("run")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(path_type=Path),
)
@json_option
def run(files: tuple[Path, ...]) -> None:
    """Run scenario files against the contract in memory.

    A file's run ends at its first unexpected verdict. Exit 0: every verdict was as expected. 1: one
    was not. 2: a file is wrong.
    """
    results: list[ScenarioResult] = []
    for file in files:
        result = _run_file(file)
        results.append(result)
        if not wants_json():
            _print_story(result)
    ok = all(result.ok for result in results)
    answer(
        {"ok": ok, "scenarios": [_as_json(result) for result in results]},
        lambda _: _print_summary(results),
        code=Exit.YES if ok else Exit.NO,
    )


def _run_file(file: Path) -> ScenarioResult:
    try:
        with file.open("rb") as stream:
            data = stream.read(SCENARIO_BYTES_MAX + 1)
    except OSError as error:
        raise ScenarioError(f"{file}: {error.strerror}") from None
    parsed = parse_scenario(data, where=str(file), fixtures=shipped_documents())
    return run_scenario(parsed, contract_for)


def _as_json(result: ScenarioResult) -> dict[str, Any]:
    document = dataclasses.asdict(result)
    document["ok"] = result.ok
    for item, step in zip(document["steps"], result.steps, strict=True):
        item["ok"] = step.ok
    return document


# -- for people ------------------------------------------------------------------------------------


def _print_story(result: ScenarioResult) -> None:
    click.echo(f"{result.title}  ({result.where})")
    name_width = max(len(step.name) for step in result.steps)
    what_width = max(len(step.what) for step in result.steps)
    by_width = max(len(step.by) for step in result.steps)
    for step in result.steps:
        mark = click.style("✓", fg="green") if step.ok else click.style("✗", fg="red")
        click.echo(
            f"  {mark} {_since(step.time_ms - result.t0_ms):>16}  {step.name:<{name_width}}  "
            f"{step.by:<{by_width}}  {step.what:<{what_width}}  {_verdict(step)}"
        )
        if not step.ok:
            click.echo(f"      {step.complaint}")
            if step.message:
                click.echo(f"      {step.message}")
    click.echo(
        f"  height {result.height}, state root {result.state_root[:HEX_SHOWN]}…, "
        f"log root {result.log_root[:HEX_SHOWN]}…\n"
    )


def _verdict(step: StepResult) -> str:
    """The code, who decided, and what was expected where that differs."""
    details = [step.rule] if step.rule else []
    if step.outcome in ("recorded", "void", "door"):
        details.append(
            {"recorded": "recorded", "void": "void", "door": "at the door"}[step.outcome]
        )
    shown = f"{step.code} ({', '.join(details)})" if details else step.code
    return shown if step.expected == step.code else f"{shown}, expected {step.expected}"


def _since(ms: int) -> str:
    """A time as the file would write it, relative to t0: `t0+30d-1ms`."""
    up = -(-ms // DAY_MS) * DAY_MS
    if 0 < up - ms < CLOSE_MS:
        return f"t0{_amount(up)}{_amount(ms - up)}"
    return f"t0{_amount(ms)}"


def _amount(ms: int) -> str:
    """`+2h 1s`, `-1ms`, or nothing."""
    parts, rest = [], abs(ms)
    for unit, size in (("d", DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return ("-" if ms < 0 else "+") + " ".join(parts) if parts else ""


def _print_summary(results: list[ScenarioResult]) -> None:
    steps = sum(len(result.steps) for result in results)
    stories = "1 scenario" if len(results) == 1 else f"{len(results)} scenarios"
    wrong = [result for result in results if not result.ok]
    if wrong:
        click.echo(
            f"{len(wrong)} of {stories} did not go as expected: "
            + ", ".join(result.where for result in wrong)
        )
    else:
        click.echo(f"{stories}, {steps} steps, every verdict as expected")
