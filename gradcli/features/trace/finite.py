"""Evaluates a graph node by node and tells which operations made NaN or infinity from finite numbers.

A NaN that is not selected, or that a slice leaves out, reaches no result and is harmless; so the causes of each value
that is not finite are kept and followed back from the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.execute.newton import Solver
from gradcli.execute.repeat import Loop
from gradcli.graph.failures import Failure
from gradcli.graph.loops import Body
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Select, kernel_value
from gradcli.graph.ops.creation import loop_result, loop_run
from gradcli.program.loops import lowered
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]

SHOWN = 5
"""Entries whose indices and values are kept."""

Index = tuple[int, ...]


class Made(NamedTuple):
    """What an operation made: the first of its ``bad`` entries of ``size``, and the inputs there.

    ``values`` are the bad entries. ``inputs`` has for each input the entries that the bad ones were computed from, by
    index; of operations that are not entry by entry the first entries that are not finite, else the first of all.
    ``steps`` says in which step of the loops around it that was, as "step 37 of 1859".
    """

    node: Node
    bad: int
    size: int
    indices: list[Index]
    values: list[float]
    inputs: list[list[tuple[Index, float]]]
    steps: tuple[str, ...] = ()


class Evaluation(NamedTuple):
    """The first operation whose NaN or infinity reaches a result, and those whose NaN reaches none.

    ``failed`` is the node whose kernel refused what it was given, with the error.
    """

    first: Made | None
    harmless: list[Made]
    operations: int
    failed: tuple[Node, Exception] | None


def evaluate(
    targets: Sequence[Node], leaf_value: Callable[[Node], Any], known: Mapping[Node, Array] | None = None
) -> Evaluation:
    """Evaluate the targets, each array freed after its last use; ``known`` are the values of some nodes."""
    known = known or {}
    targets, original = lowered(targets, known)
    nodes, wanted = cone(targets, known), set(targets)
    last = {x: node for node in nodes if node not in known for x in node.inputs}
    run = _Run(leaf_value, original)
    with np.errstate(all="ignore"):
        for node in nodes:
            if node in known:
                run.know(node, known[node])
                continue
            if not run.compute(node):
                break
            for x in dict.fromkeys(node.inputs):
                if last[x] is node and x not in wanted:
                    del run.values[x]
    failed, made = run.failed, run.made
    reached = _reached([failed[0]] if failed else [target for target in targets if target in run.causes], run.causes)
    # An operation before a number that the program holds: `0 * inf` is to blame for its NaN, and not `inf`.
    guilty = sorted([made[n] for n in made if n in reached], key=lambda m: (m.node.op.given, m.node.serial))
    harmless = [found for node, found in made.items() if node not in reached and not found.node.op.given]
    if failed is not None:
        failed = original.get(failed[0], failed[0]), failed[1]
    return Evaluation(guilty[0] if guilty else None, harmless, len(nodes), failed)


class _Run:
    """The values of nodes so far, what was not finite and why, and what the operations made of that.

    ``causes`` has for each node that is not finite the inputs that it comes from.
    """

    def __init__(self, leaf_value: Callable[[Node], Any], original: Mapping[Node, Node]) -> None:
        self._leaf_value = leaf_value
        self._original = original
        self.values: dict[Node, Any] = {}
        self.causes: dict[Node, list[Node]] = {}
        self.made: dict[Node, Made] = {}
        self.failed: tuple[Node, Exception] | None = None

    def know(self, node: Node, value: Array) -> None:
        """Take the value of a node as it is."""
        self.values[node] = value
        if not _is_finite(value):
            self.causes[node] = []

    def compute(self, node: Node) -> bool:
        """Compute the value of a node; False where its kernel refuses what it is given."""
        given = [self.values[x] for x in node.inputs]
        bad = [x for x in dict.fromkeys(node.inputs) if x in self.causes]
        try:
            value = np.asarray(self._leaf_value(node)) if node.op.name == "leaf" else _value(node, given)
        except (Failure, GradcliError, ArithmeticError, IndexError, TypeError, ValueError) as problem:
            self.failed = node, problem.reason if isinstance(problem, Failure) else problem
            self.causes[node] = bad
            return False
        self.values[node] = value
        if not all([_is_finite(x) for x in (value if node.op is loop_run else [value])]):
            self.causes[node] = _causes(node, given, bad)
            found = _made(node, given, value, self._original)
            if found is not None:
                self.made[node] = found
        return True


def _is_finite(x: Array) -> bool:
    return x.dtype.kind != "f" or bool(np.isfinite(x).all())


def _reached(start: Sequence[Node], causes: Mapping[Node, Sequence[Node]]) -> set[Node]:
    """What some nodes got their numbers from that are not finite, themselves included."""
    reached, todo = set(start), list(start)
    while todo:
        for x in causes[todo.pop()]:
            if x not in reached:
                reached.add(x)
                todo.append(x)
    return reached


def _in_steps(loop: Loop | Solver, result: Node, given: Sequence[Array]) -> Made | None:
    """What the first step of a loop that is not finite made, if it was given finite numbers."""
    if not isinstance(loop, Loop):
        return None
    body: Body = result.attrs["body"]
    roots = [*[body.following[i] for i in loop.live], *[body.root(r) for r in loop.emitted]]
    for step, (known, found) in enumerate(loop.walk(*given), 1):
        if not all([_is_finite(np.asarray(x)) for x in found]):
            inner = evaluate(roots, known.__getitem__, known).first
            here = f"step {step} of {body.count}"
            return None if inner is None else inner._replace(steps=(*inner.steps, here))
    return None


def _value(node: Node, given: Sequence[Any]) -> Any:
    if node.op is loop_run:
        return node.attrs["function"](*given)
    if node.op is loop_result:
        return given[0][node.attrs["index"]]
    return np.asarray(kernel_value(np, node, [x[()] for x in given]))


def _causes(node: Node, given: Sequence[Array], bad: list[Node]) -> list[Node]:
    """The inputs among the ``bad`` ones, which are not finite, that reach the value: ``where`` may select other entries."""
    if not isinstance(node.op.rule, Select):
        return bad
    condition = given[0]
    taken = [np.any(condition & ~np.isfinite(given[1])), np.any(~condition & ~np.isfinite(given[2]))]
    return [x for x in bad if any([took and node.inputs[i + 1] is x for i, took in enumerate(taken)])]


def _made(node: Node, given: Sequence[Array], value: Array, original: Mapping[Node, Node]) -> Made | None:
    """What is not finite in a value although it is in the inputs, or NaN although no input is."""
    if node.op is loop_run:
        return _in_steps(node.attrs["function"], original[node], given)
    if node.op is loop_result or isinstance(node.op.rule, Select):
        return None
    bad = ~np.isfinite(value)
    entrywise = node.op.entrywise
    floats = [x for x in given if x.dtype.kind == "f"]
    if entrywise:
        infected, nan = np.zeros_like(bad), np.zeros_like(bad)
        for x in floats:
            infected = infected | ~np.isfinite(x)
            nan = nan | np.isnan(x)
        made = (bad & ~infected) | (np.isnan(value) & ~nan)
    else:
        infected = np.asarray(any([not np.isfinite(x).all() for x in floats]))
        nan = np.asarray(any([np.isnan(x).any() for x in floats]))
        made = (bad & ~infected) | (np.isnan(value) & ~nan)
    count = int(np.count_nonzero(made))
    if not count:
        return None
    indices = _first(made)
    inputs = [_entries(x, value.shape, indices) if entrywise else _notable(x) for x in given]
    return Made(original.get(node, node), count, value.size, indices, [float(value[i]) for i in indices], inputs)


def _first(mask: Array) -> list[Index]:
    """The first places that are true."""
    flat = np.flatnonzero(mask)[:SHOWN]
    return [tuple(int(k) for k in np.unravel_index(i, mask.shape)) if mask.shape else () for i in flat]


def _entries(x: Array, shape: Index, indices: Sequence[Index]) -> list[tuple[Index, float]]:
    """The entries of an input that were broadcast to some places of the result, each once."""
    found: dict[Index, float] = {}
    for index in indices:
        own = index[len(shape) - x.ndim :]
        own = tuple(k if n != 1 else 0 for k, n in zip(own, x.shape, strict=True))
        found[own] = float(x[own])
    return list(found.items())


def _notable(x: Array) -> list[tuple[Index, float]]:
    bad = ~np.isfinite(x) if x.dtype.kind == "f" else np.zeros(x.shape, dtype=bool)
    if not bad.any():
        bad = np.abs(x) == np.max(np.abs(x)) if x.size > SHOWN and x.dtype.kind != "b" else np.ones(x.shape, dtype=bool)
    return [(index, float(x[index])) for index in _first(bad)]
