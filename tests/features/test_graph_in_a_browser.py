"""The page of ``graph --format html`` in Chromium, with a mouse and keys: nothing is loaded, nothing fails, all can be seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser import Browser, browser

__all__ = ["browser"]
pytestmark = pytest.mark.slow
ENTER, RIGHT, LEFT = "\ue007", "\ue014", "\ue012"

PROGRAM = """\
def f(z) = {
    a = z^2
    a*sin(a)
}
variable x = [1.0, 2.0]
constant k = 3.0
h = k*f(x)
n = sum(floor(x))
y = sum(h) + n
"""

WORDS = (
    "return [...document.querySelectorAll('svg g')].map(g => [...g.querySelectorAll('text')].map(t => t.textContent))"
)
NOW = "return [...document.querySelectorAll('.now text')].map(t => t.textContent)"
STEP = "return document.getElementById('step').textContent"
TIP = "const tip = document.getElementById('tip'); return tip.style.display === 'none' ? '' : tip.textContent"
PLACE = (
    "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]"
)


@pytest.fixture
def page(gradcli, tmp_path, browser: Browser):
    """Draw a program, and open the page of it; at the end nothing has been loaded, and nothing has gone wrong."""

    def opened(text: str = PROGRAM, *options: str, width: int = 1000) -> Browser:
        (tmp_path / "f.expr").write_text(text)
        assert gradcli("graph", "f.expr", "--format", "html", "-o", "f.html", *options).status == 0
        browser.log("performance")
        browser.open(tmp_path / "f.html", width)
        return browser

    yield opened
    events = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    asked = [one["request"]["url"] for one in sent if one["documentURL"].startswith("file:")]
    assert len(asked) == 1 and asked[0].endswith("/f.html")
    assert browser.log("browser") == []


def box(page: Browser, start: str) -> int:
    """Which box has a title that begins so."""
    return next(i for i, words in enumerate(page.run(WORDS)) if words[0].startswith(start))


def inside(page: Browser, selector: str, bar: bool = True) -> bool:
    """Whether all of an element can be seen, below the bar."""
    left, top, right, bottom = page.run(PLACE, selector)
    least = page.run(PLACE, "header")[3] if bar else 0
    width, height = page.run("return [document.documentElement.clientWidth, innerHeight]")
    return left >= 0 and right <= width and top >= least - 1 and bottom <= height + 1


def test_calls_are_folded_and_unfolded(page):
    shown = page()
    folded = shown.run(WORDS)
    assert [words[0] for words in folded if "f(x)" in words[0]] == ["f(x)"]
    shown.point("svg g", click=True, nth=box(shown, "f(x)"))
    opened = shown.run(WORDS)
    assert len(opened) == len(folded) + 2
    shown.point("svg g", click=True, nth=box(shown, "sin("))
    assert shown.run(WORDS) == folded
    for words in (opened, folded):
        shown.point("#fold", click=True)
        assert shown.run(WORDS) == words


def test_the_mouse_shows_what_a_box_is(page):
    shown = page()
    shown.point("svg g", nth=box(shown, "h = "))
    assert shown.run(TIP).split("\n") == [
        "h = k * ·", "line 7: h = k*f(x)", "[2] float64", "value [2.524, -9.082]", "gradient of y: [1.0, 1.0]",
    ]  # fmt: skip
    assert inside(shown, "#tip")
    shown.point("#name")
    assert shown.run(TIP) == ""


def test_steps_are_played_one_by_one(page):
    shown = page()
    shown.point("#next", click=True)
    data = json.loads(shown.run("return document.getElementById('data').textContent"))
    boxes = len(data["boxes"])
    back = sum(b["gradient"] not in (None, "None") for b in data["boxes"])
    said, seen = [], []
    for _ in range(boxes + back - 1):
        said.append(shown.run(STEP))
        seen.append(shown.run(NOW))
        shown.press(RIGHT)
    said.append(shown.run(STEP))
    assert said == [
        *(f"forward {i + 1} of {boxes}" for i in range(boxes)),
        *(f"backward {i + 1} of {back}" for i in range(back)),
    ]
    assert all(len(words) in (2, 3) for words in seen)
    assert len(seen[0]) == 2 and "∂" in seen[-1][-1]
    shown.press(LEFT)
    assert shown.run(STEP) == f"backward {back - 1} of {back}"
    shown.point("#first", click=True)
    assert len(shown.run("return [...document.querySelectorAll('.later')]")) == len(shown.run(WORDS)) - 1
    shown.point("#all", click=True)
    assert shown.run(STEP) == "" and shown.run("return document.querySelectorAll('.later').length") == 0


def test_search_finds_and_goes_there(page):
    lines = "\n".join([f"a{i + 1} = sin(a{i})" for i in range(500)])
    shown = page(f"variable x = 1.0\na0 = x\n{lines}\n", "--most", "600")
    assert len(shown.run(WORDS)) == 501
    shown.point("#search", click=True)
    shown.press("a44")
    assert shown.run(STEP) == "13 found"
    for number in (1, 2):
        shown.press(ENTER)
        assert shown.run(STEP) == f"{number} of 13 found"
        at = shown.run(f"hits[{number - 1}].id = 'hit{number}'; return hits[{number - 1}].textContent")
        assert "a44" in at and inside(shown, f"#hit{number}")
    shown.run("step = 480; draw(); reveal(current)")
    assert inside(shown, ".now") and inside(shown, "header", bar=False)


LONG = "a_name_that_goes_on_and_on_and_on_until_nobody_can_read_it_any_more_in_a_box"


@pytest.mark.parametrize("width", [500, 1000])
def test_texts_stay_in_their_boxes(page, width):
    shown = page(f"variable {LONG} = arange(9.0)\nü = sum(tanh({LONG})*{LONG} + 123456.789)\n", width=width)
    over: Any = shown.run(
        "return [...document.querySelectorAll('svg g')].flatMap(g => [...g.querySelectorAll('text')]"
        ".map(t => t.getBBox().width + 8 - g.querySelector('rect').getBBox().width))"
    )
    assert max(over) <= 0
    assert any(words[1].endswith(" …") for words in shown.run(WORDS))
    shown.point("svg g")
    assert LONG in shown.run(TIP) and inside(shown, "#tip")
    shown.point("#fit", click=True)
    assert shown.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_loops_have_names_and_numbers(page):
    shown = page("variable x = 0.5\ndef step(s) = 3.7*s*(1 - s)\ny = iterate(step, x, 1000)\nz = y^2\n")
    title, value, gradient = shown.run(WORDS)[1]
    assert title == "y = iterate(step, x, 1000)"
    assert float(value) == pytest.approx(0.7509, abs=1e-4) and gradient.startswith("∂ ")


def test_a_dark_window_is_dark(page):
    shown = page()
    shown.ask("POST", "/goog/cdp/execute", {
        "cmd": "Emulation.setEmulatedMedia", "params": {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    })  # fmt: skip
    paper, ink = shown.run(
        "const of = (e, p) => getComputedStyle(e)[p]; const text = document.querySelector('svg text');"
        " return [of(document.body, 'backgroundColor'), of(text, 'fill')].map(c => c.match(/\\d+/g).map(Number)[0])"
    )
    assert paper < 60 and ink > 200
