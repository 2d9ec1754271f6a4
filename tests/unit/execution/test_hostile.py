"""Careless contracts: whatever one hands to the node, the body is refused and the block goes on.

A value that is found out only when the block's leaves and rows are encoded would stop every replica
at the same block, and again after each restart.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from tests.unit.execution.worlds import Action, Chain, Puppet, body, moved

from onward import limits
from onward.ledger.leaf import Outcome
from onward_chaincode.contract import Context, Recorded, Refuse


def executed(puppet: Puppet) -> tuple[str, int | None]:
    """Code and outcome of one body, in a block that is finished and stored."""
    chain = Chain(puppet)
    done = chain.execute(chain.envelope(body()))
    result = done.bodies[0].result
    puppet.action, puppet.rows = moved, {}
    assert chain.execute(chain.envelope(body(salt=1))).bodies[0].result.code == "OK"
    return result.code, result.outcome


def tells(
    *, readers: Any = (), value: Any = b"1", answer: Any = None, error: Exception | None = None
) -> Action:
    def action(ctx: Context) -> Recorded | None:
        ctx.put("trace", value)
        if error is not None:
            raise error
        ctx.emit("told", {}, readers)
        found: Recorded | None = answer
        return found

    return action


@pytest.mark.parametrize(
    "action",
    [
        tells(value="text"),
        tells(value=bytearray(b"1")),
        tells(value=memoryview(b"1")),
        tells(value=None),
        tells(readers=["acme", "beta"]),
        tells(readers=None),
        tells(answer=True),
        tells(answer=Recorded(code="E_NO", rule=None, message="")),  # type: ignore[arg-type]
        tells(answer=Recorded(code=None, rule="", message="")),  # type: ignore[arg-type]
        tells(error=Refuse(None, "x")),  # type: ignore[arg-type]
        tells(error=Refuse("E_NO", "x", rule=None)),  # type: ignore[arg-type]
        tells(error=Refuse("E_NO", "x", rule=7)),  # type: ignore[arg-type]
    ],
    ids=[
        "value-text",
        "value-bytearray",
        "value-view",
        "value-none",
        "readers-list",
        "readers-none",
        "answer",
        "answer-rule",
        "answer-code",
        "code",
        "rule-none",
        "rule",
    ],
)
def test_what_is_not_of_its_kind_refuses_the_body(action: Action) -> None:
    code, outcome = executed(Puppet(action))
    assert outcome == Outcome.REFUSED
    assert code in ("E_FAULT", "E_LIMIT")


@pytest.mark.parametrize(
    "rows",
    [
        {"row": "text"},
        {"row": None},
        {7: b"1"},
        {"\ud800": b"1"},
        {"": b"1"},
        {"k" * (limits.STATE_KEY_BYTES_MAX + 1): b"1"},
        {"row": bytes(limits.STATE_VALUE_BYTES_MAX + 1)},
        {f"{index}": b"1" for index in range(limits.WRITES_PER_BODY_MAX + 1)},
        {f"{index}": bytes(limits.STATE_VALUE_BYTES_MAX) for index in range(8)},
    ],
    ids=["text", "none", "number", "surrogate", "no-key", "key", "value", "count", "bytes"],
)
def test_a_projection_row_that_no_store_takes_refuses_the_body(rows: Any) -> None:
    puppet = Puppet()
    puppet.rows = rows
    assert executed(puppet) == ("E_FAULT", Outcome.REFUSED)


def test_rows_up_to_their_bounds_are_kept() -> None:
    puppet = Puppet()
    puppet.rows = {
        "k" * limits.STATE_KEY_BYTES_MAX: b"1",
        "row": bytes(limits.STATE_VALUE_BYTES_MAX),
        **{f"{index}": b"1" for index in range(limits.WRITES_PER_BODY_MAX - 2)},
    }
    assert executed(puppet) == ("OK", Outcome.ACCEPTED)


@pytest.mark.parametrize(
    ("count", "size"), [(limits.WRITES_PER_BODY_MAX + 9, 1), (20, limits.STATE_VALUE_BYTES_MAX)]
)
def test_a_contract_that_swallows_a_bound_writes_no_more_than_it_allows(
    count: int, size: int
) -> None:
    """The write was made before it was counted: its write set had no encoding."""

    def greedy(ctx: Context) -> None:
        for index in range(count):
            with contextlib.suppress(Exception):
                ctx.put(f"{index:04d}", bytes(size))
        ctx.emit("told", {}, ())

    chain = Chain(Puppet(greedy))
    done = chain.execute(chain.envelope(body()))
    writes = done.bodies[0].result.writes
    assert len(writes) <= limits.WRITES_PER_BODY_MAX
    assert sum(len(value or b"") for value in writes.values()) <= limits.WRITTEN_BYTES_PER_BODY_MAX
