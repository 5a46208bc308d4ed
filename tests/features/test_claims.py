"""``check --claim`` and ``--against``: gradients of one's own, entry by entry, with what is likely wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

PROGRAM = """\
variable W = [[1.0, 2.0], [3.0, 4.0]]
variable v = [0.5, -1.0]
constant X = [[1.0, 0.5], [2.0, -1.0], [0.3, 0.7]]
h = X @ W
loss = mean(sum(h^2, 1)) + sum(v^3)
g = X.T @ h*2/3
summed = X.T @ h*2
averaged = g/4
negative = -g
transposed = g.T
half = g/2
odd = g*1.7
nothing = zeros([2, 2])
flipped = g[::-1]
sign = g * [[1, -1], [1, 1]]
rows = stack([g, g])/2
wide = reshape(g, [4])
wild = g + [[0, 0], [0, 1.0]]
cut = gradients(sum(floor(v)), v)
dv = 3*v^2
"""

CAUSES = {
    "summed": "a sum in place of a mean: 3 times, the number of rows of `h`",
    "averaged": "a mean in place of a sum: 1/4, the number of entries of",
    "negative": "the sign is the other one",
    "transposed": "it is the transpose",
    "half": "a factor 1/2, as of a square",
    "odd": "a factor 1.7",
    "nothing": "it is 0 everywhere",
    "flipped": "entries stand in the opposite order along axis 0",
    "sign": "the sign is the other one in 1 of 4 entries",
    "rows": "it has not been summed over axis 0",
    "wide": "shape [4], and the gradient [2, 2], with the same entries",
}


@pytest.fixture
def check(gradcli, tmp_path):
    (tmp_path / "f.expr").write_text(PROGRAM)
    return lambda *options: gradcli("check", "f.expr", "--of", "loss", *options)


def test_right_claims(check):
    done = check("--claim", "W=g", "--claim", "v=dv")
    assert (done.status, done.out, done.err) == (0, "W: ok, 4 entries\nv: ok, 2 entries\nok: 2 gradients\n", "")


@pytest.mark.parametrize("name", CAUSES)
def test_likely_causes(check, name):
    done = check("--claim", f"W={name}")
    assert done.status == 1
    (cause,) = [line for line in done.out.splitlines() if line.startswith("likely cause: ")]
    assert CAUSES[name] in cause
    assert done.out.endswith("FAILED: 1 of 1 gradients\n")


def test_one_wrong_entry_has_no_cause(check):
    reply = json.loads(check("--claim", "W=wild", "--format", "json").out)
    (claim,) = reply["claims"]
    assert not reply["passed"]
    assert (claim["verdict"], claim["entries"], claim["wrong"], claim["cause"]) == ("FAILED", 4, 1, None)
    (worst,) = claim["worst"]
    assert worst["entry"] == "W[1, 1]"
    assert worst["claimed"] == pytest.approx(worst["gradient"] + 1)
    assert worst["ratio"] == pytest.approx(worst["claimed"] / worst["gradient"])


@pytest.mark.parametrize("factor", [2.0, -1.0, 1 / 3])
@pytest.mark.parametrize("ending", ["npz", "json", "csv"])
def test_files(check, gradcli, tmp_path, ending, factor):
    gradients = gradcli("grad", "f.expr", "--of", "loss", "--wrt", "W", "-o", f"g.{ending}")
    assert gradients.status == 0
    assert check("--against", f"g.{ending}").out == "W: ok, 4 entries\nok: 1 gradient\n"
    exact = np.array(
        json.loads(gradcli("grad", "f.expr", "--of", "loss", "--format", "json").out)["gradients"]["W"]["value"]
    )
    np.savez(tmp_path / "scaled.npz", W=(factor * exact).astype(np.float32))
    (claim,) = json.loads(check("--against", "scaled.npz", "--format", "json").out)["claims"]
    assert claim["ratio"] == pytest.approx(factor, rel=1e-6)
    assert claim["wrong"] == 4


def test_tolerance(check):
    assert check("--claim", "W=g", "--tolerance", "1e-15").status in (0, 1)
    assert check("--claim", "W=odd", "--tolerance", "0.8").status == 0


def test_none(check, gradcli):
    done = check("--claim", "v=cut")
    assert (done.status, done.out) == (1, "")
    assert "`cut`, claimed for `v`, is None: passes through floor on line 19" in done.err
    text = "variable x = 1.0; y = floor(x); a = 0.0; b = 1.0"
    assert gradcli("check", "-e", text, "--of", "y", "--claim", "x=a").status == 0
    done = gradcli("check", "-e", text, "--of", "y", "--claim", "x=b")
    assert "likely cause: the gradient is None: passes through floor on line 1" in done.out


def test_infinite_and_empty(gradcli):
    text = "variable x = [0.0, 4.0]; y = sum(sqrt(x)); g = 0.5/sqrt(x); w = [nan, 0.25]; variable e: [0]"
    assert gradcli("check", "-e", text, "--of", "y", "--claim", "x=g").status == 0
    assert "x[0]" in gradcli("check", "-e", text, "--of", "y", "--claim", "x=w").out


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--claim", "W=zz"), 1, "zz"),
        (("--claim", "zz=g"), 1, "zz"),
        (("--claim", "W"), 2, "NAME=EXPR"),
        (("--claim", "W=g", "--wrt", "W"), 2, "leave out --wrt"),
        (("--against", "no.npz"), 1, "no.npz"),
        (("--against", "empty.json"), 1, "no gradients"),
        (("--against", "other.json"), 1, "`q`"),
    ],
)
def test_wrong_claims(check, tmp_path, options, status, words):
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "other.json").write_text('{"q": 1}')
    done = check(*options)
    assert (done.status, done.out) == (status, "")
    assert words in done.err


# several programs


def test_several_programs_and_folders(gradcli, tmp_path):
    for name, text in (("a/one.expr", "variable x = 1.0; y = x^2"), ("a/b/two.expr", "variable x = 2.0; y = x^3")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    done = gradcli("check", "a", "--order", "1")
    assert (done.status, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if "expr" in line] == ["a/b/two.expr", "a/one.expr"]
    (tmp_path / "a/bad.expr").write_text("y = ")
    done = gradcli("check", "a", "--order", "1..2", "--format", "json")
    assert done.status == 1
    assert [json.loads(line)["passed"] for line in done.out.replace("\n ", " ").replace("\n]", "]").splitlines()] == [
        True
    ] * 2
    assert "SyntaxError" in done.err
    (tmp_path / "none").mkdir()
    assert "none is a folder, not a file, and has no program in it" in gradcli("check", "none").err
    assert gradcli("check", "a", "-e", "y = 1").status == 2


def test_what_is_claimed_is_not_what_is_differentiated(command_line):
    """At x = 2 the gradient of mine would be mine."""
    done = command_line("check", "-e", "variable x = 2.0; y = x^3; mine = 2*x^2", "--claim", "x=mine")
    assert (done.status, done.err) == (1, "")
    assert done.out.startswith("x: FAILED") and "12" in done.out
    helped = command_line("check", "-e", "variable x = 2.0; y = x^3; t = 3*x; mine = t*x", "--claim", "x=mine")
    assert "note: t is differentiated, the last definition that is not claimed: --of names another\n" in helped.err
    named = command_line("check", "-e", "variable x = 2.0; y = x^3; mine = 3*x^2", "--claim", "x=mine", "--of", "y")
    assert (named.status, named.err) == (0, "")
