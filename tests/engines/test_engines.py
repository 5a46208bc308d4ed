"""All ways to an answer agree: on random programs of everything, and on programs on which they once did not."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradcli
from gradcli.graph.node import Node, cone
from gradcli.graph.ops import table
from tests.engines import ways
from tests.engines.mixed import FUNCTIONS, OPERATIONS, Program
from tests.engines.ways import agree, disagreements

FOUND = {
    "a remainder of a division by 0 that is not selected": """
variable a = 0.0
m = mod(1.0, a)
n = minimum(maximum(2.5, m), 3.0)
y = clip(-1.0, 5.0, mod(n, 10.0))
""",
    "squares that overflow where nothing is selected": """
variable a = [1e200, 0.5]
y = where(a > 1.0, 2*a, square(square(a)))
""",
    "a literal that float32 cannot hold": """
dtype float32
variable a = [-1.0, 2.0]
y = where(a > 0.0, a, a*1e200)
""",
    "an array with a number that float32 cannot hold, in formulas": """
dtype float32
variable a = [2.5, 1e200]
y = sinh(a*(a + a))
""",
    "an infinite exponent": """
variable a = -0.5
y = (a*a)^inf
""",
    "a slope that is infinite at a zero that only connects": """
variable a = 2.0
y = zero(a - 3.0)^0.5
""",
    "a conversion that overflows": """
variable a = 1e50
y = where(a < 0, cast(cast(a, float32)*2, float64), a)
""",
    "a padded mask in a formula": """
variable a = [0.5, -1.0]
y = sum(pad(where(a > 0, a, sqrt(a)), [[1, 1]], -2.5))
""",
    "the digits of a number in a program of less precision": """
dtype float32
variable w: float64 = -1.111
y = w*w + 2.0*w
""",
    "a truth value to a negative power": """
variable a = [2.5, -2.0]
y = sum(a*cbrt((a != 0.3)^-1))
""",
    "a slope in a program with large numbers": """
variable a = [[1e200, -2.5], [1.0, 100.0]]
n = hvp(sum(sort(log(a))), a, 0.5)
y = sum(n)
""",
    "an index that is out of range and depends on no variable": """
variable a = [[-0.5, 2.5], [1.5, -2.0]]
n = (std(a)*ones([2, 3]))[ravel_multi_index([[1], [1]], [1, 2])]
y = (n/n)[0]
""",
    "an infinite cotangent of a softmax": """
variable a = [[0.2, -inf], [inf, 0.3], [0.1, -2.0]]
variable b = [[0.5, 100.0], [1e-200, -1.0], [5e-324, 0.03]]
n = a/softmax(b, axis=0)
y = sum(n*n + 2*n)
""",
    "a cross entropy of an impossible class": """
dtype float32
variable a = [[inf, 1.0, 2.0], [-inf, 1.0, 2.0]]
variable b = [[0.2, 0.3, 0.5], [0, 0.2, 0.8]]
n = softmax_cross_entropy(b, a)
y = sum(where(n > 0, n*n, sqrt(n)))
""",
    "random numbers between bounds in the wrong order": """
variable a = [-2.0, 1.5]
y = sum(xlogy(random_uniform([2], minval=a, seed=7), a))
""",
    "a NaN in one of two matrices that change from row to row": """
variable a = [[2.0, 100.0], [0.5, 0.25]]
variable b = [[0.5, nan], [-0.0, 1.0]]
y = sum(maximum(sqrt(a @ b), 0.0))
""",
    "the square of an infinite root": """
variable a = inf
variable b = 2.0
y = mod(hypot(b, a)^2, b)
""",
    "a logarithm of sums of nothing": """
variable a = zeros([0])
n = logaddexp(a, a)
y = where(isfinite(n), n, n)
""",
    "a sum whose terms cancel but for the smallest": """
variable a = [[[1e-200, -1.0]], [[-2.233, -1.0]]]
y = sum(cumprod(a))
""",
    "a third slope beside rows with infinities": """
