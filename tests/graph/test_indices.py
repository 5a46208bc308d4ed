"""Operations that take indices or move entries: each against NumPy, in every way to differentiate and to write them.

All of them are linear where no two entries are alike, so that differences of NumPy's own values give the whole Jacobian
without an error of truncation, and from it every derivative of a polynomial of the result.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli.features.derive import formulas, numpy_module
from gradcli.features.derive.answer import derive
from gradcli.features.points.varied import Batch, Item, Varied
from gradcli.graph.ops import table
from gradcli.program import answers

Array = Any

POSITIONS = [[0, 1, 2], [2, 0, 1], [1, 1, 1], [-1, -2, 0], [2], [0, 2, -1, 1, 0, -3], []]
"""Indices of an axis of three entries: in order, permuted, repeated, negative, fewer, more, none."""
SOME = [[2, 0, -1, 1, 0, -3], [1, 1], []]


@dataclass(frozen=True)
class Case:
    """An expression of x, and of indices i where it takes some, and the same in NumPy."""

    expression: str
    reference: Callable[..., Array]
    shape: tuple[int, ...]
    indices: Array | None = None

    def program(self, given: bool = False) -> str:
        """With the indices in the text of the expression, or ``given`` as a variable."""
        y, declared = self.expression, f"variable x: {list(self.shape)}\n"
        if self.indices is not None and given:
            declared += f"variable i: int64{list(self.indices.shape)}\n"
        elif self.indices is not None:
            y = y.replace("{i}", text(self.indices))
        y = y.replace("{i}", "i")
        return f"{declared}y = {y}\nweights = random_normal(shape(y), seed=5)\ns = sum(weights*y*y*y)\nz = y*y*y\n"

    @property
    def known(self) -> dict[str, Array]:
        return {} if self.indices is None else {"i": self.indices}

    def x(self, seed: int = 0) -> Array:
        """Entries at least 0.3 from one another, in a random order."""
        rng = np.random.default_rng(zlib.crc32(self.expression.encode()) + seed)
        count = int(np.prod(self.shape))
        return (0.3 * rng.permutation(count) - 0.8).reshape(self.shape)

    def value(self, x: Array, **other: Array) -> Array:
        return np.asarray(self.reference(x, **(other or self.known)), dtype="float64")

    def matrix(self, x: Array, **other: Array) -> Array:
        """One row for each entry of y, one column for each of x; the steps are powers of 2."""
        step = 2.0**-10
        columns = [self.value(x + step * e.reshape(x.shape), **other) for e in np.eye(x.size)]
        y = self.value(x, **other)
        return np.array([(c - y).ravel() / step for c in columns]).reshape(x.size, y.size).T


def text(values: Array) -> str:
    return str(values.tolist()) if values.ndim < 2 or values.size else f"zeros({list(values.shape)}, dtype=int64)"


def along(
    expression: str, reference: Callable[..., Array], shape: tuple[int, ...], positions: list[list[int]] = POSITIONS
) -> list[Case]:
    return [Case(expression, reference, shape, np.array(p, dtype="int64")) for p in positions]


def rowwise(shape: tuple[int, ...], axis: int, *leading: tuple[int, ...]) -> list[Case]:
    """Indices of their own in each row along an axis of three, and with axes of size 1 that broadcast."""
    rng = np.random.default_rng(len(shape))
    cases: list[Case] = []
    for sizes in leading:
        for count in (2, 5) if sizes == shape else (3,):
            own = (*sizes[:axis], count, *sizes[axis + 1 :])
            cases.append(
                Case(
                    f"take_along(x, {{i}}, {axis})",
                    lambda x, i: np.take_along_axis(x, i, axis),
                    shape,
                    rng.integers(-3, 3, own),
                )
            )
    return cases


def scattered(g: Array, i: Array, axis: int, size: int) -> Array:
    y = np.zeros((*g.shape[:axis], size, *g.shape[axis + i.ndim :]))
    np.add.at(y, (*[slice(None)] * axis, i), g)
    return y


def scattered_along(g: Array, i: Array, axis: int, size: int) -> Array:
    y = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]))
    for at in np.ndindex(*g.shape):
        to = list(at)
        to[axis] = np.broadcast_to(i, g.shape)[at]
        y[tuple(to)] += g[at]
    return y


def scatters() -> list[Case]:
    """As many entries as there are indices."""
    cases = []
    for p in SOME:
        i, n = np.array(p, dtype="int64"), len(p)
        cases.append(Case("scatter_add(x, {i}, 0, 3)", lambda x, i: scattered(x, i, 0, 3), (n, 2), i))
        cases.append(Case("scatter_add(x, {i}, 1, 4)", lambda x, i: scattered(x, i, 1, 4), (2, n), i))
    return cases


def scatters_along() -> list[Case]:
    cases = []
    for p in SOME:
        i, n = np.array(p, dtype="int64"), len(p)
        cases.append(Case("scatter_along(x, {i}, 0, 3)", lambda x, i: scattered_along(x, i, 0, 3), (n,), i))
        turned = np.stack([i, i[::-1]])
        cases.append(Case("scatter_along(x, {i}, 1, 3)", lambda x, i: scattered_along(x, i, 1, 3), (2, n), turned))
        cases.append(Case("scatter_along(x, {i}, -1, 4)", lambda x, i: scattered_along(x, i, 1, 4), (2, n), i[None]))
    return cases


def one(expression: str, reference: Callable[[Array], Array], *shape: int) -> Case:
    return Case(expression, reference, shape)


SPECS: dict[str, list[Case]] = {
    "gather": [
        *along("gather(x, {i})", lambda x, i: x[i], (3,)),
        *along("x[{i}]", lambda x, i: x[i], (3, 2), SOME),
        *along("x[1:, {i}]", lambda x, i: x[1:, i], (2, 3), SOME),
        *along("gather(x, {i}, axis=1)", lambda x, i: np.take(x, i, 1), (2, 3, 2), SOME),
        Case("x[:, {i}]", lambda x, i: x[:, i], (2, 3), np.array([[0, -1], [1, 1], [2, 0]])),
        Case("x[{i}]", lambda x, i: x[i], (3, 2), np.array(-1)),
        Case("x[{i}, 0]", lambda x, i: x[i, 0], (3, 2), np.zeros((0, 2), dtype="int64")),
        Case("gather(x, {i})", lambda x, i: x[i], (0, 2), np.zeros(0, dtype="int64")),
    ],
    "take_along": [
        *along("take_along(x, {i})", lambda x, i: np.take_along_axis(x, i, -1), (3,)),
        *rowwise((2, 3), 1, (2, 3), (1, 3)),
        *rowwise((3, 2), 0, (3, 2), (3, 1)),
        *rowwise((1, 3), 1, (4, 3), (1, 3)),
        *rowwise((2, 3, 2), 1, (2, 3, 2), (1, 3, 2), (2, 3, 1)),
        *rowwise((2, 3, 1), 1, (1, 3, 4)),
        Case("take_along(x, {i}, 0)", lambda x, i: x[i], (0,), np.zeros(0, dtype="int64")),
    ],
    "scatter_add": scatters(),
    "scatter_along": scatters_along(),
    "one_hot": [
        *along("one_hot({i}, 3) @ x", lambda x, i: (i[:, None] == np.arange(3)) @ x, (3, 2)),
        Case("one_hot({i}, 3) @ x", lambda x, i: (i[:, None] == np.arange(3)) @ x, (3, 2), np.array([2, 3, -1])),
    ],
    "sort": [
        one("sort(x)", np.sort, 5),
        one("sort(x, axis=0)", lambda x: np.sort(x, 0), 3, 2),
        one("sort(x, 1)", lambda x: np.sort(x, 1), 2, 3, 2),
        one("sort(x)[:2]", lambda x: np.sort(x)[:2], 4),
        one("sort(x)", np.sort, 0),
    ],
    "ravel_multi_index": [
        Case("x[{i}, [1, 0, -1]]", lambda x, i: x[i, [1, 0, -1]], (3, 2), np.array([0, 2, 2])),
        Case("x[:, {i}, [[0], [1]]]", lambda x, i: x[:, i, [[0], [1]]], (2, 3, 2), np.array([-1, 0, 1])),
        Case("x[{i}, :, [1, 0, -1]]", lambda x, i: x[i, :, [1, 0, -1]], (3, 2, 2), np.array([1, -3, 1])),
    ],
    "argsort": [
        one("x[argsort(x)[[-1, -1, 0]]]", lambda x: np.sort(x)[[-1, -1, 0]], 4),
        one("take_along(x, argsort(x, 0)[:1], 0)", lambda x: np.min(x, 0, keepdims=True), 3, 2),
    ],
    "argmax": [
        one("x[argmax(x)]", np.max, 4),
        one("take_along(x, argmax(x, 1, keepdims=true))", lambda x: np.max(x, 1, keepdims=True), 2, 3),
        one("sum(one_hot(argmax(x, 1), 3)*x, 1)", lambda x: np.max(x, 1), 2, 3),
    ],
    "argmin": [one("x[argmin(x)]", np.min, 4), one("x[argmin(x[:, 0])]", lambda x: x[np.argmin(x[:, 0])], 3, 2)],
    "max": [
        one("max(x)", np.max, 2, 3),
        one("max(x, axis=1)", lambda x: np.max(x, 1), 2, 3),
        one("max(x, axis=[0, 2], keepdims=true)", lambda x: np.max(x, (0, 2), keepdims=True), 2, 3, 2),
    ],
    "min": [one("min(x)", np.min, 4), one("min(x, axis=0)", lambda x: np.min(x, 0), 2, 3)],
    "roll": [
        one("roll(x, 1)", lambda x: np.roll(x, 1), 2, 3),
        one("roll(x, -7, axis=1)", lambda x: np.roll(x, -7, 1), 2, 3),
        one("roll(x, 3, axis=-2)", lambda x: np.roll(x, 3, -2), 2, 3, 2),
        one("roll(x, 2)", lambda x: x, 0),
    ],
    "flip": [one("flip(x)", np.flip, 2, 3), one("flip(x, axis=[0, -1])", lambda x: np.flip(x, (0, -1)), 2, 3, 2)],
    "transpose": [
        one("x.T", np.transpose, 2, 3),
        one("transpose(x, [1, -1, 0])", lambda x: np.transpose(x, (1, 2, 0)), 2, 3, 2),
    ],
    "reshape": [one("reshape(x, [3, -1])", lambda x: x.reshape(3, -1), 2, 3)],
    "expand_dims": [one("expand_dims(x, -2)", lambda x: np.expand_dims(x, -2), 2, 3)],
    "squeeze": [one("squeeze(x, -1)", lambda x: x[..., 0], 2, 1)],
    "broadcast_to": [one("broadcast_to(x, [2, 3, 2])", lambda x: np.broadcast_to(x, (2, 3, 2)), 3, 1)],
    "tile": [one("tile(x, [2, 0, 1])", lambda x: np.tile(x, (2, 0, 1)), 2), one("tile(x, 3)", lambda x: np.tile(x, 3), 2)],
    "repeat": [
        one("repeat(x, 2)", lambda x: np.repeat(x, 2), 2, 2),
        one("repeat(x, [0, 3, 1], axis=-1)", lambda x: np.repeat(x, [0, 3, 1], -1), 2, 3),
    ],
    "concat": [
        one("concat([x, x[::-1], x[:1]], 0)", lambda x: np.concatenate([x, x[::-1], x[:1]]), 3, 2),
        one("concat([x, x[:, :0]], -1)", lambda x: x, 2, 2),
    ],
    "stack": [
        one("stack([x, flip(x), x], 1)", lambda x: np.stack([x, x[::-1], x], 1), 3),
        one("stack([x, x], -1)", lambda x: np.stack([x, x], -1), 2, 2),
    ],
    "pad": [
        one("pad(x, [[1, 0], [0, 2]])", lambda x: np.pad(x, [(1, 0), (0, 2)]), 2, 2),
        one("pad(x, [[1, 1]], x[0])", lambda x: np.array([x[0], *x, x[0]]), 3),
    ],
    "expand_delta": [one("expand_delta(x, [0, 1, 0])", lambda x: np.einsum("ij,ik->ijk", x, np.eye(2)), 2, 3)],
    "collect_delta": [one("collect_delta(x, [0, 1, 0])", lambda x: np.einsum("iji->ij", x), 2, 3, 2)],
    "diag": [
        one("diag(x, -1)", lambda x: np.diag(x, -1), 3),
        one("diag(x, 1)", lambda x: np.diagonal(x, 1, 1, 2), 2, 3, 3),
        one("diag(x, 5)", lambda x: np.zeros(0), 2, 3),
    ],
    "tril": [one("tril(x, -1)", lambda x: np.tril(x, -1), 2, 3, 3)],
    "triu": [one("triu(x, 1)", lambda x: np.triu(x, 1), 3, 2)],
    "cumsum": [one("cumsum(x, 1, exclusive=true, reverse=true)", lambda x: np.sum(x, 1, keepdims=True) - np.cumsum(x, 1), 2, 3)],
    "index": [
        one("x[-1]", lambda x: x[-1], 3, 2),
        one("x[::-2, ..., newaxis, 1]", lambda x: x[::-2, ..., None, 1], 4, 2),
        one("x[2:0:-1] + x[1:3]", lambda x: x[2:0:-1] + x[1:3], 4),
        one("x[3:1, :]", lambda x: x[3:1, :], 4, 2),
        one("x[-2:, [1, 0, 1], 0]", lambda x: x[-2:, [1, 0, 1], 0], 3, 2, 2),
        one("x[[-1, 0, 0]][1:] * 2", lambda x: x[[-1, 0, 0]][1:] * 2, 3),
    ],
}  # fmt: skip

CASES = [pytest.param(c, id=f"{name}-{i}") for name, specs in SPECS.items() for i, c in enumerate(specs)]
INDEXED = [p for p in CASES if p.values[0].indices is not None]
SMALL = [p for p in CASES if p.values[0].x().size and p.values[0].value(p.values[0].x()).size]


def test_every_operation_that_takes_indices_or_moves_entries_has_a_spec():
    takes = {op.name for op in table.values() if any(p.kind == "indices" for p in op.parameters)}
    moves = {op.name for op in table.values() if op.family == "shape" and not op.hidden}
    assert takes | moves <= SPECS.keys()
    assert {"gather", "take_along", "scatter_add", "scatter_along", "one_hot"} <= takes


def derivatives(case: Case, x: Array, **other: Array) -> dict[str, Array]:
    """What the program of the case has to give, from NumPy's values alone."""
    y = case.value(x, **other)
    jacobian, flat = case.matrix(x, **other), y.ravel()
    w = np.random.RandomState(5).normal(0, 1, y.shape).ravel()
    hessian = jacobian.T @ np.diag(6 * w * flat) @ jacobian
    towards = jacobian @ np.ones(x.size)
    return {
        "y": y,
        "first": (jacobian.T @ (3 * w * flat * flat)).reshape(x.shape),
        "second": (hessian @ np.ones(x.size)).reshape(x.shape),
        "third": (jacobian.T @ (6 * w * towards * towards)).reshape(x.shape),
        "jacobian": jacobian.reshape(*y.shape, *x.shape),
        "hessian": hessian.reshape(*x.shape, *x.shape),
        "jvp": (jacobian @ np.arange(x.size)).reshape(y.shape),
        "taylor": np.stack([flat**3, 3 * flat**2 * towards, 6 * flat * towards**2, 6 * towards**3]).reshape(4, *y.shape),
    }  # fmt: skip


