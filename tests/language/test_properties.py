"""What holds for every text and every program, on random ones: it works, or it is a GradcliError that points at a place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gradcli
from gradcli import GradcliError
from gradcli.graph.ops import table
from gradcli.language.builtin import OPERATIONS
from tests.finite_differences import check_gradient
from tests.random_programs import programs

KINDS = {"SyntaxError", "NameError", "ShapeError", "TypeError", "ValueError", "DataError", "LimitError"}

TOKENS = [
    *"=+-*/@^<>()[]{},;:.\n",
    *("==", "!=", "<=", ">=", "**", "...", "\n", "\n", "#", '"', "\\", "?", "\t", "\0", "é"),
    *("variable", "constant", "def", "output", "seed", "dtype", "and", "or", "not", "true", "None", "newaxis", "float32"),
    *("x", "y", "f", "x", "y", "w", "a", "pi", "inf", "nan", ".T", "axis=0", "keepdims=true", "shape=[2]"),
    *("0", "1", "2", "3", "-1", "2.5", "1e3", ".5", "1_0", "[1, 2]", "[[1.0, 2.0], [3.0, 4.0]]", "[]", '"none"', '"ij,jk->ik"'),
    *("variable x = 2.0\n", "variable w: [2] = 1.5\n", "def f(a) = a*a\n", "y = ", "a = "),
    *("gradients(y, x)", "sum(", "matmul(", "where(", "concat([", "iterate(f, x, 2)", "zeros([2])", "x[0]", "w[1:]", "f(x)"),
]  # fmt: skip


def assert_points(error: GradcliError, text: str, spanned: bool) -> None:
    assert error.kind in KINDS
    assert error.message
    assert "\n" not in error.message
    if spanned:
        assert error.labels, f"no place in {text!r}: {error}"
    for label in error.labels:
        assert label.span.source.text == text
        assert 0 <= label.span.start <= label.span.end <= len(text)


def assert_works_or_points(text: str) -> None:
    """Load it, evaluate and differentiate every name: nothing but GradcliErrors may come out."""
    try:
        program = gradcli.loads(text, max_memory=10**8)
    except GradcliError as error:
        assert_points(error, text, spanned=True)
        return
    for name in program.names:
        for ask in (program.eval, program.grad):
            try:
                ask([name])
            except GradcliError as error:
                assert_points(error, text, spanned=False)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(TOKENS), max_size=30).map(" ".join))
def test_a_soup_of_tokens_works_or_points_at_a_place(text):
    assert_works_or_points(text)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=60))
@example("y = " + "(" * 30_000)
@example("y = " + "-" * 30_000 + "1")
@example("y = 1" + " + 1" * 30_000)
@example("y = " + "[" * 30_000 + "]" * 30_000)
@example("def f(x) = x\ny = " + "f(" * 20_000 + "1" + ")" * 20_000)
@example("\ufeffy = 1")
@example("y = 1\r\nz = 2\r\n")
@example("y = 1\u2028z = 2")
@example("y = ²")
@example("y = ٣")
def test_any_text_works_or_points_at_a_place(text):
    assert_works_or_points(text)


@st.composite
def calls(draw: st.DrawFn) -> str:
    """A call of any operation with arguments that may or may not fit."""
    name = draw(st.sampled_from(sorted(OPERATIONS)))
    argument = st.sampled_from(
        ["x", "m", "i", "b", "1", "0", "-1", "2.5", "true", "[1, 0]", "[x, x]", "[m, m]", "None", '"ij->ji"', "x > 0", "f", "sin",
         "m @ m", "zeros([0])", "[[1, 1], [0, 2]]", "nan", "float32", "[]", "10", "s"]
    )  # fmt: skip
    keywords = [p.name for p in table[OPERATIONS[name].name].parameters]
    parts = draw(st.lists(argument, max_size=4))
    parts += [f"{key}={draw(argument)}" for key in draw(st.lists(st.sampled_from([*keywords, "wrong"]), max_size=2))]
    return f"{name}({', '.join(parts)})"


@pytest.mark.slow
@settings(max_examples=800, deadline=None, derandomize=True)
@given(calls())
def test_any_call_of_any_operation_works_or_points_at_a_place(call):
    assert_works_or_points(f"""
