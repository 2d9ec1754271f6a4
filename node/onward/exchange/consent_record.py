"""A consent record after ISO/IEC TS 27560:2023, in the Data Privacy Vocabulary, as JSON-LD.

The parts are those of the technical specification (header, processing, party, event), the terms
those of the W3C community group's guide to it. It is a *record*, not a receipt, and claims no more.
"""

from __future__ import annotations

from collections.abc import Callable

from onward.exchange.dossier import Agreement, Dossier, Step
from onward.exchange.linked import Json, prefixes, ref, span, when
from onward.exchange.moments import duration
from onward_chaincode.schema import Field

CONFORMS_TO = "https://w3id.org/dpv/schema/dpv-27560#record"
SCHEMA_VERSION = "1"

# What a step says of the consent; a revocation of a part leaves it given.
_STATES = {
    "agreement.offer": "dpv:ConsentRequested",
    "agreement.counter": "dpv:ConsentRequested",
    "agreement.accept": "dpv:ConsentGiven",
    "agreement.amend": "dpv:RenewedConsentGiven",
    "share.onward": "dpv:ConsentGiven",
    "agreement.terminate": "dpv:ConsentRevoked",
    "agreement.suspend": "dpv:ConsentUnknown",
    "agreement.resume": "dpv:RenewedConsentGiven",
}
_BEFORE = ("agreement.offer", "agreement.counter")
_BEGINS = (*_BEFORE, "agreement.accept", "share.onward")
# Who does what, where the rules leave no choice and the history does not say it.
_BY_RULE: dict[str, Callable[[Agreement], str]] = {
    "agreement.terminate": lambda agreement: agreement.second_party,
    "share.onward": lambda agreement: agreement.first_party,
}
_STANDING = {
    "ACTIVE": "dpv:ConsentGiven",
    "SCHEDULED": "dpv:ConsentGiven",
    "EXPIRED": "dpv:ConsentExpired",
    "REVOKED": "dpv:ConsentWithdrawn",
    "TERMINATED": "dpv:ConsentRevoked",
    "ENDED_BY_ANCESTOR": "dpv:ConsentInvalidated",
    "SUPERSEDED": "dpv:ConsentInvalidated",
    "SUSPENDED": "dpv:ConsentUnknown",
}


def consent_record(dossier: Dossier) -> Json:
    """The record of an agreement that rests on consent."""
    agreement = dossier.agreement
    return {
        "@context": prefixes("dct", "xsd"),
        "@id": dossier.iri("agreement", agreement.agreement_id),
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": ref(CONFORMS_TO),
        "dct:hasVersion": SCHEMA_VERSION,
        "dct:identifier": agreement.agreement_id,
        "dct:language": "en",
        "dct:modified": when(dossier.as_of_ms),
        "dpv:hasDataSubject": _party(dossier, agreement.rights_holder, "dpv:DataSubject"),
        "dpv:hasNotice": {
            "@id": dossier.iri("notice", agreement.notice),
            "@type": "dpv:PrivacyNotice",
            "dct:identifier": agreement.notice,
        },
        "dpv:hasProcess": _process(dossier),
        "dpv:hasConsentStatus": _events(dossier),
    }


def _process(dossier: Dossier) -> Json:
    agreement = dossier.agreement
    places = [ref(f"https://w3id.org/dpv/loc#{country}") for country in agreement.jurisdictions]
    places = places or [{"@type": "dpv:Jurisdiction", "dct:description": "not limited"}]
    return {
        "@id": dossier.iri("process", agreement.agreement_id),
        "@type": "dpv:Process",
        "dct:title": dossier.terms.title,
        "dpv:hasPurpose": [ref(iri) for iri in dossier.purposes],
        "dpv:hasLegalBasis": ref("dpv:ExplicitlyExpressedConsent"),
        "dpv:hasPersonalData": [_personal_data(dossier, field) for field in dossier.fields],
        "dpv:hasDataController": _party(dossier, agreement.second_party, "dpv:DataController"),
        "dpv:hasDataSource": ref(dossier.iri("party", agreement.first_party)),
        "dpv:hasRecipient": [
            _party(dossier, party, "dpv:ThirdParty") for party in dossier.recipients
        ],
        "dpv:hasJurisdiction": places,
        "dpv:hasStorageCondition": [
            {
                "@type": "dpv:StorageDuration",
                "dpv:hasDuration": span(agreement.retention_ms),
                "dct:description": f"{duration(agreement.retention_ms)} after the end",
            },
            {"@type": "dpv:StorageLocation", "dpv:hasJurisdiction": places},
        ],
        "dpv:hasConsentControl": {
            "@type": "dpv:WithdrawConsent",
            "dct:description": "agreement.revoke, submitted to any node of the ledger",
        },
        "onward:hasTerms": ref(dossier.iri("terms", agreement.terms_id)),
    }


