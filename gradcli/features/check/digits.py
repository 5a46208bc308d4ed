"""A program evaluated node by node: in float64 with rounding errors put in, or in hundreds of digits.

What a slope is off by because the program rounds, and no rule is wrong, is what it changes by when every operation is
off by a rounding error (Vignes 1993, discrete stochastic arithmetic). What it should be is known from differences in so
many digits that nothing cancels, overflows or vanishes: the kernels run with a namespace of mpmath's functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import kernel_value
from gradcli.graph.ops.creation import loop_result, loop_run
from gradcli.graph.ops.selection import cast
from gradcli.graph.ops.words.mpmath import WORDS, functions_of_one, functions_of_two, predicates
from gradcli.graph.types import is_float, size_of
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]

EPS = 1.1e-16
DRAWS = 2
"""Evaluations with rounding errors; the largest change counts."""

SAFETY = 100.0
"""Rounding errors of an operation and of its derivative, in those that are put in: section 13 allows 16 and their sum."""

_ROUNDS = {"elementwise", "reductions", "linear algebra", "networks"}

DIGITS = 200
MORE_DIGITS = 700
"""Where a slope is smaller than 200 digits of the values show."""
STEP = 50
"""The step of differences is 1e-50 of the entry that moves: its square is far below what float64 shows."""

WORK = 5_000
"""Entries that are evaluated in that many digits for all moves of a variable: about a second."""


class UnknownError(Exception):
    """A slope in many digits is not available: an operation lacks such a kernel, or float64 does not hold a value."""


class UnresolvedError(Exception):
    """No step is short enough: the function has waves or teeth that float64 does not resolve either."""


class Slope(NamedTuple):
    """Derivatives, and what the rounding errors of a program change them by."""

    values: Array
    noise: Array


def noise(targets: Sequence[Node], leaves: Mapping[Node, Array]) -> list[Array]:
    """How much each entry of the targets changes if every operation is off by a rounding error."""
    exact = _evaluated(targets, leaves, np, None)
    found = [np.zeros(t.shape) for t in targets]
    for seed in range(DRAWS):
        again = _evaluated(targets, leaves, np, _Rounding(seed))
        found = [np.fmax(n, np.abs(a - b)) for n, a, b in zip(found, exact, again, strict=True)]
    return found


class _Rounding:
    """Rounding errors, the same for a node at each point: of its value, and of its slope between points beside the first.

    An operation and its derivative are each rounded by itself: of ``log(exp(x))`` the slope is 1 whatever the values are
    off by, and a second derivative that is computed is not 0.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.RandomState(seed)
        self._found: dict[Node, tuple[Array, Array, Array]] = {}
        self._again: dict[tuple[Node, int], tuple[Array, Array]] = {}

    def operand(self, node: Node, i: int, value: Array) -> Array:
        """An input that is another input, too: of ``x/x`` the slopes by both are each rounded by itself."""
        if (node, i) not in self._again:
            self._again[node, i] = value, np.asarray(EPS * self._random.uniform(-1, 1, value.shape))
        first, slope = self._again[node, i]
        return np.asarray(value if value is first else value + (value - first) * slope)

    def __call__(self, node: Node, value: Array, leaf: bool) -> Array:
        if node not in self._found:
            off, slope = (EPS * self._random.uniform(0.5, 1, (2, *value.shape))) * self._random.choice(
                [-1, 1], (2, *value.shape)
            )
            self._found[node] = value, off, 0 * slope if leaf else slope
        first, off, slope = self._found[node]
        return np.asarray(value + first * off if value is first else value + first * off + (value - first) * slope)


def _evaluated(
    targets: Sequence[Node], known: Mapping[Node, Array], xp: Any, rounding: _Rounding | None
) -> list[Array]:
    """The values of the targets; with ``rounding`` each is rounded, the leaves and what else is ``known`` included."""
    values: dict[Node, Array] = {}
    nodes = _needed(targets, known)
    last = {x: node for node in nodes for x in node.inputs}
    kept = set(targets)
    for node in nodes:
        given = known.get(node)
        if given is not None:
            value = given
        elif node.op.name == "literal":
            value = np.asarray(kernel_value(np, node))
        else:
            value = _applied(node, _operands(node, values, rounding), xp)
            if node.op is loop_run:
                values[node] = value  # the results of a loop, as its own steps round them
                continue
        value = np.asarray(value, dtype=object if xp is not np and is_float(node.dtype) else None)
        if rounding is not None and is_float(node.dtype) and (given is not None or node.op.family in _ROUNDS):
            value = rounding(node, value, given is not None)
        values[node] = value
        for x in dict.fromkeys(node.inputs):
            if last[x] is node and x not in kept:
                values.pop(x, None)  # what is known was not computed from it
    return [values[t] for t in targets]


def _needed(targets: Sequence[Node], known: Mapping[Node, Array]) -> list[Node]:
    """The nodes that are evaluated, inputs first: not those below what is ``known``."""
    needed = set(targets)
    nodes: list[Node] = []
    for node in reversed(cone(targets)):
        if node in needed:
            nodes.append(node)
            if node not in known:
                needed.update(node.inputs)
    return nodes[::-1]


