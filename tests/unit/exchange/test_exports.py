"""Agreements in the formats of others: valid, whole, and the same bytes every time."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from tests.support.contexts import CREDENTIALS_NS, ODRL_NS, loader
from tests.support.dossiers import collected, dossier_of
from tests.support.format_schemas import SCHEMAS
from tests.unit.chaincode.world import DAY, NOTICE, T0, Cases, World, cases, fixture

from onward.errors import RejectedError
from onward.exchange.coherence import parse_dossier
from onward.exchange.collecting import founding_steps
from onward.exchange.dossier import Dossier
from onward.exchange.exports import FORMATS, export_text
from onward_chaincode.terms import parse_terms
from onward_proto.documents import canonical_document

PROV = "http://www.w3.org/ns/prov#"
LABELS = (
    "T-42CFR2", "T-DDA-365", "T-INTENT-30D", "T-P2B1", "T-PARTNERS", "T-PDC-AI", "T-SD-BASE",
    "T-SD-BASE-ATP-S3P", "T-SISA-V1", "T-TLP-AMBER", "T-UST-SITE",
)  # fmt: skip


@pytest.fixture(scope="module")
def worlds() -> dict[str, Dossier]:
    """Dossiers of every kind of terms, and of every way in which an agreement may stand."""
    return dict(_dossiers())


def _dossiers() -> Iterator[tuple[str, Dossier]]:
    c = cases()
    yield "root", dossier_of(c.world, "alice", c.g1)
    yield "child", dossier_of(c.world, "acme", c.g1a)
    yield "grandchild", dossier_of(c.world, "gamma", c.g1b)
    for label in LABELS:
        w, agreement = under_terms(label)
        yield label, dossier_of(w, "alice", agreement)
    yield "partly withdrawn", dossier_of(*revoked(c, "FIELDS", fields=[1]), c.g1)
    purposes = list(dossier_of(c.world, "alice", c.g1).purposes)
    yield "no purpose left", dossier_of(*revoked(c, "PURPOSES", purposes=purposes), c.g1)
    d = cases()
    fields = [field.index for field in dossier_of(d.world, "alice", d.g1).fields]
    yield "no field left", dossier_of(*revoked(d, "FIELDS", fields=fields), d.g1)
    yield "revoked", dossier_of(*revoked(c, "ALL"), c.g1)
    yield "below a revoked one", dossier_of(c.world, "beta", c.g1a)
    c = cases()
    newer = amended(c)
    yield "amended", dossier_of(c.world, "alice", newer)
    yield "superseded", dossier_of(c.world, "alice", c.g1)
    yield "below an amended one", dossier_of(c.world, "gamma", c.g1b)
    c = cases()
    c.world.time_ms = T0 + 31 * DAY
    yield "expired", dossier_of(c.world, "alice", c.g1)
    c = cases()
    c.world.must("acme", "agreement.terminate", {"agreement": c.g1})
    yield "terminated", dossier_of(c.world, "alice", c.g1)


def revoked(c: Cases, scope: str, **more: Any) -> tuple[World, str]:
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": scope, **more})
    return c.world, "alice"


def amended(c: Cases) -> str:
    """G1 without the email, signed by both; its children stay where they are."""
    terms = {"agreement": c.g1, "fields": [2, 3], "notice": "88" * 32}
    return c.world.must("alice", "agreement.amend", terms, cosigners=("acme",)).id("agreement")


def under_terms(label: str, **changes: Any) -> tuple[World, str]:
    """A world with one agreement under these terms, and a share in it."""
    w = World()
    w.join("registry", "REGISTRY")
    w.join("alice", "PERSON")
    document = fixture("terms", label)
    w.join("acme", "ORGANISATION", document["clauses"].get("jurisdictions", ["DE"])[0])
    terms = parse_terms(canonical_document(document))
    grant = {
        "terms": w.publish_terms(document),
        "schema": w.publish_schema(fixture("schemas", "S-HEALTH")),
        "fields": [0, 1],
        "purposes": list(terms.purposes_allowed),
        "jurisdictions": list(terms.jurisdictions),
        "notice": NOTICE,
        **changes,
    }
    agreement = w.agree("alice", "acme", grant)
    w.share(agreement, "alice", [1], terms.purposes_allowed[0], "data")
    return w, agreement


def exported(name: str, dossier: Dossier) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(export_text(name, dossier))
    return found


# -- the formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_export_is_valid_in_its_format(name: str, worlds: dict[str, Dossier]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    validator = jsonschema.Draft202012Validator(SCHEMAS[name])
    for dossier in worlds.values():
        validator.validate(exported(name, dossier))


SPOILT: list[tuple[str, str, Any]] = [
    ("kantara", "consentTimestamp", 1_750_000_000_000),
    ("kantara", "services/0/purposes/0/thirdPartyName", ...),
    ("kantara", "piiControllers/0/address", ...),
    ("iso27560", "dpv:hasConsentStatus/0/dct:date", ...),
    ("iso27560", "dpv:hasConsentStatus", []),
    ("iso27560", "dpv:hasProcess/dpv:hasStorageCondition/0", ...),
    ("odrl", "assignee", ...),
    ("odrl", "permission/0/constraint/0/operator", "among"),
    ("odrl", "permission/0/target", ...),
    ("prov", "@graph/0/@id", ...),
    ("prov", "@graph/0/prov:wasInventedBy", "x"),
    ("vc", "@context/0", "https://www.w3.org/2018/credentials/v1"),
    ("vc", "issuer", ...),
    ("vc", "termsOfUse/type", ...),
]


@pytest.mark.parametrize(("name", "path", "value"), SPOILT)
def test_the_schemas_refuse_what_the_formats_forbid(
    name: str, path: str, value: Any, worlds: dict[str, Dossier]
) -> None:
    """A schema of our own that admits everything would make the test above worthless."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    spoilt = copy.deepcopy(exported(name, worlds["root"]))
    holder: Any = spoilt
    *steps, last = (int(step) if step.isdecimal() else step for step in path.split("/"))
    for step in steps:
        holder = holder[step]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    assert not jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(spoilt)


