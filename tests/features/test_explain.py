"""``gradcli explain``: what it prints for the samples, as text and as JSON, and how it answers mistakes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from golden import difference

from gradcli import loads
from gradcli.features.explain import look as report
from gradcli.features.explain.answer import explain
from tests.test_samples import FLOAT32_TOLERANCE, SAMPLES, command

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "explained"
IGNORED = {"--every-order": 1, "--format": 2, "--seeds": 2, "--values": 2}
QUESTIONS = {  # of the samples that are not run by `grad`
    "burgers_network": "--of loss",
    "exam_classifier": "--of loss",
    "exponential_fit": "--of residual",
    "double_pendulum": "--of end",
    "examples": "--of loss",
    "factorisation": "--of loss",
    "impedance": "--of R,X,Z --wrt V,I,phi",
    "nile": "--of loss",
    "rosenbrock_minimum": "",
    "sir": "--of loss",
    "spiral": "--of loss",
    "black_scholes": "--of call",
    "products": "--of g1_t --wrt X",
    "repeated_passes_in_the_language": "--of gg1 --wrt x",
    "straight_through": "--of estimated,through_rounding",
    "whole_and_parts": "--of first --wrt X",
}


def question(sample: Path) -> list[str]:
    """What a sample's own command asks, asked of ``explain``."""
    for part in command(sample).split(" | "):
        words = shlex.split(part)
        if words[1] == "grad" and words[2].endswith(f"/{sample.name}"):
            rest = words[3:]
            for option, width in IGNORED.items():
                while option in rest:
                    del rest[rest.index(option) : rest.index(option) + width]
            return [words[2], *rest]
    return [str(sample.relative_to(ROOT)), *shlex.split(QUESTIONS[sample.stem])]


WRITTEN = [sample for sample in SAMPLES if sample.parent.name != "loops"]
"""Samples whose every operation is shown; a loop of 2,000 steps has too many."""


@pytest.mark.slow
@pytest.mark.parametrize("sample", WRITTEN, ids=[s.stem for s in WRITTEN])
def test_every_sample_is_explained(command_line, monkeypatch, request, sample):
    monkeypatch.chdir(ROOT)
    asked = question(sample)
    done = command_line("explain", *asked, "--format", "plain", "--most", "2")
    assert (done.status, done.err) == (0, "")
    golden = GOLDEN / f"{sample.stem}.txt"
    if request.config.getoption("--refresh-golden"):
        golden.write_text(done.out, encoding="utf-8")
    tolerance = FLOAT32_TOLERANCE if "\ndtype float32\n" in sample.read_text(encoding="utf-8") else 1e-11
    assert difference(done.out, golden.read_text(encoding="utf-8"), tolerance) is None

    reply = json.loads(command_line("explain", *asked, "--format", "json").out, parse_constant=pytest.fail)
    gradients = json.loads(command_line("grad", *asked, "--format", "json").out)["gradients"]
    assert list(reply["explanations"]) == list(gradients)
    for name, e in reply["explanations"].items():
        assert e["connected"] == gradients[name]["connected"]
        if e["connected"]:
            # At a high order the way is another one.
            np.testing.assert_allclose(e["value"], gradients[name]["value"], rtol=max(tolerance, 1e-11))
            parts = [r["value"] for c in e["contributions"] for r in c["shown"]]
            parts += [c["rest"]["value"] for c in e["contributions"] if c["rest"]]
            np.testing.assert_allclose(sum(map(np.asarray, parts)), e["value"], rtol=1e-4, atol=1e-6)
        else:
            assert e["reason"]
            assert e["ways"] or e["near"] or e["none_since"] > 1


def test_no_golden_file_without_its_sample():
    assert {path.stem for path in GOLDEN.glob("*")} == {sample.stem for sample in WRITTEN}


PROGRAM = "variable w3 = [3., 4.]\ny1 = [1., 2.]*w3\ny2 = [3., 4.]*w3\noutput y1, y2\n"


