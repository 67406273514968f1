"""Small changes to a module's source, each of which some test should notice.

comparison, arithmetic, and/or, `not`, negated conditions, numbers and truth values (of defaults and constants too),
returned values, deleted statements, and dropped arguments, entries and items.
Left alone: texts, f-strings, docstrings, annotations, decorators, assertions made for the type checker.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
NEIGHBOUR: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
DELETED = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Raise, ast.Delete, ast.Continue, ast.Break)
UNTOUCHED = {"annotation", "returns", "decorator_list"}
LONGEST = 90
"""Characters of an old or a new text that are told."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """name: where and what, unique within its file and kept while that place is. lines: of the statement, both
    included; None outside of functions, where code runs at import alone. code: of the whole changed module."""

    name: str
    line: int
    lines: range | None
    code: CodeType


@dataclass(frozen=True, slots=True)
class _Place:
    """A node in the slot of its parent that can be given another one."""

    node: ast.AST
    scopes: tuple[Scope, ...]
    statement: ast.stmt
    put: Callable[[ast.AST], None]

    @property
    def in_function(self) -> bool:
        return any(isinstance(scope, FUNCTIONS) for scope in self.scopes)

    @property
    def label(self) -> str:
        names = [_name(scope) for scope in self.scopes]
        if not self.in_function and isinstance(self.statement, ast.Assign | ast.AnnAssign):
            targets = self.statement.targets if isinstance(self.statement, ast.Assign) else [self.statement.target]
            names += [ast.unparse(target) for target in targets]
        return ".".join(names) or "module"

    @property
    def lines(self) -> range | None:
        if not self.in_function or isinstance(self.statement, FUNCTIONS):
            return None
        body = getattr(self.statement, "body", None)
        end = body[0].lineno - 1 if body else self.statement.end_lineno
        return range(self.statement.lineno, max(self.statement.lineno, end or 0) + 1)


def mutants(text: str, file: str) -> Iterator[Mutant]:
    """All of a module's, in the order of the source."""
    tree = ast.parse(text)
    seen: Counter[str] = Counter()
    for place in list(_places(tree)):
        for told, new in _changes(place):
            name = f"{place.label}: {told}"
            seen[name] += 1
            # A part of the old node has a place of its own, and keeps it when the old one is back.
            put = new if hasattr(new, "lineno") else ast.copy_location(new, place.node)
            place.put(ast.fix_missing_locations(put))
            code = compile(tree, file, "exec")
            place.put(place.node)
            again = f" ({seen[name]})" if seen[name] > 1 else ""
            yield Mutant(name + again, getattr(place.node, "lineno", 0), place.lines, code)


def _places(tree: ast.Module) -> Iterator[_Place]:
    def walk(node: ast.AST, scopes: tuple[Scope, ...], statement: ast.stmt | None) -> Iterator[_Place]:
        inner = (*scopes, node) if isinstance(node, Scope) else scopes
        for field, value in ast.iter_fields(node):
            if field in UNTOUCHED:
                continue
            for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
                if not isinstance(child, ast.AST) or _left_alone(child, inner):
                    continue
                own = child if isinstance(child, ast.stmt) else statement
                if own is not None:
                    yield _Place(child, inner, own, _slot(node, field, index))
                yield from walk(child, inner, own)

    return walk(tree, (), None)


def _slot(parent: ast.AST, field: str, index: int | None) -> Callable[[ast.AST], None]:
    def put(new: ast.AST) -> None:
        if index is None:
            setattr(parent, field, new)
        else:
            getattr(parent, field)[index] = new

    return put


def _left_alone(node: ast.AST, scopes: tuple[Scope, ...]) -> bool:
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    # A union of types is an annotation with a name.
    return not scopes and isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and _is_union(node.value)


def _is_union(node: ast.BinOp) -> bool:
    return isinstance(node.op, ast.BitOr)


def _name(scope: Scope) -> str:
    """Registrations are all named `_`: what tells them apart is what they are for."""
    if isinstance(scope, FUNCTIONS) and scope.name == "_" and scope.args.args[0].annotation:
        return ast.unparse(scope.args.args[0].annotation)
    return scope.name


def _changes(place: _Place) -> Iterator[tuple[str, ast.AST]]:
    """What is told of each change, and the node that takes the place of the old one."""
    node = place.node
    for new in _replacements(node):
        yield f"{_told(node)} → {_told(new)}", new
    if place.in_function:
        if isinstance(node, ast.Return) and node.value and not _is_none(node.value):
            yield f"{_told(node)} → return None", ast.Return(ast.Constant(None))
        if isinstance(node, DELETED):
            yield f"without {_told(node)}", ast.Pass()
        for told, without in _drops(node):
            yield f"{_told(node)} without {told}", without


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, ops, comparators):
            for index, op in enumerate(ops):
                for other in (NEGATED[type(op)], NEIGHBOUR.get(type(op))):
                    if other:
                        yield ast.Compare(left, [*ops[:index], other(), *ops[index + 1 :]], comparators)
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
            yield ast.BinOp(left, ARITHMETIC[type(op)](), right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.IfExp(test, body, orelse) if _plain(test):
            yield ast.IfExp(_negated(test), body, orelse)
        case ast.If(test, body, orelse) if _plain(test):
            yield ast.If(_negated(test), body, orelse)
        case ast.While(test, body, orelse) if _plain(test) and not isinstance(test, ast.Constant):
            yield ast.While(_negated(test), body, orelse)
        case ast.comprehension(target, source, ifs, is_async):
            for index, test in enumerate(ifs):
                if _plain(test):
                    others = [*ifs[:index], _negated(test), *ifs[index + 1 :]]
                    yield ast.comprehension(target, source, others, is_async)


def _drops(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Without one argument of a call, one entry of a dict, or one unpacked part of a display; texts stay."""
    match node:
        case ast.Call(func, args, keywords):
            for index, arg in enumerate(args):
                if not _is_text(arg):
                    yield _told(arg), ast.Call(func, [*args[:index], *args[index + 1 :]], keywords)
            for index, keyword in enumerate(keywords):
                if not _is_text(keyword.value):
                    yield _told(keyword), ast.Call(func, args, [*keywords[:index], *keywords[index + 1 :]])
        case ast.Dict(keys, values):
            for index, (key, value) in enumerate(zip(keys, values, strict=True)):
                if not _is_text(value):
                    told = _told(key) if key else f"**{_told(value)}"
                    yield told, ast.Dict([*keys[:index], *keys[index + 1 :]], [*values[:index], *values[index + 1 :]])
        case ast.Tuple(items) | ast.List(items):
            for index, item in enumerate(items):
                if isinstance(item, ast.Starred):
                    yield _told(item), type(node)([*items[:index], *items[index + 1 :]], ast.Load())


def _plain(test: ast.expr) -> bool:
    """Not yet changed by the operator of its own kind."""
    return not isinstance(test, ast.Compare | ast.BoolOp) and not (
        isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    )


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _told(node: ast.AST) -> str:
    """One line of source; of an `if` or a loop its condition."""
    shown = node.test if isinstance(node, ast.If | ast.While) else node
    prefix = "if " if isinstance(node, ast.If) else "while " if isinstance(node, ast.While) else ""
    text = prefix + " ".join(ast.unparse(shown).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
