"""The shortest of the formulas that mean the same.

A formula is read as sums of products (:mod:`gradcli.rewrite.sums`), in which equal terms cancel and powers are collected,
between operations that stay as they are. Of each sum several forms are written: as it was given, multiplied out, with
common factors in front, over one denominator, after identities of circular and hyperbolic functions; the shortest is kept.

Values differ by rounding only, on the ordinary domain of the formula: terms cancel as those of finite numbers do, ``x/x``
is 1, ``sqrt(x)^2`` is ``x``, and the slope of ``log(x)`` is ``1/x``. Whoever asks compares the values at the numbers of the
program, and keeps the formula as it was where they are not the same (:mod:`gradcli.features.derive.chosen`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from math import isfinite, pi
from typing import Literal

from gradcli.graph.layout import Style
from gradcli.graph.node import Derivation, Node, cone
from gradcli.graph.operation import Operation, literal
from gradcli.graph.ops.elementwise import (
    absolute,
    acosh,
    add,
    asinh,
    cos,
    cosh,
    divide,
    divide_no_nan,
    exp,
    hypot,
    log,
    multiply,
    neg,
    power,
    recip,
    rsqrt,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
)
from gradcli.graph.ops.linear_algebra import embed_diagonal, matmul
from gradcli.graph.ops.selection import logical_or, not_equal, where
from gradcli.graph.ops.shaping import broadcast_to, broadcasted
from gradcli.graph.printing import Text, times_pi
from gradcli.graph.types import is_float
from gradcli.rewrite import sums
from gradcli.rewrite.factored import irreducible
from gradcli.rewrite.forms import remade
from gradcli.rewrite.sums import (
    ONE,
    Algebra,
    E,
    Exponent,
    Product,
    Rational,
    Sum,
    TooMuchError,
    base_to,
    constant,
    number,
    rational,
    scale,
)
from gradcli.rewrite.sums import add as plus
from gradcli.rewrite.terms import filling, number_of, split

DEEPEST = 12
"""Sums within sums that are looked into."""

LONGEST = 1000
"""Characters of a text, from which on it only counts as long."""

FIRST_WORK, MORE_WORK = 8000, 20
"""Products of terms that formulas may take, and those for each of their nodes."""

WORK_ASKED, MOST_EXPANDED, HIGHEST_EXPANDED = 200_000, 500, 200
"""Products of terms, terms of a sum and powers of sums where somebody asks for a form."""

FEW_TERMS, FEW_ANGLES = 12, 4
"""Up to which identities of functions are tried."""

CHAINED, REPEATED = 3, 1
"""What ``a / b / c``, and ``x * x`` or ``a / b * c``, count beside their characters: people write ``a / (b * c)`` and ``x^2``."""


Form = Literal["shortest", "expanded", "factored", "nested"]
"""The forms of a formula that mean the same.

