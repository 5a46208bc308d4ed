"""Derivatives by small arrays: by their entries where that is shorter, as matrices where those are, and as it is asked.

``TEXTBOOK`` holds for programs of vectors and matrices the form that matrixcalculus.org or a textbook gives, in the
signs of the language.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import gradcli
from tests.features.textbook import visible

HEAD = {
    "t": "variable t = [1.2, 0.7]", "x": "variable x = [0.5, 0.8, 1.3]", "w": "variable w = [0.4, 1.1]", "p": "variable p = [1.5, 0.6]",
    "A": "constant A = [[2.0, 0.3], [0.5, 1.0]]", "X": "constant X = [[1.0, 0.2], [0.4, 2.0], [0.7, 0.9]]", "y": "constant y = [0.3, 0.5, 0.9]",
    "B": "variable B = [[1.5, 0.2], [0.3, 0.9]]", "b": "constant b = [0.6, 0.2]", "k": "constant k = 3.0",
}  # fmt: skip

TEXTBOOK: list[tuple[str, str, dict[str, Any], str]] = [
    ("t", "t[0]^2*t[1]", {}, "[2*t[0]*t[1], t[0]^2]"), ("t", "t[0]^2*t[1]", {"hessian": True}, "[[2*t[1], 2*t[0]], [2*t[0], 0]]"),
    ("p", "[p[0]*cos(p[1]), p[0]*sin(p[1])]", {"jacobian": True}, "[[cos(p[1]), -p[0]*sin(p[1])], [sin(p[1]), p[0]*cos(p[1])]]"),
    ("t", "(1 - t[0])^2 + 100*(t[1] - t[0]^2)^2", {}, "[-400*t[0]*(t[1] - t[0]^2) - 2*(1 - t[0]), 200*(t[1] - t[0]^2)]"),
    ("t", "(1 - t[0])^2 + 100*(t[1] - t[0]^2)^2", {"hessian": True}, "[[1200*t[0]^2 - 400*t[1] + 2, -400*t[0]], [-400*t[0], 200]]"),
    ("t", "exp(t[0]*t[1])", {}, "[t[1]*exp(t[0]*t[1]), t[0]*exp(t[0]*t[1])]"), ("t", "t[0]/t[1]", {}, "[1/t[1], -t[0]/t[1]^2]"),
    ("t", "sin(t[0])*cos(t[1])", {}, "[cos(t[0])*cos(t[1]), -sin(t[0])*sin(t[1])]"), ("t", "log(t[0]*t[1])", {}, "[1/t[0], 1/t[1]]"),
    ("x", "x[0]*x[1]*x[2]", {}, "[x[1]*x[2], x[0]*x[2], x[0]*x[1]]"), ("x", "x[0]*x[1] + x[2]^3", {}, "[x[1], x[0], 3*x[2]^2]"),
    ("t", "k*(t[0] - t[1])^2/2", {}, "[k*(t[0] - t[1]), k*(t[1] - t[0])]"), ("t", "t[0]^2 + 3*t[0]*t[1] + t[1]^2", {"hessian": True}, "[[2, 3], [3, 2]]"),
    ("x", "sum(x^2)", {}, "2*x"), ("x", "sum(x^3)/3", {}, "x^2"), ("x", "sum(sin(x))", {}, "cos(x)"), ("x", "sum(exp(-x^2))", {}, "-2*x*exp(-x^2)"),
    ("x", "sum(log(x))", {}, "1/x"), ("x", "norm(x)", {}, "x/norm(x)"), ("x", "logsumexp(x)", {}, "softmax(x)"), ("x", "sum(x*log(x))", {}, "log(x) + 1"),
    ("w", "sum((X @ w - y)^2)", {}, "2*X.T @ (X @ w - y)"), ("w", "sum((X @ w - y)^2)/2 + k*sum(w^2)", {}, "X.T @ (X @ w - y) + 2*k*w"),
    ("w", "sum((X @ w - y)^2)", {"hessian": True}, "2*X.T @ X"), ("w", "dot(w, A @ w)", {}, "A @ w + A.T @ w"), ("w", "dot(w, A @ w)", {"hessian": True}, "A + A.T"),
    ("w", "dot(b, w)", {}, "b"), ("w", "dot(b, w)^2", {}, "2*dot(b, w)*b"), ("w", "exp(dot(b, w))", {}, "b*exp(b @ w)"), ("w", "sum(log(1 + exp(X @ w)))", {}, "X.T @ (exp(X @ w)/(1 + exp(X @ w)))"),
    ("B", "trace(A @ B)", {}, "A.T"), ("B", "sum(B*B)", {}, "2*B"), ("B", "logdet(B)", {}, "inv(B).T"), ("B", "dot(b, B @ b)", {}, "b*expand_dims(b, 1)"),
]  # fmt: skip


NAMES = "txwpAXyBbk"


def program_of(y: str) -> gradcli.Program:
    used = [name for name in NAMES if re.search(rf"\b{name}\b", y)]
    return gradcli.loads("\n".join([*(HEAD[name] for name in used), f"z = {y}"]))


def formula(text: str) -> str:
    """What the lines compute, one after another."""
    rows = [row for row in text.splitlines() if not row.startswith(("variable ", "constant ", "output "))]
    return " ; ".join([row.partition(" = ")[2] for row in rows])


def expected(program: gradcli.Program, x: str, values: dict[str, Any], asked: dict[str, Any]) -> Any:
    if "hessian" in asked:
        return program.hessian(wrt=x, values=values)[x][x]
    if "jacobian" in asked:
        return program.jacobian(wrt=x, values=values)["z"][x]
    return program.grad(wrt=x, values=values)[x]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("x", "y", "asked", "wanted"), TEXTBOOK, ids=[f"{y} {[*asked]}" for _, y, asked, _ in TEXTBOOK]
)
def test_values_are_those_of_grad_however_it_is_written(x: str, y: str, asked: dict[str, Any], wanted: str) -> None:
    program = program_of(y)
    texts = [program.derive(wrt=x, entries=entries, **asked) for entries in (None, True, False)]
    printed = [gradcli.loads(text) for text in texts]
    rng = np.random.default_rng(1)
    for _ in range(5):
        given = {x: rng.uniform(0.3, 1.5, program.eval([x])[x].shape) + (np.eye(2) if x == "B" else 0)}
        theirs = expected(program, x, given, asked)
        for text, other in zip(texts, printed, strict=True):
            (ours,) = other.eval(values={k: v for k, v in given.items() if k in other.names}).values()
            assert ours is not None and (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), text
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=text)


def test_formulas_are_no_longer_than_those_of_textbooks() -> None:
    assert len(TEXTBOOK) >= 30
    ratios = {}
    for x, y, asked, wanted in TEXTBOOK:
        found = formula(program_of(y).derive(wrt=x, **asked))
        ratios[y, found] = visible(found.replace(".0", "")) / visible(wanted)
    assert {case: ratio for case, ratio in ratios.items() if ratio >= 2} == {}
    longer = [case for case, ratio in ratios.items() if ratio > 1]
    assert len(longer) <= len(ratios) / 10, longer


@pytest.mark.parametrize(
    ("y", "asked", "wanted"),
    [
        ("t[0]^2*t[1]", {}, "[2 * t[0] * t[1], t[0]^2]"),
        ("t[0]^2*t[1]", {"hessian": True}, "[[2 * t[1], 2 * t[0]], [2 * t[0], 0]]"),
        ("sum((X @ w - y)^2)", {}, "2 * X.T @ (X @ w - y)"), ("sum(x^2)", {}, "2 * x"),
        ("sum(x^2)", {"entries": True}, "[2 * x[0], 2 * x[1], 2 * x[2]]"),
        ("sum(w^2)", {"hessian": True}, "diag(full([2], 2.0))"), ("sum(w^2)", {"hessian": True, "entries": True}, "[[2.0, 0.0], [0.0, 2.0]]"),
        ("t[0]*t[1]", {"entries": False}, "pad(expand_dims(t[0], 0), [[1, 0]]) + pad(expand_dims(t[1], 0), [[0, 1]])"),
    ],
)  # fmt: skip
def test_the_shorter_way_or_the_one_that_is_asked_for(y: str, asked: dict[str, Any], wanted: str) -> None:
    assert formula(program_of(y).derive(**asked)) == wanted


def test_the_options_of_the_command(command_line: Any) -> None:
    program = "variable t = [1.0, 2.0]; y = t[0]*t[1]"
    assert "dy_dt = [t[1], t[0]]" in command_line("derive", "-e", program, "--entries").out
    assert "pad(" in command_line("derive", "-e", program, "--arrays").out
    done = command_line("derive", "-e", program, "--steps", "--entries")
    assert done.status == 2 and "leave out --entries" in done.err


def test_masks_of_zeros_and_ones_are_decided() -> None:
    """What a product of functions of the entries has at order 2: no `diag(ones([2]))[:, 0]`, and no `where` of it."""
    program = gradcli.loads("variable t = [0.5, 2.0]\ny = exp(t[0]*t[1])*sin(t[0]*t[1])")
    text = program.derive(hessian=True)
    assert not any(word in text for word in ("diag", "where", "pad", "cast"))
    assert "d2y_dt_dt = [[2 * t[1]^2 * t1 * t2, t3], [t3, 2 * t[0]^2 * t1 * t2]]" in text
    found = gradcli.loads(text).eval()["d2y_dt_dt"]
    assert abs(found - program.hessian("y")["t"]["t"]).max() < 1e-12
