"""Gradients that were found elsewhere, or by hand, against those of the program: entry by entry, and what is likely wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, cone
from gradcli.graph.types import show_entry, show_shape
from gradcli.program import answers, query
from gradcli.program.loaded import Loaded
from gradcli.results import Result
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]

TOLERANCES = {"float32": 1e-3, "float64": 1e-6}
"""Relative differences up to which two gradients are the same, by the narrower dtype of them."""

SHOWN = 5
"""Wrong entries that are listed."""

ROUND = 1e-3
"""Relative distance up to which a ratio is taken for a number that would explain it."""


class Wrong(NamedTuple):
    """An entry whose claimed derivative is another one; ``ratio`` is claimed / gradient, NaN where that is 0."""

    entry: str
    gradient: float
    claimed: float
    ratio: float


class Claim(NamedTuple):
    """A claimed gradient and the program's: ``differing`` of ``size`` entries are not the same.

    ``wrong`` are those that differ most. ``ratio`` is claimed / gradient where that is the same for all entries, else
    None. ``cause`` says what is likely wrong.
    """

    name: str
    size: int
    differing: int
    wrong: Sequence[Wrong]
    ratio: float | None
    cause: str | None

    @property
    def holds(self) -> bool:
        return not self.differing and self.cause is None


def claims(
    program: Loaded, of: Sequence[str] | None, claimed: Mapping[str, Array], tolerance: float | None
) -> list[Claim]:
    """Compare claimed gradients with those of the ys by the names, which may be any nodes."""
    reply = answers.gradients(program, of, list(claimed))
    sizes = dict(_sizes(program, reply.of))
    return [_compared(result, claimed[result.name], tolerance, sizes) for result in reply.orders[0][1]]


def nodes(program: Loaded, asked: Mapping[str, str]) -> dict[str, Array]:
    """The values of the nodes that a program has for gradients, by the name of what they are the gradients of."""
    values = answers.values(program, list(asked.values()))
    found: dict[str, Array] = {}
    for (name, node), result in zip(asked.items(), values, strict=True):
        if result.value is None:
            reason = f": {result.reason.with_line()}" if result.reason is not None else ""
            raise GradcliError("ValueError", f"`{node}`, claimed for `{name}`, is None{reason}")
        found[name] = np.asarray(result.value)
    for name in asked:
        query.target(program, name)
    return found


def _sizes(program: Loaded, of: Sequence[str]) -> Iterator[tuple[int, str]]:
    """What may be numerous: entries and rows of what the ys are computed from, the most telling ones last."""
    names = program.graph.names
    part = set(cone([y for name in of if isinstance(y := names.get(name), Node)]))
    named = [(name, node) for name, node in names.items() if isinstance(node, Node) and node in part and node.shape]
    for name, node in named:
        yield prod(node.shape), f"entries of `{name}`"
    for name, node in named:
        yield node.shape[0], f"{'rows' if node.rank > 1 else 'entries'} of `{name}`"


def _compared(result: Result, claimed: Array, tolerance: float | None, sizes: Mapping[int, str]) -> Claim:
    name, size = result.name, claimed.size
    if result.value is None:
        if not claimed.any():
            return Claim(name, size, 0, [], None, None)
        reason = f": {result.reason.with_line()}" if result.reason is not None else ""
        return Claim(name, size, int(np.count_nonzero(claimed)), [], None, f"the gradient is None{reason}")
    gradient = np.asarray(result.value)
    narrow = "float32" if "float32" in (gradient.dtype.name, claimed.dtype.name) else "float64"
    limit = tolerance or TOLERANCES[narrow]
    gradient, claimed = gradient.astype(np.float64), claimed.astype(np.float64)
    if gradient.shape != claimed.shape:
        return Claim(name, size, max(size, 1), [], None, _of_shapes(gradient, claimed, limit))
    near = _near(claimed, gradient, limit)
    if near.all():
        return Claim(name, size, 0, [], None, None)
    with np.errstate(all="ignore"):
        ratios = np.where(gradient != 0, claimed / gradient, np.nan)
    order = np.argsort(
        -np.where(near, -1.0, np.nan_to_num(np.abs(claimed - gradient), nan=np.inf)).ravel(), kind="stable"
    )
    count = int(np.count_nonzero(~near))
    places = [np.unravel_index(k, gradient.shape) for k in order[: min(count, SHOWN)]]
    wrong = [
        Wrong(show_entry(name, [int(i) for i in place]), float(gradient[place]), float(claimed[place]), float(ratios[place]))
        for place in places
    ]  # fmt: skip
    ratio = _constant(gradient, claimed, ratios, limit)
    return Claim(name, size, count, wrong, ratio, _cause(gradient, claimed, near, ratio, limit, sizes))


def _near(a: Array, b: Array, limit: float) -> Array:
    """Whether entries are the same, NaN included; small ones beside the largest."""
    finite = b[np.isfinite(b)]
    scale = float(np.max(np.abs(finite), initial=0.0))
    return np.isclose(a, b, rtol=limit, atol=1e-3 * limit * scale, equal_nan=True)


def _constant(gradient: Array, claimed: Array, ratios: Array, limit: float) -> float | None:
    """The ratio of all entries, where it is one."""
    known = ratios[np.isfinite(ratios)]
    if not known.size:
        return None
    ratio = float(np.median(known))
    return ratio if ratio and _near(claimed, ratio * gradient, limit).all() else None


def _cause(
    gradient: Array, claimed: Array, near: Array, ratio: float | None, limit: float, sizes: Mapping[int, str]
) -> str | None:
    if ratio is not None:
        return _of_ratio(ratio, sizes)
    if gradient.ndim == 2 and gradient.shape[0] == gradient.shape[1] and _near(claimed, gradient.T, limit).all():
        return "it is the transpose"
    if not claimed.any():
        return "it is 0 everywhere: no gradient has been passed on, or it was not kept"
    signs = np.abs(claimed), np.abs(gradient)
    if _near(*signs, limit).all():
        return f"the sign is the other one in {np.count_nonzero(~near)} of {near.size} entries"
    for axis in range(gradient.ndim):
        if _near(claimed, np.flip(gradient, axis), limit).all():
            return f"entries stand in the opposite order along axis {axis}"
    return None


def _of_ratio(ratio: float, sizes: Mapping[int, str]) -> str:
    """What a ratio means that is the same for all entries."""
    sign = " with the other sign" if ratio < 0 else ""
    size = abs(ratio)
    if abs(size - 1) <= ROUND:
        return "the sign is the other one"
    for n, what in sizes.items():
        if n > 2 and abs(size * n - 1) <= ROUND:
            return f"a mean in place of a sum: 1/{n}, the number of {what}{sign}"
        if n > 2 and abs(size - n) <= ROUND * n:
            return f"a sum in place of a mean: {n} times, the number of {what}{sign}"
    for factor, text in ((2, "2"), (0.5, "1/2")):
        if abs(size - factor) <= ROUND * factor:
            return f"a factor {text}{sign}, as of a square"
    return f"a factor {ratio:.6g}"


def _of_shapes(gradient: Array, claimed: Array, limit: float) -> str:
    shapes = f"it has shape {show_shape(claimed.shape)}, and the gradient {show_shape(gradient.shape)}"
    if claimed.ndim == 2 and claimed.shape[::-1] == gradient.shape and _near(claimed.T, gradient, limit).all():
        return f"{shapes}: it is the transpose"
    if claimed.size == gradient.size and _near(claimed.reshape(gradient.shape), gradient, limit).all():
        return f"{shapes}, with the same entries"
    for axis in range(claimed.ndim):
        for word, function in (("summed", np.sum), ("averaged", np.mean)):
            reduced = function(claimed, axis=axis)
            if reduced.shape == gradient.shape and _near(reduced, gradient, limit).all():
                return f"{shapes}: it has not been {word} over axis {axis}"
    return shapes
