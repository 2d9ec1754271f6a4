"""A scenario file that is wrong is refused with the place, what was expected and what came."""

from __future__ import annotations

import pytest

from onward.scenario.documents import shipped_documents
from onward.scenario.errors import ScenarioError
from onward.scenario.format import PARTIES_MAX, STEPS_MAX, Scenario, parse_scenario
from onward.scenario.grammar import MAKES, REFERENCES, SYSTEM_KEYS, keys_of, step_types
from onward.scenario.runner import check_scenario, run_scenario
from onward_chaincode.drafts import ids_of
from onward_chaincode.keys import KINDS
from onward_chaincode.payloads import PAYLOADS
from onward_chaincode.reconciliation_records import PAYLOADS as CAMPAIGNS
from onward_chaincode.registry import contract_for

HEAD = """
title = "A test"
t0 = 1_750_000_000_000

[parties]
alice = { kind = "person" }
acme = { kind = "organisation" }

[terms]
no-stalking = "T-P2B1"

[schemas]
contact = "S-CONTACT"
"""
OFFER = """
[[step]]
name = "offer"
by = "alice"
do = "agreement.offer"
to = "acme"
fields = ["email"]
purposes = ["dpv:ServiceProvision"]
"""
ACCEPT = """
[[step]]
name = "agreement"
by = "acme"
do = "agreement.accept"
offer = "offer"
"""


def parse(text: str) -> Scenario:
    scenario = parse_scenario(text.encode(), where="test.toml", fixtures=shipped_documents())
    check_scenario(scenario)
    return scenario


