"""Rules for people: the form that each leaves, the same values on special numbers, None, shapes and dtypes kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli.autodiff import reverse
from gradcli.features.derive import formulas
from gradcli.features.derive.answer import derive
from gradcli.graph.node import Node
from gradcli.rewrite import algebra, contractions, exact, forms, shapes
from gradcli.rewrite.written import Written
from tests.quickly import some

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.expr"))
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5]
VARIABLES = {"x": (), "y": (), "v": (2,), "w": (2,), "A": (2, 3), "B": (3, 2), "C": (2, 2), "r": (1, 2)}


def program_of(expression: str) -> str:
    declared = "".join(f"variable {name}: {list(shape)}\n" for name, shape in VARIABLES.items())
    return declared.replace(": []", "") + f"constant k = 3\nvariable n = 5\nz = {expression}\n"


def form_of(expression: str) -> str:
    """What the rules make of an expression, without the zeros that keep its gradient connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "gradcli.features.derive.answer._connected", lambda asked, found, texts, written, program: list(texts)
        )
        derived = derive(gradcli.loads(program_of(expression)), of=["z"], wrt=["x"], order=0)
    lines = [line.partition(" = ")[2] for line in formulas.definitions(derived) if not line.startswith("output")]
    return "; ".join(lines)


FORMS = [
    # numbers and signs
    ("2*(3*x)", "6 * x"), ("x*2*y*3", "6 * x * y"), ("x*1", "x"), ("1*v", "v"), ("v*ones([2])", "v"), ("x/1", "x"),
    ("-(-x)", "x"), ("-(2*x)", "-2 * x"), ("x + -y", "x - y"), ("-x + y", "y - x"), ("x - -y", "x + y"), ("x - 0", "x"),
    ("x + -2*y", "x - 2 * y"), ("x + (-3.0)", "x - 3"), ("-x * y", "-x * y"), ("-(x*y)", "-x * y"), ("-(x/y)", "-x / y"),
    ("(2*x)/4", "0.5 * x"), ("2*x/3", "2 * x / 3"), ("2*(x/y)", "2 * x / y"), ("x*(1/y)", "x / y"), ("(-x)/y", "-x / y"),
    ("x*(2/y)", "2 * x / y"), ("x/(-y)", "-x / y"), ("(1/3)*x", "1/3 * x"),
    # what stays, because NaN, infinity or the sign of 0 would not
    ("0*x", "0 * x"), ("x - x", "x - x"), ("x/x", "x / x"), ("exp(x)/exp(x)", "exp(x) / exp(x)"), ("1/(x + 0)", "1 / (x + 0)"),
    ("where(x > 0, v, 0)*w", "w * where(x > 0, v, 0)"), ("2*x - 3*x", "2 * x - 3 * x"), ("x*y/y", "x * y / y"), ("-2*(0*x)", "0 * x"), ("x*(cast(2, float64) - 3)", "-x"),
    ("sqrt(x^2)", "sqrt(x^2)"), ("x^3/x", "x^3 / x"), ("v*zeros([2])", "0 * v"),
    # sums
    ("x + x", "2 * x"), ("2*x + 3*x", "5 * x"), ("x + y + x", "2 * x + y"), ("x - y - y", "x - 2 * y"), ("x + 0", "x"),
    ("2*x - y + 3*x", "5 * x - y"), ("-(0*x)", "0 * x"), ("x - y - (y - x)", "2 * (x - y)"), ("y - x - 3*(x - y)", "4 * (y - x)"),
    ("sin(x + y)*sin(y + x)", "sin(x + y)^2"),
    ("x + y + (y + x)", "2 * (x + y)"), ("x - y + (y - x)", "x - y + (y - x)"),
    # powers: a polynomial is not a power, whose derivatives never end in None
    ("x*x", "x * x"), ("exp(x)*exp(x)", "exp(x)^2"), ("square(tanh(x))", "tanh(x)^2"), ("square(x)", "square(x)"),
    ("x^1", "x"), ("x^0", "1.0"), ("x^2*x^3", "x^5"), ("x*x^2", "x^3"), ("sin(x)*y*sin(x)", "y * sin(x)^2"),
    ("(exp(x)/y)*(exp(x)/y)", "(exp(x) / y)^2"), ("(x/y)*(x/y)", "x / y * (x / y)"),
    # order of factors
    ("exp(x)*y*2", "2 * y * exp(x)"), ("sin(x)*x", "x * sin(x)"), ("(x + y)*3", "3 * (x + y)"),
    # selection and logic
    ("where(x > 0, y, y)", "y"), ("where(not (x > 0), x, y)", "where(x > 0, y, x)"), ("where(true, x, y)", "x"), ("where(2.0 > 1.0, x, y)", "x"), ("where([1.0, 2.0] < 0, v, w)", "w"),
    ("where(isnan(sqrt(0 - 1.0)), x, y)", "x"), ("where([1.0, -1.0] > 0, v, w)", "where([1.0, -1.0] > 0, v, w)"), ("where(k > 0, x, y)", "where(k > 0, x, y)"),
    ("x*where(2.0 > 0.0, log(2.0), 0)", "x * log(2)"), ("where(2.0 != 2.0, x, y)", "y"),
    ("where(x > 0, where(x > 0, 1.0, x), y)", "where(x > 0, 1, y)"), ("where(x > 0, y, 0) + where(x > 0, 0, x)", "where(x > 0, y, x)"),
    ("where(x > 0, y, 0) + where(x > 0, x, 0)", "where(x > 0, y + x, 0)"),
    ("where(x > 0, y, 0) * where(x > 0, x, 0)", "where(x > 0, x * y, 0)"), ("link(x)", "0.0"), ("zero(x)", "0.0"),
    ("not (not (x > 0) and not (y > 0))", "x > 0 or y > 0"), ("x > 0 and y > 1", "x > 0 and y > 1"),
    ("cast(x > 0, float64) != 0", "x > 0"), ("identity(x)", "x"), ("cast(x, float64)", "x"), ("cast(2, float64)*x", "2 * x"),
    # shapes
    ("reshape(reshape(A, [6]), [3, 2])", "reshape(A, [3, 2])"), ("A.T.T", "A"), ("(2*A).T", "2 * A.T"), ("sum(2*v)", "2 * sum(v)"),
    ("sum(full([3], x))", "3 * x"), ("sum(sum(A, 0))", "sum(A)"), ("sum(A.T)", "sum(A)"), ("full([2], x)*v", "x * v"),
    ("exp(full([2], x))", "full([2], exp(x))"), ("broadcast_to(v, [2, 2]) + C", "v + C"), ("sum(r, 0)", "squeeze(r, 0)"),
    ("ones([2])", "ones([2])"), ("2*ones([2])", "full([2], 2.0)"), ("A[0][1]", "A[0, 1]"), ("ones([2])*0", "zeros([2])"),
    ("sum(broadcast_to(v, [3, 2]), axis=0)", "3 * v"), ("A[:, :]", "A"),
    # contractions
    ('einsum("ij,j->i", C, w)', "C @ w"), ('einsum("ij,i->j", A, w)', "A.T @ w"), ('einsum("i,ij->j", w, A)', "A.T @ w"),
    ('einsum("ij,jk->ik", A, B)', "A @ B"), ('einsum("ij,kj->ik", A, A)', "A @ A.T"), ('einsum("ij,jk->ki", A, B)', "B.T @ A.T"),
    ('einsum("i,i->", v, w)', "v @ w"), ('einsum("ij,ij->", A, A)', "sum(A * A)"), ('einsum("ij,ij->i", A, A)', "sum(A * A, axis=1)"),
    ('einsum("ij->ji", A)', "A.T"), ('einsum("ij,j->i", A.T, v)', "A.T @ v"),
    ('einsum("ij,ij->ij", C, broadcast_to(w, [2, 2]))', "C * w"), ('einsum("ij->i", A)', "sum(A, axis=1)"), ('einsum("i,j->ij", v, w)', "w * expand_dims(v, 1)"),
    ('einsum("ij,j->ij", C, w)', "C * w"), ('einsum("ij,i,ik->jk", A, w, A)', "A.T * w @ A"), ("(2*A) @ B", "2 * A @ B"),
    ("A @ (2*B)", "2 * A @ B"), ("-(A @ B)", "-A @ B"), ("3*(A @ B)", "3 * A @ B"), ('einsum("ij,j->i", A, ones([3]))', "sum(A, axis=1)"),
    ('einsum("ij,k->k", A, w)', "w * sum(A)"), ("C.T + C", "C + C.T"), ("trace(C)", "sum(diag(C))"),
    ('einsum("ij,kl->ijkl", C, C)', "C * reshape(C, [2, 2, 1, 1])"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), FORMS)
