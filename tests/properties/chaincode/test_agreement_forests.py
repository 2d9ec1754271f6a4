"""Whatever happens to a forest of agreements, rights only shrink on the way down.

The danger: one order of grants, partial withdrawals, terminations and time in which somebody below
holds more than somebody above, or is in force when an ancestor is not.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.chaincode.world import (
    ANALYTICS,
    DAY,
    SERVICE,
    T0,
    Cases,
    Rows,
    cases,
    commitment,
    fixture,
    grant,
)

from onward_chaincode.records import AgreementRecord, ShareEntry
from onward_chaincode.standing import (
    effective_expiry,
    effective_fields,
    effective_purposes,
    line_of,
    standing,
)
from onward_proto.canonical import decode

HOLDERS = ("acme", "beta", "gamma", "delta", "epsilon", "texas")
STEP = st.fixed_dictionaries(
    {
        "what": st.sampled_from(["onward"] * 12 + ["fields", "purposes", "revoke", "end", "wait"]),
        "at": st.integers(0, 40),
        "to": st.sampled_from(HOLDERS),
        "fields": st.sets(st.integers(0, 5), max_size=4).map(sorted),
        "purposes": st.sets(st.sampled_from([SERVICE, ANALYTICS]), max_size=2).map(sorted),
        "days": st.integers(-1, 32),
        # Most attempts are cut down to what the sharer may give; the wild ones are not.
        "wild": st.sampled_from([False, False, False, True]),
    }
)
ONWARD = st.fixed_dictionaries(
    {
        "what": st.just("onward"),
        "at": st.integers(0, 40),
        "to": st.sampled_from(HOLDERS),
        "fields": st.sets(st.integers(0, 5), max_size=4).map(sorted),
        "purposes": st.sets(st.sampled_from([SERVICE, ANALYTICS]), max_size=2).map(sorted),
        "days": st.integers(1, 32),
        "wild": st.just(False),
    }
)


def roots() -> tuple[Cases, list[tuple[str, str]]]:
    """Two roots under deep terms, with a share each: (agreement, share). A fresh copy."""
    c, held = planted()
    world = copy.copy(c.world)
    world.state, world.projections = dict(world.state), dict(world.projections)
    return dataclasses.replace(c, world=world), list(held)


@functools.cache
def planted() -> tuple[Cases, list[tuple[str, str]]]:
    """The world that every example starts from."""
    c = cases()
    document = fixture("terms", "T-P2B1")
    document["clauses"]["onward.max_depth"] = 5
    c.ids["deep"] = c.world.publish_terms(document)
    held = []
    for name in ("acme", "beta"):
        body = grant(c.ids["deep"], c.ids["S-CONTACT"], fields=[0, 1, 2, 3])
        agreement = c.world.agree("alice", name, body)
        share = c.world.share(agreement, "alice", [0, 1, 2], SERVICE, f"root {name}")
        held.append((agreement, share))
    return c, held


def record(c: Cases, agreement: str) -> AgreementRecord:
    return decode(AgreementRecord, c.world.state[f"agreement/{agreement}"])


def tame(c: Cases, agreement: str, share: str, step: dict[str, Any]) -> dict[str, Any]:
    """The step cut down to what the sharer may do, as far as anything is left of it."""
    line = line_of(Rows(c.world.state), record(c, agreement))
    entry = decode(ShareEntry, c.world.state[f"share/{share}"])
    fields = sorted(set(effective_fields(line)) & set(entry.fields))
    purposes = list(effective_purposes(line))
    on_path = {item.second_party for item in line}
    free = [name for name in HOLDERS if name not in on_path]
    bound = min(item.expires_at_ms or 0 for item in line)
    return {
        **step,
        "fields": [field for field in fields if field in step["fields"]] or fields,
        "purposes": [item for item in purposes if item in step["purposes"]] or purposes,
        "to": (free or HOLDERS)[step["at"] % len(free or HOLDERS)],
        "days": min(max(step["days"], 1), (bound - T0) // DAY),
    }


def play(c: Cases, held: list[tuple[str, str]], step: dict[str, Any]) -> None:
    """Carry out one step; refusals are part of life."""
    agreement, share = held[step["at"] % len(held)]
    found, w = record(c, agreement), c.world
    match step["what"]:
        case "onward":
            before = dict(w.state)
            step = step if step["wild"] else tame(c, agreement, share, step)
            outcome = c.attempt(
                found.second_party,
                step["to"],
                parent_agreement=agreement,
                parent_share=share,
                child={
                    "terms": c.ids["deep"],
                    "fields": step["fields"],
                    "purposes": step["purposes"],
                    "expires_at_ms": T0 + step["days"] * DAY,
                },
                share={"fields": step["fields"][:3], "purpose": (step["purposes"] or [""])[0]},
            )
            if not outcome.code:
                held.append((outcome.id("agreement"), outcome.id("share")))
            else:
                kinds = {key.split("/")[0] for key in set(w.state) - set(before)}
                assert kinds <= {"refused", "quota"}, "a refused child never appears"
        case "fields" | "purposes" as scope:
            fields = {"agreement": agreement, "scope": scope.upper(), scope: step[scope]}
            w.submit("alice", "agreement.revoke", fields)
        case "revoke":
            w.submit(
                found.first_party, "agreement.revoke", {"agreement": agreement, "scope": "ALL"}
            )
        case "end":
            at = max(w.time_ms, T0 + step["days"] * DAY)
            fields = {"agreement": agreement, "effective_at_ms": at}
            w.submit(found.second_party, "agreement.terminate", fields)
        case _:
            w.time_ms += DAY
            share_on = {"fields": [2], "purpose": SERVICE, "commitment": commitment(str(step))}
            w.submit("alice", "share.record", {"agreement": agreement, "share": share_on})


def check(c: Cases, agreement: str) -> None:
    """The invariants of one agreement against its whole path, at several times."""
    line = line_of(Rows(c.world.state), record(c, agreement))
    for depth, (below, above) in enumerate(itertools.pairwise(line)):
        path, upper = line[depth:], line[depth + 1 :]
        assert set(effective_fields(path)) <= set(effective_fields(upper))
        assert set(effective_purposes(path)) <= set(effective_purposes(upper))
        ends, bound = effective_expiry(path), effective_expiry(upper)
        assert bound is None or (ends is not None and ends <= bound)
        assert below.not_before_ms >= above.not_before_ms
        assert below.retention_ms <= above.retention_ms
        assert (below.terms_id, below.schema_id) == (above.terms_id, above.schema_id)
        assert below.depth == above.depth + 1
        for at in (c.world.time_ms, c.world.time_ms + 10 * DAY, T0 + 30 * DAY):
            assert not standing(path, at).effective or standing(upper, at).effective
    parties = [item.second_party for item in line]
    assert len(set(parties)) == len(parties), "nobody stands on a path twice"


@settings(max_examples=40)
@given(st.lists(STEP, min_size=10, max_size=40))
def test_rights_only_shrink_down_every_path(steps: list[dict[str, Any]]) -> None:
    c, held = roots()
    for step in steps:
        play(c, held, step)
    for agreement, _ in held:
        check(c, agreement)


@settings(max_examples=12)
@given(st.lists(ONWARD, min_size=10, max_size=20))
def test_lineage_down_and_up_agree(steps: list[dict[str, Any]]) -> None:
    c, held = roots()
    for step in steps:
        play(c, held, step)
    for top, _ in held[:2]:
        nodes = c.world.ask("alice", "lineage", agreement_id=top, limit=200)["nodes"]
        below = {agreement for agreement, _ in held if record(c, agreement).root_id.hex() == top}
        assert {node["agreement_id"] for node in nodes} == below - {top}
        for node in nodes:
            reader = node["second_party"]
            path = c.world.ask(reader, "lineage", agreement_id=node["agreement_id"])["path"]
            assert path[-1]["agreement_id"] == top


@settings(max_examples=12)
@given(st.lists(STEP, max_size=15))
def test_the_same_transactions_give_the_same_state(steps: list[dict[str, Any]]) -> None:
    """Replay: nothing but the transactions, their order and their times decides."""
    worlds = []
    for _ in range(2):
        c, held = roots()
        for step in steps:
            play(c, held, step)
        worlds.append((c.world.state, c.world.projections))
    assert worlds[0] == worlds[1]
