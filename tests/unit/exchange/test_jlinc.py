"""JLINC records: read in both spellings, every hash, signature and link re-checked."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.jlinc_author import T0, TEXT, Author, Side, encoded, written

from onward import limits
from onward.errors import RejectedError
from onward.exchange import jlinc
from onward.exchange.exports import E_INEXPRESSIBLE
from onward.exchange.jlinc import counterparts, read_jlinc
from onward.exchange.moments import instant


def refused(record: Any) -> tuple[str, str]:
    data = record if isinstance(record, bytes) else json.dumps(record).encode()
    with pytest.raises(RejectedError) as caught:
        read_jlinc(data)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize("version", [6, 7])
def test_a_record_of_either_version_and_spelling_verifies(version: int) -> None:
    author = written(version)
    record = read_jlinc(author.text())
    assert record.version == version
    assert record.rights_holder.did == author.holder.did
    assert record.data_custodian.did == author.custodian.did
    assert record.text_hash == hashlib.sha256(TEXT.encode()).hexdigest()
    assert instant(record.accepted_at_ms) == T0
    assert [event.kind for event in record.events] == [
        "dataEvent",
        "permissionEvent",
        "statusEvent",
    ]
    assert [event.acknowledged_by is None for event in record.events] == [False, False, True]
    assert record.events[1].content == {"consents": {"Brand Marketing": False}}


def test_the_spelling_does_not_have_to_go_with_the_version() -> None:
    """JLINC's own sample of version 6 has the other spelling than its code."""
    author = Author(7)
    author.version = 6
    author.sisa = author.accepted()
    author.event("dataEvent", {})
    assert read_jlinc(author.text()).version == 7


def test_an_agreement_alone_is_a_record_without_events() -> None:
    assert read_jlinc(json.dumps(Author().sisa).encode()).events == ()


def test_a_text_inside_has_the_hash_that_is_stated() -> None:
    author = Author()
    del author.agreement["agreementURI"]
    author.agreement |= {"agreementText": TEXT}
    author.sisa = author.accepted()
    record = read_jlinc(author.text())
    assert (record.agreement, record.text_hash) == (TEXT, hashlib.sha256(TEXT.encode()).hexdigest())
    author.agreement["agreementHash"] = "00" * 32
    author.sisa = author.accepted()
    assert refused(author.record())[0] == "E_JLINC_HASH"


# -- what was changed ------------------------------------------------------------------------------


def test_a_changed_agreement_has_another_hash() -> None:
    author = written()
    head, payload, tail = author.sisa["acceptedSisaJwt"].split(".")
    content = json.loads(base64.urlsafe_b64decode(payload + "=="))
    content["createdAt"] = "2020-01-01T00:00:00.000Z"
    author.sisa["acceptedSisaJwt"] = f"{head}.{encoded(json.dumps(content).encode())}.{tail}"
    code, message = refused(author.record())
    assert (code, message.startswith("sisa/sisaId")) == ("E_JLINC_HASH", True)


@pytest.mark.parametrize("role", ["rightsHolder", "dataCustodian"])
def test_a_signature_of_somebody_else_names_whose_it_should_be(role: str) -> None:
    """Every hash is right: only the signature shows that this party never agreed."""
    author = Author()
    owner = author.holder if role == "rightsHolder" else author.custodian
    forged = encoded(Side(role, 77).key.sign(hashlib.sha256(b"another text").digest()))
    code, message = refused(author.accepted(**{f"{role}Sig": forged}))
    assert code == "E_JLINC_SIG"
    assert owner.did in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("createdAt", "yesterday"),
        ("createdAt", 5),
        ("rightsHolderPublicKey", "short"),
        ("dataCustodianSigType", ""),
        ("offeredSisaJwt", "no token"),
        ("agreementJwt", "a.!.b"),
        ("@context", "https://example.org/"),
    ],
)
def test_what_an_agreement_has_is_of_the_right_form(key: str, value: Any) -> None:
    assert refused(Author().accepted(**{key: value}))[0] == "E_JLINC_FORMAT"


def test_an_acknowledgement_is_whole_or_none() -> None:
    """One whose signature was taken away must not pass for an event that nobody acknowledged."""
    author = written()
    del author.events[0]["audit"]["dataCustodianSig"]
    assert refused(author.record())[0] == "E_JLINC_FORMAT"


