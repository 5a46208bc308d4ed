"""``--trace``: it finds something exactly where a result is not finite, and names the first operation to blame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradcli
from gradcli.features.trace.answer import trace_gradients, trace_values

RISKY = [
    "log({a})", "sqrt({a})", "1/{a}", "exp(300*{a})", "{a}^0.5", "{a}^-1", "{a}/{b}", "{a}*{b}", "{a} - {b}",
    "where({a} > 0, log({a}), {b})", "where({a} > {b}, {a}, 1/{a})", "maximum({a}, {b})", "abs({a})", "atanh({a})",
    "cumsum({a})", "softmax({a})", "sum({a}) + {b}", "{a}[::-1]", "xlogy({a}, {b})", "relu(log({a}))", "norm({a})*{b}",
    "asin({a})", "cbrt({a})", "prod({a}) + {b}", "dot({a}, {b}) + {a}", "tanh({a})", "divide_no_nan({a}, {b})",
]  # fmt: skip


@st.composite
def risky_programs(draw):
    """Operations at the edges of their domains: values among which are 0, negative and large numbers."""
    numbers = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e200])
    row = [draw(numbers) for _ in range(3)]
    lines = [f"variable v0 = {row}", "constant v1 = [0.0, 2.0, -1.0]"]
    names = ["v0", "v1"]
    for i in range(draw(st.integers(1, 4))):
        a, b = draw(st.sampled_from([*names, names[-1]])), draw(st.sampled_from(names))
        lines.append(f"n{i} = {draw(st.sampled_from(RISKY)).format(a=a, b=b)}")
        names.append(f"n{i}")
    return "\n".join(lines)


def finite(values):
    return all([value is None or np.isfinite(value).all() for value in values])


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(text=risky_programs(), order=st.sampled_from([1, 1, 2, 4]))
def test_something_is_found_exactly_where_a_result_is_not_finite(text, order):
    program = gradcli.loads(text)
    traced = trace_values(program, None)
    assert (traced.finding is None) == finite(program.eval().values())
    if traced.finding is not None:
        assert traced.finding.span is not None
        assert not traced.finding.backward
    results = [*program.eval([program.names[-1]]).values(), *program.grad(order=order, wrt=["v0"]).values()]
    traced = trace_gradients(program, None, ["v0"], [order])
    assert (traced.finding is None) == finite(results)
    if traced.finding is not None:
        result = traced.finding.operands[-1]
        assert result.entries
        assert not any([np.isfinite(value) for _, value in result.entries])
        assert traced.finding.span is not None
    assert all(["which no result uses" in text for text in traced.harmless])


TABLE = [  # program, order, line, operation, message, help
    ("y = log(x)", 1, "log(x)", "log(x) makes -infinity", "log(x + 1e-12)"),
    ("y = log(x - 1)", 1, "log(x - 1)", "NaN", "needs x > 0"),
    ("y = sqrt(x)", 1, "1 / y", "the derivative of sqrt(x) makes infinity", "sqrt(x + 1e-12)"),
    ("y = sqrt(x - 1)", 1, "sqrt(x - 1)", "NaN", "maximum(x, 0)"),
    ("y = sqrt(sum(square(x*[1., 2.])))", 1, "1 / y", "derivative of sqrt", "norm(x * […])"),
    ("y = x/x", 1, "x / x", "NaN", "divide_no_nan(x, x)"),
    ("y = 1/x", 1, "1 / x", "infinity", "divide_no_nan(1, x)"),
    ("y = exp(x + 1000)", 1, "exp(x + 1000)", "infinity", "above about 709"),
    ("y = sum(exp(x + 1000))", 1, "exp(x + 1000)", "infinity", "above about 709"),
    ("y = log(sum(exp([x + 1000, x])))", 1, "exp", "infinity", "logsumexp"),
    ("y = log(softmax([x + 1000, x]))", 1, "log", "-infinity in 1 of 2 entries", "log_softmax"),
    ("y = log(1 + exp(x + 1000))", 1, "exp(x + 1000)", "infinity", "softplus(x + 1000)"),
    ("y = 1/(1 + exp(1000 - x))", 1, "exp", "infinity", "sigmoid"),
    ("y = x*log(x)", 1, "log(x)", "-infinity", "xlogy(x, x)"),
    ("y = x*inf", 1, "x * inf", "NaN", "0 times infinity"),
    ("y = (x + inf) - inf", 1, "inf", "NaN", "infinity less infinity"),
    ("y = x^-1", 1, "x^-1", "infinity", "0 to a negative power"),
    ("y = (x - 2)^0.5", 1, "(x - 2)^0.5", "NaN", "no real power"),
    ("y = x^0.5", 1, "x^-0.5", "the derivative of x^0.5", "slope of a power below 1"),
    ("y = x^1.5", 2, "x^-0.5", "at order 2, the derivative of x^1.5", "negative power"),
    ("y = x^2.5", 3, "x^-0.5", "at order 3, the derivative of x^2.5", "negative power"),
    ("y = acos(x + 2)", 1, "acos(x + 2)", "NaN", "clip(x, -1, 1)"),
    ("y = asin(x + 1)", 1, "1 / sqrt", "derivative of asin", "slope of asin"),
    ("y = cbrt(x)", 1, "1 / (3 * y * y)", "derivative of cbrt", "slope of cbrt"),
    ("y = atan2(x, x)", 1, "x / (x * x + x * x)", "derivative of atan2", "no finite derivative there"),
    ("y = (x + 1e200)^2", 1, "(x + 1e+200)^2", "infinity", "too large for float64: scale"),
    ("y = mean(zeros([0])*x)", 1, "mean", "NaN", "no entries"),
]


@pytest.mark.parametrize(("line", "order", "operation", "message", "help"), TABLE, ids=[row[0] for row in TABLE])
def test_the_operation_the_guilty_factor_and_the_stable_form(line, order, operation, message, help):
    program = gradcli.loads(f"variable x = 0.\n{line}")
    finding = trace_gradients(program, None, None, [order]).finding
    assert operation in finding.formula
    assert message in finding.message
    assert help in finding.help
    assert finding.span.line == 2
    assert finding.backward == ("derivative of" in message)


MENDED = [  # program, what the help says, the program with that
    ("y = log(x)", "`log(x + 1e-12)`", "y = log(x + 1e-12)"),
    ("y = log(x)", "`where(x > 0, log(x), 0)`", "y = where(x > 0, log(x), 0)"),
    ("y = log2(x - 1)", "`where(x - 1 > 0, log2(x - 1), 0)`", "y = where(x - 1 > 0, log2(x - 1), 0)"),
    ("y = sqrt(x)", "`where(x > 0, sqrt(x), 0)`", "y = where(x > 0, sqrt(x), 0)"),
    ("y = sqrt(x)", "`sqrt(x + 1e-12)`", "y = sqrt(x + 1e-12)"),
    ("y = sqrt(sum(x*x))", "`norm(x)`", "y = norm(x)"),
    ("y = cbrt(x)", "`where(x != 0, cbrt(x), 0)`", "y = where(x != 0, cbrt(x), 0)"),
    ("y = x^0.5", "`where(x > 0, x^p, 0)`", "y = where(x > 0, x^0.5, 0)"),
    ("y = x^-1", "`where(x != 0, x^p, 0)`", "y = where(x != 0, x^-1, 0)"),
    ("y = x/x", "`divide_no_nan(x, x)`", "y = divide_no_nan(x, x)"),
    ("y = x/x", "`where(x != 0, x / x, 0)`", "y = where(x != 0, x / x, 0)"),
    ("y = x*log(x)", "`xlogy(x, x)`", "y = sum(xlogy(x, 1 + x))"),
    ("y = acos(x + 2)", "`acos(clip(x, -1, 1))`", "y = acos(clip(x + 2, -0.999999, 0.999999))"),
    ("y = exp(x + 1000)", "`exp(minimum(x, 709))`", "y = exp(minimum(x + 1000, 709))"),
    ("y = exp2(x + 2000)", "`exp2(minimum(x, 1023))`", "y = exp2(minimum(x + 2000, 1023))"),
    ("y = log(sum(exp(x + 1000)))", "`logsumexp(x + 1000)`", "y = logsumexp(x + 1000)"),
    ("y = log(1 + exp(x + 1000))", "`softplus(x + 1000)`", "y = softplus(x + 1000)"),
    ("y = 1/(1 + exp(1000 - x))", "`sigmoid(-(1000 - x))`", "y = sigmoid(-(1000 - x))"),
    ("y = log(sigmoid(x - 1000))", "`-softplus(-(x - 1000))`", "y = -softplus(-(x - 1000))"),
    ("y = exp(x + 1000)/sum(exp(x + 1000))", "`softmax(x + 1000)`", "y = softmax(x + 1000)"),
    ("y = log(exp(x + 1000)/sum(exp(x + 1000)))", "`log_softmax(x + 1000)`", "y = log_softmax(x + 1000)"),
    ("p = softmax(x*1e4 + [0, 1e4])\ny = log(p)", "`log_softmax(", "y = log_softmax(x*1e4 + [0, 1e4])"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words", "mended"), MENDED, ids=[f"{row[0]}: {row[1]}" for row in MENDED])
def test_the_form_that_is_named_is_finite(line, words, mended):
    head = "variable x = [0., 0.]\n"
    assert words in trace_gradients(gradcli.loads(head + line), None, None, [1]).finding.help
    program = gradcli.loads(head + mended)
    assert trace_gradients(program, None, None, [1]).finding is None
    assert finite([*program.eval().values(), *program.grad().values()])


def test_entries_of_inputs_are_named():
    program = gradcli.loads("variable x = [[1., 0.], [-2., 5.]]\ny = log(x)*2")
    finding = trace_values(program, None).finding
    assert (finding.bad, finding.size) == (2, 4)
    inputs, result = finding.operands
    assert inputs.name == "x"
    assert inputs.entries == [((0, 1), 0.0), ((1, 0), -2.0)]
    assert [index for index, _ in result.entries] == [(0, 1), (1, 0)]
    assert result.entries[0][1] == -np.inf
    assert np.isnan(result.entries[1][1])


def test_a_broadcast_input_is_shown_at_its_own_index():
    program = gradcli.loads("variable x = [[1.], [2.]]\nconstant k = [1., 0.]\ny = x/k")
    finding = trace_values(program, None).finding
    assert [(o.name, o.entries) for o in finding.operands[:2]] == [
        ("x", [((0, 0), 1.0), ((1, 0), 2.0)]),
        ("k", [((1,), 0.0)]),
    ]


def test_what_is_not_selected_is_harmless():
    program = gradcli.loads("variable x = [1., -1.]\ny = where(x > 0, log(x), 0)\nz = [1/0, 2.][1]*sum(y)")
    traced = trace_gradients(program, None, None, [2])
    assert traced.finding is None
    assert any("log on line 2 gives NaN in 1 of 2 entries" in text for text in traced.harmless)


def test_of_two_the_one_that_is_selected_is_to_blame():
    program = gradcli.loads("variable x = [0., -1.]\na = log(x)\nb = 1/x\ny = where(x < 0, 1.0, where(x > 1, a, b))")
    finding = trace_values(program, ["y"]).finding
    assert finding.formula == "1 / x"


def test_leaves_that_hold_it_themselves():
    finding = trace_values(gradcli.loads("variable x = [1., nan]\ny = x + 1"), None).finding
    assert finding.message == "the variable x holds NaN in 1 of 2 entries"
    finding = trace_values(gradcli.loads("y = [1., inf] + 1"), None).finding
    assert finding.message == "a number of the program holds infinity in 1 of 2 entries"


def test_an_operation_that_refuses_what_it_is_given():
    program = gradcli.loads("variable x = [[1., 0.], [0., 1.]]\na = log(x)\ny = cholesky(a)")
    finding = trace_values(program, ["y"]).finding
    assert finding.span.line == 2
    assert "then cholesky fails" in finding.message
    assert trace_values(gradcli.loads("y = inv([[1., 1.], [1., 1.]])"), None) is None


def test_a_gradient_in_the_program():
    program = gradcli.loads("variable x = 0.\ny = sqrt(x)\ng = gradients(y, x)\nh = 2*g")
    finding = trace_values(program, ["h"]).finding
    assert finding.backward
    assert finding.span.line == 2


def test_a_long_chain(monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", "loops")
    program = gradcli.loads("variable x = 2.\ndef f(x) = x*x\ny = iterate(f, x, 20)")
    finding = trace_values(program, None).finding
    assert finding.message.endswith("makes infinity")
    traced = trace_gradients(
        gradcli.loads("variable x = 2.\ndef f(x) = sin(x)\ny = iterate(f, x, 5000)"), None, None, [1]
    )
    assert traced.finding is None
    assert traced.operations > 10_000


@pytest.mark.parametrize(
    ("line", "words", "place"),
    [
        ("y = iterate(f, 0.0, 60)", "log(3.5 - x) makes -infinity in step 8 of 60", "log(3.5 - x)"),
        ("y = iterate(g, 0.0, 30)", "log(3.5 - x) makes -infinity in step 8 of 20, step 1 of 30", "log(3.5 - x)"),
        ("y = sum(scan(h, arange(3.0, 20.0), 0.0))", "x / (e - 12) makes infinity in step 10 of 17", "(x/(e - 12))"),
        ("y = sum(scan(h, arange(3.0, 20.0), 0.0, reverse=true))", "makes infinity in step 8 of 17", "(x/(e - 12))"),
    ],
)
def test_the_step_of_a_loop_is_told(line, words, place):
    """x grows by a half in each step of f, and by 1 in each of h."""
    text = f"""variable a = 0.5
def f(x) = x + a + 0*log(3.5 - x)
def g(x) = iterate(f, x, 20)
def h(x, e) = x + 1 + 0*(x/(e - 12))
{line}
"""
    finding = trace_values(gradcli.loads(text), None).finding
    assert words in finding.message
    assert finding.span.text == place


def test_the_step_of_a_derivative_is_told():
    """The slope of the root is infinite at 0, the fourth of ten rows, which the way back meets seventh."""
    rows = [4.0, 1.0, 9.0, 0.0, *[1.0] * 6]
    program = gradcli.loads(f"variable e = {rows}\ndef f(x, e) = x/2 + sqrt(e)\ny = sum(scan(f, e, 1.0))\n")
    finding = trace_gradients(program, None, None, [1]).finding
    assert finding.backward
    assert finding.message.endswith("in step 7 of 10")
    assert finding.span.text == "sqrt(e)"


def test_a_y_without_a_value_is_not_needed():
    program = gradcli.loads("variable x = 0.\nvariable z\ny = x + z + sqrt(x)\nu = z + 3*x")
    assert trace_gradients(program, ["u"], ["x"], [1]).finding is None
    assert trace_gradients(program, ["y"], ["x"], [1]).finding.formula == "1 / sqrt(x)"
