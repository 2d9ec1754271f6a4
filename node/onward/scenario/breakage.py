"""Sealing a body as its signers would, or broken on purpose in one way.

What breaks here is what a person who drafts a transaction cannot write down: signatures, framing,
bytes. It makes the codes of the stateless door reachable (E_SIZE, E_FORMAT, E_CHAIN, E_SIG,
E_COUNTERSIG).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from onward.crypto.signing import Signer
from onward.ledger.transaction import Body, Envelope, KeySignature, body_hash, seal_envelope
from onward.ledger.transaction import decode_envelope as _open
from onward.scenario.keys import label_hash, signing_key
from onward_proto.canonical import encode

REPLAY = "replay of "

# A length-delimited field of one byte, number 15: no message of ours counts as far at its top.
_UNKNOWN_FIELD = bytes([15 << 3 | 2, 1, 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An envelope with one body: its bytes and the hash of the body inside."""

    envelope: bytes
    tx_hash: bytes


def seal(chain_id: bytes, body: Body, signers: Sequence[Signer], breaks: str = "") -> Sealed:
    """The envelope over `body` by these signers, the actor first, broken as asked."""
    if breaks in _BODY_BREAKS:
        body = _BODY_BREAKS[breaks](body)
    data = encode(body)
    if breaks in _BYTE_BREAKS:
        data = _BYTE_BREAKS[breaks](data)
    if breaks == "stranger's key":
        signers = (signing_key("a stranger"), *signers[1:])
    envelope = seal_envelope(chain_id, (data,), signers)
    if breaks in _ENVELOPE_BREAKS:
        envelope = _ENVELOPE_BREAKS[breaks](chain_id, data, tuple(signers), envelope)
    return Sealed(envelope=envelope, tx_hash=body_hash(data))


# -- the payload and the body ----------------------------------------------------------------------


def _unknown_field(body: Body) -> Body:
    return replace(body, payload=body.payload + _UNKNOWN_FIELD)


def _duplicate_field(body: Body) -> Body:
    """The payload twice: every field of it stands a second time."""
    return replace(body, payload=body.payload + body.payload)


_BODY_BREAKS: dict[str, Callable[[Body], Body]] = {
    "unknown field": _unknown_field,
    "duplicate field": _duplicate_field,
    "unknown type": lambda body: replace(body, type=body.type + ".unknown"),
    "unknown contract": lambda body: replace(body, contract="nowhere"),
}

_BYTE_BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "unknown field in the body": lambda data: data + _UNKNOWN_FIELD,
    "truncated": lambda data: data[:-1],
}


# -- the envelope ----------------------------------------------------------------------------------

_EnvelopeBreak = Callable[[bytes, bytes, tuple[Signer, ...], bytes], bytes]


def _flipped(index: int) -> _EnvelopeBreak:
    """One bit of one signature is another."""

    def breaks(chain_id: bytes, data: bytes, signers: tuple[Signer, ...], envelope: bytes) -> bytes:
        del chain_id, data, signers
        opened = _open(envelope)
        items = list(opened.signatures)
        if index < len(items):
            wrong = bytes([items[index].signature[0] ^ 1]) + items[index].signature[1:]
            items[index] = KeySignature(public_key=items[index].public_key, signature=wrong)
        return encode(replace(opened, signatures=tuple(items)))

    return breaks


def _signed_by(count: int) -> _EnvelopeBreak:
    """Only the first `count` signers have signed."""

    def breaks(chain_id: bytes, data: bytes, signers: tuple[Signer, ...], envelope: bytes) -> bytes:
        del chain_id, data, signers
        opened = _open(envelope)
        return encode(replace(opened, signatures=opened.signatures[:count]))

    return breaks


def _over_another_body(
    chain_id: bytes, data: bytes, signers: tuple[Signer, ...], envelope: bytes
) -> bytes:
    """The others' signatures were made for a body that differs in its last byte."""
    opened = _open(envelope)
    other = _open(seal_envelope(chain_id, (data[:-1] + bytes([data[-1] ^ 1]),), signers))
    signatures = (opened.signatures[0], *other.signatures[1:])
    return encode(replace(opened, signatures=signatures))


def _other_chain(
    chain_id: bytes, data: bytes, signers: tuple[Signer, ...], envelope: bytes
) -> bytes:
    """Made and signed for another chain."""
    del chain_id, envelope
    return seal_envelope(label_hash("chain", "another"), (data,), signers)


def _chain_edited(
    chain_id: bytes, data: bytes, signers: tuple[Signer, ...], envelope: bytes
) -> bytes:
    """Signed for another chain, and the chain id then changed to this one's."""
    opened: Envelope = _open(_other_chain(chain_id, data, signers, envelope))
    return encode(replace(opened, chain_id=chain_id))


def _too_large(chain_id: bytes, data: bytes, signers: tuple[Signer, ...], envelope: bytes) -> bytes:
    """A megabyte."""
    del chain_id, data, signers
    return envelope + bytes(1024 * 1024)


_ENVELOPE_BREAKS: dict[str, _EnvelopeBreak] = {
    "actor signature": _flipped(0),
    "countersignature": _flipped(1),
    "no signature": _signed_by(0),
    "no countersignature": _signed_by(1),
    "countersignature over another body": _over_another_body,
    "chain": _other_chain,
    "chain id edited": _chain_edited,
    "oversize": _too_large,
}

BREAKS = tuple(sorted((*_BODY_BREAKS, *_BYTE_BREAKS, *_ENVELOPE_BREAKS, "stranger's key")))