def _events(dossier: Dossier) -> list[Json]:
    """Each step that says something of the consent, then what time alone made of it."""
    steps = sorted({*dossier.handshake, *dossier.history}, key=_place)
    found = [_event(dossier, step, state) for step in steps if (state := _state_of(step))]
    standing = _STANDING.get(dossier.agreement.status, "dpv:ConsentUnknown")
    if not found or found[-1]["@type"] != ["dpv:ConsentStatus", standing]:
        found.append(_status(dossier, standing, _changed_at(dossier)))
    return found


def _place(step: Step) -> tuple[int, bool, bool, str]:
    """Where a step stands: a block may hold a request, the consent, and what became of it."""
    return step.at_ms, step.event not in _BEFORE, step.event not in _BEGINS, step.tx_id


def _state_of(step: Step) -> str | None:
    if step.event == "agreement.revoke":
        return "dpv:ConsentWithdrawn" if step.scope in (None, "ALL") else "dpv:RenewedConsentGiven"
    return _STATES.get(step.event)


def _event(dossier: Dossier, step: Step, state: str) -> Json:
    event = _status(dossier, state, step.at_ms)
    event["@id"] = dossier.iri("transaction", step.tx_id)
    by = step.by
    if by is None and step.event in _BY_RULE:
        by = _BY_RULE[step.event](dossier.agreement)
    if by is not None:
        event["dpv:isImplementedByEntity"] = ref(dossier.iri("party", by))
    return event


def _status(dossier: Dossier, state: str, at_ms: int) -> Json:
    """One event. Whose it is is the person's, unless the chain names somebody else."""
    ends = dossier.agreement.ends_at_ms
    if ends is None:
        valid: Json = {"@type": "dpv:EndlessDuration"}
    else:
        valid = {"@type": "dpv:UntilTimeDuration", "dct:date": when(ends)}
    return {
        "@type": ["dpv:ConsentStatus", state],
        "dct:date": when(at_ms),
        "dct:valid": valid,
        "dpv:hasLegalBasis": ref("dpv:ExplicitlyExpressedConsent"),
        "dpv:isImplementedByEntity": ref(dossier.iri("party", dossier.agreement.rights_holder)),
    }


def _changed_at(dossier: Dossier) -> int:
    """When what stands came about: at the end that time brought, or as far as the chain looked."""
    ends = dossier.agreement.ends_at_ms
    if ends is not None and ends <= dossier.as_of_ms:
        return ends
    return dossier.as_of_ms


def _party(dossier: Dossier, party: str, role: str) -> Json:
    """A party. Name, address and contact are not on the chain: its id stands in for all three."""
    iri = dossier.iri("party", party)
    return {
        "@id": iri,
        "@type": [role, "dpv:LegalEntity"] if role != "dpv:DataSubject" else role,
        "dct:identifier": party,
        "dpv:hasName": party,
        "dpv:hasAddress": "not on the ledger",
        "dpv:hasContact": iri,
    }


def _personal_data(dossier: Dossier, field: Field) -> Json:
    kind = {
        "NONE": "dpv:PersonalData",
        "SENSITIVE": "dpv:SensitivePersonalData",
        "SPECIAL": "dpv:SpecialCategoryPersonalData",
    }[field.sensitivity]
    name = f"{dossier.schema.schema_id.hex()}/{field.index}"
    return {
        "@id": dossier.iri("field", name),
        "@type": [kind, field.category],
        "dct:identifier": str(field.index),
        "dct:title": field.name,
    }
