"""Where each record lies, and how ids come from bodies.

Keys are text, their parts separated by `/`: ids in hex, times as sixteen digits so that they
sort. Party ids hold no `/`. One record has one key. Unrelated parties write the same key only where
a limit asks for it: the acceptances of an open offer and of an intentcast are counted.
"""

from __future__ import annotations

import hashlib

KINDS = (
    "agreement",
    "offer",
    "share",
    "intent",
    "response",
    "approval",
    "violation",
    "breach",
)


def derive_id(kind: str, tx_id: str) -> bytes:
    """The id of the record of this `kind` that the transaction `tx_id` (hex) creates."""
    return hashlib.sha256(f"isa/{kind}/1".encode() + bytes.fromhex(tx_id)).digest()


def alike(purpose: str, fields: tuple[int, ...]) -> bytes:
    """What shares with the same purpose and fields have in common, in sixteen bytes."""
    said = f"{purpose} {' '.join(map(str, fields))}"
    return hashlib.sha256(f"isa/alike/1 {said}".encode()).digest()[:16]


def terms_key(terms_id: bytes) -> str:
    """Published terms."""
    return f"terms/{terms_id.hex()}"


def schema_key(schema_id: bytes) -> str:
    """A published schema."""
    return f"schema/{schema_id.hex()}"


def intent_key(intent_id: bytes) -> str:
    """An intentcast."""
    return f"intent/{intent_id.hex()}"


def caster_key(party: str) -> str:
    """The one intentcast of a pseudonym."""
    return f"caster/{party}"


def response_key(response_id: bytes) -> str:
    """A priced response to an intentcast."""
    return f"response/{response_id.hex()}"


def responded_key(intent_id: bytes, series_id: bytes) -> str:
    """The newest response under one agreement and what amended it; sorts by intent."""
    return f"responded/{intent_id.hex()}/{series_id.hex()}"


def offer_key(offer_id: bytes) -> str:
    """An offer or counter-offer."""
    return f"offer/{offer_id.hex()}"


def reply_key(offer_id: bytes, party: str) -> str:
    """What one party answered to an offer."""
    return f"reply/{offer_id.hex()}/{party}"


def agreement_key(agreement_id: bytes) -> str:
    """An agreement."""
    return f"agreement/{agreement_id.hex()}"


def share_key(share_id: bytes) -> str:
    """A share."""
    return f"share/{share_id.hex()}"


def commitment_key(commitment: bytes) -> str:
    """The share that first used a commitment (R28)."""
    return f"commitment/{commitment.hex()}"


def blob_key(blob: bytes) -> str:
    """The share that first named a blob (R28)."""
    return f"blob/{blob.hex()}"


def active_key(parent_share_id: bytes, recipient: str, fields: tuple[int, ...]) -> str:
    """The agreement under which these fields of a share already went to a recipient (R28)."""
    bitmap = sum(1 << field for field in fields)
    return f"active/{parent_share_id.hex()}/{recipient}/{bitmap:x}"


def current_key(series_id: bytes) -> str:
    """The agreement that stands after amendments, by the id of the first one."""
    return f"current/{series_id.hex()}"


def approval_key(approval_id: bytes) -> str:
    """An approval of one onward share (R18)."""
    return f"approval/{approval_id.hex()}"


def obligation_key(agreement_id: bytes) -> str:
    """What became of the duty under an agreement: attested, or flagged as overdue."""
    return f"obligation/{agreement_id.hex()}"


def violation_key(violation_id: bytes) -> str:
    """A flagged violation."""
    return f"violation/{violation_id.hex()}"


def breach_key(breach_id: bytes) -> str:
    """A notice of a breach."""
    return f"breach/{breach_id.hex()}"


def return_key(share_id: bytes, to: str) -> str:
    """The return of a share to a party above."""
    return f"return/{share_id.hex()}/{to}"


def mandate_key(auditor: str, scope: str, subject: bytes | None) -> str:
    """What an auditor may look into: everything, one terms document's, or one root's agreements."""
    return f"mandate/{auditor}/{scope}/{'' if subject is None else subject.hex()}"


def sanction_key(root_id: bytes, party: str) -> str:
    """Present while a party may pass nothing on under this root (R14)."""
    return f"sanction/{root_id.hex()}/{party}"


def refusal_key(tx_id: str) -> str:
    """The record of a refused onward share."""
    return f"refused/{tx_id}"


def quota_key(party: str) -> str:
    """How many refusals a party caused in the current hour of block time (R20)."""
    return f"quota/{party}"


def moment(time_ms: int) -> str:
    """A time as it stands in a key."""
    return f"{time_ms:016d}"
