"""What would pass the limits on operations and calls is refused before it is built."""

import pytest

from gradcli import loads
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import now
from gradcli.language.least import Least, of_function

LEVELS = 40


def doubling(first, next):
    functions = [f"def f0(x) = {first}", *[f"def f{k}(x) = {next.replace('f', f'f{k - 1}')}" for k in range(1, LEVELS)]]
    return "\n".join([*functions, "variable x = 1.0", f"y = f{LEVELS - 1}(x)"])


REFUSED = {
    "sums of calls": doubling("x + 1", "f(x) + f(x)"),
    "calls of calls": doubling("sin(x)", "f(f(x))"),
    "arguments": doubling("x^2", "maximum(f(x), f(2*x))"),
    "lists": doubling("-x", "sum([f(x), f(x)])"),
    "blocks": doubling("x*x", "{ a = f(x); a - f(a) }"),
    "no operation": doubling("x", "f(f(x))"),
    "indices": doubling("x + 1", "stack([f(x)])[0] + stack([f(x), x])[0]"),
    "a loop that grows": "def f(x) = concat([x, sin(cos(x[:1])) + x[:1]*x[:1] - exp(x[:1])], 0)\nvariable x = [1.0]\n"
    "y = iterate(f, x, 900_000)",
    "a loop that grows and whose operations the text does not tell": "def f(x) = softmax(concat([softmax(x)[1:], softmax(x)[:1], softmax(x)[:1]], 0))\n"
    "variable x = [1.0, 2.0]\ny = iterate(f, x, 900_000)",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_too_large_is_refused_at_once(name):
    start = now()
    with pytest.raises(GradcliError, match="or more") as caught:
        loads(REFUSED[name])
    assert caught.value.kind == "LimitError"
    assert "name" in caught.value.help
    assert caught.value.span is not None
    assert now() - start < 50_000


def test_counts_are_never_too_large(monkeypatch):
    text = """
def a(x) = 2*3*pi + x
def b(x, k=-2) = -a(x)*k + sin(x)
def c(pi) = { e2 = b(pi) - pi; iterate(b, e2, 3) + rank(pi) }
def d(x) = [x, x][0].T
variable x = 1.0
"""
    found = {}

    def kept(definition, *rest):
        return found.setdefault(definition.name.id, of_function(definition, *rest))

    monkeypatch.setattr("gradcli.language.least.of_function", kept)
    loads(f"{text}y = c(x)")
    assert found == {"a": Least(1, 1), "b": Least(2, 5), "c": Least(9, 22), "d": Least(1, 0)}
    for name, least in found.items():
        assert loads(f"{text}y = {name}(x)").graph.size >= least.operations


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("def f(x) = x\nvariable x = 2.0\ny = iterate(f, x, 1_000_000)", 2.0),
        ("def f(x) = x\ndef g(x) = f(f(f(x)))\nvariable x = 2.0\ny = iterate(g, x, 1_000_000)", 2.0),
        (
            "variable x = 2.0\nl = sum(square(x)*exp(x)) - x\ndef f(w) = w - 0*gradients(l, x)\ny = iterate(f, x, 40)",
            2.0,
        ),
    ],
)
def test_what_is_small_is_not_refused(text, value):
    assert float(loads(text).eval()["y"]) == value
