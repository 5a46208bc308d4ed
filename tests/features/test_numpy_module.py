"""Derivatives as NumPy modules: they run without gradcli, give what `grad` gives, and pass a linter."""

from __future__ import annotations

import ast
import builtins
import inspect
import subprocess
import symtable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.features.derive import numpy_module
from gradcli.features.derive.answer import derive
from gradcli.graph.ops import table
from gradcli.graph.ops.kernels import FromScipy
from gradcli.graph.ops.words.numpy import WORDS, WRITTEN_ELSEWHERE
from tests.features.test_c_function import LOOPS
from tests.features.test_derived import SAMPLES, assert_equal, question, values_for
from tests.graph.test_operations import DATA, SPECS
from tests.quickly import light
from tests.random_programs import programs
from tests.test_quality import tool

FROM_SCIPY = [name for name, op in table.items() if isinstance(op.kernel, FromScipy)]


def only_numpy(name: str, *rest: Any) -> Any:
    """What a module may import."""
    assert name in ("math", "numpy", "scipy.special"), f"{name} is imported"
    return __import__(name, *rest)


def gradient_of(text: str) -> Any:
    """The function in a module, which is run where there is nothing but Python and NumPy, and SciPy for what SciPy has."""
    assert_defined(text)
    assert ("scipy" in text) == any(f"scipy.special.{name}(" in text for name in FROM_SCIPY)
    module: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": only_numpy}}
    exec(compile(text, "<module>", "exec"), module)
    return module["gradient"]


def assert_defined(text: str) -> None:
    """A docstring, imports and functions is all that there is, and each name that a function looks up is defined."""
    docstring, *statements = ast.parse(text).body
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    assert all(isinstance(s, (ast.Import, ast.FunctionDef)) for s in statements), text
    whole = symtable.symtable(text, "<module>", "exec")
    defined = {s.get_name() for s in whole.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    helpers = [s.name for s in statements if isinstance(s, ast.FunctionDef)]
    todo = list(whole.get_children())
    while todo:
        scope = todo.pop()
        todo += scope.get_children()
        looked_up = {s.get_name() for s in scope.get_symbols() if s.is_global()}
        assert not looked_up - defined - vars(builtins).keys(), text
        if scope.get_name() == "gradient":
            own = {s.get_name() for s in scope.get_symbols() if s.is_local()}
            assert not own & ({"np", "math", "scipy"} | set(helpers)), text
            assert looked_up <= {"np", "math", "scipy", "range", "reversed", *helpers}, text


def compare(program: gradcli.Program, order: int, **asked: Any) -> str:
    text = numpy_module.render(derive(program, order=order, place="given", **asked))
    try:
        expected = program.grad(order=order, **asked)
    except gradcli.GradcliError as error:
        assert "has no value" in error.message
        return text
    function = gradient_of(text)
    actual = function(**values_for(program, inspect.getfullargspec(inspect.unwrap(function)).kwonlyargs))
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert_equal(actual[name], value, f"{name} of\n{text}")
    return text


def test_every_operation_with_a_kernel_has_a_word() -> None:
    own = {op.name for op in table.values() if op.kernel is not None and op.written is None}
    assert own - WRITTEN_ELSEWHERE == WORDS.keys(), "an operation wants its word in graph/ops/words/numpy.py"


SEARCHES = ("root", "minimize")
"""Words whose values are searched for, which no module of formulas does."""


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_has_no_module(name: str) -> None:
    with pytest.raises(gradcli.GradcliError, match=f"{name} is a search"):
        gradcli.loads(SPECS[name][0].program()).derive(format="python")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SPECS if name not in SEARCHES])
