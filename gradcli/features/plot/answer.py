"""A function over a range: sampled with its derivatives along one variable, or with its gradient along two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradcli.data.rows import Rows
from gradcli.diagnostics import GradcliError, Label
from gradcli.features.plot.jumps import jumps
from gradcli.features.points.answer import Points
from gradcli.features.points.varied import Ask, Item
from gradcli.graph.node import Node
from gradcli.graph.operation import substituted
from gradcli.graph.ops.selection import where
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.ops.slicing import index
from gradcli.graph.types import is_float, show_shape, size_of
from gradcli.program import query
from gradcli.program.loaded import Loaded, array_node
from gradcli.program.query import Question
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]

LARGEST = 1e100
"""Values beyond it leave gaps, as infinities do, and those below its inverse are 0: axes need room for arithmetic."""


class Variable(NamedTuple):
    """What an axis stands for: a variable or constant, or an entry of one, and the range that it runs through."""

    name: str
    entry: tuple[int, ...] | None
    low: float
    high: float
    log: bool = False

    @property
    def label(self) -> str:
        return self.name if self.entry is None else f"{self.name}[{','.join(map(str, self.entry))}]"

    def samples(self, count: int) -> Array:
        return (np.geomspace if self.log else np.linspace)(self.low, self.high, count)


class Curve(NamedTuple):
    """A curve through points [n]; NaN in y is a gap. ``missing`` says why there is none (``None: …``): x and y are empty.

    ``height`` is the range of y that is worth showing, or None without any point: all of it, unless y goes to infinity.
    """

    label: str
    x: Array
    y: Array
    height: tuple[float, float] | None
    missing: str | None = None


class Dots(NamedTuple):
    """Data at points x [n], y [n] of a plot, perhaps with error bars from ``y - error`` to ``y + error`` [n]."""

    label: str
    x: Array
    y: Array
    error: Array | None = None


class Band(NamedTuple):
    """What lies between low [n] and high [n], above x [n]; NaN is a gap."""

    label: str
    x: Array
    low: Array
    high: Array


class Frame(NamedTuple):
    """Titles, labels, limits and size that are asked for, in place of the defaults; None keeps the default.

    ``size`` is width and height, of a file in inches, else in columns and lines.
    """

    title: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    size: tuple[float, float] | None = None


class Curves(NamedTuple):
    """Curves above one axis. ``x_range`` is the range of the axis."""

    title: str
    x_label: str
    x_range: tuple[float, float]
    curves: list[Curve]
    log_x: bool = False
    log_y: bool = False
    dots: Sequence[Dots] = ()
    bands: Sequence[Band] = ()
    frame: Frame = Frame()


class Field(NamedTuple):
    """A function of two variables: x [n], y [m], z [m, n], and its gradient u, v [m, n] if it was asked for.

    NaN in z is a gap; ``missing`` says why there is no gradient.
    """

    title: str
    label: str
    x_label: str
    y_label: str
    x: Array
    y: Array
    z: Array
    gradient: tuple[Array, Array] | None
    missing: str | None = None
    dots: Sequence[Dots] = ()
    frame: Frame = Frame()


def curves(
    program: Loaded,
    of: Sequence[str] | None,
    x: Variable,
    orders: Sequence[int],
    count: int,
    log_y: bool = False,
) -> Curves:
    """Each y and its derivatives of some orders over the range of x, at ``count`` points and where they jump.

    ``of`` defaults to the outputs, else the last named value. Raises GradcliError: for an unknown name, a y or an x
    that is not a scalar, an x on which a shape depends, and a y that is finite nowhere.
    """
    names = _scalars(program, of)
    axis = _checked(program, x)
    reasons: dict[str, str] = {}

    def ask(varied: Loaded) -> list[Item]:
        found = []
        for name in names:
            for n, node in zip(orders, _derivatives(varied, name, axis, orders, reasons), strict=True):
                label = label_of(name, axis.label, n)
                found.append(Item((label,), label, node))
        return found

    sampler = _Sampler(program, ask, [axis])
    xs = axis.samples(count)
    epsilon = 2.0**-23 if query.leaf(program, x.name).dtype == "float32" else 2.0**-52

    def values_of(k: int) -> Callable[[Array], Array]:
        """The function of x whose curve is the k-th one."""

        def function(at: Array) -> Array:
            y = sampler(at)[k]
            assert y is not None
            return drawable(y, log_y)

        return function

    lines: list[tuple[Array, Array] | None] = []
    unbounded = False
    for k, y in enumerate(sampler(xs)):
        if y is None:
            lines.append(None)
            continue
        steps = jumps(values_of(k), xs, drawable(y, log_y), epsilon)
        unbounded |= bool(np.isinf(y).any() or steps.pole.any())
        lines.append(steps.inserted(xs, drawable(y, log_y)))
    drawn = [
        Curve(item.label, xs[:0], xs[:0], None, reasons[item.label]) if line is None
        else Curve(item.label, *line, height(line[1], unbounded and not log_y))
        for item, line in zip(sampler.items, lines, strict=True)
    ]  # fmt: skip
    if all(curve.height is None for curve in drawn):
        verb = "is" if len(names) == 1 else "are"
        raise GradcliError(
            "ValueError",
            f"{' and '.join(names)} {verb} nowhere {_drawable(log_y)} for {x.label} from {x.low:g} to {x.high:g}",
        )
    return Curves(program.source.name, x.label, (x.low, x.high), drawn, x.log, log_y)


def field(
    program: Loaded, of: Sequence[str] | None, x: Variable, y: Variable, count: tuple[int, int], gradient: bool
) -> Field:
    """A y over the ranges of two variables, at ``count`` points along each, and its gradient there.

    Raises GradcliError as :func:`curves` does, and where there are several ys.
    """
    names = _scalars(program, of)
    if len(names) > 1:
        raise GradcliError(
            "ValueError",
            f"contours are those of one value, and there are {len(names)}: {', '.join(names)}",
            help=f"choose one: `--of {names[-1]}`",
        )
    axes = [_checked(program, axis) for axis in (x, y)]
    if axes[0][:2] == axes[1][:2]:
        raise GradcliError("ValueError", f"{x.label} and {y.label} are the same, and a plane has two axes")
    reasons: dict[str, str] = {}

    def ask(varied: Loaded) -> list[Item]:
        z = query.target(varied, names[0])
        found = [Item((names[0],), names[0], z)]
        for axis in axes if gradient else ():
            label = f"d{names[0]}/d{axis.label}"
            (node,) = _derivatives(varied, names[0], axis, [1], reasons)
            found.append(Item((label,), label, node))
        return found

    at = [axis.samples(n) for axis, n in zip(axes, count, strict=True)]
    grid = np.meshgrid(*at)
    sampler = _Sampler(program, ask, axes)
    shape = grid[0].shape
    z, *slopes = [v if v is None else v.reshape(shape) for v in sampler(*[g.reshape(-1) for g in grid])]
    assert z is not None
    z = drawable(z, False)
    if not np.isfinite(z).any():
        raise GradcliError(
            "ValueError", f"{names[0]} is nowhere finite and below {LARGEST:g} for these {x.label} and {y.label}"
        )
    # An entry of the gradient that is None counts as 0 beside one that is not.
    u, v = [np.zeros(shape) if s is None else s for s in slopes] if gradient else [z, z]
    missing = "; ".join(dict.fromkeys(reasons.values())).replace("; None: ", "; ") if len(reasons) == 2 else None
    drawn = (u, v) if gradient and missing is None else None
    return Field(program.source.name, names[0], x.label, y.label, at[0], at[1], z, drawn, missing)


def series(title: str, x_label: str, columns: Mapping[str, Sequence[float]], log: str | None = None) -> Curves:
    """Columns of numbers as curves above the first one; y is logarithmic by default if all that is finite is positive.

    Raises GradcliError where nothing can be drawn.
    """
    x, *ys = [np.asarray(column, np.float64) for column in columns.values()]
    names = list(columns)[1:]
    if log is None:
        finite = np.concatenate([y[np.isfinite(y)] for y in ys])
        log = "y" if len(finite) and (finite > 0).all() else "none"
    shown = [drawable(y, "y" in log) for y in ys]
    x = drawable(x, "x" in log)
    at = x[np.isfinite(x)]
    drawn = [Curve(name, x, y, height(y, False)) for name, y in zip(names, shown, strict=True)]
    if not len(at) or all(curve.height is None for curve in drawn):
        raise GradcliError("DataError", f"{title} has no {' or '.join(names)} that is {_drawable('y' in log)}")
    low, high = float(at.min()), float(at.max())
    return Curves(
        title, x_label, (low, high if high > low else low + max(1.0, abs(low))), drawn, "x" in log, "y" in log
    )


def number(program: Loaded, name: str, text: str) -> float:
    """The value of a constant expression that is given for a name; a GradcliError where it is not a scalar."""
    try:
        return float(text)
    except ValueError:
        (value,) = program.evaluate([query.constant(program, name, text, "--x")])
    if value.size != 1 or value.dtype.kind == "b":
        raise GradcliError("TypeError", f"`{text}` is not a number, and the range of {name} goes from one to another")
    return float(value.reshape(-1)[0])


def drawable(y: Array, log: bool) -> Array:
    """What can be drawn; the rest is NaN."""
    y = np.where(np.abs(y) < 1 / LARGEST, 0.0, y)
    shown = np.abs(y) < LARGEST
    return np.where(shown & (y > 0) if log else shown, y, np.nan)


def _drawable(log: bool) -> str:
    """What :func:`drawable` shows."""
    return f"{'positive' if log else 'finite'} and below {LARGEST:g}"


def height(y: Array, unbounded: bool) -> tuple[float, float] | None:
    """The range of y that is worth showing; of a curve that goes to infinity, what is near its middle half."""
    finite = y[np.isfinite(y)]
    if not len(finite):
        return None
    low, high = float(finite.min()), float(finite.max())
    if unbounded:
        first, third = np.quantile(finite, (0.25, 0.75)).tolist()
        if margin := 2 * (third - first):
            low, high = max(low, first - margin), min(high, third + margin)
    return low, high


# the question


def _scalars(program: Loaded, of: Sequence[str] | None) -> list[str]:
    """The names of the ys; each y is one number."""
    names = list(dict.fromkeys(of)) if of is not None else query.differentiated(program)
    for name in names:
        y = query.target(program, name)
        if size_of(y.shape) != 1:
            raise _no_scalar(program, name, y, f"add its entries up, `total = sum({name})`, or plot one of them")
    return names


def _no_scalar(program: Loaded, name: str, node: Node, help: str) -> GradcliError:
    label = program.locate(node)
    return GradcliError(
        "ShapeError",
        f"a plot is one of scalars, and {name} has shape {show_shape(node.shape)}",
        [Label(label.span, f"shape {show_shape(node.shape)}")] if label else [],
        help=help,
    )


def _checked(program: Loaded, x: Variable) -> Variable:
    """The variable with its entry counted from the start; a GradcliError where it cannot vary."""
    leaf = query.leaf(program, x.name)
    if leaf.dtype == "bool":
        raise GradcliError("TypeError", f"`{x.name}` is bool, and only numbers run through a range")
    if x.entry is None:
        if leaf.rank:
            first = ",".join("0" * leaf.rank)
            raise _no_scalar(program, x.name, leaf, f"choose an entry: `--x '{x.name}[{first}]={x.low:g}:{x.high:g}'`")
        return x
    if len(x.entry) != leaf.rank or any(not -n <= i < n for i, n in zip(x.entry, leaf.shape, strict=False)):
        label = program.locate(leaf)
        raise GradcliError(
            "ShapeError",
            f"{x.name} has no entry {x.label}: its shape is {show_shape(leaf.shape)}",
            [Label(label.span, f"shape {show_shape(leaf.shape)}")] if label else [],
        )
    return x._replace(entry=tuple([i % n for i, n in zip(x.entry, leaf.shape, strict=True)]))


def _derivatives(
    program: Loaded, name: str, x: Variable, orders: Sequence[int], reasons: dict[str, str]
) -> list[Node | None]:
    """The derivatives of a y by a variable or by an entry, as scalars; for None the reason is noted by label."""
    y, leaf = query.target(program, name), program.graph.leaves[x.name]
    with program.graph.derivation.active():
        if x.entry is None:
            t, moved = leaf, y
        else:
            # y as a function of the entry alone: x -> where(mask, t, x) with t = x[entry].
            t = index(leaf, items=x.entry)
            mask = np.zeros(leaf.shape, bool)
            mask[x.entry] = True
            (moved,) = substituted([y], {leaf: where(array_node(mask), broadcasted(t, leaf.shape), leaf)})
        passes = [n for n in orders if n]
        found = (
            query.gradients(program, Question([name], [moved], [x.label], [t], [None], []), passes) if passes else []
        )
        nodes: dict[int, Node | None] = {0: y}
        for n, (g,) in found:
            nodes[n] = g if isinstance(g, Node) else None
            if not isinstance(g, Node):
                why = g.with_line()
                reasons[label_of(name, x.label, n)] = why if why.startswith("None") else f"None: {why}"
    return [nodes[n] for n in orders]


def label_of(y: str, x: str, order: int) -> str:
    """``y``, ``dy/dx``, ``d2y/dx2``."""
    if order < 2:
        return f"d{y}/d{x}" if order else y
    return f"d{order}{y}/d{x}{order}"


# evaluation


class _Sampler:
    """The answers to a question for many values of its variables, as float64; NaN where there is none."""

    def __init__(self, program: Loaded, ask: Ask, axes: Sequence[Variable]) -> None:
        self._axes = axes
        self._bases = {
            axis.name: program.leaf_value(query.leaf(program, axis.name)) for axis in axes if axis.entry is not None
        }
        names = dict.fromkeys([axis.name for axis in axes])
        integers = [name for name in names if not is_float(query.leaf(program, name).dtype)]
        self._points = Points(program, ask, "--x", skip_bad=True, floats=integers)
        for name in integers:
            if self._points.field_of(name).kind == "int":
                raise GradcliError(
                    "TypeError",
                    f"`{name}` is an integer that shapes or other static numbers depend on, and cannot vary",
                )
        # Of no rows, to learn what is missing in all of them.
        (empty,) = self._points.answers(self._rows([np.empty(0) for _ in axes]))
        self.items = empty.items

    def __call__(self, *at: Array) -> list[Array | None]:
        """For values [n] of each variable the answers [n]."""
        count = len(at[0])
        results: list[Array | None] = [None if item.value is None else np.full(count, np.nan) for item in self.items]
        for answers in self._points.answers(self._rows(at)):
            for result, values in zip(results, answers.values, strict=True):
                if result is not None and values is not None:
                    result[answers.numbers] = values.reshape(-1)
        return results

    def _rows(self, at: Sequence[Array]) -> Rows:
        columns: dict[str, Any] = {}
        for axis, values in zip(self._axes, at, strict=True):
            if axis.entry is None:
                columns[axis.name] = values
                continue
            if axis.name not in columns:
                base = self._bases[axis.name].astype(np.float64)
                columns[axis.name] = np.broadcast_to(base, (len(values), *base.shape)).copy()
            columns[axis.name][(slice(None), *axis.entry)] = values
        return Rows(np.arange(len(at[0])), columns)
