"""A derivation rule by rule, as text or for LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable

from gradcli.features.derive import formulas, latex, latex_words
from gradcli.features.derive.steps import Step, WorkedDerivation
from gradcli.graph.describe import describe_derivative
from gradcli.graph.layout import Style, in_one_piece
from gradcli.graph.node import Node
from gradcli.graph.operation import Elementwise
from gradcli.language.printer import ProgramStyle
from gradcli.report.quoting import latex_text, visible


def render(found: WorkedDerivation, folder: str | None = None) -> str:
    """Plain text: each operation with its rule, below it what its inputs get; then what that adds up to."""
    y = found.derived.of[0] if len(found.derived.of) == 1 else ""
    style = ProgramStyle(found.derived.float_dtype, (), short=0)
    view = _View(found, style, str, lambda x: f"d{y}/d{x}")
    lines = [f"{view.slope(head)} = {view.text(start)}" for head, start in found.heads]
    for step in found.steps:
        rule = rule_of(step)
        lines += ["", f"{view.name(step.node)} = {view.own(step.node)}", f"    {step.node.op.name}: {rule}"]
        lines += [f"    {view.slope(x)} gets {view.received(g, step.node)}" for x, g in step.gets]
    lines.append("")
    for x, terms in found.sums:
        lines.append(
            f"{view.slope(x)} = {view.added(terms)}" + (f"    ({len(terms)} contributions)" if len(terms) > 1 else "")
        )
    lines += [
        f"d{y}/d{g.x} = None: {visible(g.reason.with_line())}" for g in found.derived.gradients if g.reason is not None
    ]
    return (
        "\n".join([*lines, "", "simplified:", *(f"    {line}" for line in formulas.definitions(found.derived, folder))])
        + "\n"
    )


def render_latex(found: WorkedDerivation) -> str:
    """The same as aligned formulas."""
    y = latex_words.symbol(found.derived.of[0]) if len(found.derived.of) == 1 else ""
    view = _View(found, latex.Formulas(), latex_words.symbol, lambda x: rf"\frac{{\partial {y}}}{{\partial {x}}}")
    rows = [f"{view.slope(head)} &= {view.text(start)}" for head, start in found.heads]
    for step in found.steps:
        word = rf"\text{{{latex_text(step.node.op.name)}: {latex_text(rule_of(step))}}}"
        rows += [rf"{view.name(step.node)} &= {view.own(step.node)}", rf"&\qquad {word}"]
        rows += [rf"{view.slope(x)} &\mathrel{{+}}= {view.received(g, step.node)}" for x, g in step.gets]
    rows += [f"{view.slope(x)} &= {view.added(terms)}" for x, terms in found.sums]
    return latex.aligned(rows) + latex.render(found.derived)


def rule_of(step: Step) -> str:
    """The rule of an operation, from the table; of partial derivatives those by the inputs that get something."""
    op = step.node.op
    text = describe_derivative(op, step.node)
    if not isinstance(op.rule, Elementwise):
        return text
    parts = re.split(r", (?=d/d\w+ = )", text)
    given = [x for x, _ in step.gets]
    wanted = {p.name for p, x in zip(op.parameters, step.node.inputs, strict=False) if x in given}
    kept = [part for part in parts if part[3:].partition(" ")[0] in wanted]
    return ", ".join(kept) or text


class _View:
    """Names and expressions in one format."""

    def __init__(
        self, found: WorkedDerivation, style: Style, symbol: Callable[[str], str], slope: Callable[[str], str]
    ) -> None:
        self.style = style
        self.values = {node: symbol(name) for node, name in found.named.items()}
        self.cotangents = found.cotangents
        self._slope = slope
        slopes = {g: slope(self.values[x]) for g, x in found.cotangents.items()}
        self.names = {**slopes, **self.values}

    def name(self, node: Node) -> str:
        return self.values[node]

    def slope(self, node: Node) -> str:
        return self._slope(self.values[node])

    def text(self, node: Node) -> str:
        return self.names.get(node) or self.own(node)

    def own(self, node: Node) -> str:
        """What the node is computed by, in names; of a cotangent that only stands for another, that one."""
        if node in self.cotangents and node.op.name == "identity":
            return self.text(node.inputs[0])
        return in_one_piece(node, self.names, self.style)

    def received(self, g: Node, source: Node) -> str:
        """A contribution; where it is all that its source has received, the name of that."""
        return self.text(g) if self.cotangents.get(g) is source or g in self.values else self.own(g)

    def added(self, terms: list[Node]) -> str:
        """The sum of contributions; a difference where one is negative."""
        text = ""
        for term in terms:
            shown = self.own(term) if term not in self.values else self.values[term]
            text += shown if not text else f" - {shown[1:]}" if shown.startswith("-") else f" + {shown}"
        return text
