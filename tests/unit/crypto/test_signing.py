"""Ed25519 as libsodium judges it, one signature at a time."""

from __future__ import annotations

from onward.crypto.signing import SigningKey, verify

# RFC 8032 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_the_vectors_of_rfc_8032_hold() -> None:
    key = SigningKey(SEED)
    assert key.public_key == PUBLIC
    assert key.sign(b"\x72") == SIGNATURE
    assert verify(PUBLIC, b"\x72", SIGNATURE)


def test_any_changed_bit_is_refused() -> None:
    for place in range(len(SIGNATURE)):
        changed = bytearray(SIGNATURE)
        changed[place] ^= 1
        assert not verify(PUBLIC, b"\x72", bytes(changed))
    assert not verify(PUBLIC, b"\x73", SIGNATURE)
    assert not verify(bytes(32), b"\x72", SIGNATURE)


def test_wrong_sizes_are_an_answer_and_no_exception() -> None:
    assert not verify(PUBLIC[:31], b"\x72", SIGNATURE)
    assert not verify(PUBLIC, b"\x72", SIGNATURE[:63])
    assert not verify(b"", b"", b"")


def test_a_malleated_signature_is_refused() -> None:
    """S + L encodes the same scalar: accepting it would give a second valid signature."""
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(SIGNATURE[32:], "little") + order
    assert not verify(PUBLIC, b"\x72", SIGNATURE[:32] + scalar.to_bytes(32, "little"))
