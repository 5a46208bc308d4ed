"""``explain``: contributions add up to the gradient, and each cut that is named, removed, connects x."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradcli
from gradcli.autodiff import reverse
from gradcli.autodiff.degree import last_order, orders
from gradcli.diagnostics import GradcliError
from gradcli.features.explain import look as report
from gradcli.features.explain.answer import explain
from gradcli.features.explain.ways import find_ways
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Linear, substituted
from gradcli.graph.ops import table
from gradcli.program import query
from gradcli.report.tables import Screen
from tests.conformance.test_conformance import LISTS, cases
from tests.random_programs import programs


def total(explanation):
    """What is shown, added up: the routes, and for each output what the others add up to."""
    parts = [r.value for c in explanation.contributions for r in c.shown]
    parts += [c.rest for c in explanation.contributions if c.rest is not None]
    return sum(parts), max([float(np.max(np.abs(p), initial=0)) for p in parts])


def assert_adds_up(program, **question):
    explained = explain(program, **question)
    question.pop("most", None)
    gradients = program.grad(**question)
    for e in explained.explanations:
        g = gradients[e.name]
        assert (e.value is None) == (g is None)
        if g is None:
            continue
        np.testing.assert_allclose(e.value, g, rtol=1e-11, atol=1e-13)  # what is planned together may be fused
        shown, size = total(e)
        # What cancels leaves rounding errors in proportion to the parts.
        np.testing.assert_allclose(shown, g, rtol=1e-9, atol=1e-11 * (1 + size))
        outputs = sum(c.value for c in e.contributions)
        np.testing.assert_allclose(outputs, g, rtol=1e-9, atol=1e-11 * (1 + size))
        for c in e.contributions:
            assert (c.rest is None) == (c.routes == len(c.shown))
            sizes = [float(np.max(np.abs(r.value), initial=0)) for r in c.shown]
            assert sizes == sorted(sizes, reverse=True)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(text=programs(smooth=False), most=st.sampled_from([1, 2, 10]))
def test_contributions_add_up_to_the_gradient(text, most):
    program = gradcli.loads(text)
    names = [n for n in program.names if n.startswith("n")]
    assert_adds_up(program, of=names[-2:], wrt=["v0", "v1", *names[:2]], most=most)


@settings(max_examples=40, deadline=None)
@given(text=programs(smooth=True, statements=4, scalar=True))
def test_contributions_add_up_at_order_2(text):
    assert_adds_up(gradcli.loads(text), order=2, most=3)


@settings(max_examples=60, deadline=None)
@given(text=programs(smooth=False), order=st.integers(1, 3), data=st.data())
def test_contributions_add_up_with_seeds_and_stops(text, order, data):
    program = gradcli.loads(text)
    names = [n for n in program.names if n.startswith("n")]
    seeds = {names[-1]: np.full(program.eval(names[-1:])[names[-1]].shape, 1.5)}
    stop = [data.draw(st.sampled_from(names))]
    assert_adds_up(program, of=names[-2:], wrt=["v0", "v1", names[0]], most=2, seeds=seeds, stop=stop, order=order)


@pytest.mark.slow
def test_as_many_routes_as_paths():
    program = gradcli.loads("variable x = 1.01\ndef f(x) = x*x - sin(x)\ny = iterate(f, x, 7)")
    (e,) = explain(program, most=4).explanations
    (c,) = e.contributions
    assert c.routes == 2**7
    assert len(c.shown) == 4
    # With a factor from each of two branches seven times, the largest products are known.
    assert_adds_up(program, most=2000)
    every = explain(program, most=2000).explanations[0].contributions[0]
    sizes = [abs(float(r.value)) for r in every.shown]
    assert [abs(float(r.value)) for r in c.shown] == pytest.approx(sizes[:4], rel=1e-12)
    assert every.rest is None


def test_more_routes_than_can_be_counted(monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", "loops")
    program = gradcli.loads("variable x = 1.0001\ndef f(x) = x*x - sin(x)\ny = iterate(f, x, 300)")
    (e,) = explain(program, most=3).explanations
    assert len(e.contributions[0].shown) == 3
    shown, _ = total(e)
    np.testing.assert_allclose(shown, e.value, rtol=1e-9)
    for route in e.contributions[0].shown:
        assert route.omitted > 0


@pytest.mark.slow
def test_of_many_points_where_routes_fork_the_first_and_the_last_are_named(monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", "loops")
    program = gradcli.loads("variable x = 1.01\ndef f(x) = x*x - sin(x)\ny = iterate(f, x, 30)")
    (e,) = explain(program, most=200).explanations
    through = [r.through for r in e.contributions[0].shown]
    assert max(map(len, through)) == 13
    assert all((route.index("…") == 6) == (len(route) == 13) for route in through if "…" in route)
    assert any("…" in route for route in through)
    assert all(name == "…" or name.startswith("sin(") or "*" in name for route in through for name in route)


def test_the_factors_of_a_route_multiply_to_its_contribution():
    program = gradcli.loads("variable x = 0.7; variable z = 2.; y = exp(sin(x*z)/z) * x^3 + atan2(x, z) - relu(x)*z")
    for e in explain(program).explanations:
        for c in e.contributions:
            for route in c.shown:
                product = math.prod([float(step.factor) for step in route.steps])
                assert product == pytest.approx(float(route.value), rel=1e-13)
                assert float(route.steps[-1].gradient) == pytest.approx(float(route.value), rel=1e-15)


def test_one_contribution_for_each_output():
    program = gradcli.loads("variable w3 = [3., 4.]; y1 = [1., 2.]*w3; y2 = w3*[3., 4.]; y3 = 2; output y1, y2, y3")
    (e,) = explain(program).explanations
    assert {tuple(c.of): c.value.tolist() for c in e.contributions} == {("y1",): [1, 2], ("y2",): [3, 4]}
    assert e.value.tolist() == [4, 6]


def test_many_outputs_are_grouped():
    lines = "\n".join([f"y{k} = {k + 1}*x" for k in range(70)])
    program = gradcli.loads(f"variable x = 1.0\n{lines}\noutput {', '.join(f'y{k}' for k in range(70))}")
    (e,) = explain(program, most=2).explanations
    assert [c.of for c in e.contributions][:2] == [["y69"], ["y68"]]
    assert len(e.contributions[-1].of) == 68
    assert float(total(e)[0]) == float(e.value) == 70 * 71 / 2


# None


def nones():
    """Every None of the cases: the program, the ys, the name and the stops."""
    for parameter in cases():
        text, case = parameter.values
        if case["args"][0] != "grad":
            continue
        options = dict(zip(case["args"][1::2], case["args"][2::2], strict=True))
        missing = [name for name, value in case["expected"].items() if value is None]
        if missing:
            lists = {LISTS[o]: v.split(",") for o, v in options.items() if o in LISTS}
            yield pytest.param(text, lists, missing, int(options.get("--order", 1)), id=parameter.id)


def passing(node: Node, below: Node) -> Node:
    """A node in place of another that passes a gradient on to one of its inputs."""
    identity = table["identity"]
    assert isinstance(identity.rule, Linear)
    return Node(identity, (below,), {}, node.shape, node.dtype, False)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "lists", "missing", "order"), list(nones()))
def test_each_none_of_the_cases_has_a_reason_that_names_the_right_line(text, lists, missing, order):
    program = gradcli.loads(text)
    of, stop = lists.get("of"), lists.get("stop", [])
    asked = query.question(program, of, lists.get("wrt"), {}, stop)
    explained = explain(program, of, lists.get("wrt"), order, stop=stop)
    for e in explained.explanations:
        assert (e.value is None) == (e.name in missing)
        if e.value is not None:
            continue
        x = program.graph.names[e.name]
        assert e.none_since is not None and e.none_since <= order
        if e.none_since > 1:
            assert last_order(asked.ys, x, asked.stops) == e.none_since - 1
            assert str(e.none_since) in e.note
            continue
        if not e.ways:
            assert x not in cone(asked.ys) or x in asked.ys
            assert e.near
            continue
        (found,) = find_ways(asked.ys, [x], asked.stops)
        assert not found.open
        for cut, way in zip(found.cuts, e.ways, strict=True):
            assert way.ways == cut.ways
            assert cut.node is not None and cut.below is not None
            for place in way.cuts:
                assert place.reason.span is not None
                assert place.help
            # The text that is underlined is that of the cut, which removed connects x or shows the next one named.
            stopped = cut.node in asked.stops
            if not stopped:
                assert way.cuts[0].reason.span == program.graph.span(cut.node)
            ys, stops = asked.ys, [s for s in asked.stops if s is not cut.node]
            if not stopped:
                ys = substituted(ys, {cut.node: passing(cut.node, cut.below)})
            (after,) = find_ways(ys, [x], stops)
            assert after.open == (len(way.cuts) == 1)
            if after.open:
                assert reverse.active_nodes(ys, {x}, set(stops))


def test_some_nones_of_the_cases_are_of_each_sort():
    found = list(nones())
    assert len(found) > 60


ONE_LINE = [
    ("y = floor(x)", "floor", "floor(x)", "stop_gradient(floor(x) - x)"),
    ("y = 2*stop_gradient(x^2)", "stop_gradient", "stop_gradient(x^2)", "write `x^2`"),
    ("y = cast(x > 1, float64)", "bool", "cast(x > 1, float64)", "sigmoid"),
    ("y = where(x > 1, 2., 3.)", "condition of where", "where(x > 1, 2., 3.)", "smooth weight"),
    ("y = argmax(x)", "argmax", "argmax(x)", "softmax"),
    ("y = cast(x, int64)", "int64", "cast(x, int64)", "leave the conversion out"),
    ("y = zeros_like(x)", "zeros_like", "zeros_like(x)", "shape"),
    ("y = isnan(x)", "isnan", "isnan(x)", "derivative"),
    ("y = [4., 5.][argsort(x)]", "", "[4., 5.][argsort(x)]", ""),
]


@pytest.mark.parametrize(("line", "words", "source", "edit"), ONE_LINE)
def test_a_cut_is_underlined_and_an_edit_is_named(line, words, source, edit):
    program = gradcli.loads(f"variable x = [1., 2.]\n{line}")
    (e,) = explain(program).explanations
    first = e.ways[0].cuts[0]
    assert words in first.reason.with_line()
    assert (first.reason.span.line, first.reason.span.text) == (2, source)
    assert edit in first.help


def test_the_stops_are_named():
    program = gradcli.loads("variable x = 1.\nh = x^2\ny = sin(h)")
    (e,) = explain(program, stop=["h"]).explanations
    (way,) = e.ways
    assert way.cuts[0].reason.with_line() == "cut by the stop at h on line 2"
    assert "leave h out" in way.cuts[0].help


def test_ways_are_counted_not_listed(monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", "loops")
    program = gradcli.loads("variable x = 1.\ndef f(x) = x*x - sin(x)\nh = iterate(f, x, 40)\ny = floor(h)*round(h)")
    (e,) = explain(program).explanations
    assert [w.ways for w in e.ways] == [2**40, 2**40]


def test_cuts_below_each_other_are_all_named():
    program = gradcli.loads("variable x = 1.5\ny = stop_gradient(round(floor(x)))")
    (e,) = explain(program).explanations
    assert [c.reason.span.text for c in e.ways[0].cuts] == [
        "stop_gradient(round(floor(x)))",
        "round(floor(x))",
        "floor(x)",
    ]


def test_other_ways_of_what_is_connected():
    program = gradcli.loads("variable x = 1.5\ny = x*stop_gradient(x)")
    (e,) = explain(program).explanations
    assert float(e.value) == 1.5
    assert [c.reason.text for c in e.ways[0].cuts] == ["cut by stop_gradient(x)"]


NEAR = """
variable a = [1., 2.]
variable unused = 3.
constant k = 2.
X = concat([a, a], 0)
Z = concat([a, a], 0)
v = 3*Z
u = sum(k*X)
output u
"""


def nearby(name, of=None):
    program = gradcli.loads(NEAR)
    (e,) = explain(program, of, wrt=[name]).explanations
    assert e.value is None
    return [(n.text, n.span.line if n.span else None, n.help) for n in e.near]


def test_near_misses():
    twin, user = nearby("Z")
    assert twin == (
        "u uses X, another node of the same formula as Z", 5, "write `Z` in its place, or differentiate by it: `--wrt X`",
    )  # fmt: skip
    assert user == ("v uses Z", 7, "use v in u, or differentiate it: `--of v`")
    (nothing,) = nearby("unused")
    assert nothing[:2] == ("nothing in the program uses unused", 3)
    (base,) = nearby("v")
    assert base == ("u uses a, from which v is computed", 2, "differentiate by that: `--wrt a`")
    assert ("u uses X", 5) not in [n[:2] for n in nearby("k", ["v"])]
    assert nearby("k", ["v"])[0] == ("u uses k", 8, "use u in v, or differentiate it: `--of u`")


# orders


@pytest.mark.parametrize(
    ("expression", "none_since", "zero_since"),
    [
        ("3*x", 2, None),
        ("x*x", 3, None),
        ("x*x*x + x", 4, None),
        ("x^5", None, 6),
        ("relu(x)", None, 2),
        ("abs(x)", 3, 2),
        ("sign(x)", 2, 1),
        ("sin(x)", None, None),
        ("x/3", 2, None),
        ("1/x", None, None),
        ("prod([x, x, 2.])", None, 4),
        ("stop_gradient(x)*x^2", None, 3),
        ("x^2.5", None, None),
        ("maximum(x, 0)*x", 3, None),
    ],
)
def test_the_order_from_which_it_is_none_or_0(expression, none_since, zero_since):
    program = gradcli.loads(f"variable x = 1.3\ny = {expression}")
    (e,) = explain(program).explanations
    assert (e.none_since, e.zero_since) == (none_since, zero_since)
    for n in range(1, 7):
        g = program.grad(order=n)["x"]
        assert (g is None) == (none_since is not None and n >= none_since)
        if g is not None and zero_since is not None and n >= zero_since:
            assert float(g) == 0


@settings(max_examples=60, deadline=None)
@given(text=programs(smooth=False, statements=4))
def test_beyond_the_degree_everything_is_0(text):
    program = gradcli.loads(text)
    asked = query.question(program, None, ["v0"], {}, [])
    ((_, power),) = orders(asked.ys, asked.xs[:1])
    if power <= 3:
        g = program.grad(wrt=["v0"], order=int(power) + 1)["v0"]
        assert g is None or not np.any(g)


def test_the_sentence_about_orders():
    program = gradcli.loads("variable x = 2.; y = x*x")
    (e,) = explain(program, order=3).explanations
    assert e.value is None
    assert e.reason.text == "None since order 3: y is of degree 2 in x"


def test_an_unknown_name_is_an_error_and_a_missing_value_too():
    with pytest.raises(GradcliError, match="no value `z`"):
        explain(gradcli.loads("variable x = 1.; y = x"), wrt=["z"])
    with pytest.raises(GradcliError, match="has no value"):
        explain(gradcli.loads("variable x; y = x*x"))
    # Where nothing is evaluated no value is needed.
    (e,) = explain(gradcli.loads("variable x; y = stop_gradient(x)")).explanations
    assert e.value is None


# what is printed


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    text=programs(smooth=False),
    order=st.integers(1, 3),
    drawn=st.sampled_from([Screen(60, unicode=False), Screen(100, color=True), None]),
)
def test_whatever_is_explained_can_be_printed(text, order, drawn):
    program = gradcli.loads(text)
    names = [n for n in program.names if n.startswith("n")]
    explained = explain(program, of=names[-1:], wrt=["v0", "v1", names[0]], order=order, most=2)
    reply = json.loads("".join(report.json_pieces([explained])), parse_constant=pytest.fail)
    assert list(reply["explanations"]) == ["v0", "v1", names[0]]
    for e in reply["explanations"].values():
        for contribution in e.get("contributions", []):
            for route in contribution["shown"]:
                for step in route["steps"]:
                    assert step["place"]["line"] <= len(text.splitlines())
                    assert step["formula"]
    shown = report.render(explained, drawn)
    if drawn is not None and not drawn.color:
        tree = [line for line in shown.splitlines() if line.startswith(("|- ", "|  ", "`- "))]
        assert all(len(line) <= drawn.width for line in tree)
    for name in ("v0", "v1", names[0]):
        assert f"{name} = " in shown