They are the shortest one, sums of products, products of irreducible factors of polynomials, and the shortest with
polynomials after Horner's scheme, which takes the fewest operations.
"""

ASKED: tuple[Form, ...] = ("expanded", "factored")
"""Those that somebody asks for, however long they are."""


class Shortest:
    """Formulas in which nodes that have ``names`` stay as they are, in a ``form``."""

    def __init__(
        self, style: Style, names: Mapping[Node, str], derivation: Derivation, form: Form = "shortest"
    ) -> None:
        self._style = style
        self._wanted = form
        self._is_asked = form in ASKED
        self._kept = names.keys()
        self._derivation = derivation
        self._texts: dict[Node, Text] = {node: Text(name) for node, name in names.items()}
        self._clumsy = dict.fromkeys(names, 0)
        self._sums: dict[Node, Sum] = {}
        self._given: dict[Node, Node] = {}
        self._made: dict[Node, Node] = {}
        self._forms: dict[Hashable, Node] = {}
        self._given_forms: dict[Hashable, Node] = {}
        self._internal: set[Node] = set()
        self._angles: dict[int, tuple[Sum, Mapping[object, int]]] = {}
        self._circles: dict[Hashable, dict[object, int]] = {}
        self._squares: dict[int, Sum] = {}
        self._depth: dict[int, int] = {E: 0}
        self._busy: set[Hashable] = set()
        self._forms_until = 0
        limits = (MOST_EXPANDED, HIGHEST_EXPANDED) if self._is_asked else (sums.MOST, sums.HIGHEST)
        self._algebra = Algebra(_is_positive, FIRST_WORK, *limits)

    def formulas(self, roots: Sequence[Node]) -> list[Node]:
        """The roots as they are written best, in the same shapes and dtypes."""
        found = self.formulas_within(roots, None)
        assert found is not None
        return found

    def formulas_within(self, roots: Sequence[Node], most: int | None) -> list[Node] | None:
        """The same, unless they have that many visible characters together, or more."""
        nodes = cone(roots, stop=self._kept)
        first = WORK_ASKED if self._is_asked else FIRST_WORK
        self._forms_until = first + MORE_WORK * len(nodes)
        self._algebra.limit = 2 * self._forms_until  # what is left is for reading
        with self._derivation.active():
            for node in nodes:
                self._read(node)
            found: list[Node] = []
            total = 0
            for root in roots:
                found.append(self._best(root))
                if most is not None:
                    total += self.length(found[-1])
                    if total >= most:
                        return None
            return found

    def length(self, node: Node) -> int:
        """The visible characters of a formula in one piece, and some more for what people write otherwise."""
        return len(self._text(node).replace(" ", "")) + self._clumsy[node]

    def own_length(self, node: Node) -> int:
        """The visible characters of what a node with a name is computed by."""
        for x in node.inputs:
            self._text(x)
        return len(self._own(node).text.replace(" ", ""))

    # reading

    def _read(self, node: Node) -> None:
        if node in self._kept or not node.inputs:
            self._given[node] = self._made[node] = node
            if is_float(node.dtype):
                ordinary = node.op.name == "literal" and isfinite(node.attrs["value"])
                self._sums[node] = self._number(node) if ordinary else self._algebra.thing(node)
            return
        if is_float(node.dtype) and not any([_is_extraordinary(x) for x in node.inputs]):
            try:
                found = self._sum(node)
                if found is not None and self._is_shallow(found):
                    self._sums[node] = found
                    given = remade(node, self._given)
                    self._given[node] = given
                    if node.op is recip or node.op.connects or any([x in self._internal for x in node.inputs]):
                        self._internal.add(node)
                    elif len(found) > 1:
                        self._given_forms.setdefault((frozenset(found.items()), node.shape), given)
                    return
            except TooMuchError:
                pass
        new = remade(node, {x: self._best(x) for x in node.inputs})
        if node.op is matmul and new.inputs[0].op is divide:  # x / 2 @ y is hard to read
            new = new.with_inputs((self._given[node.inputs[0]], new.inputs[1]))
        if node.op is matmul and _is_identity(new.inputs[1]):
            new = new.inputs[0]
        self._given[node] = self._made[node] = new
        if is_float(node.dtype):
            self._sums[node] = self._algebra.thing(new)

    def _is_shallow(self, found: Sum) -> bool:
        return all([self._depth_of(base) <= DEEPEST for base in sums.bases_of(found)])

    def _depth_of(self, base: int) -> int:
        if base not in self._depth:
            inner = self._algebra.inner[base]
            self._depth[base] = (
                0 if inner is None else 1 + max([self._depth_of(b) for b in sums.bases_of(inner)], default=0)
            )
        return self._depth[base]

    def _number(self, node: Node) -> Sum:
        value = node.attrs["value"]
        if (found := times_pi(value)) is not None:
            c, k = found
            return {((self._algebra.base(literal(pi, node.dtype)), k),): rational(c)}
        if len(repr(value)) > 13 and is_simple(value) is None:
            for constant_, e, op, argument in _KNOWN:
                if (part := is_simple(value / constant_)) is not None:
                    return scale(self._known(op, argument, e, node.dtype), part)
        return number(exact(value))

    def _known(self, op: Operation, argument: float, e: Rational, dtype: str) -> Sum:
        """The power of a root or a logarithm of a number."""
        a = self._algebra
        if op is sqrt:
            return a.power(self._number(literal(argument, dtype)), e * sums.HALF)
        return a.power(a.thing(op(literal(argument, dtype))), e)

    def _sum(self, node: Node) -> Sum | None:
        """What a node is as a sum of products, or None for an operation that stays."""
        op, a = node.op, self._algebra
        if op.connects:
            return {}
        if op.zero_where and not any(
            [self._sums.get(node.inputs[i], True) for i in op.zero_where if i < len(node.inputs)]
        ):
            return {}
        rule = _READ.get(op)
        if rule is not None:
            return rule(self, node)
        if op is where:
            return self._selected(node)
        if op.parity:
            (x,) = node.inputs
            root = {cosh: (asinh, 1), sinh: (acosh, -1)}.get(op)
            if root is not None and x.op is root[0] and x not in self._kept:
                inside = self._sums[x.inputs[0]]
                return a.power(plus(a.power(inside, 2), number(root[1])), sums.HALF)
            inner = self._sums[x]
            turned = bool(inner) and a.leading(inner) < 0
            if op in _CIRCULAR:
                base = self._function(op, scale(inner, -1) if turned else inner, node)
                c = -1 if turned and op.parity == "odd" else 1
                return {((base, 1),): c}
            if turned:
                new = op(self._form(scale(inner, -1), x), **node.attrs)
                self._note(new, inner)
                return scale(a.thing(new), -1 if op.parity == "odd" else 1)
            new = remade(node, {x: self._best(x)})
            self._note(new, inner)
            return a.thing(new)
        return None

    def _note(self, new: Node, inner: Sum) -> None:
        if new.op is absolute:
            self._squares[self._algebra.base(new)] = self._algebra.power(inner, 2)

    def _function(self, op: object, inner: Sum, like: Node) -> int:
        """The base of a circular or hyperbolic function of a sum."""
        key = (frozenset(inner.items()), like.dtype)
        row = self._circles.setdefault(key, {})
        if op not in row:
            assert callable(op)
            base = self._algebra.base(op(broadcasted(self._form(inner, like), like.shape)))
            row[op] = base
            self._angles[base] = inner, row
        return row[op]

    def _selected(self, node: Node) -> Sum | None:
        """The slope of a power by its base, which is guarded for the exponent 0 only."""
        c, x, y = node.inputs
        if c.op is logical_or:
            c = c.inputs[0]
        if y.op.connects and c.op is not_equal and filling(c.inputs[1]) == 0:
            p = c.inputs[0]
            of = self._sums.get(p)
            product = next(iter(of)) if of is not None and len(of) == 1 else None
            if product and all([set(product) <= set(q) for q in self._sums[x]]):
                return self._sums[x]
        return None

    # writing

    def _best(self, node: Node) -> Node:
        """The shortest form of a node, as it was given where none is shorter."""
        if node in self._made:
            return self._made[node]
        found = self._sums[node]
        try:
            best = broadcasted(self._form(found, node), node.shape)
        except TooMuchError:
            best = self._given[node]
        given = self._given[node]
        is_free = not self._is_asked and node not in self._internal
        if is_free and self.length(given) < self.length(best) + bool(best.inputs):
            best = broadcasted(self._nested(found, given, node), node.shape)
        self._made[node] = best
        return best

    def _form(self, of: Sum, like: Node) -> Node:
        """The shortest form of a sum; its shape may be smaller than that of ``like``, which has its dtype."""
        value = constant(of)
        if value is not None:
            return literal(float(value), like.dtype)
        key = (frozenset(of.items()), like.dtype)
        if key in self._forms:
            return self._forms[key]
        if key in self._busy:
            return self._total(of, like)
        self._busy.add(key)
        found: list[Node] = []
        given = self._given_forms.get((key[0], like.shape))
        if given is not None and not self._is_asked:
            found.append(given)
        try:
            found += self._candidates(of, like)
        finally:
            self._busy.discard(key)
        best = self._nested(of, min(found, key=self.length), like)
        self._forms[key] = best
        return best

    def _candidates(self, of: Sum, like: Node) -> list[Node]:
        if self._algebra.work > self._forms_until:
            return [self._total(of, like)]
        self._algebra.spend(10 * len(of))
        if self._wanted == "expanded":
            return [self._total(self._algebra.expanded(of), like)]
        if self._wanted == "factored":
            return [self._total(irreducible(self._algebra, of), like)]
        found = [self._total(of, like)]
        seen = {frozenset(of.items())}
        until = min(self._forms_until, self._algebra.work + self._forms_until // 4)
        for form in self._alternatives(of):
            if self._algebra.work > until:
                break
            key = frozenset(form.items())
            try:
                if key not in seen:
                    seen.add(key)
                    found.append(self._total(form, like))
                found += self._in_factors(form, like)
            except TooMuchError:
                break
        return found

    def _alternatives(self, of: Sum) -> list[Sum]:
        """The sum itself, multiplied out, and both after identities."""
        result = [of]
        try:
            out = self._algebra.expanded(of)
            result += [out] if out != of else []
        except TooMuchError:
            pass
        for form in list(result):
            try:
                result += self._identities(form)
            except TooMuchError:
                pass
        return result

    def _in_factors(self, of: Sum, like: Node) -> list[Node]:
        """Forms with what is common to all terms in front or below, and with factors of what is left."""
        if len(of) < 2:
            return []
        a = self._algebra
        found: list[Node] = []
        shared = sums.common(of)
        c = sums.content(of)
        options = {shared, tuple([(b, e) for b, e in shared if not isinstance(e, Rational) or e > 0]), ONE}
        if all([v < 0 for v in of.values()]):
            c = -c
        for front in options:
            a.spend(5 * len(of))
            rest = of
            if front:
                rest = a.multiply(of, a.power({front: 1}, -1), out=True)
            rest = scale(rest, 1 / c)
            if front == ONE and c in (1, -1):
                found += self._factored(number(c), rest, like)
                continue
            for form in self._alternatives(rest):
                found.append(
                    self._total(a.multiply({front: c}, form if len(form) < 2 else self._as_factor(form)), like)
                )
                found += self._factored({front: c}, form, like)
        return found

    def _as_factor(self, of: Sum) -> Sum:
        return base_to(self._algebra.sum_base(of))

    def _factored(self, front: Sum, of: Sum, like: Node) -> list[Node]:
        """``front`` times a sum, where that is a product of sums that occur in it, or of ones with rational roots."""
        a = self._algebra
        try:
            out = a.expanded(of)
        except TooMuchError:
            return []
        result = front
        left = out
        known = [a.inner[b] for p in (*front, *of) for b, e in p if a.inner[b] is not None and isinstance(e, Rational)]
        for divisor in [*known, *_linear_factors(out)]:
            for _ in range(sums.HIGHEST):
                assert divisor is not None
                quotient = a.divided(left, divisor)
                if quotient is None:
                    break
                left = quotient
                result = a.multiply(result, a.power(divisor, 1, factor=True), out=True)
        if left == out:
            return []
        c = constant(left)
        result = scale(result, c) if c is not None else a.multiply(result, a.power(left, 1, factor=True), out=True)
        return [self._total(result, like)]

    def _identities(self, of: Sum) -> list[Sum]:
        """The sum after identities, one after another as long as it gets simpler."""
        result: list[Sum] = []
        for base, inner in self._squares.items():
            if any([base in dict(p) for p in of]):
                of = self._squared(of, base, inner)
                result.append(of)
        for _ in range(8 if len(of) <= FEW_TERMS else 0):
            best = of
            for other in self._rewritten(of):
                if _weight(other) < _weight(best):
                    best = other
                elif _weight(other) == _weight(of) and other != of:
                    result.append(other)
            if best is of:
                return result
            of = best
            result.append(of)
        return result

    def _squared(self, of: Sum, base: int, square_: Sum) -> Sum:
        """The sum with even powers of a root replaced by powers of its square."""
        a = self._algebra
        result: Sum = {}
        for p, c in of.items():
            e = dict(p).get(base)
            half = int(e / 2) if isinstance(e, Rational) and e.denominator == 1 else 0
            rest: Sum = {p: c}
            if half:
                rest = a.multiply(rest, a.multiply(base_to(base, -2 * half), a.power(square_, half)))
            result = plus(result, rest)
        return result

    def _rewritten(self, of: Sum) -> list[Sum]:
        """Each identity once, at each angle."""
        a = self._algebra
        found: list[Sum] = []
        angles: dict[int, tuple[Sum, Mapping[object, int]]] = {}
        for base in sums.bases_of(of):
            if base in self._angles:
                inner, row = self._angles[base]
                angles.setdefault(id(row), (inner, row))
        if len(angles) > FEW_ANGLES:
            return []
        for inner, row in angles.values():
            a.spend(4 * len(of))
            like = a.things[next(iter(row.values()))]
            assert isinstance(like, Node)
            for of_one, of_other, sign, constant_ in _PYTHAGORAS:
                if of_one in row and (of_other in row or len(of) > 1):
                    other = self._function(of_other, inner, like)
                    square_ = plus(number(constant_), base_to(other, 2), sign)
                    self._attempt(found, of, row[of_one], square_)
            if tan in row and len(of) > 1:
                below = base_to(self._function(cos, inner, like), -2)
                self._attempt(found, of, row[tan], plus(below, number(-1)))
            if sinh in row and cosh in row:
                found.append(self._quotients(of, row[sinh], row[cosh], self._function(tanh, inner, like)))
            if sin in row and cos in row:
                double = scale(inner, 2)
                half = scale(base_to(self._function(sin, double, like)), sums.HALF)
                found.append(self._paired(of, row[sin], row[cos], half))
                twice = scale(base_to(self._function(cos, double, like)), sums.HALF)
                found.append(self._quotients(of, row[sin], row[cos], self._function(tan, inner, like)))
                try:
                    once = a.substituted(of, row[sin], plus(number(sums.HALF), twice, -1))
                    found.append(a.substituted(once, row[cos], plus(number(sums.HALF), twice)))
                except TooMuchError:
                    pass
        return found

    def _attempt(self, found: list[Sum], of: Sum, base: int, square_: Sum) -> None:
        try:
            found.append(self._algebra.substituted(of, base, square_))
        except TooMuchError:
            pass

    def _paired(self, of: Sum, one: int, other: int, product: Sum) -> Sum:
        """Products of two bases replaced."""
        a = self._algebra
        result: Sum = {}
        for p, c in of.items():
            row = dict(p)
            if row.get(one) == row.get(other) == 1:
                rest = tuple([pair for pair in p if pair[0] not in (one, other)])
                result = plus(result, a.multiply({rest: c}, product))
            else:
                sums.put(result, p, c)
        return result

    def _quotients(self, of: Sum, one: int, other: int, quotient: int) -> Sum:
        """Opposite powers of two bases replaced by powers of their quotient."""
        result: Sum = {}
        for p, c in of.items():
            row = dict(p)
            e = row.get(one)
            if isinstance(e, Rational) and row.get(other) == -e:
                rest = tuple([pair for pair in p if pair[0] not in (one, other)])
                result = plus(result, self._algebra.multiply({rest: c}, base_to(quotient, e)))
            else:
                sums.put(result, p, c)
        return result

    # nodes

    def _total(self, of: Sum, like: Node) -> Node:
        """The sum written term by term."""
        if not of:
            return literal(0.0, like.dtype)
        terms = sorted(of.items(), key=lambda item: self._term_order(item[0]))
        first = next((i for i, (p, c) in enumerate(terms) if c > 0), 0)
        terms.insert(0, terms.pop(first))
        result = self._term(*terms[0], like)
        for product, c in terms[1:]:
            result = (
                add(result, self._term(product, c, like)) if c > 0 else subtract(result, self._term(product, -c, like))
            )
        return result

    def _nested(self, of: Sum, written: Node, like: Node) -> Node:
        """The form of a sum; of a polynomial with whole coefficients after Horner's scheme, if that is asked for."""
        if self._wanted != "nested" or written.op not in (add, subtract):
            return written
        rows = self._polynomial(of)
        if not rows or rows[0][0] < 2 or (len(rows) == 2 and not (rows[1][0] and rows[0][0] > 2)):
            return written
        (base,) = sums.bases_of(of)
        x = self._term(((base, 1),), 1, like)
        result: Node | None = None
        for (e, c), (lower, _) in zip(rows, [*rows[1:], (0, 0)], strict=True):
            if result is None:
                result = None if c == 1 else literal(float(c), like.dtype)
            elif c < 0:
                result = subtract(result, literal(float(-c), like.dtype))
            else:
                result = add(result, literal(float(c), like.dtype))
            if e > lower:
                step = self._power(x, e - lower, like)
                result = step if result is None else multiply(result, step)
        return written if result is None else result

    def _polynomial(self, of: Sum) -> list[tuple[int, Rational]]:
        """The degrees and whole coefficients of a polynomial of one base, the highest first; none for other sums."""
        used = sums.bases_of(of)
        if len(used) != 1 or E in used or len(of) < 2 or any([c.denominator != 1 for c in of.values()]):
            return []
        powers = [product[0][1] if product else 0 for product in of]
        if not all([sums.whole(e) and e >= 0 for e in powers]):  # type: ignore[operator]
            return []
        return sorted([(int(e), c) for e, c in zip(powers, of.values(), strict=True)], reverse=True)  # type: ignore[arg-type]

    def _term_order(self, product: Product) -> tuple[object, ...]:
        degree = sum([e for b, e in product if isinstance(e, Rational) and self._kind(b) == 0], start=0)
        return (-degree, not product, [(b, -e if isinstance(e, Rational) else 0) for b, e in product])

    def _kind(self, base: int) -> int:
        """Where a factor stands: names, then sums, then functions."""
        if base == E:
            return 2
        thing = self._algebra.things[base]
        if not isinstance(thing, Node):
            return 1
        while thing not in self._kept and thing.op.name == "index":
            thing = thing.inputs[0]
        return 0 if thing in self._kept or not thing.inputs else 2

    def _term(self, product: Product, c: Rational, like: Node) -> Node:
        """A product of powers with its coefficient, as one quotient."""
        product, c = self._roots_joined(product, c)
        top: list[tuple[int, int, Node]] = []
        below: list[tuple[int, int, Node]] = []
        pis = 0
        turned = False
        for base, e in product:
            if base == E:
                top.append((self._kind(base), base, exp(self._form(sums.as_sum(e), like))))
                continue
            if self._is_pi(base) and sums.whole(e):
                assert isinstance(e, Rational)
                pis = int(e)
                continue
            node, negative = self._base(base, e, c < 0 and not turned, like)
            if negative:
                c, turned = -c, True
            if self._algebra.inner[base] is not None and sums.whole(e):
                number_, rest = split(node)
                if number_ != 1 and rest.shape == node.shape and float(number_).is_integer():
                    assert isinstance(e, Rational)
                    node, c = rest, rational(c * sums.raised(int(number_), int(e)))
            if isinstance(e, Rational) and e < 0:
                below.append((self._kind(base), base, self._power(node, -e, like)))
            else:
                top.append((self._kind(base), base, self._power(node, e, like)))
        above = [node for _, _, node in sorted(top, key=lambda row: row[:2])]
        under = [node for _, _, node in sorted(below, key=lambda row: row[:2])]
        return _in_front(c, pis, above, under, like.dtype)

    def _is_pi(self, base: int) -> bool:
        thing = self._algebra.things[base]
        return isinstance(thing, Node) and thing.op.name == "literal" and bool(thing.attrs["value"] == pi)

    def _base(self, base: int, e: Exponent, turns: bool, like: Node) -> tuple[Node, bool]:
        """What a power is a power of, and whether its sign is another in the product.

        A sum may be written as its negative: to an odd power where that ``turns`` a minus away, to an even one where it
        is shorter.
        """
        inner = self._algebra.inner[base]
        if inner is None:
            thing = self._algebra.things[base]
            assert isinstance(thing, Node)
            return thing, False
        node = self._form(inner, like)
        if len(inner) < 2 or not sums.whole(e):
            return node, False
        assert isinstance(e, Rational)
        other = self._form(scale(inner, -1), like)
        odd = e.numerator % 2 == 1
        longer = self.length(other) - self.length(node)
        return (other, odd) if (turns and longer <= 0 if odd else longer < 0) else (node, False)

    def _roots_joined(self, product: Product, c: Rational) -> tuple[Product, Rational]:
        """Whole powers of a sum, or its negative, together with its root: (1 - x^2)^1.5."""
        inner = self._algebra.inner
        roots = {
            b: e
            for b, e in product
            if b != E and inner[b] is not None and isinstance(e, Rational) and not sums.whole(e)
        }
        if not roots:
            return product, c
        powers = dict(product)
        for root, e in roots.items():
            for base, n in product:
                if base in (root, E) or inner[base] is None or not sums.whole(n) or n * e < 0:  # type: ignore[operator]
                    continue
                for sign in (1, -1):
                    if scale(inner[root] or {}, sign) == inner[base]:
                        assert isinstance(n, Rational)
                        powers[root] = sums.plus(powers[root], n)
                        del powers[base]
                        c *= sign if n.numerator % 2 else 1
        return tuple(sorted(powers.items(), key=lambda pair: pair[0])), c

    def _power(self, node: Node, e: Exponent, like: Node) -> Node:
        if isinstance(e, Rational):
            if e == 1:
                return node
            if e == Fraction(1, 2):
                return sqrt(node)
            if node.op.name == "literal":
                return literal(float(node.attrs["value"]) ** float(e), node.dtype)
            return power(node, literal(float(e), node.dtype))
        return power(node, self._form(e.sum, like))

    # texts

    def _text(self, root: Node) -> str:
        return self._piece(root).text

    def _piece(self, root: Node) -> Text:
        todo = [root]
        texts = self._texts
        while todo:
            node = todo[-1]
            if node in texts:
                todo.pop()
                continue
            missing = [x for x in node.inputs if x not in texts]
            if missing:
                todo.extend(missing)
                continue
            todo.pop()
            texts[node] = self._own(node)
            inputs = node.inputs
            chained = node.op is divide and inputs[0].op is divide
            repeated = node.op is multiply and (inputs[0] is inputs[1] or inputs[1] in inputs[0].inputs)
            after = node.op is multiply and inputs[0].op is divide
            own = CHAINED * chained + REPEATED * (repeated or after or node.op is square)
            self._clumsy[node] = min(own + sum([self._clumsy[x] for x in inputs]), LONGEST)
        return texts[root]

    def _own(self, node: Node) -> Text:
        if node.op.name == "leaf":
            return self._style.leaf(node)
        if node.op.family == "language" or "body" in node.attrs or "system" in node.attrs or "rule" in node.attrs:
            return Text("f1(x)")
        operands = [
            (self._style.literal(x, node, i) if x.op.name == "literal" else None) or self._texts[x]
            for i, x in enumerate(node.inputs)
        ]
        text = self._style.apply(node, operands)
        return text if len(text.text) < LONGEST else Text("_" * LONGEST)


