"""What programs mean: names, declarations, dtypes, lists, indices, functions, gradients; and where errors point."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli import GradcliError
from gradcli.graph.ops import table
from gradcli.program import answers


def value(text: str, name: str = "y", **options: Any) -> Any:
    result = gradcli.loads(text, **options).eval([name])[name]
    return result if result is None else result.tolist()


def typed(text: str, name: str = "y") -> tuple[str, Any]:
    """The dtype and the value of a name."""
    result = gradcli.loads(text).eval([name])[name]
    return result.dtype.name, result.tolist()


def failure(text: str, **options: Any) -> GradcliError:
    """The error of a program, when it is loaded or when everything in it is evaluated."""
    with pytest.raises(GradcliError) as caught:
        gradcli.loads(text, **options).eval()
    return caught.value


def assert_error(text: str, kind: str, span: str | None, message: str = "", **options: Any) -> GradcliError:
    error = failure(text, **options)
    assert error.kind == kind, error
    assert (error.span.text if error.span else None) == span, error
    assert message in f"{error.message} {error.help}", error
    assert error.line is None or 1 <= error.line <= text.count("\n") + 1
    return error


# names


@pytest.mark.parametrize(
    ("text", "kind", "span", "message"),
    [
        ("y = x", "NameError", "x", "not defined"),
        ("y = sum(widht)\nwidth = 2", "NameError", "widht", "widht"),
        ("width = 2\ny = widht*2", "NameError", "widht", "did you mean `width`?"),
        ("y = snum([1.0])", "NameError", "snum", "did you mean `sum`?"),
        ("y = x\nx = 1", "NameError", "x", "not defined"),
        ("variable x = x", "NameError", "x", "not defined"),
        ("a = 1\na = 2", "NameError", "a", "bound twice"),
        ("variable a = 1\na = 2", "NameError", "a", "bound twice"),
        ("def f(x) = x\nf = 2", "NameError", "f", "bound twice"),
        ("a = 1\ndef a(x) = x", "NameError", "a", "bound twice"),
        ("x = 1\ndef f(a) = { x = 2; a + x }\ny = f(1)", "NameError", "x", "bound twice"),
        ("def f(a) = { b = 1; b = 2; b }\ny = f(1)", "NameError", "b", "bound twice"),
        ("def f(a) = { a = 1; a }\ny = f(1)", "NameError", "a", "bound twice"),
        ("def f(a, a) = a\ny = f(1, 2)", "NameError", "a", "two parameters"),
        ("def f(a) = { b = a; b }\nc = f(1)\ny = b", "NameError", "b", "not defined"),
        ("def f(a) = a\nc = f(1)\ny = a", "NameError", "a", "not defined"),
        ("def f(a) = a + later\nlater = 1\ny = f(1)", "NameError", "later", "bound below"),
        ("def f(a) = f(a - 1)\ny = f(3)", "NameError", "f", "recursive"),
        ("def f(a) = g(a)\ndef g(a) = f(a)\ny = f(3)", "NameError", "g", "below"),
        ("x = 2\ny = x(3)", "TypeError", "x", "value, not a function"),
        ("y = 2(3)", "TypeError", "2", "only names can be called"),
        ("y = (sin)(1.0) + sin", "TypeError", "sin", "call it"),
        ("def f(a) = a\ny = f + 1", "TypeError", "f", "is a function"),
        ("def f(a) = a\ny = f", "TypeError", "f", "is a function"),
        ("def f(a) = a\noutput f", "TypeError", "f", "is a function"),
        ("y = 1\noutput z", "NameError", "z", "not defined"),
        ("output y\ny = 1", "NameError", "y", "not defined"),
        ("y = 1\nseed z = 1", "NameError", "z", "not defined"),
        ("x = 1\nx + 1", "SyntaxError", "x + 1", "name = x + 1"),
        ("y = float32", "NameError", "float32", "a dtype is not a value"),
        ("y = x.shape", "NameError", "shape", "shape(…)"),
        ('y = "text"', "TypeError", '"text"', "string"),
        ("y = None", "TypeError", "None", "not a value"),
    ],
)
def test_names_that_are_wrong(text, kind, span, message):
    assert_error(text, kind, span, message)


def test_a_second_binding_shows_both_places():
    error = failure("a = 1\nb = 2\na = 3")
    assert [(label.span.text, label.span.line) for label in error.labels] == [("a", 3), ("a", 1)]


def test_constants_and_operations_are_an_outer_scope_that_a_program_may_rebind():
    assert value("y = [pi, e, inf]") == [math.pi, math.e, math.inf]
    assert math.isnan(value("y = nan"))
    assert value("e = 2; pi = e + 1; y = pi") == 3
    assert value("def sum(a, b) = a + b\ny = sum(1, 2)") == 3
    assert value("sin = 3; y = sin + cos(0.0)") == 4
    assert value("def f(sin) = sin + 1\ny = f(2)") == 3


def test_keywords_are_names_where_no_statement_starts():
    assert value("output = 2; seed = 3; y = output*seed") == 6
    assert value("dtype = 1; y = dtype + 1") == 2
    assert value("def f(output, seed) = output - seed\ny = f(1, seed=2)") == -1


def test_names_are_unicode_identifiers():
    assert value("θ = 2; Δx_1 = θ + 1; y = Δx_1") == 3


def test_parameters_may_reuse_any_name_and_locals_those_bound_below():
    assert value("x = 1; def f(x) = x*10; y = f(2) + x") == 21
    assert value("def f(a) = { z = a + 1; z*z }\nz = 3; y = f(1) + z") == 7


def test_an_alias_is_the_same_node_and_two_operations_are_two():
    program = gradcli.loads("variable x = 2.0; a = x; b = x*1; c = x*1; def f(v) = v; d = f(c); y = a*b*c")
    assert program.grad(["y"], ["x", "a", "b", "c", "d"]) == {"x": 12, "a": 12, "b": 4, "c": 4, "d": 4}


def test_statements_end_at_newlines_and_semicolons_but_not_inside_brackets():
    assert value("a = 1; b = 2 # comment; c = 3\ny = [\n  a,\n  b,\n]\n") == [1, 2]
    assert value("def f(x) = {\n  # a comment\n\n  h = x + 1; k = (h\n    * 2)\n  k\n}\ny = f(1,)") == 4


# declarations


def test_declarations_of_every_form():
    text = """
