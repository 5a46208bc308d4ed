"""Blocks of rows give what one row after the other gives: every operation, random programs, the samples."""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import programs

import gradcli
from gradcli.data.rows import Rows
from gradcli.execute import run
from gradcli.execute.loop import Loop
from gradcli.features.matrices.answer import hessians, jacobians
from gradcli.features.points.answer import Points
from gradcli.features.points.varied import MOST_PLANS, Batch, Item, Varied
from gradcli.program import answers
from tests.graph.test_operations import SPECS, Case
from tests.quickly import light, some
from tests.tiny_tiles import shrink

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.expr"))


def values_of(results):
    return [Item((r.name,), r.name, r.value) for r in results]


def evaluation(program):
    return values_of(answers.values(program))


def gradients(program):
    return values_of(answers.gradients(program, order=2, every_order=True).orders[-1][1])


def first_gradients(program):
    return values_of(answers.gradients(program).orders[-1][1])


def columns_for(program, rows, seed=0, names=None):
    """Random values near the program's own, [rows, *shape]."""
    random = np.random.RandomState(seed)
    own = program.eval(names if names is not None else program.variables)
    return {
        name: value + 0.1 * random.normal(size=(rows, *value.shape)) for name, value in own.items() if value is not None
    }


def batch_of(program, ask, columns):
    dtypes = {name: str(column.dtype) for name, column in columns.items()}
    return Batch(Varied(program, dtypes), ask)


def assert_rows_agree(program, ask, columns, rtol=1e-11):
    """The batch against the program itself with each row's values."""
    batch = batch_of(program, ask, columns)
    results = iter(batch(columns))
    found = [None if item.value is None else next(results) for item in batch.items]
    for row in range(len(next(iter(columns.values())))):
        own = ask(program.with_values({name: column[row] for name, column in columns.items()}))
        for item, block, single in zip(batch.items, found, own, strict=True):
            assert item.label == single.label
            if single.value is None:
                assert block is None
                continue
            assert block.dtype == single.value.dtype
            scale = float(np.max(np.abs(single.value[np.isfinite(single.value)]), initial=1.0))
            np.testing.assert_allclose(block[row], single.value, rtol=rtol, atol=rtol * scale, err_msg=item.label)


@pytest.mark.slow
@settings(max_examples=250, deadline=None, derandomize=True)
@given(text=programs(smooth=False, scalar=True), chosen=st.sampled_from([("v0",), ("v1",), ("v0", "v1")]))
def test_random_programs(text, chosen):
    program = gradcli.loads(text)
    columns = columns_for(program, 3, names=list(chosen))
    assert_rows_agree(program, evaluation, columns)
    assert_rows_agree(program, first_gradients, columns, rtol=1e-9)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(text=programs(smooth=True, scalar=True, statements=5))
def test_random_programs_to_the_second_order(text):
    program = gradcli.loads(text)
    columns = columns_for(program, 2)
    assert_rows_agree(program, gradients, columns, rtol=1e-7)
    assert_rows_agree(
        program, lambda p: [Item((b.row, b.column), b.name, b.value) for b in hessians(p).blocks], columns, rtol=1e-7
    )


def has_columns(sample: Path) -> bool:
    """Whether a sample has variables with values, which columns can set."""
    graph = gradcli.load(sample).graph
    return any(graph.initial[graph.leaves[name]] is not None for name in graph.variables)


@pytest.mark.parametrize("sample", light(filter(has_columns, SAMPLES)), ids=lambda sample: sample.stem)
def test_samples(sample):
    program = gradcli.load(sample, dtype="float64")
    leaves = [name for name in program.variables if program.graph.initial[program.graph.leaves[name]] is not None]
    columns = columns_for(program, 3, names=leaves)
    assert_rows_agree(program, evaluation, columns)
    with suppress(gradcli.GradcliError):  # an output that is None has no gradients
        answers.gradients(program)
        assert_rows_agree(program, first_gradients, columns, rtol=1e-9)


