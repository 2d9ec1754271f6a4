"""Every rule of an onward share, reached at its code and in order."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from tests.unit.chaincode.world import (
    ANALYTICS,
    DAY,
    SERVICE,
    T0,
    Cases,
    Outcome,
    cases,
    commitment,
    fixture,
    grant,
)

from onward_chaincode import limits
from onward_chaincode.drafts import draft, published_id
from onward_chaincode.errors import ENTRIES
from onward_chaincode.keys import agreement_key, sanction_key
from onward_chaincode.onward import RULES
from onward_chaincode.records import AgreementRecord
from onward_proto.canonical import decode, encode


@pytest.fixture
def c() -> Cases:
    return cases()


def refused(outcome: Outcome, code: str, rule: str) -> None:
    """Refused by this rule, and recorded."""
    assert (outcome.code, outcome.rule) == (code, rule), outcome.message
    assert outcome.recorded


def change_state(c: Cases, agreement: str, **changes: Any) -> None:
    """Put an agreement into a state that no transaction reaches yet."""
    key = agreement_key(bytes.fromhex(agreement))
    record = decode(AgreementRecord, c.world.state[key])
    c.world.state[key] = encode(dataclasses.replace(record, **changes))


def intent_share(c: Cases) -> tuple[str, str]:
    """GI and si: Alice to ACME under the intentcast terms."""
    w, ids = c.world, c.ids
    gi = w.agree(
        "alice",
        "acme",
        grant(
            ids["T-INTENT-30D"],
            ids["S-INTENT"],
            fields=[0, 1],
            purposes=["onward:IntentResponse"],
            expires_at_ms=None,
        ),
    )
    return gi, w.share(gi, "alice", [0, 1], "onward:IntentResponse", "si")


# -- the positive controls -------------------------------------------------------------------------


def test_p1_a_narrower_onward_share_is_accepted(c: Cases) -> None:
    outcome = c.attempt(recipient="gamma")
    assert not outcome.code
    child = c.world.ask("gamma", "agreement", agreement_id=outcome.id("agreement"))
    assert (child["depth"], child["effective"], child["rights_holder"]) == (1, True, "alice")


def test_p2_a_second_hop_is_accepted(c: Cases) -> None:
    hop = c.attempt("beta", "delta", parent_agreement=c.g1a, parent_share=c.s1a)
    assert not hop.code


def test_p3_two_recipients_of_one_share(c: Cases) -> None:
    assert not c.attempt(recipient="delta").code
    assert not c.attempt(recipient="epsilon").code


def test_p4_deprecated_terms_still_carry_onward_shares(c: Cases) -> None:
    c.world.must("registry", "terms.deprecate", {"terms": c.ids["T-P2B1"]})
    assert not c.attempt(recipient="gamma").code


def test_p6_anonymised_fields_may_go_on(c: Cases) -> None:
    assert not anonymised(c).code


def test_p7_from_one_member_state_to_another(c: Cases) -> None:
    assert not european(c, "beta").code


# -- R01 to R05: refused plainly -------------------------------------------------------------------


def test_a22_depth_is_no_field() -> None:
    c = cases()
    payload = draft("terms.recall", {"terms": "00" * 32}) + b"\x10\x01"
    outcome = c.world.apply("registry", "terms.recall", payload)
    assert (outcome.code, outcome.rule, outcome.recorded) == ("E_FORMAT", "R01", False)


def test_a_set_out_of_order_is_not_canonical(c: Cases) -> None:
    """Two spellings of one set would be two commitments to one meaning."""
    fields = {"agreement": c.g1, "scope": "FIELDS", "fields": [1, 3]}
    payload = draft("agreement.revoke", fields)
    swapped = payload.replace(b"\x1a\x02\x01\x03", b"\x1a\x02\x03\x01")
    assert swapped != payload
    outcome = c.world.apply("alice", "agreement.revoke", swapped)
    assert (outcome.code, outcome.rule) == ("E_FORMAT", "R01")


@pytest.mark.parametrize(("count", "code"), [(64, "E_PURPOSE"), (65, "E_SIZE")])
def test_r02_at_most_64_purposes(c: Cases, count: int, code: str) -> None:
    purposes = [f"dpv:P{index:03d}" for index in range(count)]
    assert c.attempt(recipient="gamma", child={"purposes": purposes}).code == code


def test_a41_unregistered_and_deactivated_recipients(c: Cases) -> None:
    stranger = c.attempt(recipient="nobody")
    assert (stranger.code, stranger.rule, stranger.recorded) == ("E_PARTY", "R04", False)
    c.world.deactivate("gamma")
    assert c.attempt(recipient="gamma").code == "E_PARTY"


def test_a38_the_recipient_must_sign(c: Cases) -> None:
    outcome = c.attempt(recipient="gamma", cosigners=("delta",))
    assert (outcome.code, outcome.rule, outcome.recorded) == ("E_COUNTERSIG", "R05", False)


# -- R08 to R28, in order --------------------------------------------------------------------------


def test_a06_r08_an_unknown_share(c: Cases) -> None:
    refused(c.attempt(recipient="gamma", parent_share="ab" * 32), "E_UNKNOWN_PARENT", "R08")
    refused(c.attempt(recipient="gamma", parent_agreement="ab" * 32), "E_UNKNOWN_PARENT", "R08")


def test_a08_r09_a_share_of_another_agreement(c: Cases) -> None:
    gi, _ = intent_share(c)
    refused(c.attempt(recipient="gamma", parent_agreement=gi), "E_PARENT_MISMATCH", "R09")


def test_a09_a11_r10_only_the_recipient_passes_on(c: Cases) -> None:
    refused(c.attempt("delta", "gamma"), "E_NOT_RECIPIENT", "R10")
    refused(c.attempt("alice", "gamma"), "E_NOT_RECIPIENT", "R10")


def test_a12_a13_r11_the_last_millisecond(c: Cases) -> None:
    c.world.time_ms = T0 + 30 * DAY - 1
    assert not c.attempt(recipient="gamma", child={"expires_at_ms": T0 + 30 * DAY}).code
    c.world.time_ms = T0 + 30 * DAY
    refused(c.attempt(recipient="delta"), "E_PARENT_EXPIRED", "R11")


def test_a19_r11_not_begun(c: Cases) -> None:
    change_state(c, c.g1, not_before_ms=T0 + 2 * DAY)
    c.world.time_ms = T0 + DAY
    refused(c.attempt(recipient="gamma"), "E_PARENT_NOT_YET", "R11")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("SUSPENDED", "E_PARENT_SUSPENDED"),
        ("SUPERSEDED", "E_PARENT_NOT_ACTIVE"),
        ("REVOKED", "E_PARENT_REVOKED"),
    ],
)
def test_a20_r11_every_stored_state_has_its_code(c: Cases, state: str, code: str) -> None:
    change_state(c, c.g1, state=state)
    refused(c.attempt(recipient="gamma"), code, "R11")


def test_r11_terminated_by_the_recipient(c: Cases) -> None:
    c.world.must("acme", "agreement.terminate", {"agreement": c.g1})
    refused(c.attempt(recipient="gamma"), "E_PARENT_TERMINATED", "R11")


def test_r12_any_ancestor_that_ended_ends_the_path(c: Cases) -> None:
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    again = c.attempt("beta", "delta", parent_agreement=c.g1a, parent_share=c.s1a)
    refused(again, "E_ANCESTOR_ENDED", "R12")
    assert c.g1 in again.message


def test_r13_a_withdrawn_share_goes_no_further(c: Cases) -> None:
    c.world.must("alice", "share.withdraw", {"share": c.s1})
    refused(c.attempt(recipient="gamma"), "E_SHARE_WITHDRAWN", "R13")


def test_a49_r14_a_sanctioned_sharer(c: Cases) -> None:
    c.world.state[sanction_key(bytes.fromhex(c.g1), "acme")] = b"\x01"
    refused(c.attempt(recipient="gamma"), "E_SANCTIONED", "R14")


@pytest.mark.parametrize("recipient", ["beta", "epsilon"])
@pytest.mark.parametrize("claimed", ["T-INTENT-30D", "T-P2B1"])
def test_a01_a02_a03_r15_prohibited_is_prohibited(c: Cases, recipient: str, claimed: str) -> None:
    """Whatever the child claims to be under, and whoever the recipient says it is."""
    gi, si = intent_share(c)
    c.world.time_ms = T0 + DAY
    outcome = c.attempt(
        recipient=recipient,
        parent_agreement=gi,
        parent_share=si,
        child={"terms": c.ids[claimed], "schema": c.ids["S-INTENT"]},
    )
    refused(outcome, "E_ONWARD_PROHIBITED", "R15")


def test_a04_r16_stricter_looking_terms_are_other_terms(c: Cases) -> None:
    outcome = c.attempt(recipient="gamma", child={"terms": c.ids["T-SD-BASE"]})
    refused(outcome, "E_TERMS_MISMATCH", "R16")


def test_a05_r16_one_changed_clause_is_other_terms(c: Cases) -> None:
    document = fixture("terms", "T-P2B1")
    document["clauses"]["onward.max_depth"] = 1
    other = c.world.publish_terms(document)
    refused(c.attempt(recipient="gamma", child={"terms": other}), "E_TERMS_MISMATCH", "R16")


def test_a48_r17_recalled_terms(c: Cases) -> None:
    c.world.must("registry", "terms.recall", {"terms": c.ids["T-P2B1"]})
    refused(c.attempt(recipient="gamma"), "E_TERMS_RECALLED", "R17")


def test_a43_r18_no_approval_no_share(c: Cases) -> None:
    body = grant(c.ids["T-SISA-V1"], c.ids["S-CONTACT"], purposes=[SERVICE])
    gc = c.world.agree("alice", "acme", body)
    sc = c.world.share(gc, "alice", [1, 3], SERVICE, "sc")
    outcome = c.attempt(parent_agreement=gc, parent_share=sc, child={"terms": c.ids["T-SISA-V1"]})
    refused(outcome, "E_CONSENT_TOKEN", "R18")


def test_a21_r19_the_third_hop(c: Cases) -> None:
    outcome = c.attempt("gamma", "delta", parent_agreement=c.g1b, parent_share=c.s1b)
    refused(outcome, "E_DEPTH", "R19")


def test_r20_as_often_as_the_terms_say(c: Cases) -> None:
    """T-PARTNERS lets a share go on twice: at the bound yes, one above no."""
    w, ids = c.world, c.ids
    for org in ("delta", "epsilon"):
        w.join(org, groups=("partners",))
    body = grant(ids["T-PARTNERS"], ids["S-CONTACT"], purposes=[SERVICE])
    g = w.agree("alice", "acme", body)
    s = w.share(g, "alice", [1, 3], SERVICE, "partners")
    codes = [
        c.attempt(
            recipient=org,
            parent_agreement=g,
            parent_share=s,
            child={"terms": ids["T-PARTNERS"]},
        ).code
        for org in ("beta", "gamma", "delta")
    ]
    assert codes == ["", "", "E_QUOTA"]


def test_r20_refusals_are_recorded_up_to_a_quota_per_hour(c: Cases) -> None:
    """Otherwise anybody fills the ledger, and Alice's list, with refusals."""
    c.world.time_ms = T0 - T0 % limits.HOUR_MS + limits.HOUR_MS
    for _ in range(limits.REFUSALS_PER_HOUR_MAX):
        assert c.attempt("delta", "gamma").recorded
    beyond = c.attempt("delta", "gamma")
    assert (beyond.code, beyond.rule, beyond.recorded) == ("E_QUOTA", "R20", False)
    assert "E_NOT_RECIPIENT" in beyond.message
    assert not c.attempt("acme", "delta").code, "what is allowed is not held up by the quota"
    c.world.time_ms += limits.HOUR_MS
    assert c.attempt("delta", "gamma").recorded


