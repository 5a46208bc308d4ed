"""Which of the formulas that mean the same is printed: the shortest with the same values at the numbers of the program.

Short forms are those of ordinary numbers (:mod:`gradcli.rewrite.shortest`). Where a result is NaN, infinite or loses
digits in one form and not in the other at the numbers of the program, its formula stays as rules have made it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import isfinite, isnan
from typing import Any

from gradcli.autodiff import reverse
from gradcli.diagnostics import GradcliError
from gradcli.graph.layout import laid_out
from gradcli.graph.node import Derivation, Node, cone
from gradcli.graph.ops.elementwise import power, recip, rsqrt
from gradcli.graph.types import is_float, size_of
from gradcli.language.printer import ProgramStyle
from gradcli.program.loaded import Loaded
from gradcli.rewrite.engine import Engine, Rules
from gradcli.rewrite.shortest import ASKED, Form, Shortest
from gradcli.tuples import NamedTuple

MOST_NODES, MOST_ENTRIES = 2000, 100_000
"""Operations of formulas, and entries of their largest array, up to which shorter ones are looked for."""

SMALL = 16
"""Entries of an array up to which slopes are compared where one is 0."""

FEW = 200
"""Nodes of formulas up to which they are also written without names of the program."""

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
"""How far apart two forms may be, for results of about 1."""


def _guarded_slope(node: Node) -> Node | None:
    return power(rsqrt(node.inputs[0]), 2) if node.attrs.get("positive") else None


GUARDED: Rules = {recip.name: [("recip(x, positive=true) -> rsqrt(x)^2", _guarded_slope)]}
"""The slope of a logarithm, which is NaN for negative numbers, in words that people know."""


class Chosen(NamedTuple):
    """Formulas, the nodes in them that have names, and how long they are: the formulas, and all lines."""

    texts: list[Node]
    named: dict[str, Node]
    formulas: int = 0
    lines: int = 0


def chosen(
    program: Loaded,
    found: Sequence[Node],
    guarded: Chosen,
    ordinary: Chosen,
    fixed: Collection[str],
    ys: Collection[str],
    stops: Sequence[Node],
    entries: bool | None,
    form: Form = "shortest",
) -> Chosen:
    """The formulas to print for the derivatives ``found``, which rules have written ``guarded`` and for ``ordinary`` numbers.

    Names that are ``fixed`` are kept; those of the ``ys`` where that makes the program shorter, the others unless the
    formulas without them are shorter; of another ``form`` none but those that are fixed. Small arrays are written by their ``entries`` where that is shorter, or as asked.
    """
    dtype = program.graph.float_dtype
    nodes = cone(found)
    if len(nodes) > MOST_NODES or any([size_of(x.shape) > MOST_ENTRIES for x in nodes]):
        return _in_words(guarded, dtype)
    style = ProgramStyle(dtype, {*program.graph.names}, short=12)
    if form in ASKED:
        kept = {name: x for name, x in ordinary.named.items() if name in fixed}
        best = ordinary = _shortest(ordinary.texts, kept, style, form)
    else:
        best = _with_fewer_names(ordinary, fixed, ys, style, form)
    shared = _with_parts(ordinary, style)
    if shared is not None and shared < (_with_parts(best, style) or best.lines):
        best = ordinary
    if entries is not False and any([x.shape for x in found]):
        from gradcli.features.derive.brackets import in_brackets

        names = {node: name for name, node in best.named.items()}
        best = best._replace(texts=in_brackets(best.texts, names, style, entries, form))
    return _with_used_names(best, fixed) if _agree(program, found, best, stops) else _in_words(guarded, dtype)


def _in_words(some: Chosen, dtype: str) -> Chosen:
    """What rules have made, with slopes of logarithms in words that people know."""
    if not any([node.op is recip and node.attrs.get("positive") for node in cone(some.texts)]):
        return some
    engine = Engine(GUARDED, Derivation(dtype))
    engine.done.update({x: x for x in cone(some.named.values())})
    engine.rewrite(cone(some.texts))
    return Chosen([engine.done[x] for x in some.texts], some.named)


def _shortest(texts: Sequence[Node], named: dict[str, Node], style: ProgramStyle, form: Form) -> Chosen:
    names = {node: name for name, node in named.items()}
    shortest = Shortest(style, names, Derivation(style.float_dtype), form)
    new = shortest.formulas(texts)
    formulas = sum([shortest.length(x) for x in new])
    used = [x for x in cone(new) if x in names]
    lines = formulas + sum([shortest.own_length(x) + len(names[x]) + 1 for x in used])
    return Chosen(new, named, formulas, lines)


def _with_fewer_names(
    ordinary: Chosen, fixed: Collection[str], ys: Collection[str], style: ProgramStyle, form: Form
) -> Chosen:
    """The shortest formulas: with all names, without those of the ys, or with those only that are fixed."""
    best = _shortest(ordinary.texts, ordinary.named, style, form)
    if len(cone(ordinary.texts)) > FEW:
        return best
    without_ys = {name: x for name, x in ordinary.named.items() if name in fixed or name not in ys}
    if len(without_ys) < len(ordinary.named):
        other = _shortest(ordinary.texts, without_ys, style, form)
        best = other if other.lines < best.lines else best
    without = {name: x for name, x in ordinary.named.items() if name in fixed}
    if len(without) < len(without_ys):
        other = _shortest(ordinary.texts, without, style, form)
        best = other if other.formulas < best.formulas else best
    return best


def _with_used_names(some: Chosen, fixed: Collection[str]) -> Chosen:
    used = {*cone(some.texts)}
    return Chosen(some.texts, {name: x for name, x in some.named.items() if x in used or name in fixed})


def _with_parts(some: Chosen, style: ProgramStyle) -> int | None:
    """The visible characters of all lines, where parts that are used more than once have lines of their own."""
    names = {node: name for name, node in some.named.items()}
    layout = laid_out(some.texts, names, style)
    lines = [line for line in layout.lines if line.node.op.name != "leaf"]
    if all([line.node in names for line in lines]):
        return None
    texts = [
        *[line.name + line.text.text for line in lines],
        *[layout.texts[x].text for x in some.texts if x in layout.texts],
    ]
    return sum([len(text.replace(" ", "")) for text in texts])


def _agree(program: Loaded, found: Sequence[Node], best: Chosen, stops: Sequence[Node]) -> bool:
    """Whether formulas have the same values as the derivatives at the numbers of the program.

    Where a number is 0 or not finite, their slopes have them, too.
    """
    nodes = [*found, *best.texts]
    leaves = [x for x in cone(nodes) if x.op.name == "leaf"]
    if any([x not in program.graph.initial for x in leaves]) or program.without_value(nodes):
        return True
    leaves = [x for x in leaves if is_float(x.dtype)]
    numbers = _values(program, [*nodes, *leaves])
    if numbers is None:
        return True
    n = len(found)
    if not all([_close(a, b, g.dtype) for g, a, b in zip(found, numbers[:n], numbers[n : 2 * n], strict=True)]):
        return False
    rows = [*numbers[:n], *numbers[2 * n :]]
    is_regular = all([isfinite(v) and (v or len(row) > SMALL) for row in rows for v in row])
    return is_regular or _slopes_agree(program, found, best.texts, leaves, stops)


def _slopes_agree(
    program: Loaded, found: Sequence[Node], texts: Sequence[Node], leaves: Sequence[Node], stops: Sequence[Node]
) -> bool:
    """Whether formulas have the slopes of the derivatives, as far as both have some."""
    pairs: list[tuple[Node, Node]] = []
    with Derivation(program.graph.float_dtype).active():
        for g, text in zip(found, texts, strict=True):
            slopes = [reverse.gradients([y], leaves, None, stops) for y in (g, text)]
            pairs += [(a, b) for a, b in zip(*slopes, strict=True) if a is not None and b is not None]
        values = _values(program, [x for pair in pairs for x in pair]) or []
    return all([_close(a, b, x.dtype) for (x, _), a, b in zip(pairs, values[::2], values[1::2], strict=False)])


def _values(program: Loaded, nodes: Sequence[Node]) -> list[list[float]] | None:
    """The entries of the values of nodes; None where the program cannot be evaluated."""
    try:
        return [list(_numbers(v)) for v in program.evaluate(nodes, plain=True)]
    except GradcliError:
        return None


def _numbers(value: Any) -> Iterator[float]:
    """The entries of an array, or a number."""
    return iter([value] if isinstance(value, (bool, int, float)) else value.ravel().tolist())


def _close(a: Sequence[float], b: Sequence[float], dtype: str) -> bool:
    """Whether numbers are equal up to rounding, NaN and infinities included."""
    tolerance = TOLERANCE.get(dtype, 0.0)
    scale = max([1.0, *[abs(x) for x in a if isfinite(x)]])
    return len(a) == len(b) and all(
        [
            x == y or (isnan(x) and isnan(y)) or (isfinite(x) and isfinite(y) and abs(x - y) <= tolerance * scale)
            for x, y in zip(a, b, strict=True)
        ]
    )
