"""Derivatives as formulas: the printed program evaluates to what `grad` gives, and parses back to the same graph."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.features.derive import formulas
from gradcli.features.derive.answer import Derived, derive
from gradcli.features.derive.data import named_data
from gradcli.features.derive.look import written
from gradcli.graph.node import Node, cone
from tests.conformance.test_none_orders import CONTEXTS, PROGRAM, cells
from tests.graph.test_operations import SPECS
from tests.quickly import some
from tests.random_programs import programs

TESTS = Path(__file__).parents[1]
SAMPLES = sorted((TESTS.parent / "samples").glob("*.expr"))
CASES = [json.loads(line) for line in (TESTS / "conformance" / "tensorflow.jsonl").read_text().splitlines()]


def assert_equal(ours: Any, theirs: Any, what: str) -> None:
    if theirs is None:
        assert ours is None, what
        return
    assert ours is not None, what
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), what
    finite = theirs[np.isfinite(theirs)]
    scale = np.abs(finite).max(initial=1.0)
    tolerance = 1e-4 if theirs.dtype == "float32" else 1e-9
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def compare(program: gradcli.Program, order: int, values: dict[str, Any] | None = None, **asked: Any) -> str:
    """The formulas of a program, after their values were found to be those of `grad`."""
    found = derive(program, order=order, **asked)
    text = formulas.render(found)
    expected = program.grad(order=order, values=values, **asked)
    names = [g.name for g in found.gradients]
    printed = gradcli.loads(text)
    known = {name: v for name, v in (values or {}).items() if name in printed.names}
    actual = printed.eval(names, values=known)
    assert [g.x for g in found.gradients] == list(expected)
    for g in found.gradients:
        assert_equal(actual[g.name], expected[g.x], f"{g.name} of\n{text}")
    assert_same_graph(found, text)
    return text


def numbered(roots: Sequence[Node]) -> list[int]:
    """A number for each root that depends on the structure below it only."""
    number: dict[Node, int] = {}
    for node in cone(roots):
        attrs = tuple(sorted((k, repr(v)) for k, v in node.attrs.items() if k not in ("values", "kind")))
        number[node] = hash((node.op.name, tuple(number[x] for x in node.inputs), attrs, node.shape, node.dtype))
    return [number[root] for root in roots]


def assert_same_graph(found: Derived, text: str) -> None:
    """Without loops, whose steps are printed as functions: these are compared by their values."""
    graph = gradcli.loads(text).graph
    known = [g for g in found.gradients if g.node is not None]
    if any([node.op.name == "loop" for node in cone([g.node for g in known])]):
        return
    parsed = [graph.names[g.name] for g in known]
    assert numbered(parsed) == numbered([g.node for g in known]), text


def question(sample: Path) -> dict[str, Any]:
    """What to ask of a sample, where it does not say so itself."""
    program = gradcli.load(sample)
    asked: dict[str, Any] = {}
    if not program.variables:
        asked["wrt"] = [name for name in ("x", "t", "X", "a") if name in program.names]
    if sample.stem == "straight_through":
        asked["of"] = ["estimated"]
    return asked


def values_for(program: gradcli.Program, names: list[str], values: Any = None) -> dict[str, Any]:
    """The values of parameters of a written function: those of the program's names, and its data without one."""
    known = [name for name in names if name in program.names]
    ys = [y for y in program.graph.names.values() if isinstance(y, Node)]
    data = named_data(ys, [*program.graph.names.values()], ())
    own = dict(zip(data.values(), program.evaluate([*data]), strict=True))
    return {**own, **(program.eval(known, values=values) if known else {})}


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_samples(sample: Path, order: int) -> None:
    compare(gradcli.load(sample), order, **question(sample))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_conformance_programs(case: dict[str, Any]) -> None:
    program = gradcli.loads(case["program"])
    try:
        program.grad()
    except gradcli.GradcliError:
        return
    compare(program, 1)