def exact(value: float) -> Rational:
    """The simple fraction that a float is, else the decimal number."""
    shown = repr(float(value))
    if len(shown) > 8:
        part = Fraction(value).limit_denominator(10**6)
        if part and part.numerator / part.denominator == value:
            return rational(part)
    return rational(Fraction(shown))


def _is_extraordinary(x: Node) -> bool:
    """Whether a node is NaN or infinity as a number."""
    return x.op.name == "literal" and not isfinite(x.attrs["value"])


def _is_identity(x: Node) -> bool:
    """Whether a node is the identity matrix."""
    return x.op is embed_diagonal and x.attrs["k"] == 0 and x.shape[0] == x.shape[1] and filling(x.inputs[0]) == 1


def is_simple(value: float) -> Fraction | None:
    """The fraction of small numbers that a float is, up to rounding."""
    part = Fraction(value).limit_denominator(100)
    return part if part and abs(part.numerator) <= 1000 and abs(float(part) - value) <= 4e-16 * abs(value) else None


def _is_positive(thing: Hashable) -> bool:
    if not isinstance(thing, Node):
        return False
    if thing.op.name == "literal":
        return bool(thing.attrs["value"] > 0)
    return thing.op.positive


def _quotient(c: Rational) -> tuple[float, float]:
    """A positive number as numerator and denominator, or as one decimal number where that is shorter."""
    p, q = c.numerator, c.denominator
    decimal = repr(float(c))
    if q == 1 or len(f"{p}/{q}") - 2 * (p == 1) <= len(decimal):
        return float(p), float(q)
    return float(c), 1.0


