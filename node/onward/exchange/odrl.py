"""An ODRL 2.2 agreement: what the recipient may do with the data from now on.

What is not permitted is prohibited, which ODRL leaves open: `conflict` says that prohibitions win,
and the profile that silence is one. An agreement that is not in force, or of which no field or no
purpose is left, permits nothing.
"""

from __future__ import annotations

from onward.exchange.dossier import SCHEDULED, Dossier
from onward.exchange.linked import PREFIXES, Json, ref, when
from onward_chaincode.terms import ANONYMISED_ONLY, CONSENT_PER_SHARE, PROHIBITED

CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
PROFILE = "urn:onward:odrl-profile:1"


def odrl_agreement(dossier: Dossier) -> Json:
    """The agreement as a policy."""
    agreement = dossier.agreement
    target = dossier.iri("data", agreement.agreement_id)
    policy: Json = {
        "@context": [
            CONTEXT,
            {name: PREFIXES[name] for name in ("dpv", "dpv-pd", "onward", "xsd")},
        ],
        "@type": "Agreement",
        "uid": dossier.iri("agreement", agreement.agreement_id),
        "profile": PROFILE,
        "conflict": "prohibit",
        "assigner": dossier.iri("party", agreement.first_party),
        "assignee": dossier.iri("party", agreement.second_party),
        "target": target,
    }
    in_time = agreement.effective or agreement.status == SCHEDULED
    live = in_time and bool(dossier.purposes) and bool(dossier.fields)
    if live:
        policy["permission"] = [_use(dossier, target), *_onward(dossier, target)]
    prohibited = _prohibited(dossier, target, live=live)
    if prohibited:
        policy["prohibition"] = prohibited
    duties = _duties(dossier, target)
    if duties:
        policy["obligation"] = duties
    return policy


def _use(dossier: Dossier, target: str) -> Json:
    constraints = [_constraint("purpose", "isAnyOf", [ref(iri) for iri in dossier.purposes])]
    return {
        "action": "use",
        "target": target,
        "constraint": [*constraints, *_window(dossier), *_places(dossier)],
    }


def _onward(dossier: Dossier, target: str) -> list[Json]:
    """Passing on: as ODRL's `grantUse`, with the duty that the next policy is this one again."""
    terms = dossier.terms
    if terms.onward_mode == PROHIBITED:
        return []
    duties: list[Json] = [{"action": "nextPolicy", "target": _terms(dossier)}]
    if terms.onward_mode == CONSENT_PER_SHARE:
        holder = dossier.iri("party", dossier.agreement.rights_holder)
        duties.append({"action": "obtainConsent", "consentingParty": holder})
    if terms.onward_mode == ANONYMISED_ONLY:
        duties.append({"action": "anonymize"})
    constraints = [*_window(dossier), *_recipients(dossier)]
    if terms.onward_max_count is not None:
        constraints.append(_constraint("count", "lteq", _number(terms.onward_max_count)))
    rule: Json = {"action": "grantUse", "target": target, "duty": duties}
    return [rule | ({"constraint": constraints} if constraints else {})]


def _recipients(dossier: Dossier) -> list[Json]:
    terms = dossier.terms
    if terms.onward_group is not None:
        return [_constraint("recipient", "isPartOf", ref(dossier.iri("group", terms.onward_group)))]
    if terms.onward_list is None:
        return []
    parties = [ref(dossier.iri("party", party)) for party in terms.onward_list]
    return [_constraint("recipient", "isAnyOf", parties)]


def _prohibited(dossier: Dossier, target: str, *, live: bool) -> list[Json]:
    if not live:
        return [{"action": action, "target": target} for action in ("use", "distribute")]
    found: list[Json] = []
    if dossier.terms.onward_mode == PROHIBITED:
        found.append({"action": "distribute", "target": target})
    if dossier.terms.purposes_forbidden:
        forbidden = [ref(iri) for iri in dossier.terms.purposes_forbidden]
        purpose = _constraint("purpose", "isAnyOf", forbidden)
        found.append({"action": "use", "target": target, "constraint": [purpose]})
    return found


def _duties(dossier: Dossier, target: str) -> list[Json]:
    """To erase when the time to keep the data is over, where the terms ask for it unasked."""
    ends = dossier.agreement.ends_at_ms
    if dossier.terms.deletion != "REQUIRED":
        return []
    rule: Json = {"action": "delete", "target": target}
    if ends is not None:
        after = _constraint("dateTime", "gteq", when(ends + dossier.agreement.retention_ms))
        rule["constraint"] = [after]
    return [rule]


def _window(dossier: Dossier) -> list[Json]:
    found = [_constraint("dateTime", "gteq", when(dossier.agreement.not_before_ms))]
    if dossier.agreement.ends_at_ms is not None:
        found.append(_constraint("dateTime", "lt", when(dossier.agreement.ends_at_ms)))
    return found


def _places(dossier: Dossier) -> list[Json]:
    countries = dossier.agreement.jurisdictions
    if not countries:
        return []
    places = [ref(f"https://w3id.org/dpv/loc#{country}") for country in countries]
    return [_constraint("spatial", "isAnyOf", places)]


def _constraint(left: str, operator: str, right: object) -> Json:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def _number(value: int) -> Json:
    return {"@type": "xsd:integer", "@value": str(value)}


def _terms(dossier: Dossier) -> str:
    return dossier.iri("terms", dossier.agreement.terms_id)
