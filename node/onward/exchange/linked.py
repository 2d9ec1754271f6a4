"""What the JSON-LD exports share: prefixes, typed values, and the names of things.

Contexts stand in the documents, so that they expand without a network; where a standard demands its
own context by address (ODRL, Verifiable Credentials), the terms used are those that it defines.
"""

from __future__ import annotations

from typing import Any

from onward.exchange.moments import duration, instant

Json = dict[str, Any]

DPV = "https://w3id.org/dpv#"
PREFIXES: dict[str, str] = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": DPV,
    "dpv-pd": "https://w3id.org/dpv/pd#",
    "onward": "urn:onward:vocabulary:",
    "prov": "http://www.w3.org/ns/prov#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def prefixes(*names: str) -> dict[str, str]:
    """The prefixes of a context. `dpv`, `dpv-pd` and `onward` are in purposes and categories."""
    return {name: PREFIXES[name] for name in sorted({"dpv", "dpv-pd", "onward", *names})}


def ref(iri: str) -> Json:
    """A reference to something."""
    return {"@id": iri}


def when(time_ms: int) -> Json:
    """A moment."""
    return {"@type": "xsd:dateTime", "@value": instant(time_ms)}


def span(span_ms: int) -> Json:
    """A duration."""
    return {"@type": "xsd:duration", "@value": duration(span_ms)}
