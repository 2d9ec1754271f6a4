"""The contract that the gate is shown: one that the package offers, or a file of somebody's.

A file either has a `CONTRACT`, or is a contract itself: `TYPES` and `apply(ctx, call)`, and where
it has them `query` and `project`. `TRIAL`, pairs of a type and payload bytes, is what the double
execution sends it; without one every type is sent a few payloads of the gate's own.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from onward.errors import MalformedError
from onward.gate.rules import CHAINCODE
from onward_chaincode.contract import Call, Context, Contract, Event, Json, Reader, Recorded, View
from onward_chaincode.forms import shapes
from onward_chaincode.registry import contract_for, newest, payloads_of
from onward_proto.canonical import CanonicalError, encode

TRIAL_ROUNDS = 4
TRIAL_CALLS_MAX = 500
SOURCE_BYTES_MAX = 1024 * 1024
SOURCES_MAX = 200


class SubjectError(MalformedError):
    """What was named is no contract; the message says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A contract by name and version, or by the path of its file (then the name is "")."""

    name: str = ""
    version: int = 0
    path: str = ""

    @property
    def label(self) -> str:
        """How reports call it."""
        return self.path or f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One module of a contract."""

    module: str
    file: str
    text: str


def subject_of(text: str) -> Subject:
    """What was typed: a contract's name, or a path. Raises `SubjectError`."""
    version = newest(text)
    if version is not None:
        return Subject(name=text, version=version)
    path = Path(text)
    if not path.is_file() or path.suffix != ".py":
        raise SubjectError(f"{text}: neither a contract of this package nor a Python file")
    return Subject(path=str(path.resolve()))


def sources_of(subject: Subject) -> tuple[Source, ...]:
    """The contract's module and those beside it that it imports, sorted by file."""
    if subject.path:
        first = Path(subject.path)
        return _reachable(first.stem, first, lambda name: _beside(first.parent, name))
    module = type(contract_of(subject)).__module__
    return _reachable(module, _packaged(module), _packaged)


def contract_of(subject: Subject) -> Contract:
    """The contract itself: its code is run. Raises `SubjectError`."""
    if not subject.path:
        found = contract_for(subject.name, subject.version)
        if found is None:
            raise SubjectError(f"no contract {subject.label}")
        return found
    return contract_in(load(subject.path), subject.path)


def load(path: str) -> ModuleType:
    """The module in a file, which is run. Modules beside it can be imported by it."""
    place = Path(path).resolve()
    spec = importlib.util.spec_from_file_location(f"contract_{place.stem}", place)
    if spec is None or spec.loader is None:
        raise SubjectError(f"{path}: cannot be loaded")
    if str(place.parent) not in sys.path:
        sys.path.append(str(place.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def contract_in(module: ModuleType, path: str) -> Contract:
    """The contract that a loaded file has."""
    found = getattr(module, "CONTRACT", None)
    if found is not None:
        return cast("Contract", found)
    if not callable(getattr(module, "apply", None)) or not getattr(module, "TYPES", ()):
        raise SubjectError(f"{path}: expected CONTRACT, or TYPES and apply(ctx, call)")
    return _ModuleContract(module)


def trial_calls(contract: Contract, module: ModuleType | None) -> list[tuple[str, bytes]]:
    """What a contract without scenarios is sent: its own `TRIAL`, or payloads of the gate's."""
    own = getattr(module, "TRIAL", None)
    if own is not None:
        return [(str(kind), bytes(payload)) for kind, payload in own][:TRIAL_CALLS_MAX]
    return [
        (kind, _made_up(contract.name if module is None else "", kind, number))
        for number in range(TRIAL_ROUNDS)
        for kind in contract.types
    ][:TRIAL_CALLS_MAX]


def _made_up(contract: str, kind: str, number: int) -> bytes:
    """A payload of the gate's own: of the right form, where the package knows the form."""
    chance = sha256(f"trial {number} {kind}".encode()).digest()
    message = payloads_of(contract).get(kind)
    if message is None:
        return chance[: 4 + 4 * number]
    values: dict[str, Any] = {}
    for shape in shapes(message):
        size = max(shape.wire.minimum, min(shape.wire.maximum, 1 + number))
        match shape.wire.kind:
            case _ if not shape.required or shape.wire.message is not None:
                continue
            case "raw":
                values[shape.name] = (chance * (size // len(chance) + 1))[:size]
            case "text":
                values[shape.name] = "A" * size
            case _:
                values[shape.name] = min(shape.wire.maximum, 1 + number)
    try:
        return encode(message(**values))
    except (CanonicalError, TypeError):
        return chance


class _ModuleContract:
    """A file's functions as a `Contract`."""

    name = "trial"
    version = 1

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.types = tuple(sorted(module.TYPES))
        self.queries = tuple(sorted(getattr(module, "QUERIES", ())))

    def apply(self, ctx: Context, call: Call) -> Recorded | None:
        """See `Contract`."""
        return cast("Recorded | None", self._module.apply(ctx, call))

    def query(self, view: View, name: str, arguments: Mapping[str, Any]) -> Json:
        """See `Contract`."""
        return cast("Json", self._module.query(view, name, arguments))

    def project(self, event: Event, tx_id: str, before: Reader, after: Reader) -> dict[str, bytes]:
        """See `Contract`. A file without `project` has no rows."""
        project = getattr(self._module, "project", None)
        return {} if project is None else dict(project(event, tx_id, before, after))


# -- sources ---------------------------------------------------------------------------------------


def _reachable(first: str, place: Path | None, find: Any) -> tuple[Source, ...]:
    found: dict[str, Source] = {}
    waiting: list[tuple[str, Path | None]] = [(first, place)]
    while waiting:
        name, path = waiting.pop()
        if path is None or name in found:
            continue
        if len(found) == SOURCES_MAX or path.stat().st_size > SOURCE_BYTES_MAX:
            raise SubjectError(f"{path}: more than {SOURCES_MAX} modules, or too large")
        text = path.read_text(encoding="utf-8")
        found[name] = Source(module=name, file=str(path), text=text)
        waiting.extend((each, find(each)) for each in _imports(text))
    return tuple(sorted(found.values(), key=lambda source: source.file))


def _imports(text: str) -> set[str]:
    """Every module that a source may mean by what it imports."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=items):
                names |= {item.name for item in items}
            case ast.ImportFrom(module=module, names=items):
                names |= {module or ""} | {f"{module}.{item.name}" for item in items}
                names |= {item.name for item in items} if module is None else set()
            case _:
                pass
    return names - {""}


def _packaged(module: str) -> Path | None:
    """The file of a module of the chaincode package."""
    if module.partition(".")[0] != CHAINCODE:
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # `from module import name`, and the name is no module
        return None
    if spec is None or spec.origin is None or spec.submodule_search_locations is not None:
        return None
    return Path(spec.origin)


def _beside(folder: Path, module: str) -> Path | None:
    path = folder / f"{module}.py"
    return path if module.isidentifier() and path.is_file() else None
