"""The magics in a notebook: what cells answer, in which forms, and a notebook that is executed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("IPython")

from gradcli.features.notebook.magic import CommandError, GradcliMagics


@pytest.fixture
def cell(monkeypatch, tmp_path):
    """Run a cell with the magic: its line and its text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return GradcliMagics(None).gradcli


def test_cells_add_to_a_program_and_an_expression_is_answered(cell):
    assert cell("", "variable x = [1.0, 2.0]\ny = sum(x^2)\n") is None
    assert repr(cell("", "y + 1")) == "6.0"
    assert cell("", "variable x = [3.0, 4.0]") is None
    assert repr(cell("eval --of y")) == "y = 25.0"
    assert repr(cell("--precision 2", "y/3")) == "8.3"


def test_gradients_are_a_table(cell):
    answer = cell("grad", "variable x = 2.0; variable k = 1.0; y = floor(k)*x^2")
    assert repr(answer) == "x = 4.0\nk = None"
    assert answer.data["gradients"]["x"]["value"] == 4.0
    html = answer._repr_html_()
    assert "<tr><th>x</th><td>4.0</td><td>[]</td><td>float64</td></tr>" in html
    assert "<em>None</em> <em>passes through floor" in html
    assert answer._repr_latex_() is None and answer._repr_svg_() is None
    orders = cell("grad --order 2 --every-order --wrt x")._repr_html_()
    assert orders.count("<table>") == 2 and "<caption>order 2</caption>" in orders


def test_what_users_write_is_text_in_html(cell):
    assert "<script>" not in cell("eval", "y = 1.0 # <script>")._repr_html_()
    assert "[[0.0, 0.0" in cell("eval --of z", "z = zeros([50, 50])")._repr_html_()
    assert len(cell("eval --of z")._repr_html_()) < 1000


def test_formulas_are_latex(cell):
    answer = cell("derive", "variable x = 2.0; y = sin(x)/x")
    assert answer._repr_latex_().startswith("$$\\begin{aligned}") and "\\frac" in answer._repr_latex_()
    assert "dy_dx =" in repr(answer)
    assert cell("derive --format python")._repr_latex_() is None


def test_plots_are_svg(cell):
    pytest.importorskip("matplotlib")
    svg = cell("plot --x x=0:1", "variable x = 0.5; y = x^2")._repr_svg_()
    assert svg.lstrip().startswith("<?xml") and "</svg>" in svg


def test_graphs_are_svg_where_graphviz_is_installed(cell):
    answer = cell("graph", "variable x = 0.5; y = x^2")
    assert "y = x^2" in repr(answer)
    assert (answer._repr_svg_() is not None) == (shutil.which("dot") is not None)


@pytest.mark.parametrize(
    ("line", "text", "words"),
    [
        ("", "x = = 1", "<repl>:1:5"),
        ("", "1 + nothing", "`nothing` is not defined"),
        ("grad --oder 2", "variable x = 1.0; y = x", "--order"),
        ("", "a = 1\na = a + 1", "cannot be computed from itself"),
        ("grad 'x", "", "No closing quotation"),
    ],
)
def test_failures_are_messages_without_traceback(cell, line, text, words):
    with pytest.raises(CommandError) as found:
        cell(line, text)
    assert words in str(found.value)
    assert "\n".join(found.value._render_traceback_()) == str(found.value).rstrip()


@pytest.mark.slow
def test_a_notebook_is_executed(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    cells = [
        "%load_ext gradcli",
        "%%gradcli\nvariable x = 3.0\ny = x^2",
        "%gradcli grad",
        "%%gradcli derive\nsin(x)",
        "%%gradcli\nx +",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    nbclient.NotebookClient(
        book, timeout=60, allow_errors=True, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    _, silent, gradient, formula, wrong = [c.outputs for c in book.cells]
    assert silent == []
    assert gradient[0].data["text/plain"] == "x = 6.0"
    assert "<td>6.0</td>" in gradient[0].data["text/html"]
    assert "\\cos" in formula[0].data["text/latex"]
    assert wrong[0].output_type == "error"
    assert "SyntaxError" in re.sub(r"\x1b\[[\d;]*m", "", "\n".join(wrong[0].traceback))
    assert "magic.py" not in "\n".join(wrong[0].traceback)
    assert not list(Path(tmp_path).iterdir())