def compare_again(program: gradcli.Program, **asked: Any) -> None:
    """The printed formula of each gradient differentiated once more is the gradient of order 2, None included."""
    found = derive(program, **asked)
    text = formulas.render(found)
    expected = program.grad(order=2, **asked)
    for g in found.gradients:
        if g.node is None:
            assert expected[g.x] is None
            continue
        (second,) = gradcli.loads(text).grad(of=[g.name], wrt=[g.x]).values()
        if second is None and expected[g.x] is not None and g.node.op.name == "literal":  # terms have cancelled
            second = np.zeros_like(expected[g.x])
        assert_equal(second, expected[g.x], f"again {g.name} of\n{text}")


@pytest.mark.slow
@settings(max_examples=500, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs(text: str) -> None:
    """Values, None, NaN, dtypes and shapes at the orders 1 and 2; what is printed is a program that derives on."""
    program = gradcli.loads(text)
    for order in (1, 2):
        compare(program, order)
    compare_again(program)


AT_THE_EDGE = [
    "variable x = -1.0; y = log(x)", "variable x = 0.0; y = log(x)", "variable x = -0.0; y = log(x)",
    "variable x = 0.0; y = sqrt(x)", "variable x = -1.0; y = where(x > 0, sqrt(x), x)", "variable x = 0.0; y = where(x == 0, 1, 1/x)",
    "variable x = 0.0; y = minimum(1/x, 5)", "variable x = 0.0; y = relu(log(x))", "variable x = 0.0; y = 0*log(x)",
    "variable x = [-1.0, 0.0, 2.0]; y = where(x > 0, log(x)*x, x*x)", "variable x = nan; y = x*x - x", "variable x = inf; y = 0*x + 1/x",
    "variable x = [nan, 1.0]; y = where(isnan(x), 0, x^2)", "variable x = [0.0, 0.0]; y = norm(x)", "variable x = 0.0; y = abs(x)",
    "variable x = 0.0; y = x^3", "variable x = 0.0; y = x^0.5", "variable x = 0.0; y = x^1", "variable x = 3.0; y = x^0",
    "variable x = 0.0; variable p = 2.0; y = x^p", "variable x = 1000.0; y = softplus(x) + sigmoid(-x)", "variable x = 1000.0; y = exp(x)*x",
    "variable x = [0.0, 2.0, 0.0]; y = prod(x)", "variable x = [0.0, 2.0, 0.0]; y = sum(cumprod(x))", "variable x = [1.0, 1.0, 0.5]; y = max(x)",
    "variable x = 0.0; y = xlogy(x, x)", "variable x = 0.0; y = divide_no_nan(1, x)", "variable x = [[1.0, 2.0], [2.0, 4.0]]; y = det(x)",
    "variable x = 0.0; y = hypot(x, 0*x)", "variable x = 0.0; y = leaky_relu(x) + elu(x)", "variable x = [1, 2]; y = x*x + 2*x",
    "variable x = [1, 2]; y = sum(x)/2", "variable x = 5.0; y = mod(x, 2.0)*x", "variable x = true; y = where(x, 1.0, 2.0)",
    "variable x = [3.0, 1.0]; y = clip(x, 0, 2)*x", "variable x = 0.5; y = atan2(x, 0*x)", "variable x = zeros([0, 2]); y = sum(x*x)",
    "variable x = [0.5, 0.25]; y = log(1 - sum(x)) + log1p(x) + log2(x)*log10(x)", "variable x = 0.5; y = asin(x)*acos(x)*atanh(x)",
    "variable x = 1.5; y = acosh(x)*asinh(x)*cbrt(x)*rsqrt(x)*exp2(x)*expm1(x)*tan(x)*sinh(x)*cosh(x)*erf(x)",
    "variable x = [[2.0, 1.0], [1.0, 3.0]]; y = logdet(x) + sum(inv(x)) + sum(cholesky(x)) + sum(solve(x, [1.0, 2.0]))",
    "variable x = [[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]]; y = sum(sort(x)[:, ::-2]*x[:, ::-2]) + sum(gather(x, [1, 1, 0])) + x[-1, 1]*x[0, 0]",
    "variable x = [[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]]; y = sum(diag(x, 1)^2) + sum(tril(x)*triu(x)) + sum(diag(x[0])*diag(x[1]))",
    "variable x = [[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]]; y = sum(cumsum(x, 1, exclusive=true, reverse=true)^2)*sum(flip(x)*roll(x, 1)*tile(x, [1, 1]))",
    "variable x = [[[1.0, 2.0], [3.0, 4.0]]]; y = sum(x @ x) + sum(transpose(x, [2, 0, 1])^2) + sum(det(x)) + sum(diag(x)*x[0])",
    "variable x = [1.0, 2.0, 3.0]; J = jacobian(x[:2]*x[1:], x); y = sum(J @ x)", "variable x = [1.0, 2.0]; H = hessian(sum(x^3), x); y = sum(H @ x)",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("text", AT_THE_EDGE)
def test_special_values_and_every_sort_of_operation(text: str) -> None:
    program = gradcli.loads(text.replace("; ", "\n"))
    for order in (1, 2):
        compare(program, order)
    compare_again(program)


SEARCHES = ("root", "minimize")
"""Words whose calls are functions of the program again, with nodes of their own; test_implicit.py compares them."""


@pytest.mark.slow
@pytest.mark.parametrize("name", some(n for n, cases in SPECS.items() if cases[0].shapes and n not in SEARCHES))
def test_every_operation_beside_a_number_near_the_end_of_floats(name: str) -> None:
    """There the formulas keep products as they were made, and have words of the language all the same."""
    case = SPECS[name][0]
    z = "sum(y*y)*huge" if case.derivative else "sum(y)*huge"
    text = f"{case.program()}\nvariable huge = 1e150\nz = {z}\noutput z\n"
    compare(gradcli.loads(text), 1, case.point())
    if case.derivative:
        second = derive(gradcli.loads(text), order=2)
        assert_same_graph(second, formulas.render(second))


@pytest.mark.slow
@pytest.mark.parametrize("expression", some(dict.fromkeys(expression for expression, _, _ in cells())))
def test_none_is_where_tensorflow_has_it(expression: str) -> None:
    """At orders 1 and 2, and of the printed formula differentiated once more."""
    for context in dict.fromkeys(context for own, context, _ in cells() if own == expression):
        program = gradcli.loads(PROGRAM.format(expression=expression, context=CONTEXTS[context]))
        for order in (1, 2):
            compare(program, order)
        compare_again(program)


NUMERATORS = ["x", "w", "x*w", "sign(x)", "abs(x)*w", "exp(x)", "floor(x)", "stop_gradient(x)*w"]
DENOMINATORS = ["x", "w", "2.0", "sign(w)", "abs(x)", "exp(w)", "stop_gradient(w)"]


@pytest.mark.slow
@pytest.mark.parametrize("a", NUMERATORS)
@pytest.mark.parametrize("b", DENOMINATORS)
def test_powers_of_quotients_end_in_none_where_products_do(a: str, b: str) -> None:
    for y in ("q*q", "q*q*w", "(q - w) - (w - q)", "sin(x)*(q + w) + (w + q)*w"):
        program = gradcli.loads(f"variable x = 1.5\nvariable w = 0.7\nq = ({a})/({b})\ny = {y}")
        text = formulas.render(derive(program, of=["y"], order=0))
        for order in (1, 2, 3, 4):
            ours, theirs = (p.grad(of=["y"], wrt=["x", "w"], order=order) for p in (gradcli.loads(text), program))
            for x in ("x", "w"):
                assert_equal(ours[x], theirs[x], f"order {order} by {x} of\n{text}")


def formulas_of(text: str, **asked: Any) -> list[str]:
    """The lines that compute something."""
    return formulas.definitions(derive(gradcli.loads(text.replace("; ", "\n")), **asked))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("variable x = 2.0; y = x^3", ["dy_dx = 3 * x^2"]),
        ("variable x = 2.0; y = sin(x^2)*exp(x)", ["dy_dx = (2 * x * cos(x^2) + sin(x^2)) * exp(x)"]),
        ("variable x = 2.0; y = tanh(x)", ["dy_dx = 1 - tanh(x)^2"]),
        ("variable x = 2.0; y = log(x)", ["dy_dx = 1 / x"]),
        ("variable x = 2.0; y = log(1 + x^2)", ["dy_dx = 2 * x / (1 + x^2)"]),
        ("variable x = 2.0; y = where(x > 0, sqrt(x), x)", ["dy_dx = where(x > 0, 0.5 / sqrt(x), 1)"]),
        ("variable x = [1.0, -2.0]; y = relu(x)", ["dy_dx = where(x > 0, 1.0, 0.0) + 0 * x^0"]),
        ("variable x = 2.0; y = leaky_relu(x)", ["dy_dx = where(x > 0, 1.0, 0.2) + 0 * x"]),
        ("variable x = [1.0, 2.0]; y = mean(x)", ["dy_dx = full([2], 0.5)"]),
        ("variable x = [1.0, 2.0, 4.0]; y = logsumexp(x)", ["dy_dx = softmax(x)"]),
        ("variable x = [1.0, 2.0]; constant A = [[1.0, 2.0], [3.0, 4.0]]; y = dot(x, A @ x)", ["dy_dx = A @ x + A.T @ x"]),
        (
            "variable w = [1.0, 2.0]; constant X = [[1.0, 2.0], [3.0, 4.0]]; constant y = [1.0, 2.0]; loss = sum((X@w - y)^2)",
            ["dloss_dw = 2 * X.T @ (X @ w - y)"],
        ),
        ("variable a = 2.0; variable b = 3.0; y = a*b", ["dy_da = b", "dy_db = a"]),
        ("variable x = 2.0; a = x*x; y = a*a", ["a = x * x", "dy_dx = 4 * x * a"]),
    ],
)  # fmt: skip
def test_formulas_as_a_person_would_write_them(text: str, lines: list[str]) -> None:
    assert sorted(formulas_of(text)) == sorted(lines)