def test_a33_r21_same_names_other_schema(c: Cases) -> None:
    document = fixture("schemas", "S-CONTACT") | {"label": "S-CONTACT-COPY"}
    other = c.world.publish_schema(document)
    refused(c.attempt(recipient="gamma", child={"schema": other}), "E_SCHEMA", "R21")


@pytest.mark.parametrize(
    ("granted", "shared"),
    [
        ([1, 3, 5], [1]),  # A23: phone was never granted
        ([2, 3], [3]),  # granted, but never received
        ([], [3]),  # A26
        ([3], []),
        ([3], [1]),  # not in the child
    ],
)
def test_a23_a26_r22_fields(c: Cases, granted: list[int], shared: list[int]) -> None:
    outcome = c.attempt(recipient="gamma", child={"fields": granted}, share={"fields": shared})
    refused(outcome, "E_FIELDS", "R22")


@pytest.mark.parametrize(
    ("purposes", "purpose"),
    [
        ([SERVICE, "dpv:PersonalisedAdvertising"], SERVICE),  # A27
        ([], SERVICE),
        ([SERVICE], ""),
        ([SERVICE], ANALYTICS),
    ],
)
def test_a27_r23_purposes(c: Cases, purposes: list[str], purpose: str) -> None:
    outcome = c.attempt(recipient="gamma", child={"purposes": purposes}, share={"purpose": purpose})
    refused(outcome, "E_PURPOSE", "R23")


