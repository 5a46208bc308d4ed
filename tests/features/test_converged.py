"""Fits end at a minimum, from certified problems to losses that are small, and say truly what ended them."""

from __future__ import annotations

import csv
import importlib.util
import json

import numpy as np
import pytest

import gradcli
from gradcli.features.fit import trust_region
from gradcli.features.fit.answer import fit
from gradcli.features.fit.choice import chosen
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.training import Settings
from tests.features.certified import PROBLEMS

VALLEY = "100*(x[1] - x[0]^2)^2 + (1 - x[0])^2"
NORMAL = """
variable m = 0.0; variable s = 1.0
y = sum(log(s) + ([99.0, 101.5, 98.6, 101.4, 100.0] - m)^2/(2*s^2))
"""


@pytest.mark.parametrize(
    ("method", "name", "start"),
    [
        (method, name, start) for method in (None, "newton") for name in PROBLEMS for start in (0, 1)
        if (method, name, start) != ("newton", "MGH10", 0)  # a curved valley of 5185 steps
    ],
)  # fmt: skip
def test_certified_problems(method, name, start):
    problem = PROBLEMS[name]
    found = gradcli.loads(problem.program(start)).fit("loss", method=method)
    values = [float(found.values[f"b{i}"]) for i in range(1, len(problem.certified) + 1)]
    np.testing.assert_allclose(values, problem.certified, rtol=1e-6)
    assert found.loss == pytest.approx(problem.squares, rel=1e-8)
    assert found.method == (method or "least-squares")


SMALL = {
    "valley 1e-8": (f"variable x = [-1.2, 1.0]; y = 1e-8*({VALLEY})", {"x": [1, 1]}),
    "valley 1e-12": (f"variable x = [-1.2, 1.0]; y = 1e-12*({VALLEY})", {"x": [1, 1]}),
    "flat at the start": ("variable x = -50.0; y = exp(x) - x", {"x": 0}),
    "residuals of 1e-6": (
        "variable p = [1.0, 1.0]; constant t = linspace(0, 1, 9); y = sum((1e-6*(3*exp(-2*t) - p[0]*exp(-p[1]*t)))^2)",
        {"p": [3, 2]},
    ),
    "amplitude of 1e-7": (
        "variable a = 1e-7; variable k = 0.3; constant t = linspace(0, 5, 20)"
        "; y = sum((1.2e-7*exp(-0.7068*t) - a*exp(-k*t))^2)",
        {"a": 1.2e-7, "k": 0.7068},
    ),
    "end of the domain": ("variable x = 5.0; y = x - log(x)", {"x": 1}),
    "likelihood": (NORMAL, {"m": 100.1, "s": np.std([99.0, 101.5, 98.6, 101.4, 100.0])}),
    "far from 0 and near it": ("variable x = [0.0, 0.0]; y = sum((x - [1e-9, 1e9])^2)", {"x": [1e-9, 1e9]}),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("method", ["newton", "lbfgs", "newton-cg"])
def test_a_small_loss_or_curvature_is_no_minimum(method, name):
    text, expected = SMALL[name]
    found = gradcli.loads(text).fit("y", method=method)
    for variable, value in expected.items():
        np.testing.assert_allclose(found.values[variable], value, rtol=1e-6, atol=1e-6 * (value == 0))
    assert found.problem is None
    assert "of that at the start" in found.reason
    assert "no minimum" not in found.reason
    assert found.converged
    assert found.gradient_left < 1e-7


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**60])
def test_newton_does_not_see_the_unit_of_the_loss(scale):
    one, other = (
        gradcli.loads(f"variable x = [-1.2, 1.0]; y = {k!r}*({VALLEY})").fit(method="newton") for k in (1.0, scale)
    )
    np.testing.assert_array_equal(one.values["x"], other.values["x"])


def test_newton_leaves_a_saddle():
    found = gradcli.loads("variable x = 0.0; variable z = 1.0; y = x^4 - x^2 + z^2").fit(method="newton")
    assert abs(float(found.values["x"])) == pytest.approx(0.5**0.5)
    assert found.loss == pytest.approx(-0.25)


NETWORK = """
constant X = random_normal([33, 4], seed=1); constant t = random_normal([33, 2], seed=2)
variable W = random_normal([4, 3], seed=3); variable b = zeros([3]); variable V = random_normal([3, 2], seed=4)
loss = mean(log(1 + (tanh(X @ W + b) @ V - t)^2)) + 0.01*(sum(W^2) + sum(b^2) + sum(V^2))
"""


