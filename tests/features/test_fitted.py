"""Minimisers against closed forms, SciPy and loops written out; a run that is cut in two is the whole run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

import gradcli
from gradcli.data import arrays
from gradcli.data.reading import read_array
from gradcli.features.fit import checkpoints, search
from gradcli.features.fit.answer import fit
from gradcli.features.fit.newton_cg import NewtonCG
from gradcli.features.fit.not_finite import explain
from gradcli.features.fit.objective import Batches, NotFiniteError, Objective
from gradcli.features.fit.optimizers import Schedule
from gradcli.features.fit.training import Settings
from gradcli.features.trace import answer as traced

PARABOLA = "variable x = [1.0, -2.0]; constant a = [3.0, 0.5]; y = sum(a*x^2)/2"
REGRESSION = """
constant X = random_normal([50, 3], seed=1)
constant t = random_normal([50], seed=2)
variable w = [0.1, 0.2, 0.3]
variable b = 0.5
residual = X @ w + b - t
loss = mean(residual^2)
"""
VALLEY = "variable x = [-1.2, 1.0]; y = 100*(x[1] - x[0]^2)^2 + (1 - x[0])^2"


def unwatched(_):
    return None


def fitted(
    text, minimize=None, over=None, *, data=(), batch=None, random_seed=0, watch=unwatched, state=None, **settings
):
    settings.setdefault("rate", Schedule(0.1))
    program = gradcli.loads(text, random_seed=random_seed)
    squares = settings.get("method") == "least-squares"
    objective = Objective(program, minimize, over, squares=squares, data=data, batch=batch)
    return fit(objective, Settings(**settings), watch, state)


def test_gradient_descent_on_a_parabola():
    outcome = fitted(PARABOLA, steps=30)
    expected = np.array([1.0, -2.0]) * (1 - 0.1 * np.array([3.0, 0.5])) ** 30
    np.testing.assert_allclose(outcome.state.values["x"], expected, rtol=1e-13)
    assert outcome.loss == pytest.approx(np.sum([3.0, 0.5] * expected**2) / 2)
    assert outcome.gnorm == pytest.approx(np.linalg.norm([3.0, 0.5] * expected))
    assert (outcome.state.step, outcome.reason, outcome.problem) == (30, "all steps done", None)


def test_a_stopped_variable_stays_as_it_is():
    text = "variable w1 = 2.0; variable w2 = 2.0; b = stop_gradient(w1*3.0)*w2"
    objective = Objective(gradcli.loads(text))
    assert objective.variables == ["w2"]
    assert objective.kept == {"w1": "its gradient is None: cut by stop_gradient(w1*3.0) on line 1"}
    assert fit(objective, Settings(rate=Schedule(0.1), steps=1), unwatched).state.values["w2"] == 1.4


def test_momentum_is_the_heavy_ball():
    x, v = 1.0, 0.0
    for _ in range(20):
        v = 0.9 * v + 3.0 * x
        x -= 0.05 * v
    outcome = fitted("variable x = 1.0; y = 1.5*x^2", method="momentum", rate=Schedule(0.05), steps=20)
    assert float(outcome.state.values["x"]) == pytest.approx(x, rel=1e-12)


def test_adam_is_algorithm_1():
    x, m, v = 1.0, 0.0, 0.0
    for t in range(1, 21):
        g = 3.0 * x
        m = 0.9 * m + (1 - 0.9) * g
        v = 0.999 * v + (1 - 0.999) * g**2
        x -= 0.05 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    outcome = fitted("variable x = 1.0; y = 1.5*x^2", method="adam", rate=Schedule(0.05), steps=20)
    assert float(outcome.state.values["x"]) == pytest.approx(x, rel=1e-12)


@pytest.mark.parametrize("method", ["sgd", "momentum", "adam"])
def test_single_precision_stays_single(method):
    outcome = fitted(f"dtype float32\n{REGRESSION}", "loss", method=method, steps=3)
    assert {a.dtype for a in outcome.state.values.values()} == {np.dtype("float32")}
    assert {a.dtype for memory in outcome.state.memory.values() for a in memory.values()} <= {np.dtype("float32")}


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Schedule(0.8), [0.8, 0.8, 0.8, 0.8]),
        (Schedule(0.8, "linear"), [0.8, 0.6, 0.4, 0.2]),
        (Schedule(0.8, "cosine"), [0.8, 0.4 * (1 + math.sqrt(0.5)), 0.4, 0.4 * (1 - math.sqrt(0.5))]),
        (Schedule(0.8, "step", 2, 0.5), [0.8, 0.8, 0.4, 0.4]),
    ],
)
def test_schedules(schedule, rates):
    seen = []
    fitted(PARABOLA, rate=schedule, steps=4, watch=lambda moment: seen.append(moment.rate))
    assert seen[:4] == pytest.approx(rates)


def test_a_long_gradient_is_shortened():
    outcome = fitted("variable x = [30.0]; variable y = 40.0; z = sum(x^2)/2 + y^2/2", steps=1, clip=5.0)
    assert outcome.state.values["x"] == pytest.approx([30 - 0.1 * 3])
    assert outcome.state.values["y"] == pytest.approx(40 - 0.1 * 4)


@pytest.mark.parametrize("method", ["sgd", "momentum", "adam", "lbfgs"])
def test_bounds_hold_and_a_gradient_into_them_counts_as_nothing(method):
    seen = []

    def watch(moment):
        seen.append(moment.state.values["x"])

    outcome = fitted(
        "variable x = [3.0, 0.5]; y = sum((x - [1.0, 0.25])^2)", method=method, bounds={"x": (0.3, 3.0)}, steps=600,
        until={"gnorm": 1e-8}, rate=Schedule(0.05, "cosine"), watch=watch,
    )  # fmt: skip
    assert all(((x >= 0.3) & (x <= 3.0)).all() for x in seen)
    np.testing.assert_allclose(outcome.state.values["x"], [1.0, 0.3], atol=1e-4)
    assert outcome.reason != "not finite"


def test_least_squares_within_bounds():
    outcome = fitted("variable x = 3.0; r = [x - 1.0, 0.0]", method="least-squares", bounds={"x": (2.0, 4.0)})
    assert float(outcome.state.values["x"]) == pytest.approx(2.0, abs=1e-6)


def test_lbfgs_is_that_of_scipy():
    outcome = fitted(VALLEY, method="lbfgs")
    options = {"gtol": 1e-12, "ftol": 1e-15, "maxcor": 50}
    there = optimize.minimize(optimize.rosen, [-1.2, 1.0], jac=optimize.rosen_der, method="L-BFGS-B", options=options)
    np.testing.assert_allclose(outcome.state.values["x"], there.x, atol=1e-7)
    assert outcome.state.step == there.nit
    assert outcome.reason.startswith("L-BFGS-B says: CONVERGENCE")


def test_newton_is_that_of_scipy():
    outcome = fitted(VALLEY, method="newton-cg")
    there = optimize.minimize(
        optimize.rosen, [-1.2, 1.0], jac=optimize.rosen_der, hessp=optimize.rosen_hess_prod, method="Newton-CG",
        options={"xtol": 1e-12},
    )  # fmt: skip
    np.testing.assert_allclose(outcome.state.values["x"], there.x, rtol=1e-10)
    np.testing.assert_allclose(outcome.state.values["x"], [1.0, 1.0], rtol=1e-8)
    assert outcome.state.step == there.nit


def test_products_with_the_hessian():
    text = "variable x = [0.3, -0.2]; variable k = 0.7; variable c = 1.0; y = sin(k*x[0])*x[1]^3 + exp(k*x[1]) + 2*c"
    program = gradcli.loads(text)
    objective = Objective(program)
    newton = NewtonCG(objective, Settings("newton-cg"), unwatched, fit(objective, Settings(steps=1), unwatched).state)
    blocks = program.hessian()
    whole = np.block([[blocks[a][b].reshape(blocks[a][a].size and _size(a), _size(b)) for b in "xkc"] for a in "xkc"])
    x = newton.vector(objective.start())
    for v in np.eye(4):
        np.testing.assert_allclose(newton.product(x, v), whole @ v, rtol=1e-12, atol=1e-14)


def _size(name):
    return 2 if name == "x" else 1


def test_least_squares_of_a_linear_model():
    outcome = fitted(REGRESSION, "residual", method="least-squares")
    p = gradcli.loads(REGRESSION).eval(["X", "t"])
    solution, *_ = np.linalg.lstsq(np.column_stack([p["X"], np.ones(50)]), p["t"])
    np.testing.assert_allclose(outcome.state.values["w"], solution[:3], rtol=1e-9)
    assert float(outcome.state.values["b"]) == pytest.approx(solution[3], rel=1e-9)
    final = np.column_stack([p["X"], np.ones(50)]) @ solution - p["t"]
    assert outcome.loss == pytest.approx(final @ final / 2)


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg", "least-squares"])
def test_scipys_methods_stop_where_they_are_told(method):
    minimized = "residual" if method == "least-squares" else "loss"
    assert fitted(REGRESSION, minimized, method=method, steps=1).state.step == 1
    first = fitted(REGRESSION, minimized, method=method, until={"gnorm": 1e3})
    assert (first.state.step, first.reason) == (0, "gradient norm at most 1000.0")
    seen = []

    def watch(moment):
        seen.append(moment.loss)
        return "enough" if len(seen) == 2 else None

    outcome = fitted(REGRESSION, minimized, method=method, watch=watch)
    assert (outcome.state.step, outcome.reason) == (1, "enough")
    assert seen[1] < seen[0]
    assert outcome.loss == seen[1]


@pytest.mark.parametrize(
    ("until", "reason"),
    [
        ({"loss": 0.1}, "loss at most 0.1"),
        ({"change": 1e-3}, "loss changed by at most 0.001"),
        ({"gnorm": 0.5}, "gradient norm at most 0.5"),
        ({"time": 0.0}, "time of 0 s is over"),
    ],
)
def test_what_ends_a_run(until, reason):
    assert fitted(PARABOLA, until=until).reason == reason


def test_every_row_is_seen_once_an_epoch_in_an_order_of_its_own():
    batches = Batches({"X": np.arange(10), "t": 10 * np.arange(10)}, 4, seed=3)
    epochs = [[batches.chosen(3 * e + i) for i in range(3)] for e in range(2)]
    for epoch in epochs:
        assert [len(rows["X"]) for rows in epoch] == [4, 4, 2]
        assert sorted(np.concatenate([rows["X"] for rows in epoch])) == list(range(10))
        for rows in epoch:
            np.testing.assert_array_equal(rows["t"], 10 * rows["X"])
    assert [set(r["X"]) for r in epochs[0]] != [set(r["X"]) for r in epochs[1]]
    again = Batches({"X": np.arange(10)}, 4, seed=3)
    np.testing.assert_array_equal(again.chosen(4)["X"], epochs[1][1]["X"])
    assert set(Batches({"X": np.arange(10)}, 4, seed=5).chosen(0)["X"]) != set(epochs[0][0]["X"])


def test_batches_are_gradients_of_their_rows():
    outcome = fitted(REGRESSION, "loss", data=["X", "t"], batch=20, steps=7, random_seed=5)
    program = gradcli.loads(REGRESSION, random_seed=5)
    data = program.eval(["X", "t"])
    batches = Batches(data, 20, 5)
    w, b = np.array([0.1, 0.2, 0.3]), np.array(0.5)
    for step in range(7):
        rows = batches.chosen(step)
        r = rows["X"] @ w + b - rows["t"]
        w, b = w - 0.1 * 2 * rows["X"].T @ r / len(r), b - 0.1 * 2 * r.mean()
    np.testing.assert_allclose(outcome.state.values["w"], w, rtol=1e-12)
    np.testing.assert_allclose(outcome.state.values["b"], b, rtol=1e-12)


@pytest.mark.parametrize("method", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("batch", [None, 15])
def test_a_run_in_two_parts_is_the_whole_run(tmp_path, method, batch):
    settings = Settings(method, Schedule(0.1, "cosine"), 40, {"change": 1e-300})
    data = {"data": ["X", "t"], "batch": batch} if batch else {}

    def objective():
        return Objective(gradcli.loads(REGRESSION), "loss", **data)

    whole = fit(objective(), settings, unwatched)
    first = fit(objective(), settings, lambda moment: "enough" if moment.state.step == 17 else None)
    checkpoints.save(tmp_path / "run.npz", checkpoints.identity(objective(), method), first.state)
    state = checkpoints.resume(tmp_path / "run.npz", checkpoints.identity(objective(), method), objective())
    assert state.step == 17
    second = fit(objective(), settings, unwatched, state)
    assert second.loss == whole.loss
    for name, value in whole.state.values.items():
        assert value.tobytes() == second.state.values[name].tobytes()


CURVE = "variable x = [0.5, 3.0]; constant t = linspace(0, 2, 30); r = x[0]*exp(-x[1]*t) - 3*exp(-t) - sin(5*t)"


BEYOND = "variable x = [1e4, 3.0, 1e-3]; y = sum(x - log(x)) + (x[0]*x[2] - x[1])^2"
"""Trial steps lead to where the loss is NaN."""


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0, 5, 8, 10])
@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("lbfgs", VALLEY), ("newton-cg", VALLEY), ("least-squares", CURVE), ("lbfgs", BEYOND), ("newton-cg", BEYOND),
    ],
    ids=["lbfgs", "newton", "squares", "lbfgs beyond", "newton beyond"],
)  # fmt: skip
def test_a_run_of_scipys_methods_too(tmp_path, monkeypatch, method, text, cut):
    """The method begins anew at step 8, and a run is cut before, at, and after it."""
    monkeypatch.setattr(search, "ANEW", 8)
    losses = []
    whole = fitted(text, method=method, steps=14, watch=lambda moment: losses.append(moment.loss))
    first = fitted(text, method=method, steps=cut)
    objective = Objective(gradcli.loads(text), squares=method == "least-squares")
    identity = checkpoints.identity(objective, method)
    checkpoints.save(tmp_path / "run.npz", identity, first.state)
    state = checkpoints.resume(tmp_path / "run.npz", identity, objective)
    seen = []

    def watch(moment):
        if not moment.again:
            seen.append(moment.loss)

    second = fitted(text, method=method, steps=14, state=state, watch=watch)
    assert (first.state.step, seen) == (cut, losses[cut:])
    assert second.state.step == whole.state.step > 10
    assert second.state.values["x"].tobytes() == whole.state.values["x"].tobytes()


NETWORK = """
constant X = random_normal([33, 9], seed=1); constant t = random_normal([33, 3], seed=2)
variable W = random_normal([9, 16], seed=3); variable b = zeros([16]); variable V = random_normal([16, 3], seed=4)
loss = mean((tanh(X @ W + b) @ V - t)^2)
"""


@pytest.mark.parametrize("method", ["sgd", "adam", "lbfgs", "newton-cg"])
def test_a_run_may_be_cut_at_any_step(monkeypatch, method):
    """Products of matrices are rounded in the same way at the first step of a run as at later ones."""
    monkeypatch.setattr(search, "ANEW", 10)
    states = []
    whole = fitted(NETWORK, "loss", method=method, steps=25, watch=lambda moment: states.append(moment.state))
    for state in states[::3]:
        found = fitted(NETWORK, "loss", method=method, steps=25, state=state)
        for name, value in whole.state.values.items():
            assert value.tobytes() == found.state.values[name].tobytes()


def test_a_run_that_began_anew_at_another_step_can_be_cut_too(monkeypatch):
    monkeypatch.setattr(search, "ANEW", 10)
    start = fitted(VALLEY, method="lbfgs", steps=7).state._replace(memory={}, begun=None)
    states = []
    whole = fitted(VALLEY, method="lbfgs", steps=30, state=start, watch=lambda moment: states.append(moment.state))
    assert [state.begun for state in states if state.step in (7, 8, 16, 17, 18)] == [None, 7, 7, None, 17]
    for state in states:
        found = fitted(VALLEY, method="lbfgs", steps=30, state=state)
        assert found.state.values["x"].tobytes() == whole.state.values["x"].tobytes()


@pytest.mark.slow
def test_a_run_that_began_anew_below_the_end_of_its_domain_can_be_cut_too():
    """The slope grows towards 0, so that a line search finds lower points, but none with a slope that is less steep."""
    text = "variable x = [1.0, 9.0]; y = log(x[0]) + 3*log(x[1]) + x[1]"
    states = []
    whole = fitted(text, method="newton-cg", steps=12, watch=lambda moment: states.append(moment.state))
    assert any(state.begun for state in states)
    for state in states:
        found = fitted(text, method="newton-cg", steps=12, state=state)
        assert found.state.step == whole.state.step
        assert found.state.values["x"].tobytes() == whole.state.values["x"].tobytes()


def test_steps_that_are_gone_through_again_are_shown_and_can_be_interrupted():
    state = fitted(VALLEY, method="lbfgs", steps=9).state
    outcome = fitted(
        VALLEY, method="lbfgs", steps=20, state=state, watch=lambda moment: "enough" if moment.again else None
    )
    assert outcome.state is state
    assert outcome.reason == "interrupted"
    x = state.values["x"]
    assert outcome.loss == pytest.approx(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def test_where_all_steps_are_done_none_is_gone_through_again():
    state = fitted(VALLEY, method="lbfgs", steps=9).state
    seen = []
    assert fitted(VALLEY, method="lbfgs", steps=9, state=state, watch=seen.append).state.step == 9
    assert [moment.again for moment in seen] == [False]


@pytest.mark.parametrize("begun", [[-1.2, 1.1], [-1e200, 1.0], [1.0, 1.0]])
def test_where_steps_cannot_be_gone_through_again_the_values_count(begun):
    """As on a processor that rounds otherwise: the steps lead elsewhere, fail, or end early."""
    state = fitted(VALLEY, method="lbfgs", steps=6).state
    other = state._replace(memory={"x": {"begun": np.array(begun)}})
    anew = fitted(VALLEY, method="lbfgs", steps=20, state=state._replace(memory={}))
    found = fitted(VALLEY, method="lbfgs", steps=20, state=other)
    assert (found.state.step, found.reason) == (20, "all steps done")
    assert found.state.values["x"].tobytes() == anew.state.values["x"].tobytes()


def test_where_the_loss_is_not_finite_the_values_before_are_kept():
    outcome = fitted("variable x = 1.0; y = log(x)", rate=Schedule(0.3), steps=10)
    assert outcome.state.step == 2
    assert float(outcome.state.values["x"]) == pytest.approx(0.7 - 0.3 / 0.7)
    assert outcome.loss == pytest.approx(math.log(0.7 - 0.3 / 0.7))
    assert outcome.problem.message == "`y` is nan at step 3"
    assert outcome.problem.help == "a smaller `--lr` or `--bounds` may do"
    assert float(outcome.problem.values["x"]) < 0


@pytest.mark.parametrize("other", ["", "a*a + "])
def test_a_gradient_that_is_nan_is_no_gradient_of_norm_0(other):
    outcome = fitted(f"variable a = 0.0; variable b = 0.0; y = {other}b^0.5*b^0.5", until={"gnorm": 1e-9})
    assert outcome.problem.message == "the gradient of `y` with respect to `b` is not finite at step 0"
    assert math.isnan(outcome.gnorm)


def test_a_gradient_that_is_not_finite_ends_a_run_too():
    outcome = fitted("variable x = 0.25; y = sqrt(x)", rate=Schedule(0.25), steps=10)
    assert (outcome.state.step, float(outcome.state.values["x"])) == (1, 0.0)
    assert outcome.problem.message == "the gradient of `y` with respect to `x` is not finite at step 1"


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_the_norm_of_gradients_whose_squares_no_float_holds(scale):
    outcome = fitted(f"variable x = [1.0, 2.0]; y = sum([3.0, 4.0]*x)*{scale}", rate=Schedule(1.0), steps=1, clip=1.0)
    assert outcome.gnorm == pytest.approx(5 * scale)
    step = np.array([0.6, 0.8]) if scale > 1 else np.zeros(2)
    np.testing.assert_allclose(outcome.state.values["x"], [1.0, 2.0] - step)


def test_a_rate_beyond_all_floats_ends_a_run_as_a_loss_that_is_not_finite():
    outcome = fitted("variable x = 1.0; y = x^2", rate=Schedule(0.1, "step", 1, 1e200), steps=9)
    assert outcome.problem.message.startswith("`y` is inf at step 2")
    assert Schedule(0.1, "step", 1, 1e200).at(2, 9) == math.inf


NORMAL = """
variable m = 0.0; variable s = 1.0
y = sum(log(s) + ([99.0, 101.5, 98.6, 101.4, 100.0] - m)^2/(2*s^2))
"""


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg"])
@pytest.mark.parametrize("start", [1e-3, 0.1, 3.0, 5.0, 100.0, 1e6])
def test_a_search_goes_back_from_where_the_loss_is_not_finite(method, start):
    outcome = fitted(f"variable x = {start}; y = x - log(x)", method=method)
    assert (outcome.problem, float(outcome.state.values["x"])) == (None, pytest.approx(1.0, abs=1e-6))


def test_lbfgs_ends_as_scipys_own_run():
    def loss(x):
        return x[0] - np.log(x[0]), 1 - 1 / x

    with np.errstate(all="ignore"):
        there = optimize.minimize(loss, [3.0], jac=True, method="L-BFGS-B", options={"gtol": 1e-12, "ftol": 1e-15})
    outcome = fitted("variable x = 3.0; y = x - log(x)", method="lbfgs")
    assert float(outcome.state.values["x"]) == pytest.approx(there.x[0], rel=1e-9)
    assert outcome.reason.startswith("L-BFGS-B says: CONVERGENCE")


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg"])
def test_a_normal_likelihood_from_far(method):
    outcome = fitted(NORMAL, method=method)
    data = np.array([99.0, 101.5, 98.6, 101.4, 100.0])
    assert outcome.problem is None
    assert float(outcome.state.values["m"]) == pytest.approx(data.mean(), rel=1e-7)
    assert abs(float(outcome.state.values["s"])) == pytest.approx(data.std(), rel=1e-7)


@pytest.mark.parametrize("start", [1e-3, 3.0, 1e6])
@pytest.mark.parametrize("bounds", [{}, {"x": (1e-4, math.inf)}])
def test_least_squares_go_back_too(start, bounds):
    text = f"variable x = {start}; y = [x - 2, log(x) - 1, sqrt(x)]"
    outcome = fitted(text, method="least-squares", bounds=bounds)
    x = float(outcome.state.values["x"])
    assert outcome.problem is None
    assert x - 2 + (math.log(x) - 1) / x + 0.5 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "inside",
    ["sqrt(2 - x)", "log(2 - x)", "(2 - x)^0.5", "acos(x - 1)", "atanh(x - 1)", "sum(cholesky([[2 - x]]))", "where(x < 2, 2 - x, nan)",
     "-log(x - 2)*0 + 2 - x", "where(x < 2, 2 - x, inf)", "where(x < 2, 2 - x, -inf)"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["lbfgs", "newton-cg"])
def test_every_end_of_a_domain_is_one(method, inside):
    """The minimum is inside; the first steps lead over the end, where operations give NaN, infinity, or an error."""
    inside = inside if "*0" not in inside else "where(x < 2, 2 - x + 0*log(2 - x), nan)"
    start = 0.1 if inside.startswith("a") else -30.0
    outcome = fitted(f"variable x = {start}; y = (x - 1.5)^2 + 1e-3/({inside} + 0.1)", method=method)
    assert outcome.problem is None
    assert outcome.gnorm < 1e-6
    assert 1 < float(outcome.state.values["x"]) < 2


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg", "least-squares"])
def test_an_end_of_the_domain_is_gone_to_until_no_step_helps(method):
    outcome = fitted("variable x = 1.0; y = where(x < 0.5, nan, x^2)", method=method)
    assert float(outcome.state.values["x"]) == pytest.approx(0.5, rel=1e-8)
    title = "Σy²/2" if method == "least-squares" else "y"
    assert outcome.problem.message.startswith(
        f"the search found no step that lowers `{title}`: `{title}` is not finite in the search at step"
    )


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg", "least-squares"])
def test_no_help_names_an_option_that_the_method_has_not(method):
    outcome = fitted("variable x = 1.0; y = where(x < 1, nan, x^2)", method=method)
    help = outcome.problem.help
    assert outcome.problem.message.endswith("is not finite in the search at step 0")
    assert "--lr" not in help
    assert ("--bounds" in help) == (method != "newton-cg" or "lbfgs with `--bounds`" in help)
    with pytest.raises(NotFiniteError) as caught:
        fitted("variable x = -1.0; y = log(x)", method=method)
    assert caught.value.help is None


def test_a_hessian_that_is_not_finite_is_said_to_be_that():
    text = "variable x = [0.0, 1.0]; y = sum(abs(x)^1.5)"
    outcome = fitted(text, method="newton-cg")
    assert (outcome.state.step, outcome.reason) == (0, "not finite")
    problem = outcome.problem
    assert problem.message == "a product with the Hessian of `y` is not finite in the search at step 0"
    explain(Objective(gradcli.loads(text)), problem)
    assert "at order 2, the derivative of abs(x)^1.5 makes infinity in 1 of 2 entries" in problem.message
    assert "positive definite" not in problem.message + problem.help


def test_what_leaves_all_floats_ends_a_search():
    outcome = fitted("variable x = 1.0; y = 1e200*exp(x)*1e100", method="lbfgs")
    assert outcome.problem.message == "`y` is not finite in the search at step 0"
    assert float(outcome.state.values["x"]) == 1


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg", "least-squares"])
def test_a_start_that_is_not_finite_is_none_for_scipy(method):
    with pytest.raises(gradcli.GradcliError, match=r"`x\[1\]` starts at nan"):
        fitted("variable x = [1.0, nan]; y = sum(x^0)", method=method)


@pytest.mark.parametrize("method", ["sgd", "lbfgs", "newton-cg"])
def test_norms_whose_squares_overflow(method):
    seen = []
    fitted("variable x = 3.0; y = 1e200*x*x", method=method, steps=1, rate=Schedule(1e-210), watch=seen.append)
    assert seen[0].gnorm == pytest.approx(6e200)


@pytest.mark.parametrize("method", ["lbfgs", "least-squares"])
def test_bounds_are_those_of_the_dtype(method):
    outcome = fitted("dtype float32; variable x = 0.1; y = (x - 3)^2", method=method, bounds={"x": (-math.inf, 0.1)})
    assert outcome.state.values["x"] == np.float32(0.1)


@pytest.mark.parametrize("method", ["sgd", "lbfgs", "newton-cg", "least-squares"])
def test_nothing_to_fit_in_an_array_without_entries(method):
    outcome = fitted("variable x = zeros([0]); variable z = 1.0; y = sum(x) + z^2", method=method)
    assert outcome.state.values["x"].shape == (0,)
    assert abs(outcome.state.values["z"]) < 1e-3


def test_an_operation_that_fails_on_the_way_loses_nothing():
    outcome = fitted("variable x = 1.0; y = sum(cholesky([[x]]))", rate=Schedule(0.8))
    assert outcome.state.step == 2
    assert outcome.loss == math.sqrt(outcome.state.values["x"])
    assert outcome.problem.message == "cholesky: the matrix is not positive definite"


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg", "least-squares"])
def test_a_search_goes_back_from_where_an_operation_fails(method):
    outcome = fitted("variable x = 2.0; y = sum(cholesky([[x - 1]])) + x^2", method=method)
    assert outcome.loss == pytest.approx(0.5 if method == "least-squares" else 1.0, rel=1e-5)
    if method != "least-squares":
        assert outcome.problem.message == (
            "the search found no step that lowers `y`: cholesky: the matrix is not positive definite"
        )


@pytest.mark.parametrize("given", [True, False])
def test_data_stay_in_their_file(tmp_path, monkeypatch, given):
    monkeypatch.setattr(arrays, "MAPPED_BYTES", 1)
    np.save(tmp_path / "X.npy", np.ones((6, 2)))
    value = "[[0.0]]" if given else 'load("X.npy")'
    text = f"constant X = {value}; variable w = [1.0, 2.0]; y = mean((X @ w)^2)"
    settings = {"X": read_array(tmp_path / "X.npy")} if given else {}
    objective = Objective(gradcli.loads(text, folder=tmp_path, settings=settings), data=["X"], batch=4)
    array = objective.batches.arrays["X"]
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    assert isinstance(array, np.memmap)
    assert objective.at(objective.start(), 0)[0] == 9


def test_a_start_without_a_loss_is_an_error():
    with pytest.raises(gradcli.GradcliError) as caught:
        fitted("constant X = [1.0, nan]; variable w = 1.0; y = sum(X*w)")
    assert caught.value.message == "`y` is nan at step 0"


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("variable x = 0.1; y = log(x)", "`y` is nan at step 1: log(x) makes NaN", "a smaller `--lr` or `--bounds` may do"),
        (
            "variable x = 0.25; y = sqrt(x)/4",
            "the gradient of `y` with respect to `x` is not finite at step 1: the derivative of sqrt(x) makes infinity",
            "the slope of sqrt at 0 is infinite",
        ),
        ("constant X = [1.0, nan]; variable w = 1.0; y = sum(X*w)", "`y` is nan at step 0: `X[1]` is nan", None),
        # Data that are not finite where it does not matter are not blamed.
        (
            "constant X = [nan, 4.0]; variable w = 0.5; y = sum(where(isnan(X), 0, X*w)) - sqrt(w)",
            "`y` is nan at step 1: sqrt(w) makes NaN", "sqrt needs x >= 0",
        ),
        # What a variable holds is not data.
        ("variable w = [1.0, inf]; y = sum(w)", "`y` is inf at step 0: the variable w holds infinity in 1 of 2 entries", "--set 'w=…'"),
    ],
)  # fmt: skip
def test_where_it_comes_from(text, message, help):
    objective = Objective(gradcli.loads(text))
    try:
        problem = fit(objective, Settings(rate=Schedule(1.0)), lambda _: None).problem
    except NotFiniteError as failure:
        problem = failure
    explain(objective, problem)
    assert problem.message == message
    assert problem.help is None if help is None else help in problem.help


@pytest.mark.parametrize(
    ("loss", "fact"),
    [
        ("x - log(x - 1)", "a logarithm needs x > 0"),
        ("x - log2(x - 1)", "a logarithm needs x > 0"),
        ("x - log1p(x - 2)", "log1p needs x > -1"),
        ("x - 2*log(x - 1)", "log needs x > 0"),
        ("x + sqrt(x - 1)", "sqrt needs x >= 0"),
        ("x - (x - 1)^0.5", "a negative number has no real power unless the exponent is an integer"),
        ("x + asin(x - 1)", "asin needs -1 <= x <= 1"),
        ("x + acos(x - 1)", "acos needs -1 <= x <= 1"),
        ("x + atanh(x - 1)", "atanh needs -1 < x < 1"),
        ("x - acosh(x)", "acosh needs x >= 1"),
        ("x + 1/floor(relu(x))", "floor(relu(x)) is 0, which cannot be divided by"),
        ("x + exp(1e3*(1 - x))", "exp overflows where its argument is above about 709"),
        ("x - 2*log(exp(x - 1)) + log(x - 1)", "a logarithm needs x > 0"),
    ],
)  # fmt: skip
def test_no_help_makes_another_loss_that_may_fall_for_ever(loss, fact):
    """`x - where(x > 0, log(x), 0)` falls for ever, where `x - log(x)` has a minimum."""
    objective = Objective(gradcli.loads(f"variable x = 1.9; y = {loss}"))
    problem = fit(objective, Settings(rate=Schedule(30.0)), unwatched).problem
    values = problem.values
    explain(objective, problem)
    assert problem.help == f"{fact}; a smaller `--lr` or `--bounds` may do"
    finding = traced.trace_gradients(objective.program.with_values(values), ["y"], ["x"], [1]).finding
    assert finding.help.startswith(fact)


def test_a_formula_with_the_same_values_is_offered():
    objective = Objective(gradcli.loads("variable x = 0.0; y = log(1 + exp(-x)) - x"))
    problem = fit(objective, Settings(rate=Schedule(-1e3), steps=9), unwatched).problem
    explain(objective, problem)
    assert "write `softplus(-x)` for `log(1 + exp(-x))`" in problem.help


def test_facts_hold_no_formulas():
    from gradcli.features.trace.hints import _DOMAINS, _SLOPES

    assert not [hint for hint in (*_DOMAINS.values(), *_SLOPES.values()) if "`" in hint.fact]


def test_a_trace_that_does_not_fit_into_memory_finds_nothing(monkeypatch):
    objective = Objective(gradcli.loads("variable x = 0.1; y = log(x)"))
    problem = fit(objective, Settings(rate=Schedule(1.0)), lambda _: None).problem

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(traced, "trace_gradients", exhausted)
    explain(objective, problem)
    assert problem.message == "`y` is nan at step 1"
