"""Where the order of a set would come to matter.

A set of texts has another order in every process. What is a set here follows from how it is
written: literals, `set(…)`, annotations, the operators and methods of sets. That is no proof, and
what it misses the double execution is for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from onward.gate.scopes import Function, arguments_of, inside, name_of

_MAKERS = frozenset({"frozenset", "set"})
_SET_METHODS = frozenset({"difference", "intersection", "symmetric_difference", "union"})
_ANNOTATIONS = frozenset({"AbstractSet", "FrozenSet", "MutableSet", "Set", "frozenset", "set"})
_VIEWS = frozenset({"items", "keys"})
_OPERATORS = ast.BitAnd | ast.BitOr | ast.BitXor | ast.Sub

# Whoever consumes a set here gets the same from every order.
_INDIFFERENT = frozenset({"all", "any", "frozenset", "len", "max", "min", "set", "sorted", "sum"})
_LAZY = frozenset({"filter", "map"})
_ORDERED = frozenset(
    {"Counter", "deque", "dict", "enumerate", "filter", "iter", "list", "map", "next", "repr"}
    | {
        "reversed",
        "str",
        "tuple",
        "zip",
        "reduce",
        "chain",
        "islice",
        "accumulate",
        "from_iterable",
    }
    | {"extend", "fromkeys", "join", "extendleft", "groupby", "pairwise", "product", "permutations"}
    | {"combinations", "dumps", "starmap", "takewhile", "dropwhile", "OrderedDict", "bytes"}
)


class Sets:
    """What is a set in one module."""

    def __init__(self, tree: ast.Module) -> None:
        """Functions and attributes that are annotated as sets, and constants that are sets."""
        self.functions: set[str] = set()
        self.attributes: set[str] = set()
        others: set[str] = set()
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name, returns=returns, decorator_list=decorators):
                    if not _says_set(returns):
                        continue
                    is_property = any("property" in name_of(item) for item in decorators)
                    (self.attributes if is_property else self.functions).add(name)
                case ast.ClassDef(body=body):
                    for item in body:
                        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                            said = _says_set(item.annotation)
                            (self.attributes if said else others).add(item.target.id)
                case ast.AnnAssign(target=ast.Attribute(attr=attr), annotation=annotation):
                    (self.attributes if _says_set(annotation) else others).add(attr)
                case ast.Assign(targets=[ast.Attribute(attr=attr)], value=value):
                    (self.attributes if self.is_set(value, frozenset()) else others).add(attr)
                case _:
                    pass
        self.attributes -= others
        self.constants = frozenset(self._assigned(tree, frozenset()))

    def found(self, scope: ast.Module | Function) -> Iterator[tuple[ast.expr, str]]:
        """The places of a scope where a set's order matters, each with what happens there."""
        known = self.constants if isinstance(scope, ast.Module) else self._known(scope)
        indifferent = _indifferent_places(scope)
        for node in inside(scope):
            for place, what in _consumed(node):
                if place not in indifferent and self.is_set(place, known):
                    yield place, what
            match node:
                case ast.Call(func=ast.Attribute(attr="pop", value=value), args=[]):
                    if self.is_set(value, known):
                        yield value, "an arbitrary member is taken out of a set"
                case ast.Call(func=func, args=[value, *_], keywords=keywords):
                    if name_of(func) in ("sorted", "min", "max") and self.is_set(value, known):
                        yield from ((value, _TIES) for item in keywords if _has_ties(item))
                case _:
                    pass

    def is_set(self, node: ast.AST | None, known: frozenset[str]) -> bool:
        """Whether an expression is a set, as far as it shows; `known`: names that are."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name):
                return name in known
            case ast.Attribute(attr=attr):
                return attr in self.attributes
            case ast.Call(func=ast.Name(id=name)):
                return name in _MAKERS or name in self.functions
            case ast.Call(func=ast.Attribute(attr="copy", value=value)):
                return self.is_set(value, known)
            case ast.Call(func=ast.Attribute(attr=attr)):
                return attr in _SET_METHODS or attr in self.functions
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _OPERATORS):
                views = _is_view(left) or _is_view(right)
                return views or self.is_set(left, known) or self.is_set(right, known)
            case _:
                return any(self.is_set(part, known) for part in _alternatives(node))

    def _known(self, function: Function) -> frozenset[str]:
        """The names that hold a set in a function, and never anything else."""
        given = {arg.arg for arg in arguments_of(function) if _says_set(arg.annotation)}
        own = {arg.arg for arg in arguments_of(function)} - given
        return self._assigned(function, frozenset(given | (self.constants - own)))

    def _assigned(self, scope: ast.AST, known: frozenset[str]) -> frozenset[str]:
        sets, others = set(known), set[str]()
        for _ in range(2):  # a name may be told from one that is assigned further down
            for node in inside(scope):
                match node:
                    case ast.Assign(targets=targets, value=value):
                        names = [target.id for target in targets if isinstance(target, ast.Name)]
                        is_set = self.is_set(value, frozenset(sets))
                    case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                        names, is_set = [name], _says_set(annotation)
                    case ast.NamedExpr(target=ast.Name(id=name), value=value):
                        names, is_set = [name], self.is_set(value, frozenset(sets))
                    case _:
                        continue
                (sets if is_set else others).update(names)
        return frozenset(sets - (others - known))


_TIES = "equal keys leave members of a set in its own order"


def _says_set(annotation: ast.AST | None) -> bool:
    match annotation:
        case ast.Constant(value=str(text)):
            return text.partition("[")[0] in _ANNOTATIONS
        case ast.BinOp(left=left, right=right):
            return _says_set(left) or _says_set(right)
        case _:
            return name_of(annotation) in _ANNOTATIONS


def _alternatives(node: ast.AST | None) -> list[ast.expr]:
    """The expressions of which one becomes the value of this one."""
    match node:
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case ast.BoolOp(values=values):
            return values
        case ast.NamedExpr(value=value):
            return [value]
        case _:
            return []


def _is_view(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=attr), args=[]):
            return attr in _VIEWS
        case _:
            return False


def _has_ties(keyword: ast.keyword) -> bool:
    """Whether a key function may answer the same for two members. `(…, member)` never does."""
    if keyword.arg != "key":
        return False
    match keyword.value:
        case ast.Lambda(args=ast.arguments(args=[ast.arg(arg=name)]), body=body):
            parts = body.elts if isinstance(body, ast.Tuple) else [body]
            return not any(isinstance(part, ast.Name) and part.id == name for part in parts)
        case _:
            return True


def _consumed(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """What a node goes through in order."""
    match node:
        case ast.For(iter=place):
            yield place, "a loop goes through a set"
        case ast.ListComp() | ast.GeneratorExp() | ast.DictComp():
            for each in node.generators:
                yield each.iter, "a comprehension goes through a set"
        case ast.Call(func=func, args=args) if name_of(func) in _ORDERED:
            for place in args:
                yield place, f"{name_of(func)}() keeps a set's order"
        case ast.Starred(value=place):
            yield place, "a set is spread out in its order"
        case ast.Assign(targets=[ast.Tuple() | ast.List()], value=place):
            yield place, "names are given out in a set's order"
        case ast.AugAssign(op=ast.Add(), value=place):
            yield place, "a set is appended in its order"
        case ast.YieldFrom(value=place):
            yield place, "a set is given out in its order"
        case ast.FormattedValue(value=place):
            yield place, "a set is written out in its order"
        case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod(), right=place):
            yield place, "a set is written out in its order"
        case _:
            return


def _indifferent_places(scope: ast.AST) -> set[ast.AST]:
    """Places whose order nobody sees, because what they end up in does not depend on it."""
    found: set[ast.AST] = set()
    for node in inside(scope):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name in _INDIFFERENT:
                for item in args:
                    _pass_on(item, found)
            case ast.Set(elts=items):
                found |= {item.value for item in items if isinstance(item, ast.Starred)}
            case ast.SetComp():
                found |= {each.iter for each in node.generators}
            case _:
                pass
    return found


def _pass_on(node: ast.expr, found: set[ast.AST]) -> None:
    found.add(node)
    match node:
        case ast.GeneratorExp(generators=generators) | ast.ListComp(generators=generators):
            found |= {each.iter for each in generators}
        case ast.Call(func=ast.Name(id=name), args=args) if name in {*_LAZY, "list", "tuple"}:
            for item in args:
                _pass_on(item, found)
        case ast.Starred(value=value):
            found.add(value)
        case _:
            pass
