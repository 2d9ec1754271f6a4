"""Draft files: transactions on their way to being signed, by people who are not on the network.

    { "format": "onward/draft/1", "chain_id": hex, "bodies": [hex], "explanation": [...],
      "signatures": [{"party", "public_key", "signature"}] }

The explanation is for people and follows from the bodies. A file whose explanation says anything
else is refused: nobody shall sign what she was not shown. Signatures are over the chain and all
bodies, so a file that was signed for one cannot become another.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onward.cli.output import writing
from onward.crypto.signing import Signer, verify
from onward.errors import MalformedError, RejectCode, RejectedError
from onward.ledger.transaction import (
    Body,
    Envelope,
    KeySignature,
    body_hash,
    decode_body,
    signed_bytes,
)
from onward.system.parties import NAMESPACE
from onward.system.registry import PAYLOADS as SYSTEM_PAYLOADS
from onward_chaincode.drafts import DraftError, explain
from onward_proto.canonical import CanonicalError, decode, encode

DRAFT_FORMAT = "onward/draft/1"
DRAFT_BYTES_MAX = 2 * 1024 * 1024
_KEYS = ("format", "chain_id", "bodies", "explanation", "signatures")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartySignature:
    """One party's signature over the draft's bodies."""

    party: str
    public_key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFile:
    """Bodies of one envelope and the signatures so far, whoever has signed first."""

    chain_id: bytes
    bodies: tuple[bytes, ...]
    signatures: tuple[PartySignature, ...]

    def decoded(self) -> tuple[Body, ...]:
        """The bodies."""
        return tuple(decode_body(body) for body in self.bodies)

    @property
    def actor(self) -> str:
        """The party whose transactions these are."""
        return self.decoded()[0].actor

    @property
    def parties(self) -> tuple[str, ...]:
        """Everybody who has to sign, the actor first."""
        named = [party for body in self.decoded() for party in (body.actor, *body.cosigners)]
        return tuple(dict.fromkeys(named))

    @property
    def missing(self) -> tuple[str, ...]:
        """Who has not signed yet."""
        signed = {item.party for item in self.signatures}
        return tuple(party for party in self.parties if party not in signed)

    def signed(self, party: str, signer: Signer) -> DraftFile:
        """The draft with one more signature. Raises `RejectedError` for who has no part in it."""
        if party not in self.parties:
            raise RejectedError(
                RejectCode.SIGNER, f"{party} signs nothing here; {', '.join(self.parties)} do"
            )
        if any(item.public_key == signer.public_key for item in self.signatures):
            raise RejectedError(RejectCode.DUPLICATE, f"this key of {party} has signed already")
        item = PartySignature(
            party=party,
            public_key=signer.public_key,
            signature=signer.sign(_message(self.chain_id, self.bodies)),
        )
        return replace(self, signatures=(*self.signatures, item))

    def envelope(self) -> bytes:
        """The envelope to submit. Raises `RejectedError` E_COUNTERSIG while somebody is missing."""
        if self.missing:
            raise RejectedError(
                RejectCode.COUNTERSIGNATURE, f"not signed yet by {', '.join(self.missing)}"
            )
        order = {party: place for place, party in enumerate(self.parties)}
        ordered = sorted(self.signatures, key=lambda item: order[item.party])
        return encode(
            Envelope(
                chain_id=self.chain_id,
                bodies=self.bodies,
                signatures=tuple(
                    KeySignature(public_key=item.public_key, signature=item.signature)
                    for item in ordered
                ),
            )
        )

    def render(self) -> str:
        """The file's text."""
        document = {
            "format": DRAFT_FORMAT,
            "chain_id": self.chain_id.hex(),
            "bodies": [body.hex() for body in self.bodies],
            "explanation": explanation(self.bodies),
            "signatures": [
                {
                    "party": item.party,
                    "public_key": item.public_key.hex(),
                    "signature": item.signature.hex(),
                }
                for item in self.signatures
            ],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def parse_draft(data: bytes, where: str) -> DraftFile:
    """The draft in a file's bytes. Raises `MalformedError` saying what is wrong with it."""
    try:
        document = json.loads(data)
        if sorted(document) != sorted(_KEYS) or document["format"] != DRAFT_FORMAT:
            raise MalformedError(f"{where}: expected {DRAFT_FORMAT} with {', '.join(_KEYS)}")
        draft = DraftFile(
            chain_id=_bytes(document["chain_id"], 32),
            bodies=tuple(bytes.fromhex(item) for item in document["bodies"]),
            signatures=tuple(_signature(item) for item in document["signatures"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise MalformedError(f"{where}: not a draft: {error}") from None
    if not draft.bodies:
        raise MalformedError(f"{where}: holds no body")
    try:
        told = explanation(draft.bodies)
    except RejectedError as error:
        raise MalformedError(f"{where}: {error}") from None
    if len({body.actor for body in draft.decoded()}) > 1:
        # One signature is under all of them: who co-signs the first would act in the second.
        raise MalformedError(f"{where}: holds transactions of more than one actor")
    if document["explanation"] != told:
        raise MalformedError(f"{where}: its explanation is not what its bodies say")
    for item in draft.signatures:
        if item.party not in draft.parties:
            raise MalformedError(f"{where}: signed by {item.party}, who has no part in it")
        if not verify(item.public_key, _message(draft.chain_id, draft.bodies), item.signature):
            raise MalformedError(f"{where}: the signature of {item.party} is not valid")
    return draft


def write_draft(file: Path, draft: DraftFile) -> None:
    """Write the file in one step, so that no half of it is ever read."""
    fresh = file.with_name(file.name + ".new")
    with writing():
        fresh.write_text(draft.render(), encoding="utf-8")
        fresh.replace(file)


def explanation(bodies: Sequence[bytes]) -> list[dict[str, Any]]:
    """What the bodies say, for people."""
    return [_explain(data) for data in bodies]


def _explain(data: bytes) -> dict[str, Any]:
    body = decode_body(data)
    return {
        "transaction": body_hash(data).hex(),
        "contract": body.contract,
        "type": body.type,
        "actor": body.actor,
        "cosigners": list(body.cosigners),
        "valid_until_ms": body.valid_until_ms,
        "payload": _payload(body),
    }


def _payload(body: Body) -> Any:
    if body.contract == NAMESPACE:
        try:
            return _plain(decode(SYSTEM_PAYLOADS[body.type], body.payload))
        except (KeyError, CanonicalError):
            return body.payload.hex()
    try:
        return explain(body.type, body.payload)
    except DraftError:
        return body.payload.hex()


def _plain(value: Any) -> Any:
    """A system payload in plain values."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__slots__"):
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    return value


def _signature(item: dict[str, str]) -> PartySignature:
    if sorted(item) != ["party", "public_key", "signature"]:
        raise KeyError("a signature has party, public_key, signature")
    return PartySignature(
        party=item["party"],
        public_key=_bytes(item["public_key"], 32),
        signature=_bytes(item["signature"], 64),
    )


def _bytes(value: str, size: int) -> bytes:
    data = bytes.fromhex(value)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes, expected {size}")
    return data


def _message(chain_id: bytes, bodies: Sequence[bytes]) -> bytes:
    return signed_bytes(chain_id, [body_hash(body) for body in bodies])