def test_a_hessian_in_a_program() -> None:
    text = "variable x = [1.0, 2.0]; constant A = [[1.0, 2.0], [3.0, 4.0]]; y = dot(x, A @ x); H = hessian(y, x)"
    assert formulas_of(text, of=["H"], order=0) == ["H = A + A.T"]


def test_names_are_those_of_derivatives_and_never_taken() -> None:
    text = "variable x = 2.0; y = x^4; dy_dx = 3*x; z = y*dy_dx"
    assert [g.name for g in derive(gradcli.loads(text.replace("; ", "\n")), of=["y"]).gradients] == ["dy_dx_"]
    assert formulas_of("variable x = 2.0; y = x^4", order=2) == ["d2y_dx2 = 12 * x^2"]
    assert formulas_of("variable x = 2.0; y = x^2; z = 3*x", of=["y", "z"]) == ["d_dx = 3 + 2 * x"]


def test_seeds_and_stops_are_worked_out() -> None:
    text = "variable x = [1.0, 2.0]\na = x^2\ny = a*x\nseed y = [1.0, 10.0]"
    program = gradcli.loads(text)
    compare(program, 1)
    compare(program, 1, seeds={"y": np.array([3.0, 4.0])}, stop=["a"])
    compare(program, 2, stop=["a"], wrt=["x", "a"])
    lines = formulas.definitions(derive(program, stop=["a"], seeds={"y": np.array(2.0)}))
    assert lines == ["a = stop_gradient(x^2)", "dy_dx = 2 * a"]
    compare_again(program, stop=["a"], wrt=["x"])