QUESTIONS = """
direction = reshape(cast(arange(size(x)), float64), shape(x))
first = gradients(s, x)
second = gradients(first, x)
third = gradients(second, x)
jacobian = jacobian(y, x)
hessian = hessian(s, x)
jvp = jvp(y, x, direction)
taylor = taylor(z, x, 3)
"""
NAMES = ["y", "first", "second", "third", "jacobian", "hessian", "jvp", "taylor"]


def assert_close(actual: Array, expected: Array, what: str = "") -> None:
    assert actual.shape == expected.shape, what
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10, err_msg=what)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_values_and_derivatives_agree_with_numpy(case):
    x = case.x()
    expected = derivatives(case, x)
    found = gradcli.loads(case.program() + QUESTIONS).eval(NAMES, {"x": x})
    for name in NAMES:
        assert_close(found[name], expected[name], name)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_formula_and_the_module_give_the_same(case):
    program = gradcli.loads(case.program())
    x = case.x()
    expected = derivatives(case, x)
    for order, name in ((1, "first"), (2, "second")):
        found = derive(program, ["s"], ["x"], order)
        (gradient,) = found.gradients
        printed = gradcli.loads(formulas.render(found))
        values = {"x": x} if "x" in printed.names else {}
        assert_close(printed.eval([gradient.name], values)[gradient.name], expected[name])
        module: dict[str, Any] = {}
        exec(compile(numpy_module.render(found), "<module>", "exec"), module)
        assert_close(module["gradient"](x=x)["x"], expected[name])