variable a = [[-0.94, -1.17, -0.992], [0.0, 1.0, 0.963]]
n = a*a + 2.0*a
y = sum(xlogy(a, n[0]))
""",
    "a long product of factors that are not numbers": "variable a = 0.5\nn0 = a\n"
    + "".join(f"n{i} = sin(n{i - 1})\n" for i in range(1, 25))
    + "y = n24\n",
}
"""Programs on which some way gave another answer, or none."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_programs_on_which_ways_differed(name: str) -> None:
    assert disagreements(FOUND[name]) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_random_programs(seed: int) -> None:
    text = Program(seed).text
    assert disagreements(text) == [], text


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_more_random_programs(block: int) -> None:
    for seed in range(1000 + 25 * block, 1025 + 25 * block):
        text = Program(seed).text
        assert disagreements(text) == [], f"seed {seed}\n{text}"


@pytest.mark.slow
def test_the_programs_have_every_operation_and_load() -> None:
    met: set[str] = set()
    dtypes: set[str] = set()
    for seed in range(3 * len(OPERATIONS)):
        program = Program(seed)
        graph = gradcli.loads(program.text).graph
        dtypes.add(program.dtype)
        called = {op.name for op in OPERATIONS if f"{op.name}(" in program.text.replace(FUNCTIONS, "")}
        met |= called | {node.op.name for node in cone([v for v in graph.names.values() if isinstance(v, Node)])}
    assert dtypes == {"float32", "float64"}
    assert {op.name for op in OPERATIONS} - met == set()


@pytest.mark.parametrize(
    ("way", "name"), [("simplify", "sin"), ("plain", "sin"), ("derive 1", "square"), ("rows", "where")]
)
def test_a_wrong_engine_is_found(way: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is wrong in one way only."""
    text = "variable a = 0.75\nvariable b = [0.5, inf]\ny = sin(a)*square(a) + sum(where(b > 1, 0, b))\n"
    if way == "plain":
        text = text.replace(" + sum(where(b > 1, 0, b))", "")
    kernel = table[name].kernel
    assert kernel is not None
    asked = dict(ways.ways(text, {}))[way]

    def wrong() -> ways.Answers:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table[name], "kernel", lambda xp, *x, **attrs: kernel(xp, *x, **attrs) * 1.001)
            return asked()

    monkeypatch.setattr(ways, "ways", lambda text, plainly: iter([(way, wrong)]))
    assert disagreements(text)


@pytest.mark.parametrize(
    ("mine", "other", "same"),
    [
        (1.0, 1.0 + 1e-15, True), (1.0, 1.0 + 1e-9, False), (math.nan, math.nan, True), (math.nan, 0.0, False), (math.inf, -math.inf, False),
        (0.0, -0.0, True), (1e-300, 1.1e-300, False), (math.inf, 1e308, False), (None, None, True), (None, 0.0, False),
    ],
)  # fmt: skip
def test_what_is_the_same(mine: float | None, other: float | None, same: bool) -> None:
    a, b = (None if x is None else np.array(x) for x in (mine, other))
    assert agree(a, b) == agree(b, a) == same


def test_rounding_explains_what_it_changes_and_nothing_else() -> None:
    """A difference that rounding makes is none; a wrong value beside it is one."""
    text = "variable a = 0.3\nn = 1.1*exp(a)\ny = (3.3*exp(a) - 2.2*exp(a) - n)*1e12 + a\n"
    noise = [ways.noisy(text, seed) for seed in range(4)]
    plain = noise[0]["eval y"]
    assert ways.explained("eval y", np.asarray(plain + 1e-4), plain, noise)
    assert not ways.explained("eval y", np.asarray(plain + 1.0e6), plain, noise)
    assert not ways.explained("eval n", np.asarray(noise[0]["eval n"] + 0.001), noise[0]["eval n"], noise)
    assert not ways.explained("eval n", np.array(np.nan), noise[0]["eval n"], noise)
