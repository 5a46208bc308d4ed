"""Functions: several values, functions in functions, functions as arguments; each is what the written-out program is."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gradcli
from gradcli import GradcliError
from gradcli.diagnostics import Source
from gradcli.features.lint.answer import lint
from gradcli.graph.node import Node
from gradcli.language.elaborate import Elaborator, execute
from gradcli.language.functions import applied, check_takes
from gradcli.language.needed import without_unasked
from gradcli.language.parser import parse
from gradcli.language.printer import print_program

LEAVES = "variable x = 0.7\nvariable y = -1.3\nvariable v = [0.5, -2.0, 1.5]\n"

# Programs with functions, and the same written out; each defines `z`.
WRITTEN_OUT = {
    "two values": (
        "def polar(a, b) = sqrt(a*a + b*b), atan2(b, a)\nr, t = polar(x, y)\nz = r*t",
        "r = sqrt(x*x + y*y)\nt = atan2(y, x)\nz = r*t",
    ),
    "values of a block": (
        "def f(a) = {\n    s, c = g(a)\n    s*c, s - c,\n}".join(["def g(a) = sin(a), cos(a)\n", "\np, q = f(x)\nz = p*q"]),
        "s = sin(x); c = cos(x); p = s*c; q = s - c; z = p*q",
    ),
    "one value with a comma": ("def f(a) = a*a,\nb, = f(x)\nz = b", "b = x*x\nz = b"),
    "values of a call": (
        "def f(a) = gradients(a^3*y, [a, y])\np, q = f(x)\nz = p*q",
        "p, q = gradients(x^3*y, [x, y])\nz = p*q",
    ),
    "a call as a list": ("def f(a) = a, a*a, sin(a)\nz = stack(f(x), 0)", "z = stack([x, x*x, sin(x)], 0)"),
    "gradients as a list": (
        "h = sum(v*v)*x\na = stack([x, x])\nw = sum(a*v[:2])\nz = concat(gradients(w*h, [v, a]), 0)",
        "h = sum(v*v)*x\na = stack([x, x])\nw = sum(a*v[:2])\np, q = gradients(w*h, [v, a])\nz = concat([p, q], 0)",
    ),
    "a call as ys and heads": (
        "def f(a) = a*a, a^3\nz = gradients(f(x), x, grad_ys=f(y))",
        "z = gradients([x*x, x^3], x, grad_ys=[y*y, y^3])",
    ),
    "an array": ("a, b, c = v*x\nz = a*b + c", "w = v*x\na = w[0]; b = w[1]; c = w[2]\nz = a*b + c"),
    "rows": ("a, b = stack([v, v*v])\nz = sum(a*b)", "w = stack([v, v*v])\na = w[0]; b = w[1]\nz = sum(a*b)"),
    "one entry": ("a, = v[:1]\nz = a*a", "w = v[:1]\na = w[0]\nz = a*a"),
    "taylor": ("p, q, r = taylor(sin(x)*x, x, 2)\nz = p + q*r", "s = taylor(sin(x)*x, x, 2)\nz = s[0] + s[1]*s[2]"),
    "an array in a block": ("def f(u) = { a, b, c = u\n a*b*c }\nz = f(v)", "z = v[0]*v[1]*v[2]"),
    "a function in a function": (
        "def f(a) = {\n    k = a*y\n    def g(b, n=2) = b^n + k\n    g(a) + g(b=k, n=3)\n}\nz = f(x)",
        "k = x*y\nz = (x^2 + k) + (k^3 + k)",
    ),
    "functions in each other": (
        "def f(a) = {\n def g(b) = {\n  def h(c) = a*b + c\n  h(b) + h(a)\n }\n g(y)\n}\nz = f(x)",
        "z = (x*y + y) + (x*y + x)",
    ),
    "a function that sees a function": (
        "def f(a) = { def g(b) = b*a; def h(b) = g(g(b)); h(y) }\nz = f(x)", "z = (y*x)*x",
    ),
    "the parameters of the inner function": ("def f(a) = { def g(a) = a*a; g(y) + a }\nz = f(x)", "z = y*y + x"),
    "a name for each call": (
        "def f(a) = { b = a*a; def g(c) = c*b; g }".replace("; g }", "; g(a) }\nz = f(x) + f(y)"), "z = x*(x*x) + y*(y*y)",
    ),
    "a function as an argument": ("def twice(g, a) = g(g(a))\ndef h(a) = a*y\nz = twice(h, x)", "z = (x*y)*y"),
    "an operation as an argument": (
        "def both(g, a, b=y) = g(a, b)*g(x=b, y=a)\nz = both(atan2, x)", "z = atan2(x, y)*atan2(x, y)",
    ),
    "a function by name": ("def at(a, g) = g(a)\nz = at(g=sin, a=x)", "z = sin(x)"),
    "a function by default": ("def at(a, g=tanh) = g(a)\nz = at(x)*at(y, exp)", "z = tanh(x)*exp(y)"),
    "arguments of an argument": (
        "def p(a, n=3) = a^n\ndef at(g, a) = g(a) + g(n=2, a=a)\nz = at(p, x)", "z = x^3 + x^2",
    ),
    "a function passed on": (
        "def one(g, a) = g(a)\ndef two(h, a) = one(h, a) + one(sin, a)\nz = two(cos, x)", "z = cos(x) + sin(x)",
    ),
    "a closure as an argument": (
        "def integrate(f, a, b) = {\n h = (b - a)/2\n def at(i) = f(a + i*h)\n (at(0) + 4*at(1) + at(2))*h/3\n}\n"
        "def outer(s) = { def inner(t) = s*t + y; integrate(inner, 0.0, 1.0) }\nz = integrate(outer, x, y)",
        "h = (y - x)/2\n"
        + "".join(
            f"s{i} = x + {i}*h\nk{i} = (1.0 - 0.0)/2\n"
            + f"o{i} = ((s{i}*(0.0 + 0*k{i}) + y) + 4*(s{i}*(0.0 + 1*k{i}) + y) + (s{i}*(0.0 + 2*k{i}) + y))*k{i}/3\n"
            for i in range(3)
        )
        + "z = (o0 + 4*o1 + o2)*h/3",
    ),
    "iterate of an argument": (
        "def many(g, a) = iterate(g, a, 3)\ndef h(a) = sin(a)*y\nz = many(h, x) + many(sinh, y)",
        "a = sin(x)*y; b = sin(a)*y; c = sin(b)*y\nz = c + sinh(sinh(sinh(y)))",
    ),
    "iterate of an inner function": (
        "def f(a) = { def g(b) = b*a + 1; iterate(g, a, 3) }\nz = f(x)", "z = ((x*x + 1)*x + 1)*x + 1",
    ),
    "gradients in an inner function": (
        "def slope(g, a) = { b = g(a)\n gradients(b, a) }\ndef h(a) = a^3*y\nz = slope(h, x)*slope(sin, y)",
        "p = x^3*y; q = sin(y)\nz = gradients(p, x)*gradients(q, y)",
    ),
    "what is not selected": (
        "def pick(c, f, g, a) = where(c, f(a), g(a))\nz = pick(x > 1, log, sqrt, x - 0.7)",
        "u = x - 0.7\nz = where(x > 1, log(u), sqrt(u))",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_a_program_with_functions_is_the_written_out_one(name):
    text, written = (gradcli.loads(LEAVES + part) for part in WRITTEN_OUT[name])
    np.testing.assert_array_equal(text.eval("z")["z"], written.eval("z")["z"])
    for order in (1, 2):
        ours, theirs = (p.grad(["z"], ["x", "y", "v"], order=order) for p in (text, written))
        assert ours.keys() == theirs.keys()
        for x, g in ours.items():
            assert (g is None) == (theirs[x] is None), (order, x)
            if g is not None:
                np.testing.assert_allclose(g, theirs[x], rtol=1e-14, err_msg=f"order {order} of {x}")


ASKED = ["values of a block", "a closure as an argument", "taylor", "gradients in an inner function"]


@pytest.mark.parametrize("name", [name for name in WRITTEN_OUT if name != "taylor"])
def test_the_program_prints_and_parses_again(name):
    program = gradcli.loads(LEAVES + WRITTEN_OUT[name][0])
    printed = print_program(program.graph)
    again = gradcli.loads(printed)
    np.testing.assert_array_equal(again.eval(["z"])["z"], program.eval(["z"])["z"])
    assert print_program(again.graph) == printed and "def" not in printed
    assert isinstance(lint(program), list)


@pytest.mark.parametrize("name", ASKED)
def test_every_command_takes_such_programs(command_line, name):
    text = LEAVES + WRITTEN_OUT[name][0] + "\noutput z"
    numbers = json.loads(command_line("grad", "-e", text, "--format", "json").out)["gradients"]
    formulas = command_line("derive", "-e", text)
    values = json.loads(command_line("eval", "-", "--format", "json", stdin=formulas.out).out)["values"]
    assert values["dz_dx"]["value"] == pytest.approx(numbers["x"]["value"], rel=1e-12)
    for command in ("explain", "check", "graph"):
        done = command_line(command, "-e", text)
        assert (done.status, done.err) == (0, ""), command
    assert command_line("lint", "-e", text).err == ""


def test_a_trace_points_into_the_function(command_line):
    done = command_line(
        "grad",
        "-e",
        "def f(a) = { def g(b) = sqrt(b); g(a), a }\nvariable x = 0.0\np, q = f(x)",
        "--of",
        "p",
        "--trace",
    )
    assert "<-e>:1:25" in done.out + done.err


@pytest.mark.parametrize("number", range(3))
def test_a_program_that_is_printed_has_no_functions(number):
    name = ["a closure as an argument", "two values", "an array"][number]
    printed = print_program(gradcli.loads(LEAVES + WRITTEN_OUT[name][0]).graph)
    assert "def" not in printed
    assert print_program(gradcli.loads(printed).graph) == printed


# ---- what is wrong

TWO = "def two(a) = a, a*a\n"
AT = "def at(g, a) = g(a)\n"

WRONG = {
    "more names": (TWO + "a, b, c = two(1)", "TypeError", {"a, b, c": "3 names", "two(1)": "2 values"}, "write 2 names"),
    "fewer names": (TWO + "y = two(1)", "TypeError", {"y": "1 name", "two(1)": "2 values"}, "write 2 names"),
    "more names than entries": (
        "a, b, c = [1, 2]", "ShapeError", {"a, b, c": "3 names", "[1, 2]": "shape [2]"}, "write 2 names",
    ),
    "one name and a comma": ("a, = [1, 2]", "ShapeError", {"a": "1 name", "[1, 2]": "shape [2]"}, "write 2 names"),
    "an empty array": ("a, = zeros([0, 2])", "ShapeError", {"a": "1 name", "zeros([0, 2])": "shape [0, 2]"}, None),
    "a scalar": ("x = 1.0\na, b = x", "TypeError", {"a, b": "", "x": "one value"}, "write one name"),
    "None": (
        "variable x = [1.0]\na, = gradients(floor(x), x)", "ValueError",
        {"gradients(floor(x), x)": "", "floor(x)": "cut here"}, "unconnected_gradients",
    ),
    "values in a sum": (TWO + "y = two(1) + 1", "TypeError", {"two(1)": ""}, "`a, b = two(1)`"),
    "values in a list": (TWO + "y = [two(1)]", "TypeError", {"two(1)": ""}, "`a, b = two(1)`"),
    "values as an argument": (TWO + "def f(a) = a\ny = f(two(1))", "TypeError", {"two(1)": ""}, "`a, b = two(1)`"),
    "values in values": (
        TWO + "def f(a) = two(a), a\nb, c = f(1)", "TypeError", {"two(a)": "", "f(1)": "in this call"}, "`a, b = two(a)`",
    ),
    "one value in place of a list": (
        "y = stack(sin(1.0))", "TypeError", {"sin(1.0)": "this call gives one value"}, "`stack([a, b])`",
    ),
    "a list of ys only": (
        TWO + "variable x = 1.0\ny = gradients(x*x, x, grad_ys=two(x))", "TypeError", {"two(x)": "", "x*x": "ys"}, None,
    ),
    "fewer heads": (
        TWO + "variable x = 1.0\ny = gradients(two(x), x, grad_ys=[1.0])", "ValueError", {"[1.0]": ""}, None,
    ),
    "values of iterate": (
        TWO + "y = iterate(two, 1, 2)", "TypeError", {"two": "gives 2 values", "1": "1 state here"}, None,
    ),
    "values alone": ("1, 2", "SyntaxError", {"1, 2": ""}, "`def f(x) = a, b`"),
    "values as a value": ("y = 1, 2", "SyntaxError", {",": ""}, "no tuples"),
    "values in parentheses": ("def f(a) = (a, 2)", "SyntaxError", {",": "", "(": "opened here"}, "leave the parentheses"),
    "names in parentheses": ("(a, b) = f(1)", "SyntaxError", {",": "", "(": "opened here"}, "without brackets"),
    "a function as a value": (AT + "y = at", "TypeError", {"at": ""}, "`at(…)`"),
    "a function in a list": (AT + "y = [at, 1]", "TypeError", {"at": ""}, "`at(…)`"),
    "a function as an array": ("y = sum(sin)", "TypeError", {"sin": ""}, "`sin(…)`"),
    "a function among values": ("def f(a) = a, sin\nb, c = f(1)", "TypeError", {"sin": "", "f(1)": "in this call"}, "call it"),
    "a function from a function": (
        "def f(a) = { def g(b) = a*b; g }\ny = f(1)", "TypeError", {"g": "", "f(1)": "in this call"}, "`g(…)`",
    ),
    "a local for a function": (
        "def f(a) = { g = sin; g(a) }\ny = f(1.0)", "TypeError", {"sin": "", "f(1.0)": "in this call"}, "call it",
    ),
    "a parameter as an array": (
        "def f(g, a) = g*a\ny = f(sin, 1.0)", "TypeError",
        {"g": "it stands for `sin`", "f(sin, 1.0)": "in this call"}, "`g(…)`",
    ),
    "an array as a function": (AT + "y = at(2, 1)", "TypeError", {"g": "", "at(2, 1)": "in this call"}, "name of a function"),
    "an array for iterate": (
        "def f(g) = iterate(g, 1, 2)\ny = f(2)", "TypeError", {"g": "", "f(2)": "in this call"}, "iterate(f, x0, n)",
    ),
    "too many arguments": (
        AT + "def h(a) = a\ndef f(g) = g(1, 2)\ny = f(h)", "TypeError",
        {"2": "", "h": "defined here", "f(h)": "in this call"}, None,
    ),
    "a wrong word": (
        "def h(left) = left\ndef f(g) = g(leet=1)\ny = f(h)", "TypeError",
        {"leet": "", "h": "defined here", "f(h)": "in this call"}, "`left`",
    ),
    "no loop over words": ("y = iterate(gradients, 1.0, 2)", "TypeError", {"gradients": ""}, "def f(x)"),
    "an argument that is missing": ("y = iterate(reshape, [1.0], 2)", "TypeError", {"reshape": ""}, "def f(x)"),
    "itself": ("def f(g, a) = g(g, a)\ny = f(f, 1)", "NameError",
               {"g(g, a)": "", "f": "defined here", "f(f, 1)": "in this call"}, "iterate"),
    "itself by another": (
        "def h(k, a) = k(h2, a)\n".replace("h2", "sin") + "def f(g, a) = { def k(b, c) = g(g, c); h(k, a) }\ny = f(f, 1)",
        "NameError", {"g(g, c)": "", "f": "defined here", "h(k, a)": None, "k(sin, a)": "in this call", "f(f, 1)": "in this call"},
        "iterate",
    ),
    "itself in itself": (
        "def f(a) = { def g(b) = g(b); g(a) }\ny = f(1)", "NameError",
        {"g": "defined here", "g(a)": "in this call", "f(1)": "in this call"}, "iterate",
    ),
    "the function around": (
        "def f(a) = { def g(b) = f(b); g(a) }\ny = f(1)", "NameError",
        {"f": "defined here", "g(a)": "in this call", "f(1)": "in this call"}, "iterate",
    ),
    "new functions without end": (
        "def f(g, a) = { def h(k, b) = g(k, b); g(h, a) }\ndef start(k, a) = f(k, a)\ny = f(f, 1)", "NameError", None, "iterate",
    ),
    "a local below": (
        "def f(a) = { def g(b) = b*k; k = a; g(a) }\ny = f(1)", "NameError",
        {"k": "bound here", "g(a)": "in this call", "f(1)": "in this call"}, "move its definition above",
    ),
    "a local of another": (
        "def f(a) = { def g(b) = { c = b; c }; g(a) + c }\ny = f(1)", "NameError", {"c": "not known here", "f(1)": "in this call"},
        "bind it above",
    ),
    "a local twice": (
        "def f(a) = { b = a; def g(c) = { b = c; b }; g(a) }\ny = f(1)", "NameError",
        {"b": "first bound here", "g(a)": "in this call", "f(1)": "in this call"}, "choose another name",
    ),
    "a function twice": (
        "def f(a) = { def a(b) = b; a(1) }\ny = f(1)", "NameError", {"a": "first bound here", "f(1)": "in this call"}, "choose",
    ),
    "two parameters of a name": (
        "def f(a) = { def g(b, b) = b; g(a, a) }\ny = f(1)", "NameError", {"b": "the first", "f(1)": "in this call"}, None,
    ),
    "a shape": (
        "def f(a, b) = a @ b\ndef g(a) = f(a, a)\nx = [[1.0, 2.0]]\ny = 1 + g(x)", "ShapeError",
        {"a": "shape [1, 2]", "b": "shape [1, 2]", "f(a, a)": "in this call", "g(x)": "in this call"}, "transpose",
    ),
    "a declaration in a function": (
        "def f(a) = { def g(b) = { constant k = 1; k }; g(a) }\ny = f(1)", "SyntaxError",
        {"constant k = 1": "", "g(a)": "in this call", "f(1)": "in this call"}, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong(name):
    text, kind, labels, help = WRONG[name]
    with pytest.raises(GradcliError) as caught:
        gradcli.loads(text)
    error = caught.value
    assert error.kind == kind, error
    if labels is not None:
        assert {label.span.text: label.text for label in error.labels} == {
            k: v for k, v in labels.items() if v is not None
        }
    assert help is None or help in (error.help or ""), error


def test_the_error_about_a_call_names_the_innermost_and_the_outermost():
    text = "def f(a) = a @ a\ndef g(a) = f(a)\ndef h(a) = g(a)\ny = h([[1.0, 2.0]])"
    with pytest.raises(GradcliError) as caught:
        gradcli.loads(text)
    calls = [(label.span.text, label.span.line) for label in caught.value.labels if label.text == "in this call"]
    assert calls == [("f(a)", 2), ("h([[1.0, 2.0]])", 4)]
    assert caught.value.span is not None and caught.value.span.line == 1


# ---- names, lint, what is not needed


def test_an_unpacked_array_has_the_names_that_a_program_may_ask_for():
    program = gradcli.loads("variable x = 2.0\nP, P1, P2 = taylor(x^3, x, 2)")
    assert program.eval() == {"P": 8.0, "P1": 12.0, "P2": 12.0}
    assert program.grad() == {"x": 6.0}
    assert program.graph.span(program.graph.names["P1"]).text == "P1"


LINES = """\
def g(b) = sqrt(b)
def f(a) = { c = g(a)
    c + 1 }
