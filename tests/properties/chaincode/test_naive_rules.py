"""The contract against rules that were written a second time, and what holds of whole forests.

The danger: a rule that is coded as it was understood, tested as it was understood, and understood
wrongly. `naive_rules` was written from docs/spec/isa.md; it and the contract judge every step of
random forests. `make rules` does it a hundred thousand times.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
from collections import Counter
from collections.abc import Iterable

import pytest
from tests.properties.chaincode import near_misses
from tests.properties.chaincode.forests import DAY, Forest
from tests.properties.chaincode.naive_rules import judge
from tests.properties.chaincode.naive_world import (
    Judged,
    Row,
    barred,
    due_at,
    happen,
    holders_below,
    id_of,
    newest,
    path_up,
    root_of,
)
from tests.properties.chaincode.side_by_side import (
    Engine,
    Tally,
    play_forest,
    shortest,
)
from tests.unit.chaincode.world import Rows, World

from onward.ledger.statemap import EMPTY_MAP, apply
from onward_chaincode import limits, onward, records
from onward_chaincode.months import month_of
from onward_chaincode.records import AgreementRecord, ShareEntry
from onward_chaincode.standing import (
    effective_expiry,
    effective_fields,
    effective_purposes,
    line_of,
    standing,
)
from onward_proto.canonical import decode

SAMPLE, STEPS = range(16), 250
ORDERED = (1, 2, 4, 6)  # forests in which several may act at the end
RULES_THAT_DECIDE = [name for name, _ in onward.RULES]
# Where a rule that decides seldom does so soon: a hint, to look there first.
SOON = {"R10": 10, "R11": 13, "R12": 5, "R13": 2, "R14": 3, "R16": 1, "R17": 7, "R18": 13, "R19": 3}
SOON |= {"R20": 9, "R21": 2, "R22": 11, "R24": 6, "R25": 3, "R26": 5, "R27": 10}


@functools.cache
def played(seed: int) -> tuple[Forest, Engine, tuple[tuple[Row, Judged], ...]]:
    """A forest at the end of its steps, with projections, and every step with its verdict."""
    forest, engine, past = Forest(seed), Engine(), []
    for step in itertools.islice(forest.life(), STEPS):
        judged = engine.submit(step, project=True)
        happen(forest.world, step, judged)
        past.append((step, judged))
        if judged.outcome != "accepted":
            kinds = {key.split("/")[0] for key in engine.kept}
            assert kinds <= {"refused", "quota"}, f"{step['kind']}: {judged} wrote {kinds}"
    return forest, engine, tuple(past)


def lines(engine: Engine) -> Iterable[tuple[AgreementRecord, ...]]:
    """Every agreement of the contract's state with its path."""
    for key, value in engine.rows.items():
        if key.startswith("agreement/"):
            yield line_of(Rows(engine.rows), decode(AgreementRecord, value))


def test_contract_and_naive_rules_give_every_attempt_the_same_verdict() -> None:
    """Code, rule, and whether a record is kept; and each verdict that can occur does occur."""
    tally = Tally()
    for seed, on_time in [*((seed, False) for seed in SAMPLE), (0, True), (1, True)]:
        found = play_forest(seed, STEPS, tally, on_time=on_time)
        assert found is None, str(shortest(found))
    assert tally.attempts >= 1_500
    assert tally.too_seldom(1) == []
    assert tally.deepest >= limits.DEPTH_MAX // 2


