"""Derivatives as NumPy modules: they run without gradcli, give what `grad` gives, and pass a linter."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.graph.ops import table
from gradcli.program.derived import derive
from gradcli.report import numpy_module
from gradcli.report.numpy_words import WORDS, WRITTEN_ELSEWHERE
from tests.program.test_derived import SAMPLES, assert_equal, question
from tests.random_programs import programs
from tests.test_quality import tool


def gradient_of(text: str) -> Any:
    """The function in a module."""
    assert "gradcli" not in text.partition('"""\n')[2].replace("Written by gradcli derive", "")
    module: dict[str, Any] = {}
    exec(compile(text, "<module>", "exec"), module)
    return module["gradient"]


def compare(program: gradcli.Program, order: int, **asked: Any) -> str:
    text = numpy_module.render(derive(program, order=order, **asked))
    try:
        expected = program.grad(order=order, **asked)
    except gradcli.GradcliError as error:
        assert "has no value" in error.message
        return text
    actual = gradient_of(text)()
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert_equal(actual[name], value, f"{name} of\n{text}")
    return text


def test_every_operation_with_a_kernel_has_a_word() -> None:
    assert {op.name for op in table.values() if op.kernel is not None} - WRITTEN_ELSEWHERE == WORDS.keys()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_samples(sample: Path, order: int) -> None:
    compare(gradcli.load(sample), order, **question(sample))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs(text: str) -> None:
    program = gradcli.loads(text)
    for order in (1, 2):
        compare(program, order)


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


def test_none_has_its_reason() -> None:
    text = numpy_module.render(derive(gradcli.loads("variable x = 1.0; variable w = 2.0; y = x*floor(w)")))
    assert "w is None: passes through floor on line 1, which has no derivative" in text
    assert gradient_of(text)() == {"x": 2.0, "w": None}
