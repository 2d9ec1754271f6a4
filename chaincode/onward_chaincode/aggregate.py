"""The aggregated view: what two parties gave each other, in cells that both count alike.

A cell is (direction, counterparty, purpose, field, month). Counted are tallies, not shares:
hand-overs of one month under one agreement with the same purpose and fields are one row, which the
last of them has written with their number. So a view of a million shares costs as much as there
are different things in it. Both sides read the same tallies.
"""

from __future__ import annotations

from onward_chaincode.agreement import find_agreement
from onward_chaincode.answers import Arguments
from onward_chaincode.contract import Json, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.months import MONTH
from onward_chaincode.projections import DIRECTIONS, RECEIVED, TallyRow
from onward_chaincode.schema import find_schema
from onward_proto.canonical import decode

_Cell = tuple[str, str, str, str]


def aggregate(view: View, arguments: Arguments) -> Json:
    """`direction`, `month` ("2026-11", UTC, may be left out), `after`, `limit`.

    A page reads `limit` tallies and answers the cells that they fall into: whoever wants the whole
    adds up the cells of all pages.
    """
    direction, month = arguments.word("direction"), arguments.word("month")
    after, limit = arguments.page()
    arguments.done()
    if direction not in DIRECTIONS:
        raise refuse(Code.FORMAT, f"direction is one of {', '.join(DIRECTIONS)}", rule="")
    if month and not MONTH.fullmatch(month):
        raise refuse(Code.FORMAT, "argument 'month': expected a month such as 2026-11", rule="")
    prefix = f"tally/{view.reader}/{direction}/"
    start, end = (
        (f"{prefix}{month}/", f"{prefix}{month}0") if month else (prefix, prefix[:-1] + "0")
    )
    found = view.projected(max(start, prefix + after), end, limit + 2)
    rows = [(key[len(prefix) :], value) for key, value in found if key != prefix + after]
    cells: dict[_Cell, int] = {}
    shares = 0
    for rest, value in rows[:limit]:
        tally = decode(TallyRow, value)
        shares += tally.count
        for cell in _cells_of(view, direction, rest, tally):
            cells[cell] = cells.get(cell, 0) + tally.count
    return {
        "cells": [
            {"counterparty": who, "count": count, "field": field, "month": when, "purpose": what}
            for (who, what, field, when), count in sorted(cells.items())
        ],
        "direction": direction,
        "next": rows[limit - 1][0] if len(rows) > limit else "",
        "party": view.reader,
        "proven": False,
        "shares": shares,
    }


def _cells_of(view: View, direction: str, rest: str, tally: TallyRow) -> list[_Cell]:
    """The cells that one tally falls into: one for each of its fields."""
    month, agreement_id, _ = rest.split("/")
    agreement = find_agreement(view, bytes.fromhex(agreement_id))
    names = find_schema(view, agreement.schema_id).names
    who = agreement.first_party if direction == RECEIVED else agreement.second_party
    return [(who, tally.purpose, names[index], month) for index in tally.fields]
