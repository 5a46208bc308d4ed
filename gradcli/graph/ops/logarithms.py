"""Logarithms of sums, of small rests and of odds, each in its stable form."""

from __future__ import annotations

import math

from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, register
from gradcli.graph.ops.elementwise import exp, expm1, log, log1p, softplus
from gradcli.graph.ops.reductions import logsumexp
from gradcli.graph.ops.selection import less, where
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.ops.slicing import stack
from gradcli.graph.types import broadcast


def _logaddexp(a: Node, b: Node) -> Node:
    shape = broadcast([a.shape, b.shape], "logaddexp")
    return logsumexp(stack(broadcasted(a, shape), broadcasted(b, shape), axis=-1), axis=-1, keepdims=False)


def _log1mexp(x: Node) -> Node:
    """Source: Mächler, *Accurately computing log(1 - exp(-|a|))* (2012)."""
    return where(less(x, math.log(2)), log(-expm1(-x)), log1p(-exp(-x)))


logaddexp = register(Operation(
    "logaddexp", "a, b", "log(exp(a) + exp(b)), stable.", family="elementwise", accepts="float", expand=_logaddexp,
    formula="log(exp(a) + exp(b))", example="logaddexp(1000.0, 1000.0)",
))  # fmt: skip
log1mexp = register(Operation(
    "log1mexp", "x", "log(1 - exp(-x)), exact for small and for large x.", family="elementwise", accepts="float",
    expand=_log1mexp, domain="x > 0", formula="log(1 - exp(-x))", example="log1mexp(1e-20)",
))  # fmt: skip
logit = register(Operation(
    "logit", "x", "The logarithm of the odds, the inverse of sigmoid.", family="elementwise", accepts="float",
    expand=lambda x: log(x) - log1p(-x), domain="0 < x < 1", formula="log(x / (1 - x))", example="logit(0.75)",
))  # fmt: skip
log_sigmoid = register(Operation(
    "log_sigmoid", "x", "log(sigmoid(x)), finite for large |x|.", family="elementwise", aliases=("log_expit", "logsigmoid"), accepts="float",
    expand=lambda x: -softplus(-x), formula="-softplus(-x)", example="log_sigmoid(-1000.0)",
))  # fmt: skip
