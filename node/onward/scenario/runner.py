"""Running a scenario in memory: every step through the stateless door, a block, and its verdict.

Each step becomes a real envelope, signed with real keys, and is judged as a validator would judge
it: `check_envelope` first, execution at the step's block time then. Nothing is read or written, and
the same scenario gives the same state root and log root everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onward.crypto.signing import verify
from onward.errors import RejectedError
from onward.execution.block import ExecutedBody
from onward.execution.body import ContractFor
from onward.ledger.genesis import (
    Genesis,
    GenesisContract,
    GenesisParty,
    Parameters,
    genesis_document,
    parse_genesis,
)
from onward.ledger.transaction import check_envelope
from onward.scenario.breakage import Sealed, seal
from onward.scenario.chain import MemoryChain
from onward.scenario.errors import ScenarioError
from onward.scenario.format import (
    BLOCK_TIME_MS_MAX,
    BUILT_IN_PARTIES,
    Scenario,
    Step,
)
from onward.scenario.grammar import CONTRACT, CONTRACT_VERSION
from onward.scenario.keys import party_id_of, public_key, salt_of, signing_key
from onward.scenario.moments import milliseconds
from onward.scenario.story import Draft, Story
from onward.types import PublicKey, Validator
from onward_proto.documents import canonical_document

BLOCK_STEP_MS = 1_000
VALIDITY_MS = 3_600_000
GENESIS_BEFORE_T0_MS = 3_600_000

Observe = Callable[[ExecutedBody], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What became of a step.

    `outcome`: accepted, recorded, refused, void, door (refused before any block), answered or
    unanswered. `complaint` is "" when everything that the step expects holds.
    """

    number: int
    name: str
    what: str
    by: str
    height: int
    time_ms: int
    tx_hash: str
    code: str
    rule: str
    message: str
    outcome: str
    expected: str
    complaint: str
    answer: Mapping[str, Any] | None

    @property
    def ok(self) -> bool:
        """Whether the step went as expected."""
        return not self.complaint


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """The steps up to the first unexpected one, and the roots after the last block."""

    where: str
    title: str
    t0_ms: int
    chain_id: str
    height: int
    state_root: str
    log_root: str
    step_count: int
    steps: tuple[StepResult, ...]

    @property
    def ok(self) -> bool:
        """Whether every step went as expected."""
        return len(self.steps) == self.step_count and all(step.ok for step in self.steps)


class _ScenarioCast:
    """The parties of a scenario, with the keys that their names stand for."""

    def __init__(self, scenario: Scenario) -> None:
        self._parties = scenario.parties

    def party_id(self, name: str) -> str:
        return party_id_of(name, self._parties[name].kind)

    def public_key(self, name: str, number: int) -> bytes:
        return public_key(name, number)


def check_scenario(scenario: Scenario) -> None:
    """Whether every step can be drafted. Raises `ScenarioError` for the first that cannot."""
    Story(scenario, _ScenarioCast(scenario)).rehearse()


def run_scenario(
    scenario: Scenario, contract_for: ContractFor, observe: Observe | None = None
) -> ScenarioResult:
    """Run all steps up to the first unexpected verdict. Raises `ScenarioError` for a wrong file.

    `observe` is shown every executed body, with all that it wrote and announced.
    """
    check_scenario(scenario)
    return _Run(scenario, contract_for, observe).run()