def test_values_and_precision_that_are_given() -> None:
    program = gradcli.loads(
        "variable x = [1.0, 2.0]\nconstant n = 3\nconstant unused = 1.0\ny = x^n",
        dtype="float32",
        settings={"x": "[0.5, 4.0]", "n": np.array(2)},
    )
    text = compare(program, 1)
    assert text.startswith("dtype float32\nvariable x = [0.5, 4.0]\nconstant n = 2\n")
    assert "unused" not in text


def test_initial_values_stay_expressions() -> None:
    text = compare(gradcli.loads("constant k = 2\nvariable W = k*random_normal([2, 2])\nvariable v\ny = sum(W@W)"), 1)
    values = "cast(k, float64) * random_normal([2, 2], seed=[0, 0])"
    assert text.startswith(f"constant k = 2\nvariable W = {values}\nvariable v\n")


def test_none_is_a_name_that_holds_none() -> None:
    text = formulas.render(derive(gradcli.loads("variable x = 1.0\nvariable w = 2.0\ny = x*floor(w)")))
    lines = text.splitlines()
    assert lines[-3:] == [
        "dy_dx = floor(w)",
        "dy_dw = gradients(0.0, w)  # None: passes through floor on line 3, which has no derivative",
        "output dy_dx",
    ]
    assert gradcli.loads(text).eval(["dy_dx", "dy_dw"]) == {"dy_dx": 2.0, "dy_dw": None}
    text = formulas.render(derive(gradcli.loads("variable w = 2.0\ny = floor(w)")))
    assert text.endswith("output dy_dw\n")
    assert gradcli.loads(text).eval() == {"dy_dw": None}


