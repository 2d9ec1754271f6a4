"""Giving back, destroying, telling of a breach."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import DAY, NOTICE, SERVICE, T0, Cases, cases, commitment

HOURS_48 = 2 * DAY


@pytest.fixture
def c() -> Cases:
    return cases()


def give_back(c: Cases, by: str, share: str, to: str | None = None, tag: str = "back") -> Any:
    fields = {"share": share, "commitment": commitment(tag)}
    return c.world.submit(by, "share.return", fields | ({} if to is None else {"to": to}))


def test_r27_data_goes_back_by_a_return_and_not_by_an_onward_share(c: Cases) -> None:
    onward = c.attempt("beta", "alice", parent_agreement=c.g1a, parent_share=c.s1a)
    assert (onward.code, onward.rule) == ("E_TOPOLOGY", "R27")
    assert not give_back(c, "beta", c.s1a).code
    assert not give_back(c, "beta", c.s1a, "alice", "to alice").code
    assert give_back(c, "beta", c.s1a, "acme", "again").code == "E_STATE"
    steps = c.world.ask("alice", "history", agreement_id=c.g1a)["steps"]
    assert sorted(step["to"] for step in steps if step["event"] == "share.return") == [
        "acme",
        "alice",
    ]


@pytest.mark.parametrize(
    ("by", "to", "code"),
    [("acme", None, "E_SIGNER"), ("beta", "gamma", "E_TOPOLOGY"), ("beta", "beta", "E_TOPOLOGY")],
)
def test_only_upwards_and_only_by_the_holder(c: Cases, by: str, to: str | None, code: str) -> None:
    assert give_back(c, by, c.s1a, to).code == code


def test_a_return_is_new_known_and_before_the_erasure(c: Cases) -> None:
    assert give_back(c, "gamma", "00" * 32).code == "E_UNKNOWN_SHARE"
    assert give_back(c, "gamma", c.s1b, tag="s1").code == "E_DUPLICATE"
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    assert not give_back(c, "gamma", c.s1b).code, "after the end is when it is needed"
    said = {"agreement": c.g1b, "kind": "RETURN", "evidence": NOTICE}
    c.world.must("gamma", "obligation.attest", said)
    assert give_back(c, "gamma", c.s1b, "alice", "late").code == "E_STATE"


def test_a_purge_names_the_hash_and_leaves_the_share(c: Cases) -> None:
    """The proof stays: what is destroyed is the file and its salt."""
    w = c.world
    share = {"fields": [1], "purpose": SERVICE, "commitment": commitment("b"), "blob": "bb" * 32}
    made = w.must("alice", "share.record", {"agreement": c.g1, "share": share}).id("share")
    assert w.submit("acme", "blob.purge", {"share": made}).code == "E_SIGNER"
    assert w.submit("alice", "blob.purge", {"share": c.s1}).code == "E_STATE"
    done = w.must("alice", "blob.purge", {"share": made})
    assert done.event is not None
    assert b'"blobs":["' + b"bb" * 32 + b'"]' in done.event.payload
    assert done.event.readers == ("acme", "alice")
    assert w.submit("alice", "blob.purge", {"share": made}).code == "E_STATE"
    found = w.ask("acme", "share", share_id=made)
    assert (found["purged_at_ms"], found["blob"]) == (T0, "bb" * 32)
    assert w.submit("alice", "blob.purge", {"share": "00" * 32}).code == "E_UNKNOWN_SHARE"


def test_custodians_purge_only_together(c: Cases) -> None:
    """One of them alone would destroy what the other may need to prove."""
    share = {"fields": [1], "blob": "cc" * 32}
    made = c.attempt(recipient="delta", child={"fields": [1]}, share=share).id("share")
    for alone in ("acme", "delta"):
        assert c.world.submit(alone, "blob.purge", {"share": made}).code == "E_SIGNER"
    c.world.must("delta", "blob.purge", {"share": made}, ("acme",))


@pytest.mark.parametrize("purged", [True, False])
def test_a_blob_is_named_by_one_share_for_ever(c: Cases, purged: bool) -> None:
    """A purged ciphertext would come back to the nodes under a second share that names it."""
    w = c.world
    share = {"fields": [1], "purpose": SERVICE, "commitment": commitment("b"), "blob": "bb" * 32}
    made = w.must("alice", "share.record", {"agreement": c.g1, "share": share}).id("share")
    if purged:
        w.must("alice", "blob.purge", {"share": made})
    again = {**share, "commitment": commitment("another")}
    plain = w.submit("alice", "share.record", {"agreement": c.g1, "share": again})
    assert (plain.code, plain.rule) == ("E_DUPLICATE", "R28")
    onward = c.attempt(recipient="delta", share={"blob": "bb" * 32})
    assert (onward.code, onward.rule, onward.recorded) == ("E_DUPLICATE", "R28", True)
    told = {"parent_share_id": c.s1, "recipient": "delta", "fields": [3], "purpose": SERVICE}
    found = w.ask("acme", "trace", **told, expires_at_ms=T0 + DAY, blob="bb" * 32)
    assert (found["code"], found["rule"]) == ("E_DUPLICATE", "R28")
    assert not c.attempt(recipient="delta", share={"blob": "cc" * 32}).code


def breach(c: Cases, by: str, agreements: list[str], detected_at_ms: int) -> Any:
    fields = {"agreements": agreements, "detected_at_ms": detected_at_ms, "evidence": NOTICE}
    return c.world.submit(by, "breach.notify", fields)


def test_a_notice_is_in_time_to_the_millisecond(c: Cases) -> None:
    w = c.world
    w.time_ms = T0 + HOURS_48
    assert not breach(c, "beta", [c.g1a], T0).code
    w.time_ms += 1
    assert not breach(c, "beta", [c.g1a], T0).code, "late, and told all the same"
    for reader in ("alice", "acme", "beta"):
        late = [one["late_count"] for one in w.ask(reader, "breaches")["breaches"]]
        assert late == [0, 1]
    assert w.ask("gamma", "breaches")["breaches"] == []
    notices = w.ask("alice", "compliance", party="beta")["breach_notices"]
    assert (notices["in_time"], notices["late"]) == (1, 1)
    assert w.ask("alice", "history", agreement_id=c.g1a)["steps"][-1]["event"] == "breach.notify"


def test_what_a_notice_may_say(c: Cases) -> None:
    assert breach(c, "beta", [], T0).code == "E_FORMAT"
    assert breach(c, "beta", [c.g1a], T0 + 1).code == "E_WINDOW"
    assert breach(c, "beta", sorted([c.g1a, c.g1]), T0).code == "E_SIGNER"
    assert breach(c, "beta", ["00" * 32], T0).code == "E_UNKNOWN_AGREEMENT"
    many = sorted(commitment(str(number)) for number in range(7))
    assert breach(c, "beta", many, T0).code == "E_SIZE"
