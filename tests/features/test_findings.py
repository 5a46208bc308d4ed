"""What lint finds and what it leaves alone; and that a fix keeps a program as it was."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gradcli
from gradcli.diagnostics import Source
from gradcli.features.lint.answer import lint
from gradcli.features.lint.mended import mend
from gradcli.language.formulas import SPELLINGS
from gradcli.language.parser import parse
from gradcli.language.spellings import Search, rewritten
from gradcli.language.walking import same
from tests.random_programs import programs

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.expr"))


def found(text):
    """The codes of the findings, each with what it underlines."""
    return [(finding.code, finding.span.text) for finding in lint(gradcli.loads(text))]


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
def test_the_samples_are_clean(sample):
    assert lint(gradcli.load(sample)) == []


def test_what_the_samples_leave_out_would_be_found():
    text = {name: (ROOT / "samples" / f"{name}.expr").read_text() for name in ("stopped_node", "unrelated_variable")}
    assert found(text["stopped_node"].replace("lint:", "")) == [("no-influence", "w1")]
    assert found(text["unrelated_variable"].replace("lint:", "")) == [
        ("integer-variable", "w1"), ("unused-variable", "w2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("variable x = 1.0; variable w = 2.0; y = x", [("unused-variable", "w")]),
        ("variable x = 1.0; constant k = 2.0; y = x", [("unused-constant", "k")]),
        ("variable x = 1.0; variable _w = 2.0; y = x", []),
        ("variable x = 1.0; variable w = 2.0; y = x; output y, w", []),
        ("variable x = 1.0; a = 2*x; y = x; output y", [("unused-definition", "a")]),
        ("variable x = 1.0; a = 2*x; y = x", []),  # eval prints both
        ("variable x = [1.0]; variable w = 1.0; y = sum(x)*w; p, q = gradients(y, [x, w]); output y, p", []),
        ("variable x = [1.0]; variable w = 1.0; y = sum(x)*w; p, q = gradients(y, [x, w]); output y",
         [("unused-definition", "p")]),
        ("def f(u) = u\nvariable x = 1.0; y = x", [("unused-function", "f")]),
        ("def f(u) = u*w\nvariable x = 1.0; y = x".replace("def", "variable w = 2.0\ndef"),
         [("no-influence", "w"), ("unused-function", "f")]),
        ("def f(u, v) = u\nvariable x = 1.0; y = f(x, x)", [("unused-parameter", "v")]),
        ("def f(u, _v) = u\nvariable x = 1.0; y = f(x, x)", []),
        ("def f(u) = { t = 2*u; u*u }\nvariable x = 1.0; y = f(x)", [("unused-local", "t")]),
        ("variable x = 1.0; variable u = 2.0\ndef f(u) = u*x\ny = f(x)", [("unused-variable", "u")]),
        ("constant n = 3; variable w: [n] = 1.0; y = sum(w)", []),
        ("constant k = 3.0; variable x = [k]; y = sum(x)", []),
        ("variable x = 1.0; y = 2*x; seed y = 3.0; output y", []),
    ],
)  # fmt: skip
def test_unused_names(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("variable x = 1.0; variable w = 2.0; y = stop_gradient(x)*w", [("no-influence", "x")]),
        ("variable x = 1.0; y = floor(x)", [("no-influence", "x")]),
        ("variable x = [1.0]; variable w = 2.0; y = w*cast(argmax(x), float64)", [("no-influence", "x")]),
        ("variable x = 1.0; y = 0*x", []),
        ("variable x = 1.0; y = stop_gradient(x) + x", []),
        ("variable x = 1.0; variable w = 2.0; a = 2*w; y = x; output y",
         [("no-influence", "w"), ("unused-definition", "a")]),
        ("variable x = 1.0; a = stop_gradient(x); y = a; z = x*a", []),
        ("variable n = 2; y = 1.5*n", [("integer-variable", "n")]),
        ("constant n = 2; variable x = 1.0; y = n*x", []),
        ("variable n = [1, 0]; variable x = [1.0, 2.0]; y = where(n > 0, x, 2*x)", [("no-influence", "n")]),
    ],
)  # fmt: skip
def test_variables_without_influence_and_integers(text, expected):
    assert found(text) == expected


def test_many_variables_without_influence():
    text = "".join(f"variable x{i} = 1.0\n" for i in range(60)) + f"y = floor({' + '.join(f'x{i}' for i in range(60))})"
    findings = lint(gradcli.loads(text))
    assert [finding.code for finding in findings] == ["no-influence"] * 60
    assert "floor" in findings[0].message
    assert "every way is cut" in findings[-1].message


V = "variable x = [0.3, 1.2, -0.4]\nvariable m = [[0.3, 1.2, -0.4], [1.0, 2.0, 0.5]]\nvariable s = 0.25\n"
V += "variable p = 0.8\nvariable q = [[2.0, 0.5, 0.1], [0.2, 3.0, 0.3], [0.4, 0.6, 2.5]]\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("formula", "better"),
    [
        ("log(softmax(x))", "log_softmax(x)"),
        ("log(softmax(m, axis=0))", "log_softmax(m, axis=0)"),
        ("log(softmax(m, 0))", "log_softmax(m, axis=0)"),
        ("log(sigmoid(x))", "-softplus(-x)"),
        ("log(sigmoid(x + s))*2", "(-softplus(-(x + s)))*2"),
        ("log(1 - sigmoid(2*x))", "-softplus(2*x)"),
        ("log(1 + exp(x))", "softplus(x)"),
        ("log(exp(-x) + 1.0)", "softplus(-x)"),
        ("log1p(exp(x))", "softplus(x)"),
        ("log(1 + exp(\n  2*x\n))", "softplus(2*x)"),
        ("ln(add(1, exp(x)))", "softplus(x)"),
        ("log(exp(x) + exp(2*s))", "logaddexp(x, 2*s)"),
        ("log(sum(exp(x)))", "logsumexp(x)"),
        ("log(reduce_sum(exp(m), 1, true))", "logsumexp(m, axis=1, keepdims=true)"),
        ("log(sum(exp(m), axis=[0, 1]))", "logsumexp(m, axis=[0, 1])"),
        ("sqrt(sum(x^2))", "norm(x)"),
        ("sqrt(sum(square(m), axis=1, keepdims=true))", "norm(m, axis=1, keepdims=true)"),
        ("sqrt(sum((x - s)*(x - s)))", "norm(x - s)"),
        ("sum(m^2, axis=0)^0.5", "norm(m, axis=0)"),
        ("sqrt(s^2 + x*x)", "hypot(s, x)"),
        ("sqrt(s^2 + x^2)", "hypot(s, x)"),
        ("exp(x)/sum(exp(x))", "softmax(x)"),
        ("exp(m)/sum(exp(m), axis=1, keepdims=true)", "softmax(m, axis=1)"),
        ("exp(m)/sum(exp(m))", None),
        ("1/(1 + exp(-x))", "sigmoid(x)"),
        ("1/(1 + exp(x))", "sigmoid(-x)"),
        ("exp(x)/(1 + exp(x))", "sigmoid(x)"),
        ("divide(1, exp(neg(x)) + 1)", "sigmoid(x)"),
        ("log(1 + x)", "log1p(x)"),
        ("log(1 - s*x)", "log1p(-(s*x))"),
        ("log((1 + (x*s)))", "log1p(x*s)"),
        ("exp(x) - 1", "expm1(x)"),
        ("1 - exp(x)", "-expm1(x)"),
        ("(1 - exp(x))^2", "(-expm1(x))^2"),
        ("2 - (1 - exp(x))", "2 - (-expm1(x))"),
        ("s^0.5", "sqrt(s)"),
        ("(s + x^2)^0.5", "sqrt(s + x^2)"),
        ("log(1 - exp(-p))", "log(-expm1(-p))"),
        ("log(-exp(-p) + 1)", "log(-expm1(-p))"),
        ("1 - erf(x)", "erfc(x)"),
        ("s*(-erf(x) + 1.0)", "s*erfc(x)"),
        ("0.5 - erf(x)/2", "0.5*erfc(x)"),
        ("1 + erf(x)", None),
        ("log(1 + erf(x))", "where(x < -1, log_ndtr(sqrt(2)*x) + log(2), log1p(erf(x)))"),
        ("log(1 - erf(x + s))", "where((x + s) > 1, log_ndtr(-sqrt(2)*(x + s)) + log(2), log1p(-erf(x + s)))"),
        ("log(0.5*(1 + erf(x/sqrt(2))))", "log_ndtr(x)"),
        ("2*log((1 + erf((x - s)/sqrt(2)))/2)", "2*log_ndtr(x - s)"),
        ("log(0.5 + 0.5*erf(x*sqrt(0.5)))", "log_ndtr(x)"),
        ("log(0.5*(1 - erf(x/2^0.5)))", "log_ndtr(-x)"),
        ("log(erfc((x - s)/(p*sqrt(2)))/2)", "log_ndtr(-(x - s)/p)"),
        ("log(0.5*(1 + erf(x)))", "log_ndtr(sqrt(2)*x)"),
        ("log(cosh(x))", "log_cosh(x)"),
        ("s*log((exp(2*x) + exp(-(2*x)))/2)", "s*log_cosh(2*x)"),
        ("log(0.5*(exp(x) + exp(-x)))", "log_cosh(x)"),
        ("0.5*log(det(m.T @ m + diag([1.0, 1, 1])))", "0.5*logdet(m.T @ m + diag([1.0, 1, 1]))"),
        ("inv(q) @ x", "solve(q, x)"),
        ("-inv(q) @ x", "-solve(q, x)"),
        ("dot(inv(q), x)", "solve(q, x)"),
        ("x @ inv(q) @ x", "x @ solve(q, x)"),
        ("m @ inv(q)", "solve(q.T, m.T).T"),
        ("q @ x", None),
        ("1 - tanh(x)^2", "4*sigmoid(2*x)*sigmoid(-2*x)"),
        ("s/(1 - square(tanh(x)))", "s/(4*sigmoid(2*x)*sigmoid(-2*x))"),
        ("-tanh(x)*tanh(x) + 1", "4*sigmoid(2*x)*sigmoid(-2*x)"),
        ("sin(x)/x", "sinc(x/pi)"),
        ("sin(x - s)/(x - s)", "sinc((x - s)/pi)"),
        ("sin(pi*x)/(pi*x)", "sinc(x)"),
        ("2*sin(x)/x", "2*sinc(x/pi)"),
        ("s*sin(x)*p/(2*x)", "s*sinc(x/pi)*p/2"),
        ("sin(x)/s", None),
        ("(1 - cos(x))/x^2", "0.5*square(sinc(x/(2*pi)))"),
        ("3*(1 - cos(x))/(x*x*s)", None),
        ("s*(1 - cos(x))/x^2/p", "s*0.5*square(sinc(x/(2*pi)))/p"),
        ("(cos(x) - 1)/square(x)", "-0.5*square(sinc(x/(2*pi)))"),
        ("1 - cos(x)", None),
        ("where(x == 0, 1.0, sin(x)/x)", "sinc(x/pi)"),
        ("where(abs(x) > 1e-8, sin(x)/x, 1)", "sinc(x/pi)"),
        ("where(x == 0, 1, x/expm1(x))", "where(abs(x) < 0.02, 1 - x/2 + x^2/12 - x^4/720 + x^6/30240, x/expm1(x))"),
        ("log(2 + exp(x))", None),
        ("log(1 + exp(x) + s)", None),
        ("exp(x) - 2", None),
        ("exp(x)/sum(exp(2*x))", None),
        ("sqrt(sum(x^3))", None),
        ("sqrt(mean(x^2))", None),
        ("log(sum(exp(x) + 1))", None),
    ],
)
def test_formulas(formula, better):
    text = f"{V}y = {formula}  # of x\noutput y, x, m, s, p, q\n"
    mended = mend(text, "a.expr")
    assert mended.text == (text if better is None else text.replace(formula, better))
    assert len(mended.done) == (better is not None)
    assert_same_program(text, mended.text)


def assert_same_program(before, after):
    a, b = gradcli.loads(before), gradcli.loads(after)
    for order in (1, 2, 3):
        ours, theirs = a.grad(order=order), b.grad(order=order)
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert (ours[name] is None) == (theirs[name] is None)
            if ours[name] is not None:
                assert ours[name].dtype == theirs[name].dtype
                np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-6, atol=1e-8)
    values, others = a.eval(), b.eval()
    for name, value in values.items():
        assert (value.shape, value.dtype) == (others[name].shape, others[name].dtype)
        np.testing.assert_allclose(others[name], value, rtol=1e-9, atol=1e-12)


def test_every_rule_is_tried():
    tried = {f.code for text in (formula for formula, _ in formulas()) for f in lint(gradcli.loads(f"{V}y = {text}"))}
    assert {rule.code for rule in SPELLINGS} <= tried


def formulas():
    (mark,) = [m for m in test_formulas.pytestmark if m.name == "parametrize"]
    return mark.args[1]


@pytest.mark.parametrize(
    "text",
    [
        "def softplus(a) = a\ny = log(1 + exp(x))*softplus(1.0)",  # the better name is taken
        "def exp(a) = 2*a\ny = log(2 + exp(x))",  # this exp is another
        "y = sqrt(sum(random_normal([2])*random_normal([2])))*s",  # two draws
        "def f(s) = log(x)\nz = f(2.0)",
    ],
)
def test_names_may_mean_other_things(text):
    codes = {f.code for f in lint(gradcli.loads(V + text))}
    assert not codes & {"softplus", "expm1", "norm", "hypot", "logsumexp"}


def test_formulas_are_seen_through_names_but_not_changed():
    text = (
        V
        + "e = exp(x); t = sum(e); y = log(t)\ndef f(u) = { d = u^2; sqrt(sum(d)) }\nz = f(x)\noutput y, z, m, s, x, p, q\n"
    )
    findings = lint(gradcli.loads(text))
    assert [(f.code, f.span.text, [label.span.text for label in f.labels[1:]]) for f in findings] == [
        ("logsumexp", "log(t)", ["sum(e)", "exp(x)"]),
        ("norm", "sqrt(sum(d))", ["u^2"]),
    ]
    assert [f.help for f in findings] == ["write `logsumexp(x)`", "write `norm(u)`"]
    assert mend(text, "a.expr").text == text


def test_a_parameter_is_not_the_name_outside():
    text = V + "e = exp(x)\ndef f(x) = e/sum(exp(x))\ny = f(2*s*[1.0])"
    assert "softmax" not in [code for code, _ in found(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y = sqrt(relu(x))", True),
        ("y = sqrt(abs(x))", True),
        ("y = (x^2)^0.25", True),
        ("y = sqrt(mean(square(x)))", True),
        ("y = sqrt(maximum(x, 0))", True),
        ("y = sqrt(sum(x*x) + 1e-12)", False),
        ("y = where(x > 0, sqrt(relu(x)), 0)", False),
        ("y = sqrt(s)", False),
        ("y = sqrt(sum(x^3))", False),
        ("y = sqrt(abs([1.0, 0.0]))*x[0]", False),
        ("variable z = [1.0, 0.0]; y = sum(sqrt(z))", True),
        ("variable z = [1.0, 0.0]; y = sum(z^0.5)", True),
        ("variable z: [2]; y = sum(sqrt(z))", False),
    ],
)
def test_roots_of_what_reaches_zero(text, expected):
    assert ("root-of-zero" in [code for code, _ in found(V + text)]) is expected


def test_inner_formulas_are_mended_too():
    text = "variable x = 0.4; y = log(1 + exp(log(1 + x)))*log(1 + exp(x))\n"
    mended = mend(text, "a.expr")
    assert mended.text == "variable x = 0.4; y = softplus(log1p(x))*softplus(x)\n"
    assert [f.code for f in mended.done] == ["softplus", "softplus", "log1p"]
    assert mended.left == []


def test_layout_and_comments_stay():
    text = "# head\r\n\r\nvariable   x = [0.4]   # x\r\ny=log( 1+exp( x ) )  ;  z = x  # end\r\n"
    assert mend(text, "a.expr").text == text.replace("log( 1+exp( x ) )", "softplus(x)")
    text = "variable x = 0.4\ny = log(1 + exp(  # why\n  x))\n"
    mended = mend(text, "a.expr")
    assert mended.text == text
    assert [f.code for f in mended.left] == ["softplus"]


def test_a_wrong_value_is_no_hindrance():
    text = "variable x = [1000.0, -1000.0]; y = sum(log(1 + exp(x))); z = log(softmax(x)); w = exp(x*1e-18) - 1\n"
    assert [f.code for f in mend(text, "a.expr").done] == ["softplus", "log-softmax", "expm1"]


def test_without_values_and_without_calls():
    text = "variable x: [3]; y = log(1 + exp(x))\n"
    assert mend(text, "a.expr").text == "variable x: [3]; y = softplus(x)\n"
    text = "variable x = 1.0; y = x\ndef f(u) = log(1 + exp(u))\n"
    assert mend(text, "a.expr").text == text


def test_a_function_of_several_shapes_is_one_text():
    text = "def f(u) = exp(u)/sum(exp(u))\nvariable x = [1.0, 2.0]; y = f(x); z = f([x, x])\n"
    assert mend(text, "a.expr").text == text
    assert "softmax" not in [code for code, _ in found(text)]
    text = text.replace("z = f([x, x])", "z = f(2*x)")
    assert mend(text, "a.expr").text == text.replace("exp(u)/sum(exp(u))", "softmax(u)")


def test_a_fix_that_would_change_the_program_is_refused(monkeypatch):
    from gradcli.language import spellings

    wrong = [
        spellings.Spelling("values", ("cos(x)",), "sin(x)", "wrong"),
        spellings.Spelling("shape", ("tan(x)",), "sum(x)", "wrong"),
        spellings.Spelling("none", ("atan(x)",), "stop_gradient(x)", "wrong"),
        spellings.Spelling("orders", ("square(x)",), "x^2", "wrong"),
        spellings.Spelling("name", ("sinh(x)",), "nothing(x)", "wrong"),
        spellings.Spelling("right", ("tanh(x)",), "2*sigmoid(2*x) - 1", "right"),
    ]
    monkeypatch.setattr(spellings, "SPELLINGS", wrong)
    spellings._patterns.cache_clear()
    try:
        text = "variable x = [0.3, 0.7]; y = cos(x); z = tan(x); v = atan(x); u = square(x); t = sinh(x); w = tanh(x)\n"
        text += "output y, z, v, w, t\noutput u\n"
        mended = mend(text, "a.expr")
        assert [f.code for f in mended.done] == ["right"]
        only = "variable x = 0.5; y = square(x)\n"
        assert mend(only, "a.expr").text == only  # x*x is None at order 3, a power is not
        monkeypatch.setattr("gradcli.features.lint.mended.WORK", 0)
        assert [f.code for f in mend(text, "a.expr").done] == ["orders", "right"]
    finally:
        monkeypatch.undo()
        spellings._patterns.cache_clear()


def test_comments_leave_findings_out():
    text = "variable x = 1.0\nvariable w = 2.0{}\nvariable v = 2.0\ny = x\n"
    both = [("unused-variable", "w"), ("unused-variable", "v")]
    assert found(text.format("")) == both
    assert found(text.format("  # lint: ignore")) == both[1:]
    assert found(text.format("  # lint: ignore unused-variable, norm")) == both[1:]
    assert found(text.format("  # lint: ignore norm")) == both
    assert found("# lint: ignore unused-variable\n" + text.format("")) == []
    assert found("# lint: ignore norm\n" + text.format("")) == both


@settings(max_examples=30, deadline=None)
@given(
    programs(smooth=False),
    st.sampled_from(["log(1 + exp({a}))", "1/(1 + exp(-{a}))", "exp({a}) - 1", "hypot({a}, 1.0)"]),
)
@example("variable v0 = [0.0137, 1.0317]\nn0 = (1.5 + square(v0))^(2*v0)\nn1 = 40*n0^n0\n", "log(1 + exp({a}))")
def test_random_programs_are_mended_and_stay_the_same(text, formula):
    last = text.strip().splitlines()[-1].partition("=")[0].strip()
    text = f"{text}\nlast = sum({formula.format(a=last)})\n"
    mended = mend(text, "a.expr")
    before, after = gradcli.loads(text), gradcli.loads(mended.text)
    assert not any(f.edit for f in lint(after))
    for name, value in before.grad().items():
        other = after.grad()[name]
        assert (value is None) == (other is None)
        if value is not None:
            # What overflowed in the formula may be finite in its better spelling.
            finite = np.isfinite(value)
            kept, value = np.asarray(other)[finite], np.asarray(value)[finite]
            np.testing.assert_allclose(kept, value, rtol=1e-6, atol=1e-6 * np.abs(value).max(initial=1e-9))


CAPTURED = ["u", "2*u", "(u + v)", "u[0]", "sin(u)", "sum(v, axis=0)", "u/v"]
"""Expressions that make no other rule fit, whatever they are part of."""


def spelled(text, captured, axis, keepdims):
    """A text in the words of the rules, with expressions for its names."""
    text = re.sub(r"\b[xyz]\b", lambda match: f"({captured[match[0]]})", text)
    text = text.replace("keepdims=keepdims", f"keepdims={keepdims}").replace("axis=axis", f"axis={axis}")
    return re.sub(r", \w+=None", "", text)


written_badly = st.tuples(
    st.sampled_from([(rule, pattern) for rule in SPELLINGS for pattern in rule.patterns]),
    st.fixed_dictionaries({name: st.sampled_from(CAPTURED) for name in "xyz"}),
    st.sampled_from([None, "0", "-1", "[0, 1]"]),
    st.sampled_from([None, "true"]),
)


def tree_of(text):
    (statement,) = parse(Source("a", text)).statements
    return statement.value


@settings(max_examples=200, deadline=None, derandomize=True)
@given(written_badly, st.sampled_from(["{}", "3*{}", "-{}", "cos({})", "[{}, 1]", "{}^2", "{}.T", "v - {}"]))
def test_what_a_rule_describes_is_found_and_rewritten(case, context):
    (rule, pattern), captured, axis, keepdims = case
    # What the pattern has no place for, the better spelling does not get.
    words = captured, axis if "=axis" in pattern else None, keepdims if "=keepdims" in pattern else None
    bad = spelled(pattern, *words)
    bare = context == "{}"
    text = "y = " + context.format(bad if bare else f"({bad})")
    (match,) = Search(parse(Source("a", text))).found()
    assert (match.rule.code, match.through) == (rule.code, ())
    whole = text[: match.at.start] + rewritten(match, text) + text[match.at.end :]
    assert same(tree_of(whole), tree_of("y = " + context.format(f"({spelled(rule.better, *words)})")))


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(written_badly, st.data())
def test_what_is_nearly_what_a_rule_describes_can_be_searched(case, data):
    """One token is another; what still fits is rewritten to something that parses."""
    (_, pattern), *words = case
    tokens = re.findall(r"\w+|\S", spelled(pattern, *words))
    at = data.draw(st.integers(0, len(tokens) - 1))
    tokens[at] = data.draw(st.sampled_from([*dict.fromkeys(tokens), "", "cos", "0.5", ","]))
    text = "y = " + " ".join(tokens)
    try:
        tree = parse(Source("a", text))
    except gradcli.GradcliError:
        return
    for match in Search(tree).found():
        assert match.at.start < match.at.end <= len(text)
        assert tree_of(f"y = {rewritten(match, text)}") is not None


@pytest.mark.slow
def test_long_expressions():
    deep = "(" * 400 + "x" + " + 1)" * 400
    assert found(f"variable x = 1.0; y = log(1 + exp({deep}))")[0][0] == "softplus"
    wide = " + ".join(["log(1 + exp(x))"] * 3000)
    assert len(found(f"variable x = 1.0; y = {wide}")) == 3000
