"""Calls that instantiate what an earlier reading made give the graph that reading each call gives, node for node."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

import gradcli
from gradcli import GradcliError
from gradcli.diagnostics import Source
from gradcli.graph.loops import Body
from gradcli.graph.node import Node, cone, now
from gradcli.graph.ops.ruled import Rule, System
from gradcli.language import functions, templates
from gradcli.language.elaborate import elaborate
from gradcli.language.parser import parse
from gradcli.language.values import Elaborated
from tests.engines.mixed import programs

LEAVES = """\
variable x = 2.0
variable w = 0.5
variable v = [1.0, 2.0, 3.0]
constant n = 2
"""


def graph(text: str) -> Elaborated:
    """A program as a graph in which loops call their functions again and again."""
    source = Source("test", text)
    return elaborate(parse(source), source, written_out=True)


def everything(program: Elaborated, roots: Iterable[Node]) -> list[Node]:
    """The nodes that roots are computed from, with those that derived ones were made for."""
    origin = program.derivation.origin
    nodes = cone(roots)
    while more := {origin[x] for x in nodes if x in origin}.difference(nodes):
        nodes = cone([*nodes, *more])
    return nodes


def assert_alike(a: Node, b: Node) -> None:
    """Two nodes do the same to their inputs."""
    assert (a.op, a.shape, a.dtype, a.risky) == (b.op, b.shape, b.dtype, b.risky)
    assert a.attrs.keys() == b.attrs.keys()
    for name, value in a.attrs.items():
        if isinstance(value, Body):
            assert_same_body(value, b.attrs[name])
        elif isinstance(value, Rule):
            assert (value.passes, value.itself is None) == (b.attrs[name].passes, b.attrs[name].itself is None)
        elif isinstance(value, System):
            assert (value.word, value.x.shape, value.tol) == (
                b.attrs[name].word,
                b.attrs[name].x.shape,
                b.attrs[name].tol,
            )
        else:
            assert repr(value) == repr(b.attrs[name])


def assert_same_body(ours: Body, theirs: Body) -> None:
    """The bodies of two loops are one graph; derived numbers in them may be older or younger than other nodes."""
    assert (ours.count, ours.backwards) == (theirs.count, theirs.backwards)
    twins = dict(zip(ours.parameters, theirs.parameters, strict=True))
    assert [x.shape for x in twins] == [x.shape for x in twins.values()]
    todo = list(zip((*ours.following, *ours.emitted), (*theirs.following, *theirs.emitted), strict=True))
    while todo:
        a, b = todo.pop()
        if a in twins:
            assert twins[a] is b
            continue
        twins[a] = b
        assert_alike(a, b)
        todo += zip(a.inputs, b.inputs, strict=True)


def assert_same(ours: Elaborated, theirs: Elaborated) -> None:
    """Two elaborated programs are one graph: operations, inputs, order, places, names and what derived nodes serve."""
    assert list(ours.names) == list(theirs.names)
    assert (ours.size, len(ours.places)) == (theirs.size, len(theirs.places))
    roots = [[x for x in p.names.values() if isinstance(x, Node)] for p in (ours, theirs)]
    first, second = (everything(p, [*r, *p.places]) for p, r in zip((ours, theirs), roots, strict=True))
    assert len(first) == len(second)
    twins: dict[Node, Node] = {}
    for a, b in zip(first, second, strict=True):
        assert_alike(a, b)
        assert [twins[x] for x in a.inputs] == list(b.inputs)
        assert ours.places.get(a) == theirs.places.get(b)
        twins[a] = b
        origin = ours.derivation.origin.get(a)
        assert theirs.derivation.origin.get(twins[a]) is (twins[origin] if origin is not None else None)
    for name, a in ours.names.items():
        b = theirs.names[name]
        if isinstance(a, Node):
            assert twins[a] is b
        else:
            assert not isinstance(b, Node) and a.reason().with_line() == b.reason().with_line()


def lines(*forms: str, count: int = 8) -> str:
    return "\n".join(form.format(i=i, m=i % 3) for i in range(count) for form in forms)


PROGRAMS = {
    "operations": ("def f(a, b) = where(a > b, a*b, exp(-a) + b/3)", "y{i} = f(sin({i}.0*v), w)", "z{i} = f(w, y{i})"),
    "a loop": ("def f(a) = sin(a)*w + 1\ny = iterate(f, v, 20)", "z{i} = iterate(f, x, {i})"),
    "a loop with a default": ("def f(a, k=0.5, u=w) = a*k + u\ny = iterate(f, v, 20)",),
    "literals": ("def f(a, b=2.5) = a^b", "y{i} = f(v*{i})", "z{i} = f(v, {m})", "u{i} = f(v, {m}.5)", "t{i} = f(v, -0.0)"),
    "many numbers": (
        "def f(a, b, c=1.5) = a*b + c/b",
        "y{i} = f({i}.5, w)", "z{i} = f(v, {i})", "u{i} = f(v, w, -{i}.25)", "t{i} = f(v, 1e400, {i}.0)", "s{i} = f({i}, {i}, {i})",
    ),
    "many numbers that matter": (
        "def f(a, b) = a^b\ndef g(a, b) = quantile(a, b) + pad(a, [[1, 1]], b)[0]\ndef h(a, b) = a[b] + sum(ones([b + 1]))\n"
        "def d(a, b) = gradients(a^b*b, a)\ndef k(a, b) = a[[0, 1]]*b + sum(a, b)",
        "y{i} = f(v, {i}.5)", "z{i} = f(v, {i})", "u{i} = g(v, 0.{i})", "t{i} = h(v, {m})", "s{i} = d(v, {i}.0)", "r{i} = f({i}, {i})",
        "k{i} = k(v, -1)",
    ),
    "integers": ("def f(a, b) = a/b + a*3", "y{i} = f({i}, {m} + 1)", "z{i} = f(v, {i})", "u{i} = f(n, n)"),
    "dtypes": ("def f(a, b) = a*b + 1.5", "y{i} = f(cast(v, float32), w)", "z{i} = f(cast(x, int32), {m})", "u{i} = f(v > {i}, x)"),
    "loops in functions": (
        "def g(a) = sin(a)*w\ndef f(a) = iterate(g, a, 20)\ndef h(a, b) = { def s(c) = c*b; iterate(s, a, 12) }\n"
        "def k(a) = { def s(c, r) = c*r + a[0]; p = scan(s, a, 0.5); map(sin, a)*p }",
        "y{i} = f(v*{i})", "z{i} = h(v, w)", "u{i} = h(x, {i}.5)", "t{i} = k(v*{i})", "s{i} = iterate(f, v, 10)",
    ),
    "derivatives in loops in functions": (
        "def f(a) = { y = a^3 - w; a - y/gradients(y, a) }\ndef g(a) = iterate(f, a, 15)\n"
        "def h(a) = { y = g(a); gradients(y, a) }\ndef d(a, b) = gradients(a*b*a, a)\n"
        "def k(a) = { def s(c) = c + d(c, w) + d(c, c); iterate(s, a, 9) }",
        "y{i} = g(v*{i})", "z{i} = h(v + {i})", "u{i} = k(v*{i})",
    ),
    "shapes": ("def f(a) = concat([a, a[:1]], 0)\ny = iterate(f, v, 7)", "z{i} = f(v*{i})", "u{i} = f(z{i})"),
    "several values": ("def f(a, b) = a*b, a + b, b", "p{i}, q{i}, r{i} = f(v*{i}, x)", "s{i} = stack(f(q{i}, p{i}))"),
    "no operation": ("def f(a, b) = b\ndef g(a) = w", "y{i} = f(v, x*{i})", "z{i} = g(v)"),
    "what is not used": ("def f(a) = { b = exp(a); c = a*b; a + 1 }", "y{i} = f(v*{i})"),
    "blocks": ("def f(a) = { b, c, d = a; e = b*c; [d, e, 1.0] }", "y{i} = f(v*{i})", "z{i} = f(y{i})"),
    "functions as arguments": (
        "def at(g, b) = g(b)*g(g(b))\ndef h(a) = a*w + 1\ndef k(a) = at(h, a)",
        "y{i} = at(h, v*{i})", "z{i} = at(sin, y{i})", "u{i} = at(k, z{i})",
    ),
    "closures": ("def f(a) = { b = a*a; def g(c) = c*b + a; g(g(g(g(g(a))))) }", "y{i} = f(v*{i})"),
    "closures as arguments": (
        "def twice(g, a) = g(g(a))\ndef f(a) = { def g(b) = b*a + 1; twice(g, w) + twice(g, x) }\n"
        "def h(a) = f(a)*random_normal([])",
        "y{i} = h(v*{i})", "z{i} = h(x*{i})",
    ),
    "global names": ("def f(a) = a*w\ndef g(a) = f(a) + f(w)", "y{i} = f(v)", "z{i} = f(w)", "u{i} = g(w)", "t{i} = g(x)"),
    "constants as sizes": (
        "def f(a, k) = a[k] + sum(ones([k + 1])) + sum(a[:k])", "y{i} = f(v, n)", "z{i} = f(v, {m})", "u{i} = f(v, n - 1)",
    ),
    "constants as indices": (
        "def f(a, k) = a[k]", "y{i} = f(v, n)", "z{i} = f(v, {m})", "u{i} = f(v, n - 1)", "t{i} = f(v, [{m}, 0])",
        "s{i} = f(v, cast(x, int64))",
    ),
    "counts": ("def g(a, k) = iterate(sin, a, k)\ndef f(a) = g(a, 3)", "y{i} = f(v*{i})", "z{i} = g(v, {m})", "u{i} = g(v, n)"),
    "random numbers": (
        "def f(a) = a + random_normal([3])\ndef g(a) = { u = random_uniform([2]); a }\ndef h(a) = a + random_normal([3], seed=1)",
        "y{i} = f(v)", "z{i} = g(v)", "u{i} = h(v)", "t{i} = random_normal([])",
    ),
    "shares": ("def q(a, k) = quantile(a, k) + pad(a, [[1, 1]], k)[0]", "y{i} = q(v*{i}, 0.5)", "z{i} = q(1/v, w)", "u{i} = q(v, 0.0)"),
    "NaN": ("def q(a) = median(a)*sqrt(a)", "y{i} = q(v)", "z{i} = q(1/v)", "u{i} = q(y{i})"),
    "Newton": ("def f(a) = a^3 - w\ndef step(a) = { y = f(a); a - y/gradients(y, a) }\nroot = iterate(step, x, 9)",),
    "a derivative": ("def f(a, b) = gradients(a*b*a, a)", "y{i} = f(sin({i}.0*v), w)", "z{i} = f(v, y{i})", "u{i} = f(v, v)"),
    "a derivative by a global name": (
        "h = x*w\ndef f(a) = gradients(a*h, h)*a", "y{i} = f(sin({i}.0*w))", "z{i} = f(h*{i})", "u{i} = f(h)",
    ),
    "a derivative through an argument": ("def f(a) = gradients(a*x, x)", "y{i} = f(sin({i}.0*x))", "z{i} = f(x)", "u{i} = f(w)"),
    "a derivative by a captured name": (
        "def f(a) = { def g(b) = gradients(b*a, a)\n g(w) + g(w) + g(w) + g(w) + g(a*a) + g(sin(a)) + g(a) }", "y{i} = f(v*{i})",
    ),
    "derivatives in calls": (
        "def d(a, b) = gradients(a*b*a, a)\ndef f(a, b) = d(a, b) + d(a, sin(b)) + d(a, b*b) + d(b, b) + d(b*b, b)",
        "y{i} = f(sin({i}.0*v), v*w)", "z{i} = f(v, y{i})", "u{i} = f(v, v)",
    ),
    "higher derivatives": (
        "def d(a) = { y = sin(a)*a^3; g = gradients(y, a); gradients(g, a) + taylor(y, a, 3)[2] + jvp(y, a, 1.0) }",
        "y{i} = d(sin({i}.0*x))", "z{i} = d(y{i})",
    ),
    "matrices of derivatives": (
        "def d(a) = { y = sum(sin(a)*a^3)\n sum(hessian(y, a)) + sum(hvp(y, a, ones_like(a))) + sum(jacobian(a*a*w, a)) }",
        "y{i} = d(v*{i})",
    ),
    "heads": ("def d(a, h) = gradients(a*a*w, a, grad_ys=h)", "y{i} = d(v*{i}, v)", "z{i} = d(v, y{i})"),
    "stops": ("s = x*w\ndef d(a) = gradients(a*s, [a, s], stop_gradients=s)", "p{i}, q{i} = d(x*{i})", "r{i}, t{i} = d(s)"),
    "None": (
        "def d(a, b) = gradients(b*b, a)\ndef e(a, b) = gradients(floor(b), a, unconnected_gradients=\"zero\")",
        "y{i} = d(v*{i}, v)", "z{i} = e(v*{i}, w)", "u{i} = d(v, v)",
    ),
    "what is not selected": ("def d(a) = gradients(where(a > 0, log(a), 0), a)", "y{i} = d(v*{i})", "z{i} = d(1/y{i})"),
    "powers": (
        "def d(a, p) = gradients(a^p, a)\ndef t(a, p) = taylor(a^p, a, 2)", "y{i} = d(v, [2.0, 3.0, 1.0])", "z{i} = d(v, {m}.0)",
        "u{i} = t(v, [{i}.0, 2.0, 0.0])", "s{i} = t(v, 2.0*w)", "r{i} = d({i}, n)", "k{i} = d({i}, cast(x, int64))",
    ),
    "float32, and float64 for a value": (
        "def f(a) = a/3 + sum(ones([2]))", "variable q{i}: float64 = f(n)", "z{i} = f(n)", "variable r{i}: float64 = f(n)",
    ),
    "float32": ("def f(a, b=2.5) = a*b + w/3", "y{i} = f(v)", "z{i} = f({i}, {m}.5)"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_graph_is_the_same(name, monkeypatch):
    head, *forms = PROGRAMS[name]
    text = ("dtype float32\n" if name.startswith("float32") else "") + f"{LEAVES}{head}\n{lines(*forms)}"
    ours = graph(text)
    monkeypatch.setenv("GRADCLI_WITHOUT", "templates")
    assert_same(ours, graph(text))


@pytest.mark.parametrize("seed", range(12))
def test_the_graph_of_a_random_program_is_the_same(seed, monkeypatch):
    """Each statement of a random program as a function of the names in it, called again and again."""
    program = next(programs(range(seed, seed + 1)))
    names = list(program.names)
    text = program.text
    calls = []
    for i, line in enumerate(program.lines):
        name, _, value = line.partition(" = ")
        if name in names and name[0] == "n" and "," not in name:
            used = [
                other for other in names if other in value.replace("(", " ").replace(")", " ").replace(",", " ").split()
            ]
            calls.append(f"def f{i}({', '.join(used)}) = {value}")
            calls += [f"c{i}_{k} = f{i}({', '.join(used)})" for k in range(5)]
    text += "\n".join(calls)
    ours = graph(text)
    monkeypatch.setenv("GRADCLI_WITHOUT", "templates")
    assert_same(ours, graph(text))


def readings(text, monkeypatch):
    """How often the bodies of a program's functions are read, and how many nodes it has."""
    count = 0
    original = functions.read_body

    def counted(*arguments):
        nonlocal count
        count += 1
        original(*arguments)

    monkeypatch.setattr(functions, "read_body", counted)
    size = graph(text).size
    return count, size


