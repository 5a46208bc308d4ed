"""Formulas that have a better spelling: the list of them, and the search for them in a program's text.

A rule is written in the language itself: a name that is not called stands for any expression, the same one wherever it
occurs; ``axis`` and ``keepdims`` may be absent from the program, and are then left out of the better spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from gradcli.diagnostics import Source
from gradcli.language import syntax
from gradcli.language.calls import KEYWORDS
from gradcli.language.elaborate import BINARY, OPERATIONS
from gradcli.language.parser import parse
from gradcli.language.walking import names, parts, same


class Spelling(NamedTuple):
    """A rule: ``patterns`` are better written as ``better``, because of ``why``; ``code`` names the rule.

    With ``whole`` the rule is for arrays of one axis only, unless an axis is given.
    """

    code: str
    patterns: tuple[str, ...]
    better: str
    why: str
    whole: bool = False


ALONG = "axis=axis, keepdims=keepdims"

_SQUARES = tuple(f"sum({square}, {ALONG})" for square in ("x^2", "square(x)", "x*x"))

SPELLINGS = (
    Spelling("log-softmax", ("log(softmax(x, axis=axis))",), "log_softmax(x, axis=axis)",
             "it is -inf where softmax rounds to 0"),
    Spelling("log-sigmoid", ("log(sigmoid(x))",), "-softplus(-x)", "it is -inf where sigmoid rounds to 0"),
    Spelling("log-sigmoid", ("log(1 - sigmoid(x))",), "-softplus(x)", "it is -inf where sigmoid rounds to 1"),
    Spelling("softplus", ("log(1 + exp(x))", "log1p(exp(x))"), "softplus(x)", "exp overflows for large x"),
    Spelling("logsumexp", (f"log(sum(exp(x), {ALONG}))",), f"logsumexp(x, {ALONG})", "exp overflows for large x"),
    Spelling("norm", tuple(f"sqrt({s})" for s in _SQUARES) + tuple(f"{s}^0.5" for s in _SQUARES), f"norm(x, {ALONG})",
             "its gradient is NaN at 0, and the squares may overflow"),
    Spelling("hypot", ("sqrt(x^2 + y^2)", "sqrt(square(x) + square(y))", "sqrt(x*x + y*y)"), "hypot(x, y)",
             "its gradient is NaN at 0, and the squares may overflow"),
    Spelling("softmax", ("exp(x)/sum(exp(x), axis=axis, keepdims=true)", "exp(x)/sum(exp(x))"), "softmax(x, axis=axis)",
             "exp overflows for large x", whole=True),
    Spelling("sigmoid", ("1/(1 + exp(-x))", "exp(x)/(1 + exp(x))"), "sigmoid(x)", "exp overflows for large x"),
    Spelling("sigmoid", ("1/(1 + exp(x))",), "sigmoid(-x)", "exp overflows for large x"),
    Spelling("log1p", ("log(1 + x)",), "log1p(x)", "the sum loses the digits of a small x"),
    Spelling("log1p", ("log(1 - x)",), "log1p(-x)", "the difference loses the digits of a small x"),
    Spelling("expm1", ("exp(x) - 1",), "expm1(x)", "the difference loses the digits of a small x"),
    Spelling("expm1", ("1 - exp(x)",), "-expm1(x)", "the difference loses the digits of a small x"),
    Spelling("sqrt", ("x^0.5",), "sqrt(x)", "the power is a square root"),
)  # fmt: skip

COMMUTATIVE = {"add", "multiply"}
LEFT_OUT = {"axis", "keepdims"}

Locals = Mapping[str, "syntax.Expression | None"]
"""What the names of one function are defined as; None for parameters, and for what has no definition to look into."""

NOTHING: Locals = {}


class Found(NamedTuple):
    """An expression that a rule fits. ``through`` are the definitions that were looked into to see it."""

    rule: Spelling
    at: syntax.Expression
    captured: dict[str, syntax.Expression]
    through: tuple[syntax.Expression, ...]
    bare: bool


class _Applied(NamedTuple):
    """An operation, its operands, and its other arguments by name."""

    name: str
    operands: list[syntax.Expression]
    others: dict[str, syntax.Expression]


class _Match(NamedTuple):
    captured: dict[str, tuple[syntax.Expression, Locals]]
    through: tuple[syntax.Expression, ...]


class Search:
    """The search through one program."""

    def __init__(self, program: syntax.Program) -> None:
        self.program = program
        self.top: dict[str, syntax.Expression | None] = {}
        self.rebound: set[str] = set()
        for statement in program.statements:
            match statement:
                case syntax.Assignment():
                    self._bind(self.top, statement)
                case syntax.Declaration():
                    self.top[statement.name.id] = None
                case syntax.Function():
                    self.top[statement.name.id] = None
                    self.rebound.update(locals_of(statement))
        self.rebound |= set(self.top)

    def _bind(self, names: dict[str, syntax.Expression | None], statement: syntax.Assignment) -> None:
        single = len(statement.targets) == 1
        names.update({target.id: statement.value if single else None for target in statement.targets})

    def found(self) -> Iterator[Found]:
        """Every place where a rule fits, the outermost of those inside each other."""
        for expression, local in expressions(self.program):
            todo: list[tuple[syntax.Syntax, bool]] = [(expression, True)]
            while todo:
                at, bare = todo.pop()
                match = self._best(at, local, bare) if isinstance(at, (syntax.Call, syntax.Binary)) else None
                if match is not None:
                    yield match
                    todo += [(part, True) for name, part in match.captured.items() if name not in LEFT_OUT]
                else:
                    inside = isinstance(at, (syntax.Call, syntax.List))
                    todo += [(part, inside) for part in parts(at)]

    def _best(self, at: syntax.Expression, names: Locals, bare: bool) -> Found | None:
        applied = self._applied(at)
        if applied is None:
            return None
        for rule, pattern in _patterns().get(applied.name, ()):
            match = self._operation(pattern, applied, names, _Match({}, ()))
            if match is not None and not self.rebound & _called(rule.better):
                captured = {name: expression for name, (expression, _) in match.captured.items()}
                return Found(rule, at, captured, match.through, bare)
        return None

    def _applied(self, expression: syntax.Expression) -> _Applied | None:
        applied = _normal(expression)
        if applied is None or isinstance(expression, syntax.Call) and _function(expression) in self.rebound:
            return None
        return applied

    def _fits(self, pattern: syntax.Expression, at: syntax.Expression, names: Locals, match: _Match) -> _Match | None:
        if isinstance(pattern, syntax.Name):
            known = match.captured.get(pattern.id)
            if known is None:
                return _Match({**match.captured, pattern.id: (at, names)}, match.through)
            return match if self._alike(known, (at, names)) else None
        if isinstance(pattern, (syntax.Number, syntax.Word)):
            return match if type(at) is type(pattern) and at.value == pattern.value else None
        through = match.through
        while isinstance(at, syntax.Name):
            local = at.id in names
            defined = names[at.id] if local else self.top.get(at.id)
            if defined is None:
                return None
            names = names if local else NOTHING
            at = defined
            through = (*through, at)
        wanted, applied = _normal(pattern), self._applied(at)
        if wanted is None or applied is None or wanted.name != applied.name:
            return None
        return self._operation(wanted, applied, names, _Match(match.captured, through))

    def _operation(self, wanted: _Applied, applied: _Applied, names: Locals, match: _Match) -> _Match | None:
        if not applied.others.keys() <= wanted.others.keys() or len(applied.operands) != len(wanted.operands):
            return None
        orders = [applied.operands]
        if wanted.name in COMMUTATIVE:
            orders.append(applied.operands[::-1])
        for name, pattern in wanted.others.items():
            given = applied.others.get(name)
            if given is None and not isinstance(pattern, syntax.Name):
                return None
            if given is not None:
                found = self._fits(pattern, given, names, match)
                if found is None:
                    return None
                match = found
        for operands in orders:
            current: _Match | None = match
            for pattern, operand in zip(wanted.operands, operands, strict=True):
                current = self._fits(pattern, operand, names, current) if current is not None else None
            if current is not None:
                return current
        return None

    def _alike(self, a: tuple[syntax.Expression, Locals], b: tuple[syntax.Expression, Locals]) -> bool:
        """Whether two expressions have one value: a name may be another thing in a function, a draw is another number."""
        if not same(a[0], b[0]):
            return False
        used = {name.id for name in names([a[0]])}
        drawn = any(name.startswith("random_") for name in used)
        return not drawn and (a[1] is b[1] or not used & (a[1].keys() | b[1].keys()))


def locals_of(function: syntax.Function) -> dict[str, syntax.Expression | None]:
    """The parameters and local names of a function."""
    names: dict[str, syntax.Expression | None] = {p.name.id: None for p in function.parameters}
    if isinstance(function.body, syntax.Block):
        for statement in function.body.statements:
            if isinstance(statement, syntax.Assignment):
                single = len(statement.targets) == 1
                names.update({target.id: statement.value if single else None for target in statement.targets})
    return names


def expressions(program: syntax.Program) -> Iterator[tuple[syntax.Expression, Locals]]:
    """The expressions of all statements, each with the local names around it."""
    for statement in program.statements:
        match statement:
            case syntax.Assignment() | syntax.Seed() | syntax.Bare():
                yield statement.value, NOTHING
            case syntax.Declaration():
                if statement.value is not None:
                    yield statement.value, NOTHING
                for size in statement.shape or ():
                    yield size, NOTHING
            case syntax.Function():
                names = locals_of(statement)
                for parameter in statement.parameters:
                    if parameter.default is not None:
                        yield parameter.default, NOTHING
                if isinstance(statement.body, syntax.Block):
                    for inner in statement.body.statements:
                        if isinstance(inner, (syntax.Assignment, syntax.Bare)):
                            yield inner.value, names
                else:
                    yield statement.body, names


def rewritten(found: Found, text: str) -> str:
    """The better spelling of what was found, with the captured expressions as they are written in ``text``."""
    better = found.rule.better
    for name in LEFT_OUT - found.captured.keys():
        better = better.replace(f", {name}={name}", "")

    def filled(match: re.Match[str]) -> str:
        expression = found.captured.get(match[2])
        if expression is None or match[3]:
            return match[0]
        inner = unparenthesised(text[expression.start : expression.end])
        loose = isinstance(expression, (syntax.Binary, syntax.Unary))
        return match[1] + (f"({inner})" if match[1] and loose else inner)

    better = re.sub(r"(-?)\b([a-z]\w*)\b(\(|=)?", filled, better)
    whole = text[found.at.start : found.at.end]
    kept = unparenthesised(whole) != whole or not found.bare and isinstance(found.at, syntax.Call)
    return f"({better})" if better.startswith("-") and kept else better


def unparenthesised(text: str) -> str:
    """An expression without the parentheses around all of it."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and not any(c in text for c in "\"'#"):
        depth = list(accumulate((character == "(") - (character == ")") for character in text))
        if depth.index(0) < len(text) - 1:
            break
        text = text[1:-1].strip()
    return text


