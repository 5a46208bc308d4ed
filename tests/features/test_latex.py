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
    "prod", "max", "min", "log", "sin", "cos", "tan", "sinh", "cosh", "tau", "tanh", "arcsin", "arccos", "arctan", "det", "odot", "exp", "approx", "pi",
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
    assert own - WRITTEN_ELSEWHERE == WORDS.keys(), "an operation wants its word in graph/ops/words/latex.py"


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


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_samples(sample: Path, order: int) -> None:
    check(latex.render(derive(gradcli.load(sample), order=order, **question(sample))))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs(text: str) -> None:
    check(latex.render(derive(gradcli.loads(text))))


@pytest.mark.parametrize(
    ("program", "rows"),
    [
        ("variable x = 2.0; y = 2^x", [r"\frac{\mathrm{d} y}{\mathrm{d} x} &= 2^{x} \log\left(2\right)"]),
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
        (
            "variable x = 2.0; z = [x, x^2, 3, 4, 5, 6, 7, 8, 9, x, 1, x^12]; y = norm(z)",
            [r"8 & 9 & x & 1 & x^{12} \end{bmatrix}"],
        ),
        ("variable x = 1.0; y = floor(x)", [r"\text{None: passes through floor on line 1, which has no derivative}"]),
    ],
)
def test_formulas(program: str, rows: list[str]) -> None:
    text = latex.render(derive(gradcli.loads(program)))
    for row in rows:
        assert row in text, text


def test_a_matrix_of_formulas_is_one_matrix() -> None:
    text = latex.render(derive(gradcli.loads("variable t = [1.0, 2.0]; y = t[0]^2*t[1]"), kind="hessian"))
    assert r"\begin{bmatrix} 2 t_{1} & 2 t_{0} \\ 2 t_{0} & 0 \end{bmatrix}" in text
    text = latex.render(derive(gradcli.loads("variable x = [1.0, 2.0]; y = stack([x, x^2], axis=1)"), order=0))
    assert r"\begin{bmatrix} x^{\top} & \left(x^{2}\right)^{\top} \end{bmatrix}" in text


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("program", "asked", "row"),
    [
        ("variable x = 1.0; variable t = 2.0; y = x^2*t^3", {"hessian": True}, r"\frac{\partial^{2} y}{\partial x \, \partial t} &="),
        ("variable x = 1.0; variable t = 2.0; y = x^2*t^3", {"hessian": True}, r"\frac{\partial^{2} y}{\partial x^{2}} &="),
        ("variable x = 1.0; y = [x, x^2]", {"jacobian": True}, r"\frac{\mathrm{d} y}{\mathrm{d} x} &="),
        ("variable x = 1.0; y = x^2", {"jvp": True}, r"\mathrm{d} y &= 2 x \, \mathrm{d} x"),
        ("variable x = 1.0; y = x^2", {"taylor": 1}, r"y\left(x + \mathrm{d} x\right) &\approx"),
        ("variable x = 1.0; y = x^3", {"order": 2}, r"\frac{\mathrm{d}^{2} y}{\mathrm{d} x^{2}} &= 6 x"),
        ("variable x = 1.0; y = exp(x)", {"order": 0}, r"y &= e^{x}"),
        ("variable x = 1.0; y = exp(x^2/(1 + x))", {"order": 0}, r"y &= \exp\left(\frac{x^{2}}{1 + x}\right)"),
        ("variable A = [[1.0, 2.0], [3.0, 4.0]]; y = A[1, 0] + sum(A[:, 1])", {"order": 0}, r"y &= A_{1, 0} + \sum\left(A_{:, 1}\right)"),
        ("variable x_1 = [1.0, 2.0]; y = x_1[1]", {"order": 0}, r"y &= x_{1}\left[1\right]"),
        ("variable x = 1.0; y = x*sqrt(2*pi) + pi/2", {"order": 0}, r"\sqrt{2 \pi} + \frac{\pi}{2}"),
        ("variable x = 1.0; variable t = 1.0; y = 0.5*sin(x)/t", {"order": 0}, r"y &= \frac{\sin\left(x\right)}{2 t}"),
        ("variable t_1 = 3.0; y = sin(t_1)*cosh(t_1); z = y^2 + sqrt(y)", {"of": ["z"]}, r"t_{1}"),
    ],
)  # fmt: skip
def test_a_paper_has_it_so(program: str, asked: dict[str, Any], row: str) -> None:
    text = gradcli.loads(program).derive(format="latex", **asked)
    check(text)
    assert row in text, text


def test_parts_have_names_that_the_program_has_not() -> None:
    text = gradcli.loads("variable t_1 = 3.0; y = sin(t_1^3)*exp(t_1^3)*(1 + t_1^3)^2").derive(format="latex")
    assert r"t_{1} &=" not in text


LOOPS = [
    ("variable a = 3.1; variable x = 0.4; def f(x) = a*x*(1 - x)\ny = iterate(f, x, 1000)", [
        r"s_{0} &= x", r"s_{t+1} &= s_{t} a \left(1 - s_{t}\right), \quad t = 0, \dots, 999", r"u_{1000} &= 1",
        r"\quad t = 999, \dots, 0", r"\frac{\partial y}{\partial x} &= u_{0}",
    ]),
    ("variable v0 = 1.0; variable t = 2.0; def f(v, e) = v + sin(e*t)\ny = sum(scan(f, linspace(0.0, 1.0, 500), v0)^2)", [
        r"k = 0, \dots, 499", r"_{k+1} &=", r"\left(x_{1}, \dots, x_{500}\right)",
    ]),
    ("variable a = 0.9; variable x = [1.0, 2.0]; def g(s) = a*sin(s)\ndef f(s) = a*iterate(g, s, 300)\ny = sum(iterate(f, x, 400))", [
        r"k = 0, \dots, 299", r"t = 0, \dots, 399", r"\sin\left(",
    ]),
    ("variable a = 2.0; def near(y) = abs(y^2 - a) < 0.1\ndef f(y) = (y + a/y)/2\ny = iterate(f, 1.0, 1000, until=near)", [r"t = 0, \dots, 999"]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("program", "rows"), LOOPS)
def test_loops_have_indices(program: str, rows: list[str]) -> None:
    text = gradcli.loads(program).derive(format="latex")
    check(text)
    assert "v_{0} &= v_{0}" not in text
    for row in rows:
        assert row in text, text
    symbols = [row.strip().partition(" &")[0] for row in text.splitlines() if "&=" in row]
    assert len(symbols) == len(set(symbols)), text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["garch", "lstm", "nile", "sir", "orbit", "double_pendulum"])
def test_samples_of_loops(name: str) -> None:
    """However long they are, they fit on a page or two."""
    program = gradcli.load(SAMPLES[0].parent / "loops" / f"{name}.expr")
    text = program.derive(format="latex")
    check(text)
    assert text.count("\n") < 400
