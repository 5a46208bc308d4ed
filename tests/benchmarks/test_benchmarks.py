"""The benchmark programs compute what they name, and the command line parses; nothing here looks at a clock."""

from __future__ import annotations

import ast
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import arrays, burgers, cold, hessians, large, optimisations, order, points
from tests.benchmarks.__main__ import SECTIONS, main, parse
from tests.benchmarks.competitors import TooSlowError
from tests.benchmarks.processor import without_avx512
from tests.benchmarks.running import Comparison, Own, difference, fastest
from tests.benchmarks.setting import install, peak_memory, process
from tests.benchmarks.table import COLUMNS, Row, Target, render
from tests.benchmarks.timing import interleaved

SMALL = [
    hessians.quadratic(7),
    hessians.logistic(12, 5),
    hessians.factorisation(6, 2),
    hessians.relu(layers=4, width=5, batch=8),
]


@pytest.mark.parametrize("problem", SMALL, ids=[p.case for p in SMALL])
def test_the_hessian_of_the_program_is_the_closed_form(problem):
    found = problem.compiled()(**problem.data)["H"]
    assert hessians.difference(found, problem.closed_form(**problem.data)) < 1e-12
    assert np.any(found)


@pytest.mark.parametrize("function", order.FUNCTIONS, ids=[f.case for f in order.FUNCTIONS])
@pytest.mark.parametrize("n", order.ORDERS)
def test_derivatives_are_those_of_the_contour_integral(function, n):
    found = function.gradient(n)
    assert order.difference(function.same_form(found), function.reference(n)) < order.AGREEMENT
    again = function.compiled(n)(x=function.data()["x"])["g"]
    assert order.difference(again, found) < 1e-12


def test_order_60():
    function = order.SIX_OPERATIONS
    assert order.difference(function.gradient(60), function.reference(60)) < order.AGREEMENT


def test_the_command_line():
    options = parse(["--only", "order, hessian", "--repeat", "3", "--peers", "--environment", "e", "--limit", "1.5"])
    assert options.only == ["order", "hessian"]
    assert (options.repeat, options.peers, options.environment, options.limit) == (3, True, Path("e"), 1.5)
    assert options.threads is None
    assert parse(["--threads", "1"]).threads == 1
    assert parse([]).only == list(SECTIONS)
    assert (parse([]).scale, parse(["--scale", "0.5"]).scale) == (1.0, 0.5)
    assert parse(["--without-avx512"]).without_avx512
    assert not parse([]).peers


