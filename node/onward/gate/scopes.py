"""Which names a source binds where: what tells the builtin `id` from a parameter of that name."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from onward.gate.rules import MUTATING_METHODS

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_CONTAINERS = frozenset(
    {"Counter", "OrderedDict", "bytearray", "count", "cycle", "defaultdict", "deque", "dict"}
    | {"iter", "list", "set"}
)


def bound_in(scope: ast.Module | Function | ast.ClassDef) -> frozenset[str]:
    """The names that a scope binds itself, those of inner scopes left out."""
    found: set[str] = set()
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        found |= {argument.arg for argument in arguments_of(scope)}
    for node in inside(scope):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {(item.asname or item.name).partition(".")[0] for item in names}
            case _:
                pass
    return frozenset(found)


def arguments_of(function: Function) -> list[ast.arg]:
    """Every parameter."""
    given = function.args
    extra = [item for item in (given.vararg, given.kwarg) if item is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *extra]


def inside(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope: inner functions and classes are met, their insides are not."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def name_of(node: ast.AST | None) -> str:
    """The last name of a dotted expression, or of what is called; else ""."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=func):
            return name_of(func)
        case ast.Subscript(value=value):
            return name_of(value)
        case _:
            return ""


def root_of(node: ast.AST) -> str:
    """The first name of `a.b[c].d`, or ""."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def is_mutable(node: ast.AST | None) -> bool:
    """Whether an expression makes something that can change, and that is visible in the source."""
    match node:
        case ast.Dict() | ast.List() | ast.Set():
            return True
        case ast.DictComp() | ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
            return True
        case ast.Call(func=func):
            return name_of(func) in _CONTAINERS
        case _:
            return False


class Module:
    """What one source binds at its top, and what of that can change."""

    def __init__(self, tree: ast.Module) -> None:
        """Read once; the tree is not changed."""
        self.names = bound_in(tree)
        self.classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self.functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        changing = {name for name, node in self.classes.items() if _changes_itself(node)}
        self.generators = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and any(map(_yields, inside(node)))
        }
        self.mutables: set[str] = set()
        self.changing_instances: set[str] = set()
        for node in inside(tree):
            match node:
                case ast.Assign(targets=targets, value=value):
                    self._assigned(targets, value, changing)
                case ast.AnnAssign(target=target, value=value):
                    self._assigned([target], value, changing)
                case _:
                    pass

    def _assigned(
        self, targets: list[ast.expr], value: ast.expr | None, changing: set[str]
    ) -> None:
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if is_mutable(value):
            self.mutables |= names
        elif isinstance(value, ast.Call) and name_of(value.func) in changing:
            self.changing_instances |= names
        elif isinstance(value, ast.Call) and name_of(value.func) in self.generators:
            self.mutables |= names


def _yields(node: ast.AST) -> bool:
    return isinstance(node, ast.Yield | ast.YieldFrom)


def _changes_itself(node: ast.ClassDef) -> bool:
    """Whether methods other than the constructor change what the object holds."""
    for method in node.body:
        if not isinstance(method, ast.FunctionDef) or method.name in ("__init__", "__post_init__"):
            continue
        if any(root_of(place) == "self" for place in changed_places(method)):
            return True
    return False


def changed_places(scope: ast.AST) -> Iterator[ast.expr]:
    """The expressions that a scope stores into, deletes from, or calls a changing method on."""
    for node in ast.walk(scope):
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield node
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                yield node
            case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in MUTATING_METHODS:
                yield value
            case _:
                pass