@pytest.mark.slow
@pytest.mark.parametrize("case", INDEXED)
def test_rows_of_points_agree_with_numpy(case):
    """Blocks of rows that differ in x, in the indices, or in both."""
    program = gradcli.loads(case.program(given=True) + QUESTIONS)
    names = ["y", "first", "second", "jvp"]
    rng = np.random.default_rng(1)
    rows = {
        "x": np.stack([case.x(k) for k in range(3)]),
        "i": np.stack([rng.permuted(case.indices.ravel()).reshape(case.indices.shape) for _ in range(3)]),
    }
    for varied in (("x",), ("i",), ("x", "i")) if case.shape == (3,) else (("x", "i"),):
        columns = {name: rows[name] for name in varied}
        kept = {"x": rows["x"][0], "i": case.indices} | dict.fromkeys(varied)
        fixed = program.with_values({name: value for name, value in kept.items() if value is not None})
        ask = lambda p: [Item((r.name,), r.name, r.value) for r in answers.values(p, names)]  # noqa: E731
        batch = Batch(Varied(fixed, {name: str(c.dtype) for name, c in columns.items()}), ask)
        found = batch(columns)
        for row in range(3):
            at = {name: columns[name][row] if name in columns else kept[name] for name in ("x", "i")}
            expected = derivatives(case, at["x"], i=at["i"])
            for name, block in zip(names, found, strict=True):
                assert_close(block[row], expected[name], name)