def test_every_operation(name: str, tmp_path: Path) -> None:
    """The values of each operation, and its derivatives, from a module that needs NumPy alone."""
    np.save(tmp_path / "data.npy", DATA)
    cases = SPECS[name]
    for k in sorted({0, len(cases) // 2, len(cases) - 1}):
        case = cases[k]
        program = gradcli.loads(case.program("float32" if k % 2 else "float64"), folder=tmp_path)
        point = case.point()
        for order in range(3) if k == 0 and case.shapes else [int(case.derivative)]:
            text = numpy_module.render(derive(program, order=order))
            asked = program.grad(order=order, values=point) if order else program.eval(["y"], values=point)
            found = gradient_of(text)(**point)
            assert list(found) == list(asked)
            for key, value in asked.items():
                assert_equal(found[key], value, f"{key} at order {order} of\n{text}")


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sample", light(SAMPLES), ids=lambda sample: sample.stem)
def test_samples(sample: Path, order: int) -> None:
    compare(gradcli.load(sample), order, **question(sample))


@pytest.mark.slow
@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs(text: str) -> None:
    program = gradcli.loads(text)
    for order in (1, 2):
        compare(program, order)


@pytest.mark.slow
def test_a_linter_has_nothing_to_say(tmp_path: Path) -> None:
    for sample in SAMPLES:
        program = gradcli.load(sample)
        module = numpy_module.render(derive(program, **question(sample)))
        (tmp_path / f"{sample.stem}.py").write_text(module, encoding="utf-8")
    names = "variable l = 2.0; variable lambda = 3.0; variable np = 0.5; y = l^3*lambda*erf(np)"
    (tmp_path / "names.py").write_text(numpy_module.render(derive(gradcli.loads(names))), encoding="utf-8")
    done = subprocess.run(
        [tool("ruff"), "check", "--isolated", "--no-cache", "."],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_values_are_parameters_and_what_has_none_must_be_given() -> None:
    program = gradcli.loads("variable x\nvariable w = [1.0, 2.0]\nconstant k = 3.0\ny = sum(k*x*w^2)")
    gradient = gradient_of(numpy_module.render(derive(program)))
    assert gradient(2.0)["w"].tolist() == [12, 24]
    assert gradient(x=2.0, w=[3.0, 4.0], k=1.0)["x"] == 25
    with pytest.raises(TypeError, match="x"):
        gradient()
    with pytest.raises(ValueError, match="broadcast"):
        gradient(1.0, w=[1.0, 2.0, 3.0])


def test_names_that_python_has_taken() -> None:
    program = gradcli.loads("variable lambda = 3.0; variable np = 0.5; y = lambda*erf(np)")
    text = numpy_module.render(derive(program))
    assert gradient_of(text)(lambda_=2.0, np_=0.0)["np"] == pytest.approx(4 / np.sqrt(np.pi))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["_", "__", "_1", "_x", "x_", "np", "numpy", "math", "gradient", "range", "len", "print", "None_", "False_", "_sigmoid",
     "__debug__", "__name__", "self", "t1", "ﬁ", "ｌambda", "ｉmport", "match", "dtype_", "l", "a", "b", "shape", "dy_dx", "日本"],
)  # fmt: skip
def test_any_name(name: str) -> None:
    """Beside another that looks like it when it is changed, in words that take operands, attributes and helpers."""
    program = gradcli.loads(
        f"variable {name} = 0.5\nvariable q_ = [1.0, 2.0]\nvariable x = 0.25\nz = sigmoid({name})*erf(x*{name})\n"
        f"y = z + sum(softmax(q_*{name}))*reshape(sum(cumsum(q_, reverse=true)), []) + leaky_relu({name}, 0.3)"
        if name != "x"
        else "variable x = 0.5; y = x"
    )
    for order in (0, 1, 2):
        text = numpy_module.render(derive(program, of=["y"], order=order))
        found = gradient_of(text)()
        expected = program.grad(of=["y"], order=order) if order else program.eval(["y"])
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_equal(found[key], value, f"{key} of\n{text}")


@pytest.mark.parametrize(
    "name",
    ["IMPORTS.expr", "back\\slash\\N{x}.expr", 'a"""b.expr', "a\'\'\'b\"\"\".expr", "two\nlines\r.expr", "\x1b[31m.expr", "\u202e.expr",
     "ends in \\", 'ends in "', "{0} %s {a} dtype operands", "\udcff"],
)  # fmt: skip
def test_any_file_name(name: str) -> None:
    text = numpy_module.render(derive(gradcli.loads("variable x = 2.0; y = x^2", name)))
    assert gradient_of(text)()["x"] == 4
    written = ast.get_docstring(ast.parse(text), clean=False)
    assert written is not None
    assert f"derive from {' '.join(name.split())}." in written
    assert text.replace("\n", "").isprintable()


def test_a_comment_inside_an_expression_is_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    marks = [
        '"""',
        "'''",
        '\\"""',
        '"""+open("made", "w").name+"""',
        '""";open("made","w");"""',
        "\\N{DASH}",
        "\\",
        '"',
    ]
    for mark in marks:
        program = gradcli.loads(f"variable x = 2.0; variable w = 3.0; y = w*stop_gradient(x # {mark}\n)")
        found = derive(program)
        assert gradient_of(numpy_module.render(found))() == {"x": None, "w": 2.0}
        assert found.gradients[0].reason is not None
        assert found.gradients[0].reason.text == "cut by stop_gradient(x )"
    assert not list(tmp_path.iterdir())


def test_none_has_its_reason() -> None:
    text = numpy_module.render(derive(gradcli.loads("variable x = 1.0; variable w = 2.0; y = x*floor(w)")))
    assert "w is None: passes through floor on line 1, which has no derivative" in text
    assert gradient_of(text)() == {"x": 2.0, "w": None}


LOOP_SAMPLES = ["garch", "nile", "sir"]


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_loops_are_loops(order: int) -> None:
    for loop in LOOPS:
        text = compare(gradcli.loads(loop), order, of=["y"])
        assert "for " in text and len(text) < 20_000


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOP_SAMPLES)
def test_samples_of_loops(name: str) -> None:
    compare(gradcli.load(SAMPLES[0].parent / "loops" / f"{name}.expr"), 1)


def test_names_that_loops_need_are_spelled_apart() -> None:
    text = "variable range = 3.1; variable reversed = 0.4; def f(kept) = range*kept*(1 - kept)\ny = iterate(f, reversed, 60)"
    program = gradcli.loads(text)
    found = gradient_of(program.derive(format="python"))(range_=3.0)
    assert_equal(found["reversed"], program.grad(values={"range": 3.0})["reversed"], text)
