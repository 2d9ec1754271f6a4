"""The Kantara consent receipt, version 1.1.

A receipt is one party's document about one moment: it has no state, no parent and no signature.
What the chain does not hold (addresses, telephone numbers) is said not to be there, because the
format demands it.
"""

from __future__ import annotations

from onward.exchange.dossier import Dossier
from onward.exchange.linked import Json
from onward.exchange.moments import SECOND_MS, duration_in_words, moment_in_words
from onward.exchange.sentences import named
from onward_chaincode.terms import PROHIBITED

VERSION = "KI-CR-v1.1.0"
ABSENT = "not on the ledger"
EVERYWHERE = "not limited"
NOBODY = "none at issue"


def kantara_receipt(dossier: Dossier) -> Json:
    """The receipt of an agreement that rests on consent."""
    agreement = dossier.agreement
    sensitive = [field.category for field in dossier.fields if field.sensitivity != "NONE"]
    return {
        "version": VERSION,
        "jurisdiction": ", ".join(agreement.jurisdictions) or EVERYWHERE,
        "consentTimestamp": agreement.accepted_at_ms // SECOND_MS,
        "collectionMethod": "agreed on a ledger, signed by both parties",
        "consentReceiptID": agreement.agreement_id,
        "language": "en",
        "piiPrincipalId": agreement.rights_holder,
        "piiControllers": [
            {
                "piiController": agreement.second_party,
                "onBehalf": False,
                "contact": f"party {agreement.second_party} of the ledger {dossier.chain_id}",
                "address": {},
                "email": ABSENT,
                "phone": ABSENT,
            }
        ],
        "policyUrl": dossier.iri("terms", agreement.terms_id),
        "services": [
            {
                "service": dossier.terms.title,
                "purposes": [
                    _purpose(dossier, iri, place) for place, iri in enumerate(dossier.purposes)
                ],
            }
        ],
        "sensitive": bool(sensitive),
        "spiCat": sorted(set(sensitive)),
    }


def _purpose(dossier: Dossier, iri: str, place: int) -> Json:
    found: Json = {
        "purpose": named(iri),
        "consentType": "EXPLICIT",
        "purposeCategory": [iri],
        "piiCategory": sorted({field.category for field in dossier.fields}),
        "primaryPurpose": place == 0,
        "termination": _termination(dossier),
        "thirdPartyDisclosure": dossier.terms.onward_mode != PROHIBITED,
    }
    if found["thirdPartyDisclosure"]:
        found["thirdPartyName"] = "; ".join(dossier.recipients) or NOBODY
    return found


def _termination(dossier: Dossier) -> str:
    agreement = dossier.agreement
    if agreement.ends_at_ms is None:
        ends = "no end is set"
    else:
        ends = f"ends on {moment_in_words(agreement.ends_at_ms)}"
    keeps = (
        f"; kept for {duration_in_words(agreement.retention_ms)} after the end"
        if agreement.retention_ms
        else "; not kept after the end"
    )
    return f"{agreement.status} on {moment_in_words(dossier.as_of_ms)}: {ends}{keeps}"
