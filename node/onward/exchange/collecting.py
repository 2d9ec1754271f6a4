"""How a dossier comes together: which questions, in which order, and that the answers fit.

The chain goes on while it is asked, and not every answer need be the same node's. Whoever collects
asks for the agreement last as well as first: when it has changed in between, or the parts
contradict each other all the same, all are asked for again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from onward.errors import MalformedError, RejectCode, RejectedError, Unavailable
from onward.exchange.coherence import parse_dossier
from onward.exchange.dossier import FORMAT, FOUNDING, HANDED_OVER
from onward.limits import DOSSIER_BYTES_MAX, DOSSIER_ROWS_MAX
from onward_proto.documents import DocumentError, canonical_document

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""(query of the contract, arguments) -> its answer. Raises `RejectedError`, `Unavailable`."""

ROUNDS_MAX = 3
_PASSING = ("as_of_ms", "height")
_PAGE = 200
T = TypeVar("T")


async def collect(ask: Ask, agreement_id: str, chain_id: bytes) -> dict[str, Any]:
    """The dossier of an agreement, without receipts.

    Raises `Unavailable` when the answers did not fit together any time that they were asked for,
    `RejectedError` E_SIZE past the bounds of a dossier.
    """
    why = ""
    for _ in range(ROUNDS_MAX):
        found = await _once(ask, agreement_id, chain_id)
        again = await ask("agreement", {"agreement_id": agreement_id})
        if _lasting(again) != _lasting(found["agreement"]):
            why = "it changes while it is read"
            continue
        try:
            parse_dossier(_sized(found))
        except (DocumentError, MalformedError) as error:
            why = str(error)
            continue
        return found
    raise Unavailable(f"no dossier of {agreement_id} in {ROUNDS_MAX} rounds: {why}")


def founding_steps(dossier: Mapping[str, Any]) -> list[str]:
    """The transactions whose receipts show how the agreement came about, oldest first."""
    steps = [*dossier["handshake"], *dossier["history"]]
    found = [step["tx_id"] for step in steps if step["event"] in FOUNDING]
    return list(dict.fromkeys(found))


async def _once(ask: Ask, agreement_id: str, chain_id: bytes) -> dict[str, Any]:
    about = {"agreement_id": agreement_id}
    agreement = await ask("agreement", about)
    path, nodes = await _paged(ask, "lineage", about, "nodes")
    _, history = await _paged(ask, "history", about, "steps")
    terms_id = _said(agreement, "agreement", "terms_id")
    schema_id = _said(agreement, "agreement", "schema_id")
    return {
        "format": FORMAT,
        "chain_id": chain_id.hex(),
        "agreement": agreement,
        "lineage": {"path": _rows(path, "lineage", "path"), "nodes": nodes},
        "history": history,
        "handshake": await _handshake(ask, agreement),
        "shares": [await ask("share", {"share_id": share_id}) for share_id in _share_ids(history)],
        "terms": await ask("terms", {"terms_id": terms_id}),
        "schema": await ask("schema", {"schema_id": schema_id}),
        "receipts": {},
    }


async def _handshake(ask: Ask, agreement: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps that led to the agreement; none for who took no part in them."""
    if agreement.get("offer_id") is None:
        return []
    offer_id = _said(agreement, "agreement", "offer_id")
    try:
        _, steps = await _paged(ask, "handshake", {"offer_id": offer_id}, "steps")
    except RejectedError as error:
        if error.code != RejectCode.READER:
            raise
        return []
    return [step for step in steps if _led_here(step, agreement)]


def _led_here(step: Mapping[str, Any], agreement: Mapping[str, Any]) -> bool:
    """The offer, the counter-offer to it that was accepted, and the acceptance.

    An offer to everybody has a thread that tells of others who answered it, each with an agreement
    of its own, or none: what they did is not how this one came about.
    """
    match step.get("event"):
        case "agreement.offer":
            return True
        case "agreement.counter":
            return bool(step.get("offer_id") == agreement["offer_id"])
        case "agreement.accept":
            return bool(step.get("agreement_id") == agreement.get("series_id"))
        case _:
            return False


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
        found += _rows(page, query, rows)
        if len(found) > DOSSIER_ROWS_MAX:
            break
        cursor = {"after": _said(page, query, "next")}
        if not cursor["after"]:
            return first, found
    raise RejectedError(
        RejectCode.SIZE, f"{query}: more than {DOSSIER_ROWS_MAX} rows for one document"
    )


def _share_ids(history: list[dict[str, Any]]) -> list[str]:
    """The shares that were made under the agreement, each once, in the order of its history."""
    made = [
        _said(step, "history", "share_id") for step in history if step.get("event") in HANDED_OVER
    ]
    return list(dict.fromkeys(made))


def _sized(dossier: dict[str, Any]) -> bytes:
    data = canonical_document(dossier)
    if len(data) > DOSSIER_BYTES_MAX:
        raise RejectedError(
            RejectCode.SIZE, f"a dossier of {len(data)} bytes, at most {DOSSIER_BYTES_MAX}"
        )
    return data


def _said(answer: Mapping[str, Any], query: str, key: str) -> str:
    return _typed(answer, query, key, str)


def _rows(answer: Mapping[str, Any], query: str, key: str) -> list[dict[str, Any]]:
    rows = _typed(answer, query, key, list)
    if not all(isinstance(row, dict) for row in rows):
        raise _no_answer(query, key)
    return rows


def _typed(answer: Mapping[str, Any], query: str, key: str, kind: type[T]) -> T:
    """What an answer must have, so that one can go on. Who answers may be anybody."""
    value = answer.get(key)
    if not isinstance(value, kind):
        raise _no_answer(query, key)
    return value


def _no_answer(query: str, key: str) -> Unavailable:
    return Unavailable(f"a node's answer to {query} has no {key} that could be one: ask another")


def _lasting(agreement: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer says of the agreement, and not of the moment."""
    return {key: value for key, value in agreement.items() if key not in _PASSING}
