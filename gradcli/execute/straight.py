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

from gradcli.execute.lower import Formula, Lowered, Scope, lowered
from gradcli.execute.order import arranged, long_axis
from gradcli.execute.plan import Plan
from gradcli.graph.node import Node
from gradcli.graph.operation import kernel_value
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


def steps(
    plan: Plan, states: Sequence[Node], rows: Sequence[Node], others: Sequence[Node], stacked: Sequence[int]
) -> Function:
    """A plan done again and again, as one function with a loop.

    The first targets take the place of ``states`` in the next step, all others are stacked. The states with the numbers
    ``stacked`` are stacked before each step, and of ``rows`` a step takes a row. The function takes the places of the
    steps in the stacks, the rows in that order, the values of states and ``others``, and the arrays to stack in: those
    of states first. It returns the states as arrays of their own, and raises what an operation raises.
    """
    import numpy as np

    used = [x for x in (*states, *rows, *others) if x in plan.position]
    return _Writer(np, plan, {}, used).steps(states, rows, others, stacked)


Line = tuple[int, str, list[int], dict[str, str]]
"""One operation: the value that it makes, its formula, the values that it takes, and the names of the formula's constants."""


class _Writer:
    """Writes a line for each operation; the values of inputs and constants are called ``v{i}`` after node i.

    Every other value has a local variable that values before it, which nobody reads any more, may have had: no line is
    needed to free them, and a function of many lines is compiled in half the time.
    """

    def __init__(self, np: Any, plan: Plan, known: Mapping[Node, Array], inputs: Sequence[Node]) -> None:
        self.np = np
        self.plan = plan
        self.scope = Scope(np=np, arranged=arranged)
        self.arguments = [f"v{plan.position[node]}" for node in inputs]
        self.turned = [
            name
            for name, node in zip(self.arguments, inputs, strict=True)
            if plan.ordered and long_axis(node.shape) is not None
        ]
        self.scalars = [f"v{plan.position[node]}" for node in inputs if not node.shape]
        self.fresh: set[int] = set()
        self.lines: list[Line] = []
        self.spread: dict[int, tuple[int, Formula]] = {}
        """What only repeats another value, by position: written where somebody needs the whole array."""
        for i, node in enumerate(plan.nodes):
            if node.op.name == "leaf" or node in plan.known:
                if node in known:
                    value = arranged(np, known[node]) if plan.ordered and node.shape else known[node]
                    self.scope.names[f"v{i}"] = value if node.shape else value[()]
            elif node.op.name == "literal":
                self.scope.names[f"v{i}"] = kernel_value(np, node)
            else:
                self.write(i, node, lowered(np, node, ordered=plan.ordered))

    def write(self, i: int, node: Node, low: Lowered) -> None:
        """Write the line of a node, or note what it repeats."""
        assert low.formula is not None
        if low.result == "spread":
            self.spread[i] = self.plan.inputs[i][0], low.formula
            return
        if low.result == "out":
            self.fresh.add(i)
        given = self.operands(i, node, node.op.entrywise and isinstance(node.op.kernel, Ufunc))
        self.line(i, low.formula, given)

    def line(self, i: int, formula: Formula, given: list[int]) -> None:
        self.lines.append((i, formula.text, given, self.scope.named(formula, i)))

    def operand(self, i: int) -> int:
        """A value, written before if it is an array that only repeats another."""
        if i in self.spread:
            x, formula = self.spread.pop(i)
            self.line(i, formula, [self.operand(x)])
        return i

    def operands(self, i: int, node: Node, elementwise: bool) -> list[int]:
        """The inputs; where the others have the whole shape, one that is repeated stands for itself."""
        positions = list(self.plan.inputs[i])
        if elementwise and len(positions) == 2 and self.spread:
            for k, (j, other) in enumerate((positions, positions[::-1])):
                if j in self.spread and other not in self.spread and self.plan.nodes[other].shape == node.shape:
                    positions[k] = self.spread[j][0]
        return [self.operand(j) for j in positions]

    def result(self, i: int, again: bool) -> str:
        """A target as an array of its own; one that an operation has made for itself is taken as it is."""
        node = self.plan.nodes[i]
        dtype = f"dtype{i}"
        self.scope.names[dtype] = self.np.dtype(self.plan.target_nodes[self.plan.targets.index(i)].dtype)
        if node.shape and i in self.fresh and not again:
            return f"np.ascontiguousarray({{0}}, {dtype})"
        return f"np.array({{0}}, {dtype}, order='C')"

    def named(self, kept: set[int]) -> tuple[list[str], dict[int, str]]:
        """The lines with the names of variables, and what the values have that are ``kept`` to the end."""
        last = {i: k for k, line in enumerate(self.lines) for i in (line[0], *line[2])}
        made: dict[int, str] = {}
        free: list[str] = []
        text: list[str] = []
        for k, (value, expression, operands, constants) in enumerate(self.lines):
            expression = expression.format(*[made.get(i) or f"v{i}" for i in operands], **constants)
            free += [made.pop(i) for i in operands if last[i] == k and i in made and i not in kept]
            name = made[value] = free.pop() if free else f"x{k}"
            text.append(f"{name} = {expression}")
            if last[value] == k and value not in kept:
                free.append(made.pop(value))
        return text, made

    def function(self) -> Function:
        """The function, called as :func:`straight_line` says."""
        targets = self.plan.targets
        for i in targets:
            self.operand(i)
        lines, made = self.named(set(targets))
        results = [self.result(i, i in targets[:k]).format(made.get(i) or f"v{i}") for k, i in enumerate(targets)]
        leading = [f"{name} = {name}[()]" for name in self.scalars]
        leading += [f"{name} = arranged(np, {name})" for name in self.turned]
        return self.silent(self.arguments, [*leading, *lines, f"return [{', '.join(results)}]"])

    def steps(
        self, states: Sequence[Node], rows: Sequence[Node], others: Sequence[Node], stacked: Sequence[int]
    ) -> Function:
        """The function, called as :func:`steps` says."""
        targets, position = self.plan.targets, self.plan.position
        for i in targets:
            self.operand(i)
        lines, made = self.named(set(targets))
        found = [made.get(i) or f"v{i}" for i in targets]
        now = [f"v{position[x]}" if x in position else f"s{k}" for k, x in enumerate(states)]
        moving, fixed = [f"v{position[x]}" for x in rows], [f"v{position[x]}" for x in others]
        before, after = [f"before{k}" for k in stacked], [f"after{k}" for k in range(len(states), len(targets))]
        step = [f"{table}[i] = {now[k]}" for table, k in zip(before, stacked, strict=True)]
        step += [*lines, *[f"{table}[i] = {name}" for table, name in zip(after, found[len(states) :], strict=True)]]
        if states:
            step.append(f"{', '.join(now)}, = {', '.join(found[: len(states)])},")
        self.scope.names.update({f"dtype{k}": self.np.dtype(x.dtype) for k, x in enumerate(states)})
        ends = [f"np.array({name}, dtype{k}, order='C')" for k, name in enumerate(now)]
        columns = [f"rows_{name}" for name in moving]
        head = f"for i, {', '.join(moving)} in zip(order, {', '.join(columns)}):" if rows else "for i in order:"
        text = [f"{name} = {name}[()]" for name in self.scalars if name not in moving]
        text += [head, *[f"    {line}" for line in step], f"return [{', '.join(ends)}]"]
        return self.silent(["order", *columns, *now, *fixed, *before, *after], text)

    def silent(self, head: Sequence[str], text: Sequence[str]) -> Function:
        """A function that does not warn, with the threads that the plan's products are worth."""
        compute: Function = self.scope.function(", ".join(head), text)
        errstate, blas = self.np.errstate, self.plan.blas

        def function(*values: Array) -> list[Array]:
            with errstate(all="ignore"), blas():
                return compute(*values)

        return function
