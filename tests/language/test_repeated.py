"""The quick ways of long texts, lines of known shapes and expressions of scalars, change no node, place or error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradcli
from gradcli.diagnostics import Source
from gradcli.graph.node import Node, cone
from gradcli.language import elaborate, parser, repeated, syntax
from gradcli.program import answers
from tests.random_programs import scalar_programs


def loaded(text: str, monkeypatch: pytest.MonkeyPatch, known: bool, **options: Any) -> Any:
    """What a text means: its nodes with their places, or its error."""
    monkeypatch.setattr(parser, "LONG", 0 if known else 1 << 60)
    monkeypatch.setattr(elaborate, "LONG", 0 if known else 1 << 60)
    try:
        graph = gradcli.loads(text, **options).graph
    except gradcli.GradcliError as error:
        return str(error), [(label.span.start, label.span.end, label.text) for label in error.labels]
    numbers: dict[Node, Any] = {}
    made: list[Any] = []
    for node in cone([value for value in graph.names.values() if isinstance(value, Node)]):
        attrs = sorted((name, repr(value)) for name, value in node.attrs.items())
        what = (node.op.name, attrs, node.dtype, node.shape, node.risky)
        if node.op.name == "literal":  # equal ones may be one node, which is nobody's concern
            numbers[node] = what
            continue
        span = graph.span(node)
        numbers[node] = len(made)
        made.append((*what, span and (span.start, span.end), [numbers[x] for x in node.inputs]))
    named = [(name, numbers[value] if isinstance(value, Node) else None) for name, value in graph.names.items()]
    return made, named, graph.definitions, graph.outputs


def count_known(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(parser, "LONG", 0)
    return len(gradcli.loads(text).graph.lines)


def assert_same(text: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    assert loaded(text, monkeypatch, True, **options) == loaded(text, monkeypatch, False, **options)


HEAD = "variable x = 1.5\nvariable z = 0.5\nvariable w = [1.0, 2.0]\nvariable n = 3\ndef f(a) = a*a\n"
BODIES = [
    "sin({a})*{c} + {b}/(1.5+{a}^2)", "-{a} - -{b}", "{a}^-{c}", "-{c}*{a}", "{c} - {a}", "{a} + pi", "{a}", "{c}",
    "{c} + {c}", "({a} + {b})*{c}", "f({a})", "f({a}) + {c}", "sum({a})", "{a} > {b}", "where({a} > {b}, {a}, {c})",
    "maximum({a}, {b})", "leaky_relu({a})", "log({a}) # a remark", "relu( {a} )", "atan2({a}, x={b})", "{a} {b}",
    "hypot({a} , {b})", "[{a}, {b}]", "sin({a}, {b})", "sinn({a})", "{a}.T", "{a}*true", "{a} @ {b}", "sin(sin({a}))",
    "exp2({a}) + log2({b})", "{a} + {c}e3", "{a} + 1_0.5", "{a} * 1e999", "{a} - - {c}", "({a})", "{a}+{b} ; u{i} = x",
    "gradients({a}, x)", "not {a}", "expm1({c})", "-(-{c}*{a})", "{c}*2*{a}", "-0.0*{a}", "pi*2/{c}*{a}", "{a}/0", "inf - {a}", "nan*{a} + -inf", "{c}^{c}*{a}", "sin({c})",
    "{a}**2", "2^{a}", "{a}^{c}", "clip({a}, 0.1, {c})",
]  # fmt: skip
NAMES = ["x", "z", "v0", "v1", "v2", "w", "n", "f", "and", "true", "unknown", "pi", "é", "sin"]


@st.composite
def similar_lines(draw: st.DrawFn) -> str:
    """Programs most of whose lines have been seen in other words, some of them wrong."""
    bodies = draw(st.lists(st.sampled_from(BODIES), min_size=1, max_size=3))
    right = st.sampled_from(["x", "z"])
    lines = []
    for i in range(draw(st.integers(4, 9))):
        names = right if i < 5 else st.sampled_from(NAMES)
        number = draw(st.sampled_from(["2", "0.5", "3", "0", "1e3", "99999999999999999999", ".5"]))
        body = draw(st.sampled_from(bodies)).format(a=draw(names), b=draw(names), c=number, i=i)
        target = draw(st.sampled_from([f"v{i}"] * 12 + ["x", "v0", "and", "sin", "é"])) if i > 4 else f"v{i}"
        lines.append(f"{target} = {body}")
        if draw(st.integers(0, 5)) == 0:
            lines.append(draw(st.sampled_from(["", "  ", "# remark", "output v0", "constant c = 2.0", "f2 = x"])))
    return HEAD + "\n".join(lines) + draw(st.sampled_from(["", "\n"]))


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True)
@given(similar_lines(), st.sampled_from([None, "float32"]))
def test_lines_in_other_words(text: str, dtype: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", "scalars")
        assert_same(text, patch, dtype=dtype)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True)
@given(similar_lines(), st.sampled_from([None, "float32"]))
def test_expressions_of_scalars(text: str, dtype: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", "repeated")
        assert_same(text, patch, dtype=dtype)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, derandomize=True)
@given(scalar_programs(statements=40))
def test_random_programs(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        assert_same(text, patch)


@pytest.mark.parametrize("body", ["sin({a})*0.5 + {a}/(1.5+{a}^2)", "-{a} + -2*{a}", "{a}^-1.5", "hypot({a}, 3)*{a}"])
def test_the_third_line_of_a_shape_is_not_parsed(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"v{i} = {body.format(a=f'v{i - 1}' if i else 'x')}" for i in range(20)]
    text = "\n".join(["variable x = 1.5", *lines, "output v19"])
    assert count_known(text, monkeypatch) == 18
    assert_same(text, monkeypatch)


@pytest.mark.parametrize(
    "text",
    [
        "def g(x) = {\n    a = x + 1\n    b = a + 1\n    c = b + 1\n    d = c + 1\n    d\n}\nvariable y = 2.0\nz = g(y)",
        "def g(x) = {\na = x + 1\nb = a + 1\nc = b + 1\nd = c + 1\nd\n}\nvariable y = 2.0\nz = g(y)",
        "variable x = 1.0\ny = (\na = x + 1\n)\nb = x + 1\nc = x + 1\nd = x + 1\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\ny = f(\nc = x + 1\n)\nd = x + 1\n",
        "variable x = 1.0\na = x + 1\r\nb = x + 1\r\nc = x + 1\r\nd = x + 1\r\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\nc = x + 1\nd = x + 1  \ne = x + 1\n\n\n  f = x + 1\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\nc = x + 1\nd = x + 1 # \x00\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\nc = x + 1\nd = x + 1 # what\ne = d + 1\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\nc = x + 1\nsin = x + 1\nd = sin + 1\n",
        "variable x = 1.0\na = sin(x)\nb = sin(x)\nc = sin(x)\ndef sin(x) = x*x\nd = sin(x)\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\nc = x + 1\nvariable w = a + 1\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\nc = x + 1\ndtype float32\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\nc = x + 1\nd = [c, c]\ne = d + a\nf = x + e\n",
        "variable x = 1.0\na = x + 1.5.2\nb = x + 1.5.2\nc = x + 1.5.2\n",
        "variable x = 1.0\na = x + 1\nb = x + 1\nc = x + 1\nseed = x + 1\noutput = x + 1\nseed c = 2\noutput c\n",
    ],
)
def test_places_of_lines(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same(text, monkeypatch)


def test_lines_are_trees_for_those_who_look(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(["variable x = 1.5", *[f"v{i} = sin(x)*{i}.5" for i in range(8)]])
    plain = parser.parse(Source("test", text)).statements
    monkeypatch.setattr(parser, "LONG", 0)
    statements = parser.parse(Source("test", text)).statements
    assert [isinstance(s, repeated.Repeated) for s in statements] == [False] * 3 + [True] * 5 + [False]
    for mine, other in zip(statements[1:], plain[1:], strict=True):
        assert isinstance(mine, syntax.Assignment) and isinstance(other, syntax.Assignment)
        assert (mine.start, mine.end, mine.targets, mine.value) == (other.start, other.end, other.targets, other.value)


def test_it_stops_looking_where_no_line_is_like_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "LONG", 0)
    monkeypatch.setattr(repeated, "PATIENCE", 10)
    different = [f"v{i} = x{' + x' * i}" for i in range(12)]
    alike = [f"w{i} = sin(x)" for i in range(12)]
    text = "\n".join(["variable x = 1.5", *different, *alike])
    assert not gradcli.loads(text).graph.lines
    assert gradcli.loads("\n".join(["variable x = 1.5", *alike])).graph.lines


def test_it_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(["variable x = 1.5", *[f"v{i} = sin(x)" for i in range(12)]])
    assert count_known(text, monkeypatch) > 5
    monkeypatch.setenv("GRADCLI_WITHOUT", "repeated")
    assert count_known(text, monkeypatch) == 0


def test_the_reason_for_none_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(["variable x = 1.5", *[f"v{i} = floor(x) + {i}.5" for i in range(9)], "output v7"])
    monkeypatch.setattr(parser, "LONG", 0)
    program = gradcli.loads(text)
    assert program.graph.lines
    (result,) = answers.gradients(program).orders[0][1]
    assert result.reason is not None
    assert result.reason.with_line() == "passes through floor on line 9, which has no derivative"
