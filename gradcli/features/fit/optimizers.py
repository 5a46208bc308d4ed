"""Update rules of first order: one array at a time, from its gradient and what the rule remembers of earlier ones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from gradcli.tuples import NamedTuple

Array = Any
Memory = Mapping[str, Array]
"""What a rule keeps of one variable from step to step, in arrays of the variable's shape and dtype."""


class Rule(NamedTuple):
    """An update rule: the numbers of a step, from its rate and its number (from 0), and with them one array after the other.

    ``update`` gives the new array and memory; the memory is empty at step 0, or zeros.
    """

    numbers: Callable[[float, int], tuple[float, ...]]
    update: Callable[[Array, Array, Sequence[Any], Memory], tuple[Array, Memory]]
    remembers: tuple[str, ...] = ()


def sgd(x: Array, g: Array, numbers: Sequence[Any], memory: Memory) -> tuple[Array, Memory]:
    """``x - rate*g``: gradient descent. Source: Robbins, Monro 1951."""
    (rate,) = numbers
    return x - rate * g, memory


def momentum(x: Array, g: Array, numbers: Sequence[Any], memory: Memory) -> tuple[Array, Memory]:
    """``v = 0.9*v + g; x - rate*v``. Source: Polyak 1964, in the form of Sutskever et al. 2013 without Nesterov's term."""
    (rate,) = numbers
    v = 0.9 * memory["v"] + g if memory else g
    return x - rate * v, {"v": v}


def adam(x: Array, g: Array, numbers: Sequence[Any], memory: Memory) -> tuple[Array, Memory]:
    """``x - rate*m/(sqrt(v) + 1e-8)``, with the means m of g and v of g*g made free of bias.

    ``m = 0.9*m + 0.1*g; v = 0.999*v + 0.001*g*g``, divided by ``1 - 0.9^t`` and ``1 - 0.999^t`` at update t = 1, 2, ….
    Source: Kingma, Ba, *Adam* (ICLR 2015), algorithm 1.
    """
    rate, whole = numbers
    m = 0.1 * g
    v = 0.001 * (g * g)
    if memory:
        m += 0.9 * memory["m"]
        v += 0.999 * memory["v"]
    return x - rate * m / ((v / whole) ** 0.5 + 1e-8), {"m": m, "v": v}


RULES = {
    "sgd": Rule(lambda rate, step: (rate,), sgd),
    "momentum": Rule(lambda rate, step: (rate,), momentum, ("v",)),
    "adam": Rule(lambda rate, step: (rate / (1 - 0.9 ** (step + 1)), 1 - 0.999 ** (step + 1)), adam, ("m", "v")),
}


METHODS = (*RULES, "newton", "lbfgs", "newton-cg", "least-squares", "slsqp", "trust-constr")
"""These rules, Newton's method, and the methods of SciPy."""


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


STEP = re.compile(r"step=(\d+)(?:,([^,]+))?")


def schedule(text: str) -> Schedule:
    """``0.1``, ``0.1:linear``, ``0.1:cosine`` or ``0.1:step=EVERY,FACTOR``. Raises a ValueError that says what is wrong."""
    number, _, form = text.partition(":")
    start = number_of(number)
    if start is None or start <= 0 or start == math.inf:
        raise ValueError(f"{number!r} is not a positive number.")
    match form:
        case "" | "constant":
            return Schedule(start)
        case "linear":
            return Schedule(start, "linear")
        case "cosine":
            return Schedule(start, "cosine")
    found = STEP.fullmatch(form)
    factor = number_of(found[2] or "0.1") if found else None
    if found is None or factor is None or int(found[1]) == 0 or not 0 < factor < math.inf:
        raise ValueError(f"{form!r} is not a schedule: constant, linear, cosine, or step=EVERY,FACTOR.")
    return Schedule(start, "step", int(found[1]), factor)


def number_of(text: str) -> float | None:
    """The number of a text, infinity included; None for NaN and for what is not a number."""
    with suppress(ValueError):
        number = float(text)
        return None if math.isnan(number) or "_" in text else number
    return None
