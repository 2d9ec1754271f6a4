"""One body: accepted, recorded, refused or void, and nothing that a contract does stops a node."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.execution.worlds import T0, Action, Chain, Puppet, body, transaction

from onward import limits
from onward.errors import CorruptionError, InvariantError
from onward.execution.body import BodyResult, MissingContractError, execute_body, judge_void
from onward.execution.overlay import Overlay, StoredState
from onward.ledger.leaf import Outcome
from onward.ledger.transaction import Body
from onward_chaincode.contract import Context, Recorded, Refuse

NOW = T0 + 1_000


def outcome(
    action: Action | None = None,
    *,
    item: Body | None = None,
    signers: tuple[str, ...] = (),
    chain: Chain | None = None,
    height: int = 1,
) -> tuple[BodyResult, Overlay]:
    chain = chain or Chain(Puppet(action))
    state = Overlay(StoredState(chain.store))
    result = execute_body(
        state,
        transaction(item or body(), *signers),
        height=height,
        time_ms=NOW,
        contract_for=chain.contract_for,
    )
    return result, state


def acts(*doings: object) -> Action:
    """An action that puts a key, then does what the test is about."""

    def action(ctx: Context) -> Recorded | None:
        ctx.put("trace", b"1")
        for doing in doings:
            if isinstance(doing, Exception):
                raise doing
            if isinstance(doing, Recorded):
                ctx.emit("told", {}, ())
                return doing
            if callable(doing):
                doing(ctx)
        ctx.emit("told", {}, ())
        return None

    return action


# ------------------------------------------------------------------------------ the four outcomes


def test_accepted_body_keeps_its_writes_and_its_event() -> None:
    result, state = outcome(acts())
    assert (result.outcome, result.code, result.writes) == (
        Outcome.ACCEPTED,
        "OK",
        {"puppet/trace": b"1"},
    )
    assert result.event is not None
    assert state.writes == {}, "the caller decides when the writes are absorbed"


def test_recorded_refusal_keeps_the_contracts_record_of_it() -> None:
    result, _ = outcome(acts(Recorded(code="E_NO", rule="R15", message="no")))
    assert (result.outcome, result.code, result.rule) == (Outcome.RECORDED, "E_NO", "R15")
    assert result.writes == {"puppet/trace": b"1"}
    assert result.event is not None


def test_refused_body_leaves_only_its_verdict() -> None:
    result, _ = outcome(acts(Refuse("E_NO", "because", rule="R1")))
    assert (result.outcome, result.code, result.rule, result.message) == (
        Outcome.REFUSED,
        "E_NO",
        "R1",
        "because",
    )
    assert (result.writes, result.event, result.rows) == ({}, None, {})


@pytest.mark.parametrize(
    ("item", "signers", "code"),
    [
        (body(valid_until_ms=NOW), (), "E_EXPIRED"),
        (body(valid_until_ms=NOW + limits.VALIDITY_MS_MAX + 1), (), "E_VALIDITY"),
        (body(actor="nobody"), (), "E_PARTY"),
        (body(), ("beta",), "E_PARTY"),
        (body(cosigners=("beta",)), ("acme", "stranger"), "E_PARTY"),
        (body(cosigners=("nobody",)), ("acme", "nobody"), "E_PARTY"),
    ],
)
def test_void_body_is_no_statement_of_the_party_it_names(
    item: Body, signers: tuple[str, ...], code: str
) -> None:
    """Anybody can write ACME's name into a body: nothing of it may stand on ACME's account."""
    result, _ = outcome(item=item, signers=signers)
    assert (result.outcome, result.code) == (None, code)
    assert (result.writes, result.event) == ({}, None)


@pytest.mark.parametrize(
    "item",
    [
        body(valid_until_ms=NOW + 1),
        body(valid_until_ms=NOW + limits.VALIDITY_MS_MAX),
        body(cosigners=("beta",)),
    ],
)
def test_body_within_its_bounds_is_judged(item: Body) -> None:
    result, _ = outcome(item=item)
    assert result.outcome == Outcome.ACCEPTED


def test_inactive_party_says_nothing_any_more() -> None:
    chain = Chain()
    leave = body(contract="sys", kind="party.deactivate", payload=b"\x0a\x04beta", actor="beta")
    assert chain.execute(chain.envelope(leave)).bodies[0].result.code == "OK"
    state = Overlay(StoredState(chain.store))
    for item in (body(actor="beta"), body(cosigners=("beta",))):
        found = judge_void(state, transaction(item), NOW)
        assert found is not None
        assert found[0] == "E_PARTY"


# ------------------------------------------------------------------------- contracts and versions


def test_unknown_contract_and_unknown_type_are_refused() -> None:
    assert outcome(item=body(contract="nowhere"))[0].code == "E_CONTRACT"
    assert outcome(item=body(kind="dance"))[0].code == "E_TYPE"
    assert outcome(item=body(contract="sys", kind="party.dance"))[0].code == "E_TYPE"


def test_contract_version_applies_from_its_height_on() -> None:
    chain = Chain(from_height=5)
    assert outcome(chain=chain, height=4)[0].code == "E_CONTRACT"
    assert outcome(chain=chain, height=5)[0].code == "OK"


def test_node_without_an_activated_version_stops_instead_of_refusing() -> None:
    """The others have it: a refusal here would be a fork."""
    chain = Chain()
    state = Overlay(StoredState(chain.store))
    with pytest.raises(MissingContractError):
        execute_body(
            state,
            transaction(body()),
            height=1,
            time_ms=NOW,
            contract_for=lambda name, version: None,
        )


# -------------------------------------------------------------------------- contracts with a fault


@pytest.mark.parametrize(
    "fault",
    [
        ValueError("an id that nobody may see"),
        KeyError("x"),
        ZeroDivisionError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
)
def test_contract_that_raises_refuses_alike_everywhere(fault: Exception) -> None:
    result, _ = outcome(acts(fault))
    assert (result.outcome, result.code, result.writes) == (Outcome.REFUSED, "E_FAULT", {})
    assert "nobody may see" not in result.message


@pytest.mark.parametrize("fault", [MemoryError(), RecursionError(), CorruptionError("disk"),
                                   InvariantError("bug")])  # fmt: skip
def test_what_depends_on_this_process_stops_it(fault: Exception) -> None:
    """A verdict that only this node would give is worse than none."""
    with pytest.raises(type(fault)):
        outcome(acts(fault))


def test_contract_that_says_nothing_is_at_fault() -> None:
    def silent(ctx: Context) -> None:
        ctx.put("trace", b"1")

    result, _ = outcome(silent)
    assert (result.code, result.writes) == ("E_FAULT", {})


@pytest.mark.parametrize("code", ["OK", "", "no", "E_", "E_no", "E_" + "A" * 47])
def test_code_that_is_none_does_not_reach_a_leaf(code: str) -> None:
    """A refusal called OK would read as an acceptance; one that is too long would stop the node."""
    assert outcome(acts(Refuse(code, "x")))[0].code == "E_FAULT"
    recorded, _ = outcome(acts(Recorded(code=code, rule="", message="")))
    assert (recorded.code, recorded.outcome, recorded.writes) == ("E_FAULT", Outcome.REFUSED, {})


def test_longest_code_fits() -> None:
    code = "E_" + "A" * 46
    assert len(code) == limits.CODE_BYTES_MAX
    assert outcome(acts(Refuse(code, "x")))[0].code == code


def test_long_rule_and_message_are_cut_at_a_character() -> None:
    result, _ = outcome(acts(Refuse("E_NO", "é" * 300, rule="é" * 40)))
    assert result.message == "é" * 256
    assert result.rule == "é" * 32
    odd, _ = outcome(acts(Refuse("E_NO", "x" + "é" * 300)))
    assert odd.message == "x" + "é" * 255


def test_projection_that_fails_refuses_the_body() -> None:
    """Otherwise one bad row would stop every node at the same block, again and again."""
    puppet = Puppet(acts())
    puppet.rows = {"row": b""}
    result, _ = outcome(chain=Chain(puppet))
    assert (result.outcome, result.code, result.writes) == (Outcome.REFUSED, "E_FAULT", {})
    puppet.rows = {"row": b"1"}
    assert outcome(chain=Chain(puppet))[0].rows == {"puppet/row": b"1"}


# ------------------------------------------------------------------------------------- the bounds


def put(key: str, value: bytes) -> Action:
    def action(ctx: Context) -> None:
        ctx.put(key, value)

    return action


def many(count: int) -> Action:
    def action(ctx: Context) -> None:
        for index in range(count):
            ctx.put(f"k/{index}", b"1")

    return action


def large(count: int, size: int) -> Action:
    def action(ctx: Context) -> None:
        for index in range(count):
            ctx.put(f"{index:04d}", bytes(size))

    return action


KEY_ROOM = limits.STATE_KEY_BYTES_MAX - len("puppet/")
# `trace` itself is one write of 13 bytes: key with prefix, and value.
BULK = (limits.WRITTEN_BYTES_PER_BODY_MAX - 13) // 16 - 11


@pytest.mark.parametrize(
    ("allowed", "beyond"),
    [
        (put("k" * KEY_ROOM, b"1"), put("k" * (KEY_ROOM + 1), b"1")),
        (
            put("k", bytes(limits.STATE_VALUE_BYTES_MAX)),
            put("k", bytes(limits.STATE_VALUE_BYTES_MAX + 1)),
        ),
        (put("k", b"1"), put("k", b"")),
        (put("k", b"1"), put("k\x00", b"1")),
        (put("k", b"1"), put("k\U0010ffff", b"1")),
        (put("k", b"1"), put("k\ud800", b"1")),
        (many(limits.WRITES_PER_BODY_MAX - 1), many(limits.WRITES_PER_BODY_MAX)),
        (large(16, BULK), large(16, BULK + 1)),
    ],
    ids=["key", "value", "empty", "nul", "last-character", "surrogate", "count", "bytes"],
)
def test_writes_have_bounds(allowed: Action, beyond: Action) -> None:
    assert outcome(acts(allowed))[0].code == "OK"
    refused, _ = outcome(acts(beyond))
    assert (refused.outcome, refused.code, refused.writes) == (Outcome.REFUSED, "E_LIMIT", {})


def emits(name: str, payload: dict[str, object], readers: tuple[str, ...]) -> Action:
    def action(ctx: Context) -> None:
        ctx.emit(name, payload, readers)

    return action


def text_of(size: int) -> dict[str, object]:
    return {"t": "x" * (size - len('{"t":""}'))}


def crowd(count: int) -> tuple[str, ...]:
    return tuple(f"p{index:03d}" for index in range(count))


@pytest.mark.parametrize(
    ("allowed", "beyond"),
    [
        (
            emits("e", text_of(limits.EVENT_PAYLOAD_BYTES_MAX), ()),
            emits("e", text_of(limits.EVENT_PAYLOAD_BYTES_MAX + 1), ()),
        ),
        (
            emits("e", {}, crowd(limits.EVENT_READERS_MAX)),
            emits("e", {}, crowd(limits.EVENT_READERS_MAX + 1)),
        ),
        (
            emits("e" * limits.EVENT_NAME_BYTES_MAX, {}, ()),
            emits("e" * (limits.EVENT_NAME_BYTES_MAX + 1), {}, ()),
        ),
        (emits("e", {}, ("a", "b")), emits("e", {}, ("b", "a"))),
        (emits("e", {}, ("a", "b")), emits("e", {}, ("a", "a"))),
        (emits("e", {}, ("*",)), emits("e", {}, ("*", "a"))),
        (emits("e", {"n": 1}, ()), emits("e", {"n": 0.5}, ())),
        (emits("e", {}, ()), emits("", {}, ())),
    ],
    ids=["payload", "readers", "name", "order", "twice", "everyone", "float", "no-name"],
)
def test_events_have_bounds(allowed: Action, beyond: Action) -> None:
    """An event beyond them would not encode, and stop every node at this block."""
    assert outcome(allowed)[0].code == "OK"
    assert outcome(beyond)[0].code == "E_LIMIT"


def test_second_event_is_refused() -> None:
    assert outcome(acts(emits("first", {}, ())))[0].code == "E_LIMIT"


def test_contract_stays_inside_its_own_namespace() -> None:
    """A contract that could read `sys/` by a clever scan could also depend on it."""
    seen: list[object] = []

    def looks(ctx: Context) -> None:
        seen.extend(ctx.scan("", "\U0010ffff", 100))
        seen.append(ctx.get("../sys/party/acme"))

    result, _ = outcome(acts(looks))
    assert result.code == "OK"
    assert seen == [("trace", b"1"), None]


def test_scan_has_a_bound() -> None:
    def scans(limit: int) -> Action:
        def action(ctx: Context) -> None:
            ctx.scan("", "~", limit)

        return action

    assert outcome(acts(scans(limits.SCAN_ROWS_MAX)))[0].code == "OK"
    assert outcome(acts(scans(limits.SCAN_ROWS_MAX + 1)))[0].code == "E_LIMIT"


def test_contract_sees_who_signed_and_when() -> None:
    seen: dict[str, object] = {}

    def looks(ctx: Context) -> None:
        seen.update(time=ctx.time_ms, caller=ctx.caller, cosigners=ctx.cosigners, tx=ctx.tx_id)
        found = ctx.party("beta")
        seen["beta"] = None if found is None else (found.kind, found.active)
        seen["nobody"] = ctx.party("nobody")

    item = replace(body(), cosigners=("beta",))
    outcome(acts(looks), item=item)
    assert seen == {
        "time": NOW,
        "caller": "acme",
        "cosigners": ("beta",),
        "tx": transaction(item).tx_hash.hex(),
        "beta": ("ORGANISATION", True),
        "nobody": None,
    }
