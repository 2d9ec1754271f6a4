"""What else happens in a forest: approvals, amendments, duties, what auditors do.

Every function yields steps that the rules allow; who plays the forest writes down what they leave.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from tests.properties.chaincode.naive_world import (
    Row,
    clause,
    condition,
    due_at,
    holders_below,
    in_force,
    path_up,
    shares_under,
)

DAY = 24 * 3_600_000


class Living(Protocol):
    """What is needed of a forest."""

    chance: random.Random
    world: Row
    now: int

    def step(self, kind: str, actor: str, payload: Row, signed: tuple[str, ...] = ()) -> Row:
        """A step at the present moment."""

    def some(self, values: Sequence[Any]) -> list[Any]:
        """A part of the values, ascending; not empty unless they are."""

    def fresh_hash(self) -> str:
        """32 bytes that nobody has seen."""

    def living(self) -> str | None:
        """An agreement that has not ended by itself."""

    def fitting(self, parent: Row, path: list[Row]) -> str:
        """Somebody whom terms, jurisdictions and path admit, if there is one."""


# ---------------------------------------------------------------- approvals


def approval(forest: Living) -> Iterator[Row]:
    """The rights holder allows one onward share, where the terms ask her."""
    world, draw = forest.world, forest.chance
    asked = [
        share_id
        for share_id, share in world["shares"].items()
        if clause(world, world["agreements"][share["agreement"]]["terms"], "onward.mode")
        == "CONSENT_PER_SHARE"
    ]
    if not asked:
        return
    share_id = draw.choice(asked)
    share = world["shares"][share_id]
    first = world["agreements"][share["agreement"]]["series"]
    agreement_id = world["newest"].get(first, first)
    path = path_up(world, agreement_id)
    fields = sorted(in_force(world, agreement_id, "fields") & share["fields"])
    purposes = sorted(in_force(world, agreement_id, "purposes"))
    children = [one["second"] for one in world["agreements"].values() if one["parent"] == first]
    recipient = forest.fitting(path[0], path)
    if children and draw.random() < 0.4:
        recipient = draw.choice(children)  # for one more share inside
    if not fields or not purposes or not world["parties"][recipient]["active"]:
        return
    payload = {
        "parent_share": share_id,
        "recipient": recipient,
        "terms": path[0]["terms"],
        "fields": forest.some(fields),
        "purposes": [draw.choice(purposes)] if draw.random() < 0.6 else forest.some(purposes),
        "expires_at_ms": forest.now + draw.choice([DAY, 3 * DAY, 20 * DAY]),
    }
    yield forest.step("onward.approve", path[-1]["first"], payload)


def as_approved(forest: Living, payload: Row) -> str:
    """Make an onward share say what some approval of its share says; answers the recipient."""
    found = open_approvals(forest, payload["parent_share"])
    if found:
        name = forest.chance.choice(found)
        one = forest.world["approvals"][name]
        payload["approval"], payload["recipient"] = name, one["recipient"]
        payload["child"]["fields"] = list(one["fields"])
        payload["child"]["purposes"] = list(one["purposes"])
        payload["share"]["fields"] = forest.some(one["fields"])
        payload["share"]["purpose"] = forest.chance.choice(one["purposes"])
        payload["child"].pop("jurisdictions", None)
    recipient: str = payload["recipient"]
    return recipient


def fitting_approval(forest: Living, payload: Row, recipient: str) -> None:
    """The same for one more share inside a child."""
    approvals = forest.world["approvals"]
    for name in open_approvals(forest, payload["parent_share"]):
        one = approvals[name]
        if one["recipient"] == recipient and len(one["purposes"]) == 1:
            payload["approval"] = name
            payload["share"]["fields"] = list(one["fields"])
            payload["share"]["purpose"] = one["purposes"][0]
            return


def open_approvals(forest: Living, share_id: str) -> list[str]:
    """Approvals of a share that may still be used; now and then those that may not."""
    tired = forest.chance.random() < 0.1
    approvals = forest.world["approvals"]
    return [
        name
        for name, one in approvals.items()
        if one["parent_share"] == share_id
        and (tired or (one["open"] and forest.now < one["expires_at_ms"]))
    ]


# ---------------------------------------------------------------- duties


def attestation(forest: Living) -> Iterator[Row]:
    """Somebody erases and says so: after the end mostly, sometimes before."""
    world = forest.world
    able = [
        one
        for one, row in world["agreements"].items()
        if not row["superseded"]
        and not row["attested"]
        and shares_under(world, one)
        and not holders_below(world, one)
    ]
    ended = [one for one in able if due_at(world, one, forest.now) is not None]
    chosen = ended if forest.chance.random() < 0.8 else able
    if chosen:
        agreement_id = forest.chance.choice(chosen)
        payload = {"agreement": agreement_id, "kind": "ERASE", "evidence": forest.fresh_hash()}
        yield forest.step("obligation.attest", world["agreements"][agreement_id]["second"], payload)


def overdue(forest: Living) -> Iterator[Row]:
    """Somebody says that a duty is overdue, of a party that still has something to pass on."""
    world, now = forest.world, forest.now
    late = []
    for one, row in world["agreements"].items():
        due = due_at(world, one, now)
        if due is not None and due <= now and not row["flagged"] and not row["attested"]:
            late.append(one)
    if late:
        by = forest.chance.choice(sorted(world["parties"]))
        yield forest.step("obligation.flag_overdue", by, {"agreement": forest.chance.choice(late)})


# ---------------------------------------------------------------- auditors


def suspension(forest: Living) -> Iterator[Row]:
    """Suspend something, or let something go on."""
    agreements = forest.world["agreements"]
    stopped = [
        one for one in auditable(forest) if condition(agreements[one], forest.now) == "SUSPENDED"
    ]
    if stopped and forest.chance.random() < 0.6:
        resumed = {"agreement": one_of_series(forest, forest.chance.choice(stopped))}
        yield forest.step("agreement.resume", "auditor", resumed)
        return
    agreement_id = forest.living()
    if agreement_id in auditable(forest):
        named = one_of_series(forest, agreement_id)
        payload = {"agreement": named, "evidence": forest.fresh_hash()}
        yield forest.step("agreement.suspend", "auditor", payload)


def one_of_series(forest: Living, agreement_id: str) -> str:
    """The agreement, or one that it amended: naming that one means this one."""
    agreements = forest.world["agreements"]
    series = agreements[agreement_id]["series"]
    chosen: str = forest.chance.choice(
        [one for one in agreements if agreements[one]["series"] == series]
    )
    return chosen


def auditable(forest: Living) -> list[str]:
    """Agreements on whose path the auditor does not stand: nobody audits itself."""
    found = []
    for one in forest.world["agreements"]:
        path = path_up(forest.world, one)
        if all("auditor" not in (row["first"], row["second"]) for row in path):
            found.append(one)
    return found


def accusation(forest: Living) -> Iterator[Row]:
    """Accuse somebody, or close an accusation."""
    violations = forest.world["violations"]
    if violations and forest.chance.random() < 0.5:
        closing = {"violation": forest.chance.choice(list(violations)), "finding": "RESOLVED"}
        yield forest.step("violation.resolve", "auditor", closing)
        return
    agreements = auditable(forest)
    if agreements:
        payload = {
            "agreement": forest.chance.choice(agreements),
            "ground": "PURPOSE",
            "evidence": forest.fresh_hash(),
        }
        yield forest.step("violation.flag", "auditor", payload)


# ---------------------------------------------------------------- amendments, a child's own loss


def amendment(forest: Living) -> Iterator[Row]:
    """Both parties agree on less."""
    world, draw = forest.world, forest.chance
    agreement_id = forest.living()
    if agreement_id is None:
        return
    row, path = world["agreements"][agreement_id], path_up(world, agreement_id)
    ended = any(condition(one, forest.now) not in ("", "NOT_YET") for one in path[1:])
    recalled = world["terms"][row["terms"]]["status"] == "RECALLED"
    fields = sorted(row["fields"] - row["withdrawn_fields"])
    purposes = sorted(row["purposes"] - row["withdrawn_purposes"])
    if ended or recalled or row["attested"] or not fields or not purposes:
        return
    payload: Row = {"agreement": agreement_id, "notice": forest.fresh_hash()}
    if draw.random() < 0.7:
        payload["fields"] = forest.some(fields)
    if draw.random() < 0.3:
        payload["purposes"] = forest.some(purposes)
    soonest = max(forest.now, row["not_before"]) + 1
    if row["expires"] is not None and row["expires"] > soonest and draw.random() < 0.3:
        payload["expires_at_ms"] = draw.randint(soonest, row["expires"])
    yield forest.step("agreement.amend", row["first"], payload, (row["second"],))


def child_field(forest: Living) -> Iterator[Row]:
    """A child loses a field that its parent keeps: what it may hold is its own affair too."""
    world = forest.world
    found = []
    for agreement_id, row in world["agreements"].items():
        going = row["parent"] is not None and not condition(row, forest.now)
        fixed = clause(world, row["terms"], "revocable_by") == "NONE"
        if going and not fixed and len(in_force(world, agreement_id, "fields")) > 1:
            found.append(agreement_id)
    if found:
        agreement_id = forest.chance.choice(found)
        fields = sorted(in_force(world, agreement_id, "fields"))
        payload = {
            "agreement": agreement_id,
            "scope": "FIELDS",
            "fields": [forest.chance.choice(fields)],
        }
        first = world["agreements"][agreement_id]["first"]
        yield forest.step("agreement.revoke", first, payload)