@pytest.mark.parametrize("missing", RULES_THAT_DECIDE)
def test_contract_without_one_of_its_rules_is_found_out(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison that does not notice a rule that is gone compares nothing."""
    monkeypatch.setattr(onward, "RULES", [rule for rule in onward.RULES if rule[0] != missing])
    seeds = sorted(SAMPLE, key=lambda seed: seed != SOON.get(missing))
    differences = (play_forest(seed, STEPS, Tally()) for seed in seeds)
    found = next(one for one in differences if one is not None)
    assert found.naive.rule == missing


def test_contract_that_forgets_a_childs_own_losses_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rule stands, but looks at the parent alone: what the child lost, it may hand over."""

    def forgetful(case: onward.Case) -> None:
        inside = case.attempt.inside
        if inside is not None:
            whole = dataclasses.replace(inside, withdrawn_fields=())
            attempt = dataclasses.replace(case.attempt, inside=whole)
            case = dataclasses.replace(case, attempt=attempt)
        onward.r22_fields(case)

    rules = [(name, forgetful if name == "R22" else rule) for name, rule in onward.RULES]
    monkeypatch.setattr(onward, "RULES", rules)
    differences = (play_forest(seed, STEPS, Tally()) for seed in SAMPLE)
    found = next(one for one in differences if one is not None)
    assert found.naive.code == "E_FIELDS"


def test_difference_is_told_as_a_short_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has to read it: what has nothing to do with the difference is left out."""
    monkeypatch.setattr(onward, "RULES", [rule for rule in onward.RULES if rule[0] != "R16"])
    differences = (play_forest(seed, STEPS, Tally()) for seed in SAMPLE)
    found = next(one for one in differences if one is not None)
    brief = shortest(found)
    assert len(brief.story) < len(found.story)
    kinds = [step["kind"] for step in brief.story]
    assert kinds.count("agreement.accept") == 1
    assert kinds.count("share.record") == 1
    assert (brief.contract, brief.naive) == (found.contract, found.naive)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_refused_child_never_appears(seed: int) -> None:
    """Not at once (`played` looks at every write), and not by anything that comes later."""
    _, engine, past = played(seed)
    refused = [(step, judged) for step, judged in past if judged.outcome != "accepted"]
    assert len(refused) > STEPS // 4
    for step, judged in refused:
        for kind in ("agreement", "share", "offer"):
            assert f"{kind}/{id_of(kind, step)}" not in engine.rows
        assert (f"refused/{step['tx']}" in engine.rows) is (judged.outcome == "recorded")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rights_only_narrow_down_every_path(seed: int) -> None:
    forest, engine, _ = played(seed)
    below_roots = 0
    for line in lines(engine):
        for depth, (below, above) in enumerate(itertools.pairwise(line)):
            path, upper = line[depth:], line[depth + 1 :]
            below_roots += 1
            assert set(effective_fields(path)) <= set(effective_fields(upper))
            assert set(effective_purposes(path)) <= set(effective_purposes(upper))
            ends, bound = effective_expiry(path), effective_expiry(upper)
            assert bound is None or (ends is not None and ends <= bound)
            assert below.not_before_ms >= above.not_before_ms
            assert below.retention_ms <= above.retention_ms
            assert set(below.jurisdictions) <= set(above.jurisdictions) or not above.jurisdictions
            assert (below.terms_id, below.schema_id) == (above.terms_id, above.schema_id)
            for at in (forest.now, forest.now + DAY, forest.now + 40 * DAY):
                assert not standing(path, at).effective or standing(upper, at).effective
    assert below_roots > 10


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lineage_down_is_lineage_up(seed: int) -> None:
    """For agreements and for shares: who is below me says that I am above it."""
    forest, engine, _ = played(seed)
    world = World()
    world.state, world.projections = engine.rows, engine.projections
    world.parties, world.time_ms = engine.parties, forest.now
    shares, agreements = forest.world["shares"], forest.world["agreements"]
    for name, known, parent in (
        ("agreement_id", agreements, "parent"),
        ("share_id", shares, "parent_share"),
    ):
        above = {one: set(ancestors(known, one, parent)) for one in known}
        for top in known:
            agreement = top if name == "agreement_id" else known[top]["agreement"]
            reader = agreements[agreement]["second"]
            answer = world.ask(reader, "lineage", **{name: top}, limit=200)
            assert answer["next"] == ""
            below = {node[name] for node in answer["nodes"]}
            first = known[top].get("series", top)
            standing_now = {one for one in known if not known[one].get("superseded")}
            assert below == {one for one in standing_now if first in above[one]}
            path = [one["agreement_id"] for one in answer["path"]]
            if name == "share_id":
                agreement = newest(forest.world, agreement) or ""
            up = [newest(forest.world, one) for one in ancestors(agreements, agreement, "parent")]
            assert path == [agreement, *up]


TRACED = (
    near_misses.field_more,
    near_misses.other_end,
    near_misses.other_terms,
    near_misses.anybody,
    near_misses.longer_kept,
    near_misses.other_countries,
    near_misses.other_approval,
    near_misses.used_commitment,
    near_misses.used_blob,
    near_misses.other_agreement,
)


@pytest.mark.parametrize("seed", [1, 2, 3, 13])
def test_dry_run_gives_the_verdict_of_the_chain(seed: int) -> None:
    """Asked first and then done, with whatever is wrong about it: one code, one rule."""
    forest, engine, _ = played(seed)
    world = World()
    world.state, world.projections = engine.rows, engine.projections
    world.parties, world.time_ms = engine.parties, forest.now
    chance, codes = random.Random(seed), set()
    for share_id in list(forest.world["shares"]) * 3:
        step = forest.honest(share_id)
        if chance.random() < 0.7:
            chance.choice(TRACED)(forest, step)
        payload, child, parcel = step["payload"], step["payload"]["child"], step["payload"]["share"]
        if not engine.parties[payload["recipient"]].active or not child["fields"]:
            continue
        asked = {name: child[name] for name in child if name not in ("fields", "terms", "schema")}
        asked.pop("notice")
        asked |= {"terms_id": child["terms"], "schema_id": child["schema"]}
        asked |= parcel
        asked |= {"parent_share_id": share_id, "parent_agreement_id": payload["parent_agreement"]}
        asked |= {"recipient": payload["recipient"], "child_fields": child["fields"]}
        if "approval" in payload:
            asked["approval_id"] = payload["approval"]
        told = world.ask(step["actor"], "trace", **asked)
        again = Engine()
        again.rows, again.parties = dict(engine.rows), engine.parties
        judged = again.submit(step)
        if (judged.outcome, judged.rule) == ("refused", "R20"):
            continue  # the quota of records, which is spent by doing and not by asking
        assert (told["code"], told["rule"]) == (judged.code, judged.rule)
        codes.add(judged.code)
    assert len(codes) > 3


@pytest.mark.parametrize("seed", [1, 2, 3, 12])
def test_duties_and_counts_are_those_of_the_naive_world(seed: int) -> None:
    """What a record counts is what a search from end to end finds, and so is every date."""
    forest, engine, _ = played(seed)
    world = World()
    world.state, world.projections = engine.rows, engine.projections
    world.parties = engine.parties
    duties = 0
    for at in (forest.now, forest.now + 10 * DAY, forest.now + 100 * DAY):
        world.time_ms = at
        for agreement_id, row in forest.world["agreements"].items():
            found = world.ask(row["second"], "agreement", agreement_id=agreement_id)
            if not row["superseded"]:
                assert found["open_child_count"] == len(holders_below(forest.world, agreement_id))
            due = due_at(forest.world, agreement_id, at)
            assert (None if found["duty"] is None else found["duty"]["due_ms"]) == due
            if due is None:
                continue
            late = "OVERDUE" if at >= due else "OPEN"
            assert found["duty"]["state"] == ("ATTESTED" if row["attested"] else late)
            duties += 1
            root = root_of(forest.world, agreement_id)
            assert found["sanctioned"] == barred(forest.world, row["second"], root)
    assert duties > 20


@pytest.mark.parametrize("seed", [1, 2, 3, 12])
def test_aggregates_count_each_share_once_and_alike_for_both(seed: int) -> None:
    """Tallies are written by shares in any order, across amendments: a search finds the same."""
    forest, engine, _ = played(seed)
    world = World()
    world.state, world.projections = engine.rows, engine.projections
    world.parties, world.time_ms = engine.parties, forest.now
    expected: Counter[tuple[str, ...]] = Counter()
    for key, value in engine.rows.items():
        if not key.startswith("share/"):
            continue
        share = decode(ShareEntry, value)
        month = month_of(share.recorded_at_ms)
        given = "given" if share.parent_share_id is None else "passed_on"
        for index in share.fields:
            cell = share.purpose, f"field-{index}", month
            expected[share.sender, given, share.recipient, *cell] += 1
            expected[share.recipient, "received", share.sender, *cell] += 1
    counted: Counter[tuple[str, ...]] = Counter()
    for party, direction in itertools.product(engine.parties, ("given", "passed_on", "received")):
        after, pages = "", 0
        while after or not pages:
            page = world.ask(party, "aggregate", direction=direction, limit=7, after=after)
            after, pages = page["next"], pages + 1
            for one in page["cells"]:
                cell = one["purpose"], one["field"], one["month"]
                counted[party, direction, one["counterparty"], *cell] += one["count"]
    assert counted == expected
    assert len(expected) > 20


def ancestors(known: dict[str, Row], one: str, parent: str) -> list[str]:
    """The ids above one, nearest first."""
    found: list[str] = []
    above = known[one][parent]
    while above is not None:
        found.append(above)
        above = known[above][parent]
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_replay_from_the_genesis_gives_the_same_roots_and_codes(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the transactions decides; the second time no record is remembered."""
    _, _, past = played(seed)
    story = [step for step, _ in past]
    first = replay(story)
    monkeypatch.setattr(limits, "RECORDS_REMEMBERED_BYTES_MAX", 0)
    monkeypatch.setattr(records, "_memory", type(records._memory)())
    assert replay(story) == first
    assert [judged for judged, _ in first] == [judged for _, judged in past]


def replay(story: list[Row]) -> list[tuple[Judged, bytes]]:
    """Verdict and state root after each step."""
    engine, pages, ref, found = Engine(), dict[bytes, bytes](), EMPTY_MAP, []
    for height, step in enumerate(story, 1):
        judged = engine.submit(step)
        update = apply(pages.get, ref, height, engine.kept)
        pages |= update.node_writes
        ref = update.ref
        found.append((judged, ref.root))
    return found


@pytest.mark.parametrize("seed", ORDERED)
def test_order_of_independent_transactions_does_not_matter(seed: int) -> None:
    """By different parties, under different roots, in one block: any order, one state, one verdict.

    The danger: a counter or an index that transactions share which have nothing to do with each
    other. Then validators would serialise what need not be, and an order would be worth something.
    """
    forest, engine, _ = played(seed)
    block = independent(forest)
    assert len(block) > 1
    chance, outcomes = random.Random(seed), []
    for _ in range(6):
        again, verdicts = Engine(), {}
        again.rows, again.parties = dict(engine.rows), engine.parties
        for step in block:
            verdicts[step["tx"]] = again.submit(step)
        outcomes.append((again.rows, verdicts))
        chance.shuffle(block)
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert "accepted" in {judged.outcome for judged in outcomes[0][1].values()}


def independent(forest: Forest) -> list[Row]:
    """Attempts at one moment, each by another actor and under another root, good ones first."""
    roots, actors, found = set(), set(), []
    steps = [forest.honest(share_id) for share_id in forest.world["shares"]]
    for step in sorted(steps, key=lambda step: judge(forest.world, step).code != "OK"):
        root = path_up(forest.world, step["payload"]["parent_agreement"])[-1]
        if id(root) in roots or step["actor"] in actors:
            continue
        roots.add(id(root))
        actors.add(step["actor"])
        found.append(step)
    return found