def test_the_sum_over_outputs(gradcli):
    out = gradcli("explain", "-", "--format", "plain", stdin=PROGRAM).out
    assert out == (
        "gradients of Σ(y1 + y2)\n"
        "name  routes  None since  0 since  gradient\n"
        "w3    2       2           -        [4.0, 6.0]\n"
        "\n"
        "w3 = [4.0, 6.0] = [1.0, 2.0] from y1 + [3.0, 4.0] from y2\n"
        "|- [3.0, 4.0] from y2 <- w3\n"
        "|    line 3  […] * w3  factor […] = [3.0, 4.0]  gives [3.0, 4.0]\n"
        "`- [1.0, 2.0] from y1 <- w3\n"
        "     line 2  […] * w3  factor […] = [1.0, 2.0]  gives [1.0, 2.0]\n"
        "None since order 2: y1 + y2 is of degree 1 in w3\n"
    )


def test_the_rest_is_one_line(gradcli):
    program = "variable x = 1.; y = x + 2*x + 3*x + 4*x"
    out = gradcli("explain", "-e", program, "--most", "1", "--format", "plain").out
    assert "`- 6.0 from y by 3 more routes\n" in out
    assert out.count("from y") == 2


def test_json_has_places(gradcli):
    reply = json.loads(gradcli("explain", "-e", "variable x = 2.; y = sin(x)", "--format", "json").out)
    (route,) = reply["explanations"]["x"]["contributions"][0]["shown"]
    (step,) = route["steps"]
    assert step["place"] == {"file": "<-e>", "line": 1, "column": 22, "source": "sin(x)"}
    assert step["formula"] == "cos(x)"
    assert step["factor"] == step["gradient"] == route["value"] == pytest.approx(np.cos(2.0))


def test_json_of_a_cut(gradcli):
    reply = json.loads(gradcli("explain", "-e", "variable x = 2.\ny = floor(x)", "--format", "json").out)
    e = reply["explanations"]["x"]
    assert e["reason"] == "passes through floor, which has no derivative, <-e>:2:5"
    (way,) = e["ways"]
    assert way["routes"] == 1
    assert way["cuts"][0]["place"] == {"file": "<-e>", "line": 2, "column": 5, "source": "floor(x)"}


def test_a_tree_and_a_table_on_a_terminal(terminal, tmp_path):
    (tmp_path / "f.expr").write_text(PROGRAM + "variable u = 1.\n")
    seen = terminal("explain", "f.expr", env={"NO_COLOR": "1"})
    assert "╭" in seen and "├─ [3.0, 4.0] from y2 <- w3" in seen and "└─ [1.0, 2.0] from y1 <- w3" in seen
    assert "nothing in the program uses u" in seen and "^" in seen
    assert "\x1b[" in terminal("explain", "f.expr", "--wrt", "u", env={"TERM": "xterm"})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["black_scholes", "burgers_residual", "neural_network", "rosenbrock"])
def test_routes_on_a_terminal_are_told_apart_and_readable(terminal, name):
    arguments = [str(ROOT / "samples" / f"{name}.expr"), *shlex.split(QUESTIONS.get(name, ""))]
    seen = terminal("explain", *arguments, env={"NO_COLOR": "1"})
    blocks = [block.split("\n") for block in seen.split("\n\n")[1:]]
    assert blocks
    for block in blocks:
        assert all(len(line) <= 80 for line in block)
        # What stands between two branches without an indent is the heading of a route.
        routes = [f"{line}\n" for line in block]
        starts = [i for i, line in enumerate(routes) if line.startswith(("├─ ", "└─ "))]
        headings = []
        for start, end in zip(starts, [*starts[1:], len(routes)], strict=True):
            steps = [i for i in range(start, end) if " line " in routes[i]]
            heading = "".join([line.strip("├└│─ \n") + " " for line in routes[start : min(steps, default=end)]])
            headings.append(heading.split(" from ")[1])
            rest = "".join(routes[min(steps, default=end) : end])
            assert "an array" not in rest
            assert "factor 1\n" not in rest
        assert len(set(headings)) == len(headings) >= 1
        assert not any("… <-" in heading for heading in headings if len(headings) > 1)


