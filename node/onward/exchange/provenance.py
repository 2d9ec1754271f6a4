"""Provenance after W3C PROV-O, as JSON-LD: who gave what to whom, and from what it came.

A share is an activity, what it handed over an entity that stands for the data and holds its
commitment, never the data. A custodian acts on behalf of whoever gave it the data.
"""

from __future__ import annotations

from onward.exchange.dossier import Agreement, Dossier, Share
from onward.exchange.linked import Json, prefixes, ref, when

_OVER = ("EXPIRED", "TERMINATED")


def provenance(dossier: Dossier) -> Json:
    """The agreement, everybody on its path and below it, and the shares made under it."""
    agreements = {item.agreement_id: item for item in (*dossier.path, *dossier.below)}
    delegators: dict[str, set[str]] = {}
    for item in agreements.values():
        delegators.setdefault(item.first_party, set())
        delegators.setdefault(item.second_party, set()).add(item.first_party)
    return {
        "@context": prefixes("dct", "prov", "xsd"),
        "@graph": [
            *(_agent(dossier, party, delegators[party]) for party in sorted(delegators)),
            *(_agreement(dossier, agreements[item]) for item in sorted(agreements)),
            *(node for share in dossier.shares for node in _share(dossier, share)),
        ],
    }


def _agent(dossier: Dossier, party: str, delegators: set[str]) -> Json:
    found: Json = {
        "@id": dossier.iri("party", party),
        "@type": "prov:Agent",
        "dct:identifier": party,
    }
    if delegators:
        found["prov:actedOnBehalfOf"] = [
            ref(dossier.iri("party", delegator)) for delegator in sorted(delegators)
        ]
    return found


def _agreement(dossier: Dossier, item: Agreement) -> Json:
    found: Json = {
        "@id": dossier.iri("agreement", item.agreement_id),
        "@type": ["prov:Entity", "prov:Plan", "onward:Agreement"],
        "prov:generatedAtTime": when(item.accepted_at_ms),
        "prov:wasAttributedTo": [
            ref(dossier.iri("party", party)) for party in (item.first_party, item.second_party)
        ],
        "onward:hasTerms": ref(dossier.iri("terms", item.terms_id)),
        "onward:status": item.status,
    }
    parent = dossier.parent_of(item)
    if parent is not None:
        found["prov:wasDerivedFrom"] = ref(dossier.iri("agreement", parent))
    if item.supersedes_id is not None:
        found["prov:wasRevisionOf"] = ref(dossier.iri("agreement", item.supersedes_id))
    if item.status in _OVER and item.ends_at_ms is not None:
        found["prov:invalidatedAtTime"] = when(item.ends_at_ms)
    return found


def _share(dossier: Dossier, share: Share) -> list[Json]:
    sender, recipient = (dossier.iri("party", name) for name in (share.sender, share.recipient))
    activity: Json = {
        "@id": dossier.iri("share", share.share_id),
        "@type": ["prov:Activity", "onward:Share"],
        "prov:startedAtTime": when(share.recorded_at_ms),
        "prov:endedAtTime": when(share.recorded_at_ms),
        "prov:wasAssociatedWith": [ref(sender), ref(recipient)],
        "prov:qualifiedAssociation": {
            "@type": "prov:Association",
            "prov:agent": ref(sender),
            "prov:hadPlan": ref(dossier.iri("agreement", share.agreement_id)),
        },
        "onward:purpose": ref(share.purpose) if share.purpose else [],
        "onward:transform": share.transform,
    }
    data: Json = {
        "@id": dossier.iri("data", share.share_id),
        "@type": "prov:Entity",
        "prov:wasGeneratedBy": ref(activity["@id"]),
        "prov:wasAttributedTo": ref(recipient),
        "onward:commitment": share.commitment,
        "onward:field": [ref(_field(dossier, index)) for index in share.fields],
    }
    if share.parent_share_id is not None:
        source = ref(dossier.iri("data", share.parent_share_id))
        activity["prov:used"] = source
        data["prov:wasDerivedFrom"] = source
    if share.withdrawn_at_ms is not None:
        data["prov:invalidatedAtTime"] = when(share.withdrawn_at_ms)
    return [activity, data]


def _field(dossier: Dossier, index: int) -> str:
    return dossier.iri("field", f"{dossier.schema.schema_id.hex()}/{index}")
