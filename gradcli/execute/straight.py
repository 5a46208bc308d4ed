"""Plans of small arrays, run often, as straight-line Python functions.

Between two operations of :mod:`gradcli.execute.run` a microsecond goes by in look-ups, as long as NumPy takes for a small
array; a function of local variables spends 50 ns. What is an operator of Python's on floats is written as one, since
NumPy applies it to a scalar in a tenth of the time of its universal function, and to the same bits. All else calls what
the operation's kernel would call, or the kernel; only products of two arrays may round otherwise, or give -0 for 0, where
they are handed to NumPy in another form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcli.execute.lower import lowered
from gradcli.execute.plan import Plan
from gradcli.execute.run import literal_value
from gradcli.graph.node import Node
from gradcli.graph.ops.kernels import Ufunc

Array = Any
Function = Callable[..., list[Array]]


def straight_line(plan: Plan, known: Mapping[Node, Array], inputs: Sequence[Node]) -> Function:
    """The targets of a plan as a function of the values of ``inputs``, in their order; ``known`` are all other leaves.

    Values have the shapes and dtypes of their nodes. The results are arrays that share no memory with anything. It
    raises what an operation raises; :func:`gradcli.execute.run.run` says which one that was.
    """
    import numpy as np

    return _Writer(np, plan, known, inputs).function()


class _Writer:
    """Writes a line for each operation; the value of node i is called ``v{i}``."""

    def __init__(self, np: Any, plan: Plan, known: Mapping[Node, Array], inputs: Sequence[Node]) -> None:
        self.np = np
        self.plan = plan
        self.scope: dict[str, Any] = {"np": np}
        self.arguments = [f"v{plan.position[node]}" for node in inputs]
        self.scalars = [f"v{plan.position[node]}" for node in inputs if not node.shape]
        self.fresh: set[int] = set()
        self.lines: list[tuple[int, str]] = []
        self.used: set[int] = set()
        self.last: dict[int, int] = {}
        self.spread: dict[int, int] = {}
        """Positions of ``broadcast_to``, and of what they repeat; written where somebody needs the whole array."""
        for i, node in enumerate(plan.nodes):
            if node.op.name == "leaf" or node in plan.known:
                if node in known:
                    self.scope[f"v{i}"] = known[node] if node.shape else known[node][()]
            elif node.op.name == "literal":
                self.scope[f"v{i}"] = literal_value(np, node)
            elif node.op.name == "broadcast_to":
                self.spread[i] = plan.inputs[i][0]
            else:
                expression = self.expression(i, node)
                self.last |= dict.fromkeys(self.used, len(self.lines))
                self.used.clear()
                self.lines.append((i, expression))

    def constant(self, name: str, value: Any) -> str:
        self.scope[name] = value
        return name

    def operand(self, i: int) -> str:
        """The name of a value, written before if it is an array that only repeats another."""
        if i in self.spread:
            shape = self.constant(f"shape{i}", self.plan.nodes[i].shape)
            self.lines.append((i, f"np.broadcast_to({self.operand(self.spread.pop(i))}, {shape})"))
        self.used.add(i)
        return f"v{i}"

    def operands(self, i: int, node: Node, elementwise: bool) -> list[str]:
        """The names of the inputs; where the others have the whole shape, one that is repeated stands for itself."""
        positions = list(self.plan.inputs[i])
        if elementwise and len(positions) == 2:
            for k, (j, other) in enumerate((positions, positions[::-1])):
                if j in self.spread and other not in self.spread and self.plan.nodes[other].shape == node.shape:
                    positions[k] = self.spread[j]
        return [self.operand(j) for j in positions]

    def expression(self, i: int, node: Node) -> str:
        """What is computed for a node."""
        kernel = node.op.kernel
        low = lowered(self.np, node)
        given = self.operands(i, node, node.op.entrywise and isinstance(kernel, Ufunc))
        if low.text:
            if low.result == "out":
                self.fresh.add(i)
            return low.text.format(*given, **{name: self.constant(f"{name}{i}", x) for name, x in low.constants})
        arguments = ", ".join(["np", *given])
        return f"{self.constant(f'f{i}', kernel)}({arguments}, **{self.constant(f'a{i}', node.attrs)})"

    def result(self, i: int, node: Node, again: bool) -> str:
        """A target as an array of its own; one that an operation has made for itself is taken as it is."""
        value, dtype = self.operand(i), self.constant(f"dtype{i}", self.np.dtype(node.dtype))
        if node.shape and i in self.fresh and not again:
            return f"np.ascontiguousarray({value}, {dtype})"
        return f"np.array({value}, {dtype}, order='C')"

    def function(self) -> Function:
        """The function, called as :func:`straight_line` says."""
        targets = self.plan.targets
        nodes = self.plan.target_nodes
        results = [
            self.result(i, node, i in targets[:k]) for k, (i, node) in enumerate(zip(targets, nodes, strict=True))
        ]
        kept = self.used  # by the results
        made = {i for i, _ in self.lines} - kept
        dead: dict[int, list[str]] = {}
        for i, line in self.last.items():
            if i in made and self.plan.nodes[i].shape:
                dead.setdefault(line, []).append(f"v{i}")
        text = [f"def function({', '.join(self.arguments)}):"]
        text += [f"{name} = {name}[()]" for name in self.scalars]
        for k, (i, expression) in enumerate(self.lines):
            text.append(f"v{i} = {expression}")
            if k in dead:
                text.append(f"del {', '.join(dead[k])}")
        text.append(f"return [{', '.join(results)}]")
        exec("\n    ".join(text), self.scope)
        compute: Function = self.scope["function"]
        errstate, blas = self.np.errstate, self.plan.blas

        def function(*values: Array) -> list[Array]:
            with errstate(all="ignore"), blas():
                return compute(*values)

        return function
