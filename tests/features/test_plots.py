"""Plots: golden ones in the terminal, and files of the three formats with what was asked for in them."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import gradcli
from gradcli.features.plot import figures
from gradcli.features.plot import look as plots
from gradcli.features.plot.answer import Frame, Variable, curves, field, series
from gradcli.features.plot.arrays import Asked, with_arrays
from gradcli.features.plot.axes import Axis, height_of, levels_of
from gradcli.features.plot.dots import dots
from tests.quickly import some

PLOTS = Path(__file__).parent / "plots"
SVG = "{http://www.w3.org/2000/svg}"
SIGNATURES = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-"}


def line(text, low=-3.0, high=3.0, orders=(0, 1), count=120, **options):
    return curves(gradcli.loads(text), None, Variable("x", None, low, high), list(orders), count, **options)


def surface(text, gradient=True, low=-2.0, high=2.0):
    x, y = Variable("x", None, low, high), Variable("v", None, -1.0, 1.0)
    return field(gradcli.loads(text), None, x, y, (60, 60), gradient)


ROWS = gradcli.loads(
    "variable x = 1.0; variable v = 1.0; z = x^2 - 3*v^2 + x*v; xs = arange(-2, 3, 0.5); ys = exp(-xs^2) + 0.1*sin(9*xs)\n"
    "kind = where(xs*ys > 0, 1, where(xs < -1, 2, 0)); empty = zeros([0, 2]); many = arange(7); far = xs*1e3; p = [xs, ys]\n"
    "fit = exp(-xs^2); low = fit - 0.1; high = fit + 0.2; s = 0.2"
)


def with_dots(drawn, *names):
    return drawn._replace(dots=dots(ROWS, names, classes=hasattr(drawn, "z")))


LOSS = {"step": list(range(50)), "loss": [5 * 0.8**k + 1e-3 for k in range(50)]}
DRAWN = {
    "curves": lambda: line("variable x = 1.0; y = x*sin(2*x)", orders=range(3)),
    "one_curve": lambda: line("variable x = 1.0; y = exp(-x^2)", orders=[0]),
    "dots": lambda: with_dots(line("variable x = 1.0; y = exp(-x^2)"), "xs", "ys"),
    "dots_of_classes": lambda: with_dots(DRAWN["contours_alone"](), "xs", "ys", "kind"),
    "arrays": lambda: with_arrays(
        ROWS, Asked([("points", ["xs", "ys", "s"]), ("line", ["xs", "fit"]), ("band", ["low", "high"])]), None, "none"
    )._replace(frame=Frame("Three sorts", "x", "y", size=(5.0, 4.0))),
    "none": lambda: line("variable x = 1.0; y = floor(x)/2 + x", orders=range(4)),
    "pole": lambda: line("variable x = 1.0; y = 1/(x - 1)", orders=[0]),
    "gap": lambda: line("variable x = 1.0; y = sqrt(x + 1)"),
    "constant": lambda: line("variable x = 1.0; y = 1.5", orders=[0]),
    "large": lambda: line("variable x = 1.0; y = 1e9*x^2", orders=[0]),
    "loss": lambda: series("h.ndjson", "step", LOSS),
    "contours": lambda: surface("variable x = 1.0; variable v = 1.0; z = x^2 - 3*v^2 + x*v"),
    "contours_of_none": lambda: surface("variable x = 1.0; variable v = 1.0; z = floor(x + 1e-9)*1.0"),
    "contours_of_a_constant": lambda: surface("variable x = 1.0; variable v = 1.0; z = 0*x + 0*v + 2"),
    "contours_alone": lambda: surface("variable x = 1.0; variable v = 1.0; z = hypot(x, v)", gradient=False),
}


def shown(drawn, size=(64, 16), **options):
    render = plots.render_field if hasattr(drawn, "z") else plots.render_curves
    return render(drawn, size, **options)


def written(drawn, format):
    file = io.BytesIO()
    (figures.write_field if hasattr(drawn, "z") else figures.write_curves)(file, format, drawn)
    return file.getvalue()


@pytest.mark.parametrize("name", DRAWN)
def test_in_the_terminal(name, request):
    actual = shown(DRAWN[name]())
    path = PLOTS / f"{name}.txt"
    if request.config.getoption("--refresh-golden"):
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


def test_no_golden_plot_without_its_drawing():
    assert {path.stem for path in PLOTS.iterdir()} == set(DRAWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("size", [(64, 16), (30, 8), (1, 1), (200, 60)])
def test_a_plot_keeps_to_its_size(name, size):
    drawn = DRAWN[name]()
    lines = shown(drawn, size).splitlines()
    legend = [
        text for text in lines if "None" in text or "throughout" in text
    ]  # a sentence may be longer than a narrow plot
    assert max(len(text) for text in lines if text not in legend) <= max(size[0], 40)
    if size[1] > 10:
        assert len(lines) == size[1]


def test_color_and_ascii():
    drawn = DRAWN["curves"]()
    assert "\x1b" not in shown(drawn)
    text = shown(drawn, unicode=False)
    assert text.isascii() and "*" in text and "0: y" in text
    assert shown(DRAWN["contours"](), unicode=False).isascii()


@pytest.mark.slow
@pytest.mark.parametrize("format", SIGNATURES)
@pytest.mark.parametrize("name", some(DRAWN))
def test_files(name, format):
    content = written(DRAWN[name](), format)
    assert content.startswith(SIGNATURES[format])
    if format == "svg":
        ElementTree.fromstring(content)


@pytest.mark.slow
@pytest.mark.parametrize("format", SIGNATURES)
@pytest.mark.parametrize("name", some(["curves", "contours", "dots", "dots_of_classes"], 2))
def test_the_same_plot_is_the_same_file(name, format, monkeypatch):
    first = written(DRAWN[name](), format)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert written(DRAWN[name](), format) == first
    assert b"dc:date" not in first and b"CreationDate" not in first


def groups(content, prefix):
    return [g for g in ElementTree.fromstring(content).iter(f"{SVG}g") if g.get("id", "").startswith(prefix)]


@pytest.mark.parametrize(("orders", "count"), [([0], 1), ([0, 1], 2), ([0, 1, 2, 3], 3)])
def test_an_svg_has_a_path_for_each_curve(orders, count):
    found = groups(written(line("variable x = 1.0; y = x*x", orders=orders), "svg"), "curve-")
    assert len(found) == count
    for group in found:
        assert len(group.findall(f".//{SVG}path")) == 1


def test_a_gap_in_an_svg_is_one():
    whole = groups(written(line("variable x = 1.0; y = x^3", orders=[0]), "svg"), "curve-")
    pieces = groups(written(line("variable x = 1.0; y = floor(x)", orders=[0], low=-2.5, high=2.5), "svg"), "curve-")
    moves = [group.find(f".//{SVG}path").get("d").count("M") for group in (*whole, *pieces)]
    assert moves == [1, 6]


def test_a_field_in_an_svg_has_contours_and_arrows():
    content = written(DRAWN["contours"](), "svg")
    assert len(groups(content, "contours-")) == 1 + len(levels_of(DRAWN["contours"]()))
    (arrows,) = groups(content, "gradient")
    assert len(arrows.findall(f".//{SVG}path")) > 100
    assert not groups(written(DRAWN["contours_alone"](), "svg"), "gradient")


def test_dots_in_an_svg_are_signs_a_class():
    found = groups(written(DRAWN["dots_of_classes"](), "svg"), "dots-")
    # The last one lies outside; the first one lies on the edge, and is whole.
    assert [len(group.findall(f".//{SVG}use")) for group in found] == [4, 3, 2]
    assert not any(element.get("clip-path") for group in found for element in group.iter())
    (found,) = groups(written(DRAWN["dots"](), "svg"), "dots-")
    assert len(found.findall(f".//{SVG}use")) == 10
    assert written(with_dots(DRAWN["one_curve"](), "empty"), "svg")


def test_the_axis_reaches_to_the_dots_above_it():
    drawn = line("variable x = 1.0; y = 0*x + 1", orders=[0])._replace(dots=dots(ROWS, ["xs", "xs"], False))
    height = height_of(drawn)
    assert height.low < -2 and height.high > 2.5
    assert height_of(drawn._replace(x_range=(0.0, 1.0))).low > -0.1
    height = height_of(drawn._replace(log_y=True))
    assert 0 < height.low < 0.5 < 2.5 < height.high


def texts_in(drawn):
    return ["".join(text.itertext()) for text in ElementTree.fromstring(written(drawn, "svg")).iter(f"{SVG}text")]


@pytest.mark.slow
def test_texts_are_text():
    assert {"x", "y", "z", "xs = 0"} & set(texts_in(with_dots(DRAWN["contours"](), "ys", "xs"))) == {"x", "z"}
    assert {"v", "kind = 0", "kind = 1", "kind = 2"} <= set(texts_in(DRAWN["dots_of_classes"]()))
    assert {"y", "dy/dx", "ys"} <= set(texts_in(DRAWN["dots"]()))


def test_a_short_logarithmic_axis_has_plain_numbers():
    short = series("h", "step", {"step": [0, 1, 2], "loss": [300.0, 120.0, 70.0]})
    assert {"100", "150", "200", "250", "300"} <= set(texts_in(short))
    assert "300" not in texts_in(series("h", "step", {"step": [0, 1, 2], "loss": [300.0, 120.0, 0.7]}))


@pytest.mark.parametrize(
    ("names", "kind", "words"),
    [
        (["xs"], "ShapeError", "dots are rows of x, y and perhaps a class, and not those of xs [10]"),
        (["xs", "x"], "ShapeError", "xs [10] and x []"),
        (["xs", "many"], "ShapeError", "xs [10] and many [7]"),
        (["xs", "ys", "kind", "far"], "ShapeError", "far [10]"),
        (["many", "many", "many"], "ValueError", "many has 7 values; there are at most 6 classes"),
        (["zs"], "NameError", "`zs`"),
    ],
)
def test_wrong_dots(names, kind, words):
    with pytest.raises(gradcli.GradcliError, match=re.escape(words)) as caught:
        dots(ROWS, names, classes=True)
    assert caught.value.kind == kind


def test_dots_that_are_not_finite_are_left_out():
    program = gradcli.loads(
        "a = [1.0, inf, 2.0, 3.0, 1e200]; b = [1.0, 1.0, nan, 1e-200, 1.0]; k = [1.0, 1.0, 1.0, nan, 2.0]"
    )
    (found,) = dots(program, ["a", "b"], classes=False)
    assert (found.x.tolist(), found.y.tolist()) == ([1, 3], [1, 0])
    (found,) = dots(program, ["a", "b", "k"], classes=True)
    assert (found.label, found.x.tolist()) == ("k = 1", [1])
    drawn = line("variable x = 1.0; y = x^2")._replace(dots=dots(program, ["a", "k"], classes=False))
    assert shown(drawn) and written(drawn, "svg")


def test_too_many_dots():
    program = gradcli.loads("xs = arange(20001)")
    with pytest.raises(gradcli.GradcliError, match="at most 20000 dots"):
        dots(program, ["xs", "xs"], classes=False)
    with pytest.raises(gradcli.GradcliError, match="dots are rows of x and y, and not"):
        dots(ROWS, ["xs", "ys", "kind"], classes=False)


def test_names_are_no_mathematics_and_nobodys_style_counts(monkeypatch):
    import matplotlib as mpl

    drawn = DRAWN["curves"]()
    first = written(drawn, "svg")
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "red", "svg.hashsalt": "other"}):
        assert written(drawn, "svg") == first
    assert written(drawn._replace(title="a$b$_^{.expr"), "svg") != first


def test_ticks():
    assert Axis(-3, 3).ticks(4) == [(-2.0, "-2"), (0.0, "0"), (2.0, "2")]
    assert Axis(0.5, 1.5).ticks(6) == [(pytest.approx(k / 10), f"{k / 10:.1f}") for k in (6, 8, 10, 12, 14)]
    assert [text for _, text in Axis(1e-4, 1e4, log=True).ticks(5)] == ["0.0001", "0.01", "1", "100", "10000"]
    assert [text for _, text in Axis(2.0, 7.0, log=True).ticks(5)] == ["2", "4", "6"]
    assert [text for _, text in Axis(0.0, 3e12).ticks(4)] == ["0", "1e+12", "2e+12", "3e+12"]
    for low, high in ((-1e-300, 1e-300), (1e10, 1e10 + 1), (-7e250, 1e260), (1.5, 4.5), (0, 1e-9)):
        for most in (2, 3, 10):
            ticks = Axis(low, high).ticks(most)
            assert 2 <= len(ticks) <= max(most, 5)
            assert len({text for _, text in ticks}) == len(ticks)
            for value, text in ticks:
                assert float(text) == pytest.approx(value, rel=1e-9, abs=1e-6 * (high - low))


def test_levels_divide_the_area():
    levels = levels_of(surface("variable x = 1.0; variable v = 1.0; z = x"))
    assert levels == sorted(levels)
    assert levels == pytest.approx([-1.6, -1.2, -0.8, -0.4, 0, 0.4, 0.8, 1.2, 1.6], abs=0.06)
    # Far from zero as many digits as tell them apart.
    levels = levels_of(surface("variable x = 1.0; variable v = 1.0; z = 1e6 + x"))
    assert len(levels) == 9
    assert levels_of(DRAWN["contours_of_a_constant"]()) == []
    # The contour of 0 is there if there is one.
    assert 0.0 in levels_of(surface("variable x = 1.0; variable v = 1.0; z = exp(x) + v"))
    # 0 is 0, and not what rounding leaves of it.
    assert 0.0 in levels_of(surface("variable x = 1.0; variable v = 1.0; z = sin(pi*x)*v"))
    assert levels_of(surface("variable x = 1.0; variable v = 1.0; z = where(x > v, 3.0, 1.0)")) == [2.0]


# y, the range of x, and whether the axes are logarithmic
EXTREMES = [
    ("1/x", 1e-100, 1e100, False, True),
    ("1/x", 1e-100, 1e100, True, True),
    ("abs(x)", 1e-100, 1e100, False, False),
    ("1e99*x", -1.0, 1.0, False, False),
    ("1e-99*x", -1.0, 1.0, False, False),
    ("1e-310*x", -1.0, 1.0, False, False),
    ("x", 0.0, 1e-100, False, False),
    ("where(x > 0, 1e99, -1e-99)", -1.0, 5.0, False, False),
    ("tan(x)", 1e-100, 10.0, True, False),
    ("x + 1e15", -1.0, 1.0, False, False),
    ("exp(exp(x))", -10.0, 10.0, False, True),
]


@pytest.mark.slow
@pytest.mark.parametrize(("y", "low", "high", "log_x", "log_y"), some(EXTREMES, 2))
def test_extreme_values(y, low, high, log_x, log_y):
    program = gradcli.loads(f"variable x = 1.0; variable v = 1.0; y = {y}; z = ({y})*v")
    drawn = curves(program, ["y"], Variable("x", None, low, high, log_x), range(3), 50, log_y)
    assert re.search("[\u2801-\u28ff]", shown(drawn))
    assert written(drawn, "svg")
    spread = field(program, ["z"], Variable("x", None, low, high), Variable("v", None, -1.0, 1.0), (20, 20), True)
    assert len(shown(spread).splitlines()) == 16
    assert written(spread, "png")
