"""The search for formulas that have a better spelling in a program's text, and their rewriting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from gradcli.diagnostics import Source
from gradcli.language import syntax
from gradcli.language.builtin import BINARY, KEYWORDS, OPERATIONS, UNARY
from gradcli.language.foreign import Argument, filled
from gradcli.language.formulas import SPELLINGS, Spelling
from gradcli.language.parser import parse
from gradcli.language.walking import functions, names, parts, same, statements_of, values_of

COMMUTATIVE = {"add", "multiply"}
LEFT_OUT = {"axis", "keepdims"}

MOST_FACTORS = 8
"""Factors of a product among which a quotient is looked for: each is tried with each."""

Locals = Mapping[str, "syntax.Expression | None"]
"""What the names of one function are defined as; None for parameters, and for what has no definition to look into."""

NOTHING: Locals = {}


class Factor(NamedTuple):
    """A factor of a product, or with ``below`` a divisor."""

    value: syntax.Expression
    below: bool


class Found(NamedTuple):
    """An expression that a rule fits. ``through`` are the definitions that were looked into to see it.

    ``rest`` are the factors of a product that stay, in order; None is the place of what the rule fits.
    """

    rule: Spelling
    at: syntax.Expression
    captured: dict[str, syntax.Expression]
    through: tuple[syntax.Expression, ...]
    bare: bool
    rest: tuple[Factor | None, ...] = (None,)


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
                    for function, _ in functions([statement]):
                        self.rebound.update(locals_of(function))
        self.rebound |= set(self.top)

    def _bind(self, names: dict[str, syntax.Expression | None], statement: syntax.Assignment) -> None:
        single = len(statement.targets) == 1 and not isinstance(statement, syntax.Unpacking)
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
        return self._in_a_product(at, names, bare) if isinstance(at, syntax.Binary) else None

    def _in_a_product(self, at: syntax.Binary, names: Locals, bare: bool) -> Found | None:
        """``a*sin(x)/x``: a quotient that a rule fits, of a factor and a divisor of a product."""
        factors = list(_factors(at))
        if not 2 < len(factors) <= MOST_FACTORS:
            return None
        for i, above in enumerate(factors):
            for k, below in enumerate(factors):
                if above.below or not below.below:
                    continue
                quotient = syntax.Binary(at.start, at.end, "/", above.value, below.value, at.at)
                applied = _Applied("divide", [quotient.left, quotient.right], {})
                for rule, pattern in _patterns().get("divide", ()):
                    match = self._operation(pattern, applied, names, _Match({}, ())) if rule.factor else None
                    if match is not None and not self.rebound & _called(rule.better):
                        captured = {name: expression for name, (expression, _) in match.captured.items()}
                        rest = [None if n == i else f for n, f in enumerate(factors) if n != k]
                        return Found(rule, at, captured, match.through, bare, tuple(rest))
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
    for statement in statements_of(function):
        if isinstance(statement, syntax.Assignment):
            single = len(statement.targets) == 1 and not isinstance(statement, syntax.Unpacking)
            names.update({target.id: statement.value if single else None for target in statement.targets})
        elif isinstance(statement, syntax.Function):
            names[statement.name.id] = None
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
                around: dict[int, Locals] = {}
                for function, outer in functions([statement]):
                    # What a name of the function around stands for may use names that are others here.
                    above = dict.fromkeys(around[id(outer)]) if outer is not None else NOTHING
                    for parameter in function.parameters:
                        if parameter.default is not None:
                            yield parameter.default, above
                    names = around[id(function)] = {**above, **locals_of(function)}
                    for expression in values_of(function):
                        yield expression, names


def rewritten(found: Found, text: str) -> str:
    """The better spelling of what was found, with the captured expressions as they are written in ``text``."""
    better = found.rule.better
    for name in LEFT_OUT - found.captured.keys():
        better = better.replace(f", {name}={name}", "")

    result = filled(better, {name: _argument(expression, text) for name, expression in found.captured.items()})
    if len(found.rest) > 1:
        return _product(found.rest, result, text)
    whole = text[found.at.start : found.at.end]
    kept = unparenthesised(whole) != whole or not found.bare and _binds(found.at) > _binds(_top(better))
    return f"({result})" if kept and not isinstance(_top(better), syntax.Call) else result


def _argument(expression: syntax.Expression, text: str) -> Argument:
    inner = unparenthesised(text[expression.start : expression.end])
    return Argument(inner, loose=isinstance(expression, (syntax.Binary, syntax.Unary)))


def _product(factors: Iterable[Factor | None], better: str, text: str) -> str:
    """A product in which the better spelling takes its place; it is a call or a product itself."""
    result = ""
    for factor in factors:
        shown = better if factor is None else text[factor.value.start : factor.value.end]
        result += shown if not result else f"/{shown}" if factor is not None and factor.below else f"*{shown}"
    return result


def _factors(expression: syntax.Expression) -> Iterator[Factor]:
    """The factors and divisors of a product in the order in which they are written; what is in parentheses is one."""
    if not isinstance(expression, syntax.Binary) or expression.operator not in ("*", "/"):
        yield Factor(expression, False)
        return
    spine: list[syntax.Binary] = []
    at: syntax.Expression = expression
    while (
        isinstance(at, syntax.Binary) and at.operator in ("*", "/") and (at is expression or at.start == at.left.start)
    ):
        spine.append(at)
        at = at.left
    yield Factor(at, False)
    for binary in reversed(spine):
        right = binary.right
        if binary.operator == "/" and isinstance(right, syntax.Binary) and right.operator == "*":
            yield from (Factor(value, below != (binary.operator == "/")) for value, below in _factors(right))
        else:
            yield Factor(right, binary.operator == "/")


_LEVELS = {"+": 1, "-": 1, "*": 2, "/": 2, "@": 2, "^": 4}


def _binds(expression: syntax.Expression) -> int:
    """How tightly an expression holds together: a sum, a product, a sign, a power, anything else."""
    if isinstance(expression, syntax.Unary):
        return 3
    return _LEVELS.get(expression.operator, 0) if isinstance(expression, syntax.Binary) else 5


@cache
def _top(better: str) -> syntax.Expression:
    (statement,) = parse(Source("", better)).statements
    assert isinstance(statement, syntax.Bare)
    return statement.value


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
            return _Applied(UNARY[expression.operator], [expression.operand], {})
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
    return frozenset([*re.findall(r"([a-z_]\w*)\(", better), *re.findall(r"\bpi\b", better)])