@pytest.mark.parametrize(
    "name", ["sin", "cos", "exp", "sum", "zeros", "recip", "inf", "nan", "e", "pi", "softmax", "where"]
)
def test_names_of_operations_that_a_program_has_taken(name: str) -> None:
    others = "".join(f"variable v{k} = {k}.5\n" for k in range(3))
    text = f"{others}variable {name} = [0.5, 0.25]\ny = "
    free = [w for w in ("sin(v0)", "cos(v0)", "exp(v1)", "log(v2)*inf", "softmax([v0, v1])") if name not in w]
    program = gradcli.loads(text + " + ".join([*free, f"{name}*v0"]))
    compare(program, 1)


def test_a_named_node_that_is_differentiated_by_stays_a_node() -> None:
    program = gradcli.loads("variable x = 2.0\na = x*1.0\nb = a\ny = 3*a*x")
    compare(program, 1, wrt=["a", "b", "x"])
    compare_again(program, wrt=["a", "x"])


@pytest.mark.slow
@pytest.mark.parametrize("y", ["tanh(x)", "tanh(2*x + sin(x*x))"])
def test_the_size_of_a_derivative_of_order_n_grows_no_faster_than_n_squared(y: str) -> None:
    sizes = {n: len("".join(formulas_of(f"variable x = 0.3; y = {y}", order=n))) for n in range(1, 13)}
    for n in range(1, 13):
        assert sizes[n] <= n**2 * sizes[1], sizes
        # From order 4 on it is a series that is printed.
        assert n % 2 or n < 8 or sizes[n] <= 4 * sizes[n // 2], sizes
    assert sizes[12] <= 9 * sizes[4], sizes


@pytest.mark.slow
def test_formulas_of_high_order_are_right() -> None:
    for order in (3, 5, 8, 12):
        compare(gradcli.loads("variable x = 0.3\ny = tanh(2*x + sin(x*x))"), order)
        compare(gradcli.loads("variable x = [0.3, -0.5]\ny = tanh(x)*exp(x)"), order)


@pytest.mark.slow
def test_long_programs_are_derived_without_recursion() -> None:
    text = "variable x = 0.5\nn0 = x\n" + "".join(f"n{i} = sin(n{i - 1})*x\n" for i in range(1, 3000))
    program = gradcli.loads(text)
    (value,) = gradcli.loads(formulas.render(derive(program))).eval().values()
    np.testing.assert_allclose(value, program.grad()["x"], rtol=1e-9)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs(smooth=False, statements=5, scalar=True))