def _normal(expression: syntax.Expression) -> _Applied | None:
    """An expression as an operation of the table, however it is spelled."""
    match expression:
        case syntax.Binary():
            return _Applied(BINARY[expression.operator], [expression.left, expression.right], {})
        case syntax.Unary():
            return _Applied("neg" if expression.operator == "-" else "logical_not", [expression.operand], {})
        case syntax.Call():
            operation = OPERATIONS.get(_function(expression) or "")
            if operation is None or any(p.kind in ("tensors", "operands") for p in operation.parameters):
                return None
            positional = [p.name for p in operation.parameters if not p.keyword_only]
            known = {p.name for p in operation.parameters}
            given: dict[str, syntax.Expression] = {}
            for i, argument in enumerate(expression.arguments):
                if argument.name is None:
                    name = positional[i] if i < len(positional) else ""
                else:
                    name = argument.name.id
                    name = name if name in known else KEYWORDS.get(name, name)
                given[name] = argument.value
            tensors = [p.name for p in operation.parameters if p.one_tensor]
            if not given.keys() <= known or not all(name in given for name in tensors):
                return None
            others = {name: value for name, value in given.items() if name not in tensors}
            return _Applied(operation.name, [given[name] for name in tensors], others)
    return None


def _function(call: syntax.Call) -> str | None:
    return call.function.id if isinstance(call.function, syntax.Name) else None


@cache
def _patterns() -> dict[str, list[tuple[Spelling, _Applied]]]:
    """The rules in order, by the operation at the top of each pattern."""
    result: dict[str, list[tuple[Spelling, _Applied]]] = {}
    for rule in SPELLINGS:
        for text in rule.patterns:
            (statement,) = parse(Source(rule.code, text)).statements
            assert isinstance(statement, syntax.Bare)
            applied = _normal(statement.value)
            assert applied is not None
            result.setdefault(applied.name, []).append((rule, applied))
    return result


@cache
def _called(better: str) -> frozenset[str]:
    """The operations of a better spelling: a program may have given their names to other things."""
    return frozenset(re.findall(r"([a-z_]\w*)\(", better))
