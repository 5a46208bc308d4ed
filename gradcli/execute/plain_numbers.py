"""Values of small programs on scalars without NumPy: its functions on Python's numbers, for the kernels to use.

Why: a program of a few scalars is answered in a millisecond, and importing NumPy for it takes 50 to 100 ms. Kernels take
their array namespace as an argument; :data:`NAMESPACE` is one for single numbers of dtype float64 and int64, with NumPy's
answers at poles, overflows and NaN. Python's functions may differ from NumPy's in the last places; arithmetic does not.
Entries of the table say which operations are done here; other shapes and dtypes are NumPy's, and so is whatever fails.
``GRADCLI_WITHOUT=plain`` leaves everything to NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.fold import COMPARISONS
from gradcli.graph.node import Node, by_serial
from gradcli.graph.ops.kernels import Special
from gradcli.graph.ops.selection import cast

Number = Any
Function = Callable[..., Number]


class Dtype:
    """As much of a NumPy dtype as kernels and reports ask for."""

    __slots__ = ("kind", "name", "type")

    def __init__(self, name: str, kind: str, type: Function) -> None:
        self.name = name
        self.kind = kind
        self.type = type

    def __str__(self) -> str:
        return self.name


class Float(float):
    """A float64 scalar, which divides by zero as NumPy does."""

    __slots__ = ()
    dtype: Dtype
    shape = ()
    ndim = 0
    size = 1

    def __truediv__(self, other: float) -> Float:
        return _divided(self, other)

    def __rtruediv__(self, other: float) -> Float:
        return _divided(other, self)


class Integer(int):
    """An int64 scalar. Raises OverflowError for what does not fit."""

    __slots__ = ()
    dtype: Dtype
    shape = ()
    ndim = 0
    size = 1

    def __new__(cls, value: int) -> Integer:
        if not -(2**63) <= value < 2**63:
            raise OverflowError
        return super().__new__(cls, value)


Float.dtype = Dtype("float64", "f", Float)
Integer.dtype = Dtype("int64", "i", Integer)
TYPES: dict[str, Function] = {"bool": bool, "int64": Integer, "float64": Float}


def _divided(a: float, b: float) -> Float:
    try:
        return Float(float(a) / float(b))
    except ZeroDivisionError:
        return Float(math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b))


def _function(function: Callable[[float], float], poles: Mapping[float, float] | None = None) -> Function:
    """A function of one number: infinite with the sign of x where it overflows, NaN outside of its domain."""

    def value(x: float) -> Float:
        try:
            return Float(function(x))
        except OverflowError:
            return Float(math.copysign(math.inf, x))
        except ValueError:
            return Float((poles or {}).get(x, math.nan))

    return value


_cosh = _function(math.cosh)


def _power(a: Number, b: Number) -> Number:
    if isinstance(a, int):
        if b < 0:
            raise ValueError
        if b > 64 and abs(a) > 1:
            raise OverflowError
        return a**b
    if b == 0.5:  # as NumPy: other functions give (-inf)^0.5 and (-0)^0.5 without a sign
        return NAMESPACE.sqrt(a)
    try:
        return Float(math.pow(a, b))
    except ValueError:
        if a != 0:
            return Float(math.nan)
    except OverflowError:
        pass
    return Float(math.copysign(math.inf, a) if math.fmod(b, 2) in (1, -1) else math.inf)


def _rounding(function: Callable[[float], int]) -> Function:
    """Rounding to an integer that keeps the sign of zero; from 2^52 on there are only integers."""
    return lambda x: Float(math.copysign(function(x), x)) if abs(x) < 2**52 else x


def _floor_divide(a: Number, b: Number) -> Number:
    return _divided(a, b) if isinstance(a, float) and b == 0 else a // b


def _mod(a: Number, b: Number) -> Number:
    return Float(math.nan) if isinstance(a, float) and b == 0 else a % b


NAMESPACE = SimpleNamespace(
    add=lambda a, b: a + b,
    subtract=lambda a, b: a - b,
    negative=lambda x: -x,
    multiply=lambda a, b: a * b,
    square=lambda x: x * x,
    true_divide=_divided,
    power=_power,
    floor_divide=_floor_divide,
    mod=_mod,
    abs=lambda x: x.dtype.type(abs(x)),
    sign=lambda x: x.dtype.type((x > 0) - (x < 0)) if x == x else x,
    # NumPy gives the second of two equal numbers, which are different if they are 0 and -0; NaN goes before all.
    maximum=lambda a, b: a if a > b or a != a else b if b >= a else Float(math.nan),
    minimum=lambda a, b: a if a < b or a != a else b if b <= a else Float(math.nan),
    where=lambda condition, a, b: a if condition else b,
    zeros_like=lambda x: x.dtype.type(0),
    ones_like=lambda x: x.dtype.type(1),
    zeros=lambda shape, dtype: TYPES[dtype](0),
    ones=lambda shape, dtype: TYPES[dtype](1),
    **COMPARISONS,
    isnan=math.isnan,
    isfinite=math.isfinite,
    isinf=math.isinf,
    floor=_rounding(math.floor),
    ceil=_rounding(math.ceil),
    round=_rounding(round),
    trunc=_rounding(math.trunc),
    sqrt=_function(math.sqrt),
    cbrt=_function(math.cbrt),
    exp=_function(math.exp),
    expm1=_function(math.expm1),
    exp2=_function(math.exp2),
    log=_function(math.log, {0: -math.inf}),
    log1p=_function(math.log1p, {-1: -math.inf}),
    log2=_function(math.log2, {0: -math.inf}),
    log10=_function(math.log10, {0: -math.inf}),
    sin=_function(math.sin),
    cos=_function(math.cos),
    tan=_function(math.tan),
    arcsin=_function(math.asin),
    arccos=_function(math.acos),
    arctan=_function(math.atan),
    arctan2=lambda a, b: Float(math.atan2(a, b)),
    sinh=_function(math.sinh),
    cosh=lambda x: _cosh(abs(x)),
    tanh=_function(math.tanh),
    arcsinh=_function(math.asinh),
    arccosh=_function(math.acosh),
    arctanh=_function(math.atanh, {1: math.inf, -1: -math.inf}),
    hypot=lambda a, b: Float(math.hypot(a, b)),
)
"""NumPy's functions of single numbers. Booleans are Python's own."""


def is_plain(node: Node) -> bool:
    """Whether a node's value can be computed here."""
    op = node.op
    if node.shape or node.dtype not in TYPES:
        return False
    if op is cast:
        return node.dtype == "float64"
    dtypes = [x.dtype for i, x in enumerate(node.inputs) if i not in op.apart]
    if "bool" in dtypes:
        return op.numbers == "any" and op.accepts == "bool"
    return op.numbers == "any" or op.numbers == "float" and "int64" not in dtypes


