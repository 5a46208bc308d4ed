"""Questions about a program: names, and what is asked of them, turned into nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

from gradcli.autodiff import reverse
from gradcli.diagnostics import GradcliError, Label, did_you_mean
from gradcli.graph.node import Node
from gradcli.graph.types import show_shape, size_of
from gradcli.language.reasons import reasons
from gradcli.language.values import Missing
from gradcli.program.loaded import Loaded, array_node
from gradcli.results import Reason
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Unconnected = Literal["none", "zero", "error"]
"""What an x that no y depends on gets: None with its reason, zeros, or an error."""


class Question(NamedTuple):
    """What is differentiated: the ys by name and as nodes, likewise the xs, the head gradients and the stops."""

    of: list[str]
    ys: list[Node]
    wrt: list[str]
    xs: list[Node]
    heads: list[Node | None]
    stops: list[Node]


def question(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    seeds: Mapping[str, str | Array] | None = None,
    stop: Sequence[str] = (),
) -> Question:
    """The nodes of what is to be differentiated.

    ``of`` defaults to the outputs, else the last named value; ``wrt`` to all variables, and ``*`` in it matches
    variables. ``seeds`` maps ys to head gradients, in place of the program's own. Raises GradcliError.
    """
    of = list(dict.fromkeys(of)) if of is not None else differentiated(program)
    ys = [target(program, name) for name in of]
    wrt = wanted(program, wrt)
    xs = [target(program, name) for name in wrt]
    stops = [target(program, name) for name in stop]
    return Question(of, ys, wrt, xs, heads(program, of, ys, seeds or {}), stops)


# names


def value(program: Loaded, name: str) -> Node | Missing:
    """What a name of the top level stands for. Raises a NameError (GradcliError) where there is no such name."""
    if name in program.graph.names:
        return program.graph.names[name]
    similar = did_you_mean(name, program.graph.names)
    shown = ", ".join(list(program.graph.names)[:8])
    raise GradcliError(
        "NameError",
        f"the program has no value `{name}`",
        help=f"did you mean `{similar}`?" if similar else (f"it has {shown}" if shown else "it names no value"),
    )


def target(program: Loaded, name: str) -> Node:
    """The node of a name. Raises GradcliError where the program has none, or where it is a gradient that is None."""
    found = value(program, name)
    if isinstance(found, Missing):
        reason = found.reason()
        raise GradcliError(
            "ValueError",
            f"`{name}` is a gradient that is None: {reason.with_line()}",
            [Label(reason.span)] if reason.span else [],
        )
    return found


def leaf(program: Loaded, name: str) -> Node:
    """The variable or constant of a name. Raises a NameError (GradcliError) where it is none."""
    if name in program.graph.names and name not in program.graph.leaves:
        raise program.graph.computed(name)
    if name not in program.graph.leaves:
        similar = did_you_mean(name, program.graph.leaves)
        raise GradcliError(
            "NameError",
            f"the program has no variable or constant `{name}`",
            help=f"did you mean `{similar}`?" if similar else None,
        )
    return program.graph.leaves[name]


def printed(program: Loaded) -> list[str]:
    """The names whose values are asked for by default: the outputs, else every name that is computed."""
    names = program.graph.outputs or program.graph.definitions
    if not names:
        raise GradcliError(
            "ValueError",
            "there is nothing to print: the program computes no value",
            help="bind one to a name, `y = …`, or name variables with `--of`",
        )
    return list(dict.fromkeys(names))


def differentiated(program: Loaded) -> list[str]:
    """The ys by default: the outputs, else the last named value."""
    if program.graph.outputs:
        return list(dict.fromkeys(program.graph.outputs))
    if not program.graph.names:
        raise GradcliError("ValueError", "there is nothing to differentiate: the program names no value")
    last = program.graph.definitions or list(program.graph.names)
    return [last[-1]]


def wanted(program: Loaded, wrt: Sequence[str] | None) -> list[str]:
    """The names of the xs, patterns with ``*`` written out; by default all variables."""
    variables = program.variables
    if wrt is None:
        if not variables:
            raise GradcliError(
                "ValueError",
                "the program has no variables to differentiate with respect to",
                help="name what you want: `--wrt x`, or declare it: `variable x = …`",
            )
        return variables
    names: list[str] = []
    for entry in wrt:
        if any(c in entry for c in "*?["):
            matching = [name for name in variables if fnmatchcase(name, entry)]
            if not matching:
                raise GradcliError(
                    "NameError",
                    f"no variable matches `{entry}`",
                    help=f"the variables are {', '.join(variables)}" if variables else "the program has none",
                )
            names.extend(matching)
        else:
            value(program, entry)
            names.append(entry)
    return list(dict.fromkeys(names))


def constant(program: Loaded, name: str, given: str | Array, option: str = "--seed") -> Node:
    """A value given for a name: an expression that sees the built-ins only, or an array."""
    return program.given(given, f"{option} {name}") if isinstance(given, str) else array_node(given)


def heads(program: Loaded, of: list[str], ys: list[Node], seeds: Mapping[str, str | Array]) -> list[Node | None]:
    """The head gradient of each y: the one given, else the program's own, else None, which stands for ones."""
    for name in seeds:
        if name not in of:
            value(program, name)
            raise GradcliError(
                "ValueError",
                f"`{name}` has a seed but is not among what is differentiated: {', '.join(of)}",
                help=f"name it: `--of {','.join([*of, name])}`",
            )
    heads: list[Node | None] = []
    for name, y in zip(of, ys, strict=True):
        given = seeds.get(name)
        if given is None:
            heads.append(program.graph.seeds.get(name))
            continue
        node = constant(program, name, given)
        try:
            reverse.seed(y, node)
        except GradcliError as error:
            error.message = f"the seed of {name}: {error.message}"
            raise
        heads.append(node)
    return heads


