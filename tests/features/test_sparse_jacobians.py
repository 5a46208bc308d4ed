"""Sparse Jacobians are the dense ones, at the cost of their longest rows, in programs, files and fits."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import gradcli as package
from gradcli.features.fit import errors, normal
from gradcli.features.fit.normal import Normal
from gradcli.program import query
from gradcli.program.sparse import SparseJacobian, colored
from tests.graph.test_operations import SPECS
from tests.quickly import some

CAMERAS = """
constant cam = [0, 0, 1, 1, 2, 2, 0, 2]; constant pt = [0, 1, 1, 2, 3, 0, 4, 4]
constant obs = random_normal([8, 2], seed=3)
variable c = 0.3*random_normal([3, 6], seed=4); variable p = random_normal([5, 3], seed=5) + [0.0, 0.0, 9.0]
def project(C, P) = {
  r = C[:, 0:3]; theta = sqrt(sum(r^2, axis=1, keepdims=true)); k = r/theta
  kxp = stack([k[:,1]*P[:,2] - k[:,2]*P[:,1], k[:,2]*P[:,0] - k[:,0]*P[:,2], k[:,0]*P[:,1] - k[:,1]*P[:,0]], 1)
  X = P*cos(theta) + kxp*sin(theta) + k*sum(k*P, axis=1, keepdims=true)*(1 - cos(theta)) + C[:, 3:6]
  X[:, 0:2]/X[:, 2:3]
}
res = reshape(project(gather(c, cam), gather(p, pt)) - obs, [-1])
output res
"""


def both(program, names, wrt):
    """The sparse Jacobian and the dense one, and along how many directions the first is found."""
    (y,) = [query.target(program, name) for name in names]
    xs = [query.leaf(program, name) for name in wrt]
    found = SparseJacobian(program, y, xs)
    value, sparse = found({x: program.leaf_value(x) for x in xs})
    np.testing.assert_array_equal(value, program.eval(names)[names[0]])
    dense = program.jacobian(names, wrt)[names[0]]
    whole = np.concatenate(
        [np.reshape(dense[name], (value.size, program.leaf_value(query.leaf(program, name)).size)) for name in wrt],
        axis=1,
    )
    return found, sparse.toarray(), whole


def test_bundle_adjustment():
    found, sparse, dense = both(package.loads(CAMERAS), ["res"], ["c", "p"])
    np.testing.assert_allclose(sparse, dense, rtol=1e-12, atol=1e-14)
    assert found.directions == 8  # the coordinates of a picture share those of a translation along them
    assert found.pattern.nnz == 16 * 8


@pytest.mark.parametrize(
    ("body", "directions"),
    [
        ("sin(x) + x^2", 1),
        ("x[1:] - x[:-1]^2", 2),
        ("concat([flip(x), [1.0, 2.0], x[2:4]*x[0]])", 2),
        ("where(x > 0, x*roll(x, 1), 3.0)", 2),
        ("gather(x, [3, 3, 0])*[1.0, 2.0, 3.0]", 1),
        ("gather(x, argsort(x))", 6),  # what is picked depends on x
        ("sort(x)", 6),
        ("stop_gradient(x) * x", 1),
        ("x/sum(x^2)", 6),
        ("cumsum(x)", 6),
        ("sum(reshape(x, [2, 3])^2, axis=1)", 3),
        ("reshape(x, [2, 3]) @ [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]", 3),
        ("einsum('ij,ik->ijk', reshape(x, [2, 3]), reshape(x, [2, 3])^2)", 3),
        ("reshape(x, [2, 3]) - mean(reshape(x, [2, 3]), axis=1, keepdims=true)", 3),
        ("map(f, x)", 1),
        ("pad(x, [[1, 2]])", 1),
        ("iterate(f, x, 3)", 1),
        ("scan(g, x, 0.0)", 6),
        ("7*x[0]", 1),
        ("stop_gradient(x)", 0),
    ],
)
def test_patterns_and_directions(body, directions):
    defined = "def f(s) = s^2 - 0.1; def g(s, t) = s + t^2"
    program = package.loads(f"{defined}; variable x = [0.5, -1.2, 2.0, 0.3, 1.4, -0.7]; y = {body}")
    found, sparse, dense = both(program, ["y"], ["x"])
    np.testing.assert_allclose(sparse, dense, rtol=1e-12, atol=1e-14)
    assert found.directions == directions


FLOATS = [case for cases in SPECS.values() for case in cases]


@pytest.mark.slow
@pytest.mark.parametrize("part", some(range(12), 4))
def test_every_operation(part):
    """The pattern covers all that is not zero, and what is found along sums of columns is the Jacobian."""
    tried = 0
    for case in FLOATS[part::12]:
        if not case.shapes or "load" in case.expression:
            continue
        program = package.loads(case.program()).with_values(case.point())
        y = query.target(program, "y")
        try:
            SparseJacobian(program, y, [query.leaf(program, name) for name in case.shapes])
        except package.GradcliError as problem:
            assert "floats" in problem.message or "directions at once" in problem.message
            continue
        tried += 1
        _, sparse, dense = both(program, ["y"], list(case.shapes))
        np.testing.assert_allclose(sparse, dense, rtol=1e-9, atol=1e-11, err_msg=case.expression)
    assert tried > 20


def test_colors():
    columns = scipy.sparse.random_array((40, 30), density=0.1, rng=np.random.default_rng(1), format="csr").astype(bool)
    colors = colored(columns)
    rows, at = columns.tocoo().coords
    assert len(set(zip(rows.tolist(), colors[at].tolist(), strict=True))) == columns.nnz
    assert colors.max() < 3 * np.diff(columns.indptr).max()


def test_the_file(gradcli):
    text = "variable x = [1.0, 2.0]; variable w = 3.0; y = w*x; z = [[x[0], 1.0]]; output y, z"
    done = gradcli("jacobian", "-e", text, "--sparse", "J.npz")
    assert (done.status, done.out, done.err) == (0, "", "note: 4 rows, 3 columns, 5 entries\n")
    found = scipy.sparse.load_npz("J.npz")
    np.testing.assert_array_equal(found.toarray(), [[3, 0, 1], [0, 3, 2], [1, 0, 0], [0, 0, 0]])
    with np.load("J.npz") as file:
        assert file["of"].tolist() == ["y", "z"] and file["of_starts"].tolist() == [0, 2]
        assert file["wrt"].tolist() == ["x", "w"] and file["wrt_starts"].tolist() == [0, 2]
    stopped = gradcli("jacobian", "-e", "variable x = [1.0, 2.0]; h = x^2; y = h*x", "--stop", "h", "--sparse", "S.npz")
    assert stopped.status == 0
    np.testing.assert_array_equal(scipy.sparse.load_npz("S.npz").toarray(), np.diag([1.0, 4.0]))


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--sparse", "J.csv"], 2, "the file must end in .npz"),
        (["--sparse", "J.npz", "--format", "json"], 2, "goes without --format"),
        (["--sparse", "J.npz", "--sparsity"], 2, "goes without --sparsity"),
        (["--sparse", "nowhere/J.npz"], 1, "there is no folder"),
        (["--sparse", "J.npz", "--wrt", "n"], 1, "those of floats, and not of int64"),
        (["--sparse", "J.npz", "--of", "d", "--max-memory", "1MB"], 1, "a Jacobian with long rows"),
    ],
)
def test_wrong_input(gradcli, options, status, words):
    text = "variable x = arange(600)/7; constant n = [1, 2]; y = x^2; d = x/sum(x); output y"
    done = gradcli("jacobian", "-e", text, *options)
    assert (done.status, done.out) == (status, "")
    assert words in done.err


def test_least_squares():
    text = """
    variable x = linspace(-2, 2, 40); constant k = random_normal([39], seed=1)
    r = x[1:] - 0.5*sin(x[:-1]) - k; loss = sum(r^2) + 0.1*sum((x - 1)^2); all = concat([r, sqrt(0.1)*(x - 1)])
    """
    dense = package.loads(text).fit("loss")
    for method, of in ((None, "loss"), ("least-squares", "all")):
        found = package.loads(text).fit(of, method=method, sparse=True)
        assert found.method == "least-squares"
        np.testing.assert_allclose(found.values["x"], dense.values["x"], rtol=1e-6)
        assert "no minimum" not in found.reason


CHAIN = """
variable x = linspace(-2, 2, 30); variable z = ones([20]); variable a = 1.0; variable b = 2.0; variable u = 1.0
constant k = random_normal([30], seed=1); constant w = random_normal([20], seed=2) + 3
r = x[1:] - 0.5*sin(x[:-1]) - k[:-1]; steps = z[1:] - z[:-1] - w[1:]
loss = sum(r^2) + sum((x - k)^2) + sum((a*b*k[:9] - 3)^2) + sum(steps^2) + relu(-u)^2
m = mean(x); last = x[-1]*x[0]; gap = z[5] - z[2]
"""
"""A chain that is known, another one that may be moved as a whole, two numbers of which the product is, and one without use."""


def test_errors_of_sparse_least_squares_are_those_of_dense_ones(monkeypatch, gradcli):
    program = package.loads(CHAIN)
    options = {"of": ["m", "last"], "bounds": {"x[3]": (None, -1.5)}, "errors": True}
    dense = program.fit("loss", sparse=True, **options).errors  # small enough to be written out
    monkeypatch.setattr(errors, "DENSE", 0)
    sparse = program.fit("loss", sparse=True, **options).errors
    assert sparse.covariance is None and dense.covariance is not None
    assert [e.note for e in sparse.estimates] == [e.note for e in dense.estimates]
    assert {e.note for e in sparse.estimates} == {
        "", "at its bound -1.5", "without influence here", "determined only together with the others of 22 numbers"
    }  # fmt: skip
    assert sparse.statistics == pytest.approx(dense.statistics)
    assert sparse.statistics["fitted"] == 29 + 19 + 1
    found, expected = [[e.error for e in (*these.estimates, *these.derived)] for these in (sparse, dense)]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    Path("c.expr").write_text(CHAIN)
    done = gradcli("fit", "c.expr", "--minimize", "loss", "--sparse", "--cov", "c.csv", "--bounds", "x[3]=..-1.5", "--format", "json")  # fmt: skip
    with open("c.csv", newline="") as file:
        names, *rows = csv.reader(file)
    assert names[1:] == dense.names == json.loads(done.out)["covariance"]["names"]
    np.testing.assert_allclose(np.array([row[1:] for row in rows], float), dense.covariance, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("density", [0.01, 0.05])
def test_the_diagonal_of_the_inverse_of_a_sparse_normal_matrix(density):
    random = np.random.default_rng(3)
    some = scipy.sparse.random_array((400, 200), density=density, rng=random)
    matrix = scipy.sparse.vstack([some, scipy.sparse.diags_array(random.uniform(0.1, 1, 200))]).tocsr()
    found = Normal(matrix, 2.0**-52)
    inverse = np.linalg.inv((matrix.T @ matrix).toarray())
    np.testing.assert_allclose(found.diagonal(), np.diag(inverse), rtol=1e-12)
    np.testing.assert_allclose(found.times(np.eye(200)), inverse, rtol=1e-9, atol=1e-12)


SCENE = """
constant cam = cast(floor(arange(120)/40), int64); constant pt = cast(mod(arange(120.0), 40), int64)
c0 = 0.4*random_normal([3, 6], seed=4) + 0.1; p0 = random_normal([40, 3], seed=5) + [0.0, 0.0, 9.0]
variable c = 0.4*random_normal([3, 6], seed=4) + 0.1 + 0.01*random_normal([3, 6], seed=6)
variable p = random_normal([40, 3], seed=5) + [0.0, 0.0, 9.0]
""" + CAMERAS[CAMERAS.index("def") : CAMERAS.index("res =")] + """
constant obs = project(gather(c0, cam), gather(p0, pt)) + 0.001*random_normal([120, 2], seed=3)
loss = sum((project(gather(c, cam), gather(p, pt)) - obs)^2)
"""  # fmt: skip
"""Three cameras that see 40 points, where the scene may be moved, turned and scaled: in 7 ways."""


def test_a_bundle_is_adjusted_in_few_steps(monkeypatch):
    monkeypatch.setattr(errors, "DENSE", 0)
    program = package.loads(SCENE)
    found = program.fit("loss", ["c", "p"], sparse=True, errors=True)
    assert found.converged and found.steps < 40
    gradients = program.grad("loss", ["c", "p"], values=found.values)
    assert max(np.abs(g).max() for g in gradients.values()) < 1e-9 and found.loss < 240 * 1e-6
    assert found.errors.statistics["fitted"] == 18 + 120 - 7
    assert {e.note for e in found.errors.estimates} == {"determined only together with the others of 138 numbers"}


def test_sparse_steps_end_where_residuals_are_finite():
    found = package.loads("variable x = [5.0, 0.1]; loss = sum((log(x) - [-3.0, 4.0])^2)").fit(sparse=True)
    np.testing.assert_allclose(found.values["x"], np.exp([-3.0, 4.0]), rtol=1e-9)
    assert found.converged


def test_where_the_normal_matrix_is_not_sparse_scipy_takes_over(monkeypatch):
    monkeypatch.setattr(normal, "MOST", 10)
    text = "variable x = [3.0, 1.0, 2.0]; loss = sum((x - 1)^2) + sum(x)^2"
    found = package.loads(text).fit(sparse=True)
    np.testing.assert_allclose(found.values["x"], [0.25, 0.25, 0.25], atol=1e-7)
    assert "termination condition" in found.reason and found.converged


def test_too_much_that_is_not_determined_is_refused():
    with pytest.raises(
        package.GradcliError, match="more than 64 combinations of the fitted numbers are not determined"
    ):
        Normal(scipy.sparse.csr_array(np.repeat(np.eye(80), 2, axis=1)), 2.0**-52)


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--sparse", "--method", "newton"], 2, "--sparse is for least-squares"),
        (["--sparse", "--loglik"], 2, "--sparse goes without --loglik"),
        (["--sparse", "--subject", "x >= 0"], 2, "--sparse goes without --subject"),
        (["--sparse", "--minimize", "z"], 1, "`z` is not seen to be a sum of squares"),
        (["--sparse", "--errors"], 1, "there are no errors: 2 numbers fitted to 2 residuals"),
        (
            ["--sparse", "--minimize", "w", "--cov", "c.csv", "--max-memory", "1MB"],
            1,
            "the covariance of 300 numbers takes",
        ),
    ],
)
def test_wrong_input_of_fits(gradcli, options, status, words):
    done = gradcli(
        "fit",
        "-e",
        "variable x = [3.0, 1.0]; y = sum((x - 1)^2); z = sum(exp(x) - x); variable v = ones([300])"
        "; w = sum((v - 2)^2) + sum((v[1:] - 1)^2)",
        "--minimize",
        "y",
        *options,
    )
    assert done.status == status and words in done.err
    good = gradcli("fit", "-e", "variable x = [3.0, 1.0]; y = sum((x - 1)^2)", "--sparse", "--format", "json")
    assert json.loads(good.out)["values"]["x"]["value"] == pytest.approx([1, 1])
