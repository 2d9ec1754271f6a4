"""The formats that an agreement can be exported to, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onward.errors import RejectedError
from onward.exchange.consent_record import consent_record
from onward.exchange.credential import credential
from onward.exchange.dossier import Dossier
from onward.exchange.kantara import kantara_receipt
from onward.exchange.letters import json_text
from onward.exchange.linked import Json
from onward.exchange.odrl import odrl_agreement
from onward.exchange.provenance import provenance

E_INEXPRESSIBLE = "E_INEXPRESSIBLE"
CONSENT = "dpv:Consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat:
    """One format. `consent_only`: it speaks of consent, and of nothing else."""

    summary: str
    export: Callable[[Dossier], Json]
    consent_only: bool = False


FORMATS: dict[str, ExportFormat] = {
    "kantara": ExportFormat(
        summary="Kantara consent receipt 1.1", export=kantara_receipt, consent_only=True
    ),
    "iso27560": ExportFormat(
        summary="ISO/IEC TS 27560 consent record, DPV in JSON-LD",
        export=consent_record,
        consent_only=True,
    ),
    "odrl": ExportFormat(summary="ODRL 2.2 agreement", export=odrl_agreement),
    "prov": ExportFormat(summary="W3C PROV-O in JSON-LD", export=provenance),
    "vc": ExportFormat(
        summary="W3C Verifiable Credential 2.0, receipts as evidence", export=credential
    ),
}


def export_text(name: str, dossier: Dossier) -> str:
    """The export's text. Raises `RejectedError` E_INEXPRESSIBLE where the format would mislead."""
    chosen = FORMATS[name]
    basis = dossier.agreement.lawful_basis
    if chosen.consent_only and basis != CONSENT:
        raise RejectedError(
            E_INEXPRESSIBLE,
            f"the agreement rests on {basis}; {chosen.summary} speaks of consent only",
        )
    return json_text(chosen.export(dossier), indent=2) + "\n"