variable x = 0.0
y = f(x)
z = 2*f(y) + g(y)
"""


@pytest.mark.parametrize("calls", ["", "\n".join(f"k{i} = f({i}*x)" for i in range(9))])
def test_a_node_tells_the_calls_that_made_it(calls, command_line):
    text = f"{LINES}{calls}"
    graph = gradcli.loads(text).graph
    told = {}
    for node in graph.places:
        labels = graph.labels(node)
        told.setdefault(labels[0].span.text, []).append([label.span.text for label in labels[1:]])
        assert {label.text for label in labels[1:]} <= {"in this call"}
    assert told["sqrt(b)"][:3] == [["g(a)", "f(x)"], ["g(a)", "f(y)"], ["g(y)"]]
    assert told["c + 1"][:4] == [["f(x)"], ["f(x)"], ["f(y)"], ["f(y)"]], "the number and the sum"
    assert told["2*f(y) + g(y)"] == [[]]
    if calls:
        assert told["sqrt(b)"][3][-1] == "f(0*x)"
        assert told["sqrt(b)"][-1] == ["f(8*x)"], "an instance has a call, and not those inside it"
    slope = gradcli.loads(text).graph
    assert slope.labels(slope.names["x"])[0].span.text == "variable x = 0.0"


def test_a_trace_and_an_explanation_tell_the_call(command_line):
    traced = command_line("grad", "-e", LINES, "--of", "y", "--trace", "--format", "json")
    found = json.loads(traced.out + traced.err)["trace"]
    assert (found["line"], found["call"]["line"]) == (1, 2)
    shown = command_line("explain", "-e", LINES, "--of", "y", "--format", "json").out
    steps = json.loads(shown)["explanations"]["x"]["contributions"][0]["shown"][0]["steps"]
    assert [(s["place"]["line"], s.get("call", {}).get("line")) for s in steps] == [(3, 5), (1, 2)]
    assert "line 1 via 5" in command_line("explain", "-e", LINES, "--of", "y", "--format", "plain").out


def test_an_error_of_a_run_tells_the_call(command_line):
    done = command_line("eval", "-e", "def f(a) = inv(a)\ny = f([[1.0, 2.0], [2.0, 4.0]])")
    assert done.status == 1
    assert "in this call" in done.err and "y = f(" in done.err


def test_unused_names_of_inner_functions_are_found():
    text = """
