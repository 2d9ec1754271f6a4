"""How a dossier comes together: which questions, in which order, and that the answers fit.

The chain goes on while it is asked. Whoever collects asks for the agreement last as well as first:
when it has changed in between, the parts may contradict each other, and all are asked for again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from onward.errors import RejectCode, RejectedError, Unavailable
from onward.exchange.dossier import FORMAT
from onward.limits import DOSSIER_ROWS_MAX

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""(query of the contract, arguments) -> its answer. Raises `RejectedError`, `Unavailable`."""

ROUNDS_MAX = 3
_PASSING = ("as_of_ms", "height")
_PAGE = 200
_FOUNDING = (
    "agreement.accept",
    "agreement.amend",
    "agreement.counter",
    "agreement.offer",
    "share.onward",
)


async def collect(ask: Ask, agreement_id: str, chain_id: bytes) -> dict[str, Any]:
    """The dossier of an agreement, without receipts.

    Raises `Unavailable` when the agreement changed each time that it was read.
    """
    for _ in range(ROUNDS_MAX):
        found = await _once(ask, agreement_id, chain_id)
        again = await ask("agreement", {"agreement_id": agreement_id})
        if _lasting(again) == _lasting(found["agreement"]):
            return found
    raise Unavailable(f"the agreement {agreement_id} changes while it is read: try again")


def founding_steps(dossier: Mapping[str, Any]) -> list[str]:
    """The transactions whose receipts show how the agreement came about, oldest first."""
    steps = [*dossier["handshake"], *dossier["history"]]
    found = [step["tx_id"] for step in steps if step["event"] in _FOUNDING]
    return list(dict.fromkeys(found))


async def _once(ask: Ask, agreement_id: str, chain_id: bytes) -> dict[str, Any]:
    about = {"agreement_id": agreement_id}
    agreement = await ask("agreement", about)
    path, nodes = await _paged(ask, "lineage", about, "nodes")
    _, history = await _paged(ask, "history", about, "steps")
    terms = await ask("terms", {"terms_id": agreement["terms_id"]})
    schema = await ask("schema", {"schema_id": agreement["schema_id"]})
    return {
        "format": FORMAT,
        "chain_id": chain_id.hex(),
        "agreement": agreement,
        "lineage": {"path": path["path"], "nodes": nodes},
        "history": history,
        "handshake": await _handshake(ask, agreement.get("offer_id")),
        "shares": [await ask("share", {"share_id": share_id}) for share_id in _share_ids(history)],
        "terms": terms,
        "schema": schema,
        "receipts": {},
    }


async def _handshake(ask: Ask, offer_id: str | None) -> list[dict[str, Any]]:
    """The steps that led to the agreement; none for who took no part in them."""
    if offer_id is None:
        return []
    try:
        _, steps = await _paged(ask, "handshake", {"offer_id": offer_id}, "steps")
    except RejectedError as error:
        if error.code != RejectCode.READER:
            raise
        return []
    return steps


async def _paged(
    ask: Ask, query: str, about: Mapping[str, Any], rows: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first page, and the rows of all. Raises `RejectedError` E_SIZE past the bound."""
    found: list[dict[str, Any]] = []
    first: dict[str, Any] = {}
    cursor: dict[str, Any] = {}
    # Bounded in pages as well as in rows: a node may answer with pages that lead nowhere.
    for _ in range(DOSSIER_ROWS_MAX // _PAGE):
        page = await ask(query, {**about, "limit": _PAGE, **cursor})
        first = first or page
        found += page[rows]
        cursor = {"after": page["next"]}
        if not page["next"]:
            return first, found
    raise RejectedError(
        RejectCode.SIZE, f"{query}: more than {DOSSIER_ROWS_MAX} rows for one document"
    )


def _share_ids(history: list[dict[str, Any]]) -> list[str]:
    """The shares that were made under the agreement, each once, in the order of its history."""
    made = [
        step["share_id"] for step in history if step["event"] in ("share.onward", "share.record")
    ]
    return list(dict.fromkeys(made))


def _lasting(agreement: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer says of the agreement, and not of the moment."""
    return {key: value for key, value in agreement.items() if key not in _PASSING}
