"""A story resolves the same steps for another cast: other keys, other ids, another beginning."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from onward.crypto.signing import SigningKey
from onward.scenario.documents import shipped_documents
from onward.scenario.format import parse_scenario
from onward.scenario.runner import differs
from onward.scenario.story import Story
from onward_chaincode.drafts import explain, ids_of

ROOT = Path(__file__).parents[3]
T0 = 1_900_000_000_000


class OtherCast:
    def party_id(self, name: str) -> str:
        return f"their-{name}"

    def public_key(self, name: str, number: int) -> bytes:
        return SigningKey(sha256(f"other/{name}/{number}".encode()).digest()).public_key


def story_of(file: str) -> Story:
    path = ROOT / "scenarios" / file
    scenario = parse_scenario(path.read_bytes(), where=file, fixtures=shipped_documents())
    return Story(scenario, OtherCast(), t0_ms=T0)


def test_setup_registers_and_publishes_everything_that_the_steps_rely_on() -> None:
    drafts = story_of("f1-intentcast.toml").setup()
    assert [(draft.type, draft.actor) for draft in drafts] == [
        ("party.register", "admin"),
        ("party.register", "enroller"),
        ("schema.publish", "registry"),
        ("terms.publish", "registry"),
        ("terms.publish", "registry"),
    ]


def test_steps_follow_the_hashes_that_the_teller_reports() -> None:
    """The demo's transactions have other salts than the run in memory; ids must follow them."""
    path = ROOT / "scenarios" / "f1-intentcast.toml"
    scenario = parse_scenario(path.read_bytes(), where="f1", fixtures=shipped_documents())
    story = Story(scenario, OtherCast(), t0_ms=T0)
    cast, offer, accept, *_ = scenario.steps
    story.draft(cast, T0)
    story.executed(cast, b"\x01" * 32, accepted=True)
    drafted = story.draft(offer, T0)
    said = explain(drafted.type, drafted.payload)
    assert said["intent"] == ids_of("01" * 32)["intent_id"]
    assert said["offer_expires_at_ms"] == T0 + 7 * 86_400_000
    assert drafted.actor_id == "their-alice"
    story.executed(offer, b"\x02" * 32, accepted=True)
    assert explain("agreement.accept", story.draft(accept, T0).payload) == {
        "offer": ids_of("02" * 32)["offer_id"]
    }


def test_an_onward_share_is_signed_by_sharer_and_recipient() -> None:
    path = ROOT / "scenarios" / "f1-intentcast.toml"
    scenario = parse_scenario(path.read_bytes(), where="f1", fixtures=shipped_documents())
    story = Story(scenario, OtherCast(), t0_ms=T0)
    drafts = {}
    for step in scenario.steps:
        if not step.ask:
            drafts[step.name] = story.draft(step, T0)
            story.executed(step, sha256(step.name.encode()).digest(), accepted=True)
    draft = drafts["acme-passes-it-on"]
    assert draft.signers == (("acme", 1), ("beta", 1))
    assert draft.cosigner_ids == ("their-beta",)
    body = draft.body(valid_until_ms=T0 + 1, salt=bytes(16))
    assert (body.actor, body.cosigners) == ("their-acme", ("their-beta",))


@pytest.mark.parametrize(
    ("expected", "got", "where"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ""),
        ({"a": 1}, {"a": 2}, "answer.a: expected 1, got 2"),
        ({"a": 1}, {}, "answer.a: expected 1, got nothing"),
        ({"a": {"b": []}}, {"a": {"b": [1]}}, "answer.a.b: expected 0 items, got 1"),
        ([{"a": 1}], [{"a": 1, "b": 2}], ""),
        ([1], 1, "answer: expected 1 items, got 1"),
        ({"a": True}, {"a": 1}, "answer.a: expected True, got 1"),
        ({"a": {}}, {"a": 1}, "answer.a: expected a table, got 1"),
    ],
)
def test_answers_are_compared_with_what_is_expected_of_them(
    expected: object, got: object, where: str
) -> None:
    assert differs(expected, got, "answer") == where
