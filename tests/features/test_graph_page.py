"""``graph --numbers`` and ``--format html``: values and gradients in boxes, and a page that a browser opens by itself."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

PROGRAM = """\
def f(x) = {
    a = x^2
    a*sin(a)
}
variable x = [1.0, 2.0]
constant k = 3.0
h = k*f(x)
y = sum(h) + sum(floor(x))
"""

SHIM = """
const fs = require("fs");
const page = fs.readFileSync(process.argv[2], "utf8");
const data = page.match(/<script type="application\\/json" id="data">(.*?)<\\/script>/s)[1];
const script = page.match(/<script>\\n"use strict";(.*?)<\\/script>/s)[1];
class Element {
  constructor(name) { this.name = name; this.children = []; this.attributes = {}; this.on = {}; this.style = {}; this.value = ""; this._text = ""; }
  set textContent(text) { this._text = String(text); } get textContent() { return this._text; }
  setAttribute(key, value) { this.attributes[key] = String(value); }
  appendChild(child) { this.children.push(child); return child; }
  replaceChildren() { this.children = []; }
  addEventListener(name, action) { (this.on[name] = this.on[name] || []).push(action); }
  fire(name, event) { for (const action of this.on[name] || []) action(event || {pageX: 0, pageY: 0, target: this}); }
  click() { this.fire("click"); }
  getContext() { return {measureText: text => ({width: 7 * text.length})}; }
  getBoundingClientRect() { return {top: 99, bottom: 99, left: 99, right: 99, width: 0, height: 0}; }
}
const byId = {};
Object.assign(global, {innerWidth: 999, innerHeight: 999, addEventListener: () => {}});
global.document = {
  getElementById: id => byId[id] = byId[id] || new Element(id), createElementNS: (_, name) => new Element(name), addEventListener: () => {},
  createElement: name => new Element(name), querySelector: name => new Element(name), documentElement: {clientWidth: 999},
};
byId.data = new Element("data"); byId.data.textContent = data;
new Function(script)();
const groups = () => byId.drawing.children.filter(e => e.name === "g");
const words = () => groups().map(g => g.children.filter(e => e.name === "text").map(e => e.textContent));
const found = {folded: words(), paths: byId.drawing.children.filter(e => e.name === "path").length, cut: byId.drawing.children.filter(e => e.attributes.class === "cut").length};
byId.fold.click(); found.open = words();
byId.first.click(); found.first = [words(), byId.step.textContent];
for (let i = 0; i < 40; i++) byId.next.click();
found.last = [words(), byId.step.textContent];
byId.all.click();
byId.search.value = "sin"; byId.search.fire("input");
found.hits = groups().filter(g => !g.attributes.class.includes("miss")).length;
groups()[0].fire("mousemove"); found.tip = byId.tip.textContent;
console.log(JSON.stringify(found));
"""


class Page(html.parser.HTMLParser):
    """The elements of a page, and the data in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self.reading = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.reading = dict(attrs).get("id") == "data"

    def handle_data(self, data):
        self.data += data if self.reading else ""

    def handle_endtag(self, tag):
        self.reading = False


@pytest.fixture
def page(gradcli, tmp_path):
    def made(text: str = PROGRAM, *options: str) -> tuple[str, dict]:
        (tmp_path / "f.expr").write_text(text)
        done = gradcli("graph", "f.expr", "--format", "html", "-o", "f.html", *options)
        assert (done.status, done.out, done.err) == (0, "", "")
        content = (tmp_path / "f.html").read_text(encoding="utf-8")
        return content, json.loads(Page(content).data)

    return made


