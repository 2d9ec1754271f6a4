"""Terms and schemas of a scenario: shipped ones, variations of them, or written in place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, TypeVar

from onward.scenario.errors import ScenarioError
from onward_chaincode.drafts import DraftError, published_id

T = TypeVar("T")

_ROSTER = "counter_roster"


def shipped_documents() -> dict[str, dict[str, Any]]:
    """The terms and schemas that the contract's package ships, by label. Reads package data."""
    found: dict[str, dict[str, Any]] = {}
    for folder in ("terms", "schemas"):
        place = resources.files("onward_chaincode") / "fixtures" / folder
        for file in sorted(place.iterdir(), key=lambda item: item.name):
            if file.name.endswith(".json"):
                document = json.loads(file.read_text(encoding="utf-8"))
                found[document["label"]] = document
    return found


def read_documents(
    table: Mapping[str, Any],
    section: str,
    fixtures: Mapping[str, Mapping[str, Any]],
    entry: Callable[..., T],
) -> dict[str, T]:
    """The documents of a section, each handed to `entry`. Raises `ScenarioError`."""
    found: dict[str, T] = {}
    ids: dict[str, str] = {}
    for name, value in table.items():
        what = f"[{section}] {name}"
        published = True
        if isinstance(value, str):
            document = _fixture(value, what, section, fixtures)
        elif isinstance(value, dict):
            content = dict(value)
            published = content.pop("published", True)
            if not isinstance(published, bool):
                raise ScenarioError(f"{what}: published: expected true or false")
            document = _varied(content, what, section, fixtures, ids)
        else:
            raise ScenarioError(f"{what}: expected a label or a table, got {value!r}")
        try:
            ids[name] = published_id(document)
        except DraftError as error:
            raise ScenarioError(f"{what}: {error}") from None
        found[name] = entry(
            name=name, document=document, document_id=ids[name], published=published
        )
    return found


def _fixture(
    label: str, what: str, section: str, fixtures: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    kind = {"terms": "onward/terms/", "schemas": "onward/schema/"}[section]
    known = [name for name in fixtures if str(fixtures[name].get("format")).startswith(kind)]
    if label not in known:
        raise ScenarioError(
            f"{what}: no {section} {label!r} are shipped; known: {', '.join(known)}"
        )
    return dict(fixtures[label])


def _varied(
    content: dict[str, Any],
    what: str,
    section: str,
    fixtures: Mapping[str, Mapping[str, Any]],
    ids: Mapping[str, str],
) -> dict[str, Any]:
    """A document written in place; with `like`, a shipped one with these keys for its own."""
    like = content.pop("like", None)
    if like is None:
        document = content
    else:
        document = _fixture(str(like), what, section, fixtures)
        changed = content.pop("clauses", {})
        if not isinstance(changed, dict):
            raise ScenarioError(f"{what}: clauses: expected a table, got {changed!r}")
        document |= content
        if changed:
            document["clauses"] = {**document.get("clauses", {}), **changed}
    said = document.get("clauses")
    if isinstance(said, dict) and isinstance(said.get(_ROSTER), list):
        roster = sorted(_member(item, what, ids) for item in said[_ROSTER])
        document["clauses"] = {**said, _ROSTER: roster}
    return document


def _member(item: object, what: str, ids: Mapping[str, str]) -> str:
    """A member of a roster: an id, or `@` and the name of terms that stand above."""
    if not isinstance(item, str):
        raise ScenarioError(f"{what}: {_ROSTER}: expected a text, got {item!r}")
    if item.startswith("@"):
        if item[1:] not in ids:
            raise ScenarioError(f"{what}: {_ROSTER}: no terms {item[1:]!r} stand above")
        return ids[item[1:]]
    return item