@pytest.mark.parametrize(
    ("expression", "index"),
    [
        ("gather(x, {i})", 3), ("x[{i}]", -4), ("x[0, {i}]", 2), ("take_along(x, [{i}], 0)", 3), ("take_along(x, [{i}], 1)", -3),
        ("scatter_add(x, {i}, 0, 3)", 3), ("scatter_along(x, {j}, 1, 2)", -3),
    ],
)  # fmt: skip
def test_an_index_out_of_range_is_an_error_wherever_it_comes_from(expression, index):
    """In the text, as a value, in one row of a block, and in the module that is written."""
    size = 3 if "scatter_add" in expression or expression.startswith("x[") else 1
    shape, place = ("[3, 2]", f"[{', '.join([str(index)] * size)}]")
    spread = "[" + ", ".join([f"[{index}, {index}]"] * 3) + "]"
    declared = f"variable x = ones({shape})\n"
    with pytest.raises(gradcli.GradcliError, match=r"out of (range|bounds)"):
        gradcli.loads(declared + "y = " + expression.format(i=place, j=spread)).eval(["y"])
    program = gradcli.loads(
        f"{declared}variable i = {place}\nvariable j = {spread}\ny = sum({expression.format(i='i', j='j')}^2)\n"
    )
    for ask in (lambda: program.eval(["y"]), lambda: program.grad(["y"], ["x"])):
        with pytest.raises(gradcli.GradcliError, match=r"out of (range|bounds)") as caught:
            ask()
        assert caught.value.kind == "ValueError" and caught.value.labels
    module: dict[str, Any] = {}
    exec(compile(numpy_module.render(derive(program, ["y"], ["x"])), "<module>", "exec"), module)
    with pytest.raises(IndexError):
        module["gradient"]()