def values(program: Loaded, of: Sequence[str] | None = None) -> dict[str, Node | Missing]:
    """What the names that are asked for stand for, by default those of :func:`printed`."""
    return {name: value(program, name) for name in (of if of is not None else printed(program))}


def value_nodes(program: Loaded, of: Sequence[str] | None = None) -> list[Node]:
    """The nodes among :func:`values`."""
    return [found for found in values(program, of).values() if isinstance(found, Node)]


# gradients


@contextmanager
def _deriving(program: Loaded) -> Iterator[None]:
    """For the making of derivatives: an error points to the operation that has none of the sort."""
    derivation = program.graph.derivation
    before = derivation.current
    with derivation.active():
        try:
            yield
        except GradcliError as error:
            if not error.labels and derivation.current is not None:
                error.labels = tuple(program.graph.labels(derivation.current))
            derivation.current = before
            raise


def gradient_nodes(program: Loaded, asked: Question, order: int) -> list[Node | Reason]:
    """The derivatives of one order as nodes, each None as the reason for it."""
    ((_, row),) = gradients(program, asked, (order,))
    return row


def gradients(
    program: Loaded, asked: Question, orders: Iterable[int], unconnected: Unconnected = "none", numbers: bool = False
) -> list[tuple[int, list[Node | Reason]]]:
    """The results of n repeated passes with the same x, each summing as ``tf.gradients`` does, for each n.

    With ``numbers`` they may be values at once, without the graph that they are computed by.
    """
    with _deriving(program):
        return _each_pass(program, asked, orders, unconnected, numbers)


def _each_pass(
    program: Loaded, asked: Question, orders: Iterable[int], unconnected: Unconnected, numbers: bool
) -> list[tuple[int, list[Node | Reason]]]:
    of, ys, wrt, xs, heads, stops = asked
    first = _first_pass(program, ys, xs, heads, stops, numbers and list(orders) == [1])
    if list(orders) == [1]:
        limits = [0.0 if g is None else 1.0 for g in first]
    else:
        from gradcli.autodiff import degree

        limits = degree.last_orders(ys, xs, stops, heads)
    rows: list[tuple[int, list[Node | Reason]]] = []
    never = [k for k, limit in enumerate(limits) if limit < 1 and unconnected != "zero"]
    because = dict(
        zip(never, reasons(program.graph, of, ys, [wrt[k] for k in never], [xs[k] for k in never], stops), strict=True)
    )
    for n in orders:
        row: list[Node | Reason] = []
        found = first
        if n > 1:
            from gradcli.autodiff.orders import nth_gradients

            found = nth_gradients(ys, xs, n, heads, stops, limits, first)
        for k, (name, x, g, limit) in enumerate(zip(wrt, xs, found, limits, strict=True)):
            if g is None and unconnected == "zero":
                g = reverse.zero_gradient(x)
            if g is not None:
                row.append(g)
                continue
            since = int(limit) + 1
            reason = because[k] if since == 1 else _later(since, name)
            if unconnected == "error":
                _unconnected(name, since, reason)
            row.append(reason)
        rows.append((n, row))
    return rows


def _first_pass(
    program: Loaded, ys: list[Node], xs: list[Node], heads: list[Node | None], stops: list[Node], numbers: bool
) -> list[Node | None]:
    """The gradients of order 1: as graph or, where only ``numbers`` of a large program are wanted, as those."""
    if not ys:
        return [None] * len(xs)
    if numbers and program.sweeps():
        from gradcli.program import swept

        found = swept.gradients(program, ys, xs, heads, stops)
        if found is not None:
            return [None if g is None else array_node(g) for g in found]
    return reverse.gradients(ys, xs, heads, stops)


