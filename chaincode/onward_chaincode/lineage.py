"""The lineage of a share or an agreement: the path up to the rights holder and the tree below.

The tree comes in pages, parents before children, siblings by id. The cursor is the path from the
top to the last node given, so that a page is found again without reading what came before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from onward_chaincode.agreement import find_agreement
from onward_chaincode.answers import (
    Arguments,
    agreement_json,
    duty_json,
    require_path_reader,
    share_json,
    standing_json,
)
from onward_chaincode.contract import Json, View
from onward_chaincode.errors import Code, refuse
from onward_chaincode.forms import HASH
from onward_chaincode.records import AgreementRecord
from onward_chaincode.share import find_share
from onward_chaincode.standing import current_of, line_of


@dataclass(frozen=True, slots=True)
class _Top:
    """Where a tree begins: `kind` is the projection to follow, `child` or `passed`."""

    kind: str
    id: str


def lineage(view: View, arguments: Arguments) -> Json:
    """Either `agreement_id` or `share_id`; `after`, `limit`."""
    agreement_id = arguments.optional_id("agreement_id")
    share_id = arguments.optional_id("share_id")
    after, limit = arguments.page()
    arguments.done()
    if (agreement_id is None) == (share_id is None):
        raise refuse(Code.FORMAT, "name either agreement_id or share_id", rule="")
    if share_id is not None:
        share = find_share(view, share_id)
        agreement = current_of(view, find_agreement(view, share.agreement_id))
        return _answer(view, agreement, _Top("passed", share_id.hex()), after, limit)
    if agreement_id is None:
        raise refuse(Code.FORMAT, "agreement_id is missing", rule="")
    agreement = find_agreement(view, agreement_id)
    return _answer(view, agreement, _Top("child", agreement.series.hex()), after, limit)


def _answer(view: View, agreement: AgreementRecord, top: _Top, after: str, limit: int) -> Json:
    line = line_of(view, agreement)
    require_path_reader(view, line, f"the lineage of {top.id}")
    paths, following = _walk(view, top, after, limit)
    node = _share_node if top.kind == "passed" else _agreement_node
    path = [agreement_json(line[index:], view.time_ms) for index in range(len(line))]
    return {
        "next": following,
        "nodes": [node(view, path_to_node) for path_to_node in paths],
        "path": path,
        "proven": False,
        "rights_holder": agreement.rights_holder,
        "top": {**node(view, [top.id]), "level": 0},
    }


def _walk(view: View, top: _Top, after: str, limit: int) -> tuple[list[list[str]], str]:
    """Up to `limit` paths from below `top`, depth first, and the cursor behind them or ""."""
    frames = _resume(view, top, after)
    paths: list[list[str]] = []
    while frames:
        parent, last = frames.pop()
        child = _next_child(view, top.kind, parent, last)
        if child is None:
            continue
        if len(paths) == limit:
            return paths, "/".join(paths[-1])
        frames.append((parent, child))
        paths.append([last for _, last in frames])
        frames.append((child, ""))
    return paths, ""


def _resume(view: View, top: _Top, after: str) -> list[tuple[str, str]]:
    """The frames (parent, last child given) that a cursor stands for, each step checked."""
    frames: list[tuple[str, str]] = []
    parent = top.id
    for child in after.split("/") if after else ():
        key = f"{top.kind}/{parent}/{child}"
        if not HASH.fullmatch(child) or [k for k, _ in view.projected(key, key + "0", 1)] != [key]:
            raise refuse(Code.FORMAT, "argument 'after' is no cursor of this lineage", rule="")
        frames.append((parent, child))
        parent = child
    return [*frames, (parent, "")]


def _next_child(view: View, kind: str, parent: str, last: str) -> str | None:
    prefix = f"{kind}/{parent}/"
    rows = view.projected(prefix + last, f"{kind}/{parent}0", 2)
    behind = [key[len(prefix) :] for key, _ in rows if key != prefix + last]
    return behind[0] if behind else None


def _agreement_node(view: View, path: list[str]) -> Json:
    agreement = current_of(view, find_agreement(view, bytes.fromhex(path[-1])))
    line = line_of(view, agreement)
    return {
        "duty": duty_json(view, line, view.time_ms),
        "level": len(path),
        "parent": path[-2] if len(path) > 1 else None,
        **agreement_json(line, view.time_ms),
    }


def _share_node(view: View, path: list[str]) -> Json:
    share = find_share(view, bytes.fromhex(path[-1]))
    line = line_of(view, current_of(view, find_agreement(view, share.agreement_id)))
    return {
        "duty": duty_json(view, line, view.time_ms),
        "holder": share.recipient,
        "level": len(path),
        "terms_id": line[0].terms_id.hex(),
        **share_json(share),
        **standing_json(line, view.time_ms),
    }
