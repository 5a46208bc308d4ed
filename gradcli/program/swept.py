"""Values and gradients of large scalar programs, by one sweep up and one down over their own graph.

The graph of a gradient, simplified and planned, is worth its price where arrays are large or where it is asked for
often. A program of 100,000 statements on scalars is run once, and pays 20 seconds for that graph; the sweeps need one.
Each operation's share in them comes from its entry of the table: its derivative is traced once by the reverse mode
itself, on placeholders, and becomes a Python function. A cotangent that is not selected (see
:mod:`gradcli.autodiff.reverse`) is None, and None is passed on: the strong zero.
Without this module (``GRADCLI_WITHOUT=sweep``) results are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.autodiff import reverse
from gradcli.autodiff.cotangents import Cotangent
from gradcli.diagnostics import GradcliError
from gradcli.execute import choose
from gradcli.execute.lower import to_number
from gradcli.execute.scalars import Function, Number, function_of, passing_of
from gradcli.graph.node import Derivation, Node, cone, uncollected
from gradcli.graph.operation import (
    Elementwise,
    Linear,
    NoDerivative,
    Operation,
    Product,
    SameAs,
    Select,
    boolean,
    broadcasting,
    unchanged,
)
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import power
from gradcli.graph.ops.words.python import FUNCTIONS
from gradcli.rewrite.simplify import Simplified

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

RULES = (Elementwise, Linear, Product, Select, SameAs, NoDerivative)


class UnsuitableError(Exception):
    """This graph is not one for sweeps."""


FAILURES = (UnsuitableError, GradcliError, ArithmeticError, ValueError)
"""What fails here may not be needed for a gradient; if it is, the ordinary way says so."""


class Share:
    """What the sweeps do at the nodes of one operation: ``value`` of the inputs' values, and what is passed on.

    ``steps[code]`` passes a cotangent on to the inputs whose bits are set in ``code``, as far as it can pass. ``root`` says
    that the slope where the value is infinite may be that of its square, which is for graphs.
    """

    __slots__ = ("root", "sample", "steps", "value")

    def __init__(self, node: Node) -> None:
        if not _is_suitable(node.op):
            raise UnsuitableError
        literal_exponent = node.op is power and node.inputs[1].op.name == "literal"
        inputs = [
            x if i and literal_exponent else make_leaf("x", "variable", (), x.dtype, True)
            for i, x in enumerate(node.inputs)
        ]
        self.sample = Node(node.op, tuple(inputs), node.attrs, (), node.dtype, True)
        self.value = FUNCTIONS.get(node.op.name) or function_of(inputs, Simplified([self.sample]).targets[0])
        self.root = node.op.squared is not None and node.op.degree != "abs"
        self.steps: dict[int, Function | None] = {}

    def step(self, code: int) -> Function | None:
        """The step for a code, from the derivative of the table's entry, traced by the reverse mode itself."""
        y = self.sample
        g = make_leaf("g", "variable", (), y.dtype, True)
        active = {y.inputs[i] for i in y.op.differentiable_inputs(y) if code >> i & 1}
        derivation = Derivation(y.dtype)
        with derivation.active():
            given = dict(reverse.contributions(derivation, y, Cotangent(g, None), active))
            targets = [x for c in given.values() for x in c if x is not None]
            simple = dict(zip(targets, Simplified(targets).targets, strict=True))
        passed = {
            y.inputs.index(x): (simple[c.g], None if c.mask is None else simple[c.mask]) for x, c in given.items()
        }
        self.steps[code] = step = passing_of(y, g, passed) if passed else None
        return step


def _is_suitable(op: Operation) -> bool:
    """Whether an operation gives a scalar of the inputs' dtype, or a bool, for scalars."""
    plain = op.infer in (broadcasting, unchanged, boolean) or isinstance(op.rule, Select)
    return plain and op.kernel is not None and op.expand is None and isinstance(op.rule, RULES)


def _is_same_everywhere(op: Operation) -> bool:
    """Whether all nodes of an operation have the same number of inputs, of the same dtypes, and no attributes."""
    return op.accepts not in ("any", "same") and op.adapt is None and all([p.kind == "tensor" for p in op.parameters])


def suits(program: Loaded, nodes: Sequence[Node]) -> bool:
    """Whether the program's own part of what nodes are computed from is one for sweeps, as far as their sorts show."""
    derived = set(program.graph.derivation.nodes.values())
    own = [node for node in cone(nodes) if node not in derived]
    dtypes = (program.float_dtype, "bool")
    return len(own) >= choose.OPERATIONS and all(
        [not x.shape and x.dtype in dtypes and (not x.inputs or _is_suitable(x.op)) for x in own]
    )