def test_a_function_is_read_a_few_times_only(monkeypatch):
    text = LEAVES + "def f(a, b) = a*b + sin(a)\n" + lines("y{i} = f(v*{i}, w)", "z{i} = f(x, y{i})", count=500)
    count, size = readings(text, monkeypatch)
    assert count <= 8
    assert size == 8 + 500 * 8


@pytest.mark.parametrize(
    "text",
    [
        "def f(a) = sin(a)*w\ny = iterate(f, v, 1000)",
        "def f(a) = { y = a^3 - w; a - y/gradients(y, a) }\ny = iterate(f, x, 1000)",
        "def f(a, b) = a*b + sin(b*a)\n" + lines("y{i} = f(v, {i}.5)\nz{i} = f({i}.25, w)", count=300),
        "def f(a, k) = a[k]*a\n" + lines("y{i} = f(v*{i}, 1)\nz{i} = f(v, n)", count=300),
        "def f(g, a) = g(a)*g(2*a)\ndef h(a) = a + w\n" + lines("y{i} = f(h, v*{i})\nz{i} = f(sin, v)", count=300),
    ],
)  # fmt: skip
def test_loops_and_derivatives_are_read_a_few_times_only(text, monkeypatch):
    assert readings(LEAVES + text, monkeypatch)[0] <= 30


