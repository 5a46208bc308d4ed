"""``check``: it passes on what is right, finds what is wrong and where, and knows kinks, NaN and stops."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli as interface
from gradcli.features.check import look as checks
from gradcli.features.check.answer import check as run_check
from gradcli.features.check.differences import central, one_sided
from gradcli.graph.operation import Elementwise, Linear
from gradcli.graph.ops import elementwise, reductions, table
from gradcli.report.tables import Screen
from gradcli.results import Checked, Comparison, Kink
from tests.random_programs import programs

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.expr"))


@pytest.fixture
def check(gradcli):
    def call(*arguments: str) -> dict:
        done = gradcli("check", *arguments, "--format", "json")
        assert done.err == ""
        reply = json.loads(done.out, parse_constant=pytest.fail)
        assert done.status == (0 if reply["passed"] else 1)
        return reply

    return call


def failed(reply):
    return {(c["variable"], c["order"], c["method"]) for c in reply["checks"] if c["verdict"] == "FAILED"}


SLOW = {"burgers_network", "exam_classifier", "black_scholes"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "sample",
    [pytest.param(s, id=s.stem, marks=pytest.mark.slow if s.stem in SLOW else ()) for s in SAMPLES],
)
def test_every_sample_passes(check, sample):
    reply = check(str(sample))
    assert reply["passed"]
    assert reply["checks"]
    own = {"ok", "own rule"} if "\ntangent " in sample.read_text(encoding="utf-8") else {"ok"}
    assert {c["verdict"] for c in reply["checks"]} == own


WRONG_AT_ORDER_1 = Elementwise((lambda y, x: 1.001 * elementwise.cos(x),))


def _slope(y, x):
    """cos(x) whose own derivative is that of a cosine twice as steep."""
    return wrong_cosine(x)


wrong_cosine = type(elementwise.cos)(
    "wrong_cosine", "x", "", accepts="float", infer=elementwise.cos.infer, kernel=elementwise.cos.kernel,
    rule=Elementwise((lambda y, x: -2 * elementwise.sin(x),)),
)  # fmt: skip


def test_a_rule_that_is_wrong_at_order_1(check, monkeypatch):
    monkeypatch.setattr(table["sin"], "rule", WRONG_AT_ORDER_1)
    reply = check("-e", "variable x = [0.1, 0.2]; variable z = 3.; y = sin(x)*z", "--order", "1")
    assert failed(reply) == {("x", 1, "differences")}
    (worst,) = [c for c in reply["checks"] if c["verdict"] == "FAILED"]
    assert worst["entry"] == "x[0]"
    assert worst["index"] == [0]
    assert worst["other"] == pytest.approx(3 * np.cos(0.1), rel=1e-9)
    assert worst["reverse"] == pytest.approx(3.003 * np.cos(0.1), rel=1e-9)
    assert worst["relative"] == pytest.approx(1 - 1 / 1.001, rel=1e-6)


def test_a_rule_that_is_wrong_at_order_2_only(check, monkeypatch):
    monkeypatch.setattr(table["sin"], "rule", Elementwise((_slope,)))
    program = ("-e", "variable x = [0.1, 0.2]; y = sin(x)*x")
    assert failed(check(*program, "--order", "1")) == set()
    assert failed(check(*program)) == {("x", 2, "differences")}
    assert failed(check(*program, "--order", "2")) == {("x", 2, "differences")}


def test_a_transpose_that_is_wrong(check, monkeypatch):
    right = reductions.cumsum.rule.transpose
    monkeypatch.setattr(table["cumsum"], "rule", Linear(lambda i, g, y: 2 * right(i, g, y)))
    # Forward mode uses the operation itself and not its transpose.
    found = failed(check("-e", "variable x = [0.1, 0.2]; y = sum(cumsum(x)^2)"))
    assert {("x", 1, "forward"), ("x", 1, "differences"), ("x", 2, "forward")} <= found


@pytest.mark.parametrize("n", [60, 1000])
def test_a_wrong_entry_of_a_large_variable_is_named(check, monkeypatch, n):
    weights = np.zeros(n)
    weights[37] = 1.0
    wrong = Linear(lambda i, g, y: g + elementwise.multiply(g, _constant(weights)))
    monkeypatch.setattr(table["identity"], "rule", wrong)
    program = f"variable x = random_normal([{n}], seed=1); y = sum(identity(x)^2)"
    reply = check("-e", program, "--order", "1")
    entries = {c["entry"] for c in reply["checks"] if c["verdict"] == "FAILED"}
    assert entries == {"x[37]"}


def _constant(values):
    from gradcli.program.loaded import array_node

    return array_node(values)


def test_directions_and_every_entry(check, gradcli):
    program = ("-e", "variable x = [1., 2.]; y = x^3", "--order", "1")

    def entries(*arguments):
        found = check(*arguments)["checks"]
        assert [c["method"] for c in found] == ["forward", "differences"]
        return [c["entry"] for c in found]

    assert set(entries(*program, "--directions", "2")) <= {"x along direction 1", "x along direction 2"}
    large = ("-e", "variable x = ones([60]); y = x^3", "--order", "1")
    assert all("direction" in entry for entry in entries(*large))
    assert all("[" in entry for entry in entries(*large, "--every-entry"))
    done = gradcli("check", *program, "--directions", "2", "--every-entry")
    assert done.status == 2


def test_tolerance(check, monkeypatch):
    monkeypatch.setattr(table["sin"], "rule", WRONG_AT_ORDER_1)
    program = ("-e", "variable x = 0.3; y = sin(x)", "--order", "1")
    assert not check(*program)["passed"]
    assert check(*program, "--tolerance", "0.01")["passed"]


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("variable x = [0., 1., -2.]\n\n\ny = abs(x)", "abs at 0"),
        ("variable x = 0.\n\n\ny = relu(x)", "relu at 0"),
        ("variable x = [1., 1.]\n\n\ny = max(x)", "max with a tie"),
        ("variable x = 2.\n\n\ny = maximum(x, 2)", "maximum with equal arguments"),
        ("variable x = [0., 0.]\n\n\ny = norm(x)", "norm at 0"),
        ("variable x = 3.\n\n\ny = floor(x)*x", "floor at a whole number"),
        ("variable x = 1.\n\n\ny = where(x > 1, x, 2*x)", "a comparison with equal arguments"),
        ("variable x = 0.\n\n\ny = sqrt(x)", "sqrt at 0"),
        ("variable x = 0.\n\n\ny = where(x == 0, 1, 1/x)", "a comparison with equal arguments"),
        ("variable x = [0., 2.]\n\n\ny = clip(x, 0, 2)", "maximum with equal arguments"),
    ],
)
def test_kinks_are_reported_and_fail_nothing(check, program, text):
    reply = check("-e", program)
    assert reply["passed"]
    assert {"text": text, "line": 4, "entries": 1} in reply["kinks"]


@pytest.mark.parametrize(
    "program",
    [
        "variable x = 2.0\n\ny = atan2(-inf, x)",
        "variable x = 1e200\n\ny = 1/x^2",
        "variable x = [1.0, inf]\n\ny = atan(x)",
    ],
)
def test_slopes_through_infinity_fail_nothing(check, program):
    reply = check("-e", program)
    assert reply["passed"] and "unclear" in {c["verdict"] for c in reply["checks"]}
    assert any("is infinite" in note for note in reply["notes"])


def test_a_wrong_rule_beside_an_infinite_entry_fails(check, monkeypatch):
    monkeypatch.setattr(table["atan"], "rule", Elementwise((lambda y, x: elementwise.cos(x),)))
    reply = check("-e", "variable x = [1.0, inf]; y = atan(x)", "--order", "1")
    assert [(c["entry"], c["verdict"]) for c in reply["checks"] if c["method"] == "differences"] == [("x[0]", "FAILED")]


def test_a_wrong_slope_on_a_kink_fails(check, monkeypatch):
    monkeypatch.setattr(table["abs"], "rule", Elementwise((lambda y, x: elementwise.cos(x) * 1.5,)))
    reply = check("-e", "variable x = 0.; y = abs(x)", "--order", "1")
    assert failed(reply) == {("x", 1, "differences")}


def test_a_smooth_point_has_no_kinks(check):
    assert check("-e", "variable x = [1., -2.]; y = relu(x) + abs(x) + max(x)")["kinks"] == []


def test_a_gradient_that_is_none(check):
    reply = check("-e", "variable x = 1.3; variable w = 2.; y = floor(x)*w")
    assert reply["passed"]
    assert any("with respect to x is None: passes through floor on line 1" in note for note in reply["notes"])
    assert {c["reverse"] for c in reply["checks"] if c["variable"] == "x"} == {0.0}


def test_a_gradient_that_is_none_but_should_not_be(check, monkeypatch):
    monkeypatch.setattr(table["sin"], "rule", Elementwise((None,)))
    reply = check("-e", "variable x = 1.3; y = sin(x)")
    assert failed(reply) == {("x", 1, "differences")}


def test_what_is_stopped_is_held_fixed(check):
    reply = check("-e", "variable x = 1.3\ny = x*stop_gradient(x^2)")
    assert reply["passed"]
    assert "stop_gradient on line 2 was held fixed in the differences" in reply["notes"]
    assert reply["checks"][1]["other"] == pytest.approx(1.3**2)


def test_float32_is_checked_in_float64(check):
    reply = check("-e", "dtype float32; variable x = 1.3; y = sin(x)")
    assert reply["notes"] == ["the program is float32, and was checked in float64"]
    assert max(c["relative"] for c in reply["checks"]) < 1e-9
    assert check("-e", "variable x: float32 = 1.3; y = sin(x)")["passed"]


def test_seed_lines_count(check):
    reply = check("-e", "variable x = [1., 2.]; y = x^2; seed y = [3., 0.]", "--order", "1")
    assert reply["passed"]
    assert reply["checks"][0]["reverse"] in (0.0, 6.0)


def test_integers(check):
    assert check("-e", "variable x = [1, 2]; y = x*x/3")["passed"]
    assert check("-e", "variable j = 1; variable x = [1., 2.]; y = x[j]*x")["passed"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        "variable x = [-1., 2.]; y = log(x)*x",
        "variable x = [-1., 2.]; y = where(x > 0, sqrt(x), x)",
        "variable x = 0.; y = 1/x",
        "variable x = [-1., 2.]; z = x^2; y = log(x); output y, z",
        "variable x = 1e-8; y = log(x)",
        "variable x = 1e6; y = cos(x)",
        "variable x = 1e-12; y = 1 + sin(x)",
        "variable x = 1e5; y = x^3",
        "variable A = [[2., 1.], [1., 3.]]; y = logdet(A) + sum(inv(A)) + sum(cholesky(A)) + det(A)",
        "variable x = 300.; y = softplus(x) + log(exp(x))",
        "variable x = ones([0]); y = sum(x)",
        "variable x = [1.5, inf]; y = x^-2",
        "variable x = 1e308; y = x^-1",
        "variable x = [1.5, 1e308]; y = cos(x)",
        "variable x = [1.5, 1e308]; y = cbrt(x)",
        "variable x = [1.5, 1e308]; y = cumprod(x)",
        "variable x = [1.5, 1e308]; y = acos(x)",
        "variable x = [1.5, 1e308]; y = erfc(x)",
        "variable x = 5e-324; y = digamma(x)",
    ],
)
def test_hard_points_pass(check, program):
    assert check("-e", program)["passed"]


def test_cross_blocks_are_checked(check, monkeypatch):
    # a*b is linear in each factor: only the derivative by both shows what the slope's own rule is.
    def slope(y, a, b):
        return wrong_identity(b)

    wrong_identity = type(elementwise.cos)(
        "wrong_identity", "x", "", accepts="float", infer=elementwise.cos.infer, kernel=lambda xp, x: x,
        rule=Elementwise((lambda y, x: 3,)),
    )  # fmt: skip
    rule = Elementwise((slope, lambda y, a, b: a))
    monkeypatch.setattr(table["hypot"], "kernel", lambda xp, a, b: a * b)
    monkeypatch.setattr(table["hypot"], "rule", rule)
    reply = check("-e", "variable a = 2.; variable b = 3.; y = hypot(a, b)")
    assert ("b", 2, "differences") in failed(reply)
    assert not {f for f in failed(reply) if f[1] == 1}


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs_pass(text):
    found = run_check(interface.loads(text))
    assert found.passed, [c for c in found.comparisons if c.verdict == "FAILED"]


def test_nothing_to_check(gradcli):
    done = gradcli("check", "-e", "y = 2.0")
    assert done.status == 1
    assert "no variables" in done.err


COMPARISONS = [
    Comparison("W", 1, "differences", "W[2, 0]", (2, 0), 0.5, 0.25, 0.25, 0.5, "FAILED"),
    Comparison("b", 2, "series", "b", (), 1 / 3, 1 / 3, 0.0, 0.0, "ok"),
]
CHECKED = Checked(["loss"], COMPARISONS, [Kink("abs at 0", None, 3)], ["a note"])


def test_plain():
    assert checks.render(CHECKED) == (
        "variable  order  method       worst entry  reverse              other                abs error  rel error  verdict\n"
        "W         1      differences  W[2, 0]      0.5                  0.25                 0.25       0.5        FAILED\n"
        "b         2      series       b            0.33333333333333331  0.33333333333333331  0          0          ok\n"
        "not smooth here: abs at 0 (3 entries)\n"
        "note: a note\n"
        "FAILED: 1 of 2 comparisons\n"
    )


def test_table():
    assert [line.rstrip() for line in checks.render_table(CHECKED, Screen(80)).splitlines()][:6] == [
        "gradients of loss, order 1",
        "╭─────────────┬─────────┬─────────┬───────┬──────┬─────┬─────────╮",
        "│ method      │ entry   │ reverse │ other │ abs  │ rel │ verdict │",
        "├─────────────┼─────────┼─────────┼───────┼──────┼─────┼─────────┤",
        "│ differences │ W[2, 0] │ 0.5     │ 0.25  │ 0.25 │ 0.5 │ FAILED  │",
        "╰─────────────┴─────────┴─────────┴───────┴──────┴─────┴─────────╯",
    ]


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (np.sin, 1.0),
        (np.exp, 1.0),
        (lambda t: np.log(1e-6 + t), 1e6),
        (lambda t: np.cos(1e7 * t + 1), -1e7 * np.sin(1)),
    ],
)
def test_differences(function, slope):
    def of(t):
        return np.array([function(t)])

    (value,), (error,) = central(of, 1e-10, 1.1e-16)
    assert value == pytest.approx(slope, rel=1e-7)
    assert abs(value - slope) <= 10 * error


def test_one_sided_differences():
    def of(t):
        return np.array([abs(t) + np.sin(t)])

    assert one_sided(of, 1, 1e-10, 1.1e-16)[0][0] == pytest.approx(2, rel=1e-7)
    assert one_sided(of, -1, 1e-10, 1.1e-16)[0][0] == pytest.approx(0, abs=1e-7)


def test_overflows_are_no_warnings(check):
    # Warnings are errors in tests.
    check("-e", "dtype float32; variable x = -0.0; y = where(x > 0, [0, 3], 1e308)")
