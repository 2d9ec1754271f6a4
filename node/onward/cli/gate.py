"""`onward contract`: the gate that a contract passes before a network accepts it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from onward.cli.output import Exit, answer, json_option
from onward.gate.check import GateReport, check, scenarios_about
from onward.gate.double import SURROUNDINGS
from onward.gate.subject import contract_of, subject_of

HERE_DIFFERENCES = 5


@click.group()
def contract() -> None:
    """Contracts before they are accepted."""


@contract.command("check")
@click.argument("contract_or_file", metavar="NAME|FILE")
@click.option(
    "--scenarios",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Execute the scenario files about this contract, instead of a few calls.",
)
@click.option(
    "--no-waivers",
    is_flag=True,
    help="Refuse also what comments in the source excuse.",
)
@json_option
def check_contract(contract_or_file: str, scenarios: Path | None, *, no_waivers: bool) -> None:
    """Would replicas disagree about what this contract does?

    Reads the source of a contract for what differs between replicas, then executes it in processes
    with another hash seed, locale, time zone, clock and history, and compares every write, event,
    code and projection row. Exit 0: it may pass. 1: it is refused. What reading refuses is not
    executed.
    """
    subject = subject_of(contract_or_file)
    files: tuple[str, ...] = ()
    if scenarios is not None:
        name = subject.name or contract_of(subject).name
        files = scenarios_about(name, scenarios)
    report = check(subject, files, waivers_count=not no_waivers)
    answer(_as_json(report), lambda _: _tell(report), code=Exit.YES if report.ok else Exit.NO)


def _as_json(report: GateReport) -> dict[str, Any]:
    return {
        "accepted": report.executions.accepted,
        "compared": report.executions.compared,
        "complaint": report.complaint,
        "contract": report.label,
        "differences": [dataclasses.asdict(item) for item in report.differences],
        "executed": report.executed,
        "files": list(report.files),
        "findings": [
            {**dataclasses.asdict(item), "sentence": item.sentence} for item in report.findings
        ],
        "ok": report.ok,
        "waived": [dataclasses.asdict(item) for item in report.waived],
    }


def _tell(report: GateReport) -> None:
    for item in report.findings:
        click.echo(str(item))
    for item in report.waived:
        click.echo(f"{item.file}:{item.line}: {item.rule} {item.what}; waived: {item.waived}")
    for difference in report.differences[:HERE_DIFFERENCES]:
        click.echo(str(difference))
    if len(report.differences) > HERE_DIFFERENCES:
        click.echo(f"and {len(report.differences) - HERE_DIFFERENCES} more differences")
    if report.complaint:
        click.echo(report.complaint)
    read = f"{len(report.files)} files read, {len(report.findings)} findings"
    ran = "not executed"
    if report.executed:
        ran = (
            f"{report.executions.compared} values of {len(SURROUNDINGS)} executions compared, "
            f"{len(report.differences)} differ"
        )
    click.echo(f"{report.label}: {'passes' if report.ok else 'refused'} ({read}; {ran})")
