"""What may be wrong with an attempt: each function spoils one thing, or nothing after all.

They change the step in place. What they put in is often just inside the rule, or just outside.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from tests.properties.chaincode.naive_world import Row, condition, in_force, newest, path_up

COUNTRIES = ["DE", "FR", "US"]


class Growing(Protocol):
    """What a near miss may look at: a forest."""

    chance: random.Random
    world: Row
    now: int

    def fresh_hash(self) -> str:
        """32 bytes that nobody has seen."""


Miss = Callable[[Growing, Row], None]


def other(forest: Growing, values: Any, but: object) -> Any:
    """One of the values that is not `but`, if there is one."""
    fit = sorted(value for value in values if value != but)
    return forest.chance.choice(fit) if fit else but


def parent_path(forest: Growing, step: Row) -> list[Row]:
    """The path from the named parent; empty if nobody knows it."""
    parent_id = step["payload"]["parent_agreement"]
    return path_up(forest.world, parent_id) if parent_id in forest.world["agreements"] else []


# ---------------------------------------------------------------- R01, R02, R04, R05


def malformed(forest: Growing, step: Row) -> None:
    payload, child, share = step["payload"], step["payload"]["child"], step["payload"]["share"]
    match forest.chance.randrange(8):
        case 0:
            payload["depth"] = "1"
        case 1:
            child["depth"] = "1"
        case 2:
            share["transform"] = "SCRAMBLED"
        case 3:
            child["fields"] = child["fields"][::-1]
        case 4:
            share["fields"] = [*share["fields"], *share["fields"][-1:]]
        case 5:
            share["commitment"] = share["commitment"][:-2]
        case 6:
            child["fields"] = [*child["fields"], 256]
        case _:
            child.pop("notice", None)


def oversized(forest: Growing, step: Row) -> None:
    child = step["payload"]["child"]
    many = [f"test:Q{number:02}" for number in range(forest.chance.choice([60, 63, 64, 65, 70]))]
    if forest.chance.random() < 0.5:
        child["purposes"] = sorted({*child["purposes"], *many})
    else:
        letters = "ABCDEFGHIJ"
        child["jurisdictions"] = [a + b for a in letters for b in letters][: len(many)]


def nobody(_forest: Growing, step: Row) -> None:
    step["payload"]["recipient"] = "nobody"
    step["signed"] = ("nobody",)


def inactive(forest: Growing, step: Row) -> None:
    parties = forest.world["parties"]
    gone = [name for name in parties if not parties[name]["active"]]
    if gone:
        step["payload"]["recipient"] = forest.chance.choice(gone)
        step["signed"] = (step["payload"]["recipient"],)


def unsigned(forest: Growing, step: Row) -> None:
    step["signed"] = forest.chance.choice([(), ("registry",)])


# ---------------------------------------------------------------- R08, R09, R10


def unknown_share(forest: Growing, step: Row) -> None:
    step["payload"]["parent_share"] = forest.fresh_hash()


def unknown_agreement(forest: Growing, step: Row) -> None:
    step["payload"]["parent_agreement"] = forest.fresh_hash()


def other_agreement(forest: Growing, step: Row) -> None:
    payload = step["payload"]
    found = other(forest, forest.world["agreements"], payload["parent_agreement"])
    payload["parent_agreement"] = found


def other_share(forest: Growing, step: Row) -> None:
    payload, shares = step["payload"], forest.world["shares"]
    payload["parent_share"] = other(forest, shares, payload.get("parent_share"))


def other_sharer(forest: Growing, step: Row) -> None:
    path = parent_path(forest, step)
    above = {one["first"] for one in path}
    everybody = forest.world["parties"]
    names = above if above and forest.chance.random() < 0.5 else everybody
    step["actor"] = other(forest, names, step["actor"])


# ---------------------------------------------------------------- R16, R21, R22, R23, R24


def other_terms(forest: Growing, step: Row) -> None:
    child = step["payload"]["child"]
    child["terms"] = other(forest, forest.world["terms"], child["terms"])


def other_schema(forest: Growing, step: Row) -> None:
    child = step["payload"]["child"]
    child["schema"] = other(forest, forest.world["schemas"], child["schema"])


def field_more(forest: Growing, step: Row) -> None:
    child = step["payload"]["child"]
    child["fields"] = sorted({*child["fields"], forest.chance.randrange(9)})


def shared_field_more(forest: Growing, step: Row) -> None:
    share = step["payload"]["share"]
    share["fields"] = sorted({*share["fields"], forest.chance.randrange(9)})


def field_more_in_both(forest: Growing, step: Row) -> None:
    more = forest.chance.randrange(9)
    for part in (step["payload"]["child"], step["payload"]["share"]):
        part["fields"] = sorted({*part["fields"], more})


def no_field(forest: Growing, step: Row) -> None:
    step["payload"]["share"]["fields"] = []
    if forest.chance.random() < 0.5:
        step["payload"]["child"]["fields"] = []


def purpose_more(forest: Growing, step: Row) -> None:
    child = step["payload"]["child"]
    child["purposes"] = sorted({*child["purposes"], f"test:P{forest.chance.randrange(7)}"})


def no_purpose(forest: Growing, step: Row) -> None:
    if forest.chance.random() < 0.5:
        step["payload"]["child"]["purposes"] = []
    else:
        step["payload"]["share"]["purpose"] = ""


def other_purpose(forest: Growing, step: Row) -> None:
    step["payload"]["share"]["purpose"] = f"test:P{forest.chance.randrange(7)}"


def other_transform(forest: Growing, step: Row) -> None:
    share = step["payload"]["share"]
    share["transform"] = forest.chance.choice(["NONE", "AGGREGATED", "ANONYMISED"])


def pointing_field(forest: Growing, step: Row) -> None:
    """A field that identifies, of those that the sharer may pass on."""
    payload, world = step["payload"], forest.world
    path, share = parent_path(forest, step), world["shares"].get(payload["parent_share"])
    if path and share is not None:
        fields = in_force(world, payload["parent_agreement"], "fields") & share["fields"]
        pointing = sorted(one for one in fields if world["schemas"][path[0]["schema"]][one])
        if pointing:
            chosen = forest.chance.choice(pointing)
            payload["child"]["fields"] = sorted({*payload["child"]["fields"], chosen})


# ---------------------------------------------------------------- R25


def other_end(forest: Growing, step: Row) -> None:
    ends = [one["expires"] for one in parent_path(forest, step) if one["expires"] is not None]
    near = [forest.now - 1, forest.now, forest.now + 1]
    for end in ends:
        near += [end - 1, end, end + 1]
    drawn = forest.chance.choice([*near, None])
    if drawn is None:
        step["payload"]["child"].pop("expires_at_ms", None)
    else:
        step["payload"]["child"]["expires_at_ms"] = drawn


def other_start(forest: Growing, step: Row) -> None:
    child, near = step["payload"]["child"], [forest.now - 1, forest.now, forest.now + 1]
    for one in parent_path(forest, step)[:1]:
        near += [one["not_before"] - 1, one["not_before"], one["not_before"] + 1]
    end = child.get("expires_at_ms")
    near += [] if end is None else [end - 1, end]
    child["not_before_ms"] = forest.chance.choice(near)


def longer_kept(forest: Growing, step: Row) -> None:
    for one in parent_path(forest, step)[:1]:
        near = [one["retention"] + 1, one["retention"], one["retention"] + 1]
        step["payload"]["child"]["retention_ms"] = forest.chance.choice(near)


# ---------------------------------------------------------------- R26, R27, R28


def anybody(forest: Growing, step: Row) -> None:
    parties = forest.world["parties"]
    step["payload"]["recipient"] = forest.chance.choice(sorted(parties))
    step["signed"] = (step["payload"]["recipient"],)


def somebody_above(forest: Growing, step: Row) -> None:
    names = {step["actor"]}
    for one in parent_path(forest, step):
        names |= {one["first"], one["second"]}
    step["payload"]["recipient"] = forest.chance.choice(sorted(names))
    step["signed"] = (step["payload"]["recipient"],)


def other_countries(forest: Growing, step: Row) -> None:
    chosen = forest.chance.sample(COUNTRIES, forest.chance.randint(1, 3))
    step["payload"]["child"]["jurisdictions"] = sorted(chosen)


def used_commitment(forest: Growing, step: Row) -> None:
    shares = list(forest.world["shares"].values())
    step["payload"]["share"]["commitment"] = forest.chance.choice(shares)["commitment"]


def used_blob(forest: Growing, step: Row) -> None:
    named = [one["blob"] for one in forest.world["shares"].values() if one["blob"] is not None]
    if named:
        step["payload"]["share"]["blob"] = forest.chance.choice(named)


def is_suspended(forest: Growing, share: Row) -> bool:
    """Whether an auditor has stopped the agreement under which a share was made."""
    made_under = newest(forest.world, share["agreement"])
    return condition(forest.world["agreements"][made_under], forest.now) == "SUSPENDED"


def once_more(forest: Growing, step: Row) -> None:
    """The same fields of the same share to the same recipient, or nearly."""
    payload = step["payload"]
    shares = forest.world["shares"].values()
    earlier = [one for one in shares if one["parent_share"] == payload["parent_share"]]
    stopped = [one for one in earlier if is_suspended(forest, one)]
    if earlier:
        one = forest.chance.choice(stopped or earlier)
        payload["recipient"], step["signed"] = one["to"], (one["to"],)
        fields = sorted(one["fields"])
        if forest.chance.random() < 0.2:
            fields = fields[:1]
        payload["child"]["fields"] = sorted({*payload["child"]["fields"], *fields})
        payload["share"]["fields"] = fields


def no_origin(_forest: Growing, step: Row) -> None:
    step["payload"].pop("parent_share", None)


def stranger(forest: Growing, step: Row) -> None:
    step["actor"] = other(forest, forest.world["parties"], step["actor"])


def own_loss(forest: Growing, step: Row) -> None:
    """A field that the child itself has lost, though its parent and the share still have it."""
    world, payload = forest.world, step["payload"]
    agreements, shares = world["agreements"], world["shares"]
    found = []
    for agreement_id, row in agreements.items():
        if row["parent"] is None or row["superseded"] or not row["withdrawn_fields"]:
            continue
        parent_id = newest(world, row["parent"]) or ""
        left = in_force(world, parent_id, "fields") & row["withdrawn_fields"]
        for share_id, share in shares.items():
            same = agreements[share["agreement"]]["series"] == row["parent"]
            if same and share["fields"] & left:
                found.append((agreement_id, share_id, sorted(share["fields"] & left)))
    if found:
        agreement_id, share_id, fields = forest.chance.choice(found)
        row = agreements[agreement_id]
        step["actor"] = row["first"]
        payload |= {"agreement": agreement_id, "parent_share": share_id}
        purposes = sorted(in_force(world, agreement_id, "purposes"))
        payload["share"] |= {"fields": fields, "purpose": (purposes or [""])[0]}


def other_approval(forest: Growing, step: Row) -> None:
    """None, another one, one that nobody gave, or one where none is asked for."""
    known = list(forest.world["approvals"])
    match forest.chance.randrange(3):
        case 0:
            step["payload"].pop("approval", None)
        case 1 if known:
            step["payload"]["approval"] = forest.chance.choice(known)
        case _:
            step["payload"]["approval"] = forest.fresh_hash()


def unknown_basis(forest: Growing, step: Row) -> None:
    step["payload"]["agreement"] = forest.fresh_hash()


ONWARD_MISSES: tuple[Miss, ...] = (
    malformed,
    oversized,
    nobody,
    inactive,
    unsigned,
    unknown_share,
    unknown_agreement,
    other_agreement,
    other_share,
    other_sharer,
    other_terms,
    other_schema,
    field_more,
    shared_field_more,
    field_more_in_both,
    no_field,
    purpose_more,
    no_purpose,
    other_purpose,
    other_transform,
    pointing_field,
    other_end,
    other_start,
    longer_kept,
    anybody,
    somebody_above,
    other_countries,
    used_commitment,
    used_blob,
    once_more,
    other_approval,
)
ROOT_MISSES: tuple[Miss, ...] = (
    unknown_basis,
    stranger,
    shared_field_more,
    other_purpose,
    used_commitment,
    used_blob,
)
INSIDE_MISSES: tuple[Miss, ...] = (
    *ROOT_MISSES,
    no_origin,
    unknown_share,
    other_share,
    other_transform,
    own_loss,
    own_loss,
    other_approval,
)