def test_numbers_are_those_of_eval_and_grad(gradcli, tmp_path):
    (tmp_path / "f.expr").write_text(PROGRAM)
    drawn = json.loads(gradcli("graph", "f.expr", "--numbers", "--format", "json", "--of", "y").out)
    boxes = {name: node for node in drawn["nodes"] for name in node["names"]}
    values = json.loads(gradcli("eval", "f.expr", "--of", "x,k,h,y", "--format", "json").out)["values"]
    gradients = json.loads(gradcli("grad", "f.expr", "--of", "y", "--wrt", "x,k,h,y", "--format", "json").out)[
        "gradients"
    ]
    for name in ("x", "k", "h", "y"):
        np.testing.assert_allclose(boxes[name]["value"], values[name]["value"], rtol=1e-12)
        np.testing.assert_allclose(boxes[name]["gradient"], gradients[name]["value"], rtol=1e-12)
        assert boxes[name]["connected"]
    (floor,) = [node for node in drawn["nodes"] if node["text"].startswith("floor")]
    assert floor["value"] == [1.0, 2.0] and floor["gradient"] == [1.0, 1.0]


def test_numbers_in_trees_and_drawings(gradcli):
    text = "variable x = 3.0; variable k = [1.0, 2.0]; n = floor(x); y = sum(k*x^2)"
    tree = gradcli("graph", "--numbers", "-e", text).out
    assert re.search(r"x\^2 +\[\] float64, value 9\.0, gradient 3\.0\n", tree)
    assert re.search(r"n = floor\(x\) +\[\] float64, value 3\.0, gradient None\n", tree)
    assert "gradient 3.0" in gradcli("graph", "--numbers", "-e", text, "--format", "dot").out
    assert "value" not in gradcli("graph", "-e", text).out
    long = gradcli("graph", "--numbers", "-e", "variable x = arange(1000.0); y = sum(x)").out
    assert "value 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, … (1000 entries)" in long
    assert "no value" in gradcli("graph", "--numbers", "-e", "variable x; y = x^2").err


def test_a_page_needs_nothing_else(page):
    content, data = page()
    loads = {"src", "href", "srcset", "action", "background", "poster"}
    assert not [
        (tag, attrs) for tag, attrs in Page(content).tags if loads & attrs.keys() or tag in ("link", "img", "iframe")
    ]
    assert "default-src 'none'" in content
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import|innerHTML|eval\(", content)
    assert len(content) < 25_000
    assert data["title"] == "f.expr" and data["of"] == "y"
    assert [title for title, _ in data["clusters"]] == ["f(x)"]


def test_hostile_names_are_texts(page, gradcli, tmp_path):
    text = 'variable x = 1.0  # </script><script>alert(1)</script> <!-- \u2028 &lt;\ny = x^2  # "</SCRIPT>"\n'
    content, data = page(text)
    assert content.count("<script") == 2 and content.lower().count("</script") == 2
    assert "<!--" not in content
    assert "</script><script>alert(1)</script> <!-- \u2028 &lt;" in data["boxes"][0]["source"]
    name = "<img src=x onerror=alert(1)>.expr"
    (tmp_path / name).write_text(text)
    assert "<img" not in gradcli("graph", name, "--format", "html").out


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to run the page's script")
def test_the_script_folds_searches_and_plays(page, tmp_path):
    _, data = page()
    (tmp_path / "run.js").write_text(SHIM, encoding="utf-8")
    done = subprocess.run(
        ["node", "run.js", "f.html"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    found = json.loads(done.stdout)
    inside = [box for box in data["boxes"] if box["cluster"] == 0]
    assert len(found["open"]) == len(data["boxes"])
    assert len(found["folded"]) == len(data["boxes"]) - len(inside) + 1
    assert ["f(x)"] in [words[:1] for words in found["folded"]]
    assert found["paths"] >= 5 and found["cut"] == 1
    assert sum(len(words) for words in found["first"][0]) < sum(len(words) for words in found["open"])
    assert found["first"][1] == f"forward 1 of {len(data['boxes'])}"
    assert found["last"][0] == found["open"]
    passed = [box for box in data["boxes"] if box["gradient"] not in (None, "None")]
    assert found["last"][1] == f"backward {len(passed)} of {len(passed)}"
    assert 0 < found["hits"] < len(data["boxes"])
    assert "line" in found["tip"]


def test_large_programs_are_summarised(page):
    text = "variable x = 1.0\na0 = x\n" + "".join([f"a{i + 1} = sin(a{i}) + {i}\n" for i in range(300)])
    _, data = page(text, "--most", "50")
    assert len(data["boxes"]) <= 50
    assert "summarised" in data["note"]