variable a = 1.5
variable b: float32 = 2
variable c: [2] = 7
variable d: int32[2, 1] = [[1], [2]]
variable g: [2, 2] = zeros([2, 2])
constant k = 3
constant m: float64[k - 1] = [1.0, 2.0]
variable n: [size(m), rank(g) + 1]
"""
    values = gradcli.loads(text).eval(["a", "b", "c", "d", "g", "k", "m"])
    assert {name: (v.dtype.name, v.tolist()) for name, v in values.items()} == {
        "a": ("float64", 1.5),
        "b": ("float32", 2),
        "c": ("int64", [7, 7]),
        "d": ("int32", [[1], [2]]),
        "g": ("float64", [[0, 0], [0, 0]]),
        "k": ("int64", 3),
        "m": ("float64", [1, 2]),
    }
    assert gradcli.loads(text).eval(["n"], {"n": np.ones((2, 3))})["n"].shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "kind", "span", "message"),
    [
        ("variable x: [2] = [1.0, 2.0, 3.0]", "ShapeError", "[1.0, 2.0, 3.0]", "shape [2]"),
        ("variable x: int64 = 1.5", "TypeError", "1.5", "cannot become int64"),
        ("variable x: int32[2] = [1.0, 2.0]", "TypeError", "[1.0, 2.0]", "cannot become int32"),
        ("variable x: bool = 1", "TypeError", "1", "cannot become bool"),
        ("variable x: [-1]", "ShapeError", "-1", "negative"),
        ("variable x: [1.5]", "TypeError", "1.5", "integer"),
        ("variable n = 2; variable x: [n]", "TypeError", "n", "known before"),
        ("variable x: float16", "TypeError", "float16", "dtype"),
        ("variable x: flaot32", "TypeError", "flaot32", "did you mean `float32`?"),
        ("variable x = 1; variable y = 2*x", "TypeError", "2*x", "variable `x`"),
        ("variable x; y = 2*x", "ValueError", "variable x", "--set 'x="),
        ("constant k; y = 2*k", "ValueError", "constant k", "--set 'k="),
        ("constant k; variable x: [k]", "TypeError", "k", "known before"),
        ("y = 1\ndtype float32", "SyntaxError", "dtype float32", "top"),
        ("dtype float16\ny = 1", "TypeError", "float16", "float32 or float64"),
        ("dtype int32\ny = 1", "TypeError", "int32", "float32 or float64"),
        ("variable x: [2]\ny = x\nseed y = [1.0]", "ShapeError", "[1.0]", "[2]"),
        ("variable x = 1.0\ny = x\nseed y = x", "TypeError", "x", "constant"),
        ("y = 1.0\nseed y = 1.0\nseed y = 2.0", "NameError", "y", "two seeds"),
    ],
)
def test_declarations_that_are_wrong(text, kind, span, message):
    assert_error(text, kind, span, message)


def test_a_variable_without_a_value_matters_only_where_a_result_needs_it():
    program = gradcli.loads(
        "variable x; variable w: [2]; a = 2.0; b = a*x; c = 0*x; d = zeros_like(w); g = gradients(b, x)"
    )
    assert program.eval(["a", "g"]) == {"a": 2, "g": 2}
    assert program.grad(["b"], ["x"]) == {"x": 2}
    for name in ("b", "c", "d"):
        with pytest.raises(GradcliError, match="has no value") as caught:
            program.eval([name])
        assert caught.value.kind == "ValueError"
    assert program.eval(["d"], {"w": 1.0})["d"].tolist() == [0, 0]


def test_an_initial_value_is_evaluated_once_over_constants(monkeypatch):
    drawn = []
    kernel = table["random_normal"].kernel

    def counted(*arguments, **attributes):
        drawn.append(kernel(*arguments, **attributes))
        return drawn[-1]

    monkeypatch.setattr(table["random_normal"], "kernel", counted)
    program = gradcli.loads("constant k = [1.0, 2.0]; variable x = sum(k)*ones([2]) + random_normal([2]); y = x*x")
    x = program.eval(["x"])["x"]
    assert len(drawn) == 1
    assert x.tolist() == (3 + drawn[0]).tolist()
    assert program.eval(["y"])["y"].tolist() == (x * x).tolist()
    assert program.grad(["y"], ["x"])["x"].tolist() == (2 * x).tolist()
    assert len(drawn) == 1


def test_what_eval_and_grad_take_without_output():
    program = gradcli.loads(
        "variable x = 2.0; constant k = 3; a = x*k; def f(v) = v; b = f(a)*x; p, q = gradients(b, [x, a])"
    )
    assert list(program.eval()) == ["a", "b", "p", "q"]
    assert program.grad() == {"x": gradcli.loads("variable x = 2.0; a = x*3; b = a*x; q = gradients(b, a)").grad()["x"]}


def test_output_lines_add_up():
    program = gradcli.loads("variable x = 2.0; a = x; b = x^2; c = 5*x; output a, b\noutput c")
    assert program.eval() == {"a": 2, "b": 4, "c": 10}
    assert program.grad() == {"x": 10}


def test_seed_lines_are_the_heads_of_outputs():
    program = gradcli.loads("variable x = [1.0, 2.0]; a = x; b = 3*x; output a, b\nseed a = [10, 20]\nseed b = 2")
    assert program.grad()["x"].tolist() == [16, 26]
    assert program.grad(["a"])["x"].tolist() == [10, 20]
    assert program.grad(seeds={"a": [0.0, 0.0]})["x"].tolist() == [6, 6]
    with pytest.raises(GradcliError, match="not among what is differentiated"):
        program.grad(["a"], seeds={"b": 1.0})


@pytest.mark.parametrize("text", ["", "# nothing", "variable x = 1.0", "def f(x) = x"])
def test_nothing_to_print_is_an_error(text):
    with pytest.raises(GradcliError, match="nothing to print") as caught:
        gradcli.loads(text).eval()
    assert caught.value.kind == "ValueError"


def test_no_variables_to_differentiate_is_an_error():
    program = gradcli.loads("constant k = 2.0; y = k*k")
    with pytest.raises(GradcliError, match="no variables"):
        program.grad()
    assert program.grad(wrt=["k"]) == {"k": 4}


# functions


def test_functions_take_positions_keywords_and_defaults():
    text = "k = 10; def f(a, b=k + 1, c=2) = a*100 + b*10 + c\n"
    assert value(text + "y = f(1)") == 212
    assert value(text + "y = f(1, 2)") == 122
    assert value(text + "y = f(1, c=5)") == 215
    assert value(text + "y = f(c=3, a=1, b=2)") == 123


def test_block_bodies_see_what_is_bound_above_the_function():
    text = "k = 2\ndef f(x) = {\n    h = x*k\n    def_ = h + 1; def_*h\n}\ny = f(3)"
    assert value(text) == 42


def test_functions_call_functions_and_are_inlined_at_each_call():
    program = gradcli.loads("variable w = 3.0\ndef f(x) = w*x\ndef g(x) = f(f(x)) + f(1)\ny = g(2.0)")
    assert program.eval(["y"]) == {"y": 21}
    assert program.grad() == {"w": 13}


def test_iterate_applies_a_function_n_times():
    assert value("def f(x) = x*2\ny = iterate(f, 1, 10)") == 1024
    assert value("def f(x, k=3) = x + k\ny = iterate(f, 1, 2)") == 7
    assert value("constant n = 3; y = iterate(square, 2, n - 1)") == 16
    assert value("variable x = 5.0; y = iterate(sin, x, 0)") == 5
    assert value("y = iterate(neg, x0=[1, 2], n=1)") == [-1, -2]


@pytest.mark.parametrize(
    ("text", "kind", "span", "message"),
    [
        ("def f(a) = a\ny = f()", "TypeError", "f()", "needs an argument for `a`"),
        ("def f(a) = a\ny = f(1, 2)", "TypeError", "2", "takes 1 argument"),
        ("def f(width) = width\ny = f(widht=1)", "TypeError", "widht", "did you mean `width`?"),
        ("def f(a) = a\ny = f(1, a=2)", "TypeError", "a=2", "twice"),
        ("def f(a) = a\ny = f(sin)", "TypeError", None, "function"),
        ("def f(a) = { b = a }\ny = f(1)", "SyntaxError", "b = a", "must end with an expression"),
        ("def f(a) = { a; a }\ny = f(1)", "SyntaxError", "a", "no effect"),
        ("def f(a) = { variable b = 1; b }\ny = f(1)", "SyntaxError", "variable b = 1", "only definitions"),
        ("def f(a) = a + 1 @ a\ny = f(2)", "ShapeError", "1", "matmul"),
        ("y = iterate(3, 1, 2)", "TypeError", "3", "name of a function"),
        ("def f(a, b) = a\ny = iterate(f, 1, 2)", "TypeError", "f", "one argument"),
        ("def f(a) = a\ny = iterate(f, 1, -1)", "ValueError", "-1", "0 or more"),
        ("def f(a) = a\nvariable n = 2\ny = iterate(f, 1, n)", "TypeError", "n", "known before"),
        ("y = sum()", "TypeError", "sum()", "needs an argument for `x`"),
        ("y = sum([1.0], axs=0)", "TypeError", "axs", "did you mean `axis`?"),
        ("y = sin(1.0, 2.0)", "TypeError", "2.0", "at most 1 argument"),
        ("y = sum([1.0], 0, axis=0)", "TypeError", "axis=0", "twice"),
        ("y = max(1.0, 2.0)", "TypeError", "2.0", "`maximum(a, b)`"),
        ("y = min([1.0, 2.0], 0)", "TypeError", "0", "`minimum(a, b)`"),
        ("y = where(1, 2.0, 3.0)", "TypeError", "1", "must be bool"),
        ("y = not 1", "TypeError", "1", "bool"),
        ("y = true + 1 > 0 and 2", "TypeError", "2", "bool"),
        ("y = -true", "TypeError", "true", "bool"),
        ("y = [1.0, 2.0] + [1.0, 2.0, 3.0]", "ShapeError", "[1.0, 2.0]", "do not broadcast"),
        ("a = ones([2, 3])\nb = ones([2, 3])\ny = a @ b", "ShapeError", "a", ".T"),
        ("y = sum([1.0, 2.0], axis=1)", "ShapeError", "sum([1.0, 2.0], axis=1)", "out of range"),
        ("y = reshape([1.0, 2.0], [3])", "ShapeError", "[1.0, 2.0]", "entries"),
        ("y = inv([[1.0, 2.0], [2.0, 4.0]])", "ValueError", "inv([[1.0, 2.0], [2.0, 4.0]])", "singular"),
        ("y = cast(nan, int32)", "ValueError", "cast(nan, int32)", "nan"),
        (
            "y = cholesky([[1.0, 2.0], [2.0, 1.0]])",
            "ValueError",
            "cholesky([[1.0, 2.0], [2.0, 1.0]])",
            "positive definite",
        ),
    ],
)
def test_calls_that_are_wrong(text, kind, span, message):
    error = failure(text)
    assert error.kind == kind, error
    if span is not None:
        assert error.span.text == span
    assert message in f"{error.message} {error.help}", error


def test_both_operands_are_labelled_where_two_disagree():
    error = failure("a = ones([2, 3])\nb = ones([2])\ny = a + b*1")
    assert [label.span.text for label in error.labels] == ["a", "b*1"]
    assert [label.text for label in error.labels] == ["shape [2, 3]", "shape [2]"]


# dtypes and literals


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1", ("int64", 1)),
        ("1.0", ("float64", 1.0)),
        ("true", ("bool", True)),
        ("i + 1", ("int32", 4)),
        ("i + 1.5", ("float64", 4.5)),
        ("2.5 * i", ("float64", 7.5)),
        ("i + j", ("int64", 8)),
        ("i + f", ("float32", 3.5)),
        ("j + f", ("float32", 5.5)),
        ("f + 1", ("float32", 1.5)),
        ("f * 2.0", ("float32", 1.0)),
        ("f * (2*pi)", ("float32", float(np.float32(0.5) * np.float32(2 * math.pi)))),
        ("f * -1.0", ("float32", -0.5)),
        ("f + inf", ("float32", math.inf)),
        ("f + d", ("float64", 0.75)),
        ("f + two", ("float64", 2.5)),
        ("f * three", ("float32", 1.5)),
        ("i / 2", ("float64", 1.5)),
        ("i / j", ("float64", 0.6)),
        ("1 / 2", ("float64", 0.5)),
        ("i ^ 2", ("int32", 9)),
        ("i ^ -1", ("float64", 1 / 3)),
        ("2 ^ -1", ("float64", 0.5)),
        ("2 ^ 3", ("int64", 8)),
        ("f ^ 2", ("float32", 0.25)),
        ("sqrt(4)", ("float64", 2.0)),
        ("sqrt(i + 1)", ("float64", 2.0)),
        ("sqrt(f * f)", ("float32", 0.5)),
        ("mean([1, 2])", ("float64", 1.5)),
        ("maximum(i, 2)", ("int32", 3)),
        ("maximum(i, 3.5)", ("float64", 3.5)),
        ("where(true, i, 1)", ("int32", 3)),
        ("where(true, f, 1.0)", ("float32", 0.5)),
        ("[i, 1]", ("int32", [3, 1])),
        ("[i, 1.5]", ("float64", [3, 1.5])),
        ("[f, 2]", ("float32", [0.5, 2])),
        ("[1, 2.0]", ("float64", [1, 2])),
        ("[true, false]", ("bool", [True, False])),
        ("i + true_", ("int32", 4)),
        ("i == 3.0", ("bool", True)),
        ("1_000", ("int64", 1000)),
        ("1e3", ("float64", 1000.0)),
        (".5", ("float64", 0.5)),
        ("sum([1, 2])", ("int64", 3)),
        ("abs(-i)", ("int32", 3)),
        ("cast(2.7, int32)", ("int32", 2)),
        ("cast(i, float32) * 2.0", ("float32", 6.0)),
        ("-2^2", ("int64", -4)),
        ("2^3^2", ("int64", 512)),
        ("2^-1^2", ("float64", 0.5)),
        ("7 - 2 - 1", ("int64", 4)),
        ("2 * 3 @ [1]", None),
    ],
)
def test_dtypes_promote_and_literals_are_weak(expression, expected):
    text = f"""
