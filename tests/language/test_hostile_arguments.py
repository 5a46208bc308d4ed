"""Arguments that must be known before anything is evaluated, with values that nobody expects: each works or is an error.

For every such parameter of every operation of the table, in declarations and in indices.
"""

from __future__ import annotations

import pytest

import gradcli
from gradcli.graph.ops import table

NUMBERS = [
    "nan", "inf", "-inf", "-1", "0", "0.5", "-0.0", "5e-324", "1e308", "-1e308", "1e30", "2^62", "2^63 - 1", "-(2^63 - 1)",
    "2^63", "10^30", "65", "true", "None", "x", "x > 0", '"text"', "s",
]  # fmt: skip
LISTS = [
    "[]", "[nan]", "[-1]", "[-1, -1]", "[0, 0]", "[0, 2^62, 2^62]", "[2^62, 2^62]", "[2^63]", "[1.5, 1]", "[true]", "[[1]]",
    "[[1, 1]]", "[[-1, -1], [2^62, 2^62]]", "[x, x]", "[None]", '["i"]', "[" + "1, " * 65 + "]", "zeros([0])", "ones([2])",
]  # fmt: skip
HOSTILE = NUMBERS + LISTS
STRINGS = [
    '""',
    '"->"',
    '"i,j"',
    '"ii->i"',
    '"i->ii"',
    '"...->..."',
    '"ij"',
    '"i j->"',
    '"é->"',
    '"' + "i" * 300 + '->"',
    '"../x"',
]
VALID = {
    "int": "1", "axis": "0", "axes": "0", "ints": "[1, 1]", "shape": "[2, 2]", "pairs": "[[0, 1], [1, 0]]", "number": "2",
    "flag": "true", "dtype": "float64", "seed": "3", "string": '"ij->ji"', "function": "f", "names": "x",
}  # fmt: skip
INPUTS = {"tensor": "x", "operands": "x", "condition": "x > 0", "indices": "[[0, 1], [1, 0]]"}

CASES = [
    pytest.param(op, p, id=f"{op.name}-{p.name}")
    for op in table.values()
    if not op.hidden
    for p in op.parameters
    if p.kind not in INPUTS and p.kind not in ("tensors", "names", "function")
]


def call_of(op, changed, value):
    """A call in which one argument is changed."""
    given = []
    for p in op.parameters:
        if p is changed:
            given.append(f"{p.name}={value}" if p.kind != "operands" else value)
        elif p.kind in INPUTS:
            given.append(INPUTS[p.kind] if p.kind == "operands" else f"{p.name}={INPUTS[p.kind]}")
        elif p.kind == "tensors":
            given.append(f"{p.name}=[x, x]" if op.name != "gradients" or p.name == "ys" else "")
        elif p.default is None:
            given.append(f"{p.name}={VALID[p.kind]}")
    if op.name == "einsum":
        given = [text.removeprefix("equation=") for text in given]
    return f"{op.name}({', '.join(text for text in given if text)})"


def assert_answered(text):
    """The program and its gradient work or raise a GradcliError, with a place where the program does not load."""
    try:
        program = gradcli.loads(text, max_memory=1 << 22)
    except gradcli.GradcliError as error:
        assert error.labels, (text, error.message)
        assert len(error.message) < 2000
        return
    for ask in (lambda: program.eval(["y"]), lambda: program.grad(["y"])):
        try:
            ask()
        except gradcli.GradcliError as error:
            assert "failed" not in error.message, (text, error.message)


@pytest.mark.slow
@pytest.mark.parametrize(("op", "p"), CASES)
def test_hostile_arguments(op, p):
    for value in HOSTILE + (STRINGS if p.kind == "string" else []):
        assert_answered(
            f"variable x = [[1.0, 2.0], [3.0, 4.0]]; constant s = -7; def f(a) = a*a\ny = {call_of(op, p, value)}\n"
        )


@pytest.mark.slow
@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "text",
    [
        "variable v: [{}] = 1.0\ny = v", "variable v: [2, {}]\ny = x", "y = x[{}]", "y = x[0, {}]", "y = x[{}:]",
        "y = x[:{}]", "y = x[::{}]", "y = x[..., {}]", "y = x^{}", "y = x*{}", "y = -{}", "constant k = {}\ny = zeros([k])*k",
        "def g(a, b={}) = a*b\ny = g(x)", "y = iterate(f, x, {})", "seed y = {}\ny = x", "y = [{}, 1.0]", "y = [[{}], [1.0]]",
    ],
)  # fmt: skip
def test_hostile_numbers_elsewhere(text, value):
    assert_answered(f"variable x = [[1.0, 2.0], [3.0, 4.0]]; constant s = -7; def f(a) = a*0.5\n{text.format(value)}\n")