def test_a29_r23_a_withdrawn_purpose(c: Cases) -> None:
    scope = {"agreement": c.g1, "scope": "PURPOSES", "purposes": [ANALYTICS]}
    c.world.must("alice", "agreement.revoke", scope)
    hop: dict[str, Any] = {"parent_agreement": c.g1a, "parent_share": c.s1a}
    analytics = c.attempt(
        "beta", "delta", child={"purposes": [ANALYTICS]}, share={"purpose": ANALYTICS}, **hop
    )
    refused(analytics, "E_PURPOSE", "R23")
    assert not c.attempt("beta", "delta", **hop).code


def anonymised(c: Cases, **changes: Any) -> Outcome:
    """ACME passes the category on, anonymised, under the S3P terms."""
    terms = c.ids["T-SD-BASE-ATP-S3P"]
    gs = c.world.agree("alice", "acme", grant(terms, c.ids["S-CONTACT"], purposes=[SERVICE]))
    ss = c.world.share(gs, "alice", [1, 3], SERVICE, "ss")
    parcel = {"transform": "ANONYMISED", **changes}
    fields = parcel.get("fields", [3])
    return c.attempt(
        parent_agreement=gs,
        parent_share=ss,
        child={"terms": terms, "fields": fields},
        share=parcel,
    )