def _in_front(c: Rational, pis: int, above: list[Node], under: list[Node], dtype: str) -> Node:
    """A quotient of products with its coefficient and a power of pi."""
    p, q = _quotient(c if c > 0 else -c)
    p, q = p * pi ** max(pis, 0), q * pi ** max(-pis, 0)
    if pis > 0 and q != 1 and not under:
        p, q = p / q, 1.0
    sign = -1 if c < 0 else 1
    if q != 1 and not above and not under:
        return literal(sign * p / q, dtype)
    if p != 1 or not above:
        above = [literal(sign * p, dtype), *above]
    elif sign < 0:
        above = [_negative(above[0]), *above[1:]]
    if q != 1:
        under = [literal(q, dtype), *under]
    return divide(_chain(above), _chain(under)) if under else _chain(above)


def _negative(x: Node) -> Node:
    value = number_of(x)
    return neg(x) if value is None else literal(-value, x.dtype)


def _chain(factors: Sequence[Node]) -> Node:
    result = factors[0]
    for factor in factors[1:]:
        result = multiply(result, factor)
    return result


def _weight(of: Sum) -> tuple[int, int]:
    """How long a sum is, roughly: terms, then factors."""
    return len(of), sum([len(p) for p in of])


def _linear_factors(of: Sum) -> list[Sum]:
    """The factors x - p/q of a polynomial of one base."""
    used = sums.bases_of(of)
    if len(used) != 1 or len(of) < 3:
        return []
    (base,) = used
    coefficients: dict[int, Rational] = {}
    for product, c in of.items():
        e = product[0][1] if product else 0
        if base == E or not isinstance(e, Rational) or e.denominator != 1 or not 0 <= e <= sums.HIGHEST:
            return []
        coefficients[int(e)] = c
    if 0 not in coefficients:
        return []
    over = sums.content(of)
    whole = {n: int(c / over) for n, c in coefficients.items()}
    last, first = abs(whole[0]), abs(whole[max(whole)])
    if max(last, first) > 1000:
        return []
    below = [q for q in range(1, first + 1) if first % q == 0]
    above = [p * s for p in range(1, last + 1) if last % p == 0 for s in (1, -1)]
    roots = {Fraction(p, q) for q in below for p in above}
    zeros = sorted([x for x in roots if not sum([c * x**n for n, c in whole.items()])])
    return [plus(scale(base_to(base), x.denominator), number(-x.numerator)) for x in zeros]


