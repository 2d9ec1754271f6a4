"""Checkpoints as C2SP notes: the published example verifies, and nothing loose is accepted."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest

from onward import limits
from onward.crypto.signing import SigningKey, verify
from onward.errors import InvariantError, MalformedError
from onward.ledger.note import (
    Checkpoint,
    NoteKey,
    SignedNote,
    certifying_signers,
    checkpoint_origin,
    key_id,
    note_signature,
    parse_checkpoint,
    parse_note,
    validator_key_name,
)

# The example of the C2SP signed-note specification: a verifier key and a note under it.
C2SP_NAME = "example.com/foo"
C2SP_KEY = base64.b64decode("AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")[1:]
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2"
    "ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

CHAIN_ID = bytes(range(32))
SIGNERS = [SigningKey(bytes((seed,)) * 32) for seed in range(1, 5)]
KEYS = [
    NoteKey(name=validator_key_name(f"v{index}", "demo"), public_key=signer.public_key)
    for index, signer in enumerate(SIGNERS)
]
CHECKPOINT = Checkpoint(origin=checkpoint_origin("demo", CHAIN_ID), size=73_894, root=bytes(32))


def signed(*indices: int) -> SignedNote:
    text = CHECKPOINT.text()
    return SignedNote(
        text=text,
        signatures=tuple(note_signature(KEYS[i], SIGNERS[i].sign(text)) for i in indices),
    )


def test_the_example_of_the_specification_verifies() -> None:
    assert key_id(C2SP_NAME, C2SP_KEY).hex() == "530d903a"
    note = parse_note(C2SP_NOTE)
    assert note.text == b"This is an example message.\n"
    assert note.encode() == C2SP_NOTE
    keys = [NoteKey(name=C2SP_NAME, public_key=C2SP_KEY)]
    assert certifying_signers(note, keys, 1, verify) == (0,)


def test_a_checkpoint_is_three_lines() -> None:
    assert CHECKPOINT.text().decode().split("\n") == [
        "onward/demo/0001020304050607",
        "73894",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "",
    ]
    assert parse_checkpoint(CHECKPOINT.text()) == CHECKPOINT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("73894", "073894"),
        ("73894", ""),
        ("73894", "+73894"),
        ("73894", "-1"),
        ("73894", "7_3"),
        ("73894", "٣"),
        ("73894", "9223372036854775808"),
        ("AAA=\n", "AAB=\n"),
        ("AAA=\n", "AA=\n"),
        ("AAA=\n", "AAA\n"),
        ("AAA=\n", "AAA=\nextension\n"),
        ("AAA=\n", "AAA=\n\n"),
        ("AAA=\n", "AAA="),
        ("onward/demo/0001020304050607\n", "\n"),
        ("onward", "on\tward"),
    ],
)
def test_a_checkpoint_in_any_other_form_is_refused(old: str, new: str) -> None:
    with pytest.raises(MalformedError):
        parse_checkpoint(CHECKPOINT.text().replace(old.encode(), new.encode(), 1))


def test_the_largest_size_is_accepted_and_one_more_is_not() -> None:
    largest = replace(CHECKPOINT, size=2**63 - 1)
    assert parse_checkpoint(largest.text()) == largest
    with pytest.raises(InvariantError):
        replace(CHECKPOINT, size=2**63).text()


def test_a_quorum_of_distinct_validators_certifies() -> None:
    note = parse_note(signed(3, 0, 2).encode())
    assert certifying_signers(note, KEYS, 3, verify) == (0, 2, 3)
    with pytest.raises(MalformedError, match="3 validators signed the note, 4 are needed"):
        certifying_signers(note, KEYS, 4, verify)


def test_one_validator_does_not_count_twice() -> None:
    """A note with the same line four times would otherwise look like a quorum."""
    with pytest.raises(MalformedError, match="twice"):
        parse_note(signed(0, 1, 1).encode())


def test_a_second_signature_of_one_key_does_not_count_even_unparsed() -> None:
    with pytest.raises(MalformedError, match="2 validators"):
        certifying_signers(signed(0, 1, 1), KEYS, 3, verify)


def test_an_invalid_line_of_a_known_key_damns_the_note() -> None:
    note = signed(0, 1, 2)
    forged = replace(note.signatures[0], signature=bytes(64))
    with pytest.raises(MalformedError, match="not valid"):
        certifying_signers(
            replace(note, signatures=(*note.signatures[1:], forged)), KEYS, 2, verify
        )


def test_lines_of_strangers_are_kept_and_do_not_count() -> None:
    """C2SP: a witness may add its line to a checkpoint of ours."""
    witness = NoteKey(name="witness.example", public_key=SIGNERS[0].public_key)
    line = note_signature(witness, SIGNERS[0].sign(CHECKPOINT.text()))
    note = replace(signed(1, 2), signatures=(line, *signed(1, 2).signatures))
    assert parse_note(note.encode()) == note
    assert certifying_signers(note, KEYS, 2, verify) == (1, 2)
    with pytest.raises(MalformedError):
        certifying_signers(note, KEYS, 3, verify)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no last newline": lambda data: data[:-1],
    "an empty line at the end": lambda data: data + b"\n",
    "a word at the end": lambda data: data + b"x",
    "no empty line": lambda data: data.replace(b"\n\n", b"\n"),
    "a hyphen for the dash": lambda data: data.replace("— ".encode(), b"- ", 1),
    "no space behind the dash": lambda data: data.replace("— ".encode(), "—".encode(), 1),
    "a plus in the name": lambda data: data.replace(b"v0.demo", b"v0+demo"),
    "no name": lambda data: data.replace(b"v0.demo", b""),
    "a Unicode space in the name": lambda data: data.replace(b"v0.", "v0\u2003".encode()),
    "carriage returns": lambda data: data.replace(b"\n", b"\r\n"),
    "base64 without padding": lambda data: data.replace(b"=\n", b"\n"),
    "not UTF-8": lambda data: data.replace(b"onward", b"onw\xffrd"),
    "a zero byte": lambda data: data.replace(b"onward", b"onw\x00rd"),
    "no signature": lambda data: data[: data.index(b"\n\n") + 2],
    "no text": lambda data: b"\n" + data[data.index(b"\n\n") + 1 :],
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_no_note_is_refused(name: str) -> None:
    with pytest.raises(MalformedError):
        parse_note(DAMAGES[name](signed(0, 1).encode()))


def test_notes_are_bounded_in_size_and_in_signatures() -> None:
    lines = [
        note_signature(NoteKey(name=f"k{i}", public_key=bytes(32)), bytes(64))
        for i in range(limits.NOTE_SIGNATURES_MAX + 1)
    ]
    most = SignedNote(text=b"text\n", signatures=tuple(lines[:-1]))
    assert parse_note(most.encode()) == most
    with pytest.raises(MalformedError, match="at most"):
        parse_note(SignedNote(text=b"text\n", signatures=tuple(lines)).encode())
    filler = b"x" * (limits.NOTE_BYTES_MAX - len(signed(0).encode()))
    longest = replace(signed(0), text=filler + CHECKPOINT.text())
    assert parse_note(longest.encode()) == longest
    with pytest.raises(MalformedError, match="at most"):
        parse_note(b"x" + longest.encode())
