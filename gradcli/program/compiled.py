"""Functions of a program's inputs, planned once: nodes for the package's own use, names for :meth:`Program.compile`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.data import is_ordinary
from gradcli.diagnostics import GradcliError
from gradcli.execute.run import run
from gradcli.execute.straight import straight_line
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import SameAs, Select
from gradcli.program import query
from gradcli.program.loaded import converted

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = Any


class Planned:
    """The values of nodes as a function of those of some leaves, which each call gives; safe in threads.

    With ``processes`` loops of short steps may be shared among worker processes (:mod:`gradcli.execute.processes`).
    ``known`` are computed nodes whose values each call gives as well. ``choice`` says what runs it and why.
    """

    def __init__(
        self,
        program: Loaded,
        nodes: Sequence[Node],
        inputs: Sequence[Node],
        processes: bool = False,
        known: Sequence[Node] = (),
    ) -> None:
        self._written = program.written
        given = {*inputs, *known}
        constant = constant_parts(nodes, given)
        self._plan = program.plan(nodes, [*constant, *known], repeated=True, processes=processes)
        self.leaves = set(self._plan.leaves)
        # What no input changes is evaluated once.
        self._fixed = dict(zip(constant, program.evaluate(constant), strict=True))
        self._fixed |= program.leaf_values(self._plan, without={*inputs, *constant})
        self._moving = [x for x in self._plan.nodes if x in given]
        # From the first call on: the same values must give the same bits.
        self.choice = self._plan.when_repeated()
        straight = self.choice.engine == "straight line"
        self._function = straight_line(self._plan, self._fixed, self._moving) if straight else None

    def __call__(self, values: Mapping[Node, Array]) -> list[Array]:
        """The values of the nodes, in arrays of their own; ``values`` have the leaves' shapes and dtypes."""
        if self._function is not None:
            try:
                return self._function(*[values[leaf] for leaf in self._moving])
            except Exception:  # noqa: BLE001
                pass  # the slower way says which operation failed, and where it stands in the program
        return run(self._plan, {**self._fixed, **values}, self._written)


class Compiled:
    """A callable with keyword arguments for the inputs; may be called from several threads.

    The graph is made for ordinary inputs, which need no guards where a ``where`` selects. The first call with a NaN, an
    infinity or a number near where floats end for some inputs of a program that selects makes a graph with guards for
    these inputs, so that what is not selected contributes nothing.
    """

    def __init__(
        self,
        program: Loaded,
        of: Sequence[str],
        inputs: Sequence[str],
        processes: bool = False,
        guarded: bool = False,
    ) -> None:
        self._program = program
        self._of = list(of)
        self._processes = processes
        self._leaves = {name: query.leaf(program, name) for name in inputs}
        nodes = [query.target(program, name) for name in of]
        self._run = Planned(program, nodes, list(self._leaves.values()), processes)
        self._selects = not guarded and any(isinstance(node.op.rule, (Select, SameAs)) for node in cone(nodes))
        self._guarded: dict[tuple[str, ...], Compiled] = {}

    def __repr__(self) -> str:
        return f"<compiled {', '.join(self._of)} of {', '.join(self._leaves) or 'no inputs'}>"

    def __call__(self, **values: Array) -> dict[str, Array]:
        for name in values:
            if name not in self._leaves:
                known = ", ".join(self._leaves) or "(none)"
                raise GradcliError("NameError", f"`{name}` is not among the inputs {known}")
        given: dict[Node, Array] = {}
        for name, leaf in self._leaves.items():
            if name in values:
                given[leaf] = converted(values[name], leaf, copy=False)
            elif leaf in self._run.leaves:
                given[leaf] = self._program.leaf_value(leaf)
        if self._selects:
            leaves = self._leaves.items()
            unsafe = tuple([name for name, leaf in leaves if leaf in given and not is_ordinary(given[leaf])])
            if unsafe:
                return self._with_guards(unsafe)(**values)
        return dict(zip(self._of, self._run(given), strict=True))

    def _with_guards(self, unsafe: tuple[str, ...]) -> Compiled:
        if unsafe not in self._guarded:
            program = self._program.again(unsafe=unsafe)
            self._guarded[unsafe] = Compiled(program, self._of, list(self._leaves), self._processes, guarded=True)
        return self._guarded[unsafe]


def constant_parts(nodes: Sequence[Node], inputs: set[Node]) -> list[Node]:
    """The computed nodes that depend on no input and are needed by one that does, or are results."""
    moving = set(inputs)
    needed = dict.fromkeys(nodes)
    for node in cone(nodes, inputs):
        if any([x in moving for x in node.inputs]):
            moving.add(node)
            needed |= dict.fromkeys(node.inputs)
    return [x for x in needed if x not in moving and x.op.name not in ("leaf", "literal")]
