"""Comparisons, logic and selection, and the functions whose slope jumps: where, maximum, minimum, sign."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, Number
from gradcli.graph.operation import (
    ZERO,
    Elementwise,
    Linear,
    NoDerivative,
    Operation,
    SameAs,
    Select,
    boolean,
    broadcasting,
    cast_to,
    register,
    unchanged,
)
from gradcli.graph.ops.corners import at_whole, at_zero, with_equal
from gradcli.graph.ops.kernels import Ufunc, cast_kernel
from gradcli.graph.types import RANK, Shape, broadcast, is_float, is_integer, promote


def _where_inputs(nodes: list[Node]) -> list[Node]:
    condition, a, b = nodes
    if condition.dtype != "bool":
        raise GradcliError(
            "TypeError",
            f"the condition of where must be bool, not {condition.dtype}",
            operands=[(0, f"dtype {condition.dtype}")],
            help="compare it: `x != 0`",
        )
    dtype = promote([a.dtype, b.dtype])
    return [condition, cast_to(a, dtype), cast_to(b, dtype)]


def _where_shape(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    return broadcast([x.shape for x in inputs]), inputs[1].dtype


where = register(Operation(
    "where", "condition:condition, a, b", "a where the condition holds, else b; what is not selected contributes nothing.",
    family="selection", aliases=("select",), adapt=_where_inputs, infer=_where_shape, rule=Select(), degree="linear",
    kernel=lambda xp, c, a, b: xp.where(c, a, b), closed=True, piecewise=True, numbers="any", formula="where(condition, a, b)",
    example="where([true, false], 1.0, 2.0)",
))  # fmt: skip

GUARDS: WeakSet[Node] = WeakSet()
"""What :func:`guard` has made."""


def guard(condition: Node, a: Node, b: Node | Number) -> Node:
    """``where(condition, a, b)`` in a derivative, which is a where all numbers are finite: a formula for these may say a."""
    made = where(condition, a, b)
    GUARDS.add(made)
    return made


def _comparison(name: str, symbol: str, kernel: str, doc: str, *aliases: str) -> Operation:
    return register(Operation(
        name, "a, b", doc, family="selection", accepts="same", infer=boolean, symbol=symbol, aliases=aliases,
        kernel=Ufunc(kernel), numbers="any", corner=with_equal("no derivative, the value changes here", "a comparison"), formula=f"a {symbol} b", example=f"{name}(1.0, 2.0)",
        domain="all real numbers; no derivative",
    ))  # fmt: skip


less = _comparison("less", "<", "less", "Whether a is less than b.")
less_equal = _comparison("less_equal", "<=", "less_equal", "Whether a is at most b.")
greater = _comparison("greater", ">", "greater", "Whether a is greater than b.")
greater_equal = _comparison("greater_equal", ">=", "greater_equal", "Whether a is at least b.")
equal = _comparison("equal", "==", "equal", "Whether a equals b.")
not_equal = _comparison("not_equal", "!=", "not_equal", "Whether a differs from b.")


def _logic(name: str, spec: str, symbol: str, doc: str, example: str) -> Operation:
    return register(Operation(
        name, spec, doc, family="selection", accepts="bool", infer=boolean, symbol=symbol,
        kernel=Ufunc(name), numbers="any", formula=f"a {symbol} b" if "b" in spec else f"{symbol} a",
        domain="true and false; no derivative", example=example,
    ))  # fmt: skip


logical_and = _logic("logical_and", "a, b", "and", "Whether both hold.", "logical_and(true, false)")
logical_or = _logic("logical_or", "a, b", "or", "Whether at least one holds.", "logical_or(true, false)")
logical_not = _logic("logical_not", "a", "not", "Whether it does not hold.", "logical_not(true)")


def _predicate(name: str, doc: str, example: str) -> Operation:
    return register(Operation(
        name, "x", doc, family="selection", aliases=(name.replace("is", "is_"),), infer=boolean, kernel=Ufunc(name), numbers="float",
        formula=f"{name}(x)", domain="all real numbers; no derivative", example=example,
    ))  # fmt: skip


isnan = _predicate("isnan", "Whether it is NaN.", "isnan(nan)")
isinf = _predicate("isinf", "Whether it is infinite.", "isinf(1/0)")
isfinite = _predicate("isfinite", "Whether it is neither NaN nor infinite.", "isfinite(1/0)")

sign = register(Operation(
    "sign", "x", "-1, 0 or 1; connected, with gradient 0.", family="selection", infer=unchanged, degree="sign",
    rule=Elementwise((ZERO,)), kernel=Ufunc("sign"), bounds=(-1.0, 1.0), zero_where=(0,), parity="odd", piecewise=True, numbers="any", corner=at_zero("derivative taken as 0, the value jumps from -1 to 1"), cheap=True, formula="sign(x)", example="sign(-2.5)",
))  # fmt: skip


def unless_nan(x: Node, expression: Node, lost: Node | Number) -> Node:
    """The expression, and ``lost`` where x is NaN; only where x may be that at all.

    A comparison with NaN is false, and would select a branch although nothing was compared.
    """
    return where(isnan(x), lost, expression) if x.risky and is_float(x.dtype) else expression


def _chosen(y: Node, first: Node, a: Node, b: Node) -> Node:
    """One of two; where the result is NaN, both have the slope NaN."""
    return unless_nan(y, where(first, a, b), math.nan * (a + b))


FIRST = "derivative taken as 1 for the first argument and 0 for the second, one-sided 0 and 1"

maximum = register(Operation(
    "maximum", "a, b", "The larger of two; a tie goes to the first.", family="selection", infer=broadcasting,
    rule=SameAs(lambda y, a, b: _chosen(y, greater_equal(a, b), a, b)), degree="linear",
    kernel=Ufunc("maximum"), closed=True, zero_where=(0, 1), piecewise=True, numbers="any", corner=with_equal(FIRST), cheap=True, formula="where(a >= b, a, b)", example="maximum(1.0, 2.0)",
))  # fmt: skip
minimum = register(Operation(
    "minimum", "a, b", "The smaller of two; a tie goes to the first.", family="selection", infer=broadcasting,
    rule=SameAs(lambda y, a, b: _chosen(y, less_equal(a, b), a, b)), degree="linear",
    kernel=Ufunc("minimum"), closed=True, zero_where=(0, 1), piecewise=True, numbers="any", corner=with_equal(FIRST), cheap=True, formula="where(a <= b, a, b)", example="minimum(1.0, 2.0)",
))  # fmt: skip

# Two functions that are 0 everywhere and exist for the None rule only: they keep a gradient connected, as
# TensorFlow's own gradients of relu and x^0 do. `link` has a gradient that forgets g, `zero` is connected for ever.
link = register(Operation(
    "link", "x", "0, whose gradient is an unconnected 0: what keeps some slopes from being None.", family="selection",
    infer=unchanged, rule=Elementwise((ZERO,)), degree="sign", kernel=lambda xp, x: xp.zeros_like(x), bounds=(0.0, 0.0), zero_where=(), numbers="any", formula="0",
    example="link(2.0)",
))  # fmt: skip
zero = register(Operation(
    "zero", "x", "0, connected with x at every order: what keeps slopes from being None, as that of x^0.",
    family="selection", infer=unchanged, rule=Elementwise((lambda y, x: y,)), kernel=lambda xp, x: xp.zeros_like(x),
    bounds=(0.0, 0.0), zero_where=(), degree="zero", numbers="any", formula="0", example="zero(2.0)",
))  # fmt: skip


def _cast_shape(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    dtype = attrs["dtype"]
    if dtype not in RANK:
        raise GradcliError("TypeError", f"{dtype} is not a dtype", help=f"one of {', '.join(RANK)}")
    return inputs[0].shape, dtype


def _passing(y: Node) -> tuple[int, ...]:
    """A conversion is differentiable to floats, and to wider integers, which behave as exact reals."""
    source, target = y.inputs[0].dtype, y.dtype
    passes = source != "bool" and (is_float(target) or is_integer(source) and RANK[source] <= RANK[target])
    return (0,) if passes else ()


def _uncast(i: int, g: Node, y: Node) -> Node:
    """Back to the input's float dtype; the gradient of an integer keeps the dtype of the computation."""
    x = y.inputs[0]
    return cast_to(g, x.dtype) if is_float(x.dtype) else g


cast = register(Operation(
    "cast", "x, dtype:dtype", "Converted to another dtype; to an integer or bool no gradient passes.",
    family="selection", accepts="any", infer=_cast_shape, rule=Linear(_uncast, _passing), kernel=cast_kernel,
    singular=lambda inputs: inputs[0].dtype == "float64",
    workspace=0.4, zero_where=(0,), numbers="any", corner=at_whole(called="a conversion", when=lambda y: y.dtype.startswith("int")), formula="x", example="cast(2.7, int64)",
))  # fmt: skip
identity = register(Operation(
    "identity", "x", "x, as another node.", family="selection", accepts="any", infer=unchanged,
    rule=Linear(lambda i, g, y: g), kernel=lambda xp, x: x, zero_where=(0,), entries="moved", shares="always", numbers="any", formula="x", example="identity(1.5)",
))  # fmt: skip
stop_gradient = register(Operation(
    "stop_gradient", "x", "x, through which no gradient passes.", family="selection", accepts="any", infer=unchanged,
    rule=NoDerivative(), kernel=lambda xp, x: x, zero_where=(0,), entries="moved", shares="always", numbers="any", formula="x", example="stop_gradient(1.5)",
))  # fmt: skip
