"""Stand-ins for the JSON-LD contexts that exports name by address: only the terms they use.

A context says which IRI a short name stands for; these say what ODRL 2.2 and the Verifiable
Credentials data model 2.0 define, in our own words, so that documents expand with no network.
"""

from __future__ import annotations

from typing import Any

ODRL_NS = "http://www.w3.org/ns/odrl/2/"
CREDENTIALS_NS = "https://www.w3.org/2018/credentials#"

_ODRL_WORDS = (
    "Agreement", "use", "grantUse", "distribute", "delete", "nextPolicy", "obtainConsent",
    "anonymize", "purpose", "dateTime", "spatial", "recipient", "count", "isAnyOf", "isPartOf",
    "lt", "lteq", "gteq", "prohibit",
)  # fmt: skip
_ODRL_REFERENCES = ("profile", "target", "assigner", "assignee", "consentingParty")
_ODRL_NODES = ("permission", "prohibition", "obligation", "duty", "constraint")
_ODRL_CONCEPTS = ("action", "leftOperand", "operator", "conflict")

_CREDENTIAL_NODES = ("credentialSubject", "evidence", "issuer", "termsOfUse")


def _typed(namespace: str, names: tuple[str, ...], kind: str) -> dict[str, Any]:
    return {name: {"@id": namespace + name, "@type": kind} for name in names}


CONTEXTS: dict[str, dict[str, Any]] = {
    "http://www.w3.org/ns/odrl.jsonld": {
        "@context": {
            "uid": "@id",
            "rightOperand": ODRL_NS + "rightOperand",
            **{name: ODRL_NS + name for name in _ODRL_WORDS},
            **_typed(ODRL_NS, _ODRL_REFERENCES, "@id"),
            **_typed(ODRL_NS, _ODRL_NODES, "@id"),
            **_typed(ODRL_NS, _ODRL_CONCEPTS, "@vocab"),
        }
    },
    "https://www.w3.org/ns/credentials/v2": {
        "@context": {
            "@version": 1.1,
            "@protected": True,
            "id": "@id",
            "type": "@type",
            "VerifiableCredential": {
                "@id": CREDENTIALS_NS + "VerifiableCredential",
                "@context": {
                    "@protected": True,
                    "id": "@id",
                    "type": "@type",
                    **_typed(CREDENTIALS_NS, _CREDENTIAL_NODES, "@id"),
                    **_typed(
                        CREDENTIALS_NS,
                        ("validFrom", "validUntil"),
                        "http://www.w3.org/2001/XMLSchema#dateTime",
                    ),
                },
            },
        }
    },
}


def loader(url: str, options: object) -> dict[str, Any]:
    """A document loader that knows these and asks nobody."""
    del options
    return {"contextUrl": None, "documentUrl": url, "document": CONTEXTS[url]}
