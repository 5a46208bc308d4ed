"""Drawings of programs: readable by parsers of their formats, all saying the same, and golden trees of the samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from lark.exceptions import UnexpectedInput

import gradcli
from gradcli.features.graph import look as graphs
from gradcli.features.graph import trees
from gradcli.features.graph.answer import Arrow, Box, Cluster, Picture, picture
from tests.features.flowcharts import Drawing, read_dot, read_mermaid
from tests.quickly import some
from tests.random_programs import programs

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.expr"))
TREES = Path(__file__).parent / "trees"


def drawn(text, **options):
    return picture(gradcli.loads(text), **options)


def tree(text, **options):
    return trees.render_tree(drawn(text, **options))


def expected(shown: Picture) -> Drawing:
    """What a reader of a drawing should find in it."""
    labels = {
        f"n{i}": "\n".join(filter(None, [graphs.heading(box), graphs.details(box)]))
        for i, box in enumerate(shown.boxes)
    }
    edges = {(f"n{a.source}", f"n{a.target}", bool(a.cut)) for a in shown.arrows}
    return Drawing(labels, edges, sorted(cluster.title for cluster in shown.clusters))


def assert_formats_agree(shown: Picture) -> None:
    for found in (read_dot(graphs.render_dot(shown, "a.expr")), read_mermaid(graphs.render_mermaid(shown, "a.expr"))):
        assert found._replace(clusters=sorted(found.clusters)) == expected(shown)
    record = json.loads(graphs.render_json(shown, "a.expr"))
    assert [node["id"] for node in record["nodes"]] == list(range(len(shown.boxes)))
    assert [(e["from"], e["to"], bool(e["cut"])) for e in record["edges"]] == [
        (a.source, a.target, bool(a.cut)) for a in shown.arrows
    ]
    assert [cluster["title"] for cluster in record["clusters"]] == [cluster.title for cluster in shown.clusters]


def assert_sound(shown: Picture) -> None:
    """Arrows lead down, and the tree names every box."""
    assert all(arrow.source < arrow.target for arrow in shown.arrows)
    text = trees.render_tree(shown)
    for box in shown.boxes:
        assert (box.names[0] if box.names else box.text) in text


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
def test_trees_of_the_samples(sample, request):
    actual = trees.render_tree(picture(gradcli.load(sample)))
    golden = TREES / f"{sample.stem}.txt"
    if request.config.getoption("--refresh-golden"):
        golden.write_text(actual, encoding="utf-8")
    assert actual == golden.read_text(encoding="utf-8")


def test_no_tree_without_its_sample():
    assert {path.stem for path in TREES.glob("*.txt")} == {sample.stem for sample in SAMPLES}


@pytest.mark.slow
@pytest.mark.parametrize("depth", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sample", some(SAMPLES), ids=[sample.stem for sample in SAMPLES])
def test_every_format_says_the_same_of_a_sample(sample, depth):
    program = gradcli.load(sample)
    shown = picture(program, depth=depth)
    assert_formats_agree(shown)
    assert_sound(shown)
    if program.variables:
        # An output that is None cannot be differentiated.
        of = ["estimated"] if sample.stem == "straight_through" else None
        shown = picture(program, of, gradient=["*"], depth=depth)
        assert_formats_agree(shown)
        assert_sound(shown)
        assert [cluster.title for cluster in shown.clusters[:2]] == ["forward", "backward"]


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(programs(smooth=False))
def test_random_programs(text):
    program = gradcli.loads(text)
    for most in (200, 3):
        shown = picture(program, gradient=program.variables, most=most)
        assert_formats_agree(shown)
    assert_sound(picture(program))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ['"quoted"', "back\\slash \\n \\N", "<b>html</b> &amp; & #35; #quot;", "é 中 ∑ 🙂", "a|b{c}[d](e)", "`code` **bold**",
     "end", "--> %% ::: ;", "\x1b[31m\x00", "x\u202ey", "%%{init}%% %%"],
)  # fmt: skip
def test_any_text_may_stand_in_a_box(text):
    shown = Picture(
        [Box("operation", [], text, (2,), "float64"), Box("call", ["y"], text)],
        [Arrow(0, 1, "")],
        [Cluster(text, None)],
    )
    shown.boxes[1].cluster = 0
    safe = text.translate({0x1B: "␛", 0: "␀", 0x202E: "\ufffd"})
    for found in (read_dot(graphs.render_dot(shown, text)), read_mermaid(graphs.render_mermaid(shown, text))):
        assert found.nodes == {"n0": f"{safe}\n[2] float64", "n1": f"y = {safe}"}
        assert found.clusters == [safe]
    assert safe in trees.render_tree(shown)


@pytest.mark.parametrize(
    "wrong",
    ["graph\n", 'flowchart TD\nend["a"]:::b\n', 'flowchart TD\nn0["a "b""]:::c\n', 'flowchart TD\nn0["<b>"]:::c\n',
     "flowchart TD\nn0 -> n1\n", "flowchart TD\nclassDef call fill:#fff\n", 'flowchart TD\nsubgraph c["a"]\n'],
)  # fmt: skip
def test_the_reader_of_flowcharts_is_strict(wrong):
    with pytest.raises(UnexpectedInput):
        read_mermaid(wrong)


def test_what_is_used_twice_is_drawn_once():
    assert tree("variable x = 2.0; h = sin(x)*x; y = h + cos(h)").splitlines() == [
        "y = h + ·            [] float64",
        "├─ h = · * x         [] float64",
        "│  ├─ sin(x)         [] float64",
        "│  │  └─ variable x  [] float64",
        "│  └─ x ↑",
        "└─ cos(h)            [] float64",
        "   └─ h ↑",
    ]


def test_what_has_no_name_and_is_used_twice_gets_a_number():
    assert tree("def f(u) = u*exp(u)\nvariable x = 2.0; y = f(sin(x))", depth=1).splitlines() == [
        "y = · * ·         [] float64",
        "├─ #1 = sin(x)    [] float64",
        "│  └─ variable x  [] float64",
        "└─ exp(·)         [] float64",
        "   └─ #1 ↑",
    ]


def test_deep_trees_go_on_at_the_margin():
    text = tree("variable x = 2.0; y = " + "sin(" * 40 + "x" + ")" * 40, most=100)
    assert "↓" in text
    assert max(line.index(line.strip()[0]) for line in text.splitlines()) < 60
    assert text.count("sin(") == 40


def cuts(shown):
    return {
        (graphs.heading(shown.boxes[a.source]), graphs.heading(shown.boxes[a.target]), a.cut)
        for a in shown.arrows
        if a.cut
    }


def test_what_no_gradient_passes_is_dashed():
    shown = drawn("variable x = [1.0, 2.0]; a = stop_gradient(x); y = where(x > 1, a, floor(x)) + exp(x)")
    assert cuts(shown) == {
        ("variable x", "a = stop_gradient(x)", "stop_gradient"),
        ("variable x", "x > 1", "greater"),
        ("x > 1", "where(·, a, ·)", "where"),
        ("variable x", "floor(x)", "floor"),
    }


def test_a_stop_is_dashed():
    text = "variable x = 3.0; h = x^2; y = h*x"
    assert cuts(drawn(text)) == set()
    assert cuts(drawn(text, stop=["h"])) == {("variable x", "h = x^2", "the stop")}
    stopped = drawn(text, gradient=["x"], stop=["h"])
    assert len(stopped.boxes) < len(drawn(text, gradient=["x"]).boxes)


CALLS = """
def inner(u) = tanh(u) + 1
def outer(u) = { v = inner(2*u); inner(v)*v }
variable x = 0.5
y = outer(x)
z = iterate(inner, y, 3)
g = gradients(z, x)
"""


def test_calls_are_folded():
    shown = drawn(CALLS)
    assert [graphs.heading(box) for box in shown.boxes] == [
        "variable x", "y = outer(x)", "z = iterate(inner, y, 3)", "g = gradients(z, x)",
    ]  # fmt: skip
    assert [box.operations for box in shown.boxes[:3]] == [1, 6, 6]
    assert shown.clusters == []


def test_calls_are_opened_level_by_level():
    shown = drawn(CALLS, of=["z"], depth=1)
    headings = [graphs.heading(box) for box in shown.boxes]
    assert [c.title for c in shown.clusters] == ["outer(x)", "iterate(inner, y, 3)"]
    assert headings == [
        "variable x", "2 * x", "inner(2*u)", "inner(v)", "y = · * ·", "inner(…)", "inner(…)", "z = inner(…)",
    ]  # fmt: skip
    shown = drawn(CALLS, of=["y"], depth=2)
    assert [(c.title, c.parent) for c in shown.clusters] == [("outer(x)", None), ("inner(2*u)", 0), ("inner(v)", 0)]
    assert all(box.kind != "call" for box in shown.boxes)


def test_the_calls_do_not_change_the_program():
    program = gradcli.loads(CALLS)
    before = program.eval()
    picture(program)
    assert program.eval() == before


def test_none_is_drawn_with_its_reason():
    shown = drawn("variable x = 1.0; variable w = 2.0; y = stop_gradient(x)*w", gradient=["x", "w"])
    assert [graphs.heading(box) for box in shown.boxes if box.kind == "none"] == [
        "dy/dx = None: cut by stop_gradient(x) on line 1"
    ]
    assert any("dy/dw" in box.names and box.result for box in shown.boxes)
    shown = drawn("variable x = 1.0; g = gradients(floor(x), x)")
    assert "g = None: passes through floor on line 1, which has no derivative" in trees.render_tree(shown)


def test_values_of_the_forward_pass_lead_into_the_backward_pass():
    shown = drawn("variable x = 1.0; variable w = 2.0; h = w*x; y = sin(h)", gradient=["w"])
    first = shown.backward
    crossing = {graphs.heading(shown.boxes[a.source]) for a in shown.arrows if a.source < first <= a.target}
    assert crossing == {"h = w * x", "variable x"}
    assert not any(a.target < first <= a.source for a in shown.arrows)


LARGE = {
    "named": "variable x = 0.5\na0 = x*x\n" + "".join(f"a{i + 1} = sin(a{i})*x\n" for i in range(4000)),
    "unnamed": "variable x = 0.5\ny = " + " + ".join(["sin(x)"] * 5000),
    "leaves": "".join(f"variable x{i} = 0.5\n" for i in range(3000)) + "y = x0" + "".join(f"+x{i}*x{i}" for i in range(1, 3000)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", some(LARGE, 4))
def test_large_programs_are_summarised(name):
    program = gradcli.loads(LARGE[name])
    whole = picture(program, depth=9, most=1_000_000)
    assert whole.note == ""
    for most in (2, 20, 200):
        shown = picture(program, depth=9, most=most)
        assert len(shown.boxes) <= most
        assert "--most" in shown.note
        assert all(arrow.source < arrow.target for arrow in shown.arrows)
        assert sum(box.operations for box in shown.boxes) == len(whole.boxes) >= 8000
    shown = picture(program, gradient=["x*"], most=20)
    assert len(shown.boxes) <= 20
    assert shown.backward


def test_a_statement_is_summarised_by_its_text():
    shown = drawn("variable x = 2.0; h = sin(x)*cos(x) + 1; y = h^2 + h", most=3)
    assert [(box.names, box.text, box.operations) for box in shown.boxes] == [
        (["x"], "variable", 1), (["h"], "sin(x)*cos(x) + 1", 4), (["y"], "h^2 + h", 2),
    ]  # fmt: skip
    assert shown.note == "7 boxes, summarised by statement: --most 7 shows them"


def test_without_unicode():
    text = trees.render_tree(drawn("variable x = 2.0; h = floor(x); y = h + sin(h*x)"), unicode=False)
    assert text.isascii()
    assert "`. " in text or "|. " in text


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
def test_a_tree_is_as_wide_as_its_terminal_and_says_the_same(sample, width):
    program = gradcli.load(sample)
    gradient = program.variables if sample.stem != "straight_through" else None
    shown = picture(program, gradient=gradient)
    narrow = trees.render_tree(shown, width=width)
    assert max(map(len, narrow.splitlines())) <= width

    def said(text):
        return "".join(c for c in text if c not in " │\n")

    assert said(narrow) == said(trees.render_tree(shown))


def test_what_does_not_fit_beside_a_box_stands_below_it():
    shown = drawn("variable some_rather_long_name = [1.0, 2.0]; y = exp(sum(some_rather_long_name))")
    assert trees.render_tree(shown, width=40).splitlines() == [
        "y = exp(·)  [] float64",
        "└─ sum(some_rather_long_name)",
        "   │        [] float64",
        "   └─ variable some_rather_long_name",
        "            [2] float64",
    ]


def test_leaves_are_no_operations():
    shown = drawn("variable a = 1.0; variable b = 2.0; constant c = 3.0; y = a*b + sin(c)", most=2)
    assert [graphs.heading(box) + "  " + graphs.details(box) for box in shown.boxes] == [
        "2 variables, 1 constant: a, b, c  ",
        "y = a*b + sin(c)  [] float64, 3 operations",
    ]
