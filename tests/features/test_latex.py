"""Derivatives in LaTeX: complete, parsed without tolerance, made of commands that amsmath has, and short enough for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexEnvironmentNode,
    LatexGroupNode,
    LatexMacroNode,
    LatexWalker,
    LatexWalkerParseError,
)

import gradcli
from gradcli.features.derive import latex
from gradcli.features.derive.answer import derive
from gradcli.features.derive.latex_words import GREEK
from gradcli.graph.ops import table
from gradcli.graph.ops.words.latex import WORDS, WRITTEN_ELSEWHERE
from tests.features.test_derived import SAMPLES, question
from tests.graph.examples import examples
from tests.random_programs import programs

KNOWN = GREEK | {
    "frac", "sqrt", "left", "right", "partial", "mathrm", "mathbf", "mathcal", "operatorname", "text", "textstyle", "sum",
    "prod", "max", "min", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "det", "odot",
    "cdot", "times", "top", "infty", "lVert", "rVert", "lvert", "rvert", "lfloor", "rfloor", "lceil", "rceil", "le", "ge",
    "ne", "land", "lor", "lnot", "bigvee", "bigwedge", "dots", "mathbin", "mathrel", "quad", "qquad", "\\", ",", "_", "{", "}", "#", "$", "%", "&",
    "textbackslash", "textasciicircum", "textasciitilde",
}  # fmt: skip


def nodes_of(nodes: Any) -> Iterator[Any]:
    for node in nodes or []:
        if node is None:
            continue
        yield node
        if isinstance(node, (LatexGroupNode, LatexEnvironmentNode)):
            yield from nodes_of(node.nodelist)
        if isinstance(node, LatexMacroNode) and node.nodeargd is not None:
            yield from nodes_of(node.nodeargd.argnlist)


def check(text: str) -> None:
    walker = LatexWalker(text, tolerant_parsing=False)
    (document, rest) = walker.get_latex_nodes()[0]
    assert isinstance(document, LatexEnvironmentNode)
    assert document.environmentname == "align*"
    assert isinstance(rest, LatexCharsNode)
    for node in nodes_of([document]):
        if isinstance(node, LatexMacroNode):
            assert node.macroname in KNOWN, node.macroname
        if isinstance(node, LatexEnvironmentNode):
            assert node.environmentname in ("align*", "cases", "bmatrix")
    assert text.count(r"\left") - text.count(r"\leftarrow") == text.count(r"\right")
    assert not any(word in text for word in ("<0", "<1", "<all"))
    for row in text.split(r"\\" + "\n"):
        assert row.count("&") - row.count(r"\&") >= 1


@pytest.mark.parametrize("wrong", [r"\begin{align*} {x \end{align*}", r"\begin{align*} x", r"\frac{1}{2"])
def test_the_check_sees_what_is_wrong(wrong: str) -> None:
    with pytest.raises((LatexWalkerParseError, AssertionError, ValueError)):
        check(wrong)


def test_every_operation_with_a_kernel_has_a_word() -> None:
    own = {op.name for op in table.values() if op.kernel is not None and op.written is None}
    assert own - WRITTEN_ELSEWHERE == WORDS.keys()


ALIKE = [
    {"identity", "cast", "custom_gradient"}, {"link", "zero", "zeros", "zeros_like"}, {"ones", "ones_like"}, {"divide", "divide_no_nan"}, {"recip", "recip_no_nan"},
    {"diagonal", "embed_diagonal", "expand_delta", "collect_delta"}, {"arange", "linspace"}, {"stack", "concat"},
]  # fmt: skip
"""Operations that people write in one way."""


def test_operations_are_told_apart() -> None:
    found: dict[str, set[str]] = {}
    for name, word in WORDS.items():
        nodes = [e.node for e in examples()[name]]
        node = next(n for n in nodes if all(isinstance(item, tuple) for item in n.attrs.get("items", ())))
        found.setdefault(word if isinstance(word, str) else word(node), set()).add(name)
    assert [some for some in found.values() if len(some) > 1 and not any(some <= alike for alike in ALIKE)] == []


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_samples(sample: Path, order: int) -> None:
    check(latex.render(derive(gradcli.load(sample), order=order, **question(sample))))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs(text: str) -> None:
    check(latex.render(derive(gradcli.loads(text))))


@pytest.mark.parametrize(
    ("program", "rows"),
    [
        ("variable x = 2.0; y = 2^x", [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= y \log\left(2\right)"]),
        ("variable x = 2.0; y = x^3", [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= 3 x^{2}"]),
        ("variable x = 2.0; y = log(x)", [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= \frac{1}{x}"]),
        ("variable x = 2.0; y = 1/x", [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= -\frac{1}{x^{2}}"]),
        ("variable x = 2.0; y = tan(x)", [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= 1 + \tan^{2}\left(x\right)"]),
        (
            "variable x = [1.0, 2.0]; y = norm(x)",
            [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= \frac{x}{\left\lVert x \right\rVert}"],
        ),
        (
            "variable x = 2.0; constant a = 3.0; constant b = 2.0; y = x/(a/b)",
            [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= \frac{b}{a}"],
        ),
        ("variable x = 2.0; y = 3*x*x*x", [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= 9 x^{2}"]),
        ("variable x = 2.0; variable v = 3.0; y = x*v*v*v*v", [r"\frac{\partial y}{\partial x} &= v^{4}"]),
        (
            "variable X = [[1.0, 2.0], [3.0, 4.0]]; variable w = [1.0, 2.0]; y = sigmoid(X @ w)",
            [
                r"y &= \sigma\left(X w\right)",
                r"t_{1} &= y \odot \sigma\left(-X w\right)",
                r"\frac{\partial \textstyle\sum y}{\partial X} &= w \odot \operatorname{reshape}_{2 \times 1}\left(t_{1}\right)",
                r"\frac{\partial \textstyle\sum y}{\partial w} &= X^{\top} t_{1}",
            ],
        ),
        (
            "variable W1 = 2.0; variable sigma = 3.0; loss_a = norm([W1, sigma])",
            [
                r"\left\lVert \begin{bmatrix} W_{1} & \sigma \end{bmatrix} \right\rVert",
                r"\frac{\partial \mathrm{loss}_{a}}{\partial W_{1}} &= t_{1}\left[0\right]",
            ],
        ),
        ("variable x = 1.0; y = floor(x)", [r"\text{None: passes through floor on line 1, which has no derivative}"]),
    ],
)
def test_formulas(program: str, rows: list[str]) -> None:
    text = latex.render(derive(gradcli.loads(program)))
    for row in rows:
        assert row in text, text


@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs())
def test_what_is_shown_has_the_same_value(text: str) -> None:
    program = gradcli.loads(text)
    for order in (1, 2):
        derived = derive(program, order=order)
        new = latex.displayed(derived.roots)
        for root, shown, value in zip(
            derived.roots,
            program.evaluate([new[root] for root in derived.roots]),
            program.evaluate(derived.roots),
            strict=True,
        ):
            scale = np.abs(value).max(initial=1.0)
            np.testing.assert_allclose(shown, value, rtol=1e-9, atol=1e-9 * scale, err_msg=f"{root} of\n{text}")


def test_long_formulas_are_broken_at_their_signs() -> None:
    sums = "y = where(x > 1, log(x)/s, abs(x)) + maximum(x, 0.3)*norm(x)"
    text = latex.render(derive(gradcli.loads(f"variable x = [0.5, 2.0]; variable s = 1.5; {sums}")))
    check(text)
    rows = [row.partition("&")[2] for row in text.split(r"\\" + "\n")]
    assert max(map(latex.visible, rows)) < 110
    assert r"\\" + "\n  &\\quad" in text
