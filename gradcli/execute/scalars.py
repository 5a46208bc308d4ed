"""Small graphs of scalars as Python functions of Python numbers.

NumPy needs a microsecond to apply an operation to a scalar, Python 50 ns. What Python computes exactly as NumPy does
(arithmetic, comparisons, selection) is written as Python; everything else calls the operation's own kernel, so that
values do not depend on how they are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.graph.node import Node, cone

Number = Any
Function = Callable[..., Any]

INLINE = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "neg": "-{0}", "square": "{0} * {0}",
    "divide": "{0} / {1} if {1} else {kernel}", "recip": "1.0 / {0} if {0} else {kernel}",
    "where": "{1} if {0} else {2}", "identity": "{0}", "stop_gradient": "{0}", "link": "{zero}", "zero": "{zero}",
    "less": "{0} < {1}", "less_equal": "{0} <= {1}", "greater": "{0} > {1}", "greater_equal": "{0} >= {1}",
    "equal": "{0} == {1}", "not_equal": "{0} != {1}",
}  # fmt: skip
"""Operations without attributes as Python expressions that give what their kernels give."""


def to_number(value: Any, dtype: str) -> Number:
    """A scalar as the sweep holds it: float64 as Python's float, float32 as NumPy's, bool as Python's."""
    import numpy as np

    if dtype == "float64":
        return float(value)
    return bool(value) if dtype == "bool" else np.float32(value)


def function_of(arguments: Sequence[Node], results: Sequence[Node], masks: Sequence[Node | None] = ()) -> Function:
    """A function of the arguments' numbers that gives the numbers of the results, as a tuple if there are several.

    All nodes must be scalars, floats of one dtype or bools. A result with a mask is None where the mask is false.
    Call it within ``np.errstate(all="ignore")``.
    """
    import numpy as np

    scope: dict[str, Any] = {"np": np, "to_number": to_number, "float64": np.float64, "float32": np.float32}
    names = {node: f"x{i}" for i, node in enumerate(arguments)}
    lines = [f"def function({', '.join(names.values())}):"]
    wanted = [*results, *[mask for mask in masks if mask is not None]]
    for i, node in enumerate(cone(wanted, stop=arguments)):
        if node in names:
            continue
        names[node] = name = f"t{i}"
        if not node.inputs:
            assert node.op.kernel is not None
            scope[name] = to_number(node.op.kernel(np, **node.attrs), node.dtype)
            continue
        given = [names[x] for x in node.inputs]
        scope[f"k{i}"], scope[f"attrs{i}"] = node.op.kernel, node.attrs
        # A kernel may look at the dtype of what it gets, which Python's floats do not have.
        typed = [f"float64({x})" if node.inputs[k].dtype == "float64" else x for k, x in enumerate(given)]
        kernel = f"to_number(k{i}(np, {', '.join(typed)}, **attrs{i}), {node.dtype!r})"
        if node.dtype == "float64":
            kernel = f"float(k{i}(np, {', '.join(typed)}, **attrs{i}))"
        plain = INLINE.get(node.op.name) if not node.attrs else None
        zero = "0.0" if node.dtype == "float64" else "float32(0)"
        lines.append(f"    {name} = {plain.format(*given, kernel=kernel, zero=zero) if plain else kernel}")
    shown = [names[node] for node in results]
    for k, mask in enumerate(masks):
        if mask is not None:
            shown[k] = f"({shown[k]} if {names[mask]} else None)"
    lines.append(f"    return {', '.join(shown)}")
    exec("\n".join(lines), scope)
    function: Function = scope["function"]
    return function
