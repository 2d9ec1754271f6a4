"""Who can open a blob, and what it gives away to everybody else."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from onward import limits
from onward.blobs.sealing import Blob, Opened, Secrets, commitment_of, open_blob, seal
from onward.crypto.signing import SigningKey
from onward.errors import MalformedError, RejectedError
from onward_proto.canonical import decode, encode

ALICE, ACME, BETA = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
FRESH = Secrets(salt=b"s" * 32, key=b"k" * 32, nonce=b"n" * 24)
HOLDERS = (ALICE.public_key, ACME.public_key)
PAYLOAD = b'{"email":"alice@example.org"}'


def sealed(payload: bytes = PAYLOAD) -> bytes:
    return seal(payload, HOLDERS, FRESH)


@given(st.binary(min_size=1, max_size=3_000))
def test_both_parties_open_what_was_sealed_and_find_the_commitment(payload: bytes) -> None:
    for holder in (ALICE, ACME):
        opened = open_blob(sealed(payload), holder)
        assert opened == Opened(salt=FRESH.salt, payload=payload)
        assert opened.commitment == commitment_of(FRESH.salt, payload)


def test_nobody_else_opens_it() -> None:
    """A node keeps the blob, and so does whoever steals the node's disk."""
    with pytest.raises(RejectedError) as refused:
        open_blob(sealed(), BETA)
    assert refused.value.code == "E_READER"
    assert PAYLOAD not in sealed()
    assert FRESH.salt not in sealed()


def test_stranger_who_puts_her_own_key_into_the_list_does_not_open_it() -> None:
    blob = decode(Blob, sealed())
    swapped = dataclasses.replace(blob.keys[0], public_key=BETA.public_key)
    keys = tuple(sorted((swapped, blob.keys[1]), key=lambda key: key.public_key))
    with pytest.raises(MalformedError, match="does not open"):
        open_blob(encode(dataclasses.replace(blob, keys=keys)), BETA)


@given(st.data())
def test_changed_byte_is_found(data: st.DataObject) -> None:
    """Ciphertext that could be bent would let a node change what was shared."""
    blob = bytearray(sealed())
    place = data.draw(st.integers(min_value=0, max_value=len(blob) - 1))
    blob[place] ^= data.draw(st.integers(min_value=1, max_value=255))
    with pytest.raises((MalformedError, RejectedError)):
        open_blob(bytes(blob), ALICE)


def test_a_blob_that_was_cut_short_is_none() -> None:
    blob = sealed()
    for size in range(len(blob)):
        with pytest.raises(MalformedError):
            open_blob(blob[:size], ALICE)


def test_holders_list_is_bound_to_the_content() -> None:
    """Otherwise a node could take a party off the list unseen by the other."""
    blob = decode(Blob, sealed())
    mine = tuple(key for key in blob.keys if key.public_key == ALICE.public_key)
    with pytest.raises(MalformedError, match="does not open"):
        open_blob(encode(dataclasses.replace(blob, keys=mine)), ALICE)


def test_length_is_told_to_the_kibibyte_only() -> None:
    """A yes and a no would otherwise be told apart by their lengths."""
    assert len(sealed(b"no")) == len(sealed(b"yes" * 300))


def test_sizes_are_bounded() -> None:
    most = limits.BLOB_PAYLOAD_BYTES_MAX
    assert len(seal(b"x" * most, HOLDERS, FRESH)) <= limits.BLOB_BYTES_MAX
    for payload, holders in ((b"", HOLDERS), (b"x" * (most + 1), HOLDERS), (b"x", ())):
        with pytest.raises(RejectedError) as refused:
            seal(payload, holders, FRESH)
        assert refused.value.code == "E_SIZE"


def test_key_that_is_none_is_refused() -> None:
    """Sealing to the point of small order would seal to everybody."""
    for key in (bytes(32), b"\x01" + bytes(31), bytes(31)):
        with pytest.raises(MalformedError, match="no Ed25519"):
            seal(PAYLOAD, (key,), FRESH)


def sealed_content(plain: bytes) -> bytes:
    """A blob whose content some other program made."""
    blob = decode(Blob, sealed())
    bound = b"onward/blob/1" + b"".join(key.public_key + key.sealed for key in blob.keys)
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        plain, bound, FRESH.nonce, FRESH.key
    )
    return encode(dataclasses.replace(blob, ciphertext=ciphertext))


@pytest.mark.parametrize(
    "plain",
    [b"", bytes(1024), b"s" * 32 + bytes(4) + bytes(988), b"s" * 32 + b"\xff" * 4 + bytes(988),
     b"s" * 32 + b"\0\0\0\1" + b"x" * 988, b"s" * 32 + b"\0\0\0\1" + b"x"],
    ids=["nothing", "zeros", "no-payload", "longer-than-it-is", "no-zeros", "no-padding"],
)  # fmt: skip
def test_content_of_another_form_is_refused(plain: bytes) -> None:
    """A salt that is empty commits to nothing."""
    with pytest.raises(MalformedError, match="content"):
        open_blob(sealed_content(plain), ALICE)


def test_holders_stand_in_one_order_only() -> None:
    """The order would else be a channel for whoever seals, and two blobs could say the same."""
    blob = decode(Blob, sealed())
    for keys in (blob.keys[::-1], (blob.keys[0],) * 2):
        with pytest.raises(MalformedError, match="ascending"):
            open_blob(encode(dataclasses.replace(blob, keys=keys)), ALICE)


@pytest.mark.parametrize("ciphertext", [b"x", b"x" * 15, b"x" * 16])
def test_ciphertext_that_is_too_short_does_not_open(ciphertext: bytes) -> None:
    blob = decode(Blob, sealed())
    with pytest.raises(MalformedError, match="does not open"):
        open_blob(encode(dataclasses.replace(blob, ciphertext=ciphertext)), ALICE)
