"""The gate as a whole: what reading and double execution say of a contract."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from onward.gate.double import Difference, Executions, Trial, execute
from onward.gate.reading import read_source
from onward.gate.rules import Finding
from onward.gate.subject import Source, Subject, SubjectError, sources_of
from onward.scenario.grammar import CONTRACT

NOT_EXECUTED = Executions(accepted=0, compared=0, differences=())


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """The gate's verdict on one contract, with everything that it rests on."""

    label: str
    files: tuple[str, ...]
    findings: tuple[Finding, ...]
    waived: tuple[Finding, ...]
    executed: bool
    executions: Executions

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What the executions left differently."""
        return self.executions.differences

    @property
    def complaint(self) -> str:
        """Why the executions prove nothing, or ""."""
        if not self.executed:
            return ""
        if self.executions.failure:
            return f"it could not be run: {self.executions.failure}"
        if not self.executions.accepted:
            return "no transaction was accepted, so nothing was compared: give it scenarios"
        return ""

    @property
    def ok(self) -> bool:
        """Whether the contract may pass."""
        return self.executed and not (self.findings or self.differences or self.complaint)


def read(subject: Subject) -> tuple[tuple[Source, ...], tuple[Finding, ...]]:
    """The contract's sources, and what is wrong in them, waived or not."""
    sources = sources_of(subject)
    neighbours = frozenset(source.module for source in sources)
    found = [
        finding
        for source in sources
        for finding in read_source(source.text, source.file, neighbours)
    ]
    return sources, tuple(found)


def check(
    subject: Subject, scenarios: tuple[str, ...] = (), *, waivers_count: bool = True
) -> GateReport:
    """Read a contract and, if nothing in it is refused, execute it in differing surroundings.

    What reading refuses is not executed: it may be anybody's code.
    """
    sources, found = read(subject)
    waived = tuple(item for item in found if item.waived and waivers_count)
    findings = tuple(item for item in found if item not in waived)
    executions = NOT_EXECUTED
    if not findings:
        executions = execute((Trial(subject=subject, scenarios=scenarios),))[subject.label]
    return GateReport(
        label=subject.label,
        files=tuple(source.file for source in sources),
        findings=findings,
        waived=waived,
        executed=not findings,
        executions=executions,
    )


def scenarios_about(contract: str, folder: Path) -> tuple[str, ...]:
    """The scenario files below a folder that speak of this contract. Raises `SubjectError`."""
    found = []
    for path in sorted(folder.rglob("*.toml")):
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SubjectError(f"{path}: not TOML: {error}") from None
        if document.get("contract", CONTRACT) == contract:
            found.append(str(path.resolve()))
    if not found:
        raise SubjectError(f"{folder}: no scenario of the contract {contract!r}")
    return tuple(found)