def test_the_form_after_the_rules(before: str, after: str) -> None:
    assert form_of(before) == after


@pytest.mark.parametrize(("before", "after"), FORMS)
def test_the_form_is_final(before: str, after: str) -> None:
    assert form_of(after) == after


NEVER_SELECTED = {
    "where(true, x, y)", "where(x > 0, where(x > 0, 1.0, x), y)", "where(2.0 > 1.0, x, y)", "where([1.0, 2.0] < 0, v, w)",
    "where(isnan(sqrt(0 - 1.0)), x, y)", "where(2.0 != 2.0, x, y)",
}  # fmt: skip
"""Of these a variable is lost that contributes exactly nothing."""


def _points() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    points: list[dict[str, Any]] = []
    for x, y in itertools.product(SPECIAL, SPECIAL):
        arrays = {name: rng.choice([*SPECIAL, 1.5, 0.25, 3.0], shape) for name, shape in VARIABLES.items()}
        points.append({**arrays, "x": x, "y": y})
    return points


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), some(FORMS, 2))
def test_values_are_the_same_on_special_numbers(before: str, after: str) -> None:
    program = program_of(before)
    graph = gradcli.loads(program)
    run = graph.compile(["z"], inputs=list(VARIABLES))
    printed = gradcli.loads(program_of(form_of(before))).compile(["z"], inputs=list(VARIABLES))
    for point in _points():
        ours, theirs = printed(**point)["z"], run(**point)["z"]
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, err_msg=f"{before} at {point}")