def _read_power(self: Shortest, node: Node) -> Sum | None:
    base, e = node.inputs
    if base.dtype != node.dtype or not is_float(e.dtype):
        return None
    of, powers = self._sums[base], self._sums[e]
    return self._algebra.power(of, sums.exponent(powers))


def _read_log(self: Shortest, node: Node) -> Sum | None:
    of = self._sums[node.inputs[0]]
    if len(of) == 1:
        ((product, c),) = of.items()
        if c == 1 and len(product) == 1 and product[0][0] == E:
            return sums.as_sum(product[0][1])
    return None


def _read_divided(self: Shortest, node: Node) -> Sum | None:
    x, y = [self._sums[i] for i in node.inputs]
    return self._algebra.multiply(x, self._algebra.power(y, -1))


_KNOWN = (
    [(math.sqrt(pi) ** s, s, sqrt, pi) for s in (1, -1)]
    + [(math.sqrt(2 * pi) ** s, s, sqrt, 2 * pi) for s in (1, -1)]
    + [(math.sqrt(c), 1, sqrt, c) for c in (2, 3)]
    + [(math.log(c) ** s, s, log, c) for c in (2, 10) for s in (1, -1)]
)
"""Numbers that come from derivatives, as they are known: the value, and the power of an operation on a number."""