def refusal(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse(text)
    return str(caught.value)


def test_a_right_file_is_taken() -> None:
    scenario = parse(HEAD + OFFER + ACCEPT)
    assert [step.name for step in scenario.steps] == ["offer", "agreement"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('title = "A test"', "", "test.toml: the file: title: expected a text, got None"),
        ("t0 = 1_750_000_000_000", 't0 = "today"', "t0: expected milliseconds since 1970"),
        ("[schemas]", "[schema]", "unknown key 'schema'"),
        ('kind = "person"', 'kind = "robot"', "[parties] alice: kind 'robot' is none of person"),
        ('kind = "person"', 'kind = "person", age = 3', "[parties] alice: unknown key 'age'"),
        ("alice = {", "Alice = {", "[parties] Alice: a name has lower-case letters"),
        ("acme = {", "admin = {", "[parties] admin: a name"),
        ('"T-P2B1"', '"T-NONE"', "[terms] no-stalking: no terms 'T-NONE' are shipped; known: "),
        ('"S-CONTACT"', '"T-P2B1"', "[schemas] contact: no schemas 'T-P2B1' are shipped"),
        ('"T-P2B1"', '{ like = "T-P2B1", published = 1 }', "published: expected true or false"),
        ('by = "alice"', 'by = "bob"', "step 1 (offer): no party 'bob'; known are admin"),
        ('by = "alice"', "", "step 1 (offer): by: expected a text"),
        ('do = "agreement.offer"', 'do = "agreement.offr"', "do = 'agreement.offr'; known are"),
        ('do = "agreement.offer"', "", "step 1 (offer): expected either 'do' or 'ask'"),
        ('to = "acme"', 'too = "acme"', "step 1 (offer): unknown key 'too'; known are to"),
        ('to = "acme"', 'to = "bob"', "step 1 (offer): to: no party 'bob'"),
        ('fields = ["email"]', 'fields = ["mail"]', "fields: schema contact has no field 'mail'"),
        ('fields = ["email"]', 'fields = "email"', "fields: expected a list of field names"),
        ('to = "acme"', 'expect = "E_"', "expect = 'E_': expected 'OK' or a code"),
        ('to = "acme"', 'expekt = "OK"', "unknown key 'expekt'"),
        ('to = "acme"', 'break = "a leg"', "break = 'a leg'; known are actor signature"),
        ('to = "acme"', 'break = "replay of noon"', "no transaction 'noon' above to replay"),
        ('to = "acme"', 'outcome = "lost"', "outcome = 'lost'; known are accepted"),
        ('to = "acme"', 'at = "noon"', "at: 'noon': expected 't0', 'now' or an amount"),
        ('to = "acme"', "answer = { a = 1 }", "answer: expected a table, of a step that asks"),
        ('to = "acme"', "key = 0", "key: expected the number of a key from 1, got 0"),
        ('offer = "offer"', 'offer = "later"', "step 2 (agreement): offer: no step 'later' above"),
        ('offer = "offer"', "", "step 2 (agreement): offer is missing; agreement.accept has offer"),
        ('name = "agreement"', 'name = "offer"', "step 2: the name 'offer' stands twice"),
        ('name = "agreement"', 'name = "The one"', "step 2: name 'The one'"),
        ('do = "agreement.accept"', 'do = "share.ack"', "unknown key 'offer'; known are share"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_the_choice(
    old: str, new: str, complaint: str
) -> None:
    """A misspelt expectation that is silently ignored would look like a fulfilled one."""
    text = HEAD + OFFER + ACCEPT
    assert old in text
    assert complaint in refusal(text.replace(old, new))


def test_what_is_not_toml_is_refused() -> None:
    assert "test.toml: not TOML" in refusal("title = ")
    assert "not TOML" in refusal('title = "a"\ntitle = "b"')


def test_a_reference_names_a_step_of_the_right_kind() -> None:
    """Ids of different kinds look alike: an offer taken for a share would only be 'unknown'."""
    ack = '\n[[step]]\nname = "ack"\nby = "acme"\ndo = "share.ack"\nshare = "offer"\n'
    message = "share: step 'offer' makes offer, expected one that makes share"
    assert message in refusal(HEAD + OFFER + ack)


def test_a_block_never_stands_before_the_one_above_it() -> None:
    text = HEAD + OFFER + ACCEPT.replace('by = "acme"', 'by = "acme"\nat = "t0 - 1s"')
    with pytest.raises(ScenarioError, match="the block before stands at"):
        run_scenario(parse(text), contract_for)


def test_scenarios_are_bounded() -> None:
    step = '\n[[step]]\nby = "acme"\nask = "party_view"\n'
    parse_scenario(
        (HEAD + step * STEPS_MAX).encode(), where="test.toml", fixtures=shipped_documents()
    )
    assert f"expected 1 to {STEPS_MAX}" in refusal(HEAD + step * (STEPS_MAX + 1))
    assert "expected 1 to" in refusal(HEAD)
    for count in (PARTIES_MAX, PARTIES_MAX + 1):
        crowd = "".join(f'p{i} = {{ kind = "organisation" }}\n' for i in range(count - 2))
        crowded = HEAD.replace("[terms]", crowd + "[terms]") + step
        if count <= PARTIES_MAX:
            parse(crowded)
        else:
            assert f"expected 1 to {PARTIES_MAX} parties, got {count}" in refusal(crowded)


ODD_VALUES = (
    *("1", "-1", "true", "1.5", '""', '"x"', "[]", "{}", "[[1]]", "[{}]", "{ a = 1 }", "[300]"),
    *("2025-01-01T00:00:00Z", '"t0 + 99999999999d"', "9007199254740992", '["a", "a"]'),
)


def test_no_value_at_any_place_is_answered_with_a_traceback() -> None:
    """Whoever makes a mistake is told where, whatever the mistake is."""
    lines = (HEAD + OFFER + ACCEPT).splitlines()
    places = [index for index, line in enumerate(lines) if " = " in line]
    refusals = []
    for index in places:
        for value in ODD_VALUES:
            key = lines[index].partition(" = ")[0]
            text = "\n".join([*lines[:index], f"{key} = {value}", *lines[index + 1 :]])
            try:
                run_scenario(parse(text), contract_for)
            except ScenarioError as error:
                refusals.append(str(error))
    assert all(text.startswith("test.toml: ") for text in refusals)
    assert len(refusals) > len(places) * len(ODD_VALUES) // 2


def test_a_schema_that_is_wrong_on_purpose_is_answered_with_a_refusal() -> None:
    """To see what the chain says to it, somebody writes a schema without names or indexes."""
    for fields in ("5", "[3]", '[{ name = "email" }]', "[{ name = [1], index = 1 }]"):
        wrong = f'contact = {{ like = "S-CONTACT", published = false, fields = {fields} }}'
        text = (HEAD + OFFER).replace('contact = "S-CONTACT"', wrong)
        assert "schema contact has no field 'email'" in refusal(text)


def test_a_replay_can_be_replayed() -> None:
    again = '\n[[step]]\nname = "{}"\nby = "alice"\nbreak = "replay of {}"\nexpect = "E_REPLAY"\n'
    text = HEAD + OFFER + again.format("second", "offer") + again.format("third", "second")
    assert run_scenario(parse(text), contract_for).ok


def test_a_step_of_the_registry_is_signed_by_nobody_beside_the_actor() -> None:
    """A signature that is asked for and silently left out would prove nothing."""
    rotate = '\n[[step]]\nby = "acme"\ndo = "party.rotate_key"\nnew_key = 2\nwith = ["alice"]\n'
    assert "step 1 (step-1): with: " in refusal(HEAD + rotate)


def test_a_step_together_stands_below_a_transaction() -> None:
    message = "step 1 (offer): together with no transaction above"
    assert message in refusal(HEAD + OFFER + "together = true\n")


# -------------------------------------------------------------------------------- the grammar


def test_every_type_of_the_contract_is_a_step_type() -> None:
    assert set(PAYLOADS) | set(SYSTEM_KEYS) == set(step_types())
    assert set(CAMPAIGNS) | set(SYSTEM_KEYS) == set(step_types("reconciliation"))
    assert set(MAKES) <= {*PAYLOADS, *CAMPAIGNS}
    made = {kind for kinds in MAKES.values() for kind in kinds}
    assert made == {*KINDS, "campaign"}
    assert {f"{kind}_id" for kind in made} == set(ids_of("00" * 32))
    assert set(REFERENCES.values()) <= made


def test_a_file_speaks_of_one_contract_and_of_what_that_has() -> None:
    assert "no contract 'ledger'; known are isa, opaque" in refusal('contract = "ledger"\n' + HEAD)
    told = refusal('contract = "reconciliation"\n' + HEAD + OFFER)
    assert "[terms]: the contract reconciliation publishes none" in told
    bare = HEAD.partition("[terms]")[0]
    told = refusal('contract = "reconciliation"\n' + bare + OFFER)
    assert "do = 'agreement.offer'; known are campaign.close" in told


def test_no_payload_has_a_key_that_steps_use_for_themselves() -> None:
    """Such a key would be taken for the step's own and never reach the payload."""
    own = {"name", "by", "do", "ask", "at", "together", "with", "key", "break", "expect"}
    own |= {"outcome", "rule", "answer", "body_valid_until"}
    for kind in (*PAYLOADS, *CAMPAIGNS):
        assert not own & set(keys_of(kind)), kind
    for keys in SYSTEM_KEYS.values():
        assert not own & set(keys)