def test_r24_anonymised_only(c: Cases) -> None:
    refused(anonymised(c, transform="NONE"), "E_ANONYMISATION", "R24")


def test_r24_no_identifying_field(c: Cases) -> None:
    refused(anonymised(c, fields=[1]), "E_ANONYMISATION", "R24")


@pytest.mark.parametrize(
    "child",
    [
        {"expires_at_ms": T0 + 31 * DAY},  # A30
        {"expires_at_ms": T0 + 30 * DAY + 1},
        {"expires_at_ms": None},  # no end under a parent that ends
        {"expires_at_ms": T0},  # over already
        {"not_before_ms": T0 - 1},
        {"not_before_ms": T0 + 20 * DAY},
        {"retention_ms": 1},
    ],
)
def test_a30_r25_the_window_lies_within(c: Cases, child: dict[str, Any]) -> None:
    refused(c.attempt(recipient="gamma", child=child), "E_WINDOW", "R25")


def test_r25_as_long_as_the_parent_is_allowed(c: Cases) -> None:
    child = {"expires_at_ms": T0 + 30 * DAY, "not_before_ms": T0}
    assert not c.attempt(recipient="gamma", child=child).code


def european(c: Cases, recipient: str, **child: Any) -> Outcome:
    """ACME passes sd on, which must stay in the European Union."""
    terms = c.ids["T-DDA-365"]
    gd = c.world.agree("alice", "acme", grant(terms, c.ids["S-CONTACT"], purposes=[SERVICE]))
    sd = c.world.share(gd, "alice", [1, 3], SERVICE, "sd")
    return c.attempt(
        recipient=recipient,
        parent_agreement=gd,
        parent_share=sd,
        child={"terms": terms, **child},
    )


def test_a46_r26_out_of_the_jurisdiction(c: Cases) -> None:
    refused(european(c, "texas"), "E_JURISDICTION", "R26")


def test_a46_r26_a_child_that_adds_a_jurisdiction(c: Cases) -> None:
    refused(european(c, "beta", jurisdictions=["DE", "US"]), "E_JURISDICTION", "R26")


