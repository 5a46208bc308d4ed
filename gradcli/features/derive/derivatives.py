"""The derivatives that are asked for: the node of each, before it is simplified, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.types import is_float, size_of
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.program.query import Question
from gradcli.results import Reason
from gradcli.tuples import NamedTuple

Kind = Literal["gradient", "jacobian", "hessian", "jvp", "taylor"]
"""Which derivatives: those that add up the ys, order by order, matrices of derivatives, and those along a direction.

The Taylor polynomial is that of the ys at xs + dxs, about the xs, up to a degree.
"""


class Gradient(NamedTuple):
    """One derivative as a node, or the reason why it is None; ``name`` is what it is called.

    It is that of ``of`` by each of ``wrt`` in turn; ``x`` is the last of those, or the y where there is none.
    """

    x: str
    name: str
    node: Node | None
    reason: Reason | None
    of: tuple[str, ...]
    wrt: tuple[str, ...]


class Derivatives(NamedTuple):
    """The answer to a question as nodes: derivatives of the ``orders``, or of another ``kind``.

    ``tangents`` maps each x that moves to the constant that says how far, ``values`` has the value of each of those, or
    None. With ``has_values`` the ys themselves are among the ``gradients``, in front.
    """

    program: Loaded
    asked: Question
    orders: range
    kind: Kind
    tangents: dict[Node, Node]
    values: dict[Node, Any]
    gradients: list[Gradient]
    has_values: bool

    @property
    def nodes(self) -> list[Node]:
        """Those that are not None."""
        return [g.node for g in self.gradients if g.node is not None]

    @property
    def without(self) -> list[Node]:
        """The xs that have no gradient."""
        xs = dict(zip(self.asked.wrt, self.asked.xs, strict=True))
        return [xs[g.x] for g in self.gradients if g.reason is not None]

    @property
    def low(self) -> int:
        """How many of the nodes, the first ones, have an order below 2: these are to stay connected with the xs."""
        if self.kind != "gradient" or self.orders[0] > 1:
            return 0
        return len([g for g in self.gradients if g.node is not None and len(g.wrt) < 2])

    @property
    def differentiates(self) -> bool:
        """Whether there is anything else than the ys themselves."""
        return self.kind != "gradient" or self.orders[-1] > 0

    @property
    def summed(self) -> bool:
        """Whether entries of ys are added up."""
        return self.kind == "gradient" and any([size_of(y.shape) != 1 for y in self.asked.ys])

    @property
    def directions(self) -> dict[str, str]:
        """The names of the xs that move, and of the constants that say how far."""
        pairs = zip(self.asked.wrt, self.asked.xs, strict=True)
        return {name: str(self.tangents[x].attrs["name"]) for name, x in pairs if x in self.tangents}


def derivatives(
    program: Loaded,
    of: Sequence[str] | None,
    wrt: Sequence[str] | None,
    orders: range,
    seeds: Mapping[str, Any] | None,
    stop: Sequence[str],
    kind: Kind,
    tangents: Mapping[str, Any] | None,
    with_values: bool,
) -> Derivatives:
    """The derivatives of a kind: of the ``orders``, a Taylor polynomial of the last of them.

    ``tangents`` gives directions of xs; without them each x of ``wrt`` has one without a value. Raises GradcliError.
    """
    names = program.graph.names
    by_order = kind == "gradient"
    if by_order and not orders[0] and of is None:  # outputs that are None are not formulas
        of = [name for name in query.differentiated(program) if isinstance(names[name], Node)] or None
    if tangents:
        wrt = list(tangents)
    asked = query.question(program, of, [] if by_order and not orders[-1] else wrt, seeds, stop)
    moved: dict[Node, Node] = {}
    values: dict[Node, Any] = {}
    if kind in ("jvp", "taylor"):
        moved, values = _tangents(program, asked, tangents or {}, kind)
    answers = _Answers(program, asked, orders, moved, {*names, *(str(x.attrs["name"]) for x in moved.values())})
    gradients = OF_KIND[kind](answers)
    has_values = by_order and not orders[0]
    if with_values and not has_values:
        gradients = [*_the_ys(asked), *gradients]
    return Derivatives(program, asked, orders, kind, moved, values, gradients, with_values or has_values)


class _Answers(NamedTuple):
    """What the derivatives of a kind are made from; ``taken`` are the names that others have."""

    program: Loaded
    asked: Question
    orders: range
    tangents: dict[Node, Node]
    taken: set[str]

    def named(self, x: str, name: str, node: Node | Reason, of: Iterable[str], wrt: Iterable[str]) -> Gradient:
        found, reason = (node, None) if isinstance(node, Node) else (None, node)
        return Gradient(x, _free(name, self.taken), found, reason, tuple(of), tuple(wrt))


def _gradients(a: _Answers) -> list[Gradient]:
    """Called dy_dx, d2y_dx2, …, without the y where there are several that add up."""
    of = a.asked.of
    found: list[Gradient] = []
    y = of[0] if len(of) == 1 else ""
    for n in a.orders:
        if not n:
            found += _the_ys(a.asked)
            continue
        top, bottom = (f"d{n}{y}", str(n)) if n > 1 else (f"d{y}", "")
        row = query.gradient_nodes(a.program, a.asked, n)
        found += [a.named(x, f"{top}_d{x}{bottom}", g, of, [x] * n) for x, g in zip(a.asked.wrt, row, strict=True)]
    return found


def _the_ys(asked: Question) -> list[Gradient]:
    return [Gradient(name, name, y, None, (name,), ()) for name, y in zip(asked.of, asked.ys, strict=True)]


def _jacobian(a: _Answers) -> list[Gradient]:
    pairs = [(y, x) for y in a.asked.of for x in a.asked.wrt]
    blocks = query.jacobian(a.program, a.asked)
    return [a.named(x, f"d{y}_d{x}", block, [y], [x]) for (y, x), block in zip(pairs, blocks, strict=True)]


def _hessian(a: _Answers) -> list[Gradient]:
    of, wrt = a.asked.of, a.asked.wrt
    y = of[0] if len(of) == 1 else ""
    pairs = [(x, z) for x in wrt for z in wrt]
    blocks = query.hessian(a.program, a.asked)
    return [a.named(z, f"d2{y}_d{x}_d{z}", block, of, [x, z]) for (x, z), block in zip(pairs, blocks, strict=True)]


def _jvp(a: _Answers) -> list[Gradient]:
    rows = query.moved(a.program, a.asked, a.tangents)
    return [a.named(y, f"d{y}", node, [y], []) for y, node in zip(a.asked.of, rows, strict=True)]


def _taylor(a: _Answers) -> list[Gradient]:
    n = a.orders[-1]
    rows = query.taylor(a.program, a.asked, a.tangents, n)
    return [a.named(y, f"{y}_taylor{n}", node, [y], []) for y, node in zip(a.asked.of, rows, strict=True)]


OF_KIND: dict[Kind, Callable[[_Answers], list[Gradient]]] = {
    "gradient": _gradients,
    "jacobian": _jacobian,
    "hessian": _hessian,
    "jvp": _jvp,
    "taylor": _taylor,
}


def _tangents(
    program: Loaded, asked: Question, given: Mapping[str, Any], kind: Kind
) -> tuple[dict[Node, Node], dict[Node, Any]]:
    """A constant for each x that says how far it moves, and the values that are given for some."""
    taken = set(program.graph.names) | set(program.graph.leaves)
    moved: dict[Node, Node] = {}
    values: dict[Node, Any] = {}
    for name, x in zip(asked.wrt, asked.xs, strict=True):
        value = query.direction(program, name, given[name]) if name in given else None
        if kind == "taylor" and not is_float(x.dtype):
            raise GradcliError(
                "TypeError", f"a series needs a float x, not {x.dtype}", help="declare it with a float value"
            )
        dtype = x.dtype if is_float(x.dtype) else program.graph.float_dtype
        own = _free(f"d{name}", taken)
        moved[x] = make_leaf(own, "constant", x.shape, dtype, value is not None and value.risky)
        values[moved[x]] = value
    return moved, values


def _free(name: str, taken: set[str]) -> str:
    """The name, with underscores where it is taken, which it then is."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