def test_what_cannot_be_instantiated_is_tried_a_few_times_only(monkeypatch):
    """A reading for stand-ins that fails costs as much as one that does not."""
    drawn = "def f(a, b) = a*b + random_normal([3])\n" + lines(
        "y{i} = f(v, {m})\nz{i} = f(v, {i}.5)\nu{i} = f(v*{i}, y{i})", count=200
    )
    assert readings(LEAVES + drawn, monkeypatch)[0] <= 600 + 10


def test_calls_that_double_are_instantiated(monkeypatch):
    levels = [f"def f{k}(a) = f{k - 1}(a)*f{k - 1}(a)" for k in range(1, 14)]
    count, size = readings("\n".join(["def f0(a) = a + 1", *levels, "variable x = 2.0", "y = f13(x)"]), monkeypatch)
    assert size == 2 + 2 * 2**13 + (2**13 - 1)
    assert count < 200


def test_deep_calls_are_read_without_recursion():
    levels = [f"def f{k}(a) = sin(f{k - 1}(a))" for k in range(1, 3000)]
    program = graph("\n".join(["def f0(a) = a + 1", *levels, LEAVES, lines("y{i} = f2999(x*{i})", count=5)]))
    assert program.size > 5 * 3000


@pytest.mark.parametrize("levels", [20, 40])
def test_the_limit_on_operations_is_checked_before_anything_is_instantiated(levels, monkeypatch):
    """Functions given as arguments hide how much they make from the text."""
    monkeypatch.setattr("gradcli.language.elaborate.NODE_LIMIT", 50_000)
    text = "def twice(g, a) = g(g(a))\ndef f0(a) = sin(a) + w\n" + "\n".join(
        f"def f{k}(a) = twice(f{k - 1}, a)" for k in range(1, levels)
    )
    start = now()
    with pytest.raises(GradcliError, match="operations or more") as caught:
        graph(f"{LEAVES}{text}\ny = f{levels - 1}(x)")
    assert caught.value.kind == "LimitError"
    assert "name" in (caught.value.help or "")
    assert now() - start < 250_000