variable i: int32 = 3
variable j: int64 = 5
variable f: float32 = 0.5
variable d: float64 = 0.25
two = 2.0; three = 3; true_ = true
y = {expression}"""
    if expected is None:
        assert failure(text).kind == "ShapeError"
    else:
        assert typed(text) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("1.5", "float32"), ("1", "int32"), ("[1, 2]", "int32"), ("1/2", "float32"), ("arange(3)", "int32"),
     ("shape([1])", "int32"), ("zeros([1])", "float32"), ("linspace(0, 1, 2)", "float32"), ("mean([1, 2])", "float32"),
     ("random_normal([2])", "float32"), ("one_hot([1], 2)", "float32"), ("pi", "float32"), ("v", "float32"),
     ("cast(1, float64) + 1", "float64"), ("exp(1)", "float32"), ("2^-1", "float32"), ("x + 1", "float64")],
)  # fmt: skip
def test_the_dtype_line_sets_the_precision_of_literals(expression, expected):
    text = f"dtype float32\nvariable v = 1.0\nvariable x: float64 = 2.0\ny = {expression}"
    assert typed(text)[0] == expected
    overridden = gradcli.loads(text, dtype="float64").eval(["y"])["y"].dtype.name
    assert overridden == expected.replace("32", "64")


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("y = 9223372036854775808", "9223372036854775808"),
        ("dtype float32; y = 2147483648", "2147483648"),
        ("dtype float32; y = 2147483647 + 1", "2147483647 + 1"),
        ("y = [1, 9223372036854775808]", "[1, 9223372036854775808]"),
        ("variable i: int32 = 1; y = i + 2147483648", "2147483648"),
        ("variable x = 1.0; y = x * 10^400", "10^400"),
        ("y = 2^100000", "2^100000"),
    ],
)
def test_an_integer_literal_that_does_not_fit_is_an_error(text, span):
    error = failure(text)
    assert error.kind == "ValueError"
    assert "fit" in error.message
    assert error.span.text == span


def test_the_largest_integers_fit():
    assert value("y = 9223372036854775807") == 2**63 - 1
    assert value("y = -9223372036854775808") == -(2**63)
    assert typed("dtype float32; y = -2147483648") == ("int32", -(2**31))
    assert value("variable x = 1.0; y = x*9223372036854775808") == 2.0**63


# static sizes


def test_sizes_are_integers_known_before_anything_is_evaluated():
    text = """