@pytest.mark.parametrize(("before", "after"), FORMS)
def test_what_it_depends_on_is_the_same(before: str, after: str) -> None:
    """But for what only connects, or is never selected: `derive` puts back what is lost there."""
    ours, theirs = (gradcli.loads(program_of(e)).graph for e in (form_of(before), before))
    connected = []
    for graph in (ours, theirs):
        z = graph.names["z"]
        assert isinstance(z, Node)
        found = reverse.gradients([z], [graph.leaves[v] for v in VARIABLES])
        connected.append([v for v, g in zip(VARIABLES, found, strict=True) if g is not None])
    if before not in ("x^0", "link(x)", "zero(x)", *NEVER_SELECTED):
        assert connected[0] == connected[1]


def test_sums_of_the_same_terms_are_one_part() -> None:
    assert form_of("sin(y*exp(x)*x + y)/(y + x*y*exp(x))") == "y + x * y * exp(x); sin(t1) / t1"
    assert form_of("sin(tan(x) + cosh(y))/(cosh(y) + tan(x))") == "tan(x) + cosh(y); sin(t1) / t1"


def test_integers_stay_integers() -> None:
    assert form_of("2*(3*n)") == "6 * n"
    assert form_of("n*1") == "n"
    assert form_of("n + n") == "2 * n"
    assert form_of("n/2") == "cast(n, float64) / 2"


def test_numbers_at_the_ends_of_the_range_are_not_collected() -> None:
    assert form_of("1e200*(1e200*x)") == "1e+200 * (1e+200 * x)"
    assert form_of("1e-200*(1e200*x)") == "1e-200 * (1e+200 * x)"


def _recorded(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    fired: set[str] = set()

    def recorder(label: str, rule: Callable[[Node], Node | None]) -> Callable[[Node], Node | None]:
        def run(node: Node) -> Node | None:
            better = rule(node)
            if better is not None and better is not node:
                fired.add(label)
            return better

        return run

    for rules in (
        exact.RULES,
        algebra.RULES,
        algebra.CAREFUL,
        shapes.RULES,
        shapes.ENTRYWISE,
        contractions.RULES,
        forms.NOTHING,
        forms.FIRST,
        forms.FORMS,
    ):
        for name, own in list(rules.items()):
            monkeypatch.setitem(rules, name, [(label, recorder(label, rule)) for label, rule in own])
    return fired


@pytest.mark.slow
def test_every_rule_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    fired = _recorded(monkeypatch)
    for before, _ in FORMS:
        form_of(before)
    for text in (
        "variable x = 0.5; y = tanh(sin(x)*x) + hypot(x, 1.0) + relu(x)*x^1 + divide_no_nan(x, 2.0)",
        "variable x = [1.0, 2.0, 3.0]; y = sum(x[::2]*x[0]) + prod(x) + sum(diag(x, 1)) + cumprod(x)[1] + sum(diag(x))",
        "variable x = [[1.0, 2.0, 3.0]]; g = gradients(sum(x^3), x); H = hessian(sum(x^3), x); y = sum(H) + sum(x[0, ::-1]*x[0])",
        "variable x = [1.0, 2.0]; f = sum(x*x*x); H = hessian(f, x); J = jacobian(x*x, x); y = sum(H @ x) + trace(J) + sum(pad(x, [[1, 1]]))",
        "variable x = [1.0, 2.0, 0.5]; y = softmax(x)[0] + norm(x)",
        "variable x = 1.0; c = x > 0; y = where(c or c, x^2, x)",
        "variable x = [1.0, 2.0]; y = jacobian(sort(x)*x, x)[0, 1] + sum(diag(jacobian(exp(x), x))) + minimum(maximum(x, 0.0), x)[0]",
        "variable x = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]; y = sum(diag(x)*[1.0, 2.0])",
        "variable x = 1.0; y = where(x > 0, where(x > 2, log(x), sqrt(x)), 1/x)",
    ):
        program = gradcli.loads(text.replace("; ", "\n"))
        for order in (1, 2, 4):
            if order < 4 or program.eval(["x"])["x"].size == 1:
                derive(program, order=order)
    derive(gradcli.loads("variable x = 1.0\ny = x^2"), seeds={"y": np.array(2.0)})
    for sample in SAMPLES:
        program = gradcli.load(sample)
        if program.variables and sample.stem != "straight_through":
            derive(program)
    labels = {
        label
        for rules in (
            exact.RULES,
            algebra.RULES,
            algebra.CAREFUL,
            shapes.RULES,
            shapes.ENTRYWISE,
            contractions.RULES,
            forms.NOTHING,
            forms.FIRST,
            forms.FORMS,
        )
        for own in rules.values()
        for label, _ in own
    }
    assert labels - fired == set()


def test_a_stopped_node_stays_stopped() -> None:
    graph = gradcli.loads("variable x = 2.0\na = x*x\ny = a*x").graph
    y, a = graph.names["y"], graph.names["a"]
    assert isinstance(y, Node) and isinstance(a, Node)
    written = Written([y], {a}, {a})
    assert written.names[a].op.name == "stop_gradient"