def test_an_error_in_a_later_call_is_that_of_its_own_reading(monkeypatch):
    text = LEAVES + "def f(a, k) = a[k]\n" + lines("y{i} = f(v, {m})") + "\nz = f(v, 3)"
    messages = []
    for without in ("", "templates"):
        monkeypatch.setenv("GRADCLI_WITHOUT", without)
        with pytest.raises(GradcliError) as caught:
            graph(text)
        messages.append((str(caught.value), [(label.span.text, label.text) for label in caught.value.labels]))
    assert messages[0] == messages[1]
    assert "index 3 is out of range" in messages[0][0]
    assert ("f(v, 3)", "in this call") in messages[0][1]


def test_values_and_gradients_of_every_call_are_its_own():
    text = (
        LEAVES
        + "def f(a, b) = a*b + sin(a)\n"
        + lines("y{i} = f({i}.0*x, w)")
        + "\ny = stack(["
        + ", ".join(f"y{i}" for i in range(8))
        + "])"
    )
    program = gradcli.loads(text)
    values = program.eval(["y"])["y"]
    at = np.arange(8) * 2.0
    np.testing.assert_allclose(values, at * 0.5 + np.sin(at))
    for i in range(8):
        assert program.grad([f"y{i}"], ["x"])["x"] == pytest.approx(i * (0.5 + np.cos(2.0 * i)))