def _unconnected(name: str, order: int, reason: Reason) -> None:
    why = reason.with_line()
    raise GradcliError(
        "ValueError",
        f"the gradient with respect to `{name}` is {why if order > 1 else 'None: ' + why}",
        [Label(reason.span)] if reason.span else [],
        help="use `--unconnected none` or `--unconnected zero` to allow it",
    )


def _later(order: int, name: str) -> Reason:
    return Reason(f"None since order {order}: the derivative of order {order - 1} does not use {name}")


# matrices and directions


def jacobian(program: Loaded, asked: Question) -> list[Node]:
    """For each y the Jacobian by each x, as nodes of shape ``y.shape + x.shape``. Head gradients play no part."""
    from gradcli.autodiff import jacobian

    with _deriving(program):
        return [node for y in asked.ys for node in jacobian.jacobian(y, asked.xs, asked.stops)]


def hessian(program: Loaded, asked: Question) -> list[Node]:
    """The Hessian of the sum of the ys, row by row, as nodes. Raises GradcliError where a y is not a scalar."""
    from gradcli.autodiff import jacobian
    from gradcli.graph.ops.elementwise import add
    from gradcli.graph.ops.shaping import reshaped

    if not asked.ys:
        raise GradcliError("ValueError", "a Hessian is that of a scalar, and none is named")
    for name, y in zip(asked.of, asked.ys, strict=True):
        if size_of(y.shape) != 1:
            raise GradcliError(
                "ShapeError",
                f"a Hessian is that of a scalar, and {name} has shape {show_shape(y.shape)}",
                _shape_of(program, y),
                help=f"add its entries up, `total = sum({name})`, or take `jacobian(gradients({name}, x), x)` in the program",
            )
    with _deriving(program):
        # A lone y stays itself: an x may be the same node.
        y = asked.ys[0] if len(asked.ys) == 1 else reduce(add, [reshaped(y, ()) for y in asked.ys])
        return [node for row in jacobian.hessian(y, asked.xs, asked.stops) for node in row]


def along(
    program: Loaded, tangents: Mapping[str, str | Array], of: Sequence[str] | None = None, stop: Sequence[str] = ()
) -> dict[str, Node]:
    """The derivative of each y along the tangents, which add up. Raises GradcliError."""
    from gradcli.autodiff import orders
    from gradcli.graph.ops.elementwise import add

    names = list(dict.fromkeys(of)) if of is not None else differentiated(program)
    ys = [target(program, name) for name in names]
    stops = [target(program, name) for name in stop]
    if not tangents:
        raise GradcliError("ValueError", "there is no tangent", help="give the direction: `--tangent 'x=1'`")
    directions = [(target(program, name), direction(program, name, given)) for name, given in tangents.items()]
    with _deriving(program):
        if all([not x.inputs for x, _ in directions]):
            nodes = orders.jvps(ys, dict(directions), stops)
        else:  # an x may be computed from another one
            nodes = [reduce(add, [orders.jvp(y, x, v, stops) for x, v in directions]) for y in ys]
    return dict(zip(names, nodes, strict=True))


def moved(program: Loaded, asked: Question, tangents: Mapping[Node, Node]) -> list[Node]:
    """The derivative of each y along tangents, nodes of the shapes of their xs, which add up."""
    from gradcli.autodiff import orders
    from gradcli.graph.ops.elementwise import add

    with _deriving(program):
        return [reduce(add, [orders.jvp(y, x, v, asked.stops) for x, v in tangents.items()]) for y in asked.ys]


def taylor(program: Loaded, asked: Question, tangents: Mapping[Node, Node], degree: int) -> list[Node]:
    """The Taylor polynomial of each y at the xs moved by tangents, which are nodes of their shapes."""
    from gradcli.autodiff import orders

    with _deriving(program):
        return [orders.taylor(y, tangents, degree, asked.stops) for y in asked.ys]


def direction(program: Loaded, name: str, given: str | Array) -> Node:
    """A value given for the direction of an x, of its shape or a scalar. Raises GradcliError."""
    x = target(program, name)
    if x.dtype == "bool":
        raise GradcliError("TypeError", f"`{name}` is bool, and only numbers have tangents")
    v = constant(program, name, given, "--tangent")
    if v.shape not in ((), x.shape):
        raise GradcliError(
            "ShapeError",
            f"the tangent of {name} needs its shape, {show_shape(x.shape)}, not {show_shape(v.shape)}",
            _shape_of(program, x),
            help=f"a scalar stands for all entries: `--tangent '{name}=1'`",
        )
    return v


def _shape_of(program: Loaded, node: Node) -> list[Label]:
    """A label that says the shape of a node where it stands."""
    label = program.locate(node)
    return [Label(label.span, f"shape {show_shape(node.shape)}")] if label else []