variable x = [0.5, -1.5]
variable m = [[1.0, 2.0], [2.0, 4.0]]
variable i = [1, 0]
variable b = [true, false]
variable s = 2.0
def f(v) = v*v
y = {call}
""")


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A program in which some tokens are left out, doubled, exchanged or replaced."""
    words = draw(programs(smooth=False, statements=5)).replace("(", " ( ").replace(")", " ) ").split(" ")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(words) - 1))
        other = draw(st.integers(0, len(words) - 1))
        words[at : at + 1] = draw(
            st.sampled_from([[], [words[at]] * 2, [words[other]], [draw(st.sampled_from(TOKENS))], [words[at], "\n"]])
        )
    return " ".join(words)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, derandomize=True)
@given(damaged())
def test_a_damaged_program_works_or_points_at_a_place(text):
    assert_works_or_points(text)


def last_name(text: str) -> str:
    return gradcli.loads(text).names[-1]


@pytest.mark.slow
@settings(max_examples=250, deadline=None, derandomize=True)
@given(programs(smooth=True, scalar=True))
def test_gradients_of_orders_1_and_2_agree_with_differences(text):
    point = gradcli.loads(text).eval(["v0", "v1"])
    if all(np.all(np.isfinite(v)) for v in gradcli.loads(text).eval().values()):
        check_gradient(text, point, tolerance=2e-6)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_none_does_not_depend_on_how_one_asks(text):
    """Nested or by repeated passes, alone or together, through an alias or a function: the same results are None."""
    names = gradcli.loads(text).names
    y = names[-1]
    asked = [name for name in names if name != y]
    program = gradcli.loads(f"{text}def same(v) = v\nalias = same({y})\n")
    together = program.grad([y], asked)
    aliased = program.grad(["alias"], asked)
    zeros = program.grad([y], asked, unconnected="zero")
    for name in asked:
        alone = program.grad([y], [name])[name]
        found = together[name]
        assert (found is None) == (alone is None) == (aliased[name] is None), name
        if found is None:
            assert not np.any(zeros[name])
        else:
            for other in (alone, aliased[name], zeros[name]):
                np.testing.assert_array_equal(found, other)
    for name in ("v0", "v1"):
        nested, previous = text, y
        for order in (1, 2, 3):
            by_passes = program.grad([y], [name], order)[name]
            nested += f"g{order}_ = gradients({previous}, {name})\n"
            previous = f"g{order}_"
            value = gradcli.loads(nested).eval([previous])[previous]
            assert (value is None) == (by_passes is None), f"{name}, order {order}"
            if value is None:
                break
            np.testing.assert_allclose(value, by_passes, rtol=1e-8, atol=1e-8)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs(smooth=False), st.integers(0, 2**32 - 1))
def test_gradients_are_linear_in_the_head_and_add_over_the_ys(text, seed):
    program = gradcli.loads(text)
    of = program.names[-2:]
    rng = np.random.default_rng(seed)
    heads = {name: rng.standard_normal(value.shape) for name, value in program.eval(of).items()}
    both = program.grad(of, seeds=heads)
    parts: list[dict[str, Any]] = [program.grad([name], seeds={name: 2 * heads[name]}) for name in of]
    for x, g in both.items():
        some = [part[x] for part in parts if part[x] is not None]
        assert (g is None) == (not some)
        if g is not None:
            np.testing.assert_allclose(2 * g, sum(some), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_float32_programs_stay_float32(text):
    program = gradcli.loads(f"dtype float32\n{text}")
    values = program.eval(program.names)
    assert {v.dtype.name for v in values.values()} == {"float32"}
    for order in (1, 2):
        gradients = program.grad([program.names[-1]], order=order)
        assert {g.dtype.name for g in gradients.values() if g is not None} <= {"float32"}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs(smooth=False), st.booleans())
def test_a_compiled_program_gives_what_eval_gives(text, replaced):
    program = gradcli.loads(text)
    y = program.names[-1]
    values = {name: value + 0.25 * replaced for name, value in program.eval(["v0", "v1"]).items()}
    np.testing.assert_array_equal(program.compile([y], ["v0", "v1"])(**values)[y], program.eval([y], values)[y])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_error_occurs(kind):
    texts = {
        "SyntaxError": "y = (", "NameError": "y = x", "ShapeError": "y = [1] @ [1, 2]", "TypeError": "y = 1 + sin",
        "ValueError": "y = 9999999999999999999", "DataError": 'y = load("nowhere.csv")', "LimitError": "y = ones([10_000_000])",
    }  # fmt: skip
    with pytest.raises(GradcliError) as caught:
        gradcli.loads(texts[kind], max_memory=10**6).eval()
    assert caught.value.kind == kind
    assert caught.value.span is not None
