"""A W3C Verifiable Credential (data model 2.0) about an agreement, with receipts as its evidence.

It has no `proof`, and so is not secured by a mechanism of that standard: no cryptosuite is invented
here. What is signed is each receipt: by the parties, who signed the transaction, and by a quorum of
the validators, who signed the log that holds its verdict. Whoever relies on the credential verifies
the receipts with the chain's genesis (`onward receipt verify`); all else in it, the status above
all, is as trustworthy as whoever handed it over.
"""

from __future__ import annotations

from onward.exchange.dossier import Dossier
from onward.exchange.linked import PREFIXES, Json
from onward.exchange.moments import instant

CONTEXT = "https://www.w3.org/ns/credentials/v2"
_OWN = "urn:onward:vocabulary:"


def credential(dossier: Dossier) -> Json:
    """The credential. Without receipts in the dossier it has no evidence, and proves nothing."""
    agreement = dossier.agreement
    found: Json = {
        "@context": [CONTEXT, {**_PREFIXES, **_TERMS}],
        "id": dossier.iri("credential", agreement.agreement_id),
        "type": ["VerifiableCredential", "OnwardAgreementCredential"],
        "issuer": f"urn:onward:{dossier.chain_id}",
        "validFrom": instant(agreement.not_before_ms),
        "credentialSubject": _subject(dossier),
        "termsOfUse": {
            "id": dossier.iri("terms", agreement.terms_id),
            "type": "OnwardTerms",
        },
    }
    if agreement.ends_at_ms is not None:
        found["validUntil"] = instant(agreement.ends_at_ms)
    if dossier.receipts:
        found["evidence"] = [
            {
                "id": dossier.iri("receipt", tx_id),
                "type": "OnwardReceipt",
                "transaction": dossier.iri("transaction", tx_id),
                "receipt": text,
            }
            for tx_id, text in dossier.receipts
        ]
    return found


def _subject(dossier: Dossier) -> Json:
    agreement = dossier.agreement
    found: Json = {
        "id": dossier.iri("agreement", agreement.agreement_id),
        "type": "OnwardAgreement",
        "rightsHolder": dossier.iri("party", agreement.rights_holder),
        "firstParty": dossier.iri("party", agreement.first_party),
        "secondParty": dossier.iri("party", agreement.second_party),
        "dataSchema": dossier.iri("schema", dossier.schema.schema_id.hex()),
        "field": [field.name for field in dossier.fields],
        "purpose": list(dossier.purposes),
        "lawfulBasis": agreement.lawful_basis,
        "notice": dossier.iri("notice", agreement.notice),
        "acceptedAt": instant(agreement.accepted_at_ms),
        "statusAt": instant(dossier.as_of_ms),
        "agreementStatus": agreement.status,
    }
    parent = dossier.parent_of(agreement)
    if parent is not None:
        found["parentAgreement"] = dossier.iri("agreement", parent)
    return found


_PREFIXES = {name: PREFIXES[name] for name in ("dpv", "dpv-pd", "onward", "xsd")}


def _own(name: str, kind: str = "") -> str | Json:
    return {"@id": _OWN + name, "@type": kind} if kind else _OWN + name


_TERMS: Json = {
    "OnwardAgreement": _own("Agreement"),
    "OnwardAgreementCredential": _own("AgreementCredential"),
    "OnwardReceipt": _own("Receipt"),
    "OnwardTerms": _own("Terms"),
    "acceptedAt": _own("acceptedAt", "xsd:dateTime"),
    "agreementStatus": _own("status"),
    "dataSchema": _own("schema", "@id"),
    "field": _own("fieldName"),
    "firstParty": _own("firstParty", "@id"),
    "lawfulBasis": _own("lawfulBasis", "@id"),
    "notice": _own("notice", "@id"),
    "parentAgreement": _own("parentAgreement", "@id"),
    "purpose": _own("purpose", "@id"),
    "receipt": _own("receiptText"),
    "rightsHolder": _own("rightsHolder", "@id"),
    "secondParty": _own("secondParty", "@id"),
    "statusAt": _own("statusAt", "xsd:dateTime"),
    "transaction": _own("transaction", "@id"),
}