def test_an_event_that_was_left_out_breaks_the_chain() -> None:
    """JLINC's own code does not look at the link: a record could lose a withdrawal unseen."""
    author = written()
    for gone in (0, 1):
        record = copy.deepcopy(author.record())
        del record["events"][gone]
        assert refused(record)[0] == "E_JLINC_CHAIN"
    turned = author.record() | {"events": [author.events[1], author.events[0]]}
    assert refused(turned)[0] == "E_JLINC_CHAIN"


def test_an_event_of_another_agreement_does_not_belong() -> None:
    author, other = written(), Author()
    other.agreement["jlincId"] = "cd" * 32
    other.sisa = other.accepted()
    other.event("dataEvent", {})
    assert refused(author.record() | {"events": other.events})[0] == "E_JLINC_CHAIN"


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("eventType", "otherEvent", "E_JLINC_FORMAT"),
        ("createdAt", "2026-01-02T03:05:59.000Z", "E_JLINC_HASH"),
        ("eventId", encoded(bytes(32)), "E_JLINC_HASH"),
        ("rightsHolderSig", encoded(bytes(64)), "E_JLINC_SIG"),
        ("dataCustodianSig", encoded(bytes(64)), "E_JLINC_SIG"),
        ("rightsHolderSig", encoded(bytes(63)), "E_JLINC_FORMAT"),
        ("rightsHolderPublicKey", encoded(bytes(31)), "E_JLINC_FORMAT"),
        ("rightsHolderSigType", "sha512:ed25519", "E_JLINC_FORMAT"),
        ("rightsHolderDid", "did:jlinc:somebody-else", "E_JLINC_SIG"),
        ("rightsHolderDid", "mailto:alice", "E_JLINC_FORMAT"),
        ("rightsHolderDID", "did:jlinc:a-second-one", "E_JLINC_FORMAT"),
        ("sisaId", encoded(bytes(32)), "E_JLINC_CHAIN"),
        ("previousId", encoded(bytes(32)), "E_JLINC_CHAIN"),
    ],
)
def test_what_is_changed_in_an_event_is_named(key: str, value: str, code: str) -> None:
    author = written()
    author.events[0]["audit"][key] = value
    found, message = refused(author.record())
    assert found == code
    assert message.startswith("events/0")


def test_an_event_signed_by_another_key_under_the_same_did_is_refused() -> None:
    author = Author()
    stranger = Side("rightsHolder", 99)
    stranger.did = author.holder.did
    author.event("dataEvent", {}, signer=stranger)
    assert refused(author.record())[0] == "E_JLINC_SIG"


# -- what is no record -----------------------------------------------------------------------------


def test_a_key_that_stands_twice_is_refused_wherever_it_stands() -> None:
    """Two readers would see two records, and each would find its own verified."""
    author = written()
    outer = author.text().decode().replace('"events":', '"events": [], "events":', 1)
    assert "stands twice" in refused(outer.encode())[1]
    token = author.custodian.jwt(author.agreement)
    inner = base64.urlsafe_b64decode(token.split(".")[1] + "==").decode()
    doubled = inner.replace('"jlincId"', '"jlincId":"ab","jlincId"', 1)
    author.custodian.jwt = lambda content: f"e30.{encoded(doubled.encode())}.x"  # type: ignore[method-assign]
    author.sisa = author.accepted()
    assert "stands twice" in refused(author.sisa)[1]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b"null", b"\xff", b'{"sisa": 1}', b'{"sisa": {}, "events": []}',
        b'{"sisa": {}, "more": 1}', b"[" * 10_000, b'{"a": NaN}', b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"acceptedBisaJwt": "x"}',
        b'{"a":' * 20 + b"1" + b"}" * 20,
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_in_a_sentence(data: bytes) -> None:
    code, message = refused(data)
    assert code == "E_JLINC_FORMAT"
    assert len(message) > 10


@pytest.mark.parametrize("key", ["agreementText", "agreementURI", "jlincId"])
def test_half_a_letter_is_no_text_of_an_agreement(key: str) -> None:
    """JSON can write a lone surrogate, and nothing can hash it or show it."""
    author = Author()
    del author.agreement["agreementURI"]
    author.agreement |= {"agreementText": TEXT, key: "x\ud800"}
    author.sisa = author.accepted()
    code, message = refused(author.record())
    assert (code, f"agreement/{key}: holds" in message) == ("E_JLINC_FORMAT", True)