variable x: [4, 3]
constant n = 2
a = zeros(shape(x))
b = zeros([shape(x)[0]*n, rank(x) + size(x) - 12, n])
c = reshape(b, [-1, shape(x)[-2]])
y = shape(c)
"""
    assert value(text) == [8, 4]
    assert gradcli.loads(text).eval(["b"])["b"].shape == (8, 2, 2)


@pytest.mark.parametrize(
    ("text", "kind", "span"),
    [
        ("variable n = 2; y = zeros([n])", "TypeError", "n"),
        ("y = zeros([1.5])", "TypeError", "1.5"),
        ("y = zeros([true])", "TypeError", "true"),
        ("variable x = [1.0]; y = sum(x, axis=x[0])", "TypeError", "x[0]"),
        ("variable x = [1.0]; y = sum(x, keepdims=1)", "TypeError", "1"),
        ("y = zeros([99999999999999999999])", "ValueError", "99999999999999999999"),
    ],
)
def test_sizes_that_are_not_static_are_errors(text, kind, span):
    assert_error(text, kind, span)


def test_an_array_too_large_is_refused_before_anything_is_allocated():
    error = assert_error("y = sum(zeros([1000000, 1000000]) + 1.0)", "LimitError", "zeros([1000000, 1000000])")
    assert "memory" in error.message
    error = assert_error("y = zeros([100]) + 1", "LimitError", "zeros([100])", max_memory=1000)
    assert "--max-memory" in error.message
    assert value("y = sum(zeros([100]) + 1)", max_memory=5000) == 100


@pytest.mark.parametrize(
    "expression",
    ["repeat([1.0, 2.0], [10^9, 1])", "repeat([1.0], 10^15)", "iterate(sin, 1.0, 10^9)", "one_hot([1], 10^13)",
     "eye(10^8)", "arange(10^15)", "tile([1.0], [10^15])", "diag(ones([10^7]))", "ones([10^7])[:, newaxis] * ones([10^7])"],
)  # fmt: skip
def test_a_size_that_no_memory_holds_is_refused_at_once(expression):
    assert failure(f"y = {expression}").kind == "LimitError"


def test_none_for_what_is_needed_is_an_error():
    assert_error("y = arange(None)", "TypeError", "None", "needs a value for `start`")
    assert_error("y = expand_dims([1], None)", "TypeError", "None", "needs a value for `axis`")
    assert value("y = eye(2, None)") == [[1, 0], [0, 1]]


def test_operands_have_no_keyword():
    assert_error('y = einsum("i->", operands=[1])', "TypeError", "operands", "no parameter")


def test_one_number_is_a_list_of_one():
    assert value("y = tile([1, 2], 2)") == [1, 2, 1, 2]
    assert value("y = transpose([1, 2], 0)") == [1, 2]
    assert value("y = reshape([[1, 2]], 2)") == [1, 2]


def test_the_mean_of_nothing_is_nan_without_a_warning():
    assert math.isnan(value("y = mean(zeros([0]))"))
    assert value("y = sum(zeros([0]))") == 0


# indices

GRID = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("[0]", GRID[0]), ("[-1]", GRID[-1]), ("[1, 2, 3]", GRID[1, 2, 3]), ("[:, 1:2]", GRID[:, 1:2]),
        ("[::2]", GRID[::2]), ("[..., 0]", GRID[..., 0]), ("[0, ..., 1]", GRID[0, ..., 1]), ("[...]", GRID),
        ("[..., newaxis]", GRID[..., None]), ("[newaxis, 0]", GRID[None, 0]), ("[:, newaxis, 1]", GRID[:, None, 1]),
        ("[:, ::-1]", GRID[:, ::-1]), ("[:, 2:0:-1]", GRID[:, 2:0:-1]), ("[:, :-1, -3:]", GRID[:, :-1, -3:]),
        ("[:, 5:]", GRID[:, 5:]), ("[:, -9:2]", GRID[:, -9:2]), ("[1:0]", GRID[1:0]), ("[:, [2, 0, 0]]", GRID[:, [2, 0, 0]]),
        ("[[1, 0]]", GRID[[1, 0]]), ("[[[1], [0]]]", GRID[[[1], [0]]]), ("[..., [-1]]", GRID[..., [-1]]),
        ("[0, [1, 1], ::2]", GRID[0][[1, 1], ::2]), ("[0][1][2]", GRID[0][1][2]), ("[n - 1]", GRID[1]),
        ("[:, k[1]]", GRID[:, 2]), ("[:, k]", GRID[:, [0, 2]]), ("[argmax([1.0, 3.0])]", GRID[1]),
        ("[:n, :n]", GRID[:2, :2]), ("[None, 1]", GRID[None, 1]), ("[:, ::-2][0]", GRID[:, ::-2][0]),
    ],
)  # fmt: skip
def test_indexing_is_that_of_numpy(index, expected):
    program = gradcli.loads(f"variable x: [2, 3, 4]; constant n = 2; constant k = [0, 2]; y = x{index}; s = sum(y)")
    y = program.eval(["y"], {"x": GRID})["y"]
    assert y.shape == expected.shape
    np.testing.assert_array_equal(y, expected)
    gradient = program.grad(["s"], values={"x": GRID})["x"]
    places, counts = np.unique(expected, return_counts=True)
    dense = np.zeros(24)
    dense[places.astype(int)] = counts
    np.testing.assert_array_equal(gradient.ravel(), dense)


def test_an_index_may_be_a_value_that_is_known_at_run_time():
    program = gradcli.loads("variable x = [10.0, 20.0, 30.0]; variable i: int64[2] = [0, 1]; y = x[i]")
    assert program.eval(["y"], {"i": np.array([2, -3])})["y"].tolist() == [30, 10]
    with pytest.raises(GradcliError, match="out of range") as caught:
        program.eval(["y"], {"i": np.array([0, 3])})
    assert caught.value.kind == "ValueError"
    assert caught.value.span.text == "x[i]"


@pytest.mark.parametrize(
    ("index", "kind", "span", "message"),
    [
        ("[2]", "ShapeError", "2", "out of range"),
        ("[-3]", "ShapeError", "-3", "out of range"),
        ("[0, 3]", "ShapeError", "3", "axis 1"),
        ("[[0, 2]]", "ShapeError", "[0, 2]", "index 2"),
        ("[0, 0, 0, 0]", "ShapeError", "x[0, 0, 0, 0]", "too many indices"),
        ("[1.0]", "TypeError", "1.0", "integer"),
        ("[true]", "TypeError", "true", "integer"),
        ("[x[0, 0, 0]]", "TypeError", "x[0, 0, 0]", "integer"),
        ("[..., ...]", "ShapeError", "...", "once"),
        ("[::0]", "ValueError", "0", "step"),
        ("[x > 0]", "TypeError", "x > 0", "bool"),
    ],
)
def test_indices_that_are_wrong(index, kind, span, message):
    assert_error(f"variable x: [2, 3, 4] = 0.0; y = x{index}", kind, span, message)


# lists and stacks


def test_bracket_literals_nest_and_stack():
    assert value("variable x = 3.0; y = [[x, 1], [2, x*x]]") == [[3, 1], [2, 9]]
    assert value("a = [1, 2]; y = [a, [3, 4]]") == [[1, 2], [3, 4]]
    assert value("y = [[[1.0]]]") == [[[1]]]
    assert value("y = []") == []
    assert value("y = [[], []]") == [[], []]
    assert value("y = [-1, --2, -(3)]") == [-1, 2, -3]


def test_the_argument_of_concat_and_stack_is_a_list():
    assert value("a = [1, 2]; y = concat([a, [3]], 0)") == [1, 2, 3]
    assert value("a = [1, 2]; y = stack([a, [3, 4]], axis=1)") == [[1, 3], [2, 4]]
    assert value("y = concat([[1], [2, 3]])") == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "kind", "span", "message"),
    [
        ("y = [[1, 2], [3]]", "ShapeError", "[3]", "differ in length"),
        ("y = [1, [2]]", "ShapeError", "[2]", ""),
        ("variable x = 1.0; y = [[x, 2], [3]]", "ShapeError", "[x, 2]", "[2]"),
        ("a = [1, 2]; y = [a, 3]", "ShapeError", "a", "one shape"),
        ("a = [1, 2]; y = concat(a, 0)", "TypeError", "a", "list"),
        ("y = stack([])", "ValueError", "[]", "at least one"),
        ("y = concat([[1, 2], [[3]]])", "ShapeError", "[1, 2]", "equal sizes"),
        ("y = concat([1, 2])", "ShapeError", None, "stack"),
    ],
)
def test_lists_that_are_wrong(text, kind, span, message):
    error = failure(text)
    assert error.kind == kind, error
    assert span is None or error.span.text == span, error
    assert message in f"{error.message} {error.help}", error


# gradients(...) in the language

MODEL = "variable x = 3.0; variable w = 2.0; variable n = 5.0; u = x*x; v = u*w; "


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("gradients(v, x)", 12),
        ("gradients([v], x)", 12),
        ("gradients([u, v], x)", 18),
        ("gradients(v + u*2, u)", 4),
        ("gradients(v, x, grad_ys=10)", 120),
        ("gradients([u, v], x, grad_ys=[None, 10.0])", 126),
        ("gradients([u, v], x, [w, x])", 48),
        ("gradients(v, x, None, u)", None),
        ("gradients(v, x, stop_gradients=[w, n])", 12),
        ("gradients(v, x, stop_gradients=None, unconnected_gradients=None)", 12),
        ("gradients(v, n)", None),
        ('gradients(v, n, unconnected_gradients="zero")', 0),
        ('gradients(v, n, unconnected_gradients="none")', None),
        ("gradients(v, x) + gradients(v, w)", 21),
        ("sin(gradients(u, x) - 6)", 0),
    ],
)
def test_gradients_with_all_of_its_arguments(expression, expected):
    assert value(MODEL + f"y = {expression}") == expected


def test_a_list_of_xs_is_unpacked_into_as_many_names():
    program = gradcli.loads(MODEL + "a, b, c = gradients(v, [x, n, w]); d = gradients(v, [x])")
    assert program.eval(["a", "b", "c", "d"]) == {"a": 12, "b": None, "c": 9, "d": 12}


def test_gradients_inside_functions_see_parameters_and_locals():
    text = """
