"""TensorFlow's answers: every case of the notes and of the random graphs, through the Python interface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcli

HERE = Path(__file__).parent
LISTS = {"--of": "of", "--wrt": "wrt", "--stop": "stop"}


def cases() -> Iterator[Any]:
    for spec in sorted((HERE / "notes").glob("*.json")):
        program = spec.with_suffix(".expr").read_text(encoding="utf-8")
        yield pytest.param(program, json.loads(spec.read_text(encoding="utf-8")), id=spec.stem)
    for line in (HERE / "tensorflow.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        yield pytest.param(case["program"], case, id=case["id"])


def answer(text: str, command: str, *options: str) -> dict[str, Any]:
    """What the command of a case asks, asked of the Python interface."""
    arguments: dict[str, Any] = {}
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option in LISTS:
            arguments[LISTS[option]] = value.split(",")
        elif option == "--order":
            arguments["order"] = int(value)
        elif option == "--unconnected":
            arguments["unconnected"] = value
        elif option == "--seed":
            name, _, expression = value.partition("=")
            arguments.setdefault("seeds", {})[name] = gradcli.loads(f"head = {expression}").eval()["head"]
        else:
            raise AssertionError(f"a case uses {option}")
    program = gradcli.loads(text)
    return program.eval(**arguments) if command == "eval" else program.grad(**arguments)


@pytest.mark.parametrize(("program", "case"), list(cases()))
def test_a_case_has_the_values_the_nones_and_the_dtypes_of_tensorflow(program, case):
    got = answer(program, *case["args"])
    tolerance = case.get("tolerance") or 1e-7
    for name, expected in case["expected"].items():
        if expected is None:
            assert got[name] is None, name
            continue
        assert got[name] is not None, f"{name} is None"
        assert got[name].shape == np.shape(expected), name
        np.testing.assert_allclose(got[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)
    for name, dtype in (case.get("dtype") or {}).items():
        assert got[name].dtype == dtype, name


def test_no_case_is_missing():
    assert len(list(cases())) == 165