def _operands(node: Node, values: Mapping[Node, Array], rounding: _Rounding | None) -> list[Array]:
    """The values of the inputs; of one that is there twice the later ones have slopes that are rounded anew."""
    inputs = [values[x] for x in node.inputs]
    if rounding is not None and len(set(node.inputs)) < len(inputs):
        for i, x in enumerate(node.inputs):
            if x in node.inputs[:i] and is_float(x.dtype):
                inputs[i] = rounding.operand(node, i, inputs[i])
    return inputs


def _applied(node: Node, given: Sequence[Array], xp: Any) -> Any:
    if xp is not np:
        if node.op is cast and is_float(node.dtype):
            return given[0]
        special = xp.special(node)
        if special is not None:
            return special(*given)
    if node.op is loop_result:
        return given[0][node.attrs["index"]]
    if node.op.kernel is None:  # what is solved for, or a loop
        raise UnknownError
    return kernel_value(xp, node, [x[()] if x.dtype != object else x for x in given])


class Differences:
    """Some nodes as a function of leaves, whose slopes are found by central differences in hundreds of digits."""

    def __init__(self, targets: Sequence[Node], xs: Sequence[Node], fixed: Mapping[Node, Array]) -> None:
        self._targets = targets
        self._xs = xs
        self._fixed = fixed

    @classmethod
    def within(
        cls, work: int, targets: Sequence[Node], xs: Sequence[Node], leaves: Mapping[Node, Array]
    ) -> Differences | None:
        """None where one evaluation takes more ``work``, in entries; what does not move is evaluated in float64."""
        moving = set(xs)
        for node in cone(targets):
            if any([x in moving for x in node.inputs]):
                moving.add(node)
        needed = dict.fromkeys([*[x for n in moving for x in n.inputs], *targets])
        if sum([size_of(n.shape) for n in moving]) + sum([size_of(x.shape) for x in needed]) > work:
            return None
        still = [n for n in needed if n not in moving]
        return cls(targets, xs, dict(zip(still, _evaluated(still, leaves, np, None), strict=True)))

    def along(self, at: Sequence[Array], move: Sequence[Array], values: Array) -> Slope:
        """The slopes of all entries of the targets, joined, along a move of the xs.

        ``values`` are those that float64 gives. Raises UnknownError where they are other ones than in many digits, or
        UnresolvedError.
        """
        sizes = [np.abs(x[(m != 0) & (x != 0)] / m[(m != 0) & (x != 0)]) for x, m in zip(at, move, strict=True)]
        nearest = min([1.0, *[float(s.min()) for s in sizes if s.size]])
        if not nearest or not all([np.isfinite(x).all() for x in at]):
            raise UnknownError
        power = STEP + math.ceil(-math.log10(nearest))
        digits = DIGITS + 2 * (power - STEP)
        mean, slope = self._quotients(at, move, power, digits, None)
        if any([not s or abs(s) < abs(v) * 10**-60 for s, v in zip(slope, mean, strict=True)]):
            power, digits = power + STEP, digits + MORE_DIGITS
            mean, slope = self._quotients(at, move, power, digits, None)
        spread = np.zeros(len(slope))
        shift = np.zeros(len(slope))
        for seed in range(DRAWS):
            other, again = self._quotients(at, move, power, digits, _Rounding(seed))
            spread = np.fmax(spread, _floats(np.abs(again - slope)))
            shift = np.fmax(shift, _floats(np.abs(other - mean)))
        # A step as long as the waves of sin(1e200), or the teeth of mod, tells nothing.
        _, closer = self._quotients(at, move, power + 3, digits + 6, None)
        for s, c, off in zip(slope, closer, spread, strict=True):
            largest = max(abs(s), abs(c))
            if not abs(s - c) <= 1e-6 * largest and not largest <= 1e-15 * off:
                raise UnresolvedError
        middle = _floats(mean)
        apart = np.abs(middle - values)
        if not np.isfinite(middle).all() or (apart > 1e-9 * np.abs(middle) + SAFETY * shift + 1e-300).any():
            raise UnknownError
        return Slope(_floats(slope), SAFETY * spread)

    def beside(self, at: Sequence[Array], move: Sequence[Array]) -> tuple[Slope, Slope]:
        """The slopes on the left and on the right of a point that may be on a kink, with an error for each.

        The error is infinite where a shorter step has another slope: the value jumps, or the slope grows beyond bounds.
        Raises UnknownError.
        """
        import mpmath

        found = []
        for power in (2 * STEP, 2 * STEP + 3):
            with mpmath.workdps(DIGITS + 2 * STEP):
                step = mpmath.mpf(10) ** -power
                left, middle, right = self._at(at, move, [-step, 0, step], None)
                found.append(((middle - left) / step, (right - middle) / step))
        sides = []
        for slope, closer in zip(*found, strict=True):
            same = [bool(abs(s - c) <= 1e-6 * abs(c)) for s, c in zip(slope, closer, strict=True)]
            sides.append(Slope(_floats(closer), np.where(same, 0.0, np.inf)))
        return sides[0], sides[1]

    def _quotients(
        self, at: Sequence[Array], move: Sequence[Array], power: int, digits: int, rounding: _Rounding | None
    ) -> tuple[Array, Array]:
        """The mean of the values on both sides, and the slope."""
        import mpmath

        with mpmath.workdps(digits):
            step = mpmath.mpf(10) ** -power
            # Rounding errors of slopes are relative to the first point.
            left, right = self._at(at, move, [-step, step] if rounding is None else [0, -step, step], rounding)[-2:]
            return (left + right) / 2, (right - left) / (2 * step)

    def _at(
        self, at: Sequence[Array], move: Sequence[Array], steps: Sequence[Any], rounding: _Rounding | None
    ) -> list[Array]:
        """All entries of the targets after each of some steps along a move, in as many digits as mpmath works with."""
        known = {n: _many(v) if is_float(n.dtype) else v for n, v in self._fixed.items()}
        found = []
        for step in steps:
            given = {leaf: _many(x) + step * _many(m) for leaf, x, m in zip(self._xs, at, move, strict=True)}
            try:
                values = _evaluated(self._targets, {**known, **given}, namespace(), rounding)
            except (ArithmeticError, AttributeError, TypeError, ValueError, NotImplementedError, GradcliError):
                raise UnknownError from None
            found.append(np.concatenate([np.ravel(np.asarray(v, dtype=object)) for v in values]))
        return found


