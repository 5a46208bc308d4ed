"""Update rules of first order: one array at a time, from its gradient and what the rule remembers of earlier ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

Array = Any
Memory = Mapping[str, Array]
"""What a rule keeps of one variable from step to step, in arrays of the variable's shape and dtype."""


def sgd(x: Array, g: Array, rate: float, step: int, memory: Memory) -> tuple[Array, Memory]:
    """``x - rate*g``: gradient descent. Source: Robbins, Monro 1951."""
    return x - rate * g, memory


def momentum(x: Array, g: Array, rate: float, step: int, memory: Memory) -> tuple[Array, Memory]:
    """``v = 0.9*v + g; x - rate*v``. Source: Polyak 1964, in the form of Sutskever et al. 2013 without Nesterov's term."""
    v = 0.9 * memory["v"] + g if memory else g
    return x - rate * v, {"v": v}


def adam(x: Array, g: Array, rate: float, step: int, memory: Memory) -> tuple[Array, Memory]:
    """``x - rate*m/(sqrt(v) + 1e-8)``, with the means m of g and v of g*g made free of bias.

    ``m = 0.9*m + 0.1*g; v = 0.999*v + 0.001*g*g``, divided by ``1 - 0.9^t`` and ``1 - 0.999^t`` at update t = 1, 2, ….
    Source: Kingma, Ba, *Adam* (ICLR 2015), algorithm 1.
    """
    m = 0.1 * g
    v = 0.001 * (g * g)
    if memory:
        m += 0.9 * memory["m"]
        v += 0.999 * memory["v"]
    t = step + 1
    return x - rate / (1 - 0.9**t) * m / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8), {"m": m, "v": v}


Rule = Callable[[Array, Array, float, int, Memory], tuple[Array, Memory]]
RULES: dict[str, Rule] = {"sgd": sgd, "momentum": momentum, "adam": adam}
"""Each gives the new array and memory; ``step`` counts from 0, at which the memory is empty."""


class Schedule(NamedTuple):
    """A learning rate that falls over the steps of a run.

    ``linear`` goes to 0; ``cosine`` too, as half a wave (Loshchilov, Hutter, *SGDR*, 2017, without restarts); ``step``
    multiplies by ``factor`` after each ``every`` steps.
    """

    start: float
    form: Literal["constant", "linear", "cosine", "step"] = "constant"
    every: int = 1
    factor: float = 1.0

    def at(self, step: int, steps: int) -> float:
        """The rate of the update number ``step`` (from 0) of ``steps``."""
        match self.form:
            case "linear":
                return self.start * max(0.0, 1 - step / steps)
            case "cosine":
                return self.start * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2
            case "step":
                try:
                    return self.start * float(self.factor ** (step // self.every))
                except OverflowError:
                    return math.inf
        return self.start