def drawn(case: Case, rows: int) -> dict[str, np.ndarray]:
    """The variables of a case, [rows, *shape], from its domain."""
    rng = np.random.default_rng(zlib.crc32(case.expression.encode()) + 1)
    found = {}
    for name, shape in case.shapes.items():
        domain = case.domain.get(name, (-2.0, 2.0)) if isinstance(case.domain, dict) else case.domain
        found[name] = np.stack(
            [domain(rng, shape) if callable(domain) else rng.uniform(*domain, shape) for _ in range(rows)]
        )
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, some in SPECS.items() if any(c.shapes for c in some) and name != "load"]
)
def test_every_operation(name):
    """Values, first and second gradients and Jacobians of all specs, with all of their variables in rows and with some."""
    for case in [case for case in SPECS[name] if case.shapes]:
        columns = drawn(case, 2)
        program = gradcli.loads(case.program())

        def ask(program, derivative=case.derivative):
            found = [answers.values(program, ["y"])]
            if derivative:
                found += [results for _, results in answers.gradients(program, ["y"], order=2, every_order=True).orders]
                found.append(jacobians(program, ["y"]).blocks)
            return [Item((r.name,), f"{r.name} {k}", r.value) for k, results in enumerate(found) for r in results]

        assert_rows_agree(program, ask, columns, rtol=1e-9)
        for chosen in columns if len(columns) > 1 else ():
            others = {other: column[0] for other, column in columns.items() if other != chosen}
            assert_rows_agree(program.with_values(others), ask, {chosen: columns[chosen]}, rtol=1e-9)


