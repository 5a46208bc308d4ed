"""Taylor mode: truncated power series, for derivatives of high order and for forward mode.

The series of a node along a direction v is that of its value at x + t v; its k-th coefficient is a graph node, or None
where it is structurally zero. Order n of repeated passes is one series of degree n - 1 along ones and one reverse pass,
which costs n² where nested passes double or triple at each order. Recurrences: Griewank and Walther, *Evaluating
Derivatives*, chapter 13; powers by Miller's formula.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import reduce

from gradcli.autodiff import reverse
from gradcli.autodiff.cotangents import either, guarded, is_indicator, unless_met
from gradcli.autodiff.powers import binomial, even_power, is_same, natural_powers, plus
from gradcli.graph.node import Derivation, Node, cone, current_derivation
from gradcli.graph.operation import (
    Contraction,
    Elementwise,
    Linear,
    NoDerivative,
    Product,
    Repeated,
    SameAs,
    Select,
    Tangent,
    Zero,
    cast_to,
    constant_value,
)
from gradcli.graph.ops.creation import ones, ones_like, tangent, zeros, zeros_like
from gradcli.graph.ops.elementwise import (
    add,
    divide,
    divide_no_nan,
    log,
    multiply,
    multiply_no_nan,
    power,
    products,
    recip,
    recip_no_nan,
    square,
    subtract,
)
from gradcli.graph.ops.linear_algebra import matmul, solve
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import equal, greater, not_equal, where, zero
from gradcli.graph.ops.shaping import broadcasted, reshaped
from gradcli.graph.types import is_float, size_of

QUOTIENTS = (divide, recip, divide_no_nan, recip_no_nan)

Request = tuple[Node, int]
Coefficient = Generator[Request, "Node | None", "Node | None"]


def _goes_further_backwards(node: Node) -> bool:
    """Whether what reverse mode passes on has derivatives that the tangent lacks, as of eigenvalues that coincide."""
    return isinstance(node.op.rule, Tangent) and node.op.rule.adjoint is not None


class Series:
    """The power series of nodes, along one direction of one x or along series that are ``given`` for several.

    A given series is the list of its coefficients from the first on, None for 0; the others are 0.
    """

    def __init__(self, given: Mapping[Node, Sequence[Node | None]], stops: Iterable[Node] = ()) -> None:
        self.sources = set(given)
        self.oldest = min([x.serial for x in given])
        self.known: dict[Request, Node | None] = {(x, k): c for x, some in given.items() for k, c in enumerate(some, 1)}
        self.fixed = {s for s in stops if s not in self.sources}
        self.varying: dict[Node, bool] = dict.fromkeys(given, True)
        self.partials: dict[tuple[Node, int], Node | float | None] = {}
        self.expressions: dict[tuple[Node, int], Node] = {}
        self.placeholders: dict[Node, Node] = {}
        self.weighted: dict[Request, Node] = {}
        self.masks: dict[Node, Node | None] = dict.fromkeys(given)
        self.loops: dict[Node, list[Node | None]] = {}
        # Values whose derivatives go further backwards, and what is made of them entry by entry.
        self.of_spectra: set[Node] = set()
        self.slopes: dict[Node, list[tuple[Node, Node]]] = {}
        # Computed from a dx of a tangent rule: the 0-th coefficient of such a node is built anew.
        self.moved: set[Node] = set()

    def depends(self, root: Node) -> bool:
        """Whether a node changes with t, through operations that have derivatives."""
        varying = self.varying
        if root in varying:
            return varying[root]
        todo = [root]
        while todo:
            node = todo[-1]
            if node in varying:
                todo.pop()
                continue
            if node in self.fixed or node.serial < self.oldest:
                varying[node] = False
                continue
            below = [node.inputs[i] for i in node.op.differentiable_inputs(node)]
            unknown = [b for b in below if b not in varying]
            if unknown:
                todo.extend(unknown)
            else:
                varying[node] = any([varying[b] for b in below])
                if _goes_further_backwards(node) or (node.op.entrywise and not self.of_spectra.isdisjoint(below)):
                    self.of_spectra.add(node)
        return varying[root]

    def coefficient(self, node: Node, k: int) -> Node | None:
        """The k-th coefficient of a node's series, a node of its shape; None for a structural zero. Not recursive."""
        found = self._ready((node, k))
        if found is not _MISSING:
            return found  # type: ignore[return-value]
        stack: list[tuple[Request, Coefficient]] = [((node, k), self._rule(node, k))]
        answer: Node | None = None
        started = False
        derivation = current_derivation() or Derivation()
        outer = derivation.current
        while stack:
            request, generator = stack[-1]
            derivation.current = outer or request[0]  # the origin of what is made for this coefficient
            try:
                wanted = generator.send(answer) if started else next(generator)
            except StopIteration as stop:
                self.known[request] = answer = self._selected(request[0], stop.value)
                stack.pop()
                started = True
                continue
            ready = self._ready(wanted)
            if ready is _MISSING:
                stack.append((wanted, self._rule(*wanted)))
                started = False
            else:
                answer = ready  # type: ignore[assignment]
                started = True
        derivation.current = outer
        return answer

    def _ready(self, request: Request) -> object:
        if request in self.known:
            return self.known[request]
        node, k = request
        if node in self.placeholders:
            return _MISSING
        if not self.depends(node):
            return node if k == 0 else None
        if k == 0 and node not in self.moved:
            return node
        if node in self.sources:
            return None
        return _MISSING

    def mask(self, root: Node) -> Node | None:
        """Where the series of a node that depends on x goes on behind every ``where``, as in reverse mode; None: everywhere.

        What an operation other than one of entries or linear makes of a mask is taken as selected everywhere.
        """
        todo = [root]
        while todo:
            node = todo[-1]
            missing = [] if node in self.masks else [u for u in self._moving(node) if u not in self.masks]
            if missing:
                todo.extend(missing)
                continue
            todo.pop()
            if node not in self.masks:
                self.masks[node] = self._masked(node)
        return self.masks[root]

    def _selected(self, node: Node, value: Node | None) -> Node | None:
        """A coefficient in the node's shape; 0 where a factor may be infinite and what it multiplies is not selected."""
        if value is None:
            return None
        value = broadcasted(value, node.shape)
        if not node.risky or node.op not in (*QUOTIENTS, power):
            return value
        mask = self.mask(node)
        return value if mask is None else where(mask, value, 0)

    def _moving(self, node: Node) -> list[Node]:
        """The inputs whose masks the mask of a node is made from."""
        if node in self.placeholders:
            return [self.placeholders[node]]
        rule = node.op.rule
        if isinstance(rule, SameAs):
            return [self._expression(node, rule)]
        if not isinstance(rule, (Contraction, Elementwise, Linear, Product, Repeated, Select)):
            return []
        return [node.inputs[i] for i in node.op.differentiable_inputs(node) if self.depends(node.inputs[i])]

    def _masked(self, node: Node) -> Node | None:
        rule, moving = node.op.rule, self._moving(node)
        if isinstance(rule, SameAs):
            return self.masks[moving[0]] if moving and self.depends(moving[0]) else None
        if isinstance(rule, Repeated):
            from gradcli.autodiff import loops

            arguments = zip(node.attrs["given"], node.inputs, strict=True)
            return loops.series_mask(self, node, {p: self.masks[x] for p, x in arguments if x in moving})
        if isinstance(rule, Select):
            return self._mask_of_choice(node)
        known = {u: m for u in moving if (m := self.masks[u]) is not None}
        if not moving or len(known) < len(set(moving)) or (isinstance(rule, Contraction) and len(moving) > 1):
            return None
        if isinstance(rule, Contraction) or (isinstance(rule, Linear) and not node.op.entrywise):
            rest = ones_like if isinstance(rule, Contraction) else zeros_like
            parts = [
                cast_to(known[u], node.dtype) if u in known else rest(u) if is_float(u.dtype) else u
                for u in node.inputs
            ]
            return not_equal(node.op(*parts, **node.attrs), 0)
        return broadcasted(reduce(either, [known[u] for u in moving]), node.shape)

    def _mask_of_choice(self, node: Node) -> Node | None:
        condition, *branches = node.inputs
        masks = [self.masks[u] if self.depends(u) else _everywhere(u, False) for u in branches]
        if all([m is None for m in masks]):
            return None
        chosen = where(condition, *[_everywhere(u) if m is None else m for u, m in zip(branches, masks, strict=True)])
        return broadcasted(chosen, node.shape)

    # rules

    def _rule(self, node: Node, k: int) -> Coefficient:
        if node in self.placeholders:
            return self._of_placeholder(node, k)
        op, rule = node.op, node.op.rule
        if k > 1 and size_of(node.shape) == 1 and not op.entrywise and not self.of_spectra.isdisjoint(node.inputs):
            return self._of_spectrum(node, k)
        if op in QUOTIENTS:
            return self._quotient(node, k)
        if op is solve:
            return self._solve(node, k)
        if op is power:
            return self._power(node, k)
        match rule:
            case Elementwise():
                return self._elementwise(node, k, rule)
            case Product():
                return self._product(node, k)
            case Linear():
                return self._linear(node, k)
            case Contraction():
                return self._contraction(node, k)
            case Select():
                return self._select(node, k)
            case SameAs():
                return self._same_as(node, k, rule)
            case Tangent():
                return self._tangent(node, k, rule)
            case Repeated():
                return self._repeated(node, k)
            case NoDerivative():
                raise AssertionError(f"{op.name} has no series")

    def _of_placeholder(self, node: Node, k: int) -> Coefficient:
        """dx(t) = d/dt x(t)."""
        c = yield self.placeholders[node], k + 1
        return None if c is None else _times(k + 1, c)

    def _of_spectrum(self, node: Node, k: int) -> Coefficient:
        """k y_k = Σ_x Σ_j j <x_j, g_{k-j}>, with g the series of the gradient of a number y by the matrices x.

        Eigenvalues that coincide have no series, but a number that treats them alike may, and its gradient in x.
        """
        if node not in self.slopes:
            xs: dict[Node, None] = {}
            todo = list(node.inputs)
            while todo:
                below = todo.pop()
                if _goes_further_backwards(below):
                    xs[below.inputs[0]] = None
                elif below in self.of_spectra:
                    todo += [below.inputs[i] for i in below.op.differentiable_inputs(below)]
                else:
                    xs[below] = None
            moving = [x for x in xs if self.depends(x)]
            found = reverse.gradients([node], moving, None, {*xs, *self.fixed})
            self.slopes[node] = [(x, g) for x, g in zip(moving, found, strict=True) if g is not None]
        total: Node | None = None
        for x, g in self.slopes[node]:
            for j in range(1, k + 1):
                xj, w = (yield x, j), (yield g, k - j)
                if xj is not None and w is not None:
                    total = plus(total, sum_(self._weighted(x, j, xj) * w, axis=None))
        return None if total is None else reshaped(_times(1 / k, total), node.shape)

    def _elementwise(self, node: Node, k: int, rule: Elementwise) -> Coefficient:
        """k y_k = Σ over inputs, Σ_j j u_j w_{k-j}, with w the series of the partial."""
        if node.op is square and (expression := self._even_power(node, node.inputs[0], 2)) is not None:
            return (yield expression, k)
        if node.op is zero:
            return None
        factors: list[Node] = []
        total: Node | None = None
        for i, u in enumerate(node.inputs):
            if rule.partials[i] is None or isinstance(rule.partials[i], Zero) or not self.depends(u):
                continue
            p = self._partial(node, i, rule)
            if not isinstance(p, Node):
                c = yield u, k
                if c is not None and p:
                    total = plus(total, _times(p, c))
                continue
            for j in range(1, k + 1):
                uj = yield u, j
                if uj is None:
                    continue
                w = yield p, k - j
                if w is None:
                    continue
                w = guarded(w, self.mask(u) if w.risky else None)
                if i in rule.absorbs:
                    total = plus(total, _times(1 / k, multiply_no_nan(w, self._weighted(u, j, uj))))
                else:
                    factors += [self._weighted(u, j, uj), w]
        if factors:
            total = plus(total, _times(1 / k, products(*factors)))
        return total

    def _weighted(self, u: Node, j: int, uj: Node) -> Node:
        """j times the j-th coefficient of u, made once for all the sums that it stands in."""
        known = self.weighted.get((u, j))
        if known is None:
            known = self.weighted[u, j] = _times(j, uj)
        return known

    def _partial(self, node: Node, i: int, rule: Elementwise) -> Node | float | None:
        key = (node, i)
        if key not in self.partials:
            partial = rule.partials[i]
            assert partial is not None and not isinstance(partial, Zero)
            self.partials[key] = partial(node, *node.inputs)
        return self.partials[key]

    def _product(self, node: Node, k: int) -> Coefficient:
        """Cauchy products; of a square only half of the terms are different."""
        if len(node.inputs) == 2 and is_same(*node.inputs):
            expression = self._even_power(node, node.inputs[0], 2)
            if expression is not None:
                return (yield expression, k)
        factors: list[Node] = []
        twice: list[Node] = []
        masked: Node | None = None
        for a, b in zip(node.inputs[::2], node.inputs[1::2], strict=True):
            if self._is_left_out(a, b) or self._is_left_out(b, a):
                other, x = (a, b) if self._is_left_out(a, b) else (b, a)
                u = yield x, k
                if u is not None:
                    masked = plus(masked, where(not_equal(other, 0), u * other, 0))
            elif a is b:
                half = yield from self._terms(a, a, range((k + 1) // 2), k)
                twice += half
                u = (yield a, k // 2) if k % 2 == 0 else None
                factors += [] if u is None else [u, u]
            else:
                some = yield from self._terms(a, b, range(k + 1), k)
                factors += some
        doubled = _times(2, _sum_of_products(twice)) if twice else None
        return plus(plus(_sum_of_products(factors) if factors else None, doubled), masked)

    def _is_left_out(self, other: Node, x: Node) -> bool:
        """Whether x, NaN included, is not selected where an indicator beside it is 0."""
        return not self.depends(other) and x.risky and is_indicator(other)

    def _terms(self, a: Node, b: Node, orders: Iterable[int], k: int) -> Generator[Request, Node | None, list[Node]]:
        """The factors of products of coefficients of a, of some orders, and of b, up to the order k."""
        factors: list[Node] = []
        for j in orders:
            if (j and not self.depends(a)) or (k - j and not self.depends(b)):
                continue
            u = yield a, j
            v = (yield b, k - j) if u is not None else None
            if u is not None and v is not None:
                factors += [self._beside(u, b, k - j), self._beside(v, a, j)]
        return factors

    def _beside(self, x: Node, u: Node, j: int) -> Node:
        """A factor beside the j-th coefficient of u: 0 where that is not selected."""
        return guarded(x, self.mask(u)) if j and x.risky else x

    def _linear(self, node: Node, k: int) -> Coefficient:
        """The operation itself on the k-th coefficients."""
        moving = node.op.differentiable_inputs(node)
        parts: list[Node | None] = []
        for i, u in enumerate(node.inputs):
            parts.append((yield u, k) if i in moving else u)
        if all(parts[i] is None for i in moving):
            return None
        if node.op is add:
            return plus(parts[0], parts[1])
        if node.op is subtract:
            a, b = parts
            if b is None:
                return a
            return -b if a is None else subtract(a, b)
        filled = [
            p if p is not None else zeros(shape=u.shape, dtype=u.dtype) for p, u in zip(parts, node.inputs, strict=True)
        ]
        return node.op(*filled, **node.attrs)

    def _contraction(self, node: Node, k: int) -> Coefficient:
        """The multilinear Cauchy product: all ways to share k among the operands."""
        total: Node | None = None
        varying = [self.depends(u) for u in node.inputs]
        for share in _compositions(k, varying):
            parts: list[Node] = []
            for u, j in zip(node.inputs, share, strict=True):
                c = yield u, j
                if c is None:
                    break
                parts.append(c)
            if len(parts) == len(share):
                total = plus(total, self._contracted(node, parts, share))
        return total

    def _contracted(self, node: Node, parts: Sequence[Node], share: Sequence[int]) -> Node:
        """One term: NaN and infinity count where an indicator, or the mask of a coefficient, takes them."""

        def product(operands: Sequence[Node]) -> Node:
            return node.op(*operands, **node.attrs)

        if not any([p.risky for p in parts]):
            return product(parts)
        taken: list[Node | None] = []
        for u, j in zip(node.inputs, share, strict=True):
            varies = self.depends(u)
            mask = self.mask(u) if j and varies else None
            taken.append(mask if varies or not is_indicator(u) else not_equal(u, 0))
        count = len(parts) - taken.count(None)
        if not any([p.risky and count > (some is not None) for p, some in zip(parts, taken, strict=True)]):
            return product(parts)
        return unless_met(product, product, parts, taken)

    def _select(self, node: Node, k: int) -> Coefficient:
        condition, a, b = node.inputs
        u, v = (yield a, k), (yield b, k)
        if u is None and v is None:
            return None
        return where(condition, 0 if u is None else u, 0 if v is None else v)

    def _same_as(self, node: Node, k: int, rule: SameAs) -> Coefficient:
        return (yield self._expression(node, rule), k)

    def _expression(self, node: Node, rule: SameAs) -> Node:
        key = (node, 0)
        if key not in self.expressions:
            self.expressions[key] = rule.expression(node, *node.inputs)
        return self.expressions[key]

    def _tangent(self, node: Node, k: int, rule: Tangent) -> Coefficient:
        """y' = E(y, x, x'), so y_k = E_{k-1} / k; one expression for each input that varies."""
        if not k:
            parts = list(node.inputs)
            for i, x in enumerate(parts):
                c = yield x, 0
                parts[i] = zeros(shape=x.shape, dtype=x.dtype) if c is None else c
            return node.op(*parts, **node.attrs)
        total: Node | None = None
        for i in node.op.differentiable_inputs(node):
            x = node.inputs[i]
            if not self.depends(x):
                continue
            key = (node, i)
            if key not in self.expressions:
                dx = Node(tangent, (), {}, x.shape, x.dtype, x.risky)
                self.placeholders[dx] = x
                self.varying[dx] = True
                moved: list[Node | None] = [None] * len(node.inputs)
                moved[i] = dx
                self.expressions[key] = rule.tangent(node, node.inputs, moved)
                self._move(self.expressions[key], {node, *node.inputs})
            total = plus(total, (yield self.expressions[key], k - 1))
        return None if total is None else _times(1 / k, total)

    def _move(self, root: Node, bounds: set[Node]) -> None:
        """Remember the nodes of an expression, above its bounds, that are computed from a placeholder."""
        for node in cone([root], stop=bounds):
            if node not in bounds and any([x in self.moved or x in self.placeholders for x in node.inputs]):
                self.moved.add(node)

    def _repeated(self, node: Node, k: int) -> Coefficient:
        """A loop that carries the coefficients of its states; all lower ones are made with the highest."""
        from gradcli.autodiff import loops  # few programs have one

        if not k:
            inputs: dict[int, Node] = {}
            for p, x in zip(node.attrs["given"], node.inputs, strict=True):
                inputs[p] = (yield x, 0) or x
            return loops.applied(node, inputs)
        if len(self.loops.get(node, ())) < k:
            known: dict[tuple[int, int], Node] = {}
            for p, x in zip(node.attrs["given"], node.inputs, strict=True):
                if p not in node.attrs["body"].passes(node.attrs["result"]) or not self.depends(x):
                    continue
                for j in range(1, k + 1):
                    c = yield x, j
                    if c is not None:
                        known[p, j] = c
            self.loops[node] = loops.coefficients(self, node, k, known)
        return self.loops[node][k - 1]

    def _even_power(self, node: Node, base: Node, exponent: int) -> Node | None:
        """An even power of a root as the polynomial that it is, made once for a node."""
        key = (node, -1)
        if key not in self.expressions:
            expression = even_power(base, exponent)
            if expression is None:
                return None
            self.expressions[key] = expression
        return self.expressions[key]

    def _quotient(self, node: Node, k: int) -> Coefficient:
        """b_0 y_k = a_k - Σ_{j≥1} b_j y_{k-j}."""
        a, b = node.inputs if len(node.inputs) == 2 else (None, node.inputs[0])
        numerator = (yield a, k) if a is not None else None
        factors: list[Node] = []
        if self.depends(b):
            for j in range(1, k + 1):
                u = yield b, j
                y = (yield node, k - j) if u is not None else None
                if u is not None and y is not None:
                    factors += [u, y]
        if factors:
            known = products(*factors)
            numerator = -known if numerator is None else numerator - known
        if numerator is None:
            return None
        b0 = yield b, 0
        assert b0 is not None
        if node.attrs.get("positive"):
            return numerator * recip(b0, positive=True)
        return (divide if node.op in (divide, recip) else divide_no_nan)(numerator, b0)

    def _solve(self, node: Node, k: int) -> Coefficient:
        """A_0 y_k = b_k - Σ_{j≥1} A_j y_{k-j}."""
        a, b = node.inputs
        right = yield b, k
        if self.depends(a):
            for j in range(1, k + 1):
                u = yield a, j
                y = (yield node, k - j) if u is not None else None
                if u is not None and y is not None:
                    term = matmul(u, y)
                    right = -term if right is None else right - term
        a0 = yield a, 0
        assert a0 is not None
        return None if right is None else solve(a0, right)

    def _power(self, node: Node, k: int) -> Coefficient:
        base, exponent = node.inputs
        value = constant_value(exponent)
        if self.depends(exponent):
            return (yield from self._exponential(node, k, base, exponent))
        expression = self._natural_power(node, base, exponent, value)
        if expression is not None:
            return (yield expression, k)
        # Miller's formula: k u_0 y_k = Σ_j (p j - k + j) u_j y_{k-j}.
        factors: list[Node] = []
        for j in range(1, k + 1):
            u = yield base, j
            y = (yield node, k - j) if u is not None else None
            if u is None or y is None:
                continue
            weight = value * j - k + j if value is not None else exponent * j - (k - j)
            factors += [_times(weight, u) if isinstance(weight, (int, float)) else weight * u, y]
        if not factors:
            return None
        u0, u1 = (yield base, 0), (yield base, 1)
        assert u0 is not None
        general = divide(_times(1 / k, products(*factors)), u0)
        if u1 is None:
            return general
        if value is not None:
            return where(equal(u0, 0), binomial(value, k) * power(u0, exponent - k) * power(u1, float(k)), general)
        # The exponent may be an integer: right at 0 order by order, as the derivative of any other operation.
        assert isinstance(node.op.rule, Elementwise)
        at_zero = yield from self._elementwise(node, k, node.op.rule)
        return general if at_zero is None else where(equal(u0, 0), at_zero, general)

    def _natural_power(self, node: Node, base: Node, exponent: Node, value: float | None) -> Node | None:
        """The same by multiplication, made once for a node; None where the exponent is no small integer."""
        key = (node, 0)
        if key not in self.expressions:
            natural = even_power(base, int(value)) if value is not None and float(value).is_integer() else None
            natural = natural or natural_powers(base, exponent)
            if natural is None:
                return None
            self.expressions[key] = natural
        return self.expressions[key]

    def _exponential(self, node: Node, k: int, base: Node, exponent: Node) -> Coefficient:
        """a^p = exp(p log a): k y_k = Σ_j j l_j y_{k-j}; where a is not positive, as the derivative of any other operation."""
        key = (node, 0)
        if key not in self.expressions:
            self.expressions[key] = exponent * where(greater(base, 0), log(base), 0.0)
        factors: list[Node] = []
        for j in range(1, k + 1):
            u = yield self.expressions[key], j
            y = (yield node, k - j) if u is not None else None
            if u is not None and y is not None:
                factors += [self._weighted(self.expressions[key], j, u), y]
        general = _times(1 / k, products(*factors)) if factors else None
        if general is None or not self.depends(base):
            return general
        assert isinstance(node.op.rule, Elementwise)
        beside = yield from self._elementwise(node, k, node.op.rule)
        return general if beside is None else where(greater(base, 0), general, beside)


_MISSING = object()


def _everywhere(node: Node, selected: bool = True) -> Node:
    return (ones if selected else zeros)(shape=node.shape, dtype="bool")


def _sum_of_products(factors: Sequence[Node]) -> Node:
    return products(*factors) if len(factors) > 2 else multiply(*factors)


def _times(factor: float, x: Node) -> Node:
    """A number times a node; numbers that meet are multiplied."""
    if factor == 1:
        return x
    return x * factor


def _compositions(k: int, varying: Sequence[bool]) -> Iterable[tuple[int, ...]]:
    """All ways to write k as a sum of one number for each operand, 0 for those that do not vary."""
    if not varying:
        if k == 0:
            yield ()
        return
    for j in range(k + 1) if varying[0] else (0,):
        for rest in _compositions(k - j, varying[1:]):
            yield (j, *rest)
