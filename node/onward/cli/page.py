"""Answers as pages for people: names and values, lists as tables, lineage as a tree.

Programs take `--json`. Here times become dates, pseudonyms become the names of the wallet, and ids
inside lists are shortened; the ids at the top stay whole, because the next command wants them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from onward.cli.output import plain_table
from onward.cli.target import Target
from onward.exchange.letters import spelled_values
from onward.scenario.moments import UNITS_MS
from onward_chaincode.forms import HASH
from onward_chaincode.limits import DEPTH_MAX

_HASH_SHOWN = 12
_COLUMNS_MAX = 6
_DATE_FLOOR_MS = 1_000_000_000_000
_DATE_CEILING_MS = 253_402_300_800_000  # the year 10 000, which calendars do not reach
_LEVELS_MAX = 2 * DEPTH_MAX  # of agreements, and of shares within them
_HIDDEN = ("next", "proven")

# What is worth a column, where rows have more keys than a page has room.
_PREFERRED = (
    "role", "status", "code", "rule", "sharer", "recipient", "counterparty", "sender", "name",
    "index", "step", "event", "what", "purpose", "industry", "price_minor", "responder",
    "agreement_id", "share_id", "intent_id", "response_id", "at_ms", "refused_at_ms",
    "recorded_at_ms", "second_party", "terms_id", "ends_at_ms", "category", "identifying",
)  # fmt: skip


# What a reader looks for first.
_FIRST = (
    "label",
    "title",
    "status",
    "code",
    "effective",
    "because",
    "because_of",
    "state",
    "party",
)


def show_document(out: Console, document: Mapping[str, Any], target: Target, *, title: str) -> None:
    """Print an answer of a query. Whoever answered may have said anything, in any form."""
    page = _Page(out, target)
    document = spelled_values(document)
    if title == "lineage" and _is_lineage(document):
        page.lineage(document)
        return
    page.mapping({key: value for key, value in document.items() if key not in _HIDDEN})
    if document.get("next"):
        out.print()
        out.print(_more(document))


class _Page:
    """One answer on its way to the console."""

    def __init__(self, out: Console, target: Target) -> None:
        self._out = out
        self._names = _names(target)

    def mapping(self, document: Mapping[str, Any], indent: int = 0) -> None:
        """Names and values, then what is nested, each under its name."""
        table = plain_table("", "")
        table.show_header = False
        document = dict(sorted(document.items(), key=lambda item: _rank(item[0])))
        nested: list[tuple[str, Any]] = []
        for key, value in document.items():
            if _is_nested(value):
                nested.append((key, value))
            elif value is not None:
                table.add_row(Text(_label(key), style="dim"), self._value(key, value, whole=True))
        if table.row_count:
            self._print(table, indent)
        for key, value in nested:
            self._nested(key, value, indent)

    def lineage(self, document: Mapping[str, Any]) -> None:
        """From the rights holder down, with a line for each agreement or share."""
        path = list(reversed(document["path"]))
        root = Tree(Text(f"{self.party(document['rights_holder'])}, whose data it is", "bold"))
        branch = root
        below: Sequence[Mapping[str, Any]] = path[:-1]
        for above in below:
            branch = branch.add(self._holding(above))
        branch = branch.add(self._holding({**path[-1], **document["top"]}))
        branches = {0: branch}
        for node in document["nodes"]:
            level = node["level"]
            for upper in range(1, level):  # a page may begin in the middle of the tree
                if upper not in branches:
                    branches[upper] = branches[upper - 1].add(Text("…", style="dim"))
            branches[level] = branches[level - 1].add(self._holding(node))
        self._out.print(root)
        if document.get("next"):
            self._out.print(_more(document))

    def party(self, party_id: str) -> str:
        """A party's name, if the wallet has one."""
        return self._names.get(party_id, party_id)

    def _holding(self, node: Mapping[str, Any]) -> Text:
        holder = node.get("holder") or node.get("second_party") or node.get("recipient", "?")
        effective = bool(node.get("effective", True))
        line = Text(self.party(str(holder)), style="bold")
        line.append(f"  {node.get('status', '')}", style="green" if effective else "red")
        record = str(node.get("share_id") or node.get("agreement_id", ""))
        line.append(f"  {record[:_HASH_SHOWN]}…", style="dim")
        ends = node.get("ends_at_ms")
        if effective and isinstance(ends, int):
            line.append(f"  until {date_of(ends)}", style="dim")
        return line

    def _nested(self, key: str, value: Any, indent: int) -> None:
        self._out.print()
        self._print(Text(_label(key), style="bold"), indent)
        if not value or (isinstance(value, Mapping) and value.get("total") == 0):
            self._print(Text("none", style="dim"), indent + 2)
        elif isinstance(value, Mapping):
            self.mapping(value, indent + 2)
        else:
            self._print(self._rows(value), indent + 2)

    def _rows(self, rows: Sequence[Mapping[str, Any]]) -> Table:
        keys = [key for key in rows[0] if not _is_nested(rows[0][key])]
        ranked = [key for key in _PREFERRED if key in keys] + [
            key for key in keys if key not in _PREFERRED
        ]
        chosen = ranked[:_COLUMNS_MAX]
        table = plain_table(*(_label(key) for key in chosen))
        for key, column in zip(chosen, table.columns, strict=True):
            column.no_wrap = key == "code"  # half a code is none
        for row in rows:
            table.add_row(*(self._value(key, row.get(key), whole=False) for key in chosen))
        return table

    def _value(self, key: str, value: Any, *, whole: bool) -> Text:
        if isinstance(value, bool):
            return Text("yes" if value else "no")
        if isinstance(value, int) and key.endswith("_ms"):
            return Text(date_of(value) if value >= _DATE_FLOOR_MS else _duration(value))
        if isinstance(value, str) and value in self._names:
            return Text(self._names[value])
        if isinstance(value, str) and HASH.fullmatch(value) and not whole:
            return Text(f"{value[:_HASH_SHOWN]}…")
        if isinstance(value, list):
            words = [str(self._value(key, item, whole=whole)) for item in value]
            return Text(", ".join(words) or "none")
        return Text("-" if value is None else str(value))

    def _print(self, what: Any, indent: int) -> None:
        self._out.print(Padding(what, (0, 0, 0, indent), expand=False))


