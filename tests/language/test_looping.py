"""Loops: one node with a body gives what the steps written out give, in every mode."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli.autodiff import loops as backwards
from gradcli.graph import node
from gradcli.graph.node import cone
from gradcli.language import looping
from tests.quickly import some
from tests.random_loops import extreme_program, loop_program


@contextmanager
def loops(are_nodes: bool) -> Iterator[None]:
    """Within it every loop is a node, however few its steps are, or none is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looping, "WRITTEN_OUT", 0)
        patch.setenv("GRADCLI_WITHOUT", "" if are_nodes else "loops")
        yield


def everything(text: str) -> dict[Any, Any]:
    program = gradcli.loads(text)
    found: dict[Any, Any] = dict(program.eval())
    for order in (1, 2, 3, 5):
        found |= {(order, x): g for x, g in program.grad(["y"], order=order).items()}
    found |= {("jacobian", x): v for x, v in program.jacobian(["h"])["h"].items()}
    found |= {(a, b): v for a, row in program.hessian(["y"]).items() for b, v in row.items()}
    found |= {("jvp", y): v for y, v in program.jvp({"x": 1.0, "w": 0.5}, ["h"]).items()}
    return found


def assert_alike(ours: dict[Any, Any], others: dict[Any, Any], text: str, tolerance: float) -> None:
    """Two ways give the same answers, None, shapes and dtypes, near 0 to a hundredth of the tolerance."""
    assert list(ours) == list(others)
    for key, other in others.items():
        mine = ours[key]
        assert (mine is None) == (other is None), (key, text)
        if other is not None:
            assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
            scale = np.abs(other[np.isfinite(other)]).max(initial=1.0)
            least = tolerance / 100 * scale
            np.testing.assert_allclose(mine, other, rtol=tolerance, atol=least, err_msg=f"{key} of\n{text}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", some(range(90), 6))
