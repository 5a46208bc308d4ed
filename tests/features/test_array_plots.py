"""Plots of arrays, and pictures of fits: what is in them, against closed forms, and wrong input."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import gradcli
from gradcli.features.fit.answer import fit
from gradcli.features.fit.errors import estimated
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.picture import picture
from gradcli.features.fit.training import Settings
from gradcli.features.plot.arrays import Asked, with_arrays

PROGRAM = """
constant t = [0, 1, 2, 4, 8]; constant y = [9.0, 7.5, 5.2, -0.5, 0.0]; s = 0.5; grid = linspace(0, 10, 30)
fit = 9*exp(-grid/4); low = fit - 1; high = fit + 1; one = [1.0, 2.0]; none = [nan, inf, nan, nan, nan]
variable x = 1.0; f = 9*exp(-x/4)
"""


def drawn(*asked, log="none"):
    return with_arrays(gradcli.loads(PROGRAM), Asked([(kind, names.split(",")) for kind, names in asked]), None, log)


def groups(path):
    return {g.get("id", "") for g in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}g")}


def texts(path):
    return ["".join(text.itertext()) for text in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_what_is_drawn():
    plot = drawn(("points", "t,y,s"), ("line", "grid,fit"), ("band", "low,high"))
    assert (plot.x_label, plot.x_range) == ("t", (-0.3, 10.3))
    ((dots,), (curve,), (band,)) = plot.dots, plot.curves, plot.bands
    np.testing.assert_array_equal(dots.error, np.full(5, 0.5))
    np.testing.assert_array_equal(curve.y, 9 * np.exp(-curve.x / 4))
    np.testing.assert_array_equal(band.x, curve.x)
    np.testing.assert_allclose(band.high - band.low, 2)
    assert (dots.label, curve.label, band.label) == ("y ± s", "fit", "low to high")
    logarithmic = drawn(("points", "t,y"), ("band", "grid,low,high"), log="y")
    assert len(logarithmic.dots[0].x) == 3
    assert (logarithmic.bands[0].low > 0).all()


def test_the_command(gradcli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    Path("a.expr").write_text(PROGRAM)
    some = ["plot", "a.expr", "--points", "t,y,s", "--line", "grid,fit", "--band", "low,high"]
    named = ["--title", "A_$x$", "--xlabel", "time", "--ylabel", "<b>", "--xlim", "-1:12", "--ylim", "-2:11"]
    done = gradcli(*some, *named, "--size", "5x4", "--output", "a.svg")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert {"curve-0", "dots-0", "errors-0", "band-0"} <= groups("a.svg")
    assert {"A_$x$", "time", "<b>", "12", "fit", "y ± s", "low to high"} <= set(texts("a.svg"))
    assert 'width="360pt" height="288pt"' in Path("a.svg").read_text()
    shown = gradcli(*some, *named, "--size", "50x20").out.splitlines()
    assert shown[:2] == ["A_$x$", "<b>"] and len(shown) == 20 and max(map(len, shown)) <= 50
    above = gradcli(
        "plot", "a.expr", "--x", "x=0:9", "--of", "f", "--order", "0", "--line", "grid,fit", "--points", "t,y"
    )
    assert above.out.startswith("0: f   1: fit\n○ y\n")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--line", "t,one"], 1, "what is drawn together are vectors of numbers of one length, and not t [5] and one [2]"),
        (["--line", "s,s"], 1, "and not s [] (a scalar)"),
        (["--line", "t,q"], 1, "`q`"),
        (["--points", "t,none"], 1, "there is nothing to draw: t, none are nowhere finite"),
        (["--points", "t,t,y"], 1, "`y` is negative somewhere"),
        (["--band", "low,high"], 1, "the band low,high lies above no x"),
        (["--line", "t"], 2, "'t' is not 2 names, such as x,y."),
        (["--band", "a,b,c,d"], 2, "is not 2 or 3 names"),
        (["--line", "t,y", "--of", "f"], 2, "go with --x"),
        (["--line", "t,y", "--x", "x=0:1", "--x", "s=0:1"], 2, "--line, --points and --band go with one --x or none"),
        (["--line", "t,y", "--xlim", "2:1"], 2, "it must be finite and go upwards"),
        (["--line", "t,y", "--ylim", "a"], 2, "is not of the form LOW:HIGH"),
        (["--line", "t,y", "--size", "0x4"], 2, "is not a size"),
        (["--line", "t,y", "--size", "51x4", "--output", "y.png"], 2, "at most 50 inches"),
        (["--line", "t,y", "--log", "x", "--xlim", "0:4"], 2, "on a logarithmic axis it must be positive"),
        (["--line", "t,y"] * 21, 1, "these are 21 lines; the most are 20"),
        (["--history", "h.ndjson", "--line", "t,y"], 2, "goes without a program"),
    ],
)  # fmt: skip
def test_wrong_input(gradcli, options, status, words):
    done = gradcli("plot", "-e", PROGRAM, *options)
    assert (done.status, done.out) == (status, "")
    assert words in done.err


LINE = (
    "constant t = [0.0, 1.0, 2.0, 4.0, 8.0]; constant y = [1.0, 2.2, 2.7, 5.4, 8.9]; variable a = 0.0; variable b = 0.0"
)


def pictured(text, name="loss", **options):
    objective = Objective(gradcli.loads(text), name)
    values = fit(objective, Settings("newton"), lambda _: None).state.values
    return picture(objective, values, estimated(objective, values, {}, False), "t.expr"), values


def test_the_confidence_band_of_a_straight_line():
    (above, below), values = pictured(f"{LINE}; loss = sum((y - a - b*t)^2)")
    t, y = np.array([0, 1, 2, 4, 8.0]), np.array([1.0, 2.2, 2.7, 5.4, 8.9])
    ((curve,), (band,), (dots,)) = above.curves, above.bands, above.dots
    residual = y - float(values["a"]) - float(values["b"]) * t
    error = np.sqrt(residual @ residual / 3 * (1 / 5 + (curve.x - t.mean()) ** 2 / np.sum((t - t.mean()) ** 2)))
    np.testing.assert_allclose(curve.y, values["a"] + values["b"] * curve.x, rtol=1e-12)
    np.testing.assert_allclose(band.high - curve.y, stats.t(3).ppf(0.975) * error, rtol=1e-10)
    np.testing.assert_allclose(below.dots[0].y, residual, atol=1e-14)
    assert (above.dots[0].label, below.x_label, band.label) == ("y", "t", "95 % confidence band")
    assert len(dots.x) == 5


@pytest.mark.parametrize(
    ("model", "label", "points"),
    [
        ("a*exp(-b*t/8) + t^2/64 + cos(t)", "t", 300),  # powers and functions of the data are not data of their own
        ("a*t + b*sqrt(t + 1) + mean(t)", "f, as fitted", 2),
        ("a*cumsum(t) + b*t^2", "f, as fitted", 2),
        ("a*t + b*[1.0, 0, 1, 0, 1]", "f, as fitted", 2),
        ("a + b^2", "fit, as fitted", 2),
    ],
)
def test_a_curve_is_drawn_where_the_model_is_a_function_of_each_row(model, label, points):
    (above, below), _ = pictured(f"{LINE}; f = {model}; loss = sum(((y - f)/2)^2)")
    assert below.x_label == label
    assert len(above.curves[0].x) == points
    assert bool(above.bands) == (points > 2)
    np.testing.assert_array_equal(above.dots[0].error, 2)


def test_fit_writes_a_picture(gradcli):
    line = ["fit", "-e", f"{LINE}; loss = sum((a + b*t - y)^2)", "--minimize", "loss"]
    done = gradcli(*line, "--plot", "l.svg")
    assert done.status == 0 and done.out.startswith("a = ")
    assert {"curve-0", "curve-1", "dots-0", "dots-1", "band-0"} <= groups("l.svg")
    assert {"t", "residual", "y", "95 % confidence band"} <= set(texts("l.svg"))
    few = gradcli("fit", "-e", "constant t = [1.0, 2.0]; constant y = [1.0, 3.0]; variable a = 0.0; variable b = 0.0"
                  "; loss = sum((y - a - b*t)^2)", "--minimize", "loss", "--plot", "f.svg")  # fmt: skip
    assert few.status == 0
    assert "the curve has no confidence band: there are no errors: 2 numbers fitted to 2 residuals" in few.err
    for options, status, words in (
        (["--plot", "l.jpg"], 2, "the file must end in .svg, .png or .pdf"),
        (["--plot", "l.svg", "--minimize", "other"], 1, "`other` is not seen to compare data with a model"),
        (["--plot", "nowhere/l.svg"], 1, "there is no folder"),
    ):
        bad = gradcli("fit", "-e", f"{LINE}; other = exp(a) - a + b^2; loss = sum((y - a - b*t)^2)", "--minimize", "loss", *options)  # fmt: skip
        assert bad.status == status and words in bad.err
    assert bad.out.startswith("a = ")  # what was found is not lost with the picture
