"""The built-in methods of a fit, step by step: an update rule, applied to all variables at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from time import monotonic
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import Objective, Values
from gradcli.features.fit.optimizers import RULES, Memory, Rule
from gradcli.features.fit.training import Bounds, Moment, Outcome, Settings, State, Watch, gradient_norm, watched

Array = Any


def descended(
    objective: Objective, settings: Settings, watch: Watch, state: State, good: Outcome | None = None
) -> Outcome:
    """The built-in methods: a rule of :mod:`gradcli.features.fit.optimizers`, applied to all variables.

    ``good`` is where a run would have ended before this state.
    """
    rule = RULES[settings.method]
    flat = _Flat(state)
    start = monotonic()
    before: tuple[State, float, float] | None = None

    def last() -> Outcome | None:
        """Where the run would have ended before this step."""
        return good if before is None else Outcome(*before, "not finite")

    while True:
        try:
            loss, gradients = objective.at(state.values, state.step)
        except GradcliError as failure:  # such as a singular matrix
            if (kept := last()) is None:
                raise
            return kept._replace(reason="failed", problem=failure)
        gs = flat.joined(gradients)
        norm = gradient_norm(gradients, state.values, settings.bounds) if settings.bounds else flat.norm(gs)
        problem = None
        if (
            not (math.isfinite(loss) and math.isfinite(norm)) or settings.bounds
        ):  # the norm leaves out what is at a bound
            problem = _not_finite(objective, loss, gradients, state.step)
        if problem is not None:
            if math.isfinite(loss):  # it is the step from here that has no direction
                return Outcome(state, loss, norm, "not finite", problem)
            if (kept := last()) is None:
                raise problem
            return kept._replace(problem=problem)
        rate = settings.rate.at(state.step, settings.steps)
        moment = Moment(state, loss, norm, rate, monotonic() - start, False)  # all fields in their order are quickest
        reason, problem = watched(settings, watch, moment, good is None and before is None)
        if reason is not None:
            return Outcome(state, loss, norm, reason, problem)
        before = state, loss, norm
        if settings.clip is not None and (whole := flat.norm(gs)) > settings.clip:
            gs = {dtype: g * (settings.clip / whole) for dtype, g in gs.items()}
        state = flat.updated(state, gs, loss, rule, rule.numbers(rate, state.step), settings.bounds)


class _Flat:
    """The variables of each dtype one after the other in one array, to which a rule is applied at once.

    Rules are entrywise: each entry becomes what it does in an array of its own variable.
    """

    def __init__(self, state: State) -> None:
        import numpy as np

        self._np = np
        self._places: dict[str, list[tuple[str, slice, tuple[int, ...]]]] = {}
        ends: dict[str, int] = {}
        for name, x in state.values.items():
            dtype, start = x.dtype.char, ends.get(x.dtype.char, 0)
            ends[dtype] = start + x.size
            self._places.setdefault(dtype, []).append((name, slice(start, ends[dtype]), x.shape))
        names = [(name, dtype, shape) for dtype, places in self._places.items() for name, _, shape in places]
        self._alone = names[0] if len(names) == 1 else None
        self._values = self.joined(state.values)
        keys = list(next(iter(state.memory.values()), {}))
        self._memory: dict[str, Memory] = {
            dtype: {key: self.joined({name: some[key] for name, some in state.memory.items()})[dtype] for key in keys}
            for dtype in self._places
        }

    def joined(self, arrays: Values) -> dict[str, Array]:
        """The arrays of the variables as one for each dtype."""
        found: dict[str, Array] = {}
        for dtype, places in self._places.items():
            if len(places) == 1:
                found[dtype] = arrays[places[0][0]].reshape(-1)
            else:
                found[dtype] = self._np.concatenate([arrays[name].reshape(-1) for name, _, _ in places])
        return found

    def norm(self, arrays: Values) -> float:
        """The Euclidean norm of all entries."""
        if len(arrays) == 1:
            (flat,) = arrays.values()
            if flat.dtype.char == "d" and 1e-280 < (total := float(flat.dot(flat))) < math.inf:
                return math.sqrt(total)
        return gradient_norm(arrays, {}, {})

    def apart(self, arrays: Values) -> dict[str, Array]:
        """The variables' parts of such arrays."""
        if self._alone is not None:
            name, dtype, shape = self._alone
            return {name: arrays[dtype].reshape(shape)}
        return {
            name: arrays[dtype][place].reshape(shape)
            for dtype, places in self._places.items()
            for name, place, shape in places
        }

    def updated(
        self, state: State, gradients: Values, loss: float, rule: Rule, numbers: Sequence[Any], bounds: Bounds
    ) -> State:
        """The state after a step with these gradients."""
        values: dict[str, Array] = {}
        memory: dict[str, Memory] = {}
        for dtype, g in gradients.items():
            values[dtype], memory[dtype] = rule.update(self._values[dtype], g, numbers, self._memory[dtype])
        self._values, self._memory = values, memory
        now = self.apart(values)
        for name, ends in bounds.items():
            now[name][...] = now[name].clip(*ends)
        return State(state.step + 1, now, _Remembered(self, memory), loss, None)


class _Remembered(Mapping[str, Any]):
    """What a rule remembers of each variable: looked at where a state is kept only."""

    def __init__(self, flat: _Flat, memory: Mapping[str, Memory]) -> None:
        self._flat = flat
        self._memory = memory

    @cached_property
    def _found(self) -> Mapping[str, Memory]:
        found: dict[str, dict[str, Array]] = {}
        for key in next(iter(self._memory.values())):
            for name, array in self._flat.apart({dtype: some[key] for dtype, some in self._memory.items()}).items():
                found.setdefault(name, {})[key] = array
        return found

    def __getitem__(self, name: str) -> Memory:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _not_finite(objective: Objective, loss: float, gradients: Values, step: int) -> GradcliError | None:
    import numpy as np

    help = "a smaller `--lr` or `--bounds` may do" if step > 0 else None
    if not math.isfinite(loss):
        return objective.not_finite(f"`{objective.name}` is {loss}", step, help)
    for name, g in gradients.items():
        if not np.isfinite(g).all():
            return objective.not_finite(
                f"the gradient of `{objective.name}` with respect to `{name}` is not finite", step, help
            )
    return None
