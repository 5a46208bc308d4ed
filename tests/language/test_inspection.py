"""What stands where in a program: names, calls and words of samples, and of texts that are not programs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcli.diagnostics import GradcliError, Source
from gradcli.language.builtin import CONSTANTS, OPERATIONS
from gradcli.language.inspection import Inspection
from tests.graph_form import form
from tests.random_programs import torn

FOLDER = Path(__file__).parents[2] / "samples"
TEXTS = [text for path in sorted(FOLDER.glob("*.expr")) if len(text := path.read_text()) < 2500]
TEXTS.append("""\
constant n = 2
def apply(g, v) = g(v)
def outer(a, b=n) = {
    def inner(c) = c*a + n
    h = inner(b)
    inner(h)
}
def cube(x) = x^3
tangent cube(x, dx) = 3*x^2*dx
variable x = [1.0, 2.0]
a, b, = [outer(x, b=1.5), outer(x)]
y = apply(cube, a) + cube(x=b)
def ln(sum) = sum + 1
z = ln(sum(x))
seed y = ones([2])
output y, z
""")


def inspected(text: str) -> Inspection:
    return Inspection(Source("t", text), FOLDER)


def with_names(inspection: Inspection, places: list[tuple[int, int]], name: str) -> str:
    text = inspection.source.text
    for start, end in sorted(places, reverse=True):
        text = text[:start] + name + text[end:]
    return text


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_name_is_known(text: str) -> None:
    inspection = inspected(text)
    assert inspection.errors == []
    unknown = {inspection.text(place) for place, found in inspection.uses.items() if found is None}
    assert unknown <= {*OPERATIONS, *CONSTANTS, "float32", "float64"}
    for definition in inspection.definitions:
        assert definition.place in inspection.references(definition)
        if definition.parent is None and definition.kind != "function":
            assert inspection.type_of(definition) is not None
    words = inspection.words()
    assert all(a.end <= b.start for a, b in pairwise(words))


@given(data=st.data())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_another_name_makes_the_same_graph(data: st.DataObject) -> None:
    inspection = inspected(data.draw(st.sampled_from(TEXTS)))
    definition = data.draw(st.sampled_from(inspection.definitions))
    taken = [d.name for d in inspection.definitions] + ["sum", "fresh_name", "pi"]
    name = data.draw(st.sampled_from(taken))
    try:
        places = inspection.renamed(definition, name)
    except GradcliError as error:
        assert "another thing" in error.message
        assert name != "fresh_name"
        return
    other = inspected(with_names(inspection, places, name))
    assert other.errors == []
    (names, nodes), (others, other_nodes) = form(inspection.graph), form(other.graph)
    moved = {name if key == definition.name and definition.parent is None else key: n for key, n in names.items()}
    if definition.name not in inspection.graph.leaves or definition.parent is not None:
        assert (others, other_nodes) == (moved, nodes)
    else:  # leaves are known by their names
        assert (list(others), len(other_nodes)) == (list(moved), len(nodes))


def test_names_in_scope() -> None:
    text = "variable x = 1.0\ndef f(a) = {\n    h = a\n    h\n}\ny = f(x)\nz = y\n"
    inspection = inspected(text)

    def known(at: str) -> list[str]:
        return [d.name for d in inspection.in_scope(text.index(at) + len(at))]

    assert known("    h\n") == ["h", "a", "x"]
    assert known("h = ") == ["a", "x"]
    assert known("z = ") == ["y", "f", "x"]
    f = inspection.definition_at(text.index("f(x)"))
    assert f is not None and inspection.heading(f) == "def f(a)"
    assert [d.name for d in inspection.outline(f)] == ["h"]
    (h,) = inspection.outline(f)
    assert inspection.type_of(h) is None  # it is x itself, and no node of its own


@pytest.mark.parametrize(
    ("text", "signature", "active"),
    [
        ("y = sum(", "sum(x, axis=None, keepdims=false, *, where=None)", "x"),
        ("y = sum([1, 2], ", "sum(x, axis=None, keepdims=false, *, where=None)", "axis=None"),
        ("y = sum([1, 2], keepdims=", "sum(x, axis=None, keepdims=false, *, where=None)", "keepdims=false"),
        ("y = sum(sin(1), cos(", "cos(x)", "x"),
        ("def f(a, b=2) = a\ny = (1 + f(1, [3, 4", "f(a, b=2)", "b=2"),
        ("y = einsum('ij', 1, 2, ", "einsum(equation, *operands)", "*operands"),
        ("y = var(1, ", "var(x, axis=None, keepdims=false, *, where=None)", "axis=None"),
    ],
)
def test_signature_of_a_call_that_is_being_written(text: str, signature: str, active: str) -> None:
    found = inspected(text).signature(len(text))
    assert found is not None
    assert (found.text, found.parameters[found.active]) == (signature, active)


@pytest.mark.parametrize(
    "text", ["", "y = ", "y = (1, ", "y = sum(1); ", "y = x[1, ", "def f(a) = { ", "x = 1\ny = x(", "(", ","]
)
def test_no_signature(text: str) -> None:
    assert inspected(text).signature(len(text)) is None


@given(torn(TEXTS))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_any_text_can_be_inspected(text: str) -> None:
    inspection = inspected(text)
    words = inspection.words()
    assert all(a.end <= b.start for a, b in pairwise(words))
    for at in range(0, len(text) + 1, max(1, len(text) // 20)):
        inspection.in_scope(at)
        inspection.signature(at)
        definition = inspection.definition_at(at)
        if definition is not None:
            assert inspection.heading(definition) and definition.place in inspection.references(definition)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("x = 1\ndef f(a, b=2*x) = {\n    h = a*b\n    k = h +@\n    k\n}\ny = f(x)", ["h", "b", "a", "x"]),
        ("x = 1\ndef f(a, b=2*x) = a*@", ["b", "a", "x"]),
        ("x = 1\ndef f(a) = {\n    h = a*@", ["a", "x"]),
        ("x = 1\ny = x*@\nz = y", ["x"]),
    ],
)
def test_names_while_a_line_is_written(text: str, known: list[str]) -> None:
    inspection = inspected(text.replace("@", ""))
    assert [d.name for d in inspection.in_scope(text.index("@"))] == known
    assert len(inspection.errors) == 1
