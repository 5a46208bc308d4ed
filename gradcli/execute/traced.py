"""Nodes as functions that JAX traces: kernels in JAX's words, loops and searches as loops of XLA, failures as flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcli.execute.newton import DECREASE, NOISE, TRIALS
from gradcli.graph.loops import Body, Run
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import kernel_value
from gradcli.graph.ops.creation import loop_run
from gradcli.graph.ops.ruled import System
from gradcli.graph.ops.words.jax import FAILS, WORDS, Namespace, wrapped

Array = Any

EXACT = (0.0, 1.0, -1.0, 2.0, 0.5)
"""Factors that round nothing: in whatever order XLA multiplies by them, the result is the same."""


def computed(xp: Namespace, roots: Sequence[Node], given: Mapping[Node, Array]) -> tuple[list[Array], Array]:
    """The values of roots for those of some nodes below them, and whether something failed because of its values."""
    values = dict(given)
    flags: list[Array] = []
    for node in cone(roots, values):
        if node in values:
            continue
        if node.op.given and not node.inputs:
            values[node] = kernel_value(xp.host, node)
            continue
        inputs = [_written(xp, node, i, values[x]) for i, x in enumerate(node.inputs)]
        if node.op is loop_run:
            y, failed = node.attrs["function"].traced(xp, *inputs)
            values[node] = y
            flags.append(failed)
            continue
        y = WORDS.get(node.op.name, node.op.kernel)(xp, *inputs, **node.attrs)  # type: ignore[misc]
        for fails in (FAILS.get(node.op.name), wrapped):
            found = fails(xp, node, y, *inputs) if fails is not None else None
            flags += [] if found is None else [found]
        values[node] = xp.asarray(y, node.dtype)
    found = [xp.asarray(values[x], x.dtype) for x in roots]
    for x, y in zip(roots, found, strict=True):
        assert y.shape == x.shape, (x, y.shape)
    return found, xp.any(xp.stack(flags)) if flags else xp.zeros((), bool)


def _written(xp: Namespace, user: Node, position: int, value: Array) -> Array:
    """An input as it is given to a kernel: XLA may not multiply the numbers of a program with one another.

    ``x * 1e200 * 1e200`` is 0 for x of 0, and not NaN. A number that is an exponent stays known.
    """
    x = user.inputs[position]
    if x.op.name != "literal" or not x.dtype.startswith("float") or x.attrs["value"] in EXACT:
        return value
    return value if user.op.degree == "power" else xp.lax.optimization_barrier(xp.asarray(value))


class Loop(Run):
    """Some results of a loop as a function of its arguments, those with the numbers ``given``, in their order."""

    def __init__(
        self, body: Body, wanted: Sequence[int], given: Sequence[int], original: Mapping[Node, Node], runs: int
    ) -> None:
        super().__init__(body, wanted, given)
        self._until_done = self.live.index(self.done) if self.done is not None and not self.histories else None

    @property
    def nodes(self) -> list[Node]:
        """What one step computes, and what all of them use."""
        return cone(self.roots, self.body.parameters)

    def traced(self, xp: Namespace, *arguments: Array) -> tuple[list[Array], Array]:
        """The results, and whether a step failed."""
        body, count = self.body, self.body.count
        values = {body.parameters[p]: xp.asarray(x) for p, x in zip(self.given, arguments, strict=True)}
        if not count:
            return self.without_steps(xp, values), xp.zeros((), bool)
        fixed = {x: values[x] for x in body.fixed if x in values}
        once, failed = computed(xp, self.once, fixed)
        fixed |= dict(zip(self.once, once, strict=True))
        rows = {x: values[x] for x in body.elements if x in values}
        start = tuple([values[x] for x in self.states])

        def step(states: Sequence[Array], own: Sequence[Array]) -> tuple[list[Array], Array]:
            given = dict(zip(self.states, states, strict=True)) | dict(zip(rows, own, strict=True))
            return computed(xp, self.roots, fixed | given)

        if self._until_done is not None:
            return self._until(xp, step, start, list(rows.values()), failed)

        def stacking(carry: tuple[Any, Array], own: Sequence[Array]) -> tuple[tuple[Any, Array], list[Array]]:
            states, failed = carry
            found, bad = step(states, own)
            after = dict(zip(self.live, states, strict=True))
            stacks = found[len(states) :] + [after[i] for i in self.histories.values()]
            return (tuple(found[: len(states)]), failed | bad), stacks

        (ends, failed), stacks = xp.lax.scan(
            stacking, (start, failed), tuple(rows.values()), length=count, reverse=body.backwards
        )
        results = dict(zip(self.live, ends, strict=True)) | dict(
            zip([*self.emitted, *self.histories], stacks, strict=True)
        )
        return [results[r] for r in self.wanted], failed

    def _until(
        self, xp: Namespace, step: Callable[..., Any], start: tuple[Array, ...], rows: list[Array], failed: Array
    ) -> tuple[list[Array], Array]:
        """The states once the loop is done, or after all steps."""
        count, backwards, done = self.body.count, self.body.backwards, self._until_done
        assert done is not None

        def goes_on(carry: tuple[Array, Any, Array]) -> Array:
            return (carry[0] < count) & ~carry[1][done]

        def following(carry: tuple[Array, Any, Array]) -> tuple[Array, Any, Array]:
            t, states, failed = carry
            at = count - 1 - t if backwards else t
            found, bad = step(states, [xp.lax.dynamic_index_in_dim(x, at, keepdims=False) for x in rows])
            return t + 1, tuple(found), failed | bad

        _, ends, failed = xp.lax.while_loop(goes_on, following, (xp.asarray(0), start, failed))
        return [dict(zip(self.live, ends, strict=True))[r] for r in self.wanted], failed


SEARCHING, FOUND, FAILED = 0, 1, 2


class Solver:
    """Newton's method as :class:`gradcli.execute.newton.Solver` does it; where it finds nothing, it says that it failed."""

    def __init__(self, system: System, residual: Node, matrix: Node, objective: Node | None) -> None:
        self.system = system
        self.goal = [residual] if objective is None else [objective, residual]
        self.matrix = matrix

    @property
    def nodes(self) -> list[Node]:
        """What one step computes."""
        return cone([*self.goal, self.matrix], [self.system.x, *self.system.parameters])

    def traced(self, xp: Namespace, start: Array, *parameters: Array) -> tuple[list[Array], Array]:
        """x in a list, and whether the search failed."""
        system = self.system
        given = dict(zip(system.parameters, parameters, strict=True))
        start = xp.asarray(start, system.x.dtype)
        if not start.size:
            return [start], xp.zeros((), bool)
        eps = float(xp.finfo(start.dtype).eps)

        def merit(found: Sequence[Array]) -> Array:
            goal = found[0].astype("float64")
            return goal if len(self.goal) > 1 else xp.linalg.norm(xp.ravel(goal))

        def moved(x: Array, direction: Array, now: Array, trials: Array, promised: Array, slack: Array) -> Any:
            """The first of shorter and shorter steps that leads on, whether there is one, and whether one failed."""

            def shorter(carry: Any) -> Any:
                k, length, _, _, failed = carry
                trial = (x - xp.reshape(direction, x.shape) * length.astype(x.dtype)).astype(x.dtype)
                found, bad = computed(xp, self.goal, {**given, system.x: trial})
                new = merit(found)
                good = (new <= now - DECREASE * length * promised + slack) & xp.any(trial != x)
                length = length * xp.where(xp.isfinite(new), 0.5, 1e-3)
                return k + 1, length, trial, good, failed | bad

            first = (xp.asarray(0), xp.asarray(1.0), x, xp.asarray(False), xp.asarray(False))
            _, _, trial, good, bad = xp.lax.while_loop(lambda c: (c[0] < trials) & ~c[3], shorter, first)
            return xp.where(good, trial, x), good, bad

        def step(carry: Any) -> Any:
            k, x, scale, _, _ = carry
            (*goal, matrix), bad = computed(xp, [*self.goal, self.matrix], {**given, system.x: x})
            now = merit(goal)
            residual, matrix = xp.ravel(goal[-1]), xp.reshape(matrix, (x.size, x.size))
            direction, low = self._direction(xp, residual, matrix)
            finite = xp.isfinite(now) & xp.all(xp.isfinite(matrix)) & xp.all(xp.isfinite(direction))
            size, length = xp.max(xp.abs(x)), xp.max(xp.abs(direction))
            scale = xp.maximum(scale, size)
            near = ~xp.any(residual) | (length <= system.tol * size)
            promised = now if len(self.goal) == 1 else (residual @ direction).astype("float64")
            slack = xp.where(near | (len(self.goal) > 1), NOISE * eps * xp.abs(now), 0.0)
            trials = xp.where(near, 1, TRIALS) * (near | (k < system.steps))
            end, leads, failed = moved(x, direction, now, trials, xp.where(near, 0.0, promised), slack)
            ended = near | (~leads & (length <= eps**0.5 * scale) & (k < system.steps))
            wrong = bad | failed | ~finite | (ended & low) | (~ended & (~leads | (k >= system.steps)))
            status = xp.where(wrong, FAILED, xp.where(ended, FOUND, SEARCHING))
            return k + 1, end, scale, status, wrong

        first = (xp.asarray(0), start, xp.max(xp.abs(start)), xp.asarray(SEARCHING), xp.asarray(False))
        _, x, _, _, failed = xp.lax.while_loop(lambda c: c[3] == SEARCHING, step, first)
        return [x], failed

    def _direction(self, xp: Namespace, residual: Array, matrix: Array) -> tuple[Array, Array]:
        """What Newton's method subtracts, and whether f curves down, which a minimum does not."""
        if self.system.objective is None:
            return xp.linalg.solve(matrix, residual), xp.asarray(False)
        matrix = xp.where(xp.all(xp.isfinite(matrix)), matrix, xp.eye(residual.size, dtype=matrix.dtype))
        values, vectors = xp.linalg.eigh(0.5 * (matrix + matrix.T))
        sizes = xp.abs(values)
        root = float(xp.finfo(residual.dtype).eps) ** 0.5
        least = xp.max(sizes) * root
        found = vectors @ ((vectors.T @ residual) / xp.maximum(sizes, xp.where(least == 0, 1.0, least)))
        return found.astype(residual.dtype), values[0] < -root * xp.max(sizes)
