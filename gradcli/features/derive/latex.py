"""Derivatives as formulas for LaTeX (amsmath): one aligned line for each named part."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

from gradcli.features.derive import latex_words
from gradcli.features.derive.answer import Derived
from gradcli.features.derive.derivatives import Gradient
from gradcli.graph.layout import Layout, Style, laid_out
from gradcli.graph.node import Node, Number, cone
from gradcli.graph.operation import literal
from gradcli.graph.ops.creation import array_of, loop, loop_result, loop_run
from gradcli.graph.ops.elementwise import divide, multiply, neg, power, subtract
from gradcli.graph.ops.words.latex import POWER, PRODUCT
from gradcli.graph.printing import Text
from gradcli.report.quoting import latex_text
from gradcli.rewrite.forms import remade
from gradcli.rewrite.terms import is_nothing, number_of, split

if TYPE_CHECKING:
    from gradcli.features.derive.latex_loops import Loops

WIDEST = 72
"""What fits on a line of a page, with the name before it, in characters to the eye."""


def render(derived: Derived) -> str:
    """An ``align*`` of the named parts and the derivatives; loops are written with indices."""
    known = [(g, g.node) for g in derived.gradients if g.node is not None]
    page = _Page(derived)
    new, names = page.nodes, page.names
    shown = {g.name: symbol_of(derived, g) for g in derived.gradients}
    roots = [new[node] for _, node in known]
    own = {
        root: shown[g.name]
        for root, (g, _) in zip(roots, known, strict=True)
        if root.op.name != "leaf" and len(cone([root])) > FEW
    }
    layout = page.lay_out(roots, {**own, **names}, derived.parts)
    equal = "\\approx" if derived.kind == "taylor" else "="
    rows = page.rows(layout, set(own.values()) if equal != "=" else ())
    for root, (g, _) in zip(roots, known, strict=True):
        named = {**own, **names}.get(root)
        if named != shown[g.name]:
            rows.append(f"{shown[g.name]} &{equal} {named or layout.texts[root].text}")
    rows += [
        rf"{shown[g.name]} &= \text{{None: {latex_text(g.reason.with_line())}}}"
        for g in derived.gradients
        if g.reason is not None
    ]
    return aligned(rows)


FEW = 5
"""Nodes of a result up to which it is written out where another holds it, which is a coincidence: ``3 / sigma^2``."""

PARTS = ("p", "c", "d", "r", "h")
"""Letters of parts of a step."""


class _Page:
    """The nodes of a derivation as they are displayed, their symbols, and its loops."""

    def __init__(self, derived: Derived) -> None:
        symbols = {name: latex_words.symbol(name) for name in derived.named}
        tangents = {name: rf"\mathrm{{d}} {latex_words.symbol(x)}" for x, name in derived.tangents.items()}
        self.style = Formulas(tangents)
        roots = derived.roots
        self.taken = [*[self.style.leaf(x).text for x in derived.leaves], *symbols.values()]
        if "t" in self.taken:  # t_1 is an entry of t
            self.style.part = f"{self._letter()}_{{{{{{}}}}}}"
        if derived.has_loops:
            from gradcli.features.derive import latex_loops
            from gradcli.language.definitions import as_runs

            runs = as_runs(roots)
            self.style.loops = latex_loops.Loops(self.taken, self._in_step, displayed, broken, derived.float_dtype)
            shown = displayed([runs[root] for root in roots])
            self.nodes = {root: shown[runs[root]] for root in roots}
        else:
            self.nodes = displayed(roots)
        self.names = {self.nodes[node]: symbols[name] for name, node in derived.named.items()}

    def lay_out(self, roots: Sequence[Node], names: Mapping[Node, str], most: int | None = None) -> Layout:
        runs = {node: f"run {k}" for k, node in enumerate(cone(roots)) if node.op is loop_run}
        return laid_out(roots, {**names, **runs}, self.style, self.taken, most=most)

    def _letter(self) -> str:
        return next((c for c in PARTS if not any(x == c or x.startswith(f"{c}_") for x in self.taken)), "p")

    def _in_step(self, roots: Sequence[Node], step: str) -> Layout:
        """The parts of a step have its index."""
        outer, self.style.part = self.style.part, f"{self._letter()}_{{{{{{}}, {step}}}}}"
        try:
            return self.lay_out(roots, {})
        finally:
            self.style.part = outer

    def rows(self, layout: Layout, approximate: Container[str] = ()) -> list[str]:
        rows: list[str] = []
        for line in layout.lines:
            if self.style.loops is not None and line.node in self.style.loops.rows:
                rows += self.style.loops.rows[line.node]
            elif line.node.op.name != "leaf":
                row = broken(line.name, line.text.text)
                rows.append(row.replace("&=", r"&\approx", 1) if line.name in approximate else row)
        return rows


def aligned(rows: Sequence[str]) -> str:
    """Rows, each with an & where they are to line up, as an ``align*`` environment."""
    return "\\begin{align*}\n" + " \\\\\n".join(f"  {row}" for row in rows) + "\n\\end{align*}\n"


def symbol_of(derived: Derived, g: Gradient) -> str:
    r"""\frac{\partial y}{\partial x}, with d in place of ∂ for a scalar of one variable; the left side of each equation."""
    of = [latex_words.symbol(name) for name in g.of]
    y = " + ".join(of)
    if derived.kind == "jvp":
        return rf"\mathrm{{d}} {y}"
    if derived.kind == "taylor":
        moved = [latex_words.symbol(x) for x in derived.tangents]
        arguments = ", ".join(rf"{x} + \mathrm{{d}} {x}" for x in moved)
        return rf"{y}\left({arguments}\right)"
    if not g.wrt:
        return latex_words.symbol(g.x)
    variables = [leaf for leaf in derived.leaves if leaf.attrs["kind"] == "variable"]
    each = (
        len(derived.gradients) > 1
        if derived.first == derived.order
        else len({one.x for one in derived.gradients if one.wrt}) > 1
    )
    d = r"\partial" if len(variables) > 1 or each else r"\mathrm{d}"
    if len(of) > 1:
        y = rf"\left({y}\right)"
    elif derived.summed:
        y = rf"\textstyle\sum {y}"
    n = len(g.wrt)
    above = f"{d}^{{{n}}}" if n > 1 else d
    below = r" \, ".join(f"{d} {latex_words.symbol(x)}" for x in g.wrt)
    if n > 1 and len(set(g.wrt)) == 1:
        below = f"{d} {latex_words.symbol(g.x)}^{{{n}}}"
    return rf"\frac{{{above} {y}}}{{{below}}}"


LARGEST_DENOMINATOR = 1000
"""Up to which 0.5 / x is written as 1 / (2 x)."""


class Formulas(Style):
    """How LaTeX writes operations and numbers."""

    part = "t_{{{}}}"

    def __init__(self, tangents: Mapping[str, str] | None = None) -> None:
        super().__init__(short=14)
        self.tangents = tangents or {}
        self.loops: Loops | None = None

    def leaf(self, node: Node) -> Text:
        name = str(node.attrs["name"])
        if name in self.tangents:
            return Text(self.tangents[name], POWER)
        return Text(name if node.attrs["kind"] == "step" else latex_words.symbol(name))

    def length(self, text: str) -> int:
        return visible(text)

    def apply(self, node: Node, operands: Sequence[Text]) -> Text:
        if node.op.name == "literal":
            return latex_words.number(node.attrs["value"])
        if node.op.name == "array":
            return Text(latex_words.matrix(array_of(node)))
        if self.loops is not None and node.op is loop_run:
            return self.loops.run(node, operands)
        if self.loops is not None and node.op is loop_result:
            return self.loops.result(node)
        if node.op is loop:  # only the steps of a derivation show it
            given = ", ".join([x.text for x in operands])
            return Text(rf"\operatorname{{loop}}_{{{node.attrs['body'].count}}}\left({given}\right)")
        text = latex_words.apply(node, operands)
        if node.op.name == "divide" and text.text.startswith((r"\frac{\frac{\partial", r"\frac{-\frac{\partial")):
            above, below = operands
            return Text(
                rf"{'-' * above.text.startswith('-')}\frac{{1}}{{{below.text}}} {above.text.removeprefix('-')}", PRODUCT
            )
        return text

    def literal(self, literal: Node, user: Node, position: int) -> Text | None:
        return latex_words.number(literal.attrs["value"])


def visible(text: str) -> int:
    """About how many characters are seen: a command is one, a fraction as wide as its wider half."""
    text = re.sub(r"\\(left|right|begin\{\w+\}|end\{\w+\}|operatorname|mathrm|mathbf|text(style)?|,)", "", text)
    text = re.sub(r"\\(odot|cdot) ?| [+-] ", "xxx", text)  # with the space around them
    return len(re.sub(r"[{}^_ &]", "", re.sub(r"\\[A-Za-z]+", "x", text)))


def broken(name: str, text: str) -> str:
    """``name &= text``, with line breaks before outer plus and minus signs where it is too long."""
    room = WIDEST - min(visible(name), WIDEST // 2)
    if visible(text) <= room:
        return f"{name} &= {text}"
    lines: list[str] = []
    current = ""
    for term in _terms(text):
        if current and visible(current + term) > room:
            lines.append(current)
            current = term
        else:
            current += term
    return f"{name} &= " + " \\\\\n  &\\quad ".join(line.strip() for line in [*lines, current])


def _terms(text: str) -> list[str]:
    """Pieces that begin with a plus or minus sign outside of all brackets."""
    pieces = [""]
    depth = 0
    for token in re.split(r"(\\left\W|\\right\W|\\begin\{\w+\}|\\end\{\w+\}|[{}]| [+-] )", text):
        if token == "{" or token.startswith((r"\left", r"\begin")):
            depth += 1
        elif token == "}" or token.startswith((r"\right", r"\end")):
            depth -= 1
        if token in (" + ", " - ") and depth == 0:
            pieces.append(token)
        else:
            pieces[-1] += token
    return pieces


def displayed(roots: Sequence[Node]) -> dict[Node, Node]:
    """The nodes as they are shown: quotients of quotients as one fraction, zeros that only connect left out.

    Values may differ in rounding, and where powers overflow: this is for the eye.
    """
    new = {root: root for root in roots}
    for rule in (_shown, _upright):
        changed: dict[Node, Node] = {}
        kept: set[Node] = set()
        wanted = set(new.values())
        for node in cone(wanted):
            changed[node] = rule(remade(node, changed), kept)
            if node in wanted:
                kept.add(changed[node])
        new = {root: changed[node] for root, node in new.items()}
    return new


def _shown(node: Node, kept: Container[Node]) -> Node:
    name = node.op.name
    if name in ("divide", "divide_no_nan"):
        return _fraction(node, kept)
    if name in ("recip", "recip_no_nan"):
        return divide(1, node.inputs[0])
    if name == "multiply":
        return _product(node, kept)
    if name == "square":
        return power(node.inputs[0], 2)
    if name == "add" and number_of(node.inputs[0]) is None:
        a, b = node.inputs
        if is_nothing(b) and a.shape == node.shape:
            return a
        if b.op.name == "neg" and b not in kept:
            return subtract(a, b.inputs[0])
    return node


def _upright(node: Node, kept: Container[Node]) -> Node:
    """1 / (a / b) as b / a."""
    below = _reciprocal_of(node)
    if below is None or below.op.name != "divide" or below in kept or below.shape != node.shape:
        return node
    return divide(*below.inputs[::-1])


def _product(node: Node, kept: Container[Node]) -> Node:
    """A factor that is 1 / b goes below; one that is there already gets a higher power."""
    a, b = node.inputs
    below = None if b in kept else _reciprocal_of(b)
    if below is not None:
        return _fraction(divide(a, below), kept)
    n = _exponent(a, b, kept)
    if n:
        return power(b, n + 1)
    if a.op.name == "multiply" and a not in kept and b.shape == node.shape:
        first, last = a.inputs
        n = _exponent(last, b, kept)
        return multiply(first, power(b, n + 1)) if n else node
    return node


def _exponent(x: Node, base: Node, kept: Container[Node]) -> Number:
    """n where x is shown as a natural power of a base; 0 where it is not one."""
    if x is base:
        return 1
    n = number_of(x.inputs[1]) if x.op.name == "pow" and x not in kept and x.inputs[0] is base else None
    return n if n is not None and n >= 2 and float(n).is_integer() and x.shape == base.shape else 0


def _reciprocal_of(x: Node) -> Node | None:
    """y where x is 1 / y."""
    return x.inputs[1] if x.op.name in ("divide", "divide_no_nan") and number_of(x.inputs[0]) == 1 else None


def _fraction(node: Node, kept: Container[Node]) -> Node:
    """The sign in front, one line of fraction."""
    a, b = node.inputs
    if a in kept:
        return node
    (c, x), value = split(a), number_of(a)
    sign = c == -1 or (value is not None and value < 0)
    if sign:
        a = x if value is None else literal(-value, a.dtype)
    if a.op.name == "divide" and a.shape == node.shape and a not in kept:
        a, below = a.inputs
        b = power(b, 2) if below is b else multiply(below, b)
    whole = 1 / abs(value) if value else 0
    if 1 < whole <= LARGEST_DENOMINATOR and whole == int(whole):
        a, b = literal(1, a.dtype), multiply(literal(whole, a.dtype), b)
    if (
        value is None
        and 0 < abs(c) < 1
        and not sign
        and (n := round(1 / abs(c))) * abs(c) == 1
        and n <= LARGEST_DENOMINATOR
    ):
        below = multiply(literal(n, a.dtype), b)
        return divide(x, below) if c > 0 else neg(divide(x, below))
    if (a, b) == node.inputs:
        return node
    return neg(divide(a, b)) if sign else divide(a, b)