def evaluate(targets: Sequence[Node], initial: Mapping[Node, Any]) -> list[Number] | None:
    """The values of nodes, each a Float or an Integer, or None where they are NumPy's to compute.

    ``initial`` holds what gives a leaf its value; only nodes do here.
    """
    if any([node.dtype == "bool" for node in targets]):
        return None
    nodes = _needed(targets, initial)
    values: dict[Node, Number] = {}
    try:
        for node in nodes or ():
            values[node] = TYPES[node.dtype](_value(node, values, initial))
    except (GradcliError, ArithmeticError, ValueError):
        return None
    return None if nodes is None else [values[node] for node in targets]


def suits(targets: Sequence[Node], initial: Mapping[Node, Any]) -> bool:
    """Whether :func:`evaluate` computes these nodes, as far as their sorts show."""
    return all([node.dtype != "bool" for node in targets]) and _needed(targets, initial) is not None


def _needed(targets: Sequence[Node], initial: Mapping[Node, Any]) -> list[Node] | None:
    """What the targets are computed from, initial values of leaves included; None if some of it is not plain."""
    seen = set(targets)
    todo = list(seen)
    while todo:
        node = todo.pop()
        if not is_plain(node):
            return None
        inputs = (initial.get(node),) if node.op.name == "leaf" else node.inputs
        for x in inputs:
            if not isinstance(x, Node):
                return None
            if x not in seen:
                seen.add(x)
                todo.append(x)
    return sorted(seen, key=by_serial)  # an initial value is there before its leaf


def _value(node: Node, values: Mapping[Node, Number], initial: Mapping[Node, Any]) -> Number:
    if node.op.name == "leaf":
        return values[initial[node]]
    if node.op.name == "literal":
        return node.attrs["value"]
    if node.op is cast:
        return TYPES[node.dtype](values[node.inputs[0]])
    kernel = node.op.kernel
    assert kernel is not None
    if isinstance(kernel, Special):
        return kernel.of_number(*[values[x] for x in node.inputs])
    return kernel(NAMESPACE, *[values[x] for x in node.inputs], **node.attrs)