class Sweep:
    """The values of all nodes of a graph, and for the wanted xs a tape of what can pass gradients on to them."""

    def __init__(
        self, program: Loaded, ys: Iterable[Node], xs: Iterable[Node] = (), barriers: Iterable[Node] = ()
    ) -> None:
        import numpy as np

        self.program = program
        self.dtype = program.float_dtype
        self.nodes = cone(ys)
        if len(self.nodes) < choose.OPERATIONS:
            raise UnsuitableError
        if program.max_memory is not None and 16 * len(self.nodes) > program.max_memory:
            raise UnsuitableError  # the plan says it
        self.values: dict[Node, Number] = {}
        self.tape: list[Node] = []
        self.steps: list[Function] = []
        self._shares: dict[Any, Share] = {}
        with uncollected(), np.errstate(all="ignore"):
            self._up(set(xs), set(barriers))

    def _up(self, active: set[Node], barriers: set[Node]) -> None:
        values, shares, tape, steps = self.values, self._shares, self.tape, self.steps
        xs = frozenset(active)
        for node in self.nodes:
            inputs = node.inputs
            if not inputs:
                values[node] = self._start(node)
                continue
            share = shares.get(node.op) or self._share(node)
            if len(inputs) == 2:
                a, b = inputs
                values[node] = share.value(values[a], values[b])
                code = (a in active) + 2 * (b in active)
            elif len(inputs) == 1:
                (a,) = inputs
                values[node] = share.value(values[a])
                code = a in active
            else:
                values[node] = share.value(*[values[x] for x in inputs])
                code = sum([1 << i for i, x in enumerate(inputs) if x in active])
            if not code or node in barriers:
                continue
            try:
                step = share.steps[code]
            except KeyError:
                step = share.step(code)
            if step is None:
                continue
            if share.root and values[node] == math.inf:
                raise UnsuitableError
            if node.op is power and code == 1 and not _is_known_exponent(inputs[1], xs, active):
                raise UnsuitableError
            active.add(node)
            tape.append(node)
            steps.append(step)

    def _share(self, node: Node) -> Share:
        """The share of a node's operation, which may depend on inputs, attributes or a literal exponent."""
        op, attrs, shares = node.op, node.attrs, self._shares
        key: Any = op
        if op is power and node.inputs[1].op.name == "literal":
            exponent = node.inputs[1]
            if exponent in shares:
                return shares[exponent]
            key = (op, repr(exponent.attrs["value"]))
            shares[exponent] = share = shares.get(key) or Share(node)
        elif op is power or not _is_same_everywhere(op):
            key = (op, *[x.dtype for x in node.inputs], *[(name, repr(value)) for name, value in attrs.items()])
            share = shares.get(key) or Share(node)
        else:
            share = Share(node)
        shares[key] = share
        return share

    def _start(self, node: Node) -> Number:
        """The number of a leaf or literal."""
        if node.shape or node.dtype not in (self.dtype, "bool"):
            raise UnsuitableError
        if node.op.name == "literal":
            return to_number(node.attrs["value"], node.dtype)
        if node.op.name != "leaf" or self.program.lacks_value(node):
            raise UnsuitableError  # a value that is missing may not be needed for the gradient
        return to_number(self.program.leaf_value(node), node.dtype)

    def down(self, seeds: Sequence[tuple[Node, Number]]) -> dict[Node, Number | None]:
        """The cotangents of all nodes that are connected to a seed; None where nothing of a node is selected."""
        import numpy as np

        values = self.values
        found: dict[Node, Number | None] = {}
        for y, g in seeds:
            found[y] = found[y] + g if y in found else g
        with uncollected(), np.errstate(all="ignore"):
            for node, step in zip(reversed(self.tape), reversed(self.steps), strict=True):
                if node in found:
                    step(node, found[node], values, found)
        return found


def _is_known_exponent(p: Node, xs: frozenset[Node], active: set[Node]) -> bool:
    """Whether the derivative of a power is that of the sample: its exponent a literal, or computed from leaves."""
    if p.op.name in ("literal", "leaf"):
        return True
    return p in active and all([x.op.name == "leaf" for x in xs])


def values(program: Loaded, nodes: Sequence[Node]) -> list[Any] | None:
    """The values of nodes as arrays, or None where the graph is not one for sweeps."""
    import numpy as np

    try:
        found = Sweep(program, nodes).values
    except FAILURES:
        return None
    return [np.array(found[node], dtype=node.dtype) for node in nodes]


def gradients(
    program: Loaded, ys: Sequence[Node], xs: Sequence[Node], heads: Sequence[Node | None], stops: Sequence[Node]
) -> list[Any] | None:
    """What :func:`gradcli.autodiff.reverse.gradients` gives, as arrays; None where the graph is not one for sweeps."""
    import numpy as np

    if any([y.dtype == "bool" for y in ys]):
        return None
    try:
        sweep = Sweep(program, ys, [x for x in xs if x.dtype != "bool"], stops)
        seeds = program.evaluate([reverse.seed(y, head, i) for i, (y, head) in enumerate(zip(ys, heads, strict=True))])
        found = sweep.down([(y, to_number(seed, y.dtype)) for y, seed in zip(ys, seeds, strict=True)])
    except FAILURES:
        return None
    return [np.array(found[x] or 0.0, dtype=x.dtype) if x in found else None for x in xs]