def test_a_step_that_does_not_fit_is_broken_not_cut(terminal):
    seen = terminal("explain", str(ROOT / "samples/burgers_residual.expr"), "--wrt", "W3", env={"NO_COLOR": "1"})
    assert 'line 19 via 23  einsum("ab,cb->ac", … * …, W1)[:, 1:]\n' in seen
    assert "           map g in its place, 0 elsewhere\n" in seen


def test_points_where_routes_fork():
    e = explained("variable x = 2.; a = sin(x); b = a*exp(a); y = b + cos(b) + x")
    by_way = {tuple(route["through"]): len(route["steps"]) for route in e["contributions"][0]["shown"]}
    assert by_way == {
        ("x",): 1,
        ("b", "a"): 3,
        ("b", "exp(a)"): 4,
        ("cos(b)", "a"): 4,
        ("cos(b)", "exp(a)"): 5,
    }


def test_operands_of_one_name_are_numbered():
    e = explained("variable x = 2.; y = sin(x)*sin(x)")
    assert [r["through"] for r in e["contributions"][0]["shown"]] == [["sin(x) (operand 1)"], ["sin(x) (operand 2)"]]


def explained(text):
    """The explanation of x as JSON."""
    return json.loads("".join(report.json_pieces([explain(loads(text))])))["explanations"]["x"]


def test_routes_whose_factors_are_all_1(gradcli):
    out = gradcli("explain", "-e", "variable x = 2.; y = x + 3", "--format", "plain").out
    assert "`- 1.0 from y <- x: every factor is 1\n" in out
    out = gradcli("explain", "-e", "variable x = 2.; y = x + [1., 2.]", "--format", "plain").out
    assert "line 1  x + […]  map g is summed to the shape []  gives 2.0\n" in out


def test_advice_on_a_terminal_is_broken_not_cut(terminal):
    program = "variable x = 2.0; y = floor(x)"
    seen = terminal("explain", "-e", program, env={"NO_COLOR": "1"})
    assert "`x + stop_gradient(floor(x) - x)`" in " ".join(seen.split())
    reason = terminal("explain", "-e", f"{program}; a_rather_long_name = y", "--of", "a_rather_long_name", "--wrt", "x")
    assert "which has no derivative" in reason
    line = "; ".join([*[f"constant k{i} = {i}.0" for i in range(9)], program, "z = 3"])
    place = terminal("explain", "-e", line, "--of", "y", "--wrt", "x", env={"TERM": "xterm"})
    assert "y = floor(x); z = 3\n" in place and "\x1b[1;31m^^^^^^^^\x1b[0m" in place
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 80 for line in place.splitlines())
    assert "…" not in seen + reason
    assert all(len(line) <= 80 for line in seen.splitlines())


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-e", "variable x = 1.; y = x", "--wrt", "z"], 1, "the program has no value `z`"),
        (["-e", "variable x; y = x*x"], 1, "has no value"),
        (["-e", "variable x = 1.; y = x", "--most", "0"], 2, "--most"),
        (["-e", "variable x = 1.; y = x", "--order", "0"], 2, "--order"),
        (["-e", "variable x = 1.; y = x", "--seed", "x=2"], 1, "has a seed but is not among"),
        (["-e", "variable x = floor(; y = x"], 1, "SyntaxError"),
    ],
)
def test_mistakes(gradcli, arguments, status, words):
    done = gradcli("explain", *arguments, "--format", "plain")
    assert (done.status, done.out) == (status, "")
    assert words in done.err


def test_seeds_weigh_outputs(gradcli):
    out = gradcli("explain", "-", "--seed", "y1=[10, 1]", "--format", "plain", stdin=PROGRAM).out
    assert "w3 = [13.0, 6.0] = [10.0, 2.0] from y1 + [3.0, 4.0] from y2\n" in out


def test_precision(gradcli):
    arguments = ("explain", "-e", "variable x = 2.; y = sin(x)/3", "--precision", "3")
    out = gradcli(*arguments).out
    assert gradcli(*arguments, "--format", "plain").out == out
    assert "x = -0.139\n" in out and "factor cos(x) = -0.416" in out
    (route,) = json.loads(gradcli(*arguments, "--format", "json").out)["explanations"]["x"]["contributions"][0]["shown"]
    assert [step["gradient"] for step in route["steps"]] == [0.333, -0.139]
