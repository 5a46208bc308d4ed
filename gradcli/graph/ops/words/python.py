"""How Python writes operations on numbers and on small arrays, to the same bits as their kernels."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

OPERATORS = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}", "neg": "-{0}",
    "square": "{0} * {0}", "less": "{0} < {1}", "less_equal": "{0} <= {1}", "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}", "equal": "{0} == {1}", "not_equal": "{0} != {1}",
}  # fmt: skip
"""Operations on floats that are operators of Python's."""

NUMBERS = {
    **OPERATORS, "divide": "{0} / {1} if {1} else {kernel}", "recip": "1.0 / {0} if {0} else {kernel}",
    "where": "{1} if {0} else {2}", "identity": "{0}", "stop_gradient": "{0}", "link": "{zero}", "zero": "{zero}",
    "logical_not": "not {0}", "logical_and": "{0} and {1}", "logical_or": "{0} or {1}",
}  # fmt: skip
"""Operations as expressions of Python's numbers; where Python would fail, the kernel is asked."""

CASTS = {("bool", "float64"): "1.0 if {0} else 0.0", ("float64", "bool"): "{0} != 0.0", ("float64", "float64"): "{0}"}
"""Changes of dtype, by the one before and the one after."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "neg": operator.neg,
}  # fmt: skip
"""Operations that are functions of Python's."""
