"""``gradcli derive``: what it prints for the samples, pipes that go on from it, its formats and its messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.features.test_derived import question
from tests.golden import difference

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.expr"))
GOLDEN = Path(__file__).parent / "derived"
FORMATS = {
    "expr": (),
    "tex": ("--format", "latex"),
    "numpy": ("--format", "python"),
    "txt": ("--steps",),
    "steps.tex": ("--steps", "--format", "latex"),
}
SHOWN_IN_EVERY_FORMAT = {"late", "rosenbrock", "stopped_node", "matmul", "gradient_penalty"}
CASES = [
    (sample, ending) for sample in SAMPLES for ending in (FORMATS if sample.stem in SHOWN_IN_EVERY_FORMAT else ["expr"])
]


@pytest.fixture
def derive(command_line, monkeypatch):
    """What ``gradcli derive`` prints for a sample or for a program in line, run in the checkout."""
    monkeypatch.chdir(ROOT)

    def run(*arguments: str) -> str:
        done = command_line("derive", *arguments)
        assert (done.status, done.err) == (0, "")
        return done.out

    return run


def asked(sample: Path) -> list[str]:
    return [word for option, names in question(sample).items() for word in (f"--{option}", ",".join(names))]


@pytest.mark.slow
@pytest.mark.parametrize(("sample", "ending"), CASES, ids=[f"{s.stem}.{e}" for s, e in CASES])
def test_samples(sample, ending, derive, request):
    actual = derive(f"samples/{sample.name}", *asked(sample), *FORMATS[ending])
    golden = GOLDEN / f"{sample.stem}.{ending}"
    if request.config.getoption("--refresh-golden"):
        golden.write_text(actual, encoding="utf-8")
    assert difference(actual, golden.read_text(encoding="utf-8")) is None


def test_there_is_no_golden_file_too_many():
    assert {path.name for path in GOLDEN.iterdir()} == {f"{sample.stem}.{ending}" for sample, ending in CASES}


def test_pipes_go_on(derive, command_line):
    program = "variable x = [0.5, 2.0]; y = sum(sin(x)*x^2)"
    first = derive("-e", program)
    assert command_line("eval", stdin=first).out.replace("dy_dx", "x") == command_line("grad", "-e", program).out
    second = command_line("derive", stdin=first).out
    values = json.loads(command_line("eval", "--format", "json", stdin=second).out)["values"]
    expected = json.loads(command_line("grad", "-e", program, "--order", "2", "--format", "json").out)["gradients"]
    assert values["ddy_dx_dx"]["value"] == pytest.approx(expected["x"]["value"], rel=1e-12)
    assert command_line("check", stdin=first).status == 0
    assert command_line("grad", "--order", "3", stdin=first).status == 0


def test_orders_seeds_stops_and_values(derive):
    program = "variable x = 2.0; a = x^2; y = a*x"
    assert derive("-e", program, "--order", "2").endswith("output d2y_dx2\n")
    text = derive("-e", program, "--seed", "y=10", "--stop", "a", "--set", "x=3.0", "--wrt", "x")
    assert text == "variable x = 3.0\na = stop_gradient(x^2)\ndy_dx = 10 * a\noutput dy_dx\n"
    assert derive("-e", program, "--dtype", "float32").startswith("dtype float32\n")
    assert "dy_da = x\n" in derive("-e", program, "--wrt", "a,x")
    assert derive("-e", "variable x = 1.0; g = gradients(x^3, x)", "--order", "0") == (
        "variable x = 1.0\ng = 3 * x^2\noutput g\n"
    )


def test_the_answer_is_written_to_a_file_whole_or_not_at_all(derive, command_line, tmp_path):
    target = tmp_path / "gradient.py"
    assert derive("samples/late.expr", "--format", "python", "--output", str(target)) == ""
    assert target.read_text(encoding="utf-8") == derive("samples/late.expr", "--format", "python")
    before = target.read_text(encoding="utf-8")
    assert command_line("derive", "-e", "variable x = 1.0; y = x + z", "--output", str(target)).status == 1
    assert target.read_text(encoding="utf-8") == before
    done = command_line("derive", "samples/late.expr", "--output", str(tmp_path))
    assert done.status == 1
    assert "error[DataError]" in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--steps", "--format", "python"), 2, "--steps is text or LaTeX"),
        (("--steps", "--order", "2"), 2, "--steps shows one pass"),
        (("--order", "-1"), 2, "--order"),
        (("--wrt", "z"), 1, "the program has no value `z`"),
        (("--of", "yy"), 1, "did you mean `y`?"),
        (("--seed", "y=[1, 2]"), 1, "the seed of y: a head gradient needs the shape of its y"),
        (("--stop", "q"), 1, "the program has no value `q`"),
        (("--format", "html"), 2, "--format"),
    ],
)
def test_messages(arguments, status, message, command_line):
    done = command_line("derive", "-e", "variable x = 2.0; y = x^2", *arguments)
    assert done.status == status
    assert message in done.err
    assert done.out == ""


def test_a_program_without_variables_says_what_to_do(command_line):
    done = command_line("derive", "-e", "y = sqrt(2)")
    assert done.status == 1
    assert "--wrt x" in done.err


def test_everything_is_none(derive, command_line):
    program = "variable x = 2.0; y = floor(x)"
    text = derive("-e", program)
    assert text == (
        "variable x = 2.0\n"
        "dy_dx = gradients(0.0, x)  # None: passes through floor on line 1, which has no derivative\n"
        "output dy_dx\n"
    )
    assert command_line("eval", stdin=text).out == "dy_dx = None\n"
    assert "dy/dx = None: passes through floor" in derive("-e", program, "--steps")


def test_the_steps_of_a_product(derive):
    text = derive("-e", "variable x = 2; y = sin(x^2)*exp(x)", "--steps", "--set", "x=2.0")
    assert text.splitlines() == [
        "dy/dy = 1.0",
        "",
        "y = t2 * t3",
        "    multiply: d/da = b, d/db = a",
        "    dy/dt2 gets t3",
        "    dy/dt3 gets t2",
        "",
        "t3 = exp(x)",
        "    exp: d/dx = y (y = exp(x))",
        "    dy/dx gets t3 * dy/dt3",
        "",
        "t2 = sin(t1)",
        "    sin: d/dx = cos(x)",
        "    dy/dt1 gets dy/dt2 * cos(t1)",
        "",
        "t1 = x^2",
        "    pow: d/da = b * a^(b - 1)",
        "    dy/dx gets 2 * x * dy/dt1",
        "",
        "dy/dx = t3 * dy/dt3 + 2 * x * dy/dt1    (2 contributions)",
        "",
        "simplified:",
        "    dy_dx = (2 * x * cos(x^2) + sin(x^2)) * exp(x)",
    ]


def test_a_terminal_gets_the_same_text(terminal):
    shown = terminal("derive", "-e", "variable x = 2.0; y = x^3")
    assert shown == "variable x = 2.0\ndy_dx = 3 * x^2\noutput dy_dx\n"


def test_only_what_is_used_is_imported():
    code = "from gradcli.commands.main import run; run(['derive', '-e', 'variable x = 2.0; y = x^3']); import sys; print('rich' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "variable x = 2.0\ndy_dx = 3 * x^2\noutput dy_dx\nFalse\n"


def test_order_0_keeps_what_connects(command_line):
    derived = command_line("derive", "-e", "variable x = 2.0; y = x^0", "--order", "0").out
    assert command_line("grad", stdin=derived).out == "x = 0.0\n"


def test_order_0_of_an_output_that_is_its_input_as_a_module(command_line):
    for text in (
        "y = identity(x)",
        "y = reshape(x, [])",
        "y = cast(x, float64)",
        "y = identity(x); z = y*2; output y, z",
    ):
        done = command_line("derive", "-e", f"variable x = 2.0; {text}", "--order", "0", "--format", "python")
        scope: dict[str, Any] = {}
        exec(done.out, scope)
        assert scope["gradient"]()["y"] == 2.0


def test_order_0_leaves_out_what_is_none(command_line):
    text = "variable x = 2.0; g = gradients(floor(x), x); y = x^2; output g, y"
    done = command_line("derive", "-e", text, "--order", "0")
    assert (done.status, done.out) == (0, "variable x = 2.0\ny = x^2\noutput y\n")


@pytest.mark.parametrize("option", [["--wrt", "x"], ["--seed", "y=2"]])
def test_order_0_differentiates_nothing(command_line, option):
    done = command_line("derive", "-e", "variable x = 2.0; y = x^2", "--order", "0", *option)
    assert done.status == 2 and "leave out --wrt and --seed" in done.err


@pytest.mark.parametrize("form", ["expr", "latex", "python", "c"])
def test_indices_that_are_out_of_range_are_no_internal_error(gradcli, form):
    done = gradcli("derive", "-e", "variable v = [-1.0]; n = scatter_add(v, 2, -1, 2); y = n[0]", "--format", form)
    assert "internal error" not in done.err
    assert done.status == 0 or "out of range" in done.err