@pytest.mark.parametrize(
    "arguments", [["--only", "speed"], ["--repeat", "0"], ["--repeat", "many"], ["--scale", "2"], ["more"]]
)
def test_a_wrong_command_line(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert "usage: python -m tests.benchmarks" in capsys.readouterr().err


def values_are_the_same(rows):
    return rows and all("differ" not in row.remark for row in rows)


@pytest.mark.slow
def test_cold_commands_print_what_scripts_print(setting, monkeypatch):
    monkeypatch.setattr(cold, "QUICK_ROUNDS", 1)
    rows, targets = cold.section(setting)
    assert {row.who for row in rows} == {"bare python", "import numpy", *(f"gradcli, {name}" for name in cold.PROGRAMS)}
    assert [target.measured is None for target in targets] == [False, False, True, True]
    u = 2 * 0.7 + math.sin(0.49)
    slope = 1.3 * (1 - math.tanh(u) ** 2) * (2 + 1.4 * math.cos(0.49))
    printed = cold.numbers(process(cold.commands(setting)["gradcli, scalar gradient"], setting.folder)())
    assert printed == pytest.approx([slope, math.tanh(u)])


def test_numbers_are_not_digits_of_names():
    assert cold.numbers(b"x0 = -1.5\nw_2 = [1e-05, 3]\nk: 0.25") == [-1.5, 1e-5, 3.0, 0.25]


def test_the_gradient_of_a_large_program_is_that_of_its_statements_in_python(setting):
    n = 40
    found, step = large.in_process(large.program(n)), 1e-6

    def value(x):
        scope = {"sin": np.sin, **{f"x{k}": x[k] for k in range(large.VARIABLES)}}
        exec(large.statements(n, "**"), scope)
        return scope["y"]

    slopes = [
        (value(large.point() + step * e) - value(large.point() - step * e)) / (2 * step)
        for e in np.eye(large.VARIABLES)
    ]
    assert found == pytest.approx(np.array(slopes), abs=1e-8)
    assert large.statements(n, "^") == large.statements(n, "**").replace("**", "^")


@pytest.mark.slow
def test_large_programs_have_the_same_gradient_as_a_command(setting):
    rows, targets = large.section(setting)
    assert len(rows) == 2 * len(large.SIZES)
    assert values_are_the_same(rows)
    assert all(re.match(r"\d+ MB$", row.remark) for row in rows if row.who == large.COLD)
    assert [target.measured is None for target in targets] == [True, True, False, False]


def test_peak_memory_is_that_of_the_command(tmp_path):
    """Not of this process, which holds more; and what the command allocates counts."""
    here = np.ones(30_000_000)
    used = [peak_memory([sys.executable, "-c", f"b'1' * {size}"], tmp_path) for size in (1, 80_000_000)]
    assert here.all()
    assert used[0] < 60e6
    assert 70e6 < used[1] - used[0] < 100e6


def test_a_failed_command_has_no_peak(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        peak_memory([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


@pytest.mark.parametrize("dtype", arrays.DTYPES)
@pytest.mark.parametrize("chain", arrays.CHAINS, ids=[chain.name for chain in arrays.CHAINS])
def test_chains_are_ten_operations_and_numpy_s(chain, dtype):
    calls_and_signs = [node for node in ast.walk(ast.parse(chain.text)) if isinstance(node, (ast.BinOp, ast.Call))]
    assert len(calls_and_signs) == 10
    x = np.linspace(-2, 2, 101).astype(dtype)
    found = chain.compiled(dtype, x.size)(x=x)[chain.result]
    assert found.dtype == dtype
    assert arrays.difference(found, chain.numpy(x.astype("float64"))) < arrays.AGREEMENT[dtype]


def test_the_gradient_by_hand_is_that_of_differences():
    x, step = np.linspace(-2, 2, 101), 1e-6
    slopes = (arrays.functions(x + step) - arrays.functions(x - step)) / (2 * step)
    assert arrays.gradient(x) == pytest.approx(slopes, abs=1e-8)


@pytest.mark.slow
def test_arrays(setting):
    rows, targets = arrays.section(setting)
    assert len(rows) == 3 * len(arrays.CHAINS) * len(arrays.DTYPES)
    assert values_are_the_same(rows)
    assert [target.what for target in targets if target.measured is not None] == [
        "gradient of tanh/sin/mul, float64, NumPy as written to gradcli"
    ]


def test_the_burgers_loss_is_that_of_difference_quotients_and_its_gradient_its_slope():
    p = burgers.data("float64", 11, 5)

    def loss(**changed):
        q = {**p, **changed}

        def u(x, t):
            h = np.hstack([x, t])
            for k in range(1, len(burgers.LAYERS) - 1):
                h = np.tanh(h @ q[f"W{k}"] + q[f"b{k}"])
            return h @ q[f"W{k + 1}"] + q[f"b{k + 1}"]

        x, t, h = p["x"], p["t"], 1e-4
        u_x = (u(x + h, t) - u(x - h, t)) / (2 * h)
        u_t = (u(x, t + h) - u(x, t - h)) / (2 * h)
        u_xx = (u(x + h, t) - 2 * u(x, t) + u(x - h, t)) / h**2
        residual = u_t + u(x, t) * u_x - 0.01 / np.pi * u_xx
        return np.mean((u(p["xd"], p["td"]) - p["ud"]) ** 2) + np.mean(residual**2)

    found = burgers.compiled("float64", p)(**p)
    assert list(found) == ["loss", *(f"g_{name}" for name in burgers.names())]
    assert found["loss"] == pytest.approx(loss(), rel=1e-6)
    random = np.random.default_rng(0)
    for name in burgers.names():
        direction = random.normal(size=p[name].shape)
        moved = [loss(**{name: p[name] + step * direction}) for step in (1e-4, -1e-4)]
        assert np.sum(found[f"g_{name}"] * direction) == pytest.approx((moved[0] - moved[1]) / 2e-4, rel=1e-4, abs=1e-6)


@pytest.mark.slow
def test_optimisations_change_no_value(setting):
    rows, _ = optimisations.section(setting)
    assert len(rows) == 2 * len(optimisations.CASES)
    assert values_are_the_same(rows)


def test_a_library_that_is_late_in_a_later_round_took_the_limit():
    class Late:
        limit = 7.0

        def prepare(self, *_):
            raise TooSlowError("> 7 s")

    late: set[str] = set()
    assert large.from_text(Late(), "casadi", ("", {}), late)(2) == [7.0, 7.0]
    assert late == {"casadi"}


@pytest.mark.slow
def test_burgers(setting):
    rows, targets = burgers.section(setting)
    assert [row.who for row in rows] == ["gradcli", "gradcli, one process", "gradcli native"] * 2
    assert values_are_the_same(rows)
    assert [target.measured for target in targets] == [None, None]


def test_a_wrong_gradient_of_one_small_array_is_seen():
    p = burgers.data("float64", 3, 2)
    right = burgers.flat(burgers.compiled("float64", p)(**p))
    for wrong in (1.001 * right[-1], np.nan):
        assert not burgers.apart(p)(np.append(right[:-1], wrong), right) <= burgers.AGREEMENT["float64"]


@pytest.mark.slow
def test_points_are_those_of_the_scripts(setting):
    rows, targets = points.section(setting)
    assert [row.who for row in rows] == ["gradcli", "NumPy script"] * 2
    assert values_are_the_same(rows)
    assert all(target.measured is not None for target in targets)


@pytest.mark.slow
def test_an_installed_gradcli_is_the_wheel(tmp_path):
    installed = install(tmp_path)
    code = "import gradcli, numpy; print(gradcli.__file__)"
    place = process([installed.python, "-c", code], tmp_path)().decode()
    assert Path(place).is_relative_to(tmp_path)
    assert process([*installed.gradcli, "grad", "-e", "variable x = 3.0; y = x^2"], tmp_path)() == b"x = 6.0\n"


def test_without_avx512_numpy_has_none():
    variables = without_avx512()
    code = "import numpy._core._multiarray_umath as m; print(sorted(k for k, v in m.__cpu_features__.items() if v))"
    env = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=env, capture_output=True)
    names = done.stdout.decode()
    assert "X86_V4" not in names and "AVX512_SKX" not in names and "AVX512_ICL" not in names


@pytest.mark.slow
def test_a_run_prints_its_table_and_targets(capsys, monkeypatch, setting):
    monkeypatch.setattr(hessians, "quadratic", lambda: SMALL[0])
    monkeypatch.setattr(hessians, "logistic", lambda: SMALL[1])
    monkeypatch.setattr(hessians, "factorisation", lambda: SMALL[2])
    monkeypatch.setattr(hessians, "relu", lambda: SMALL[3])
    assert main(["--only", "hessian", "--repeat", "1", "--scale", "0.1"]) == 0
    out = capsys.readouterr().out
    assert all(problem.title in out for problem in SMALL)
    assert "values differ" not in out
    assert "sizes times 0.1" in out
    assert "- factorisation, to the closed form <= 3: " in out


class AnswersWith:
    """A peer that gives one answer, or does not finish."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def prepare(self, task, request, data, order):
        self.asked += 1
        if self.answer is None:
            raise TooSlowError("> 1 s")
        return 0.5, self.answer

    def calls(self):
        return lambda n: [0.5] * n


@pytest.mark.slow
def test_a_comparison_says_who_differs_and_who_gave_up():
    one = np.ones(3)
    peers = {"right": AnswersWith(one), "wrong": AnswersWith(one + 1e-3), "nan": AnswersWith(one * np.nan)}
    peers["slow"] = AnswersWith(None)
    own = {"gradcli": Own(lambda: one, lambda: one)}
    comparison = Comparison("case", own, dict.fromkeys(peers, "values"), "", {}, one, difference, 1e-6)
    slow: set[str] = set()
    for remark in ("> 1 s", "gave up before"):
        rows, measured = comparison.run(peers, 1, slow)
        assert [(row.who, row.remark) for row in rows] == [
            ("gradcli", ""),
            ("right", ""),
            ("wrong", "values differ"),
            ("nan", "values differ"),
            ("slow", remark),
        ]
        assert measured.median("right") == 0.5
        assert fastest(measured, peers) == measured.ratio("right", "gradcli")
    assert (slow, peers["slow"].asked, peers["right"].asked) == ({"slow"}, 1, 2)


def test_a_comparison_goes_on_without_a_peer_that_is_late_in_a_later_round():
    one = np.ones(3)
    asked: list[int] = []

    class Late(AnswersWith):
        limit = 7.0

        def calls(self):
            def run(n):
                asked.append(n)
                if len(asked) == 3:
                    raise TooSlowError("> 7 s")
                return [0.5] * n

            return run

    peers = {"late": Late(one), "right": AnswersWith(one)}
    own = {"gradcli": Own(lambda: one, calls=lambda n: [0.5] * n)}
    comparison = Comparison("case", own, dict.fromkeys(peers, "values"), "", {}, one, difference, 1e-6)
    rows, measured = comparison.run(peers, 5)
    assert [(row.who, row.remark) for row in rows] == [("gradcli", ""), ("late", "stopped at 7 s"), ("right", "")]
    assert len(asked) == 3
    assert measured.turns["late"] == [0.5, 7.0, 7.0, 7.0, 7.0]
    assert fastest(measured, peers) == 1.0


def test_competitors_take_turns_and_ratios_compare_neighbours():
    seconds = {"a": iter([9.0, 2.0, 4.0, 6.0]), "b": iter([9.0, 1.0, 2.0, 1.0])}
    asked: list[str] = []

    def turn(who):
        def run(n):
            asked.append(who)
            return [next(seconds[who])] * n

        return run

    measured = interleaved({who: turn(who) for who in seconds}, 3, single=True)
    assert "".join(asked) == "ab" + "abbaab"
    assert measured.median("a") == 4.0
    assert measured.ratio("a", "b") == 2.0
    assert measured.ratio("a", "c") is None


def test_the_table():
    rows = [Row("f", "gradcli", 0.0123, 0.5, "2 x g", 1e-9), Row("f", "other", remark="> 20 s")]
    lines = render(rows).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == list(COLUMNS)
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "f",
        "gradcli",
        "12.3",
        "500",
        "2 x g",
        "1e-09",
        "",
    ]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == ["", "other", "", "", "", "", "> 20 s"]
    assert len({len(line) for line in lines}) == 1


def test_targets():
    assert Target("a", 2, 1.5).line() == "- a <= 2: met, 1.5"
    assert Target("a", 2, 2.5).line() == "- a <= 2: NOT met, 2.5"
    assert Target("a", 100, 250.0, at_least=True).line() == "- a >= 100: met, 250"
    assert Target("a", 2, None).line() == "- a <= 2: not measured"


def test_it_runs_as_a_module():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.benchmarks", "--help"]
    done = subprocess.run(command, check=True, cwd=root, capture_output=True, text=True, timeout=60)
    assert "--peers" in done.stdout