def test_derivatives_through_earlier_steps_of_a_loop_in_a_function(monkeypatch):
    """Such a loop is written out; its derivatives and those of its calls are the same however they are made."""
    text = (
        LEAVES
        + "def d(a, b) = gradients(a*b*a, a)\n"
        + ("def k(a) = { def s(c) = c/4 + d(c, w)/8 + d(c, a)/8 + d(w, c)/8 + d(c, c)/9; iterate(s, a, 3) }\n")
        + lines("u{i} = k(x/({i} + 1))", count=6)
        + "\ny = u0 + u5"
    )
    monkeypatch.setattr(functions, "FEW", 0)
    ours = gradcli.loads(text)
    monkeypatch.setenv("GRADCLI_WITHOUT", "templates")
    theirs = gradcli.loads(text)
    np.testing.assert_allclose(ours.eval(["y"])["y"], theirs.eval(["y"])["y"], rtol=1e-12)
    ours, theirs = (p.grad(["y"], ["x", "w"]) for p in (ours, theirs))
    np.testing.assert_allclose([ours[n] for n in "xw"], [theirs[n] for n in "xw"], rtol=1e-9)


def test_nothing_is_left_of_a_reading():
    program = graph(LEAVES + "def f(a) = { y = a*a; gradients(y, a)*w }\n" + lines("y{i} = f(v*{i})"))
    nodes = [*program.places, *program.derivation.nodes.values(), *program.derivation.origin]
    assert not [x for x in cone(nodes) if x.op.name == "leaf" and x.attrs["kind"] == "argument"]
    assert templates.Reading.__doc__