def test_r26_a_recipient_outside_the_group(c: Cases) -> None:
    terms = c.ids["T-PARTNERS"]
    g = c.world.agree("alice", "acme", grant(terms, c.ids["S-CONTACT"], purposes=[SERVICE]))
    s = c.world.share(g, "alice", [1, 3], SERVICE, "group")
    hop: dict[str, Any] = {"parent_agreement": g, "parent_share": s, "child": {"terms": terms}}
    refused(c.attempt(recipient="delta", **hop), "E_RECIPIENT", "R26")
    assert not c.attempt(recipient="beta", **hop).code


@pytest.mark.parametrize(
    ("sharer", "recipient"), [("acme", "acme"), ("acme", "alice"), ("beta", "acme")]
)
def test_a34_r27_data_never_goes_back(c: Cases, sharer: str, recipient: str) -> None:
    hop: dict[str, Any] = (
        {"parent_agreement": c.g1a, "parent_share": c.s1a} if sharer == "beta" else {}
    )
    refused(c.attempt(sharer, recipient, **hop), "E_TOPOLOGY", "R27")


def test_r28_a_commitment_is_used_once(c: Cases) -> None:
    outcome = c.attempt(recipient="gamma", share={"commitment": commitment("s1")})
    refused(outcome, "E_DUPLICATE", "R28")


def test_r28_the_same_fields_to_the_same_recipient(c: Cases) -> None:
    assert not c.attempt(recipient="gamma").code
    refused(c.attempt(recipient="gamma"), "E_DUPLICATE", "R28")
    other_fields = c.attempt(recipient="gamma", child={"fields": [1]}, share={"fields": [1]})
    assert not other_fields.code


def test_r28_again_after_the_first_has_ended(c: Cases) -> None:
    first = c.attempt(recipient="gamma").id("agreement")
    c.world.must("acme", "agreement.revoke", {"agreement": first, "scope": "ALL"})
    assert not c.attempt(recipient="gamma").code


# -- the order, the record, the reads --------------------------------------------------------------


def test_the_rules_stand_in_the_order_of_the_table() -> None:
    assert [name for name, _ in RULES] == [f"R{number}" for number in range(10, 29)]


def test_of_two_broken_rules_the_earlier_decides(c: Cases) -> None:
    """The verdict is one code for everybody only when the order is one for everybody."""
    wrong: dict[str, Any] = {"child": {}, "share": {}}
    steps: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("E_DUPLICATE", {}, {"commitment": commitment("s1")}),
        ("E_JURISDICTION", {"jurisdictions": ["FR"]}, {}),
        ("E_WINDOW", {"expires_at_ms": T0 + 31 * DAY}, {}),
        ("E_PURPOSE", {"purposes": ["dpv:Advertising"]}, {}),
        ("E_FIELDS", {"fields": [5]}, {}),
        ("E_SCHEMA", {"schema": "00" * 32}, {}),
        ("E_TERMS_MISMATCH", {"terms": "00" * 32}, {}),
    ]
    for code, child, share in steps:
        wrong = {"child": wrong["child"] | child, "share": wrong["share"] | share}
        refused(c.attempt(recipient="gamma", **wrong), code, c_rule(code))
    c.world.must("alice", "share.withdraw", {"share": c.s1})
    refused(c.attempt(recipient="gamma", **wrong), "E_SHARE_WITHDRAWN", "R13")
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    refused(c.attempt(recipient="gamma", **wrong), "E_PARENT_REVOKED", "R11")
    refused(c.attempt("delta", "gamma", **wrong), "E_NOT_RECIPIENT", "R10")


def c_rule(code: str) -> str:
    return ENTRIES[code].rule


def test_a_refusal_is_seen_by_the_path_and_by_nobody_else(c: Cases) -> None:
    outcome = c.attempt("gamma", "delta", parent_agreement=c.g1b, parent_share=c.s1b)
    assert outcome.event is not None
    assert outcome.event.readers == ("acme", "alice", "beta", "gamma")
    for reader in outcome.event.readers:
        (row,) = c.world.ask(reader, "refusals")["refusals"]
        assert (row["code"], row["sharer"], row["recipient"]) == ("E_DEPTH", "gamma", "delta")
    assert c.world.ask("delta", "refusals")["refusals"] == []