@pytest.mark.parametrize("dense", [0, 300])
def test_newton_with_the_hessian_and_with_products(monkeypatch, dense):
    monkeypatch.setattr(trust_region, "DENSE", dense)
    states = []
    found = fit(
        Objective(gradcli.loads(NETWORK)), Settings("newton", steps=200), lambda moment: states.append(moment.state)
    )
    assert "rounding" in found.reason
    assert found.gnorm < 1e-7
    hessian = gradcli.loads(NETWORK).with_values(found.state.values).hessian()
    whole = np.block([[np.reshape(b, (_size(i), _size(j))) for j, b in row.items()] for i, row in hessian.items()])
    assert np.linalg.eigvalsh(whole).min() > -1e-9
    for state in states[:: len(states) // 4]:  # a run that is cut goes on to the same bits
        again = fit(Objective(gradcli.loads(NETWORK)), Settings("newton", steps=200), lambda _: None, state)
        assert again.state.step == found.state.step
        assert all(again.state.values[name].tobytes() == value.tobytes() for name, value in found.state.values.items())


def _size(name):
    return {"W": 12, "b": 3, "V": 6}[name]


def test_newton_says_where_the_loss_ends():
    found = gradcli.loads("variable x = 1.0; y = where(x < 0.5, nan, x^2)").fit(method="newton")
    assert float(found.values["x"]) == pytest.approx(0.5, rel=1e-6)
    assert found.problem.message.startswith("the search found no step that lowers `y`: `y` is not finite")


DATA = "variable p = [1.0, 2.0]; variable k = 0.5; constant w = [1.0, 2.0, 3.0]; constant t = [0.0, 1.0, 2.0]; r = p[0]*exp(-k*t) + p[1] - 1"


@pytest.mark.parametrize(
    ("loss", "rows"),
    [
        ("sum(r^2)", 3), ("mean(square(r))", 3), ("r @ r/2", 3), ("norm(r)^2", 3), ("sum(r*r) + 0.1*sum(p^2)", 5),
        ("mse(r, t)", 3), ("sum(w*r^2)", 3), ("sum(r^2/w^2)", 3), ("sum((r/w)^2) + k^2", 4), ("sum(mean(w*r^2, 0))", 3),
        ("3*(r[0] - 1)^2 + 2*r[1]^2", 2),
        ("sum(r^3)", None), ("sum(r^2) - k^2", None), ("sum(-r^2)", None), ("sum(k*r^2)", None), ("k^2", None),
        ("sum((w - 2)*r^2)", None), ("sum(r^2)^2", None), ("log(sum(r^2))", None), ("sum(r^2*w[0]/k)", None),
        ("sum(stop_gradient(r)*r)", None), ("sum(r^2 + r[0]^2)", None),
    ],
)  # fmt: skip
def test_sums_of_squares_are_recognised(loss, rows):
    program = gradcli.loads(f"{DATA}\ny = {loss}")
    objective = Objective(program, "y")
    method, why = chosen(objective, {})
    assert method == ("newton" if rows is None else "least-squares")
    if rows is not None:
        assert f"is a sum of {rows} squares" in why
        (value,) = program.evaluate([objective.residuals])
        assert value.shape == (rows,)
        assert value @ value / 2 == pytest.approx(float(program.eval("y")["y"]), rel=1e-14)


def test_the_method_that_is_taken_is_said(gradcli):
    done = gradcli("fit", "-e", "variable x = [3.0, 1.0]; y = sum((x - 1)^2)")
    assert "method least-squares: `y` is a sum of 2 squares\n" in done.err
    assert "y = 0 after " in done.err
    done = gradcli("fit", "-e", "variable x = 3.0; y = x - log(x)")
    assert "method newton: 1 number is fitted\n" in done.err
    done = gradcli("fit", "-e", "variable x = 3.0; y = x - log(x)", "--bounds", "x=2..")
    assert "method lbfgs: there are bounds\n" in done.err
    done = gradcli("fit", "-e", "variable x = ones([400]); y = sum(x - log(x))")
    assert "method lbfgs: 400 numbers are fitted\n" in done.err
    done = gradcli("fit", "-e", "variable x = 3.0; y = x - log(x)", "--lr", "0.1", "--steps", "1")
    assert "method" not in done.err


def test_what_is_taken_without_scipy(monkeypatch):
    monkeypatch.setattr("gradcli.features.fit.choice.find_spec", lambda _: None)
    assert importlib.util.find_spec("scipy") is not None
    program = gradcli.loads("variable x = [3.0, 1.0]; y = sum((x - 1)^2)")
    assert chosen(Objective(program), {}) == (
        "newton", "`y` is a sum of 2 squares, and least-squares needs SciPy: pip install 'gradcli[scipy]'",
    )  # fmt: skip
    assert chosen(Objective(program), {"x": (0, 9)}).method == "adam"
    large = gradcli.loads("variable x = ones([400]); y = sum(x - log(x))")
    assert chosen(Objective(large), {}).method == "newton"
    np.testing.assert_allclose(large.fit(values={"x": np.full(400, 0.5)}).values["x"], 1, rtol=1e-6)


ENTRIES = "variable p = [0.5, 0.5, 0.5]; variable k = 0.0; loss = sum((p - [1.0, 2.0, -3.0])^2) + (k - 1)^2"


@pytest.mark.parametrize("method", [None, "lbfgs", "least-squares", "sgd"])
def test_entries_have_bounds_of_their_own(method):
    bounds = {"p[-1]": (0, None), "p": (None, 1.5), "k": (None, 0.25)}
    if method == "least-squares":
        program = gradcli.loads(ENTRIES.replace("loss = ", "r = concat([p - [1.0, 2.0, -3.0], [k - 1]], 0); loss = "))
        found = program.fit("r", ["p", "k"], method=method, bounds=bounds)
    else:
        found = gradcli.loads(ENTRIES).fit("loss", method=method, bounds=bounds, lr=0.1 if method == "sgd" else None)
    np.testing.assert_allclose(found.values["p"], [1, 1.5, 0], atol=1e-6)
    assert float(found.values["k"]) == pytest.approx(0.25, rel=1e-6)
    assert found.converged == (method != "sgd")


@pytest.mark.parametrize(
    ("name", "words"),
    [("p[3]", "`p` has shape"), ("p[0, 0]", "`p` has shape"), ("q[0]", "no value `q`"), ("loss[0]", "not among")],
)
def test_bounds_of_entries_that_there_are_not(name, words):
    with pytest.raises(gradcli.GradcliError, match=words):
        gradcli.loads(ENTRIES).fit("loss", bounds={name: (0, 1)})


def test_errors_of_entries_at_their_bounds():
    text = "constant t = linspace(0, 1, 9); constant y = [0.1, 0.9, 2.1, 2.8, 4.2, 5.0, 5.9, 7.1, 7.9]; variable p = [1.0, 1.0]"
    found = gradcli.loads(f"{text}; loss = sum((y - p[0] - p[1]*t)^2)").fit(bounds={"p[0]": (0.5, None)}, errors=True)
    assert [e.note for e in found.errors.estimates] == ["at its bound 0.5", ""]


def test_a_loss_that_still_falls_or_has_grown_is_said_to(gradcli):
    text = ["fit", "-e", "variable x = 1.0; y = x^2", "--method", "sgd", "--steps", "12", "--lr"]
    assert "it still fell, by 0.019 in the last step: more --steps" in gradcli(*text, "0.05").err
    assert "that is more than 1 at the start: a smaller --lr" in gradcli(*text, "1.1").err
    assert len(gradcli(*text, "0.5").err.splitlines()) == 1


def test_a_hessian_that_does_not_fit_into_memory_is_multiplied_with(monkeypatch):
    planned = trust_region.function_of

    def refused(program, nodes, inputs, **options):
        if len(nodes) == 9:  # of three variables
            raise gradcli.GradcliError("LimitError", "too much")
        return planned(program, nodes, inputs, **options)

    monkeypatch.setattr(trust_region, "function_of", refused)
    found = gradcli.loads(NETWORK).fit(method="newton")
    assert found.gnorm < 1e-7


def test_where_there_is_no_hessian_another_method_is_taken(monkeypatch):
    def refused(*_):
        raise gradcli.GradcliError("ValueError", "second derivatives are not known")

    monkeypatch.setattr("gradcli.autodiff.jacobian.hessian", refused)
    objective = Objective(gradcli.loads("variable x = 3.0; y = x - log(x)"))
    assert chosen(objective, {}) == ("lbfgs", "there is no Hessian: second derivatives are not known")
    monkeypatch.setattr("gradcli.features.fit.choice.find_spec", lambda _: None)
    assert chosen(objective, {}).method == "adam"


def test_a_loss_that_hardly_depends_on_anything_ends_soon():
    """A chain of 150 sines, of which the slope is 1e-61."""
    chain = "\n".join(f"n{k + 1} = sin(n{k}) + 0.25" for k in range(150))
    found = gradcli.loads(f"variable x = 0.5\nn0 = x\n{chain}").fit("n150", method="newton")
    assert found.steps < 5
    assert found.problem is None


@pytest.mark.parametrize(
    ("method", "text", "doubt"),
    [
        ("lbfgs", PROBLEMS["BoxBOD"].program(0).replace("b2 = 1.0", "b2 = 30.0"), "is curved downwards along `b2`"),
        ("lbfgs", PROBLEMS["Rat43"].program(0), "does not change with `b2`, `b3`, `b4` here"),
        ("newton", "variable x = 3.0; variable z = 1.0; loss = (x - 1)^2 + 1 + 0*z^2", "does not change with `z`"),
        (
            "lbfgs",
            "variable x = 3.0; variable z = 1.0; loss = (x*z - 1)^4 + 1 + exp((x*z)^2)",
            "does not change along `x`, `z` together, so this may not be the only minimum",
        ),
        (
            "lbfgs",
            "variable x = [3e9, 1e-9]; loss = 7 + (x[0]/1e9 - 1)^2 + (1e9*x[1])^2",
            "would still fall, by 4.0e+00,",
        ),
        ("newton-cg", "variable x = 0.0; variable z = 1.0; loss = z^2 - x^2", "is curved downwards along `x`"),
    ],
)
def test_the_end_of_a_search_that_may_be_no_minimum_is_said_to(method, text, doubt):
    found = gradcli.loads(text).fit("loss", method=method)
    assert f"but `loss` {doubt}" in found.reason
    assert "so this may " in found.reason
    assert found.converged == ("only minimum" in doubt)


@pytest.mark.parametrize("method", ["lbfgs", "newton", "newton-cg"])
def test_a_minimum_is_not_doubted(method):
    """Where values are 0, losses have an offset and variables are measured in other units."""
    for text in ("variable x = 3.0; loss = 1 + x^2", "variable x = 3e9; variable z = 1e-9; loss = 7 + (x/1e9 - 1)^2 + (1e9*z)^2",
                 PROBLEMS["DanWood"].program(1)):  # fmt: skip
        assert "no minimum" not in gradcli.loads(text).fit("loss", method=method).reason


@pytest.mark.parametrize(
    ("options", "converged", "left"),
    [
        (["--method", "newton"], True, 0.0),
        (["--method", "newton", "--steps", "1"], False, None),
        (["--method", "lbfgs", "--until", "gnorm=1e-3"], True, None),
        (["--method", "lbfgs", "--until", "loss=100"], False, None),
        (["--method", "sgd", "--lr", "0.25", "--steps", "3"], False, 0.5**3),
        (["--method", "newton-cg", "--set", "x=[0, 0]"], False, 0.0),  # a saddle
    ],
)
def test_each_format_says_whether_it_has_converged(gradcli, options, converged, left):
    text = "variable x = [2.0, 0.0]; loss = (x[0]^2 - 1)^2*(1 + x[1]^2) + x[1]^2"
    if "sgd" in options:
        text = "variable x = [2.0, 0.0]; loss = sum(x^2)"

    def fit(*more):
        return gradcli("fit", "-e", text, *options, *more)

    said = fit("--format", "json")
    ending = json.loads(said.out)["fit"]
    assert ending["converged"] is converged
    assert f"{'' if converged else 'not '}converged: {ending['reason']}" in said.err
    assert (ending["method"], ending["steps"]) == (options[1], int(said.err.split(" after ")[1].split()[0]))
    if left is not None:
        assert ending["gradient_left"] == pytest.approx(left, abs=1e-12)
    assert 0 <= ending["gradient_left"] <= 1
    assert [json.loads(line)["converged"] for line in fit("--format", "ndjson").out.splitlines()] == [converged]
    assert [row["converged"] for row in csv.DictReader(fit("--format", "csv").out.splitlines())] == [str(converged).lower()] * 2  # fmt: skip
    remark = "" if converged or "sgd" in options else f"# not converged: {ending['reason']}\n"
    for form in ("plain", "table"):
        assert fit("--format", form).out.partition("# ")[2] == remark[2:]
    fit("--output", "f.npz")
    with np.load("f.npz") as entries:
        assert bool(entries["fit/converged"]) is converged
    assert gradcli("eval", "-e", text, "--values", "f.npz").status == 0
