"""What a run spends on each node: seconds and calls, measured step by step on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from gradcli.execute.plan import Plan
from gradcli.execute.sizes import bytes_of
from gradcli.graph.node import Node
from gradcli.tuples import NamedTuple


class Spent(NamedTuple):
    """What one node took: seconds, and calls of its kernel (one for each tile)."""

    seconds: float
    calls: int


class Figures(NamedTuple):
    """What a ``backend`` took to compile a function: operations, seconds, bytes that a run needs on a device, and the devices.

    ``moved`` are the bytes that go to the devices and come back for one run, and ``by_numpy`` is a bound on the seconds
    that NumPy takes for it.
    """

    operations: int
    tracing: float
    compiling: float
    bytes: int | None
    devices: list[str]
    moved: int
    by_numpy: float
    backend: str = "jax"


class Record:
    """Collects what runs spend. ``nodes`` are those of the program, not the ones that a plan puts in their place."""

    def __init__(self) -> None:
        self.clock = perf_counter
        self.nodes: dict[Node, Spent] = {}
        self.bytes: dict[Node, int] = {}
        self.plans: list[Plan] = []
        self.asked: list[tuple[Sequence[Node], bool, Plan]] = []
        """What was evaluated, whether plain numbers do, and its plan."""
        self.compiled: list[tuple[Figures, float]] = []
        """What was compiled, and the seconds of its run."""

    def add(self, plan: Plan, node: Node, seconds: float, calls: int = 1) -> None:
        shown = plan.original.get(node, node)
        before = self.nodes.get(shown, Spent(0.0, 0))
        self.nodes[shown] = Spent(before.seconds + seconds, before.calls + calls)
        if node.op.shares != "always":
            self.bytes[shown] = bytes_of(node)