def test_a_refused_share_leaves_no_child(c: Cases) -> None:
    before = dict(c.world.state)
    outcome = c.attempt("gamma", "delta", parent_agreement=c.g1b, parent_share=c.s1b)
    added = set(c.world.state) - set(before)
    assert added == {f"refused/{outcome.tx_id}", "quota/gamma"}
    assert all(c.world.state[key] == before[key] for key in before)


def test_the_deepest_path_is_judged_with_few_reads() -> None:
    """R12 and R13 read at most nine agreements and shares: no rule may need an unbounded read."""
    c = cases()
    document = fixture("terms", "T-P2B1")
    document["clauses"]["onward.max_depth"] = 8
    deep = c.world.publish_terms(document)
    names = [f"hop{index}" for index in range(10)]
    for name in names:
        c.world.join(name)
    agreement = c.world.agree("alice", "hop0", grant(deep, c.ids["S-CONTACT"]))
    share = c.world.share(agreement, "alice", [1, 3], SERVICE, "deep")
    outcome = None
    for sharer, recipient in itertools.pairwise(names):
        outcome = c.attempt(
            sharer, recipient, parent_agreement=agreement, parent_share=share, child={"terms": deep}
        )
        if outcome.code:
            break
        agreement, share = outcome.id("agreement"), outcome.id("share")
    assert outcome is not None
    refused(outcome, "E_DEPTH", "R19")
    assert c.world.ask("alice", "agreement", agreement_id=agreement)["depth"] == 8
    assert outcome.reads <= 40


def test_a_share_inside_a_child_is_judged_by_the_same_rules(c: Cases) -> None:
    """Otherwise a child made in good times would stay open for ever."""
    w = c.world
    s2 = w.share(c.g1, "alice", [1], SERVICE, "s2")
    body: dict[str, Any] = {
        "agreement": c.g1a,
        "parent_share": s2,
        "share": {"fields": [1], "purpose": SERVICE, "commitment": commitment("s2 on")},
    }
    again = {**body, "share": {**body["share"], "commitment": commitment("s2 on again")}}
    assert not w.submit("acme", "share.record", body).code
    refused(w.submit("acme", "share.record", again), "E_DUPLICATE", "R28")
    analytics = {**body, "share": {**body["share"], "purpose": ANALYTICS}}
    scope = {"agreement": c.g1, "scope": "PURPOSES", "purposes": [ANALYTICS]}
    w.must("alice", "agreement.revoke", scope)
    refused(w.submit("acme", "share.record", analytics), "E_PURPOSE", "R23")
    w.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    refused(w.submit("acme", "share.record", again), "E_ANCESTOR_ENDED", "R12")


def test_an_offer_with_a_parent_is_judged_by_the_same_rules(c: Cases) -> None:
    w = c.world
    body = grant(
        c.ids["T-P2B1"],
        c.ids["S-CONTACT"],
        fields=[3],
        purposes=[SERVICE],
        expires_at_ms=T0 + 5 * DAY,
    )
    offer = {
        "to": "delta",
        "grant": body,
        "offer_expires_at_ms": T0 + 2 * DAY,
        "parent_agreement": c.g1,
        "parent_share": c.s1,
    }
    wider = {**offer, "grant": {**body, "fields": [3, 5]}}
    assert w.submit("acme", "agreement.offer", wider).code == "E_FIELDS"
    offer_id = w.must("acme", "agreement.offer", offer).id("offer")
    agreement = w.must("delta", "agreement.accept", {"offer": offer_id}).id("agreement")
    assert w.ask("alice", "agreement", agreement_id=agreement)["depth"] == 1
    late = w.must("acme", "agreement.offer", {**offer, "to": "epsilon"}).id("offer")
    w.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": "ALL"})
    assert w.submit("epsilon", "agreement.accept", {"offer": late}).code == "E_PARENT_REVOKED"


def test_published_id_is_the_id_on_the_chain(c: Cases) -> None:
    assert published_id(fixture("terms", "T-P2B1")) == c.ids["T-P2B1"]
