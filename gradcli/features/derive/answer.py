"""The derivatives of a program as formulas: simplified, named, and with what a complete program needs around them.

What holds of them, differentiated once more: they have the same None pattern as the graphs that they were written from,
for at order 1 something that is 0 is put back (``0 * x``, ``x^0``) where without it a variable would no longer be
connected; not for a number that is left where terms of functions of all real numbers cancel. Beyond that order values
agree, but a formula such as ``6 * x`` may end in None where the slope of ``x^3`` is a zero that stays connected, or the
other way round where a square of a function was written as a power. As in every gradient, guards against NaN are there
for variables whose values hold NaN or infinity when the formula is made.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.autodiff import degree
from gradcli.autodiff.connection import connections, ones
from gradcli.diagnostics import GradcliError
from gradcli.features.derive.data import Place, as_parameters, is_data, named_data
from gradcli.features.derive.derivatives import Derivatives, Gradient, Kind, derivatives
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import EVERYWHERE, cast_to
from gradcli.graph.ops.elementwise import power
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.types import is_float
from gradcli.program.loaded import Loaded
from gradcli.program.query import Question
from gradcli.rewrite.terms import number_of
from gradcli.rewrite.written import Written, has_guards
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.rewrite.shortest import Form

MOST_NUMBERS = 10_000
"""Entries of an array that are looked at for numbers near the ends of what floats hold."""


class Derived(NamedTuple):
    """Derivatives of the sum of ``of`` of the orders from ``first`` to ``order``, or of another ``kind``.

    ``order`` is also the degree of a polynomial.

    ``leaves`` are the variables and constants to declare, in order, ``initial`` their values; ``named`` gives nodes of the
    formulas the names that they have in the program. Of order 0 the ``gradients`` are the ys themselves. ``tangents``
    maps the name of each x that moves to the name of the constant that says how far. ``parts`` is how many more named
    lines there may be, None for any number. ``data`` are the leaves whose values only a caller has.
    """

    source: str
    float_dtype: str
    of: list[str]
    first: int
    order: int
    summed: bool
    gradients: list[Gradient]
    leaves: list[Node]
    initial: dict[Node, Any]
    named: dict[str, Node]
    kind: Kind
    tangents: dict[str, str]
    parts: int | None
    has_loops: bool
    data: list[Node]

    @property
    def roots(self) -> list[Node]:
        """Every node that is to be written."""
        return [*self.leaves, *self.named.values(), *(g.node for g in self.gradients if g.node is not None)]

    def said(self, g: Gradient) -> str:
        """What one of them is, in a few words: ``dy/dx``."""
        y = g.of[0] if len(g.of) == 1 else f"({'+'.join(g.of)})"
        if self.kind == "jvp":
            return f"the derivative of {y} along {', '.join(self.tangents.values())}"
        if self.kind == "taylor":
            return f"the Taylor polynomial of {y}"
        if not g.wrt:
            return y
        n = len(g.wrt)
        by = f"d{g.x}^{n}" if n > 1 and len(set(g.wrt)) == 1 else "/".join(f"d{x}" for x in g.wrt)
        return f"{'d' if n == 1 else f'd{n}'}{y}/{by}"

    def key(self, g: Gradient) -> str:
        """What a dictionary of the answers calls one of them: gradients of one order are those of their x."""
        return g.x if self.kind == "gradient" and self.first == self.order > 0 else g.name


def derive(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    order: int | range = 1,
    seeds: Mapping[str, Any] | None = None,
    stop: Sequence[str] = (),
    with_rules: bool = False,
    kind: Kind = "gradient",
    tangents: Mapping[str, Any] | None = None,
    name_parts: int | None = None,
    with_values: bool = False,
    entries: bool | None = None,
    place: Place = "defined",
    form: Form = "shortest",
) -> Derived:
    """The derivatives that ``gradcli grad``, ``jacobian``, ``hessian`` or ``jvp`` would evaluate, as formulas.

    ``with_values`` puts the ys in front. ``with_rules`` keeps values apart
    to which the program gives derivatives of their own. ``tangents`` gives directions of xs, for ``jvp`` and ``taylor``;
    without them each x of ``wrt`` has one without a value. ``name_parts`` limits the named lines. Small arrays are
    written by their ``entries``, or as arrays; by default as is shorter. ``place`` says where the data of the program
    stands, ``form`` which of the formulas that mean the same is written. Raises GradcliError as those commands do.
    """
    orders = order if isinstance(order, range) else range(order, order + 1)
    found = derivatives(program, of, wrt, orders, seeds, stop, kind, tangents, with_values)
    texts, names = _Writer(found, with_rules, entries, form).written(name_parts)
    graph = program.graph
    leaves = _declared(program, [*texts, *names.values()], found.asked.xs)
    initial = {**{leaf: graph.initial[leaf] for leaf in leaves}, **found.values}
    if place != "defined":
        texts, names, initial = as_parameters(texts, names, initial, place)
    parts = [name for name, node in names.items() if not is_data(node)]
    return Derived(
        program.source.name,
        graph.float_dtype,
        found.asked.of,
        orders[0],
        orders[-1],
        found.summed,
        _in_formulas(found, texts),
        [*initial],
        initial,
        names,
        kind,
        found.directions,
        None if name_parts is None else max(name_parts - len(parts), 0),
        graph.has_loops,
        [x for x in initial if initial[x] is None and x not in found.values and graph.initial.get(x, x) is not None],
    )


def _in_formulas(found: Derivatives, texts: Sequence[Node]) -> list[Gradient]:
    """The derivatives with their formulas."""
    if len(found.orders) > 1:
        # A number that is a derivative is not the name of the same number elsewhere: y = x^d2y_dx2.
        texts = [Node(x.op, (), x.attrs, (), x.dtype, x.risky) if x.op.name == "literal" else x for x in texts]
    given = iter(texts)
    return [g if g.node is None else g._replace(node=next(given)) for g in found.gradients]


class _Writer:
    """Writes derivatives as formulas of named values; the formulas of low orders stay connected with the xs."""

    def __init__(self, derivatives: Derivatives, with_rules: bool, entries: bool | None, form: Form) -> None:
        self._derivatives = derivatives
        self._with_rules = with_rules
        self._entries = entries
        self._form: Form = form
        program, asked = derivatives.program, derivatives.asked
        self._program = program
        self._asked = asked
        self._found = found = derivatives.nodes
        self._own = own = _named(derivatives)
        """The nodes that have names: those of the program, and those that its data gets."""
        self._data = [x for x in own if is_data(x)]
        self._told = [x for x in derivatives.without if x in own]
        """Values for which None is told: they are written, as they are named."""
        self._stopped = [x for x in asked.stops if x.op.name != "leaf"]
        self._plain = _plain(program, found)
        self._as_made = _has_extremes(program, found)
        self._guarded = has_guards(cone(found))
        is_asked = form in ("expanded", "factored")  # shortest.ASKED, whose module a short formula does not need
        self._shorten = not self._as_made and (is_asked or _holds_derivatives(program, found))
        self._apart: Sequence[Node] = asked.xs if derivatives.differentiates else ()
        """What formulas do not look into."""
        kept: list[Node] = self._data
        if derivatives.differentiates:
            kept = [*kept, *asked.xs, *asked.stops, *(asked.ys if derivatives.has_values and not is_asked else ())]
        elif not is_asked:
            kept = [*own]
        self._kept = {own[x] for x in kept if x in own}
        """The names that are kept in whichever form is chosen."""

    def written(self, most: int | None) -> tuple[list[Node], dict[str, Node]]:
        """The formulas, and the values in them by their names: of what is not data, at ``most`` so many."""
        texts, names = self._with_names(self._own)
        parts = {name: x for name, x in names.items() if not is_data(x)}
        if most is None or len(parts) <= most:
            return texts, names
        worth = _worthiest(texts, parts, most) | {self._own[x] for x in [*self._told, *self._data]}
        return self._with_names({node: name for node, name in self._own.items() if name in worth})

    def _with_names(self, named: Mapping[Node, str]) -> tuple[list[Node], dict[str, Node]]:
        count, low = len(self._found), self._derivatives.low
        with self._program.graph.derivation.suspended():
            new = self._made(named, ordinary=False)
            texts, names = new.targets[:count], {named[node]: x for node, x in new.names.items()}
            if self._shorten:
                from gradcli.features.derive.chosen import Chosen, chosen

                short = self._made(named, ordinary=True) if self._guarded else new
                ordinary = Chosen(short.targets[:count], {named[node]: x for node, x in short.names.items()})
                best = chosen(
                    self._program, self._found, Chosen(texts, names), ordinary, self._kept, self._asked.of,
                    self._asked.stops, self._entries, self._form,
                )  # fmt: skip
                new = new if best.named is names else short
                texts, names = best.texts, best.named
            if low:
                texts = [*_connected(self._asked, self._found[:low], texts[:low], new, self._program), *texts[low:]]
        return texts, names

    def _made(self, named: Mapping[Node, str], ordinary: bool) -> Written:
        return Written(
            [*self._found, *self._told], named, self._stopped, self._program.graph.float_dtype, self._apart,
            self._plain, self._as_made, self._with_rules, ordinary,
        )  # fmt: skip


def _named(found: Derivatives) -> dict[Node, str]:
    """What is computed and has a name in the program, and the names that its data gets."""
    names = found.program.graph.names
    named = {x: name for name, x in reversed(names.items()) if isinstance(x, Node) and x.op.name != "leaf"}
    return named | named_data([*found.asked.ys, *found.nodes], named, {*names, *[g.name for g in found.gradients]})


def _worthiest(roots: Sequence[Node], named: Mapping[str, Node], most: int) -> set[str]:
    """The names that are worth most: what is large and used often."""
    nodes = cone([*roots, *named.values()])
    uses = dict.fromkeys(nodes, 0)
    size = dict.fromkeys(nodes, 1)
    for node in nodes:
        size[node] = min(1 + sum([size[x] for x in node.inputs]), sys.maxsize)
        for x in node.inputs:
            uses[x] += 1
    ranked = sorted(named, key=lambda name: ((uses[named[name]] - 1) * size[named[name]], uses[named[name]]))
    return set(ranked[len(ranked) - most :])


def _plain(program: Loaded, found: Sequence[Node]) -> list[Node]:
    """The nodes for which a shorter formula does at the values of the program, or everywhere where it has none."""
    short = [node for node in cone(found) if node.op.plain is not None]
    inputs = list(dict.fromkeys(x for node in short for x in node.inputs))
    if not short or any([x.op.name == "leaf" and program.lacks_value(x) for x in cone(inputs)]):
        return short
    try:
        values = dict(zip(inputs, program.evaluate(inputs, plain=True), strict=True))
    except GradcliError:  # whoever evaluates the program sees it
        return short
    if all([isinstance(value, (int, float)) for value in values.values()]):
        from gradcli.execute.plain_numbers import NAMESPACE

        try:
            return [node for node in short if node.op.is_plain is None or _holds(NAMESPACE, node, values)]
        except AttributeError:  # this takes more of NumPy
            pass
    import numpy as np

    values = {x: np.asarray(value) for x, value in values.items()}
    with np.errstate(all="ignore"):
        return [node for node in short if node.op.is_plain is None or np.all(_holds(np, node, values))]


def _has_extremes(program: Loaded, found: Sequence[Node]) -> bool:
    """Whether some number of the program has a cube that floats do not hold, or that is 0."""
    initial = [program.graph.initial.get(x) for x in cone(found) if x.op.name == "leaf"]
    nodes = cone([*found, *[x for x in initial if isinstance(x, Node)]])
    largest = 1e13 if any([x.dtype == "float32" for x in nodes]) else 1e103
    numbers = [x.attrs["value"] for x in nodes if x.op.name == "literal"]
    for x in nodes:
        if x.op.name == "array" and isinstance(x.attrs["values"], tuple):
            numbers += x.attrs["values"]
    for value in initial:
        if value is not None and not isinstance(value, Node):
            numbers += value.ravel()[:MOST_NUMBERS].tolist()
    return any([isinstance(v, float) and (0 < abs(v) < 1 / largest or largest < abs(v) < math.inf) for v in numbers])


def _holds(xp: Any, node: Node, values: Mapping[Node, Any]) -> Any:
    assert node.op.is_plain is not None
    return node.op.is_plain(xp, *[values[x] for x in node.inputs], **node.attrs)


def _holds_derivatives(program: Loaded, found: Sequence[Node]) -> bool:
    """Whether some node has been derived: what only repeats the program stays as it is written."""
    derived = {*program.graph.derivation.nodes.values()}
    return any([x in derived for x in cone(found)])


def _is_everywhere(ys: Sequence[Node]) -> bool:
    """Whether all operations take all real numbers: x/x and log(x) do not."""
    return not any([_has_a_domain(x) for x in cone(ys)])


def _has_a_domain(node: Node) -> bool:
    """Whether there are points where a function has no value or a corner; a natural power has none."""
    if node.op.degree == "power":
        return node.op.is_singular(node)
    return node.op.domain != EVERYWHERE or node.op.corner is not None


def _connected(
    asked: Question, found: Sequence[Node], texts: Sequence[Node], written: Written, program: Loaded
) -> list[Node]:
    """The formulas with a zero for each variable that only simplification has disconnected.

    A number that is left where terms of functions that take all real numbers have cancelled is left out of this.
    """
    xs = list(dict.fromkeys([*(program.graph.leaves[name] for name in program.variables), *asked.xs]))
    new = [written.names.get(x, x) for x in xs]
    result: list[Node] = []
    before = written.targets[: len(found)] if _is_everywhere(asked.ys) else texts
    ways = zip(connections(found, xs), connections(before, new), connections(texts, new), strict=True)
    for g, text, (first, then, last) in zip(found, texts, ways, strict=True):
        # A gradient that is x itself needs no zero; neither does an x that a stop has cut off.
        for k in ones(first & ~last & (-1 if text.shape else ~then)):
            if xs[k].dtype != "bool" and (orders := degree.last_order([g], xs[k], asked.stops)) >= 1:
                text = _tied(text, new[k], orders)
        result.append(text)
    return result


def _tied(text: Node, x: Node, orders: float) -> Node:
    """A formula with something in it that is connected with x for so many orders: 0 * x once, x^0 always."""
    if orders == 1:
        return text + _nothing(0 * x, text)
    value = number_of(text)
    if value is not None and not x.shape and x.dtype == text.dtype and value:
        return power(x, 0) if value == 1 else value * power(x, 0)
    return text + _nothing(0 * power(x, 0), text)


def _nothing(zeros: Node, like: Node) -> Node:
    if zeros.shape != like.shape:
        zeros = sum_(zeros, axis=None)
    return broadcasted(cast_to(zeros, like.dtype) if is_float(like.dtype) else zeros, like.shape)


def _declared(program: Loaded, roots: Sequence[Node], xs: Sequence[Node]) -> list[Node]:
    """All variables, and the constants that the formulas or initial values need, in order of declaration."""
    graph = program.graph
    needed = {*(x for x in cone([*roots, *xs]) if x.op.name == "leaf"), *(graph.leaves[v] for v in program.variables)}
    todo = list(needed)
    while todo:
        initial = graph.initial.get(todo.pop())
        inner = [x for x in cone([initial]) if x.op.name == "leaf"] if isinstance(initial, Node) else []
        todo.extend([x for x in inner if x not in needed])
        needed.update(inner)
    return [leaf for leaf in graph.leaves.values() if leaf in needed]