def _more(document: Mapping[str, Any]) -> str:
    """How to go on; the cursor is a word to whatever shell it is copied into."""
    return f"There is more: --after {shlex.quote(str(document['next']))}"


def _is_lineage(document: Mapping[str, Any]) -> bool:
    """Whether the answer is a path with a tree below it, as deep as they are."""
    nodes: Any = document.get("nodes")
    return (
        _is_rows(document.get("path"))
        and isinstance(document.get("rights_holder"), str)
        and isinstance(document.get("top"), Mapping)
        and (nodes == [] or _is_rows(nodes))
        and all(node.get("level") in range(1, _LEVELS_MAX + 1) for node in nodes)
    )


def _is_rows(value: Any) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)
    )


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping) or _is_rows(value)


def _label(key: str) -> str:
    """A key as words; a code stays as it is."""
    if key.isupper():
        return key
    return key.removesuffix("_ms").replace("_", " ")


def date_of(time_ms: int) -> str:
    """A moment as people read it, UTC."""
    if not 0 <= time_ms < _DATE_CEILING_MS:
        return f"{time_ms} ms"  # any party may name such a time, and no page shall fail for it
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _duration(ms: int) -> str:
    """`30d`, `1h 30min`: whole units, largest first."""
    parts = []
    for unit, size in reversed(UNITS_MS.items()):
        amount, ms = divmod(ms, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return " ".join(parts) or "0"


def _rank(key: str) -> int:
    """What matters most comes first, the rest stays in the answer's order."""
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)


def _names(target: Target) -> dict[str, str]:
    wallet = target.wallet
    if wallet is None:
        return {}
    identities = [wallet.load(name) for name in wallet.names()]
    return {
        item.party_id: item.name
        if item.name == item.party_id
        else f"{item.name} ({item.party_id[:8]}…)"
        for item in identities
    }
