"""Terms as sentences: complete, never the same for different clauses, and as approved."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.terms_documents import EDGES, NEEDED, VALUES, clauses, document
from tests.unit.chaincode.world import FIXTURES, fixture

from onward.exchange.sentences import SPOKEN, named, read_terms, reading_text
from onward_chaincode.contract import Refuse
from onward_chaincode.terms import CLAUSES

GOLDEN = Path(__file__).parent / "golden" / "terms"
LABELS = sorted(path.stem for path in (FIXTURES / "terms").glob("*.json"))

FAMILIES = {
    "T-INTENT-30D": ("T-INTENT-30D",),
    "T-UST-SITE": ("T-UST-SITE",),
    "T-P2B1": ("T-P2B1",),
    "T-SD-BASE": tuple(
        f"T-SD-BASE{step}{portable}"
        for step in ("", "-A", "-AT", "-ATP")
        for portable in ("", "-DP")
    ),
    "T-SD-BASE-ATP-S3P": ("T-SD-BASE-ATP-S3P",),
    "T-PDC": ("T-PDC-AI", "T-PDC-GOOD", "T-PDC-INTENT"),
    "T-SISA": ("T-SISA-V1",),
    "T-PARTNERS": ("T-PARTNERS",),
    "T-42CFR2": ("T-42CFR2",),
    "T-DDA": ("T-DDA-365",),
    "T-TLP": ("T-TLP-AMBER",),
}


def spoken(said: dict[str, Any]) -> list[str]:
    return [sentence.text for sentence in read_terms(document(said)).sentences]


def test_the_eleven_families_of_terms_are_shipped_and_nothing_else() -> None:
    assert sorted(label for labels in FAMILIES.values() for label in labels) == LABELS


def test_the_families_of_service_delivery_only_grow() -> None:
    """A step up that took a purpose away would be another family under the same name."""
    steps = ["", "-A", "-AT", "-ATP", "-ATP-S3P"]
    allowed = [
        set(fixture("terms", f"T-SD-BASE{step}")["clauses"]["purposes_allowed"]) for step in steps
    ]
    assert all(less < more for less, more in pairwise(allowed))
    for step in steps[:-1]:
        plain, portable = (fixture("terms", f"T-SD-BASE{step}{dp}") for dp in ("", "-DP"))
        assert plain["clauses"] | {"portability": True} == portable["clauses"]


def test_every_clause_has_a_sentence_and_the_generator_knows_it() -> None:
    assert set(CLAUSES) == SPOKEN == set(VALUES)


@pytest.mark.parametrize("label", LABELS)
def test_each_shipped_document_reads_as_approved(
    label: str, request: pytest.FixtureRequest
) -> None:
    """What people agree to is read by people before it changes."""
    text = reading_text(read_terms(fixture("terms", label)))
    path = GOLDEN / f"{label}.txt"
    if request.config.getoption("--rewrite"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


@settings(max_examples=40)
@given(clauses, clauses)
def test_different_clauses_never_read_the_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    """Somebody would agree to the one while she was shown the other."""
    assume(left != right)
    assert spoken(left) != spoken(right)


@pytest.mark.parametrize("clause", sorted(VALUES))
@settings(max_examples=15)
@given(data=st.data())
def test_one_clause_more_less_or_other_is_seen(clause: str, data: st.DataObject) -> None:
    """The near misses that two random documents never are."""
    said = data.draw(clauses)
    changed = dict(said)
    if clause in said and clause not in NEEDED and data.draw(st.booleans()):
        del changed[clause]
    else:
        changed[clause] = data.draw(VALUES[clause])
    assume(changed != said)
    assert spoken(changed) != spoken(said)


@pytest.mark.parametrize("clause", sorted(EDGES))
def test_the_values_at_the_edges_read_differently(clause: str) -> None:
    """Nothing and a millisecond, one and many, none and no bound: where words are chosen."""
    base = {name: CLAUSES[name][1] for name in CLAUSES} | {
        "duration": "UNLIMITED",
        "purposes_allowed": [],
    }
    texts = [" ".join(spoken(base | {clause: value})) for value in EDGES[clause]]
    assert len(set(texts)) == len(texts)


@settings(max_examples=40)
@given(clauses)
def test_what_silence_means_is_marked_and_said_the_same_when_written(said: dict[str, Any]) -> None:
    """Whoever writes a default down changes the document, and only the mark goes."""
    before = read_terms(document(said)).sentences
    after = read_terms(document({name: said.get(name, CLAUSES[name][1]) for name in CLAUSES}))
    for quiet, loud in zip(before, after.sentences, strict=True):
        assert quiet.said == (quiet.clause in said)
        assert loud.said
        assert quiet.text.startswith(loud.text)
        assert ("(Not said" in quiet.text) == (not quiet.said)


def test_a_purpose_is_named_in_words_and_by_its_iri() -> None:
    assert named("onward:AITraining") == "AI training (onward:AITraining)"
    assert named("dpv:R") == "r (dpv:R)"
    assert named("https://ex.org/x#a-bCd2") == "a b cd2 (https://ex.org/x#a-bCd2)"


def test_a_title_cannot_pass_for_a_clause() -> None:
    """A line break or a mark that turns the writing round would let a title lie about the rest."""
    spoiled = fixture("terms", "T-SD-BASE")
    spoiled["title"] = "Nothing\nPassing it on\n  Everybody \u202emay\u2028"
    text = reading_text(read_terms(spoiled))
    assert text.startswith("Nothing\\u{a}Passing it on\\u{a}  Everybody \\u{202e}may\\u{2028} (")
    assert len(text.split("\n")) == len(
        reading_text(read_terms(fixture("terms", "T-SD-BASE"))).split("\n")
    )


def test_what_cannot_be_published_is_not_read() -> None:
    """A reader that guesses at an unknown clause reads another document than the contract."""
    with pytest.raises(Refuse) as refused:
        read_terms(document({"duration": "UNLIMITED", "purposes_allowed": [], "onward.mod": 1}))
    assert refused.value.code == "E_CLAUSE_UNKNOWN"
