"""Functions of values of leaves, by NumPy: nodes planned once, for the package's own use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.execute.numbered import numbered
from gradcli.execute.run import run
from gradcli.execute.straight import straight_line
from gradcli.graph.node import Node, cone

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = Any


class Planned:
    """The values of nodes as a function of those of some leaves, which each call gives; safe in threads.

    With ``processes`` loops of short steps may be shared among worker processes (:mod:`gradcli.execute.processes`).
    ``known`` are computed nodes whose values each call gives as well. ``choice`` says what runs it and why.
    ``function``, if there is one, takes the values of ``moving`` in their order, and raises whatever fails.
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
        self.leaves: set[Node] = set(self._plan.leaves)
        # What no input changes is evaluated once.
        self._fixed = dict(zip(constant, program.evaluate(constant), strict=True))
        self._fixed |= program.leaf_values(self._plan, without={*inputs, *constant})
        self.moving = [x for x in self._plan.nodes if x in given]
        # From the first call on: the same values must give the same bits.
        self.choice = self._plan.when_repeated()
        straight = self.choice.engine == "straight line"
        self.function = self._written_out() if straight else None

    def _written_out(self) -> Callable[..., list[Array]]:
        return numbered(self._plan, self._fixed, self.moving) or straight_line(self._plan, self._fixed, self.moving)

    def __call__(self, values: Mapping[Node, Array], out: Sequence[Array | None] = ()) -> list[Array]:
        """The values of the nodes, in arrays of their own or of ``out``, one for each node or none at all.

        ``values`` have the leaves' shapes and dtypes. Where there is a ``function``, ``out`` is not looked at.
        """
        if self.function is not None:
            try:
                return self.function(*[values[leaf] for leaf in self.moving])
            except Exception:  # noqa: BLE001
                out = ()  # the slower way says which operation failed, and where it stands in the program
        return run(self._plan, {**self._fixed, **values}, self._written, None, out)


def constant_parts(nodes: Sequence[Node], inputs: set[Node]) -> list[Node]:
    """The computed nodes that depend on no input and are needed by one that does, or are results."""
    moving = set(inputs)
    needed = dict.fromkeys(nodes)
    for node in cone(nodes, inputs):
        if any([x in moving for x in node.inputs]):
            moving.add(node)
            needed |= dict.fromkeys(node.inputs)
    return [x for x in needed if x not in moving and x.op.name not in ("leaf", "literal")]


def computed_once(program: Loaded, nodes: Sequence[Node], fixed: Mapping[Node, Array]) -> dict[Node, Array]:
    """The values of nodes that no input changes, from those of ``fixed`` nodes and what the program gives."""
    if not nodes:
        return {}
    plan = program.plan(nodes, fixed)
    values = run(plan, {**fixed, **program.leaf_values(plan, fixed)}, program.written)
    return dict(zip(nodes, values, strict=True))
