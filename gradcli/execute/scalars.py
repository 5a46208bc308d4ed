"""Small graphs of scalars as Python functions of Python numbers.

NumPy needs a microsecond to apply an operation to a scalar, Python 50 ns. What Python computes exactly as NumPy does
(arithmetic, comparisons, selection) is written as Python; everything else calls the operation's own kernel, so that
values do not depend on how they are computed. Functions are to be called within ``np.errstate(all="ignore")``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.graph.node import Node, cone
from gradcli.graph.ops.kernels import Ufunc
from gradcli.graph.ops.selection import cast
from gradcli.graph.ops.words.python import CASTS, NUMBERS

Number = Any
Function = Callable[..., Any]

TYPES = {"bool": "bool_", "float32": "float32", "float64": "float64"}


def to_number(value: Any, dtype: str) -> Number:
    """A scalar as these functions hold it: float64 as Python's float, float32 as NumPy's, bool as Python's."""
    import numpy as np

    if dtype == "float64":
        return float(value)
    return bool(value) if dtype == "bool" else np.float32(value)


class Code:
    """The statements that compute nodes from named numbers, and what they refer to."""

    def __init__(self, results: Sequence[Node], known: dict[Node, str]) -> None:
        import numpy as np

        self.scope: dict[str, Any] = {"np": np, "to_number": to_number}
        self.scope |= {name: getattr(np, name) for name in TYPES.values()}
        self.names = dict(known)
        self.used: set[str] = set()
        self.lines: list[str] = []
        for node in cone(results, stop=known):
            if node not in self.names:
                self._add(np, node)
        self.used.update([self.names[node] for node in results])

    def _add(self, np: Any, node: Node) -> None:
        name = f"t{len(self.names)}"
        given = [self.names[x] for x in node.inputs]
        self.used.update(given)
        self.names[node] = name
        assert node.op.kernel is not None
        if given:
            self.lines.append(f"{name} = {self.expression(node, given)[0]}")
        else:
            self.scope[name] = to_number(node.op.kernel(np, **node.attrs), node.dtype)

    def expression(self, node: Node, given: Sequence[str]) -> tuple[str, bool]:
        """The operation on named numbers, and whether it is all Python's."""
        np, kernel, attrs = self.scope["np"], f"kernel{node.serial}", f"attrs{node.serial}"
        if node.op is cast:
            plain = CASTS.get((node.inputs[0].dtype, node.dtype), "{kernel}")
        else:
            plain = NUMBERS.get(node.op.name, "{kernel}") if not any(node.attrs.values()) else "{kernel}"
        if "{kernel}" not in plain:
            call = ""
        elif isinstance(node.op.kernel, Ufunc) and all([x.dtype == "float64" for x in node.inputs]):
            self.scope[kernel] = getattr(np, node.op.kernel.name)
            call = f"{kernel}({', '.join(given)})"
        else:
            self.scope[kernel], self.scope[attrs] = node.op.kernel, node.attrs
            # A kernel may look at the dtype of what it gets, which Python's floats do not have.
            typed = [f"{TYPES[x.dtype]}({name})" for x, name in zip(node.inputs, given, strict=True)]
            call = f"{kernel}(np, {', '.join(typed)}, **{attrs})"
        call = f"float({call})" if node.dtype == "float64" else f"to_number({call}, {node.dtype!r})"
        zero = "0.0" if node.dtype == "float64" else "float32(0)"
        return plain.format(*given, kernel=call, zero=zero), plain != "{kernel}"

    def function(self, head: str, lines: Sequence[str]) -> Function:
        """A function of these lines."""
        exec("\n    ".join([f"def function({head}):", *lines]), self.scope)
        function: Function = self.scope["function"]
        return function


def function_of(arguments: Sequence[Node], result: Node) -> Function:
    """The number of a node as a function of the arguments' numbers."""
    names = {node: f"x{i}" for i, node in enumerate(arguments)}
    code = Code([result], names)
    return code.function(", ".join(names.values()), [*code.lines, f"return {code.names[result]}"])


def passing_of(node: Node, g: Node, passed: dict[int, tuple[Node, Node | None]]) -> Function:
    """A function ``step(node, g, values, found)`` that adds what a node like this one passes on to its inputs.

    ``passed[i]`` is what goes to input i, and a mask of whether it is selected, as graphs of the node, its inputs and
    g. ``values`` has the numbers of all nodes; in ``found``, None says that a node is reached but not selected, as it
    does for g.
    """
    names = {node: "y", **{x: f"x{i}" for i, x in enumerate(node.inputs)}, g: "g"}
    code = Code([x for pair in passed.values() for x in pair if x is not None], names)
    lines = [f"{', '.join([f'n{i}' for i in range(len(node.inputs))])}, = node.inputs", "if g is None:"]
    lines += [*[f"    found.setdefault(n{i})" for i in passed], "    return"]
    places = {"y": "node", **{f"x{i}": f"n{i}" for i in range(len(node.inputs))}}
    lines += [f"{name} = values[{place}]" for name, place in places.items() if name in code.used]
    lines += code.lines
    for i, (c, mask) in passed.items():
        add = [
            f"old = found.get(n{i})",
            f"found[n{i}] = {code.names[c]} if old is None else old + {code.names[c]}",
        ]
        if mask is not None:
            add = [f"if {code.names[mask]}:", *[f"    {line}" for line in add], f"else: found.setdefault(n{i})"]
        lines += add
    return code.function("node, g, values, found", lines)