def f(a) = {
    def g(b, c) = { d = b; e = b; d }
    def h(b) = b
    def _k(b) = b
    g(a, a)
}
variable x = 1.0
y = f(x)
"""
    found = [(finding.code, finding.span.text) for finding in lint(gradcli.loads(text))]
    assert found == [("unused-parameter", "c"), ("unused-local", "e"), ("unused-function", "h")]


def test_formulas_in_inner_functions_have_better_spellings_where_names_are_what_they_seem():
    text = "def f(a) = { h = exp(a); def g(b) = log(1 + exp(b)); def k(a) = log(1 + h) + a; g(a) + k(a) }\n"
    found = [(f.code, f.span.text) for f in lint(gradcli.loads(text + "variable x = 1.0\ny = f(x)"))]
    assert found == [("softplus", "log(1 + exp(b))"), ("log1p", "log(1 + h)")]


def test_derivatives_in_inner_functions_are_left_out_where_nobody_asks():
    text = """
variable x = 1.0
def f(a) = { def g(b) = gradients(b, a); g(a*a) }
def two(a) = gradients(a^3, [a, x])
p = f(x)
q, r = two(x)
y = x*x
"""
    statements = parse(Source("", text)).statements
    kept = without_unasked(statements, (["y"], ()))
    assert [text[s.start : s.end].partition(" ")[0] for s in statements if s not in kept] == ["p", "q,"]


# ---- the entry point for those who apply a function themselves


def elaborator(text):
    """An elaborator that has read a program."""
    source = Source("test", text)
    e = Elaborator(source, {}, "", None, 0)
    for statement in parse(source).statements:
        execute(e, statement)
    return e


def test_a_function_is_applied_to_nodes():
    e = elaborator("variable x = 2.0\ndef f(a, b=3.0) = a*b, x\ndef g(k, a) = k(a)")
    x = e.program.names["x"]
    at = parse(Source("test", "here")).statements[0].value
    find = lambda name: e.top.find(name).value  # noqa: E731
    product, same = applied(e, find("f"), [x], at)
    assert (product.op.name, product.inputs[0], product.inputs[1].attrs["value"], same) == ("multiply", x, 3.0, x)
    (root,) = applied(e, find("g"), [e.operations["sqrt"], x], at)
    assert root.op.name == "sqrt" and root.inputs == (x,)
    (sine,) = applied(e, e.operations["sin"], [x], at)
    assert isinstance(sine, Node) and sine.op.name == "sin"
    check_takes(e, find("f"), 2, at)
    for function, count in (
        (find("f"), 3),
        (find("g"), 1),
        (e.operations["sin"], 2),
        (e.operations["where"], 2),
        (x, 1),
    ):
        with pytest.raises(GradcliError):
            check_takes(e, function, count, at)


def test_json_of_an_error_in_a_call(command_line):
    done = command_line("eval", "-e", "def f(a) = a @ a; y = f([[1.0, 2.0]])", "--format", "json")
    assert done.status == 1
    assert json.loads(done.err)["error"]["column"] == 12