def test_half_a_letter_is_no_time_of_an_event() -> None:
    author = written()
    author.events[0]["audit"]["createdAt"] = "2026\ud800"
    assert refused(author.record())[0] == "E_JLINC_FORMAT"


@pytest.mark.parametrize("did", ["did:x:\x1b[2J", "did:x:\u202ey", "did:x:a b", "did:x", "did::a"])
def test_a_did_is_letters_that_a_terminal_only_shows(did: str) -> None:
    """Refusals and tables name it: it must not clear the screen or write a verdict of its own."""
    author = Author()
    author.holder.did = did
    author.sisa = author.accepted()
    code, message = refused(author.record())
    assert (code, message.isprintable()) == ("E_JLINC_FORMAT", True)


@pytest.mark.parametrize("key", ["eventType", "previousId", "rightsHolderDid"])
def test_a_refusal_quotes_the_start_of_what_is_wrong(key: str) -> None:
    """A sentence as long as the file is no sentence."""
    author = written()
    author.events[0]["audit"][key] = "A" * 100_000
    assert len(refused(author.record())[1]) < 200


def test_a_key_twice_among_very_many_is_found_in_one_reading() -> None:
    """Counting each name among all names took minutes for a file within its bound."""
    names = [f'"{place}":0' for place in range(90_000)]
    doubled = "{" + ",".join([*names, names[-1]]) + "}"
    assert "'89999' stands twice" in refused(doubled.encode())[1]


def test_the_bounds_hold_at_their_value_and_one_above() -> None:
    author = Author()
    for _ in range(3):
        author.event("dataEvent", {})
    fitting = json.dumps(author.record()).encode()
    padded = fitting + b" " * (limits.IMPORT_BYTES_MAX - len(fitting))
    assert read_jlinc(padded).sisa_id == author.sisa["sisaId"]
    assert "at most" in refused(padded + b" ")[1]
    many = {"sisa": author.sisa, "events": [0] * (limits.IMPORT_EVENTS_MAX + 1)}
    assert f"at most {limits.IMPORT_EVENTS_MAX}" in refused(many)[1]
    author.sisa["acceptedSisaJwt"] = "a.b." + "c" * (limits.IMPORT_TOKEN_BYTES_MAX - 3)
    assert "expected a JWT" in refused(author.sisa)[1]


def test_a_version_that_is_not_known_is_not_guessed_at() -> None:
    author = Author(8)
    assert "version 6 or 7" in refused(author.sisa)[1]


@settings(max_examples=120)
@given(st.data())
def test_no_changed_letter_goes_unseen_or_unexplained(data: st.DataObject) -> None:
    """Whatever is spoilt, the answer is a refusal with a code, never a crash and never another yes.

    No signature covers the outer contexts, so 6 may become 7 there, and nothing else.
    """
    text = written().text()
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.integers(33, 126).filter(lambda code: code != text[place]))
    spoilt = text[:place] + bytes([letter]) + text[place + 1 :]
    whole = read_jlinc(text)
    try:
        record = read_jlinc(spoilt)
    except RejectedError as error:
        code = error.code
    else:
        code = "E_JLINC_"
        assert replace(record, version=whole.version) == whole
    assert code.startswith("E_JLINC_")


def test_it_says_what_would_have_to_be_done_here_and_by_whom() -> None:
    author = written()
    found = [(item.type, item.by) for item in counterparts(read_jlinc(author.text()))]
    holder, custodian = author.holder.did, author.custodian.did
    assert found == [
        ("agreement.offer", custodian),
        ("agreement.accept", holder),
        ("share.record", holder),
        ("share.ack", custodian),
        ("agreement.revoke", holder),
        ("agreement.revoke", holder),
    ]


def test_every_code_of_an_exchange_stands_in_the_table_of_codes() -> None:
    text = (Path(__file__).parents[3] / "docs" / "spec" / "codes.md").read_text()
    section = text.split("## Codes of the command line", 1)[1]
    codes = (jlinc.FORMAT, jlinc.HASH, jlinc.SIGNATURE, jlinc.CHAIN, E_INEXPRESSIBLE)
    assert all(f"| `{code}` | 1 |" in section for code in codes)
