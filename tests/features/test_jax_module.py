"""Derivatives as JAX modules: compiled by JAX they give what `grad` gives, also for shapes that broadcast."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli.features.derive.look import written
from gradcli.graph.ops.words.jax_modules import WORDS
from gradcli.graph.ops.words.numpy import WORDS as NUMPY
from tests.features.test_c_function import LOOPS
from tests.features.test_derived import SAMPLES, assert_equal, question, values_for
from tests.features.test_numpy_module import gradient_of
from tests.graph.test_operations import DATA, SPECS
from tests.quickly import HEAVY

EVERY = 30
"""Which part of the operations is looked at in every run: JAX takes a while to compile each."""

NO_WORDS = {"argcummax", "argcummin", "completion", "ravel_multi_index"}


def jax() -> Any:
    return pytest.importorskip("jax", reason="JAX is not installed: pip install 'gradcli[jax]'")


def function_of(text: str) -> Any:
    """The function of a module that imports JAX, and NumPy at most."""
    for statement in ast.parse(text).body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            assert {name.name for name in getattr(statement, "names", [])} <= {"math", "jax", "jax.numpy", "numpy"}
    module: dict[str, Any] = {}
    exec(compile(text, "<module>", "exec"), module)
    return module["gradient"]


def compare(program: gradcli.Program, order: int, values: Any = None, **asked: Any) -> None:
    try:
        expected = program.grad(order=order, values=values, **asked) if order else program.eval(["y"], values=values)
    except gradcli.GradcliError as error:
        assert "has no value" in error.message
        return
    text = written(program, order=order, format="jax", **asked)
    function = function_of(text)
    data = values_for(program, inspect.getfullargspec(function).kwonlyargs)
    found = jax().jit(function)(**data, **(values or {}))
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert_equal(None if found[name] is None else np.asarray(found[name]), value, f"{name} of\n{text}")


def test_words_are_for_operations_that_numpy_has() -> None:
    assert WORDS.keys() == NUMPY.keys(), "an operation wants its word in graph/ops/words/jax_modules.py"
    assert {name for name, word in WORDS.items() if word == ""} == NO_WORDS


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, *[pytest.param(k, marks=pytest.mark.slow) for k in range(1, EVERY)]])
def test_every_operation(part: int, tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", DATA)
    names = list(SPECS)[part::EVERY]
    compared = 0
    for i, name in enumerate(names):
        case = SPECS[name][0]
        program = gradcli.loads(
            case.program("float32" if i % 4 == 3 and "ndtr" not in name else "float64"), folder=tmp_path
        )
        for order in (0, 1) if case.derivative else (0,):
            try:
                compare(program, order, case.point())
                compared += 1
            except gradcli.GradcliError as error:
                assert "JAX has no function for" in error.message or "is a search" in error.message
    assert compared > len(names) // 2


def test_samples() -> None:
    for sample in [s for s in SAMPLES if s.stem not in HEAVY][::6]:
        compare(gradcli.load(sample), 1, **question(sample))


@pytest.mark.slow
def test_the_other_samples() -> None:
    for k, sample in enumerate(SAMPLES):
        if k % 6 or sample.stem in HEAVY:
            compare(gradcli.load(sample), 1, **question(sample))


ENTRYWISE = "variable x = 0.5; variable t = 2.0; constant k = 3.0; y = k*sin(x)*t^2 + x"


@pytest.mark.slow
@pytest.mark.parametrize("format", ["python", "jax"])
def test_formulas_that_work_entry_by_entry_take_any_shapes_that_broadcast(format: str) -> None:
    program = gradcli.loads(ENTRYWISE)
    text = program.derive(format=format)  # type: ignore[arg-type]
    assert "any shapes that broadcast" in text
    if format == "jax":
        jax()
    gradient = (gradient_of if format == "python" else function_of)(text)
    xs, ts = np.linspace(0, 1, 3), np.array([[1.0], [2.0]])
    found = gradient(x=xs, t=ts)
    for i, t in enumerate(ts[:, 0]):
        for j, x in enumerate(xs):
            expected = program.grad(values={"x": x, "t": t})
            assert found["x"][i, j] == pytest.approx(expected["x"])
            assert found["t"][i, j] == pytest.approx(expected["t"])
    assert found["x"].shape == found["t"].shape == (2, 3)
    assert gradient()["x"].shape == ()


@pytest.mark.parametrize(
    ("program", "shapes"),
    [
        ("variable x = [1.0, 2.0]; constant k = 3.0; y = sum(k*x^3)", {"x": (4, 2)}),
        ("variable x = [1.0, 2.0]; variable w = [3.0, 4.0]; y = w*x^2", {"x": (5,), "w": (5,)}),
        ("variable x = 2.0; variable t = 1.0; y = 3*x + t^2", {"x": (4,), "t": (4,)}),
    ],
)
def test_arrays_of_one_shape_have_others(program: str, shapes: dict[str, tuple[int, ...]]) -> None:
    text = gradcli.loads(program).derive(format="python")
    found = gradient_of(text)(**{name: np.full(shape, 0.5) for name, shape in shapes.items()})
    assert {name: value.shape for name, value in found.items()} == shapes


@pytest.mark.parametrize(
    "program",
    [
        "variable x = [1.0, 2.0]; variable t = 3.0; y = sum(x)*t",
        "variable x = [1.0, 2.0]; variable t = 3.0; y = x^2; z = t^2; output y, z",
        "variable A = [[1.0, 2.0], [3.0, 4.0]]; y = sum(A @ A)",
    ],
)
def test_shapes_are_fixed_where_entries_meet(program: str) -> None:
    text = gradcli.loads(program).derive(format="python")
    assert "broadcast:" not in text
    assert {k: v.shape for k, v in gradient_of(text)().items()} == {
        k: v.shape for k, v in gradcli.loads(program).grad().items()
    }


def test_a_word_that_is_not_there_has_its_place() -> None:
    with pytest.raises(gradcli.GradcliError, match="JAX has no function for argcummax") as found:
        written(gradcli.loads("variable x = [1.0, 3.0]\ny = cummax(x)"), format="jax")
    assert found.value.span is not None and found.value.span.line == 2


def test_a_module_is_differentiated_further_by_jax() -> None:
    library = jax()
    program = gradcli.loads("variable x = 0.7; y = exp(sin(x))*x")
    second = library.grad(lambda x: function_of(program.derive(format="jax"))(x)["x"])(0.7)
    assert float(second) == pytest.approx(float(program.grad(order=2)["x"]))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_loops_are_loops_of_jax(order: int) -> None:
    for loop in LOOPS[:4] + LOOPS[5 : 6 if order == 2 else None]:
        compare(gradcli.loads(loop), order, of=["y"])


@pytest.mark.slow
def test_a_loop_that_ends_early_without_a_history() -> None:
    program = gradcli.loads(LOOPS[3])
    text = program.derive("y", order=0, format="jax")
    assert "while_loop" in text
    assert_equal(np.asarray(jax().jit(function_of(text))()["y"]), program.eval(["y"])["y"], text)
    assert "    break" in program.derive("y", order=0, format="python")