def test_random_loops(seed):
    text = loop_program(seed)
    with loops(True):
        ours = everything(text)
    with loops(False):
        others = everything(text)
    assert_alike(ours, others, text, 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", some(range(150), 25))
@pytest.mark.filterwarnings("ignore:.*encountered in")
def test_random_loops_through_infinity_and_nan(seed):
    """What is 0 because nothing leads there stays so beside what is infinite, in both spellings, and row by row."""
    text = extreme_program(seed)
    with loops(True):
        ours = everything(text)
    with loops(False):
        others = everything(text)
    assert_alike(ours, others, text, 1e-7)
    size = others["h"].size
    if 0 < size < 25:
        program = gradcli.loads(text + "".join([f"\nh{k} = reshape(h, [{size}])[{k}]" for k in range(size)]))
        of = [key[1] for key in others if key[0] == "jacobian"]
        rows = [program.grad([f"h{k}"], of, unconnected="zero") for k in range(size)]
        for x in of:
            found = np.reshape([row[x] for row in rows], others["jacobian", x].shape)
            np.testing.assert_allclose(found, others["jacobian", x], rtol=1e-7, atol=1e-9, err_msg=f"{x} of\n{text}")


SELECTED = {
    "where before a product": "y = where(x > 0, x, 0)*w",
    "where in a contraction": "y = [where(x > 0, x, 0), 1.0] @ [w, 0.0]",
    "a square": "y = where(x > 0, x, 2.0)*where(x > 0, x, 2.0)*w",
    "a state that x has not reached": "def f(a, b) = a*1.1, sqrt(b) + a\nh, y = iterate(f, [x, 0.0], 12)",
    "a factor of it": "def f(a, b) = a*1.1, b*u + a*0.1\nh, y = iterate(f, [x, 0.0], 12)",
}


@pytest.mark.parametrize("name", SELECTED)
def test_forward_mode_leaves_out_what_reverse_mode_leaves_out(name):
    program = gradcli.loads(f"variable x = -1.0\nconstant w = inf\nconstant u = 2.0\n{SELECTED[name]}\n")
    slope = program.grad(["y"], ["x"])["x"]
    np.testing.assert_allclose(program.jvp({"x": 1.0}, ["y"])["y"], slope, rtol=1e-12)


REASONS = {
    "def f(s) = stop_gradient(s)*2\ny = iterate(f, x, 100)": "cut by stop_gradient(s) on line 2",
    "def f(s, e) = s + floor(x)\ny = scan(f, zeros([20]), 0.0)": "passes through floor on line 2",
    "def f(s) = where(x > 0, s, -s)\ny = iterate(f, 1.0, 100)": "passes only through the condition of where on line 2",
    "def f(s) = s*2\ny = iterate(f, floor(x), 100)": "passes through floor on line 3",
    "def f(a, b, c) = 1.0, a, b\np, q, y = iterate(f, [x, x, x], 20)": "does not come through 20 steps of the loop on line 3",
    "def g(t) = round(t)\ndef f(s) = iterate(g, s, 12)\ny = iterate(f, x, 100)": "passes through round on line 2",
}


@pytest.mark.parametrize("text", REASONS)
def test_why_a_gradient_through_a_loop_is_none_is_said_of_its_body(text):
    (found,) = gradcli.loads(f"variable x = 1.5\n{text}\n").explain(["y"]).explanations
    assert found.reason is not None
    assert REASONS[text] in found.reason.with_line()


LOGISTIC = "variable x = 0.3\nvariable r = 3.1\ndef f(u) = r*u*(1 - u)\ny = iterate(f, x, {n})\n"


def test_a_loop_is_one_node_whatever_its_count_is():
    sizes = {len(cone([gradcli.loads(LOGISTIC.format(n=n)).graph.names["y"]])) for n in (10, 100_000_000)}
    assert len(sizes) == 1


def test_a_derivative_inside_a_loop_does_not_walk_back_through_earlier_steps():
    text = "variable x = 1.0\ndef f(q) = {{ p = q^4/4 + q^2\n    g = gradients(p, q)\n    q - 0.01*g }}\ny = iterate(f, x, {n})\n"
    few, many = (len(cone([gradcli.loads(text.format(n=n)).graph.names["y"]])) for n in (10, 100_000))
    assert few == many
    x = 1.0
    for _ in range(30):
        x -= 0.01 * (x**3 + 2 * x)
    np.testing.assert_allclose(gradcli.loads(text.format(n=30)).eval()["y"], x, rtol=1e-13)


def test_a_derivative_by_what_came_before_the_loop_is_written_out():
    """The way from the state to x leads through all earlier steps."""
    text = "variable x = 0.5\nvariable c = 0.1\ndef f(q) = {{ p = sin(q)\n    q + c*gradients(p, x) }}\ny = iterate(f, x*x, 3)\n"
    with loops(True):
        ours = gradcli.loads(text.format()).grad()["x"]
    with loops(False):
        np.testing.assert_allclose(ours, gradcli.loads(text.format()).grad()["x"], rtol=1e-13)


def test_none_is_decided_by_the_steps_that_there_are():
    """A shift register of three: what goes in comes out after three steps."""
    text = (
        "variable u = 2.0\nvariable x = 1.0\ndef f(a, b, c) = u*1.0, a, b\np, q, y = iterate(f, [x, x*2, x*3], {n})\n"
    )
    with loops(True):
        found = [gradcli.loads(text.format(n=n)).grad(["y"]) for n in (1, 2, 3, 4)]
    assert [g["u"] is None for g in found] == [True, True, False, False]
    assert [g["x"] is None for g in found] == [False, False, True, True]
    assert found[1]["x"] == 1.0


def test_until_stops_after_the_step_that_makes_it_true():
    newton = "variable a = 2.0\ndef f(x) = 0.5*(x + a/x)\ndef near(x) = abs(x*x - a) < 1e-12\nr = iterate(f, 1.0, 100, until=near)\n"
    program = gradcli.loads(newton)
    np.testing.assert_allclose(program.eval()["r"], math.sqrt(2), rtol=1e-15)
    np.testing.assert_allclose(program.grad()["a"], 0.5 / math.sqrt(2), rtol=1e-9)
    counted = "variable x = 0.0\ndef f(n) = n + 1\ndef g(n) = n >= 4\ny = iterate(f, x, 50, until=g)\n"
    assert gradcli.loads(counted).eval()["y"] == 4


def test_steps_after_the_last_are_not_selected():
    """They would be NaN."""
    text = "variable x = 1.0\ndef f(a) = sqrt(a - 0.3)\ndef g(a) = a < 0.8\ny = iterate(f, x, 20, until=g)\n"
    program = gradcli.loads(text)
    assert np.isfinite(program.eval()["y"])
    first, second = math.sqrt(0.7), math.sqrt(math.sqrt(0.7) - 0.3)
    np.testing.assert_allclose(program.eval()["y"], second, rtol=1e-14)
    np.testing.assert_allclose(program.grad()["x"], 0.5 / first * 0.5 / second, rtol=1e-12)


def test_what_is_not_selected_before_a_loop_stays_so_in_it():
    """Forward mode meets the NaN of a branch that is not taken."""
    text = "variable x = [0.5, -1.0]\na = where(x > 0, x, sqrt(x - 1.0))\ndef f(a) = where(a > 0, sqrt(a), a)\n"
    text += "h = iterate(f, a, 3)\ny = hypot(relu(x), h)\n"
    found = []
    for are_nodes in (True, False):
        with loops(are_nodes):
            found.append(gradcli.loads(text).jvp({"x": 1.0}, ["y"])["y"])
    np.testing.assert_allclose(*found, rtol=1e-13)


def test_scan_gives_the_state_after_each_row():
    text = "variable w = 2.0\ndef f(s, e) = s + w*e\nh = scan(f, [1.0, 2.0, 3.0], 0.5{reverse})\n"
    assert gradcli.loads(text.format(reverse="")).eval()["h"].tolist() == [2.5, 6.5, 12.5]
    assert gradcli.loads(text.format(reverse=", reverse=true")).eval()["h"].tolist() == [12.5, 10.5, 6.5]
    program = gradcli.loads(
        "variable e = [1.0, 2.0]\nvariable g = [[1.0], [2.0]]\ndef f(s, a, b) = s*a + sum(b)\nh = scan(f, [e, g], 1.0)\n"
    )
    assert program.eval()["h"].tolist() == [2.0, 6.0]
    assert program.grad()["e"].tolist() == [3.0, 2.0]
    assert gradcli.loads("def f(s, e) = s + e\nh = scan(f, zeros([0]), 1.0)\n").eval()["h"].shape == (0,)


def test_map_gives_gradients_of_examples():
    text = """
variable w = [0.5, -0.2]
constant X = [[1.0, 2.0], [0.3, -1.0], [2.0, 0.1]]
constant t = [1.0, 0.0, 2.0]
def example(x, t) = {
    l = (w @ x - t)^2
    gradients(l, w)
}
g = map(example, X, t)
"""
    X, t, w = np.array([[1.0, 2.0], [0.3, -1.0], [2.0, 0.1]]), np.array([1.0, 0.0, 2.0]), np.array([0.5, -0.2])
    np.testing.assert_allclose(gradcli.loads(text).eval()["g"], 2 * ((X @ w - t)[:, None] * X), rtol=1e-13)


@pytest.mark.parametrize(("substeps", "tolerance"), [(1, 1e-6), (10, 1e-10), (40, 1e-12)])
def test_odeint_converges_to_the_solution(substeps, tolerance):
    text = f"variable k = 0.7\nvariable y0 = [1.0, 0.0]\ndef f(y, t) = [y[1], -k*y[0]]\nh = odeint(f, y0, linspace(0.0, 2.0, 21), {substeps})\ny = h[-1, 0]\n"
    program = gradcli.loads(text)
    omega = math.sqrt(0.7)
    times = np.linspace(0, 2, 21)
    np.testing.assert_allclose(program.eval()["h"][:, 0], np.cos(omega * times), rtol=0, atol=tolerance)
    expected = -math.sin(omega * 2) * 2 * 0.5 / omega
    np.testing.assert_allclose(program.grad(["y"])["k"], expected, rtol=10 * tolerance)


def test_states_are_computed_again_where_memory_does_not_keep_them(monkeypatch):
    """A million steps need 8 MB of states, 100 million 800 MB; about the square root of that is kept where it does not fit."""
    text = LOGISTIC.format(n=200_000)
    plenty, little = (gradcli.loads(text, max_memory=bytes).grad(["y"]) for bytes in (64 << 20, 1 << 18))
    monkeypatch.setenv("GRADCLI_WITHOUT", "apart")  # the same sums in the same order
    known, fewer = (gradcli.loads(text, max_memory=bytes).grad(["y"]) for bytes in (64 << 20, 1 << 18))
    assert known == fewer
    for found in (plenty, little):
        np.testing.assert_allclose([found["x"], found["r"]], [known["x"], known["r"]], rtol=1e-12)


def test_memory_is_known_before_the_run():
    text = "variable r = 3.1\ndef f(u, e) = r*u*(1 - u) + e*e\nh = scan(f, zeros([{n}]), 0.3)\n"
    with pytest.raises(gradcli.GradcliError, match="memory") as caught:
        gradcli.loads(text.format(n=10_000_000), max_memory=16 << 20).grad(["h"])
    assert caught.value.kind == "LimitError"


@pytest.mark.slow
@pytest.mark.parametrize("reverse", ["", ", reverse=true"])
def test_parts_of_a_loop_give_what_the_loop_gives(reverse, monkeypatch):
    text = (
        "variable x = 0.3\nvariable w = 0.5\ndef f(a, b, e) = tanh(w*a + e) + 0.1*b, a*e + 0.1*b\n"
        f"h, k = scan(f, linspace(-1.0, 1.0, 23)*w, [x, 2*x]{reverse})\ny = sum(h^2) + k[-1]*k[0]\n"
    )
    whole = everything(text)
    monkeypatch.setattr(node, "HISTORY", 0)
    monkeypatch.setattr(backwards, "FEW", 3)
    for key, value in everything(text).items():
        np.testing.assert_allclose(value, whole[key], rtol=1e-9, atol=1e-12, err_msg=str(key))


def test_points_take_an_axis_through_the_loop(tmp_path):
    program = gradcli.loads(LOGISTIC.format(n=30))
    rows = np.linspace(0.1, 0.9, 5)
    found = program.points({"x": rows}, order=1)
    for k, x in enumerate(rows):
        one = program.grad(values={"x": x})
        np.testing.assert_allclose([found[name][k] for name in ("x", "r")], [one["x"], one["r"]], rtol=1e-11)


WRONG = {
    "a state that changes its dtype": ("def f(s, e) = s + 0.5\nh = scan(f, [1.0, 2.0], 0)\n", "keep its shape and dtype", "0.0"),
    "a state that changes its shape": ("def f(s, e) = [s, e]\nh = scan(f, [1.0, 2.0], 0.0)\n", "keep its shape and dtype", None),
    "a count that is not known": ("variable n = 3\ndef f(x) = x\ny = iterate(f, 1.0, n)\n", "must be known", "literal"),
    "arrays of different lengths": ("def f(a, b) = a*b\ny = map(f, [1, 2], [1, 2, 3])\n", "2 and 3 rows", None),
    "elements of different lengths": ("def f(s, a, b) = s\ny = scan(f, [[1, 2], [1, 2, 3]], 0)\n", "2 and 3 rows", None),
    "a scalar in place of rows": ("def f(a) = a\ny = map(f, 1.0)\n", "scalar", None),
    "too few values": ("def f(a, b) = a\nx, y = iterate(f, [1.0, 2.0], 10)\n", "as many values as there are states", None),
    "a condition that is not a bool": ("def f(a) = a\ny = iterate(f, 1.0, 10, until=f)\n", "one bool", None),
    "a condition of several": ("def f(a) = a*2\ndef g(a) = a > 1\ny = iterate(f, [1.0, 2.0], 10, until=g)\n", "one bool", None),
    "a slope of another shape": ("def f(y, t) = [y, t]\ny = odeint(f, 1.0, [0.0, 1.0])\n", "has its shape", None),
    "times that are not a vector": ("def f(y, t) = y\ny = odeint(f, 1.0, 2.0)\n", "vector of times", None),
    "no function": ("y = scan(3, [1.0], 0.0)\n", "name of a function", "scan(f, elems, initializer)"),
    "a function of too few": ("def f(s) = s\ny = scan(f, [1.0], 0.0)\n", "function of 2 arguments", None),
    "a negative count": ("def f(s) = s\ny = iterate(f, 1.0, -1)\n", "0 or more", None),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong(name):
    text, message, help = WRONG[name]
    with pytest.raises(gradcli.GradcliError, match=message) as caught:
        gradcli.loads(text)
    assert caught.value.span is not None
    assert help is None or help in (caught.value.help or "")


@pytest.mark.parametrize(
    ("call", "where"),
    [
        ("iterate(f, A, 20)", "step 1 of 20"),
        ("iterate(g, A, 20)", "step 1 of 20"),
        ("iterate(h, A, 30)", "step 1 of 20, step 1 of 30"),
        ("scan(k, arange(-2.0, 18.0), A + eye(2))[2]", "step 3 of 20"),
        ("scan(k, arange(17.0, -3.0, -1), A + eye(2), reverse=true)[2]", "step 3 of 20"),
    ],
)
def test_an_operation_that_fails_in_a_step_is_named_with_its_line_and_step(call, where):
    text = (
        "variable A = [[1.0, 1.0], [1.0, 1.0]]\n"
        "def f(B) = 1.0 + inv(B) * 2.0\n"
        "def g(B) = B + inv(A)\n"
        "def h(B) = iterate(f, B, 20)\n"
        "def k(B, c) = B + inv([[c, 0.0], [0.0, c]])\n"
        f"y = {call}\n"
    )
    with pytest.raises(gradcli.GradcliError, match="inv: the matrix is singular") as caught:
        gradcli.loads(text).eval()
    assert "inv(" in caught.value.span.text
    if "(g," not in call:
        assert caught.value.message.endswith(f"(in {where})")


def test_random_numbers_differ_from_step_to_step():
    text = "def f(x) = x + random_normal([])\ny = iterate(f, 0.0, 12)\n"
    with loops(True):
        ours = gradcli.loads(text).eval()["y"]
    with loops(False):
        assert gradcli.loads(text).eval()["y"] == ours


@pytest.mark.slow
@pytest.mark.parametrize("seed", some(range(60), 6))
def test_derive_writes_a_loop_as_a_loop(seed):
    with loops(True):
        program = gradcli.loads(loop_program(seed))
        for order in (1, 2):
            gradients = program.grad("y", order=order)
            again = gradcli.loads(str(program.derive("y", order=order)))
            found = dict(zip([x for x, g in gradients.items() if g is not None], again.eval().values(), strict=False))
            for x, g in found.items():
                np.testing.assert_allclose(g, gradients[x], rtol=1e-8, atol=1e-10, err_msg=f"{x} {order}\n{again}")


def test_the_text_of_a_derivative_does_not_grow_with_the_steps():
    short, long = (str(gradcli.loads(LOGISTIC.format(n=n)).derive()) for n in (10, 1_000_000))
    assert short.replace("[10]", "[1000000]") == long
    assert "reverse=true" in long
    assert gradcli.loads(short).eval(["dy_dr"])["dy_dr"] == pytest.approx(
        gradcli.loads(LOGISTIC.format(n=10)).grad()["r"], rel=1e-12
    )


def test_the_nile_has_the_variances_that_the_book_gives():
    """Durbin and Koopman, section 2.10: 15,099 and 1,469.1."""
    program = gradcli.load(Path(__file__).parents[2] / "samples" / "loops" / "nile.expr")
    found = program.fit("loss", method="lbfgs")
    noise, step = (math.exp(found.values[name]) for name in ("log_noise", "log_step"))
    assert (noise, step) == (pytest.approx(15099, rel=1e-3), pytest.approx(1469.1, rel=1e-3))
    assert found.loss == pytest.approx(632.5456, abs=1e-3)


@pytest.mark.slow
def test_until_does_no_more_steps_than_it_needs():
    """A matrix that is singular after its second step, and 10^8 steps that nobody would wait for."""
    text = """variable a = 2.0
def newton(x) = x - (x^2 - a)/(2*x)
def near(x) = abs(x^2 - a) < 1e-14
y = iterate(newton, 1.0, 100000000, until=near)
def next(A) = A + a*eye(2) + 0*inv(A - 6*eye(2))
def large(A) = A[0, 0] > 4
B = iterate(next, eye(2)*a, 50, until=large)
"""
    program = gradcli.loads(text)
    assert program.eval(["y"])["y"] == pytest.approx(math.sqrt(2), rel=1e-15)
    np.testing.assert_array_equal(program.eval(["B"])["B"], 6 * np.eye(2))
    found = []
    for are_nodes in (True, False):
        with loops(are_nodes):
            few = gradcli.loads(text.replace("100000000", "40"))
            found.append([*[few.grad("y", order=order)["a"] for order in (1, 2, 3)], few.jacobian("y")["y"]["a"]])
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_modules_have_loops_of_any_number_of_steps():
    few, many = (gradcli.loads(LOGISTIC.format(n=n)) for n in (23, 100_000))
    for asked in ({"format": "python"}, {"format": "jax"}):
        assert len(many.derive(**asked).splitlines()) == len(few.derive(**asked).splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("format", ["expr", "latex"])
def test_a_derivation_rule_by_rule_has_a_loop_as_one_step(format):
    few, many = (gradcli.loads(LOGISTIC.format(n=n)).derive(steps=True, format=format) for n in (23, 1_000_000))
    assert "23" in few
    assert few.replace("23", "1000000").replace("22", "999999") == many
    assert few.count("that of the body, step by step") == 1


@pytest.mark.slow
def test_check_of_many_steps_looks_at_the_loop():
    program = gradcli.loads(LOGISTIC.format(n=6000).replace("3.1", "2.9"))
    found = program.check()
    assert {c.verdict for c in found.comparisons} == {"ok"}