def slope(x) = { y = x^3; gradients(y, x) }
def twice(x) = { g = slope(x); gradients(g, x) }
variable t = 2.0
a = slope(t)
b = twice(t)
y = gradients(b, t)
"""
    assert gradcli.loads(text).eval(["a", "b", "y"]) == {"a": 12, "b": 12, "y": 6}


@pytest.mark.parametrize(
    ("statement", "kind", "span", "message"),
    [
        ("y = gradients(v, x*1)", "TypeError", "x*1", "names of nodes"),
        ("y = gradients(v, 3)", "TypeError", "3", "names of nodes"),
        ("y = gradients(v, [x, w[0]])", "TypeError", "w[0]", "names of nodes"),
        ("y = gradients(v, x, stop_gradients=[u*1])", "TypeError", "u*1", "names of nodes"),
        ("y = gradients(v, sin)", "TypeError", "sin", "function"),
        ("y = gradients(v, [])", "ValueError", "[]", "at least one x"),
        ("y = gradients([], x)", "ValueError", "[]", "at least one y"),
        ("y = gradients(v)", "TypeError", "gradients(v)", "needs an argument for `xs`"),
        ("y = gradients(v, x, y=1)", "TypeError", "y", "no parameter"),
        ("y = gradients(v, x, grad_ys=[1.0, 2.0])", "ShapeError", "[1.0, 2.0]", "needs the shape of its y"),
        ("y = gradients([u, v], x, grad_ys=1.0)", "TypeError", "1.0", "list exactly when ys"),
        ("y = gradients([u, v], x, grad_ys=[1.0])", "ValueError", "[1.0]", "one entry for each of the 2 ys"),
        ("y = gradients([u, v], x, grad_ys=[1.0, [2.0]])", "ShapeError", "[2.0]", "needs the shape of its y"),
        ('y = gradients(v, x, unconnected_gradients="zreo")', "ValueError", '"zreo"', 'did you mean "zero"?'),
        ("y = gradients(v, x, unconnected_gradients=1)", "TypeError", "1", "string"),
        ("y = gradients(v, [x, w]) + 1", "TypeError", "gradients(v, [x, w])", "unpacked"),
        ("y = gradients(v, [x, w])", "TypeError", "y", "cannot be unpacked into 1 name"),
        ("a, b, c = gradients(v, [x, w])", "TypeError", "a, b, c", "3 names"),
        ("a, b = v", "TypeError", "a, b", "unpacked"),
        ("a, b = gradients(v, x)", "TypeError", "a, b", "unpacked"),
        ("a, a = gradients(v, [x, w])", "NameError", "a", "bound twice"),
        ("g = gradients(v, n); y = g + 1", "ValueError", "g", "v does not use n"),
        ("g = gradients(v, n); y = gradients(g, x)", "ValueError", "g", "None"),
        ("y = sum(gradients(v, n))", "ValueError", "gradients(v, n)", 'unconnected_gradients="zero"'),
        ("s = stop_gradient(v); g = gradients(s, x); y = [g, 1]", "ValueError", "g", "cut by stop_gradient(v)"),
        ("f = floor(v); g = gradients(f, x); y = -g", "ValueError", "g", "floor"),
    ],
)
def test_gradients_that_are_wrong(statement, kind, span, message):
    assert_error(MODEL + statement, kind, span, message)


def test_a_gradient_that_is_none_has_a_reason_with_a_place():
    program = gradcli.loads(MODEL.replace("; ", "\n") + "s = stop_gradient(v)*w\ng = gradients(s, x)")
    (result,) = answers.values(program, ["g"])
    assert not result.connected
    assert result.reason.with_line() == "cut by stop_gradient(v) on line 6"
    assert result.reason.with_place() == "cut by stop_gradient(v), <string>:6:5"


# settings and values


def test_values_replace_those_of_variables_and_constants():
    program = gradcli.loads("variable x = [1.0, 2.0]; constant k = 3.0; y = k*x")
    assert program.eval(["y"], {"x": [5, 6], "k": 2})["y"].tolist() == [10, 12]
    assert program.eval(["y"])["y"].tolist() == [3, 6]
    assert gradcli.loads("constant n = 2; y = zeros([n])", settings={"n": "1 + 2"}).eval()["y"].shape == (3,)
    assert gradcli.loads("variable x: [2]; y = x", settings={"x": "7"}).eval()["y"].tolist() == [7, 7]


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"z": 1.0}, "NameError", "no variable or constant `z`"),
        ({"y": 1.0}, "NameError", "computed"),
        ({"x": np.ones(3)}, "ShapeError", "[2]"),
        ({"i": 1.5}, "TypeError", "int64"),
        ({"x": "[1, 2"}, "SyntaxError", ""),
        ({"x": "i"}, "NameError", "none of the program's names"),
        ({"x": "a = 1"}, "SyntaxError", "one expression"),
    ],
)
def test_settings_that_are_wrong(settings, kind, message):
    with pytest.raises(GradcliError) as caught:
        gradcli.loads("variable x: [2] = 1.0; variable i: int64 = 2; y = x*i", settings=settings).eval()
    assert caught.value.kind == kind, caught.value
    assert message in f"{caught.value.message} {caught.value.help}"


def test_a_declaration_without_a_value_has_the_programs_precision_whatever_it_is_given():
    for given in (3, np.float32(3), np.int8(3), "3"):
        assert gradcli.loads("variable x; y = x/2", settings={"x": given}).eval(["x"])["x"].dtype == "float64"
    assert gradcli.loads("dtype float32; variable x; y = x/2").eval(["x"], {"x": 3.0})["x"].dtype == "float32"
    assert gradcli.loads("variable x: int32; y = x/2").eval(["x"], {"x": 3})["x"].dtype == "int32"


@pytest.mark.parametrize(
    "given", [np.uint8(3), np.int16(3), np.float16(3), np.longdouble(3), np.array(3, ">f8"), 3, True]
)
def test_arrays_of_every_numeric_dtype_are_values(given):
    program = gradcli.loads("variable x = 1.0; variable t: bool = false; y = x*2")
    if given is True:
        assert program.eval(["t"], {"t": given}) == {"t": True}
        return
    assert program.eval(["y"], {"x": given}) == {"y": 6}
    assert program.grad(["y"], ["x"], seeds={"y": given}) == {"x": 6}
    assert program.compile(["y"], ["x"])(x=given) == {"y": 6}


@pytest.mark.parametrize(
    "given", [None, "x", {}, [1, [2]], np.complex64(1), 2**70, np.uint64(2**63), np.datetime64("2020-01-01")]
)
def test_what_is_no_array_of_numbers_is_refused(given):
    program = gradcli.loads("variable x = 1.0; y = x*2")
    calls = [
        lambda: program.eval(["y"], {"x": given}),
        lambda: program.grad(["y"], seeds={"y": given}),
        lambda: program.compile(["y"], ["x"])(x=given),
    ]
    for call in calls:
        with pytest.raises(GradcliError) as caught:
            call()
        assert caught.value.kind == "DataError"


def test_a_compiled_function_is_planned_once_and_takes_its_inputs_by_name():
    program = gradcli.loads("variable x = [1.0, 2.0]; variable w = 3.0; y = sum(w*x*x); g, h = gradients(y, [x, w])")
    run = program.compile(["y", "g"], inputs=["x", "w"])
    assert run()["y"] == 15
    assert run(x=np.array([2, 0]))["g"].tolist() == [12, 0]
    assert run(x=[1, 1], w=10)["y"] == 20
    for wrong, kind in (({"x": np.ones(3)}, "ShapeError"), ({"z": 1}, "NameError")):
        with pytest.raises(GradcliError) as caught:
            run(**wrong)
        assert caught.value.kind == kind
    with pytest.raises(GradcliError, match="no value `nope`"):
        program.compile(["nope"])
    with pytest.raises(GradcliError, match="`y` is computed"):
        program.compile(["y"], inputs=["y"])


# load


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    np.save(folder / "X.npy", np.array([1.5, 2.5], dtype="float32"))
    np.savez(folder / "d.npz", a=np.array([1, 2]), b=np.eye(2))
    (folder / "sub" / "t.csv").write_text("1,2\n3,4.5\n")
    (folder / "n.json").write_text("[[1, 2], [3, 4]]")
    np.save(tmp_path / "secret.npy", np.array([1.0]))
    return folder


def test_load_reads_below_the_programs_folder(data):
    assert value('y = load("X.npy")', folder=data) == [1.5, 2.5]
    assert value('y = load("d.npz", "a")', folder=data) == [1, 2]
    assert value('y = load("d.npz", key="b") @ [1.0, 2.0]', folder=data) == [1, 2]
    assert value('y = load("sub/t.csv")', folder=data) == [[1, 2], [3, 4.5]]
    assert value('y = load("sub/../n.json")', folder=data) == [[1, 2], [3, 4]]
    assert value('variable x: [2] = load("X.npy"); y = gradients(x, x)', folder=data) == [1, 1]


def test_loaded_text_takes_the_precision_of_the_program(data):
    for text, dtype in (("sub/t.csv", "float32"), ("n.json", "int32"), ("d.npz", None), ("X.npy", "float32")):
        if dtype:
            assert gradcli.loads(f'dtype float32; y = load("{text}")', folder=data).eval()["y"].dtype == dtype


def test_a_program_file_loads_from_its_own_folder(data):
    (data / "f.expr").write_text('y = sum(load("X.npy"))')
    assert gradcli.load(data / "f.expr").eval() == {"y": 4}


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("../secret.npy", "DataError", "below the program's own folder"),
        ("sub/../../secret.npy", "DataError", "below the program's own folder"),
        ("link.npy", "DataError", "below the program's own folder"),
        ("up/secret.npy", "DataError", "below the program's own folder"),
        ("missing.npy", "DataError", "missing.npy"),
        ("sub", "DataError", ""),
        ("pickle.npy", "DataError", ""),
        ("broken.csv", "DataError", ""),
        ("", "ValueError", "file name"),
    ],
)
def test_load_refuses_what_is_outside_or_unreadable(data, path, kind, message):
    (data / "link.npy").symlink_to(data.parent / "secret.npy")
    (data / "up").symlink_to(data.parent)
    np.save(data / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    (data / "broken.csv").write_text("1,2\n3,x\n")
    assert_error(f'y = load("{path}")', kind, f'"{path}"', message, folder=data)


def test_load_refuses_absolute_paths_outside(data):
    assert_error(
        f'y = load("{data.parent}/secret.npy")', "DataError", f'"{data.parent}/secret.npy"', "folder", folder=data
    )


def test_the_name_of_a_file_is_a_literal(data):
    assert_error("y = load(3)", "TypeError", "3", "string", folder=data)


# random numbers


def test_seeded_draws_are_those_of_numpys_frozen_generator():
    assert value("y = random_normal([3], seed=5)") == np.random.RandomState(5).normal(0, 1, 3).tolist()
    assert value("y = random_uniform([3], -1, 2, seed=5)") == np.random.RandomState(5).uniform(-1, 2, 3).tolist()


def test_unseeded_draws_are_numbered_in_program_order():
    text = "a = random_normal([2]); s = random_normal([2], seed=9); b = random_uniform([2]); def f(k) = k*random_normal([2])\nc = f(1); d = f(1)"
    first, again = gradcli.loads(text).eval(), gradcli.loads(text).eval()
    assert {k: v.tolist() for k, v in first.items()} == {k: v.tolist() for k, v in again.items()}
    assert len({tuple(v.tolist()) for v in first.values()}) == 5
    without = gradcli.loads(text.replace("s = random_normal([2], seed=9); ", "")).eval()
    assert without["b"].tolist() == first["b"].tolist()
    other = gradcli.loads(text, random_seed=1).eval()
    assert other["a"].tolist() != first["a"].tolist()
    assert other["s"].tolist() == first["s"].tolist()


def test_the_stream_of_a_draw_is_the_pair_of_the_programs_seed_and_its_number():
    draws = [np.random.RandomState((7, i)).normal(0, 1, 2).tolist() for i in range(2)]
    assert (
        gradcli.loads("a = random_normal([2]); y = [a, random_normal([2])]", random_seed=7).eval(["y"])["y"].tolist()
        == draws
    )


def test_a_draw_is_one_value_wherever_it_is_used():
    program = gradcli.loads(
        "variable x = 1.0; r = random_normal([]); y = (r - r)*x + r*x; g = gradients(y, x); z = g - r"
    )
    assert program.eval(["z"]) == {"z": 0}


@pytest.mark.parametrize(
    ("text", "kind", "span"),
    [
        ("y = random_normal([2], seed=-1)", "ValueError", "-1"),
        ("y = random_normal([2], seed=1.5)", "TypeError", "1.5"),
        ("y = random_normal([2], dtype=int32)", "TypeError", "random_normal([2], dtype=int32)"),
        ("y = random_normal([2], stddev=-1)", "ValueError", "random_normal([2], stddev=-1)"),
    ],
)
def test_draws_that_are_wrong(text, kind, span):
    assert_error(text, kind, span)


def test_one_to_a_large_power_is_one():
    assert value("y = 1^5000 + (-1)^5001") == 0


@pytest.mark.parametrize("text", ["(10^400)^0.5", "2^-(10^400)", "10^400*1.0", "10^400*10^400*10^400*10^400"])
def test_literals_beyond_every_float_are_errors_with_their_place(text):
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads(f"y = {text}")
    assert caught.value.kind == "ValueError" and caught.value.line == 1


def test_a_literal_divided_by_zero_is_infinite():
    assert value("y = 10^400/0") == math.inf and value("y = -5/0") == -math.inf and value("y = 5/-0.0") == -math.inf
    assert math.isnan(value("y = 0/0"))