def scenario_genesis(
    t0_ms: int, contract: str = CONTRACT, version: int = CONTRACT_VERSION
) -> Genesis:
    """The genesis of scenarios: one validator, one contract, the three parties that always are."""
    document = genesis_document(
        network="scenario",
        time_ms=t0_ms - GENESIS_BEFORE_T0_MS,
        parameters=Parameters(),
        validators=(
            Validator(
                name="only", organisation="nobody", public_key=PublicKey(public_key("validator"))
            ),
        ),
        parties=tuple(
            GenesisParty(party_id=name, kind=kind, public_key=PublicKey(public_key(name)))
            for name, kind in BUILT_IN_PARTIES.items()
        ),
        contracts=(GenesisContract(name=contract, version=version, from_height=1),),
    )
    return parse_genesis(canonical_document(document))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A step that passed the door and waits for its block, or was refused at the door."""

    step: Step
    sealed: Sealed
    refusal: RejectedError | None


class _Run:
    """One run; used once."""

    def __init__(
        self, scenario: Scenario, contract_for: ContractFor, observe: Observe | None
    ) -> None:
        self._scenario = scenario
        self._observe = observe
        self._story = Story(scenario, _ScenarioCast(scenario))
        genesis = scenario_genesis(scenario.t0_ms, scenario.contract, scenario.version)
        self._chain = MemoryChain(genesis, scenario.contract, contract_for)
        self._now_ms = scenario.t0_ms - GENESIS_BEFORE_T0_MS
        self._sealed: dict[str, Sealed] = {}
        self._results: list[StepResult] = []

    def run(self) -> ScenarioResult:
        self._set_up()
        # The first step without a time of its own stands exactly at t0.
        self._now_ms = self._scenario.t0_ms - BLOCK_STEP_MS
        for group in _groups(self._scenario.steps):
            self._block(group)
            if not all(result.ok for result in self._results):
                break
        state_root, log_root = self._chain.roots
        return ScenarioResult(
            where=self._scenario.where,
            title=self._scenario.title,
            t0_ms=self._scenario.t0_ms,
            chain_id=self._chain.chain_id.hex(),
            height=self._chain.tip.height,
            state_root=state_root.hex(),
            log_root=log_root.hex(),
            step_count=len(self._scenario.steps),
            steps=tuple(self._results),
        )

    def _set_up(self) -> None:
        for draft in self._story.setup():
            self._now_ms += 1
            sealed = self._seal(draft, self._now_ms + VALIDITY_MS)
            check_envelope(sealed.envelope, self._chain.chain_id, verify)
            done = self._execute((sealed.envelope,))[0]
            if done.result.code != "OK":
                verdict = f"{done.result.code} {done.result.message}"
                raise ScenarioError(f"{self._scenario.where}: {draft.name}: {verdict}")

    def _block(self, group: tuple[Step, ...]) -> None:
        """The steps of one block, or one question."""
        self._now_ms = self._time_of(group[0])
        if group[0].ask:
            self._results.append(self._ask(group[0]))
            return
        pending = [self._pend(step) for step in group]
        envelopes = [item.sealed.envelope for item in pending if item.refusal is None]
        bodies = iter(self._execute(envelopes) if envelopes else ())
        for item in pending:
            done = next(bodies) if item.refusal is None else None
            self._results.append(self._judge(item, done))

    def _execute(self, envelopes: Sequence[bytes]) -> tuple[ExecutedBody, ...]:
        done = self._chain.execute(envelopes, self._now_ms)
        if self._observe is not None:
            for body in done:
                self._observe(body)
        return done

    def _time_of(self, step: Step) -> int:
        latest = max(self._now_ms, self._chain.tip.time_ms)
        if step.at is None:
            # A question without a time is asked right after the last block.
            return latest + (1 if step.ask else BLOCK_STEP_MS)
        at_ms = milliseconds(step.at, t0_ms=self._scenario.t0_ms, now_ms=latest)
        if not self._chain.tip.time_ms < at_ms <= BLOCK_TIME_MS_MAX:
            raise ScenarioError(
                f"{self._scenario.where}: step {step.number} ({step.name}): at {step.at!r} is "
                f"{at_ms}, the block before stands at {self._chain.tip.time_ms}, "
                f"the last that can be at {BLOCK_TIME_MS_MAX}"
            )
        return at_ms

    def _pend(self, step: Step) -> _Pending:
        if step.replays:
            sealed = self._sealed[step.replays]
        else:
            draft = self._story.draft(step, self._now_ms)
            valid_until_ms = self._now_ms + VALIDITY_MS
            if step.valid_until is not None:
                valid_until_ms = milliseconds(
                    step.valid_until, t0_ms=self._scenario.t0_ms, now_ms=self._now_ms
                )
            sealed = self._seal(draft, valid_until_ms, step.breaks)
            # Steps of the same block may name what this one makes.
            self._story.executed(step, sealed.tx_hash, accepted=False)
        self._sealed[step.name] = sealed
        try:
            check_envelope(sealed.envelope, self._chain.chain_id, verify)
        except RejectedError as refusal:
            return _Pending(step=step, sealed=sealed, refusal=refusal)
        return _Pending(step=step, sealed=sealed, refusal=None)

    def _seal(self, draft: Draft, valid_until_ms: int, breaks: str = "") -> Sealed:
        body = draft.body(valid_until_ms=valid_until_ms, salt=salt_of(draft.name))
        signers = [signing_key(name, number) for name, number in draft.signers]
        return seal(self._chain.chain_id, body, signers, breaks)

    def _judge(self, item: _Pending, done: ExecutedBody | None) -> StepResult:
        step = item.step
        if item.refusal is not None:
            code, rule, message = item.refusal.code, item.refusal.rule, str(item.refusal)
            outcome = "door"
        elif done is not None:
            result = done.result
            code, rule, message = result.code, result.rule, result.message
            outcome = "void" if result.outcome is None else result.outcome.name.lower()
            accepted = outcome == "accepted"
            if accepted and not step.replays:
                self._story.executed(step, item.sealed.tx_hash, accepted=True)
        else:
            raise ScenarioError(f"{step.name}: no verdict")
        return self._result(
            step, code=str(code), rule=rule, message=message, outcome=outcome, sealed=item.sealed
        )

    def _ask(self, step: Step) -> StepResult:
        question = self._story.question(step, self._now_ms)
        try:
            answer = self._chain.ask(
                question.query,
                question.arguments,
                reader=question.reader_id,
                at_ms=self._now_ms,
            )
        except RejectedError as refusal:
            return self._result(
                step,
                code=str(refusal.code),
                rule=refusal.rule,
                message=str(refusal),
                outcome="unanswered",
            )
        complaint = "" if question.answer is None else differs(question.answer, answer, "answer")
        return self._result(
            step, code="OK", rule="", message="", outcome="answered", answer=answer, found=complaint
        )

    def _result(
        self,
        step: Step,
        *,
        code: str,
        rule: str,
        message: str,
        outcome: str,
        sealed: Sealed | None = None,
        answer: Mapping[str, Any] | None = None,
        found: str = "",
    ) -> StepResult:
        complaints = [
            f"{what}: expected {expected}, got {got or 'none'}"
            for what, expected, got in (
                ("verdict", step.expect, code),
                ("outcome", step.outcome, outcome),
                ("rule", step.rule, rule),
            )
            if expected and expected != got
        ]
        return StepResult(
            number=step.number,
            name=step.name,
            what=step.what,
            by=step.by,
            height=self._chain.tip.height,
            time_ms=self._now_ms,
            tx_hash="" if sealed is None else sealed.tx_hash.hex(),
            code=code,
            rule=rule,
            message=message,
            outcome=outcome,
            expected=step.expect,
            complaint="; ".join([*complaints, *([found] if found else [])]),
            answer=answer,
        )


def differs(expected: Any, got: Any, where: str) -> str:
    """Where `got` does not contain `expected`, or "". Tables may hold more, lists may not."""
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping):
            return f"{where}: expected a table, got {got!r}"
        for key, value in expected.items():
            if key not in got:
                return f"{where}.{key}: expected {value!r}, got nothing"
            found = differs(value, got[key], f"{where}.{key}")
            if found:
                return found
        return ""
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            size = len(got) if isinstance(got, list) else repr(got)
            return f"{where}: expected {len(expected)} items, got {size}"
        pairs = enumerate(zip(expected, got, strict=True))
        return next((text for i, (a, b) in pairs if (text := differs(a, b, f"{where}[{i}]"))), "")
    if expected != got or isinstance(expected, bool) != isinstance(got, bool):
        return f"{where}: expected {expected!r}, got {got!r}"
    return ""


def _groups(steps: tuple[Step, ...]) -> list[tuple[Step, ...]]:
    """The steps by block: one that stands `together` joins the one above it."""
    groups: list[list[Step]] = []
    for step in steps:
        if step.together:
            groups[-1].append(step)
        else:
            groups.append([step])
    return [tuple(group) for group in groups]