_READ: dict[object, Callable[[Shortest, Node], Sum | None]] = {
    add: lambda self, node: plus(self._sums[node.inputs[0]], self._sums[node.inputs[1]]),
    subtract: lambda self, node: plus(self._sums[node.inputs[0]], self._sums[node.inputs[1]], -1),
    neg: lambda self, node: scale(self._sums[node.inputs[0]], -1),
    multiply: lambda self, node: self._algebra.multiply(self._sums[node.inputs[0]], self._sums[node.inputs[1]]),
    divide: _read_divided,
    recip: lambda self, node: self._algebra.power(self._sums[node.inputs[0]], -1),
    divide_no_nan: lambda self, node: _read_divided(self, node) if node.inputs[1].op is hypot else None,
    power: _read_power,
    square: lambda self, node: self._algebra.power(self._sums[node.inputs[0]], 2),
    sqrt: lambda self, node: self._algebra.power(self._sums[node.inputs[0]], sums.HALF),
    rsqrt: lambda self, node: self._algebra.power(self._sums[node.inputs[0]], -sums.HALF),
    exp: lambda self, node: self._algebra.exponential(self._sums[node.inputs[0]]),
    log: _read_log,
    broadcast_to: lambda self, node: self._sums[node.inputs[0]],
}
"""How operations are read as sums of products."""

_CIRCULAR = (sin, cos, tan, sinh, cosh, tanh)
_PYTHAGORAS = ((sin, cos, -1, 1), (cos, sin, -1, 1), (sinh, cosh, 1, -1), (cosh, sinh, 1, 1))
"""f^2 = sign * g^2 + number: f, g, the sign, the number."""