OPERATIONS = {
    "index": "a[0, ::-1] + v[newaxis, 1:2]",
    "unindex": "pad(a, [[1, 0], [0, 2]])",
    "reshape": "reshape(t, [4, -1]) + reshape(s, [1, 1])",
    "broadcast_to": "broadcast_to(v, [2, 3]) * broadcast_to(s, [2, 3])",
    "transpose": "transpose(t, [2, 0, 1])",
    "flip": "flip(a, 1) + flip(a)",
    "roll": "roll(a, 1) + roll(a, 2, axis=1)",
    "concat": "concat([a, ones([1, 3]), 2*a], 0)",
    "stack": "[v, ones([3]), 2*v]",
    "sort": "sort(a, axis=0)",
    "argsort": "argsort(a, axis=1)",
    "take_along": "gradients(sum(sort(a, axis=0)*m), a)",
    "take_along_repeated": "gradients(sum(take_along(a, argmax(v*a, axis=1, keepdims=true))^2), a)",
    "drawn": "random_normal([2, 3], s, exp(v), seed=2) + random_uniform([3], -exp(s), v^2, seed=3)",
    "solve_vectors": "solve(t[:, :, :2] + 4.0*eye(2), t[:, :, 2]) + solve(w[:, :, :2] + 4.0*eye(2), m[:, :2])",
    "gather": "gather(a, [2, 0, 0], axis=1)",
    "gather_by_rows": "gather(t, argmax(v*a, axis=1), axis=2)",
    "gather_constant": "gather(w, argsort(v, axis=0), axis=2)",
    "gather_both": "gather(gather(t, argsort(a, axis=1), axis=2), argmax(v*a, axis=1), axis=3)",
    "scatter_add": "gradients(sum(square(gather(t, argsort(a, axis=1), axis=2))), t)",
    "scatter_constant": "gradients(sum(square(gather(a, [2, 0, 0], axis=1))), a)",
    "scatter_of_constant": "gradients(sum(gather(t, argsort(a, axis=1), axis=2)), t)",
    "reductions": "sum(a) + mean(a) + prod(a) + max(a) + min(a) + norm(a) + logsumexp(a) + var(a) + std(v)",
    "axes": "sum(t, [0, 2]) + max(t, axis=1)[0, 0] + mean(t, axis=-1, keepdims=true)[0, :, 0]",
    "truth": "where(any(a > 0, axis=0) and not all(a > 1), v, 2*v)",
    "positions": "argmax(a) + argmin(a, axis=1, keepdims=true)",
    "cumulative": "cumsum(a, 1, exclusive=true) + cumprod(a, 0, reverse=true)",
    "softmax": "softmax(a, axis=0) + log_softmax(a) + softmax_cross_entropy([0.2, 0.3, 0.5], a)[0]",
    "one_hot": "one_hot(argmax(a, axis=1), 4)",
    "matmul_matrices": "(a @ m.T) @ (m @ a.T)",
    "matmul_vectors": "v @ v + (a @ v)[0] + (v @ m.T)[1] + (m @ v)[0] + ([1.0, 2.0] @ a)[2] + (a @ [1.0, 2.0, 3.0])[1]",
    "matmul_leading": "t @ a.T + (a @ transpose(w, [0, 2, 1]))[0, 0, 0] + (w @ v)[0, 0]",
    "einsum": 'einsum("ij,kj,k->i", a, m, u) + einsum("ijk,k->j", t, v) + einsum("ii->i", a @ a.T)',
    "gram": "hessian(sum(square(m @ v)), v)",
    "jacobian": "jacobian(v*v[0], v)",
    "trace": "trace(a @ a.T) + sum(tril(a) - triu(a, 1)) + diag(v)[1, 1] + sum(diag(q))",
    "inv": "inv(q) + det(q) + logdet(q) + cholesky(q)",
    "cofactor": "gradients(det(q), q)",
    "solve": "solve(q, u) + solve(q, m)[0, 0] + solve([[2.0, 1.0], [0.5, 3.0]], u) + solve(q, [1.0, 2.0])",
    "solve_constant": "solve([[2.0, 1.0], [0.5, 3.0]], m * a) + solve(q, ones([2, 3]))",
    "alike": "zeros_like(a) + ones_like(a) + zeros([2, 3])",
    "scalars": "s*v + atan2(s, v) + where(s > 0, v, a) + maximum(s, a) + (2 + s)^v + xlogy(u[0], 2 + s)",
    "elementwise": "erf(a) + gelu(a) + relu(a) + mod(a, 0.3) + clip(a, -0.5, 0.5) + sign(a) + cast(cast(a, int64), float64)",
    "powers": "gradients(sum(relu(a)*u[0]^3 + leaky_relu(a)), a)",
}
HEAD = """
variable s = 0.3; variable v = [0.5, -1.2, 0.9]; variable u = [0.7, 1.1]
variable a = [[0.5, -0.2, 1.5], [1.1, 0.6, -0.7]]; variable t = reshape(linspace(-1, 1, 12)^3 + 0.1, [2, 2, 3])
constant m = [[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]]; constant w = reshape(linspace(-1, 1, 12), [2, 2, 3])
constant unused = 1.0
q = a @ a.T + 2.0*eye(2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", some(OPERATIONS, 2))
def test_operations(name):
    program = gradcli.loads(f"{HEAD}y = {OPERATIONS[name]}\noutput y")
    columns = columns_for(program, 3)
    assert_rows_agree(program, evaluation, columns)
    integers = program.graph.names["y"].dtype == "int64"
    if not integers:
        assert_rows_agree(program, first_gradients, columns, rtol=1e-9)
    # With some of them fixed: operands with and without rows meet.
    for chosen in (["a"], ["s", "v"], ["t"], ["u"]):
        assert_rows_agree(program, evaluation, {key: columns[key] for key in chosen})


def rows(**columns):
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    count = len(next(iter(arrays.values())))
    return Rows(np.arange(1, count + 1), arrays)


def answered(text, ask=evaluation, skip_bad=False, **columns):
    points = Points(gradcli.loads(text), ask, "rows", skip_bad)
    for name in columns:
        points.field_of(name)
    pieces = list(points.answers(rows(**columns)))
    bad = [(number, problem.kind, problem.message) for piece in pieces for number, problem in piece.bad]
    labels = [item.label for item in pieces[0].items]
    values = [
        None if piece is None else np.concatenate([p.values[i] for p in pieces])
        for i, piece in enumerate(pieces[0].values)
    ]
    return dict(zip(labels, values, strict=True)), bad


def test_nan_in_a_column_does_not_reach_what_is_not_selected():
    text = "variable x = 1.0; variable z = 2.0; y = where(z > 0, sqrt(z), x)"
    found, _ = answered(text, first_gradients, x=[np.nan, 1.0, np.inf, np.nan], z=[4.0, 1.0, 4.0, -1.0])
    assert found["x"].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert found["z"].tolist() == [0.25, 0.5, 0.25, 0.0]


def test_integers_stay_integers_up_to_the_first_fraction():
    found, bad = answered("variable n = 3; y = n*2", n=[1.0, 2.0, 2.5, 4.0])
    assert found["y"].tolist() == [2.0, 4.0, 5.0, 8.0]
    assert not bad
    points = Points(gradcli.loads("variable n = 3; y = n*2"), evaluation, "rows")
    dtypes = [answers.values[0].dtype for answers in points.answers(rows(n=[1.0, 2.0, 2.5, 4.0]))]
    assert dtypes == ["int64", "float64"]
    again = [answers.values[0].dtype for answers in points.answers(rows(n=[1, 2]))]
    assert again == ["float64"], "what became a float stays one"


def test_constants_that_are_computed_from_a_column():
    text = "constant a = 1.0; constant b = 2*a; variable v: [2] = b; variable k = 3.0; y = sum(v)*k"
    found, _ = answered(text, a=[1.0, 2.0, 3.0])
    assert found["y"].tolist() == [12.0, 24.0, 36.0]


def test_what_depends_on_no_column_is_evaluated_once(monkeypatch):
    counts = {}
    operation = run._Run.operation

    def counted(self, position):
        name = self.plan.nodes[position].op.name
        counts[name] = counts.get(name, 0) + 1
        operation(self, position)

    monkeypatch.setattr(run._Run, "operation", counted)
    text = "constant m = ones([50, 50]); variable x = 1.0; y = x*sum(tanh(m @ m))"
    points = Points(gradcli.loads(text), evaluation, "rows")
    for block in ([1.0, 2.0], [3.0, 4.0]):
        ((answer,),) = [answers.values for answers in points.answers(rows(x=block))]
        assert answer.tolist() == [2500.0 * x for x in block]
    assert (counts["matmul"], counts["multiply"]) == (1, 2)


def test_a_row_that_fails_is_found_and_the_others_are_answered():
    text = "variable x: [2, 2]; y = inv(x)[0, 0]"
    matrices = np.array([np.eye(2) * (k + 1) for k in range(20)])
    matrices[6] = matrices[13] = 1.0
    found, bad = answered(text, skip_bad=True, x=matrices)
    assert found["y"].tolist() == pytest.approx([1 / (k + 1) for k in range(20) if k not in (6, 13)])
    assert [(number, kind) for number, kind, _ in bad] == [(7, "ValueError"), (14, "ValueError")]
    assert bad[0][2].startswith("rows, row 7: inv: the matrix is singular")
    found, bad = answered(text, x=matrices)
    assert len(found["y"]) == 6
    assert [number for number, _, _ in bad] == [7]


def third_gradients(program):
    return values_of(answers.gradients(program, order=3).orders[-1][1])


def test_the_answers_of_a_row_do_not_depend_on_the_others():
    """Numbers that are not ordinary ask for guards, with which a third slope at 0 may be 0 and is NaN without."""
    text = "variable a = [[-0.9, -1.2], [0.0, 1.0]]; variable b = 1.0; n = a*a + 2*a; y = sum(xlogy(a, n[0]))*b"
    own = np.array([[-0.9, -1.2], [0.0, 1.0]])
    a = np.array([own, [[np.inf, 2.0], [0.5, 0.0]], own, -own, [[np.nan, 1.0], [0.0, 0.0]], own])
    b = np.array([1.0, 1.0, np.inf, 2.0, -np.inf, 1e200])
    for ask in (evaluation, first_gradients, third_gradients):
        whole, _ = answered(text, ask, a=a, b=b)
        for row in range(len(a)):
            alone, _ = answered(text, ask, a=a[row : row + 1], b=b[row : row + 1])
            for name, value in [item for item in alone.items() if item[1] is not None]:
                np.testing.assert_array_equal(whole[name][row], value[0], err_msg=f"{name} in row {row}")


def test_bad_rows_among_rows_that_are_not_ordinary():
    matrices = np.array([(k + 1) * np.eye(2) for k in range(9)])
    matrices[3] = matrices[7] = 0.0
    b = np.where(np.arange(9) % 3 == 1, np.inf, 1.0)
    text = "variable x = eye(2); variable b = 1.0; y = inv(x)[0, 0] + b"
    found, bad = answered(text, skip_bad=True, x=matrices, b=b)
    assert found["y"].tolist() == [1 / (k + 1) + b[k] for k in range(9) if k not in (3, 7)]
    assert [number for number, _, _ in bad] == [4, 8]
    found, bad = answered(text, x=matrices, b=b)
    assert found["y"].tolist() == [1 / (k + 1) + b[k] for k in range(3)]
    assert [number for number, _, _ in bad] == [4]


def test_an_index_out_of_range_is_found_by_its_row():
    text = "constant i = [0]; variable w = [1.0, 2.0, 3.0]; y = sum(gather(w, i))"
    found, bad = answered(text, skip_bad=True, i=[[0], [2], [3], [-1]])
    assert found["y"].tolist() == [1.0, 3.0, 3.0]
    assert [(number, "out of range" in message) for number, _, message in bad] == [(3, True)]
    grads, _ = answered(text, first_gradients, i=[[0], [-1]])
    assert grads["w"].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_places_in_rows_with_nan():
    text = (
        'variable s = [1.0, 2.0, 4.0]; variable v = 1.0; y = searchsorted(s, v); z = searchsorted(s, v, side="right")'
    )
    rows = {"s": np.array([[1.0, 2.0, 4.0], [4.0, 1.0, 2.0], [np.nan, 1.0, 2.0]]), "v": np.array([np.nan, 2.0, np.nan])}
    found, bad = answered(f"{text}; output y, z", **rows)
    assert not bad
    assert (found["y"].tolist(), found["z"].tolist()) == ([3, 1, 2], [3, 2, 3])


def test_int32_columns_are_checked():
    _, bad = answered("variable n: int32 = 3; y = n", skip_bad=True, n=[1, 2**40, 3])
    assert [(number, "does not fit" in message) for number, _, message in bad] == [(2, True)]


def test_none_and_zeros():
    found, _ = answered("variable x = 1.0; variable k = 2.0; y = floor(x) + k", first_gradients, x=[1.0, 2.0])
    assert found["x"] is None
    assert found["k"].tolist() == [1.0, 1.0]


def test_large_arrays_go_in_smaller_blocks():
    program = gradcli.loads("variable x = 1.0; y = sum(exp(x*ones([100, 100])))")
    batch = batch_of(program, evaluation, {"x": np.zeros(1)})
    assert 100 < batch.rows_at_once < 2000
    less = gradcli.loads("variable x = 1.0; y = sum(exp(x*ones([100, 100])))", max_memory=2_000_000)
    assert batch_of(less, evaluation, {"x": np.zeros(1)}).rows_at_once < 20


def test_blocks_of_every_size():
    """A plan serves blocks of nearly as many rows, which are filled up; no row is lost or added."""
    program = gradcli.loads("variable x = 1.0; variable v = [1.0, 2.0]; y = sum(x*v^2); z = [1.0, 2.0]; output y, z")
    random = np.random.RandomState(0)
    columns = {"x": random.normal(size=200), "v": random.normal(size=(200, 2))}
    batch = batch_of(program, evaluation, columns)
    for rows in [*range(1, 40), 63, 64, 65, 129, 200]:
        y, z = batch({name: column[:rows] for name, column in columns.items()})
        np.testing.assert_allclose(y, columns["x"][:rows] * (columns["v"][:rows] ** 2).sum(1), rtol=1e-14)
        assert z.tolist() == [[1.0, 2.0]] * rows
    assert len(batch._blocks) <= MOST_PLANS
    assert max(batch._blocks) <= 208


def test_a_block_that_does_not_fit_is_made_smaller(monkeypatch):
    program = gradcli.loads("variable x = 1.0; y = sum(exp(x*ones([100])))")
    columns = {"x": np.linspace(0.0, 1.0, 100)}
    batch = batch_of(program, evaluation, columns)
    planned = batch._planned

    def refused(nodes, many):
        if next(iter(many.values())).shape[0] > 12:
            raise gradcli.GradcliError("LimitError", "too large")
        return planned(nodes, many)

    monkeypatch.setattr(batch, "_planned", refused)
    assert batch.fitting(100) == 12
    assert batch.rows_at_once == 12


def test_blocks_run_in_tiles(monkeypatch):
    shrink(monkeypatch, 64)
    text = "variable x = [1.0, 2.0, 3.0]; constant w = ones([4, 3]); y = sum(tanh(w @ x)*exp(-x[0]))"
    program = gradcli.loads(text)
    columns = columns_for(program, 50)
    batch = batch_of(program, first_gradients, columns)
    batch(columns)
    (block,) = batch._blocks.values()
    loops = [unit for unit in block.results.plan.units if isinstance(unit, Loop)]
    assert [loop.size for loop in loops] == [block.size] * len(loops)
    assert loops
    assert max(loop.tiles for loop in loops) > 1
    assert_rows_agree(program, first_gradients, columns)


@pytest.mark.parametrize("text", ["constant n = 2; y = zeros([n])", "constant n = 2; constant k = n; y = eye(3)[k]"])
def test_static_numbers_cannot_be_columns(text):
    with pytest.raises(gradcli.GradcliError, match="`n` cannot differ from row to row"):
        answered(text, n=[1, 2])
