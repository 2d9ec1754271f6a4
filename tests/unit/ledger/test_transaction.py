"""The stateless door: what makes an envelope valid, and the code of each way of being wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onward import limits
from onward.crypto.signing import SigningKey, verify
from onward.errors import RejectedError
from onward.ledger.transaction import (
    BODY_FORMAT,
    Body,
    Envelope,
    KeySignature,
    body_hash,
    check_envelope,
    open_envelope,
    seal_envelope,
    signed_bytes,
)
from onward_proto.canonical import decode, encode

CHAIN = bytes(range(32))
ALICE, ACME = SigningKey(b"a" * 32), SigningKey(b"b" * 32)
BODY = Body(
    format=BODY_FORMAT,
    contract="isa",
    type="share.onward",
    actor="acme",
    cosigners=("beta",),
    valid_until_ms=1_750_000_000_000,
    salt=bytes(16),
    payload=b"payload",
)


def envelope(body: Body = BODY, signers: tuple[SigningKey, ...] = (ALICE, ACME)) -> bytes:
    return seal_envelope(CHAIN, [encode(body)], signers)


def code(data: bytes, chain: bytes = CHAIN) -> str:
    with pytest.raises(RejectedError) as refusal:
        check_envelope(data, chain, verify)
    return refusal.value.code


def test_a_good_envelope_gives_its_transactions_with_their_signers() -> None:
    (transaction,) = check_envelope(envelope(), CHAIN, verify)
    assert transaction.body == BODY
    assert transaction.tx_hash == body_hash(encode(BODY))
    assert transaction.signers == (ALICE.public_key, ACME.public_key)
    assert open_envelope(envelope()) == (transaction,)


def test_one_signature_covers_many_bodies_and_each_has_its_own_hash() -> None:
    bodies = [encode(replace(BODY, salt=bytes([n]) * 16)) for n in range(1, 65)]
    data = seal_envelope(CHAIN, bodies, (ALICE, ACME))
    found = check_envelope(data, CHAIN, verify)
    assert len({item.tx_hash for item in found}) == limits.ENVELOPE_BODIES_MAX
    with pytest.raises(ValueError, match="at most 64"):
        seal_envelope(CHAIN, [*bodies, bodies[0]], (ALICE, ACME))


def test_another_chains_transaction_is_refused() -> None:
    assert code(envelope(), bytes(32)) == "E_CHAIN"


def test_editing_the_chain_id_breaks_the_signature() -> None:
    sealed = decode(Envelope, envelope())
    assert code(encode(replace(sealed, chain_id=bytes(32))), bytes(32)) == "E_SIG"


def test_a_forged_actor_signature_and_a_forged_countersignature_have_their_own_codes() -> None:
    sealed = decode(Envelope, envelope())
    first, second = sealed.signatures
    wrong = replace(first, signature=second.signature)
    assert code(encode(replace(sealed, signatures=(wrong, second)))) == "E_SIG"
    wrong = replace(second, signature=first.signature)
    assert code(encode(replace(sealed, signatures=(first, wrong)))) == "E_COUNTERSIG"


def test_a_missing_countersignature_is_refused() -> None:
    assert code(envelope(signers=(ALICE,))) == "E_COUNTERSIG"
    sealed = decode(Envelope, envelope())
    assert code(encode(replace(sealed, signatures=()))) == "E_SIG"


def test_a_signature_over_another_body_is_refused() -> None:
    other = encode(replace(BODY, payload=b"another"))
    message = signed_bytes(CHAIN, [body_hash(other)])
    sealed = decode(Envelope, envelope())
    countersigned = KeySignature(public_key=ACME.public_key, signature=ACME.sign(message))
    changed = replace(sealed, signatures=(sealed.signatures[0], countersigned))
    assert code(encode(changed)) == "E_COUNTERSIG"


@pytest.mark.parametrize(
    "body",
    [
        replace(BODY, format=2),
        replace(BODY, contract="Isa"),
        replace(BODY, type="share..onward"),
        replace(BODY, type="Share"),
        replace(BODY, actor="Acme"),
        replace(BODY, actor="acme\u00e9"),
        replace(BODY, cosigners=("acme",)),
        replace(BODY, cosigners=("beta", "beta")),
    ],
)
def test_a_body_of_another_form_is_refused(body: Body) -> None:
    assert code(envelope(body)) == "E_FORMAT"


def test_one_key_signing_twice_is_no_countersignature() -> None:
    assert code(envelope(signers=(ALICE, ALICE))) == "E_FORMAT"


def test_unknown_and_duplicate_fields_and_no_body_are_refused() -> None:
    sealed = envelope()
    assert code(sealed + b"\x78\x01") == "E_FORMAT"
    assert code(sealed[:34] + sealed) == "E_FORMAT"
    assert code(seal_envelope(CHAIN, [], (ALICE,))) == "E_FORMAT"
    assert code(b"") == "E_FORMAT"


def test_an_envelope_over_the_limit_is_refused_before_it_is_read() -> None:
    assert code(bytes(limits.ENVELOPE_BYTES_MAX + 1)) == "E_SIZE"
    assert code(bytes(limits.ENVELOPE_BYTES_MAX)) == "E_FORMAT"
