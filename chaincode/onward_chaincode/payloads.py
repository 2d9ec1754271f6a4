"""What each transaction type carries: one canonical message per type.

The actor and the co-signers stand in the body's header, the block time comes from the chain, ids
derive from the body: none of them is repeated here. References name the noun they point to
(`terms`, `agreement`, `parent_share`) and hold its 32-byte id; a field that may be None may be
left out of a draft.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from onward_chaincode import limits
from onward_chaincode.forms import (
    BASIS_FORM,
    CURRENCY,
    FIELDS_FORM,
    JURISDICTIONS_FORM,
    PARTY_FORM,
    PURPOSES_FORM,
    TAG,
    TAGS_FORM,
    Form,
    duration_wire,
    enum_wire,
    fields_wire,
    id_wire,
    party_wire,
    time_wire,
    words_wire,
)
from onward_proto.canonical import nested, raw, text, uint

TRANSFORMS = ("AGGREGATED", "ANONYMISED", "NONE")
REJECT_REASONS = (
    "NOT_INTERESTED",
    "OTHER",
    "POLICY",
    "SCHEMA_UNSUPPORTED",
    "TERMS_UNACCEPTABLE",
)
REVOKE_REASONS = ("CONSENT_WITHDRAWN", "OBJECTION", "OTHER", "TERMS_BREACHED")
SCOPES = ("ALL", "FIELDS", "PURPOSES")
DUTIES = ("ANONYMISE", "ERASE", "RETURN", "STOP")
GROUNDS = (
    "DELETION",
    "DISCLOSURE",
    "NOTICE",
    "OTHER",
    "PURPOSE",
    "RETENTION",
    "SECURITY",
    "SIGNALS",
)
FINDINGS = ("REJECTED", "RESOLVED")
MANDATE_SCOPES = ("ALL", "ROOT", "TERMS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What an agreement grants: in an offer, and in the child agreement of an onward share.

    `fields` are indexes into the schema. Left out, `not_before_ms` is the moment of acceptance,
    `expires_at_ms` what the terms say, `jurisdictions` those of the terms or of the parent.
    `retention_ms` is how long after its end the data may be kept.
    """

    terms: Annotated[bytes, id_wire(1)]
    schema: Annotated[bytes, id_wire(2)]
    fields: Annotated[tuple[int, ...], fields_wire(3), FIELDS_FORM]
    purposes: Annotated[tuple[str, ...], words_wire(4, limits.IRI_BYTES_MAX), PURPOSES_FORM]
    jurisdictions: Annotated[tuple[str, ...], words_wire(5, 2), JURISDICTIONS_FORM] = ()
    lawful_basis: Annotated[str, enum_wire(6), BASIS_FORM] = "dpv:Consent"
    notice: Annotated[bytes, id_wire(7)]
    not_before_ms: Annotated[int | None, time_wire(8)] = None
    expires_at_ms: Annotated[int | None, time_wire(9)] = None
    retention_ms: Annotated[int, duration_wire(10)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One hand-over of data: which fields, for what, and the salted commitment to the payload.

    `blob` is the hash of the ciphertext that the two parties keep beside the chain.
    """

    fields: Annotated[tuple[int, ...], fields_wire(1), FIELDS_FORM]
    purpose: Annotated[str, text(2, maximum=limits.IRI_BYTES_MAX)] = ""
    transform: Annotated[str, enum_wire(3), Form(choices=TRANSFORMS)] = "NONE"
    commitment: Annotated[bytes, id_wire(4)]
    blob: Annotated[bytes | None, id_wire(5)] = None


# -- terms and schemas -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsPublish:
    """Publish terms: the canonical bytes of a terms document."""

    document: Annotated[
        bytes, raw(1, minimum=2, maximum=limits.DOCUMENT_BYTES_MAX), Form(is_document=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsDeprecate:
    """No new root agreement begins under these terms."""

    terms: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsRecall:
    """Nothing new happens under these terms: no agreement, no onward share."""

    terms: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaPublish:
    """Publish a schema: the canonical bytes of a schema document."""

    document: Annotated[
        bytes, raw(1, minimum=2, maximum=limits.DOCUMENT_BYTES_MAX), Form(is_document=True)
    ]


# -- intentcasts -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentCast:
    """Advertise an intention to buy. Prices are minor units; the rest stays off the chain."""

    terms: Annotated[bytes, id_wire(1)]
    schema: Annotated[bytes, id_wire(2)]
    industry: Annotated[str, text(3, minimum=1, maximum=limits.TAG_BYTES_MAX), Form(pattern=TAG)]
    tags: Annotated[tuple[str, ...], words_wire(4, limits.TAG_BYTES_MAX), TAGS_FORM]
    brands: Annotated[tuple[str, ...], words_wire(5, limits.TAG_BYTES_MAX), TAGS_FORM] = ()
    currency: Annotated[str, text(6, minimum=3, maximum=3), Form(pattern=CURRENCY)]
    price_low: Annotated[int, uint(7, maximum=limits.PRICE_MINOR_MAX)] = 0
    price_high: Annotated[int, uint(8, maximum=limits.PRICE_MINOR_MAX)]
    expires_at_ms: Annotated[int, time_wire(9)]
    max_acceptances: Annotated[int, uint(10, maximum=limits.ACCEPTANCES_MAX)]
    commitment: Annotated[bytes, id_wire(11)]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentWithdraw:
    """End an intentcast: no more acceptances or responses."""

    intent: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRespond:
    """Answer an intentcast with a price, under the agreement made for it."""

    intent: Annotated[bytes, id_wire(1)]
    agreement: Annotated[bytes, id_wire(2)]
    price_minor: Annotated[int, uint(3, maximum=limits.PRICE_MINOR_MAX)]
    valid_until_ms: Annotated[int, time_wire(4)]
    commitment: Annotated[bytes, id_wire(5)]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSelect:
    """Choose a response; the cast ends for the others."""

    intent: Annotated[bytes, id_wire(1)]
    response: Annotated[bytes, id_wire(2)]


# -- the handshake ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementOffer:
    """Offer an agreement to a party, or, with `to` left out, to anyone.

    `first_party` is whose data it is, by default the offeror. With both parents it is a child
    agreement, judged by the rules of an onward share.
    """

    to: Annotated[str | None, party_wire(1), PARTY_FORM] = None
    first_party: Annotated[str | None, party_wire(2), PARTY_FORM] = None
    grant: Annotated[Grant, nested(3, Grant)]
    offer_expires_at_ms: Annotated[int, time_wire(4)]
    intent: Annotated[bytes | None, id_wire(5)] = None
    max_acceptances: Annotated[int | None, uint(6, maximum=limits.ACCEPTANCES_MAX)] = None
    parent_agreement: Annotated[bytes | None, id_wire(7)] = None
    parent_share: Annotated[bytes | None, id_wire(8)] = None
    approval: Annotated[bytes | None, id_wire(9)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementCounter:
    """The one counter-offer: other terms of the roster, other fields, purposes or period."""

    offer: Annotated[bytes, id_wire(1)]
    terms: Annotated[bytes, id_wire(2)]
    fields: Annotated[tuple[int, ...], fields_wire(3), FIELDS_FORM]
    purposes: Annotated[tuple[str, ...], words_wire(4, limits.IRI_BYTES_MAX), PURPOSES_FORM]
    not_before_ms: Annotated[int | None, time_wire(5)] = None
    expires_at_ms: Annotated[int | None, time_wire(6)] = None
    offer_expires_at_ms: Annotated[int, time_wire(7)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementWithdrawOffer:
    """Take an offer back."""

    offer: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementAccept:
    """Accept an offer: the agreement exists from this transaction on."""

    offer: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementReject:
    """Reject an offer, with a reason out of a closed set."""

    offer: Annotated[bytes, id_wire(1)]
    reason: Annotated[str, enum_wire(2), Form(choices=REJECT_REASONS)]


# -- shares ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRecord:
    """Record a hand-over under an agreement; inside a child, name the share it comes from."""

    agreement: Annotated[bytes, id_wire(1)]
    share: Annotated[Parcel, nested(2, Parcel)]
    parent_share: Annotated[bytes | None, id_wire(3)] = None
    approval: Annotated[bytes | None, id_wire(4)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareAck:
    """The recipient confirms that it holds what the commitment says."""

    share: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareWithdraw:
    """Take a share back: it may not be passed on any more."""

    share: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareOnward:
    """Pass a share on: child agreement and share at once, by sharer (actor) and recipient."""

    parent_agreement: Annotated[bytes, id_wire(1)]
    parent_share: Annotated[bytes, id_wire(2)]
    recipient: Annotated[str, party_wire(3), PARTY_FORM]
    child: Annotated[Grant, nested(4, Grant)]
    share: Annotated[Parcel, nested(5, Parcel)]
    approval: Annotated[bytes | None, id_wire(6)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReturn:
    """Give back what a share brought: to its sender, or to somebody further up, once each."""

    share: Annotated[bytes, id_wire(1)]
    to: Annotated[str | None, party_wire(2), PARTY_FORM] = None
    commitment: Annotated[bytes, id_wire(3)]
    blob: Annotated[bytes | None, id_wire(4)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPurge:
    """Destroy the ciphertext of a share and its salt, by the rights holder or by both parties."""

    share: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnwardApprove:
    """The rights holder's approval of one onward share: to whom, which fields, for what.

    It is used up by the first onward share, acceptance or further share that matches it exactly.
    """

    parent_share: Annotated[bytes, id_wire(1)]
    recipient: Annotated[str, party_wire(2), PARTY_FORM]
    terms: Annotated[bytes, id_wire(3)]
    fields: Annotated[tuple[int, ...], fields_wire(4), FIELDS_FORM]
    purposes: Annotated[tuple[str, ...], words_wire(5, limits.IRI_BYTES_MAX), PURPOSES_FORM]
    expires_at_ms: Annotated[int, time_wire(6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnwardWithdrawApproval:
    """Take an approval back that has not been used."""

    approval: Annotated[bytes, id_wire(1)]


# -- the end ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRevoke:
    """End an agreement, or withdraw fields or purposes, with all that is derived from it."""

    agreement: Annotated[bytes, id_wire(1)]
    scope: Annotated[str, enum_wire(2), Form(choices=SCOPES)]
    fields: Annotated[tuple[int, ...], fields_wire(3), FIELDS_FORM] = ()
    purposes: Annotated[tuple[str, ...], words_wire(4, limits.IRI_BYTES_MAX), PURPOSES_FORM] = ()
    reason: Annotated[str, enum_wire(5), Form(choices=REVOKE_REASONS)] = "CONSENT_WITHDRAWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTerminate:
    """The recipient ends an agreement, at the earliest after the notice that the terms ask for."""

    agreement: Annotated[bytes, id_wire(1)]
    effective_at_ms: Annotated[int | None, time_wire(2)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementAmend:
    """Replace an agreement by one of the same parties, terms and schema; both sign.

    Left out, `fields` and `purposes` are those still granted, everything else stays as it is.
    """

    agreement: Annotated[bytes, id_wire(1)]
    fields: Annotated[tuple[int, ...], fields_wire(2), FIELDS_FORM] = ()
    purposes: Annotated[tuple[str, ...], words_wire(3, limits.IRI_BYTES_MAX), PURPOSES_FORM] = ()
    expires_at_ms: Annotated[int | None, time_wire(4)] = None
    retention_ms: Annotated[int | None, duration_wire(5)] = None
    notice: Annotated[bytes, id_wire(6)]


# -- duties ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationAttest:
    """The second party declares what it has done with all that it received under an agreement."""

    agreement: Annotated[bytes, id_wire(1)]
    kind: Annotated[str, enum_wire(2), Form(choices=DUTIES)]
    evidence: Annotated[bytes, id_wire(3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationFlagOverdue:
    """Say that a duty is overdue: the party that owes it passes nothing on under this root."""

    agreement: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachNotify:
    """A custodian tells those above of a breach; whether in time, the terms say."""

    agreements: Annotated[
        tuple[bytes, ...],
        raw(1, size=32, count=limits.SET_WIRE_MAX),
        Form(is_set=True, most=limits.BREACH_AGREEMENTS_MAX),
    ]
    detected_at_ms: Annotated[int, time_wire(2)]
    evidence: Annotated[bytes, id_wire(3)]


# -- oversight -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateGrant:
    """Let an auditor look into everything (ALL), one terms document's agreements, or one root's."""

    auditor: Annotated[str, party_wire(1), PARTY_FORM]
    scope: Annotated[str, enum_wire(2), Form(choices=MANDATE_SCOPES)]
    agreement: Annotated[bytes | None, id_wire(3)] = None
    terms: Annotated[bytes | None, id_wire(4)] = None
    expires_at_ms: Annotated[int | None, time_wire(5)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateRevoke:
    """End a mandate."""

    auditor: Annotated[str, party_wire(1), PARTY_FORM]
    scope: Annotated[str, enum_wire(2), Form(choices=MANDATE_SCOPES)]
    agreement: Annotated[bytes | None, id_wire(3)] = None
    terms: Annotated[bytes | None, id_wire(4)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementSuspend:
    """An auditor stops an agreement, and all below it, until it is resumed or revoked."""

    agreement: Annotated[bytes, id_wire(1)]
    evidence: Annotated[bytes, id_wire(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementResume:
    """An auditor lets a suspended agreement go on."""

    agreement: Annotated[bytes, id_wire(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationFlag:
    """Accuse the second party of an agreement; an auditor's flag blocks onward shares."""

    agreement: Annotated[bytes, id_wire(1)]
    ground: Annotated[str, enum_wire(2), Form(choices=GROUNDS)]
    evidence: Annotated[bytes, id_wire(3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationAnswer:
    """The accused answers, once."""

    violation: Annotated[bytes, id_wire(1)]
    evidence: Annotated[bytes, id_wire(2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationResolve:
    """An auditor closes a violation: it is mended (RESOLVED), or there was none (REJECTED)."""

    violation: Annotated[bytes, id_wire(1)]
    finding: Annotated[str, enum_wire(2), Form(choices=FINDINGS)]


PAYLOADS: dict[str, type[Any]] = {
    "agreement.accept": AgreementAccept,
    "agreement.amend": AgreementAmend,
    "agreement.counter": AgreementCounter,
    "agreement.offer": AgreementOffer,
    "agreement.reject": AgreementReject,
    "agreement.resume": AgreementResume,
    "agreement.revoke": AgreementRevoke,
    "agreement.suspend": AgreementSuspend,
    "agreement.terminate": AgreementTerminate,
    "agreement.withdraw_offer": AgreementWithdrawOffer,
    "blob.purge": BlobPurge,
    "breach.notify": BreachNotify,
    "intent.cast": IntentCast,
    "intent.respond": IntentRespond,
    "intent.select": IntentSelect,
    "intent.withdraw": IntentWithdraw,
    "mandate.grant": MandateGrant,
    "mandate.revoke": MandateRevoke,
    "obligation.attest": ObligationAttest,
    "obligation.flag_overdue": ObligationFlagOverdue,
    "onward.approve": OnwardApprove,
    "onward.withdraw_approval": OnwardWithdrawApproval,
    "schema.publish": SchemaPublish,
    "share.ack": ShareAck,
    "share.onward": ShareOnward,
    "share.record": ShareRecord,
    "share.return": ShareReturn,
    "share.withdraw": ShareWithdraw,
    "terms.deprecate": TermsDeprecate,
    "terms.publish": TermsPublish,
    "terms.recall": TermsRecall,
    "violation.answer": ViolationAnswer,
    "violation.flag": ViolationFlag,
    "violation.resolve": ViolationResolve,
}
