"""The built-in methods of a fit by JAX, or by C: the whole step is one function, and a call makes a block of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic, perf_counter
from typing import Any

from gradcli.execute.accelerator import Accelerator, precise
from gradcli.execute.sharding import check_parts
from gradcli.features.fit.descent import descended
from gradcli.features.fit.native_steps import Block
from gradcli.features.fit.objective import Objective, Values
from gradcli.features.fit.optimizers import RULES, Memory
from gradcli.features.fit.training import Moment, Outcome, Settings, State, Watch, watched
from gradcli.program import query
from gradcli.program.jitted import Traced, failed_somewhere
from gradcli.program.natively import FailedError
from gradcli.program.sharing import from_rows, values_from_rows

Array = Any
Memories = Mapping[str, Memory]

MOST_STEPS = 512
"""Steps of a block."""

MOST_INDICES = 1 << 22
"""Numbers of rows that a block is given."""

BLOCK_SECONDS = 0.25
"""How long a block may take: between two of them a run is watched, and may be interrupted."""

HELD = 1 << 31
"""Bytes of data that are kept on the device; of more each step is given its rows."""


def descend(objective: Objective, settings: Settings, watch: Watch, state: State) -> Outcome:
    """What :func:`gradcli.features.fit.descent.descended` does, with the same numbers up to rounding.

    A block is not interrupted: what happens in it is seen at its end. It ends where a state is to be kept. Of several
    processes the first one says when the run ends, and how long blocks are. Raises GradcliError.
    """
    batches, accelerator = objective.batches, objective.program.accelerator
    assert accelerator is not None
    cluster = accelerator.cluster
    if batches is not None:
        check_parts(batches.size, accelerator.devices, "a batch")
        if cluster is None and sum([array.nbytes for array in batches.arrays.values()]) > HELD:
            return descended(objective, settings, watch, state)
    blocks: dict[int | None, _Block | Block] = {}
    start = monotonic()
    good: Outcome | None = None
    size = 1
    while True:
        rows = batches.numbers(state.step) if batches is not None else None
        count = len(rows) if rows is not None else None
        if count not in blocks:
            blocks[count] = _made(objective, settings, count, state)
        block = blocks[count]
        if not block.is_written:
            return descended(objective, settings, watch, state, good)
        begun = perf_counter()
        kept = settings.every - state.step % settings.every if settings.every else MOST_STEPS
        try:
            found = _Found(block, state, *block.run(state, min(size, kept, settings.steps - state.step + 1)))
        except FailedError:
            return descended(objective, settings, watch, state, good)
        took = (perf_counter() - begun) / found.steps
        size = min(MOST_STEPS, 2 * size, max(1, int(BLOCK_SECONDS / max(took, 1e-9))))
        stop, reason, problem = -1, None, None
        for k in range(found.steps - found.wrong):
            rate = settings.rate.at(state.step + k, settings.steps)
            moment = Moment(found.state(k), found.losses[k], found.norms[k], rate, monotonic() - start)
            reason, problem = watched(settings, watch, moment, good is None)
            if reason is not None:
                stop = k
                break
            good = Outcome(moment.state, moment.loss, moment.gnorm, "not finite")
        if cluster is not None:
            (first, size), *others = cluster.told(stop, size)
            if first < 0 and any([k >= 0 for k, _ in others]):
                first = found.steps - found.wrong - 1
            stop = first
        if stop >= 0:
            return _held(
                Outcome(found.state(stop), found.losses[stop], found.norms[stop], reason or "interrupted", problem)
            )
        if found.wrong:
            here = found.state(found.steps - 1)
            if cluster is None:  # NumPy says what it is
                return descended(objective, settings, watch, here, good)
            return _held(_wrong(objective, here, found.losses[-1], found.norms[-1], good))
        state = found.state(found.steps)


def _held(outcome: Outcome) -> Outcome:
    """The outcome with the values of its state: computed here and now, where all processes do."""
    state = outcome.state
    memory = {name: dict(some) for name, some in state.memory.items()}
    return outcome._replace(state=state._replace(values=dict(state.values), memory=memory))


def _wrong(objective: Objective, state: State, loss: float, norm: float, good: Outcome | None) -> Outcome:
    """The end of a run that fails where no process can tell which operation it was."""
    if math.isfinite(loss) and not math.isfinite(norm):
        what = f"the gradient of `{objective.name}` is not finite"
        return Outcome(state, loss, norm, "not finite", objective.not_finite(what, state.step, None))
    problem = failed_somewhere()
    if not math.isfinite(loss):
        help = "a smaller `--lr` or `--bounds` may do" if state.step else None
        problem = objective.not_finite(f"`{objective.name}` is {loss}", state.step, help)
    if good is None:
        raise problem
    return good._replace(problem=problem)


class _Later(Mapping[str, Any]):
    """Values by name that are computed when somebody looks at them."""

    def __init__(self, names: Sequence[str], make: Callable[[], Mapping[str, Any]]) -> None:
        self._names = names
        self._make = make
        self._made: Mapping[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if self._made is None:
            self._made = self._make()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Found:
    """What a block found: losses and norms of ``steps`` steps; the last one may be ``wrong``."""

    def __init__(
        self,
        block: _Block | Block,
        before: State,
        steps: int,
        wrong: bool,
        losses: list[float],
        norms: list[float],
        end: Any,
    ) -> None:
        self.steps = steps
        self.wrong = wrong
        self.losses = losses
        self.norms = norms
        self._block = block
        self._before = before
        self.end = end
        self._kept: tuple[int, Any] | None = None

    def state(self, k: int) -> State:
        """The state before the step number k of the block, or after all."""
        if k == 0:
            return self._before
        names = self._block.names
        remembered = names if self._block.rule.remembers else []
        return State(
            self._before.step + k, _Later(names, lambda: self._at(k)[0]), _Later(remembered, lambda: self._at(k)[1]),
            self.losses[k - 1],
        )  # fmt: skip

    def _at(self, k: int) -> tuple[Values, Memories]:
        if k == self.steps and not self.wrong:
            return self._block.fetched(self.end)
        if self._kept is None or self._kept[0] != k:
            *_, end = self._block.run(self._before, k)
            self._kept = k, self._block.fetched(end)
        values: tuple[Values, Memories] = self._kept[1]
        return values


def _made(objective: Objective, settings: Settings, count: int | None, state: State) -> _Block | Block:
    """A block of the program's engine."""
    accelerator = objective.program.accelerator
    return (_Block if isinstance(accelerator, Accelerator) else Block)(objective, settings, count, state)