def test_what_is_no_index_is_an_error_that_says_so():
    for text, message in (
        ("take_along([1.0, 2.0], [0.0], 0)", "indices must be integers, not float64"),
        ("take_along([1.0, 2.0], [true], 0)", "indices must be integers, not bool"),
        ("take_along([[1.0, 2.0]], [0], 0)", "needs indices with as many axes as the value, 2, not 1"),
        ("take_along(ones([2, 3]), zeros([3, 1], dtype=int64), 1)", "do not broadcast"),
        ("scatter_along(ones([2]), [0, 1, 2], 0, 3)", "needs an entry of g for each index"),
        ("scatter_along(ones([2]), [0, 1], 0, -1)", "counts of 0 or more"),
        ("gather([1.0], [0.5])", "indices must be integers"),
        ("sort([2, 1], axis=None)", "`axis` of sort must be an integer"),
    ):
        with pytest.raises(gradcli.GradcliError, match=message) as caught:
            gradcli.loads(f"y = {text}")
        assert caught.value.labels


def test_indices_have_no_derivative():
    program = gradcli.loads(
        "variable x = [1.0, 2.0]\nvariable i: int64[3] = [1, 1, 0]\ny = take_along(x, i, 0)\nz = sum(x[i]^2)\n"
        "J = jacobian(y, i)\nH = hessian(z, i)\n"
    )
    assert program.grad(["y", "z"], ["i"]) == {"i": None}
    values = program.eval(["J", "H"])
    assert (values["J"].shape, values["H"].shape) == ((3, 3), (3, 3))
    assert not values["J"].any() and not values["H"].any()
