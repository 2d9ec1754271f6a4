"""Reading a contract's source for what would make replicas differ.

The gate finds mistakes, it is no sandbox: who wants to deceive it can. A finding may be waived in
the source, by a comment on its line or the line above that says why: `# gate: N10 remembered by its
bytes`. Whoever runs the gate sees every waiver, and decides whether waivers count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from onward.gate.rules import (
    ALLOWED_MODULES,
    CHAINCODE,
    PLAIN_DUNDERS,
    REFUSED_BUILTINS,
    REFUSED_MODULES,
    SWALLOWING,
    UNICODE_METHODS,
    WHOLE_MATH,
    Finding,
    Rule,
)
from onward.gate.scopes import (
    Function,
    Module,
    arguments_of,
    bound_in,
    changed_places,
    inside,
    is_mutable,
    name_of,
    root_of,
)
from onward.gate.unordered import Sets

_WAIVER = re.compile(r"#\s*gate:\s*(N\d\d)\s+(\S.*)", re.ASCII)
_UNICODE_PATTERN = re.compile(r"\\[wWdDsSbB]")
_FLOAT_FORMAT = re.compile(r"[eEfFgG%]$")
_FLOAT_PERCENT = re.compile(r"%[-+ #0-9.]*[eEfFgG]")
_PLAIN_BYTES = frozenset({"bytes", "encode", "hex", "hexdigest"})
_STATE_READERS = frozenset({"Context", "Reader", "View"})

Found = Iterator[tuple[int, Rule, str]]


def read_source(text: str, file: str, neighbours: frozenset[str] = frozenset()) -> list[Finding]:
    """What is wrong with one source. `neighbours`: modules that are read along with it."""
    try:
        tree = ast.parse(text, file)
    except SyntaxError as error:
        return [Finding(file=file, line=error.lineno or 0, rule=Rule.IMPORT, what="no Python")]
    reading = _Reading(tree, neighbours)
    places = {(line, rule, what) for line, rule, what in reading.found()}
    lines = text.splitlines()
    return [
        Finding(file=file, line=line, rule=rule, what=what, waived=_waiver(lines, line, rule))
        for line, rule, what in sorted(places)
    ]


def _waiver(lines: list[str], line: int, rule: Rule) -> str:
    for text in lines[max(0, line - 2) : line]:
        match = _WAIVER.search(text)
        if match is not None and match[1] == rule:
            return match[2].strip()
    return ""


class _Reading:
    def __init__(self, tree: ast.Module, neighbours: frozenset[str]) -> None:
        self._tree = tree
        self._neighbours = neighbours
        self._module = Module(tree)
        self._sets = Sets(tree)

    def found(self) -> Found:
        yield from self._scope(self._tree, ())
        for node in ast.walk(self._tree):
            yield from _imported(node, self._neighbours)
            yield from _numbers(node)
            yield from _text(node)
            yield from _caught(node)
            yield from _process(node)
            if isinstance(node, ast.ClassDef):
                yield from _contract_class(node)

    def _scope(self, scope: ast.Module | Function | ast.ClassDef, outer: tuple[str, ...]) -> Found:
        """A scope and those inside it. `outer`: names bound by the functions around it."""
        bound = bound_in(scope)
        known = {*outer, *bound, *self._module.names}
        if not isinstance(scope, ast.ClassDef):
            for place, what in self._sets.found(scope):
                yield place.lineno, Rule.SET_ORDER, what
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            local = {*outer, *bound} - _declared_global(scope)
            yield from self._remembered(scope, local)
            # A class's names are not seen from its methods.
            outer = (*outer, *bound)
        checked = bound_in(scope) if isinstance(scope, ast.Lambda) else ()
        for node in inside(scope):
            match node:
                case ast.Name(id=name, ctx=ast.Load()) if name not in {*known, *checked}:
                    rule = REFUSED_BUILTINS.get(name)
                    if rule is not None:
                        yield node.lineno, rule, f"{name} is used"
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
                    yield from self._scope(node, outer)
                case _:
                    pass

    def _remembered(self, function: Function, local: set[str]) -> Found:
        """What one transaction leaves in memory for the next."""
        shared = self._module.mutables | self._module.changing_instances
        held = shared | set(self._module.classes) | self._module.functions
        for place in changed_places(function):
            root = root_of(place)
            is_attribute = isinstance(place, ast.Attribute)
            if root in local or not root:
                continue
            if root in self._module.mutables or (is_attribute and root in held):
                yield place.lineno, Rule.MEMORY, f"{root} lasts beyond the transaction and changes"
        for node in ast.walk(function):
            yield from self._kept_going(node, local, held)
            match node:
                case ast.Global(names=names):
                    yield node.lineno, Rule.MEMORY, f"{', '.join(names)} is global and changes"
                case ast.Attribute(value=ast.Call(func=ast.Name(id="type")), ctx=ast.Store()):
                    yield node.lineno, Rule.MEMORY, "a class is changed"
                case _:
                    pass
        if isinstance(function, ast.FunctionDef):
            yield from _defaults(function)

    def _kept_going(self, node: ast.AST, local: set[str], held: set[str]) -> Found:
        """Calls that change what lasts."""
        match node:
            case ast.Call(func=ast.Name(id="next"), args=[ast.Name(id=name), *_]):
                if name in self._module.mutables and name not in local:
                    yield node.lineno, Rule.MEMORY, f"{name} goes on from call to call"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
                if name in self._module.changing_instances and name not in local:
                    what = f"{name} lasts beyond the transaction and may change"
                    yield node.lineno, Rule.MEMORY, what
            case ast.Call(func=ast.Name(id="setattr"), args=[ast.Name(id=name), *_]):
                if name in held and name not in local:
                    yield node.lineno, Rule.MEMORY, f"{name} is changed"
            case _:
                return


def _declared_global(function: Function) -> set[str]:
    return {
        name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names
    }


def _defaults(function: ast.FunctionDef) -> Found:
    given = [*function.args.defaults, *(item for item in function.args.kw_defaults if item)]
    for default in given:
        if is_mutable(default):
            what = f"a default of {function.name} is made once and can change"
            yield default.lineno, Rule.MEMORY, what
    for decorator in function.decorator_list:
        if name_of(decorator) not in ("cache", "cached_property", "lru_cache"):
            continue
        reads = {name_of(argument.annotation) for argument in arguments_of(function)}
        names = {argument.arg for argument in arguments_of(function)}
        if reads & _STATE_READERS or names & {"self", "cls", "ctx", "view", "reader", "context"}:
            what = f"{function.name} remembers what it read from state or from an object"
            yield decorator.lineno, Rule.MEMORY, what


def _contract_class(node: ast.ClassDef) -> Found:
    """A contract object serves every transaction: it must not change."""
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    if "apply" not in {method.name for method in methods}:
        return
    for method in methods:
        if method.name == "__init__":
            continue
        for place in changed_places(method):
            if root_of(place) in ("self", "cls", node.name):
                yield place.lineno, Rule.MEMORY, f"the contract object changes in {method.name}"


def _imported(node: ast.AST, neighbours: frozenset[str]) -> Found:
    match node:
        case ast.Import(names=names):
            modules = [item.name for item in names]
        case ast.ImportFrom(module=module, names=names, level=0):
            if module == CHAINCODE:
                return
            if module in ("onward_proto", "collections"):
                modules = [f"{module}.{item.name}" for item in names]
                modules = modules if module == "onward_proto" else [module]
            else:
                modules = [module or ""]
        case _:
            return
    for name in modules:
        first = name.partition(".")[0]
        if name in ALLOWED_MODULES or first == CHAINCODE or name in neighbours:
            continue
        rule = REFUSED_MODULES.get(first, Rule.IMPORT)
        yield node.lineno, rule, f"{name} is imported"
    if isinstance(node, ast.ImportFrom) and node.module == "math":
        for item in node.names:
            if item.name not in WHOLE_MATH:
                yield node.lineno, Rule.FLOAT, f"math.{item.name} answers with a float"


def _numbers(node: ast.AST) -> Found:
    match node:
        case ast.Constant(value=float() | complex() as value):
            yield node.lineno, Rule.FLOAT, f"{value!r} is a float"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            yield node.lineno, Rule.FLOAT, "/ answers with a float"
        case ast.BinOp(op=ast.Pow(), right=ast.UnaryOp(op=ast.USub())):
            yield node.lineno, Rule.FLOAT, "a negative power is a float"
        case ast.Attribute(value=ast.Name(id="math"), attr=attr) if attr not in WHOLE_MATH:
            yield node.lineno, Rule.FLOAT, f"math.{attr} answers with a float"
        case ast.Attribute(attr="truediv" | "itruediv" as attr):
            yield node.lineno, Rule.FLOAT, f"{attr} answers with a float"
        case ast.ImportFrom(module="operator", names=names):
            if any(item.name in ("truediv", "itruediv") for item in names):
                yield node.lineno, Rule.FLOAT, "truediv answers with a float"
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod()):
            if _FLOAT_PERCENT.search(text):
                yield node.lineno, Rule.FLOAT, f"{text!r} writes a float"
        case ast.Call(func=func, args=[ast.Constant(value=str(order)), *_]):
            if name_of(func) in ("Struct", "calcsize", "pack", "unpack", "unpack_from") and (
                order[:1] not in ("<", ">", "!")
            ):
                what = f"{order!r} packs in this machine's byte order: begin it with '>'"
                yield node.lineno, Rule.ENVIRONMENT, what
        case _:
            return


def _text(node: ast.AST) -> Found:
    match node:
        case ast.Attribute(attr=attr, value=value) if attr in UNICODE_METHODS:
            plain = name_of(value) in _PLAIN_BYTES or (
                isinstance(value, ast.Constant) and isinstance(value.value, bytes)
            )
            if not plain:
                what = f"{attr} follows the interpreter's Unicode tables"
                yield node.lineno, Rule.TEXT, what
        case ast.FormattedValue(format_spec=ast.JoinedStr(values=[*_, ast.Constant(value=end)])):
            yield from _format(node.lineno, str(end))
        case ast.Call(func=ast.Name(id="format"), args=[_, ast.Constant(value=str(end))]):
            yield from _format(node.lineno, end)
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str(text)))):
            for spec in re.findall(r":([^{}]+)\}", text):
                yield from _format(node.lineno, spec)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=args, keywords=keywords):
            yield from _pattern(node, args, [item.value for item in keywords])
        case ast.Attribute(value=ast.Name(id="re"), attr="LOCALE" | "L"):
            yield node.lineno, Rule.TEXT, "a pattern follows the locale"
        case _:
            return


def _format(line: int, spec: str) -> Found:
    if spec.endswith("n"):
        yield line, Rule.TEXT, f"the format {spec!r} follows the locale"
    elif _FLOAT_FORMAT.search(spec):
        yield line, Rule.FLOAT, f"the format {spec!r} writes a float"


def _pattern(node: ast.Call, args: list[ast.expr], others: list[ast.expr]) -> Found:
    flags = {
        item.attr
        for part in (*args[1:], *others)
        for item in ast.walk(part)
        if isinstance(item, ast.Attribute)
    }
    match args:
        case [ast.Constant(value=str(text)), *_] if not flags & {"ASCII", "A"}:
            if _UNICODE_PATTERN.search(text) or flags & {"I", "IGNORECASE"}:
                yield node.lineno, Rule.TEXT, f"{text!r} follows the Unicode tables: add re.ASCII"
        case _:
            return


def _caught(node: ast.AST) -> Found:
    match node:
        case ast.ExceptHandler(type=None):
            yield node.lineno, Rule.SWALLOWED, "a bare except catches what only this process met"
            return
        case ast.ExceptHandler(type=ast.Tuple(elts=names)):
            pass
        case ast.ExceptHandler(type=ast.expr() as name):
            names = [name]
        case ast.Call(func=func, args=names) if name_of(func) == "suppress":
            pass
        case _:
            return
    for name in names:
        if name_of(name) in SWALLOWING:
            what = f"{name_of(name)} catches what only this process met"
            yield node.lineno, Rule.SWALLOWED, what


def _is_deep(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in PLAIN_DUNDERS


def _process(node: ast.AST) -> Found:
    match node:
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            yield node.lineno, Rule.CONCURRENCY, "it waits for an event loop"
        case ast.Assert():
            yield node.lineno, Rule.INTERPRETER, "assert is gone under -O"
        case ast.FunctionDef(name="__del__"):
            yield node.lineno, Rule.INTERPRETER, "nobody knows when __del__ runs"
        case ast.FunctionDef(name="__hash__"):
            yield node.lineno, Rule.IDENTITY, "a hash of its own orders sets in its own way"
        case ast.Attribute(attr=attr) if _is_deep(attr):
            yield node.lineno, Rule.REFLECTION, f"{attr} is used"
        case ast.Call(func=ast.Name(id="getattr"), args=[_, name, *_]):
            if isinstance(name, ast.BinOp | ast.JoinedStr | ast.Call):
                yield node.lineno, Rule.REFLECTION, "a name is put together"
            elif isinstance(name, ast.Constant) and _is_deep(str(name.value)):
                yield node.lineno, Rule.REFLECTION, f"{name.value!r} is used"
        case _:
            return
