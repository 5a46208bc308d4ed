"""A picture of a fit: data, the curve with its confidence band, and the residuals below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcli.autodiff.jacobian import jacobian
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.errors import LEVEL, Estimated, program_at
from gradcli.features.fit.objective import Objective, Values
from gradcli.features.fit.regression import Regression, regression
from gradcli.features.plot.answer import Band, Curve, Curves, Dots, Frame, drawable, height
from gradcli.features.plot.arrays import x_range
from gradcli.features.plot.dots import MOST_DOTS
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import substituted
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.types import is_float, size_of
from gradcli.program.compiled import function_of
from gradcli.program.loaded import Loaded

Array = Any

SAMPLES = 300
"""Points of a curve."""


def check_picture(objective: Objective) -> Regression:
    """What a picture will show. Raises GradcliError, before the fit, where that is not data with a model of them."""
    found = regression(objective)
    if found is None:
        raise GradcliError(
            "ValueError", f"`{objective.name}` is not seen to compare data with a model, so there is no picture of that",
            help="a sum of squares of data less model has one, such as `sum((y - f)^2)`; `gradcli plot --points x,y --line x,f` draws arrays",
        )  # fmt: skip
    if size_of(found.data.shape) > MOST_DOTS:
        raise GradcliError("ValueError", f"at most {MOST_DOTS} points can be told apart in a picture")
    return found


def picture(objective: Objective, values: Values, estimated: Estimated | None, title: str) -> list[Curves]:
    """Two plots, one below the other, at fitted ``values``.

    Where the model is a function of one vector of data, row by row, it is a curve above that one, with the confidence band
    of its mean (1.96 standard errors, or as many as Student's distribution says) by the Jacobian of the curve and the
    covariance of what is fitted: the delta method. Otherwise data are drawn above what the model has in their place.
    """
    found = check_picture(objective)
    program = program_at(objective, values)
    data, model = (v.reshape(-1).astype(np.float64) for v in program.evaluate([found.data, found.model]))
    divisor = None
    if found.divisor is not None:
        (divisor,) = program.evaluate([found.divisor])
        divisor = np.abs(np.broadcast_to(divisor, found.data.shape).reshape(-1)).astype(np.float64)
    name = called(program, found.data, "data")
    fitted = called(program, found.model, "fit")
    x = argument(program, found, objective)
    bands: list[Band] = []
    if x is None:
        at, label = model, f"{fitted}, as fitted"
        low, high = float(model.min()), float(model.max())
        curve = Curve("as fitted", np.array([low, high]), np.array([low, high]), (low, high))
    else:
        (at,) = (v.astype(np.float64) for v in program.evaluate([x]))
        label = called(program, x, "x")
        curve, bands = _curve(objective, program, found, x, at, estimated, fitted)
    dots = Dots(name if divisor is None else f"{name} ± {called(program, found.divisor, 'error')}", at, data, divisor)
    shown = at[np.isfinite(at)]
    if not len(shown):
        raise GradcliError("ValueError", f"there is nothing to draw: {label} is nowhere finite")
    across = x_range(shown, False, True)
    ends = np.array(across)
    zero = Curve("0", ends, np.zeros(2), None)
    rest = Dots("residual", at, data - model, divisor)
    return [
        Curves(title, "", across, [curve], dots=[dots], bands=bands),
        Curves(
            "<residuals>",
            label,
            across,
            [zero._replace(height=(0.0, 0.0))],
            dots=[rest],
            frame=Frame(y_label="residual"),
        ),
    ]


def called(program: Loaded, node: Node | None, otherwise: str) -> str:
    """The name of a node in the program, or what is written there, if that is short."""
    name = next((name for name, known in program.graph.names.items() if known is node), None)
    if name is not None or node is None:
        return name or otherwise
    label = program.locate(node)
    text = label.span.text if label is not None else ""
    return text if 0 < len(text) <= 20 and "\n" not in text else otherwise


def argument(program: Loaded, found: Regression, objective: Objective) -> Node | None:
    """The one vector of data that the model is a function of, row by row; None where there is none, or are several.

    Whether it is row by row is tried: with other values in half of the rows, the other half of the model stays as it is,
    and with rows in another order it has that order.
    """
    if len(found.data.shape) != 1:
        return None
    moving: set[Node] = set(objective.leaves.values())
    whole = cone([found.model])
    for node in whole:
        if any([x in moving for x in node.inputs]):
            moving.add(node)
    inputs = [x for node in whole if node in moving for x in node.inputs if x not in moving]
    todo = [x for x in inputs if x.shape == found.data.shape and x is not found.data]
    roots: set[Node] = set()
    seen: set[Node] = set()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        rows = [x for x in node.inputs if x.shape == found.data.shape]
        todo += rows
        if not rows and node.op.name != "literal":
            roots.add(node)
    if len(roots) != 1:
        return None
    (x,) = roots
    count = x.shape[0]
    if count < 3 or not is_float(x.dtype):
        return None
    run = _function(program, [found.model], x)
    (at,) = program.evaluate([x])
    (whole_,) = run(at)
    half = count // 2
    other = np.concatenate([np.full(half, at[-1], at.dtype), at[half:]])
    order = np.arange(count)[::-1]
    with np.errstate(all="ignore"):
        same = np.allclose(run(other)[0][half:], whole_[half:], rtol=1e-9, equal_nan=True)
        moved = np.allclose(run(at[order])[0], whole_[order], rtol=1e-9, equal_nan=True)
    return x if same and moved else None


def _function(program: Loaded, nodes: Sequence[Node], x: Node) -> Any:
    """Nodes as a function of x [n]."""
    leaf = make_leaf("argument", "constant", x.shape, x.dtype, True)
    with program.graph.derivation.active():
        moved = substituted(nodes, {x: leaf})
    run = function_of(program, moved, [leaf])
    return lambda at: run({leaf: np.ascontiguousarray(at, dtype=x.dtype)})


def _curve(
    objective: Objective,
    program: Loaded,
    found: Regression,
    x: Node,
    at: Array,
    estimated: Estimated | None,
    label: str,
) -> tuple[Curve, list[Band]]:
    """The model at many values of x, as many of them at once as there are rows, and its confidence band."""
    finite = at[np.isfinite(at)]
    across = np.linspace(finite.min(), finite.max(), SAMPLES)
    nodes = [found.model]
    if estimated is not None:
        with program.graph.derivation.active():
            xs = list(objective.leaves.values())
            columns = jacobian(found.model, xs)
        nodes += columns
    run = _function(program, nodes, x)
    count = x.shape[0]
    pieces: list[list[Array]] = []
    for start in range(0, SAMPLES, count):
        part = across[start : start + count]
        given = np.concatenate([part, np.full(count - len(part), part[-1])])
        pieces.append([value[: len(part)].reshape(len(part), -1).astype(np.float64) for value in run(given)])
    y, *blocks = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    y = drawable(y[:, 0], False)
    bands = []
    if estimated is not None:
        matrix = np.concatenate(blocks, axis=1)
        whole, lost = estimated.whole()
        if not (matrix[:, lost] != 0).any():
            error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", matrix, whole, matrix), 0.0))
            half = estimated.quantile * error
            bands = [Band(f"{100 * LEVEL:g} % confidence band", across, y - half, y + half)]
    return Curve(label, across, y, height(y, False)), bands