def expanded(document: dict[str, Any]) -> Any:
    jsonld = pytest.importorskip("pyld.jsonld", reason="PyLD is not installed")
    return jsonld.expand(document, {"documentLoader": loader})


@pytest.mark.parametrize("name", ["iso27560", "odrl", "prov", "vc"])
def test_no_key_is_lost_when_linked_data_is_expanded(name: str, worlds: dict[str, Dossier]) -> None:
    """A key that no context defines vanishes without a word, and with it what it said."""
    for state in ("grandchild", "T-DDA-365", "T-SISA-V1", "revoked"):
        document = exported(name, worlds[state])
        whole = expanded(document)
        for path, spoilt in without_each_key(document):
            assert expanded(spoilt) != whole, f"{name}: {path} is lost"


def without_each_key(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The document without one of its keys, for every key beside the context.

    Of a list's items with the same type, one is enough: what a key means goes by where it stands.
    """
    found: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    for path in leaves(document):
        holder: Any = document
        for step in path[:-1]:
            holder = holder[step]
        kind = str(holder.get("@type", holder.get("type")))
        place = "/".join("*" if isinstance(step, int) else step for step in path)
        if holder[path[-1]] in ([], {}) or (place, kind) in found:
            continue
        copied = copy.deepcopy(document)
        holder = copied
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]
        found[place, kind] = ("/".join(map(str, path)), copied)
    return list(found.values())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if key == "@context":
            continue
        if isinstance(value, dict):
            yield (*path, key)
        if isinstance(item, dict | list):
            yield from leaves(item, (*path, key))


def test_provenance_leads_from_a_share_back_to_the_rights_holders_data(
    worlds: dict[str, Dossier],
) -> None:
    c = cases()
    dossier = worlds["grandchild"]
    nodes = {node["@id"]: node for node in expanded(exported("prov", dossier))}
    data = nodes[dossier.iri("data", c.s1b)]
    assert data[PROV + "wasDerivedFrom"] == [{"@id": dossier.iri("data", c.s1a)}]
    assert data[PROV + "wasGeneratedBy"] == [{"@id": dossier.iri("share", c.s1b)}]
    line = ["gamma", "beta", "acme", "alice"]
    for custodian, delegator in pairwise(line):
        agent = nodes[dossier.iri("party", custodian)]
        assert agent[PROV + "actedOnBehalfOf"] == [{"@id": dossier.iri("party", delegator)}]
    assert PROV + "actedOnBehalfOf" not in nodes[dossier.iri("party", "alice")]


def test_odrl_reads_as_the_rules_of_the_terms(worlds: dict[str, Dossier]) -> None:
    [same] = expanded(exported("odrl", worlds["T-P2B1"]))
    permissions = {
        rule[ODRL_NS + "action"][0]["@id"]: rule for rule in same[ODRL_NS + "permission"]
    }
    assert set(permissions) == {ODRL_NS + "use", ODRL_NS + "grantUse"}
    [duty] = permissions[ODRL_NS + "grantUse"][ODRL_NS + "duty"]
    assert duty[ODRL_NS + "action"] == [{"@id": ODRL_NS + "nextPolicy"}]
    assert duty[ODRL_NS + "target"][0]["@id"].endswith(worlds["T-P2B1"].agreement.terms_id)


@pytest.mark.parametrize(
    ("label", "duties"),
    [
        ("T-P2B1", ["nextPolicy"]),
        ("T-SISA-V1", ["nextPolicy", "obtainConsent"]),
        ("T-SD-BASE-ATP-S3P", ["nextPolicy", "anonymize"]),
        ("T-INTENT-30D", None),
    ],
)
def test_odrl_says_on_what_condition_data_goes_on(
    label: str, duties: list[str] | None, worlds: dict[str, Dossier]
) -> None:
    policy = exported("odrl", worlds[label])
    onward = [rule for rule in policy["permission"] if rule["action"] == "grantUse"]
    if duties is None:
        assert not onward
        assert "distribute" in [rule["action"] for rule in policy["prohibition"]]
    else:
        assert [duty["action"] for duty in onward[0]["duty"]] == duties


@pytest.mark.parametrize(
    "state", ["revoked", "expired", "below a revoked one", "no purpose left", "no field left"]
)
def test_odrl_permits_nothing_once_nothing_is_in_force(
    state: str, worlds: dict[str, Dossier]
) -> None:
    """A policy engine that is handed the export must not go on allowing."""
    policy = exported("odrl", worlds[state])
    assert "permission" not in policy
    assert [rule["action"] for rule in policy["prohibition"]] == ["use", "distribute"]


@pytest.mark.parametrize(
    ("state", "last"),
    [
        ("root", "dpv:ConsentGiven"),
        ("child", "dpv:ConsentGiven"),
        ("partly withdrawn", "dpv:ConsentGiven"),
        ("revoked", "dpv:ConsentWithdrawn"),
        ("expired", "dpv:ConsentExpired"),
        ("terminated", "dpv:ConsentRevoked"),
        ("below a revoked one", "dpv:ConsentInvalidated"),
    ],
)
def test_the_last_event_of_a_consent_record_is_how_it_stands(
    state: str, last: str, worlds: dict[str, Dossier]
) -> None:
    events = exported("iso27560", worlds[state])["dpv:hasConsentStatus"]
    assert events[-1]["@type"] == ["dpv:ConsentStatus", last]
    assert [event["dct:date"]["@value"] for event in events] == sorted(
        event["dct:date"]["@value"] for event in events
    )


def test_a_consent_record_begins_with_the_request_and_says_whose_step_it_was(
    worlds: dict[str, Dossier],
) -> None:
    events = exported("iso27560", worlds["root"])["dpv:hasConsentStatus"]
    told = [
        (event["@type"][1], event["dpv:isImplementedByEntity"]["@id"].rsplit(":")[-1])
        for event in events
    ]
    assert told == [("dpv:ConsentRequested", "alice"), ("dpv:ConsentGiven", "acme")]


def test_what_was_withdrawn_is_in_no_export(worlds: dict[str, Dossier]) -> None:
    dossier = worlds["partly withdrawn"]
    assert 1 not in [field.index for field in dossier.fields]
    receipt = exported("kantara", dossier)
    assert receipt["services"][0]["purposes"][0]["piiCategory"] == sorted(
        field.category for field in dossier.fields
    )
    assert "dpv-pd:EmailAddress" not in json.dumps(exported("iso27560", dossier))


def test_an_amendment_narrows_what_is_below_it_and_is_told_as_a_revision(
    worlds: dict[str, Dossier],
) -> None:
    """A child keeps its own words; what it may still do depends on what stands above it now."""
    below, newer = worlds["below an amended one"], worlds["amended"]
    assert set(worlds["grandchild"].agreement.fields) == set(below.agreement.fields)
    assert {field.index for field in below.fields} <= {2, 3}
    nodes = {node["@id"]: node for node in exported("prov", below)["@graph"]}
    chain = [item.agreement_id for item in below.path]
    for item, above in pairwise(chain):
        derived = nodes[below.iri("agreement", item)]["prov:wasDerivedFrom"]
        assert derived == {"@id": below.iri("agreement", above)}
    assert chain[-1] == newer.agreement.agreement_id
    revised = nodes[below.iri("agreement", chain[-1])]["prov:wasRevisionOf"]
    assert revised == {"@id": below.iri("agreement", worlds["superseded"].agreement.agreement_id)}
    assert "permission" not in exported("odrl", worlds["superseded"])


def test_a_kantara_receipt_names_who_holds_the_data_further_on(worlds: dict[str, Dossier]) -> None:
    held = {"root": "beta; gamma", "T-P2B1": "none at issue", "revoked": "none at issue"}
    for state, names in held.items():
        for purpose in exported("kantara", worlds[state])["services"][0]["purposes"]:
            assert purpose["thirdPartyName"] == names
    only_two = exported("kantara", worlds["T-INTENT-30D"])["services"][0]["purposes"][0]
    assert only_two["thirdPartyDisclosure"] is False
    assert "thirdPartyName" not in only_two
    assert exported("kantara", worlds["root"])["consentTimestamp"] == T0 // 1_000
    assert exported("kantara", worlds["T-UST-SITE"])["sensitive"] is True


def test_a_credential_has_receipts_for_evidence_and_no_proof_of_its_own() -> None:
    """A proof that no standard defines would be believed by nobody, or by somebody."""
    c = cases()
    bare = exported("vc", dossier_of(c.world, "alice", c.g1))
    assert "evidence" not in bare
    founding = founding_steps(collected(c.world, "alice", c.g1))
    assert len(founding) == 2
    receipts = {tx_id: f"receipt of {tx_id}" for tx_id in founding}
    found = exported("vc", dossier_of(c.world, "alice", c.g1, receipts=receipts))
    assert "proof" not in found
    [whole] = expanded(found)
    assert len(whole[CREDENTIALS_NS + "evidence"]) == 2
    assert sorted(item["receipt"] for item in found["evidence"]) == sorted(receipts.values())


@pytest.mark.parametrize("name", ["iso27560", "kantara"])
def test_a_format_of_consent_is_not_used_for_what_rests_on_something_else(name: str) -> None:
    w, agreement = under_terms("T-P2B1", lawful_basis="dpv:Contract")
    with pytest.raises(RejectedError) as refused:
        export_text(name, dossier_of(w, "alice", agreement))
    assert refused.value.code == "E_INEXPRESSIBLE"
    assert exported("odrl", dossier_of(w, "alice", agreement))


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_dossier_gives_the_same_bytes(name: str) -> None:
    """Also when its keys come in another order, and from another reader of the same state."""
    c = cases()
    document = collected(c.world, "alice", c.g1)
    turned = dict(reversed(document.items()))
    texts = {
        export_text(name, parse_dossier(json.dumps(item).encode()))
        for item in (document, turned, collected(c.world, "acme", c.g1))
    }
    assert len(texts) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_names_nobody_whom_the_dossier_does_not_name(name: str) -> None:
    """Nothing but the chain's own words goes in: ids, hashes, words of closed sets, times."""
    c = cases()
    dossier = dossier_of(c.world, "gamma", c.g1b)
    text = export_text(name, dossier)
    assert {party for party in ("delta", "registry", "auditor") if f'"{party}"' in text} == set()
