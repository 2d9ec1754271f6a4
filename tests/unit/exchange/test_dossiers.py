"""Dossiers: collected while the chain goes on, refused where their parts do not fit together."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.dossiers import CHAIN, asking, collected
from tests.unit.chaincode.world import DAY, T0, Cases, cases

from onward.errors import MalformedError, RejectedError, Unavailable
from onward.exchange.coherence import parse_dossier
from onward.exchange.collecting import collect, founding_steps
from onward.limits import DOSSIER_ROWS_MAX
from onward_proto.documents import canonical_document


def revoke(c: Cases, scope: str, **more: Any) -> None:
    c.world.must("alice", "agreement.revoke", {"agreement": c.g1, "scope": scope, **more})


async def test_an_agreement_that_changes_while_it_is_read_is_read_again() -> None:
    """Half of what was, half of what is, would be an agreement that never was."""
    c = cases()
    calm, asked = asking(c.world, "alice"), []

    async def restless(query: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append(query)
        if query == "schema" and len(asked) < 12:
            revoke(c, "FIELDS", fields=[1])
        return dict(await calm(query, arguments))

    found = parse_dossier(canonical_document(await collect(restless, c.g1, CHAIN)))
    assert asked.count("history") == 2
    assert found.agreement.withdrawn_fields == (1,)

    count = iter(range(100))

    async def never_calm(query: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {**await calm(query, arguments), "share_count": next(count)}

    with pytest.raises(Unavailable):
        await collect(never_calm, c.g1, CHAIN)


@pytest.mark.parametrize(("rows", "following"), [(200, "on"), (DOSSIER_ROWS_MAX + 1, "")])
async def test_a_history_beyond_the_bound_is_refused_before_it_is_held(
    rows: int, following: str
) -> None:
    c = cases()
    calm = asking(c.world, "alice")

    async def endless(query: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = dict(await calm(query, arguments))
        if query == "history":
            answer |= {"next": following, "steps": rows * answer["steps"][:1]}
        return answer

    with pytest.raises(RejectedError) as refused:
        await collect(endless, c.g1, CHAIN)
    assert refused.value.code == "E_SIZE"


@pytest.mark.parametrize(
    "junk", [None, 7, True, "\x1b[2J", [], [7], [[]], {}, {"event": {}}, "x\ud800"]
)
async def test_a_node_that_answers_anything_makes_no_dossier_and_no_bug(junk: Any) -> None:
    """Whoever answers may lie in every place; what it says is judged before it is used."""
    c = cases()
    calm = asking(c.world, "alice")
    for query, key in sorted(await answered(calm, c.g1)):

        async def lying(
            asked: str, arguments: dict[str, Any], query: str = query, key: str = key
        ) -> dict[str, Any]:
            answer = dict(await calm(asked, arguments))
            return answer | {key: junk} if asked == query else answer

        try:
            found = await collect(lying, c.g1, CHAIN)
        except (RejectedError, Unavailable):
            continue
        assert parse_dossier(canonical_document(found)).agreement.agreement_id == c.g1


async def answered(ask: Any, agreement_id: str) -> set[tuple[str, str]]:
    """Each key of each answer that a dossier is made of, beside its query."""
    found: set[tuple[str, str]] = set()

    async def noted(query: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = dict(await ask(query, arguments))
        found.update((query, key) for key in answer)
        return answer

    await collect(noted, agreement_id, CHAIN)
    return found


def test_an_offer_to_everybody_tells_of_each_agreement_its_own_steps_only() -> None:
    """Who made the offer sees everybody's answer: another one's acceptance among the steps of this
    consent would be a consent that nobody gave, with somebody else's receipt.
    """
    c = cases()
    grant = grant_of(c)
    open_to_all = {"grant": grant, "offer_expires_at_ms": T0 + DAY, "max_acceptances": 3}
    offer = c.world.must("alice", "agreement.offer", open_to_all).id("offer")
    c.world.must("beta", "agreement.reject", {"offer": offer, "reason": "OTHER"})
    ours, theirs = (
        c.world.must(party, "agreement.accept", {"offer": offer}).id("agreement")
        for party in ("gamma", "delta")
    )
    c.world.must("alice", "agreement.withdraw_offer", {"offer": offer})
    for reader in ("alice", "gamma"):
        events = {
            (step["event"], step["by"]) for step in collected(c.world, reader, ours)["handshake"]
        }
        assert events == {("agreement.accept", "gamma"), ("agreement.offer", "alice")}
    mixed = collected(c.world, "alice", ours) | {
        "handshake": collected(c.world, "alice", theirs)["handshake"]
    }
    with pytest.raises(MalformedError, match="handshake: a step of another agreement"):
        parse_dossier(canonical_document(mixed))


def test_a_handshake_shows_the_counter_offer_that_was_accepted() -> None:
    c = cases()
    grant = grant_of(c)
    first = {"to": "gamma", "grant": grant, "offer_expires_at_ms": T0 + DAY}
    offer = c.world.must("alice", "agreement.offer", first).id("offer")
    kept = {key: grant[key] for key in ("terms", "fields", "purposes", "expires_at_ms")}
    answer = {"offer": offer, "offer_expires_at_ms": T0 + DAY, **kept}
    counter = c.world.must("gamma", "agreement.counter", answer).id("offer")
    agreement = c.world.must("alice", "agreement.accept", {"offer": counter}).id("agreement")
    document = collected(c.world, "gamma", agreement)
    assert {step["event"] for step in document["handshake"]} == {
        "agreement.accept",
        "agreement.counter",
        "agreement.offer",
    }
    assert len(founding_steps(document)) == 3


def grant_of(c: Cases) -> dict[str, Any]:
    """What G1 grants, to be offered again."""
    found = c.world.ask("alice", "agreement", agreement_id=c.g1)
    kept = ("fields", "purposes", "jurisdictions", "lawful_basis", "notice", "expires_at_ms")
    ids = {"terms": found["terms_id"], "schema": found["schema_id"]}
    return {**ids, **{key: found[key] for key in kept}}


def test_a_dossier_is_as_long_as_may_be_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    c = cases()
    size = len(canonical_document(collected(c.world, "alice", c.g1)))
    monkeypatch.setattr("onward.exchange.collecting.DOSSIER_BYTES_MAX", size)
    assert len(canonical_document(collected(c.world, "alice", c.g1))) == size
    monkeypatch.setattr("onward.exchange.collecting.DOSSIER_BYTES_MAX", size - 1)
    with pytest.raises(RejectedError) as refused:
        collected(c.world, "alice", c.g1)
    assert refused.value.code == "E_SIZE"


def test_who_took_no_part_in_the_handshake_gets_the_rest() -> None:
    c = cases()
    assert collected(c.world, "beta", c.g1a)["handshake"] == []
    assert len(collected(c.world, "alice", c.g1)["handshake"]) == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "onward/dossier/2"),
        ("extra", 1),
        ("agreement", []),
        ("agreement/effective", 1),
        ("agreement/depth", True),
        ("agreement/fields", ["1"]),
        ("agreement/fields", [99]),
        ("agreement/terms_id", "00" * 32),
        ("agreement/schema_id", "00" * 32),
        ("agreement/agreement_id", "00"),
        ("lineage/path", []),
        ("terms/document/clauses/nonsense", 1),
        ("shares/0/agreement_id", "00" * 32),
        ("shares", [{}] * (DOSSIER_ROWS_MAX + 1)),
        ("history/0/tx_id", None),
        ("receipts", {"short": "x"}),
        ("receipts", {"ab" * 32: "a receipt of what this dossier does not tell"}),
        ("agreement/effective", False),
        ("agreement/status", "REVOKED"),
        ("agreement/withdrawn_fields", [1]),
        ("agreement/second_party", "mallory"),
        ("lineage/path/0/ends_at_ms", None),
        ("lineage/nodes/0/rights_holder", "mallory"),
        ("shares/0/recipient", "mallory"),
        ("shares/0/fields", [99]),
        ("history/0/agreement_id", "00" * 32),
    ],
)
def test_a_dossier_that_was_tampered_with_or_mixed_up_is_refused(path: str, value: Any) -> None:
    """Who hands in a broken file is told which part of it, and gets no export of it."""
    c = cases()
    document = collected(c.world, "alice", c.g1)
    holder: Any = document
    *steps, last = (int(step) if step.isdecimal() else step for step in path.split("/"))
    for step in steps:
        holder = holder[step]
    holder[last] = value
    with pytest.raises(MalformedError, match="dossier"):
        parse_dossier(canonical_document(document))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": "ACTIVE", "effective": True}, "against what is above it"),
        ({"effective": True}, "effective or not"),
        ({"ends_at_ms": None}, "ends later than what is above it"),
        ({"withdrawn_fields": [2]}, "was withdrawn what it never granted"),
        ({"withdrawn_purposes": ["dpv:Marketing"]}, "was withdrawn what it never granted"),
        ({"first_party": "delta"}, "does not fit below"),
        ({"rights_holder": "delta"}, "does not fit below"),
        ({"depth": 7}, "does not fit below"),
        ({"parent_id": None}, "the path has a gap"),
    ],
)
def test_what_is_told_alike_in_two_parts_must_still_be_possible(
    change: dict[str, Any], says: str
) -> None:
    """Whoever changes both places that tell of an agreement has the others against her."""
    c = cases()
    revoke(c, "ALL")
    document = collected(c.world, "alice", c.g1a)
    document["agreement"] |= change
    document["lineage"]["path"][0] |= change
    with pytest.raises(MalformedError, match=says):
        parse_dossier(canonical_document(document))


@pytest.mark.parametrize(
    ("state", "as_of_ms"),
    [("ACTIVE", T0 + 40 * DAY), ("ACTIVE", T0 - 1), ("SCHEDULED", T0), ("EXPIRED", T0)],
)
def test_no_dossier_stands_against_its_own_times(state: str, as_of_ms: int) -> None:
    c = cases()
    document = collected(c.world, "alice", c.g1)
    change = {"status": state, "effective": state == "ACTIVE"}
    document["lineage"]["path"][0] |= change
    document["agreement"] |= change | {"as_of_ms": as_of_ms}
    with pytest.raises(MalformedError, match="against its own times"):
        parse_dossier(canonical_document(document))


def test_a_path_that_was_cut_off_cannot_hide_what_was_withdrawn_above() -> None:
    c = cases()
    revoke(c, "FIELDS", fields=[1])
    document = collected(c.world, "alice", c.g1b)
    del document["lineage"]["path"][-1]
    with pytest.raises(MalformedError, match="does not end with whose data it is"):
        parse_dossier(canonical_document(document))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("agreement/second_party", "a b"),
        ("agreement/second_party", "\x1b[2J"),
        ("agreement/second_party", "x" * 65),
        ("agreement/purposes", ["dpv:a b"]),
        ("agreement/jurisdictions", ["Germany"]),
        ("agreement/lawful_basis", "dpv:Whim"),
        ("agreement/status", "RESTING"),
        ("shares/0/purpose", "none"),
        ("shares/0/transform", "SHREDDED"),
        ("history/0/by", "a/b"),
        ("\x1b[2J" + "A" * 100_000, 1),
        ("receipts/\x1b[2J" + "A" * 100_000, "x"),
        ("terms/document/\x1b[2J" + "A" * 40_000, "x"),
    ],
)
def test_words_of_a_dossier_have_the_forms_of_the_contract(path: str, value: Any) -> None:
    """They become names of things in other systems, and words of a refusal on a terminal."""
    c = cases()
    document = collected(c.world, "alice", c.g1)
    holder: Any = document
    *steps, last = (int(step) if step.isdecimal() else step for step in path.split("/"))
    for step in steps:
        holder = holder[step]
    holder[last] = value
    with pytest.raises(MalformedError, match="dossier") as refused:
        parse_dossier(canonical_document(document))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


def test_a_dossier_with_a_key_twice_is_refused() -> None:
    c = cases()
    text = canonical_document(collected(c.world, "alice", c.g1)).decode()
    with pytest.raises(MalformedError, match="stands twice"):
        parse_dossier(text.replace('"depth":0', '"depth":0,"depth":0', 1).encode())
