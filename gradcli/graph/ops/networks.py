"""Softmax and losses, each in its stable form."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, Product, Tangent, along, broadcasting, register
from gradcli.graph.ops.elementwise import exp, sigmoid_slope, square
from gradcli.graph.ops.kernels import cross_entropy_kernel, log_softmax_kernel, softmax_kernel
from gradcli.graph.ops.reductions import complement, mean, others, sum_
from gradcli.graph.ops.selection import equal, logical_and, where
from gradcli.graph.ops.shaping import flip


def _less_mean(weights: Node, dx: Node, axis: int) -> Node:
    """dx - sum(weights*dx) for weights that add up to 1, with the entry itself left out: 1 - w would lose a small rest."""
    return complement(weights, axis=axis) * dx - others(weights * dx, axis=axis)


def _softmax_tangent(y: Node, xs: Sequence[Node], dxs: Sequence[Node | None]) -> Node:
    """Of two entries it is that of sigmoid of their difference: 1 - 2*y in its derivative would lose a small difference."""
    (x,), (dx,) = xs, dxs
    assert dx is not None
    axis = y.attrs["axis"]
    if x.shape[axis] == 2:
        return sigmoid_slope(y, x - flip(x, axis=axis)) * (dx - flip(dx, axis=axis))
    return y * _less_mean(y, dx, axis)


def _log_softmax_tangent(y: Node, xs: Sequence[Node], dxs: Sequence[Node | None]) -> Node:
    (dx,) = dxs
    assert dx is not None
    return _less_mean(exp(y), dx, y.attrs["axis"])


softmax = register(Operation(
    "softmax", "x, axis:int=-1", "Positive numbers that add up to 1 along an axis.", family="networks",
    accepts="float", infer=along, kernel=softmax_kernel, rule=Tangent(_softmax_tangent),
    workspace=1.1, bounds=(0.0, 1.0), flow="along", formula="exp(x) / sum(exp(x))", example="softmax([1.0, 2.0])",
))  # fmt: skip
log_softmax = register(Operation(
    "log_softmax", "x, axis:int=-1", "log(softmax(x)), finite for large differences.", family="networks",
    accepts="float", infer=along, kernel=log_softmax_kernel, rule=Tangent(_log_softmax_tangent),
    workspace=1.1, bounds=(-inf, 0.0), flow="along", formula="x - logsumexp(x)", example="log_softmax([0.0, 1000.0])",
))  # fmt: skip


def _terms(_: Node, labels: Node, logs: Node) -> Node:
    return where(logical_and(equal(labels, 0), equal(logs, -inf)), 0, labels * logs)


_cross = register(Operation(
    "cross_entropy_terms", "labels, logs", "labels * logs, and 0 where a label is 0 and its logarithm -infinity.",
    family="elementwise", accepts="float", infer=broadcasting, kernel=cross_entropy_kernel, rule=Product(), hidden=True,
    workspace=0.3, formula="labels * logs", written=_terms, plain=lambda y, labels, logs: labels * logs,
    is_plain=lambda xp, labels, logs: (labels != 0) | (logs != -inf),
))  # fmt: skip
softmax_cross_entropy = register(Operation(
    "softmax_cross_entropy", "labels, logits", "Cross entropy of one-hot or soft labels: one loss per row.",
    family="networks", accepts="float", aliases=("softmax_cross_entropy_with_logits",),
    expand=lambda labels, logits: -sum_(_cross(labels, log_softmax(logits, axis=-1)), axis=-1),
    formula="-sum(labels * log_softmax(logits), -1)", example="softmax_cross_entropy([0.0, 1.0], [1.0, 2.0])",
))  # fmt: skip
mse = register(Operation(
    "mse", "a, b", "Mean squared difference, over all entries.", family="networks", aliases=("mean_squared_error",),
    accepts="float", expand=lambda a, b: mean(square(a - b)), formula="mean((a - b)^2)",
    example="mse([1.0, 2.0], [1.0, 4.0])",
))  # fmt: skip
