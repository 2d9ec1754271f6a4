"""The published formats as JSON Schemas, re-authored from their specifications.

Kantara's own file opens with comments, which JSON has not; the others publish none, or none for the
serialisation that we write. Each says what its specification demands, and is shown in the tests to
refuse what the specification forbids.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
SOME_TEXT: Schema = {"type": "string", "minLength": 1}
IRI: Schema = {"type": "string", "pattern": "^[a-z][A-Za-z0-9+.-]*:[^\\s]+$"}
REF: Schema = {"type": "object", "properties": {"@id": IRI}, "required": ["@id"]}
INSTANT: Schema = {"type": "string", "pattern": "^[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$"}
MOMENT: Schema = {
    "type": "object",
    "properties": {"@type": {"const": "xsd:dateTime"}, "@value": INSTANT},
    "required": ["@type", "@value"],
}


def texts(minimum: int = 0) -> Schema:
    return {"type": "array", "items": TEXT, "minItems": minimum}


def members(**properties: Any) -> Schema:
    """An object that must have all of these, and may have more."""
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


# -- Kantara consent receipt 1.1, section 4 and appendix -------------------------------------------

_PURPOSE = members(
    purpose=TEXT,
    consentType=TEXT,
    purposeCategory=texts(1),
    piiCategory=texts(),
    termination=TEXT,
    thirdPartyDisclosure={"type": "boolean"},
) | {
    "if": {"properties": {"thirdPartyDisclosure": {"const": True}}},
    "then": {"required": ["thirdPartyName"]},
}
_PURPOSE["properties"] |= {"primaryPurpose": {"type": "boolean"}, "thirdPartyName": TEXT}

KANTARA = members(
    version={"const": "KI-CR-v1.1.0"},
    jurisdiction=TEXT,
    # Seconds: a receipt in milliseconds would be from the year 57 000.
    consentTimestamp={"type": "integer", "minimum": 0, "maximum": 253_402_300_799},
    collectionMethod=TEXT,
    consentReceiptID=SOME_TEXT,
    piiPrincipalId=SOME_TEXT,
    piiControllers={
        "type": "array",
        "minItems": 1,
        "items": members(
            piiController=SOME_TEXT,
            contact=SOME_TEXT,
            address={"type": "object"},
            email=TEXT,
            phone=TEXT,
        ),
    },
    policyUrl=IRI,
    services={
        "type": "array",
        "minItems": 1,
        "items": members(service=SOME_TEXT, purposes={"type": "array", "items": _PURPOSE}),
    },
    sensitive={"type": "boolean"},
    spiCat=texts(),
)

# -- ISO/IEC TS 27560:2023, the mandatory fields, in the terms of the DPV guide --------------------

_PARTY = members(
    **{
        "@id": IRI,
        "dct:identifier": SOME_TEXT,
        "dpv:hasName": SOME_TEXT,
        "dpv:hasAddress": SOME_TEXT,
        "dpv:hasContact": SOME_TEXT,
        "@type": one_or_more(SOME_TEXT),
    }
)
_STATES = (
    "ConsentGiven", "RenewedConsentGiven", "ConsentUnknown", "ConsentRequested",
    "ConsentRequestDeferred", "ConsentRefused", "ConsentWithdrawn", "ConsentRevoked",
    "ConsentExpired", "ConsentInvalidated",
)  # fmt: skip
_EVENT = members(
    **{
        "dct:date": MOMENT,
        "dct:valid": members(
            **{"@type": {"enum": ["dpv:EndlessDuration", "dpv:UntilTimeDuration"]}}
        ),
        "dpv:isImplementedByEntity": REF,
        "dpv:hasLegalBasis": REF,
        "@type": {
            "type": "array",
            "prefixItems": [
                {"const": "dpv:ConsentStatus"},
                {"enum": [f"dpv:{state}" for state in _STATES]},
            ],
            "minItems": 2,
            "items": False,
        },
    }
)
_PROCESS = members(
    **{
        "dpv:hasPurpose": {"type": "array", "items": REF},
        "dpv:hasPersonalData": {
            "type": "array",
            "items": members(**{"@type": texts(2), "dct:identifier": SOME_TEXT}),
        },
        "dpv:hasDataController": _PARTY,
        "dpv:hasStorageCondition": {
            "type": "array",
            "items": members(**{"@type": TEXT}),
            "allOf": [
                {"contains": members(**{"@type": {"const": f"dpv:{kind}"}, needed: {}})}
                for kind, needed in (
                    ("StorageDuration", "dpv:hasDuration"),
                    ("StorageLocation", "dpv:hasJurisdiction"),
                )
            ],
        },
        "dpv:hasJurisdiction": {"type": "array", "minItems": 1},
        "dpv:hasRecipient": {"type": "array", "items": _PARTY},
        "dpv:hasConsentControl": members(**{"@type": {"const": "dpv:WithdrawConsent"}}),
    }
)
RECORD_27560 = members(
    **{
        "@context": {"type": "object"},
        "@type": {"const": "dpv:ConsentRecord"},
        "dct:conformsTo": {"const": {"@id": "https://w3id.org/dpv/schema/dpv-27560#record"}},
        "dct:hasVersion": SOME_TEXT,
        "dct:identifier": SOME_TEXT,
        "dct:language": SOME_TEXT,
        "dpv:hasDataSubject": _PARTY,
        "dpv:hasNotice": members(**{"@id": IRI, "@type": {"const": "dpv:PrivacyNotice"}}),
        "dpv:hasProcess": _PROCESS,
        "dpv:hasConsentStatus": {"type": "array", "items": _EVENT, "minItems": 1},
    }
)

# -- ODRL Information Model 2.2, and the core and common vocabulary --------------------------------

_ACTIONS = (
    "use", "grantUse", "distribute", "delete", "nextPolicy", "obtainConsent", "anonymize",
)  # fmt: skip
_CONSTRAINT = members(
    leftOperand={"enum": ["purpose", "dateTime", "spatial", "recipient", "count"]},
    operator={"enum": ["isAnyOf", "isPartOf", "lt", "lteq", "gteq"]},
    rightOperand={},
) | {"additionalProperties": False}
_CONSTRAINTS: Schema = {"type": "array", "items": _CONSTRAINT, "minItems": 1}


def _rule(**more: Schema) -> Schema:
    found = members(action={"enum": list(_ACTIONS)})
    found["properties"] |= {"target": IRI, "constraint": _CONSTRAINTS} | more
    found["additionalProperties"] = False
    return found


_DUTY = _rule(consentingParty=IRI)
_PERMISSION = _rule(duty={"type": "array", "items": _DUTY, "minItems": 1})
_PERMISSION["required"] = ["action", "target"]
_PROHIBITION = _rule()
_PROHIBITION["required"] = ["action", "target"]
ODRL = members(
    **{
        "@context": {
            "type": "array",
            "prefixItems": [{"const": "http://www.w3.org/ns/odrl.jsonld"}],
        },
        "@type": {"const": "Agreement"},
        "uid": IRI,
        "profile": IRI,
        "conflict": {"enum": ["perm", "prohibit", "invalid"]},
        "assigner": IRI,
        "assignee": IRI,
        "target": IRI,
    }
) | {"anyOf": [{"required": [kind]} for kind in ("permission", "prohibition", "obligation")]}
ODRL["properties"] |= {
    "permission": {"type": "array", "items": _PERMISSION, "minItems": 1},
    "prohibition": {"type": "array", "items": _PROHIBITION, "minItems": 1},
    "obligation": {"type": "array", "items": _rule(), "minItems": 1},
}
ODRL["additionalProperties"] = False

# -- W3C PROV-O: the classes and properties of the starting point, and the range of each -----------

_NODE = members(**{"@id": IRI, "@type": one_or_more(SOME_TEXT)})
_NODE["properties"] |= {
    "prov:startedAtTime": MOMENT,
    "prov:endedAtTime": MOMENT,
    "prov:generatedAtTime": MOMENT,
    "prov:invalidatedAtTime": MOMENT,
    "prov:actedOnBehalfOf": one_or_more(REF),
    "prov:wasAssociatedWith": one_or_more(REF),
    "prov:wasAttributedTo": one_or_more(REF),
    "prov:wasDerivedFrom": REF,
    "prov:wasRevisionOf": REF,
    "prov:wasGeneratedBy": REF,
    "prov:used": REF,
    "prov:qualifiedAssociation": members(**{"prov:agent": REF, "prov:hadPlan": REF}),
}
_NODE["patternProperties"] = {"^(?:dct|onward):": {}}
_NODE["additionalProperties"] = False
PROV = members(
    **{
        "@context": {"type": "object"},
        "@graph": {"type": "array", "items": _NODE, "minItems": 1},
    }
)

# -- W3C Verifiable Credentials Data Model 2.0, section 4 ------------------------------------------

_TYPED = members(type=one_or_more(SOME_TEXT))
CREDENTIAL = members(
    **{
        "@context": {
            "type": "array",
            "prefixItems": [{"const": "https://www.w3.org/ns/credentials/v2"}],
            "items": {"type": ["string", "object"]},
        },
        "type": texts(1) | {"contains": {"const": "VerifiableCredential"}},
        "issuer": IRI,
        "credentialSubject": {"type": "object", "minProperties": 1},
    }
)
CREDENTIAL["properties"] |= {
    "id": IRI,
    "validFrom": INSTANT,
    "validUntil": INSTANT,
    "termsOfUse": one_or_more(_TYPED),
    "evidence": one_or_more(_TYPED),
}
CREDENTIAL["additionalProperties"] = False

SCHEMAS: dict[str, Schema] = {
    "kantara": KANTARA,
    "iso27560": RECORD_27560,
    "odrl": ODRL,
    "prov": PROV,
    "vc": CREDENTIAL,
}
