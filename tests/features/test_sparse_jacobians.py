"""Sparse Jacobians are the dense ones, at the cost of their longest rows, in programs, files and fits."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse

import gradcli
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
    found, sparse, dense = both(gradcli.loads(CAMERAS), ["res"], ["c", "p"])
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
    program = gradcli.loads(f"{defined}; variable x = [0.5, -1.2, 2.0, 0.3, 1.4, -0.7]; y = {body}")
    found, sparse, dense = both(program, ["y"], ["x"])
    np.testing.assert_allclose(sparse, dense, rtol=1e-12, atol=1e-14)
    assert found.directions == directions


FLOATS = [case for cases in SPECS.values() for case in cases]


@pytest.mark.parametrize("part", some(range(12), 4))
def test_every_operation(part):
    """The pattern covers all that is not zero, and what is found along sums of columns is the Jacobian."""
    tried = 0
    for case in FLOATS[part::12]:
        if not case.shapes or "load" in case.expression:
            continue
        program = gradcli.loads(case.program()).with_values(case.point())
        y = query.target(program, "y")
        try:
            SparseJacobian(program, y, [query.leaf(program, name) for name in case.shapes])
        except gradcli.GradcliError as problem:
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
    dense = gradcli.loads(text).fit("loss")
    for method, of in ((None, "loss"), ("least-squares", "all")):
        found = gradcli.loads(text).fit(of, method=method, sparse=True)
        assert found.method == "least-squares"
        np.testing.assert_allclose(found.values["x"], dense.values["x"], rtol=1e-6)
        assert "no minimum" not in found.reason


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--sparse", "--method", "newton"], 2, "--sparse is for least-squares"),
        (["--sparse", "--errors"], 2, "--sparse goes without --errors"),
        (["--sparse", "--subject", "x >= 0"], 2, "--sparse goes without --subject"),
        (["--sparse", "--minimize", "z"], 1, "`z` is not seen to be a sum of squares"),
    ],
)
def test_wrong_input_of_fits(gradcli, options, status, words):
    done = gradcli(
        "fit", "-e", "variable x = [3.0, 1.0]; y = sum((x - 1)^2); z = sum(exp(x) - x)", "--minimize", "y", *options
    )
    assert done.status == status and words in done.err
    good = gradcli("fit", "-e", "variable x = [3.0, 1.0]; y = sum((x - 1)^2)", "--sparse", "--format", "json")
    assert json.loads(good.out)["values"]["x"]["value"] == pytest.approx([1, 1])
