"""What every program can name: operations, operators and constants; and how large a program may be."""

from __future__ import annotations

import math

from gradcli.graph.operation import Operation
from gradcli.graph.ops import table

CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}

OPERATIONS: dict[str, Operation] = {}
"""Every operation that a program can call, by name and alias."""

for _op in table.values():
    if not _op.hidden:
        OPERATIONS.update(dict.fromkeys((_op.name, *_op.aliases), _op))

BINARY = {op.symbol: op.name for op in table.values() if op.symbol and op.spec == "a, b"}
"""The operations that are written as a sign between two operands."""

UNARY = {op.symbol: op.name for op in table.values() if op.symbol and op.name not in BINARY.values()}
"""The operations that are written as a sign before an operand."""

KEYWORDS = {
    "perm": "axes", "clip_value_min": "lo", "clip_value_max": "hi", "a_min": "lo", "a_max": "hi", "keep_dims": "keepdims",
    "diagonal": "k", "min": "lo", "max": "hi",
}  # fmt: skip
"""Keyword names of TensorFlow and NumPy for parameters that have another name here."""

NODE_LIMIT = 5_000_000
CALL_LIMIT = 1_000_000
