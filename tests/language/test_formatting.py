"""The style of programs: it is reached at once, and no graph, comment or line of a text changes on the way."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradcli
from gradcli.diagnostics import GradcliError, Source
from gradcli.language.formatting import formatted
from gradcli.language.pieces import pieces
from tests.graph_form import form
from tests.random_programs import programs

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("**/*.expr"))

UNTIDY = """\ufeff

x=1;y=  x+2 ;  # hi
z = x-y*-2 ;
def f (a , k = 2)={
a=a ;


# note
  - a  *k + x [1 :2, a+1:, ...,: ,newaxis] . T
   }
w= concat( [ x,
 y , # in
# out
], axis = 1
)
def g(x) = { h = x; h**2 }
variable q : float32 [ 3 ]=[1, -2 ,3]; variable r:[2]
v = not(x<1)and  (y>=- 2) ; u = var (x) / 2; t = 2 .T + x^- 2 + (- x) - -y*+3
tangent f(a,k,da)=da*k   # one
a,b , = f(x)             # below the other
output   x ,y
seed y=load( "a  ,b" )#end"""

TIDY = """\
x = 1; y = x + 2  # hi
z = x - y*-2
def f(a, k=2) = {
    a = a

    # note
    -a*k + x[1:2, a+1:, ..., :, newaxis].T
}
w = concat([x,
    y,  # in
    # out
], axis=1
)
def g(x) = { h = x; h**2 }
variable q: float32[3] = [1, -2, 3]; variable r: [2]
v = not (x < 1) and (y >= -2); u = var(x) / 2; t = 2 .T + x^-2 + (-x) - -y*+3
tangent f(a, k, da) = da*k  # one
a, b, = f(x)                # below the other
output x, y
seed y = load("a  ,b")  # end
"""


def style(text: str) -> str:
    return formatted(Source("t", text))


def test_style() -> None:
    assert style(UNTIDY) == TIDY.replace("# end", "#end")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_in_style(path: Path) -> None:
    assert style(path.read_text()) == path.read_text()


def squeezed(draw: st.DrawFn, text: str) -> str:
    """A text with other space between its tokens."""
    found = list(pieces(Source("", text)))
    made = text[: found[0].start]
    for before, after in pairwise(found):
        made += text[before.start : before.end]
        gap = text[before.end : after.start]
        fixed = gap + text[after.start : after.end] in ("\n", ";") or before.sort == "comment"
        loose = draw(st.sampled_from([gap, " ", "  ", "\t", " " if gap else ""]))
        made += gap if fixed else loose
    return made + text[found[-1].start :]


@st.composite
def untidy(draw: st.DrawFn) -> str:
    return squeezed(draw, draw(programs(smooth=False)))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(untidy())
def test_graphs_stay(text: str) -> None:
    once = style(text)
    assert style(once) == once
    assert form(gradcli.loads(once).graph) == form(gradcli.loads(text).graph)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_samples_come_back_into_style(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(SAMPLES))
    text = squeezed(data.draw, path.read_text())
    once = style(text)
    assert style(once) == once
    words = [re.sub(r"\s+", "", t) for t in (text, once)]
    assert words[0] == words[1]


def test_line_ends_and_empty_texts() -> None:
    assert style("x=1\r\n\r\n\r\ny=x\r\n") == "x = 1\r\n\r\ny = x\r\n"
    assert (style(""), style("\n \n"), style("# x"), style(";;")) == ("", "", "# x\n", "")
    with pytest.raises(GradcliError, match="expected an expression"):
        style("x = ")


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_any_text_is_a_program_in_style_or_an_error(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from(SAMPLES)).read_text().split("\n")
    at = data.draw(st.integers(0, len(lines)))
    text = "\n".join(lines[at : at + 9])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.sampled_from(
                ["(", ")", "[", "}", "{ ", "\n", ";", " ", "=", "#", "-", "2 .T", "\r\n", "\t", "\u2028", ","]
            )
        )
        text = text[:at] + piece + text[at:]
    try:
        once = style(text)
    except GradcliError:
        return
    assert style(once) == once
