"""The contract `isa`, version 1: Information Sharing Agreements and onward shares.

A table of transaction types and a table of queries; everything else stands in the rooms of the
nouns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onward_chaincode import (
    amendment,
    approval,
    custody,
    intent,
    mandate,
    obligation,
    offer,
    oversight,
    projections,
    revocation,
    schema,
    share,
    terms,
    views,
)
from onward_chaincode.answers import Arguments
from onward_chaincode.contract import Call, Context, Event, Json, Reader, Recorded, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import open_payload
from onward_chaincode.payloads import PAYLOADS

Handler = Callable[[Context, Any], Recorded | None]

HANDLERS: dict[str, Handler] = {
    "agreement.accept": offer.accept,
    "agreement.amend": amendment.amend,
    "agreement.counter": offer.counter,
    "agreement.offer": offer.offer,
    "agreement.reject": offer.reject,
    "agreement.resume": oversight.resume,
    "agreement.revoke": revocation.revoke,
    "agreement.suspend": oversight.suspend,
    "agreement.terminate": revocation.terminate,
    "agreement.withdraw_offer": offer.withdraw,
    "blob.purge": custody.purge,
    "breach.notify": custody.notify_breach,
    "intent.cast": intent.cast,
    "intent.respond": intent.respond,
    "intent.select": intent.select,
    "intent.withdraw": intent.withdraw,
    "mandate.grant": mandate.grant,
    "mandate.revoke": mandate.revoke,
    "obligation.attest": obligation.attest,
    "obligation.flag_overdue": obligation.flag_overdue,
    "onward.approve": approval.approve,
    "onward.withdraw_approval": approval.withdraw,
    "schema.publish": schema.publish,
    "share.ack": share.acknowledge,
    "share.onward": share.onward,
    "share.record": share.record,
    "share.return": custody.give_back,
    "share.withdraw": share.withdraw,
    "terms.deprecate": terms.deprecate,
    "terms.publish": terms.publish,
    "terms.recall": terms.recall,
    "violation.answer": oversight.answer,
    "violation.flag": oversight.flag,
    "violation.resolve": oversight.resolve,
}


class Isa:
    """The contract. It holds no state of its own."""

    name = "isa"
    version = 1
    types = tuple(sorted(HANDLERS))
    queries = tuple(sorted(views.QUERIES))

    def apply(self, ctx: Context, call: Call) -> Recorded | None:
        """See `Contract`."""
        handler = HANDLERS.get(call.type)
        if handler is None:
            raise refuse(Code.TYPE, f"isa has no transaction type {call.type!r}")
        return handler(ctx, open_payload(PAYLOADS[call.type], call.payload))

    def query(self, view: View, name: str, arguments: Mapping[str, Any]) -> Json:
        """See `Contract`. Every answer carries the time and the height that it speaks of."""
        ask = views.QUERIES.get(name)
        if ask is None:
            raise refuse(Code.TYPE, f"isa has no query {name!r}")
        answer = ask(view, Arguments(arguments))
        return {"as_of_ms": view.time_ms, "height": view.height, **answer}

    def project(self, event: Event, tx_id: str, before: Reader, after: Reader) -> dict[str, bytes]:
        """See `Contract`. What was before is not needed: rows are written whole."""
        del before
        return projections.project(event, tx_id, after)