def _many(x: Array) -> Array:
    import mpmath

    return np.asarray(np.frompyfunc(mpmath.mpf, 1, 1)(np.asarray(x, dtype="float64")), dtype=object)


def _floats(x: Array) -> Array:
    return np.array([float(v) for v in x], dtype="float64")


class Namespace:
    """NumPy's functions on arrays of mpmath's numbers; NaN where a function has no real value."""

    def __init__(self) -> None:
        import mpmath as mp

        self._mp = mp
        self._functions = {
            **{name: _entrywise(f, 1) for name, f in functions_of_one(mp).items()},
            **{name: _entrywise(f, 2) for name, f in functions_of_two(mp).items()},
            **{name: _test(f) for name, f in predicates(mp).items()},
        }
        self.linalg = _LinearAlgebra()

    def __getattr__(self, name: str) -> Any:
        function = self._functions.get(name) or getattr(np, name)
        return (lambda *a, **k: _array(function(*a, **k))) if callable(function) else function

    def special(self, node: Node) -> Callable[..., Array] | None:
        """The function of an operation whose kernel is not written in NumPy's functions."""
        found = WORDS.get(node.op.name)
        if found is None:
            return None
        return _entrywise(lambda *inputs: found(self._mp, *inputs, **node.attrs), len(node.inputs))


class _LinearAlgebra:
    """What kernels use of ``numpy.linalg``, for stacks of small matrices."""

    def __init__(self) -> None:
        import mpmath as mp

        self._mp = mp

    def inv(self, a: Array) -> Array:
        return self._each(lambda m: self._mp.inverse(m), a, a.shape)

    def det(self, a: Array) -> Array:
        return self._each(self._mp.det, a, a.shape[:-2])

    def cholesky(self, a: Array) -> Array:
        return self._each(self._mp.cholesky, a, a.shape)

    def slogdet(self, a: Array) -> tuple[Array, Array]:
        det = self.det(a)
        return namespace().sign(det), namespace().log(np.abs(det))

    def solve(self, a: Array, b: Array) -> Array:
        return np.asarray(np.matmul(self.inv(a), b))

    def _each(self, function: Callable[[Any], Any], a: Array, shape: tuple[int, ...]) -> Array:
        n = a.shape[-1]
        found = []
        for matrix in a.reshape(-1, n, n):
            result = function(self._mp.matrix(matrix.tolist()))
            found.extend(list(result) if isinstance(result, self._mp.matrix) else [result])
        whole = np.empty(len(found), dtype=object)
        whole[:] = found
        return whole.reshape(shape)


def _array(x: Any) -> Any:
    """NumPy gives a number where the result of numbers of other libraries has no axes; kernels ask for its dtype."""
    return x if isinstance(x, np.ndarray) else np.asarray(x)


@cache
def namespace() -> Namespace:
    """The functions of numbers with many digits, as kernels take them. Raises ImportError without mpmath."""
    return Namespace()


def available() -> bool:
    """Whether mpmath is installed."""
    from importlib.util import find_spec

    return find_spec("mpmath") is not None


def _entrywise(function: Callable[..., Any], inputs: int) -> Callable[..., Array]:
    def real(*values: Any) -> Any:
        import mpmath

        try:
            found = function(*values)
        except ZeroDivisionError:
            return mpmath.nan
        return found if not isinstance(found, mpmath.mpc) else mpmath.nan

    ufunc = np.frompyfunc(real, inputs, 1)
    return lambda *arrays: np.asarray(ufunc(*arrays), dtype=object)


def _test(function: Callable[[Any], bool]) -> Callable[..., Array]:
    ufunc = np.frompyfunc(function, 1, 1)
    return lambda x: np.asarray(ufunc(x)).astype(bool)
