"""The comparison of pictures finds what is wrong in one, and nothing in one that rounding has changed."""

from __future__ import annotations

import io
import re

import pytest
from pictures import mismatch

import gradcli
from gradcli.features.plot import figures
from gradcli.features.plot.answer import Dots, Variable, curves, field

DOTS = [Dots("data = 0", *[gradcli.loads(f"a = {a}").eval()["a"] for a in ("[0.1, 0.5]", "[0.2, 0.4]")])]


def curve(y: str = "sin(3*x)", name: str = "y", dots=()) -> str:
    program = gradcli.loads(f"variable x = 1.0; {name} = {y}")
    drawn = curves(program, [name], Variable("x", None, -1.0, 1.0), [0, 1], 200)
    return written(figures.write_curves, drawn._replace(dots=dots))


def contours(z: str = "x^2 + y", samples: int = 60, dots=DOTS) -> str:
    program = gradcli.loads(f"variable x = 1.0; variable y = 1.0; z = {z}")
    ranges = [Variable(name, None, -1.0, 1.0) for name in "xy"]
    return written(figures.write_field, field(program, ["z"], *ranges, (samples, samples), True)._replace(dots=dots))


def written(write, drawn) -> str:
    file = io.BytesIO()
    write(file, "svg", drawn)
    return file.getvalue().decode()


@pytest.mark.slow
def test_rounding_is_no_difference():
    assert mismatch(curve("sin(3*x) + 1e-6*cos(9*x)"), curve(), 0.002) is None
    assert mismatch(contours("x^2 + y + 1e-6*sin(9*x)"), contours(), 0.002) is None
    assert mismatch(curve("sin(3*x) + 0.02*cos(x)"), curve(), 0.05) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "right", "word"),
    [
        (lambda: curve(dots=[DOTS[0]._replace(y=DOTS[0].y + 0.1)]), lambda: curve(dots=DOTS), "dots-0"),
        (lambda: curve("sin(3.05*x)"), curve, "curve-"),
        (lambda: curve(name="z"), curve, "texts"),
        (lambda: curve().replace("curve-1", "other"), curve, "drawn"),
        (
            lambda: re.sub(r'(<g id="contours-3">.*?<use [^>]*x=")', r"\g<1>3", contours(), flags=re.DOTALL),
            contours,
            "contours-3",
        ),
        (lambda: contours(dots=[]), contours, "texts"),
        (lambda: contours(dots=[DOTS[0]._replace(y=DOTS[0].y + 0.03)]), contours, "dots-0"),
        (lambda: contours(dots=[DOTS[0]._replace(x=DOTS[0].x[:1], y=DOTS[0].y[:1])]), contours, "dots-0"),
        (lambda: re.sub(r'(<g id="gradient">\s*)<path[^>]*/>', r"\1", contours()), contours, "gradient"),
    ],
)
def test_differences_are_found(wrong, right, word):
    found = mismatch(wrong(), right(), 0.004)
    assert found is not None and word in found