def test_hessians_and_jacobians_in_programs_are_written_out(text: str) -> None:
    lines = [f"H{x} = hessian(y, {x})\nJ{x} = jacobian(y, {x})\n" for x in ("v0", "v1")]
    program = gradcli.loads(text + "".join(lines))
    names = ["Hv0", "Jv0", "Hv1", "Jv1"]
    found = derive(program, of=names, order=0)
    printed = formulas.render(found)
    assert "hessian" not in printed and "jacobian" not in printed
    actual, expected = gradcli.loads(printed).eval(names), program.eval(names)
    for name in names:
        assert_equal(actual[name], expected[name], f"{name} of\n{printed}")
    assert_same_graph(found, printed)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("variable v = -1.0\nconstant u = 1e200\nn = u*v\ny = divide_no_nan(n, n)", 1),
        ("variable x = 1e200\ny = xlogy(x, x)", 2), ("variable x = 1e-200\ny = 1/x", 1),
        ("dtype float32\nvariable x = 1e25\ny = x/(x + 1e25)", 2),
        ("variable x = [1e200, -1e200]\ny = sum(x*x*1e-250)", 1),
    ],
)  # fmt: skip
def test_products_of_extreme_numbers_stay_in_order(text: str, order: int) -> None:
    """In another order they may overflow or vanish where the value is an ordinary number."""
    program = gradcli.loads(text)
    found = derive(program, order=order)
    again = gradcli.loads(formulas.render(found)).eval([g.name for g in found.gradients])
    for g in found.gradients:
        np.testing.assert_allclose(again[g.name], program.grad(order=order)[g.x], rtol=1e-6)


DATA_FILE = "age,size\n1,2.5\n3,4\n,6\n"
WITH_DATA = """
ages = load("data/people.csv", "age", missing="drop")
constant sizes = load("data/people.csv", "size")
noise = random_normal([3], seed=7)
variable w = 2.0
y = sum((w*sizes + noise)^2) + w^2*sum(ages)*sum(load("data/people.csv", "size")) + sum(w^3*[1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13.])
"""


def test_data_stays_data(tmp_path: Path) -> None:
    """Files are loaded again, numbers drawn again, and a long list has a name; wherever the file isn't, numbers stand."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv").write_text(DATA_FILE)
    program = gradcli.loads(WITH_DATA, folder=tmp_path)
    for parts in (None, 0):
        text = written(program, folder=str(tmp_path), name_parts=parts)
        lines = text.splitlines()
        assert lines[:1] == ['constant sizes = load("data/people.csv", "size")']
        assert 'ages = load("data/people.csv", "age", missing="drop")' in lines
        assert 'data1 = load("data/people.csv", "size")' in lines
        assert "noise = random_normal([3], seed=7)" in lines
        assert text.count("13.0") == 1 and "data2 = [1.0, 2.0" in text
        assert len([line for line in lines if line.startswith(("t", "dy_dw"))]) == 1, text
        again = gradcli.loads(text, folder=tmp_path)
        assert_equal(again.eval()["dy_dw"], program.grad()["w"], text)
        assert_equal(again.grad()["w"], program.grad(order=2)["w"], text)
    elsewhere = written(program, folder=str(tmp_path / "data" / "deeper"))
    assert "load" not in elsewhere
    assert_equal(gradcli.loads(elsewhere).eval()["dy_dw"], program.grad()["w"], elsewhere)


@pytest.mark.parametrize("format", ["expr", "python"])
def test_data_does_not_count_as_named_parts(format: str) -> None:
    numbers = [k / 8 for k in range(14)]
    program = gradcli.loads(f"variable x = {numbers}; d = {numbers}; y = sum(sinh(x*d)*exp(sinh(x*d)*x))")
    for most in (0, 1):
        text = written(program, format=format, name_parts=most)
        assert len(re.findall(r"^ *t\d+ = ", text, re.MULTILINE)) == most, text


@pytest.mark.parametrize("format", ["latex", "python", "jax", "c"])
def test_data_has_a_name_in_all_formats(format: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv").write_text(DATA_FILE)
    program = gradcli.loads(WITH_DATA, folder=tmp_path)
    text = written(program, format=format)
    assert "2.5" not in text
    assert ("13" in text.replace("[13]", "").replace("(13,)", "")) == (format in ("python", "jax"))


def test_names_of_files_that_need_quotes(tmp_path: Path) -> None:
    name = 'a "b" \\ c\'s #1.csv'
    (tmp_path / name).write_text("x y\n1\n2\n")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    program = gradcli.loads(
        f'variable w = 1.0; d = load("{quoted}"); y = sum(w^2*d)'.replace("; ", "\n"), folder=tmp_path
    )
    text = written(program, folder=str(tmp_path))
    assert f'load("{quoted}")' in text
    assert_equal(gradcli.loads(text, folder=tmp_path).eval()["dy_dw"], program.grad()["w"], text)
