"""What a run spends, by lines of the program: ``gradcli eval --profile`` and ``grad --profile``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TypeVar

from gradcli.execute import plain_numbers
from gradcli.execute.choose import OPERATIONS, Choice, Workers
from gradcli.execute.plan import Plan
from gradcli.execute.profile import Figures, Record
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import loop_run
from gradcli.program import swept
from gradcli.program.loaded import Loaded
from gradcli.tuples import NamedTuple

P = TypeVar("P", bound=Loaded)


class Part(NamedTuple):
    """Seconds, calls of kernels, bytes of the arrays made: of a line, forward or backward."""

    seconds: float = 0.0
    calls: int = 0
    bytes: int = 0

    def plus(self, other: Part) -> Part:
        return Part(self.seconds + other.seconds, self.calls + other.calls, self.bytes + other.bytes)


class Line(NamedTuple):
    """A line of the program (0: none), its text, and what its operations and their derivatives took."""

    number: int
    text: str
    forward: Part
    backward: Part

    @property
    def seconds(self) -> float:
        return self.forward.seconds + self.backward.seconds


class Profile(NamedTuple):
    """Lines, the costliest first; the largest number of bytes alive at once as planned; loops over tiles, and threads.

    ``repeated`` has the number of steps of each loop of the program, and what does them.

    ``choice`` is the engine of a run that is not timed, which is not that of the profile where the values are scalars.
    """

    lines: list[Line]
    peak: int
    loops: list[tuple[int, int, int, Workers]]
    threads: int
    choice: Choice | None
    repeated: list[tuple[int, Choice]]

    @property
    def seconds(self) -> float:
        return sum([line.seconds for line in self.lines])


def profiled(program: P, ask: Callable[[P], object]) -> Profile:
    """Answer a question with every step timed, on one thread, and forget the answer.

    ``loops`` holds for each loop the entries of its axis, its tiles, the operations in it, and the workers of an ordinary
    run; ``threads`` is the number that it may use.
    """
    import numpy.random  # noqa: F401  the time of its import is not a line's

    record = Record()
    ask(program.with_record(record))
    graph = program.graph
    derived = graph.derivation.origin
    found: dict[int, tuple[Part, Part]] = {}
    for node, spent in record.nodes.items():
        line = _line(program, node)
        forward, backward = found.get(line, (Part(), Part()))
        part = Part(spent.seconds, spent.calls, record.bytes.get(node, 0))
        found[line] = (forward, backward.plus(part)) if node in derived else (forward.plus(part), backward)
    texts = program.source.text.split("\n")
    lines = [Line(n, texts[n - 1].strip() if n else "", *parts) for n, parts in found.items()]
    lines.sort(key=lambda line: -line.seconds)
    units = [unit for plan in record.plans for unit in plan.units if not isinstance(unit, int)]
    return Profile(
        lines,
        max([plan.peak for plan in record.plans], default=0),
        [(unit.size, unit.tiles, len(unit.nodes), unit.workers) for unit in units],
        max([plan.means.threads for plan in record.plans], default=1),
        _choice(program, *record.asked[-1]) if record.asked else None,
        [loop for plan in record.plans for loop in _loops(plan)],
    )


def _loops(plan: Plan) -> list[tuple[int, Choice]]:
    """The loops of the program that a plan runs: the number of steps, and what does them."""
    runs = [node for node in plan.nodes if node.op is loop_run]
    if not runs:
        return []
    from gradcli.execute.repeat import Loop

    loops = [node.attrs["function"] for node in runs]
    return [(loop.body.count, loop.choice) for loop in loops if isinstance(loop, Loop)]


class Compiled(NamedTuple):
    """What JAX spends on a question: to compile it, to run it, and what NumPy takes for all of it."""

    figures: Figures
    running: float
    whole: float
    by_numpy: float


def compiled(program: P, ask: Callable[[P], object]) -> Compiled | None:
    """Answer a question by JAX and by NumPy, each timed from the graph to the answer; None where nothing is computed."""
    record = Record()
    start = perf_counter()
    ask(program.with_record(record))
    middle = perf_counter()
    ask(program.with_accelerator(None))
    by_numpy = perf_counter() - middle
    if not record.compiled:
        return None
    figures, running = record.compiled[-1]
    return Compiled(figures, running, middle - start, by_numpy)


def _choice(program: Loaded, nodes: Sequence[Node], plain: bool, plan: Plan) -> Choice:
    """What computes nodes in a run that is not timed."""
    long = program.graph.size >= OPERATIONS
    scalars = swept.suits(program, nodes) if long else plain_numbers.suits(nodes, program.graph.initial)
    return program.choice_of_scalars(plain) if scalars else plan.choice


def _line(program: Loaded, node: Node) -> int:
    span = program.graph.span(node)
    return span.line if span is not None else 0
