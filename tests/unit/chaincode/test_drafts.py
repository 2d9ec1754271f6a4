"""Drafts: payloads from plain values and back, from one definition."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.chaincode.world import NOTICE, SERVICE, T0

from onward_chaincode.drafts import DraftError, draft, explain, ids_of, template
from onward_chaincode.isa import HANDLERS, Isa
from onward_chaincode.payloads import PAYLOADS
from onward_chaincode.registry import available, contract_for

ID = "ab" * 32
GRANT = {
    "terms": ID,
    "schema": ID,
    "fields": [0, 3],
    "purposes": [SERVICE],
    "jurisdictions": ["DE"],
    "lawful_basis": "dpv:Contract",
    "notice": NOTICE,
    "not_before_ms": T0,
    "expires_at_ms": T0 + 1,
    "retention_ms": 5,
}
PARCEL = {"fields": [0], "purpose": SERVICE, "transform": "NONE", "commitment": ID, "blob": ID}
FULL: dict[str, dict[str, Any]] = {
    "agreement.accept": {"offer": ID},
    "agreement.amend": {
        "agreement": ID,
        "fields": [1],
        "purposes": [SERVICE],
        "expires_at_ms": T0,
        "retention_ms": 1,
        "notice": NOTICE,
    },
    "agreement.counter": {
        "offer": ID,
        "terms": ID,
        "fields": [1],
        "purposes": [SERVICE],
        "not_before_ms": T0,
        "expires_at_ms": T0 + 1,
        "offer_expires_at_ms": T0 + 2,
    },
    "agreement.offer": {
        "to": "acme",
        "first_party": "alice",
        "grant": GRANT,
        "offer_expires_at_ms": T0 + 1,
        "intent": ID,
        "max_acceptances": 2,
        "parent_agreement": ID,
        "parent_share": ID,
        "approval": ID,
    },
    "agreement.reject": {"offer": ID, "reason": "POLICY"},
    "agreement.resume": {"agreement": ID},
    "agreement.suspend": {"agreement": ID, "evidence": ID},
    "agreement.revoke": {
        "agreement": ID,
        "scope": "FIELDS",
        "fields": [1],
        "purposes": [SERVICE],
        "reason": "OTHER",
    },
    "agreement.terminate": {"agreement": ID, "effective_at_ms": T0},
    "agreement.withdraw_offer": {"offer": ID},
    "blob.purge": {"share": ID},
    "breach.notify": {"agreements": [ID], "detected_at_ms": T0, "evidence": ID},
    "intent.cast": {
        "terms": ID,
        "schema": ID,
        "industry": "Automotive",
        "tags": ["4wd"],
        "brands": ["Ford"],
        "currency": "USD",
        "price_low": 1,
        "price_high": 2,
        "expires_at_ms": T0,
        "max_acceptances": 1,
        "commitment": ID,
    },
    "intent.respond": {
        "intent": ID,
        "agreement": ID,
        "price_minor": 7,
        "valid_until_ms": T0,
        "commitment": ID,
    },
    "intent.select": {"intent": ID, "response": ID},
    "intent.withdraw": {"intent": ID},
    "mandate.grant": {
        "auditor": "auditor",
        "scope": "ROOT",
        "agreement": ID,
        "terms": ID,
        "expires_at_ms": T0,
    },
    "mandate.revoke": {"auditor": "auditor", "scope": "TERMS", "agreement": ID, "terms": ID},
    "obligation.attest": {"agreement": ID, "kind": "ERASE", "evidence": ID},
    "obligation.flag_overdue": {"agreement": ID},
    "onward.approve": {
        "parent_share": ID,
        "recipient": "beta",
        "terms": ID,
        "fields": [1],
        "purposes": [SERVICE],
        "expires_at_ms": T0,
    },
    "onward.withdraw_approval": {"approval": ID},
    "schema.publish": {"document": {"a": [1, {"b": None}]}},
    "share.ack": {"share": ID},
    "share.onward": {
        "parent_agreement": ID,
        "parent_share": ID,
        "recipient": "beta",
        "child": GRANT,
        "share": PARCEL,
        "approval": ID,
    },
    "share.record": {"agreement": ID, "share": PARCEL, "parent_share": ID, "approval": ID},
    "share.return": {"share": ID, "to": "alice", "commitment": ID, "blob": ID},
    "share.withdraw": {"share": ID},
    "terms.deprecate": {"terms": ID},
    "terms.publish": {"document": {"z": "ü", "a": True}},
    "terms.recall": {"terms": ID},
    "violation.answer": {"violation": ID, "evidence": ID},
    "violation.flag": {"agreement": ID, "ground": "PURPOSE", "evidence": ID},
    "violation.resolve": {"violation": ID, "finding": "RESOLVED"},
}


def test_every_type_has_a_payload_a_handler_and_an_example() -> None:
    assert set(PAYLOADS) == set(HANDLERS) == set(FULL)
    assert Isa().types == tuple(sorted(PAYLOADS))


@pytest.mark.parametrize("kind", sorted(FULL))
def test_a_draft_and_its_explanation_are_inverse(kind: str) -> None:
    assert explain(kind, draft(kind, FULL[kind])) == FULL[kind]


@pytest.mark.parametrize("kind", sorted(FULL))
def test_an_unknown_key_and_a_missing_key_are_named(kind: str) -> None:
    with pytest.raises(DraftError, match="memo: unknown"):
        draft(kind, {**FULL[kind], "memo": "hello"})
    required = [key for key, words in template(kind).items() if "may be left out" not in words]
    for key in required:
        if "." in key or template(kind)[key].startswith("list"):
            continue
        with pytest.raises(DraftError, match=f"{key}: is missing"):
            draft(kind, {name: value for name, value in FULL[kind].items() if name != key})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipient": 7}, "recipient: expected a text"),
        ({"parent_share": "xyz"}, "parent_share: expected hexadecimal"),
        ({"parent_share": "ab"}, "expected 32"),
        ({"child": []}, "child: expected a table"),
        ({"child": {**GRANT, "depth": 1}}, "child.depth: unknown"),
        ({"child": {**GRANT, "fields": "all"}}, "child.fields: expected a list"),
        ({"child": {**GRANT, "fields": [1, 1]}}, "child.fields: a value stands twice"),
        ({"child": {**GRANT, "fields": ["email"]}}, "child.fields: expected a whole number"),
        ({"child": {**GRANT, "retention_ms": True}}, "child.retention_ms: expected a whole"),
    ],
)
def test_a_draft_of_the_wrong_kind_names_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DraftError, match=message):
        draft("share.onward", {**FULL["share.onward"], **change})


def test_sets_may_be_written_in_any_order() -> None:
    base = FULL["agreement.revoke"]
    one = draft("agreement.revoke", {**base, "fields": [3, 1, 2]})
    assert one == draft("agreement.revoke", {**base, "fields": [1, 2, 3]})


def test_an_unknown_type_is_no_draft() -> None:
    for ask in (lambda: draft("a.b", {}), lambda: explain("a.b", b""), lambda: template("a.b")):
        with pytest.raises(DraftError, match="unknown transaction type"):
            ask()


def test_ids_follow_from_the_transaction_and_differ_by_kind() -> None:
    ids = ids_of("00" * 32)
    kinds = (
        *("agreement", "approval", "breach", "campaign", "intent", "offer", "response", "share"),
        "violation",
    )
    assert sorted(ids) == [f"{kind}_id" for kind in kinds]
    assert len(set(ids.values())) == len(ids)
    # SHA-256("isa/share/1" and 32 zero bytes): a client computes it without asking a node.
    assert ids["share_id"] == "84c27fd82ed78ae49cb82032a759a716bef431403223fd2fb2e83317dd096794"


def test_the_registry_knows_isa_version_one() -> None:
    assert available() == (("isa", 1),)
    found = contract_for("isa", 1)
    assert found is not None
    assert (found.name, found.version) == ("isa", 1)
    assert contract_for("isa", 2) is None