class _Block:
    """Several steps as one compiled function, on all data or on ``count`` rows of it."""

    is_written = True

    def __init__(self, objective: Objective, settings: Settings, count: int | None, state: State) -> None:
        self.names = objective.variables
        self.rule = RULES[settings.method]
        self._settings = settings
        self._batches = objective.batches if count is not None else None
        arrays = self._batches.arrays if self._batches is not None else {}
        rows = {name: array[:count] for name, array in arrays.items()}
        program, nodes, leaves = objective.with_rows(rows)
        self._leaves = leaves
        self._data_names = list(rows)
        self._traced = Traced(program, nodes, list(leaves.values()), rows=[leaves[n] for n in rows] if rows else None)
        devices = len(self._traced.devices)
        self._split = bool(rows) and count is not None and count % devices == 0
        self._most = MOST_STEPS if count is None else max(1, min(MOST_STEPS, MOST_INDICES // max(count, 1)))
        with precise() as jax:
            place = self._traced.part if self._split and self._batches.rows % devices == 0 else self._traced.whole  # type: ignore[union-attr]
            own = {name: query.leaf(objective.program, name) for name in arrays}
            apart = from_rows(objective.program, list(own.values())) if self._traced.cluster is not None else []
            shared = [leaf for leaf in own.values() if leaf in apart]
            there = dict(
                zip(
                    shared, values_from_rows(objective.program, shared, self._traced.part, lambda _: place), strict=True
                )
            )
            self._data = {
                name: there[own[name]] if own[name] in there else self._traced.put(jax, array, place)
                for name, array in arrays.items()
            }
            start = perf_counter()
            given = self._given(jax, state, 1)
            # Values and memories are put on the devices for each call anew, and the results take their place.
            function = jax.jit(self._steps(jax), out_shardings=self._traced.everywhere, donate_argnums=(1, 2))
            staged = function.lower(*given)
            self._compiled, self.figures = self._traced.compiled(staged, perf_counter() - start)

    # what is traced

    def _steps(self, jax: Any) -> Callable[..., Any]:
        """Up to n steps, ended by one that is wrong: how many there were, whether, values and memories, losses and norms."""
        np = jax.numpy

        def step(values: Any, memory: Any, numbers: Any, data: Any, rows: Any, held: Any) -> Any:
            given = {self._leaves[name]: x for name, x in values.items()}
            for name, array in data.items():
                some = np.take(array, rows, axis=0, unique_indices=True, indices_are_sorted=True, mode="clip")
                if self._split:
                    some = jax.lax.with_sharding_constraint(some, self._traced.part)
                given[self._leaves[name]] = some
            (loss, *gradients), failed = self._traced.values(jax, [given[x] for x in self._traced.moving], held)
            loss = loss.reshape(()).astype("float64")
            by_name = dict(zip(self.names, gradients, strict=True))
            whole = _norm(jax, by_name)
            norm = _norm(jax, self._inside(np, by_name, values)) if self._settings.bounds else whole
            wrong = failed | ~(np.isfinite(loss) & np.isfinite(whole))
            if self._settings.clip is not None:
                factor = np.where(whole > self._settings.clip, self._settings.clip / whole, 1.0)
                by_name = {name: g * factor.astype(g.dtype) for name, g in by_name.items()}
            new, kept = {}, {}
            for name, g in by_name.items():
                x = values[name]
                own = [numbers[i].astype(x.dtype) for i in range(numbers.shape[0])]
                y, kept[name] = self.rule.update(x, g, own, memory[name])
                if name in self._settings.bounds:
                    y = np.clip(y, *[np.asarray(end, x.dtype) for end in self._settings.bounds[name]])
                new[name] = y
            return new, kept, loss, norm, wrong

        def steps(n: Any, values: Any, memory: Any, numbers: Any, rows: Any, data: Any, held: Any) -> Any:
            def following(carry: Any) -> Any:
                k, _, values, memory, losses, norms = carry
                own = None if rows is None else rows[k]
                values, memory, loss, norm, wrong = step(values, memory, numbers[k], data, own, held)
                return k + 1, wrong, values, memory, losses.at[k].set(loss), norms.at[k].set(norm)

            nothing = np.zeros(self._most, "float64")
            start = (np.zeros((), "int64"), np.zeros((), bool), values, memory, nothing, nothing)
            return jax.lax.while_loop(lambda c: (c[0] < n) & ~c[1], following, start)

        return steps

    def _inside(self, np: Any, gradients: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """The gradients without what pushes a value out of its bounds."""
        found = dict(gradients)
        for name, ends in self._settings.bounds.items():
            low, high = [np.asarray(end, values[name].dtype) for end in ends]
            x, g = values[name], gradients[name]
            found[name] = np.where((x <= low) & (g > 0) | (x >= high) & (g < 0), 0, g)
        return found

    # what is called

    def _given(self, jax: Any, state: State, n: int) -> tuple[Any, ...]:
        import numpy as np

        leaves = self._leaves
        values = {name: np.asarray(state.values[name], leaves[name].dtype) for name in self.names}
        memory = {
            name: {
                key: np.asarray(state.memory[name][key]) if name in state.memory else np.zeros_like(x)
                for key in self.rule.remembers
            }
            for name, x in values.items()
        }
        values, memory = self._traced.put(jax, (values, memory), self._traced.whole)
        settings, some = self._settings, range(state.step, state.step + n)
        rates = [self.rule.numbers(settings.rate.at(k, settings.steps), k) for k in some]
        numbers = np.ones((self._most, len(rates[0])))
        numbers[:n] = rates
        rows = None
        if self._batches is not None:
            chosen = [self._batches.numbers(k) for k in some]
            rows = np.zeros((self._most, len(chosen[0])), np.int64)
            rows[:n] = chosen
        return np.int64(n), values, memory, numbers, rows, self._data, self._traced.held

    def run(self, state: State, most: int) -> tuple[int, bool, list[float], list[float], Any]:
        """Steps from a state, as :meth:`gradcli.features.fit.native_steps.Block.run` gives them: as many of ``most`` as have as many rows as the first, and room in a block."""
        n = min(most, self._most)
        if self._batches is not None:
            n = min(n, self._batches.alike(state.step))
        with precise() as jax:
            steps, wrong, values, memory, losses, norms = self._compiled(*self._given(jax, state, n))
            steps, wrong, losses, norms = jax.device_get((steps, wrong, losses, norms))
        return int(steps), bool(wrong), losses[:steps].tolist(), norms[:steps].tolist(), (values, memory)

    def fetched(self, end: Any) -> tuple[Values, Memories]:
        """Values and memories as NumPy's arrays."""
        import numpy as np

        with precise() as jax:
            values, memory = jax.device_get(end)
        return (
            {name: np.array(x) for name, x in values.items()},
            {name: {key: np.array(x) for key, x in some.items()} for name, some in memory.items()},
        )


def _norm(jax: Any, gradients: Mapping[str, Any]) -> Any:
    """The Euclidean norm of all entries, which neither overflows nor vanishes before they do."""
    np = jax.numpy
    flat = [np.ravel(g).astype("float64") for g in gradients.values() if g.size]
    if not flat:
        return np.zeros(())
    total = sum([np.vdot(g, g) for g in flat])

    def scaled() -> Any:
        largest = np.max(np.stack([np.max(np.abs(g)) for g in flat]))
        scale = np.where((largest > 0) & (largest < math.inf), largest, 1.0)
        return scale * np.sqrt(sum([np.sum(np.square(g / scale)) for g in flat]))

    return jax.lax.cond((total > 1e-280) & (total < math.inf), lambda: np.sqrt(total), scaled)
